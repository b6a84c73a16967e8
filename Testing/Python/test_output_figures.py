"""The figures show the patient the right way round, and what they claim to show."""

from __future__ import annotations

import numpy as np
import pytest
from sample_analysis import AXIAL, sample_analysis

from LAScarSegLib.output.figures import FIGURES
from LAScarSegLib.output.figures.histogram import blood_values, histogram_bins
from LAScarSegLib.output.figures.slice_layout import SliceLayout, choose_slices
from LAScarSegLib.output.figures.style import SCAR
from LAScarSegLib.output.figures.surface_views import VIEWS, colour_actor, lookup_table
from LAScarSegLib.output.rendering import Camera, check_rendering, render
from LAScarSegLib.volumes.volume import Geometry

needs_rendering = pytest.mark.skipif(check_rendering() is not None, reason=str(check_rendering()))
BY_NAME = {view.name: view for view in VIEWS}
FIGURE = {kind.file_name: kind for kind in FIGURES}

SIDES = {
    "L": lambda p: p[..., 0] > 8, "R": lambda p: p[..., 0] < -8,
    "P": lambda p: p[..., 1] > 8, "A": lambda p: p[..., 1] < -8,
    "S": lambda p: p[..., 2] > 8, "I": lambda p: p[..., 2] < -8,
}  # fmt: skip
"""Scar only towards that side of the patient, in LPS."""

# What every atlas shows: (left edge, right edge, top edge) of each view, and the side that faces the viewer.
ATLAS = {
    "Anterior (AP)": ("R", "L", "S", "A"), "Posterior (PA)": ("L", "R", "S", "P"),
    "Left lateral": ("A", "P", "S", "L"), "Right lateral": ("P", "A", "S", "R"),
    "Superior": ("R", "L", "P", "S"), "Inferior": ("R", "L", "A", "I"),
}  # fmt: skip


def red(picture: np.ndarray) -> np.ndarray:
    """Pixels that show scar: much more red than blue."""
    return picture[..., 0].astype(int) - picture[..., 2] > 60


def draw(side: str, name: str) -> np.ndarray:
    """One view of the ball with scar on that side, 60 × 60 pixels of 1 mm."""
    surface = sample_analysis(scar_at=SIDES[side]).surface
    table = lookup_table(np.array([[0.68, 0.8, 0.88], [0.81, 0.23, 0.07]]), 0, 1)
    view = BY_NAME[name]
    return render(colour_actor(surface, surface.scar, table), [Camera(view.direction, view.up, (0, 0, 0), 60.0)], (60, 60))[0]


@needs_rendering
def test_the_patients_left_is_on_the_viewers_right_in_the_anterior_view():
    scar = red(draw("L", "Anterior (AP)"))
    assert scar[:, 30:].sum() > 100 and scar[:, :30].sum() == 0


@needs_rendering
@pytest.mark.parametrize("name", ATLAS)
def test_every_view_is_the_atlas_view(name):
    left, right, top, facing = ATLAS[name]
    assert red(draw(left, name))[:, 30:].sum() == 0 and red(draw(left, name))[:, :30].sum() > 100
    assert red(draw(right, name))[:, :30].sum() == 0
    assert red(draw(top, name))[30:].sum() == 0
    opposite = dict(zip("LRPASI", "RLAPIS"))[facing]
    assert red(draw(facing, name)).sum() > 400 and red(draw(opposite, name)).sum() == 0


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_the_letters_at_the_edges_are_the_atlas_letters(view):
    left, right, top, _ = ATLAS[view.name]
    assert view.edge_letters[:3] == (left, right, top)


@needs_rendering
def test_a_picture_has_its_scale():
    # A ball of 20 mm in a frame of 60 mm and 120 pixels: a disc of 80 pixels' diameter.
    surface = sample_analysis().surface
    table = lookup_table(np.array([[0.2, 0.4, 0.6]] * 2), 0, 1)
    view = VIEWS[0]
    picture = render(colour_actor(surface, surface.scar, table), [Camera(view.direction, view.up, (0, 0, 0), 60.0)], (120, 120))[0]
    disc = (picture < 200).any(axis=-1)
    assert disc.any(axis=0).sum() == pytest.approx(80, abs=2) and disc.any(axis=1).sum() == pytest.approx(80, abs=2)


@needs_rendering
def test_what_is_excluded_is_grey_even_where_it_is_scar():
    surface = sample_analysis(scar_at=SIDES["A"], excluded_at=SIDES["A"]).surface
    table = lookup_table(np.array([[0.68, 0.8, 0.88], [0.81, 0.23, 0.07]]), 0, 1)
    view = BY_NAME["Anterior (AP)"]
    picture = render(colour_actor(surface, surface.scar, table), [Camera(view.direction, view.up, (0, 0, 0), 60.0)], (60, 60))[0]
    centre = picture[30, 30].astype(int)
    assert np.ptp(centre) <= 3 and 60 < centre.mean() < 220


def axes(i: str, j: str) -> Geometry:
    """A grid whose i and j axes point to the named sides; spacing 1, 2 and 3 mm."""
    directions = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
    matrix = np.array([directions[i], directions[j], np.cross(directions[i], directions[j])]).T
    return Geometry((5, 4, 3), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), tuple(matrix.ravel().astype(float)))


RADIOLOGICAL = [
    *[(i, j, "axial", ("R", "L", "A", "P")) for i, j in ("LP", "RP", "LA", "RA", "PL", "AL", "PR", "AR")],
    *[(i, j, "coronal", ("R", "L", "S", "I")) for i, j in ("LI", "RI", "LS", "RS", "IL", "SR")],
    *[(i, j, "sagittal", ("A", "P", "S", "I")) for i, j in ("PI", "AI", "PS", "AS", "IP", "SA")],
]


@pytest.mark.parametrize("i, j, plane, letters", RADIOLOGICAL)
def test_slices_are_shown_the_radiological_way_however_they_are_stored(i, j, plane, letters):
    geometry = axes(i, j)
    layout = SliceLayout.of(geometry)
    assert (layout.plane, layout.oblique, layout.letters) == (plane, False, letters)
    # Each voxel carries its own position; going right and down in the picture must go to the right and bottom letters.
    kk, jj, ii = np.indices(geometry.shape)
    points = geometry.index_to_lps(np.stack([ii, jj, kk], -1).reshape(-1, 3)).reshape(*geometry.shape, 3)[0]
    picture = np.stack([layout.picture(points[..., axis]) for axis in range(3)], -1)
    to_right, to_bottom = picture[0, 1] - picture[0, 0], picture[1, 0] - picture[0, 0]
    sides = {"L": (0, 1), "P": (1, 1), "I": (2, -1)}
    for step, side, length in ((to_right, letters[1], layout.pixel_mm[0]), (to_bottom, letters[3], layout.pixel_mm[1])):
        axis, sign = sides[side]
        assert step[axis] * sign == pytest.approx(length)


def test_an_oblique_slice_says_so_and_names_both_sides():
    turn = np.radians(40)
    matrix = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    layout = SliceLayout.of(Geometry((5, 4, 3), direction=tuple(matrix.ravel())))
    assert layout.letters == ("RA", "LP", "AL", "PR")
    tilt = np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    assert SliceLayout.of(Geometry((5, 4, 3), direction=tuple(tilt.ravel()))).oblique


def test_slices_are_spread_evenly_and_prefer_scar():
    structure = np.zeros(100, int)
    structure[10:90] = 1
    scar = np.zeros(100, int)
    scar[37] = 50  # stretches of 8 slices, of which the middle four may be chosen
    chosen = choose_slices(structure, scar, 10)
    assert len(chosen) == 10 and 37 in chosen
    assert min(np.diff(chosen)) >= 4 and chosen[0] >= 10 and chosen[-1] < 90


def test_few_slices_are_all_shown():
    assert choose_slices(np.array([0, 1, 1, 0, 1]), np.zeros(5, int), 12) == [1, 2, 4]


def test_the_histograms_blood_is_the_blood_pool():
    analysis = sample_analysis()
    values = blood_values(analysis)
    assert values.size == analysis.blood_pool.voxels
    assert values.mean(dtype=float) == pytest.approx(analysis.blood_pool.mean, rel=1e-6)


def test_whole_grey_levels_fall_evenly_into_the_bins():
    values = np.repeat(np.arange(0, 190, dtype=np.float32), 10)
    counts, _ = np.histogram(values, histogram_bins(values))
    full = counts[1:-2]
    assert full.min() == full.max()


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Every figure of an analysis with an excluded part, drawn once."""
    folder = tmp_path_factory.mktemp("Figuren für «Müller»")
    analysis = sample_analysis(excluded_at=SIDES["I"])
    drawable = [kind for kind in FIGURES if kind.can_draw(analysis) and (check_rendering() is None or not kind.needs_rendering)]
    return {kind.file_name: kind.draw(analysis, folder / kind.file_name) for kind in drawable}


def test_every_figure_is_a_wide_sharp_picture(drawn):
    from matplotlib.image import imread

    for path in drawn.values():
        height, width = imread(path).shape[:2]
        assert 1400 <= width <= 1700 and height < 2000


@needs_rendering
def test_the_scar_map_shows_scar_on_the_viewers_right_in_its_first_panel(drawn):
    from matplotlib.image import imread

    picture = (imread(drawn["scar_map.png"])[..., :3] * 255).astype(np.uint8)
    height, width = picture.shape[:2]
    panel = red(picture[: height // 2, : width // 3])
    middle = panel.shape[1] // 2
    assert panel[:, middle:].sum() > 1000 and panel[:, :middle].sum() == 0


def test_the_montage_shows_scar_on_the_right_of_its_panels_for_a_flipped_scan(tmp_path):
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    flipped = Geometry(AXIAL.size, AXIAL.spacing, (29.0, -32.0, -28.0), (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0))
    picture = imread(FIGURE["montage.png"].draw(sample_analysis(geometry=flipped), tmp_path / "m.png"))[..., :3]
    height, width = picture.shape[:2]
    legend = int(height - 0.4 * 160)
    outline = np.abs(picture[: legend - 10] - to_rgb(SCAR)).max(axis=-1) < 0.12
    columns = np.flatnonzero(outline.any(axis=0))
    assert columns.size > 50
    assert ((columns % (width / 4)) > 0.5 * width / 4).all()


def test_drawing_leaves_the_callers_matplotlib_alone(tmp_path):
    import matplotlib

    with matplotlib.rc_context({"font.size": 31.0}):
        FIGURE["histogram.png"].draw(sample_analysis(), tmp_path / "h.png")
        assert matplotlib.rcParams["font.size"] == 31.0


@pytest.mark.parametrize("change", ["no_scar", "given_mask", "no_spread", "beyond_the_curve"])
def test_unusual_results_are_drawn_too(tmp_path, change):
    from dataclasses import replace

    from LAScarSegLib.analysis import ScarMethod

    analysis = sample_analysis(scar_at=(lambda p: p[..., 0] > 1e9) if change == "no_scar" else SIDES["L"])
    if change == "given_mask":
        analysis = replace(analysis, method=ScarMethod("mask", "Scar mask that was given", "Scar mask that was given"))
    if change == "no_spread":
        analysis = replace(analysis, lge_box=np.full_like(analysis.lge_box, 100.0))
    if change == "beyond_the_curve":
        # In dark-blood images the wall's own rules find thresholds of many times the blood's mean.
        analysis = replace(analysis, method=replace(analysis.method, threshold_intensity=6.0 * analysis.blood_pool.mean))
    for kind in FIGURES:
        if not kind.needs_rendering and kind.can_draw(analysis):
            assert kind.draw(analysis, tmp_path / kind.file_name).stat().st_size > 10_000
            assert kind.describe(analysis) and kind.caption(analysis)

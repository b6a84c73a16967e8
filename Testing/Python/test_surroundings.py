"""Whether a scan lies as its header says, told from the picture around the atrium."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from LAScarSegLib.analysis import Change, Drawn, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.anatomy.masks import Mask
from LAScarSegLib.anatomy.surroundings import CELL_MM, CELLS, WAYS, check_lie, lie_of, ranks, usual_surroundings
from LAScarSegLib.support.doubt import DO_NOT_USE, GOOD, LOOK, Doubt
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.orientation import Orientation
from LAScarSegLib.volumes.volume import Geometry, Volume

VOXELS = 4
"""Along each edge of a cell."""


def usual_chest(noise: float = 0.05) -> tuple[Volume, np.ndarray]:
    """A scan in LPS axes whose cells are the usual ones, with noise, and a cavity in its middle."""
    mean, weight = usual_surroundings()
    cells = np.where(weight > 0, mean, 0.0)
    array = np.kron(cells, np.ones((VOXELS,) * 3)) + np.random.default_rng(0).normal(0.0, noise, [n * VOXELS for n in CELLS])
    spacing = CELL_MM / VOXELS
    geometry = Geometry(array.shape[::-1], (spacing,) * 3, (-65.0, -57.0, -49.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    cavity = np.zeros(array.shape, dtype=bool)
    cavity[tuple(slice(n * VOXELS // 2 - 10, n * VOXELS // 2 + 10) for n in CELLS)] = True
    return Volume(((array + 0.7) * 500).astype(np.int16), geometry), cavity


def flags(volume: Volume, cavity: np.ndarray) -> list[str]:
    return [flag.code for flag in check_lie(volume.array, volume.geometry, Mask.of(cavity))]


def lying(volume: Volume, cavity: np.ndarray, way: tuple[int, int, int]) -> tuple[Volume, np.ndarray]:
    turned = Orientation.towards_lps(volume.geometry)
    axes = [axis for axis, sense in zip(turned.axes, way) if sense < 0]
    return replace(volume, array=np.flip(volume.array, axes)), np.flip(cavity, axes)


def test_the_usual_surroundings_pass():
    volume, cavity = usual_chest()
    lie = lie_of(volume.array, volume.geometry, Mask.of(cavity))
    assert lie.as_it_is > 0.95 and not lie.is_wrong and flags(volume, cavity) == []


@pytest.mark.parametrize("way", WAYS)
def test_each_other_way_is_told_by_its_name(way):
    volume, cavity = lying(*usual_chest(), way)
    lie = lie_of(volume.array, volume.geometry, Mask.of(cavity))
    assert lie.is_wrong and lie.words == WAYS[way] and lie.otherwise > 0.95
    (flag,) = check_lie(volume.array, volume.geometry, Mask.of(cavity))
    assert f"a chest {WAYS[way]} " in flag.message and flag.severity == "warning"


def test_how_the_voxels_are_stored_says_nothing():
    """The same scan with its axes permuted and backwards, the header telling so; only which of two equally near voxels counts may differ."""
    volume, cavity = usual_chest()
    expected = lie_of(volume.array, volume.geometry, Mask.of(cavity))
    for axes, signs in itertools.product(((2, 1, 0), (1, 2, 0)), ((-1, 1, 1), (-1, -1, 1))):
        array, mask = (np.flip(a.transpose(axes), [n for n, s in enumerate(signs) if s < 0]) for a in (volume.array, cavity))
        columns = volume.geometry.rotation[:, ::-1][:, list(axes)] * signs
        spacing = volume.geometry.spacing
        first = np.array([0 if s > 0 else n - 1 for n, s in zip(array.shape, signs)])
        corner = np.array(volume.geometry.origin) - columns @ (first * spacing[0])
        direction = columns[:, ::-1]
        stored = Geometry(array.shape[::-1], spacing, tuple(corner), tuple(direction.ravel()))
        found = lie_of(array, stored, Mask.of(np.ascontiguousarray(mask)))
        assert found.as_it_is == pytest.approx(expected.as_it_is, abs=0.01) and found.otherwise == pytest.approx(expected.otherwise, abs=0.01)


def test_an_oblique_grid_is_looked_at_along_the_patients_axes():
    volume, cavity = usual_chest()
    angle = np.radians(20.0)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    # The same picture, on a grid that is turned within the patient: the header tells how, so nothing is to be said.
    oblique = volume.resample(
        Geometry((84, 84, 52), volume.geometry.spacing, tuple(turn @ [-83.0, -83.0, -51.0]), tuple(turn.ravel())), labels=False
    )
    mask = Volume(cavity.astype(np.uint8), volume.geometry).resample(oblique.geometry, labels=True)
    lie = lie_of(oblique.array, oblique.geometry, Mask.of(mask.array > 0))
    assert lie.as_it_is > 0.85 and not lie.is_wrong


def test_grey_levels_and_shading_say_little():
    """What keeps the order of grey levels keeps the likeness; a coil's shading changes a little of it."""
    volume, cavity = usual_chest()
    plain = lie_of(volume.array, volume.geometry, Mask.of(cavity))
    root = replace(volume, array=np.sqrt(volume.array.clip(0)).astype(np.float32))
    assert lie_of(root.array, root.geometry, Mask.of(cavity)).as_it_is == pytest.approx(plain.as_it_is, abs=0.02)
    shading = np.linspace(1.3, 0.7, volume.array.shape[1])[:, None]
    shaded, mask = lying(replace(volume, array=(volume.array * shading).astype(np.int16)), cavity, (-1, 1, 1))
    assert flags(shaded, mask) == ["scan_lies_otherwise"]


@pytest.mark.parametrize("moved", list(itertools.product((-3, 3), repeat=3)))
def test_the_cavity_may_lie_a_little_elsewhere(moved):
    """By 6 mm along each axis: a network's cavity in a scan that lies upside down."""
    volume, cavity = lying(*usual_chest(), (-1, 1, 1))
    assert flags(volume, np.roll(cavity, moved, axis=(0, 1, 2))) == ["scan_lies_otherwise"]
    right, there = usual_chest()
    assert flags(right, np.roll(there, moved, axis=(0, 1, 2))) == []


def test_a_frame_of_zeros_is_no_picture():
    volume, cavity = lying(*usual_chest(), (1, 1, -1))
    framed = Volume(np.pad(volume.array, 40), Geometry(tuple(n + 80 for n in volume.geometry.size), volume.geometry.spacing, (0.0, 0.0, 0.0)))
    assert flags(framed, np.pad(cavity, 40)) == ["scan_lies_otherwise"]


def test_where_too_little_is_to_be_seen_nothing_is_said():
    volume, cavity = lying(*usual_chest(), (-1, 1, 1))
    close = tuple(slice(n * VOXELS // 2 - 12, n * VOXELS // 2 + 12) for n in CELLS)
    array = np.ascontiguousarray(volume.array[close])
    small = Geometry(array.shape[::-1], volume.geometry.spacing, (0.0, 0.0, 0.0))
    assert lie_of(array, small, Mask.of(np.ascontiguousarray(cavity[close]))) is None
    assert lie_of(volume.array, volume.geometry, Mask.of(np.zeros_like(cavity))) is None


def test_noise_and_a_plain_body_are_not_taken_for_anything():
    volume, cavity = usual_chest()
    noise = replace(volume, array=np.random.default_rng(1).integers(0, 900, volume.array.shape, dtype=np.int16))
    even = replace(volume, array=np.where(cavity, 300, 100).astype(np.int16))
    assert flags(noise, cavity) == [] and flags(even, cavity) == []


def test_ranks_share_ties_and_leave_out_what_is_unknown():
    cells = np.array([30.0, np.nan, 10.0, 20.0, 20.0], dtype=np.float32)
    np.testing.assert_allclose(ranks(cells), [0.5, np.nan, -0.5, 0.0, 0.0], atol=1e-6)


def test_a_good_cavity_is_looked_at_for_a_reason_and_a_bad_one_stays_bad():
    assert Doubt(GOOD, 0.9).looked_at("Upside down.") == Doubt(LOOK, 0.9, ("Upside down.",))
    assert Doubt(DO_NOT_USE, 0.4, ("a", "b", "c")).looked_at("d") == Doubt(DO_NOT_USE, 0.4, ("d", "a", "b"))


REAL = [("la2018", "lge", name) for name in ("06SR5RBREL16DQ6M8LWS", "A5RNNK0A891WUSC2V624")] + [("msd_heart", "mri", "la_005")]


@pytest.mark.parametrize("collection, image, name", REAL)
def test_real_scans_as_they_are_and_upside_down(data_dir, collection, image, name):
    """The flag is in the result, given or drawn on; a stroke changes nothing of it."""
    scan, cavity = (read_volume(data_dir / collection / name / f"{part}.nii.gz") for part in (image, "cavity"))
    assert flags(scan, cavity.array > 0) == []
    upside_down, mask = lying(scan, cavity.array > 0, (-1, 1, 1))
    analysis = analyse(upside_down, Settings(perturbation=False), cavity=replace(cavity, array=mask.astype(np.uint8)))
    assert "scan_lies_otherwise" in {flag.code for flag in analysis.flags}
    drawn = mask.copy()
    drawn[:, : np.argwhere(mask)[:, 1].mean().astype(int)] = False
    stroke = Change(cavity=Drawn(Mask.of(drawn), analysis.sources.cavity))
    assert "scan_lies_otherwise" in {flag.code for flag in revise(analysis, stroke).flags}


def test_a_networks_cavity_in_a_scan_that_lies_upside_down_is_to_be_looked_at(data_dir):
    pytest.importorskip("torch", reason="networks need torch")
    from LAScarSegLib.analysis.network_runs import find_cavity
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.models.store import ModelStore

    bundle = ModelStore().default_cavity()
    if bundle is None:
        pytest.skip("the project's cavity model is not here")
    scan = read_volume(data_dir / "la2018" / "A11O45O3NAXWM7T2H8CH" / "lge.nii.gz")
    doubts = [find_cavity(volume, bundle, InferenceOptions(device="cpu")).doubt for volume in (scan, lying(scan, scan.array > 0, (-1, 1, 1))[0])]
    assert [doubt.word for doubt in doubts] == [GOOD, LOOK]
    assert "a chest upside down" in doubts[1].reasons[0]

"""Exclusion planes on surfaces whose cut-off areas are known."""

import json
import re

import numpy as np
import pytest
from analytic import ISOTROPIC, Grid
from scipy.spatial.transform import Rotation

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.phantom import PhantomSettings, make_phantom
from LAScarSegLib.surface.mesh import cavity_surface, oriented_surface
from LAScarSegLib.surface.opening_rim import around_opening
from LAScarSegLib.surface.planes import CutPlane, label_regions, reach_beyond_mitral_mm, read_planes
from LAScarSegLib.surface.shared_openings import remarks_on_openings
from LAScarSegLib.surface.surface import REGION_LABELS
from LAScarSegLib.volumes.volume import Volume

RADIUS_MM = 25.0


@pytest.fixture(scope="module")
def grid():
    return Grid.around(ISOTROPIC, 33.0)


@pytest.fixture(scope="module")
def sphere(grid):
    return cavity_surface(grid.ball(RADIUS_MM).array, grid.geometry, 1.0)


def plane(name, grid, offset, normal):
    return CutPlane(name, tuple(grid.centre + offset), tuple(normal))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_mitral_plane_cuts_off_a_cap_whichever_way_it_points(grid, sphere, sign):
    region = label_regions(sphere, [plane("MV", grid, (0, 0, -15.0), (0, 0, sign))])
    cut = sphere.vertex_area_mm2[region == 0].sum() / sphere.area_mm2
    assert cut == pytest.approx((RADIUS_MM - 15.0) / (2 * RADIUS_MM), abs=0.01)  # Archimedes: caps are as their heights
    assert (region[sphere.points[:, 2] - grid.centre[2] < -16.0] == 0).all()


def test_vein_plane_cuts_its_own_vein_only(grid):
    """Two parallel veins: the left one's plane, which passes through the right one too, leaves that alone."""
    points = grid.points()[0]
    across = [np.linalg.norm(points[..., :2] - (x, 0.0), axis=-1) for x in (-12.0, 12.0)]
    veins = [(d < 5.0) & (points[..., 2] > 0) & (points[..., 2] < 30.0) for d in across]
    surface = cavity_surface(grid.ball(20.0).array | veins[0] | veins[1], grid.geometry, 1.0)
    region = label_regions(surface, [plane("LSPV", grid, (12.0, 0, 24.0), (0, 0, 1))])
    relative = surface.points - grid.centre
    beyond = relative[:, 2] > 25.0
    assert (region[beyond & (relative[:, 0] > 0)] == 11).all()
    assert (region[beyond & (relative[:, 0] < 0)] == 1).all()


def two_veins(grid, left=6.0, right=5.0):
    points = grid.points()[0]
    across = [np.linalg.norm(points[..., :2] - (x, 0.0), axis=-1) for x in (12.0, -12.0)]
    veins = [(d < r) & (points[..., 2] > 0) & (points[..., 2] < 32.0) for d, r in zip(across, (left, right))]
    return cavity_surface(grid.ball(20.0).array | veins[0] | veins[1], grid.geometry, 1.0)


def test_two_planes_in_one_vein_are_said_and_two_in_two_are_not(grid):
    surface, up = two_veins(grid), (0, 0, 1)
    first, second = plane("LSPV", grid, (12.0, 0, 22.0), up), plane("RSPV", grid, (-12.0, 0, 22.0), up)
    assert remarks_on_openings(surface, [first, second]) == ()
    for height in (22.0, 26.0):
        for order in (1, -1):
            twice = [first, plane("LIPV", grid, (12.0, 0, height), up)][::order]
            (flag,) = remarks_on_openings(surface, [*twice, second])
            assert flag.code == "planes_in_one_opening" and flag.severity == "warning"
            one, other = (each.name for each in twice)
            assert f"{one} and {other} lie in one opening" in flag.message and f"counts as {other}'s" in flag.message


def test_a_branch_beyond_a_common_trunks_plane_is_no_second_plane_in_it(grid):
    """The trunk's plane lies below the fork, the branch's in one of its two arms; where the trunk is all the branch, they are one."""
    points, up = grid.points()[0], (0, 0, 1)
    trunk = (np.abs(points[..., 0]) < 10.0) & (np.abs(points[..., 1]) < 6.0) & (points[..., 2] > 0) & (points[..., 2] < 24.0)
    arms = [np.linalg.norm(points[..., :2] - (x, 0.0), axis=-1) < 4.0 for x in (5.0, -5.0)]
    arms = [arm & (points[..., 2] > 0) & (points[..., 2] < 32.0) for arm in arms]
    surface = cavity_surface(grid.ball(15.0).array | trunk | arms[0] | arms[1], grid.geometry, 1.0)
    common, branch = plane("LCPV", grid, (0, 0, 17.0), up), plane("LSPV", grid, (5.0, 0, 27.0), up)
    assert remarks_on_openings(surface, [common, branch]) == ()
    assert len(remarks_on_openings(surface, [common, plane("LSPV", grid, (0, 0, 18.0), up)])) == 1
    assert len(remarks_on_openings(surface, [common, plane("RSPV", grid, (5.0, 0, 27.0), up)])) == 1


def open_at(grid, surface, height_mm):
    """The surface without what lies above a height over the grid's middle: each vein ends in a hole."""
    kept = (surface.points[surface.triangles] - grid.centre)[..., 2].max(axis=1) < height_mm
    used = np.unique(surface.triangles[kept])
    return oriented_surface(surface.points[used], np.searchsorted(used, surface.triangles[kept]))


@pytest.mark.parametrize("offset_mm", [-3.0, 0.0, 3.0])
def test_a_plane_names_the_hole_that_an_open_mesh_was_cut_at(grid, offset_mm):
    surface = open_at(grid, two_veins(grid), 25.0)
    region = label_regions(surface, [plane("LSPV", grid, (12.5, 0, 25.0 + offset_mm), (0, 0, 1))])
    relative = surface.points - grid.centre
    edges = np.sort(surface.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    pairs, counts = np.unique(edges, axis=0, return_counts=True)
    rim = np.unique(pairs[counts == 1])
    assert (region[rim] == np.where(relative[rim, 0] > 0, 11, 1)).all()
    named = relative[region == 11]
    assert (named[:, 0] > 0).all() and named[:, 2].min() > 25.0 + min(offset_mm, 0.0) - 2.0


def test_a_plane_beyond_an_open_meshs_holes_is_refused_and_says_how_holes_are_named(grid):
    surface = open_at(grid, two_veins(grid), 25.0)
    with pytest.raises(InputError, match="The mesh is open: an opening that it was cut at already is named by a plane within 5 mm"):
        label_regions(surface, [plane("LSPV", grid, (12.0, 0, 32.0), (0, 0, 1))])


def test_flat_lid_goes_with_its_plane_wherever_its_voxels_end(grid):
    """A ball cut flat at the mitral plane: the whole lid is left out, whether the plane lies just outside or just inside of it."""
    points = grid.points()[0]
    surface = cavity_surface(grid.ball(RADIUS_MM).array & (points[..., 2] > -10.0), grid.geometry, 1.0)
    lid = (surface.normals[:, 2] < -0.9) & (surface.points[:, 2] - grid.centre[2] < -9.0)
    for height in (-11.0, -10.0, -9.0):
        region = label_regions(surface, [plane("MV", grid, (0, 0, height), (0, 0, 1))])
        assert (region[lid] == 0).all()
        assert (region[surface.points[:, 2] - grid.centre[2] > -6.0] == 1).all()


def test_plane_that_cuts_nothing_is_refused_with_its_distance(grid, sphere):
    with pytest.raises(InputError, match="LSPV .* does not cut the LA surface, which is 75 mm away"):
        label_regions(sphere, [plane("LSPV", grid, (0, 0, 100.0), (0, 0, 1))])


def test_share_of_the_wall_leaves_the_cut_part_out_above_and_below_the_line(grid):
    """Scar cap of 40° around +z, mitral plane 10 mm below the centre: all of the scar, 35 of 50 mm of height, so 70 % of the surface."""
    scan, cavity = grid.scan_of_ball(RADIUS_MM, 40, np.array([0, 0, 1.0])), grid.ball(RADIUS_MM)
    settings = Settings(perturbation=False)
    below = [plane("MV", grid, (0, 0, -10.0), (0, 0, -1))]
    whole = analyse(scan, settings, cavity=cavity)
    part = analyse(scan, settings, cavity=cavity, planes=below)
    assert whole.measurements["scar_area_pct_wall"].value is None
    assert part.measurements["scar_area_pct"].value == whole.measurements["scar_area_pct"].value
    assert part.measurements["scar_area_pct_wall"].value == pytest.approx(whole.measurements["scar_area_pct"].value / 0.7, rel=0.02)
    assert part.curve.scar_area_pct_wall[70] == pytest.approx(part.measurements["scar_area_pct_wall"].value)  # IIR 1.20


@pytest.mark.parametrize(("depth_mm", "leaks"), [(9.0, False), (24.0, True)])
def test_a_cavity_that_goes_on_beyond_the_mitral_plane_is_flagged(grid, depth_mm, leaks):
    """A ball with a stump of ventricle, cut flat `depth_mm` below the plane; a vein's plane on the other side says nothing."""
    points, height = grid.points()[0], 5.0
    stump = (np.linalg.norm(points[..., :2], axis=-1) < 10.0) & (points[..., 2] < 0) & (points[..., 2] > -height - depth_mm)
    cavity = grid.ball(15.0).array & (points[..., 2] > -height) | stump
    planes = [plane("MV", grid, (0, 0, -height), (0, 0, 1)), plane("LSPV", grid, (0, 0, 12.0), (0, 0, 1))]
    noise = np.random.default_rng(0).normal(0, 15, cavity.shape)
    image = Volume(np.where(cavity, 200, 100) * (points[..., 0] < 20) + np.abs(noise), grid.geometry)
    result = analyse(image, Settings(perturbation=False), cavity=Volume(cavity, grid.geometry), planes=planes)
    messages = [flag.message for flag in result.flags if flag.code == "leak_through_mitral_plane"]
    assert bool(messages) == leaks
    for message in messages:
        assert int(re.search(r"reaches (\d+) mm beyond the mitral plane", message)[1]) == pytest.approx(depth_mm, abs=1.0)


def test_planes_in_ras_and_lps_are_the_same(tmp_path):
    lps = {"coordinateSystem": "LPS", "planes": [{"name": "mv", "origin": [1, 2, 3], "normal": [2, 0, 0]}]}
    ras = {"coordinateSystem": "RAS", "planes": [{"name": "MV", "origin": [-1, -2, 3], "normal": [-1, 0, 0]}]}
    files = []
    for name, content in {"lps": lps, "ras": ras}.items():
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    assert read_planes(files[0]) == read_planes(files[1]) == (CutPlane("MV", (1.0, 2.0, 3.0), (1.0, 0.0, 0.0)),)


def test_slicer_markup_is_named_by_its_label_else_by_its_file(tmp_path):
    markup = {"type": "Plane", "coordinateSystem": "LPS", "center": [1, 2, 3], "normal": [0, 0, 1], "controlPoints": [{"label": "RSPV-1"}]}
    (tmp_path / "planes.mrk.json").write_text(json.dumps({"markups": [markup]}))
    (tmp_path / "LAA.mrk.json").write_text(json.dumps({"markups": [markup | {"controlPoints": [{"label": "P-1"}]}]}))
    assert read_planes(tmp_path / "planes.mrk.json")[0].name == "RSPV"
    assert read_planes(tmp_path / "LAA.mrk.json")[0].name == "LAA"


@pytest.fixture(scope="module")
def with_lobe(grid):
    """An atrium on a stump of ventricle with a lobe like the appendage beside it: the mitral plane runs through the lobe's base, too, and
    their rims are one."""
    points = grid.points()[0]
    stump = (np.linalg.norm(points[..., :2], axis=-1) < 10.0) & (points[..., 2] < 0) & (points[..., 2] > -24.0)
    lobe = np.linalg.norm(points - [18.0, 0, -15.0], axis=-1) < 7.0
    return cavity_surface(grid.ball(18.0).array & (points[..., 2] > -13.0) | stump | lobe, grid.geometry, 1.0)


def test_what_hangs_beside_the_opening_stays_though_it_reaches_beyond_the_plane(grid, with_lobe):
    region, relative = label_regions(with_lobe, [plane("MV", grid, (-1.0, 0, -13.0), (0, 0, 1))]), with_lobe.points - grid.centre
    on_lobe = np.linalg.norm(relative - [18.0, 0, -15.0], axis=1) < 7.8
    # The rim of the opening may reach 1.4 times its usual radius of 11.2 mm.
    tip, end = on_lobe & (relative[:, 0] > 15.7), (relative[:, 2] < -20.0) & (relative[:, 0] < 8.0)
    assert (region[tip] == 1).mean() > 0.97 and (relative[tip, 2] < -15.0).any()
    assert (region[end] == 0).all() and (region[relative[:, 2] > -11.0] == 1).all()


@pytest.mark.parametrize("aside", [(8.0, 0.0), (-6.0, 5.0), (0.0, -8.0)])
def test_a_mitral_plane_that_is_clicked_off_its_middle_cuts_the_same(grid, with_lobe, aside):
    exact, clicked = (label_regions(with_lobe, [plane("MV", grid, (*at, -13.0), (0, 0, 1))]) for at in ((0.0, 0.0), aside))
    assert (exact == clicked).all()


def test_a_valve_that_is_drawn_twice_as_long_as_wide_goes_whole(grid):
    """An ellipsoid of 25 × 12.5 × 20 mm that ends flat 8 mm below its middle, 46 mm long there."""
    points = grid.points()[0]
    surface = cavity_surface((np.linalg.norm(points / [25.0, 12.5, 20.0], axis=-1) < 1) & (points[..., 2] > -8.0), grid.geometry, 1.0)
    relative = surface.points - grid.centre
    end = (np.abs(relative[:, 2] + 8.0) < 1.0) & (surface.normals[:, 2] < -0.9)
    region = label_regions(surface, [plane("MV", grid, (0, 0, -8.0), (0, 0, -1))])
    assert end.sum() > 500 and (region[end] == 0).all() and (region[relative[:, 2] > -5.0] == 1).all()


def test_a_surface_that_is_turned_or_mirrored_is_labelled_as_before(grid, with_lobe):
    """Of the rim that opening and lobe share the same part is the opening's, whatever lies along which axis."""
    mitral = plane("MV", grid, (-1.0, 0, -13.0), (0, 0, 1))
    region = label_regions(with_lobe, [mitral])
    for number, mirror in enumerate([1.0, -1.0] * 4):
        motion = Rotation.random(random_state=number).as_matrix() @ np.diag([1.0, 1.0, mirror])
        surface = oriented_surface(with_lobe.points @ motion.T, with_lobe.triangles)
        moved = CutPlane("MV", tuple(motion @ mitral.origin), tuple(motion @ mitral.normal))
        np.testing.assert_array_equal(label_regions(surface, [moved]), region)


@pytest.mark.parametrize("with_veins", [False, True])
def test_the_atrium_stays_though_the_deepest_point_lies_in_a_ventricle_of_51_mm(with_veins):
    """An atrium of 20 mm with two veins on a ventricle that is rounder and deeper."""
    grid = Grid.around((1.5, 1.5, 1.5), 62.0)
    points = grid.points()[0]
    atrium = np.linalg.norm(points - [0, 0, 30.0], axis=-1) < 22.0
    veins = (np.linalg.norm(points[..., 1:] - [0, 30.0], axis=-1) < 6.0) & (np.abs(points[..., 0]) < 45.0)
    ventricle = np.linalg.norm(points - [0, 0, -15.0], axis=-1) < 25.5
    surface = cavity_surface(atrium | veins | ventricle, grid.geometry, 1.5)
    planes = [plane("MV", grid, (0, 0, 10.0), (0, 0, 1))]
    if with_veins:
        planes += [plane(name, grid, (x, 0, 30.0), (1, 0, 0)) for name, x in (("LSPV", 35), ("RSPV", -35))]
    region, relative = label_regions(surface, planes), surface.points - grid.centre
    height = relative[:, 2]
    assert (region[height < 7.0] == 0).all() and (region[(height > 13.0) & (np.abs(relative[:, 0]) < 33.0)] == 1).all()
    assert reach_beyond_mitral_mm(surface.with_arrays(region=region), planes) == pytest.approx(50.5, abs=1.5)


def test_the_appendage_of_a_phantom_stays_when_only_the_mitral_plane_is_given():
    """Of this one the infinite plane takes 61 % of the appendage."""
    phantom = make_phantom(PhantomSettings(seed=3, size=(128, 112, 40), spacing=(1.25, 1.25, 2.5)))
    surface = cavity_surface(phantom.cavity.array > 0, phantom.cavity.geometry, 1.0)
    every, mitral = (label_regions(surface, planes) for planes in (phantom.planes, [p for p in phantom.planes if p.name == "MV"]))
    area, appendage, lid = surface.vertex_area_mm2, every == REGION_LABELS["LAA"], every == 0
    assert area[appendage & (mitral == 1)].sum() > 0.95 * area[appendage].sum()
    assert area[lid & (mitral == 0)].sum() > 0.95 * area[lid].sum()
    assert reach_beyond_mitral_mm(surface.with_arrays(region=mitral), phantom.planes) < 15.0


def test_planes_that_leave_nothing_are_named(sphere, grid):
    names, normals = ("LSPV", "LIPV", "RSPV", "RIPV", "LAA", "RMPV"), np.vstack([np.eye(3), np.eye(3)])
    heights = (0.5, 0.5, 0.5, -0.5, -0.5, -0.5)
    planes = [plane(name, grid, height * normal, normal) for name, normal, height in zip(names, normals, heights)]
    with pytest.raises(InputError, match="LSPV, LIPV.* leave nothing of the left atrium"):
        label_regions(sphere, planes)


@pytest.mark.parametrize("turn", [(1, 1, False), (-1, 1, False), (1, -1, False), (1, 1, True), (-1, 1, True)])
def test_a_rim_as_even_as_can_be_is_told_apart_the_same_whichever_way_it_is_turned(turn):
    """A staircase of 34 mm with a square lobe at its side: half of all directions may end right between two distances."""
    across, along, swapped = turn
    side = np.arange(-8.0, 9.0)
    rim = np.array([(x, y) for x in side for y in side if 14.0 <= np.hypot(2 * x, 1.6 * y) <= 17.0] + [(x, y) for x in side + 17.0 for y in (-5.0, 5.0)])
    for shape in (rim, rim * [1.0, 0.5], rim[np.abs(rim[:, 0]) < 8.0]):
        placed = shape[:, ::-1] * [across, along] if swapped else shape * [across, along]
        told = [around_opening(np.c_[each, np.zeros(len(each))], np.zeros(3), np.array([0.0, 0.0, 1.0]), False) for each in (shape, placed)]
        assert (told[0] == told[1]).all()

"""Veins, appendage and mitral valve found on surfaces whose openings are known."""

import numpy as np
import pytest
from analytic import ISOTROPIC, Grid
from mesh_cases import box
from scipy.spatial import cKDTree

from LAScarSegLib.errors import InputError
from LAScarSegLib.phantom.atrium import cavity_mask, draw_atrium
from LAScarSegLib.phantom.settings import VEIN_VARIANTS, PhantomSettings
from LAScarSegLib.surface import protrusions
from LAScarSegLib.surface.mesh import cavity_surface, oriented_surface
from LAScarSegLib.surface.openings import find_planes
from LAScarSegLib.surface.ostium_curve import ostium_curve
from LAScarSegLib.surface.planes import CutPlane, label_regions
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.volume import Geometry, Volume

COARSE = (0.9, 0.9, 2.5)
VALVE = np.array([0.55, -0.69, -0.47]) / np.linalg.norm([0.55, -0.69, -0.47])
VALVE_MM = 14.0
AXES = {
    "LSPV": (0.80, 0.10, 0.60), "LIPV": (0.83, 0.50, -0.20), "RSPV": (-0.80, -0.10, 0.60), "RIPV": (-0.83, 0.50, -0.20), "LAA": (0.60, -0.75, 0.30),
}  # fmt: skip
BODY_MM, VEIN_MM, REACH_MM = 21.0, 5.5, 38.0


@pytest.fixture(scope="module")
def grid():
    return Grid.around(ISOTROPIC, 44.0)


def atrium_mask(grid, names=tuple(AXES), valve=True):
    """A ball cut flat at the valve, with straight tubes for veins and appendage."""
    points = grid.points()[0]
    mask = np.linalg.norm(points, axis=-1) < BODY_MM
    if valve:
        mask &= points @ VALVE < VALVE_MM
    for name in names:
        axis = np.array(AXES[name]) / np.linalg.norm(AXES[name])
        along = points @ axis
        across = np.linalg.norm(points - along[..., None] * axis, axis=-1)
        mask |= (across < VEIN_MM) & (along > 0) & (along < REACH_MM)
    return mask


def surface_of(grid, mask):
    return cavity_surface(mask, grid.geometry, 1.5)


@pytest.fixture(scope="module")
def whole(grid):
    return surface_of(grid, atrium_mask(grid))


@pytest.fixture(scope="module")
def found(whole):
    return find_planes(whole)


@pytest.mark.parametrize("seed", range(3))
def test_planes_of_a_phantom_lie_where_it_was_drawn_with_them(seed):
    """A phantom of each vein variant: every vein has its name, its ostium lies within 4 mm of the true one (a middle vein, nine voxels
    wide: 5 mm), the mitral plane within 5 mm and 15°."""
    settings = PhantomSettings(seed=seed, vein_variant=VEIN_VARIANTS[seed], la_volume_ml=90.0)
    atrium = draw_atrium(settings, np.random.default_rng(seed))
    cavity = cavity_mask(atrium, COARSE)
    planes = {plane.name: plane for plane in find_planes(cavity_surface(cavity.array, cavity.geometry, 1.5)).planes}
    true = {plane.name: plane for plane in atrium.planes()}
    assert planes.keys() == true.keys()
    for name, plane in true.items():
        offset = np.array(planes[name].origin) - plane.origin
        if name not in ("MV", "LAA"):
            assert np.linalg.norm(offset) < (5.0 if name == "RMPV" else 4.0), name
    assert abs((np.array(planes["MV"].origin) - true["MV"].origin) @ np.array(true["MV"].normal)) < 5.0
    assert np.dot(planes["MV"].normal, true["MV"].normal) > np.cos(np.radians(15.0))


def test_a_narrow_vein_that_joins_a_wider_one_before_the_body_is_unsure():
    """A phantom whose middle vein is drawn so: nobody can see where its ostium lies."""
    atrium = draw_atrium(PhantomSettings(seed=1022, vein_variant="right_middle"), np.random.default_rng(1022))
    cavity = cavity_mask(atrium)
    found = find_planes(cavity_surface(cavity.array, cavity.geometry, 1.0))
    assert found.unsure.keys() == {"RMPV"}
    assert "joins a wider neighbour" in found.unsure["RMPV"]


def test_straight_tubes_are_found_with_their_names_axes_and_middles(grid, found):
    planes = {plane.name: plane for plane in found.planes}
    assert planes.keys() == {*AXES, "MV"}
    for name, axis in AXES.items():
        axis = np.array(axis) / np.linalg.norm(axis)
        offset = np.array(planes[name].origin) - grid.centre
        assert np.dot(planes[name].normal, axis) > np.cos(np.radians(20.0)), name
        assert np.linalg.norm(offset - (offset @ axis) * axis) < 1.0, name
        # Where tube and ball meet: sqrt(21² − 5.5²) = 20.3 mm from the centre; the smoothed seam is a few millimetres wide.
        assert 19.0 < offset @ axis < 25.0, name


def test_tubes_that_have_joined_are_told_apart_halfway():
    """Cylinders of 6 mm whose axes lie 8 mm apart: the section of one is its circle without the segment beyond 4 mm; of both, twice that."""
    radius, half = 6.0, 4.0
    grid = Grid.around(ISOTROPIC, 24.0)
    x, y, z = np.moveaxis(grid.points()[0], -1, 0)
    mask = (np.minimum(np.hypot(x - half, y), np.hypot(x + half, y)) < radius) & (np.abs(z) < 18.0)
    cavity = protrusions.fill_surface(surface_of(grid, mask))
    along = np.arange(-18.0, 18.0)[:, None] * [0.0, 0.0, 1.0]
    lines = [grid.centre + along + [x, 0.0, 0.0] for x in (half, -half)]
    one, other = (protrusions.Tube(cKDTree(line), radius) for line in lines)
    whole = np.pi * radius**2 - (radius**2 * np.arccos(half / radius) - half * np.sqrt(radius**2 - half**2))
    middle = grid.centre + [half, 0.0, 0.0]
    section = protrusions.cross_section(cavity, middle, np.array([0.0, 0.0, 1.0]), one, [other])
    both = protrusions.cross_section(cavity, middle, np.array([0.0, 0.0, 1.0]))
    assert both.area_mm2 == pytest.approx(2 * whole, rel=0.08)
    assert section.area_mm2 == pytest.approx(both.area_mm2 / 2, rel=0.05)
    assert both.centre[0] == pytest.approx(grid.centre[0], abs=0.5) and section.centre[0] > middle[0] - 0.5


def test_flat_end_is_the_mitral_plane(grid, found):
    mitral = found.planes[0]
    assert mitral.name == "MV"
    assert np.dot(mitral.normal, VALVE) > np.cos(np.radians(3.0))
    assert (np.array(mitral.origin) - grid.centre) @ VALVE == pytest.approx(VALVE_MM, abs=1.0)


def test_clear_atrium_leaves_nothing_unsure(found):
    assert found.unsure == {}


@pytest.mark.parametrize("axes, flips", [((2, 0, 1), (True, False, True)), ((1, 0, 2), (False, True, False))])
def test_how_the_voxels_are_stored_changes_no_name(grid, found, axes, flips):
    """The same voxels with their axes in another order, some of them running the other way."""
    array = atrium_mask(grid).transpose(axes)
    index = np.eye(3)[list(axes)]  # row: new array axis, column: old array axis (k, j, i)
    geometry = grid.geometry
    direction = geometry.rotation[:, ::-1] @ index.T
    origin = np.array(geometry.origin)
    for axis, flip in enumerate(flips):
        if flip:
            array = np.flip(array, axis)
            origin = origin + direction[:, axis] * (array.shape[axis] - 1) * ISOTROPIC[0]
            direction[:, axis] *= -1
    turned = Geometry(array.shape[::-1], ISOTROPIC, tuple(origin), tuple(direction[:, ::-1].ravel()))
    planes = find_planes(cavity_surface(np.ascontiguousarray(array), turned, 1.5)).planes
    assert [plane.name for plane in planes] == [plane.name for plane in found.planes]
    for plane, before in zip(planes, found.planes):
        assert np.linalg.norm(np.subtract(plane.origin, before.origin)) < 1.5


def test_ball_has_no_veins_and_says_so(grid):
    found = find_planes(surface_of(grid, atrium_mask(grid, (), valve=False)))
    assert found.planes == ()
    assert {"LSPV", "LIPV", "RSPV", "RIPV", "MV", "LAA"} <= found.unsure.keys()


def test_only_vein_is_named_with_a_doubt_and_the_others_are_missed(grid):
    found = find_planes(surface_of(grid, atrium_mask(grid, ("RSPV",))))
    assert [plane.name for plane in found.planes] == ["MV", "RSPV"]
    assert {"LSPV", "LIPV", "RIPV", "RSPV", "LAA"} <= found.unsure.keys()
    assert "only one vein" in found.unsure["RSPV"].lower()


def test_rounded_end_makes_the_mitral_plane_unsure(grid):
    found = find_planes(surface_of(grid, atrium_mask(grid, valve=False)))
    assert "rounded" in found.unsure["MV"]
    assert found.unsure.keys() == {"MV"}


def test_leak_into_a_ventricle_is_named(grid):
    """A second ball beyond the valve, joined through an opening of 24 mm: the plane lies at the neck."""
    points = grid.points()[0]
    ventricle = np.linalg.norm(points - 33.0 * VALVE, axis=-1) < 17.0
    along = points @ VALVE
    opening = (np.linalg.norm(points - along[..., None] * VALVE, axis=-1) < 12.0) & (along > 0) & (along < 33.0)
    found = find_planes(surface_of(grid, atrium_mask(grid) | ventricle | opening))
    assert "leak" in found.unsure["MV"]
    mitral = next(plane for plane in found.planes if plane.name == "MV")
    # The opening's wall is free between 17 mm (the atrium's ball) and 21 mm (the ventricle's).
    assert 15.0 < (np.array(mitral.origin) - grid.centre) @ VALVE < 23.0
    assert {plane.name for plane in found.planes} == {*AXES, "MV"}


def test_vein_and_valve_at_the_border_of_the_image_are_unsure_and_nothing_else(grid, whole):
    """A valve has no stump that could be cut off."""
    axis = np.array(AXES["RIPV"]) / np.linalg.norm(AXES["RIPV"])
    points = whole.points - grid.centre
    at_border = (points @ axis > REACH_MM - 2.0) | (np.linalg.norm(points - VALVE_MM * VALVE, axis=1) < 8.0)
    unsure = find_planes(whole, at_border).unsure
    assert unsure.keys() == {"RIPV", "MV"} and "stump" in unsure["RIPV"]
    assert unsure["MV"].startswith("The image ends there") and "stump" not in unsure["MV"]


def test_second_piece_makes_every_plane_unsure(grid):
    apart = np.linalg.norm(grid.points()[0] - [0.0, 0.0, -34.0], axis=-1) < 8.0
    found = find_planes(surface_of(grid, atrium_mask(grid) | apart))
    assert all("2 pieces" in found.unsure[plane.name] for plane in found.planes)


def test_appendage_that_touches_the_vein_is_named(grid):
    """A bar from the appendage's end to that of the left superior vein closes a ring."""
    ends = [REACH_MM * 0.9 * np.array(AXES[name]) / np.linalg.norm(AXES[name]) for name in ("LAA", "LSPV")]
    points, bar = grid.points()[0] - ends[0], ends[1] - ends[0]
    share = np.clip(points @ bar / (bar @ bar), 0, 1)
    touching = np.linalg.norm(points - share[..., None] * bar, axis=-1) < 4.0
    found = find_planes(surface_of(grid, atrium_mask(grid) | touching))
    assert "ring" in found.unsure["LAA"]


def test_open_surface_is_refused(whole):
    with pytest.raises(InputError, match="not closed"):
        find_planes(Surface(whole.points, whole.triangles[10:], whole.normals))


def test_what_is_far_larger_than_an_atrium_is_refused_before_it_is_filled(monkeypatch):
    monkeypatch.setattr(protrusions, "filled", lambda *_: pytest.fail("was filled"))
    points, triangles = box(900.0)
    with pytest.raises(InputError, match="900 mm across"):
        find_planes(oriented_surface(points, triangles))


def test_speck_is_refused_with_its_volume(grid):
    with pytest.raises(InputError, match="less than any left atrium"):
        find_planes(surface_of(grid, grid.ball(9.0).array))


def turned_tube(radius_mm, length_mm, sides=90, rings=41):
    """A closed tube along z whose vertices lie on it exactly, with flat ends."""
    angle = np.arange(sides) * 2 * np.pi / sides
    heights = np.linspace(0, length_mm, rings)
    points = np.array([(radius_mm * np.cos(a), radius_mm * np.sin(a), z) for z in heights for a in angle])
    points = np.concatenate([points, [[0, 0, 0], [0, 0, length_mm]]])
    here = np.arange(sides)
    beside = (here + 1) % sides
    triangles = []
    for ring in range(rings - 1):
        low, high = ring * sides, (ring + 1) * sides
        triangles += [np.stack([low + here, low + beside, high + here], 1), np.stack([low + beside, high + beside, high + here], 1)]
    last = (rings - 1) * sides
    triangles += [
        np.stack([beside, here, 0 * here + len(points) - 2], 1),
        np.stack([last + here, last + beside, 0 * here + len(points) - 1], 1),
    ]
    return oriented_surface(points, np.concatenate(triangles))


@pytest.mark.parametrize("tilt_deg", [0.0, 30.0])
def test_rim_of_a_tube_is_the_circle_or_ellipse_it_is_cut_in(tilt_deg):
    """Circle: 2πr. Tilted by t the ellipse has the semi-axes r and r / cos t; its length by Ramanujan's formula, right to 1e-5."""
    tilt = np.radians(tilt_deg)
    a, b = 7.0, 7.0 / np.cos(tilt)
    length = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    plane = CutPlane("LSPV", (0.0, 0.0, 30.3), (float(np.sin(tilt)), 0.0, float(np.cos(tilt))))
    curve = ostium_curve(turned_tube(7.0, 40.0), plane)
    steps = np.linalg.norm(curve - np.roll(curve, 1, axis=0), axis=1)
    assert steps.sum() == pytest.approx(length, rel=2e-3)
    assert np.abs((curve - plane.origin) @ np.array(plane.normal)).max() < 1e-9


def test_rim_runs_between_what_is_cut_off_and_what_stays(whole, found):
    """Every edge of the mesh that leaves a vein's region is met by its rim once, and nothing else is."""
    for plane in found.planes:
        region = label_regions(whole, [*(p for p in found.planes if p is not plane), plane])
        inside = region == (
            0 if plane.name == "MV" else region[np.linalg.norm(whole.points - plane.origin - 8 * np.array(plane.normal), axis=1).argmin()]
        )
        edges = np.concatenate([whole.triangles[:, [0, 1]], whole.triangles[:, [1, 2]], whole.triangles[:, [2, 0]]])
        leaving = edges[inside[edges[:, 0]] & ~inside[edges[:, 1]]]
        curve = ostium_curve(whole, plane, found.planes)
        assert len(curve) == len(leaving), plane.name
        starts, ends = whole.points[leaving[:, 0]], whole.points[leaving[:, 1]]
        for point in curve:
            past = np.linalg.norm(starts - point, axis=1) + np.linalg.norm(ends - point, axis=1) - np.linalg.norm(starts - ends, axis=1)
            assert past.min() < 1e-6, plane.name


def test_rim_of_a_plane_that_cuts_nothing_is_refused(whole, grid):
    with pytest.raises(InputError, match="does not cut"):
        ostium_curve(whole, CutPlane("LSPV", tuple(grid.centre + [0, 0, 200.0]), (0.0, 0.0, 1.0)))


def test_phantom_mask_holds_the_volume_it_was_drawn_with():
    atrium = draw_atrium(PhantomSettings(seed=3, la_volume_ml=60.0), np.random.default_rng(3))
    cavity = cavity_mask(atrium, COARSE)
    assert isinstance(cavity, Volume)
    assert np.count_nonzero(cavity.array) * cavity.geometry.voxel_volume_ml == pytest.approx(60.0, rel=0.02)

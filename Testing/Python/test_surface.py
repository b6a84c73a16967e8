"""The mesh: area, volume, orientation and place against analysis (SCIENCE section 5)."""

import numpy as np
import pytest
from analytic import ISOTROPIC, THIN_SLICES, Grid, ellipsoid_area_mm2, ellipsoid_volume_ml, oblique, sphere_area_mm2
from scipy import ndimage

from LAScarSegLib.anatomy.distance import depth_inside
from LAScarSegLib.surface.mesh import cavity_surface, resample_cubic
from LAScarSegLib.surface.subvoxel_distance import signed_distance_to_surface

GRIDS = [THIN_SLICES, ISOTROPIC]
DIRECTIONS = [oblique((0, 0, 0)), oblique(), oblique((70, -20, 110), flip=True)]


@pytest.fixture(scope="module", params=[(s, d) for s in GRIDS for d in DIRECTIONS], ids=lambda p: f"{p[0][2]:g}mm-{p[1][0]:.2f}")
def sphere(request):
    spacing, direction = request.param
    grid = Grid.around(spacing, 28.0, direction=direction)
    return grid, cavity_surface(grid.ball(25.0).array, grid.geometry, 1.0)


def test_sphere_area_and_volume(sphere):
    _, surface = sphere
    assert surface.area_mm2 == pytest.approx(sphere_area_mm2(25.0), rel=0.02)
    assert surface.volume_ml == pytest.approx(ellipsoid_volume_ml((25.0,) * 3), rel=0.01)


def test_sphere_lies_where_the_mask_does(sphere):
    grid, surface = sphere
    radii = np.linalg.norm(surface.points - grid.centre, axis=1)
    assert np.abs(radii - 25.0).max() <= 0.9
    assert np.linalg.norm((surface.points - grid.centre).mean(axis=0)) <= 0.2


def test_normals_and_triangles_point_outward(sphere):
    grid, surface = sphere
    outward = (surface.points - grid.centre) / np.linalg.norm(surface.points - grid.centre, axis=1, keepdims=True)
    assert np.einsum("ij,ij->i", outward, surface.normals).min() > 0.9
    np.testing.assert_allclose(np.linalg.norm(surface.normals, axis=1), 1.0, rtol=1e-9)
    a, b, c = np.moveaxis(surface.points[surface.triangles], 1, 0)
    assert (np.einsum("ij,ij->i", np.cross(b - a, c - a), (a + b + c) / 3 - grid.centre) > 0).mean() > 0.999


def test_mesh_is_closed(sphere):
    """Every edge belongs to two triangles, once in each direction, and Euler's number is 2."""
    _, surface = sphere
    t = surface.triangles
    edges = np.concatenate([t[:, [0, 1]], t[:, [1, 2]], t[:, [2, 0]]])
    assert len(np.unique(edges, axis=0)) == len(edges)
    assert set(map(tuple, edges)) == {(b, a) for a, b in edges}
    assert len(surface.points) - len(edges) // 2 + len(t) == 2


def test_edges_are_about_a_millimetre(sphere):
    _, surface = sphere
    t = surface.triangles
    lengths = np.linalg.norm(surface.points[t[:, 0]] - surface.points[t[:, 1]], axis=1)
    assert 0.6 <= np.median(lengths) <= 1.2


def test_turning_the_direction_cosines_turns_the_mesh():
    straight, turned = (Grid.around(THIN_SLICES, 28.0, direction=d) for d in (DIRECTIONS[0], DIRECTIONS[1]))
    mask = straight.ellipsoid((18.0, 25.0, 22.0)).array
    a, b = (cavity_surface(mask, grid.geometry, 1.0) for grid in (straight, turned))
    np.testing.assert_allclose(straight.geometry.lps_to_index(a.points), turned.geometry.lps_to_index(b.points), atol=1e-6)


@pytest.mark.parametrize("spacing", GRIDS)
def test_ellipsoid_area_and_volume(spacing):
    semi_axes = (18.0, 25.0, 32.0)
    grid = Grid.around(spacing, 35.0)
    surface = cavity_surface(grid.ellipsoid(semi_axes).array, grid.geometry, 1.0)
    assert surface.area_mm2 == pytest.approx(ellipsoid_area_mm2(semi_axes), rel=0.02)
    assert surface.volume_ml == pytest.approx(ellipsoid_volume_ml(semi_axes), rel=0.01)


@pytest.mark.parametrize("spacing", GRIDS)
@pytest.mark.parametrize("axis", [0, 2])
def test_vein_keeps_its_radius(spacing, axis):
    """A vein stump of 5 mm radius, along the rows and across the slices."""
    grid = Grid.around(spacing, 28.0)
    surface = cavity_surface(grid.tube(5.0, 50.0, axis).array, grid.geometry, 1.0)
    points = surface.points - grid.centre
    middle = points[np.abs(points[:, axis]) < 12.0]
    assert np.linalg.norm(np.delete(middle, axis, axis=1), axis=1).mean() == pytest.approx(5.0, abs=0.25)


def test_cavity_at_the_image_border_is_closed_with_a_lid():
    grid = Grid.around(ISOTROPIC, 28.0)
    half = grid.ball(25.0).array[:, :, : grid.geometry.size[0] // 2 + 1]
    surface = cavity_surface(half, grid.geometry.crop(_whole_box(half)), 1.0)
    # The last column's voxels end half a voxel beyond their centres.
    cut = (0.5 - 0.2) * 1.25
    expected = np.pi * (2 / 3 * 25.0**3 + 25.0**2 * cut - cut**3 / 3) / 1000
    assert surface.volume_ml == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("cut", [False, True], ids=["inside the image", "cut off by its border"])
def test_with_its_depth_given_the_surface_is_the_same(cut):
    grid = Grid.around(THIN_SLICES, 20.0)
    mask = grid.ball(15.0).array
    mask = mask[:, :, : mask.shape[2] // 2] if cut else mask
    geometry = grid.geometry.crop(_whole_box(mask))
    depth = depth_inside(mask, geometry.spacing_kji)
    with_depth, without = cavity_surface(mask, geometry, 1.0, depth), cavity_surface(mask, geometry, 1.0)
    np.testing.assert_array_equal(with_depth.points, without.points)
    np.testing.assert_array_equal(with_depth.triangles, without.triangles)


def test_vertex_areas_sum_to_the_mesh():
    grid = Grid.around(ISOTROPIC, 20.0)
    surface = cavity_surface(grid.ball(15.0).array, grid.geometry, 1.0)
    a, b, c = np.moveaxis(surface.points[surface.triangles], 1, 0)
    assert surface.vertex_area_mm2.sum() == pytest.approx(0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1).sum())


@pytest.mark.parametrize("steps", [(0.4, 1.6, 1.6), (0.8, 0.8, 0.8), (1.0, 0.37, 2.9)])
def test_resampling_is_scipys_cubic_spline(steps):
    values = np.random.default_rng(5).normal(0.0, 10.0, (9, 14, 21)).astype(np.float32)
    shape = [int((n - 1) / step) + 1 for n, step in zip(values.shape, steps)]
    expected = ndimage.affine_transform(values, steps, output_shape=shape, order=3, mode="nearest", output=np.float64)
    found = resample_cubic(values, steps)
    assert found.shape == expected.shape and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-5)


def test_resampling_goes_through_a_cubic_polynomial_inside():
    """Far from the ends, where no boundary condition reaches, cubic splines reproduce cubic polynomials."""
    k, j, i = np.mgrid[:40, :40, :40] - 20.0
    steps = (0.4, 1.0, 1.6)
    found = resample_cubic(k**3 - 3 * k * j**2 + i**2, steps)
    k, j, i = (np.arange(n) * step - 20.0 for n, step in zip(found.shape, steps))
    expected = k[:, None, None] ** 3 - 3 * k[:, None, None] * j[:, None] ** 2 + i**2
    inside = np.ix_(*(np.abs(axis) < 4 for axis in (k, j, i)))
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-3)


def test_signed_distance_is_positive_inside():
    grid = Grid.around(ISOTROPIC, 20.0)
    surface = cavity_surface(grid.ball(15.0).array, grid.geometry, 1.0)
    direction = np.array([1.0, 2.0, -2.0]) / 3.0
    points = grid.centre + np.array([12.0, 14.0, 16.0, 18.0])[:, None] * direction
    np.testing.assert_allclose(signed_distance_to_surface(surface, points), [3.0, 1.0, -1.0, -3.0], atol=0.3)


def _whole_box(array):
    from LAScarSegLib.volumes.volume import Box

    return Box((0, 0, 0), array.shape)

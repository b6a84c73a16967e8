"""Layers of the surface: against VTK's probe, SimpleITK's resampling, and geometry."""

import numpy as np
import pytest
import SimpleITK as sitk
from analytic import ISOTROPIC, THIN_SLICES, Grid, cap_share_pct, oblique
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkProbeFilter

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.surface.layers import NORMAL_STEPS_MM, brightest_along_normals, halfway_through, layer_at, nearest_vertices
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

RADIUS_MM = 25.0
FAST = Settings(perturbation=False)
GRIDS = {"straight": oblique((0, 0, 0)), "oblique": oblique(), "left-handed": oblique(flip=True)}


def noisy_ball(direction: tuple[float, ...], reach_mm: float = 33.0):
    """Noise with a ball in it: every voxel differs, so that a sample from the wrong place shows."""
    grid = Grid.around((1.1, 0.9, 2.3), reach_mm, direction=direction)
    image = np.random.default_rng(5).normal(100, 30, grid.geometry.shape).astype(np.float32)
    return image, grid.geometry, cavity_surface(grid.ball(RADIUS_MM).array, grid.geometry, 1.0)


def probed_by_vtk(image: np.ndarray, geometry: Geometry, points: np.ndarray) -> np.ndarray:
    """VTK's own trilinear interpolation, in the image's index space."""
    carrier, probe, where = vtkImageData(), vtkProbeFilter(), vtkPolyData()
    carrier.SetDimensions(*geometry.size)
    carrier.GetPointData().SetScalars(numpy_to_vtk(image.ravel(), deep=True))
    indices = vtkPoints()
    indices.SetDataTypeToDouble()
    indices.SetData(numpy_to_vtk(geometry.lps_to_index(points), deep=True))
    where.SetPoints(indices)
    probe.SetInputData(where)
    probe.SetSourceData(carrier)
    probe.Update()
    assert vtk_to_numpy(probe.GetOutput().GetPointData().GetArray("vtkValidPointMask")).all()
    return vtk_to_numpy(probe.GetOutput().GetPointData().GetScalars())


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_a_layer_is_what_vtk_probes_at_the_offset_surface(direction):
    image, geometry, surface = noisy_ball(direction)
    expected = probed_by_vtk(image, geometry, surface.points + 1.25 * surface.normals)
    np.testing.assert_allclose(layer_at(image, geometry, surface, 1.25), expected, rtol=1e-5, atol=1e-3)


def test_the_vertex_map_of_barcelona_is_vtks_probe_at_the_offset_surface():
    grid = Grid.around(THIN_SLICES, 34.0, direction=oblique())
    scan = grid.scan_of_ball(RADIUS_MM, 40, (1, 1, 1))
    noisy = scan.like((scan.array + np.random.default_rng(1).normal(0, 20, scan.array.shape)).astype(np.float32))
    found = analyse(noisy, FAST, cavity=grid.ball(RADIUS_MM))
    value = probed_by_vtk(noisy.array, grid.geometry, found.surface.points + 1.25 * found.surface.normals)
    np.testing.assert_array_equal(found.surface.scar, value > 1.2 * found.blood_pool.mean)


def test_a_layer_outside_the_scan_is_not_measured():
    image, geometry, surface = noisy_ball(GRIDS["straight"])
    outside = layer_at(image, geometry, surface, 40.0)
    assert np.isneginf(outside).all()


@pytest.mark.parametrize("direction", GRIDS.values(), ids=GRIDS)
def test_the_maximum_along_the_normal_is_simpleitks_dilation_on_a_grid_of_one_millimetre(direction):
    image, geometry, surface = noisy_ball(direction)
    resampler = sitk.ResampleImageFilter()
    # A voxel at every whole millimetre along the scan's axes, seen from the coordinate system's origin.
    first = np.ceil(geometry.rotation.T @ np.array(geometry.origin))
    size = np.floor(geometry.rotation.T @ geometry.index_to_lps(np.array([geometry.size]) - 1)[0]) - first + 1
    resampler.SetOutputDirection(geometry.direction)
    resampler.SetOutputOrigin(tuple(geometry.rotation @ first))
    resampler.SetSize([int(n) for n in size])
    resampler.SetInterpolator(sitk.sitkLinear)
    fine = sitk.GrayscaleDilate(resampler.Execute(Volume(image, geometry).to_sitk()), [1, 1, 1], sitk.sitkBox)
    expected = np.full(len(surface.points), -np.inf)
    for step in NORMAL_STEPS_MM:
        points = surface.points + step * surface.normals
        values = [fine.GetPixel(fine.TransformPhysicalPointToIndex(point)) for point in points.tolist()]
        expected = np.maximum(expected, values)
    np.testing.assert_allclose(brightest_along_normals(image, geometry, surface), expected, rtol=1e-4)


def test_cropping_the_scan_leaves_the_maximum_along_the_normal_as_it_is():
    image, geometry, surface = noisy_ball(GRIDS["oblique"], 38.0)
    box = Box((1, 2, 3), tuple(n - 1 for n in geometry.shape))
    cropped = brightest_along_normals(np.ascontiguousarray(image[box.slices]), geometry.crop(box), surface)
    np.testing.assert_array_equal(cropped, brightest_along_normals(image, geometry, surface))


def test_halfway_is_in_the_middle_of_a_given_wall_and_nowhere_where_there_is_none():
    grid = Grid.around((0.5, 0.5, 0.5), 32.0)
    points = grid.points()[0]
    radius = np.linalg.norm(points, axis=-1)
    shell = (radius > 20.0 + 1.0) & (radius < 20.0 + 4.0)
    surface = cavity_surface(radius < 20.0, grid.geometry, 1.0)
    halfway = halfway_through(shell & (points[..., 0] > 0), grid.geometry, surface, 3.0)
    on_wall = (surface.points - grid.centre)[:, 0] > 2.0
    assert np.abs(halfway[on_wall] - 2.5).max() <= 0.5 and halfway[on_wall].mean() == pytest.approx(2.5, abs=0.1)
    assert np.isnan(halfway[(surface.points - grid.centre)[:, 0] < -2.0]).all()


def test_a_wall_beyond_reach_is_no_wall_of_this_vertex():
    grid = Grid.around(ISOTROPIC, 36.0)
    radius = np.linalg.norm(grid.points()[0], axis=-1)
    surface = cavity_surface(radius < 20.0, grid.geometry, 1.0)
    assert np.isnan(halfway_through((radius > 26.0) & (radius < 29.0), grid.geometry, surface, 3.0)).all()


# Thick slices: a cap of scar on a ball of 25 mm, each voxel the mean of what lies in it


def sphere_points(count: int = 20_000) -> np.ndarray:
    """(count, 3) unit vectors of equal area each (the golden spiral)."""
    number = np.arange(count) + 0.5
    polar, around = np.arccos(1 - 2 * number / count), np.pi * (1 + 5**0.5) * number
    return np.stack([np.cos(around) * np.sin(polar), np.sin(around) * np.sin(polar), np.cos(polar)], axis=1)


def share_on_the_known_ball(scan: Volume, centre: np.ndarray, level: float) -> float:
    """What one trilinear sample in mid-wall says of the ball itself, in % of its area: no mesh and no mask is involved."""
    indices = scan.geometry.lps_to_index(centre + (RADIUS_MM + 1.25) * sphere_points())[:, ::-1].T
    return 100.0 * float((ndimage.map_coordinates(scan.array, indices, order=1) > level).mean())


SLICES = {
    "2.5 mm": (THIN_SLICES, (0, 0, 0), 1.0), "isotropic": (ISOTROPIC, (0, 0, 0), 1.0), "oblique": (THIN_SLICES, (20, 30, 40), 1.0),
    "3 mm": ((0.625, 0.625, 3.0), (0, 0, 0), 1.5), "4 mm": ((0.625, 0.625, 4.0), (0, 0, 0), 1.5),
}  # fmt: skip
ALONG_SLICES = (1.0, 0.0, 0.0)
"""The cap's axis lies in the slices: up to 40° its wall stands upright in them, and the resolution allows the truth."""


@pytest.mark.parametrize(("spacing", "turned", "bar"), SLICES.values(), ids=SLICES)
@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), ALONG_SLICES, (1.0, 1.0, 1.0)], ids=["roof", "side", "corner"])
def test_a_cap_reads_as_the_averaged_object_does(spacing, turned, bar, axis):
    grid = Grid.around(spacing, 31.0, direction=oblique(turned))
    for cap_degrees in (20, 40, 60):
        scan = grid.scan_of_ball(RADIUS_MM, cap_degrees, axis, oversampling=2)
        found = analyse(scan, FAST, cavity=grid.ball(RADIUS_MM))
        share = found.measurements["scar_area_pct"].value
        assert share == pytest.approx(share_on_the_known_ball(scan, grid.centre, found.method.threshold_intensity), abs=bar)
        if spacing == ISOTROPIC or (axis == ALONG_SLICES and turned == (0, 0, 0) and cap_degrees < 60):
            assert share == pytest.approx(cap_share_pct(cap_degrees), abs=bar)


def test_roof_and_floor_that_slices_average_away_are_said():
    thick, thin = (Grid.around(spacing, 31.0) for spacing in (THIN_SLICES, ISOTROPIC))
    messages = []
    for grid in (thick, thin):
        found = analyse(grid.scan_of_ball(RADIUS_MM, 40, (0, 0, 1)), FAST, cavity=grid.ball(RADIUS_MM))
        messages.append({flag.code: flag.message for flag in found.flags}.get("roof_and_floor"))
    # The normal within 45° of the slices' axis, above and below: 1 − cos 45° of a ball.
    assert "29 % of the LA surface" in messages[0] and "2.5 mm" in messages[0] and messages[1] is None


def test_nearest_vertices_are_the_nearest():
    _, geometry, surface = noisy_ball(GRIDS["oblique"])
    points = surface.points[:200] + np.random.default_rng(0).normal(0, 2, (200, 3))
    distances = np.linalg.norm(points[:, None] - surface.points[None], axis=-1)
    found = nearest_vertices(surface, points)
    np.testing.assert_allclose(distances[np.arange(200), found], distances.min(axis=1))

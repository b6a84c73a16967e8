"""Projection: intensities and voxels along the normals of a sphere, whose values are known."""

import numpy as np
import pytest
from analytic import THIN_SLICES, Grid, oblique

from LAScarSegLib.surface.projection import VoxelsAlongNormals, project_intensity
from LAScarSegLib.surface.surface import Surface


@pytest.fixture(scope="module")
def grid():
    return Grid.around(THIN_SLICES, 24.0, direction=oblique(flip=True))


@pytest.fixture(scope="module")
def sphere(grid):
    """Points and normals of an exact sphere of 15 mm (no mesh needed here)."""
    rng = np.random.default_rng(0)
    normals = rng.normal(size=(500, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(grid.centre + 15.0 * normals, np.zeros((0, 3), dtype=int), normals)


@pytest.mark.parametrize(("statistic", "depth"), [("max", 3.0), ("mean", 1.0), ("median", 1.0), ("p90", 2.6)])
def test_statistic_of_a_linear_ramp(grid, sphere, statistic, depth):
    """The image is a plane wave g · x: linear interpolation is exact, and so are mean, median and 90th percentile at −1…3 mm."""
    gradient = np.array([2.0, -1.0, 0.5])
    image = (grid.points()[0] @ gradient).astype(np.float32)
    outward = sphere.normals @ gradient > 0
    projected = project_intensity(image, grid.geometry, sphere, -1.0, 3.0, 0.5, statistic)
    expected = ((sphere.points - grid.centre) + depth * sphere.normals) @ gradient
    np.testing.assert_allclose(projected[outward], expected[outward], atol=2e-3)


def test_probe_finds_a_voxel_within_reach_and_none_beyond(grid, sphere):
    distance = np.linalg.norm(grid.points()[0], axis=-1)
    probe = VoxelsAlongNormals.along(grid.geometry, sphere, 3.0)
    # A voxel's centre is at most half its diagonal (1.33 mm) from the point it is nearest to.
    assert probe.any((distance > 15.0) & (distance < 18.0)).all()
    assert not probe.any(distance > 18.0 + 1.34).any()
    assert not probe.any(distance < 12.0 - 1.34).any()


def test_probe_maximum_is_over_the_mask_only(grid, sphere):
    distance = np.linalg.norm(grid.points()[0], axis=-1)
    shell = (distance > 14.0) & (distance < 16.5)
    values = np.where(shell, 7.0, 100.0)
    assert np.unique(VoxelsAlongNormals.along(grid.geometry, sphere, 3.0).maximum(values, shell)).tolist() == [7.0]
    assert np.isneginf(VoxelsAlongNormals.along(grid.geometry, sphere, 3.0).maximum(values, np.zeros_like(shell))).all()


def test_probe_outside_the_image_finds_nothing(grid):
    outside = Surface(np.array([[1e4, 0.0, 0.0]]), np.zeros((0, 3), dtype=int), np.array([[1.0, 0.0, 0.0]]))
    assert not VoxelsAlongNormals.along(grid.geometry, outside, 3.0).any(np.ones(grid.geometry.shape, dtype=bool))[0]

"""Distance maps: against brute force, against SciPy, and against the analytic distance to a sphere."""

import numpy as np
import pytest
from analytic import THIN_SLICES, Grid
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from LAScarSegLib.anatomy.distance import distance_to, signed_distance
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.subvoxel_distance import subvoxel_signed_distance

spacings = st.tuples(*[st.sampled_from([0.4, 0.625, 1.25, 2.5])] * 3)
masks = arrays(bool, st.tuples(*[st.integers(1, 6)] * 3))


@settings(max_examples=60, deadline=None)
@given(masks, spacings)
def test_distance_is_the_nearest_of_all_voxels(mask, spacing):
    points = np.argwhere(np.ones_like(mask)) * spacing
    on = np.argwhere(mask) * spacing
    if len(on) == 0:
        assert np.isinf(distance_to(mask, spacing)).all()
        return
    expected = np.linalg.norm(points[:, None] - on[None], axis=-1).min(axis=1).reshape(mask.shape)
    np.testing.assert_allclose(distance_to(mask, spacing), expected, atol=1e-5)


def test_signed_distance_is_scipys_difference_of_transforms():
    mask = np.random.default_rng(3).random((20, 30, 40)) > 0.97
    mask = ndimage.binary_dilation(mask, iterations=2)
    spacing = THIN_SLICES[::-1]
    expected = ndimage.distance_transform_edt(mask, sampling=spacing) - ndimage.distance_transform_edt(~mask, sampling=spacing)
    np.testing.assert_allclose(signed_distance(mask, spacing, 12.0), np.clip(expected, -12, 12), atol=1e-4)


@pytest.mark.parametrize("radius_mm", [2.0, 3.0, 4.5, 9.0, 16.0])
def test_signed_distance_of_thin_and_thick_masks_is_scipys(radius_mm):
    """Thinner than the short reach, thicker, and deeper than the clip."""
    grid = Grid.around(THIN_SLICES, radius_mm + 6.0)
    mask, spacing = grid.ball(radius_mm).array, grid.geometry.spacing_kji
    expected = ndimage.distance_transform_edt(mask, sampling=spacing) - ndimage.distance_transform_edt(~mask, sampling=spacing)
    np.testing.assert_allclose(signed_distance(mask, spacing, 12.0), np.clip(expected, -12, 12), atol=1e-4)


def test_signed_distance_of_a_half_space_counts_from_voxel_to_voxel():
    mask = np.zeros((4, 5, 10), dtype=bool)
    mask[..., :4] = True
    sdm = signed_distance(mask, (2.5, 0.625, 0.5), 12.0)
    np.testing.assert_allclose(sdm[2, 2], [2.0, 1.5, 1.0, 0.5, -0.5, -1.0, -1.5, -2.0, -2.5, -3.0])


def test_signed_distance_of_a_full_mask_is_the_clip():
    assert (signed_distance(np.ones((3, 3, 3), dtype=bool), (1, 1, 1), 12.0) == 12.0).all()


@pytest.mark.parametrize("offset", [0.0, 0.125, 0.25, 0.5, 0.75])
def test_subvoxel_distance_to_a_sphere_in_thin_slices(offset):
    """SCIENCE section 2: rms ≤ 0.30 mm, maximum ≤ 0.9 mm within 3 mm of the surface, wherever the slices cut the poles."""
    grid = Grid.around(THIN_SLICES, 31.0, offset=(0.2, 0.3, offset))
    ball = grid.ball(25.0)
    plain = signed_distance(ball.array, grid.geometry.spacing_kji, 12.0)
    surface = cavity_surface(ball.array, grid.geometry, 1.0)
    refined = subvoxel_signed_distance(plain, grid.geometry, surface, 3.0)
    true = 25.0 - np.linalg.norm(grid.points()[0], axis=-1)
    near = np.abs(true) <= 3.0
    error = (refined - true)[near]
    assert np.sqrt(np.mean(error**2)) <= 0.30
    assert np.abs(error).max() <= 0.9

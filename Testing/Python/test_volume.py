"""Where voxels lie: exact on oblique, flipped and anisotropic grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from analytic import oblique

from LAScarSegLib.errors import InputError
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

GRID = Geometry((7, 6, 5), (0.625, 0.7, 2.5), (-17.0, 23.0, 41.0), oblique(flip=True))


def ramp(geometry: Geometry) -> Volume:
    """A volume whose value at p is 2·L + 3·P + 5·S: linear in space, so every position can be read off it."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in geometry.shape], indexing="ij"), axis=-1).reshape(-1, 3)[:, ::-1]
    return Volume((geometry.index_to_lps(index) @ [2.0, 3.0, 5.0]).reshape(geometry.shape), geometry)


def test_a_voxels_place_is_origin_plus_direction_times_spacing_times_index():
    rotation = np.array(oblique(flip=True)).reshape(3, 3)
    by_hand = np.array([-17.0, 23.0, 41.0]) + rotation[:, 0] * 0.625 * 3 + rotation[:, 1] * 0.7 * 2 + rotation[:, 2] * 2.5 * 4
    np.testing.assert_allclose(GRID.index_to_lps(np.array([[3, 2, 4]]))[0], by_hand, atol=1e-12)


def test_itk_agrees_on_every_place():
    image = ramp(GRID).to_sitk()
    for index in [(0, 0, 0), (6, 5, 4), (3, 2, 4)]:
        np.testing.assert_allclose(GRID.index_to_lps(np.array([index]))[0], image.TransformIndexToPhysicalPoint(index), atol=1e-12)


def test_going_there_and_back_is_the_identity():
    index = np.array([[0.0, 0.0, 0.0], [1.5, 2.25, -3.0], [100.0, -7.0, 3.3]])
    np.testing.assert_allclose(GRID.lps_to_index(GRID.index_to_lps(index)), index, atol=1e-10)


def test_a_crop_stays_where_it_was():
    box = Box((1, 2, 3), (4, 5, 6))
    cropped = ramp(GRID).crop(box)
    np.testing.assert_allclose(cropped.array, ramp(cropped.geometry).array, atol=1e-12)


def test_expanding_a_crop_gives_the_volume_back():
    whole, box = ramp(GRID), Box((1, 2, 3), (4, 5, 6))
    again = whole.crop(box).expand(box, GRID, fill=-1)
    np.testing.assert_array_equal(again.array[box.slices], whole.array[box.slices])
    assert (again.array == -1).sum() == again.array.size - 27 and again.geometry == GRID


def test_resampling_a_linear_field_is_exact_between_oblique_grids():
    target = Geometry((4, 4, 4), (0.4, 0.3, 0.9), tuple(GRID.index_to_lps(np.array([[2.5, 2.5, 1.5]]))[0]), oblique((5, -10, 15)))
    voxels = np.argwhere(np.ones(target.shape, dtype=bool))[:, ::-1]
    where = GRID.lps_to_index(target.index_to_lps(voxels))
    # Between voxel centres; in the half voxel beyond them ITK repeats the edge.
    inside = ((where >= 0) & (where <= np.array(GRID.size) - 1)).all(axis=1).reshape(target.shape)
    assert inside.sum() > 20
    resampled = ramp(GRID).resample(target, labels=False, fill=np.nan)
    np.testing.assert_allclose(resampled.array[inside], ramp(target).array[inside], atol=1e-9)


def test_the_box_around_a_mask_keeps_a_margin_in_mm_and_stays_inside():
    mask = np.zeros((10, 20, 30), dtype=bool)
    mask[4:6, 10, 2] = True
    assert Box.around(mask, 2.0, (2.5, 1.0, 0.5)) == Box((3, 8, 0), (7, 13, 7))


def test_there_is_no_box_around_nothing():
    with pytest.raises(InputError, match="empty"):
        Box.around(np.zeros((2, 2, 2), dtype=bool), 1.0, (1, 1, 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"spacing": (1.0, 0.0, 1.0)}, r"spacing is \(1.0, 0.0, 1.0\)"),
        ({"spacing": (1.0, -2.0, 1.0)}, "-2.0"),
        ({"spacing": (float("nan"), 1.0, 1.0)}, "nan"),
        ({"origin": (0.0, float("inf"), 0.0)}, "origin is .*inf"),
        ({"direction": (1.0, 1, 0, 0, 0, 0, 0, 0, 1)}, "singular"),
        ({"direction": (float("nan"),) * 9}, "singular"),
    ],
)
def test_an_impossible_geometry_is_refused_with_its_value(change, says):
    with pytest.raises(InputError, match=says):
        replace(GRID, **change)


def test_volume_of_a_voxel_and_extent():
    assert GRID.voxel_volume_ml == pytest.approx(0.625 * 0.7 * 2.5 / 1000)
    assert GRID.extent_mm == pytest.approx((7 * 0.625, 6 * 0.7, 5 * 2.5))


def test_grids_are_the_same_up_to_rounding_of_headers():
    """A hundredth of the smallest spacing, 0.625 mm, at any corner."""
    assert GRID.same_grid(replace(GRID, origin=(-17.006, 23.0, 41.0)))
    assert not GRID.same_grid(replace(GRID, origin=(-17.007, 23.0, 41.0)))
    assert GRID.same_grid(replace(GRID, spacing=(0.626, 0.7, 2.5)))
    assert not GRID.same_grid(replace(GRID, spacing=(0.627, 0.7, 2.5)))
    assert not GRID.same_grid(replace(GRID, size=(7, 6, 4)))

"""Resampling: nothing moves, and nnU-Net's way is nnU-Net's."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")

from LAScarSegLib.inference.resampling import (  # noqa: E402
    resample_logits,
    resample_logits_part,
    resample_mask,
    resample_scan,
    resample_scan_part,
    shape_at,
    true_spacing,
)
from LAScarSegLib.volumes.orientation import Orientation  # noqa: E402
from LAScarSegLib.volumes.volume import Box, Geometry  # noqa: E402


def ramp(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> np.ndarray:
    """The position in mm along the first axis, from the block's outer face."""
    positions = (np.arange(shape[0]) + 0.5) * spacing[0]
    return np.broadcast_to(positions[:, None, None], shape).astype(np.float32)


@pytest.mark.parametrize("method", ["linear", "nnunet"])
@pytest.mark.parametrize("target", [(1.0, 1.0, 1.0), (3.0, 2.0, 2.0)])
def test_a_position_stays_where_it_is(method, target):
    shape, spacing = (30, 12, 12), (1.5, 1.5, 1.5)
    new = shape_at(shape, spacing, target)
    there = resample_scan(ramp(shape, spacing), new, spacing, target, method)
    expected = ramp(new, true_spacing(shape, spacing, new))
    # Beyond the last voxel's centre there is nothing to interpolate with, and a cubic spline still feels it.
    # Half a voxel is 0.5 mm or more.
    assert np.allclose(there[2:-2], expected[2:-2], atol=0.03)
    back = resample_logits(there, shape, target, spacing, method)
    assert np.allclose(back[4:-4], ramp(shape, spacing)[4:-4], atol=0.05)


def test_the_shape_is_the_rounded_extent():
    assert shape_at((88, 640, 640), (2.5, 0.625, 0.625), (1.25, 1.25, 1.25)) == (176, 320, 320)
    assert shape_at((1, 1, 1), (1.0, 1.0, 1.0), (9.0, 9.0, 9.0)) == (1, 1, 1)


def test_a_mask_keeps_its_volume():
    mask = np.zeros((20, 40, 40), dtype=bool)
    mask[5:15, 10:30, 12:28] = True
    finer = resample_mask(mask, (40, 80, 80))
    # Linear interpolation gives the eight corner voxels 0.75³ < 0.5; all else is exact.
    assert finer.sum() == mask.sum() * 8 - 8


def test_thick_slices_are_taken_from_the_nearest_one_in_nnunets_way():
    # 8 mm slices of 1 mm pixels, to 4 mm: each slice twice, no mixture of two.
    scan = np.random.default_rng(0).normal(size=(5, 9, 9)).astype(np.float32)
    finer = resample_scan(scan, (10, 9, 9), (8.0, 1.0, 1.0), (4.0, 1.0, 1.0), "nnunet")
    assert np.array_equal(finer, np.repeat(scan, 2, axis=0))


def test_a_cubic_spline_does_not_overshoot_at_an_edge():
    """scikit-image's resize, which nnU-Net calls, clips to the range of its input."""
    scan = np.zeros((12, 12, 12), dtype=np.float32)
    scan[:, 6:] = 100.0
    finer = resample_scan(scan, (24, 24, 24), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0), "nnunet")
    assert (finer.min(), finer.max()) == (0.0, 100.0)
    # A spline, not a line: beside the edge it leaves the straight way between the two levels.
    assert not np.allclose(finer, resample_scan(scan, (24, 24, 24), (2.0, 2.0, 2.0), (1.0, 1.0, 1.0), "linear"), atol=1.0)


def test_orientation_turns_towards_lps_and_back():
    # Stored axes k, j, i run to left, inferior, posterior; columns of the direction are i, j, k.
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), direction=(0, 0, 1, 1, 0, 0, 0, -1, 0))
    array = np.arange(120).reshape(6, 5, 4)
    turned = Orientation.towards_lps(geometry)
    seen = turned.apply(array)
    # To superior: j backwards; to posterior: i; to left: k.
    assert seen.shape == (5, 4, 6) and turned.of_axes(geometry.spacing_kji) == (2.0, 1.0, 3.0)
    assert seen[0, 1, 2] == array[2, 4, 1]
    assert np.array_equal(turned.undo(seen), array)


def test_a_box_follows_the_orientation():
    geometry = Geometry((4, 5, 6), direction=(0, 0, 1, 1, 0, 0, 0, -1, 0))
    array = np.arange(120).reshape(6, 5, 4)
    box = Box((1, 0, 2), (4, 3, 3))
    turned = Orientation.towards_lps(geometry).then((2, 0, 1))
    there = turned.apply(array)[turned.box(box, array.shape).slices]
    assert sorted(there.ravel()) == sorted(array[box.slices].ravel())


def test_a_grid_in_lps_is_left_as_it_is():
    assert Orientation.towards_lps(Geometry((4, 5, 6))) == Orientation()


@pytest.mark.parametrize("method", ["linear", "nnunet"])
@pytest.mark.parametrize("target", [(2.0, 2.0, 2.0), (2.5, 1.25, 1.25), (1.25, 0.8, 0.8), (10.0, 0.6, 0.9)])
def test_a_part_is_the_part_of_the_whole(method, target):
    """Against SciPy's and torch's own interpolation of everything, at the faces as well as inside, thick slices or not."""
    spacing, random = (2.5, 0.625, 0.625), np.random.default_rng(2)
    scan = (random.normal(size=(22, 60, 71)) * 100).astype(np.int16)
    shape = shape_at(scan.shape, spacing, target)
    logits = random.normal(size=shape).astype(np.float32)
    whole, back = resample_scan(scan, shape, spacing, target, method), resample_logits(logits, scan.shape, target, spacing, method)
    for first, last in ((0.0, 1.0), (0.0, 0.4), (0.3, 0.8), (0.9, 1.0)):
        part, there = (Box(tuple(int(n * first) for n in grid), tuple(int(np.ceil(n * last)) for n in grid)) for grid in (shape, scan.shape))
        # torch interpolates in float32: a few parts in 10 million of the largest coordinate times the steepest slope.
        some = resample_scan_part(scan, shape, part, spacing, target, method)
        np.testing.assert_allclose(some, whole[part.slices], atol=5e-3 if method == "linear" else 1e-4)
        some = resample_logits_part(lambda place: logits[place], shape, scan.shape, there, target, spacing, method)
        np.testing.assert_allclose(some, back[there.slices], atol=5e-5)

"""Where the left atrium is: a box to look into, from a coarse probability or from a mask."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..errors import AtriumNotFound
from ..volumes.volume import Box

REGION_MARGIN_MM = 15.0
"""Kept around what the coarse pass found: the 12 mm that distance maps reach, and a coarse voxel."""
CROPPED_MM = 150.0
"""A scan that is no longer than this along any axis was cropped around the atrium: whoever did it found it. An atrium of 250 mL, the
largest plausible one, with its veins and the margin is as long."""
LEAST_LA_ML = 10.0
"""Less than this is no left atrium: a quarter of the smallest plausible one (37 mL, SCIENCE section 6)."""
ML_PER_MM3 = 1e-3


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 6-connected part of a bool mask (k, j, i), or the mask itself when it is empty."""
    labels, count = ndimage.label(mask)
    if count <= 1:
        return mask
    return labels == int(np.argmax(np.bincount(labels.ravel())[1:]) + 1)


def check_found(mask: np.ndarray, spacing_mm: Sequence[float], title: str) -> None:
    """`AtriumNotFound` when a cavity mask is too small to be a left atrium: the scan may show something else."""
    volume_ml = float(np.count_nonzero(mask) * np.prod(spacing_mm) * ML_PER_MM3)
    if volume_ml < LEAST_LA_ML:
        raise AtriumNotFound(
            f"The left atrium was not found in the scan (the {title} saw {volume_ml:.1f} mL, at least {LEAST_LA_ML:g} mL is needed). "
            "Check that this is an LGE-MRI of the heart; if it is, give a region of interest around the left atrium, or a cavity mask."
        )


def is_cropped(shape: Sequence[int], spacing_mm: Sequence[float]) -> bool:
    """Whether a scan of `shape` (k, j, i) shows so little that there is nothing to find first: the fine network looks at all of it."""
    return all(n * s <= CROPPED_MM for n, s in zip(shape, spacing_mm))


def atrium_in(probability: np.ndarray, spacing_mm: Sequence[float], threshold: float) -> np.ndarray:
    """What a coarse probability (k, j, i) of `spacing_mm` found, as a bool mask; `AtriumNotFound` when it is no left atrium."""
    mask = largest_component(probability > threshold)
    check_found(mask, spacing_mm, "coarse pass")
    return mask


def region_of(
    mask: np.ndarray, spacing_mm: Sequence[float], shape: Sequence[int], fine_mm: Sequence[float], margin_mm: float = REGION_MARGIN_MM
) -> Box:  # fmt: skip
    """The box around a coarse mask (k, j, i) of `spacing_mm`, with a margin, on the grid of `shape` and `fine_mm` of the same block."""
    coarse = Box.around(mask, 0.0, spacing_mm)
    start = [int(np.floor((a * s - margin_mm) / f)) for a, s, f in zip(coarse.start, spacing_mm, fine_mm)]
    stop = [int(np.ceil((b * s + margin_mm) / f)) for b, s, f in zip(coarse.stop, spacing_mm, fine_mm)]
    return Box(tuple(max(0, a) for a in start), tuple(min(n, b) for n, b in zip(shape, stop)))


def voxels_around(mask: np.ndarray, block: Box, scan_shape: Sequence[int], shape: Sequence[int]) -> np.ndarray:
    """Where a coarse mask of a scan and one voxel around it lie on another grid: (N, 3) voxels (k, j, i).

    Parameters
    ----------
    mask
        (k, j, i) of the whole scan, which has `scan_shape` voxels.
    block, shape
        the part of the scan that the other grid divides into `shape` voxels.
    """
    scan_shape, shape = np.asarray(scan_shape), np.asarray(shape)
    centres = (np.argwhere(ndimage.binary_dilation(mask)) + 0.5) * scan_shape / mask.shape
    voxels = np.floor((centres - block.start) * shape / block.shape).astype(int)
    return voxels[((voxels >= 0) & (voxels < shape)).all(axis=1)]


def middle_of(shape: Sequence[int], size: Sequence[int]) -> Box:
    """The box of `size` voxels around the middle of a grid of `shape`, as far as it lies in it."""
    start = [max(0, (n - wanted) // 2) for n, wanted in zip(shape, size)]
    return Box(tuple(start), tuple(min(n, a + wanted) for n, a, wanted in zip(shape, start, size)))


def crop_around(found: Box, shape: Sequence[int], size: Sequence[int]) -> Box:
    """The box of `size` voxels around the middle of another on a grid of `shape`, moved so that as much of it as possible lies in it."""
    start = [min(max(0, (a + b - wanted) // 2), max(0, n - wanted)) for a, b, n, wanted in zip(found.start, found.stop, shape, size)]
    return Box(tuple(start), tuple(min(n, a + wanted) for n, a, wanted in zip(shape, start, size)))


def widened(box: Box, shape: Sequence[int], least: Sequence[int]) -> Box:
    """`box` made at least as large as `least`, where the grid of `shape` has room: context that a patch would have had."""
    start, stop = [], []
    for a, b, n, wanted in zip(box.start, box.stop, shape, least):
        lacking = max(0, min(wanted, n) - (b - a))
        first = min(max(0, a - lacking // 2), max(0, n - max(wanted, b - a)))
        start.append(min(a, first))
        stop.append(min(n, max(b, start[-1] + (b - a) + lacking)))
    return Box(tuple(start), tuple(stop))

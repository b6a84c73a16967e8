"""To a network's spacing and back. Voxels' outer faces stay where they are, so nothing moves by a part of a voxel.

Both ways of resampling share one meaning of the grid, nnU-Net's: the shape is the rounded extent / spacing, and the voxels
fill the same block of space. `linear` interpolates in three directions. `nnunet` is nnU-Net v2's default
(`resample_data_or_seg_to_shape`): scans cubic, logits linear, and when either grid is thicker than 3:1 slice by slice, with
the nearest slice across.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import zoom

from ..volumes.volume import Box, Geometry

NNUNET_THICK = 3.0
"""nnU-Net's ANISO_THRESHOLD: largest by smallest spacing above which the thick axis is treated apart."""
NNUNET_SCAN_ORDER, NNUNET_LOGIT_ORDER = 3, 1
"""Spline orders of nnU-Net's default plans, in the plane; across thick slices both are 0."""
NEGLIGIBLE = 1e-9
"""A spline's weights below this are left out of a part: what float32 can't show."""
MASK_LEVEL = 0.5
"""A linearly interpolated mask is cut here."""

Triple = tuple[int, int, int]
Spacing = Sequence[float]


def shape_at(shape: Sequence[int], spacing_mm: Spacing, target_mm: Spacing) -> Triple:
    """The shape of a block of voxels at another spacing, at least one voxel."""
    return tuple(max(1, int(round(s / t * n))) for n, s, t in zip(shape, spacing_mm, target_mm))


def true_spacing(shape: Sequence[int], spacing_mm: Spacing, new_shape: Sequence[int]) -> tuple[float, ...]:
    """The spacing in mm that a block of `shape` gets when it is cut into `new_shape` voxels."""
    return tuple(n * s / m for n, s, m in zip(shape, spacing_mm, new_shape))


def working_geometry(shape: Sequence[int], spacing_kji: Spacing) -> Geometry:
    """A grid of this shape and spacing, somewhere: distances don't depend on where."""
    return Geometry(tuple(shape[::-1]), tuple(spacing_kji[::-1]))


def resample_scan(array: np.ndarray, shape: Triple, spacing_mm: Spacing, target_mm: Spacing, method: str) -> np.ndarray:
    """Grey values (k, j, i) on `shape` voxels of the same block; float32."""
    if tuple(array.shape) == tuple(shape):
        return np.ascontiguousarray(array, dtype=np.float32)
    if method == "linear":
        return _linear(array, shape)
    return _nnunet(array, shape, spacing_mm, target_mm, NNUNET_SCAN_ORDER)


def resample_logits(array: np.ndarray, shape: Triple, spacing_mm: Spacing, target_mm: Spacing, method: str) -> np.ndarray:
    """Logits or probabilities (k, j, i) on `shape` voxels of the same block; float32."""
    if tuple(array.shape) == tuple(shape):
        return array
    axis = _thick_axis(spacing_mm, target_mm) if method == "nnunet" else None
    if axis is None:
        # Order 1 of nnU-Net's (scikit-image's) resize is exactly this interpolation.
        return _linear(array, shape)
    return _nnunet(array, shape, spacing_mm, target_mm, NNUNET_LOGIT_ORDER)


def resample_scan_part(array: np.ndarray, shape: Triple, part: Box, spacing_mm: Spacing, target_mm: Spacing, method: str) -> np.ndarray:
    """`resample_scan(array, shape, ...)[part.slices]`, from the voxels alone that this takes; equal in float32's accuracy."""
    matrices = _matrices(array.shape, shape, spacing_mm, target_mm, method, NNUNET_SCAN_ORDER)
    resampled = _multiplied(lambda place: array[place], matrices, part)
    if method != "nnunet":
        return resampled
    # A cubic spline overshoots; nnU-Net cuts it off at the range of the whole scan, slice by slice where slices are thick.
    axis = _thick_axis(spacing_mm, target_mm)
    if axis is None:
        return np.clip(resampled, array.min(), array.max())
    others = tuple(a for a in range(3) if a != axis)
    slices = _nearest(array.shape[axis], shape[axis])[part.start[axis] : part.stop[axis]]
    low, high = (np.expand_dims(np.take(limit(array, axis=others), slices), others) for limit in (np.min, np.max))
    return np.clip(resampled, low, high)


def resample_logits_part(
    read: Callable[[tuple[slice, ...]], np.ndarray],
    shape: Triple,
    new_shape: Triple,
    part: Box,
    spacing_mm: Spacing,
    target_mm: Spacing,
    method: str,
) -> np.ndarray:
    """`resample_logits(values, new_shape, ...)[part.slices]`; `read(place)` gives `values[place]`, which has `shape`."""
    return _multiplied(read, _matrices(shape, new_shape, spacing_mm, target_mm, method, NNUNET_LOGIT_ORDER), part)


def resample_mask(mask: np.ndarray, shape: Triple) -> np.ndarray:
    """A bool mask (k, j, i) on `shape` voxels of the same block: linear, cut at one half."""
    if tuple(mask.shape) == tuple(shape):
        return np.ascontiguousarray(mask)
    return _linear(mask, shape) > MASK_LEVEL


def _linear(array: np.ndarray, shape: Triple) -> np.ndarray:
    import torch

    source = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))[None, None]
    return torch.nn.functional.interpolate(source, size=tuple(shape), mode="trilinear", align_corners=False)[0, 0].numpy()


def _nnunet(array: np.ndarray, shape: Triple, spacing_mm: Spacing, target_mm: Spacing, order: int) -> np.ndarray:
    axis = _thick_axis(spacing_mm, target_mm)
    if axis is None:
        return _resize(array, shape, order)
    in_plane = [n for a, n in enumerate(shape) if a != axis]
    planes = np.stack([_resize(plane, in_plane, order) for plane in np.moveaxis(array, axis, 0)])
    return np.ascontiguousarray(np.moveaxis(planes[_nearest(array.shape[axis], shape[axis])], 0, axis))


def _resize(array: np.ndarray, shape: Sequence[int], order: int) -> np.ndarray:
    """scikit-image's `resize(mode="edge", anti_aliasing=False)`, which nnU-Net calls: a grid-mode zoom, clipped to the input's range."""
    if tuple(array.shape) == tuple(shape):
        return np.asarray(array, dtype=np.float32)
    factors = [m / n for n, m in zip(array.shape, shape)]
    resized = zoom(array.astype(np.float64), factors, order=order, mode="nearest", grid_mode=True)
    return np.clip(resized, array.min(), array.max()).astype(np.float32)


def _matrices(
    shape: Sequence[int], new_shape: Sequence[int], spacing_mm: Spacing, target_mm: Spacing, method: str, order: int
) -> list[np.ndarray]:
    """For each axis (new, old): what the new voxels are made of. Interpolation is linear in the values, and separable."""
    thick = _thick_axis(spacing_mm, target_mm) if method == "nnunet" else None
    orders = [0 if axis == thick else order if method == "nnunet" else 1 for axis in range(3)]
    return [_matrix(n, m, o) for n, m, o in zip(shape, new_shape, orders)]


def _matrix(length: int, new_length: int, order: int) -> np.ndarray:
    unit = np.eye(length)
    if order == 0:
        return unit[_nearest(length, new_length)]
    # Unit vectors through the same function: its prefilter and its edges are in the weights.
    return unit if length == new_length else zoom(unit, (1.0, new_length / length), order=order, mode="nearest", grid_mode=True).T


def _multiplied(read: Callable[[tuple[slice, ...]], np.ndarray], matrices: Sequence[np.ndarray], part: Box) -> np.ndarray:
    rows = [matrix[a:b] for matrix, a, b in zip(matrices, part.start, part.stop)]
    used = [np.flatnonzero((np.abs(row) > NEGLIGIBLE).any(axis=0)) for row in rows]
    place = tuple(slice(int(u[0]), int(u[-1]) + 1) for u in used)
    by_k, by_j, by_i = (row[:, columns] for row, columns in zip(rows, place))
    planes = by_j @ (read(place).astype(np.float64) @ by_i.T)
    return (by_k @ planes.reshape(len(planes), -1)).astype(np.float32).reshape(-1, *planes.shape[1:])


def _nearest(length: int, new_length: int) -> np.ndarray:
    """The old voxel nearest to each new one, half a voxel exactly going up: what SciPy's map_coordinates of order 0 does in nnU-Net."""
    centres = (np.arange(new_length) + 0.5) * length / new_length - 0.5
    return np.clip(np.floor(centres + 0.5).astype(int), 0, length - 1)


def _thick_axis(spacing_mm: Spacing, target_mm: Spacing) -> int | None:
    """The axis that nnU-Net treats apart, None when there is none or two axes share the largest spacing."""
    for spacing in (np.asarray(spacing_mm), np.asarray(target_mm)):
        if spacing.max() / spacing.min() > NNUNET_THICK:
            largest = np.flatnonzero(spacing.max() / spacing == 1)
            return int(largest[0]) if largest.size == 1 else None
    return None

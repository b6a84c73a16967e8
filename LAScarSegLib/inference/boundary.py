"""Where patches along the outline of a cavity lie: for networks that look at nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..errors import NothingToLookAt
from ..systems.decoding import IN_SLICE
from .tiles import Corner


def boundary_points(cavity: np.ndarray, step_px: int) -> np.ndarray:
    """(N, 3) voxels (k, j, i) on the outline of a mask (k, j, i) bool in each slice; every outline voxel is closer than `step_px` to one.

    No two of a slice are closer than that.
    """
    # The scan's border is no outline.
    outline = cavity & ~ndimage.binary_erosion(cavity, IN_SLICE, border_value=1)
    points = []
    for k in np.flatnonzero(outline.any(axis=(1, 2))):
        left = np.argwhere(outline[k])
        while len(left):
            points.append((k, *left[0]))
            left = left[((left - left[0]) ** 2).sum(axis=1) >= step_px**2]
    return np.array(points, dtype=np.int32).reshape(-1, 3)


def points_to_look_around(cavity: np.ndarray, step_px: int, spacing_kji: Sequence[float]) -> np.ndarray:
    """`boundary_points` of a cavity at a network's spacing in mm; `NothingToLookAt` when there are none, so that no patch would be looked at."""
    points = boundary_points(cavity, step_px)
    if not len(points):
        grid = " × ".join(f"{s:g}" for s in spacing_kji)
        what = "it fills all that the network sees" if cavity.any() else "it is so thin that nothing of it is left"
        raise NothingToLookAt(f"The cavity has no outline to look for scar along: at {grid} mm {what}. Correct the cavity's mask.")
    return points


def boundary_tiles(points: np.ndarray, patch: Sequence[int]) -> tuple[list[Corner], Corner]:
    """Where the patches (k, j, i) around points (N, 3) start, and the padding on each side that they are counted from."""
    room = tuple(int(n) for n in patch)
    corners = points - np.asarray(patch) // 2 + np.asarray(room)
    return [tuple(map(int, corner)) for corner in corners], room

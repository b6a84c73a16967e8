"""The same anatomy, the same array: axes permuted and flipped before a network sees them, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from .volume import Box, Geometry


@dataclass(frozen=True)
class Orientation:
    """Axis a of the network's array is axis `axes[a]` of the stored one, backwards where `flips[a]`. No voxel is interpolated."""

    axes: tuple[int, int, int] = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def towards_lps(cls, geometry: Geometry) -> Orientation:
        """The one whose array runs to superior, posterior, left along its axes, as nearly as the oblique grid allows."""
        # Rows: the stored axes k, j, i; columns: S, P, L.
        cosines = geometry.rotation.T[::-1, ::-1]
        stored, wanted = linear_sum_assignment(-np.abs(cosines))
        axes = tuple(int(stored[list(wanted).index(axis)]) for axis in range(3))
        return cls(axes, tuple(bool(cosines[axes[a], a] < 0) for a in range(3)))

    def then(self, axes: Sequence[int]) -> Orientation:
        """This one, then axes permuted once more (nnU-Net's `transpose_forward`)."""
        return Orientation(tuple(self.axes[a] for a in axes), tuple(self.flips[a] for a in axes))

    def apply(self, array: np.ndarray) -> np.ndarray:
        """A stored array (k, j, i) as the network's, a view."""
        return np.flip(array.transpose(self.axes), tuple(np.flatnonzero(self.flips)))

    def undo(self, array: np.ndarray) -> np.ndarray:
        """The network's array as the stored one (k, j, i), a view."""
        return np.flip(array, tuple(np.flatnonzero(self.flips))).transpose(np.argsort(self.axes))

    def undo_indices(self, indices: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """(N, 3) indices of the turned array as indices (k, j, i) of the stored one, of `shape`; they need not be whole."""
        stored = np.empty_like(indices)
        for column, (axis, flip) in enumerate(zip(self.axes, self.flips)):
            stored[:, axis] = shape[axis] - 1 - indices[:, column] if flip else indices[:, column]
        return stored

    def of_axes(self, values: Sequence[float]) -> tuple[float, ...]:
        """Values of the stored axes (spacing, shape) in the network's order."""
        return tuple(values[a] for a in self.axes)

    def box(self, box: Box, shape: Sequence[int]) -> Box:
        """A box of the stored array, of `shape` (k, j, i), in the network's."""
        spans = [
            (shape[a] - box.stop[a], shape[a] - box.start[a]) if flip else (box.start[a], box.stop[a])
            for a, flip in zip(self.axes, self.flips)
        ]
        return Box(tuple(s[0] for s in spans), tuple(s[1] for s in spans))

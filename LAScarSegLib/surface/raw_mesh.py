"""A mesh as a file holds it, before anything is checked: points, triangles, arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class RawMesh:
    """Points (N, 3) float64 in the file's own unit and space, triangles (M, 3) int64, and single-valued arrays by name.

    `point_arrays` (N,) and `cell_arrays` (M,) float64, NaN where the file says "no value". `space` is "LPS", "RAS", or "" where the
    file does not say.
    """

    points: np.ndarray
    triangles: np.ndarray
    point_arrays: dict[str, np.ndarray] = field(default_factory=dict)
    cell_arrays: dict[str, np.ndarray] = field(default_factory=dict)
    space: str = ""

    def keep_triangles(self, kept: np.ndarray) -> RawMesh:
        """Only some triangles, (M,) bool, and the points that they need."""
        triangles = self.triangles[kept]
        used = np.zeros(len(self.points), dtype=bool)
        used[triangles.ravel()] = True
        number = np.cumsum(used) - 1
        return replace(
            self, points=self.points[used], triangles=number[triangles],
            point_arrays={name: values[used] for name, values in self.point_arrays.items()},
            cell_arrays={name: values[kept] for name, values in self.cell_arrays.items()},
        )  # fmt: skip

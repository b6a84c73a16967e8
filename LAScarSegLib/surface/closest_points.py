"""The nearest point of a surface: which triangle it lies in, and how far away it is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .polydata import mesh_polydata
from .surface import Surface


@dataclass(frozen=True, eq=False)
class Closest:
    """For (n, 3) points: the `points` (n, 3) of the surface nearest to them, the `triangle` (n,) each lies in, the `weights` (n, 3) of its
    corners there, and the `distance_mm` (n,)."""

    points: np.ndarray
    triangle: np.ndarray
    weights: np.ndarray
    distance_mm: np.ndarray

    def interpolated(self, surface: Surface, values: np.ndarray) -> np.ndarray:
        """(n,) vertex values (N,) of the surface that was searched, linear within each triangle."""
        return (values[surface.triangles[self.triangle]] * self.weights).sum(axis=1)


class ClosestPoints:
    """Finds the nearest points of one surface; built once, asked often."""

    def __init__(self, surface: Surface) -> None:
        from vtkmodules.vtkCommonDataModel import vtkStaticCellLocator

        self._surface, self._locator = surface, vtkStaticCellLocator()
        self._locator.SetDataSet(mesh_polydata(surface.points, surface.triangles))
        self._locator.BuildLocator()

    def of(self, points: np.ndarray) -> Closest:
        """The nearest points of the surface to `points` (n, 3) mm."""
        from vtkmodules.vtkCommonCore import reference

        nearest, triangle = np.empty((len(points), 3)), np.empty(len(points), dtype=np.int64)
        place, cell, part, square = [0.0, 0.0, 0.0], reference(0), reference(0), reference(0.0)
        find = self._locator.FindClosestPoint
        for number, point in enumerate(np.asarray(points, dtype=float).tolist()):
            find(point, place, cell, part, square)
            nearest[number], triangle[number] = place, int(cell)
        weights = _weights(nearest, self._surface.points[self._surface.triangles[triangle]])
        return Closest(nearest, triangle, weights, np.linalg.norm(points - nearest, axis=1))


def _weights(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(n, 3) barycentric weights of points (n, 3) in triangles (n, 3, 3); equal ones where a triangle has no area."""
    a, b, c = np.moveaxis(corners, 1, 0)
    normal = np.cross(b - a, c - a)
    square = np.einsum("ij,ij->i", normal, normal)
    flat = square <= np.finfo(float).tiny
    square = np.where(flat, 1.0, square)
    at_b = np.einsum("ij,ij->i", np.cross(points - a, c - a), normal) / square
    at_c = np.einsum("ij,ij->i", np.cross(b - a, points - a), normal) / square
    weights = np.clip(np.stack([1.0 - at_b - at_c, at_b, at_c], axis=1), 0.0, 1.0)
    weights[flat] = 1.0 / 3.0
    return weights / weights.sum(axis=1, keepdims=True)

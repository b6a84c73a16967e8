"""Holes of an open mesh, where it was cut at its veins and valve, and which of them a plane names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .bands import SMALLEST_OPENING_MM
from .surface import Surface

HOLE_MM = 5.0
"""A plane this near to all of the rim of a hole in the mesh, with its origin in the hole, names the opening that the mesh was cut at:
planes are clicked, and meshes cut, to a few millimetres."""
CUT_ALREADY = (
    f" The mesh is open: an opening that it was cut at already is named by a plane within {HOLE_MM:g} mm of all of its rim, with its "
    "origin in the hole; leave a plane out whose opening the mesh doesn't have."
)


def one_way_edges(edges: np.ndarray, count: int) -> np.ndarray:
    """(B, 2) those of the triangles' edges (3 M, 2) that no other triangle runs along the other way."""
    there, back = edges[:, 0] * count + edges[:, 1], edges[:, 1] * count + edges[:, 0]
    # Of a closed mesh none, which sorting tells sooner.
    return edges[:0] if np.array_equal(np.sort(there), np.sort(back)) else edges[~np.isin(there, back)]


def holes_of(surface: Surface, border: np.ndarray) -> list[np.ndarray]:
    """(n,) the vertices of the rim of each hole that is an opening and no fault of the mesh; `border` (B, 2) are its `one_way_edges`."""
    if not len(border):
        return []
    graph = coo_array((np.ones(len(border)), tuple(border.T)), shape=(len(surface.points),) * 2)
    hole = connected_components(graph, directed=False)[1][border[:, 0]]
    length = np.bincount(hole, np.linalg.norm(np.subtract(*surface.points[border].transpose(1, 0, 2)), axis=1))
    return [np.unique(border[hole == number]) for number in np.flatnonzero(length >= SMALLEST_OPENING_MM)]


def named_hole(surface: Surface, holes: Sequence[np.ndarray], origin: Sequence[float], normal: Sequence[float]) -> np.ndarray:
    """(N,) bool: the rim of the hole that lies at a plane, around its origin; none of it where there is no such hole."""
    axis, named = np.array(normal), np.zeros(len(surface.points), dtype=bool)
    for rim in holes:
        offsets = surface.points[rim] - origin
        middle = offsets.mean(axis=0)
        aside = middle - (middle @ axis) * axis
        if np.abs(offsets @ axis).max() <= HOLE_MM and np.linalg.norm(aside) <= np.linalg.norm(offsets - middle, axis=1).max():
            named[rim] = True
    return named

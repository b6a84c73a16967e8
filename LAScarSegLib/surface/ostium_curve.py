"""The rim of an opening as a closed line on the surface: the border of what its plane cuts off."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import InputError
from .planes import CutPlane, label_regions
from .surface import REGION_EXCLUDED, REGION_LABELS, Surface


def ostium_curve(surface: Surface, plane: CutPlane, others: Sequence[CutPlane] = ()) -> np.ndarray:
    """The line along which a plane cuts its opening off a closed surface: the border of its region in `label_regions`.

    Where the border crosses the plane its points lie in the plane; where a region ends off the plane (beside a neighbour that the plane
    runs through, or around a flat lid) they lie halfway between the vertices on its two sides.

    Parameters
    ----------
    surface
        closed, mm LPS.
    plane
        the opening's plane.
    others
        the other planes of the same surface: they tell on which side of a mitral plane the LA lies.

    Returns
    -------
    (P, 3) mm LPS, in order; the last point is joined to the first, which is not repeated. Of several loops the longest.

    Raises
    ------
    InputError
        a plane that cuts nothing off.
    """
    region = label_regions(surface, [*(other for other in others if other.name != plane.name), plane])
    inside = region == REGION_LABELS.get(plane.name, REGION_EXCLUDED)
    if inside.all() or not inside.any():
        raise InputError(f"The plane {plane.name} has no rim: it cuts off {'all' if inside.any() else 'nothing'} of the surface.")
    edges, links = _border(surface.triangles, inside)
    points = _crossings(surface.points[edges], plane)
    loops = connected_components(coo_array((np.ones(len(links), bool), tuple(links.T)), shape=(len(edges),) * 2), directed=False)[1]
    lengths = np.bincount(loops[links[:, 0]], np.linalg.norm(points[links[:, 0]] - points[links[:, 1]], axis=1))
    return points[_walk(links[loops[links[:, 0]] == lengths.argmax()])]


def _border(triangles: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges (E, 2) between a vertex inside (first) and one outside, and pairs (L, 2) of them that share a triangle: on a closed surface
    each edge is in two pairs."""
    mixed = triangles[(inside[triangles].sum(axis=1) % 3) > 0]
    # The corner that is alone on its side, and the two across.
    few = inside[mixed].sum(axis=1) == 1
    alone = np.where(few, inside[mixed].argmax(axis=1), (~inside[mixed]).argmax(axis=1))
    rows = np.arange(len(mixed))
    corner, ends = mixed[rows, alone], [mixed[rows, (alone + step) % 3] for step in (1, 2)]
    pairs = np.stack([np.stack([np.where(few, corner, end), np.where(few, end, corner)], axis=1) for end in ends], axis=1)
    edges, number = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
    return edges, number.reshape(-1, 2)


def _crossings(ends: np.ndarray, plane: CutPlane) -> np.ndarray:
    """(E, 3): where edges with ends (E, 2, 3) pass through the plane; the middle of those that don't."""
    height = (ends - plane.origin) @ np.array(plane.normal)
    drop = height[:, 0] - height[:, 1]
    crosses = (height[:, 0] > 0) != (height[:, 1] > 0)
    share = np.where(crosses, height[:, 0] / np.where(drop == 0, 1.0, drop), 0.5)
    return ends[:, 0] + share[:, None] * (ends[:, 1] - ends[:, 0])


def _walk(links: np.ndarray) -> list[int]:
    """The points of one loop in their order."""
    beside: dict[int, list[int]] = {}
    for one, other in links.tolist():
        beside.setdefault(one, []).append(other)
        beside.setdefault(other, []).append(one)
    start = int(links[0, 0])
    order, here = [start], beside[start][0]
    while here != start and len(order) <= len(links):
        order.append(here)
        here = next((n for n in beside[here] if n != order[-2]), start)
    return order

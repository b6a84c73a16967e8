"""Tunnels through a surface: the shortest loop around each, along which the surface is cut so that it has none.

Two parts of a cavity that touch where they should not (the appendage and a vein, two veins) make a bridge, and a tunnel runs under it. The
shortest loop that cuts the surface without cutting it in two goes around the bridge, or through a narrow tunnel. It is found by trees: the
shortest ways from one vertex, and a tree of triangles across the sides left over; what is in neither closes a loop (Eppstein, "Dynamic
generators of topologically embedded graphs", SODA 2003; shortest by the choice of the second tree: Erickson and Whittlesey, "Greedy optimal
homotopy and homology generators", SODA 2005).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra, minimum_spanning_tree

OFF_LIMITS_MM = 1e4
"""Added to a side at the surface's edge, where no loop may run: longer than any way on an atrium."""
ROOTS = 5
"""A loop is sought again through so many of its own vertices, evenly spread, until none is shorter."""


@dataclass(frozen=True, eq=False)
class _Sides:
    """`ends` (E, 2) of the sides of a closed mesh of `vertices`, lower vertex first, `beside` (E, 2) the triangles on both sides, and
    `length` (E,) in mm, with what keeps loops off the surface's edge."""

    vertices: int
    ends: np.ndarray
    beside: np.ndarray
    length: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray, triangles: np.ndarray, border: np.ndarray) -> _Sides:
        """`points` (K, 3) mm, closed `triangles` (M, 3) whose vertices may go on beyond the points, `border` (K,) bool."""
        vertices = int(triangles.max()) + 1
        sides = np.sort(np.stack([triangles, triangles[:, [1, 2, 0]]], axis=-1).reshape(-1, 2), axis=1)
        order = np.argsort(sides[:, 0] * vertices + sides[:, 1], kind="stable")
        ends, beside = sides[order[::2]], order.reshape(-1, 2) // 3
        inside = np.zeros(vertices, dtype=bool)
        inside[: len(points)] = ~border
        places = np.zeros((vertices, 3))
        places[: len(points)] = points
        length = np.linalg.norm(places[ends[:, 0]] - places[ends[:, 1]], axis=1)
        return cls(vertices, ends, beside, np.where(inside[ends].all(axis=1), np.maximum(length, 1e-6), OFF_LIMITS_MM))

    @property
    def graph(self) -> csr_array:
        return coo_array((self.length, (self.ends[:, 0], self.ends[:, 1])), shape=(self.vertices,) * 2).tocsr()


def shortest_handle(points: np.ndarray, triangles: np.ndarray, border: np.ndarray) -> tuple[np.ndarray, float]:
    """The shortest loop that leaves a surface with a tunnel in one piece: its vertices (R,) in order, and its length in mm.

    Shortest among the loops through any one of its vertices, which is not always the shortest of all.

    Parameters
    ----------
    points
        (K, 3) mm.
    triangles
        (M, 3), closed: its openings are covered by triangles to vertices beyond the points.
    border
        (K,) bool, the vertices at openings; no loop runs through one. A length of `OFF_LIMITS_MM` and more says that there is no loop.
    """
    sides = _Sides.of(points, triangles, border)
    graph = sides.graph
    best, least = np.empty(0, dtype=int), np.inf
    for start, length in _loops_from(sides, graph, int(np.flatnonzero(~border)[0])):
        shorter = True
        while shorter:
            roots = start[np.unique(np.linspace(0, len(start) - 1, ROOTS).astype(int))]
            found = [(loop, again) for root in roots for loop, again in _loops_from(sides, graph, int(root))]
            loop, again = min(found, key=lambda each: each[1], default=(start, length))
            if shorter := again < length - 1e-9:
                start, length = loop, again
        if length < least:
            best, least = start, length
    return best, least


def _loops_from(sides: _Sides, graph: csr_array, root: int) -> list[tuple[np.ndarray, float]]:
    """A loop for each side in neither tree, two for each tunnel: from where its two ways part, and back; with its length in mm."""
    distance, before = dijkstra(graph, directed=False, indices=root, return_predecessors=True)
    low, high = sides.ends.T
    in_tree = (before[low] == high) | (before[high] == low)
    around = distance[low] + distance[high] + sides.length
    others = np.flatnonzero(~in_tree)
    # The tree of triangles takes the sides with the longest loops first.
    weight = around[others].max() + 1.0 - around[others]
    pair, count = np.sort(sides.beside[others], axis=1), len(sides.ends) * 2 // 3
    tree = minimum_spanning_tree(coo_array((weight, pair.T), shape=(count, count)).tocsr()).tocoo()
    taken = np.isin(pair @ [count, 1], np.sort(np.stack(tree.coords, axis=1).astype(np.int64), axis=1) @ [count, 1])
    return [_loop(before, sides, edge, distance) for edge in others[~taken]]


def _loop(before: np.ndarray, sides: _Sides, edge: int, distance: np.ndarray) -> tuple[np.ndarray, float]:
    one, other = (_way(before, int(end)) for end in sides.ends[edge])
    shared = 0
    while shared < min(len(one), len(other)) and one[-1 - shared] == other[-1 - shared]:
        shared += 1
    parting = one[len(one) - shared]
    length = distance[one[0]] + distance[other[0]] - 2 * distance[parting] + sides.length[edge]
    return np.array(one[: len(one) - shared + 1] + other[: len(other) - shared][::-1]), float(length)


def _way(before: np.ndarray, vertex: int) -> list[int]:
    """From a vertex to the root."""
    way = [vertex]
    while before[way[-1]] >= 0:
        way.append(int(before[way[-1]]))
    return way


def cut_along(triangles: np.ndarray, loop: np.ndarray, first_new: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut a surface along a loop of its vertices (R,).

    On the loop's left the triangles get vertices of their own, numbered from `first_new`, in the loop's order. Returns the triangles (M, 3)
    and the two edges, each walked with the surface on its left.
    """
    place = {int(vertex): n for n, vertex in enumerate(loop)}
    ahead = {(int(a), int(b)) for a, b in zip(loop, np.roll(loop, -1))}
    touching = np.flatnonzero(np.isin(triangles, loop).any(axis=1))
    owner = {(int(t[k]), int(t[(k + 1) % 3])): int(n) for n, t in zip(touching, triangles[touching]) for k in range(3)}
    cut = triangles.copy()
    for vertex, following in ahead:
        # Around `vertex`, counter-clockwise from the loop's next side to its last one: the corners on the left.
        at = following
        while (at, vertex) not in ahead:
            triangle = owner[vertex, at]
            cut[triangle, triangles[triangle] == vertex] = first_new + place[vertex]
            at = int(triangles[triangle].sum()) - vertex - at
    return cut, first_new + np.arange(len(loop)), loop[::-1].copy()

"""A triangle mesh as a graph: its edges, straight lines across pairs of triangles, and points along edges."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


@dataclass(frozen=True, eq=False)
class MeshGraph:
    """The edges of a mesh, of `points` (N, 3) mm and `triangles` (M, 3), and what is needed to walk on it.

    Holes in the mesh are closed by one more vertex each, beyond the last (`tips`), and triangles to it (`closed`).
    """

    points: np.ndarray
    triangles: np.ndarray

    @cached_property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        """(E, 2) edges of the closed mesh, the lower vertex first, and (M', 3) numbers of each triangle's edges 01, 12, 20."""
        sides = np.sort(self.closed[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
        key, number = np.unique(sides[:, 0] * (self.closed.max() + 1) + sides[:, 1], return_inverse=True)
        return np.stack(np.divmod(key, self.closed.max() + 1), axis=1), number.reshape(-1, 3)

    @property
    def edges(self) -> np.ndarray:
        return self._sides[0]

    @property
    def triangle_edges(self) -> np.ndarray:
        return self._sides[1]

    def within(self, vertices: np.ndarray) -> np.ndarray:
        """(E,) bool: the edges with both ends among `vertices` (N + tips,) bool."""
        low, high = self.ends
        return vertices[low] & vertices[high]

    @cached_property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        """(E,) lower and (E,) higher vertex of each edge."""
        return self.edges[:, 0].copy(), self.edges[:, 1].copy()

    @property
    def vertices(self) -> int:
        """How many vertices there are with the tips."""
        return len(self.points) + self.tips

    @cached_property
    def lengths_mm(self) -> np.ndarray:
        """(E,) of the edges; those to tips are infinite."""
        real = (self.edges < len(self.points)).all(axis=1)
        lengths = np.full(len(self.edges), np.inf)
        lengths[real] = np.linalg.norm(np.subtract(*self.points[self.edges[real].T]), axis=1)
        return lengths

    @cached_property
    def border(self) -> tuple[np.ndarray, np.ndarray]:
        """(B, 2) edges with a triangle on one side alone, and (B,) the number of the hole that each belongs to."""
        directed = self.triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        _, index, counts = np.unique(np.sort(directed, axis=1) @ [len(self.points), 1], return_index=True, return_counts=True)
        border = directed[index[counts == 1]]
        if not len(border):
            return border, np.empty(0, dtype=int)
        used, local = np.unique(border, return_inverse=True)
        local = local.reshape(-1, 2)
        hole = connected_components(coo_array((np.ones(len(local)), tuple(local.T)), shape=(len(used),) * 2), directed=False)[1]
        return border, hole[local[:, 0]]

    @property
    def tips(self) -> int:
        """How many holes the mesh has."""
        return int(self.border[1].max(initial=-1)) + 1

    @cached_property
    def closed(self) -> np.ndarray:
        """(M', 3) the triangles and those that close the holes."""
        border, hole = self.border
        return np.concatenate([self.triangles, np.column_stack([border[:, ::-1], len(self.points) + hole])])

    @cached_property
    def edge_triangles(self) -> np.ndarray:
        """(E, 2) the two triangles of the closed mesh beside each edge (of more, as in a broken mesh, two)."""
        flat = self.triangle_edges.ravel()
        order = np.argsort(flat, kind="stable")
        first = np.searchsorted(flat[order], np.arange(len(self.edges)))
        last = np.searchsorted(flat[order], np.arange(len(self.edges)), side="right") - 1
        return np.stack([order[first] // 3, order[last] // 3], axis=1)

    @cached_property
    def diagonals(self) -> Diagonals:
        return Diagonals.of(self)


@dataclass(frozen=True, eq=False)
class Diagonals:
    """Straight lines between vertices that face each other across an edge, where both triangles laid flat hold the line.

    ends
        (D, 2) vertices.
    across
        (D,) number of the edge crossed, at `share` (D,) of its length.
    through
        (D, 2) edges that lead the same way: from the first end to the crossed edge's lower vertex, and on to the second end.
    lengths_mm
        (D, 2) before and after the crossing.
    """

    ends: np.ndarray
    across: np.ndarray
    share: np.ndarray
    through: np.ndarray
    lengths_mm: np.ndarray

    @classmethod
    def of(cls, mesh: MeshGraph) -> Diagonals:
        beside = mesh.edge_triangles
        across = np.flatnonzero((beside < len(mesh.triangles)).all(axis=1) & (beside[:, 0] != beside[:, 1]))
        low, high = mesh.edges[across].T
        ends = mesh.closed[beside[across]].sum(axis=2) - (low + high)[:, None]
        along = mesh.points[high] - mesh.points[low]
        width = np.maximum(np.linalg.norm(along, axis=1), 1e-12)
        offset = mesh.points[ends] - mesh.points[low][:, None]
        x = np.einsum("dej,dj->de", offset, along) / width[:, None]
        y = np.sqrt(np.maximum((offset**2).sum(axis=2) - x**2, 1e-18))
        before = y[:, 0] / y.sum(axis=1)
        share = (x[:, 0] + (x[:, 1] - x[:, 0]) * before) / width
        length = np.hypot(x[:, 0] - x[:, 1], y.sum(axis=1))
        # Around a vertex of three triangles the ends are neighbours anyway.
        neighbours = np.isin(np.sort(ends, axis=1) @ [len(mesh.points), 1], mesh.edges @ [len(mesh.points), 1])
        kept = (share > 0) & (share < 1) & (ends[:, 0] != ends[:, 1]) & ~neighbours
        through = _edge_between(mesh, beside[across], ends, low)
        lengths = np.stack([length * before, length * (1 - before)], axis=1)
        return cls(ends[kept], across[kept], share[kept], through[kept], lengths[kept])


def _edge_between(mesh: MeshGraph, triangles: np.ndarray, ends: np.ndarray, low: np.ndarray) -> np.ndarray:
    """(D, 2) the edges from `ends` (D, 2) to `low` (D,) in the triangles (D, 2)."""
    corners, sides = mesh.closed[triangles], mesh.triangle_edges[triangles]
    # Side n joins corners n and n + 1; the one from `end` to `low` lies opposite the corner that is neither.
    neither = (corners != ends[:, :, None]) & (corners != low[:, None, None])
    side = (neither.argmax(axis=2) + 1) % 3
    return np.take_along_axis(sides, side[:, :, None], axis=2)[:, :, 0]


@dataclass(frozen=True, eq=False)
class FineGraph:
    """A few triangles with points along their edges, every two of a triangle joined by a straight line.

    corner, corner_share
        (F, 2) the mesh's vertices that each node lies between, and (F,) its share of the way to the second.
    links
        (L, 2) nodes; `link_edges` (L,) the mesh edge that joins their nearer vertices, −1 where these are one.
    """

    corner: np.ndarray
    corner_share: np.ndarray
    links: np.ndarray
    link_edges: np.ndarray

    @classmethod
    def of(cls, mesh: MeshGraph, triangles: np.ndarray, count: int) -> FineGraph:
        """Of the mesh's triangles with the numbers `triangles` (T,), with `count` points along each edge: an even number, so that each has a nearer end."""
        vertices, corner = np.unique(mesh.closed[triangles], return_inverse=True)
        edges, side = np.unique(mesh.triangle_edges[triangles], return_inverse=True)
        corner, side = corner.reshape(-1, 3), side.reshape(-1, 3)
        ends = np.searchsorted(vertices, mesh.edges[edges])
        first = len(vertices) + count * np.arange(len(edges))
        inner = first[:, None] + np.arange(count)
        within, within_edge = _across_triangles(corner, side, first, edges[side], ends, count)
        chain = np.column_stack([ends[:, 0], inner, ends[:, 1]])
        along = np.stack([chain[:, :-1], chain[:, 1:]], axis=2).reshape(-1, 2)
        along_edge = np.full((len(edges), count + 1), -1)
        along_edge[:, count // 2] = edges
        share = np.tile((np.arange(count) + 1) / (count + 1), len(edges))
        return cls(
            np.concatenate([np.column_stack([vertices, vertices]), np.repeat(mesh.edges[edges], count, axis=0)]),
            np.concatenate([np.zeros(len(vertices)), share]),
            np.concatenate([within, along]),
            np.concatenate([within_edge, along_edge.ravel()]),
        )

    def at(self, values: np.ndarray) -> np.ndarray:
        """(F, …) the vertices' `values` (N, …) at the nodes, linear between vertices."""
        share = self.corner_share.reshape(-1, *[1] * (values.ndim - 1))
        return values[self.corner[:, 0]] * (1 - share) + values[self.corner[:, 1]] * share

    @property
    def nearer(self) -> np.ndarray:
        """(F,) the vertex nearer to each node."""
        return np.where(self.corner_share < 0.5, self.corner[:, 0], self.corner[:, 1])


def _across_triangles(
    corner: np.ndarray, side: np.ndarray, first: np.ndarray, side_edge: np.ndarray, ends: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Links between nodes on different sides of a triangle, and the mesh edge between their nearer corners, −1 for none."""
    steps = np.arange(count)
    # Points of side n from corner n to corner n + 1, whichever way the edge itself runs.
    forwards = ends[side, 0] == corner
    nodes = first[side][:, :, None] + np.where(forwards[:, :, None], steps, steps[::-1])
    nodes = np.concatenate([corner, nodes.reshape(len(corner), -1)], axis=1)
    nearer = np.concatenate([np.arange(3), *([np.where(steps < count / 2, n, (n + 1) % 3)] for n in range(3))], axis=None)
    on_side = np.repeat(np.arange(3), count)
    opposite = [(n, 3 + m) for n in range(3) for m in range(3 * count) if on_side[m] == (n + 1) % 3]
    between = [(3 + a, 3 + b) for a in range(3 * count) for b in range(a) if on_side[a] != on_side[b]]
    one, other = np.array(opposite + between).T
    joins = {(0, 1): 0, (1, 2): 1, (0, 2): 2}
    which = np.array([joins.get((min(a, b), max(a, b)), -1) for a, b in zip(nearer[one], nearer[other])])
    edge = np.where(which < 0, -1, side_edge[:, which])
    return np.stack([nodes[:, one], nodes[:, other]], axis=2).reshape(-1, 2), edge.ravel()

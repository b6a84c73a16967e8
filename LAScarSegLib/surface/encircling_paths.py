"""The cheapest closed path of one kind in a graph whose edges know which cuts they cross: exact, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

UNITS_PER_MM = 2**12
"""Lengths are counted in 1/4096 mm: sums of whole numbers are exact, and so are ties."""
LONGEST_MM = 2**12
"""No path is longer (an atrium's wall has 200 cm²). Healthy and whole length of 24 bits each fit into a double's 53."""
HEALTHY_FIRST = float(UNITS_PER_MM * LONGEST_MM)

SLACK = 1 / 2
"""A search goes so much farther than the best path: paths through a node that are known to be dearer rule out its neighbours'."""


def lexicographic_cost(healthy_mm: np.ndarray, length_mm: np.ndarray) -> np.ndarray:
    """(E,) whole numbers whose sums compare healthy length first and, where that is equal, whole length."""
    return np.rint(healthy_mm * UNITS_PER_MM) * HEALTHY_FIRST + np.maximum(np.rint(length_mm * UNITS_PER_MM), 1.0)


@dataclass(frozen=True, eq=False)
class CutGraph:
    """An undirected graph drawn on a surface with cuts through it, each from one hole to another.

    edges
        (E, 2) node numbers below `nodes`.
    crossed
        (E,) int: bit j is set where the edge crosses cut j (an odd number of times).
    cuts
        how many cuts there are.

    A closed path that crosses cut j an odd number of times separates the two holes that the cut joins.
    """

    nodes: int
    edges: np.ndarray
    crossed: np.ndarray
    cuts: int
    _known_starts: dict[int, np.ndarray] = field(default_factory=dict)

    def cheapest_closed_path(self, costs: np.ndarray, separates: int) -> np.ndarray | None:
        """(P,) nodes of the closed path of least cost (the first is not repeated) that crosses exactly the cuts of the bits
        `separates` an odd number of times; None where there is none.

        `costs` (E,) are whole numbers above 0 whose sums stay below 2^53.

        A closed path is a path in the graph's cover (a sheet for every set of cuts crossed) from a node in sheet 0 to the same node in
        sheet `separates`, and it passes a node of the cut. One search from all nodes of the cut at once bounds the paths through each
        from below, and so does a path found through a node at a distance d: none is cheaper than it by more than 2 d. Always the node
        with the lowest bound is tried, until none is lower than the best path. This is exact in any graph, planar or not.
        """
        starts = self._starts(self._shortest_cut(separates))
        if not len(starts):
            return None
        cover, sheets = self._cover(costs), np.arange(1 << self.cuts)
        nearest = dijkstra(cover, indices=starts, min_only=True)
        # Every search is guided by what is left to go at least (as A*).
        to_go = nearest.reshape(len(sheets), -1)[sheets ^ separates].ravel()
        bounds, ends = to_go[starts], separates * self.nodes + starts
        to_go = np.where(np.isfinite(to_go), to_go, 0.0)
        cover.data += to_go[cover.indices] - np.repeat(to_go, np.diff(cover.indptr))
        best, path = np.inf, None
        while bounds.min() < best:
            n = bounds.argmin()
            limit = best + np.floor(best * SLACK)
            beyond, before = dijkstra(cover, indices=starts[n], limit=limit - to_go[starts[n]], return_predecessors=True)
            away = beyond + to_go[starts[n]]
            through = min(away[ends[n]], limit + 1)
            if through < best:
                best, path = through, _traced(before, ends[n])[:-1] % self.nodes
            bounds = np.maximum(bounds, through - 2 * (away[starts] - to_go[starts]))
            bounds[n] = max(bounds[n], through)
        return path

    def tightened(self, costs: np.ndarray, separates: int, start: int) -> np.ndarray | None:
        """(P,) nodes of a closed path that no detour on one side makes cheaper: the cheapest through `start`, then the cheapest through
        the node half-way on that, and so on while it gets cheaper. A few searches find in a narrow corridor what
        `cheapest_closed_path` proves with many; None where no path leads around."""
        cover = self._cover(costs)
        best, path = np.inf, None
        while True:
            end = separates * self.nodes + start
            away, before = dijkstra(cover, indices=start, limit=best, return_predecessors=True)
            if not away[end] < best:
                return path
            best, path = away[end], _traced(before, end)[:-1] % self.nodes
            start = path[len(path) // 2]

    def _shortest_cut(self, separates: int) -> int:
        return min((bit for bit in range(self.cuts) if separates >> bit & 1), key=lambda bit: np.count_nonzero(self.crossed >> bit & 1))

    def _starts(self, bit: int) -> np.ndarray:
        """Few nodes of which every edge across a cut has one."""
        if bit not in self._known_starts:
            self._known_starts[bit] = _touching(self.edges[self.crossed >> bit & 1 == 1], self.nodes)
        return self._known_starts[bit]

    @cached_property
    def _cover_structure(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the cover's rows begin, and their columns, as a compressed sparse matrix has them; the edges of one sheet's entries."""
        rows, columns = np.concatenate([self.edges, self.edges[:, ::-1]]).T
        order = np.argsort(rows, kind="stable")
        edge = order % max(len(self.edges), 1)
        starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=self.nodes))])
        sheets = np.arange(1 << self.cuts)[:, None]
        indices = (sheets ^ self.crossed[edge]) * self.nodes + columns[order]
        indptr = np.append((sheets * len(rows) + starts[:-1]).ravel(), len(rows) * len(sheets))
        return indptr.astype(np.int32), indices.ravel().astype(np.int32), edge

    def _cover(self, costs: np.ndarray) -> csr_array:
        indptr, indices, edge = self._cover_structure
        return csr_array((np.tile(costs[edge], 1 << self.cuts), indices, indptr), shape=(len(indptr) - 1,) * 2)


def _traced(before: np.ndarray, end: int) -> np.ndarray:
    """The nodes from a search's start to `end`."""
    nodes, node = [], end
    while node >= 0:
        nodes.append(node)
        node = before[node]
    return np.array(nodes[::-1])


def _touching(edges: np.ndarray, nodes: int) -> np.ndarray:
    """Nodes of which every edge (K, 2) has one: always the one that covers most of what is left."""
    chosen = []
    while len(edges):
        chosen.append(int(np.bincount(edges.ravel(), minlength=nodes).argmax()))
        edges = edges[(edges != chosen[-1]).all(axis=1)]
    return np.array(chosen, dtype=int)

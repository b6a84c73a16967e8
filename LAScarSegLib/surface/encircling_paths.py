"""The cheapest closed path of one kind in a graph whose edges know which cuts they cross: exact, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

UNITS_PER_MM = 2**12
"""Lengths are counted in 1/4096 mm: sums of whole numbers are exact, and so are ties."""
LONGEST_MM = 2**12
"""No path is longer (an atrium's wall has 200 cm²). Healthy and whole length of 24 bits each fit into a double's 53."""
HEALTHY_FIRST = float(UNITS_PER_MM * LONGEST_MM)


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

    def cheapest_closed_path(self, costs: np.ndarray, separates: int) -> np.ndarray | None:
        """(P,) nodes of the closed path of least cost (the first is not repeated) that crosses exactly the cuts of the bits
        `separates` an odd number of times; None where there is none.

        `costs` (E,) are whole numbers above 0 whose sums stay below 2^53.

        A closed path is a path in the graph's cover (a sheet for every set of cuts crossed) from a node in sheet 0 to the same node in
        sheet `separates`, and it passes a node of the cut. One search from all nodes of the cut at once bounds each node's path from
        below; nodes are then tried in the order of their bounds, by searches guided by the same distances (as A*), until no bound is
        lower than the best path. This is exact in any graph, planar or not.
        """
        bit = self._shortest_cut(separates)
        starts = self._starts[bit]
        if not len(starts):
            return None
        weights = costs[self._lifted_edge]
        nearest = dijkstra(self._lifted(weights), indices=starts, min_only=True)
        sheets = np.arange(1 << self.cuts)
        to_go = nearest.reshape(len(sheets), -1)[sheets ^ separates].ravel()
        bounds = to_go[starts]
        if not np.isfinite(bounds).any():
            return None
        to_go = np.where(np.isfinite(to_go), to_go, 0.0)
        guided = self._lifted(weights + to_go[self._indices] - np.repeat(to_go, np.diff(self._indptr)))
        return self._tried_in_order(guided, starts, bounds, separates)

    def _tried_in_order(self, guided: csr_array, starts: np.ndarray, bounds: np.ndarray, separates: int) -> np.ndarray | None:
        best, path = np.inf, None
        for n in np.argsort(bounds, kind="stable"):
            if bounds[n] >= best:
                break
            end = separates * self.nodes + starts[n]
            beyond, before = dijkstra(guided, indices=starts[n], limit=best - bounds[n] - 1.0, return_predecessors=True)
            if np.isfinite(beyond[end]):
                best, path = bounds[n] + beyond[end], _traced(before, end) % self.nodes
        return path

    def _shortest_cut(self, separates: int) -> int:
        return min((bit for bit in range(self.cuts) if separates >> bit & 1), key=lambda bit: len(self._starts[bit]))

    @cached_property
    def _starts(self) -> list[np.ndarray]:
        """For each cut few nodes of which every edge across it has one."""
        return [_cover(self.edges[self.crossed >> bit & 1 == 1], self.nodes) for bit in range(self.cuts)]

    @cached_property
    def _cover_structure(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The cover's rows, columns and edges, as a compressed sparse matrix has them."""
        sheets = np.arange(1 << self.cuts)[:, None]
        here, there = (sheets * self.nodes + self.edges[:, 0]).ravel(), ((sheets ^ self.crossed) * self.nodes + self.edges[:, 1]).ravel()
        rows, columns = np.concatenate([here, there]), np.concatenate([there, here])
        order = np.argsort(rows, kind="stable")
        counts = np.bincount(rows, minlength=len(sheets) * self.nodes)
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return indptr, columns[order].astype(np.int32), np.tile(np.arange(len(self.edges)), 2 * len(sheets))[order]

    @property
    def _indptr(self) -> np.ndarray:
        return self._cover_structure[0]

    @property
    def _indices(self) -> np.ndarray:
        return self._cover_structure[1]

    @property
    def _lifted_edge(self) -> np.ndarray:
        return self._cover_structure[2]

    def _lifted(self, weights: np.ndarray) -> csr_array:
        size = len(self._indptr) - 1
        return csr_array((weights, self._indices, self._indptr), shape=(size, size))


def _traced(before: np.ndarray, end: int) -> np.ndarray:
    """The nodes from a search's start to `end`, without the latter."""
    nodes, node = [], before[end]
    while node >= 0:
        nodes.append(node)
        node = before[node]
    return np.array(nodes[::-1])


def _cover(edges: np.ndarray, nodes: int) -> np.ndarray:
    """Nodes of which every edge (K, 2) has one: always the one that covers most of what is left."""
    chosen = []
    while len(edges):
        chosen.append(int(np.bincount(edges.ravel(), minlength=nodes).argmax()))
        edges = edges[(edges != chosen[-1]).all(axis=1)]
    return np.array(chosen, dtype=int)

"""The cheapest closed path of one kind in a graph whose edges know which cuts they cross: exact, in whole numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from heapq import heappop, heappush

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
    _known_starts: dict[int, np.ndarray] = field(default_factory=dict)

    def cheapest_closed_path(self, costs: np.ndarray, separates: int) -> np.ndarray | None:
        """(P,) nodes of the closed path of least cost (the first is not repeated) that crosses exactly the cuts of the bits
        `separates` an odd number of times; None where there is none.

        `costs` (E,) are whole numbers above 0 whose sums stay below 2^53.

        A closed path is a path in the graph's cover (a sheet for every set of cuts crossed) from a node in sheet 0 to the same node in
        sheet `separates`, and it passes a node of the cut. A path from any node of a group to any of the same group bounds the paths
        through all of them from below, and where its ends are one node it is the cheapest of them. So the group with the lowest bound is
        searched and parted between the ends, until no bound is lower than the best path. This is exact in any graph, planar or not.
        """
        starts = self._starts(self._shortest_cut(separates))
        if not len(starts):
            return None
        cover = self._cover(costs)
        best, path, groups = np.inf, None, [(0.0, 0, len(starts))]
        while groups and groups[0][0] < best:
            bound, first, last = heappop(groups)
            search = _Meeting.of(self.nodes, cover, starts[first:last], separates, best)
            if search.closed < best:
                best, path = search.closed, search.path()
            if search.least < best:
                middle = first + search.parting()
                for part in ((first, middle), (middle, last)):
                    heappush(groups, (search.least, *part))
        return path

    def tightened(self, costs: np.ndarray, separates: int, start: int) -> np.ndarray | None:
        """(P,) nodes of a closed path that no detour on one side makes cheaper: the cheapest through `start`, then the cheapest through
        the node half-way on that, and so on while it gets cheaper. A few searches find in a narrow corridor what
        `cheapest_closed_path` proves with many; None where no path leads around."""
        cover = self._cover(costs)
        best, path = np.inf, None
        while True:
            search = _Meeting.of(self.nodes, cover, np.array([start]), separates, best)
            if not search.closed < best:
                return path
            best, path = search.closed, search.path()
            start = path[len(path) // 2]

    def _shortest_cut(self, separates: int) -> int:
        return min((bit for bit in range(self.cuts) if separates >> bit & 1), key=lambda bit: np.count_nonzero(self.crossed >> bit & 1))

    def _starts(self, bit: int) -> np.ndarray:
        """Nodes of which every edge across a cut has one, in their order along it: where that can be told, those on its one side. A way
        from these to these leads round; from one side of the cut to the other it would be a single edge, and no bound."""
        if bit not in self._known_starts:
            self._known_starts[bit] = _one_side(self.edges[self.crossed >> bit & 1 == 1])
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


@dataclass(frozen=True, eq=False)
class _Meeting:
    """The cheapest way from any of `starts` (S,) in sheet 0 to any of them in sheet `separates`, if it is cheaper than a limit: one search
    from all of them goes half of it, and what it reached is, seen from the other end, the other half.

    source, before
        (sheets × nodes,) of every node of the cover the start nearest to it, and the node before it.
    least, closed
        cost of the cheapest way, and of the cheapest found that ends where it starts; infinite for none.
    ways
        (2, 2) the node of the cover at which the halves of each meet, from the one end and from the other.
    """

    nodes: int
    starts: np.ndarray
    source: np.ndarray
    before: np.ndarray
    least: float
    closed: float
    ways: np.ndarray

    @classmethod
    def of(cls, nodes: int, cover: csr_array, starts: np.ndarray, separates: int, limit: float) -> _Meeting:
        # The halves are equal to one edge, and meet at a node that is at most so much farther than half-way.
        reach = limit / 2 + cover.data.max()
        away, before, source = dijkstra(cover, indices=starts, min_only=True, return_predecessors=True, limit=reach)
        sheets = np.arange(len(away) // nodes)
        # A way and its reverse meet in sheets that differ by `separates`: one of the two is enough.
        sheets = sheets[sheets < sheets ^ separates]
        here, there = (np.add.outer(nodes * half, np.arange(nodes)).ravel() for half in (sheets, sheets ^ separates))
        through = away[here] + away[there]
        closed = np.where(source[here] == source[there], through, np.inf)
        nearest, same = through.argmin(), closed.argmin()
        ways = np.array([[here[n], there[n]] for n in (nearest, same)])
        return cls(nodes, starts, source, before, float(through[nearest]), float(closed[same]), ways)

    def path(self) -> np.ndarray:
        """(P,) nodes of the cheapest closed path found, the first not repeated."""
        there, back = (_traced(self.before, end) % self.nodes for end in self.ways[1])
        return np.concatenate([there, back[-2:0:-1]])

    def parting(self) -> int:
        """How many of the starts go to the first part, so that the ends of the cheapest way are parted."""
        one, other = (np.flatnonzero(self.starts == self.source[end])[0] for end in self.ways[0])
        return int(one + other + 1) // 2


def _traced(before: np.ndarray, end: int) -> np.ndarray:
    """The nodes from a search's start to `end`."""
    nodes, node = [], end
    while node >= 0:
        nodes.append(node)
        node = before[node]
    return np.array(nodes[::-1])


def _one_side(across: np.ndarray) -> np.ndarray:
    """(S,) the nodes on one side of a cut that the edges (K, 2) lead across, in their order along it; on both sides where the edges do not
    tell which is which."""
    used, ends = np.unique(across, return_inverse=True)
    if not len(used):
        return used
    ends = ends.reshape(-1, 2)
    strip = csr_array((np.ones(len(ends)), tuple(ends.T)), shape=(len(used),) * 2)
    end = 0
    for _ in range(2):  # from anywhere to one end of the cut, from there along it
        hops = dijkstra(strip, directed=False, unweighted=True, indices=end)
        end = int(np.where(np.isfinite(hops), hops, -1).argmax())
    odd = np.where(np.isfinite(hops), hops, 0) % 2 == 1
    sides_are_clear = np.isfinite(hops).all() and (odd[ends[:, 0]] != odd[ends[:, 1]]).all()
    chosen = np.flatnonzero(odd == (2 * odd.sum() < len(odd)) if sides_are_clear else hops >= 0)
    return used[chosen[np.argsort(hops[chosen], kind="stable")]]

"""Paths in a band: what its edges cost, and how a path of vertices becomes one across triangles."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from .bands import Band
from .encircling_paths import CutGraph, lexicographic_cost
from .mesh_graph import FineGraph, MeshGraph

CORRIDOR_RINGS, STRAIGHTENINGS = 2, 4
"""The path is straightened among triangles within so many edges of it, at most so many times, and once more within one edge."""
COARSE_POINTS, FINE_POINTS = 2, 4
"""Points along each edge meanwhile and in the end. With 2, 4 and 6 lengths are 2, 0.5 and 0.2 % above geodesics (Docs/gaps.md)."""


def edge_costs(mesh: MeshGraph, band: Band, level: np.ndarray) -> np.ndarray:
    """(E,) costs of the edges of the band's graph; `level` (N,) is above 0 in scar."""
    diagonals = mesh.diagonals
    low, high = level[mesh.edges[band.edges]].T
    lengths = mesh.lengths_mm[band.edges]
    crossing = band.diagonals
    one, other = level[diagonals.ends[crossing]].T
    share = diagonals.share[crossing]
    across = level[mesh.edges[diagonals.across[crossing]]]
    between = across[:, 0] * (1 - share) + across[:, 1] * share
    before, after = diagonals.lengths_mm[crossing].T
    return lexicographic_cost(
        np.concatenate([lengths * healthy_share(low, high), before * healthy_share(one, between) + after * healthy_share(between, other)]),
        np.concatenate([lengths, before + after]),
    )


def healthy_share(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which share of a straight line is healthy, whose level is linear between `one` and `other`; scar is above 0."""
    span = np.abs(one - other)
    return np.where((one > 0) == (other > 0), (one <= 0) * 1.0, -np.minimum(one, other) / np.where(span > 0, span, 1.0))


def straightened(mesh: MeshGraph, band: Band, path: np.ndarray, level: np.ndarray) -> tuple[FineGraph, np.ndarray | None]:
    """The least path (P,) among the points along the edges near a path of vertices: its healthy tissue and its length are geodesics',
    not those of a zigzag. Repeated around the new path until it stays clear of the corridor's border; None where no triangle is there."""
    edges = mesh.edges[band.edges]
    for _ in range(STRAIGHTENINGS):
        corridor, inner = _widened(mesh, edges, path, CORRIDOR_RINGS)
        fine, nodes = _least_in_corridor(mesh, band, corridor, edges, path, level, COARSE_POINTS)
        if nodes is None:
            return fine, None
        path = np.unique(fine.nearer[nodes])
        if inner[path].all():
            break
    corridor, _ = _widened(mesh, edges, path, 1)
    return _least_in_corridor(mesh, band, corridor, edges, path, level, FINE_POINTS)


def _least_in_corridor(
    mesh: MeshGraph, band: Band, corridor: np.ndarray, edges: np.ndarray, path: np.ndarray, level: np.ndarray, count: int
) -> tuple[FineGraph, np.ndarray | None]:
    """The triangles of a corridor (N + tips,) bool with `count` points along each edge, and the nodes (P,) of the path, None for none."""
    fine = FineGraph.of(mesh, band.triangles[corridor[mesh.closed[band.triangles]].all(axis=1)], count)
    crossed, cuts, separates = _as_one_cut(band, corridor, edges)
    at, positions = fine.at(level), fine.at(mesh.points)
    one, other = fine.links.T
    lengths = np.linalg.norm(positions[one] - positions[other], axis=1)
    graph = CutGraph(len(positions), fine.links, np.where(fine.link_edges < 0, 0, crossed[fine.link_edges]), cuts)
    costs = lexicographic_cost(lengths * healthy_share(at[one], at[other]), lengths)
    # On coarse meshes a path may also run along edges of which no triangle lies in the band.
    starts = path[np.isin(path, fine.corner[:, 0])]
    return fine, graph.tightened(costs, separates, np.flatnonzero(fine.corner[:, 0] == starts[0])[0]) if starts.size else None


def _widened(mesh: MeshGraph, edges: np.ndarray, path: np.ndarray, rings: int) -> tuple[np.ndarray, np.ndarray]:
    """(N + tips,) bool: the vertices within `rings` of the band's `edges` of a path, and those clear of that corridor's border (the
    band's own is none)."""
    near = np.zeros(mesh.vertices, dtype=bool)
    near[path] = True
    low, high = edges.T
    for _ in range(rings):
        touched = near[low] | near[high]
        near[low[touched]] = near[high[touched]] = True
    inner, at_border = near.copy(), near[low] != near[high]
    inner[low[at_border]] = inner[high[at_border]] = False
    return near, inner


def _as_one_cut(band: Band, corridor: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The cuts (E,) of the mesh's edges for paths within a corridor (N + tips,) bool, how many there are, and those to be crossed.

    A corridor mostly goes around once, and then one cut across it says all. To find it cuts are moved: passing a vertex, a cut swaps the
    edges there that cross it, which changes no closed path. Moved so that no edge of a tree crosses any, all cuts across the corridor
    lie on one another.
    """
    which = np.flatnonzero(corridor[edges[:, 0]] & corridor[edges[:, 1]])
    used, ends = np.unique(edges[which], return_inverse=True)
    ends, bits = ends.reshape(-1, 2), band.crossed[band.edges[which]]
    graph = csr_array((bits + 1.0, tuple(ends.T)), shape=(len(used),) * 2)
    order, before = breadth_first_order(graph, 0, directed=False)
    steps = np.asarray(graph[before[order[1:]], order[1:]] + graph[order[1:], before[order[1:]]]).ravel().astype(int) - 1
    moved = np.zeros(len(used), dtype=int)
    for node, previous, step in zip(order[1:].tolist(), before[order[1:]].tolist(), steps.tolist()):
        moved[node] = moved[previous] ^ step
    bits = bits ^ moved[ends[:, 0]] ^ moved[ends[:, 1]]
    if not np.isin(bits, (0, band.separates)).all():
        return band.crossed, band.graph.cuts, band.separates
    crossed = np.zeros(len(band.crossed), dtype=int)
    crossed[band.edges[which]] = bits != 0
    return crossed, 1, 1

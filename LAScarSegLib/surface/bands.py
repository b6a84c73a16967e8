"""The bands around the veins' ostia in which an encircling path is looked for, and the cuts that tell what a path encircles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra

from .encircling_paths import CutGraph
from .mesh_graph import MeshGraph
from .reuse import ByContent, TakesSteps, anew
from .surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface

SMALLEST_OPENING_MM = 25.0
"""A hole in the mesh with at least this rim is an opening that no path around another may take in: the smallest veins are 8 mm wide
(SCIENCE section 7). A smaller one is a fault of the mesh, and a path may pass it on either side."""
UPRIGHT = 0.95
"""Cosine of the angle to the long axis of the body beyond which an ostium has no superior side; anterior takes its place."""


@dataclass(frozen=True, eq=False)
class Band:
    """The part of a surface where paths around some veins run.

    around
        "LSPV" …, "left pair" or "right pair"; `veins` are their names.
    problem
        why no path can encircle them, None where one can; without one the rest is empty.
    vertices
        (n,) vertices of the surface in the band; the nodes of `graph`.
    edges, diagonals
        which edges and diagonals of the mesh are the edges of `graph`, in this order; `triangles` those of the mesh in the band.
    crossed
        (E,) the cuts that each edge of the mesh crosses, bit by bit; a path that encircles crosses those of `separates`.
    centre, axis, up
        (3,) the middle of the ostium, unit vectors into the vein and, across it, to the head.
    """

    around: str
    veins: tuple[str, ...]
    problem: str | None = None
    vertices: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    edges: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    diagonals: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    triangles: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    crossed: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=int))
    graph: CutGraph | None = None
    separates: int = 0
    centre: np.ndarray = field(default_factory=lambda: np.zeros(3))
    axis: np.ndarray = field(default_factory=lambda: np.zeros(3))
    up: np.ndarray = field(default_factory=lambda: np.zeros(3))

    def clock(self, point: np.ndarray) -> float:
        """Hours 0 … 12 of a point (3,) as seen from inside the LA looking into the vein: 12 is superior, 3 to the viewer's right.

        The viewer's right is anterior at left veins and posterior at right ones.
        """
        offset = point - self.centre
        hours = float(np.arctan2(offset @ np.cross(self.axis, self.up), offset @ self.up) * 6 / np.pi) % 12
        return hours if hours < 12 else 0.0  # −0 rounds up to 12


@dataclass(frozen=True, eq=False)
class BandShape(ByContent):
    """All that a band follows from beside the mesh: where the same is asked for again, it is the same band.

    inside
        (N + tips,) bool.
    hole, kinds
        the hole that each vertex beside it lies in, −1 in the band, and what each hole is (`BandBuilder._holes`).
    frame
        (3, 3) middle, axis and up (`BandBuilder._frame`).
    """

    around: str
    veins: tuple[str, ...]
    inside: np.ndarray
    hole: np.ndarray
    kinds: dict[int, str]
    frame: np.ndarray


class BandBuilder:
    """Makes the bands of one surface; keeps what all of them need. `steps` may remember the mesh's graph and bands that do not change."""

    def __init__(self, surface: Surface, steps: TakesSteps = anew) -> None:
        self.surface, self.steps = surface, steps
        self.mesh = steps(MeshGraph, surface.points, surface.triangles)
        self._graphs: dict[int, csr_array] = {}
        # Tips belong to what their hole is in.
        self.region = np.concatenate([surface.region, self._tip_regions()]).astype(int)
        self.is_tip = np.arange(len(self.region)) >= len(surface.points)

    def band(self, around: str, veins: Sequence[str], band_mm: float, inside_mm: float) -> Band:
        """The band around one or several veins together."""
        labels = [REGION_LABELS[name] for name in veins]
        for name, label in zip(veins, labels):
            if not self._rim(label, REGION_BODY).any():
                return Band(around, tuple(veins), f"{name} has no border with the LA body: {self._neighbours([label])}.")
        inside = self._inside(labels, band_mm, inside_mm)
        inside, hole, kinds = self._holes(inside, labels)
        problem = self._problem(kinds, veins, labels, inside_mm)
        if problem is None:
            shape = BandShape(around, tuple(veins), inside, hole, kinds, np.stack(self._frame(veins)))
            band = self.steps(drawn_band, self.mesh, shape)
            if band is not None:
                return band
            problem = self._broken(veins, labels)
        return Band(around, tuple(veins), problem)

    def _tip_regions(self) -> np.ndarray:
        """(tips,) of each hole in the mesh the region that most of its rim lies in."""
        border, hole = self.mesh.border
        return np.array([np.bincount(self.surface.region[border[hole == n]].ravel()).argmax() for n in range(self.mesh.tips)], dtype=int)

    @cached_property
    def _faults(self) -> np.ndarray:
        """(N + tips,) bool: the tips of holes that are too small for an opening."""
        border, hole = self.mesh.border
        length = np.linalg.norm(np.subtract(*self.surface.points[border].transpose(1, 0, 2)), axis=1)
        rim = np.bincount(hole, length, minlength=self.mesh.tips)
        return np.concatenate([np.zeros(len(self.surface.points), dtype=bool), rim < SMALLEST_OPENING_MM])

    def _rim(self, label: int, other: int | None = None) -> np.ndarray:
        """(E,) bool: edges of the mesh from the region `label` to `other` (None: any other), tips left out."""
        one, two = (self.region[ends] for ends in self.mesh.ends)
        real = self.mesh.within(~self.is_tip)
        if other is None:
            return real & ((one == label) != (two == label))
        return real & ((one == label) & (two == other) | (one == other) & (two == label))

    def _neighbours(self, labels: Sequence[int]) -> str:
        """Words for what the regions `labels` meet besides the body."""
        met = {int(r) for label in labels for r in self.region[self.mesh.edges[self._rim(label)]].ravel()} - {*labels, REGION_BODY}
        names = {number: name for name, number in REGION_LABELS.items()} | {REGION_EXCLUDED: "what lies beyond the mitral plane"}
        words = [names[number] for number in sorted(met)]
        border, _ = self.mesh.border
        if np.isin(self.surface.region[border], labels).any():
            words.append("the border of the mesh")
        return f"it meets {' and '.join(words)}" if words else "nothing of the surface was found beyond its plane"

    def _inside(self, labels: Sequence[int], band_mm: float, inside_mm: float) -> np.ndarray:
        """(N + tips,) bool: the body within `band_mm` of an ostium and the veins within `inside_mm` of theirs, along the surface."""
        inside = np.zeros(len(self.region), dtype=bool)
        rims = np.concatenate([self.mesh.edges[self._rim(label, REGION_BODY)].ravel() for label in labels])
        inside[self._reached(REGION_BODY, rims, band_mm) <= band_mm] = True
        for label in labels if inside_mm > 0 else ():
            own = (self.region == label) & ~self.is_tip
            depth = self._reached(label, self.mesh.edges[self._rim(label)].ravel(), np.inf)
            # Something of a short stump must stay: it is what a path goes around.
            inside[depth <= min(inside_mm, depth[own & np.isfinite(depth)].max() / 2)] = True
        return inside

    def _reached(self, label: int, starts: np.ndarray, limit_mm: float) -> np.ndarray:
        """(N + tips,) mm along the surface within the region `label` from those of `starts` that lie in it; infinite beyond."""
        if label not in self._graphs:
            self._graphs[label] = self._graph_within((self.region == label) & ~self.is_tip)
        return dijkstra(self._graphs[label], indices=np.unique(starts[self.region[starts] == label]), min_only=True, limit=limit_mm)

    def _graph_within(self, region: np.ndarray) -> csr_array:
        """Lengths of the edges and diagonals that lie in `region` (N + tips,) bool, both ways."""
        mesh, diagonals = self.mesh, self.mesh.diagonals
        edges = mesh.within(region)
        across = region[diagonals.ends[:, 0]] & region[diagonals.ends[:, 1]] & edges[diagonals.across]
        one, other = np.concatenate([mesh.edges[edges], diagonals.ends[across]]).T
        lengths = np.tile(np.concatenate([mesh.lengths_mm[edges], diagonals.lengths_mm[across].sum(axis=1)]), 2)
        return csr_array((lengths, (np.concatenate([one, other]), np.concatenate([other, one]))), shape=(len(region),) * 2)

    def _holes(self, inside: np.ndarray, labels: Sequence[int]) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
        """The band, the hole that each vertex beside it lies in (−1 in the band), and what each hole is: "vein", "outside", "both" or
        a "fault" in the mesh. Islands that only distance leaves out of the band join it."""
        hole = self._pieces(~inside)
        islands = self._islands(inside, hole, labels)
        if islands.any():
            inside = inside | islands
            hole = self._pieces(~inside)
        own = np.isin(self.region, labels)
        kinds = {}
        for n in range(hole.max(initial=-1) + 1):
            members = (hole == n) & ~self._faults
            vein, outside = (members & own).any(), (members & ~own).any()
            kinds[n] = "both" if vein and outside else "vein" if vein else "outside" if outside else "fault"
        return inside, hole, kinds

    def _islands(self, inside: np.ndarray, hole: np.ndarray, labels: Sequence[int]) -> np.ndarray:
        """(N + tips,) bool: those pieces `hole` beside the band that hold nothing but body or one vein, all but the largest of each."""
        sizes = np.bincount(hole[~inside], minlength=1)
        islands = np.zeros(len(sizes), dtype=bool)
        for region in (REGION_BODY, *labels):
            own = np.bincount(hole[~inside & (self.region == region) & ~self.is_tip], minlength=len(sizes))
            alone = (own > 0) & (own == sizes)
            alone[own.argmax()] = False
            islands |= alone
        return ~inside & islands[hole]

    def _pieces(self, region: np.ndarray) -> np.ndarray:
        """(N + tips,) number of the connected piece of `region` (N + tips,) bool, −1 elsewhere."""
        ends = self.mesh.edges[self.mesh.within(region)]
        graph = coo_array((np.ones(len(ends), dtype=np.int8), tuple(ends.T)), shape=(len(region),) * 2)
        label = connected_components(graph, directed=False)[1]
        piece = np.full(len(region), -1)
        piece[region] = np.unique(label[region], return_inverse=True)[1]
        return piece

    def _problem(self, kinds: dict[int, str], veins: Sequence[str], labels: Sequence[int], inside_mm: float) -> str | None:
        found = list(kinds.values())
        if "both" in found:
            return self._broken(veins, labels)
        if "vein" not in found:
            return f"Nothing of {' and '.join(veins)} lies deeper than {inside_mm:g} mm beyond its plane."
        return None if "outside" in found else "The band takes in the whole surface: give a smaller band_mm."

    def _broken(self, veins: Sequence[str], labels: Sequence[int]) -> str:
        return f"The band around {' and '.join(veins)} does not close: {self._neighbours(labels)}."

    def _frame(self, veins: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Middle, axis into the veins and the direction to the head across it, (3,) each, of an ostium or a pair."""
        points = self.surface.points
        centres, axes = [], []
        for label in (REGION_LABELS[name] for name in veins):
            rim = points[self.mesh.edges[self._rim(label)]].mean(axis=1)
            normal = np.linalg.svd(rim - rim.mean(axis=0), full_matrices=False)[2][-1]
            towards = points[self.surface.region == label].mean(axis=0) - rim.mean(axis=0)
            centres.append(rim.mean(axis=0))
            axes.append(normal * (1.0 if normal @ towards >= 0 else -1.0))
        axis = np.sum(axes, axis=0)
        axis /= max(np.linalg.norm(axis), 1e-9)
        up = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < UPRIGHT else np.array([0.0, -1.0, 0.0])
        up = up - (up @ axis) * axis
        return np.mean(centres, axis=0), axis, up / np.linalg.norm(up)


def drawn_band(mesh: MeshGraph, shape: BandShape) -> Band | None:
    """The band with its graph and cuts; None where it is broken."""
    crossed, separates, count = _cuts(mesh, shape.inside, shape.hole, shape.kinds)
    if not count:
        return None
    diagonals = mesh.diagonals
    here = shape.inside & (np.arange(mesh.vertices) < len(mesh.points))
    vertices = np.flatnonzero(here)
    local = np.full(mesh.vertices, -1)
    local[vertices] = np.arange(len(vertices))
    among = mesh.within(here)
    edges = np.flatnonzero(among)
    through = np.flatnonzero(here[diagonals.ends[:, 0]] & here[diagonals.ends[:, 1]] & among[diagonals.across])
    bits = crossed[diagonals.through[through, 0]] ^ crossed[diagonals.through[through, 1]]
    graph = CutGraph(
        len(vertices),
        local[np.concatenate([mesh.edges[edges], diagonals.ends[through]])],
        np.concatenate([crossed[edges], bits]),
        count,
    )
    triangles = np.flatnonzero(here[mesh.closed[:, 0]] & here[mesh.closed[:, 1]] & here[mesh.closed[:, 2]])
    return Band(shape.around, shape.veins, None, vertices, edges, through, triangles, crossed, graph, separates, *shape.frame)


def _cuts(mesh: MeshGraph, inside: np.ndarray, hole: np.ndarray, kinds: dict[int, str]) -> tuple[np.ndarray, int, int]:
    """(E,) bits of the cuts that each edge crosses, which of them a path that encircles crosses, and how many there are (0: the
    band is broken). The cuts lead from one vein to every other hole, from triangle to triangle, as short as possible."""
    root, *others = sorted((n for n, kind in kinds.items() if kind in ("vein", "outside")), key=lambda n: kinds[n] == "outside")
    joined = np.flatnonzero(mesh.within(inside & (np.arange(len(inside)) < len(mesh.points))))
    ends = mesh.edge_triangles[joined]
    size = len(mesh.closed)
    graph = coo_array((np.ones(len(ends)), tuple(ends.T)), shape=(size, size)).tocsr()
    number = coo_array((joined + 1.0, tuple(ends.T)), shape=(size, size)).tocsr()
    number = (number + number.T).tocsr()
    one, two, three = mesh.closed.T
    beside = np.where(inside[one] * 1 + inside[two] + inside[three] == 2, np.maximum.reduce([hole[one], hole[two], hole[three]]), -1)
    away, before = dijkstra(
        graph, directed=False, unweighted=True, indices=np.flatnonzero(beside == root), min_only=True, return_predecessors=True
    )[:2]
    crossed = np.zeros(len(mesh.edges), dtype=int)
    separates = 0
    for bit, other in enumerate(others):
        rim = np.flatnonzero(beside == other)
        if not len(rim) or not np.isfinite(away[rim].min()):
            return crossed, 0, 0
        triangle = rim[away[rim].argmin()]
        while before[triangle] >= 0:
            crossed[int(number[triangle, before[triangle]]) - 1] ^= 1 << bit
            triangle = before[triangle]
        separates |= (kinds[other] == "outside") << bit
    return crossed, separates, len(others)

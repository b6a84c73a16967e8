"""The body's map onto the disk: every vertex a weighted mean of its neighbours, the openings on their circles.

Weights are the cotangents of the harmonic map (Pinkall and Polthier 1993), kept positive, and then divided by how much the map of the
round before shrinks the surface (Yoshizawa, Belyaev, Seidel: "A fast and simple stretch-minimizing mesh parameterization", SMI 2004):
the harmonic map keeps angles and crowds the back wall, a few rounds spread it out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from scipy.sparse.linalg import splu

from .foldovers import LINE_WEIGHT, Holds
from .open_body import OpenBody
from .planes import MITRAL
from .standard_disk import DISK_RADIUS, TRUNKS, standard_hole

ROUNDS = 4
"""Of the weights' correction. Measured in Docs/flat_map.md: more rounds win little and bend angles."""
SMALLEST_WEIGHT = 0.02
"""Of the mean weight of a triangle: a cotangent below (an angle above 89°) is raised to it, since negative weights fold maps."""
BACK_WALL_LINES = (("LSPV", "RSPV"), ("LIPV", "RIPV"))
"""The back wall's upper and lower border: LA_flattening's lines between the superior and between the inferior veins."""
STARTS, TURNS, SETTLED = 8, 500, 1e-9
"""The openings' turns are sought from 8 starting angles by so many sweeps at most, until no turn changes by more than 1e-9."""


def disk_positions(body: OpenBody) -> tuple[np.ndarray, Holds]:
    """(K, 2) position of every vertex of the body, its gaps filled, on the standard disk, and what holds it there.

    Along each opening's circle the vertices lie as their distances along its edge; how far each circle is turned, the rim included, is
    what makes the sum of squared stretches least. The shortest ways between the superior and between the inferior veins are drawn towards
    the straight lines between them, so that the back wall lies where it does in the standard. So the map follows from the surface alone,
    whichever way the patient lies.
    """
    mesh = _Springs.of(body)
    fixed, edges = _edge_positions(body, mesh.vertices)
    lines = _back_wall_lines(body, mesh)
    stiffness, turns, free = np.ones(len(mesh.triangles)), None, None
    for _ in range(ROUNDS + 1):
        uv, turns, free = _solve(mesh.laplacian(stiffness), fixed, edges, lines, turns, free)
        stiffness = stiffness * mesh.shrinking(uv)
        stiffness /= np.median(stiffness)
    return _plane(uv), _holds(body, mesh.vertices, lines)


def _plane(uv: np.ndarray) -> np.ndarray:
    """(…, 2) of complex places."""
    return np.stack([uv.real, uv.imag], axis=-1)


@dataclass(frozen=True, eq=False)
class _Springs:
    """The body, its gaps closed by a cone each, as a net of springs: `cotangents` (M, 3) of the angles opposite each side, `edge` (M, 3)
    the number of that side in `ends` (E, 2), `area` (M,)."""

    vertices: int
    triangles: np.ndarray
    cotangents: np.ndarray
    area: np.ndarray
    edge: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, body: OpenBody) -> _Springs:
        points, triangles = body.filled
        corners = points[triangles]
        sides = np.stack([corners[:, 2] - corners[:, 1], corners[:, 0] - corners[:, 2], corners[:, 1] - corners[:, 0]], axis=1)
        twice = np.maximum(np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1), 1e-12)
        dots = np.stack([np.einsum("ij,ij->i", sides[:, (k + 1) % 3], sides[:, (k + 2) % 3]) for k in range(3)], axis=1)
        pairs = np.sort(triangles[:, [[1, 2], [2, 0], [0, 1]]], axis=2).reshape(-1, 2)
        keys, edge = np.unique(pairs[:, 0] * len(points) + pairs[:, 1], return_inverse=True)
        ends = np.stack([keys // len(points), keys % len(points)], axis=1)
        return cls(len(points), triangles, -dots / twice[:, None], twice / 2, edge.reshape(-1, 3), ends)

    def laplacian(self, stiffness: np.ndarray) -> csr_array:
        """(K, K) weights of the springs, negative, and their sums on the diagonal; `stiffness` (M,) of the triangles."""
        each = (self.cotangents * stiffness[:, None]).ravel() / 2
        weight = np.bincount(self.edge.ravel(), each)
        mean = np.bincount(self.edge.ravel(), np.repeat(stiffness, 3))
        weight = np.maximum(weight, SMALLEST_WEIGHT * mean)
        a, b = self.ends.T
        total = np.bincount(a, weight, minlength=self.vertices) + np.bincount(b, weight, minlength=self.vertices)
        diagonal = np.arange(self.vertices)
        entries = np.concatenate([-weight, -weight, total]), (np.concatenate([a, b, diagonal]), np.concatenate([b, a, diagonal]))
        return coo_array(entries, shape=(self.vertices,) * 2).tocsr()

    def shrinking(self, uv: np.ndarray) -> np.ndarray:
        """(M,) how many times smaller or larger the map is than the surface, as a length, smoothed over neighbours; `uv` (K,) complex."""
        q = uv[self.triangles]
        squared = np.abs(np.stack([q[:, 2] - q[:, 1], q[:, 0] - q[:, 2], q[:, 1] - q[:, 0]], axis=1)) ** 2
        stretch = np.sqrt(np.maximum((self.cotangents * squared).sum(axis=1) / (4 * self.area), 1e-18))
        corners, area = self.triangles.ravel(), np.repeat(self.area, 3)
        at_vertices = np.bincount(corners, area * np.repeat(stretch, 3)) / np.bincount(corners, area)
        return at_vertices[self.triangles].mean(axis=1)


def _holds(body: OpenBody, vertices: int, lines: tuple[np.ndarray, np.ndarray]) -> Holds:
    circle = np.full(vertices, -1)
    for number, loop in enumerate(body.openings.values()):
        circle[loop] = number
    centres, radii = zip(*(((0.0, 0.0), DISK_RADIUS) if name == MITRAL else standard_hole(name) for name in body.openings))
    return Holds(circle, np.array(centres), np.array(radii), lines[0], _plane(lines[1]))


def _edge_positions(body: OpenBody, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """Which vertices (K,) bool lie on an opening, and (K, H + 1) complex: a column for each opening's circle around 0, the last for all
    their centres. Their sum, each circle turned, is where the edges lie."""
    fixed, edges = np.zeros(vertices, dtype=bool), np.zeros((vertices, len(body.openings) + 1), dtype=complex)
    for column, (name, loop) in enumerate(body.openings.items()):
        step = np.linalg.norm(body.points[np.roll(loop, -1)] - body.points[loop], axis=1)
        if name == MITRAL:
            step = _without_detours(body.points[loop], step, body.detour)
        around = 2j * np.pi * (np.cumsum(step) - step) / step.sum()
        fixed[loop] = True
        # The body is on the left of its edges: it lies inside the rim and outside the holes.
        if name == MITRAL:
            edges[loop, column] = DISK_RADIUS * np.exp(around)
        else:
            centre, radius = standard_hole(name)
            edges[loop, column], edges[loop, -1] = radius * np.exp(-around), complex(*centre)
    return fixed, edges


def _without_detours(edge: np.ndarray, step: np.ndarray, detour: np.ndarray) -> np.ndarray:
    """(R,) lengths of an edge (R, 3), in which a detour (R,) bool around another opening counts as the straight way past it: whether a
    millimetre of wall is left between the two must not turn the rest of the rim."""
    step, size = step.copy(), len(edge)
    starts = np.flatnonzero(detour & ~np.roll(detour, 1))
    for start in starts:
        length = int(np.argmin(np.roll(detour, -start)))
        sides = np.arange(start - 1, start + length) % size
        past_mm = np.linalg.norm(edge[(start + length) % size] - edge[start - 1])
        step[sides] *= (past_mm or step[sides].sum()) / step[sides].sum()
    return step


def _back_wall_lines(body: OpenBody, mesh: _Springs) -> tuple[np.ndarray, np.ndarray]:
    """Vertices on the shortest ways (L,), and their places (L,) complex on the straight lines from opening to opening."""
    used, places = [np.empty(0, dtype=int)], [np.empty(0, dtype=complex)]
    a, b = mesh.ends.T
    points = np.concatenate([body.points, np.full((mesh.vertices - len(body.points), 3), np.inf)])
    length = np.linalg.norm(points[a] - points[b], axis=1)
    real = np.isfinite(length)
    graph = coo_array((length[real], (a[real], b[real])), shape=(mesh.vertices,) * 2).tocsr()
    for line in BACK_WALL_LINES:
        start, end = (_opening_of(name, body) for name in line)
        if start is None or end is None:
            continue
        distance, before, _ = dijkstra(graph, directed=False, indices=body.openings[start], min_only=True, return_predecessors=True)
        way = [int(body.openings[end][distance[body.openings[end]].argmin()])]
        while before[way[-1]] >= 0:
            way.append(int(before[way[-1]]))
        (start_xy, start_radius), (end_xy, end_radius) = standard_hole(start), standard_hole(end)
        start_centre, end_centre = complex(*start_xy), complex(*end_xy)
        along = (end_centre - start_centre) / abs(end_centre - start_centre)
        share = distance[way] / distance[way[0]]
        first, last = start_centre + start_radius * along, end_centre - end_radius * along
        used.append(np.array(way[1:-1], dtype=int))
        places.append((first + share * (last - first))[1:-1])
    vertices, first = np.unique(np.concatenate(used), return_index=True)
    return vertices, np.concatenate(places)[first]


def _opening_of(vein: str, body: OpenBody) -> str | None:
    """The opening of a vein on this body: its own, or the common trunk; None where there is neither."""
    return next((name for name in (vein, *(trunk for trunk, veins in TRUNKS.items() if vein in veins)) if name in body.openings), None)


def _solve(
    laplacian: csr_array,
    fixed: np.ndarray,
    edges: np.ndarray,
    lines: tuple[np.ndarray, np.ndarray],
    turns: np.ndarray | None,
    order: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(K,) complex positions; the turns (H + 1,) of the circles that gave the least energy, which those found before lead to; and the
    vertices that are not fixed in the order in which they were eliminated: the next round's need not be sought."""
    on_line, places = lines
    hold = np.zeros(len(fixed))
    hold[on_line] = LINE_WEIGHT * laplacian.diagonal()[on_line]
    drawn = np.zeros_like(edges)
    drawn[on_line, -1] = hold[on_line] * places
    number = np.arange(len(fixed))
    held = (laplacian + coo_array((hold, (number, number)), shape=laplacian.shape)).tocsr()
    free, ordering = (np.flatnonzero(~fixed), "MMD_AT_PLUS_A") if order is None else (order, "NATURAL")
    rows, at_edges = held[free], np.flatnonzero(fixed)
    pull = drawn[free] - rows[:, at_edges] @ edges[at_edges]
    columnwise = {"panel_size": 1, "relax": 1}  # a mesh's factor has few columns alike; a third faster than SuperLU's panels of 20
    solver = splu(rows[:, free].tocsc(), ordering, diag_pivot_thresh=0.0, options={"SymmetricMode": True}, **columnwise)
    columns = edges.shape[1]
    solved = solver.solve(np.concatenate([pull.real, pull.imag], axis=1))
    parts = edges.copy()
    parts[free] = solved[:, :columns] + 1j * solved[:, columns:]
    # Half the energy's derivative by the positions is `held` · parts − drawn: 0 where they are free. The part without any turn does not
    # matter.
    energy = edges[at_edges].conj().T @ (held[at_edges] @ parts - drawn[at_edges]) - drawn.conj().T @ parts
    turns = _least_energy(energy, turns)
    return parts @ turns, turns, free[np.argsort(solver.perm_c)]


def _least_energy(energy: np.ndarray, start: np.ndarray | None) -> np.ndarray:
    """Unit numbers z (H + 1,), the last 1, with the least z* · `energy` · z: each in turn is set to its best given the others."""
    columns = len(energy)
    candidates = [start]
    if start is None:
        candidates = [np.append(np.full(columns - 1, np.exp(2j * np.pi * n / STARTS)), 1.0) for n in range(STARTS)]
    best, least = candidates[0], np.inf
    for turns in candidates:
        turns = turns.copy()
        for _ in range(TURNS):
            before = turns.copy()
            for k in range(columns - 1):
                pull = energy[k] @ turns - energy[k, k] * turns[k]
                # Without any other opening no turn is better than another.
                turns[k] = -pull / abs(pull) if abs(pull) > SETTLED * abs(energy[k, k]) else turns[k]
            if np.abs(turns - before).max() < SETTLED:
                break
        value = (turns.conj() @ energy @ turns).real
        if value < least:
            best, least = turns, value
    return best

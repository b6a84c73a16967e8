"""Triangles of a flat map that lie face down, turned over again, while the openings' edges slide along their circles.

Garanzha, Kaporin, Kudryavtseva, Protais, Ray, Sokolov: "Foldover-free maps in 50 lines of code", ACM TOG 40(4), 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.linalg import splu

from .descent import descended

FEW = 0.01
"""So many of the triangles lying face down are turned over where they lie, with their surroundings; with more the whole map moves."""
RINGS = 8
"""How many rows of triangles around those that lie face down may move where they are few."""
AREA_WEIGHT = 1.0
"""λ of the paper's energy: areas count as much as shapes. With 0.1 the smallest areas of real cavities are half as large."""
ROUNDS, STEPS = 30, 24
"""The regularisation is tightened so often, with so many steps each, until no triangle lies face down: 1 to 10 rounds on most real
cavities, 15 and more on the worst."""
POLISH = 20
"""More steps then, without regularisation: they spread out what was hardly turned over. Later ones win less than 1 % of the energy."""
SMALLEST = 1e-6
"""ε of the paper's second equation when nothing is folded."""
LOOSENING = 0.4
"""ε in units of the worst determinant: twice that of the paper's simple rule, ε² = 10⁻¹² + 0.04 · min(det, 0)², for fewer rounds."""
TIGHTENING = 0.1
"""ε falls to a tenth from round to round at most: a sudden fall leaves a few triangles stuck at a determinant of nearly 0."""
FLATTEST = 0.1
"""A triangle of the surface counts as at least this high, in units of √(its sides' squares): no map can keep the shape of a needle."""
LINE_WEIGHT = 0.1
"""How strongly a drawn vertex is drawn to its place, in units of its own springs together; in the harmonic map, too."""


@dataclass(frozen=True, eq=False)
class Holds:
    """What a map is held by.

    circle
        (K,) number of the circle that a vertex lies on, -1 for none.
    centres, radii
        (C, 2) and (C,) of the circles.
    drawn, places
        vertices (L,) that are drawn towards places (L, 2).
    """

    circle: np.ndarray
    centres: np.ndarray
    radii: np.ndarray
    drawn: np.ndarray
    places: np.ndarray


def signed_areas(uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(M,) area of each triangle of a map (K, 2), negative where it lies face down."""
    a, b, c = (uv[triangles[:, corner]] for corner in range(3))
    return ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2


def unfolded(uv: np.ndarray, points: np.ndarray, triangles: np.ndarray, holds: Holds) -> np.ndarray:
    """(K, 2) the map with its folds taken out, as far as that goes. A map without folds stays as it is.

    `points` (K, 3) is the surface, whose triangles those of the map shall resemble. Vertices on circles stay on them. Few folds move their
    surroundings alone.
    """
    for whole in (False, True):
        folded = signed_areas(uv, triangles) <= 0
        if not folded.any():
            break
        if not whole and folded.mean() > FEW:
            continue
        near = np.full(len(uv), whole)
        near[triangles[folded]] = True
        for _ in range(0 if whole else RINGS):
            near[triangles[near[triangles].any(axis=1)]] = True
        uv = _relaxed(_Sheet(uv, points, triangles[near[triangles].any(axis=1)], near, holds))
    return uv


def _relaxed(sheet: _Sheet) -> np.ndarray:
    """(K, 2) the sheet's map after the paper's minimisation."""
    at, epsilon = sheet.start, 0.0
    for _ in range(ROUNDS):
        lowest = sheet.lowest(at)
        if lowest > 0:
            break
        epsilon = max(float(np.hypot(SMALLEST, LOOSENING * lowest)), TIGHTENING * epsilon)
        at = sheet.relaxed(at, epsilon, STEPS, until_unfolded=True)
    if sheet.lowest(at) > 0:
        at = sheet.relaxed(at, SMALLEST, POLISH, until_unfolded=False)
    return sheet.places(at)


@dataclass(frozen=True, eq=False)
class _Sheet:
    """Triangles (M, 3) of a map `uv` (K, 2) whose vertices `moving` (K,) bool may move: those on circles along them, the others anywhere.

    What moves is one array: the x of those that are free, their y, and how far the others lie along their circles.
    """

    uv: np.ndarray
    points: np.ndarray
    triangles: np.ndarray
    moving: np.ndarray
    holds: Holds

    @cached_property
    def free(self) -> np.ndarray:
        return np.flatnonzero(self.moving & (self.holds.circle < 0))

    @cached_property
    def sliding(self) -> np.ndarray:
        return np.flatnonzero(self.moving & (self.holds.circle >= 0))

    @cached_property
    def _circles(self) -> tuple[np.ndarray, np.ndarray]:
        """Centre (S, 2) and radius (S,) for each sliding vertex."""
        circle = self.holds.circle[self.sliding]
        return self.holds.centres[circle], self.holds.radii[circle]

    @property
    def start(self) -> np.ndarray:
        centres, radii = self._circles
        x, y = (self.uv[self.sliding] - centres).T
        return np.concatenate([*self.uv[self.free].T, np.arctan2(y, x) * radii])

    def places(self, at: np.ndarray) -> np.ndarray:
        """(K, 2) the map."""
        centres, radii = self._circles
        count = len(self.free)
        angle = at[2 * count :] / radii
        uv = self.uv.copy()
        uv[self.free] = at[: 2 * count].reshape(2, -1).T
        uv[self.sliding] = centres + radii[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return uv

    @cached_property
    def _shapes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The surface's triangles, laid flat and scaled to the map: their sides' inverse [[p, q], [0, r]], three times (M,), and their
        shares of the area (M,)."""
        a, b, c = (self.points[self.triangles[:, corner]] for corner in range(3))
        length = np.maximum(np.linalg.norm(b - a, axis=1), 1e-9)
        x = np.einsum("ij,ij->i", c - a, b - a) / length
        y = np.linalg.norm(np.cross(b - a, c - a), axis=1) / length
        y = np.maximum(y, FLATTEST * np.sqrt(length**2 + x**2 + y**2))
        area = length * y / 2
        scale = np.sqrt(np.abs(signed_areas(self.uv, self.triangles)).sum() / area.sum())
        return 1 / (length * scale), -x / (length * y * scale), 1 / (y * scale), area / area.sum()

    @cached_property
    def _corners(self) -> list[csr_array]:
        """(K, M) for each corner: sums over the triangles at a vertex."""
        count = np.arange(len(self.triangles))
        shape = (len(self.uv), len(count))
        return [coo_array((np.ones(len(count)), (self.triangles[:, k], count)), shape=shape).tocsr() for k in range(3)]

    def _jacobians(self, uv: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """[[a, b], [c, d]] of the map on each triangle, and its determinant, five times (M,)."""
        p, q, r, _ = self._shapes
        x, y = uv.T
        first, second, third = self.triangles.T
        ax, ay, bx, by = x[second] - x[first], y[second] - y[first], x[third] - x[first], y[third] - y[first]
        a, b, c, d = ax * p, ax * q + bx * r, ay * p, ay * q + by * r
        return a, b, c, d, a * d - b * c

    def lowest(self, at: np.ndarray) -> float:
        return float(self._jacobians(self.places(at))[-1].min())

    def relaxed(self, at: np.ndarray, epsilon: float, steps: int, until_unfolded: bool) -> np.ndarray:
        pull = self._pull
        return descended(
            lambda where: self._energy(where, epsilon, pull),
            self._springs(at, epsilon, pull),
            at,
            steps,
            lambda where: until_unfolded and self.lowest(where) > 0,
        )

    @cached_property
    def _pull(self) -> np.ndarray:
        """(K,) how strongly each vertex is drawn to its place."""
        weight = self._shapes[-1]
        pull = np.zeros(len(self.uv))
        pull[self.holds.drawn] = LINE_WEIGHT * self._net(weight).diagonal()[self.holds.drawn]
        return pull

    def _energy(self, at: np.ndarray, epsilon: float, pull: np.ndarray) -> tuple[float, np.ndarray]:
        """The paper's regularised energy, tr(JᵀJ)/χ + λ (det² + 1)/χ, with that of the drawn vertices, and its slope."""
        uv = self.places(at)
        p, q, r, weight = self._shapes
        a, b, c, d, det = self._jacobians(uv)
        chi, root = _chi(det, epsilon)
        top = a * a + b * b + c * c + d * d + AREA_WEIGHT * (det * det + 1)
        each = weight / chi
        by_det = each * (2 * AREA_WEIGHT * det - top / root)
        by_a, by_b, by_c, by_d = 2 * each * a + by_det * d, 2 * each * b - by_det * c, 2 * each * c - by_det * b, 2 * each * d + by_det * a
        off = np.zeros_like(uv)
        off[self.holds.drawn] = uv[self.holds.drawn] - self.holds.places
        slope = 2 * pull[:, None] * off
        for axis, (by_first, by_second) in enumerate(((by_a, by_b), (by_c, by_d))):
            second, third = by_first * p + by_second * q, by_second * r
            slope[:, axis] += self._corners[1] @ second + self._corners[2] @ third - self._corners[0] @ (second + third)
        value = float((each * top).sum() + (pull[:, None] * off**2).sum())
        return value, self._along(uv, slope)

    def _along(self, uv: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """A slope by the vertices' positions (K, 2) as one by what moves."""
        centres, radii = self._circles
        x, y = ((uv[self.sliding] - centres) / radii[:, None]).T
        return np.concatenate([*slope[self.free].T, slope[self.sliding, 1] * x - slope[self.sliding, 0] * y])

    def _net(self, stiffness: np.ndarray) -> csr_array:
        """(K, K) half the second derivative of Σ stiffness (M,) · tr(JᵀJ) by the positions along one axis."""
        p, q, r, _ = self._shapes
        along, across = np.stack([-p, p, 0 * p], axis=1), np.stack([-q - r, q, r], axis=1)
        each = stiffness[:, None, None] * (along[:, :, None] * along[:, None] + across[:, :, None] * across[:, None])
        rows, columns = np.repeat(self.triangles, 3, axis=1).ravel(), np.tile(self.triangles, (1, 3)).ravel()
        return coo_array((each.ravel(), (rows, columns)), shape=(len(self.uv),) * 2).tocsr()

    def _springs(self, at: np.ndarray, epsilon: float, pull: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        """Where a force moves the vertices if the energy's denominators stay as they are; those on circles each by itself."""
        chi, _ = _chi(self._jacobians(self.places(at))[-1], epsilon)
        number = np.arange(len(self.uv))
        net = 2 * (self._net(self._shapes[-1] / chi) + coo_array((pull, (number, number)), shape=(len(number),) * 2).tocsr())
        own, count = net.diagonal()[self.sliding], len(self.free)
        inner = net[self.free][:, self.free].tocsc()
        solver = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})

        def moved(force: np.ndarray) -> np.ndarray:
            inside = solver.solve(force[: 2 * count].reshape(2, -1).T)
            return np.concatenate([*inside.T, force[2 * count :] / own])

        return moved


def _chi(det: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray]:
    """The paper's χ(det), which stays above 0, and √(ε² + det²); χ'/χ is one over the latter."""
    root = np.hypot(epsilon, det)
    # (det + root) / 2 without cancellation where det is negative.
    return np.where(det > 0, (det + root) / 2, epsilon**2 / np.maximum(2 * (root - det), 1e-300)), root

"""Triangles of a flat map that lie face down, turned over again without moving its edges.

Garanzha, Kaporin, Kudryavtseva, Protais, Ray, Sokolov: "Foldover-free maps in 50 lines of code", ACM TOG 40(4), 2021.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.sparse import coo_array

RINGS = (8, 16)
"""How many rows of triangles around those that lie face down may move; more in the next attempt if that was too few."""
AREA_WEIGHT = 0.1
"""λ of the paper's energy: what keeping areas counts beside keeping shapes."""
ROUNDS, STEPS = 6, 60
"""The regularisation is tightened so often, with so many L-BFGS steps each; it ends when no triangle lies face down."""
MOST_FOLDED = 0.05
"""A larger share of the triangles is not turned over: that is no fold but another map, and the search for it takes minutes."""
SMALLEST = 1e-6
"""ε of the paper's second equation when nothing is folded."""
LOOSENING = 0.2
"""ε in units of the worst determinant (the paper's simple rule: ε² = 10⁻¹² + 0.04 · min(det, 0)²)."""


def signed_areas(uv: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(M,) area of each triangle of a map (K, 2), negative where it lies face down."""
    a, b, c = (uv[triangles[:, corner]] for corner in range(3))
    return ((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2


def unfolded(
    uv: np.ndarray, points: np.ndarray, triangles: np.ndarray, fixed: np.ndarray, attempts: tuple[int, ...] = RINGS, rounds: int = ROUNDS
) -> np.ndarray:
    """(K, 2) the map with its folds taken out as far as that goes, and while they are few; vertices that are `fixed` (K,) bool, or far from a fold, stay.

    `points` (K, 3) is the surface, whose triangles the moved ones shall resemble; `attempts` are rows of triangles, each tried after the
    one before has failed.
    """
    for rings in attempts:
        folded = signed_areas(uv, triangles) <= 0
        if not folded.any() or folded.mean() > MOST_FOLDED:
            break
        near = np.zeros(len(uv), dtype=bool)
        near[triangles[folded]] = True
        for _ in range(rings):
            near[triangles[near[triangles].any(axis=1)]] = True
        free = near & ~fixed
        uv = _relaxed(uv, points, triangles[free[triangles].any(axis=1)], free, rounds)
    return uv


def _relaxed(uv: np.ndarray, points: np.ndarray, triangles: np.ndarray, free: np.ndarray, rounds: int) -> np.ndarray:
    """The map after the paper's minimisation over the `free` vertices of `triangles`."""
    gradients, area = _rest_shapes(uv, points, triangles)
    moving = np.flatnonzero(free)
    number = np.full(len(uv), -1)
    number[moving] = np.arange(len(moving))
    corners = number[triangles]
    held = corners >= 0
    gather = coo_array((np.ones(held.sum()), (corners[held], np.flatnonzero(held.ravel()))), shape=(len(moving), corners.size)).tocsr()

    def energy(flat: np.ndarray, epsilon: float) -> tuple[float, np.ndarray]:
        placed = uv.copy()
        placed[moving] = flat.reshape(-1, 2)
        value, slope = _energy(placed[triangles], gradients, area, epsilon)
        return value, (gather @ slope.reshape(-1, 2)).ravel()

    def is_unfolded(flat: np.ndarray) -> bool:
        placed = uv.copy()
        placed[moving] = flat.reshape(-1, 2)
        return bool((signed_areas(placed, triangles) > 0).all())

    def until_unfolded(flat: np.ndarray) -> None:
        if is_unfolded(flat):
            raise StopIteration

    flat = uv[moving].ravel()
    for _ in range(rounds):
        placed = uv.copy()
        placed[moving] = flat.reshape(-1, 2)
        lowest = _determinants(placed[triangles], gradients)[1].min()
        epsilon = float(np.hypot(SMALLEST, LOOSENING * min(lowest, 0.0)))
        found = minimize(energy, flat, args=(epsilon,), jac=True, method="L-BFGS-B", callback=until_unfolded, options={"maxiter": STEPS})
        flat = found.x
        if lowest > 0 or is_unfolded(flat):
            break
    placed = uv.copy()
    placed[moving] = flat.reshape(-1, 2)
    return placed


def _rest_shapes(uv: np.ndarray, points: np.ndarray, triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(M, 3, 2) gradients of the corners' hat functions on the surface's triangles, scaled to the map's size, and their areas (M,)."""
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    along = b - a
    length = np.linalg.norm(along, axis=1)
    x = np.einsum("ij,ij->i", c - a, along) / length
    y = np.linalg.norm(np.cross(along, c - a), axis=1) / length
    area = length * y / 2
    scale = np.sqrt(np.abs(signed_areas(uv, triangles)).sum() / area.sum())
    length, x, y = length * scale, x * scale, y * scale
    zero = np.zeros_like(length)
    edges = np.stack([np.stack([length, zero], -1), np.stack([x, y], -1)], axis=1)
    inverse = np.linalg.inv(edges)
    gradients = np.stack([-inverse[:, :, 0] - inverse[:, :, 1], inverse[:, :, 0], inverse[:, :, 1]], axis=1)
    return gradients, area / area.sum()


def _determinants(corners: np.ndarray, gradients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Jacobians (M, 2, 2) of the map on each triangle, and their determinants."""
    jacobian = np.einsum("mcu,mcx->mux", corners, gradients)
    return jacobian, jacobian[:, 0, 0] * jacobian[:, 1, 1] - jacobian[:, 0, 1] * jacobian[:, 1, 0]


def _energy(corners: np.ndarray, gradients: np.ndarray, area: np.ndarray, epsilon: float) -> tuple[float, np.ndarray]:
    """The paper's regularised energy, tr(JᵀJ)/χ + λ (det² + 1)/χ, and its slope (M, 3, 2) by the corners' positions."""
    jacobian, det = _determinants(corners, gradients)
    root = np.hypot(epsilon, det)
    # (det + root) / 2 without cancellation where det is negative.
    chi = np.where(det > 0, (det + root) / 2, epsilon**2 / np.maximum(2 * (root - det), 1e-300))
    chi_slope = chi / root
    top = (jacobian**2).sum(axis=(1, 2)) + AREA_WEIGHT * (det**2 + 1)
    cofactor = np.stack([jacobian[:, 1, 1], -jacobian[:, 1, 0], -jacobian[:, 0, 1], jacobian[:, 0, 0]], axis=-1).reshape(-1, 2, 2)
    by_det = 2 * AREA_WEIGHT * det / chi - top * chi_slope / chi**2
    slope = 2 * jacobian / chi[:, None, None] + by_det[:, None, None] * cofactor
    return float((area * top / chi).sum()), np.einsum("m,mux,mcx->mcu", area, slope, gradients)

"""Minimising a smooth energy of many positions: L-BFGS whose first guess of the curvature is a net of springs.

Liu, Bouaziz, Kavan: "Quasi-Newton methods for real-time simulation of hyperelastic materials", ACM TOG 36(3), 2017. The springs carry a
change across the whole mesh in one step, where plain L-BFGS takes hundreds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np

MEMORY = 8
"""So many of the last steps shape the next one (their paper's 5 to 10)."""
DECREASE = 1e-4
"""A step is taken when the energy falls by this share of what its slope promises (Armijo; Nocedal and Wright 2006, section 3.1)."""
HALVINGS = 20
"""Of a step that is too long, before the search ends."""
SETTLED = 1e-5
"""It ends too when a step wins less than this share of the energy."""

Energy = Callable[[np.ndarray], tuple[float, np.ndarray]]


def descended(
    energy: Energy, springs: Callable[[np.ndarray], np.ndarray], start: np.ndarray, steps: int, enough: Callable[[np.ndarray], bool]
) -> np.ndarray:
    """(N,) after at most so many steps down from `start` (N,), or where it is `enough`.

    `energy` gives the value and its slope (N,); `springs` the positions (N,) to which a force (N,) moves the net.
    """
    at, (value, slope) = start, energy(start)
    past: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)
    for _ in range(steps):
        if enough(at):
            break
        way = -_expected_way(slope, past, springs)
        found = _stepped(energy, at, value, way, float(slope @ way))
        if found is None:
            break
        after, lower, new_slope = found
        moved, turned = after - at, new_slope - slope
        if moved @ turned > 1e-12 * np.linalg.norm(moved) * np.linalg.norm(turned):
            past.append((moved, turned))
        settled = value - lower < SETTLED * abs(value)
        at, value, slope = after, lower, new_slope
        if settled:
            break
    return at


def _expected_way(slope: np.ndarray, past: deque[tuple[np.ndarray, np.ndarray]], springs: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The two loops of L-BFGS (Nocedal 1980), the springs scaled to the last step."""
    way, shares = slope.copy(), []
    for moved, turned in reversed(past):
        shares.append((moved @ way) / (moved @ turned))
        way -= shares[-1] * turned
    way = springs(way)
    if past:
        moved, turned = past[-1]
        way *= (moved @ turned) / (turned @ springs(turned))
    for (moved, turned), share in zip(past, reversed(shares)):
        way += moved * (share - (turned @ way) / (moved @ turned))
    return way


def _stepped(energy: Energy, at: np.ndarray, value: float, way: np.ndarray, slope: float) -> tuple[np.ndarray, float, np.ndarray] | None:
    """The place, its energy and slope after a step along `way` that goes down far enough; None where there is none."""
    length = 1.0
    for _ in range(HALVINGS if slope < 0 else 0):
        after = at + length * way
        lower, new_slope = energy(after)
        if lower <= value + DECREASE * length * slope:
            return after, lower, new_slope
        # The lowest point of the parabola through what is known, but neither nearly nothing nor nearly all of the step.
        best = -slope * length / (2 * (lower - value - slope * length))
        length *= min(max(best, 0.1), 0.5)
    return None

"""Which part of a plane's rim goes round one opening, and which round a neighbour that the plane runs through, too."""

from __future__ import annotations

import numpy as np
from scipy.spatial import Delaunay, QhullError

SECTOR_DEG, CENTRING_STEPS = 15.0, 3
"""How near a rim comes in a direction is the least distance within so many degrees; the middle of a vein's is found in so many steps."""
MITRAL_ROUNDNESS, ROUNDNESS = 1.4, 2.2
"""A rim is nowhere farther from its opening's middle than this many times the usual distance. The mitral annulus has axes of up to 1.3 : 1,
which reach 1.16 (1.7 : 1 reach 1.39); a vein or the appendage may be cut obliquely, up to 3 : 1."""
HALF_ROUNDING = 1e-9
MIDDLE_REACH_MM, ABOUT_AS_LARGE = 10.0, 0.97
"""The middle of the mitral annulus (radius 15–19 mm) lies at most so far from where somebody put the plane's origin; circles of 0.97 of the
largest one's radius count like it."""


def around_opening(rim: np.ndarray, origin: np.ndarray, normal: np.ndarray, mitral: bool) -> np.ndarray:
    """(R,) bool: which points of a rim (R, 3) mm go round the plane's origin (3,) as one opening does; the others belong to a neighbour.

    An opening is about as far away in every direction; its middle is found from the rim, since planes are clicked to a few millimetres.
    That of the mitral annulus, which the appendage's base often hangs on, is the middle of the largest circle that fits in.
    """
    # Which two axes these are matters nowhere below: they don't follow from the plane.
    across = np.linalg.svd(normal[None])[2][1:]
    flat = (rim - origin) @ across.T
    if mitral:
        offsets = flat - _largest_circle(flat)
        return np.hypot(*offsets.T) <= MITRAL_ROUNDNESS * _usual_radius(offsets)
    middle = np.zeros(2)
    for _ in range(CENTRING_STEPS):
        offsets = flat - middle
        opening = np.hypot(*offsets.T) <= ROUNDNESS * _usual_radius(offsets)
        middle = middle + offsets[opening].mean(axis=0)
    return opening


def _largest_circle(rim: np.ndarray) -> np.ndarray:
    """(2,) the middle, within reach of 0, of the largest circle without a point of a rim (R, 2) inside; 0 where there is none.

    It is one of those through three points whose triangle is Delaunay's; of several nearly as large ones the mean.
    """
    try:
        a, b, c = np.moveaxis(rim[Delaunay(rim).simplices], 1, 0)
    except (QhullError, ValueError):
        return np.zeros(2)
    to_a, to_b = a - c, b - c
    twice_area = 2 * (to_a[:, 0] * to_b[:, 1] - to_a[:, 1] * to_b[:, 0])
    thick = np.abs(twice_area) > 1e-9
    squared_a, squared_b = (np.einsum("ij,ij->i", v, v)[:, None] for v in (to_a, to_b))
    turned = (squared_a * to_b - squared_b * to_a)[thick] / twice_area[thick, None]
    offset = np.stack([turned[:, 1], -turned[:, 0]], axis=1)
    middle, radius = c[thick] + offset, np.hypot(*offset.T)
    near = np.hypot(*middle.T) <= MIDDLE_REACH_MM
    if not near.any():
        return np.zeros(2)
    return middle[near][radius[near] >= ABOUT_AS_LARGE * radius[near].max()].mean(axis=0)


def _usual_radius(offsets: np.ndarray) -> float:
    """The median over all directions of how near a rim comes to the middle, mm; `offsets` (R, 2) lead from there to the rim.

    How near it comes in a direction is the least distance within a sector around that direction. Every point of the rim stands for the
    directions nearest to it, at most half a sector to either side, so that where there is no rim nothing counts. No sector has a place of
    its own: a rim that is turned or mirrored has the same radius.
    """
    sector = np.radians(SECTOR_DEG)
    order = np.argsort(np.arctan2(offsets[:, 1], offsets[:, 0]))
    distance, angle = np.hypot(*offsets[order].T), np.arctan2(offsets[order, 1], offsets[order, 0])
    apart = np.abs((angle[:, None] - angle + np.pi) % (2 * np.pi) - np.pi)
    nearest = np.where(apart <= sector / 2, distance, np.inf).min(axis=1)
    to_next = np.minimum(np.diff(angle, append=angle[0] + 2 * np.pi), sector)
    share = (to_next + np.roll(to_next, 1)) / 2
    by_distance = np.argsort(nearest)
    counted = np.cumsum(share[by_distance])
    # Where half of all directions ends right between two, rounding must not choose.
    halves = counted[-1] * (0.5 + HALF_ROUNDING * np.array([-1, 1]))
    return float(nearest[by_distance][np.searchsorted(counted, halves)].mean())

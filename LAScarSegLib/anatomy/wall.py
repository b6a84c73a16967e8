"""The atrial wall from a cavity mask: the one that is measured, and the bands the published networks were given."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..volumes.volume import HEADER_ROUNDING_MM

WALL_OUTSIDE_MM = 2.5
"""How far the measured wall reaches outside the cavity, unless somebody asks for another one (SCIENCE section 2)."""
TWO_STAGE_RADIUS_MM = 2.0
"""Radius of two_stage_sdm's dilation and erosion (Kundu & Linte 2026, eq 3)."""
PROGRESSIVE_INSIDE_MM, PROGRESSIVE_OUTSIDE_MM = 3.0, 2.5
"""Reach of progressive's wall (Zhang J. et al. 2026, eq 6)."""
UNCERTAINTY_MM = 3.0
"""Half-width of the boundary uncertainty band (Kundu & Linte 2026, eq 7: 0.25 of the map clipped at 12 mm)."""


def measured_wall(outside_distance_mm: np.ndarray, thickness_mm: float) -> np.ndarray:
    """The wall of every clinical number: voxels up to `thickness_mm` outside the cavity, disjoint from it.

    outside_distance_mm (k, j, i): distance in mm to the nearest cavity voxel, 0 in the cavity. Returns bool.
    """
    # Slices are often exactly one thickness apart (2.5 mm): without the tolerance, rounding decides on the whole roof and floor.
    return (outside_distance_mm > 0) & (outside_distance_mm <= thickness_mm + HEADER_ROUNDING_MM)


def wall_between(sdm_cavity_mm: np.ndarray, outside_mm: float, inside_mm: float) -> np.ndarray:
    """The wall in true mm on both sides: −outside ≤ SDM ≤ inside (progressive eq 6 with 2.5 and 3.0 mm). Returns bool."""
    return (sdm_cavity_mm >= -outside_mm) & (sdm_cavity_mm <= inside_mm)


def two_stage_band(cavity: np.ndarray, spacing_kji: Sequence[float]) -> np.ndarray:
    """two_stage_sdm's wall: dilate(M, r) XOR erode(M, r), r = max(1, round(2 mm / min(sx, sy))) voxels, in-plane disk.

    cavity (k, j, i) bool; returns bool (eqs 2–4). A network input and a loss region, never the denominator of a number.
    """
    radius = max(1, round(TWO_STAGE_RADIUS_MM / min(spacing_kji[1:])))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (y * y + x * x <= radius * radius)[None]
    return ndimage.binary_dilation(cavity, disk) ^ ndimage.binary_erosion(cavity, disk, border_value=1)


def uncertainty_band(sdm_wall_mm: np.ndarray) -> np.ndarray:
    """The boundary uncertainty band (BUB): |SDM of the wall| < 3 mm. Returns bool (two_stage_sdm eq 7, in mm)."""
    return np.abs(sdm_wall_mm) < UNCERTAINTY_MM


def effective_region(wall: np.ndarray, sdm_wall_mm: np.ndarray) -> np.ndarray:
    """R_eff = wall ∪ BUB, where two_stage_sdm's losses are taken (eq 8). Returns bool."""
    return wall | uncertainty_band(sdm_wall_mm)

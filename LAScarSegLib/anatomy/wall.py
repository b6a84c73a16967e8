"""The atrial wall from a cavity mask: the one that is measured, and the bands the published networks were given."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..support.flags import QualityFlag
from ..volumes.volume import HEADER_ROUNDING_MM

WALL_OUTSIDE_MM = 2.5
"""How far the measured wall reaches outside the cavity, unless somebody asks for another one (SCIENCE section 2)."""
TWO_STAGE_RADIUS_MM = 2.0
"""Radius of two_stage_sdm's dilation and erosion (Kundu & Linte 2026, eq 3)."""
PROGRESSIVE_INSIDE_MM, PROGRESSIVE_OUTSIDE_MM = 3.0, 2.5
"""Reach of progressive's wall (Zhang J. et al. 2026, eq 6)."""
FAR_MM = 10.0
"""Nothing this far from the blood is this atrium's wall: it is 0.5–7 mm thick (Beinart et al., JACC 2011: 1.9 ± 0.9 mm, up to 7 mm by CT)."""
MAX_FAR_PCT, MAX_FAR_ML = 1.0, 0.2
"""Both walls at hand (CARMA's) have none so far away; specks are no other chamber's wall."""
MAX_MEDIAN_MM = 3.5
"""Half of a wall lies within half its thickness of the cavity: this is a wall 7 mm thick all around. CARMA's two have 1.4 mm."""
UNCERTAINTY_MM = 3.0
"""Half-width of the boundary uncertainty band (Kundu & Linte 2026, eq 7: 0.25 of the map clipped at 12 mm)."""


def measured_wall(outside_distance_mm: np.ndarray, thickness_mm: float) -> np.ndarray:
    """The wall of every clinical number: voxels up to `thickness_mm` outside the cavity, disjoint from it.

    outside_distance_mm (k, j, i): distance in mm to the nearest cavity voxel, 0 in the cavity. Returns bool.
    """
    # Slices are often exactly one thickness apart (2.5 mm): without the tolerance, rounding decides on the whole roof and floor.
    return (outside_distance_mm > 0) & (outside_distance_mm <= thickness_mm + HEADER_ROUNDING_MM)


def check_wall(wall: np.ndarray, outside_distance_mm: np.ndarray, voxel_volume_ml: float) -> tuple[QualityFlag, ...]:
    """Flag a wall that lies far from the cavity, as that of another chamber does, or is thicker than any.

    `wall` (k, j, i) bool, `outside_distance_mm` to the nearest cavity voxel in mm, known at least up to `FAR_MM`.
    """
    distances = outside_distance_mm[wall]
    if not distances.size:
        return ()
    volume_ml, is_far = distances.size * voxel_volume_ml, distances > FAR_MM
    middle = 0.0 if is_far.all() else float(np.median(distances[~is_far]))
    if middle > MAX_MEDIAN_MM:
        message = (
            f"Half of the wall mask ({volume_ml:.0f} mL) lies more than {middle:.1f} mm from the cavity, so the wall is about {2 * middle:.0f} mm thick; "
            "atrial walls have 1–7 mm. Is it a region around the atrium, or is the cavity too small?"
        )
        return (QualityFlag("wall_too_thick", message),)
    far_ml = np.count_nonzero(is_far) * voxel_volume_ml
    if far_ml <= max(MAX_FAR_ML, MAX_FAR_PCT / 100 * volume_ml):
        return ()
    message = (
        f"{far_ml:.1f} of {volume_ml:.1f} mL of the wall mask lie more than {FAR_MM:g} mm from the cavity: it holds the wall of another chamber "
        "(both atria?), or the cavity lacks a part. Wall and scar volumes count them; give the wall of the left atrium only."
    )
    return (QualityFlag("wall_far_from_cavity", message),)


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

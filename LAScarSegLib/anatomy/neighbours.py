"""What a cavity goes on in: other labels of its file that it opens into, as a body without its veins does."""

from collections.abc import Iterable

import numpy as np
from scipy import ndimage

from ..support.flags import QualityFlag
from ..volumes.volume import Geometry

LEAST_OPENING_CM2 = 1.0
"""A vein's ostium has 0.8–3 cm² (10–20 mm); what touches less does so by rounding."""
THICKER_THAN_WALL_MM = 4.0
"""Deep inside: walls have up to 7 mm (`wall.FAR_MM`), so half of that; veins and appendage are 10 mm wide and more."""
LARGEST_SHARE = 0.5
"""Of the cavity's volume: veins and appendage are smaller, other chambers larger."""


def check_neighbours(cavity: np.ndarray, others: Iterable[tuple[str, np.ndarray]], geometry: Geometry) -> tuple[QualityFlag, ...]:
    """Flag labels that the cavity opens into without a wall between.

    Parameters
    ----------
    cavity
        (k, j, i) bool on `geometry`.
    others
        what else the file holds: the name for people, and its voxels (k, j, i) bool; they may overlap the cavity.
    """
    volume, found = np.count_nonzero(cavity), []
    for called, voxels in others:
        rest = voxels & ~cavity
        size = np.count_nonzero(rest)
        if not 0 < size <= LARGEST_SHARE * volume:
            continue
        opening = _common_faces_cm2(cavity, rest, geometry)
        if opening >= LEAST_OPENING_CM2 and _depth_mm(rest, geometry) > THICKER_THAN_WALL_MM:
            found.append(f"{called} ({size * geometry.voxel_volume_ml:.1f} mL, open to it over {opening:.1f} cm²)")
    if not found:
        return ()
    message = (
        f"The cavity goes on, without a wall between, in {' and '.join(found)} of the same file. If these are its veins or appendage, their openings "
        "count as its surface, and as wall unless one was given: choose them together with the cavity (--cavity-label once for each)."
    )
    return (QualityFlag("cavity_goes_on", message),)


def _common_faces_cm2(one: np.ndarray, other: np.ndarray, geometry: Geometry) -> float:
    spacing, area = geometry.spacing_kji, 0.0
    for axis in range(3):
        a, b = (np.moveaxis(array, axis, 0) for array in (one, other))
        faces = np.count_nonzero(a[1:] & b[:-1]) + np.count_nonzero(a[:-1] & b[1:])
        area += faces * np.prod(spacing) / spacing[axis]
    return float(area) / 100.0


def _depth_mm(mask: np.ndarray, geometry: Geometry) -> float:
    """How far its innermost voxel lies from its border."""
    (part,) = ndimage.find_objects(mask.astype(np.uint8))
    return float(ndimage.distance_transform_edt(np.pad(mask[part], 1), sampling=geometry.spacing_kji).max())

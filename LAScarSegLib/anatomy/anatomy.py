"""Everything that follows from the cavity mask alone: wall, depth, signed distance maps; all inside the cavity's box."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..volumes.volume import Geometry
from .distance import depth_inside, distance_to, signed_distance
from .wall import measured_wall

SDM_CLIP_MM = 12.0
"""Signed distance maps are clipped to ±12 mm (SCIENCE section 2); everything outside the box is −12."""


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A cavity and what follows from it; arrays (k, j, i) on `geometry`, the cavity's box.

    `cavity` and `wall` are bool and disjoint; `depth_mm` is the distance of cavity voxels to the nearest voxel outside
    (the image border is not outside), `outside_mm` that of the others to the nearest cavity voxel, as far as wall and maps
    reach (12 mm); both 0 elsewhere.
    """

    geometry: Geometry
    cavity: np.ndarray
    wall: np.ndarray
    depth_mm: np.ndarray
    outside_mm: np.ndarray

    @cached_property
    def sdm_cavity_mm(self) -> np.ndarray:
        """float32 mm, positive inside the cavity, clipped to ±12 (two_stage_sdm eq 1)."""
        return np.clip(self.depth_mm - self.outside_mm, -SDM_CLIP_MM, SDM_CLIP_MM)

    @cached_property
    def sdm_wall_mm(self) -> np.ndarray:
        """float32 mm, positive inside the wall, clipped to ±12 (two_stage_sdm eq 5, corrected)."""
        return signed_distance(self.wall, self.geometry.spacing_kji, SDM_CLIP_MM)


def build_anatomy(cavity: np.ndarray, geometry: Geometry, thickness_mm: float, given_wall: np.ndarray | None = None) -> Anatomy:
    """The wall and distances of a cavity (SCIENCE section 2).

    Parameters
    ----------
    cavity
        (k, j, i) bool on `geometry`, the box of the cavity.
    thickness_mm
        of the wall outside the cavity; not used when `given_wall` (k, j, i) is there.
    """
    # ITK and NumPy both give Python's lock away: with a second core the two take the time of one.
    with ThreadPoolExecutor(1) as beside:
        depth = beside.submit(depth_inside, cavity, geometry.spacing_kji)
        outside = distance_to(cavity, geometry.spacing_kji, max(SDM_CLIP_MM, thickness_mm))
    wall = measured_wall(outside, thickness_mm) if given_wall is None else given_wall & ~cavity
    return Anatomy(geometry, cavity, wall, depth.result(), outside)

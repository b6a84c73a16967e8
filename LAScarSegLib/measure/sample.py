"""What the numbers of one cavity are made of, so that another threshold costs one pass over a few arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..intensity.blood_pool import BloodPool
from ..intensity.curve import ThresholdCurve, share_above
from ..intensity.rules import Intensities

CURVE_STEP_IIR = 0.01
CURVE_FROM_IIR, CURVE_TO_IIR = 0.5, 2.5
"""The curve covers every preset in use (IIR 0.86–1.61) with room on both sides."""


@dataclass(frozen=True, eq=False)
class GivenScar:
    """Scar that came as a mask: which vertices it reaches (N,) bool, its voxels, and how many of them lie in the wall."""

    vertices: np.ndarray
    voxels: int
    wall_voxels: int


@dataclass(frozen=True, eq=False)
class Sample:
    """One cavity with its wall and surface, reduced to what is counted.

    wall_intensity
        (n,) grey levels of the wall's voxels.
    cavity_intensity
        (m,) grey levels of the cavity's voxels.
    wall_peak
        (N,) the brightest wall voxel along each vertex's normal, −inf where there is none: the vertex is scar at every
        threshold below it.
    vertex_area_mm2, is_wall
        (N,) area of each vertex; whether it is LA wall proper.
    has_planes
        exclusion planes were given, so that `is_wall` means something.
    """

    blood: BloodPool
    wall_intensity: np.ndarray
    cavity_intensity: np.ndarray
    wall_peak: np.ndarray
    vertex_area_mm2: np.ndarray
    is_wall: np.ndarray
    has_planes: bool
    la_volume_ml: float
    voxel_volume_ml: float
    given_scar: GivenScar | None = None

    @property
    def intensities(self) -> Intensities:
        """What an intensity rule may look at."""
        return Intensities(self.blood, self.wall_intensity, self.cavity_intensity)

    def scar_vertices(self, grey_level: float | None) -> np.ndarray:
        """(N,) bool: scar on the surface, above `grey_level`, or the given scar."""
        return self.given_scar.vertices if self.given_scar is not None else self.wall_peak > grey_level

    def curve(self, projected_intensity: np.ndarray) -> ThresholdCurve:
        """Scar by intensity at every threshold, whatever method was chosen; `projected_intensity` (N,) is the surface's `LGE`."""
        iir = np.arange(CURVE_FROM_IIR, CURVE_TO_IIR + CURVE_STEP_IIR / 2, CURVE_STEP_IIR)
        levels = iir * self.blood.mean
        by_wall = share_above(self.wall_peak[self.is_wall], self.vertex_area_mm2[self.is_wall], levels)
        return ThresholdCurve(
            threshold_intensity=levels,
            iir=iir,
            sd=(levels - self.blood.mean) / self.blood.sd if self.blood.sd > 0 else np.full(len(iir), np.nan),
            scar_area_pct=share_above(self.wall_peak, self.vertex_area_mm2, levels),
            scar_area_pct_wall=by_wall if self.has_planes else np.full(len(iir), np.nan),
            scar_pct_of_wall_volume=share_above(self.wall_intensity, None, levels),
            lge_area_pct=share_above(projected_intensity, self.vertex_area_mm2, levels),
        )


@dataclass(frozen=True, eq=False)
class CavityCounts:
    """What the numbers of one cavity are counted from: its sample, above which grey level wall is scar (None: a mask), and how."""

    sample: Sample
    grey_level: float | None
    parameter: float | None = None
    staging: str | None = None

    @cached_property
    def area_mm2(self) -> float:
        """Of the whole surface."""
        return self.sample.vertex_area_mm2.sum()

    @cached_property
    def area_of_wall_mm2(self) -> float:
        """Of the LA wall proper."""
        return self.sample.vertex_area_mm2[self.sample.is_wall].sum()

    @cached_property
    def scar_area_mm2(self) -> float:
        return self.sample.vertex_area_mm2[self._scar].sum()

    @cached_property
    def scar_area_on_wall_mm2(self) -> float:
        return self.sample.vertex_area_mm2[self._scar & self.sample.is_wall].sum()

    @cached_property
    def scar_voxels(self) -> int:
        given = self.sample.given_scar
        return given.voxels if given is not None else self._bright_wall_voxels

    @cached_property
    def scar_pct_of_wall_volume(self) -> float:
        given = self.sample.given_scar
        voxels = given.wall_voxels if given is not None else self._bright_wall_voxels
        return 100.0 * voxels / self.sample.wall_intensity.size

    @cached_property
    def _scar(self) -> np.ndarray:
        return self.sample.scar_vertices(self.grey_level)

    @cached_property
    def _bright_wall_voxels(self) -> int:
        return int((self.sample.wall_intensity > self.grey_level).sum())

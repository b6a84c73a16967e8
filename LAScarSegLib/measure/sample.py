"""What the numbers of one cavity are made of, so that another threshold costs one pass over a few arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..intensity.blood_pool import BloodPool
from ..intensity.curve import ThresholdCurve, share_above
from ..intensity.rules import Intensities
from ..surface.surface import CLASS_BORDER, CLASS_DENSE, CLASS_NONE, CLASS_NOT_MEASURED

CURVE_STEP_IIR = 0.01
CURVE_FROM_IIR, CURVE_TO_IIR = 0.5, 2.5
"""The curve covers every preset in use (IIR 0.86–1.61) with room on both sides."""


@dataclass(frozen=True, eq=False)
class GivenScar:
    """Scar that no threshold decides alone: a mask that was given, drawn, or found by a network.

    `vertices` (N,) bool: which it reaches; `in_wall` (n,) bool: which of the wall's voxels it is; `voxels` all of its voxels,
    `voxels_on_wall` those whose nearest vertex is LA wall proper.
    """

    vertices: np.ndarray
    in_wall: np.ndarray
    voxels: int
    voxels_on_wall: int


@dataclass(frozen=True, eq=False)
class Sample:
    """One cavity with its wall and surface, reduced to what is counted.

    wall_intensity, cavity_intensity
        (n,), (m,) grey levels of the wall's and of the cavity's voxels: what rules look at.
    surface_value
        (N,) what is compared with a threshold at each vertex: the brightest wall voxel along its normal, or the grey level of a
        layer; −inf where nothing was measured.
    wall_value
        (n,) what is compared at each voxel of the wall: its own grey level, or in a layer that of its nearest vertex.
    vertex_area_mm2, vertex_share
        (N,) area of each vertex; what it counts in shares of the surface: the area, or where a protocol counts triangles, these.
    is_wall, is_wall_voxel
        (N,), (n,) bool: whether a vertex, a wall voxel by its nearest vertex, is LA wall proper.
    has_planes
        exclusion planes were given, so that these two mean something.
    """

    blood: BloodPool
    wall_intensity: np.ndarray
    cavity_intensity: np.ndarray
    surface_value: np.ndarray
    wall_value: np.ndarray
    vertex_area_mm2: np.ndarray
    vertex_share: np.ndarray
    is_wall: np.ndarray
    is_wall_voxel: np.ndarray
    has_planes: bool
    la_volume_ml: float
    voxel_volume_ml: float
    given_scar: GivenScar | None = None

    @property
    def intensities(self) -> Intensities:
        """What an intensity rule may look at."""
        return Intensities(self.blood, self.wall_intensity, self.cavity_intensity)

    @cached_property
    def is_measured(self) -> np.ndarray:
        """(N,) bool: surface of which something is known; scar that was given or drawn is known whatever lies in front."""
        known = ~np.isneginf(self.surface_value)
        return known if self.given_scar is None else known | self.given_scar.vertices

    @cached_property
    def counts_as_wall(self) -> np.ndarray:
        """(N,) bool: LA wall proper that was measured, what every share of the wall proper is a share of."""
        return self.is_wall & self.is_measured

    def scar_vertices(self, grey_level: float | None) -> np.ndarray:
        """(N,) bool: scar on the surface, above `grey_level`, or the given scar."""
        return self.given_scar.vertices if self.given_scar is not None else self.surface_value > grey_level

    def scar_class(self, grey_level: float | None, dense_level: float | None) -> np.ndarray:
        """(N,) uint8: none, border, dense, not measured (`surface.CLASS_…`)."""
        scar = self.scar_vertices(grey_level)
        classes = np.where(scar, CLASS_BORDER, CLASS_NONE).astype(np.uint8)
        if dense_level is not None:
            classes[scar & (self.surface_value > dense_level)] = CLASS_DENSE
        classes[~self.is_measured] = CLASS_NOT_MEASURED
        return classes

    def curve(self, projected_intensity: np.ndarray) -> ThresholdCurve:
        """Scar by intensity at every threshold, whatever method was chosen; `projected_intensity` (N,) is the surface's `LGE`."""
        iir = np.arange(CURVE_FROM_IIR, CURVE_TO_IIR + CURVE_STEP_IIR / 2, CURVE_STEP_IIR)
        levels, wall, proper = iir * self.blood.mean, self.counts_as_wall, self.is_wall_voxel
        unknown = np.full(len(iir), np.nan)
        return ThresholdCurve(
            threshold_intensity=levels,
            iir=iir,
            sd=(levels - self.blood.mean) / self.blood.sd if self.blood.sd > 0 else unknown,
            scar_area_pct=share_above(self.surface_value, self.vertex_share, levels),
            scar_area_pct_wall=share_above(self.surface_value[wall], self.vertex_share[wall], levels) if self.has_planes else unknown,
            scar_pct_of_wall_volume=share_above(self.wall_value, None, levels),
            lge_area_pct=share_above(projected_intensity, self.vertex_area_mm2, levels),
            scar_pct_of_wall_volume_wall=share_above(self.wall_value[proper], None, levels) if self.has_planes else unknown,
        )


@dataclass(frozen=True, eq=False)
class Levels:
    """Above which grey levels wall is scar, and dense scar, and by which parameters of the rule; None where there is none."""

    scar: float | None = None
    dense: float | None = None
    parameter: float | None = None
    dense_parameter: float | None = None


@dataclass(frozen=True, eq=False)
class CavityCounts:
    """What the numbers of one cavity are counted from: its sample, the grey levels of scar and dense scar, and how it is staged."""

    sample: Sample
    levels: Levels = Levels()
    staging: str | None = None

    @cached_property
    def scar(self) -> np.ndarray:
        """(N,) bool."""
        return self.sample.scar_vertices(self.levels.scar)

    @cached_property
    def dense(self) -> np.ndarray | None:
        """(N,) bool; None without a second threshold."""
        return None if self.levels.dense is None else self.scar & (self.sample.surface_value > self.levels.dense)

    @cached_property
    def scar_in_wall(self) -> np.ndarray:
        """(n,) bool: which of the wall's voxels are scar."""
        given = self.sample.given_scar
        return given.in_wall if given is not None else self.sample.wall_value > self.levels.scar

    @cached_property
    def dense_in_wall(self) -> np.ndarray | None:
        return None if self.levels.dense is None else self.scar_in_wall & (self.sample.wall_value > self.levels.dense)

    def area_cm2(self, vertices: np.ndarray | None) -> float | None:
        """Of some vertices (N,) bool."""
        return None if vertices is None else self.sample.vertex_area_mm2[vertices].sum() / 100.0

    def area_pct(self, vertices: np.ndarray | None) -> float | None:
        """Their share of the whole closed surface."""
        share = self.sample.vertex_share
        return None if vertices is None else 100.0 * share[vertices].sum() / share.sum()

    def on_wall(self, vertices: np.ndarray | None) -> np.ndarray | None:
        """The part of some vertices that is LA wall proper and measured; None without planes."""
        return None if vertices is None or not self.sample.has_planes else vertices & self.sample.counts_as_wall

    def area_pct_of_wall(self, vertices: np.ndarray | None) -> float | None:
        """Their share of the LA wall proper."""
        on_wall, share = self.on_wall(vertices), self.sample.vertex_share
        whole = share[self.sample.counts_as_wall].sum()
        return None if on_wall is None or not whole > 0 else 100.0 * share[on_wall].sum() / whole

    def area_pct_of_measured(self, vertices: np.ndarray | None) -> float | None:
        """Their share of the part of the surface of which something is known; None where that is all of it, or nothing, or where planes
        tell the wall proper, whose share leaves out what was not measured anyway."""
        measured, share = self.sample.is_measured, self.sample.vertex_share
        if vertices is None or self.sample.has_planes or measured.all() or not share[measured].sum() > 0:
            return None
        return 100.0 * share[vertices & measured].sum() / share[measured].sum()

    def volume_ml(self, voxels: int | None) -> float | None:
        return None if voxels is None else voxels * self.sample.voxel_volume_ml

    @cached_property
    def scar_voxels(self) -> int:
        given = self.sample.given_scar
        return given.voxels if given is not None else int(np.count_nonzero(self.scar_in_wall))

    @cached_property
    def scar_voxels_on_wall(self) -> int | None:
        if not self.sample.has_planes:
            return None
        given = self.sample.given_scar
        return given.voxels_on_wall if given is not None else int(np.count_nonzero(self.scar_in_wall & self.sample.is_wall_voxel))

    @cached_property
    def scar_pct_of_wall_volume(self) -> float:
        return 100.0 * int(np.count_nonzero(self.scar_in_wall)) / self.scar_in_wall.size

    @cached_property
    def wall_voxels_proper(self) -> int | None:
        """How many of the wall's voxels are LA wall proper; None without planes."""
        return int(np.count_nonzero(self.sample.is_wall_voxel)) if self.sample.has_planes else None

    @cached_property
    def scar_pct_of_wall_volume_proper(self) -> float | None:
        proper = self.wall_voxels_proper
        return 100.0 * int(np.count_nonzero(self.scar_in_wall & self.sample.is_wall_voxel)) / proper if proper else None

    @cached_property
    def unmeasured_pct(self) -> float:
        """Share of the surface of which nothing is known; with planes, of the LA wall proper, else of all of it."""
        within = self.sample.is_wall if self.sample.has_planes else np.ones_like(self.sample.is_wall)
        area = self.sample.vertex_area_mm2
        whole = area[within].sum()
        return 100.0 * area[within & ~self.sample.is_measured].sum() / whole if whole > 0 else 0.0

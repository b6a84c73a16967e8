"""What changed between two results by region of the wall, and in the encirclements of the veins: which gaps opened, which closed.

All of it lies on A's surface, whose planes say where veins and regions are; scar of B is carried to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..surface.findings import DECIMALS, SAME_GAP_MM, Landmarks
from ..surface.gaps import Encirclement, Gap
from ..surface.region_schemes import USUAL_SCHEME
from ..surface.surface import CLASS_NONE, CLASS_NOT_MEASURED, Surface
from ..surface.wall_regions import WallRegions


@dataclass(frozen=True)
class RegionChange:
    """One region of A's wall: its area that both show, cm², and what of that is scar in both, in B alone, in A alone."""

    region: str
    common_cm2: float
    both_cm2: float
    only_b_cm2: float
    only_a_cm2: float

    def share_pct(self, area_cm2: float) -> float | None:
        """Of the part that both show; None where that is nothing."""
        return 100.0 * area_cm2 / self.common_cm2 if self.common_cm2 > 0 else None

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"region": self.region, "common_cm2": round(self.common_cm2, DECIMALS)}
        for name, area in (("both", self.both_cm2), ("only_b", self.only_b_cm2), ("only_a", self.only_a_cm2)):
            share = self.share_pct(area)
            content |= {f"{name}_cm2": round(area, DECIMALS), f"{name}_pct": None if share is None else round(share, DECIMALS)}
        return content


@dataclass(frozen=True, eq=False)
class GapChange:
    """The least path around a vein or a pair with the scar of A, and with that of B."""

    a: Encirclement
    b: Encirclement

    @property
    def around(self) -> str:
        return self.a.around

    @property
    def opened(self) -> tuple[Gap, ...]:
        """Gaps of B where A has none."""
        return tuple(gap for gap in self.b.gaps if not any(is_same_gap(gap, other) for other in self.a.gaps))

    @property
    def closed(self) -> tuple[Gap, ...]:
        """Gaps of A where B has none."""
        return tuple(gap for gap in self.a.gaps if not any(is_same_gap(gap, other) for other in self.b.gaps))

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"around": self.around}
        for name, found in (("a", self.a), ("b", self.b)):
            path = found.to_json()
            gaps = path.pop("gaps")
            content[name] = {key: value for key, value in path.items() if key != "around"} | {"count": len(gaps)}
        return content | {"opened": [gap.to_json() for gap in self.opened], "closed": [gap.to_json() for gap in self.closed]}


@dataclass(frozen=True, eq=False)
class ComparisonFindings:
    """Regions and encirclements of two results compared; empty where A has no planes. `remarks` say why something is missing."""

    regions: tuple[RegionChange, ...] = ()
    gaps: tuple[GapChange, ...] = ()
    remarks: tuple[str, ...] = ()
    scheme: str = USUAL_SCHEME

    def to_json(self) -> dict[str, Any]:
        """`regions`, `regions_scheme`, `gaps` and `regions_remarks` of comparison.json."""
        return {
            "regions": [region.to_json() for region in self.regions],
            "regions_scheme": self.scheme,
            "gaps": [gap.to_json() for gap in self.gaps],
            "regions_remarks": list(self.remarks),
        }


def findings_between(
    a: Surface, scar_b: np.ndarray, measured_b: np.ndarray, common: np.ndarray, scheme: str = USUAL_SCHEME
) -> ComparisonFindings:
    """What changed by region and around the veins.

    Parameters
    ----------
    a
        with `scar`, and with the `region` of its planes; without planes there is nothing to tell.
    scar_b, measured_b
        (N,) bool on A's vertices: scar of B, and where B was measured at all; also beyond the planes, where paths may run.
    common
        (N,) bool: the wall that both show, of which areas are counted.
    scheme
        what divides the wall.
    """
    landmarks = Landmarks.of(a, scheme)
    if landmarks.bands is None:
        return ComparisonFindings(scheme=scheme)
    regions = () if landmarks.walls is None else region_changes(a, landmarks.walls, scar_b, common)
    carried = a.with_arrays(scar=scar_b & measured_b, scar_class=np.where(measured_b, CLASS_NONE, CLASS_NOT_MEASURED).astype(np.uint8))
    paths = [landmarks.with_scar(surface).encirclements for surface in (a, carried)]
    return ComparisonFindings(regions, tuple(GapChange(*each) for each in zip(*paths)), landmarks.problems, scheme)


def region_changes(a: Surface, walls: WallRegions, scar_b: np.ndarray, common: np.ndarray) -> tuple[RegionChange, ...]:
    """Areas of each region that A has; they add up to the comparison's own."""

    def by_region(which: np.ndarray) -> np.ndarray:
        return np.bincount(walls.labels, a.vertex_area_mm2 * (which & common), minlength=len(walls.names) + 1) / 100.0

    parts = [by_region(which) for which in (common, a.scar & scar_b, scar_b & ~a.scar, a.scar & ~scar_b)]
    present = np.bincount(walls.labels, minlength=len(walls.names) + 1) > 0
    return tuple(RegionChange(name, *(float(part[n]) for part in parts)) for n, name in enumerate(walls.names, start=1) if present[n])


def is_same_gap(one: Gap, other: Gap) -> bool:
    """Whether the middle of either gap lies within `SAME_GAP_MM` of the other's course: a gap that only grew narrower is still there."""
    return any(KDTree(course.points).query(gap.point_lps)[0] <= SAME_GAP_MM for gap, course in ((one, other), (other, one)))

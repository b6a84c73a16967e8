"""What changed between two results by region of the wall, and in the encirclements of the veins: which gaps opened, which closed.

All of it lies on A's surface, whose planes say where veins and regions are; scar of B is carried to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..surface.band_reach import BandReach
from ..surface.findings import DECIMALS, SAME_GAP_MM, Landmarks
from ..surface.gap_course import CourseTissue, scar_beside, tissue_along
from ..surface.gaps import MIN_GAP_MM, Encirclement, Gap
from ..surface.region_schemes import USUAL_SCHEME
from ..surface.surface import CLASS_NONE, CLASS_NOT_MEASURED, Surface
from ..surface.wall_regions import SMALLEST_WITH_SHARE_CM2, WallRegions


@dataclass(frozen=True)
class RegionChange:
    """One region of A's wall: its area that both show, cm², and what of that is scar in both, in B alone, in A alone."""

    region: str
    common_cm2: float
    both_cm2: float
    only_b_cm2: float
    only_a_cm2: float

    def share_pct(self, area_cm2: float) -> float | None:
        """Of the part that both show; None where that is less than 1 cm²."""
        return 100.0 * area_cm2 / self.common_cm2 if self.common_cm2 >= SMALLEST_WITH_SHARE_CM2 else None

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"region": self.region, "common_cm2": round(self.common_cm2, DECIMALS)}
        for name, area in (("both", self.both_cm2), ("only_b", self.only_b_cm2), ("only_a", self.only_a_cm2)):
            share = self.share_pct(area)
            content |= {f"{name}_cm2": round(area, DECIMALS), f"{name}_pct": None if share is None else round(share, DECIMALS)}
        return content


@dataclass(frozen=True, eq=False)
class ComparedGap:
    """A gap of one result, and what the other has there; not measured is what either of them did not measure.

    other
        what the other's scar makes of the gap's own course.
    beside_mm
        the longest stretch of the other's path within `SAME_GAP_MM` of the course that is scar there and healthy here.
    still_there
        whether the other's path has a gap here, too.
    """

    gap: Gap
    other: CourseTissue
    beside_mm: float
    still_there: bool

    @property
    def gone(self) -> bool:
        """Whether the other has scar that this one lacks, and so no gap here: less than `MIN_GAP_MM` in a row is left of the course, or
        scar bridges the gap beside it."""
        return not self.other.may_have_gap or self.bridged

    @property
    def bridged(self) -> bool:
        return self.other.has_gap and not self.still_there and self.beside_mm >= MIN_GAP_MM

    def to_json(self) -> dict[str, Any]:
        """The gap with what the other has there."""
        lengths = {
            "scar_in_other_mm": self.other.scar_mm, "healthy_in_other_mm": self.other.healthy_mm, "unmeasured_mm": self.other.unmeasured_mm,
            "scar_in_other_beside_mm": self.beside_mm,
        }  # fmt: skip
        return self.gap.to_json() | {key: round(value, 2) for key, value in lengths.items()}


@dataclass(frozen=True, eq=False)
class GapChange:
    """The least path around a vein or a pair with the scar of A, and with that of B.

    A path goes elsewhere as soon as little scar changes, and its gaps with it. So each gap is asked whether its tissue, or that beside it,
    is another in the other result.

    gaps_a, gaps_b
        the gaps of `a` with B's scar, those of `b` with A's.
    a_with_b_mm, b_with_a_mm
        healthy length of the path of `a` with B's scar, and of that of `b` with A's, as `Encirclement.gap_mm`: what was not measured
        counts as healthy. NaN where there is no path.
    """

    a: Encirclement
    b: Encirclement
    gaps_a: tuple[ComparedGap, ...]
    gaps_b: tuple[ComparedGap, ...]
    a_with_b_mm: float
    b_with_a_mm: float

    @property
    def around(self) -> str:
        return self.a.around

    @property
    def opened(self) -> tuple[ComparedGap, ...]:
        """Gaps of B in what is scar in A: so much that A has no gap there, or at least `MIN_GAP_MM` of it."""
        return tuple(gap for gap in self.gaps_b if _opened(gap))

    @property
    def closed(self) -> tuple[ComparedGap, ...]:
        """Gaps of A in what is scar in B, of which B has no gap left."""
        return tuple(gap for gap in self.gaps_a if gap.gone)

    @property
    def not_measured(self) -> tuple[tuple[ComparedGap, ...], tuple[ComparedGap, ...]]:
        """Gaps of A, and of B, that may have closed or opened: too much of their course was not measured in both."""
        a, b = self._open
        return tuple(gap for gap in a if not gap.other.has_gap), tuple(gap for gap in b if not gap.other.has_gap)

    @property
    def elsewhere(self) -> tuple[tuple[ComparedGap, ...], tuple[ComparedGap, ...]]:
        """Gaps of A, and of B, that the other's path does not have though the tissue is healthy in both: it runs elsewhere."""
        a, b = (tuple(gap for gap in gaps if gap.other.has_gap) for gaps in self._open)
        return tuple(gap for gap in a if not gap.still_there), tuple(gap for gap in b if not gap.still_there)

    @property
    def _open(self) -> tuple[tuple[ComparedGap, ...], tuple[ComparedGap, ...]]:
        """Gaps of A that didn't close, and of B that didn't open."""
        return tuple(gap for gap in self.gaps_a if not gap.gone), tuple(gap for gap in self.gaps_b if not _opened(gap))

    def to_json(self) -> dict[str, Any]:
        content: dict[str, Any] = {"around": self.around}
        for name, found, other_mm in (("a", self.a, self.a_with_b_mm), ("b", self.b, self.b_with_a_mm)):
            path = found.to_json()
            gaps = path.pop("gaps")
            content[name] = {key: value for key, value in path.items() if key != "around"} | {
                "gap_mm_with_other": None if np.isnan(other_mm) else round(other_mm, 2), "count": len(gaps),
            }  # fmt: skip
        content |= {"opened": [gap.to_json() for gap in self.opened], "closed": [gap.to_json() for gap in self.closed]}
        for name, (a, b) in (("not_measured", self.not_measured), ("elsewhere", self.elsewhere)):
            content[name] = {"a": [gap.to_json() for gap in a], "b": [gap.to_json() for gap in b]}
        return content


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
    a: Surface, scar_b: np.ndarray, measured_b: np.ndarray, common: np.ndarray, scheme: str = USUAL_SCHEME, bands: BandReach = BandReach()
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
    bands
        of A's result.
    """
    landmarks = Landmarks.of(a, scheme, bands)
    if landmarks.bands is None:
        return ComparisonFindings(scheme=scheme)
    regions = () if landmarks.walls is None else region_changes(a, landmarks.walls, scar_b, common)
    carried = a.with_arrays(scar=scar_b & measured_b, scar_class=np.where(measured_b, CLASS_NONE, CLASS_NOT_MEASURED).astype(np.uint8))
    return ComparisonFindings(regions, gap_changes(landmarks, a, carried), landmarks.problems, scheme)


def gap_changes(landmarks: Landmarks, a: Surface, b: Surface) -> tuple[GapChange, ...]:
    """The paths around each vein and pair with the scar of two surfaces of the landmarks' mesh, both with `scar` and what was measured."""
    paths_a, paths_b = (landmarks.with_scar(surface).encirclements for surface in (a, b))
    unmeasured = _unmeasured(a) | _unmeasured(b)
    gaps, along = [], []
    for paths, others, own, other in ((paths_a, paths_b, a, b), (paths_b, paths_a, b, a)):
        gaps.append([_compared(*each, own, other, unmeasured) for each in zip(paths, others)])
        along.append(_with_other_mm(paths, other))
    return tuple(GapChange(*each) for each in zip(paths_a, paths_b, *gaps, *along))


def _compared(
    path: Encirclement, other_path: Encirclement, own: Surface, other: Surface, unmeasured: np.ndarray
) -> tuple[ComparedGap, ...]:
    """The gaps of one path, and what the other result has there."""
    courses = tissue_along(own, [gap.points for gap in path.gaps], other.scar, unmeasured)
    beside = scar_beside(own, path.gaps, other_path, own.scar, unmeasured, within_mm=SAME_GAP_MM)
    still_there = (any(is_same_gap(gap, there) for there in other_path.gaps) for gap in path.gaps)
    return tuple(ComparedGap(*each) for each in zip(path.gaps, courses, beside, still_there))


def _with_other_mm(paths: Sequence[Encirclement], other: Surface) -> list[float]:
    """The healthy length of each path with another scar, what was not measured among it; NaN where there is no path."""
    lines = [np.concatenate([path.points, path.points[:1]]) for path in paths if not path.problem]
    told = iter(tissue_along(other, lines, other.scar))
    return [np.nan if path.problem else (tissue := next(told)).healthy_mm + tissue.unmeasured_mm for path in paths]


def _unmeasured(surface: Surface) -> np.ndarray:
    """(N,) bool."""
    return np.zeros(len(surface.points), dtype=bool) if surface.scar_class is None else surface.scar_class == CLASS_NOT_MEASURED


def _opened(gap: ComparedGap) -> bool:
    return gap.gone or gap.other.scar_mm >= MIN_GAP_MM


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

"""Two surfaces of one atrium compared: before and after, or two methods on one scan. What is scar in both, in one, in none.

The first surface, A, is the one that is painted: scar of the second, B, is carried to it from the nearest point, by the values that tell
scar where B has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from ..errors import InputError
from ..measure.numbers import NUMBERS, ON_MEASURED, ON_SURFACE, ON_WALL
from ..support.flags import QualityFlag
from ..surface.band_reach import BandReach
from ..surface.closest_points import Closest, ClosestPoints
from ..surface.region_schemes import USUAL_SCHEME
from ..surface.registration import KEPT, Registration, Residual, register, residual_of
from ..surface.scar_margin import scar_margin
from ..surface.surface import CLASS_NOT_MEASURED, Surface
from .comparison_findings import ComparisonFindings, findings_between

IN_NONE, IN_BOTH, ONLY_B, ONLY_A, NOT_COMPARED = 0, 1, 2, 3, 255
"""`Change` of a vertex."""
LARGEST_RESIDUAL_MM = 1.05
"""Mean of the nearer 70 % of the distances after the rigid motion, above which two surfaces are taken for two patients' (Docs/compare.md)."""
FARTHEST_MM = 10.0
"""Wall that is farther than this from the other surface has no partner there: a vein that the other was cut before."""
TURNED_FAR_DEG = 45.0
"""Nobody lies in a scanner turned by more: two systems of coordinates, or a wrong fit."""
SMALL_SHARE = 0.6
"""Of A's wall, and of B's: where less of either is common, the shares are those of a part."""
SHOWN_BESIDE = (ON_WALL, ON_SURFACE, ON_MEASURED, "scar_area_cm2_wall", "scar_area_cm2", "dense_scar_area_pct_wall", "dense_scar_area_pct",
                "la_wall_area_cm2", "la_surface_area_cm2", "la_volume_ml", "scar_volume_ml")  # fmt: skip
"""The numbers of the two results that stand side by side, where both have them."""


def change_names(of_methods: bool) -> dict[int, str]:
    """What each value of `Change` is called, for a legend."""
    only_a, only_b, both = (
        ("scar by A alone", "scar by B alone", "scar by both") if of_methods else ("scar that is gone", "new scar", "scar before and after")
    )
    return {IN_NONE: "scar in neither", IN_BOTH: both, ONLY_B: only_b, ONLY_A: only_a, NOT_COMPARED: "not compared"}


class SeemDifferent(InputError):
    """Two results that are refused since they seem to be of two patients, or of two scans, unless a person who knows better goes on."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        """`reason` says what is wrong, `remedy` what else to do than to go on all the same."""
        super().__init__(" ".join(filter(None, (reason, remedy, "Who knows better goes on with --force-different."))))
        self.reason = reason


@dataclass(frozen=True)
class ComparedNumber:
    """One number of a comparison: its key in comparison.json, its label when B came after A and when both are of one scan, unit, decimals."""

    key: str
    label: str
    of_methods: str
    unit: str
    decimals: int

    def text(self, value: float | None) -> str:
        return "–" if value is None else f"{value:.{self.decimals}f}"


COMPARED_NUMBERS = (
    ComparedNumber("common_wall_cm2", "Wall that both show", "Wall that both measured", "cm2", 1),
    ComparedNumber("scar_a_cm2", "Scar before, there", "Scar by A, there", "cm2", 1),
    ComparedNumber("scar_a_pct", "Scar before, share of it", "Scar by A, share of it", "%", 1),
    ComparedNumber("scar_b_cm2", "Scar after, there", "Scar by B, there", "cm2", 1),
    ComparedNumber("scar_b_pct", "Scar after, share of it", "Scar by B, share of it", "%", 1),
    ComparedNumber("both_cm2", "Scar before and after", "Scar by both", "cm2", 1),
    ComparedNumber("both_pct", "Scar before and after, share of it", "Scar by both, share of it", "%", 1),
    ComparedNumber("only_b_cm2", "New scar", "Scar by B alone", "cm2", 1),
    ComparedNumber("only_b_pct", "New scar, share of it", "Scar by B alone, share of it", "%", 1),
    ComparedNumber("only_a_cm2", "Scar that is gone", "Scar by A alone", "cm2", 1),
    ComparedNumber("only_a_pct", "Scar that is gone, share of it", "Scar by A alone, share of it", "%", 1),
    ComparedNumber("none_cm2", "No scar before or after", "Scar by neither", "cm2", 1),
    ComparedNumber("none_pct", "No scar before or after, share of it", "Scar by neither, share of it", "%", 1),
    ComparedNumber("dice", "Overlap (Dice)", "Overlap (Dice)", "", 3),
    ComparedNumber("kept_pct", "Kept: share of the scar before that is scar after", "Share of A's scar that is B's", "%", 1),
    ComparedNumber("dice_within_tolerance", "Overlap (Dice) within the tolerance", "Overlap (Dice) within the tolerance", "", 3),
    ComparedNumber("kept_within_tolerance_pct", "Kept within the tolerance", "Share of A's scar that is B's within the tolerance", "%", 1),
)  # fmt: skip
"""Every number in the order in which it is shown; "there" and "it" are the wall that both show."""


@dataclass(frozen=True, eq=False)
class SurfaceComparison:
    """What two surfaces say of one atrium.

    `surface` is A; `scar_a`, `scar_b` (N,) bool on it, `change` (N,) uint8 (`IN_…`, `ONLY_…`, `NOT_COMPARED`), `is_common` (N,) bool:
    wall of both that was measured in both. `registration` is None where both are of one scan; `residual` is what lies between the
    surfaces as they were compared. `findings` say what changed by region and around the veins.
    """

    surface: Surface
    scar_a: np.ndarray
    scar_b: np.ndarray
    change: np.ndarray
    numbers: dict[str, float | None]
    tolerance_mm: float
    registration: Registration | None
    residual: Residual
    flags: tuple[QualityFlag, ...]
    findings: ComparisonFindings

    @property
    def is_common(self) -> np.ndarray:
        return self.change != NOT_COMPARED

    @property
    def of_methods(self) -> bool:
        """Whether two methods of one scan are compared."""
        return self.registration is None


def compare_surfaces(
    a: Surface, b: Surface, *, same_scan: bool = False, bend: bool = False, tolerance_mm: float | None = None, force: bool = False,
    bands: BandReach = BandReach(), regions: str = USUAL_SCHEME,
) -> SurfaceComparison:  # fmt: skip
    """Lay B onto A and see where they have scar.

    Parameters
    ----------
    a, b
        with `scar`; with `region` and `scar_class` what these leave out is not compared.
    same_scan
        both lie in the same space already.
    bend
        bend B smoothly after its rigid motion.
    tolerance_mm
        scar this near to the other's scar agrees with it, in the numbers within the tolerance; None: the residual's mean, 0 on one scan.
    force
        go on where the surfaces are too unlike to be one patient's; of one scan they are at any rate.
    bands
        around the veins, in which A's gaps were looked for, and B's are.
    regions
        the scheme that divides A's wall.

    Raises
    ------
    SeemDifferent
        too unlike.
    InputError
        a surface without scar; no wall in common.
    """
    for name, surface in (("A", a), ("B", b)):
        if surface.scar is None:
            raise InputError(f"The surface of {name} holds no scar (array Scar), so there is nothing to compare.")
    registration = None if same_scan else register(b, a, bend)
    residual = residual_of(b, a) if registration is None else registration.residual
    flags = _judged(residual, registration, force)
    moved = b if registration is None else registration.moved
    closest = ClosestPoints(moved).of(a.points)
    partner = closest.distance_mm <= FARTHEST_MM
    carried_b, common = _carried_scar(closest, moved), _known(a) & _carried(closest, moved, _known(b)) & partner
    area = a.vertex_area_mm2
    if not common.any():
        raise InputError("The two surfaces have no wall in common that both measured, so there is nothing to compare. Check planes and masks.")
    flags += _small_share(area[common].sum(), a, moved)
    scar_a, scar_b = a.scar & common, carried_b & common
    change = np.select([~common, scar_a & scar_b, scar_b, scar_a], [NOT_COMPARED, IN_BOTH, ONLY_B, ONLY_A], IN_NONE).astype(np.uint8)
    after = residual if registration is None or registration.bent_residual is None else registration.bent_residual
    if tolerance_mm is None:
        tolerance_mm = 0.0 if registration is None else after.mean_mm
    findings = findings_between(a, carried_b, _carried(closest, moved, _measured(b)) & partner, common, regions, bands)
    numbers = _numbers(a, scar_a, scar_b, common) | _tolerant(a, scar_a, scar_b, tolerance_mm)
    return SurfaceComparison(a, scar_a, scar_b, change, numbers, tolerance_mm, registration, after, flags, findings)


def side_by_side(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The numbers of two results (contents of measurements.json) that both have: values, ranges, the difference B − A, and whether the
    ranges overlap (None where one has none)."""
    rows = []
    for number in sorted((n for n in NUMBERS if n.key in SHOWN_BESIDE), key=lambda n: SHOWN_BESIDE.index(n.key)):
        one, other = a.get(number.key) or {}, b.get(number.key) or {}
        if one.get("value") is None or other.get("value") is None:
            continue
        ends = [one.get("low"), one.get("high"), other.get("low"), other.get("high")]
        overlap = None if None in ends else bool(ends[0] <= ends[3] and ends[2] <= ends[1])
        parts = {name: {end: quantity.get(end) for end in ("value", "low", "high")} for name, quantity in (("a", one), ("b", other))}
        rows.append({"key": number.key, "unit": number.unit, **parts, "difference": other["value"] - one["value"], "ranges_overlap": overlap})
    return rows


def _judged(residual: Residual, registration: Registration | None, force: bool) -> tuple[QualityFlag, ...]:
    """Refuse, or remark on, surfaces that do not seem to be one atrium's, or the two cavities of one scan."""
    flags: tuple[QualityFlag, ...] = ()
    apart = f"{residual.trimmed_mean_mm:.1f} mm apart (mean of the nearer {100 * KEPT:.0f} %)"
    if registration is None and residual.trimmed_mean_mm > LARGEST_RESIDUAL_MM:
        # Of one scan they are one patient's, whatever the cavities are.
        message = f"The two cavities differ: their surfaces lie {apart}. Where the wall is another, scar may be of one alone. Look at both."
        flags += (QualityFlag("surfaces_differ", message),)
    elif residual.trimmed_mean_mm > LARGEST_RESIDUAL_MM:
        message = (
            f"The surfaces remain, after the best rigid motion, {apart}; surfaces of one patient are at most {LARGEST_RESIDUAL_MM:g} mm apart."
        )
        if not force:
            raise SeemDifferent(f"{message} They seem to be of different patients, or one of the cavities is wrong.")
        flags += (QualityFlag("surfaces_differ", f"{message} They were compared all the same."),)
    if registration is not None and registration.motion.angle_deg > TURNED_FAR_DEG:
        message = f"B had to be turned by {registration.motion.angle_deg:.0f}° to fit A: check that it lies right, and that both files' coordinates are LPS."
        flags += (QualityFlag("turned_far", message),)
    return flags


def _small_share(common_mm2: float, a: Surface, b: Surface) -> tuple[QualityFlag, ...]:
    """Little of the wall that one of them measured is measured wall of the other."""
    whole = ((name, max(surface.vertex_area_mm2[_known(surface)].sum(), np.finfo(float).tiny)) for name, surface in (("A", a), ("B", b)))
    small = [f"{100 * common_mm2 / area:.0f} % of {name}'s" for name, area in whole if common_mm2 / area < SMALL_SHARE]
    if not small:
        return ()
    message = (
        f"Only {' and '.join(small)} measured wall is that of the other, too; the shares are of this part alone. Check planes, veins and what "
        "was not measured."
    )
    return (QualityFlag("common_wall_small", message),)


def _known(surface: Surface) -> np.ndarray:
    """(N,) bool: wall proper that was measured."""
    return surface.is_wall & _measured(surface)


def _measured(surface: Surface) -> np.ndarray:
    """(N,) bool: also beyond the planes."""
    return np.ones(len(surface.points), dtype=bool) if surface.scar_class is None else surface.scar_class != CLASS_NOT_MEASURED


def _carried_scar(closest: Closest, source: Surface) -> np.ndarray:
    """(n,) bool: scar of `source` where the nearest points lie; by the values that tell it, else by what is marked at the vertices."""
    marked, margin = _carried(closest, source, source.scar), scar_margin(source)
    if margin is None:
        return marked
    carried = closest.interpolated(source, margin)
    return np.where(np.isfinite(carried), carried > 0.0, marked)


def _carried(closest: Closest, source: Surface, values: np.ndarray) -> np.ndarray:
    """(n,) bool: vertex values (N,) bool of `source` where the nearest points lie, on the near side of the border between two vertices."""
    return closest.interpolated(source, values.astype(float)) >= 0.5


def _numbers(surface: Surface, scar_a: np.ndarray, scar_b: np.ndarray, common: np.ndarray) -> dict[str, float | None]:
    area = surface.vertex_area_mm2
    whole = area[common].sum() / 100.0
    parts = {
        "scar_a": scar_a, "scar_b": scar_b, "both": scar_a & scar_b, "only_b": scar_b & ~scar_a, "only_a": scar_a & ~scar_b,
        "none": common & ~scar_a & ~scar_b,
    }  # fmt: skip
    cm2 = {name: float(area[mask].sum() / 100.0) for name, mask in parts.items()}
    numbers: dict[str, float | None] = {"common_wall_cm2": float(whole)}
    for name, value in cm2.items():
        numbers |= {f"{name}_cm2": value, f"{name}_pct": 100.0 * value / float(whole)}
    total = cm2["scar_a"] + cm2["scar_b"]
    return numbers | {
        "dice": 2.0 * cm2["both"] / total if total else None,
        "kept_pct": 100.0 * cm2["both"] / cm2["scar_a"] if cm2["scar_a"] else None,
    }


def _tolerant(surface: Surface, scar_a: np.ndarray, scar_b: np.ndarray, tolerance_mm: float) -> dict[str, float | None]:
    """The overlap when scar this near to the other's scar agrees with it."""
    area = surface.vertex_area_mm2

    def near(which: np.ndarray, other: np.ndarray) -> float:
        if not which.any() or not other.any():
            return 0.0
        distance = KDTree(surface.points[other]).query(surface.points[which])[0]
        return float(area[which][distance <= tolerance_mm].sum())

    agreed_a, agreed_b = near(scar_a, scar_b), near(scar_b, scar_a)
    of_a, of_b = float(area[scar_a].sum()), float(area[scar_b].sum())
    return {
        "dice_within_tolerance": (agreed_a + agreed_b) / (of_a + of_b) if of_a + of_b else None,
        "kept_within_tolerance_pct": 100.0 * agreed_a / of_a if of_a else None,
    }

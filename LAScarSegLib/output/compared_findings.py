"""Regions and gaps of a comparison: rows of its two CSV files, and of the two tables of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..analysis.comparison_findings import ComparedGap, ComparisonFindings, GapChange, RegionChange
from ..measure.numbers import DASH
from ..surface.gaps import Encirclement
from .csv_tables import cell, write_csv
from .findings import GapRow

REGIONS_CSV, GAPS_CSV = "compared_regions.csv", "compared_gaps.csv"
AREAS = ("both", "only_b", "only_a")
PATH_KEYS = ("encircled", "rgm", "path_mm", "gap_mm", "gap_mm_with_other", "unmeasured_mm", "count", "problem")
GAP_KEYS = ("length_mm", "region", "clock", "scar_in_other_mm", "healthy_in_other_mm", "unmeasured_mm", "scar_in_other_beside_mm")
OPENED, CLOSED, NEITHER = "opened", "closed", ("not_measured", "elsewhere")
LEAST_TOLD_MM = 0.05
"""Less is 0.0 mm in words."""


def write_findings_csvs(found: ComparisonFindings, folder: Path) -> None:
    """`compared_regions.csv` and `compared_gaps.csv`, where there is something to write."""
    content = found.to_json()
    if content["regions"]:
        columns = ("region", "common_cm2", *(f"{name}_{unit}" for name in AREAS for unit in ("cm2", "pct")))
        write_csv([columns, *([cell(row[key]) for key in columns] for row in content["regions"])], folder / REGIONS_CSV)
    if content["gaps"]:
        write_csv(_gap_cells(content["gaps"]), folder / GAPS_CSV)


def _gap_cells(changes: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """One row for each gap that opened or closed, that may have, and that the other's path avoids, and one for a path without such: both
    paths, whose gap it is, what the other has along it, and where it lies (LPS mm)."""
    names = [f"{'gaps' if key == 'count' else key}_{side}" for side in ("a", "b") for key in PATH_KEYS]
    rows: list[Sequence[str]] = [("around", *names, "change", "gap_of", *GAP_KEYS, "l_mm", "p_mm", "s_mm")]
    for change in changes:
        first = [cell(change["around"]), *(cell(change[side].get(key)) for side in ("a", "b") for key in PATH_KEYS)]
        gaps = [(how, side, gap) for how, side in ((OPENED, "b"), (CLOSED, "a")) for gap in change[how]]
        gaps += [(how, side, gap) for how in NEITHER for side in ("a", "b") for gap in change[how][side]]
        rows += [(*first, how, side, *(cell(gap[key]) for key in GAP_KEYS), *map(cell, gap["point_lps"])) for how, side, gap in gaps]
        if not gaps:
            rows.append((*first, *[""] * (len(GAP_KEYS) + 5)))
    return rows


def page_tables(found: ComparisonFindings) -> dict[str, Any]:
    """What the report's template shows: `regions`, `around` and `remarks`."""
    return {"regions": [_region(region) for region in found.regions], "remarks": found.remarks, "around": [
        {
            "around": change.around, "a": _path(change.a), "b": _path(change.b),
            OPENED: [_told(gap, "A") for gap in change.opened],
            CLOSED: [_told(gap, "B") for gap in change.closed],
            "of_a": _neither(change, "A", "B"), "of_b": _neither(change, "B", "A"),
        }
        for change in found.gaps
    ]}  # fmt: skip


def _region(region: RegionChange) -> dict[str, str]:
    return {"region": region.region, "common": f"{region.common_cm2:.1f}"} | {
        name: _area(region, area) for name, area in zip(AREAS, (region.both_cm2, region.only_b_cm2, region.only_a_cm2))
    }


def _area(region: RegionChange, area_cm2: float) -> str:
    """Cm² and share, as in "1.2 (34 %)"; a plain 0 where there is none."""
    share = region.share_pct(area_cm2)
    if share is None:
        return DASH
    return f"{area_cm2:.1f} ({share:.0f} %)" if area_cm2 > 0 else "0"


def _path(around: Encirclement) -> dict[str, Any]:
    if around.problem:
        return {"encircled": None, "problem": around.problem}
    unmeasured = f"{around.unmeasured_mm:.0f} mm not measured" if around.unmeasured_mm >= 1 else ""
    return {
        "encircled": around.encircled, "problem": "", "rgm": f"{100 * around.rgm:.0f} %",
        "length": f"{around.gap_mm:.0f} of {around.path_mm:.0f} mm", "unmeasured": unmeasured,
    }  # fmt: skip


def _told(compared: ComparedGap, other: str) -> str:
    """"6.2 mm, roof, 2 o’clock (5.0 mm of it scar in A)"; all of it needs no words."""
    text, scar_mm = GapRow.from_json(compared.gap.to_json(), 1).text, compared.other.scar_mm
    if compared.bridged:
        return f"{text} ({compared.beside_mm:.1f} mm beside it scar in {other} alone)"
    return text if scar_mm > compared.gap.length_mm - LEAST_TOLD_MM else f"{text} ({scar_mm:.1f} mm of it scar in {other})"


def _neither(change: GapChange, own: str, other: str) -> list[str]:
    """What is to be said of the gaps of one result that neither opened nor closed, and that the other's path does not have."""
    side = "AB".index(own)
    unmeasured, elsewhere = len(change.not_measured[side]), len(change.elsewhere[side])
    other_mm, path_mm = ((change.a_with_b_mm, change.a.path_mm), (change.b_with_a_mm, change.b.path_mm))[side]
    told = []
    if unmeasured:
        told.append(f"{_counted(unmeasured)} of {own} where not all was measured in both")
    if elsewhere:
        told.append(
            f"{_counted(elsewhere)} of {own} healthy in {other}, too: the line of {other} runs elsewhere. The line of {own} has "
            f"{other_mm:.0f} of {path_mm:.0f} mm without scar of {other}"
        )
    return told


def _counted(number: int) -> str:
    return "1 gap" if number == 1 else f"{number} gaps"

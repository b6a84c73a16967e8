"""Regions and gaps of a comparison: rows of its two CSV files, and of the two tables of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..analysis.comparison_findings import ComparisonFindings, RegionChange
from ..measure.numbers import DASH
from ..surface.gaps import Encirclement, Gap
from .csv_tables import cell, write_csv
from .findings import GapRow

REGIONS_CSV, GAPS_CSV = "compared_regions.csv", "compared_gaps.csv"
AREAS = ("both", "only_b", "only_a")
PATH_KEYS = ("encircled", "rgm", "path_mm", "gap_mm", "unmeasured_mm", "count", "problem")
GAP_KEYS = ("length_mm", "region", "clock")
OPENED, CLOSED = "opened", "closed"


def write_findings_csvs(found: ComparisonFindings, folder: Path) -> None:
    """`compared_regions.csv` and `compared_gaps.csv`, where there is something to write."""
    content = found.to_json()
    if content["regions"]:
        columns = ("region", "common_cm2", *(f"{name}_{unit}" for name in AREAS for unit in ("cm2", "pct")))
        write_csv([columns, *([cell(row[key]) for key in columns] for row in content["regions"])], folder / REGIONS_CSV)
    if content["gaps"]:
        write_csv(_gap_cells(content["gaps"]), folder / GAPS_CSV)


def _gap_cells(changes: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """One row for each gap that opened or closed, and one for a path without such: both paths, and where the gap lies (LPS mm)."""
    names = [f"{'gaps' if key == 'count' else key}_{side}" for side in ("a", "b") for key in PATH_KEYS]
    rows: list[Sequence[str]] = [("around", *names, "change", *GAP_KEYS, "l_mm", "p_mm", "s_mm")]
    for change in changes:
        first = [cell(change["around"]), *(cell(change[side].get(key)) for side in ("a", "b") for key in PATH_KEYS)]
        gaps = [(how, gap) for how in (OPENED, CLOSED) for gap in change[how]]
        rows += [(*first, how, *(cell(gap[key]) for key in GAP_KEYS), *map(cell, gap["point_lps"])) for how, gap in gaps]
        if not gaps:
            rows.append((*first, *[""] * (len(GAP_KEYS) + 4)))
    return rows


def page_tables(found: ComparisonFindings) -> dict[str, Any]:
    """What the report's template shows: `regions`, `around` and `remarks`."""
    return {"regions": [_region(region) for region in found.regions], "remarks": found.remarks, "around": [
        {"around": change.around, "a": _path(change.a), "b": _path(change.b), "opened": _told(change.opened), "closed": _told(change.closed)}
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


def _told(gaps: Sequence[Gap]) -> list[str]:
    return [GapRow.from_json(gap.to_json(), number).text for number, gap in enumerate(gaps, start=1)]

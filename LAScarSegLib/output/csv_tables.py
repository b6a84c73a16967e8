"""The numbers of a result as JSON and CSV."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..measure.numbers import NUMBERS, Quantity
from ..support.printable import csv_text
from ..surface.findings import DECIMALS, Findings
from ..surface.gaps import LENGTH_DECIMALS, GapsAtThreshold

CURVE_DIGITS = 6
"""Significant digits in threshold_curve.csv: far below what a voxel can change."""


def write_json(content: Any, path: Path) -> None:
    """Write `content` as UTF-8 JSON, indented by 2; NaN and infinity, which JSON does not know, become null."""
    text = json.dumps(plain(content), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def write_measurements_csv(analysis: Analysis, path: Path) -> None:
    """Columns key, label, value, unit, low, high; what the table is about, then one row for each quantity, empty where not computed."""
    write_quantities_csv(about(analysis), analysis.measurements, analysis.method.parameter_name, path)


def write_quantities_csv(
    told: Sequence[tuple[str, str, str]], measurements: Mapping[str, Quantity], parameter_name: str | None, path: Path
) -> None:
    """The same of (key, label, text) and the numbers of the catalogue that are there."""
    rows = [["key", "label", "value", "unit", "low", "high"], *([key, label, csv_text(text), "", "", ""] for key, label, text in told)]
    for number in NUMBERS:
        if number.key not in measurements:
            continue
        quantity = measurements[number.key]
        cells = ["" if plain(cell) is None else repr(plain(cell)) for cell in (quantity.value, quantity.low, quantity.high)]
        rows.append([number.key, number.label, cells[0], number.unit_on(parameter_name), *cells[1:]])
    write_csv(rows, path)


def about(analysis: Analysis) -> list[tuple[str, str, str]]:
    """(key, label, text): which case and scan, how scar was found, whether it is a simulation."""
    image = analysis.sources.inputs.get("image")
    return [
        ("case", "Case", analysis.settings.label),
        ("image", "Scan", Path(image["path"]).name if image else ""),
        ("protocol", "Protocol", analysis.method.protocol or ""),
        ("method", "Method", analysis.method.label),
        ("cavity", "Cavity", analysis.origins["cavity"].words),
        ("doubt", "Can the cavity be trusted", "" if analysis.doubt is None else analysis.doubt.word),
        ("headline", "Key of the first number", analysis.headline.number.key),
        ("simulated", "Simulated, not a patient", "yes" if analysis.provenance["simulated"] else "no"),
    ]


def write_curve_csv(analysis: Analysis, path: Path) -> None:
    """One row for each threshold, ascending, with the columns of `ThresholdCurve.columns`; empty where not computed."""
    columns = analysis.curve.columns()
    rows = [list(columns)]
    for values in zip(*columns.values()):
        rows.append(["" if not np.isfinite(value) else f"{value:.{CURVE_DIGITS}g}" for value in values])
    write_csv(rows, path)


def write_regions_csv(found: Findings, path: Path) -> None:
    """One row for each region of the wall: area and scar, with the range of its share, the scheme that has it, and whether it is unsure."""
    columns = ("region", "area_cm2", "scar_area_cm2", "scar_pct", "scar_pct_low", "scar_pct_high")
    content = found.to_json()
    scheme = cell(content["regions_scheme"])
    rows = [(*(cell(region.get(key)) for key in columns), scheme, cell(region["unsure"])) for region in content["regions"]]
    write_csv([(*columns, "scheme", "unsure"), *rows], path)


def write_gaps_csv(found: Findings, path: Path) -> None:
    """One row for each gap, and one for a path without any: what is encircled, the path's lengths with their range, where the gap lies
    (LPS mm), and whether the vein's plane is unsure."""
    path_columns = ("around", "encircled", "rgm", "path_mm", "gap_mm", "gap_mm_low", "gap_mm_high", "unmeasured_mm", "problem")
    gap_columns = ("length_mm", "region", "clock", "all_around", "depends_on_threshold")
    rows = [(*path_columns, "gap", *gap_columns, "l_mm", "p_mm", "s_mm", "unsure")]
    for around in found.to_json()["gaps"]:
        first, unsure = [cell(around.get(key)) for key in path_columns], cell(around["unsure"])
        for number, gap in enumerate(around["gaps"], start=1):
            rows.append((*first, str(number), *(cell(gap.get(key)) for key in gap_columns), *map(cell, gap["point_lps"]), unsure))
        if not around["gaps"]:
            rows.append((*first, *[""] * (len(gap_columns) + 4), unsure))
    write_csv(rows, path)


def write_gap_curve_csv(curve: Sequence[GapsAtThreshold], path: Path) -> None:
    """One row for each threshold (a ratio to the blood's mean) and each vein and pair; empty where no path goes around."""
    rows = [("iir", "around", "gaps", "gap_mm", "rgm")]
    for point in curve:
        known = np.isfinite(point.gap_mm)
        lengths = (repr(round(point.gap_mm, LENGTH_DECIMALS)), repr(round(point.rgm, DECIMALS + 1)))
        numbers = (str(point.count), *lengths) if known else ("", "", "")
        rows.append((f"{point.threshold:.{CURVE_DIGITS}g}", point.around, *numbers))
    write_csv(rows, path)


def cell(value: Any) -> str:
    """A value as a cell: nothing for None, yes or no, text that no spreadsheet takes for a formula, a number as it is."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return csv_text(value) if isinstance(value, str) else repr(value)


def plain(content: Any) -> Any:
    """`content` with NumPy numbers, arrays, paths, tuples and non-finite floats turned into what JSON has."""
    if isinstance(content, dict):
        return {str(key): plain(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [plain(value) for value in content]
    if isinstance(content, np.ndarray):
        return plain(content.tolist())
    if isinstance(content, np.generic):
        return plain(content.item())
    if isinstance(content, float):
        return content if np.isfinite(content) else None
    return str(content) if isinstance(content, Path) else content


def write_csv(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Rows of cells as UTF-8, commas, lines ending in LF."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)

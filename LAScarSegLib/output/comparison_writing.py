"""Writes a comparison to a folder: numbers, painted surface, picture, report; all or nothing."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..analysis.comparison import COMPARED_NUMBERS
from ..support.flags import QualityFlag
from ..support.printable import csv_text, without_folders
from ..support.whole_folder import FolderKind, check_folder, marked_by_program, whole_folder
from ..surface.polydata import write_vtp
from . import rendering
from .compared_findings import write_findings_csvs
from .comparison_report import ComparedResults, render_comparison
from .csv_tables import plain, write_csv, write_json
from .figures import FigureKind, change_map

logger = logging.getLogger(__name__)

ALL_JSON, TABLE_CSV, SURFACE, REPORT, PICTURE = "comparison.json", "comparison.csv", "compared.vtp", "report.html", "figures/change_map.png"
COMPARISON = FolderKind(title="LAScarSeg comparison", markers=frozenset({ALL_JSON}), ours=marked_by_program())
"""The marker lists the files; nothing else is ever replaced."""
CHANGE_MAP = FigureKind("change_map.png", change_map.compose, change_map.describe, change_map.caption, needs_rendering=True)  # type: ignore[arg-type]

RESIDUAL_LABELS = {
    "mean_mm": "Distance of the surfaces, mean", "p95_mm": "Distance of the surfaces, 95 %", "trimmed_mean_mm": "Distance of the surfaces, mean of the nearer part",
}  # fmt: skip


def check_comparison_folder(folder: str | Path, force: bool = False) -> Path:
    """The absolute path of `folder`, if a comparison may be written there (`whole_folder.check_folder`)."""
    return check_folder(folder, force, COMPARISON)


def write_comparison(compared: ComparedResults, folder: str | Path, *, force: bool = False) -> Path:
    """Write `comparison.json`, `comparison.csv`, `compared.vtp` (A with `Change`, `ScarA`, `ScarB`), `figures/change_map.png` where this
    machine can draw, `compared_regions.csv` and `compared_gaps.csv` where A has planes, and `report.html`; returns the folder, absolute.

    Raises
    ------
    InputError
        the folder can't be used.
    ProcessingError
        a file could not be written, or a package for picture or report is missing. Nothing is left behind.
    """
    folder = Path(folder).expanduser().resolve()
    problem = rendering.check_rendering()
    if problem is not None:
        message = f"The change map is missing: {without_folders(problem)}"
        logger.warning(message)
        compared = replace(compared, flags=(*compared.flags, QualityFlag("surface_figures_missing", message)))
    with whole_folder(folder, force, COMPARISON) as partial:
        comparison = compared.comparison
        arrays = {"Change": comparison.change, "ScarA": comparison.scar_a.astype(np.uint8), "ScarB": comparison.scar_b.astype(np.uint8)}
        write_vtp(comparison.surface, partial / SURFACE, arrays)
        write_csv(_table(compared), partial / TABLE_CSV)
        write_findings_csvs(comparison.findings, partial)
        if problem is None:
            (partial / PICTURE).parent.mkdir()
            CHANGE_MAP.draw(compared, partial / PICTURE)  # type: ignore[arg-type]
        (partial / REPORT).write_text(render_comparison(compared, partial / PICTURE), encoding="utf-8")
        files = [*(file.relative_to(partial).as_posix() for file in partial.rglob("*") if file.is_file()), ALL_JSON]
        write_json(compared.to_json() | {"files": sorted(files)}, partial / ALL_JSON)
    return folder


def _table(compared: ComparedResults) -> list[list[str]]:
    """Columns key, label, value, unit, a, b: what is compared, the comparison's numbers, then those of the two results, B − A as value."""
    comparison, rows = compared.comparison, [["key", "label", "value", "unit", "a", "b"]]
    about = [("folder", "Result", compared.a.folder, compared.b.folder), ("label", "Case", compared.a.label, compared.b.label),
             ("method", "Method", compared.a.method, compared.b.method)]  # fmt: skip
    rows += [[key, label, "", "", csv_text(one), csv_text(other)] for key, label, one, other in about]
    for number in COMPARED_NUMBERS:
        value = comparison.numbers[number.key]
        rows.append([number.key, number.of_methods if comparison.of_methods else number.label, _cell(value), number.unit, "", ""])
    for key, value in comparison.residual.to_json().items():
        rows.append([f"residual_{key}", RESIDUAL_LABELS[key], _cell(value), "mm", "", ""])
    rows.append(["tolerance_mm", "Tolerance", _cell(comparison.tolerance_mm), "mm", "", ""])
    for row in compared.beside:
        rows.append([f"difference_{row['key']}", "B − A", _cell(row["difference"]), row["unit"], _cell(row["a"]["value"]), _cell(row["b"]["value"])])
    return rows


def _cell(value: float | None) -> str:
    return "" if plain(value) is None else repr(plain(value))

"""A paper's tables with ours beside them: one CSV a table, and one page that needs no network and no script."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..evaluation.metrics import Metric
from ..evaluation.published_tables import Cell, ReproducedRow, ReproducedTable
from ..evaluation.statistics import PairedComparison, Summary
from ..measure.numbers import DASH
from ..support.printable import csv_text
from ..support.resources import resource_path
from ..systems import System
from ..training.run_folder import write_whole
from .report import require_jinja2

TEMPLATE = "reproduction.html.j2"
COLUMNS = (
    "table", "row", "folds", "metric", "unit", "scans", "mean", "sd", "low", "high", "published_mean", "published_sd", "difference", "data",
    "remark",
)  # fmt: skip
"""`low` … `high`: 95 % interval of the mean (bootstrap over the scans); `difference`: ours − published."""
ALL_FOLDS = "all"
COMPARED = ("table", "row", "against", "metric", "scans", "median_difference", "low", "high", "wilcoxon_p", "paired_t_test_p")


def write_tables(folder: Path, system: System, preset: str, tables: Sequence[ReproducedTable], about: Mapping[str, Any]) -> None:
    """Write `tables/KEY.csv`, `tables/compared.csv` where the paper compares rows, and `report.html`; each file is replaced in one step.

    Parameters
    ----------
    about
        `cut` and `remarks`: lines; `simulated`: whether the scans are phantoms.
    """
    data = "simulated" if about["simulated"] else "scan"
    for table in tables:
        write_whole(folder / "tables" / f"{table.table.key}.csv", _csv(COLUMNS, _table_rows(table, data)))
    if compared := [_compared_row(table, *entry) for table in tables for entry in table.compared]:
        write_whole(folder / "tables" / "compared.csv", _csv(COMPARED, compared))
    write_whole(folder / "report.html", render_tables(system, preset, tables, about))


def render_tables(system: System, preset: str, tables: Sequence[ReproducedTable], about: Mapping[str, Any]) -> str:
    """The page's HTML."""
    require_jinja2()
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resource_path("Report")), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )  # fmt: skip
    return environment.get_template(TEMPLATE).render(
        title=system.title, paper=system.paper, preset=preset, tables=[_shown(table) for table in tables], version=__version__,
        differences=system.reproduction.differences, **about,
    )  # fmt: skip


def _csv(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([csv_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def _table_rows(table: ReproducedTable, data: str) -> list[list[Any]]:
    rows = []
    for row in table.rows:
        for folds, cells in [(ALL_FOLDS, row.cells), *((str(n), cells) for n, cells in enumerate(row.folds, 1))]:
            for cell in cells:
                remark = row.row.absent or "; ".join(row.notes) if folds == ALL_FOLDS else ""
                rows.append([table.table.key, row.row.label, folds, *_numbers(cell), data, remark])
    return rows


def _numbers(cell: Cell) -> list[Any]:
    summary, (mean, sd) = cell.summary, cell.published or (None, None)
    difference = None if mean is None or summary.mean is None or cell.total else summary.mean - mean
    return [cell.metric.key, cell.metric.unit, summary.n, summary.mean, summary.sd, summary.low, summary.high, mean, sd, difference]


def _compared_row(table: ReproducedTable, one: str, other: str, found: PairedComparison) -> list[Any]:
    numbers = [found.n, found.median_difference, found.low, found.high, found.p_value, found.t_test_p_value]
    return [table.table.key, one, other, table.metrics[0].key, *numbers]


def _shown(table: ReproducedTable) -> dict[str, Any]:
    return {
        "title": table.table.title,
        "metrics": [f"{m.heading} ({m.unit})" if m.unit else m.heading for m in table.metrics],
        "rows": [_shown_row(row) for row in table.rows],
        "folds": [_shown_folds(row) for row in table.rows if row.folds],
        "compared": [_shown_comparison(*entry) for entry in table.compared],
    }


def _shown_row(row: ReproducedRow) -> dict[str, Any]:
    cells = []
    for cell in row.cells:
        metric, summary = cell.metric, cell.summary
        interval = DASH if summary.low is None else f"{_number(summary.low, metric)} … {_number(summary.high, metric)}"
        cells.append({"ours": _mean(summary, metric), "interval": interval, "published": _published(cell)})
    scans = max((cell.summary.cases for cell in row.cells), default=0)
    return {"label": row.row.label, "cells": cells, "scans": scans, "absent": row.row.absent, "notes": row.notes}


def _shown_folds(row: ReproducedRow) -> dict[str, Any]:
    return {"label": row.row.label, "folds": [[_mean(cell.summary, cell.metric) for cell in cells] for cells in row.folds]}


def _shown_comparison(one: str, other: str, found: PairedComparison) -> dict[str, str]:
    p_values = {"wilcoxon": found.p_value, "t_test": found.t_test_p_value}
    words = {name: DASH if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}" for name, p in p_values.items()}
    median = DASH if found.median_difference is None else f"{found.median_difference:+.3f}"
    return {"one": one, "other": other, "scans": str(found.n), "median": median} | words


def _published(cell: Cell) -> str:
    if cell.published is None:
        return DASH
    mean, sd = cell.published
    return _number(mean, cell.metric) + (f" ± {_number(sd, cell.metric)}" if sd is not None else "")


def _mean(summary: Summary, metric: Metric) -> str:
    return _number(summary.mean, metric) + (f" ± {_number(summary.sd, metric)}" if summary.sd is not None else "")


def _number(value: float | None, metric: Metric) -> str:
    return DASH if value is None else f"{value:,.{metric.decimals}f}"

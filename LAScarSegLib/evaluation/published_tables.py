"""A paper's tables beside ours: the scores of every row, with intervals, and the published numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..systems.reproduction import Row, Table
from .as_published import METRICS_OF_PAPERS, TOTALS, CaseResult
from .metrics import Metric
from .statistics import PairedComparison, Summary, compare, summarise

FoldResults = Sequence[Sequence[CaseResult]]
"""The scans of each fold; one fold where the paper has no cross-validation."""


@dataclass(frozen=True)
class Cell:
    """One number: ours over `summary.n` scans (of a count the sum), and as published (mean, SD)."""

    metric: Metric
    summary: Summary
    published: tuple[float, float | None] | None

    @property
    def total(self) -> bool:
        """Whether it is a sum over all scans."""
        return self.metric.key in TOTALS


@dataclass(frozen=True)
class ReproducedRow:
    """A row: its cells of all folds together, then those of each fold where there are several; none for a row that isn't computed."""

    row: Row
    cells: tuple[Cell, ...]
    folds: tuple[tuple[Cell, ...], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReproducedTable:
    """A table of the paper with ours in it; `compared`: pairs of rows, differences of the first column."""

    table: Table
    rows: tuple[ReproducedRow, ...]
    compared: tuple[tuple[str, str, PairedComparison], ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Of the columns."""
        return tuple(METRICS_OF_PAPERS[key] for key in self.table.columns)


def reproduce_table(table: Table, results: Mapping[str, FoldResults]) -> ReproducedTable:
    """A table from the results by row label; a row without any has published numbers only."""
    rows = tuple(_row(table, row, results.get(row.label, ())) for row in table.rows)
    column = table.columns[0]
    compared = []
    for pair in table.compared:
        one, other = ({result.case: result.values[column] for fold in results.get(label, ()) for result in fold} for label in pair)
        both = [case for case in one if case in other]
        compared.append((*pair, compare([one[case] for case in both], [other[case] for case in both])))
    return ReproducedTable(table, rows, tuple(compared))


def _row(table: Table, row: Row, folds: FoldResults) -> ReproducedRow:
    pooled = [result for fold in folds for result in fold]
    each = tuple(_cells(table, row, fold, published=False) for fold in folds) if len(folds) > 1 else ()
    return ReproducedRow(row, _cells(table, row, pooled), each, _notes(pooled))


def _cells(table: Table, row: Row, results: Sequence[CaseResult], published: bool = True) -> tuple[Cell, ...]:
    cells = []
    for key in table.columns:
        values = [result.values.get(key) for result in results]
        summary = summarise(values)
        if key in TOTALS and values:
            summary = Summary(summary.n, summary.cases, float(sum(value or 0 for value in values)), None, None, None, None)
        cells.append(Cell(METRICS_OF_PAPERS[key], summary, row.published.get(key) if published else None))
    return tuple(cells)


def _notes(results: Sequence[CaseResult]) -> tuple[str, ...]:
    """What was odd, each once, with the number of scans."""
    said: dict[str, int] = {}
    for result in results:
        for note in result.notes:
            said[note] = said.get(note, 0) + 1
    return tuple(f"{count} of {len(results)} scans: {note}" for note, count in said.items())

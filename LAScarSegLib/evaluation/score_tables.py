"""An evaluation on the screen and on disk."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..datasets.layouts import listed
from ..support.printable import csv_text, printable
from ..support.whole_folder import FolderKind, marked_by_program, whole_folder
from .metrics import METRICS, Metric
from .scores import CaseScore
from .statistics import CONFIDENCE, RESAMPLES, SEED, PairedComparison, Summary, column, compare, summarise

if TYPE_CHECKING:
    from rich.table import Table

SIMULATED = "Simulated scans: these scores are not comparable with scores on patients."
CASES_CSV, SUMMARY_CSV, COMPARISON_CSV, ALL_JSON = "cases.csv", "summary.csv", "comparison.csv", "evaluation.json"
EVALUATION = FolderKind(
    title="LAScarSeg evaluation", markers=frozenset({ALL_JSON}), ours=marked_by_program((CASES_CSV, SUMMARY_CSV, COMPARISON_CSV))
)
MOST_CASES = 100
"""Rows of the table of cases; more are in the CSV only."""


@dataclass(frozen=True)
class Evaluation:
    """The scores of one method (`scores`), and of another one on the same cases (`against`), with how they were made.

    `settings` are JSON-ready: the names of what was compared, the tolerance, the label.
    """

    scores: Sequence[CaseScore]
    against: Sequence[CaseScore]
    settings: dict[str, Any]

    @property
    def structures(self) -> list[str]:
        return list(dict.fromkeys(score.structure for score in self.scores))

    @property
    def simulated(self) -> bool:
        return any(score.simulated for score in self.scores)

    def metrics(self, structure: str) -> list[Metric]:
        """The metrics that any case of the structure has, in their order."""
        known = {key for score in self.scores if score.structure == structure for key in score.values}
        return [metric for metric in METRICS.values() if metric.key in known]

    def label(self, key: str) -> str:
        """A metric's name for people, with the tolerance that was used."""
        return METRICS[key].label.replace("the tolerance", f"{self.settings['tolerance_mm']:g} mm")

    @cached_property
    def summary(self) -> dict[str, dict[str, Summary]]:
        """By structure and metric."""
        return {s: {m.key: summarise(column(self.scores, s, m.key)) for m in self.metrics(s)} for s in self.structures}

    @cached_property
    def comparison(self) -> dict[str, dict[str, PairedComparison]]:
        """By structure and metric; empty without a second method."""
        return {
            s: {m.key: compare(column(self.scores, s, m.key), column(self.against, s, m.key)) for m in self.metrics(s)}
            for s in (self.structures if self.against else ())
        }


def screen_tables(evaluation: Evaluation) -> list[Table]:
    """For each structure: the cases with their most telling metrics, the summary of all metrics, the comparison."""
    tables = []
    for structure in evaluation.structures:
        cases = [score for score in evaluation.scores if score.structure == structure]
        if 1 < len(cases) <= MOST_CASES:
            tables.append(_cases_table(evaluation, structure, cases))
        tables.append(_summary_table(evaluation, structure))
        if evaluation.against:
            tables.append(_comparison_table(evaluation, structure))
    return tables


def remarks(evaluation: Evaluation) -> list[str]:
    """What a reader should know, one line each; what holds for several cases is said once."""
    cases: dict[str, dict[str, None]] = {}
    for score in (*evaluation.scores, *evaluation.against):
        for note in score.notes:
            cases.setdefault(note, {})[f"{score.case} ({score.structure})"] = None
    return [*([SIMULATED] if evaluation.simulated else []), *(f"{listed(names)}: {note}" for note, names in cases.items())]


def write_evaluation(evaluation: Evaluation, folder: Path, force: bool = False) -> None:
    """Write cases.csv, summary.csv, evaluation.json and, with a second method, comparison.csv; the folder appears whole.

    Raises `InputError` when the folder exists and `force` is False, or it holds something else (`whole_folder.check_folder` with
    `EVALUATION` says so beforehand); `ProcessingError` when the disk doesn't take it; nothing is left behind.
    """
    with whole_folder(folder, force, EVALUATION) as partial:
        _write_csv(_case_rows(evaluation), partial / CASES_CSV)
        _write_csv(_summary_rows(evaluation), partial / SUMMARY_CSV)
        if evaluation.against:
            _write_csv(_comparison_rows(evaluation), partial / COMPARISON_CSV)
        text = json.dumps(_content(evaluation), indent=2, ensure_ascii=False, allow_nan=False, default=asdict)
        (partial / ALL_JSON).write_text(text + "\n", encoding="utf-8")


def _table(evaluation: Evaluation, title: str, columns: Sequence[str]) -> Table:
    from rich.table import Table

    table = Table(title=f"{title}, SIMULATED" if evaluation.simulated else title, title_justify="left")
    for number, heading in enumerate(columns):
        table.add_column(heading, justify="right" if number and heading != "unit" else "left", overflow="fold")
    return table


def _cases_table(evaluation: Evaluation, structure: str, cases: Sequence[CaseScore]) -> Table:
    metrics = [metric for metric in evaluation.metrics(structure) if metric.headline]
    columns = ["case", *(f"{m.heading} {m.unit}".strip() for m in metrics)]
    table = _table(evaluation, f"{structure.capitalize()}, {len(cases)} cases", columns)
    for case in cases:
        table.add_row(printable(case.case), *(_shown(case.values.get(m.key), m.decimals) for m in metrics))
    return table


def _summary_table(evaluation: Evaluation, structure: str) -> Table:
    summary = evaluation.summary[structure]
    one = all(s.cases == 1 for s in summary.values())
    columns = ["", "unit", "value"] if one else ["", "unit", "mean ± SD", "median", "95 % of mean", "n"]
    table = _table(evaluation, f"{structure.capitalize()}, {'one case' if one else 'summary'}", columns)
    for key, s in summary.items():
        metric = METRICS[key]
        mean, sd, median = (_shown(value, metric.decimals) for value in (s.mean, s.sd, s.median))
        if one:
            table.add_row(evaluation.label(key), metric.unit, mean)
        else:
            table.add_row(evaluation.label(key), metric.unit, f"{mean} ± {sd}", median, _interval(s.low, s.high, metric.decimals), str(s.n))
    return table


def _comparison_table(evaluation: Evaluation, structure: str) -> Table:
    columns = ["", "unit", "median", "95 % of median", "p", "n", "favours"]
    table = _table(evaluation, f"{structure.capitalize()}, first − second method, Wilcoxon test", columns)
    for key, c in evaluation.comparison[structure].items():
        metric = METRICS[key]
        difference = _shown(c.median_difference, metric.decimals, sign=True)
        interval = _interval(c.low, c.high, metric.decimals, sign=True)
        p_value = "–" if c.p_value is None else "<0.001" if c.p_value < 0.001 else f"{c.p_value:.3f}"
        table.add_row(evaluation.label(key), metric.unit, difference, interval, p_value, str(c.n), _favours(metric, c))
    return table


def _favours(metric: Metric, comparison: PairedComparison) -> str:
    """Which method is better by this metric; empty when the interval of the difference holds 0, or more is neither."""
    if metric.more_is_better is None or comparison.median_difference is None or not comparison.clear:
        return ""
    return "first" if (comparison.median_difference > 0) == metric.more_is_better else "second"


def _shown(value: float | None, decimals: int, sign: bool = False) -> str:
    return "–" if value is None else f"{value:{'+' if sign else ''}.{decimals}f}"


def _interval(low: float | None, high: float | None, decimals: int, sign: bool = False) -> str:
    return "–" if low is None else f"{_shown(low, decimals, sign)} … {_shown(high, decimals, sign)}"


def _data(simulated: bool) -> str:
    return "simulated" if simulated else "scan"


def _case_rows(evaluation: Evaluation) -> list[list[Any]]:
    keys = list(dict.fromkeys(metric.key for structure in evaluation.structures for metric in evaluation.metrics(structure)))
    rows = [["method", "case", "structure", "data", *keys, "notes"]]
    for method, scores in (("first", evaluation.scores), ("second", evaluation.against)):
        for s in scores:
            rows.append([method, s.case, s.structure, _data(s.simulated), *(s.values.get(key) for key in keys), " ".join(s.notes)])
    return rows


def _summary_rows(evaluation: Evaluation) -> list[list[Any]]:
    rows = [["structure", "data", "metric", "label", "unit", "n", "cases", "mean", "sd", "median", "mean_low", "mean_high"]]
    for structure, metrics in evaluation.summary.items():
        for key, s in metrics.items():
            rows.append([structure, _data(evaluation.simulated), key, evaluation.label(key), METRICS[key].unit, *astuple(s)])
    return rows


def _comparison_rows(evaluation: Evaluation) -> list[list[Any]]:
    rows = [["structure", "metric", "label", "unit", "n", "median_difference", "low", "high", "p_value", "t_test_p_value", "favours"]]
    for structure, metrics in evaluation.comparison.items():
        for key, c in metrics.items():
            rows.append([structure, key, evaluation.label(key), METRICS[key].unit, *astuple(c), _favours(METRICS[key], c)])
    return rows


def _content(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "program": "LAScarSeg",
        "version": __version__,
        "notice": "For research use only. Not a medical device." + (f" {SIMULATED}" if evaluation.simulated else ""),
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "simulated": evaluation.simulated,
        "settings": evaluation.settings,
        "statistics": {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": SEED, "interval": "percentile bootstrap over cases"},
        "cases": evaluation.scores,
        "against": evaluation.against,
        "summary": evaluation.summary,
        "comparison": evaluation.comparison,
    }


def _write_csv(rows: list[list[Any]], path: Path) -> None:
    """None becomes an empty cell; floats are written so that they read back the same."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([csv_text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)

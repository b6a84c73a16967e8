"""Repetitions, a plain table, and bars that decide the exit code."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bar:
    """A promise: `value` stays at or below `limit` (at or above it with `at_least`)."""

    what: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def median_seconds(work: Callable[[], Any], repetitions: int) -> tuple[float, Any]:
    """The median wall-clock time of `work()` in seconds, and what it returned last."""
    seconds, result = [], None
    for _ in range(repetitions):
        result = None  # the last result's memory is not part of the next repetition
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns of text; the first is left-aligned, numbers are on the right."""
    cells = [[str(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        print(
            "  ".join(cell.rjust(width) if n else cell.ljust(width) for n, (cell, width) in enumerate(zip(row, widths))).rstrip(),
            flush=True,
        )


def ratio(reference: float, ours: float) -> str:
    """How many times `ours` goes into `reference`."""
    return f"{reference / ours:.3g}×"


def judge(bars: Sequence[Bar]) -> int:
    """Print whether each bar holds; the exit code is 1 when one doesn't."""
    print()
    for bar in bars:
        sign = "≥" if bar.at_least else "≤"
        print(
            f"{'holds ' if bar.holds else 'BROKEN'}  {bar.what}: {bar.value:.3g} {bar.unit} ({sign} {bar.limit:g} {bar.unit})", flush=True
        )
    return 0 if all(bar.holds for bar in bars) else 1

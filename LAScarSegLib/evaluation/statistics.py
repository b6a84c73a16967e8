"""What many cases say: mean, spread, bootstrap intervals, and paired tests between two methods."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .scores import CaseScore

CONFIDENCE = 0.95
RESAMPLES = 10_000
"""Enough for the interval's ends to be stable in the second digit (Efron & Tibshirani 1993, section 14)."""
SEED = 20260
"""The same cases give the same interval, every time."""
MIN_CASES = 6
"""Fewer say nothing at 95 %: the range of 5 samples holds the median with 1 − 2⁻⁴ = 94 %, and the signed-rank test of 5 pairs
ends at p = 0.06."""


@dataclass(frozen=True)
class Summary:
    """One metric over `n` cases that have it, of `cases`; `low`…`high` is the 95 % interval of the mean (None below
    `MIN_CASES`)."""

    n: int
    cases: int
    mean: float | None
    sd: float | None
    median: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class PairedComparison:
    """Two methods on the same cases: differences first − second over the `n` cases that both have.

    `low`…`high` is the 95 % interval of the median difference (None below `MIN_CASES`), `p_value` the two-sided Wilcoxon
    signed-rank test's, not corrected for the number of metrics (None when every difference is 0 or there is no case), `t_test_p_value` that
    of the paired t-test, for comparison with papers that report it (None also for a single case, and when all differences are equal).
    """

    n: int
    median_difference: float | None
    low: float | None
    high: float | None
    p_value: float | None
    t_test_p_value: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval lies on one side of 0."""
        return self.low is not None and self.high is not None and self.low * self.high > 0


def summarise(values: Sequence[float | None]) -> Summary:
    """Mean, SD (n − 1), median and the percentile bootstrap interval of the mean; None values are left out and counted."""
    known = np.array([value for value in values if value is not None], dtype=float)
    if known.size == 0:
        return Summary(0, len(values), None, None, None, None, None)
    sd = float(known.std(ddof=1)) if known.size > 1 else None
    return Summary(known.size, len(values), float(known.mean()), sd, float(np.median(known)), *bootstrap_interval(known, np.mean))


def compare(first: Sequence[float | None], second: Sequence[float | None]) -> PairedComparison:
    """The paired comparison of two lists of the same cases in the same order; a case without one of the two is left out."""
    both = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    difference = np.array([a - b for a, b in both], dtype=float)
    if difference.size == 0:
        return PairedComparison(0, None, None, None, None)
    p_value = t_test = None
    if difference.any():
        from scipy.stats import ttest_1samp, wilcoxon

        p_value = float(wilcoxon(difference).pvalue)
        t_test = float(ttest_1samp(difference, 0.0).pvalue) if np.ptp(difference) > 0 else None
    interval = bootstrap_interval(difference, np.median)
    return PairedComparison(difference.size, float(np.median(difference)), *interval, p_value, t_test)


def bootstrap_interval(values: np.ndarray, statistic: Callable) -> tuple[float | None, float | None]:
    """95 % percentile interval of `statistic` (called with `axis=1`) over resampled cases (N,), seeded; None below `MIN_CASES`."""
    if values.size < MIN_CASES:
        return None, None
    draws = np.random.default_rng(SEED).integers(0, values.size, size=(RESAMPLES, values.size))
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(statistic(values[draws], axis=1), [tail, 100.0 - tail])
    return float(low), float(high)


def column(scores: Sequence[CaseScore], structure: str, key: str) -> list[float | None]:
    """One metric of all cases of a structure, in their order; None where undefined."""
    return [score.values.get(key) for score in scores if score.structure == structure]

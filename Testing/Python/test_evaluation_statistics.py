"""Intervals and paired tests: against analysis, SciPy and a published data set."""

import numpy as np
import pytest
from scipy import stats

from LAScarSegLib.evaluation.statistics import bootstrap_interval, compare, summarise

DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]
"""Height differences of cross- and self-fertilised maize in eighths of an inch (Darwin 1876); signed-rank W = 24, p = 0.0413."""


def test_summary_of_known_numbers():
    found = summarise([2.0, 4.0, None, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0])
    assert (found.n, found.cases, found.mean, found.median) == (8, 9, 5.0, 4.5)
    assert found.sd == pytest.approx(np.sqrt(32 / 7))


def test_interval_of_the_mean_is_the_normal_one_for_many_cases():
    values = np.random.default_rng(5).normal(0.9, 0.05, 400)
    low, high = bootstrap_interval(values, np.mean)
    half = 1.96 * values.std(ddof=1) / np.sqrt(values.size)
    assert low == pytest.approx(values.mean() - half, abs=0.05 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.05 * half)


def test_interval_of_the_median_is_scipys():
    values = np.random.default_rng(6).gamma(2.0, 1.0, 41)
    expected = stats.bootstrap((values,), np.median, n_resamples=10_000, method="percentile", random_state=1).confidence_interval
    assert bootstrap_interval(values, np.median) == pytest.approx(tuple(expected), abs=0.05)


def test_the_same_cases_give_the_same_interval():
    values = np.random.default_rng(7).random(12)
    assert bootstrap_interval(values, np.mean) == bootstrap_interval(values, np.mean)


def test_signed_rank_test_of_darwins_maize():
    found = compare([float(d) for d in DARWIN], [0.0] * len(DARWIN))
    assert (found.n, found.median_difference) == (15, 24.0)
    assert found.p_value == pytest.approx(0.0413, abs=5e-5)
    assert found.low < 24.0 < found.high
    # Fisher, The Design of Experiments, section 17: t = 2.148 on 14 degrees of freedom.
    assert found.t_test_p_value == pytest.approx(0.0497, abs=5e-5)


def test_a_case_without_one_of_the_two_numbers_is_left_out():
    found = compare([1.0, None, 3.0, 4.0], [0.5, 2.0, None, 3.5])
    assert (found.n, found.median_difference) == (2, 0.5)


def test_equal_methods_have_no_p_value():
    found = compare([0.5] * 8, [0.5] * 8)
    assert found.p_value is None and found.median_difference == 0.0 and not found.clear


def test_five_cases_have_no_interval():
    assert summarise([0.1, 0.2, 0.3, 0.4, 0.5]).low is None
    assert summarise([0.1, 0.2, 0.3, 0.4, 0.5, 0.6]).low is not None


def test_nothing_to_summarise():
    found = summarise([None, None])
    assert (found.n, found.cases, found.mean) == (0, 2, None)
    assert compare([None], [0.3]).n == 0

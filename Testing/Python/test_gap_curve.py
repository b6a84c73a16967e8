"""Gaps against the threshold: the findings' numbers at each, told where somebody reads them, and only where a threshold decides."""

from __future__ import annotations

import csv
from itertools import pairwise
from pathlib import Path

import pytest
from gap_cases import with_gaps

from LAScarSegLib.analysis import Change, revise
from LAScarSegLib.analysis.gap_curve import can_follow, thresholds
from LAScarSegLib.output.figures import FIGURES
from LAScarSegLib.output.figures.gap_curve import steepest
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.surface.gaps import GapsAtThreshold

PUBLISHED = {0.97, 1.16, 1.20, 1.32, 1.61}
"""Ratios of Khurram 2014, CemrgApp and Barcelona between "fibrosis" and "dense"."""
KIND = next(kind for kind in FIGURES if kind.file_name == "gaps_against_threshold.png")


def numbers_at(curve, ratio: float) -> dict[str, tuple[int, float]]:
    return {point.around: (point.count, point.gap_mm) for point in curve if point.threshold == ratio}


@pytest.mark.parametrize("ratio", [1.2, 1.32])
def test_the_curve_has_what_an_analysis_with_that_threshold_finds(ratio):
    """At the result's own ratio, and at another one."""
    analysis = with_gaps()
    other = revise(analysis, Change(scar=analysis.sources.scar.with_threshold(ratio)), ranges=False)
    expected = {around.around: (len(around.gaps), around.gap_mm) for around in other.findings.encirclements}
    assert numbers_at(analysis.gap_curve, ratio) == expected and expected


def test_there_is_less_gap_where_there_is_more_scar():
    """To the straightening's accuracy (Docs/gaps.md): 0.9 % of a path."""
    ratios = sorted({point.threshold for point in with_gaps().gap_curve})
    for low, high in pairwise(ratios):
        less, more = (numbers_at(with_gaps().gap_curve, ratio) for ratio in (low, high))
        assert all(less[around][1] <= 1.02 * more[around][1] + 0.5 for around in less)


@pytest.mark.parametrize(("vertices", "count"), [(1_000, 13), (22_000, 7), (45_000, 4), (500_000, 4)])
def test_a_larger_surface_is_looked_at_fewer_times(vertices, count):
    taken = thresholds(1.25, vertices)
    assert len(taken) == count and 1.25 in taken and taken == tuple(sorted(taken))
    assert {0.97, 1.61} < set(taken) and (count < 7 or set(taken) >= PUBLISHED)


@pytest.mark.parametrize("own", [0.5, 1.2, 1.2004, 3.0])
def test_the_results_own_threshold_is_always_there_and_none_twice(own):
    taken = thresholds(own, 1_000)
    assert own in taken and min(high - low for low, high in pairwise(taken)) > 0.009


def test_scar_that_no_threshold_decides_has_no_curve(tmp_path):
    analysis = with_gaps()
    drawn = revise(analysis, Change(scar=analysis.masks["wall"]), ranges=False)
    assert drawn.findings.encirclements and not can_follow(drawn) and drawn.gap_curve == () and not KIND.can_draw(drawn)


@pytest.mark.parametrize("report", [True, False])
def test_the_numbers_are_written_where_a_report_is(tmp_path, report):
    analysis = with_gaps()
    folder = write_results(analysis, tmp_path / "out", figures=False, report=report, scene=False)
    file = folder / "gaps_against_threshold.csv"
    assert file.is_file() == report
    if report:
        rows = list(csv.DictReader(open(file, encoding="utf-8")))
        told = [(float(row["iir"]), row["around"], int(row["gaps"]), float(row["gap_mm"])) for row in rows]
        assert told == [(p.threshold, p.around, p.count, pytest.approx(p.gap_mm, abs=0.0051)) for p in analysis.gap_curve]


def test_the_picture_is_drawn_and_says_what_it_shows(tmp_path: Path):
    analysis = with_gaps()
    assert KIND.can_draw(analysis) and KIND.draw(analysis, tmp_path / "g.png").stat().st_size > 10_000
    (lspv,) = (around for around in analysis.findings.encirclements if around.around == "LSPV")
    assert f"{lspv.gap_mm:.0f}" in KIND.describe(analysis) and "LSPV" in KIND.describe(analysis) and "hang on" in KIND.caption(analysis)


def test_the_steepest_step_is_the_one_beside_the_threshold():
    """LSPV opens between 1.16 and 1.20; the longer step of the RIPV is elsewhere."""
    lengths = {"LSPV": (0.0, 1.0, 9.0, 10.0), "RIPV": (2.0, 4.0, 5.0, 40.0)}
    points = [GapsAtThreshold(t, name, 1, mm, 0.1) for name, each in lengths.items() for t, mm in zip((0.97, 1.16, 1.20, 1.61), each)]
    low, high = steepest(points, 1.16)
    assert (low.around, low.gap_mm, high.gap_mm) == ("LSPV", 1.0, 9.0)
    assert steepest(points, 0.97) is None

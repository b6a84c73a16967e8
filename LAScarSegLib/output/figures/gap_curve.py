"""Gaps against the threshold: how much of the line around each vein and pair is healthy, at the published ratios and between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...analysis.gap_curve import published_ratios, result_ratio
from ...surface.gaps import MIN_GAP_MM, GapsAtThreshold
from ...surface.planes import LEFT_NAMES
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (10.0, 4.6)
SIDES = ("left", "right")
COLOURS = {"S": style.SCAR, "M": style.WALL_FILL, "I": style.BLOOD, "C": style.SCAR, "pair": style.INK}
"""By the second letter of a vein's name (superior, middle, inferior, common), the same on both sides."""
NEAR_IIR = 0.06
"""Numbers of thresholds that are nearer than this would run into each other: they stand on the outer sides."""
ROOM = 1.12
"""Of the highest value: what stands above a curve has room."""


def compose(analysis: Analysis) -> Figure:
    figure = style.new_figure(*SIZE_IN, "Gaps against threshold", style.headline(analysis))
    curve = analysis.gap_curve
    own = result_ratio(analysis)
    highest = max((point.gap_mm for point in curve if np.isfinite(point.gap_mm)), default=0.0)
    for number, side in enumerate(SIDES):
        axes = figure.add_axes((0.065 + 0.475 * number, 0.14, 0.435, 0.57))
        for around in dict.fromkeys(point.around for point in curve if _side(point.around) == side):
            _draw(axes, [point for point in curve if point.around == around])
        axes.set_title(f"{side} veins", loc="left", fontsize=10, fontweight="bold", pad=26)
        axes.set_ylim(0, max(ROOM * highest, MIN_GAP_MM))
        axes.set_xlabel("threshold as image intensity ratio (blood mean = 1)")
        if number == 0:
            axes.set_ylabel("healthy tissue on the line (mm)")
        style.quiet_grid(axes)
        _mark_thresholds(axes, own)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="upper left", handlelength=2.2)
    figure.text(0.975, 0.855, f"open circle: no gap of {MIN_GAP_MM:g} mm", ha="right", va="bottom", fontsize=8.5, color=style.MUTED)
    return figure


def describe(analysis: Analysis) -> str:
    """The curve's ends and its value at the result's threshold."""
    own, told = result_ratio(analysis), []
    for around in dict.fromkeys(point.around for point in analysis.gap_curve):
        points = [point for point in analysis.gap_curve if point.around == around and np.isfinite(point.gap_mm)]
        if points:
            here = next(point for point in points if point.threshold == own)
            told.append(f"{around} {points[0].gap_mm:.0f}, {here.gap_mm:.0f} and {points[-1].gap_mm:.0f} mm")
    ends = (analysis.gap_curve[0].threshold, own, analysis.gap_curve[-1].threshold)
    at = "{:.2f}, {:.2f} (this result) and {:.2f}".format(*ends)
    return f"Healthy tissue on the line around each vein and pair, growing as the threshold rises; at ratios of {at}: {'; '.join(told)}."


def caption(analysis: Analysis) -> str:
    step = steepest(analysis.gap_curve, result_ratio(analysis))
    example = ""
    if step is not None:
        ends = (f"{point.gap_mm:.0f} mm at {point.threshold:.2f}" for point in step)
        example = f", as of the {step[0].around} from {' to '.join(ends)}"
    return (
        "The line with the least healthy tissue around each vein and pair, found anew at each threshold (dots): where a curve rises in a "
        f"step beside the threshold of this result, the gaps there hang on that number{example}."
    )


def steepest(curve: Sequence[GapsAtThreshold], own: float | None) -> tuple[GapsAtThreshold, GapsAtThreshold] | None:
    """The two neighbouring points, one of them at the result's threshold, between which a gap grows most for a step of the threshold; None
    where none grows by `MIN_GAP_MM`."""
    steps = []
    for around in dict.fromkeys(point.around for point in curve):
        points = [point for point in curve if point.around == around]
        steps += [(low, high) for low, high in pairwise(points) if own in (low.threshold, high.threshold)]
    steps = [(low, high) for low, high in steps if high.gap_mm - low.gap_mm >= MIN_GAP_MM]
    return max(steps, key=lambda step: (step[1].gap_mm - step[0].gap_mm) / (step[1].threshold - step[0].threshold), default=None)


def _side(around: str) -> str:
    return "left" if around in (*LEFT_NAMES, "left pair") else "right"


def _draw(axes: Axes, points: Sequence[GapsAtThreshold]) -> None:
    """One vein's curve; an open circle where no stretch is long enough to be a gap."""
    around = points[0].around
    colour, dashes = COLOURS["pair" if "pair" in around else around[1]], (0, (5, 2)) if "pair" in around else "solid"
    ratios, lengths = ([getattr(point, key) for point in points] for key in ("threshold", "gap_mm"))
    axes.plot(ratios, lengths, color=colour, linewidth=1.8, linestyle=dashes, label=around)
    for point in points:
        filled = colour if point.count else "white"
        look = {"color": filled, "markeredgecolor": colour, "markeredgewidth": 1.4, "markersize": 5}
        axes.plot(point.threshold, point.gap_mm, "o", zorder=4, clip_on=False, **look)


def _mark_thresholds(axes: Axes, own: float) -> None:
    """The published ratios as dotted lines with their numbers above, the result's own as a solid one with its number above those."""
    published = np.array(published_ratios())
    for ratio in published:
        apart = published[np.abs(published - ratio) < NEAR_IIR] - ratio
        beside = "right" if apart.max() > 0 else "left" if apart.min() < 0 else "center"
        axes.axvline(ratio, color=style.MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        _number_above(axes, ratio, f"{ratio:.2f}", 3, {"color": style.MUTED, "ha": beside})
    axes.axvline(own, color=style.INK, linewidth=1.4, zorder=2)
    low, high = axes.get_xlim()
    _number_above(axes, own, f"this result: {own:.2f}", 14, {"fontweight": "bold", "ha": "right" if own > (low + high) / 2 else "left"})


def _number_above(axes: Axes, ratio: float, text: str, above_points: float, look: dict[str, str]) -> None:
    at = {"xycoords": ("data", "axes fraction"), "xytext": (0, above_points), "textcoords": "offset points"}
    axes.annotate(text, (ratio, 1.0), **at, va="bottom", fontsize=8, **look)

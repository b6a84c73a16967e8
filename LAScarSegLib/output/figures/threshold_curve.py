"""The threshold curve: how much is called scar at every threshold, with the published presets marked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...intensity.rules import RULES
from ...measure.published import PublishedScar, published_scars
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (10.0, 5.6)
REFERENCE_RULE = "iir"
"""Whose presets are marked when the method has none of its own (Otsu, a mask, …)."""
LEAST_IIR_RANGE = (0.7, 1.75)
"""Shown at least, so that the curves of two patients can be laid side by side."""
LABEL_ABOVE_PCT = 52.0
"""Where the curves are lower than this, a preset's name fits above it, else below."""
NEARLY_ALL_PCT = 98.0
"""A surface curve that stays below this at the lowest threshold needs an explanation."""
LABEL_SHARE = 0.4
"""Of the axis: as wide as the result's label, which stands above the curve."""
EMPTY_PCT = 0.05
"""Where every curve is below this, there is nothing left to show."""


def compose(analysis: Analysis) -> Figure:
    figure = style.new_figure(*SIZE_IN, "Scar against threshold", style.headline(analysis))
    axes = figure.add_axes((0.065, 0.115, 0.915, 0.63))
    curve, blood = analysis.curve, analysis.blood_pool
    surface, volume = _curves(analysis)
    lines = [
        (surface, f"% of the {analysis.headline.of} (the headline number)", {"color": style.SCAR, "linewidth": 2.4}),
        (volume, "% of the wall's volume" + (" inside the cut planes" if analysis.planes else ""), {"color": style.WALL_FILL, "linewidth": 1.8}),
    ]
    if analysis.planes:
        dashed = {"color": style.MUTED, "linewidth": 1.2, "linestyle": (0, (5, 2))}
        lines.insert(1, (curve.scar_area_pct, "% of the whole LA surface", dashed))
    for values, label, look in lines:
        axes.plot(curve.iir, values, label=label, **look)
    axes.set_xlim(_range(analysis))
    axes.set_ylim(0, 100)
    axes.set_xlabel("threshold as image intensity ratio (blood mean = 1)")
    axes.set_ylabel("scar (%)")
    style.quiet_grid(axes)
    if blood.sd > 0:
        second = axes.secondary_xaxis("top", functions=(lambda t: (t - 1) * blood.mean / blood.sd, lambda n: 1 + n * blood.sd / blood.mean))
        second.set_xlabel("threshold as standard deviations above the blood mean", color=style.INK)
        second.spines["top"].set_visible(True)
    _mark_presets(axes, analysis)
    _mark_result(axes, analysis)
    figure.legend(*axes.get_legend_handles_labels(), loc="upper left", bbox_to_anchor=(0.008, 0.89), ncols=3, columnspacing=2.0)
    return figure


def _curves(analysis: Analysis) -> tuple[np.ndarray, np.ndarray]:
    """The curves of what the headline is about: share of the surface, and of the wall's volume."""
    curve = analysis.curve
    if analysis.planes:
        return curve.scar_area_pct_wall, curve.scar_pct_of_wall_volume_wall
    return curve.scar_area_pct, curve.scar_pct_of_wall_volume


def describe(analysis: Analysis) -> str:
    """The curve's values at the presets."""
    points = [f"{scar.area_pct:.1f} % at {scar.label}" for scar in _presets(analysis)]
    return "Percentage of the surface called scar, falling as the threshold rises: " + ", ".join(points) + "."


def caption(analysis: Analysis) -> str:
    family = RULES[_family(analysis)].title
    surface, _ = _curves(analysis)
    reached = float(np.nanmax(surface)) if np.isfinite(surface).any() else 100.0
    bare = ""
    if reached < NEARLY_ALL_PCT:
        bare = f" The surface curve ends at {reached:.0f} %: of the rest nothing was measured, or it is dark."
    return (
        "Published thresholds disagree, so the whole curve is shown: what would be called scar at every threshold. "
        f"Marked are the presets of “{family}”; each was published for its own wall and way of measuring.{bare}"
    )


def _family(analysis: Analysis) -> str:
    rule = RULES.get(analysis.method.name) if analysis.method.is_rule else None
    return rule.name if rule is not None and rule.presets else REFERENCE_RULE


def _presets(analysis: Analysis) -> list[PublishedScar]:
    """The presets of the method's own family, ascending."""
    return [scar for scar in published_scars(analysis.samples[0]) if scar.rule.name == _family(analysis)]


def _range(analysis: Analysis) -> tuple[float, float]:
    """From where nearly all is scar, or the lowest preset, to where nothing is: the part of the curve that says something."""
    curve = analysis.curve
    marks = [scar.iir for scar in _presets(analysis)] + [ratio for ratio in [_result_ratio(analysis)] if ratio is not None]
    visible = curve.iir[_curves(analysis)[0] > EMPTY_PCT]
    high = max([LEAST_IIR_RANGE[1], *(mark + 0.1 for mark in marks), float(visible.max()) if visible.size else 0.0])
    low = min(LEAST_IIR_RANGE[0], *(mark - 0.1 for mark in marks))
    return max(low, float(curve.iir.min())), min(high, float(curve.iir.max()))


def _result_ratio(analysis: Analysis) -> float | None:
    level = analysis.method.threshold_intensity
    return None if level is None else level / analysis.blood_pool.mean


def _mark_presets(axes: Axes, analysis: Analysis) -> None:
    """A dot on the curve and a name above it for each preset; the one in use is the result's own mark."""
    chosen = _result_ratio(analysis)
    for scar in _presets(analysis):
        if chosen is not None and abs(scar.iir - chosen) < 1e-9:
            continue
        axes.axvline(scar.iir, color=style.MUTED, linewidth=0.8, linestyle=(0, (2, 2)), zorder=1)
        area = scar.area_pct
        axes.plot(scar.iir, area, "o", color="white", markeredgecolor=style.SCAR, markeredgewidth=1.4, markersize=5.5, zorder=4)
        low_on_curve = max(area, scar.volume_pct) < LABEL_ABOVE_PCT
        axes.annotate(
            f"{scar.label}  {_author(scar.preset.source)}", (scar.iir, 0.98 if low_on_curve else 0.02),
            xycoords=("data", "axes fraction"), xytext=(-2.5, 0), textcoords="offset points", rotation=90, ha="right",
            va="top" if low_on_curve else "bottom", fontsize=8, color=style.MUTED, path_effects=style.outlined("white", 3),
        )  # fmt: skip


def _mark_result(axes: Axes, analysis: Analysis) -> None:
    value = analysis.headline.quantity.value
    ratio = _result_ratio(analysis)
    if value is None:
        return
    if ratio is None:
        axes.axhline(value, color=style.INK, linewidth=1.2)
        axes.annotate(
            f"this result: {value:.1f} %", (0.99, value), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", fontsize=9.5, fontweight="bold",
        )  # fmt: skip
        return
    axes.axvline(ratio, color=style.INK, linewidth=1.4, zorder=2)
    axes.plot(ratio, value, "o", color=style.SCAR, markeredgecolor=style.INK, markeredgewidth=1.4, markersize=8.5, zorder=5)
    name = f" · {analysis.method.preset}" if analysis.method.preset else ""
    left, right = axes.get_xlim()
    width = LABEL_SHARE * (right - left)
    on_left = ratio + width > right
    beside = (analysis.curve.iir >= ratio - width * on_left) & (analysis.curve.iir <= ratio + width * (not on_left))
    above = max([value, *(float(curve[beside].max(initial=value)) for curve in _curves(analysis))])
    axes.annotate(
        f"this result: {value:.1f} % at {ratio:.2f}{name}", (ratio, above), xytext=(-9 if on_left else 9, 7), textcoords="offset points",
        ha="right" if on_left else "left", va="bottom", fontsize=9.5, fontweight="bold", path_effects=style.outlined("white", 3),
    )  # fmt: skip


def _author(source: str) -> str:
    """"Khurram 2014" of "Khurram et al., Heart Rhythm 2014"; what is in brackets when there is a program's name."""
    if "(" in source and source.endswith(")"):
        return source[source.rindex("(") + 1 : -1]
    return f"{source.split()[0]} {source.split()[-1]}"

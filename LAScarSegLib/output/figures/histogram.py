"""The histogram: grey levels of the blood pool and of the wall, and where the threshold cuts."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...intensity.blood_pool import blood_pool_mask
from . import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_IN = (10.0, 4.6)
BINS = 80
LABEL_LEFT_FROM = 0.7
"""A threshold farther right than this share of the axis has its name on its left."""
LABEL_CHARACTERS = 34
TAIL_PERCENTILES = (0.1, 99.9)
"""The axis ends here: a few voxels of the lung or of a bright artefact would squeeze the rest."""


def compose(analysis: Analysis) -> Figure:
    figure = style.new_figure(*SIZE_IN, "Grey levels of blood pool and wall", _summary(analysis))
    axes = figure.add_axes((0.065, 0.13, 0.915, 0.62))
    blood, wall = blood_values(analysis), analysis.lge_box[analysis.wall_box]
    bins = histogram_bins(np.concatenate([blood, wall]), analysis.method.threshold_intensity)
    for values, colour, label in ((blood, style.BLOOD, "blood pool"), (wall, style.WALL_FILL, "wall")):
        if values.size:
            counts, _ = np.histogram(values, bins)
            label = f"{label} ({values.size:,} voxels)".replace(",", "\u2009")
            axes.stairs(100.0 * counts / values.size, bins, fill=True, color=colour, alpha=0.45)
            axes.stairs(100.0 * counts / values.size, bins, color=colour, linewidth=1.5, label=label)
    axes.set_xlim(bins[0], bins[-1])
    axes.set_ylim(0, axes.get_ylim()[1] * 1.12)
    axes.set_xlabel("grey level")
    axes.set_ylabel("voxels of each (%)")
    style.quiet_grid(axes)
    mean = analysis.blood_pool.mean
    second = axes.secondary_xaxis("top", functions=(lambda g: g / mean, lambda t: t * mean))
    second.set_xlabel("image intensity ratio (blood mean = 1)", color=style.INK)
    second.spines["top"].set_visible(True)
    _mark_levels(axes, analysis)
    level = analysis.method.threshold_intensity
    axes.legend(loc="upper left" if level is None or level > bins.mean() else "upper right")
    return figure


def describe(analysis: Analysis) -> str:
    return f"Histogram of grey levels. {_summary(analysis)}"


def caption(analysis: Analysis) -> str:
    erosion = analysis.settings.blood_pool_erosion_mm
    cut = " Wall to the right of the threshold is scar."
    if analysis.method.threshold_intensity is None:
        cut = ""
    elif analysis.reading.is_layer:
        cut = " The threshold is compared with the layer, not with these voxels."
    return f"The blood pool is the cavity more than {erosion:g} mm from its edge. Each histogram adds up to 100 %.{cut}"


def blood_values(analysis: Analysis) -> np.ndarray:
    """(N,) grey levels of the blood pool: the cavity deeper than the erosion."""
    return analysis.lge_box[blood_pool_mask(analysis.sdm_cavity_box, analysis.settings.blood_pool_erosion_mm)]


def histogram_bins(values: np.ndarray, level: float | None = None) -> np.ndarray:
    """About `BINS` equal bins over all but the tails of `values` (N,) and over `level`; whole numbers fall evenly into them.

    Grey levels are whole numbers in most scans: bins of another width would hold now two, now three of them, a comb.
    """
    low, high = (float(edge) for edge in np.percentile(values, TAIL_PERCENTILES))
    if level is not None:
        room = 0.02 * max(high - low, 1.0)
        low, high = min(low, level - room), max(high, level + room)
    if np.array_equal(values, np.rint(values)):
        width = max(1, round((high - low) / BINS))
        return np.arange(np.floor(low), np.ceil(high) + width + 1, width) - 0.5
    return np.linspace(low, high, BINS + 1) if high > low else np.linspace(low - 0.5, low + 0.5, BINS + 1)


def _summary(analysis: Analysis) -> str:
    blood, wall = analysis.blood_pool, analysis.lge_box[analysis.wall_box]
    text = f"Blood pool {blood.mean:.4g} ± {blood.sd:.3g} (mean ± SD)"
    if wall.size:
        text += f", wall median {np.median(wall):.4g}"
    level = analysis.method.threshold_intensity
    return text if level is None else f"{text}; threshold {level:.4g}"


def _mark_levels(axes: Axes, analysis: Analysis) -> None:
    axes.axvline(analysis.blood_pool.mean, color=style.BLOOD, linewidth=1.2, linestyle=(0, (4, 2)))
    level = analysis.method.threshold_intensity
    if level is None:
        return
    axes.axvline(level, color=style.SCAR, linewidth=1.8)
    low, high = axes.get_xlim()
    beyond = level > low + LABEL_LEFT_FROM * (high - low)
    axes.annotate(
        "\n".join([f"threshold {level:.4g}", *textwrap.wrap(analysis.method.label, LABEL_CHARACTERS)]), (level, 0.97), xycoords=("data", "axes fraction"),
        xytext=(-6 if beyond else 6, 0), textcoords="offset points", ha="right" if beyond else "left", va="top", fontsize=9,
        color=style.SCAR, fontweight="bold", linespacing=1.4,
    )  # fmt: skip

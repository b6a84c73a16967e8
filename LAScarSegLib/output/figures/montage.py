"""The montage: the slices as acquired, with the outlines of cavity and wall, and scar filled in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...volumes.volume import Box
from . import style
from .slice_layout import SliceLayout, choose_slices, widen

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS, SLICES = 4, 12
WIDTH_IN, GAP_IN, FOOT_IN = 10.0, 0.05, 0.4
CONTEXT_MM = 8.0
"""Shown around the analysis's box, which itself reaches 12 mm beyond the cavity: neighbours help to judge the wall."""
WINDOW = (0.0, 2.0)
"""Black and white in units of the blood pool's mean: the same grey means the same ratio in every patient."""
SCALE_BAR_MM = 20.0
FILL_OPACITY = 0.55


def compose(analysis: Analysis) -> Figure:
    layout, box, slices = _choose(analysis)
    beyond, found = analysis.beyond_planes_box, _shown_scar(analysis)
    left_out = found & beyond
    masks = (analysis.cavity_box, analysis.wall_box, found & ~beyond, left_out)
    crops = [analysis.volume.array[box.slices], *(analysis.box.of_values(mask.astype(np.uint8), box) for mask in masks)]
    rows_px, columns_px = layout.picture(crops[0][0]).shape
    panel_in = (WIDTH_IN - (COLUMNS + 1) * GAP_IN) / COLUMNS
    panel_height_in = panel_in * rows_px * layout.pixel_mm[1] / (columns_px * layout.pixel_mm[0])
    rows = -(-len(slices) // COLUMNS)
    height_in = style.TITLE_IN + rows * (panel_height_in + GAP_IN) + FOOT_IN
    figure = style.new_figure(WIDTH_IN, height_in, f"{_plane(layout).capitalize()} slices", style.headline(analysis))
    for number, k in enumerate(slices):
        row, column = divmod(number, COLUMNS)
        left = GAP_IN + column * (panel_in + GAP_IN)
        bottom = height_in - style.TITLE_IN - (row + 1) * panel_height_in - row * GAP_IN
        axes = figure.add_axes((left / WIDTH_IN, bottom / height_in, panel_in / WIDTH_IN, panel_height_in / height_in))
        _panel(axes, [layout.picture(crop[k - box.start[0]]) for crop in crops], layout, analysis.blood_pool.mean)
        _marks(axes, layout, f"{k + 1} / {analysis.geometry.size[2]}", first=number == 0)
    _legend(figure, bool(left_out.any()), analysis.withheld)
    return figure


def describe(analysis: Analysis) -> str:
    layout, _, slices = _choose(analysis)
    filled = "" if analysis.withheld else " and the scar filled in"
    return f"{len(slices)} {_plane(layout)} slices through the left atrium with the outlines of cavity and wall{filled}."


def caption(analysis: Analysis) -> str:
    layout, _, slices = _choose(analysis)
    preferred = "" if analysis.withheld else " with those richest in scar preferred"
    lies = "posterior on the right" if layout.plane == "sagittal" else "patient’s left on the right"
    return (
        f"{len(slices)} {_plane(layout)} slices as acquired, {lies}, evenly spread over the LA{preferred}; "
        f"slice numbers count from 1. Grey levels from 0 to twice the blood pool’s mean."
    )


def _choose(analysis: Analysis) -> tuple[SliceLayout, Box, list[int]]:
    layout = SliceLayout.of(analysis.geometry)
    structure = (analysis.cavity_box | analysis.wall_box).sum(axis=(1, 2))
    slices = choose_slices(structure, _shown_scar(analysis).sum(axis=(1, 2)), SLICES)
    slices = sorted((k + analysis.box.start[0] for k in slices), reverse=layout.descending)
    return layout, widen(analysis.box, CONTEXT_MM, analysis.geometry), slices


def _shown_scar(analysis: Analysis) -> np.ndarray:
    """(k, j, i) bool in the box: none where it is withheld."""
    return analysis.scar_box & (not analysis.withheld)


def _plane(layout: SliceLayout) -> str:
    return f"oblique {layout.plane}" if layout.oblique else layout.plane


def _panel(axes: Axes, pictures: list[np.ndarray], layout: SliceLayout, blood_mean: float) -> None:
    """Grey image, scar fill and outlines; coordinates of the axes are mm from the picture's upper left corner."""
    from matplotlib.colors import to_rgba

    image, cavity, wall, scar, left_out = pictures
    width_mm, height_mm = layout.pixel_mm
    rows, columns = image.shape
    extent = (0, columns * width_mm, rows * height_mm, 0)
    low, high = (edge * blood_mean for edge in WINDOW)
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="bicubic")
    fill = np.zeros((rows, columns, 4))
    fill[scar > 0] = to_rgba(style.SCAR, FILL_OPACITY)
    fill[left_out > 0] = to_rgba(style.EXCLUDED, FILL_OPACITY)
    axes.imshow(fill, extent=extent, interpolation="nearest")
    x, y = (np.arange(columns) + 0.5) * width_mm, (np.arange(rows) + 0.5) * height_mm
    for mask, colour, width in ((wall | cavity, style.WALL_LINE, 0.7), (cavity, style.CAVITY_LINE, 0.9), (scar, style.SCAR, 0.6)):
        if mask.any():
            axes.contour(x, y, mask, levels=[0.5], colors=colour, linewidths=width)
    axes.set(xlim=extent[:2], ylim=extent[2:])
    axes.axis("off")


def _marks(axes: Axes, layout: SliceLayout, number: str, *, first: bool) -> None:
    """Letters of the sides in every panel (a picture may travel alone), the scale bar in the first."""
    effects = style.outlined()
    left, right, top, bottom = layout.letters
    places = [(0.02, 0.5, left, "left", "center"), (0.98, 0.5, right, "right", "center")]
    if first:
        places += [(0.5, 0.985, top, "center", "top"), (0.5, 0.015, bottom, "center", "bottom")]
    for x, y, text, ha, va in places:
        axes.text(x, y, text, ha=ha, va=va, transform=axes.transAxes, color="white", fontsize=8.5, fontweight="bold", path_effects=effects)
    axes.text(0.02, 0.98, number, ha="left", va="top", transform=axes.transAxes, color="white", fontsize=7.5, path_effects=effects)
    if first:
        (x0, _), (y1, _) = axes.get_xlim(), axes.get_ylim()
        bar = [x0 + 4, x0 + 4 + SCALE_BAR_MM]
        axes.plot(bar, [y1 - 4, y1 - 4], color="white", linewidth=2, solid_capstyle="butt", path_effects=style.outlined(width=3.2))
        axes.text(x0 + 4, y1 - 6, f"{SCALE_BAR_MM:g} mm", color="white", fontsize=7.5, ha="left", va="bottom", path_effects=effects)


def _legend(figure: Figure, has_left_out: bool, withheld: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles = [
        Line2D([], [], color=style.CAVITY_LINE, linewidth=2, label="cavity"),
        Line2D([], [], color=style.WALL_LINE, linewidth=2, label="outer wall"),
    ]
    if not withheld:
        handles.append(Patch(facecolor=style.SCAR, alpha=FILL_OPACITY, edgecolor=style.SCAR, label="scar"))
    if has_left_out:
        handles.append(Patch(facecolor=style.EXCLUDED, alpha=FILL_OPACITY, edgecolor=style.EXCLUDED, label="left out (beyond the planes)"))
    figure.legend(handles=handles, loc="lower left", ncols=len(handles), bbox_to_anchor=(0.005, 0.0), handlelength=1.5)

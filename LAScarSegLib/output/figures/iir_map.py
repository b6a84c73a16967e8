"""The intensity map: the grey level at the wall relative to blood, from the same six views as the scar map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from . import style
from .scar_map import how_decided
from .surface_views import colour_actor, draw_views, lookup_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOOT_IN = 0.78
IIR_RANGE = (0.6, 1.8)
"""The same colours mean the same ratio in every patient: from below the lowest preset (0.86) to above the highest (1.61)."""
COLOUR_MAP = "RdYlBu_r"


def compose(analysis: Analysis) -> Figure:
    import matplotlib

    colours = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, 256))
    surface = analysis.surface
    actors = colour_actor(surface, surface.iir, lookup_table(colours, *IIR_RANGE))
    figure = draw_views(surface, actors, "Intensity at the wall, relative to blood", how(analysis), FOOT_IN)
    colour_bar(figure, analysis, 0.03, 0.42, 0.42, "left")
    _legend(figure, analysis)
    return figure


def describe(analysis: Analysis) -> str:
    low, middle, high = np.percentile(analysis.surface.iir, (5, 50, 95))
    return (
        "Surface of the left atrium in six views, coloured by intensity relative to blood: "
        f"median {middle:.2f}, 5th to 95th percentile {low:.2f} to {high:.2f}."
    )


def caption(analysis: Analysis) -> str:
    return (
        f"Image intensity ratio (IIR): {how(analysis)}, over the mean of the blood pool ({analysis.blood_pool.mean:.4g}). "
        f"For looking at. {how_decided(analysis)}"
    )


def how(analysis: Analysis) -> str:
    """What was read at a vertex: "maximum along the surface normal from −1 to +3 mm"."""
    settings = analysis.settings
    statistic = {"max": "maximum", "mean": "mean", "median": "median", "p90": "90th percentile"}[settings.projection_statistic]
    span = f"from {settings.projection_from_mm:g} to {settings.projection_to_mm:+g} mm".replace("-", "−")
    return f"{statistic} along the surface normal {span}"


def colour_bar(figure: Figure, analysis: Analysis, left: float, bottom_in: float, width: float, align: str = "center") -> None:
    """The colours of intensity with this result's threshold, `bottom_in` inches above the foot; `left` and `width` in shares of the figure's
    width, `align` the threshold's label at its mark."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    _, height = figure.get_size_inches()
    axes = figure.add_axes((left, bottom_in / height, width, 0.13 / height))
    colours = ScalarMappable(Normalize(*IIR_RANGE), COLOUR_MAP)
    bar = figure.colorbar(colours, cax=axes, orientation="horizontal", extend="both", extendfrac=0.03)
    bar.set_label("image intensity ratio (blood = 1)", fontsize=9)
    bar.outline.set_visible(False)
    level = analysis.method.threshold_intensity
    if level is not None and IIR_RANGE[0] <= level / analysis.blood_pool.mean <= IIR_RANGE[1]:
        ratio = level / analysis.blood_pool.mean
        axes.axvline(ratio, ymin=-0.35, ymax=1.35, color=style.INK, linewidth=1.6, clip_on=False)
        above = axes.get_xaxis_transform()
        axes.text(ratio, 1.5, f"threshold of this result: {ratio:.2f}", transform=above, ha=align, va="bottom", fontsize=8.5)


def _legend(figure: Figure, analysis: Analysis) -> None:
    from matplotlib.patches import Patch

    _, height = figure.get_size_inches()
    if not analysis.surface.is_wall.all():
        patch = Patch(color=style.EXCLUDED, label="left out (beyond the planes)")
        figure.legend(handles=[patch], loc="lower left", bbox_to_anchor=(0.5, 0.25 / height), handlelength=1.1, handleheight=1.1)

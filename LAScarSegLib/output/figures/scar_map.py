"""The scar map: the LA surface from six standard views, healthy or scar."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from . import style
from .captions import headline, percent
from .surface_views import colour_actor, draw_views, lookup_table

if TYPE_CHECKING:
    from ...analysis import Analysis

FILE_NAME = "scar_map.png"
NEEDS_RENDERING = True
FOOT_IN = 0.42


@style.in_house_style
def draw(analysis: Analysis, path: Path) -> Path:
    """Draw the scar map of `analysis` to the PNG file `path`; returns it."""
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    surface = analysis.surface
    table = lookup_table(np.array([to_rgb(style.HEALTHY), to_rgb(style.SCAR)]), 0.0, 1.0)
    figure = draw_views(surface, colour_actor(surface, surface.scar, table), "Scar map", headline(analysis), FOOT_IN)
    patches = [Patch(color=style.SCAR, label="scar"), Patch(color=style.HEALTHY, label="no scar")]
    if not surface.is_wall.all():
        patches.append(Patch(color=style.EXCLUDED, label="left out (beyond the planes)"))
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), bbox_to_anchor=(0.005, 0.0), handlelength=1.1, handleheight=1.1)
    return style.finish(figure, analysis, path)


def describe(analysis: Analysis) -> str:
    """The alternative text."""
    share = percent(analysis.measurements.get("scar_area_pct"))
    return f"Surface of the left atrium from anterior, posterior, left, right, above and below; {share} of it is marked as scar."


def caption(analysis: Analysis) -> str:
    """What the report says under the figure."""
    grey = " Grey parts lie beyond the exclusion planes." if not analysis.surface.is_wall.all() else ""
    reach = analysis.settings.scar_reach_mm
    return (
        f"The LA surface, scar where a scar voxel lies within {reach:g} mm along the surface normal.{grey} All views have one scale. "
        "L left, R right, A anterior, P posterior, S superior, I inferior of the patient."
    )

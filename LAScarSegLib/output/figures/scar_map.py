"""The scar map: the LA surface from six standard views, healthy or scar."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from . import style
from .surface_views import colour_actor, draw_views, lookup_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOOT_IN = 0.42


def compose(analysis: Analysis) -> Figure:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    surface = analysis.surface
    table = lookup_table(np.array([to_rgb(style.HEALTHY), to_rgb(style.SCAR)]), 0.0, 1.0)
    figure = draw_views(surface, colour_actor(surface, surface.scar, table), "Scar map", style.headline(analysis), FOOT_IN)
    patches = [Patch(color=style.SCAR, label="scar"), Patch(color=style.HEALTHY, label="no scar")]
    if not surface.is_wall.all():
        patches.append(Patch(color=style.EXCLUDED, label="left out (beyond the planes)"))
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), bbox_to_anchor=(0.005, 0.0), handlelength=1.1, handleheight=1.1)
    return figure


def describe(analysis: Analysis) -> str:
    share = style.percent(analysis.measurements.get("scar_area_pct"))
    return f"Surface of the left atrium from anterior, posterior, left, right, above and below; {share} of it is marked as scar."


def caption(analysis: Analysis) -> str:
    grey = " Grey parts lie beyond the exclusion planes." if not analysis.surface.is_wall.all() else ""
    reach = analysis.settings.scar_reach_mm
    return (
        f"The LA surface, scar where a scar voxel lies within {reach:g} mm along the surface normal.{grey} All views have one scale. "
        "L left, R right, A anterior, P posterior, S superior, I inferior of the patient."
    )

"""The scar map: the LA surface from six standard views: scar, dense where that is known, and what was not measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...surface.surface import CLASS_DENSE, CLASS_NOT_MEASURED
from ..findings import FindingRows, rows_of
from . import style
from .surface_views import SurfaceMark, class_actors, draw_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOOT_IN = 0.42


def compose(analysis: Analysis, findings: FindingRows | None = None) -> Figure:
    """`findings` whose gaps are marked with their numbers; by default the analysis's own."""
    from matplotlib.patches import Patch

    if findings is None:
        findings = rows_of(analysis)
    marks = [SurfaceMark(gap.number, gap.point_lps, gap.line_lps) for gap in findings.gaps if gap.point_lps is not None]
    layers = _layers(analysis)
    actors = class_actors(analysis.surface, [(mask, colour) for mask, colour, _ in layers], style.HEALTHY)
    figure = draw_views(analysis.surface, actors, "Scar map", style.headline(analysis), FOOT_IN, marks)
    patches = [Patch(color=colour, label=label) for _, colour, label in reversed(layers)]
    patches.insert(-1 if not analysis.surface.is_wall.all() else len(patches), Patch(color=style.HEALTHY, label="no scar found"))
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), bbox_to_anchor=(0.005, 0.0), handlelength=1.1, handleheight=1.1)
    return figure


def _layers(analysis: Analysis) -> list[tuple[np.ndarray, str, str]]:
    """(vertices, colour, name) of everything that is not plain surface; what comes first lies on top."""
    surface = analysis.surface
    has_dense = analysis.measurements["threshold_dense"].value is not None
    layers = []
    if not surface.is_wall.all():
        layers.append((~surface.is_wall, style.EXCLUDED, "left out (beyond the planes)"))
    unknown = surface.scar_class == CLASS_NOT_MEASURED
    if unknown.any():
        layers.append((unknown, style.NOT_MEASURED, "not measured"))
    if has_dense:
        layers.append((surface.scar_class == CLASS_DENSE, style.SCAR, "dense scar"))
    layers.append((surface.scar, style.BORDER_SCAR if has_dense else style.SCAR, "border scar" if has_dense else "scar"))
    return layers


def describe(analysis: Analysis) -> str:
    headline = analysis.headline
    return (
        f"Surface of the left atrium from anterior, posterior, left, right, above and below; {headline.share} of the {headline.of} "
        "is marked as scar."
    )


def caption(analysis: Analysis) -> str:
    grey = " Grey parts lie beyond the exclusion planes." if not analysis.surface.is_wall.all() else ""
    unknown = " Dark parts were not measured." if (analysis.surface.scar_class == CLASS_NOT_MEASURED).any() else ""
    gaps = " Numbers mark the gaps." if rows_of(analysis).gaps else ""
    return (
        f"The LA surface. {how_decided(analysis)}{grey}{unknown}{gaps} All views have one scale. "
        "L left, R right, A anterior, P posterior, S superior, I inferior of the patient."
    )


def how_decided(analysis: Analysis) -> str:
    """What makes a vertex scar, in a sentence."""
    reading = analysis.reading
    if reading.is_layer:
        drawn = " What a person drew counts where it was drawn." if analysis.method.edited else ""
        return f"Scar is where the intensity {reading.where} passes the threshold.{drawn}"
    return f"Scar is where a scar voxel lies within {analysis.settings.scar_reach_mm:g} mm along the surface normal."

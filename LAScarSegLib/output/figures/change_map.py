"""The change map: the LA surface from six standard views: scar of both results, of one of them, and what could not be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...analysis.comparison import IN_BOTH, IN_NONE, NOT_COMPARED, ONLY_A, ONLY_B, change_names
from . import style
from .surface_views import class_actors, draw_views

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..comparison_report import ComparedResults

FOOT_IN = 0.42
IN_BOTH_COLOUR = "#22456e"
"""Dark, so that it is told from vermilion and amber by its lightness as well."""


def compose(compared: ComparedResults) -> Figure:
    from matplotlib.patches import Patch

    change, surface = compared.comparison.change, compared.comparison.surface
    classes = _classes(compared)
    actors = class_actors(surface, [(change == code, colour) for code, colour, _ in classes], style.HEALTHY)
    figure = draw_views(surface, actors, compared.figure_title, compared.headline, FOOT_IN)
    patches = [Patch(color=colour, label=label) for code, colour, label in reversed(classes) if code != NOT_COMPARED]
    names = change_names(compared.comparison.of_methods)
    patches.append(Patch(color=style.HEALTHY, label=names[IN_NONE]))
    if not compared.comparison.is_common.all():
        patches.append(Patch(color=style.EXCLUDED, label=names[NOT_COMPARED]))
    figure.legend(handles=patches, loc="lower left", ncols=len(patches), bbox_to_anchor=(0.005, 0.0), handlelength=1.1, handleheight=1.1)
    return figure


def _classes(compared: ComparedResults) -> list[tuple[int, str, str]]:
    """(code, colour, name); what comes first lies on top."""
    names = change_names(compared.comparison.of_methods)
    colours = {ONLY_A: style.BORDER_SCAR, ONLY_B: style.SCAR, IN_BOTH: IN_BOTH_COLOUR}
    if not compared.comparison.is_common.all():
        colours = {NOT_COMPARED: style.EXCLUDED} | colours
    return [(code, colour, names[code]) for code, colour in colours.items()]


def describe(compared: ComparedResults) -> str:
    return f"Surface of the left atrium from anterior, posterior, left, right, above and below. {compared.headline}."


def caption(compared: ComparedResults) -> str:
    where = "" if compared.comparison.of_methods else ", with B's scar carried from its nearest point after the registration"
    return (
        f"The surface of A{where}. Grey parts are no wall that both show: beyond a plane or not measured in one of them, or without a partner. "
        "All views have one scale. L left, R right, A anterior, P posterior, S superior, I inferior of the patient."
    )

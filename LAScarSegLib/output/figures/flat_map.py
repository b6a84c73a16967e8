"""The flat map: the whole LA wall in one picture, on the standard disk, as intensity with scar outlined."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...analysis import Analysis
from ...surface.flat_map import FlatMap, flatten
from ...surface.region_schemes import SCHEMES, Region, Scheme
from ...surface.standard_disk import DISK_RADIUS, rim_point
from ...surface.surface import CLASS_NOT_MEASURED, Surface
from ..findings import rows_of
from . import style
from .iir_map import COLOUR_MAP, IIR_RANGE, colour_bar

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, FOOT_IN, MAP_IN = 7.6, 0.95, 6.6
REACH = 0.585
"""Half the width of the picture in units of the disk: room for the words around the rim."""
REGION_PLACES = {
    "posterior": (-0.022, -0.012), "anterior": (0.03, 0.33), "septal": (0.36, -0.012), "lateral": (-0.395, 0.06),
    "inferior": (-0.022, -0.31),
}  # fmt: skip
"""Where the names of the five walls stand on the disk: the middle of each. Other schemes' names stand where there is most room."""
ROOM_STEP = 0.01
"""How finely that room is looked for, in units of the disk."""
MARK_MIDDLE, MARK_RADIUS = (0.01, 0.008), 0.03
"""A gap's ring and its number take this circle, about the gap; in units of the disk."""

Mark = tuple[tuple[float, float], str]


def has_map(analysis: Analysis) -> bool:
    """Whether the surface could be laid flat."""
    return analysis.findings.landmarks.flat_map is not None


def compose(analysis: Analysis) -> Figure:
    """The figure, with the analysis's gaps, numbered as everywhere. Raises `InputError` when the surface cannot be laid flat (`flatten`)."""
    bare = analysis.surface if analysis.landmark_surface is None else analysis.landmark_surface
    flat_map = analysis.findings.landmarks.flat_map or flatten(bare)
    gaps = [gap for gap in rows_of(analysis).gaps if gap.point_lps is not None]
    places = flat_map.to_disk(np.array([gap.point_lps for gap in gaps]).reshape(-1, 3))
    return draw(analysis, flat_map, [((x, y), str(gap.number)) for gap, (x, y) in zip(gaps, places) if np.isfinite(x)])


def draw(analysis: Analysis, flat_map: FlatMap, marks: Sequence[Mark] = ()) -> Figure:
    """The figure on a map; `marks` are ((x, y) on the disk, text)."""
    height = style.TITLE_IN + MAP_IN + FOOT_IN
    figure = style.new_figure(WIDTH_IN, height, "Flat map of the left atrium", style.headline(analysis))
    axes = figure.add_axes(((WIDTH_IN - MAP_IN) / 2 / WIDTH_IN, FOOT_IN / height, MAP_IN / WIDTH_IN, MAP_IN / height))
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    axes.axis("off")
    _draw_wall(axes, analysis.surface, flat_map)
    _draw_regions(axes, flat_map, SCHEMES[analysis.settings.regions], marks)
    _draw_openings(axes, flat_map)
    _draw_sides(axes)
    _draw_marks(axes, marks)
    _legend(figure, analysis, bool(marks))
    return figure


def describe(analysis: Analysis) -> str:
    headline = analysis.headline
    return (
        "The left atrium laid flat on a disk, coloured by intensity relative to blood: the back wall in the middle between the veins, the "
        f"mitral annulus as the rim; {headline.share} of the {headline.of} is outlined as scar."
    )


def caption(analysis: Analysis) -> str:
    numbered = any(_number(region) for region in SCHEMES[analysis.settings.regions].regions)
    numbers = " The large grey numbers are those of the regions in the table." if numbered else ""
    return (
        "The LA wall on the standard disk (Nuñez-Garcia et al. 2020), seen from behind: the back wall in the middle, the patient's left "
        "on the left, the roof and the anterior wall above, the floor below; the rim is the mitral annulus. Every atrium's openings lie at "
        "the same places, so maps can be compared; areas on the map are not to scale."
        f"{numbers}"
    )


def _draw_wall(axes: Axes, surface: Surface, flat_map: FlatMap) -> None:
    """Intensity as colour, scar as outlines, what was not measured in grey."""
    import matplotlib
    from matplotlib.tri import Triangulation

    x, y = flat_map.points.T
    mesh = Triangulation(x, y, flat_map.triangles)
    low, high = IIR_RANGE
    colours = {"cmap": matplotlib.colormaps[COLOUR_MAP], "vmin": low, "vmax": high, "shading": "gouraud"}
    axes.tripcolor(mesh, np.clip(surface.iir[flat_map.vertex], low, high), **colours)
    if surface.scar_class is not None:
        unknown = (surface.scar_class[flat_map.vertex] == CLASS_NOT_MEASURED).astype(float)
        if unknown.any():
            axes.tricontourf(mesh, unknown, levels=(0.5, 1.5), colors=[style.NOT_MEASURED], zorder=2)
    scar = surface.scar[flat_map.vertex].astype(float)
    if scar.any() and not scar.all():
        axes.tricontour(mesh, scar, levels=(0.5,), colors="white", linewidths=2.6, zorder=3)
        axes.tricontour(mesh, scar, levels=(0.5,), colors=style.INK, linewidths=1.3, zorder=4)


def _draw_regions(axes: Axes, flat_map: FlatMap, scheme: Scheme, marks: Sequence[Mark]) -> None:
    """Borders of the walls, and their names, or, large and grey, the numbers that these begin with."""
    from matplotlib.patches import Circle

    rim = Circle((0, 0), DISK_RADIUS, transform=axes.transData)
    for region in scheme.regions:
        outline = region.polygon(flat_map.holes)
        closed = np.concatenate([outline, outline[:1]])
        for colour, width, dashes in (("white", 1.8, "solid"), (style.MUTED, 0.9, (0, (4, 3)))):
            axes.plot(*closed.T, color=colour, linewidth=width, linestyle=dashes, zorder=5, alpha=0.85)[0].set_clip_path(rim)
        place = REGION_PLACES[region.name] if region.name in REGION_PLACES else _most_room(region, flat_map, marks)
        number = _number(region)
        look = {"fontsize": 13, "fontweight": "bold", "color": style.MUTED} if number else {"fontsize": 10}
        axes.text(*place, number or region.name, ha="center", va="center", path_effects=style.outlined("white", 2.6), zorder=8, **look)


def _number(region: Region) -> str:
    """The number that a region's name begins with; empty where it has none."""
    first = region.name.split()[0]
    return first if first.isdigit() else ""


def _most_room(region: Region, flat_map: FlatMap, marks: Sequence[Mark]) -> tuple[float, float]:
    """(x, y) of the place in a region that lies farthest from its outline, the rim, the openings and the marks."""
    from scipy.ndimage import distance_transform_edt

    steps = np.arange(-DISK_RADIUS, DISK_RADIUS + ROOM_STEP, ROOM_STEP)
    places = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    free = region.holds(places, flat_map.holes) & (np.linalg.norm(places, axis=1) < DISK_RADIUS)
    taken = [*flat_map.holes.values(), *((np.add(place, MARK_MIDDLE), MARK_RADIUS) for place, _ in marks)]
    for centre, radius in taken:
        free &= np.linalg.norm(places - centre, axis=1) > radius
    x, y = places[distance_transform_edt(free.reshape(len(steps), -1)).argmax()]
    return float(x), float(y)


def _draw_openings(axes: Axes, flat_map: FlatMap) -> None:
    from matplotlib.patches import Circle

    axes.add_patch(Circle((0, 0), DISK_RADIUS, fill=False, edgecolor=style.INK, linewidth=1.6, zorder=7))
    for name, (centre, radius) in flat_map.holes.items():
        axes.add_patch(Circle(centre, radius, facecolor="white", edgecolor=style.INK, linewidth=1.3, zorder=7))
        axes.text(*centre, name, ha="center", va="center", fontsize=8 if radius > 0.025 else 6.5, fontweight="bold", zorder=8)


def _draw_sides(axes: Axes) -> None:
    """Where the patient's sides are, and that the rim is the mitral annulus."""
    for degrees, text in ((90, "anterior"), (180, "L"), (0, "R"), (270, "inferior")):
        away, size = (1.11, 13) if text in "LR" else (1.08, 10)
        axes.text(*rim_point(degrees) * away, text, ha="center", va="center", fontsize=size, color=style.MUTED, fontweight="bold")
    axes.text(*rim_point(315) * 1.085, "mitral annulus", rotation=45, ha="center", va="center", fontsize=8.5, color=style.MUTED)


def _draw_marks(axes: Axes, marks: Sequence[Mark]) -> None:
    for (x, y), text in marks:
        for colour, width in (("white", 3.4), (style.INK, 1.6)):
            axes.plot([x], [y], marker="o", markersize=8, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=width, zorder=9)
        axes.annotate(text, (x, y), (7, 7), textcoords="offset points", fontsize=8, path_effects=style.outlined("white", 2.4), zorder=11)


def _legend(figure: Figure, analysis: Analysis, has_marks: bool) -> None:
    """The colour bar with this result's threshold, and what the lines mean."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    _, height = figure.get_size_inches()
    colour_bar(figure, analysis, 0.06, 0.52, 0.4)
    handles = [
        Line2D([], [], color=style.INK, linewidth=1.5, label="scar"),
        Line2D([], [], color=style.MUTED, linewidth=1, linestyle=(0, (4, 3)), label="border of a wall"),
    ]
    if has_marks:
        handles.append(Line2D([], [], linestyle="none", marker="o", markerfacecolor="none", markeredgecolor=style.INK, label="gap"))
    if (analysis.surface.scar_class == CLASS_NOT_MEASURED).any():
        handles.append(Patch(color=style.NOT_MEASURED, label="not measured"))
    figure.legend(handles=handles, loc="lower left", ncols=2, bbox_to_anchor=(0.5, 0.3 / height), handlelength=1.8, columnspacing=1.2)

"""Draws the icon: the left atrium from behind, four pulmonary veins, a scar line around each pair, one with a gap.

    python Docs/images/draw_icon.py        writes LAScarSeg.png and Resources/Icons/LAScarSeg.png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse
from scipy.interpolate import CubicSpline

ROOT = Path(__file__).resolve().parents[2]
SIZE_PX = 128
"""What Slicer's extension catalogue asks for; the drawing's unit is this pixel."""

OUTLINE, WALL, LIGHT, SCAR, SCAR_EDGE = "#5a1f14", "#cb6c51", "#dd8f76", "#ffe14d", "#7a2a10"
"""WALL is the colour of the left atrium in Slicer's terminology, (203, 108, 81)."""

# From behind, the patient's left is on the viewer's left: (x, y) of the ostium and of the vein's end, width.
VEINS = (
    ((42, 76), (17, 103), 25),
    ((40, 51), (18, 39), 23),
    ((86, 76), (111, 103), 25),
    ((88, 51), (110, 39), 23),
)
BODY = ((64, 59), 76, 88)
"""Centre, width and height."""
SCAR_LINES = (
    ((48, 99), (50, 82), (48, 63), (48, 44), (42, 26)),
    ((80, 99), (78, 82), (80, 63), (80, 44), (86, 26)),
)
"""Points on each line, from the roof down."""
GAP = (0.42, 0.62)
"""The untreated part of the second line, as a share of its length."""


def draw() -> Figure:
    """The icon on a transparent background, 128 × 128 units."""
    figure = Figure(figsize=(1, 1), dpi=SIZE_PX)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, SIZE_PX), ylim=(0, SIZE_PX))
    axes.axis("off")
    figure.patch.set_alpha(0)
    for colour, extra in ((OUTLINE, 7), (WALL, 0)):
        for start, end, width in VEINS:
            stroke(axes, np.array([start, end]), colour, width + extra)
        fill(axes, BODY[0], BODY[1] + extra, BODY[2] + extra, colour)
    for start, end, width in VEINS:
        # The lumen, where the vein is cut: near the rounded end, seen at a slant.
        along = np.subtract(end, start) / np.linalg.norm(np.subtract(end, start))
        fill(axes, end + 0.2 * width * along, 0.42 * width, 0.8 * width, OUTLINE, np.degrees(np.arctan2(*along[::-1])))
    fill(axes, (64, 78), 14, 30, LIGHT)
    for line, gap in zip(SCAR_LINES, (None, GAP)):
        draw_scar(axes, np.array(line, dtype=float), gap)
    return figure


def draw_scar(axes, points: np.ndarray, gap: tuple[float, float] | None) -> None:
    """A scar line through `points`, with an edge that keeps it apart from the wall at 32 pixels."""
    share = np.linspace(0, 1, 200)
    line = CubicSpline(np.linspace(0, 1, len(points)), points)(share)
    parts = [line] if gap is None else [line[share < gap[0]], line[share > gap[1]]]
    for part in parts:
        stroke(axes, part, SCAR_EDGE, 14)
        stroke(axes, part, SCAR, 9)


def fill(axes, centre: tuple[float, float], width: float, height: float, colour: str, angle: float = 0) -> None:
    """A filled ellipse, drawn over everything before it."""
    axes.add_patch(Ellipse(centre, width, height, angle=angle, color=colour, linewidth=0, zorder=len(axes.get_children())))


def stroke(axes, points: np.ndarray, colour: str, width: float) -> None:
    """A line with round ends, `width` in pixels of the icon (72 points are one inch, which is the icon)."""
    style = {"solid_capstyle": "round", "solid_joinstyle": "round", "zorder": len(axes.get_children())}
    axes.plot(*points.T, color=colour, linewidth=width * 72 / SIZE_PX, **style)


def main() -> None:
    figure = draw()
    FigureCanvasAgg(figure)
    for path in (ROOT / "LAScarSeg.png", ROOT / "Resources" / "Icons" / "LAScarSeg.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=SIZE_PX, transparent=True)


if __name__ == "__main__":
    main()

"""What the figures share: colours, type, and how a figure is made and saved without pyplot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ...analysis import Analysis
from ...support.resources import require_package

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL.PngImagePlugin import PngInfo

# Blue and vermilion are the pair that all common colour-vision deficiencies keep apart (Okabe and Ito 2008).
HEALTHY = "#aecbe0"
SCAR = "#cf3a12"
BORDER_SCAR = "#f2b04e"
EXCLUDED = "#8d8d8d"
NOT_MEASURED = "#3f4a50"
CAVITY_LINE = "#4cc3f0"
WALL_LINE = "#ffd166"
BLOOD = "#4a7fa8"
WALL_FILL = "#d9a441"

INK = "#1c2830"
MUTED = "#5f6c75"
FAINT = "#d8dee3"

TITLE_IN = 0.66
DOTS_PER_INCH = 160
"""1600 pixels at 10 inches: sharp on a dense screen at report width, small enough to travel inside the report."""
PNG_COMPRESSION = 3
"""Of zlib's nine: half the time of the usual six, for files a tenth larger."""
PALETTE = 256
"""Colours of a picture that need not be exact."""

TYPE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: figures look the same on every machine
    "font.size": 9.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "mathtext.fontset": "dejavusans",
}


def require_matplotlib() -> None:
    """`ProcessingError` when it isn't installed (Slicer doesn't bring it)."""
    require_package("matplotlib.figure", "Figures need")


def new_figure(width_in: float, height_in: float, head: str, line: str) -> Figure:
    """A white figure of that size in inches with its own Agg canvas, a headline and a quieter line in its top `TITLE_IN` inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    width, height = figure.get_size_inches()
    figure.text(0.15 / width, 1 - 0.12 / height, head, fontsize=13, fontweight="bold", va="top")
    figure.text(0.15 / width, 1 - 0.38 / height, line, fontsize=9.5, color=MUTED, va="top")
    return figure


def outlined(colour: str = "black", width: float = 1.8) -> list:
    """A text effect: an outline that keeps letters legible on any grey."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=colour)]


def quiet_grid(axes: Axes) -> None:
    """Faint horizontal lines behind the data."""
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def headline(analysis: Analysis) -> str:
    """The result in a line: which case, by which method, what share is scar."""
    headline = analysis.headline
    case = f"{analysis.settings.label} · " if analysis.settings.label else ""
    found = "no number of scar" if analysis.withheld else f"scar on {headline.share} of the {headline.of}"
    return f"{case}{analysis.method.label} · {found}"


def save(figure: Figure, analysis: Analysis, path: Path, exact: bool = True) -> None:
    """Put the standing remark at the foot and write the PNG; a picture of a simulated scan says so itself, wherever it is shown.

    Without `exact` in 256 colours of its own, dithered: a quarter of the bytes, and nothing that an eye sees.
    """
    width, height = figure.get_size_inches()
    remark = f"LAScarSeg {__version__} · research use only"
    if analysis.provenance.get("simulated"):
        remark = f"simulated scan, not a patient · {remark}"
    figure.text(1 - 0.12 / width, 0.08 / height, remark, ha="right", va="bottom", fontsize=7.5, color=MUTED)
    how = {"metadata": {"Software": "LAScarSeg"}, "pil_kwargs": {"compress_level": PNG_COMPRESSION}}
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, **how)
    if not exact:
        from PIL import Image

        with Image.open(path) as picture:
            few = picture.convert("RGB").quantize(PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.FLOYDSTEINBERG)
        few.save(path, "PNG", pnginfo=_software(), compress_level=PNG_COMPRESSION)


def _software() -> PngInfo:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", "LAScarSeg")
    return info

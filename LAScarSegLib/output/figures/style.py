"""What the figures share: colours, type, and how a figure is made and saved without pyplot."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ProcessingError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ...analysis import Analysis

# Blue and vermilion are the pair that all common colour-vision deficiencies keep apart (Okabe and Ito 2008).
HEALTHY = "#aecbe0"
SCAR = "#cf3a12"
EXCLUDED = "#8d8d8d"
CAVITY_LINE = "#4cc3f0"
WALL_LINE = "#ffd166"
BLOOD = "#4a7fa8"
WALL_FILL = "#d9a441"

INK = "#1c2830"
MUTED = "#5f6c75"
FAINT = "#d8dee3"

DOTS_PER_INCH = 160
"""1600 pixels at 10 inches: sharp on a dense screen at report width, small enough to travel inside the report."""

_TYPE = {
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


def in_house_style(draw: Callable[..., Path]) -> Callable[..., Path]:
    """Run a drawing function with the house's type, whatever the caller's matplotlib is set to."""

    @wraps(draw)
    def styled(*args: Any, **options: Any) -> Path:
        require_matplotlib()
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_TYPE)
            return draw(*args, **options)

    return styled


def require_matplotlib() -> None:
    """`ProcessingError` that names the remedy when matplotlib isn't installed (Slicer doesn't bring it)."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError as error:
        message = f"Figures need the package matplotlib, which can't be imported ({error}). Install it: pip install matplotlib"
        raise ProcessingError(message) from error


def new_figure(width_in: float, height_in: float) -> Figure:
    """A white figure of that size in inches with its own Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), dpi=DOTS_PER_INCH, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def title(figure: Figure, head: str, line: str, *, left_in: float = 0.15) -> None:
    """A headline and one quieter line at the figure's top left; they take `TITLE_IN` inches."""
    width, height = figure.get_size_inches()
    figure.text(left_in / width, 1 - 0.12 / height, head, fontsize=13, fontweight="bold", va="top")
    figure.text(left_in / width, 1 - 0.38 / height, line, fontsize=9.5, color=MUTED, va="top")


TITLE_IN = 0.66


def outlined(colour: str = "black", width: float = 1.8) -> list:
    """A text effect: an outline that keeps letters legible on any grey."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=colour)]


def quiet_grid(axes: Axes) -> None:
    """Faint horizontal lines behind the data."""
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)


def finish(figure: Figure, analysis: Analysis, path: Path) -> Path:
    """Put the standing remark at the foot and write the PNG; a picture of a simulated scan says so itself, wherever it is shown."""
    from ... import __version__

    width, height = figure.get_size_inches()
    remark = f"LAScarSeg {__version__} · research use only"
    if analysis.provenance.get("simulated"):
        remark = f"simulated scan, not a patient · {remark}"
    figure.text(1 - 0.12 / width, 0.08 / height, remark, ha="right", va="bottom", fontsize=7.5, color=MUTED)
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH, metadata={"Software": "LAScarSeg"})
    return path

"""The figures of a result, one a file: each is composed from an analysis, and none keeps any pyplot state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...analysis import Analysis
from ...analysis.gap_curve import can_follow
from . import flat_map, gap_curve, histogram, iir_map, montage, scar_map, style, threshold_curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class FigureKind:
    """A figure of the result: its file name, how it is composed, and whether that takes VTK's renderer."""

    file_name: str
    compose: Callable[[Analysis], Figure]
    describe: Callable[[Analysis], str]
    """One sentence that says what the figure shows: the alternative text for those who don't see it."""
    caption: Callable[[Analysis], str]
    """What the report says under the figure."""
    needs_rendering: bool = False
    tells_scar: bool = True
    """Whether it is about scar, and so not drawn where that is withheld."""
    can_draw: Callable[[Analysis], bool] = lambda _: True
    """Whether there is what it shows."""
    exact: bool = False
    """Whether its colours are kept as drawn: it shows the scan's own grey levels."""

    def draw(self, analysis: Analysis, path: Path) -> Path:
        """Draw the figure of `analysis` to the PNG file `path`; returns it."""
        style.require_matplotlib()
        import matplotlib

        # The house's type, whatever the caller's matplotlib is set to.
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(style.TYPE)
            style.save(self.compose(analysis), analysis, path, self.exact)
        return path


FIGURES = (
    FigureKind("scar_map.png", scar_map.compose, scar_map.describe, scar_map.caption, needs_rendering=True),
    FigureKind("flat_map.png", flat_map.compose, flat_map.describe, flat_map.caption, can_draw=flat_map.has_map),
    FigureKind("montage.png", montage.compose, montage.describe, montage.caption, tells_scar=False, exact=True),
    FigureKind("threshold_curve.png", threshold_curve.compose, threshold_curve.describe, threshold_curve.caption),
    FigureKind("gaps_against_threshold.png", gap_curve.compose, gap_curve.describe, gap_curve.caption, can_draw=can_follow),
    FigureKind("histogram.png", histogram.compose, histogram.describe, histogram.caption),
    FigureKind("iir_map.png", iir_map.compose, iir_map.describe, iir_map.caption, needs_rendering=True),
)
"""In the order in which a reader wants them."""

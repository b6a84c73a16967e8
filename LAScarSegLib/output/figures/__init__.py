"""The figures of a result, one a file: each is a function `draw(analysis, path)`, and none keeps any pyplot state."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import histogram, iir_map, montage, scar_map, threshold_curve

if TYPE_CHECKING:
    from ...analysis import Analysis


@dataclass(frozen=True)
class FigureKind:
    """A figure of the result: its file name, how it is drawn, and whether that takes VTK's renderer."""

    file_name: str
    draw: Callable[[Analysis, Path], Path]
    describe: Callable[[Analysis], str]
    """One sentence that says what the figure shows: the alternative text for those who don't see it."""
    caption: Callable[[Analysis], str]
    needs_rendering: bool = False


FIGURES: tuple[FigureKind, ...] = tuple(
    FigureKind(module.FILE_NAME, module.draw, module.describe, module.caption, module.NEEDS_RENDERING)
    for module in (scar_map, montage, threshold_curve, histogram, iir_map)
)
"""In the order in which a reader wants them."""

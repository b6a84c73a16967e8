"""Words that figures and report share, so that one result is named the same way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...intensity.curve import share_above

if TYPE_CHECKING:
    from ...analysis import Analysis
    from ...measure.quantities import Quantity


def percent(quantity: Quantity | None, decimals: int = 1) -> str:
    """"12.2 %", or a dash for what was not computed."""
    if quantity is None or quantity.value is None:
        return "–"
    return f"{quantity.value:.{decimals}f} %"


def headline_words(analysis: Analysis) -> str:
    """The result in a line: what share of the surface is scar, by which method."""
    share = percent(analysis.measurements.get("scar_area_pct"))
    wall = analysis.measurements.get("scar_area_pct_wall")
    of_wall = f" ({percent(wall)} of the wall proper)" if wall is not None and wall.value is not None else ""
    return f"{analysis.method.words} · scar on {share} of the LA surface{of_wall}"


def shares_at(analysis: Analysis, ratio: float) -> tuple[float, float]:
    """What an intensity ratio would call scar on this scan: % of the LA surface, % of the wall volume; exact, not read off the curve."""
    sample = analysis.samples[0]
    level = np.array([ratio * sample.blood.mean])
    return float(share_above(sample.wall_peak, sample.vertex_area_mm2, level)[0]), float(share_above(sample.wall_intensity, None, level)[0])

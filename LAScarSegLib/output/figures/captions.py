"""What figures and report both say, so that one result is named the same way everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...analysis import Analysis
    from ...measure.numbers import Quantity


def percent(quantity: Quantity | None, decimals: int = 1) -> str:
    """"12.2 %", or a dash for what was not computed."""
    if quantity is None or quantity.value is None:
        return "–"
    return f"{quantity.value:.{decimals}f} %"


def headline(analysis: Analysis) -> str:
    """The result in a line: what share of the surface is scar, by which method."""
    share = percent(analysis.measurements.get("scar_area_pct"))
    wall = analysis.measurements.get("scar_area_pct_wall")
    of_wall = f" ({percent(wall)} of the wall proper)" if wall is not None and wall.value is not None else ""
    return f"{analysis.method.label} · scar on {share} of the LA surface{of_wall}"

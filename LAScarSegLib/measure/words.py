"""Numbers as a person reads them: report, panel and tables say the same."""

from __future__ import annotations

from .quantities import Quantity, QuantityName

DASH = "–"
STAGES = {1: "I", 2: "II", 3: "III", 4: "IV"}
UNITS = {"cm2": "cm²", "a.u.": "grey levels"}


def unit_words(unit: str) -> str:
    """The unit as it is printed: "cm²" for "cm2"."""
    return UNITS.get(unit, unit)


def number_words(name: QuantityName, number: float | None) -> str:
    """The number with its usual decimals, a stage as "II", a dash for what was not computed."""
    if number is None:
        return DASH
    return STAGES[int(number)] if name.key == "utah_stage" else f"{number:.{name.decimals}f}"


def range_words(name: QuantityName, quantity: Quantity) -> str:
    """The perturbation range: "10.1 – 14.3"; empty when there is none."""
    if quantity.value is None or quantity.low is None or quantity.high is None:
        return ""
    return f"{number_words(name, quantity.low)} {DASH} {number_words(name, quantity.high)}"

"""Numbers as a person reads them: report, panel and tables say the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def cavity_words(provenance: Mapping[str, Any]) -> str:
    """Where the cavity of a result comes from: the model that found it, with what its card says of its use, or whoever gave it."""
    edited = "cavity" in provenance.get("edited", ())
    model = provenance.get("models", {}).get("cavity")
    if model is None:
        path = provenance.get("inputs", {}).get("cavity", {}).get("path", "")
        # In Slicer it is a node, whose name may hold a slash.
        name = path if path.startswith("node ") else Path(path).name
        given = f"The cavity was given ({name})" if name else "The cavity was given"
        return f"{given} and then edited by hand." if edited else f"{given}; no model found it."
    found = f"The cavity was found by the model {model['name']} {model['version']}"
    simulated = " The model was trained on simulated scans, so it says nothing about a patient." if model["simulated"] else ""
    return f"{found}{' and then edited by hand' if edited else ''}.{simulated} Its card says: {model['intended_use']}"

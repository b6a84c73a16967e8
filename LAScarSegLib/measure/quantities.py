"""The numbers of a result: their names, units and ranges (the contract of measurements.json)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Quantity:
    """A number with its unit; `low` and `high` are its perturbation range (not a confidence interval). None: not computed."""

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, object]:
        return {"value": self.value, "unit": self.unit, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class QuantityName:
    """What a key of measurements.json means: a label for people, the unit, decimals to show."""

    key: str
    label: str
    unit: str
    decimals: int


QUANTITIES: tuple[QuantityName, ...] = (
    QuantityName("scar_area_pct", "Scar, share of the LA surface", "%", 1),
    QuantityName("scar_area_pct_wall", "Scar, share of the LA wall proper (beyond the planes left out)", "%", 1),
    QuantityName("scar_area_cm2", "Scar area", "cm2", 1),
    QuantityName("scar_volume_ml", "Scar volume", "mL", 2),
    QuantityName("scar_pct_of_wall_volume", "Scar, share of the wall volume", "%", 2),
    QuantityName("la_volume_ml", "LA volume", "mL", 1),
    QuantityName("la_surface_area_cm2", "LA surface area", "cm2", 1),
    QuantityName("wall_volume_ml", "Wall volume", "mL", 1),
    QuantityName("utah_stage", "Utah-style stage (native scans only)", "", 0),
    QuantityName("blood_pool_mean", "Blood pool, mean intensity", "a.u.", 1),
    QuantityName("blood_pool_sd", "Blood pool, standard deviation", "a.u.", 1),
    QuantityName("threshold", "Threshold (the rule's parameter)", "", 2),
    QuantityName("threshold_intensity", "Threshold (grey level)", "a.u.", 1),
)
"""Every key in the order in which it is shown; the first is the headline."""

"""The number that stands first everywhere, in the words that belong to it: one place for report, figures, panel, terminal and batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .numbers import DASH, ON_MEASURED, ON_WALL, Number, Quantity, find_number, headline_key


LITTLE_PCT = 1.0
"""Of the surface: what is left out is told in whole per cent."""
WITHHELD = "No number of scar: the cavity is not to be used before a person has confirmed or corrected it"


@dataclass(frozen=True)
class Headline:
    """A share of scar with what it is a share of, and the area that is scar there."""

    number: Number
    quantity: Quantity
    of: str
    area: Quantity
    withheld: bool = False
    """Whether the cavity is not to be used, so that there is no number."""

    @classmethod
    def of_measurements(cls, measurements: Mapping[str, Quantity], withheld: bool = False) -> Headline:
        key = headline_key(measurements)
        of, area = ("LA wall", "scar_area_cm2_wall") if key == ON_WALL else ("LA surface", "scar_area_cm2")
        # A result of an earlier version has no area of the wall proper.
        return cls(find_number(key), measurements[key], of, measurements.get(area, Quantity(None, "cm2")), withheld)

    @classmethod
    def of_mapped_part(cls, measurements: Mapping[str, Quantity]) -> Headline:
        """The same where a mapping system may have left out a part of the surface: a share of what it mapped, with how much that is."""
        whole = cls.of_measurements(measurements)
        missing = measurements["unmeasured_area_pct"].value or 0.0
        if measurements[ON_MEASURED].value is not None:
            whole = replace(whole, number=find_number(ON_MEASURED), quantity=measurements[ON_MEASURED])
        if whole.number.key not in (ON_WALL, ON_MEASURED):
            return whole
        mapped = f"{100 - missing:.0f}" if missing >= LITTLE_PCT else f"more than {100 - LITTLE_PCT:g}"
        return replace(whole, of=f"mapped part ({mapped} %) of the {whole.of}") if missing > 0 else whole

    @property
    def share(self) -> str:
        """"14.3 %"."""
        return f"{self.number.text(self.quantity.value)} %"

    @property
    def range(self) -> str:
        """"10.0 – 14.3 %"; empty without a range."""
        span = self.number.range_text(self.quantity)
        return f"{span} %" if span else ""

    @property
    def sentence(self) -> str:
        """"Scar on 14.3 % of the LA wall (10.0 – 14.3 %)"; why there is no number when it is withheld."""
        if self.withheld:
            return WITHHELD
        return f"Scar on {self.share} of the {self.of}" + (f" ({self.range})" if self.range else "")

    @property
    def area_text(self) -> str:
        """"13.3 cm²"; empty when it is not known."""
        return "" if self.area.value is None else f"{self.area.value:.1f} cm²"

    @property
    def ends(self) -> str:
        """Which perturbation each end of the range comes from; empty without a range."""
        low, high = self.quantity.low_by, self.quantity.high_by
        if not self.range:
            return ""
        lowest = f"The lower end comes from {low}" if low else "No perturbation lowers it"
        return f"{lowest}; " + (f"the upper end comes from {high}." if high else "none raises it.")


def others_text(shares_pct: Sequence[float]) -> str:
    """"Other published protocols: 3–71 %"; empty where none could be followed."""
    if not shares_pct:
        return ""
    low, high = (f"{value:.0f}" for value in (min(shares_pct), max(shares_pct)))
    return f"Other published protocols: {low if low == high else f'{low}{DASH}{high}'} %"

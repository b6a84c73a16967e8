"""From samples to the measurements of a result: every number of the catalogue, with its perturbation range."""

from collections.abc import Sequence

from ..intensity.rules import Rule
from .numbers import NUMBERS, Number, Quantity
from .sample import CavityCounts, Levels, Sample


def grey_level_of(sample: Sample, rule: Rule | None, parameter: float | None) -> float | None:
    """The grey level above which wall is scar in this sample; None when scar was given as a mask."""
    return None if rule is None else float(rule.grey_level(sample.intensities, parameter))


def measurements(
    samples: Sequence[Sample], levels: Sequence[Levels], staging: str | None, names: Sequence[str] = (), numbers: Sequence[Number] = NUMBERS
) -> dict[str, Quantity]:
    """Every key of measurements.json with its value and its perturbation range.

    Parameters
    ----------
    samples
        the cavity as it is, then shifted or with another blood pool; `low` and `high` are the extremes over all of them.
    levels
        above which wall is scar and dense scar, for each sample.
    staging
        which Utah stages; None when the scan was not declared native.
    names
        what was done to each sample after the first, in words, for the ends of the range.
    numbers
        which of the catalogue.
    """
    every = [CavityCounts(sample, level, staging) for sample, level in zip(samples, levels, strict=True)]
    named = ("", *(names or [""] * (len(every) - 1)))
    result = {}
    for number in numbers:
        values = [None if (value := number.count(counted)) is None else value if number.roman else float(value) for counted in every]
        if not number.ranged or len(every) == 1 or values[0] is None:
            result[number.key] = Quantity(values[0], number.unit)
            continue
        known = [(value, by) for value, by in zip(values, named) if value is not None]
        # Of equal ends the value itself comes first, and says that nothing was lower, or higher.
        (low, low_by), (high, high_by) = min(known, key=lambda end: end[0]), max(known, key=lambda end: end[0])
        result[number.key] = Quantity(values[0], number.unit, low, high, low_by, high_by)
    return result

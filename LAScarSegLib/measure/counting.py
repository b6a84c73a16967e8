"""From samples to the measurements of a result: every number of the catalogue, with its perturbation range."""

from collections.abc import Sequence

from ..intensity.rules import Rule
from .numbers import NUMBERS, Quantity
from .sample import CavityCounts, Sample


def grey_level_of(sample: Sample, rule: Rule | None, parameter: float | None) -> float | None:
    """The grey level above which wall is scar in this sample; None when scar was given as a mask."""
    return None if rule is None else float(rule.grey_level(sample.intensities, parameter))


def measurements(
    samples: Sequence[Sample], grey_levels: Sequence[float | None], parameter: float | None, staging: str | None
) -> dict[str, Quantity]:
    """Every key of measurements.json with its value and its perturbation range.

    Parameters
    ----------
    samples
        the cavity as it is, then shifted or with another blood pool; `low` and `high` are the extremes over all of them.
    grey_levels
        above which wall is scar, for each sample; None where the scar is a mask.
    parameter
        the rule's number, None without one.
    staging
        which Utah stages; None when the scan was not declared native.
    """
    every = [CavityCounts(sample, level, parameter, staging) for sample, level in zip(samples, grey_levels, strict=True)]
    result = {}
    for number in NUMBERS:
        values = [None if (value := number.count(counted)) is None else value if number.roman else float(value) for counted in every]
        known = [value for value in values if value is not None]
        ranged = number.ranged and len(every) > 1 and values[0] is not None
        result[number.key] = Quantity(values[0], number.unit, min(known) if ranged else None, max(known) if ranged else None)
    return result

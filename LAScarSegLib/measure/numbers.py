"""From samples to the measurements of a result: values, perturbation ranges, the Utah stage."""

from __future__ import annotations

from collections.abc import Sequence

from ..intensity.rules import Rule
from .quantities import QUANTITIES, Quantity
from .sample import Sample

UTAH_LIMITS_PCT = {"utah": (10.0, 20.0, 30.0), "utah2010": (5.0, 20.0, 35.0)}
"""Upper ends of stages I–III in % of wall volume: as in DECAAF (Marrouche et al., JAMA 2014), and as in Mahnkopf et al.,
Heart Rhythm 2010."""


def utah_stage(scar_pct_of_wall_volume: float, staging: str) -> int:
    """Stage 1–4. `utah`: I < 10, II < 20, III < 30, IV ≥ 30 %; `utah2010`: I ≤ 5, II ≤ 20, III ≤ 35, IV > 35 %."""
    if staging == "utah":
        return 1 + sum(scar_pct_of_wall_volume >= limit for limit in UTAH_LIMITS_PCT[staging])
    return 1 + sum(scar_pct_of_wall_volume > limit for limit in UTAH_LIMITS_PCT[staging])


def grey_level_of(sample: Sample, rule: Rule | None, parameter: float | None) -> float | None:
    """The grey level above which wall is scar in this sample; None when scar was given as a mask."""
    return None if rule is None else float(rule.grey_level(sample.tissue, parameter))


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
    every = [_with_thresholds(sample, level, parameter, staging) for sample, level in zip(samples, grey_levels, strict=True)]
    result = {}
    for name in QUANTITIES:
        value = every[0][name.key]
        known = [numbers[name.key] for numbers in every if numbers[name.key] is not None]
        ranged = len(every) > 1 and value is not None and name.key != "threshold"
        result[name.key] = Quantity(value, name.unit, min(known) if ranged else None, max(known) if ranged else None)
    return result


def _with_thresholds(sample: Sample, level: float | None, parameter: float | None, staging: str | None) -> dict[str, float | None]:
    numbers = sample.numbers(level)
    stage = utah_stage(numbers["scar_pct_of_wall_volume"], staging) if staging is not None else None
    return numbers | {"utah_stage": stage, "threshold": parameter, "threshold_intensity": level}

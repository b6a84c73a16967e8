"""From samples to the measurements of a result: every number of the catalogue, with its perturbation range."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..intensity.rules import Rule
from .numbers import NUMBERS, Quantity
from .sample import Sample


@dataclass(frozen=True, eq=False)
class CavityCounts:
    """What the numbers of one cavity are counted from: its sample, above which grey level wall is scar (None: a mask), and how."""

    sample: Sample
    grey_level: float | None
    parameter: float | None = None
    staging: str | None = None

    @cached_property
    def area_mm2(self) -> float:
        """Of the whole surface."""
        return self.sample.vertex_area_mm2.sum()

    @cached_property
    def area_of_wall_mm2(self) -> float:
        """Of the LA wall proper."""
        return self.sample.vertex_area_mm2[self.sample.is_wall].sum()

    @cached_property
    def scar_area_mm2(self) -> float:
        return self.sample.vertex_area_mm2[self._scar].sum()

    @cached_property
    def scar_area_on_wall_mm2(self) -> float:
        return self.sample.vertex_area_mm2[self._scar & self.sample.is_wall].sum()

    @cached_property
    def scar_voxels(self) -> int:
        given = self.sample.given_scar
        return given.voxels if given is not None else self._bright_wall_voxels

    @cached_property
    def scar_pct_of_wall_volume(self) -> float:
        given = self.sample.given_scar
        voxels = given.wall_voxels if given is not None else self._bright_wall_voxels
        return 100.0 * voxels / self.sample.wall_intensity.size

    @cached_property
    def _scar(self) -> np.ndarray:
        return self.sample.scar_vertices(self.grey_level)

    @cached_property
    def _bright_wall_voxels(self) -> int:
        return int((self.sample.wall_intensity > self.grey_level).sum())


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

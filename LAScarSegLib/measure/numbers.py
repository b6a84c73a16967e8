"""The catalogue of numbers: what each key of measurements.json means, how it is counted, how it is written and coded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sample import CavityCounts

DASH = "–"
UNIT_TEXT = {"cm2": "cm²", "a.u.": "grey levels"}
UTAH_LIMITS_PCT = {"utah": (10.0, 20.0, 30.0), "utah2010": (5.0, 20.0, 35.0)}
"""Upper ends of stages I–III in % of wall volume: as in DECAAF (Marrouche et al., JAMA 2014), and as in Mahnkopf et al.,
Heart Rhythm 2010."""

Code = tuple[str, str, str]
"""A coded concept of DICOM: value, scheme, meaning."""
PRIVATE_SCHEME = "99LASCARSEG"
"""DICOM has no codes for shares of a surface; a scheme that begins with 99 is private (PS3.16, section 8)."""
VOLUME, AREA = ("118565006", "SCT", "Volume"), ("42798000", "SCT", "Area")
MEAN, STANDARD_DEVIATION = ("373098007", "SCT", "Mean"), ("386136009", "SCT", "Standard Deviation")
VOXEL_SUM = ("126030", "DCM", "Sum of segmented voxel volumes")


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
class Coding:
    """A number in Slicer's Segment Statistics: the mask whose segment has it (`cavity`, `wall`, `scar`), and its DICOM codes."""

    mask: str
    quantity: Code | None = None
    method: Code | None = None
    derivation: Code | None = None


@dataclass(frozen=True)
class Number:
    """One number of a result.

    `key` and `unit` as in measurements.json; `label` for people; `decimals` to show; `count` what it is on one cavity, None where
    it isn't defined; `coding` None for a number that is no segment's. `roman`: written as I, II, III. `ranged`: perturbation
    changes it. `comparable`: the difference of two results means something.
    """

    key: str
    label: str
    unit: str
    decimals: int
    count: Callable[[CavityCounts], float | None]
    coding: Coding | None = None
    roman: bool = False
    ranged: bool = True
    comparable: bool = True

    @property
    def unit_text(self) -> str:
        """The unit as it is printed: "cm²" for "cm2"."""
        return UNIT_TEXT.get(self.unit, self.unit)

    def text(self, value: float | None) -> str:
        """The number with its usual decimals, a stage as "II", a dash for what was not computed."""
        if value is None:
            return DASH
        return ("I", "II", "III", "IV")[int(value) - 1] if self.roman else f"{value:.{self.decimals}f}"

    def range_text(self, quantity: Quantity) -> str:
        """The perturbation range: "10.1 – 14.3"; empty when there is none."""
        if quantity.value is None or quantity.low is None or quantity.high is None:
            return ""
        return f"{self.text(quantity.low)} {DASH} {self.text(quantity.high)}"


def utah_stage(scar_pct_of_wall_volume: float, staging: str) -> int:
    """Stage 1–4. `utah`: I < 10, II < 20, III < 30, IV ≥ 30 %; `utah2010`: I ≤ 5, II ≤ 20, III ≤ 35, IV > 35 %."""
    if staging == "utah":
        return 1 + sum(scar_pct_of_wall_volume >= limit for limit in UTAH_LIMITS_PCT[staging])
    return 1 + sum(scar_pct_of_wall_volume > limit for limit in UTAH_LIMITS_PCT[staging])


def _share(code: str, meaning: str) -> Code:
    return (code, PRIVATE_SCHEME, meaning)


NUMBERS: list[Number] = [
    Number(
        "scar_area_pct", "Scar, share of the LA surface", "%", 1, lambda on: 100.0 * on.scar_area_mm2 / on.area_mm2,
        Coding("scar", _share("ScarSurfacePct", "Scar, share of the left atrial surface")),
    ),
    Number(
        "scar_area_pct_wall", "Scar, share of the LA wall inside the cut planes", "%", 1,
        lambda on: 100.0 * on.scar_area_on_wall_mm2 / on.area_of_wall_mm2 if on.sample.has_planes and on.area_of_wall_mm2 > 0 else None,
        Coding("scar", _share("ScarWallSurfPct", "Scar, share of the left atrial wall's surface")),
    ),
    Number("scar_area_cm2", "Scar area", "cm2", 1, lambda on: on.scar_area_mm2 / 100.0, Coding("scar", AREA)),
    Number(
        "scar_volume_ml", "Scar volume", "mL", 2, lambda on: on.scar_voxels * on.sample.voxel_volume_ml,
        Coding("scar", VOLUME, VOXEL_SUM),
    ),
    Number(
        "scar_pct_of_wall_volume", "Scar, share of the wall volume", "%", 2, lambda on: on.scar_pct_of_wall_volume,
        Coding("scar", _share("ScarWallVolPct", "Scar, share of the left atrial wall's volume")),
    ),
    Number("la_volume_ml", "LA volume", "mL", 1, lambda on: on.sample.la_volume_ml, Coding("cavity", VOLUME)),
    Number("la_surface_area_cm2", "LA surface area", "cm2", 1, lambda on: on.area_mm2 / 100.0, Coding("cavity", AREA)),
    Number(
        "wall_volume_ml", "Wall volume", "mL", 1, lambda on: on.sample.wall_intensity.size * on.sample.voxel_volume_ml,
        Coding("wall", VOLUME, VOXEL_SUM),
    ),
    Number(
        "utah_stage", "Utah-style stage (native scans only)", "", 0,
        lambda on: None if on.staging is None else utah_stage(on.scar_pct_of_wall_volume, on.staging), roman=True, comparable=False,
    ),
    Number(
        "blood_pool_mean", "Blood pool, mean intensity", "a.u.", 1, lambda on: on.sample.blood.mean, Coding("cavity", derivation=MEAN)
    ),
    Number(
        "blood_pool_sd", "Blood pool, standard deviation", "a.u.", 1, lambda on: on.sample.blood.sd,
        Coding("cavity", derivation=STANDARD_DEVIATION),
    ),
    Number("threshold", "Threshold (the rule's parameter)", "", 2, lambda on: on.parameter, ranged=False, comparable=False),
    Number("threshold_intensity", "Threshold (grey level)", "a.u.", 1, lambda on: on.grey_level),
]  # fmt: skip
"""Every number in the order in which it is shown. Add one here: every front end reads this list, and nothing else."""
HEADLINE = next(number for number in NUMBERS if number.key == "scar_area_pct")
"""The number that stands first everywhere."""

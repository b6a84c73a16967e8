"""The catalogue of numbers: what each key of measurements.json means, how it is counted, how it is written and coded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .sample import CavityCounts

DASH = "–"
UNIT_TEXT = {"cm2": "cm²", "a.u.": "grey levels"}
PARAMETERS = ("threshold", "threshold_dense")
"""The numbers that count what the rule says."""
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
    """A number with its unit; `low` and `high` are its perturbation range (not a confidence interval). None: not computed.

    `low_by` and `high_by` say which perturbation an end comes from; "" where no perturbation goes beyond the value itself.
    """

    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    low_by: str = ""
    high_by: str = ""

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
    changes it. `comparable`: the difference of two results means something. `needs_scan`: counted from voxels or grey levels, so that
    a surface alone does not have it.
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
    needs_scan: bool = True

    @property
    def tells_scar(self) -> bool:
        """Whether it says how much scar there is: a share, an area, a volume or a stage of it."""
        return self.roman or (self.coding is not None and self.coding.mask == "scar")

    @property
    def unit_text(self) -> str:
        """The unit as it is printed: "cm²" for "cm2"."""
        return UNIT_TEXT.get(self.unit, self.unit)

    def unit_on(self, parameter_name: str | None) -> str:
        """The unit in a file; of a rule's parameter what it counts: "IIR", "number of SD"."""
        return (parameter_name or "") if self.key in PARAMETERS else self.unit

    def unit_for_people(self, parameter_name: str | None) -> str:
        """The same as it is printed."""
        return self.unit_on(parameter_name) if self.key in PARAMETERS else self.unit_text

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


def _private(code: str, meaning: str) -> Code:
    return (code, PRIVATE_SCHEME, meaning)


def _stage(share: float | None, staging: str | None) -> int | None:
    return None if share is None or staging is None else utah_stage(share, staging)


NUMBERS: list[Number] = [
    Number(
        "scar_area_pct_wall", "Scar, share of the LA wall inside the cut planes", "%", 1, lambda on: on.area_pct_of_wall(on.scar),
        Coding("scar", _private("ScarWallSurfPct", "Scar, share of the left atrial wall's surface")),
        needs_scan=False,
    ),
    Number(
        "scar_area_pct", "Scar, share of the LA surface", "%", 1, lambda on: on.area_pct(on.scar),
        Coding("scar", _private("ScarSurfacePct", "Scar, share of the left atrial surface")),
        needs_scan=False,
    ),
    Number(
        "scar_area_pct_measured", "Scar, share of the measured part of the LA surface", "%", 1, lambda on: on.area_pct_of_measured(on.scar),
        Coding("scar", _private("ScarMeasuredPct", "Scar, share of the measured left atrial surface")),
        needs_scan=False,
    ),
    Number(
        "dense_scar_area_pct_wall", "Dense scar, share of the LA wall inside the cut planes", "%", 1, lambda on: on.area_pct_of_wall(on.dense),
        Coding("scar", _private("DenseWallSurfPct", "Dense scar, share of the left atrial wall's surface")),
        needs_scan=False,
    ),
    Number(
        "dense_scar_area_pct", "Dense scar, share of the LA surface", "%", 1, lambda on: on.area_pct(on.dense),
        Coding("scar", _private("DenseSurfacePct", "Dense scar, share of the left atrial surface")),
        needs_scan=False,
    ),
    Number(
        "dense_scar_area_pct_measured", "Dense scar, share of the measured part of the LA surface", "%", 1,
        lambda on: on.area_pct_of_measured(on.dense),
        Coding("scar", _private("DenseMeasuredPct", "Dense scar, share of the measured left atrial surface")),
        needs_scan=False,
    ),
    Number(
        "scar_area_cm2_wall", "Scar area inside the cut planes", "cm2", 1, lambda on: on.area_cm2(on.on_wall(on.scar)),
        Coding("scar", _private("ScarWallArea", "Area of scar on the left atrial wall")),
        needs_scan=False,
    ),
    Number("scar_area_cm2", "Scar area", "cm2", 1, lambda on: on.area_cm2(on.scar), Coding("scar", AREA), needs_scan=False),
    Number(
        "dense_scar_area_cm2_wall", "Dense scar area inside the cut planes", "cm2", 1, lambda on: on.area_cm2(on.on_wall(on.dense)),
        Coding("scar", _private("DenseWallArea", "Area of dense scar on the left atrial wall")),
        needs_scan=False,
    ),
    Number(
        "dense_scar_area_cm2", "Dense scar area", "cm2", 1, lambda on: on.area_cm2(on.dense),
        Coding("scar", _private("DenseArea", "Area of dense scar")),
        needs_scan=False,
    ),
    Number(
        "scar_volume_ml_wall", "Scar volume inside the cut planes", "mL", 2, lambda on: on.volume_ml(on.scar_voxels_on_wall),
        Coding("scar", _private("ScarWallVolume", "Volume of scar in the left atrial wall")),
    ),
    Number(
        "scar_volume_ml", "Scar volume", "mL", 2, lambda on: on.volume_ml(on.scar_voxels), Coding("scar", VOLUME, VOXEL_SUM)
    ),
    Number(
        "dense_scar_volume_ml", "Dense scar volume", "mL", 2,
        lambda on: None if on.dense_in_wall is None else on.volume_ml(int(on.dense_in_wall.sum())),
        Coding("scar", _private("DenseVolume", "Volume of dense scar")),
    ),
    Number(
        "scar_pct_of_wall_volume_wall", "Scar, share of the wall volume inside the cut planes", "%", 1,
        lambda on: on.scar_pct_of_wall_volume_proper,
        Coding("scar", _private("ScarProperVolPct", "Scar, share of the left atrial wall inside the cut planes")),
    ),
    Number(
        "scar_pct_of_wall_volume", "Scar, share of the wall volume", "%", 1, lambda on: on.scar_pct_of_wall_volume,
        Coding("scar", _private("ScarWallVolPct", "Scar, share of the left atrial wall's volume")),
    ),
    Number(
        "utah_stage_wall", "Utah-style stage inside the cut planes (native only)", "", 0,
        lambda on: _stage(on.scar_pct_of_wall_volume_proper, on.staging), roman=True, comparable=False,
    ),
    Number(
        "utah_stage", "Utah-style stage (native scans only)", "", 0,
        lambda on: _stage(on.scar_pct_of_wall_volume, on.staging), roman=True, comparable=False,
    ),
    Number(
        "la_wall_area_cm2", "LA wall area inside the cut planes", "cm2", 1,
        lambda on: on.area_cm2(on.sample.counts_as_wall) if on.sample.has_planes else None,
        Coding("cavity", _private("WallArea", "Area of the left atrial wall inside the cut planes")),
        needs_scan=False,
    ),
    Number(
        "la_surface_area_cm2", "LA surface area", "cm2", 1, lambda on: on.sample.vertex_area_mm2.sum() / 100.0, Coding("cavity", AREA), needs_scan=False
    ),
    Number(
        "unmeasured_area_pct", "Surface that could not be measured", "%", 1, lambda on: on.unmeasured_pct,
        Coding("cavity", _private("UnmeasuredPct", "Share of the surface that could not be measured")),
        needs_scan=False,
    ),
    Number("la_volume_ml", "LA volume", "mL", 1, lambda on: on.sample.la_volume_ml, Coding("cavity", VOLUME), needs_scan=False),
    Number(
        "wall_volume_ml_wall", "Wall volume inside the cut planes", "mL", 1, lambda on: on.volume_ml(on.wall_voxels_proper),
        Coding("wall", _private("WallProperVolume", "Volume of the left atrial wall inside the cut planes")),
    ),
    Number(
        "wall_volume_ml", "Wall volume", "mL", 1, lambda on: on.volume_ml(on.sample.wall_intensity.size),
        Coding("wall", VOLUME, VOXEL_SUM),
    ),
    Number(
        "blood_pool_mean", "Blood pool, mean intensity", "a.u.", 1, lambda on: on.sample.blood.mean, Coding("cavity", derivation=MEAN)
    ),
    Number(
        "blood_pool_sd", "Blood pool, standard deviation", "a.u.", 1, lambda on: on.sample.blood.sd,
        Coding("cavity", derivation=STANDARD_DEVIATION),
    ),
    Number("threshold", "Threshold (the rule's parameter)", "", 2, lambda on: on.levels.parameter, ranged=False, comparable=False, needs_scan=False),
    Number(
        "threshold_dense", "Threshold of dense scar (the rule's parameter)", "", 2, lambda on: on.levels.dense_parameter, ranged=False,
        comparable=False, needs_scan=False,
    ),
    Number("threshold_intensity", "Threshold (grey level)", "a.u.", 1, lambda on: on.levels.scar, needs_scan=False),
]  # fmt: skip
"""Every number in the order in which it is shown. Add one here: every front end reads this list, and nothing else."""
ON_WALL, ON_SURFACE, ON_MEASURED = "scar_area_pct_wall", "scar_area_pct", "scar_area_pct_measured"


def withhold_scar(measurements: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """The same without a value for anything that says how much scar there is: the cavity it was measured on is not to be used."""
    withheld = {number.key for number in NUMBERS if number.tells_scar}
    return {key: Quantity(None, quantity.unit) if key in withheld else quantity for key, quantity in measurements.items()}


def find_number(key: str) -> Number:
    return next(number for number in NUMBERS if number.key == key)


def headline_key(measurements: Mapping[str, Quantity]) -> str:
    """The number that stands first everywhere: the share of the LA wall proper where planes tell which that is."""
    return ON_WALL if measurements[ON_WALL].value is not None else ON_SURFACE

"""The intensity rules of the field: each ends in one grey level; scar is the wall above it (SCIENCE section 4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .blood_pool import BloodPool
from .statistics import brightest_cluster_threshold, mixture_threshold, otsu_threshold

KHURRAM = "Khurram et al., Heart Rhythm 2014"
BARCELONA = "Benito et al., Europace 2017"
CEMRGAPP = "Razeghi et al., SoftwareX 2020 (CemrgApp)"
KINGS_COLLEGE = "King's College London, as offered by CemrgApp"
HOPMAN = "Hopman et al., European Heart Journal Cardiovascular Imaging 2022"
BENCHMARK = "Karim et al., Journal of Cardiovascular Magnetic Resonance 2013"
MTL_SESA = "Li et al., MICCAI 2020 (baseline)"


@dataclass(frozen=True)
class Preset:
    """A published threshold: its parameter, what it is called, where it stands, and what wall it was published for."""

    value: float
    key: str
    source: str
    published_for: str
    wall_drawn_by_hand: bool = False


@dataclass(frozen=True, eq=False)
class Tissue:
    """What a rule may look at: the blood pool, and the grey levels of the wall's and of the cavity's voxels (1-D)."""

    blood: BloodPool
    wall: np.ndarray
    cavity: np.ndarray


@dataclass(frozen=True)
class Rule:
    """One way to find scar.

    `grey_level(tissue, parameter)` returns the grey level above which wall is scar. `parameter` names the number a
    person may choose, None when the rule finds its level alone; `default` is that number's usual value.
    """

    name: str
    title: str
    source: str
    grey_level: Callable[[Tissue, float], float]
    parameter: str | None = None
    default: float | None = None
    highest: float = float("inf")
    presets: tuple[Preset, ...] = ()

    def check_parameter(self, threshold: float | None) -> float | None:
        """The parameter to use: the default for None. `InputError` when this rule can't use `threshold`."""
        if self.parameter is None:
            if threshold is not None:
                raise InputError(f"The rule '{self.name}' finds its threshold by itself; leave out the threshold {threshold:g}.")
            return None
        value = self.default if threshold is None else threshold
        if not 0 <= value <= self.highest:
            limit = "0 or more" if self.highest == float("inf") else f"between 0 and {self.highest:g}"
            raise InputError(f"The threshold of '{self.name}' ({self.parameter}) is {value:g}; it must be {limit}.")
        return value

    def preset(self, value: float | None) -> Preset | None:
        """The published preset with this value, None when it is nobody's."""
        return next((p for p in self.presets if value is not None and abs(p.value - value) < 1e-9), None)


def _iir(tissue: Tissue, ratio: float) -> float:
    return ratio * tissue.blood.mean


def _nsd(tissue: Tissue, deviations: float) -> float:
    return tissue.blood.mean + deviations * tissue.blood.sd


def _wall_nsd(tissue: Tissue, deviations: float) -> float:
    return float(tissue.wall.mean(dtype=np.float64) + deviations * tissue.wall.std(dtype=np.float64))


def _percentile(tissue: Tissue, percent: float) -> float:
    return float(np.percentile(tissue.wall, percent))


def _fwhm(tissue: Tissue, _: float) -> float:
    return 0.5 * float(tissue.wall.max())


def _otsu(tissue: Tissue, _: float) -> float:
    return otsu_threshold(tissue.wall)


def _gmm(tissue: Tissue, _: float) -> float:
    return mixture_threshold(tissue.wall)


KMEANS_CLUSTERS = 4
"""CARMA toolkit's number of clusters."""


def _kmeans(tissue: Tissue, _: float) -> float:
    return brightest_cluster_threshold(np.concatenate([tissue.wall, tissue.cavity]), KMEANS_CLUSTERS)


HAND_DRAWN = "the voxels of a wall drawn by hand"
SECTORS = "sector means of a wall drawn by hand, on axial slices"
MID_WALL = "a mid-wall surface layer"
MAX_PROJECTION = "the maximum along the surface normal, −1…3 mm"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "iir", "Image intensity ratio", KHURRAM, _iir, "IIR", 1.20, presets=(
                Preset(0.86, "cemrgapp-0.86", CEMRGAPP, MAX_PROJECTION),
                Preset(0.97, "khurram-fibrosis", KHURRAM, SECTORS),
                Preset(1.16, "cemrgapp-1.16", CEMRGAPP, MAX_PROJECTION),
                Preset(1.20, "barcelona-fibrosis", BARCELONA, MID_WALL),
                Preset(1.32, "barcelona-dense", BARCELONA, MID_WALL),
                Preset(1.61, "khurram-dense", KHURRAM, SECTORS),
            ),
        ),
        Rule(
            "nsd", "Blood mean + n standard deviations", KINGS_COLLEGE, _nsd, "number of SD", 3.0, presets=(
                Preset(2.0, "benchmark-2", BENCHMARK, HAND_DRAWN, wall_drawn_by_hand=True),
                Preset(2.3, "kcl-2.3", KINGS_COLLEGE, MAX_PROJECTION),
                Preset(3.0, "hopman-3", HOPMAN, "the wall as segmented in that study"),
                Preset(3.3, "kcl-3.3", KINGS_COLLEGE, MAX_PROJECTION),
                Preset(4.0, "benchmark-4", BENCHMARK, HAND_DRAWN, wall_drawn_by_hand=True),
            ),
        ),
        Rule("wall_nsd", "Wall mean + n standard deviations", BENCHMARK, _wall_nsd, "number of SD", 2.0),
        Rule("percentile", "Percentile of the wall", BENCHMARK, _percentile, "percentile", 70.0, highest=100.0),
        Rule("otsu", "Otsu's threshold on the wall", MTL_SESA, _otsu),
        Rule("fwhm", "Half of the wall maximum", BENCHMARK, _fwhm),
        Rule("gmm", "Two-component Gaussian mixture", MTL_SESA, _gmm),
        Rule("kmeans", "Brightest of four clusters (CARMA)", "CARMA Cardiac MRI Toolkit, University of Utah 2012", _kmeans),
    )
}  # fmt: skip
"""Every rule by the name the command line takes."""


def find_rule(name: str) -> Rule:
    """The rule of that name; `InputError` lists the names there are."""
    if name not in RULES:
        raise InputError(f"'{name}' is neither a file nor a scar rule; the rules are {', '.join(RULES)}.")
    return RULES[name]


def parse_threshold(rule: Rule, text: str | None) -> float | None:
    """A threshold typed by a person: a number, or the key of one of the rule's presets."""
    if text is None:
        return None
    preset = next((p for p in rule.presets if p.key == text), None)
    if preset is not None:
        return preset.value
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        keys = ", ".join(p.key for p in rule.presets)
        raise InputError(f"The threshold '{text}' is neither a number nor a preset of '{rule.name}'" + (f" ({keys})." if keys else "."))
    return rule.check_parameter(value)

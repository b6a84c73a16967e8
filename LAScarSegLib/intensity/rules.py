"""The intensity rules of the field: each ends in one grey level; scar is the wall above it (SCIENCE section 4)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .automatic_thresholds import brightest_cluster_threshold, mixture_threshold, otsu_threshold
from .blood_pool import BloodPool

KHURRAM = "Khurram et al., Heart Rhythm 2014"
BARCELONA = "Benito et al., Europace 2017"
CEMRGAPP = "Razeghi et al., SoftwareX 2020 (CemrgApp)"
KINGS_COLLEGE = "King's College London, as offered by CemrgApp"
HOPMAN = "Hopman et al., European Heart Journal Cardiovascular Imaging 2022"
BENCHMARK = "Karim et al., Journal of Cardiovascular Magnetic Resonance 2013"
MTL_SESA = "Li et al., MICCAI 2020 (baseline)"
CARMA = "CARMA Cardiac MRI Toolkit, University of Utah 2012"


@dataclass(frozen=True)
class PublishedThreshold:
    """A published threshold: its parameter, what it is called, where it stands, and what wall it was published for."""

    value: float
    key: str
    source: str
    published_for: str


@dataclass(frozen=True, eq=False)
class Intensities:
    """What a rule may look at: the blood pool, and the grey levels of the wall's and of the cavity's voxels (1-D)."""

    blood: BloodPool
    wall: np.ndarray
    cavity: np.ndarray


@dataclass(frozen=True)
class Rule:
    """One way to find scar.

    `grey_level(on, parameter)` returns the grey level above which wall is scar. `parameter` names the number a person may
    choose, None when the rule finds its level alone; `default` is that number's usual value, `sentence` and `mark` (short, for
    a curve) are templates that say the rule with its number. `needs_true_zero`: it compares ratios of grey levels, so that 0 must mean
    "no signal".
    """

    name: str
    title: str
    source: str
    grey_level: Callable[[Intensities, float], float]
    sentence: str = ""
    mark: str = ""
    parameter: str | None = None
    default: float | None = None
    highest: float = float("inf")
    presets: tuple[PublishedThreshold, ...] = ()
    needs_true_zero: bool = False

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

    def label(self, parameter: float | None) -> str:
        """The rule with its number: "Image intensity ratio > 1.20", "Blood mean + 3 standard deviations"."""
        return self.title if parameter is None else (self.sentence or f"{self.title}, {{:g}}").format(parameter)

    def short_label(self, parameter: float) -> str:
        """"IIR 1.20", "mean + 3 SD"."""
        return (self.mark or f"{self.name} {{:g}}").format(parameter)

    def preset(self, value: float | None) -> PublishedThreshold | None:
        """The published preset with this value, None when it is nobody's."""
        return next((p for p in self.presets if value is not None and abs(p.value - value) < 1e-9), None)


def _iir(on: Intensities, ratio: float) -> float:
    return ratio * on.blood.mean


def _nsd(on: Intensities, deviations: float) -> float:
    return on.blood.mean + deviations * on.blood.sd


def _wall_nsd(on: Intensities, deviations: float) -> float:
    return float(on.wall.mean(dtype=np.float64) + deviations * on.wall.std(dtype=np.float64))


def _percentile(on: Intensities, percent: float) -> float:
    return float(np.percentile(on.wall, percent))


def _fwhm(on: Intensities, _: float) -> float:
    return 0.5 * float(on.wall.max())


def _otsu(on: Intensities, _: float) -> float:
    return otsu_threshold(on.wall)


def _gmm(on: Intensities, _: float) -> float:
    return mixture_threshold(on.wall)


KMEANS_CLUSTERS = 4
"""CARMA toolkit's number of clusters."""


def _kmeans(on: Intensities, _: float) -> float:
    return brightest_cluster_threshold(np.concatenate([on.wall, on.cavity]), KMEANS_CLUSTERS)


HAND_DRAWN = "the voxels of a wall drawn by hand"
SECTORS = "sector means of a wall drawn by hand, on axial slices"
MID_WALL = "a mid-wall surface layer"
MAX_PROJECTION = "the maximum along the surface normal, −1…3 mm"

RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "iir", "Image intensity ratio", KHURRAM, _iir, "Image intensity ratio > {:.2f}", "IIR {:.2f}", "IIR", 1.20, needs_true_zero=True, presets=(
                PublishedThreshold(0.86, "cemrgapp-0.86", CEMRGAPP, MAX_PROJECTION),
                PublishedThreshold(0.97, "khurram-fibrosis", KHURRAM, SECTORS),
                PublishedThreshold(1.16, "cemrgapp-1.16", CEMRGAPP, MAX_PROJECTION),
                PublishedThreshold(1.20, "barcelona-fibrosis", BARCELONA, MID_WALL),
                PublishedThreshold(1.32, "barcelona-dense", BARCELONA, MID_WALL),
                PublishedThreshold(1.61, "khurram-dense", KHURRAM, SECTORS),
            ),
        ),
        Rule(
            "nsd", "Blood mean + n standard deviations", KINGS_COLLEGE, _nsd, "Blood mean + {:g} standard deviations", "mean + {:g} SD", "number of SD", 3.0,
            presets=(
                PublishedThreshold(2.0, "benchmark-2", BENCHMARK, HAND_DRAWN),
                PublishedThreshold(2.3, "kcl-2.3", KINGS_COLLEGE, MAX_PROJECTION),
                PublishedThreshold(3.0, "hopman-3", HOPMAN, "the wall as segmented in that study"),
                PublishedThreshold(3.3, "kcl-3.3", KINGS_COLLEGE, MAX_PROJECTION),
                PublishedThreshold(4.0, "benchmark-4", BENCHMARK, HAND_DRAWN),
            ),
        ),
        Rule(
            "wall_nsd", "Wall mean + n standard deviations", BENCHMARK, _wall_nsd, "Wall mean + {:g} standard deviations",
            parameter="number of SD", default=2.0,
        ),
        Rule("percentile", "Percentile of the wall", BENCHMARK, _percentile, parameter="percentile", default=70.0, highest=100.0),
        Rule("otsu", "Otsu's threshold on the wall", MTL_SESA, _otsu),
        Rule("fwhm", "Half of the wall maximum", BENCHMARK, _fwhm, needs_true_zero=True),
        Rule("gmm", "Two-component Gaussian mixture", MTL_SESA, _gmm),
        Rule("kmeans", "Brightest of four clusters (CARMA)", CARMA, _kmeans),
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

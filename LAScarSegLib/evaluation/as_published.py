"""Scores as papers take them: of what a network says, above its threshold, whatever wall is measured elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ..analysis import Settings, analyse
from ..errors import AtriumNotFound, InputError, NothingToLookAt
from ..inference.bundle_models import BundleCavityModel, BundleScarModel
from ..inference.options import InferenceOptions
from ..models.bundle import Bundle
from ..systems import Stage, find_system
from ..volumes.volume import Volume
from .metrics import METRICS, Metric
from .scores import score_masks
from .voxel import border_voxels, nearest_mm

PUBLISHED_METRICS = (
    Metric("asd_mm", "Mean distance of the predicted surface to the reference's (ASD)", "ASD", "mm", 2, False),
    Metric("sensitivity", "Sensitivity of the voxels", "sensitivity", "", 3, True),
    Metric("true_positives", "True positives, all scans together", "TP", "voxels", 0, True),
    Metric("false_positives", "False positives, all scans together", "FP", "voxels", 0, False),
    Metric("false_negatives", "False negatives, all scans together", "FN", "voxels", 0, False),
)
"""What papers report beyond `metrics.METRICS`."""
METRICS_OF_PAPERS: Mapping[str, Metric] = METRICS | {metric.key: metric for metric in PUBLISHED_METRICS}
TOTALS = frozenset(metric.key for metric in PUBLISHED_METRICS if metric.unit == "voxels")
"""Summed over the scans instead of averaged."""
NO_ATRIUM = "The network found no left atrium: scored as an empty mask."


@dataclass(frozen=True, eq=False)
class FoundCavity:
    """A cavity (k, j, i) bool as it is scored, and as a scar is looked for in it (None: there is none); `note` says why."""

    scored: np.ndarray
    used: Volume | None
    note: str = ""

    @classmethod
    def manual(cls, mask: Volume) -> FoundCavity:
        """The one that came with the scan."""
        return cls(mask.array > 0, Volume((mask.array > 0).astype(np.uint8), mask.geometry))


@dataclass(frozen=True)
class CaseResult:
    """One scan in one row of a table: `values` by `Metric.key`, None where undefined."""

    case: str
    values: Mapping[str, float | None]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CaseResult:
        return cls(data["case"], dict(data["values"]), tuple(data["notes"]))


def read_as(bundle: Bundle, variant: str = "") -> Bundle:
    """The same weights as another variant of their stage: with other thresholds and filters."""
    return replace(bundle, card=replace(bundle.card, variant=variant)) if variant else bundle


def stage_of(bundle: Bundle) -> Stage:
    """The description of what a bundle holds."""
    return find_system(bundle.card.system).stage(bundle.card.stage, bundle.card.variant)


def find_cavity(bundle: Bundle, scan: Volume, device: str, largest_part: bool) -> FoundCavity:
    """The cavity that a bundle finds; with `largest_part` scored as it is used, else every voxel above the threshold.

    Raises `ProcessingError` (memory) and `InputError` for a bundle that finds no cavity; a scan without any atrium in it is no error.
    """
    try:
        probability, mask = BundleCavityModel.from_bundle(bundle, InferenceOptions(device=device)).predict_with_mask(scan)
    except AtriumNotFound:
        return FoundCavity(np.zeros(scan.array.shape, dtype=bool), None, NO_ATRIUM)
    threshold = stage_of(bundle).output("cavity").threshold
    return FoundCavity(mask.array > 0 if largest_part else probability.array > threshold, mask)


def find_scar(bundle: Bundle, scan: Volume, cavity: FoundCavity, device: str, mask_prediction: bool | None) -> tuple[np.ndarray, str]:
    """(k, j, i) bool: where a bundle's probability of scar is above its threshold, and why there is none.

    Only a network that was trained on the surroundings of cavities is limited to them; one that sees a fixed part of scans counts in all
    of it.
    """
    if cavity.used is None:
        return np.zeros(scan.array.shape, dtype=bool), cavity.note
    stage = stage_of(bundle)
    # Those that see a fixed part of the scan have a crop.
    options = InferenceOptions(device=device, region_first=bundle.card.preprocessing.crop is None, mask_prediction=mask_prediction)
    try:
        probability = BundleScarModel.from_bundle(bundle, options).predict(scan, cavity.used)
    except NothingToLookAt as error:
        return np.zeros(scan.array.shape, dtype=bool), f"No scar was looked for: {error}"
    return probability.array > stage.output("scar").threshold, ""


def scar_by_rule(rule: str, scan: Volume, cavity: FoundCavity) -> tuple[np.ndarray, str]:
    """(k, j, i) bool: the voxels of the wall that an intensity rule takes for scar, and why there are none."""
    if cavity.used is None:
        return np.zeros(scan.array.shape, dtype=bool), cavity.note
    try:
        analysis = analyse(scan, Settings(rule=rule, perturbation=False), cavity=cavity.used, ranges=False)
    except InputError as error:
        return np.zeros(scan.array.shape, dtype=bool), f"The rule found nothing: {error}"
    return analysis.scar.array > 0, ""


def score_as_published(
    case: str, prediction: np.ndarray, reference: Volume, cavity: Volume | None = None, note: str = ""
) -> CaseResult:
    """Every metric that a paper reports of two masks (k, j, i); with the manual `cavity` they are scar.

    `hd_mm`, `assd_mm` and `asd_mm` are medpy's `hd`, `assd` and `asd`; surface metrics those of LAScarQS on the manual cavity.
    """
    truth = reference.array > 0
    manual = None if cavity is None else cavity.array > 0
    values, notes = score_masks(prediction, truth, reference.geometry, manual)
    values |= {**counts(prediction, truth), "asd_mm": asd_mm(prediction, truth, reference.geometry.spacing_kji)}
    return CaseResult(case, values, (*((note,) if note else ()), *notes))


def asd_mm(prediction: np.ndarray, reference: np.ndarray, spacing_kji: Sequence[float]) -> float | None:
    """Mean distance in mm of the border voxels of one bool mask (k, j, i) to those of the other (medpy `asd`); None when one is empty."""
    distances = nearest_mm(border_voxels(prediction), border_voxels(reference), spacing_kji)
    return float(distances.mean()) if distances.size else None


def counts(prediction: np.ndarray, reference: np.ndarray) -> dict[str, float | None]:
    """Voxels of two bool masks: sensitivity TP / (TP + FN), None without a reference, and the counts."""
    found, lost, wrong = (int(np.count_nonzero(m)) for m in (prediction & reference, reference & ~prediction, prediction & ~reference))
    sensitivity = found / (found + lost) if found + lost else None
    return {"sensitivity": sensitivity, "true_positives": found, "false_positives": wrong, "false_negatives": lost}

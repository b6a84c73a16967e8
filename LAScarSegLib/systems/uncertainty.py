"""The uncertainty-aware module (UAM) of boundary_focused (Zhang Y. et al. 2022, section 2): how unsure a prediction is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag
from ..volumes.volume import Box, Volume
from .base import Stage

OUTLIER_SDS = 3.0
"""Standard deviations above the cross-validation's mean (section 2)."""
SCORE = "uncertainty"
"""Key of the reference among the scores of a bundle's card."""
MINIMUM_CASES = 5
"""Fewer cross-validated cases give no standard deviation worth the name."""

SURE_BELOW = 1e-3
"""Smaller probabilities count as 0: tens of millions of background voxels, each as good as sure, would outweigh the edge."""


@dataclass(frozen=True)
class UncertaintyReference:
    """Mean and SD of `uncertainty_mm` over the validation cases of a cross-validation, kept in the bundle."""

    mean_mm: float
    sd_mm: float
    cases: int

    def __post_init__(self) -> None:
        lengths = all(isinstance(n, (int, float)) and isfinite(n) and n >= 0 for n in (self.mean_mm, self.sd_mm))
        if not lengths or type(self.cases) is not int or self.cases < MINIMUM_CASES:
            need = f"two lengths ≥ 0 and at least {MINIMUM_CASES} cases"
            raise InputError(f"The uncertainty reference {self} can't be used: it needs {need}.")

    @classmethod
    def of(cls, values_mm: Sequence[float]) -> UncertaintyReference:
        """From `uncertainty_mm` of every validation case of all folds; `InputError` for fewer than five."""
        values = np.asarray(values_mm, dtype=float)
        if values.size < MINIMUM_CASES:
            raise InputError(f"{values.size} validation cases give no reference for the uncertainty; at least {MINIMUM_CASES} are needed.")
        return cls(float(values.mean()), float(values.std(ddof=1)), int(values.size))

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> UncertaintyReference:
        """From `to_json`'s dictionary; `InputError` for anything else."""
        if not isinstance(data, Mapping) or set(data) != {"mean_mm", "sd_mm", "cases"}:
            found = ", ".join(sorted(data)) or "nothing" if isinstance(data, Mapping) else repr(data)
            raise InputError(f"The uncertainty reference has {found}; it must have mean_mm, sd_mm and cases.")
        return cls(**data)

    @classmethod
    def in_scores(cls, scores: Mapping[str, Any]) -> UncertaintyReference | None:
        """What the scores of a bundle's card say, None when they say nothing; `InputError` when it can't be used."""
        return cls.from_json(scores[SCORE]) if SCORE in scores else None

    def is_outlier(self, value_mm: float) -> bool:
        """More than three SD above the mean. An unusually *sure* prediction is no reason to lower a threshold."""
        return value_mm > self.mean_mm + OUTLIER_SDS * self.sd_mm


def entropy(probability: np.ndarray) -> np.ndarray:
    """Shannon entropy of each voxel in nats: −p log p − (1 − p) log(1 − p), 0 where p is 0 or 1. Same shape, float32."""
    p = np.clip(probability.astype(np.float32), 0.0, 1.0)
    q = 1.0 - p
    # log(1) where p is 0: 0 · log(0) is 0 in an entropy.
    return -(p * np.log(np.where(p > 0, p, 1)) + q * np.log(np.where(q > 0, q, 1)))


def entropy_bits(probability: np.ndarray) -> np.ndarray:
    """`entropy` in bits, as a result keeps it: 0 where the probability is 0 or 1, 1 where it is one half. Same shape, float32."""
    return entropy(probability) / np.float32(np.log(2.0))


def entropy_map(probability: Volume) -> Volume:
    """`entropy_bits` on the same grid."""
    return probability.like(entropy_bits(probability.array))


def level_surface_mm2(probability: np.ndarray, spacing_kji: Sequence[float]) -> float:
    """Area in mm² of the predicted surface: the mean area of the map's level sets from 0 to 1, ∫|∇p| dV (coarea formula).

    It needs no threshold and no mesh; of a certain prediction it is the area of its mask, over-read by up to a
    fifth where slices are thick (the stairs); of a blurred edge, which a network gives, within 4 %.
    """
    # A scan of one slice has no gradient across it.
    gradient = np.gradient(np.pad(probability.astype(np.float32), 1, mode="edge"), *spacing_kji)
    steepness = np.sqrt(sum(part * part for part in gradient))
    return float(steepness.sum(dtype=np.float64) * np.prod(spacing_kji))


def uncertainty_mm(probability: Volume) -> float:
    """Shannon entropy of a probability map, integrated over the volume and divided by the predicted surface: mm (times nats).

    The paper sums voxels, which grows with the voxels' number and the atrium's size; this is the thickness of the unsure
    shell: (π²/3)·s for an edge as blurred as a logistic of scale s mm. Infinite when nothing was predicted.
    """
    likely = probability.array >= SURE_BELOW
    if not likely.any():
        return float("inf")
    spacing = probability.geometry.spacing_kji
    box = Box.around(likely, max(spacing), spacing).slices
    part = np.where(likely[box], probability.array[box], 0)
    area = level_surface_mm2(part, spacing)
    total = float(entropy(part).sum(dtype=np.float64)) * 1000.0 * probability.geometry.voxel_volume_ml
    return total / area if area > 0 else float("inf")


def threshold_for(stage: Stage, usual: float, value_mm: float, reference: UncertaintyReference | None) -> float:
    """The `usual` threshold, or the stage's `uncertain_threshold` for an outlier of the reference (0.5 and 0.2 in the paper)."""
    if stage.uncertain_threshold is None or reference is None or not reference.is_outlier(value_mm):
        return usual
    return stage.uncertain_threshold


def uncertainty_flag(value_mm: float, reference: UncertaintyReference, threshold: float) -> QualityFlag:
    """What a reader should know about a cavity that was read at `threshold`: a warning for an outlier, else the value as a note."""
    said = f"The model's uncertainty at the cavity's edge is {value_mm:.2f} mm"
    usual = f"{reference.mean_mm:.2f} ± {reference.sd_mm:.2f} mm in {reference.cases} scans of its cross-validation"
    if not reference.is_outlier(value_mm):
        return QualityFlag("cavity_uncertainty", f"{said} ({usual}).")
    message = (
        f"The model is unusually unsure of the cavity: {value_mm:.2f} mm at its edge, against {usual}. "
        f"Its probability was cut at {threshold:g}. Look at the cavity before trusting any number."
    )
    return QualityFlag("cavity_uncertain", message)

"""Where wrong scar voxels lie in the atrium: table II of two_stage_sdm (Kundu & Linte 2026)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy.wall import two_stage_band


@dataclass(frozen=True)
class AnatomyErrors:
    """In %. The false positives over all predicted, the false negatives over all reference scar voxels; NaN over none.

    The paper names the regions without defining them. Here they are its own masks of the *manual* cavity, taken
    literally: in the cavity mask, outside the wall band (eq 3: 2 mm to both sides of the boundary), inside the band.
    A false positive deep in the cavity is therefore in the cavity and outside the wall.
    """

    fp_in_cavity_pct: float
    fp_outside_wall_pct: float
    fn_inside_wall_pct: float


def anatomy_errors(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, spacing_kji: Sequence[float]) -> AnatomyErrors:
    """Of two scar masks and the manual cavity, all (k, j, i) bool, spacing in mm."""
    wall = two_stage_band(cavity, spacing_kji)
    false_positive, false_negative = prediction & ~reference, reference & ~prediction
    return AnatomyErrors(
        _percent(false_positive & cavity, prediction),
        _percent(false_positive & ~wall, prediction),
        _percent(false_negative & wall, reference),
    )


def _percent(part: np.ndarray, whole: np.ndarray) -> float:
    count = int(np.count_nonzero(whole))
    return 100.0 * int(np.count_nonzero(part)) / count if count else np.nan

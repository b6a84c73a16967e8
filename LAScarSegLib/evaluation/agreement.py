"""Agreement of two scar maps on one surface: how much of it is scar in both, in one, in none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ScarAgreement:
    """How much of a surface (voxels, or mm² of a mesh) is scar in both maps (`true_scar`), only in the prediction
    (`false_scar`), only in the reference (`missed_scar`), in none (`true_wall`). A rate over nothing is NaN."""

    true_scar: float
    false_scar: float
    missed_scar: float
    true_wall: float

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None) -> ScarAgreement:
        """Of two (N,) bool maps; `weights` (N,) is what each element counts, 1 when None."""
        cases = (prediction & reference, prediction & ~reference, ~prediction & reference, ~prediction & ~reference)
        return cls(*(float(np.count_nonzero(case) if weights is None else weights[case].sum()) for case in cases))

    @property
    def total(self) -> float:
        return self.true_scar + self.false_scar + self.missed_scar + self.true_wall

    @property
    def reference_scar(self) -> float:
        return self.true_scar + self.missed_scar

    @property
    def predicted_scar(self) -> float:
        return self.true_scar + self.false_scar

    @property
    def accuracy(self) -> float:
        """(TP + TN) / N."""
        return _share(self.true_scar + self.true_wall, self.total)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN); NaN when the reference has no scar."""
        return _share(self.true_scar, self.reference_scar)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); NaN when the reference is all scar."""
        return _share(self.true_wall, self.true_wall + self.false_scar)

    @property
    def dice(self) -> float:
        """Dice of the scar; no scar in either map is agreement: 1."""
        return _dice(self.true_scar, self.false_scar + self.missed_scar)

    @property
    def generalized_dice(self) -> float:
        """Dice of scar and of normal wall, weighted with their shares in the reference (LAScarQS 2022); NaN without surface."""
        wall_dice = _dice(self.true_wall, self.false_scar + self.missed_scar)
        scar_share = _share(self.reference_scar, self.total)
        return self.dice * scar_share + wall_dice * (1.0 - scar_share)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan


def _dice(agreed: float, differing: float) -> float:
    return 2.0 * agreed / (2.0 * agreed + differing) if agreed + differing > 0 else 1.0

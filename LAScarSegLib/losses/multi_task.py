"""The losses of mtl_sesa and of its ablations (Li et al. 2020, eq 6, tables 1 and 2).

The network's first output is the cavity's, its last two are those of normal wall and scar, or its last one is the scar's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from .binary_cross_entropy import binary_cross_entropy
from .objective import Moment, Objective
from .precision import at_least_32_bits
from .shape_attention import predicted_boundary, shape_attention
from .soft_dice import SMOOTH, dice_loss
from .spatial_encoding import distance_probability_encoding, signed_distance_encoding

CAVITY_SE, SCAR_SE, MANUAL_SA, PREDICTED_SA = 0.01, 10.0, 0.01, 0.001
"""λ_LA, λ_scar, λ_M1 and λ_M2 (section 3.1)."""
GROWTH, GROWTH_STEPS = 1.1, 200
"""λ_LA and λ_M2 are multiplied by 1.1 every 200 iterations (section 3.1)."""
LARGEST_GROWTH = 7.0
"""Where that ends, after 4200 iterations. The paper doesn't say: after its 12,000 it would be 300-fold, and SE alone would rule."""
OUTSIDE_MM, WALL_AND_SCAR, BOUNDARY = "outside_mm", "wall_and_scar", "cavity_boundary"
"""What these losses compare with: names of targets in a sample."""

Sample = Mapping[str, torch.Tensor]


def growth(step: int) -> float:
    """By what λ_LA and λ_M2 have grown after `step` optimiser steps."""
    return min(GROWTH ** (step // GROWTH_STEPS), LARGEST_GROWTH)


class CavityLoss(Objective):
    """BCE of the cavity (eq 2), and with `encoded` λ_LA · SE (eq 3)."""

    def __init__(self, encoded: bool) -> None:
        super().__init__()
        self.encoded = encoded

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        logits = outputs[:, :1]
        loss = binary_cross_entropy(logits, sample["target"][:, :1])
        if self.encoded:
            loss = loss + CAVITY_SE * growth(moment.step) * signed_distance_encoding(logits, sample[OUTSIDE_MM])
        return loss


class ScarEncoding(Objective):
    """λ_scar · SE of normal wall and scar (eq 4)."""

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        return SCAR_SE * distance_probability_encoding(outputs[:, -2:], sample[WALL_AND_SCAR])


class ShapeAttention(Objective):
    """λ_M1 · SA at the manual boundary + λ_M2 · SA at the predicted one (eqs 5 and 6)."""

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        logits, probabilities = outputs[:, -2:], sample[WALL_AND_SCAR]
        manual = shape_attention(logits, probabilities, sample[BOUNDARY])
        predicted = shape_attention(logits, probabilities, predicted_boundary(outputs[:, :1]))
        return MANUAL_SA * manual + PREDICTED_SA * growth(moment.step) * predicted


class ScarCrossEntropy(Objective):
    """BCE of the scar's voxels (the BCE rows of table 2)."""

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        return binary_cross_entropy(outputs[:, -1:], sample["target"][:, -1:])


class ScarDice(Objective):
    """1 − Dice of the scar's voxels, one ratio over the batch (U-Net scar-Dice of table 2)."""

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        found = torch.sigmoid(at_least_32_bits(outputs[:, -1:]))
        return dice_loss(found, sample["target"][:, -1:].float(), over_batch=True, smooth=SMOOTH)


class SumOfTasks(Objective):
    """The sum of some objectives, each of which brings its own weights."""

    def __init__(self, tasks: Sequence[Objective]) -> None:
        super().__init__()
        self.tasks = torch.nn.ModuleList(tasks)

    def forward(self, outputs: torch.Tensor, sample: Sample, moment: Moment) -> torch.Tensor:
        return sum(task(outputs, sample, moment) for task in self.tasks)


def mtl_sesa() -> SumOfTasks:
    """L of eq 6: MTL-SESA."""
    return SumOfTasks([CavityLoss(encoded=True), ScarEncoding(), ShapeAttention()])


def mtl_se() -> SumOfTasks:
    """MTL-SE: eq 6 without SA."""
    return SumOfTasks([CavityLoss(encoded=True), ScarEncoding()])


def mtl_bce() -> SumOfTasks:
    """MTL-BCE: cross-entropy of both masks."""
    return SumOfTasks([CavityLoss(encoded=False), ScarCrossEntropy()])


def unet_cavity_se() -> CavityLoss:
    """U-Net LA-SE."""
    return CavityLoss(encoded=True)


def unet_cavity_bce() -> CavityLoss:
    """U-Net LA-BCE."""
    return CavityLoss(encoded=False)

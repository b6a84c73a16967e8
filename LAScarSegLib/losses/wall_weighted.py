"""Cavity and scar at once, voxels of the wall counting more for the scar (Zhang J. et al. 2026, eqs 5, 7 and 8)."""

from collections.abc import Mapping

import torch

from .dice_ce import DiceCE
from .objective import Moment, Objective

CAVITY_WEIGHT, SCAR_WEIGHT = 0.3, 0.7
"""β_LA and β_scar (eq 5)."""
LARGEST_ALPHA, RAMP_SHARE = 1.0, 0.5
"""The paper says that α(t) grows "gradually", neither how far nor how fast: from 0 to 1 over the first half of the epochs."""
WALL = "wall"
"""The sample's entry M: 1 in the wall, 0 elsewhere, between them where an augmentation has moved it (eq 6)."""


class CavityAndWallWeightedScar(Objective):
    """0.3 · DiceCE(cavity) + 0.7 · DiceCE(scar, each voxel W = 1 + α(t)·M times).

    Outputs (B, 2, k, j, i): the logits of cavity and scar; `target` has their masks in this order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loss = DiceCE()

    def forward(self, outputs: torch.Tensor, sample: Mapping[str, torch.Tensor], moment: Moment) -> torch.Tensor:
        (cavity, scar), (true_cavity, true_scar) = outputs.split(1, dim=1), sample["target"].split(1, dim=1)
        weight = 1.0 + alpha(moment.done) * sample[WALL]
        return CAVITY_WEIGHT * self.loss(cavity, true_cavity) + SCAR_WEIGHT * self.loss(scar, true_scar, weight=weight)


def alpha(done: float) -> float:
    """α(t) of eq 7, `done` 0 at the start of the training … 1 at its end."""
    return LARGEST_ALPHA * min(1.0, done / RAMP_SHARE)

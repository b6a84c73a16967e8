"""ROI-weighted binary cross-entropy of two_stage_sdm (Kundu & Linte 2026, eqs 11–13)."""

import torch
from torch import nn
from torch.nn import functional

LARGEST_WEIGHT = 10.0
"""w_max (eq 13)."""
EPSILON = 1e-5
"""ε of eq 13, which the paper doesn't give; it matters only in patches without scar, where the weight weighs nothing."""


class RegionBCE(nn.Module):
    """−(1/ΣR) ΣR[w⁺ y log σ + (1 − y) log(1 − σ)] of each patch, mean over patches; 0 where the region is empty.

    w⁺ = clamp(√((N + ε)/(P + ε)), 1, 10), P and N the patch's scar and other voxels inside the region. It needs a region.
    """

    def __init__(self, largest_weight: float = LARGEST_WEIGHT) -> None:
        super().__init__()
        self.largest_weight = largest_weight

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        # log σ and log(1 − σ) of the foreground's softmax are the two log-softmaxes: never log(0).
        log_background, log_foreground = functional.log_softmax(logits.float(), dim=1).split(1, dim=1)
        inside, scar = region.float(), target.float()
        weight = positive_weight(scar, inside, self.largest_weight)[:, None, None, None, None]
        losses = -inside * (weight * scar * log_foreground + (1.0 - scar) * log_background)
        axes = (1, 2, 3, 4)
        return (losses.sum(axes) / inside.sum(axes).clamp_min(1.0)).mean()


def positive_weight(scar: torch.Tensor, inside: torch.Tensor, largest: float = LARGEST_WEIGHT) -> torch.Tensor:
    """(B,) w⁺ of each patch (eqs 12–13); `scar` and `inside` (B, 1, k, j, i) float32 of 0 and 1."""
    positive, negative = (inside * scar).sum((1, 2, 3, 4)), (inside * (1.0 - scar)).sum((1, 2, 3, 4))
    return torch.sqrt((negative + EPSILON) / (positive + EPSILON)).clamp(1.0, largest)

"""1 − intersection over union of soft masks (Khan et al. 2022, table 2)."""

import torch
from torch import nn

from .precision import at_least_32_bits

SMOOTH = 1.0
"""Added above and below: that of the authors' public code."""


class SoftIoU(nn.Module):
    """1 − (Σpy + 1)/(Σp + Σy − Σpy + 1), sums over the whole batch; p is the sigmoid of logits (B, 1, k, j, i)."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        predicted, true = torch.sigmoid(at_least_32_bits(logits)), at_least_32_bits(target)
        shared = (predicted * true).sum()
        return 1 - (shared + SMOOTH) / (predicted.sum() + true.sum() - shared + SMOOTH)

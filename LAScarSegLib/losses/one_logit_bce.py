"""Binary cross-entropy as the loss of a network with one output (Khan et al. 2022, table 2)."""

import torch
from torch import nn

from .binary_cross_entropy import binary_cross_entropy


class OneLogitBCE(nn.Module):
    """Mean of −y log p − (1 − y) log(1 − p), p the sigmoid of logits (B, 1, k, j, i)."""

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        return binary_cross_entropy(logits, target.to(logits.dtype))

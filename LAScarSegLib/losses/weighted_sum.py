"""Several losses as one."""

from collections.abc import Sequence

import torch
from torch import nn


class WeightedSum(nn.Module):
    """Σ weight · loss of the pairs (weight, loss)."""

    def __init__(self, terms: Sequence[tuple[float, nn.Module]]) -> None:
        super().__init__()
        self.weights = tuple(weight for weight, _ in terms)
        self.losses = nn.ModuleList(loss for _, loss in terms)

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        return sum(weight * loss(logits, target, region) for weight, loss in zip(self.weights, self.losses))

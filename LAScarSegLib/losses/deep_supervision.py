"""Deep supervision as in nnU-Net (Isensee et al. 2021)."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional


class DeepSupervision(nn.Module):
    """A loss at every resolution a network in training mode gives, weighted 1, ½, ¼, … and the lowest 0, normalised to 1.

    Target and region are made smaller by nearest neighbour for each level. A single tensor (evaluation mode) is compared as
    it is.

    Parameters
    ----------
    lowest_weight
        of the lowest resolution before normalising. DistributedDataParallel wants a gradient for every parameter: give 1e-6
        there, as nnU-Net does.
    """

    def __init__(self, loss: nn.Module, lowest_weight: float = 0.0) -> None:
        super().__init__()
        self.loss = loss
        self.lowest_weight = lowest_weight

    def forward(
        self, logits: torch.Tensor | Sequence[torch.Tensor], target: torch.Tensor, region: torch.Tensor | None = None
    ) -> torch.Tensor:
        if isinstance(logits, torch.Tensor):
            return self.loss(logits, target, region)
        terms = []
        for weight, level in zip(level_weights(len(logits), self.lowest_weight), logits):
            # Not multiplied by 0: a level that overflowed in half precision would still make the sum NaN.
            if weight:
                size = level.shape[2:]
                terms.append(weight * self.loss(level, at_size(target, size), None if region is None else at_size(region, size)))
        return sum(terms)


def level_weights(levels: int, lowest_weight: float = 0.0) -> tuple[float, ...]:
    """1, ½, ¼, … with `lowest_weight` for the last, summing to 1; a single level has all of it."""
    if levels == 1:
        return (1.0,)
    weights = [0.5**level for level in range(levels - 1)] + [lowest_weight]
    return tuple(weight / sum(weights) for weight in weights)


def at_size(mask: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    """`mask` (B, 1, k, j, i) on a coarser grid of the same extent, nearest neighbour; float32 of the same values."""
    if tuple(mask.shape[2:]) == tuple(size):
        return mask
    return functional.interpolate(mask.float(), size=tuple(size), mode="nearest-exact")

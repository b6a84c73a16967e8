"""Soft Dice of the foreground."""

import torch
from torch import nn

SMOOTH = 1e-5
"""nnU-Net's: small enough not to bias a small structure, and 0/0 becomes a perfect score."""


class SoftDice(nn.Module):
    """1 − (2Σpy + ε)/(Σp + Σy + ε), p the foreground's softmax, over the whole patch.

    Parameters
    ----------
    over_batch
        one ratio of sums over the batch (nnU-Net's `batch_dice`, which it chooses where a patch is a small part of the scan,
        as here), so that a patch without foreground isn't judged alone; else the mean over patches.
    """

    def __init__(self, over_batch: bool = True, smooth: float = SMOOTH) -> None:
        super().__init__()
        self.over_batch = over_batch
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None) -> torch.Tensor:
        return dice_loss(foreground(logits), target.float(), self.over_batch, self.smooth)


def foreground(logits: torch.Tensor) -> torch.Tensor:
    """(B, 1, k, j, i) float32: the foreground's softmax, σ in the papers' formulas."""
    return torch.softmax(logits.float(), dim=1)[:, 1:]


def dice_loss(predicted: torch.Tensor, true: torch.Tensor, over_batch: bool, smooth: float) -> torch.Tensor:
    """1 − Dice of two soft masks (B, 1, k, j, i) float32, masked to a region beforehand where there is one."""
    axes = tuple(range(0 if over_batch else 1, predicted.ndim))
    overlap = (predicted * true).sum(axes)
    return (1.0 - (2.0 * overlap + smooth) / (predicted.sum(axes) + true.sum(axes) + smooth)).mean()

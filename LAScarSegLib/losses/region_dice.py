"""ROI-Dice of two_stage_sdm (Kundu & Linte 2026, eq 10)."""

import torch
from torch import nn

from .soft_dice import SMOOTH, dice_loss, foreground


class RegionDice(nn.Module):
    """1 − (2ΣRpy + ε)/(ΣRp + ΣRy + ε) of each patch, mean over patches; 0 where the region is empty. It needs a region."""

    def __init__(self, smooth: float = SMOOTH) -> None:
        super().__init__()
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        inside = region.float()
        return dice_loss(foreground(logits) * inside, target.float() * inside, over_batch=False, smooth=self.smooth)

"""Dice and binary cross-entropy of one logit, each voxel as often as a weight says (Zhang J. et al. 2026, eqs 1 and 8)."""

import torch
from torch import nn
from torch.nn import functional

from .precision import at_least_32_bits
from .soft_dice import SMOOTH

DICE_SHARE = 0.5
"""λ of eq 1, which the paper doesn't give: both alike."""


class DiceCE(nn.Module):
    """λ · Dice + (1 − λ) · CE of each patch, mean over patches (eq 1); logits and target (B, 1, k, j, i).

    Dice = 1 − (2ΣWpy + ε)/(ΣWp + ΣWy + ε) and CE = ΣW·ce/ΣW, p the sigmoid. That is what eq 8 means: each voxel counts W times. Taken
    literally (W multiplied into p and y before the loss) Dice falls below −0.8, and the logarithm of 1 − Wp is no number.

    Parameters
    ----------
    dice_share
        λ.
    """

    def __init__(self, dice_share: float = DICE_SHARE, smooth: float = SMOOTH) -> None:
        super().__init__()
        self.dice_share = dice_share
        self.smooth = smooth

    def forward(
        self, logits: torch.Tensor, target: torch.Tensor, region: torch.Tensor | None = None, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`weight` W (B, 1, k, j, i) above 0; None: 1 everywhere. `region` is taken no notice of."""
        logits = at_least_32_bits(logits)
        true = target.to(logits.dtype)
        w = torch.ones_like(true) if weight is None else weight.to(logits.dtype)
        predicted, axes = torch.sigmoid(logits), (1, 2, 3, 4)
        overlap, sizes = (w * predicted * true).sum(axes), (w * (predicted + true)).sum(axes)
        dice = 1.0 - (2.0 * overlap + self.smooth) / (sizes + self.smooth)
        # From the logit: the sigmoid's logarithm is minus infinite where it rounds to 0.
        entropy = functional.binary_cross_entropy_with_logits(logits, true, reduction="none")
        entropy = (w * entropy).sum(axes) / w.sum(axes)
        return (self.dice_share * dice + (1.0 - self.dice_share) * entropy).mean()

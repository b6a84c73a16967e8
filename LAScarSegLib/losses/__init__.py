"""Losses (torch), one idea a file, each called as `loss(logits, target, region)`.

logits (B, 2, k, j, i), any floating type: background and foreground; target (B, 1, k, j, i): 0 or 1; region (B, 1, k, j, i): 0 or
1, the R of two_stage_sdm, or None; a loss over the whole patch takes no notice of it. All return a scalar float32 and are
finite for patches without foreground and for regions without a voxel.
"""

from .cross_entropy import CrossEntropy
from .deep_supervision import DeepSupervision
from .recipes import cross_entropy_dice, dice_topk, region_loss
from .region_bce import RegionBCE
from .region_dice import RegionDice
from .soft_dice import SoftDice
from .topk import TopK
from .weighted_sum import WeightedSum

__all__ = [
    "CrossEntropy", "DeepSupervision", "RegionBCE", "RegionDice", "SoftDice", "TopK", "WeightedSum",
    "cross_entropy_dice", "dice_topk", "region_loss",
]  # fmt: skip

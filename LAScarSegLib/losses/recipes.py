"""The losses of the published networks, deep supervision included."""

from .cross_entropy import CrossEntropy
from .deep_supervision import DeepSupervision
from .region_bce import RegionBCE
from .region_dice import RegionDice
from .soft_dice import SoftDice
from .topk import BOUNDARY_FOCUSED_SHARE, TopK
from .weighted_sum import WeightedSum

DICE_WEIGHT, BCE_WEIGHT, GLOBAL_DICE_WEIGHT = 1.0, 2.0, 0.1
"""λ_Dice, λ_BCE and α of two_stage_sdm (Kundu & Linte 2026, eqs 14–15)."""


def cross_entropy_dice() -> DeepSupervision:
    """nnU-Net's default: cross-entropy + Dice."""
    return DeepSupervision(WeightedSum([(1.0, CrossEntropy()), (1.0, SoftDice())]))


def dice_topk(share: float = BOUNDARY_FOCUSED_SHARE) -> DeepSupervision:
    """boundary_focused's cavity: TopK + Dice (Zhang Y. et al. 2022, eq 3), `share` 10 % but in its table 1."""
    return DeepSupervision(WeightedSum([(1.0, TopK(share)), (1.0, SoftDice())]))


def region_loss() -> DeepSupervision:
    """two_stage_sdm's scar: 1 · ROI-Dice + 2 · ROI-BCE + 0.1 · global Dice (Kundu & Linte 2026, eqs 14–15). It needs a region."""
    return DeepSupervision(WeightedSum([(DICE_WEIGHT, RegionDice()), (BCE_WEIGHT, RegionBCE()), (GLOBAL_DICE_WEIGHT, SoftDice())]))

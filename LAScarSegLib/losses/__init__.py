"""Losses (torch), one idea a file, each called as `loss(logits, target, region)`; an `Objective` sees more than that.

logits (B, 2, k, j, i), any floating type: background and foreground; target (B, 1, k, j, i): 0 or 1; region (B, 1, k, j, i): 0 or
1, the R of two_stage_sdm, or None; a loss over the whole patch takes no notice of it. All return a scalar float32 and are
finite for patches without foreground and for regions without a voxel. Of a network with one output, read through a sigmoid, logits are
(B, 1, k, j, i).
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from ..errors import InputError
from .cross_entropy import CrossEntropy
from .deep_supervision import DeepSupervision
from .dice_ce import DiceCE
from .multi_task import ScarCrossEntropy, ScarDice, ScarEncoding, mtl_bce, mtl_se, mtl_sesa, unet_cavity_bce, unet_cavity_se
from .focal_tversky import CAVITY_WEIGHTS, GAMMA, SCAR_WEIGHTS, FocalTversky
from .objective import Moment, Objective
from .one_logit_bce import OneLogitBCE
from .recipes import cross_entropy_dice, dice_topk, region_loss
from .region_bce import RegionBCE
from .region_dice import RegionDice
from .soft_dice import SoftDice
from .soft_iou import SoftIoU
from .topk import TopK
from .wall_weighted import CavityAndWallWeightedScar
from .weighted_sum import WeightedSum

LOSSES: dict[str, Callable[[], nn.Module]] = {
    "cross_entropy_dice": cross_entropy_dice,
    "dice_topk": dice_topk,
    "dice_topk_5": partial(dice_topk, 0.05),
    "dice_topk_20": partial(dice_topk, 0.20),
    "region_loss": region_loss,
    "dice_ce": DiceCE,
    "cavity_and_wall_weighted_scar": CavityAndWallWeightedScar,
    "mtl_sesa": mtl_sesa,
    "mtl_se": mtl_se,
    "mtl_bce": mtl_bce,
    "unet_cavity_se": unet_cavity_se,
    "unet_cavity_bce": unet_cavity_bce,
    "unet_scar_se": ScarEncoding,
    "unet_scar_bce": ScarCrossEntropy,
    "unet_scar_dice": ScarDice,
    # msws_b2p: eq 2 as printed, with the exponent of the public code, and the others of table 2.
    "focal_tversky_cavity": partial(FocalTversky, *CAVITY_WEIGHTS),
    "focal_tversky_scar": partial(FocalTversky, *SCAR_WEIGHTS),
    "focal_tversky_cavity_gamma": partial(FocalTversky, *CAVITY_WEIGHTS, exponent=GAMMA),
    "focal_tversky_scar_gamma": partial(FocalTversky, *SCAR_WEIGHTS, exponent=GAMMA),
    "one_logit_bce": OneLogitBCE,
    "soft_iou": SoftIoU,
}
"""What a phase of a training may minimise, by the name that a system's description gives."""


def make_loss(name: str) -> nn.Module:
    """A fresh loss of `LOSSES`; `InputError` naming those that exist."""
    if name not in LOSSES:
        raise InputError(f"There is no loss {name!r}; choose one of {', '.join(LOSSES)}.")
    return LOSSES[name]()


__all__ = [
    "LOSSES", "CavityAndWallWeightedScar", "CrossEntropy", "DeepSupervision", "DiceCE", "FocalTversky", "Moment", "Objective", "OneLogitBCE",
    "RegionBCE", "RegionDice", "SoftDice", "SoftIoU", "TopK", "WeightedSum", "cross_entropy_dice", "dice_topk", "make_loss", "region_loss",
]  # fmt: skip

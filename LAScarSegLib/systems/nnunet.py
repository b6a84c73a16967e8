"""The sizes of nnU-Net that two_stage_sdm and boundary_focused are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..networks.plan import NetworkPlan, Triple
from .base import Preset

if TYPE_CHECKING:
    from torch import nn

Spacing = tuple[float, float, float]

PAPER_SPACING_KJI = (2.5, 0.625, 0.625)
"""Of every LAScarQS training scan, in mm; nnU-Net's target spacing is the median, hence the same."""
PAPER_PATCH_KJI = (24, 256, 256)
PAPER_FEATURES = (32, 64, 128, 256, 320, 320, 320)
PAPER_STRIDES = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
PAPER_KERNELS = ((1, 3, 3), (1, 3, 3), *((3, 3, 3),) * 5)
PAPER_BATCH = 2
"""What nnU-Net v2.8.1's default planner (8 GB) gives as 3d_fullres for scans of 44×576×576 voxels at that spacing."""

SMALL_CAVITY_SPACING_KJI = (2.0, 2.0, 2.0)
SMALL_CAVITY_PATCH_KJI = (48, 48, 64)
"""96 × 96 × 128 mm: all of an atrium and what it opens into. At 1.5 mm the same takes two and a half times as long."""
SMALL_CAVITY_FEATURES = (8, 32, 64, 128, 160)
"""Few at the finest resolution, where a processor spends its time."""
COARSE_SPACING_KJI = (4.0, 4.0, 4.0)
COARSE_PATCH_KJI = (32, 64, 64)
"""128 × 256 × 256 mm: what lies around the atrium tells where it is."""
SMALL_SCAR_SPACING_KJI = (2.5, 1.25, 1.25)
"""Slices as they were acquired: scar is drawn slice by slice."""
SMALL_SCAR_PATCH_KJI = (32, 80, 80)
SMALL_SCAR_FEATURES = (8, 24, 48, 96, 128)
COARSE_FEATURES = (8, 16, 32, 64)
TINY_CAVITY_SPACING_KJI = (2.5, 2.5, 2.5)
TINY_CAVITY_PATCH_KJI = (32, 32, 32)
"""80 mm: most of an atrium."""
TINY_SCAR_PATCH_KJI = (12, 48, 48)
"""30 × 60 × 60 mm. The smaller, the more of a patch is scar, and the sooner cross-entropy stops calling everything healthy."""
TINY_FEATURES = (8, 16, 32, 48)
SMALL_BATCH = 2
SMALL_CAVITY_EPOCHS = 24
SMALL_SCAR_EPOCHS = 12
COARSE_EPOCHS = 12
TINY_EPOCHS = 4
"""Of 250 steps. The small cavity's: 80 minutes on two cores with AVX2; a step of `tiny` is a sixth of one of `small`."""


def cavity_presets(paper_epochs: int) -> Mapping[str, Preset]:
    """For a network that sees the scan alone."""
    for_few_scans = {"mirror": False, "strong_augmentation": True}
    plan = _halving_plan(1, SMALL_CAVITY_SPACING_KJI, SMALL_CAVITY_FEATURES)
    small = Preset(plan, SMALL_CAVITY_SPACING_KJI, SMALL_CAVITY_PATCH_KJI, SMALL_BATCH, SMALL_CAVITY_EPOCHS, "region", **for_few_scans)
    presets = _presets(1, paper_epochs, small)
    tiny = _tiny(1, TINY_CAVITY_SPACING_KJI, TINY_CAVITY_PATCH_KJI)
    plan = NetworkPlan(1, 2, COARSE_FEATURES, ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)), ((3, 3, 3),) * 4)
    coarse = Preset(plan, COARSE_SPACING_KJI, COARSE_PATCH_KJI, SMALL_BATCH, COARSE_EPOCHS, **for_few_scans)
    return presets | {"tiny": tiny, "coarse": coarse}


def scar_presets(channels: int, paper_epochs: int) -> Mapping[str, Preset]:
    """For a network that sees the scan and `channels` − 1 distance maps."""
    plan = _halving_plan(channels, SMALL_SCAR_SPACING_KJI, SMALL_SCAR_FEATURES)
    small = Preset(plan, SMALL_SCAR_SPACING_KJI, SMALL_SCAR_PATCH_KJI, SMALL_BATCH, SMALL_SCAR_EPOCHS, mirror=False)
    return _presets(channels, paper_epochs, small) | {"tiny": _tiny(channels, SMALL_SCAR_SPACING_KJI, TINY_SCAR_PATCH_KJI)}


def cross_entropy_dice_loss() -> nn.Module:
    """nnU-Net's default: cross-entropy + Dice at every resolution."""
    from ..losses import cross_entropy_dice

    return cross_entropy_dice()


def _presets(channels: int, epochs: int, small: Preset) -> Mapping[str, Preset]:
    paper = NetworkPlan(channels, 2, PAPER_FEATURES, PAPER_STRIDES, PAPER_KERNELS)
    return {"paper": Preset(paper, PAPER_SPACING_KJI, PAPER_PATCH_KJI, PAPER_BATCH, epochs), "small": small}


def _tiny(channels: int, spacing: Spacing, patch: Triple) -> Preset:
    return Preset(_halving_plan(channels, spacing, TINY_FEATURES), spacing, patch, SMALL_BATCH, TINY_EPOCHS, "region", mirror=False)


def _halving_plan(channels: int, spacing: Spacing, features: tuple[int, ...]) -> NetworkPlan:
    """Halved in every direction at every stage; in thick slices the first stages work in the plane until voxels are cubes."""
    thick = spacing[0] >= 2 * spacing[1]
    first, kernel = ((1, 2, 2), (1, 3, 3)) if thick else ((2, 2, 2), (3, 3, 3))
    deeper = len(features) - 2
    return NetworkPlan(channels, 2, features, ((1, 1, 1), first, *((2, 2, 2),) * deeper), (kernel, *((3, 3, 3),) * (deeper + 1)))

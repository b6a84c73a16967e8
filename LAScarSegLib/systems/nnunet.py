"""The sizes of nnU-Net that two_stage_sdm and boundary_focused are made of: one preset is one entry."""

from collections.abc import Mapping

from ..networks.plan import NetworkPlan, Triple
from .base import Preset

BATCH = 2
"""Patches of a step: the papers' and ours."""
FINE_BATCH = 8
"""Of `fine`: a card is busy with as many."""


def cavity_presets(paper_epochs: int) -> Mapping[str, Preset]:
    """For a network that sees the scan alone. Epochs are of 250 steps: the small one's take 80 minutes on two cores with AVX2."""
    return {
        "paper": _paper(1, paper_epochs),
        # 96 × 96 × 128 mm: all of an atrium and what it opens into. At 1.5 mm the same takes two and a half times as long.
        # Few features at the finest resolution, where a processor spends its time.
        "small": _halving(1, (8, 32, 64, 128, 160), (2.0, 2.0, 2.0), (48, 48, 64), 24, "region", strong_augmentation=True),
        # 80 mm: most of an atrium. A step is a sixth of one of `small`.
        "tiny": _halving(1, (8, 16, 32, 48), (2.5, 2.5, 2.5), (32, 32, 32), 4, "region"),
        # 128 × 256 × 256 mm: what lies around the atrium tells where it is.
        "coarse": _halving(1, (8, 16, 32, 64), (4.0, 4.0, 4.0), (32, 64, 64), 12, strong_augmentation=True),
        # 120 × 96 × 120 mm, the network of `small` (whose weights it can start from) where an edge of 2 mm is all that `small` can draw. Most
        # atria are one patch, so that a look takes less than twice as long (Benchmarks/fine_preset.py); finer, it would take three times.
        "fine": _halving(
            1, (8, 32, 64, 128, 160), (1.5, 1.5, 1.5), (80, 64, 80), 60, "region", strong_augmentation=True, batch_size=FINE_BATCH
        ),
    }


def scar_presets(channels: int, paper_epochs: int) -> Mapping[str, Preset]:
    """For a network that sees the scan and `channels` − 1 distance maps; slices as they were acquired: scar is drawn slice by slice."""
    return {
        "paper": _paper(channels, paper_epochs),
        "small": _halving(channels, (8, 24, 48, 96, 128), (2.5, 1.25, 1.25), (32, 80, 80), 12),
        # 30 × 60 × 60 mm. The smaller, the more of a patch is scar, and the sooner cross-entropy stops calling everything healthy.
        "tiny": _halving(channels, (8, 16, 32, 48), (2.5, 1.25, 1.25), (12, 48, 48), 4, "region"),
    }


def _paper(channels: int, epochs: int) -> Preset:
    """What nnU-Net v2.8.1's default planner (8 GB) gives as 3d_fullres for scans of 44×576×576 voxels at that spacing.

    The spacing in mm is that of every LAScarQS training scan; nnU-Net's target spacing is the median, hence the same.
    """
    features = (32, 64, 128, 256, 320, 320, 320)
    strides = ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
    plan = NetworkPlan(channels, 2, features, strides, ((1, 3, 3), (1, 3, 3), *((3, 3, 3),) * 5))
    return Preset(plan, (2.5, 0.625, 0.625), (24, 256, 256), BATCH, epochs)


def _halving(
    channels: int,
    features: tuple[int, ...],
    spacing_kji: tuple[float, float, float],
    patch_kji: Triple,
    epochs: int,
    statistics: str = "image",
    strong_augmentation: bool = False,
    batch_size: int = BATCH,
) -> Preset:
    """Halved in every direction at every stage; in thick slices the first stages work in the plane until voxels are cubes."""
    thick = spacing_kji[0] >= 2 * spacing_kji[1]
    first, kernel = ((1, 2, 2), (1, 3, 3)) if thick else ((2, 2, 2), (3, 3, 3))
    deeper = len(features) - 2
    plan = NetworkPlan(channels, 2, features, ((1, 1, 1), first, *((2, 2, 2),) * deeper), (kernel, *((3, 3, 3),) * (deeper + 1)))
    return Preset(plan, spacing_kji, patch_kji, batch_size, epochs, statistics, mirror=False, strong_augmentation=strong_augmentation)

"""What a published system is: two models that can be exchanged, and for each the description that trains and runs it.

A cavity model gives the probability of the cavity for a scan, a scar model that of scar for a scan and its cavity's mask; both
float32 in 0…1, on the scan's grid (`inference.bundle_models`).

Nothing here imports torch: a description is read by a dialog or a bundle check as well as by a trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..errors import InputError
from ..networks.plan import NetworkPlan, Triple

if TYPE_CHECKING:
    from torch import nn

MINIMUM_SD = 1e-8
"""A scan of one grey level is left at 0 instead of divided by nothing (nnU-Net's ZScoreNormalization)."""


@dataclass(frozen=True)
class InputChannel:
    """One input channel of a network."""

    name: str
    padding: float
    """What a patch that reaches beyond the scan holds there: 0 after z-scoring (the mean), −1 for a clipped distance."""
    augment_intensity: bool = False
    """Intensity augmentation may touch it: the scan only, never a distance map."""


SCAN = InputChannel("lge", padding=0.0, augment_intensity=True)
"""The z-scored scan: padded with its mean, the only channel whose intensities are augmented."""


@dataclass(frozen=True)
class Preset:
    """One size of a stage. `spacing_kji` in mm, `patch_kji` in voxels, a multiple of `plan.divisor`."""

    plan: NetworkPlan
    spacing_kji: tuple[float, float, float]
    patch_kji: Triple
    batch_size: int
    epochs: int
    statistics: str = "image"
    """What the scan's z-score is taken over, of `models.card.STATISTICS`: the whole image, or the region that the network sees."""
    mirror: bool = True
    """Train on mirrored patches, which makes mirroring possible in use."""
    strong_augmentation: bool = False
    """Train on what nnU-Net's augmentation lacks, too: bent atria, other contrasts, dark blood, the shading of coils."""

    def __post_init__(self) -> None:
        if any(size % step for size, step in zip(self.patch_kji, self.plan.divisor)):
            raise InputError(f"The patch {self.patch_kji} is not a multiple of {self.plan.divisor}, the product of the network's strides.")


@dataclass(frozen=True)
class Optimiser:
    """nnU-Net's recipe for SGD (Isensee et al. 2021, methods; nnU-Net v2's nnUNetTrainer): both papers keep it."""

    learning_rate: float = 0.01
    momentum: float = 0.99
    nesterov: bool = True
    weight_decay: float = 3e-5
    gradient_clip: float = 12.0
    """Largest norm of all gradients together."""
    poly_exponent: float = 0.9
    """learning rate × (1 − epoch / epochs) ^ exponent."""
    iterations_per_epoch: int = 250
    foreground_share: float = 1 / 3
    """Share of a batch's patches that must hold foreground, at least one (nnU-Net's oversampling: of two patches, one)."""

    def learning_rate_at(self, epoch: float, epochs: int) -> float:
        """The learning rate at the start of `epoch` (0 … epochs)."""
        return self.learning_rate * (1.0 - epoch / epochs) ** self.poly_exponent


@dataclass(frozen=True)
class Stage:
    """One network of a system: what goes in, what it is trained with, and how its output is read."""

    key: str
    """`cavity` or `scar`."""
    variant: str
    """Which of the paper's ablations or settings this is; `full` is the paper's own method."""
    channels: tuple[InputChannel, ...]
    presets: Mapping[str, Preset]
    inputs: Callable[[np.ndarray, Anatomy | None], np.ndarray]
    """(lge, anatomy) → (C, k, j, i) float32, one per channel. `lge` (k, j, i) is normalised; it and `anatomy` lie on one
    grid, the working grid: the preset's spacing. `anatomy` is None for a cavity stage."""
    recipe: str = "cross_entropy_dice"
    """Its loss, of `losses.recipes`; nnU-Net's unless a paper has another."""
    threshold: float = 0.5
    """Probability above which a voxel is foreground."""
    uncertain_threshold: float | None = None
    """The threshold of a case whose prediction is unusually uncertain (`systems.uncertainty`); None: always `threshold`."""
    region: Callable[[Anatomy], np.ndarray] | None = None
    """(anatomy) → (k, j, i) bool: where the losses are taken (R), given to `loss` as its third argument; None: everywhere."""
    mask_prediction: bool = False
    """Set the probability to 0 outside `region` when a model runs."""
    whole_scan_inputs: bool = False
    """`inputs` has statistics of its own over the scan: it must see the whole scan, and is cropped afterwards. Else any box
    that holds the cavity and 12 mm around gives the same channels."""
    optimiser: Optimiser = field(default_factory=Optimiser)

    def __post_init__(self) -> None:
        for name, preset in self.presets.items():
            if preset.plan.in_channels != len(self.channels):
                raise InputError(
                    f"The preset {name!r} takes {preset.plan.in_channels} channels; stage {self.key} makes {len(self.channels)}."
                )

    @property
    def padding(self) -> tuple[float, ...]:
        """The padding value of each channel."""
        return tuple(channel.padding for channel in self.channels)

    def loss(self) -> nn.Module:
        """A fresh `loss(logits, target, region)`, deep supervision included; see `LAScarSegLib.losses`. Imports torch."""
        from .. import losses

        return getattr(losses, self.recipe)()

    def preset(self, name: str) -> Preset:
        """`paper` or `small`; `InputError` for another name."""
        if name not in self.presets:
            raise InputError(f"There is no preset {name!r}; choose one of {', '.join(self.presets)}.")
        return self.presets[name]


@dataclass(frozen=True)
class System:
    """A published pipeline: a cavity stage and a scar stage, each with its variants."""

    key: str
    title: str
    paper: str
    stages: Mapping[str, Mapping[str, Stage]]
    """By stage (`cavity`, `scar`) and variant; the first variant is the paper's own method."""

    @property
    def cavity(self) -> Stage:
        """The paper's own cavity stage."""
        return self.stage("cavity")

    @property
    def scar(self) -> Stage:
        """The paper's own scar stage."""
        return self.stage("scar")

    def stage(self, key: str, variant: str | None = None) -> Stage:
        """One stage, as the paper has it or in another variant; `InputError` naming those that exist."""
        if key not in self.stages:
            raise InputError(f"{self.key} has no stage {key!r}; choose one of {', '.join(self.stages)}.")
        variants = self.stages[key]
        if variant is None:
            return next(iter(variants.values()))
        if variant not in variants:
            raise InputError(f"The {key} stage of {self.key} has no variant {variant!r}; choose one of {', '.join(variants)}.")
        return variants[variant]


def by_variant(*stages: Stage) -> Mapping[str, Stage]:
    """The stages by their variant's name, in this order."""
    return {stage.variant: stage for stage in stages}


def z_score(array: np.ndarray) -> np.ndarray:
    """(array − mean) / SD over the whole array, float32: nnU-Net's ZScoreNormalization.

    A scan is normalised whole, before any crop, so that a region of it gets the same values.
    """
    # Sums of 36 million voxels lose digits in float32.
    mean, sd = float(array.mean(dtype=np.float64)), float(array.std(dtype=np.float64))
    return ((array - np.float32(mean)) / np.float32(max(sd, MINIMUM_SD))).astype(np.float32)


def scan_only(lge: np.ndarray, anatomy: Anatomy | None) -> np.ndarray:
    """The inputs of a network that sees nothing but the scan: (1, k, j, i) float32."""
    return lge[None].astype(np.float32)

"""What a published system is: networks that can be exchanged, and for each the description that trains and runs it.

A network of the cavity gives its probability for a scan, one of the scar that of scar for a scan and its cavity's mask, and one network may
give both for the scan alone; each float32 in 0…1, on the scan's grid (`inference.bundle_models`). Docs/systems.md ("How a network is
described") goes through a description from top to bottom.

Nothing here imports torch: a description is read by a dialog or a bundle check as well as by a trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..errors import InputError
from ..networks import Plan
from ..networks.architectures import in_scan
from .decoding import Output
from .recipe import Optimiser, Phase, StartWeights
from .reproduction import Reproduction
from .sampling import Sampler
from .targets import Target

if TYPE_CHECKING:
    from torch import nn

PRODUCTS = (("cavity",), ("scar",), ("cavity", "scar"))
"""What one network may produce."""
PIECE = 1 << 18
"""Numbers that are taken together: 2 MB in float64, which a processor keeps at hand."""
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
    """One size of a stage. `spacing_kji` in mm, `patch_kji` in voxels, a multiple of `plan.divisor`.

    Two numbers (j, i) each for a network of slices: they are taken as the scan has them, one by one.
    """

    plan: Plan
    spacing_kji: tuple[float, ...]
    patch_kji: tuple[int, ...]
    batch_size: int
    epochs: int
    statistics: str = "image"
    """What the scan's z-score is taken over, of `models.card.STATISTICS`: the whole image, or the region that the network sees."""
    mirror: bool = True
    """Train on mirrored patches, which makes mirroring possible in use."""
    strong_augmentation: bool = False
    """Train on what nnU-Net's augmentation lacks, too: bent atria, other contrasts, dark blood, the shading of coils."""
    crop_kji: tuple[int, int, int] | None = None
    """What the network sees of a scan, as voxels of `spacing_kji`; None: the region that is found, or all."""
    crop_around: str = "middle"
    """What it lies around, of `models.card.CROPS`. `atrium`: a predicted one, never the label; without one the scan's middle."""
    accumulate: int = 1
    """Batches whose gradients are added up before the weights move, times the recipe's: for a paper's batch that doesn't fit into memory."""
    learning_rate: float | None = None
    """The first phase's for a network of this size, the others' changing in proportion; None: as the phases say."""

    def __post_init__(self) -> None:
        if len(self.patch_kji) not in (2, 3) or len(self.spacing_kji) != len(self.patch_kji):
            raise InputError(f"The patch {self.patch_kji} and the spacing {self.spacing_kji} must have three numbers each, or two for slices.")
        if self.accumulate < 1:
            raise InputError(f"A preset adds up the gradients of {self.accumulate} batches; it must be at least 1.")
        if any(size % step for size, step in zip(in_scan(self.patch_kji), self.plan.divisor)):
            raise InputError(f"The patch {self.patch_kji} is not a multiple of {self.plan.divisor}, the product of the network's strides.")


@dataclass(frozen=True, eq=False)
class PreparedArrays:
    """A training case on the working grid, for `Stage.learn`: `channels` (C, k, j, i), `masks` (k, j, i) bool by product, `targets` (n, k, j, i)
    by name."""

    channels: np.ndarray
    masks: Mapping[str, np.ndarray]
    targets: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Stage:
    """One network of a system: what goes in, what it is trained with, and how its output is read."""

    key: str
    """`cavity` or `scar`; for a network that gives both another word, which becomes the network's name in a bundle."""
    variant: str
    """Which of the paper's ablations or settings this is; `full` is the paper's own method."""
    channels: tuple[InputChannel, ...]
    presets: Mapping[str, Preset]
    inputs: Callable[[np.ndarray, Anatomy | None], np.ndarray]
    """(lge, anatomy) → (C, k, j, i) float32, one per channel. `lge` (k, j, i) is normalised; it and `anatomy` lie on one
    grid, the working grid: the preset's spacing. `anatomy` is None for a network that sees the scan alone."""
    recipe: str = "cross_entropy_dice"
    """Its loss, of `losses.LOSSES`, in the single phase of a stage that names none; nnU-Net's unless a paper has another."""
    threshold: float = 0.5
    """Probability above which a voxel is foreground; of several products that of the first."""
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
    """Of the single phase of a stage that names none."""
    outputs: tuple[Output, ...] = ()
    """What it produces, `cavity` before `scar`; nothing said: the mask of its key from background and foreground."""
    sampler: Sampler = field(default_factory=Sampler)
    phases: tuple[Phase, ...] = ()
    """Its training, one stretch after the other; nothing said: one, by `recipe` and `optimiser`."""
    targets: tuple[Target, ...] = ()
    """What its losses need beyond masks and region: entries of a sample, by their names."""
    learn: Callable[[Iterable[PreparedArrays]], Mapping[str, Any]] | None = None
    """(training cases) → numbers and lists of numbers that `patch_inputs` needs, such as a histogram; kept with the weights."""
    patch_inputs: Callable[[np.ndarray, Mapping[str, Any]], np.ndarray] | None = None
    """(patch, what was learned) → (C, k, j, i) float32: the channels of one patch as the network sees it, after augmentation, where they
    depend on the patch alone or on the training cases. `inputs` still gives an array for each channel; 0 will do for one that is filled in
    here."""
    start: StartWeights | None = None
    """The network of this system whose weights it begins with; None: random ones, if nobody gives any."""

    def __post_init__(self) -> None:
        if not self.outputs:
            object.__setattr__(self, "outputs", (Output(self.key, threshold=self.threshold),))
        if not self.phases:
            object.__setattr__(self, "phases", (Phase("training", self.recipe, self.optimiser),))
        if self.produces not in PRODUCTS:
            raise InputError(f"The stage {self.key!r} produces {', '.join(self.produces)}; possible are cavity, scar, or cavity and scar.")
        if self.sampler.kind == "boundary" and not self.takes_cavity:
            raise InputError(f"The stage {self.key!r} finds the cavity itself, so it can't look along its boundary only.")
        if len({phase.name for phase in self.phases}) < len(self.phases):
            raise InputError(f"Two phases of the stage {self.key!r} have one name.")
        for name, preset in self.presets.items():
            self._check_preset(name, preset)

    def _check_preset(self, name: str, preset: Preset) -> None:
        if preset.plan.in_channels != len(self.channels):
            raise InputError(
                f"The preset {name!r} takes {preset.plan.in_channels} channels; stage {self.key} makes {len(self.channels)}."
            )
        if preset.plan.out_channels < self.out_channels:
            raise InputError(
                f"The preset {name!r} gives {preset.plan.out_channels} channels; what stage {self.key} produces needs {self.out_channels}."
            )
        samplers = [phase.sampler or self.sampler for phase in self.phases]
        if in_scan(preset.patch_kji)[0] != 1 and any(sampler.kind != "patches" for sampler in samplers):
            raise InputError(f"The patch {preset.patch_kji} of the preset {name!r} must be one slice thick for samples of slices or of a boundary.")

    @property
    def produces(self) -> tuple[str, ...]:
        """`cavity`, `scar`, or both."""
        return tuple(output.product for output in self.outputs)

    @property
    def takes_cavity(self) -> bool:
        """Whether it has to be told the cavity: a network of the scar alone, for its channels, or for where to look."""
        return "cavity" not in self.produces

    def sees_cavity(self, size: Preset) -> bool:
        """Whether what it sees depends on the cavity that it is told: not that of a network which sees a fixed part of the scan alone."""
        of_scan = self.inputs is scan_only and self.region is None and self.sampler.kind != "boundary"
        return self.takes_cavity and not (of_scan and size.crop_kji is not None)

    @property
    def labels(self) -> str:
        """Which labels it is trained with: those of a `cavity` data set, or of a `scar` one, which has both."""
        return "cavity" if self.produces == ("cavity",) and not self.targets_need_scar else "scar"

    @property
    def targets_need_scar(self) -> bool:
        """Whether a target is made from the scar."""
        return any(target.of_scar for target in self.targets)

    @property
    def out_channels(self) -> int:
        """How many channels the network must give, at least."""
        return 1 + max(channel for output in self.outputs for channel in output.channels)

    @property
    def in_one_mask(self) -> bool:
        """Whether it gives one mask, named like the stage, from background and foreground: all that bundles of format 1 can say."""
        plain = Output(self.key, threshold=self.threshold)
        return self.outputs == (plain,) and self.sampler.kind == "patches"

    @property
    def region_row(self) -> int:
        """Which row of a prepared case's labels is the region; the products' masks come first."""
        return len(self.outputs)

    @property
    def padding(self) -> tuple[float, ...]:
        """The padding value of each channel."""
        return tuple(channel.padding for channel in self.channels)

    def output(self, product: str) -> Output:
        """How `product` is read from the network; `InputError` when it isn't."""
        for output in self.outputs:
            if output.product == product:
                return output
        raise InputError(f"The stage {self.key!r} finds {' and '.join(self.produces)}, no {product}.")

    def loss(self) -> nn.Module:
        """The first phase's loss, deep supervision included; see `LAScarSegLib.losses`. Imports torch."""
        from ..losses import make_loss

        return make_loss(self.phases[0].recipe)

    def preset(self, name: str) -> Preset:
        """`paper` or `small`; `InputError` for another name."""
        if name not in self.presets:
            raise InputError(f"There is no preset {name!r}; choose one of {', '.join(self.presets)}.")
        return self.presets[name]


@dataclass(frozen=True)
class System:
    """A published pipeline: a cavity stage and a scar stage, or one stage that gives both, each with its variants."""

    key: str
    title: str
    paper: str
    stages: Mapping[str, Mapping[str, Stage]]
    """By stage (`cavity`, `scar`, or what a network of both is called) and variant; the first variant is the paper's own method."""
    reproduction: Reproduction | None = None
    """What the paper's tables need, for `lascarseg reproduce`; None: it can't be asked for."""

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
    mean, sd = mean_and_sd(array)
    return ((array - np.float32(mean)) / np.float32(max(sd, MINIMUM_SD))).astype(np.float32)


def mean_and_sd(values: np.ndarray) -> tuple[float, float]:
    """Mean and SD of an array of one or three dimensions, in float64: sums of 36 million voxels lose digits in float32.

    A piece at a time: the whole scan in double precision would be a quarter of a GB, and take four times as long.
    """
    pieces = values if values.ndim > 1 else np.array_split(values, max(1, values.size // PIECE))
    mean = sum(float(piece.sum(dtype=np.float64)) for piece in pieces) / values.size
    squares = sum(float(np.square(np.subtract(piece, mean, dtype=np.float64)).sum()) for piece in pieces)
    return mean, (squares / values.size) ** 0.5


def scan_only(lge: np.ndarray, anatomy: Anatomy | None) -> np.ndarray:
    """The inputs of a network that sees nothing but the scan: (1, k, j, i) float32."""
    return lge[None].astype(np.float32)

"""How a network is trained: optimiser and schedule, when to stop, and the phases of a training. Plain numbers, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import InputError
from ..support.checks import require_choice
from .sampling import Sampler

OPTIMISERS = ("sgd", "adam", "adamw")
SCHEDULES = ("poly", "step", "constant")
WATCHED = ("dice", "loss")
"""What an early stop looks at: the mean validation Dice, and the mean training loss of an epoch."""
HANDED_ON = ("last", "best")


@dataclass(frozen=True)
class EarlyStop:
    """A phase ends when any of `watched` has not gained at least `least_gain` for `patience` epochs."""

    patience: int
    least_gain: float = 0.0
    watched: tuple[str, ...] = ("dice",)

    def __post_init__(self) -> None:
        _require(isinstance(self.patience, int) and self.patience >= 1, "An early stop's patience", self.patience, "at least 1 epoch")
        _require(self.least_gain >= 0, "An early stop's least gain", self.least_gain, "0 or more")
        _require(bool(self.watched), "What an early stop watches", self.watched, f"some of {', '.join(WATCHED)}")
        for name in self.watched:
            require_choice("watched", name, WATCHED)

    def says_stop(self, epochs: Sequence[int], dice: Sequence[float | None], loss: Sequence[float]) -> bool:
        """Whether to stop after the last of `epochs`; `dice` is None where nothing was validated."""
        series = {"dice": dice, "loss": [-value for value in loss]}
        return any(self._stands_still(epochs, series[name]) for name in self.watched)

    def _stands_still(self, epochs: Sequence[int], values: Sequence[float | None]) -> bool:
        best, since = None, None
        for epoch, value in zip(epochs, values):
            if value is not None and (best is None or value > best + self.least_gain):
                best, since = value, epoch
        return since is not None and epochs[-1] - since >= self.patience


@dataclass(frozen=True)
class Optimiser:
    """How the weights are moved. The defaults are nnU-Net's (Isensee et al. 2021, methods; nnU-Net v2's nnUNetTrainer)."""

    learning_rate: float = 0.01
    momentum: float = 0.99
    nesterov: bool = True
    weight_decay: float = 3e-5
    gradient_clip: float | None = 12.0
    """Largest norm of all gradients together; None: they are taken as they are."""
    poly_exponent: float = 0.9
    """learning rate × (1 − epoch / epochs) ^ exponent."""
    iterations_per_epoch: int = 250
    kind: str = "sgd"
    """One of `OPTIMISERS`; momentum and Nesterov are SGD's, `betas` Adam's and AdamW's."""
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: str = "poly"
    """One of `SCHEDULES`. `poly` changes after each epoch, `step` multiplies by `step_factor` every `step_iterations`."""
    step_iterations: int = 4000
    step_factor: float = 0.1
    accumulate: int = 1
    """Batches whose gradients are added up before the weights move."""
    stop: EarlyStop | None = None

    def __post_init__(self) -> None:
        require_choice("optimiser", self.kind, OPTIMISERS)
        require_choice("schedule", self.schedule, SCHEDULES)
        for name in ("iterations_per_epoch", "step_iterations", "accumulate"):
            value = getattr(self, name)
            _require(isinstance(value, int) and value >= 1, f"The recipe's {name}", value, "a whole number of at least 1")
        _require(self.learning_rate > 0, "The learning rate", self.learning_rate, "above 0")

    def learning_rate_at(self, epoch: float, epochs: int) -> float:
        """The learning rate of `poly` at the start of `epoch` (0 … epochs)."""
        return self.learning_rate * (1.0 - epoch / epochs) ** self.poly_exponent

    def rate(self, step: int, steps_per_epoch: int, epochs: int) -> float:
        """The learning rate of optimiser step `step` (from 0) of a phase of `epochs`."""
        if self.schedule == "constant":
            return self.learning_rate
        if self.schedule == "step":
            return self.learning_rate * self.step_factor ** (step // self.step_iterations)
        return self.learning_rate_at(min(step // steps_per_epoch, epochs - 1), epochs)


@dataclass(frozen=True)
class Part:
    """The weights whose names begin with `prefix`, moved at `rate` times the learning rate; 0 freezes them."""

    prefix: str
    rate: float = 0.0

    def __post_init__(self) -> None:
        _require(self.rate >= 0, f"The rate of the part {self.prefix!r}", self.rate, "0 (frozen) or more")


@dataclass(frozen=True)
class Phase:
    """One stretch of a training; a phase goes on with the weights of the one before it, its optimiser is new."""

    name: str
    recipe: str
    """Its loss, of `losses.LOSSES`."""
    optimiser: Optimiser = field(default_factory=Optimiser)
    share: float = 1.0
    """Of the preset's epochs; at least one."""
    parts: tuple[Part, ...] = ()
    """Weights that move slower or not at all; of several that fit a name the first counts. All others move at the full rate."""
    sampler: Sampler | None = None
    """How its patches are drawn; None: as the stage says."""
    watched: tuple[str, ...] = ()
    """What the validation's Dice is the mean of, of the stage's products; empty: of all of them."""
    hands_on: str = "last"
    """The weights that the next phase gets, of `HANDED_ON`: the last, or those of the best validation."""

    def __post_init__(self) -> None:
        require_choice("hands_on", self.hands_on, HANDED_ON)
        _require(self.share > 0, f"The share of the phase {self.name!r}", self.share, "above 0")

    def epochs(self, preset_epochs: int) -> int:
        """How many epochs it has, at most."""
        return max(1, round(preset_epochs * self.share))

    def rate_of(self, weight: str) -> float:
        """How fast the weight of this name moves, as a part of the learning rate."""
        return next((part.rate for part in self.parts if weight.startswith(part.prefix)), 1.0)


@dataclass(frozen=True)
class StartWeights:
    """Weights that a training begins with: those of another network of the same system.

    `carried` says by pairs (prefix there, prefix here) which weights go where; one weight may go to several places. What nothing is
    carried to begins at random.
    """

    stage: str
    carried: tuple[tuple[str, str], ...] = (("", ""),)
    variant: str = ""
    """Which of that stage's variants; "": any."""

    def names(self, weight: str) -> tuple[str, ...]:
        """What a weight of that network is called here; nothing when it is left behind."""
        return tuple(here + weight.removeprefix(there) for there, here in self.carried if weight.startswith(there))


def _require(fits: bool, what: str, value: object, wanted: str) -> None:
    if not fits:
        raise InputError(f"{what} is {value!r}; it must be {wanted}.")

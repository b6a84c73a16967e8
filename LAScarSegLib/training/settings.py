"""What decides the numbers of a training: a run is continued only with the same."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..models.card import Channel, ModelCard, NetworkSpec, Preprocessing
from ..networks import read_plan
from ..networks.plan import DYNUNET
from ..support.checks import require_choice
from ..systems import Optimiser, Preset, Stage, find_system
from . import FOLDS

ANATOMIES = ("predicted", "truth")
"""What a scar network's distance maps and region come from: predicted cavities, which it will see, or the manual ones."""
MIRROR_AXES = (0, 1, 2)
LARGEST_LEARNING_RATE = 1.0
BEST, LAST = "best.ckpt", "last.ckpt"


@dataclass(frozen=True)
class TrainingSettings:
    """One training. `data` is where the cases came from; everything else changes the weights.

    Raises
    ------
    InputError
        from the constructor, naming the value that can't be.
    """

    system: str
    stage: str
    data: str
    size: Preset
    variant: str = "full"
    preset: str = "small"
    steps_per_epoch: int = 250
    fold: int = 0
    folds: int = FOLDS
    seed: int = 0
    anatomy: str = "predicted"
    """One of `ANATOMIES`; a cavity stage has none and takes no notice."""
    cavities: tuple[str, ...] = ()
    """The stage-1 runs or bundles that predict the cavities: for a scar network, or to say where a crop around the atrium lies."""
    exclude: tuple[str, ...] = ()
    start_from: str = ""
    """The run or model whose weights it starts with; empty: random ones."""
    learning_rate: float | None = None
    """The first; None: the preset's, or else the stage's."""
    validation: tuple[str, ...] = ()
    """The cases to validate on, by name, all others are trained on; empty: those of the fold."""
    manual_where_not_found: bool = False
    """Take the manual cavity of a case in which the given models see no atrium, and note it; else such a case is an error."""
    patients: str = ""
    """A table of which scans are of one patient (`datasets.patients`), who lies on one side of every split; empty: the cases' own groups."""
    ema: float | None = None
    """How much of the weights' moving average stays at each step; the average is validated, exported and started from. None: there is none."""

    def __post_init__(self) -> None:
        described = self.described
        if self.size.plan.in_channels != len(described.channels):
            raise InputError(f"The network takes {self.size.plan.in_channels} channels, the stage makes {len(described.channels)}.")
        require_choice("anatomy", self.anatomy, ANATOMIES)
        if described.start is not None and not self.start_from:
            first, variant = described.start.stage, described.start.variant
            asked = f" --variant {variant}" if variant not in ("", "full") else ""
            raise InputError(
                f"The {self.stage} network of {self.system} begins with the weights of its {first} network, which has to be "
                f"trained first: `lascarseg train {self.system} {first}{asked}`. Give its run with --start-from."
            )
        for name, value in (("epochs", self.size.epochs), ("steps per epoch", self.steps_per_epoch)):
            if value < 1:
                raise InputError(f"The number of {name} is {value}; it must be at least 1.")
        if self.learning_rate is not None and not 0.0 < self.learning_rate <= LARGEST_LEARNING_RATE:
            raise InputError(f"The learning rate is {self.learning_rate:g}; it must be above 0 and at most {LARGEST_LEARNING_RATE:g}.")
        if self.ema is not None and not 0.0 < self.ema < 1.0:
            raise InputError(f"The moving average keeps {self.ema:g} of itself at each step; it must be above 0 and below 1, such as 0.999.")
        if self.uses_predictions and not self.cavities:
            raise InputError(
                "A scar network trains on predicted cavities: give the stage-1 run of every fold, or a cavity bundle, with --cavity. "
                "To train on the manual ones: --anatomy truth."
            )

    @property
    def described(self) -> Stage:
        """The stage of the system; `InputError` for an unknown system, stage or variant."""
        return find_system(self.system).stage(self.stage, self.variant)

    def recipe(self, phase: int = 0) -> Optimiser:
        """The recipe of a phase. This training's learning rate is that of the first; the others' change in proportion."""
        phases = self.described.phases
        recipe, first = phases[phase].optimiser, phases[0].optimiser.learning_rate
        recipe = dataclasses.replace(recipe, accumulate=recipe.accumulate * self.size.accumulate)
        rate = self.size.learning_rate if self.learning_rate is None else self.learning_rate
        return recipe if rate is None else dataclasses.replace(recipe, learning_rate=recipe.learning_rate * (rate / first))

    def epochs(self, phase: int) -> int:
        """How many epochs a phase has, at most."""
        return self.described.phases[phase].epochs(self.size.epochs)

    def steps_before(self, phase: int) -> int:
        """Optimiser steps of the phases before this one, as planned."""
        return self.steps_per_epoch * sum(self.epochs(number) for number in range(phase))

    @property
    def total_epochs(self) -> int:
        """Of all phases, at most."""
        return sum(self.epochs(number) for number in range(len(self.described.phases)))

    @property
    def uses_predictions(self) -> bool:
        """Whether cavities have to be predicted before the training."""
        return self.described.sees_cavity(self.size) and self.anatomy == "predicted"

    @property
    def crops_around_predictions(self) -> bool:
        """Whether predicted cavities say where a network that finds the cavity itself looks."""
        around_atrium = self.size.crop_kji is not None and self.size.crop_around == "atrium"
        return around_atrium and not self.described.takes_cavity and bool(self.cavities)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back to equal settings."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> TrainingSettings:
        size = dict(data["size"])
        numbers = {name: tuple(size[name]) for name in ("spacing_kji", "patch_kji", "crop_kji") if size.get(name) is not None}
        preset = Preset(**(size | numbers | {"plan": read_plan(size["plan"])}))
        lists = {name: tuple(data.get(name, ())) for name in ("cavities", "exclude", "validation")}
        return cls(**(dict(data) | {"size": preset} | lists))

    def differences(self, other: TrainingSettings) -> dict[str, tuple[Any, Any]]:
        """What of two trainings differs: by key, as `size.epochs`, sorted, the values of this one and of the other."""
        mine, theirs = _flat(self.to_json()), _flat(other.to_json())
        return {key: (mine.get(key), theirs.get(key)) for key in sorted(mine | theirs) if mine.get(key) != theirs.get(key)}

    def card(self, **about: Any) -> ModelCard:
        """The model card of what is trained: it makes the inputs in training and in use, so that they are the same.

        `about` gives what a bundle adds: name, version, training, scores, ...
        """
        described = self.described
        channels = tuple(Channel(c.name, "none" if n else "zscore", c.padding) for n, c in enumerate(described.channels))
        fine = NetworkSpec(self.size.plan.for_use(), self.size.spacing_kji, self.size.patch_kji, about.pop("weights", ("fold_0.safetensors",)))
        preprocessing = Preprocessing(
            statistics=self.size.statistics, mirror_axes=MIRROR_AXES if self.size.mirror else (), crop=self.size.crop_kji,
            crop_around=self.size.crop_around,
        )
        beyond_format_1 = not described.in_one_mask or len(self.size.patch_kji) != 3 or self.size.plan.architecture != DYNUNET or described.patch_inputs or self.size.crop_kji
        if beyond_format_1:
            thresholds = {output.product: output.threshold for output in described.outputs}
            about |= {"format": 2, "roles": described.produces, "thresholds": thresholds}
        values = {
            "name": f"{self.system}-{self.stage}", "version": "1.0", "licence": "Not stated; ask who trained it.",
            "intended_use": "Research use only.", "preprocessing": preprocessing, "threshold": described.outputs[0].threshold,
        }  # fmt: skip
        return ModelCard(system=self.system, stage=self.stage, variant=self.variant, fine=fine, channels=channels, **(values | about))


def _flat(data: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in data.items():
        flat |= {f"{key}.{inner}": entry for inner, entry in _flat(value).items()} if isinstance(value, dict) else {key: value}
    return flat

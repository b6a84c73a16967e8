"""Weights to start a training from: an earlier run's, or a model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..models.store import ModelStore
from ..networks import Plan, weight_shapes
from ..networks.weights import unpack_tensors
from ..systems import Stage
from .cavities import TRAINED_ON
from .run_folder import is_run, read_run

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, eq=False)
class StartingPoint:
    """A network that was trained before, and the scans (voxel hashes) that it was trained on; a model need not say: empty."""

    title: str
    plan: Plan
    stage: str
    weights: Mapping[str, torch.Tensor]
    trained_on: frozenset[str]
    simulated: bool
    variant: str = ""

    def carries(self, stage: Stage) -> bool:
        """Whether it is the network that `stage` begins with, whose weights are carried over part by part."""
        return stage.start is not None and stage.start.stage == self.stage

    def check(self, plan: Plan, stage: Stage) -> None:
        """`InputError` unless a training of `stage` with the network `plan` can start from it."""
        if self.carries(stage):
            self._check_carried(plan, stage)
            return
        if self.stage != stage.key:
            wanted = f" It begins with the system's {stage.start.stage} network." if stage.start else ""
            raise InputError(f"{self.title} is a {self.stage} network; a {stage.key} network can't start from it.{wanted}")
        mine, theirs = (p.for_use().to_json() for p in (plan, self.plan))
        keys = sorted(key for key in mine | theirs if mine.get(key) != theirs.get(key))
        if keys:
            changes = "; ".join(f"{key} {theirs.get(key)} instead of {mine.get(key)}" for key in keys)
            raise InputError(f"{self.title} is another network ({changes}). Choose the preset that it was trained with.")

    def _check_carried(self, plan: Plan, stage: Stage) -> None:
        """Before hours of training, and before a network of other weights is taken for the one of the description."""
        start = stage.start
        if start.variant and self.variant != start.variant:
            raise InputError(
                f"{self.title} is the variant {self.variant!r} of the {self.stage} network; the variant {stage.variant!r} of the {stage.key} "
                f"network begins with {start.variant!r}. Train that one first (--variant {start.variant})."
            )
        shapes = weight_shapes(plan.for_training())
        carried = {here: value for name, value in self.weights.items() for here in start.names(name) if here in shapes}
        self._require_fitting(carried, shapes, stage)

    def _require_fitting(self, carried: Mapping[str, torch.Tensor], shapes: Mapping[str, tuple[int, ...]], stage: Stage) -> None:
        wrong = [name for name, value in carried.items() if tuple(value.shape) != tuple(shapes[name])]
        if wrong or not carried:
            what = f"{wrong[0]!r} has another size" if wrong else "none of its weights has a place there"
            raise InputError(f"{self.title} can't be carried over to the {stage.key} network: {what}. Choose the preset that it was trained with.")

    def load_into(self, network: nn.Module, stage: Stage) -> None:
        """Copy the weights; what only training has, which a model doesn't keep, stays as it is where there is none.

        Those of another network of the system go where `stage.start` says; `InputError` when none fits, or one has another shape.
        """
        if self.carries(stage):
            self._carry(network, stage)
            return
        missing, unexpected = network.load_state_dict({name: value.float() for name, value in self.weights.items()}, strict=False)
        lacking = [name for name in missing if not name.startswith(self.plan.training_only)]
        if lacking or unexpected:
            raise InputError(f"The weights of {self.title} don't fit its network ({', '.join([*lacking, *unexpected][:3])}). Get it again.")

    def _carry(self, network: nn.Module, stage: Stage) -> None:
        mine = network.state_dict()
        carried = {here: value for name, value in self.weights.items() for here in stage.start.names(name) if here in mine}
        self._require_fitting(carried, {name: tuple(value.shape) for name, value in mine.items()}, stage)
        network.load_state_dict({name: value.float() for name, value in carried.items()}, strict=False)


def open_start(reference: str) -> StartingPoint:
    """A run's best checkpoint, or the first network of a bundle or of the model of that name.

    Raises
    ------
    InputError
        nothing of that name, nothing trained, or terms that nobody has accepted.
    """
    if is_run(reference):
        run = read_run(reference)
        settings = run.settings
        return StartingPoint(
            reference, settings.size.plan, settings.stage, run.weights(), run.trained_on, run.simulated, settings.variant
        )  # fmt: skip
    store = ModelStore()
    bundle = store.open(reference)
    store.require_terms(bundle)
    card = bundle.card
    weights, known = unpack_tensors(bundle.weights(card.fine.weights[0])), frozenset(card.training.get(TRAINED_ON, ()))
    return StartingPoint(Path(reference).name, card.fine.plan, card.stage, weights, known, card.simulated, card.variant)

"""Weights to start a training from: an earlier run's, or a model's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..inference.bundle_models import DEEP_SUPERVISION_PREFIX
from ..models.store import ModelStore
from ..networks.plan import NetworkPlan
from ..networks.weights import unpack_tensors
from .cavities import TRAINED_ON
from .run_folder import is_run, read_run

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, eq=False)
class StartingPoint:
    """A network that was trained before, and the scans (voxel hashes) that it was trained on; a model need not say: empty."""

    title: str
    plan: NetworkPlan
    stage: str
    weights: Mapping[str, torch.Tensor]
    trained_on: frozenset[str]
    simulated: bool

    def check(self, plan: NetworkPlan, stage: str) -> None:
        """`InputError` unless a training of `stage` with the network `plan` can start from it."""
        if self.stage != stage:
            raise InputError(f"{self.title} is a {self.stage} network; a {stage} network can't start from it.")
        mine, theirs = (replace(p, deep_supervision=False).to_json() for p in (plan, self.plan))
        keys = sorted(key for key in mine if mine[key] != theirs[key])
        if keys:
            changes = "; ".join(f"{key} {theirs[key]} instead of {mine[key]}" for key in keys)
            raise InputError(f"{self.title} is another network ({changes}). Choose the preset that it was trained with.")

    def load_into(self, network: nn.Module) -> None:
        """Copy the weights; the deep supervision's own layers, which a model doesn't keep, stay as they are where there are none."""
        missing, unexpected = network.load_state_dict({name: value.float() for name, value in self.weights.items()}, strict=False)
        lacking = [name for name in missing if not name.startswith(DEEP_SUPERVISION_PREFIX)]
        if lacking or unexpected:
            raise InputError(f"The weights of {self.title} don't fit its network ({', '.join([*lacking, *unexpected][:3])}). Get it again.")


def open_start(reference: str) -> StartingPoint:
    """A run's best checkpoint, or the first network of a bundle or of the model of that name.

    Raises
    ------
    InputError
        nothing of that name, nothing trained, or terms that nobody has accepted.
    """
    if is_run(reference):
        run = read_run(reference)
        return StartingPoint(reference, run.settings.size.plan, run.settings.stage, run.weights(), run.trained_on, run.simulated)
    store = ModelStore()
    bundle = store.open(reference)
    store.require_terms(bundle)
    card = bundle.card
    weights, known = unpack_tensors(bundle.weights(card.fine.weights[0])), frozenset(card.training.get(TRAINED_ON, ()))
    return StartingPoint(Path(reference).name, card.fine.plan, card.stage, weights, known, card.simulated)

"""Predicted cavities for a scar network's training, each from a model that has not seen the scan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..datasets.layouts import listed
from ..errors import InputError
from ..inference.bundle_models import BundleCavityModel
from ..inference.kept_networks import NetworkSource
from ..inference.options import InferenceOptions
from ..models.bundle import check_use
from ..models.card import ModelCard, NetworkSpec
from ..models.store import ModelStore
from ..volumes.volume import Volume
from .run_folder import TrainingRun, is_run, read_run

if TYPE_CHECKING:
    from torch import nn

TRAINED_ON = "trained_on"
"""Key of a bundle's `training`: the voxel hashes of the scans it was trained on."""


@dataclass(frozen=True, eq=False)
class TrainedCavityModel:
    """A cavity model and the scans (voxel hashes) that it was trained on; an imported bundle doesn't say: empty."""

    title: str
    model: BundleCavityModel
    trained_on: frozenset[str]


def open_cavity_model(path: str | Path, device: str = "auto") -> TrainedCavityModel:
    """A stage-1 run, a cavity bundle, or a model's name; `InputError` for anything else, and for terms that nobody has accepted."""
    options = InferenceOptions(device=device)
    if is_run(path):
        run = read_run(path)
        if run.settings.described.takes_cavity:
            raise InputError(f"{path} is the training of a {run.settings.stage} network; a cavity's is needed.")
        return TrainedCavityModel(str(path), BundleCavityModel(card_of(run), run_networks(run), options), run.trained_on)
    store = ModelStore()
    bundle = store.open(str(path))
    check_use(bundle.card, stage="cavity")
    store.require_terms(bundle)
    known = frozenset(bundle.card.training.get(TRAINED_ON, ()))
    return TrainedCavityModel(str(path), BundleCavityModel.from_bundle(bundle, options), known)


def choose_cavity_models(hashes: dict[str, str], sources: Sequence[TrainedCavityModel]) -> dict[str, TrainedCavityModel]:
    """For each case (name: voxel hash) the first model that was not trained on it, by hash.

    Raises
    ------
    InputError
        every model was trained on some of the cases: their predictions would be better than any the network will see.
    """
    chosen = {sha256: next((s for s in sources if sha256 not in s.trained_on), None) for sha256 in hashes.values()}
    seen = [name for name, sha256 in hashes.items() if chosen[sha256] is None]
    if seen:
        raise InputError(
            f"Every given cavity model was trained on {listed(seen)}. "
            "Give the stage-1 runs of all folds (--cavity, once for each), or train on the manual cavities (--anatomy truth)."
        )
    return chosen


def predict_cavity(source: TrainedCavityModel, scan: Volume) -> np.ndarray:
    """The cavity (k, j, i) bool on the scan's grid, as it is used when a scar is looked for.

    Raises `InputError` when no left atrium was found.
    """
    return source.model.predict_mask(scan).array > 0


def run_networks(run: TrainingRun) -> NetworkSource:
    """The networks of a run's best checkpoint, as `BundleCavityModel` wants them."""

    def load(spec: NetworkSpec, fold: int) -> nn.Module:
        from ..networks import build

        network = build(spec.plan.for_use(), seed=0)
        names = network.state_dict().keys()
        network.load_state_dict({name: value for name, value in run.weights().items() if name in names})
        return network.eval()

    return load


def card_of(run: TrainingRun) -> ModelCard:
    """The card of what a run trains, as it is used while there is no bundle."""
    learned = {"learned": {"fold_0.safetensors": dict(run.learned)}} if run.learned else {}
    return run.settings.card(simulated=run.simulated, **learned)

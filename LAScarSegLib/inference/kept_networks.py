"""The networks of a bundle, with their weights: checked when they are read, and the last ones kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from ..errors import InputError
from ..models.bundle import Bundle
from ..models.card import NetworkSpec
from ..networks import Plan
from ..networks.weights import check_finite_weights, tensor_shapes, unpack_tensors

if TYPE_CHECKING:
    from torch import nn

NetworkSource = Callable[[NetworkSpec, int], "nn.Module"]
"""(spec, fold) → the network of that fold with its weights, on the CPU, in evaluation mode."""

KEPT_NETWORKS = 4
"""A coarse and a fine network for the cavity, and as many for the scar: what one run needs."""


def bundle_networks(bundle: Bundle) -> NetworkSource:
    """Networks with a bundle's weights, the last ones used kept for the next scan (`KEPT_NETWORKS`).

    Of an ensemble one fold is in memory at a time: its weight files are read once for each run of it. What this returns raises
    `InputError` when a weight file does not fit its network.
    """

    def load(spec: NetworkSpec, fold: int) -> nn.Module:
        name = spec.weights[fold]
        file = _WeightFile(bundle.card.files[name].sha256, spec.plan.for_use(), name, bundle)
        return _read_network(file) if len(spec.weights) > 1 else _kept_network(file)

    return load


@dataclass(frozen=True)
class _WeightFile:
    """A network's weights; those of the same bytes and plan are the same network, whichever bundle holds them."""

    sha256: str
    plan: Plan
    name: str = field(compare=False)
    bundle: Bundle = field(compare=False)


def _read_network(file: _WeightFile) -> nn.Module:
    from ..networks import build, weight_shapes

    # A plan can claim anything: what the file's own header says is compared before any memory is taken for weights.
    content, spare = file.bundle.weights(file.name), file.plan.training_only
    expected = weight_shapes(file.plan)
    given = {name: shape for name, shape in tensor_shapes(content).items() if not name.startswith(spare)}
    wrong = sorted(set(expected) ^ set(given)) or sorted(name for name in expected if expected[name] != given[name])
    if wrong:
        raise InputError(
            f"{file.bundle.path}: {file.name} does not fit the network that model.json describes ({wrong[0]}). Get the bundle again."
        )
    tensors = unpack_tensors(content)
    check_finite_weights(tensors, f"{file.bundle.path}: {file.name}")
    network = build(file.plan, seed=0)
    network.load_state_dict({name: tensor for name, tensor in tensors.items() if not name.startswith(spare)})
    return network.eval()


_kept_network = lru_cache(KEPT_NETWORKS)(_read_network)

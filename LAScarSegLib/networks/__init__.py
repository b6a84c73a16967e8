"""Networks: a plan in plain numbers, and the torch module built from it. Importing this package doesn't import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .architectures import ARCHITECTURES, Architecture, Plan, read_plan
from .plan import NetworkPlan

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ARCHITECTURES", "Architecture", "NetworkPlan", "Plan", "build", "build_unfilled", "read_plan", "weight_shapes"]


def build(plan: Plan, seed: int | None = None) -> nn.Module:
    """A fresh torch module of `plan` with its architecture's initialisation, on the CPU, in training mode. Imports torch.

    Input (B, in_channels, k, j, i) float, each size a multiple of `plan.divisor`; k is 1 for slices. Output: logits
    (B, out_channels, k, j, i); in training mode with deep supervision a list of logits, full resolution first, each half as fine as the one
    before.

    Parameters
    ----------
    seed
        the same seed gives the same weights and leaves torch's own random state alone; None draws from that state.
    """
    import torch

    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return ARCHITECTURES[plan.architecture].module(plan)


def build_unfilled(plan: Plan) -> nn.Module:
    """The module of `plan` on torch's device `meta`: its weights have shapes, and take no memory. Imports torch."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Unfilled(TorchFunctionMode):
        """Weights that don't exist need no random numbers: without this torch loads its compiler to draw none, which takes two seconds."""

        def __torch_function__(self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
            return args[0] if function in (torch.Tensor.normal_, torch.Tensor.uniform_) else function(*args, **(kwargs or {}))

    with torch.device("meta"), Unfilled():
        return build(plan)


def weight_shapes(plan: Plan) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of `plan`, without the memory that they would take. Imports torch."""
    return {name: tuple(value.shape) for name, value in build_unfilled(plan).state_dict().items()}

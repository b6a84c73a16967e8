"""Networks: a plan in plain numbers, and the torch module built from it. Importing this package doesn't import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .plan import NetworkPlan

if TYPE_CHECKING:
    from torch import nn

__all__ = ["NetworkPlan", "build"]


def build(plan: NetworkPlan, seed: int | None = None) -> nn.Module:
    """A fresh torch module of `plan` with nnU-Net's initialisation, on the CPU, in training mode. Imports torch and MONAI.

    Input (B, in_channels, k, j, i) float, each size a multiple of `plan.divisor`. Output: logits (B, out_channels, k, j, i);
    in training mode with deep supervision a list of logits, full resolution first, each half as fine as the one before.

    Parameters
    ----------
    seed
        the same seed gives the same weights and leaves torch's own random state alone; None draws from that state.
    """
    import torch

    from .dynunet import PlainDynUNet

    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            torch.manual_seed(seed)
        return PlainDynUNet(plan)

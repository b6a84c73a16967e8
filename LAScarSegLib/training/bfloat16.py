"""Where a processor's bfloat16 convolutions are wrong."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn


def mend_thin_convolutions(network: nn.Module) -> None:
    """Convolutions of fewer slices than their kernel is deep are computed in 32 bits on a processor, whatever the rest is computed in.

    There oneDNN (3.x, as in PyTorch 2.13) leaves parts of the weights' bfloat16 gradient as they were in memory: a kernel of 3 × 3 × 3 on two
    slices has gradients that differ from run to run and are now and then infinite. They are a network's smallest grids: 32 bits cost nothing.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and module.kernel_size[0] > 1:
            module.forward = partial(_forward, module)


def _forward(convolution: nn.Conv3d, x: torch.Tensor) -> torch.Tensor:
    if x.device.type != "cpu" or x.shape[2] >= convolution.kernel_size[0]:
        return nn.Conv3d.forward(convolution, x)
    with torch.autocast("cpu", enabled=False):
        return nn.Conv3d.forward(convolution, x.float())

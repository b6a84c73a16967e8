"""A two-dimensional network over slices."""

import torch
from torch import nn


class SliceBySlice(nn.Module):
    """A network (N, C, j, i) → (N, O, j, i) as one of volumes: (B, C, k, j, i) → (B, O, k, j, i), each slice by itself."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, channels, slices, *plane = x.shape
        out = self.network(x.transpose(1, 2).reshape(batch * slices, channels, *plane))
        return out.reshape(batch, slices, *out.shape[1:]).transpose(1, 2)

"""The modified U-Net of Boundary2Patches (Khan et al. 2022, section 2.2 and figure 4)."""

from __future__ import annotations

import torch
from torch import nn

from .msws_b2p_plans import PatchUNetPlan
from .msws_net import convolution, double_convolution


class PatchUNet(nn.Module):
    """Logits (N, out_channels, j, i) of patches (N, in_channels, j, i) whose sides are multiples of 4.

    Halved twice, by strided convolutions "to avoid the loss of information for small-size scars"; two more stages at the lowest
    resolution. Layers and widths as in the authors' public code.
    """

    def __init__(self, plan: PatchUNetPlan) -> None:
        super().__init__()
        a, b, c, d = plan.features
        self.encoder = nn.ModuleList([
            double_convolution(plan.in_channels, a, a), _halving(a, b), _halving(b, c), double_convolution(c, d, d),
        ])  # fmt: skip
        self.bottom = nn.Sequential(double_convolution(d, d, d), nn.Dropout(plan.dropout), double_convolution(d, d, d))
        self.decoder = nn.ModuleList(double_convolution(n, f, f) for n, f in ((2 * d, d), (d + c, c), (c + b, b), (b + a, a)))
        self.enlarge = nn.ModuleList(nn.Sequential(nn.ConvTranspose2d(f, f, 2, 2), nn.ReLU(inplace=True)) for f in (c, b))
        self.head = nn.Conv2d(a, plan.out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        x = self.bottom(x)
        for level, stage in enumerate(self.decoder):
            # The two deepest skips have the resolution of the bottom.
            larger = self.enlarge[level - 2](x) if level >= 2 else x
            x = stage(torch.cat([larger, skips.pop()], dim=1))
        return self.head(x)


def _halving(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(*convolution(before, after, stride=2), *double_convolution(after, after, after))

"""The 3-D U-Net of mtl_sesa (Li et al. 2020, figure 1): one encoder, and a decoder for each task that skips back to it."""

import torch
from torch import nn

from .shared_encoder_plan import KERNEL, SharedEncoderPlan


class SharedEncoderUNet(nn.Module):
    """(B, in_channels, k, j, i) → logits (B, Σ heads, k, j, i), the decoders' one after the other.

    At each level twice convolution, BatchNorm and ReLU; max pooling down, transposed convolution up, 1 × 1 × 1 heads.
    """

    def __init__(self, plan: SharedEncoderPlan) -> None:
        super().__init__()
        inputs = (plan.in_channels, *plan.features)
        self.encoder = nn.ModuleList(double_convolution(a, b) for a, b in zip(inputs, plan.features))
        self.pool = nn.MaxPool3d(2)
        self.decoders = nn.ModuleList(Decoder(plan.features, outputs) for outputs in plan.heads)
        # With few channels a training step of the processor takes two thirds of the time in this layout.
        self.to(memory_format=torch.channels_last_3d)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = [self.encoder[0](x)]
        for level in self.encoder[1:]:
            levels.append(level(self.pool(levels[-1])))
        return torch.cat([decoder(levels) for decoder in self.decoders], dim=1)


class Decoder(nn.Module):
    """From the encoder's levels, full resolution first, to logits (B, outputs, k, j, i)."""

    def __init__(self, features: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        pairs = list(zip(features, features[1:]))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose3d(below, here, 2, stride=2) for here, below in pairs)
        self.levels = nn.ModuleList(double_convolution(2 * here, here) for here, _ in pairs)
        self.head = nn.Conv3d(features[0], outputs, 1)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        x = levels[-1]
        for up, level, skip in zip(self.up, self.levels, levels[-2::-1]):
            x = level(torch.cat([skip, up(x)], dim=1))
        return self.head(x)


def double_convolution(inputs: int, outputs: int) -> nn.Sequential:
    """Twice convolution, BatchNorm, ReLU. BatchNorm takes a bias in front of it away again, so there is none."""
    layers: list[nn.Module] = []
    for channels in (inputs, outputs):
        layers += [nn.Conv3d(channels, outputs, KERNEL, padding=KERNEL // 2, bias=False), nn.BatchNorm3d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)

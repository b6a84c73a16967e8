"""nnU-Net v2's PlainConvUNet (Isensee et al. 2021): the network of nnU-Net and of two of the five systems.

Written with torch alone: whoever only runs a model does not wait for MONAI, which takes longer to load than torch. The weights' names
are those of MONAI's DynUNet blocks, which bundles of all versions have.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .plan import NetworkPlan, Triple

NEGATIVE_SLOPE = 0.01
"""Of the leaky ReLU, and of the initialisation that belongs to it (nnU-Net v2, InitWeights_He)."""


class _Convolution(nn.Module):
    """A convolution under the name `conv`."""

    def __init__(self, convolution: nn.Module) -> None:
        super().__init__()
        self.conv = convolution

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


def _convolution(channels_in: int, channels_out: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> _Convolution:
    """Without a bias: the instance norm behind it takes the mean away, bias and all."""
    padding = tuple(size // 2 for size in kernel)
    return _Convolution(nn.Conv3d(channels_in, channels_out, kernel, stride, padding, bias=False))


class _Block(nn.Module):
    """Two convolutions, each with instance norm and leaky ReLU; the first one may be strided."""

    def __init__(self, channels_in: int, channels_out: int, kernel: Triple, stride: Triple = (1, 1, 1)) -> None:
        super().__init__()
        self.conv1 = _convolution(channels_in, channels_out, kernel, stride)
        self.conv2 = _convolution(channels_out, channels_out, kernel)
        self.norm1 = nn.InstanceNorm3d(channels_out, affine=True)
        self.norm2 = nn.InstanceNorm3d(channels_out, affine=True)
        self.relu = nn.LeakyReLU(NEGATIVE_SLOPE, inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x))))))


class _UpBlock(nn.Module):
    """A transposed convolution to the resolution of the skip connection, then a block on both."""

    def __init__(self, channels_in: int, channels_out: int, kernel: Triple, stride: Triple) -> None:
        super().__init__()
        self.transp_conv = _Convolution(nn.ConvTranspose3d(channels_in, channels_out, stride, stride))
        self.conv_block = _Block(2 * channels_out, channels_out, kernel)

    def forward(self, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return self.conv_block(torch.cat((self.transp_conv(x), skip), dim=1))


class _Output(nn.Module):
    """Logits from features, voxel by voxel."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = _Convolution(nn.Conv3d(channels_in, channels_out, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x)


class PlainConvUNet(nn.Module):
    """Strided convolutions down, transposed ones up; in training logits at each decoder level, at its own resolution."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        features, kernels, strides = plan.features, plan.kernel_sizes, plan.strides
        channels = (plan.in_channels, *features)
        stages = [_Block(*channels[stage : stage + 2], kernels[stage], strides[stage]) for stage in range(len(features))]
        self.input_block = stages[0]
        self.downsamples = nn.ModuleList(stages[1:-1])
        self.bottleneck = stages[-1]
        self.upsamples = nn.ModuleList(
            _UpBlock(features[stage + 1], features[stage], kernels[stage], strides[stage + 1]) for stage in reversed(range(len(features) - 1))
        )
        self.output_block = _Output(features[0], plan.out_channels)
        # As MONAI's network did: a seed gives the weights that it always gave.
        torch.rand(1)
        if plan.deep_supervision:
            self.deep_supervision_heads = nn.ModuleList(_Output(width, plan.out_channels) for width in features[1:-1])
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> torch.Tensor | Sequence[torch.Tensor]:
        """Logits (B, out_channels, k, j, i) of x (B, in_channels, k, j, i); see `networks.build` for training mode."""
        skips = [self.input_block(x)]
        for block in self.downsamples:
            skips.append(block(skips[-1]))
        decoded = [self.bottleneck(skips[-1])]
        for block in self.upsamples:
            decoded.append(block(decoded[-1], skips.pop()))
        logits = self.output_block(decoded[-1])
        if not (self.training and hasattr(self, "deep_supervision_heads")):
            return logits
        # From the second finest level down to the last but the bottleneck.
        return [logits, *(head(features) for head, features in zip(self.deep_supervision_heads, decoded[-2:0:-1], strict=True))]


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=NEGATIVE_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

"""MSWS-Net, the multi-scale weight-sharing network of slices (Khan et al. 2022, section 2.1 and figure 3)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .msws_b2p_plans import MultiScalePlan


class MultiScaleNet(nn.Module):
    """Logits (N, out_channels, j, i) of slices (N, in_channels, j, i); the sides are multiples of `plan.divisor`.

    The slice and its halvings go through the encoder; at each stage the features of a smaller scale are enlarged and added to those of
    the next larger one, from the smallest on (the feature merging module); a U-Net's decoder takes the sums. Layers and widths as in the
    authors' public code.
    """

    def __init__(self, plan: MultiScalePlan) -> None:
        super().__init__()
        self.scales = plan.scales
        encoders = 1 if plan.shared else plan.scales
        self.encoders = nn.ModuleList(Encoder(plan.in_channels, plan.features) for _ in range(encoders))
        self.decoder = nn.ModuleList(double_convolution(*widths) for widths in plan.decoder_widths)
        self.head = nn.Conv2d(plan.decoder_widths[-1][-1], plan.out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        slices = [x]
        for _ in range(self.scales - 1):
            slices.append(halved(slices[-1]))
        merged: list[torch.Tensor] | None = None
        for scale in reversed(range(self.scales)):
            # A single encoder has the same weights for every scale.
            features = self.encoders[min(scale, len(self.encoders) - 1)](slices[scale])
            merged = features if merged is None else [own + enlarged(smaller, own) for own, smaller in zip(features, merged)]
        decoded = merged.pop()
        for step in self.decoder:
            skip = merged.pop()
            decoded = step(torch.cat([skip, enlarged(decoded, skip)], dim=1))
        return self.head(decoded)


class Encoder(nn.Module):
    """The features of every stage, from full resolution down: two convolutions each, with a 2 × 2 maximum between the stages."""

    def __init__(self, in_channels: int, features: tuple[int, ...]) -> None:
        super().__init__()
        before = (in_channels, *features)
        self.stages = nn.ModuleList(double_convolution(b, f, f) for b, f in zip(before, features))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        found = [self.stages[0](x)]
        for stage in self.stages[1:]:
            # Rounded up: of 640 pixels the fourth scale has 80, which can't be halved five times.
            found.append(stage(functional.max_pool2d(found[-1], 2, ceil_mode=True)))
        return found


def double_convolution(before: int, between: int, after: int) -> nn.Sequential:
    """Twice 3 × 3 convolution, batch norm, ReLU."""
    return nn.Sequential(*convolution(before, between), *convolution(between, after))


def convolution(before: int, after: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """3 × 3 convolution, batch norm, ReLU: in the order of the public code; the paper's text names the ReLU first."""
    return nn.Conv2d(before, after, 3, stride, padding=1), nn.BatchNorm2d(after), nn.ReLU(inplace=True)


def halved(slices: torch.Tensor) -> torch.Tensor:
    """The slices at half the size, bilinear: each pixel the mean of four."""
    size = [-(-n // 2) for n in slices.shape[2:]]
    return functional.interpolate(slices, size=size, mode="bilinear", align_corners=False)


def enlarged(features: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Features at the size of others, bilinear with the corners kept (public code)."""
    return functional.interpolate(features, size=like.shape[2:], mode="bilinear", align_corners=True)

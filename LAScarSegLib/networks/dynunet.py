"""nnU-Net v2's PlainConvUNet (Isensee et al. 2021) built from MONAI's DynUNet blocks."""

import torch
from monai.networks.nets import DynUNet
from torch import nn

from .plan import NetworkPlan


class PlainDynUNet(DynUNet):
    """MONAI's DynUNet with the topology of nnU-Net v2's PlainConvUNet.

    Three things differ from DynUNet itself: the decoder's kernel sizes are those of the skip level, deep supervision gives
    each level at its own resolution (nnU-Net compares it with the target made smaller, not the logits made larger), and
    every weight has one name only, so that a weight file holds it once.
    """

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__(
            spatial_dims=3,
            in_channels=plan.in_channels,
            out_channels=plan.out_channels,
            kernel_size=plan.kernel_sizes,
            strides=plan.strides,
            upsample_kernel_size=plan.strides[1:],
            filters=plan.features,
            norm_name=("INSTANCE", {"affine": True}),
            act_name=("leakyrelu", {"inplace": True, "negative_slope": 0.01}),
            deep_supervision=plan.deep_supervision,
            deep_supr_num=len(plan.features) - 2,
            trans_bias=True,
        )
        # DynUNet registers its blocks a second time in this tree; `forward` below walks them itself.
        del self.skip_layers, self.heads

    def get_upsamples(self) -> nn.ModuleList:
        """DynUNet's up blocks, with the kernel of the skip level instead of the level below."""
        kernels = self.kernel_size
        self.kernel_size = (kernels[0], *kernels[:-1])
        blocks = super().get_upsamples()
        self.kernel_size = kernels
        return blocks

    def forward(self, x: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits (B, out_channels, k, j, i) of x (B, in_channels, k, j, i); see `networks.build` for training mode."""
        skips = [self.input_block(x)]
        for block in self.downsamples:
            skips.append(block(skips[-1]))
        decoded = [self.bottleneck(skips[-1])]
        for block in self.upsamples:
            decoded.append(block(decoded[-1], skips.pop()))
        logits = self.output_block(decoded[-1])
        if not (self.training and self.deep_supervision):
            return logits
        # From the second finest level down to the last but the bottleneck.
        return [logits, *(head(features) for head, features in zip(self.deep_supervision_heads, decoded[-2:0:-1], strict=True))]

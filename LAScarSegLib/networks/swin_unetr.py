"""SwinUNETR (Hatamizadeh et al. 2021) of MONAI's parts, with a decoder for each mask on one encoder (Zhang J. et al. 2026, eq 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from monai.networks.blocks import PatchEmbed, UnetOutBlock, UnetrBasicBlock, UnetrUpBlock
from monai.networks.nets.swin_unetr import BasicLayer, PatchMerging, compute_mask, get_window_size
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .swin_plan import EMBEDDING, SWIN_STAGES, SwinPlan

NORM = "instance"
INDEX = "relative_position_index"
"""MONAI's name of a table in each attention that follows from the window's size."""


class SwinUNETRDecoders(nn.Module):
    """Logits (B, decoders, k, j, i) of x (B, C, k, j, i): one encoder, and a decoder for each channel that comes out.

    With one decoder it computes what MONAI's SwinUNETR does, and its weights have MONAI's names behind `encoder.` or `decoders.NAME.`.
    MONAI's own class has one decoder, needs the package einops, and can't be built without memory for its weights.
    """

    def __init__(self, plan: SwinPlan) -> None:
        super().__init__()
        self.checkpointing = plan.checkpointing
        self.encoder = SwinEncoder(plan)
        self.decoders = nn.ModuleDict({name: SwinDecoder(plan) for name in plan.decoders})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        levels = self.encoder(x)
        return torch.cat([decoder(levels) for decoder in self.decoders.values()], dim=1)


class _Checkpointed(nn.Module):
    """Blocks whose activations may be computed a second time instead of being kept."""

    def __init__(self, plan: SwinPlan) -> None:
        super().__init__()
        self.checkpointing = plan.checkpointing

    def _through(self, block: nn.Module, *inputs: torch.Tensor) -> torch.Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)


class SwinEncoder(_Checkpointed):
    """What the decoders share ("both share Z", eq 4): the Swin transformer, and the five convolutional blocks of the skips."""

    def __init__(self, plan: SwinPlan) -> None:
        super().__init__(plan)
        f = plan.features
        self.swinViT = SwinTokens(plan)
        for name, channels, width in (
            ("encoder1", plan.in_channels, f), ("encoder2", f, f), ("encoder3", 2 * f, 2 * f), ("encoder4", 4 * f, 4 * f),
            ("encoder10", 16 * f, 16 * f),
        ):  # fmt: skip
            self.add_module(name, UnetrBasicBlock(3, channels, width, 3, 1, NORM, res_block=True))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Full resolution, a half, a quarter, an eighth, a sixteenth, and the bottleneck at a thirty-second."""
        tokens = self.swinViT(x)
        blocks = (self.encoder1, self.encoder2, self.encoder3, self.encoder4)
        skips = [self._through(block, level) for block, level in zip(blocks, (x, *tokens[:3]))]
        return [*skips, tokens[3], self._through(self.encoder10, tokens[4])]


class SwinTokens(nn.Module):
    """The Swin transformer: the normalised tokens after the patch embedding and after each of its four stages."""

    def __init__(self, plan: SwinPlan) -> None:
        super().__init__()
        size = {"patch_size": (EMBEDDING,) * 3, "in_chans": plan.in_channels, "embed_dim": plan.features}
        self.patch_embed = PatchEmbed(**size, norm_layer=None, spatial_dims=3)
        for stage in range(SWIN_STAGES):
            width, depth, heads = plan.features * 2**stage, plan.depths[stage], plan.heads[stage]
            self.add_module(f"layers{stage + 1}", nn.ModuleList([SwinStage(width, depth, heads, plan)]))

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        tokens = self.patch_embed(x)
        found = [channel_norm(tokens)]
        for (stage,) in (self.layers1, self.layers2, self.layers3, self.layers4):
            tokens = stage(tokens.contiguous())
            found.append(channel_norm(tokens))
        return found


class SwinStage(BasicLayer):
    """MONAI's stage of Swin blocks and the merging after them, without einops and without tables among its weights."""

    def __init__(self, width: int, depth: int, heads: int, plan: SwinPlan) -> None:
        options: dict[str, Any] = {"qkv_bias": True, "downsample": PatchMerging, "use_checkpoint": plan.checkpointing}
        super().__init__(width, depth, heads, (plan.window,) * 3, drop_path=[0.0] * depth, **options)
        for module in self.modules():
            if hasattr(module, INDEX):
                index = getattr(module, INDEX)
                delattr(module, INDEX)
                # It follows from the window: no weight to be kept in a file, or to be believed from one.
                module.register_buffer(INDEX, index, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, k, j, i) → (B, 2C, k/2, j/2, i/2)."""
        size = x.shape[2:]
        window, shift = get_window_size(size, self.window_size, self.shift_size)
        mask = compute_mask([-(-n // span) * span for n, span in zip(size, window)], window, shift, x.device)
        tokens = x.permute(0, 2, 3, 4, 1)
        for block in self.blocks:
            tokens = block(tokens, mask)
        return self.downsample(tokens).permute(0, 4, 1, 2, 3)


class SwinDecoder(_Checkpointed):
    """One mask's way back to full resolution, and its head."""

    def __init__(self, plan: SwinPlan) -> None:
        super().__init__(plan)
        f = plan.features
        widths = (16 * f, 8 * f, 4 * f, 2 * f, f, f)
        for number, below, width in zip((5, 4, 3, 2, 1), widths, widths[1:]):
            self.add_module(f"decoder{number}", UnetrUpBlock(3, below, width, 3, 2, NORM, res_block=True))
        self.out = UnetOutBlock(3, f, 1)

    def forward(self, levels: Sequence[torch.Tensor]) -> torch.Tensor:
        *skips, features = levels
        for block in (self.decoder5, self.decoder4, self.decoder3, self.decoder2, self.decoder1):
            *skips, skip = skips
            features = self._through(block, features, skip)
        return self.out(features)


def channel_norm(x: torch.Tensor) -> torch.Tensor:
    """Layer norm over the channels of (B, C, k, j, i), without weights (MONAI's `proj_out`)."""
    return functional.layer_norm(x.permute(0, 2, 3, 4, 1), [x.shape[1]]).permute(0, 4, 1, 2, 3)

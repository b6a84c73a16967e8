"""SwinUNETR with a decoder for each mask, as plain numbers."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from .plan import Triple
from .plan_json import check_plan_keys, plan_to_json

SWIN_UNETR = "swin_unetr"
"""MONAI's SwinUNETR (Hatamizadeh et al. 2021), its decoder once for each mask."""
SWIN_STAGES = 4
"""Of the Swin transformer; the patch embedding halves once more."""
EMBEDDING = 2
"""Voxels along each axis of one token."""
MLP_RATIO = 4
"""Width of a block's hidden layer (Liu et al. 2021)."""
KERNEL = 27
"""Weights of a 3 × 3 × 3 convolution for each pair of channels."""
LARGEST_FEATURES, MOST_BLOCKS, LARGEST_WINDOW, MOST_DECODERS = 192, 24, 16, 4
"""Beyond any published SwinUNETR (96 features, 18 blocks in Swin-L's third stage, windows of 12): a plan beyond them is a mistake."""
_DECODER = re.compile(r"[a-z][a-z_]{0,31}")


@dataclass(frozen=True)
class SwinPlan:
    """One encoder, and one decoder for each of `decoders`, which gives one channel: its logit. `InputError` for a value that can't be."""

    in_channels: int
    decoders: tuple[str, ...]
    """What each is called: its weights begin with `decoders.NAME.`, and its channel has the place that it has here."""
    features: int = 48
    """Channels at full resolution; every Swin stage doubles them."""
    depths: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks of each Swin stage."""
    heads: tuple[int, ...] = (3, 6, 12, 24)
    window: int = 7
    """Tokens along each axis that attend to one another."""
    checkpointing: bool = False
    """In training, compute activations again for the gradients instead of keeping them: memory for time."""
    architecture: str = SWIN_UNETR

    training_only = ()
    divisor = (32, 32, 32)
    """The patch embedding and four stages halve."""

    def __post_init__(self) -> None:
        if self.architecture != SWIN_UNETR:
            raise InputError(f"The network architecture is {self.architecture!r}; known here is {SWIN_UNETR}.")
        for name, value, most in (
            ("in_channels", self.in_channels, LARGEST_FEATURES), ("features", self.features, LARGEST_FEATURES),
            ("window", self.window, LARGEST_WINDOW),
        ):  # fmt: skip
            _require(_is_count(value, most), name, value, f"a whole number from 1 to {most}")
        for name, values, most in (("depths", self.depths, MOST_BLOCKS), ("heads", self.heads, LARGEST_FEATURES)):
            fits = isinstance(values, tuple) and len(values) == SWIN_STAGES and all(_is_count(value, most) for value in values)
            _require(fits, name, values, f"{SWIN_STAGES} whole numbers from 1 to {most}")
        fits = all(width % heads == 0 for width, heads in zip(self._widths, self.heads))
        _require(fits, "heads", self.heads, f"divisors of {', '.join(map(str, self._widths[:-1]))}")
        named = isinstance(self.decoders, tuple) and all(isinstance(name, str) and _DECODER.fullmatch(name) for name in self.decoders)
        fits = named and 1 <= len(set(self.decoders)) == len(self.decoders) <= MOST_DECODERS
        _require(fits, "decoders", self.decoders, f"1 to {MOST_DECODERS} different names of lower-case letters")
        _require(isinstance(self.checkpointing, bool), "checkpointing", self.checkpointing, "true or false")

    @property
    def out_channels(self) -> int:
        """One for each decoder."""
        return len(self.decoders)

    @property
    def _widths(self) -> tuple[int, ...]:
        """Channels of the tokens before each Swin stage, and after the last."""
        return tuple(self.features * 2**stage for stage in range(SWIN_STAGES + 1))

    @property
    def parameters(self) -> int:
        """How many weights the network has at least: those of its convolutions and matrices."""
        f, widths = self.features, self._widths
        tokens = self.in_channels * EMBEDDING**3 * f
        # Query, key, value and projection; the hidden layer, in and out; eight neighbours merged into twice the channels.
        swin = sum(width**2 * (depth * (4 + 2 * MLP_RATIO) + 16) for width, depth in zip(widths, self.depths))
        skips = sum(2 * KERNEL * width**2 for width in (f, f, 2 * f, 4 * f, 16 * f)) - KERNEL * f * (f - self.in_channels)
        # Upwards 2 × 2 × 2, then two convolutions and a short cut of the level's features twice, and once.
        levels = ((16 * f, 8 * f), (8 * f, 4 * f), (4 * f, 2 * f), (2 * f, f), (f, f))
        decoder = sum(8 * below * level + (3 * KERNEL + 2) * level**2 for below, level in levels) + f
        return tokens + swin + skips + decoder * self.out_channels

    def activations(self, patch: Triple) -> int:
        """How many numbers a pass over one patch (k, j, i) holds, about: each level once in the encoder and in each decoder, and the
        largest attention, of every token in a window with every other."""
        levels = [math.prod(patch) * self.features]
        sizes = [max(1, n // EMBEDDING) for n in patch]
        attention = 0
        for width, heads in zip(self._widths, self.heads):
            levels.append(math.prod(sizes) * width)
            spans = [min(self.window, n) for n in sizes]
            windows = math.prod(math.ceil(n / span) for n, span in zip(sizes, spans))
            attention = max(attention, windows * heads * math.prod(spans) ** 2)
            sizes = [max(1, n // 2) for n in sizes]
        return sum(levels) * (1 + self.out_channels) + attention

    def for_training(self) -> SwinPlan:
        """The network as it is trained: the same."""
        return self

    def for_use(self) -> SwinPlan:
        """The network as a bundle holds it: nothing is computed twice."""
        return dataclasses.replace(self, checkpointing=False)

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary (lists, no tuples) that `from_json` reads back to an equal plan."""
        return plan_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SwinPlan:
        """From a dictionary; `InputError` for a missing or unknown key and for values that can't be."""
        check_plan_keys(cls, data)
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})


def _is_count(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= most


def _require(fits: bool, name: str, value: object, wanted: str) -> None:
    if not fits:
        raise InputError(f"{name} of the network plan is {value!r}; it must be {wanted}.")

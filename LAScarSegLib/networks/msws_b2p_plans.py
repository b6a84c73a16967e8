"""The two networks of msws_b2p (Khan et al. 2022) as plain numbers: both of slices, batch-normalised, with one output each."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..errors import InputError
from .plan import LARGEST_CHANNELS, Triple
from .plan_json import check_plan_keys, plan_to_json

MSWS_NET, PATCH_UNET = "msws_net", "patch_unet"
KERNEL_AREA, TRANSPOSED_AREA = 9, 4
"""Weights of a 3 × 3 convolution and of a transposed one of 2 × 2, between two channels."""
FEWEST_LEVELS, MOST_LEVELS = 2, 10
"""A slice of 1024 pixels is halved to one in ten."""
MOST_SCALES = 4
"""The most that the paper tried (table 1)."""
PATCH_LEVELS = 4
"""Stages of the network of the patches (section 2.2)."""


@dataclass(frozen=True)
class _SlicePlan:
    """What both plans share: `features` are the channels of each stage, from full resolution down."""

    in_channels: int
    out_channels: int
    features: tuple[int, ...]

    training_only = ()

    def __post_init__(self) -> None:
        for name, values in (("in_channels", [self.in_channels]), ("out_channels", [self.out_channels]), ("features", self.features)):
            for value in values:
                if not _is_whole(value, 1, LARGEST_CHANNELS):
                    raise InputError(f"{name} of the network plan holds {value!r}; it must be a whole number from 1 to {LARGEST_CHANNELS}.")

    def for_training(self) -> Self:
        """The same: nothing of it is for training only."""
        return self

    def for_use(self) -> Self:
        """The same."""
        return self

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary (lists, no tuples) that `from_json` reads back to an equal plan."""
        return plan_to_json(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From a dictionary; `InputError` for a missing or unknown key and for values that can't be."""
        check_plan_keys(cls, data)
        if not isinstance(data["features"], (list, tuple)):
            raise InputError(f"features of the network plan is {data['features']!r}; it must be a list.")
        return cls(**(dict(data) | {"features": tuple(data["features"])}))


@dataclass(frozen=True)
class MultiScalePlan(_SlicePlan):
    """MSWS-Net (section 2.1): one encoder that sees the slice at `scales` sizes, each half of the one before, and one decoder.

    Raises
    ------
    InputError
        from the constructor, naming the value that can't be.
    """

    scales: int = 2
    """n of table 1; 1 is a plain U-Net."""
    shared: bool = True
    """All scales through the same weights; False: an encoder each (table 3, "without weight sharing")."""
    architecture: str = MSWS_NET

    def __post_init__(self) -> None:
        super().__post_init__()
        if not FEWEST_LEVELS <= len(self.features) <= MOST_LEVELS:
            raise InputError(f"The network plan has {len(self.features)} stages; {FEWEST_LEVELS} to {MOST_LEVELS} are possible.")
        if not _is_whole(self.scales, 1, MOST_SCALES):
            raise InputError(f"scales of the network plan is {self.scales!r}; it must be a whole number from 1 to {MOST_SCALES}.")
        if not isinstance(self.shared, bool):
            raise InputError(f"shared of the network plan is {self.shared!r}; it must be true or false.")

    @property
    def divisor(self) -> Triple:
        """A slice's sides must be multiples of this; those of the smaller scales need not be."""
        step = 2 ** (len(self.features) - 1)
        return 1, step, step

    @property
    def decoder_widths(self) -> tuple[tuple[int, int, int], ...]:
        """(channels in, between, out) of each step up, from the deepest: half as many between, as many out as the skip above (C)."""
        below, widths = self.features[-1], []
        for level in reversed(range(len(self.features) - 1)):
            taken = below + self.features[level]
            widths.append((taken, taken // 2, self.features[max(0, level - 1)]))
            below = widths[-1][-1]
        return tuple(widths)

    @property
    def parameters(self) -> int:
        """How many weights the network has at least: its convolutions'."""
        before = (self.in_channels, *self.features)
        encoder = sum(f * (b + f) for b, f in zip(before, self.features)) * (1 if self.shared else self.scales)
        return KERNEL_AREA * (encoder + sum(m * (a + b) for a, m, b in self.decoder_widths))

    def activations(self, patch: Triple) -> int:
        """How many numbers the encoder's stages give for one slice (1, j, i), at all scales: what memory grows with."""
        whole = sum(math.prod(patch) // 4**level * f for level, f in enumerate(self.features))
        return sum(whole // 4**scale for scale in range(self.scales))


@dataclass(frozen=True)
class PatchUNetPlan(_SlicePlan):
    """The network of Boundary2Patches (section 2.2, figure 4): four stages, the second and third begin with a strided convolution.

    Raises
    ------
    InputError
        from the constructor, naming the value that can't be.
    """

    dropout: float = 0.1
    """Between encoder and decoder (C)."""
    architecture: str = PATCH_UNET

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.features) != PATCH_LEVELS:
            raise InputError(f"The network plan has {len(self.features)} stages; it must have {PATCH_LEVELS}.")
        if isinstance(self.dropout, bool) or not isinstance(self.dropout, (int, float)) or not 0 <= self.dropout < 1:
            raise InputError(f"dropout of the network plan is {self.dropout!r}; it must be a number from 0 to below 1.")

    @property
    def divisor(self) -> Triple:
        """A patch's sides must be multiples of this."""
        return 1, 4, 4

    @property
    def parameters(self) -> int:
        """How many weights the network has at least: its convolutions'."""
        a, b, c, d = self.features
        pairs = [(self.in_channels, a), (d, d), (d, d), (2 * d, d), (d + c, c), (c + b, b), (b + a, a), (c, d)]
        strided = b * (a + 2 * b) + c * (b + 2 * c)
        return KERNEL_AREA * (strided + sum(f * (n + f) for n, f in pairs)) + TRANSPOSED_AREA * (b * b + c * c)

    def activations(self, patch: Triple) -> int:
        """How many numbers the encoder's stages give for one patch (1, j, i): what memory grows with."""
        a, b, c, d = self.features
        return math.prod(patch) * a + math.prod(patch) // 4 * b + math.prod(patch) // 16 * (c + 2 * d)


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most

"""The one table of network architectures: how each one's plan is read, and how its torch module is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InputError
from .msws_b2p_plans import MSWS_NET, PATCH_UNET, MultiScalePlan, PatchUNetPlan
from .plan import DYNUNET, NetworkPlan, Triple
from .shared_encoder_plan import SHARED_ENCODER, SharedEncoderPlan
from .swin_plan import SWIN_UNETR, SwinPlan

if TYPE_CHECKING:
    from torch import nn


class Plan(Protocol):
    """What every architecture's plan tells: a frozen dataclass of plain numbers that travels to other processes."""

    architecture: str
    """Its name in `ARCHITECTURES`."""
    in_channels: int
    out_channels: int
    training_only: tuple[str, ...]
    """How the names of weights begin that only training has; a bundle leaves them out."""

    @property
    def divisor(self) -> Triple:
        """A patch's size (k, j, i) must be a multiple of this; k is 1 where slices are taken one by one."""

    @property
    def parameters(self) -> int:
        """How many weights the network has at least."""

    def activations(self, patch: Triple) -> int:
        """How many numbers a pass over one patch (k, j, i) holds, about: what memory grows with."""

    def for_training(self) -> Plan:
        """The network as it is trained."""

    def for_use(self) -> Plan:
        """The network as a bundle holds it."""

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary that `from_json` reads back to an equal plan."""

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """From a dictionary; `InputError` for a key or value that can't be."""


@dataclass(frozen=True)
class Architecture:
    """One architecture: the class of its plans, and what makes the torch module (B, C, k, j, i) → (B, O, k, j, i) of one."""

    plan: type[Plan]
    module: Callable[[Any], nn.Module]


def _plain_conv_unet(plan: NetworkPlan) -> nn.Module:
    from .plain_conv_unet import PlainConvUNet

    return PlainConvUNet(plan)


def _swin_unetr(plan: SwinPlan) -> nn.Module:
    from .swin_unetr import SwinUNETRDecoders

    return SwinUNETRDecoders(plan)


def _shared_encoder_unet(plan: SharedEncoderPlan) -> nn.Module:
    from .shared_encoder_unet import SharedEncoderUNet

    return SharedEncoderUNet(plan)


def _msws_net(plan: MultiScalePlan) -> nn.Module:
    from .msws_net import MultiScaleNet
    from .slices import SliceBySlice

    return SliceBySlice(MultiScaleNet(plan))


def _patch_unet(plan: PatchUNetPlan) -> nn.Module:
    from .patch_unet import PatchUNet
    from .slices import SliceBySlice

    return SliceBySlice(PatchUNet(plan))


ARCHITECTURES: dict[str, Architecture] = {
    DYNUNET: Architecture(NetworkPlan, _plain_conv_unet),
    SWIN_UNETR: Architecture(SwinPlan, _swin_unetr),
    SHARED_ENCODER: Architecture(SharedEncoderPlan, _shared_encoder_unet),
    MSWS_NET: Architecture(MultiScalePlan, _msws_net),
    PATCH_UNET: Architecture(PatchUNetPlan, _patch_unet),
}
"""Every architecture by its name."""


def read_plan(data: Mapping[str, Any]) -> Plan:
    """A plan of any architecture from its dictionary; `InputError` naming the known ones for another."""
    name = data.get("architecture", DYNUNET) if isinstance(data, Mapping) else data
    if name not in ARCHITECTURES:
        raise InputError(f"The network architecture is {name!r}; known are {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name].plan.from_json(data)


def in_scan(patch: tuple[int, ...]) -> Triple:
    """A patch in the scan's three axes: (j, i) is one slice, (1, j, i)."""
    return (1, *patch) if len(patch) == 2 else tuple(patch)


def spacing_in_scan(spacing: tuple[float, ...], scan_kji: tuple[float, ...]) -> tuple[float, float, float]:
    """A network's spacing in the scan's three axes: (j, i) leaves the slices as the scan has them."""
    return (float(scan_kji[0]), *spacing) if len(spacing) == 2 else tuple(spacing)

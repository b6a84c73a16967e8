"""Weights as the bytes of a safetensors file, and back. Importing this imports neither torch nor safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor


def pack_tensors(tensors: Mapping[str, Tensor], *, half: bool = False) -> bytes:
    """Weights as the bytes of a safetensors file; `half` stores floating-point ones as float16."""
    import torch
    from safetensors.torch import save

    def packed(tensor: Tensor) -> Tensor:
        small = half and tensor.is_floating_point()
        return tensor.detach().to("cpu", torch.float16 if small else tensor.dtype).contiguous().clone()

    return save({name: packed(tensor) for name, tensor in tensors.items()})


def unpack_tensors(content: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name, on the CPU, as stored."""
    from safetensors.torch import load

    return load(content)


def check_finite_weights(tensors: Mapping[str, Tensor], place: str) -> None:
    """`InputError` naming the first weight that is NaN or infinite: such a network answers everything with NaN, or with nothing."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{place} holds weights that are no numbers ({name!r}: NaN or infinite). Get the bundle again.")

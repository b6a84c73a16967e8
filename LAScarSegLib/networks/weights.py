"""Weights as the bytes of a safetensors file, and back. Importing this imports neither torch nor safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

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

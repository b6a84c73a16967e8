"""Weights as the bytes of a safetensors file, and back. Importing this imports neither torch nor safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

HEADER_LENGTH_BYTES = 8
"""A safetensors file starts with the length of its JSON header, 64 bits, little-endian (format 0.4)."""


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


def tensor_shapes(content: bytes) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor of a whole safetensors file, from its header alone."""
    length = int.from_bytes(content[:HEADER_LENGTH_BYTES], "little")
    header = json.loads(content[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + length])
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def check_finite_weights(tensors: Mapping[str, Tensor], place: str) -> None:
    """`InputError` naming the first weight that is NaN or infinite: such a network answers everything with NaN, or with nothing."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InputError(f"{place} holds weights that are no numbers ({name!r}: NaN or infinite). Get the bundle again.")

"""The precision that losses are taken in."""

import torch


def at_least_32_bits(values: torch.Tensor) -> torch.Tensor:
    """Half precision would round small losses to 0 and sum millions of voxels to infinity; 64 bits, for checks, stay."""
    return values.to(torch.promote_types(values.dtype, torch.float32))

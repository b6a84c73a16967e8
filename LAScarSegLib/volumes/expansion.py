"""How much a file may grow when it is read: what a header asks for is compared with what the file can hold, before memory is taken."""

from pathlib import Path

from ..errors import InputError

LARGE_BYTES = 2 << 30
"""A whole heart at 0.5 mm with double precision is half of this."""
MOST_EXPANSION = 100
"""Scans shrink to a third to a fifth when they are compressed, masks to a hundredth; an empty stream, to a thousandth."""
MOST_POSSIBLE = 1040
"""DEFLATE can't shrink anything further (1032, zlib's technical details)."""


def require_plausible_size(path: Path, wanted: int, held: int) -> None:
    """`InputError` unless `held` bytes of a compressed file can decode to the `wanted` bytes of its header."""
    if wanted > max(held, 1) * MOST_POSSIBLE and wanted > held + MOST_POSSIBLE:
        raise InputError(
            f"{path} can't be read: its header describes {_size(wanted)} of voxels, the file holds {_size(held)}. It is truncated, or "
            "its header is damaged: copy or export it again."
        )
    if wanted > LARGE_BYTES and wanted > held * MOST_EXPANSION:
        raise InputError(
            f"{path} can't be read: its header describes {_size(wanted)} of voxels, far more than a file of {_size(held)} can hold of a "
            "scan. Its header is damaged: export it again, or crop it."
        )


def _size(number: int) -> str:
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if number < 1000 or unit == "TB":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise AssertionError

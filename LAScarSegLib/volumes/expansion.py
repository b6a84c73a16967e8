"""How much a file may grow when it is read: what a header asks for is compared with what the file holds, before memory is taken."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError

LARGE_BYTES = 2 << 30
"""A whole heart at 0.5 mm with double precision is half of this."""
MOST_EXPANSION = 100
"""Scans shrink to a third or a fifth when they are compressed, masks to a hundredth; an empty stream, to a thousandth."""
MOST_POSSIBLE = 1040
"""DEFLATE can't shrink anything further (1032, zlib's technical details)."""
BLOCK = 1 << 18
SURPLUS_BYTES = 1 << 20
"""So much may follow the voxels (extensions, padding); a stream that goes on is not what its header describes."""


def require_plausible_size(path: Path, wanted: int, held: int) -> None:
    """`InputError` unless `held` bytes of a compressed file can decode to the `wanted` bytes of its header."""
    if wanted > max(held, 1) * MOST_POSSIBLE:
        raise InputError(
            f"{path} can't be read: its header describes {_size(wanted)} of voxels, the file holds {_size(held)}. It is truncated, or "
            "its header is damaged: copy or export it again."
        )
    if wanted > LARGE_BYTES and wanted > held * MOST_EXPANSION:
        raise InputError(
            f"{path} can't be read: its header describes {_size(wanted)} of voxels, far more than a file of {_size(held)} can hold of a "
            "scan. Its header is damaged: export it again, or crop it."
        )


def require_bytes(path: Path, wanted: int, there: int) -> None:
    """`InputError` for a file that is shorter than its header says."""
    if there < wanted:
        raise InputError(f"{path} is truncated: {there} of {wanted} bytes are there. Copy or export it again.")


def check_stream(
    file: BinaryIO, path: Path, wanted: int, chunks: Callable[[BinaryIO], Iterator[bytes]], look: Callable[[bytes], None] | None = None
) -> None:
    """Decode a compressed stream to its end, a block at a time; `look` sees every block.

    Raises
    ------
    InputError
        it ends early, its checksum is wrong, or it holds less or far more than the `wanted` bytes.
    """
    length = 0
    try:
        for chunk in chunks(file):
            length += len(chunk)
            if length > wanted + SURPLUS_BYTES:
                raise InputError(f"{path} is damaged: it holds more than the {wanted} bytes that its header describes. Copy or export it again.")
            if look is not None:
                look(chunk)
    except EOFError as error:
        raise InputError(f"{path} is truncated: its compressed data ends too early. Copy or export it again.") from error
    except (OSError, zlib.error) as error:
        raise InputError(f"{path} is damaged: its compressed data is inconsistent ({error}). Copy or export it again.") from error
    require_bytes(path, wanted, length)


def gunzipped(file: BinaryIO) -> Iterator[bytes]:
    """What a gzip stream holds."""
    with gzip.GzipFile(fileobj=file) as content:
        while chunk := content.read(BLOCK):
            yield chunk


def inflated(file: BinaryIO, window: int = zlib.MAX_WBITS) -> Iterator[bytes]:
    """What a zlib stream holds (a bare one with a negative `window`); `EOFError` when it ends early."""
    decoder = zlib.decompressobj(window)
    while not decoder.eof:
        packed = decoder.unconsumed_tail or file.read(BLOCK)
        if not packed:
            raise EOFError
        yield decoder.decompress(packed, BLOCK)


def _size(number: float) -> str:
    if number < 1000:
        return f"{number} bytes"
    units = ("kB", "MB", "GB", "TB", "PB", "EB")
    power = min(len(str(int(number))) - 1, 3 * len(units)) // 3
    return f"{number / 1000**power:.3g} {units[power - 1]}"

"""What to do when memory runs out: the processor, which has more and finds the same; then smaller tiles, which do not; and say so."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from ..errors import LAScarSegError, ProcessingError
from ..support.flags import QualityFlag
from .device import CPU, Device

Result = TypeVar("Result")
Triple = tuple[int, int, int]

LEAST_TILE = 32
"""Below this many voxels along an axis a tile is mostly border."""
CPU_MEMORY_WORDS = ("can't allocate memory", "not enough memory")
"""How torch's allocator for the processor says that there is no memory (c10/core/impl/alloc_cpu.cpp); it has no type of its own."""


def smaller_tile(patch: Triple, divisor: Triple) -> Triple | None:
    """Half the longest axis that can be halved, a multiple of the network's `divisor`; None when nothing can."""
    halves = {a: patch[a] // 2 // divisor[a] * divisor[a] for a in range(3)}
    possible = [a for a in range(3) if halves[a] >= max(LEAST_TILE, divisor[a])]
    if not possible:
        return None
    longest = max(possible, key=lambda a: patch[a])
    return tuple(halves[a] if a == longest else patch[a] for a in range(3))


def with_less_memory(
    work: Callable[[Device, Triple], Result], device: Device, patch: Triple, divisor: Triple
) -> tuple[Result, tuple[QualityFlag, ...]]:
    """`work(device, patch)`; when that fails on a graphics card, on the processor; while memory runs out there, with smaller tiles.

    Returns
    -------
    tuple
        the result, and a remark when it had to be done in another way: a stop for smaller tiles. A network sees less around each voxel then, so
        the same scan would give another mask on a machine with less memory (Dice 0.75 was seen).

    Raises
    ------
    ProcessingError
        there is not enough memory for the smallest tile on the processor either.
    """
    import torch

    reason: Exception | None = None
    for place, tile in _ways(device, patch, divisor):
        try:
            return work(place, tile), _notes(reason, device, place, patch, tile)
        except LAScarSegError:
            raise
        except Exception as error:
            reason = error
            if _is_memory(error):
                torch.cuda.empty_cache()
            elif place.kind == "cpu":
                raise
            # A card that vanished raises errors of many types; an error of the program's own comes back on the processor.
    raise ProcessingError(
        f"There is not enough memory to run the model, even in the smallest tiles ({_short(reason)}). "
        "Close other programs, or give a region of interest."
    ) from reason


def _ways(device: Device, patch: Triple, divisor: Triple) -> Iterator[tuple[Device, Triple]]:
    if device.kind != "cpu":
        yield device, patch
    tile: Triple | None = patch
    while tile is not None:
        yield CPU, tile
        tile = smaller_tile(tile, divisor)


def _is_memory(error: Exception) -> bool:
    import torch

    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in CPU_MEMORY_WORDS)


def _notes(reason: Exception | None, device: Device, place: Device, patch: Triple, tile: Triple) -> tuple[QualityFlag, ...]:
    if reason is None:
        return ()
    cause = "ran out of memory" if _is_memory(reason) else f"failed ({_short(reason)})"
    if tile == patch:
        return (QualityFlag("device_changed", f"{device.title} {cause}; the model ran on the processor instead."),)
    sizes = ["×".join(map(str, size)) for size in (patch, tile)]
    message = (
        f"Memory ran out with the model's tiles of {sizes[0]} voxels, and in tiles of {sizes[1]} it may find another mask than on a machine with "
        "more memory. Close other programs, or give a region of interest; to take what the small tiles find, say --despite smaller_tiles."
    )
    return (QualityFlag("smaller_tiles", message),)


def _short(error: Exception | None) -> str:
    """The first line of a long message."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)

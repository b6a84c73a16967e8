"""One process at a time in a folder that is worked in for long: the second one is told so, and what was killed is not in the way."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

LOCK = ".in_use"
"""Held open; the system lets go of it when the process ends, however it ends."""


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Inside, no other process gets past this for `folder`; `InputError` when one is there."""
    handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            _lock(handle)
        except OSError:
            raise InputError(f"Another process is working in {folder}. Wait for it, or give another folder.") from None
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> None:
    """Raises OSError when somebody else holds it."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        return
    import fcntl

    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

"""A folder that exists is whole: files are written beside it and the folder appears in one rename.

The partial folder of `OUT` is called `.OUT.partial-HOST-PID`, a result that gives way to a new one `.OUT.replaced-HOST-PID`,
both beside it. What a killed run left is recognised by these names, and cleaned up by the next run for the same `OUT`.
"""

import glob
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, ProcessingError

FOREIGN_HOST_HOURS = 24.0
"""A partial folder of another machine (a shared disk) is taken for dead when it is older than this."""
FULL_DISK_BYTES = 2_000_000
"""Less than this left: what is being written is what fills the disk (the part that was written counts as used)."""

_LOADED_AT = time.time()


@dataclass(frozen=True)
class FolderKind:
    """What we write as a folder: `title` for messages; any of `markers` tells a folder of ours, and only such a one is ever
    replaced; `names` are all that ours may hold, everything else in it belongs to the user."""

    title: str
    markers: frozenset[str]
    names: frozenset[str]


def check_folder(folder: str | Path, force: bool, kind: FolderKind) -> Path:
    """The absolute path of `folder`, if one of this kind may be written there; also cleans up after killed runs.

    Called before the work, so that nobody waits for a result that can't be saved.

    Raises
    ------
    InputError
        the folder exists and `force` is False; it is something else than this kind; the place is not writable.
    """
    folder = Path(folder).expanduser().resolve()
    _check_parent(folder)
    _clean_up(folder, kind)
    if folder.is_dir() and not any(folder.iterdir()):
        if os.path.ismount(folder):
            raise InputError(
                f"{folder} is a mount point, which can't be replaced in one step. Give a folder inside it: {folder / 'result'}."
            )
        return folder
    if not folder.exists():
        return folder
    if not folder.is_dir():
        raise InputError(f"{folder} is a file. Give another name for the folder.")
    if not any((folder / marker).exists() for marker in kind.markers):
        raise InputError(f"{folder} exists and is not a {kind.title}, so it is left alone. Give another folder.")
    if not force:
        raise InputError(f"{folder} exists. Give another folder, or --force to replace it.")
    return folder


@contextmanager
def whole_folder(folder: Path, force: bool, kind: FolderKind) -> Iterator[Path]:
    """A partial folder to write into; on leaving it becomes `folder`, on an exception it disappears.

    With `force` the folder that was there gives way only now, when the new one is complete; files in it that are not of
    this kind (a corrected mask, notes) are the user's and move into the new one.
    """
    folder = check_folder(folder, force, kind)
    partial = _sibling(folder, "partial")
    try:
        partial.mkdir()
    except FileExistsError as error:
        raise InputError(f"This program is already writing {folder}. Wait for it, or give another output folder.") from error
    try:
        yield partial
        check_folder(folder, force, kind)
        _put_in_place(partial, folder, kind)
    except OSError as error:
        raise disk_error(error, partial) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def disk_error(error: Exception, path: Path) -> ProcessingError:
    """What to tell the user when writing `path` failed: the file, the free space, the remedy."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else lines[-1]
    free_mb = _free_bytes(path) / 1e6
    return ProcessingError(
        f"{path.name} could not be written ({reason}); the disk of {_visible_parent(path)} has {free_mb:,.0f} MB left. Nothing was kept. "
        "Free some space, check that the disk is connected, or give another output folder."
    )


def disk_is_full(path: Path) -> bool:
    """Whether so little is left on the disk of `path` that this is why writing fails."""
    return _free_bytes(path) < FULL_DISK_BYTES


def _free_bytes(path: Path) -> int:
    return shutil.disk_usage(_visible_parent(path)).free


def _visible_parent(path: Path) -> Path:
    """The nearest folder that exists and that the user knows: above the partial folder."""
    hidden = [number for number, parent in enumerate(path.parents) if ".partial-" in parent.name]
    start = path.parents[hidden[-1]].parent if hidden else path.parent
    return next(parent for parent in [start, *start.parents] if parent.is_dir())


def _check_parent(folder: Path) -> None:
    parent = folder.parent
    if not folder.name:
        raise InputError(f"{folder} can't be a result's folder. Give a folder inside it, for example {folder / 'result'}.")
    if not parent.is_dir():
        raise InputError(f"{parent}, where the result's folder should go, does not exist. Create it, or give another output folder.")
    # os.access says yes on read-only network shares and for root; only writing tells.
    trial = _sibling(folder, "trial")
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise InputError(f"{parent} can't be written to ({os.strerror(error.errno)}). Give another output folder.") from error


def _put_in_place(partial: Path, folder: Path, kind: FolderKind) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    replaced = _sibling(folder, "replaced")
    folder.rename(replaced)
    try:
        partial.rename(folder)
    except BaseException:
        # Also on Ctrl-C: the old result must not stay hidden.
        if not folder.exists():
            replaced.rename(folder)
        raise
    _retire(replaced, folder, kind)


def _retire(replaced: Path, folder: Path, kind: FolderKind) -> None:
    """Delete a replaced result, after moving what was the user's into the new one."""
    for entry in replaced.iterdir():
        if entry.name not in kind.names and not (folder / entry.name).exists():
            entry.rename(folder / entry.name)
    shutil.rmtree(replaced, ignore_errors=True)


def _clean_up(folder: Path, kind: FolderKind) -> None:
    """Remove what killed runs left beside `folder`; a result that was just being replaced comes back."""
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.*-*-*"):
        role, _, owner = leftover.name[len(folder.name) + 2 :].partition("-")
        if role not in ("partial", "replaced", "trial") or _is_alive(owner, leftover):
            continue
        if role != "replaced":
            shutil.rmtree(leftover, ignore_errors=True)
        elif folder.exists():
            _retire(leftover, folder, kind)
        else:
            leftover.rename(folder)


def _sibling(folder: Path, role: str) -> Path:
    return folder.with_name(f".{folder.name}.{role}-{_host()}-{os.getpid()}")


def _host() -> str:
    return "".join(c if c.isalnum() else "_" for c in socket.gethostname()) or "host"


def _is_alive(owner: str, leftover: Path) -> bool:
    """Whether the run `HOST-PID` that made this folder may still be writing to it."""
    host, _, pid = owner.rpartition("-")
    modified = leftover.stat().st_mtime
    if host != _host() or not pid.isdigit():
        return time.time() - modified < FOREIGN_HOST_HOURS * 3600
    if int(pid) == os.getpid():
        # In containers a restarted program gets the same number: what is older than this process isn't its own.
        return modified > _LOADED_AT
    return _process_exists(int(pid))


def _process_exists(pid: int) -> bool:
    if sys.platform == "win32":
        import ctypes

        synchronize, timeout = 0x00100000, 0x102  # winnt.h SYNCHRONIZE, winbase.h WAIT_TIMEOUT
        handle = ctypes.windll.kernel32.OpenProcess(synchronize, False, pid)
        if not handle:
            return False
        running = ctypes.windll.kernel32.WaitForSingleObject(handle, 0) == timeout
        ctypes.windll.kernel32.CloseHandle(handle)
        return running
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError) as error:
        return isinstance(error, PermissionError)
    return True

"""A folder that exists is whole: files are written beside it and the folder appears in one rename.

Beside `OUT` lies, as long as it is written, a scratch folder `.OUT.partial-XXXXXXXX`: `owner.json` says whose it is, `new` becomes
`OUT`, `old` is the one that gives way to it. What a killed run left is told from what somebody else put there by its owner, and cleaned
up by the next run for the same `OUT`. No name tells host or process.
"""

import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError, ProcessingError
from .json_text import parse_json
from .printable import printable, require_encodable

PROGRAM = "LAScarSeg"
"""How our marker files name who wrote them."""
FOREIGN_HOST_HOURS = 24.0
"""A partial folder of another machine (a shared disk) is taken for dead when it is older than this."""
FULL_DISK_BYTES = 2_000_000
"""Less than this left: what is being written is what fills the disk (the part that was written counts as used)."""
OWNER, NEW, OLD = "owner.json", "new", "old"
"""Inside the scratch folder."""
LARGEST_OWNER_BYTES = 4096
CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What desktops leave in folders; nobody misses it."""
NAMED = 3
"""Files that a message names."""

_PROCESS_KEY = secrets.token_hex(16)
"""Tells this process from an earlier one of the same number: in containers a restarted program gets the same."""
_being_written: set[Path] = set()


@dataclass(frozen=True)
class FolderKind:
    """What we write as a folder, and how it is known again.

    `title` is for messages. `ours` is asked with each of the files `markers` that is there: it says what else in the folder is of this
    kind (files, or folders with all in them, with "/"), or None when the marker is somebody else's file of that name. Only a folder that
    holds nothing but that is ever replaced.
    """

    title: str
    markers: frozenset[str]
    ours: Callable[[Path], Collection[str] | None]

    def files_in(self, folder: Path) -> frozenset[str] | None:
        """What of `folder` is ours, the marker included; None when it is no folder of this kind."""
        for marker in sorted(self.markers):
            path = folder / marker
            if path.is_file() and not path.is_symlink() and (listed := self.ours(path)) is not None:
                return frozenset((*listed, marker))
        return None


def marker_content(path: Path) -> dict[str, Any] | None:
    """The object in a marker file; None when it holds anything else."""
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def marked_by_program(names: Iterable[str] = ()) -> Callable[[Path], Collection[str] | None]:
    """For `FolderKind.ours`: a marker with our `program`; `names` are ours, or without any those that it lists as `files`."""
    names = tuple(names)

    def ours(path: Path) -> Collection[str] | None:
        content = marker_content(path) or {}
        listed = content.get("files")
        if content.get("program") != PROGRAM or not (names or isinstance(listed, list)):
            return None
        return names or tuple(map(str, listed))

    return ours


def check_folder(folder: str | Path, force: bool, kind: FolderKind) -> Path:
    """The absolute path of `folder`, if one of this kind may be written there; also cleans up after killed runs.

    Called before the work, so that nobody waits for a result that can't be saved.

    Raises
    ------
    InputError
        the folder exists and `force` is False; it is something else than this kind, or holds something else beside; the place is not
        writable.
    """
    require_encodable(folder, "output folder")
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
    files = kind.files_in(folder)
    if files is None:
        raise InputError(f"{folder} exists and is not a {kind.title}, so it is left alone. Give another folder.")
    if not force:
        raise InputError(f"{folder} exists. Give another folder, or --force to replace it.")
    if others := _others(folder, files):
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        raise InputError(
            f"{folder} also holds {printable(', '.join(others[:NAMED]))}{more}, which is no part of that {kind.title}, so nothing was "
            "replaced. Move it elsewhere, or give another folder."
        )
    return folder


@contextmanager
def whole_folder(folder: Path, force: bool, kind: FolderKind) -> Iterator[Path]:
    """A partial folder to write into; on leaving it becomes `folder`, on an exception it disappears.

    With `force` the folder that was there gives way only now, when the new one is complete; a file that somebody put into it at the last
    moment moves into the new one.
    """
    folder = check_folder(folder, force, kind)
    if folder in _being_written:
        raise InputError(f"This program is already writing {folder}. Wait for it, or give another output folder.")
    _being_written.add(folder)
    scratch: Path | None = None
    try:
        scratch = _make_scratch(folder)
        yield scratch / NEW
        check_folder(folder, force, kind)
        _put_in_place(scratch, folder, kind)
    except OSError as error:
        raise disk_error(error, folder) from error
    finally:
        _being_written.discard(folder)
        if scratch is not None and not (scratch / OLD).exists():
            shutil.rmtree(scratch, ignore_errors=True)


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
    # With the name, which may be too long for the disk.
    trial = parent / f".{folder.name}.trial-{secrets.token_hex(8)}"
    try:
        trial.mkdir()
        trial.rmdir()
    except OSError as error:
        raise InputError(f"{parent} can't be written to ({os.strerror(error.errno)}). Give another output folder.") from error


def _others(folder: Path, ours: Collection[str]) -> list[str]:
    """What lies in a folder and is not among `ours`, sorted; links are not followed."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place, name)
            relative = path.relative_to(folder).as_posix()
            is_folder = path.is_dir() and not path.is_symlink()
            listed = any(part in ours for part in (relative, *(p.as_posix() for p in Path(relative).parents)))
            holds_ours = is_folder and any(known.startswith(f"{relative}/") for known in ours)
            if not listed and not holds_ours and name not in CLUTTER:
                found.append(relative)
    return sorted(found)


def _make_scratch(folder: Path) -> Path:
    """The scratch folder, with its owner, and the empty folder to write into."""
    # Nobody else may look into it or put something there until it is done.
    scratch = Path(tempfile.mkdtemp(prefix=_scratch_prefix(folder), dir=folder.parent))
    owner = {"program": PROGRAM, "folder": folder.name, "machine": _machine(), "process": os.getpid(), "key": _PROCESS_KEY}
    handle = os.open(scratch / OWNER, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(handle, "w", encoding="utf-8") as file:
        json.dump(owner, file)
    (scratch / NEW).mkdir()
    return scratch


def _scratch_prefix(folder: Path) -> str:
    return f".{folder.name}.partial-"


def _put_in_place(scratch: Path, folder: Path, kind: FolderKind) -> None:
    if not folder.exists():
        (scratch / NEW).rename(folder)
        return
    folder.rename(scratch / OLD)
    try:
        (scratch / NEW).rename(folder)
    except BaseException:
        # Also on Ctrl-C: the old result must not stay hidden.
        if not folder.exists():
            (scratch / OLD).rename(folder)
        raise
    _retire(scratch, folder, kind)


def _retire(scratch: Path, folder: Path, kind: FolderKind) -> None:
    """Delete the replaced folder, after moving what is not ours (it came at the last moment) into the new one."""
    old = scratch / OLD
    ours = kind.files_in(old) or ()
    for name in _others(old, ours):
        target = folder / name
        if (old / name).exists() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            (old / name).rename(target)
    if not _others(old, ours):
        shutil.rmtree(old, ignore_errors=True)


def _clean_up(folder: Path, kind: FolderKind) -> None:
    """Remove what killed runs left beside `folder`; a result that was just being replaced comes back."""
    prefix = _scratch_prefix(folder)
    for scratch in [entry for entry in folder.parent.iterdir() if entry.name.startswith(prefix)]:
        owner = _owner(scratch, folder)
        if owner is None or _is_alive(owner, scratch):
            continue
        if (scratch / OLD).is_dir() and kind.files_in(scratch / OLD) is not None:
            _retire(scratch, folder, kind) if folder.exists() else (scratch / OLD).rename(folder)
        if not (scratch / OLD).exists():
            shutil.rmtree(scratch, ignore_errors=True)


def _owner(scratch: Path, folder: Path) -> dict[str, Any] | None:
    """Who made a scratch folder; None when it is not provably a run of this user's for `folder`."""
    marker = scratch / OWNER
    try:
        # What lies in a folder that this user alone may write to was put there by this user.
        if any(place.is_symlink() or not _is_mine(place) for place in (scratch, marker)) or marker.stat().st_size > LARGEST_OWNER_BYTES:
            return None
    except OSError:
        return None
    owner = marker_content(marker) or {}
    whole = owner.get("program") == PROGRAM and owner.get("folder") == folder.name and type(owner.get("process")) is int
    return owner if whole and isinstance(owner.get("machine"), str) and owner["process"] > 0 else None


def _is_mine(path: Path) -> bool:
    """Whether this user made a file or folder and nobody else may write to it; on Windows only the access lists know."""
    if sys.platform == "win32":
        return True
    status = path.lstat()
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _machine() -> str:
    """The machine, told from others without its name."""
    return hashlib.sha256(f"{PROGRAM} {socket.gethostname()}".encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _is_alive(owner: dict[str, Any], scratch: Path) -> bool:
    """Whether the run that made this scratch folder may still be writing to it."""
    if owner["machine"] != _machine():
        return time.time() - scratch.stat().st_mtime < FOREIGN_HOST_HOURS * 3600
    if owner["process"] == os.getpid():
        return owner.get("key") == _PROCESS_KEY
    return _process_exists(owner["process"])


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
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True

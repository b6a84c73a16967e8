"""Where a bundle's files are read from: a folder or a zip, neither of them trusted. Nothing is ever unpacked to disk from here."""

import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from ..errors import InputError, ProcessingError

CARD = "model.json"
LARGEST_CARD_BYTES = 1 << 20
"""A `model.json` has some kilobytes; more than 1 MiB is none."""
LARGEST_BUNDLE_BYTES = 4 << 30
"""Ten folds of nnU-Net's largest default network, twice over; what claims to be more is refused before anything is read."""
LARGEST_COUNT = 10_000
"""Files; an nnU-Net results folder holds its validation cases as well."""
CLUTTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What desktops leave in folders; never read."""
CLUTTER_FOLDER = "__MACOSX"
_ZIP_SYMLINK_SHIFT = 16
"""A zip entry's Unix mode is in the upper 16 bits of its external attributes."""
_ENCRYPTED = 0x1


class BundleFiles(ABC):
    """The files of a bundle."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Any] = {}
        """By name, where its bytes are."""

    def names(self) -> tuple[str, ...]:
        """All files, sorted; a name with a "/" is a file in a folder."""
        return tuple(sorted(self._entries))

    def read(self, name: str, largest: int) -> bytes:
        """A file's bytes; `InputError` when it is missing or longer than `largest`."""
        if name not in self._entries:
            raise InputError(f"{self.path} has no {name}: it is incomplete. Get it again.")
        # One more byte than allowed: what claims to be small and is not shows itself here, not in the memory.
        content = self._first_bytes(name, largest + 1)
        if len(content) > largest:
            raise InputError(f"{self.path}: {name} is longer than the {largest} bytes it may have. It is refused.")
        return content

    @abstractmethod
    def _first_bytes(self, name: str, count: int) -> bytes:
        """The file's beginning: at most `count` bytes."""


def open_bundle(path: str | Path) -> BundleFiles:
    """A folder or zip to read from.

    Raises
    ------
    InputError
        it is neither; a name in it leads out of it, is a link, or claims an absurd size.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return FolderFiles(path)
    if not path.is_file():
        raise InputError(f"There is no bundle at {path}. Give a bundle's folder or zip.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is neither a folder nor a whole zip file. If it was downloaded, download it again.")
    return ZipFiles(path)


class FolderFiles(BundleFiles):
    """A folder on disk; links are refused, since they lead elsewhere."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        for folder, subfolders, files in os.walk(path):
            for place in (Path(folder) / name for name in (*subfolders, *files)):
                if place.is_symlink():
                    raise InputError(f"{place} is a link; a bundle must hold its files itself. It is refused.")
            places = [Path(folder) / name for name in files if name not in CLUTTER]
            self._entries |= {place.relative_to(path).as_posix(): place for place in places}
            if len(self._entries) > LARGEST_COUNT:
                raise InputError(f"{path} holds more than {LARGEST_COUNT} files: that is no model. Give the model's own folder.")

    def _first_bytes(self, name: str, count: int) -> bytes:
        try:
            with open(self._entries[name], "rb") as file:
                return file.read(count)
        except OSError as error:
            raise ProcessingError(f"{self._entries[name]} can't be read: {error.strerror}. Check its permissions.") from error


class ZipFiles(BundleFiles):
    """A zip file; its files lie at its root or all in one folder, as when a folder was zipped."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise InputError(f"{path} can't be read as a zip: {error}. If it was downloaded, download it again.") from error
        if len(entries) > LARGEST_COUNT:
            raise InputError(f"{path} holds {len(entries)} files, more than {LARGEST_COUNT}: that is no bundle. It is refused.")
        for entry in entries:
            _check_entry(entry)
        if sum(entry.file_size for entry in entries) > LARGEST_BUNDLE_BYTES:
            raise InputError(f"{path} would unpack to more than {LARGEST_BUNDLE_BYTES >> 30} GiB: that is no bundle. It is refused.")
        kept = [e for e in entries if not e.is_dir() and not _is_clutter(e.filename)]
        prefix = _common_folder([entry.filename for entry in kept])
        self._entries = {entry.filename[len(prefix) :]: entry for entry in kept}
        if len(self._entries) != len(kept):
            raise InputError(f"{path} holds two files of one name. It is refused.")

    def _first_bytes(self, name: str, count: int) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._entries[name]) as file:
                return file.read(count)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError) as error:
            raise InputError(f"{self.path}: {name} is damaged ({error}). Get the file again.") from error


def _check_entry(entry: zipfile.ZipInfo) -> None:
    # orig_filename: zipfile itself already cuts at a NUL and turns the separators of Windows around.
    name = entry.orig_filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ":" in parts[0] or ".." in parts or "\0" in name:
        raise InputError(f"The zip holds {name!r}, a name that leads out of it. It is refused.")
    if stat.S_ISLNK(entry.external_attr >> _ZIP_SYMLINK_SHIFT):
        raise InputError(f"The zip holds {name!r}, a link. It is refused.")
    if entry.flag_bits & _ENCRYPTED:
        raise InputError(f"The zip holds {name!r} encrypted. Unpack it, and give the folder.")


def _is_clutter(name: str) -> bool:
    parts = name.split("/")
    return parts[0] == CLUTTER_FOLDER or parts[-1] in CLUTTER


def _common_folder(names: list[str]) -> str:
    """`"folder/"` when every name starts with it, so that zips of a folder work, else `""`."""
    first = {name.split("/")[0] for name in names}
    return f"{first.pop()}/" if len(first) == 1 and all("/" in name for name in names) else ""

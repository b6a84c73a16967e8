"""The DICOM files of a folder: which are images, of which series, and which are no images at all. Every file's header is read once."""

import itertools
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, UID_dictionary

from ..errors import InputError
from ..support.printable import printable
from .expansion import LARGE_BYTES, inflated, require_plausible_size
from .files import EXTENSIONS

DIRECTORY = "DICOMDIR"
"""The index of a DICOM medium; no image."""
SUFFIXES = (".dcm", ".ima")
FOLDERS_LOOKED_AT = 100
"""For a hint: cases lie a few folders deep."""
PREAMBLE = 132
"""128 free bytes and the letters DICM (PS3.10, section 7.1)."""
IDENTIFYING_GROUP = struct.pack("<H", 0x0008)
"""Files from before part 10 begin with this group."""
UNREADABLE = (
    InvalidDicomError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, NotImplementedError,
    RecursionError, OverflowError, LookupError, struct.error, zlib.error, BytesLengthException,
)  # fmt: skip
"""What pydicom raises at files that are damaged."""
ENOUGH = (
    "SOPClassUID", "SOPInstanceUID", "Modality", "SeriesInstanceUID", "SeriesDescription", "SeriesNumber", "Rows", "Columns",
    "ImageType", "NumberOfFrames", "BitsAllocated", "PixelData", "FloatPixelData", "DoubleFloatPixelData",
)  # fmt: skip
"""Sorting a folder takes these."""
PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
DEFERRED_BYTES = 1024
"""Longer elements, pixels above all, stay in the file."""
DEFLATED_WITHIN, GROUP_LENGTH_BYTES = 2048, 12
"""The file meta information, which names the encoding, is shorter; it begins with an element of 12 bytes that gives its length."""
MOST_LISTED = 10
LONGEST_WORD = 64
"""A long string (LO) has 64 characters (PS3.5, table 6.2-1)."""


@dataclass(frozen=True, eq=False)
class Header:
    """One file's `file` and the first elements of its `data`."""

    file: Path
    data: Dataset

    def word(self, keyword: str) -> str:
        """The element as a word that can be shown; empty when it is missing."""
        return word_of(self.data, keyword)

    @property
    def has_pixels(self) -> bool:
        return any(keyword in self.data for keyword in PIXELS)


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Whatever pydicom raises at `file` is an `InputError` that names it."""
    try:
        yield
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(f"The DICOM file {file} can't be read; it may be truncated. Copy or export it again.") from error


def word_of(data: Dataset, keyword: str, longest: int = LONGEST_WORD) -> str:
    """An element's text, stripped and printable; several values are joined by a backslash, as DICOM does."""
    try:
        value = data.get(keyword)
    except UNREADABLE:
        return ""
    if value is None:
        return ""
    joined = "\\".join(map(str, value)) if isinstance(value, (list, tuple)) or hasattr(value, "append") else str(value)
    return printable(joined.strip(" \0"), longest=longest)


def find_series(folder: Path) -> list[Header]:
    """The headers of the folder's only image series, in the order of the file names.

    Files that hold no image (reports, presentation states, PDFs, raw data) are left aside, and so are segmentations beside a scan.

    Raises
    ------
    InputError
        no DICOM image; a damaged file; several series (they are listed).
    """
    headers, damaged = _read_headers(folder)
    images = [header for header in headers if header.has_pixels]
    damaged += _cut_short(headers, images)
    if damaged:
        names = ", ".join(sorted(damaged)[:5])
        raise InputError(f"{folder}: {names} can't be read as DICOM; truncated or damaged? Copy or export the series again.")
    scans = [header for header in images if not _is_derived(header)] or images
    series: dict[str, list[Header]] = {}
    for header in scans:
        series.setdefault(header.word("SeriesInstanceUID"), []).append(header)
    if not series:
        raise InputError(_nothing_found(folder, headers))
    if len(series) > 1:
        raise InputError(_choice(folder, list(series.values())))
    return next(iter(series.values()))


def require_some_dicom(folder: Path) -> None:
    """`InputError` for a folder without a DICOM file, told without reading one."""
    with os.scandir(folder) as entries:
        files = sorted(Path(entry.path) for entry in entries if entry.is_file())
    if not any(map(_looks_like_dicom, files)):
        raise InputError(_nothing_found(folder, []))


def _read_headers(folder: Path) -> tuple[list[Header], list[str]]:
    """The headers of every DICOM file, and the names of those that are damaged."""
    headers, damaged = [], []
    with os.scandir(folder) as entries:
        # A pipe or device called .dcm is no file: opening it might never return.
        files = sorted(Path(entry.path) for entry in entries if entry.is_file())
    for file in files:
        if not _looks_like_dicom(file):
            continue
        try:
            with reading(file):
                require_no_bomb(file)
                data = pydicom.dcmread(file, force=True, defer_size=DEFERRED_BYTES, specific_tags=list(ENOUGH))
        except InputError:
            damaged.append(file.name)
        else:
            headers.append(Header(file, data))
    return headers, damaged


def require_no_bomb(file: Path) -> None:
    """`InputError` for a deflated file that would fill the memory: pydicom inflates it as a whole."""
    with open(file, "rb") as content:
        start = content.read(DEFLATED_WITHIN)
        if DeflatedExplicitVRLittleEndian.encode() not in start:
            return
        meta = pydicom.filereader.read_file_meta_info(file)
        content.seek(PREAMBLE + GROUP_LENGTH_BYTES + int(meta.FileMetaInformationGroupLength))
        wanted = 0
        for chunk in inflated(content, -zlib.MAX_WBITS):
            wanted += len(chunk)
            if wanted > LARGE_BYTES:
                require_plausible_size(file, wanted, file.stat().st_size)


def _looks_like_dicom(file: Path) -> bool:
    """By the preamble of DICOM part 10, or by its name when not even that is left."""
    if file.name.upper() == DIRECTORY or file.name.startswith("."):
        return False
    try:
        with open(file, "rb") as content:
            start = content.read(PREAMBLE)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}. Check its permissions.") from error
    return start[128:] == b"DICM" or start[:2] == IDENTIFYING_GROUP or file.suffix.lower() in SUFFIXES


def _cut_short(headers: list[Header], images: list[Header]) -> list[str]:
    """Names of files without pixels that should have some: at either end of a stack nobody would notice the gap.

    The standard's other objects (a report, a PDF) have none. A private object without pixels is sound unless its series has images.
    """
    with_images = {header.word("SeriesInstanceUID") for header in images} | {""}
    missing = []
    for header in headers:
        if header.has_pixels:
            continue
        kind = header.word("SOPClassUID")
        known = UID(kind) in UID_dictionary
        if (known and "Image Storage" in UID(kind).name) or (not known and header.word("SeriesInstanceUID") in with_images):
            missing.append(header.file.name)
    return missing


def _is_derived(header: Header) -> bool:
    """A segmentation or a map of a scan: pixels, but no acquired image."""
    kind = UID(header.word("SOPClassUID"))
    return kind in UID_dictionary and "Image Storage" not in kind.name


def _nothing_found(folder: Path, headers: list[Header]) -> str:
    inside = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    hint = f" (its subfolders are not searched: {', '.join(inside[:5])})" if inside else ""
    kinds = sorted({UID(header.word("SOPClassUID")).name for header in headers})
    if kinds:
        hint = f" ({len(headers)} DICOM files without pixels: {', '.join(kinds[:5])}){hint}"
    many = " To measure a folder of scans, use Examples/slicer_batch.py." if _holds_volumes(folder) else ""
    return f"{folder} holds no DICOM image{hint}. Give the folder with one series' files, or a volume file.{many}"


def _holds_volumes(folder: Path) -> bool:
    files = (name for _, _, names in itertools.islice(os.walk(folder), FOLDERS_LOOKED_AT) for name in names)
    return any(name.lower().endswith(EXTENSIONS) and not name.startswith(".") for name in files)


def _choice(folder: Path, series: list[list[Header]]) -> str:
    listed = "; ".join(_describe(headers) for headers in series[:MOST_LISTED])
    more = f"; and {len(series) - MOST_LISTED} more" if len(series) > MOST_LISTED else ""
    return f"{folder} holds {len(series)} series; one is needed. Copy the LGE series into a folder of its own. They are: {listed}{more}."


def _describe(headers: list[Header]) -> str:
    first = headers[0]
    number, description = first.word("SeriesNumber") or "?", first.word("SeriesDescription")
    return f"number {number} '{description}', {len(headers)} files, first {first.file.name}"

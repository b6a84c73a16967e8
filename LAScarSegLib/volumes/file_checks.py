"""What ITK keeps quiet about in volume files: data that is damaged or cut short, and a voxel size that is not there.

ITK fills up a truncated NIfTI file with zeros, hands out what a broken compressed stream decodes to, takes 1 mm where a
header gives no spacing, and prints to standard error instead of raising.
"""

import gzip
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from ..support.flags import QualityFlag
from .nifti_header import read_nifti_header

HEADER_LIMIT = 1 << 16
"""No text header of an image is longer than 64 KiB."""
BLOCK = 1 << 18


def check_file(path: Path) -> tuple[QualityFlag, ...]:
    """Remarks on the header of a NIfTI, NRRD or MetaImage file.

    Raises
    ------
    InputError
        the data is truncated or damaged, or the header has no voxel size.
    """
    name = path.name.lower()
    if name.endswith((".nii", ".nii.gz")):
        return _check_nifti(path)
    if name.endswith((".nrrd", ".nhdr")):
        _check_nrrd(path)
    else:
        _check_metaimage(path)
    return ()


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep what ITK's readers print on the process's standard error from the terminal; their exceptions say enough."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A program without a terminal (Slicer on Windows) has no standard error.
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _check_nifti(path: Path) -> tuple[QualityFlag, ...]:
    header = read_nifti_header(path)
    if path.name.lower().endswith(".gz"):
        with open(path, "rb") as file:
            length = _gunzipped_bytes(file, path)
    else:
        length = path.stat().st_size
    if length < header.file_bytes:
        raise InputError(f"{path} is truncated: {length} of {header.file_bytes} bytes are there. Copy or export it again.")
    return header.flags()


def _check_nrrd(path: Path) -> None:
    with open(path, "rb") as file:
        if not file.readline(HEADER_LIMIT).startswith(b"NRRD"):
            return
        fields = _text_fields(file, r"(.+?): *(.*)")
        if "sizes" not in fields:
            return
        spacing = fields.get("spacings") or fields.get("space directions") or ""
        incomplete = fields.get("dimension") == "3" and re.search(r"\bnan\b|none", spacing, re.IGNORECASE)
        if incomplete or not re.search(r"\d", spacing):
            raise InputError(
                f"{path}: the header gives no voxel spacing ('{spacing}'), so nothing can be measured in mm. Export it again "
                "with its spacing."
            )
        if unit := re.search(r'"(?!mm")(\w+)"', fields.get("space units", "")):
            raise InputError(f"{path}: the header's lengths are in {unit[1]}; only mm are read. Export it again in mm.")
        if fields.get("encoding") in ("gz", "gzip") and not {"line skip", "lineskip", "byte skip", "byteskip"} & set(fields):
            _check_data(_gunzipped_bytes, file, path, fields.get("data file") or fields.get("datafile"))


def _check_metaimage(path: Path) -> None:
    with open(path, "rb") as file:
        fields = _text_fields(file, r"(\w+) *= *(.*)", last="ElementDataFile")
        if "ElementDataFile" in fields and "ElementSpacing" not in fields and "ElementSize" not in fields:
            raise InputError(
                f"{path}: the header gives no voxel spacing (ElementSpacing), so nothing can be measured in mm. Export it "
                "again with its spacing."
            )
        if fields.get("CompressedData", "").lower() == "true":
            _check_data(_check_zlib, file, path, fields.get("ElementDataFile"))


def _text_fields(file: BinaryIO, pattern: str, last: str | None = None) -> dict[str, str]:
    """The fields of a text header, up to the field `last` or an empty line; `file` then stands at the data."""
    fields: dict[str, str] = {}
    while file.tell() < HEADER_LIMIT and (line := file.readline(HEADER_LIMIT).decode("latin-1").rstrip("\r\n")):
        if match := re.fullmatch(pattern, line):
            fields[match[1]] = match[2].strip()
            if match[1] == last:
                break
    return fields


def _check_data(check: Callable[[BinaryIO, Path], object], file: BinaryIO, path: Path, name: str | None) -> None:
    """`check` the compressed data, which follow the header in its `file`, or lie beside it in a file called `name`."""
    if name is None or name.upper() == "LOCAL":
        check(file, path)
    elif (data := path.parent / name).is_file():
        with open(data, "rb") as detached:
            check(detached, data)


def _gunzipped_bytes(file: BinaryIO, path: Path) -> int:
    """The length of what a gzip stream holds; `InputError` when it ends early or its checksum is wrong."""
    length = 0
    try:
        with gzip.GzipFile(fileobj=file) as content:
            while chunk := content.read(BLOCK):
                length += len(chunk)
    except EOFError as error:
        raise InputError(f"{path} is truncated: its compressed data ends too early. Copy or export it again.") from error
    except (OSError, zlib.error) as error:
        raise InputError(f"{path} is damaged: its compressed data is inconsistent ({error}). Copy or export it again.") from error
    return length


def _check_zlib(file: BinaryIO, path: Path) -> None:
    """`InputError` when a zlib stream ends early or its checksum is wrong."""
    decoder = zlib.decompressobj()
    try:
        while not decoder.eof and (chunk := file.read(BLOCK)):
            decoder.decompress(chunk)
    except zlib.error as error:
        raise InputError(f"{path} is damaged: its compressed data is inconsistent ({error}). Copy or export it again.") from error
    if not decoder.eof:
        raise InputError(f"{path} is truncated: its compressed data ends too early. Copy or export it again.")

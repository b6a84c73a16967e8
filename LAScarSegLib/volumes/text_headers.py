"""Checks of the two formats whose header is text and whose data may lie in another file: NRRD and MetaImage."""

import math
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import InputError
from ..support.printable import printable
from .expansion import check_stream, gunzipped, inflated, require_bytes, require_plausible_size

NRRD_LINE = r"(?!#)([^:]+): *(?!=)(.*)"
"""A field; a comment begins with #."""
HEADER_LIMIT = 1 << 22
"""The longest text header of an image: Slicer's segmentations have about 2 kB a segment."""
LONGEST_VALUE = 80
STEERING = re.compile(r"[\x00-\x08\x0a-\x1f]")
"""Control characters other than the tab."""
NRRD_BYTES = {
    **dict.fromkeys(("signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t"), 1),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), 2),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), 2),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t", "uint", "unsigned int", "uint32", "uint32_t", "float"), 4),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int", "int64", "int64_t"), 8),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t", "double"), 8),
}
NRRD_FIELDS = frozenset(
    name
    for names in (
        "content number type dimension sizes spacings thicknesses centerings centers labels units kinds min max endian encoding space".split(),
        ("block size", "axis mins", "axis maxs", "old min", "old max", "data file", "line skip", "byte skip", "sample units"),
        ("space dimension", "space units", "space origin", "space directions", "measurement frame"),
    )
    for field in names
    for name in (field, field.replace(" ", "") if not field.startswith(("space ", "measurement")) else field)
)
"""The basic fields of NRRD's definition (section 4 to 7), with their second spellings; names of keys (`key:=value`) are free."""
SKIPS = {"line skip": r"\d+", "byte skip": r"-1|\d+"}
"""What may be left out before the voxels; -1 stands for everything but the file's last bytes."""
LONGEST_FIELD = 1000
"""The reader's own messages about a field have no room for more, and end the process."""
META_BYTES = {
    **dict.fromkeys(("MET_CHAR", "MET_UCHAR"), 1), **dict.fromkeys(("MET_SHORT", "MET_USHORT"), 2),
    **dict.fromkeys(("MET_INT", "MET_UINT", "MET_FLOAT"), 4),
    **dict.fromkeys(("MET_LONG", "MET_ULONG"), 4), **dict.fromkeys(("MET_LONG_LONG", "MET_ULONG_LONG", "MET_DOUBLE"), 8),
}  # fmt: skip
"""Bytes of a voxel; of a type that isn't here, the reader itself complains."""


def check_nrrd(path: Path) -> None:
    """`InputError` for a NRRD without spacing, or whose data is cut short, damaged, or elsewhere."""
    with open(path, "rb") as file:
        if not file.readline(HEADER_LIMIT).startswith(b"NRRD"):
            raise InputError(f"{path} is damaged, or no NRRD: its content is something else. Copy or export it again.")
        # NRRD's field names don't mind their case; `key:=value` is no field.
        fields = {name.lower(): value for name, value in _fields(file, path, NRRD_LINE).items()}
        _check_names(path, fields, NRRD_FIELDS)
        if "sizes" not in fields:
            raise InputError(f"{path} is damaged: its header gives no sizes. Copy or export it again.")
        _check_nrrd_spacing(path, fields)
        _check_nrrd_skips(path, fields)
        detached = fields.get("data file", fields.get("datafile"))
        data = path if detached is None else _beside(path, detached)
        skips = bool({"line skip", "lineskip", "byte skip", "byteskip"} & set(fields))
        wanted = _voxels(fields["sizes"]) * NRRD_BYTES.get(fields.get("type", "").lower(), 1)
        encoding, start = fields.get("encoding", "").lower(), file.tell() if detached is None else 0
        _check_data(data, start, wanted, {"gz": gunzipped, "gzip": gunzipped}.get(encoding), encoding == "raw", skips)


def check_metaimage(path: Path) -> None:
    """`InputError` for a MetaImage without spacing, or whose data is cut short, damaged, or elsewhere."""
    with open(path, "rb") as file:
        fields = _fields(file, path, r"\s*(\w+)\s*[=:]\s*(.*)", last="ElementDataFile")
        _check_names(path, fields)
        if not re.fullmatch(r"[1-9]", fields.get("NDims", "3")):
            raise InputError(f"{path} is damaged: it has {_short(fields['NDims'])} dimensions. Copy or export it again.")
        if "ElementDataFile" not in fields:
            raise InputError(f"{path} is truncated or damaged, or no MetaImage: its header names no data. Copy or export it again.")
        if "ElementSpacing" not in fields and "ElementSize" not in fields:
            raise InputError(
                f"{path}: the header gives no voxel spacing (ElementSpacing), so nothing can be measured in mm. Export it "
                "again with its spacing."
            )
        local = fields["ElementDataFile"].upper() == "LOCAL"
        data = path if local else _beside(path, fields["ElementDataFile"])
        channels = _voxels(fields.get("ElementNumberOfChannels", "1"))
        wanted = _voxels(fields.get("DimSize", "")) * channels * META_BYTES.get(fields.get("ElementType", ""), 1)
        binary, skips = fields.get("BinaryData", "True").lower() != "false", fields.get("HeaderSize", "0") not in ("0", "")
        compressed = fields.get("CompressedData", "").lower() == "true"
        _check_data(data, file.tell() if local else 0, wanted, inflated if compressed else None, binary and not compressed, skips)


def _check_names(path: Path, fields: dict[str, str], known: frozenset[str] | None = None) -> None:
    for name, value in fields.items():
        if (known is not None and name not in known) or len(name) > LONGEST_VALUE or len(value) > LONGEST_FIELD:
            raise InputError(f"{path} is damaged: '{_short(name)}' in its header is no field of such a file, or too long. Copy or export it again.")


def _check_nrrd_spacing(path: Path, fields: dict[str, str]) -> None:
    spacing = fields.get("spacings") or fields.get("space directions") or ""
    incomplete = fields.get("dimension") == "3" and re.search(r"\bnan\b|none", spacing, re.IGNORECASE)
    if incomplete or not re.search(r"\d", spacing):
        raise InputError(
            f"{path}: the header gives no voxel spacing ('{_short(spacing)}'), so nothing can be measured in mm. Export it again "
            "with its spacing."
        )
    if unit := re.search(r'"(?!mm")(\w+)"', fields.get("space units", "")):
        raise InputError(f"{path}: the header's lengths are in {_short(unit[1])}; only mm are read. Export it again in mm.")


def _check_nrrd_skips(path: Path, fields: dict[str, str]) -> None:
    """The reader takes any negative number for -1, wherever the voxels are."""
    for name, pattern in SKIPS.items():
        for value in (fields[field] for field in (name, name.replace(" ", "")) if field in fields):
            if not re.fullmatch(pattern, value):
                raise InputError(
                    f"{path} is damaged: its '{name}' is {_short(value)}, so where its voxels begin is unknown. Copy or export it again."
                )


def _fields(file: BinaryIO, path: Path, pattern: str, last: str | None = None) -> dict[str, str]:
    """The fields of a text header, up to the field `last` or an empty line; `file` then stands at the data."""
    fields: dict[str, str] = {}
    for line in _lines(file, path):
        match = re.fullmatch(pattern, line)
        if match:
            fields[match[1].strip()] = match[2].strip()
            if match[1] == last:
                break
        elif last is not None:
            # What isn't understood here could name another data file there.
            raise InputError(f"{path} is damaged, or no MetaImage: its header has a line that is no field. Copy or export it again.")
    return fields


def _lines(file: BinaryIO, path: Path) -> Iterator[str]:
    while line := file.readline(HEADER_LIMIT):
        if file.tell() > HEADER_LIMIT:
            raise InputError(f"{path} is damaged: its header does not end. Copy or export it again.")
        text = line.decode("latin-1").rstrip("\r\n")
        if not text:
            return
        if STEERING.search(text):
            # Another reader might see two lines here.
            raise InputError(
                f"{path} is damaged, or another kind of file than its name says: its header holds control characters. Copy or export it again."
            )
        yield text


def _beside(path: Path, name: str) -> Path:
    """The detached data file: a plain name in the header's own folder, so that a header can't reach for other files."""
    # Headers are read byte by byte; the file system's names are UTF-8.
    name = name.encode("latin-1").decode("utf-8", "surrogateescape")
    plain = re.fullmatch(r"(\./)?[^/\\%:]+", name) and not re.match(r"LIST\b", name)
    if not plain:
        raise InputError(
            f"{path}: its data file is named '{_short(name)}'; only one file in the same folder, by its plain name, is read. Put the data "
            "beside the header and correct the name, or save the image as one file (.nrrd, .mha, .nii.gz)."
        )
    data = path.parent / name
    if not _is_file(data):
        raise InputError(
            f"{path}: its data file '{_short(name)}' is missing, or is no file. The header (.nhdr, .mhd) and its data belong together: "
            "copy both."
        )
    if not os.path.samefile(os.path.dirname(os.path.realpath(data)), path.parent):
        raise InputError(
            f"{path}: its data file '{_short(name)}' is a link to a file in another folder; only one in the same folder is read. Put the data "
            "itself beside the header."
        )
    return data


def _is_file(path: Path) -> bool:
    """Whether it is a file; a name that can't be one isn't."""
    try:
        return path.is_file()
    except OSError:
        return False


def _check_data(
    data: Path, start: int, wanted: int, chunks: Callable[[BinaryIO], Iterator[bytes]] | None, raw: bool, skips: bool
) -> None:
    """`wanted` bytes of voxels lie in `data` from `start` on: decoded by `chunks`, as they are (`raw`), or as only the reader knows.

    With `skips` they begin somewhat later.
    """
    held = data.stat().st_size - start
    if raw:
        require_bytes(data, wanted, held)
        return
    require_plausible_size(data, wanted, held)
    if chunks is not None and not skips:
        with open(data, "rb") as file:
            file.seek(start)
            check_stream(file, data, wanted, chunks)


def _voxels(numbers: str) -> int:
    """The product of whole numbers; 0 where the reader itself complains."""
    return math.prod(map(int, numbers.split())) if re.fullmatch(r"\s*\d+(\s+\d+)*\s*", numbers) else 0


def _short(text: str) -> str:
    return printable(text, longest=LONGEST_VALUE)

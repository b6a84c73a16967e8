"""Label files with the names of what they hold: Slicer's `.seg.nrrd` by segment, in one layer or several; DICOM SEG is told apart."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .file_checks import check_file, quiet_itk
from .files import read_header, read_volume
from .volume import Geometry, Volume

NRRD = (".nrrd", ".nhdr")
SEGMENT_KEY = re.compile(r"Segment(\d+)_(Name|LabelValue|Layer|ID)")
"""Slicer's keys in the header of a `.seg.nrrd` (vtkMRMLSegmentationStorageNode)."""
DICOM_MAGIC_END = 132
"""A DICOM file begins with 128 bytes and `DICM` (PS3.10)."""
SEG_CLASS = re.compile(rb"(\x02\x00\x02\x00|\x08\x00\x16\x00)UI\x1c\x001\.2\.840\.10008\.5\.1\.4\.1\.1\.66\.4", re.DOTALL)
"""Segmentation Storage (PS3.4) as the file's class: tags (0002,0002) and (0008,0016)."""
HEAD_BYTES = 4096
"""Both stand at the file's beginning."""
SEGMENT_LABEL = re.compile(rb"\x62\x00\x05\x00LO(..)", re.DOTALL)
"""Tag (0062,0005) Segment Label in explicit little endian, the usual way to write it; its length follows."""


@dataclass(frozen=True)
class Segment:
    """One segment of a file: its `name`, and where it is: the voxels of value `label` in one `layer`."""

    name: str
    label: int
    layer: int = 0


@dataclass(frozen=True, eq=False)
class SegmentedFile:
    """A file of labels: `layers` on one grid, more than one where segments overlap; `segments` is empty where the file names none."""

    layers: tuple[Volume, ...]
    segments: tuple[Segment, ...] = ()

    @property
    def filled(self) -> tuple[Segment, ...]:
        """The segments that hold any voxel."""
        return tuple(segment for segment in self.segments if self.voxels(segment).any())

    def voxels(self, segment: Segment) -> np.ndarray:
        """(k, j, i) bool: the segment's voxels; they may overlap another's."""
        return self.layers[segment.layer].array == segment.label

    def together(self, segments: Sequence[Segment]) -> Volume:
        """The voxels of any of the segments, as a bool volume with the file's remarks."""
        array = np.zeros(self.layers[0].array.shape, dtype=bool)
        for segment in segments:
            array |= self.voxels(segment)
        return Volume(array, self.layers[0].geometry, self.layers[0].flags)


def read_labels(path: str | Path) -> SegmentedFile:
    """A label file and the names of its segments, if it has any.

    Raises
    ------
    InputError
        as `files.read_volume`; a DICOM segmentation, naming its segments and the way to a file that can be read.
    """
    path = Path(path)
    if path.exists():
        _refuse_dicom_segmentation(path)
    if not path.is_file() or not path.name.lower().endswith(NRRD) or path.stat().st_size == 0:
        return SegmentedFile((read_volume(path),))
    # Before ITK sees the header: some damage to it ends the process.
    check_file(path)
    segments = _segments(path)
    if not segments or max(segment.layer for segment in segments) == 0:
        return SegmentedFile((read_volume(path),), segments)
    return SegmentedFile(_read_layers(path, segments), segments)


def _segments(path: Path) -> tuple[Segment, ...]:
    """What the header names; nothing for a header that can't be read."""
    header = read_header(path)
    if header is None:
        return ()
    found: dict[int, dict[str, str]] = {}
    for key in header.GetMetaDataKeys():
        if match := SEGMENT_KEY.fullmatch(key):
            found.setdefault(int(match[1]), {})[match[2]] = header.GetMetaData(key)
    try:
        return tuple(_segment(number, found[number]) for number in sorted(found))
    except ValueError as error:
        raise InputError(f"{path}: the header's segments can't be understood ({error}). Save the segmentation again in Slicer.") from error


def _segment(number: int, fields: dict[str, str]) -> Segment:
    # Before Slicer 4.11 every segment was a layer of its own, with the value 1.
    layer = int(fields["Layer"]) if "Layer" in fields else number
    return Segment(fields.get("Name") or fields.get("ID") or f"segment {number + 1}", int(fields.get("LabelValue", "1")), layer)


def _read_layers(path: Path, segments: tuple[Segment, ...]) -> tuple[Volume, ...]:
    """The layers of a segmentation whose segments overlap: ITK reads them as the components of a vector image."""
    with quiet_itk():
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError as error:
            raise InputError(f"{path} can't be read. It may be truncated or damaged: copy it, or save it again in Slicer.") from error
    layers, wanted = image.GetNumberOfComponentsPerPixel(), 1 + max(segment.layer for segment in segments)
    if image.GetDimension() != 3 or layers < wanted:
        raise InputError(
            f"{path}: its header names {wanted} layers of segments, the data has {layers}. Save the segmentation again in Slicer."
        )
    array = sitk.GetArrayFromImage(image)
    geometry = Geometry(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    return tuple(Volume(np.ascontiguousarray(array[..., layer]), geometry) for layer in range(layers))


def _refuse_dicom_segmentation(path: Path) -> None:
    """ITK would read the frames of a DICOM SEG as if they were slices of one stack."""
    files = [path] if path.is_file() else sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    if len(files) != 1 or not _is_dicom(files[0]):
        return
    content = files[0].read_bytes()
    if not SEG_CLASS.search(content[:HEAD_BYTES]):
        return
    lengths = [(match.end(), int.from_bytes(match[1], "little")) for match in SEGMENT_LABEL.finditer(content)]
    names = ", ".join(f"'{content[start : start + length].decode('utf-8', 'replace').strip(chr(0) + ' ')}'" for start, length in lengths)
    raise InputError(
        f"{path} is a DICOM segmentation (segments: {names or 'not named'}), which is not read directly. Load it in Slicer (extension "
        "QuantitativeReporting), save the segmentation as .seg.nrrd, and give that file."
    )


def _is_dicom(file: Path) -> bool:
    with open(file, "rb") as content:
        return content.read(DICOM_MAGIC_END)[-4:] == b"DICM"

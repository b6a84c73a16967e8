"""Where each frame of a DICOM file lies and how its grey levels are meant: one frame in a classic file, many in a multi-frame file.

A multi-frame file says so for each frame (or once for all) in its functional groups (PS3.3, C.7.6.16); a classic file in itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset

from ..errors import InputError
from ..support.printable import LONGEST
from .dicom_headers import UNREADABLE, word_of

PIXEL_SPACING = ("PixelMeasuresSequence", "PixelSpacing", "Pixel Spacing (0028,0030)", 2)
ORIENTATION = ("PlaneOrientationSequence", "ImageOrientationPatient", "Image Orientation (Patient) (0020,0037)", 6)
POSITION = ("PlanePositionSequence", "ImagePositionPatient", "Image Position (Patient) (0020,0032)", 3)
"""Functional group, keyword, how it is called, how many numbers."""
CONSEQUENCE = {
    "PixelSpacing": "the size of its pixels is unknown and nothing can be measured in mm",
    "ImageOrientationPatient": "how its slices lie in the patient is unknown",
    "ImagePositionPatient": "where its slices lie, and how far apart, is unknown",
}
GREY = {"MONOCHROME1", "MONOCHROME2", ""}
"""Photometric interpretations whose values are grey levels; the first is displayed inverted, which changes no value."""
SECONDARY_CAPTURE, SCANNED_SPACING = "1.2.840.10008.5.1.4.1.1.7", "NominalScannedPixelSpacing"
"""A secondary capture has no Pixel Spacing in the standard; ITK writes the size of its pixels there, beside orientation and position."""
NOT_PERPENDICULAR = 1e-2
"""Row and column cosines that are rounded to two decimals reach this; beyond, or at another length, they are no axes."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One slice: `index` in its `file`; `spacing` (along i, j) and `position` in mm LPS; `axes` (3, 2) the directions of i and j.

    `kind` is its image type, `told_spacing_mm` and `thickness_mm` what the header says of the slices' distance and thickness, `number` its place
    in the series as numbered there. `real_world` are slope and intercept to a unit of the real world, beside those of the grey levels.
    """

    file: Path
    index: int
    count: int
    size: tuple[int, int]
    spacing: tuple[float, float]
    position: np.ndarray
    axes: np.ndarray
    slope: float
    intercept: float
    kind: tuple[str, ...]
    told_spacing_mm: float | None
    thickness_mm: float | None
    number: int | None
    real_world: tuple[float, float] | None

    @property
    def name(self) -> str:
        """The file's name, and in a file of several which frame."""
        return self.file.name if self.count == 1 else f"{self.file.name} frame {self.index + 1}"


class _Groups:
    """What a file says of one frame: the frame's own groups first, then those of all, then the file itself."""

    def __init__(self, file: Path, data: Dataset, own: Dataset | None, shared: Dataset | None) -> None:
        self.file, self.data, self.groups = file, data, [group for group in (own, shared) if group is not None]

    def dataset(self, sequence: str, keyword: str) -> Dataset:
        """The first that holds `keyword`; an empty one if none does."""
        for group in self.groups:
            items = group.get(sequence)
            if items and keyword in items[0]:
                return items[0]
        # A multi-frame file's own position is that of one frame only, which would be taken for all.
        alone = not self.groups or keyword != "ImagePositionPatient"
        return self.data if alone and keyword in self.data else Dataset()

    def numbers(self, where: tuple[str, str, str, int]) -> np.ndarray:
        """Finite numbers that must be there."""
        sequence, keyword, name, count = where
        value = self.dataset(sequence, keyword).get(keyword)
        if value is None and keyword == "PixelSpacing" and self.data.get("SOPClassUID") == SECONDARY_CAPTURE:
            value = self.data.get(SCANNED_SPACING)
        if value is None or value == "" or value == []:
            raise InputError(
                f"{self.file} has no {name}: {CONSEQUENCE[keyword]}. Export the series again from the scanner or PACS, without an "
                "anonymiser that drops it."
            )
        numbers = np.array(value, dtype=float).reshape(-1)
        if numbers.size != count or not np.isfinite(numbers).all():
            shown = "\\".join(f"{number:g}" for number in numbers)
            raise InputError(f"{self.file}: its {name} is '{shown}', not {count} numbers. Export it again.")
        return numbers

    def number(self, sequence: str, keyword: str) -> float | None:
        """A finite number that may be missing."""
        value = self.dataset(sequence, keyword).get(keyword)
        if value is None or value == "":
            return None
        number = float(value)
        return number if np.isfinite(number) else None


def frames_of(file: Path, data: Dataset) -> list[Frame]:
    """The frames of one file in their stored order.

    Raises
    ------
    InputError
        a colour image; pixel spacing, orientation or position is missing or no number (the tag is named).
    """
    try:
        return list(_frames(file, data))
    except UNREADABLE as error:
        raise InputError(f"The DICOM file {file} has a header that can't be read ({type(error).__name__}). Export it again.") from error


def _frames(file: Path, data: Dataset) -> Iterator[Frame]:
    if int(data.get("SamplesPerPixel", 1) or 1) != 1 or word_of(data, "PhotometricInterpretation") not in GREY:
        raise InputError(f"{file} is a colour image; a scalar image is needed.")
    size, count = (int(data.get("Columns", 0)), int(data.get("Rows", 0))), int(data.get("NumberOfFrames", 1) or 1)
    if min(*size, count) < 1:
        raise InputError(f"{file} is damaged: its header says {size[0]} columns, {size[1]} rows and {count} frames. Export it again.")
    shared = _first(data.get("SharedFunctionalGroupsSequence"))
    own = data.get("PerFrameFunctionalGroupsSequence") or []
    if count > 1 and (own or shared is not None) and len(own) != count:
        raise InputError(f"{file} has {count} frames and says where {len(own)} of them lie. Export it again.")
    for index in range(count):
        yield _frame(_Groups(file, data, own[index] if index < len(own) else None, shared), index, count, size)


def _frame(groups: _Groups, index: int, count: int, size: tuple[int, int]) -> Frame:
    rows_mm, columns_mm = groups.numbers(PIXEL_SPACING).tolist()
    if min(rows_mm, columns_mm) <= 0:
        raise InputError(f"{groups.file}: its {PIXEL_SPACING[2]} is {rows_mm:g} × {columns_mm:g} mm; it must be positive. Export it again.")
    axes = groups.numbers(ORIENTATION).reshape(2, 3).T
    lengths = np.linalg.norm(axes, axis=0)
    if np.abs(lengths - 1).max() > NOT_PERPENDICULAR or abs(axes[:, 0] @ axes[:, 1]) > NOT_PERPENDICULAR:
        raise InputError(f"{groups.file}: its {ORIENTATION[2]} is {axes.T.ravel().tolist()}, no two perpendicular directions. Export it again.")
    # The nearest perpendicular ones: cosines are often rounded to a few decimals.
    left, _, right = np.linalg.svd(axes, full_matrices=False)
    axes = left @ right
    return Frame(
        file=groups.file, index=index, count=count, size=size, spacing=(columns_mm, rows_mm),
        position=_position(groups, index, count, axes), axes=axes,
        slope=_or(groups.number("PixelValueTransformationSequence", "RescaleSlope"), 1.0),
        intercept=_or(groups.number("PixelValueTransformationSequence", "RescaleIntercept"), 0.0),
        kind=_kind(groups),
        told_spacing_mm=groups.number("PixelMeasuresSequence", "SpacingBetweenSlices"),
        thickness_mm=groups.number("PixelMeasuresSequence", "SliceThickness"),
        number=_number(groups, count),
        real_world=_real_world(groups),
    )  # fmt: skip


def _position(groups: _Groups, index: int, count: int, axes: np.ndarray) -> np.ndarray:
    """The frame's own position; in a multi-frame secondary capture without groups, the first frame's and the offsets that it gives."""
    position = groups.numbers(POSITION)
    offsets = groups.data.get("GridFrameOffsetVector")
    if count == 1 or groups.groups:
        return position
    if offsets is None or len(offsets) != count:
        raise InputError(
            f"{groups.file} has {count} frames, but says where the first lies only (a secondary capture?): the distance of its slices is "
            "unknown and nothing can be measured in mm. Export the original series from the scanner or PACS."
        )
    return position + (float(offsets[index]) - float(offsets[0])) * np.cross(axes[:, 0], axes[:, 1])


def _number(groups: _Groups, count: int) -> int | None:
    """A multi-frame file numbers the places of its stack; a classic series its files, those of other phases or echoes among them."""
    try:
        return int(groups.number("FrameContentSequence", "InStackPositionNumber") if count > 1 else groups.data.get("InstanceNumber"))
    except (ValueError, TypeError):
        # Nothing depends on it but a remark.
        return None


def _real_world(groups: _Groups) -> tuple[float, float] | None:
    """Slope and intercept of the first real-world value mapping (PS3.3, C.7.6.16.2.11) that has them."""
    for group in (*groups.groups, groups.data):
        for mapping in group.get("RealWorldValueMappingSequence") or ():
            slope, intercept = mapping.get("RealWorldValueSlope"), mapping.get("RealWorldValueIntercept")
            if slope is not None and np.isfinite(float(slope)):
                return float(slope), _or(None if intercept is None else float(intercept), 0.0)
    return None


def _kind(groups: _Groups) -> tuple[str, ...]:
    """The frame's type: magnitude (M), real part (R), phase (P), projection (MIP), as the vendor writes it."""
    words = [_type_of(groups, "FrameType") or word_of(groups.data, "ImageType", LONGEST), _type_of(groups, "ComplexImageComponent")]
    words.append(_type_of(groups, "VolumeBasedCalculationTechnique"))
    return tuple(part.strip().upper() for word in words for part in word.split("\\") if part.strip())


def _type_of(groups: _Groups, keyword: str) -> str:
    return word_of(groups.dataset("MRImageFrameTypeSequence", keyword), keyword, LONGEST)


def _first(sequence: Sequence[Dataset] | None) -> Dataset | None:
    return sequence[0] if sequence else None


def _or(number: float | None, default: float) -> float:
    return default if number is None else number

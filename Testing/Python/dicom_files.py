"""Writes small DICOM series as a scanner would export them, with whatever is to be wrong about them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import ExplicitVRLittleEndian

from LAScarSegLib.volumes.volume import Geometry, Volume

MODALITY, DESCRIPTION, SERIES, STUDY, INSTANCE, NUMBER = "0008|0060", "0008|103e", "0020|000e", "0020|000d", "0008|0018", "0020|0013"
POSITION, ORIENTATION, THICKNESS = "0020|0032", "0020|0037", "0018|0050"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
PIXEL_DATA = struct.pack("<2H", 0x7FE0, 0x0010)


def write_series(
    folder: Path,
    volume: Volume,
    *,
    series: str = "1.2.3",
    name: Callable[[int], str] = "{:03}.dcm".format,
    slices: Iterable[int] | None = None,
    tags: Callable[[int], dict[str, str]] = lambda _: {},
) -> Path:
    """One file per slice. `name` and `tags` (which win over the geometry's own) by slice number; `slices` which to write."""
    folder.mkdir(parents=True, exist_ok=True)
    geometry, image = volume.geometry, volume.to_sitk()
    cosines = "\\".join(f"{x:.12f}" for x in geometry.rotation[:, :2].T.ravel())
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetImageIO("GDCMImageIO")
    for k in range(geometry.size[2]) if slices is None else slices:
        position = "\\".join(f"{x:.9f}" for x in image.TransformIndexToPhysicalPoint((0, 0, k)))
        values = {
            MODALITY: "MR",
            DESCRIPTION: "LGE",
            SERIES: series,
            STUDY: "1.2",
            INSTANCE: f"{series}.{k + 1}",
            NUMBER: str(k + 1),
            ORIENTATION: cosines,
            POSITION: position,
            THICKNESS: str(geometry.spacing[2]),
        }
        one = image[:, :, k]
        for key, value in (values | tags(k)).items():
            one.SetMetaData(key, value)
        writer.SetFileName(str(folder / name(k)))
        writer.Execute(one)
    return folder


def add_rescaling(file: Path, slope: float, intercept: float) -> None:
    """Put Rescale Intercept and Slope into a file of `write_series` (implicit VR; ITK can't write them for integers)."""
    content = file.read_bytes()
    values = [(0x1052, f"{intercept:g}"), (0x1053, f"{slope:g}")]
    padded = [(element, text.ljust(len(text) + len(text) % 2).encode()) for element, text in values]
    added = b"".join(struct.pack("<2HI", 0x0028, element, len(text)) + text for element, text in padded)
    start = content.index(PIXEL_DATA)
    # GDCM's writer may have put a rescaling by 1 there, which are the last elements before the pixels.
    old = content.find(struct.pack("<2H", 0x0028, 0x1052), 0, start)
    file.write_bytes(content[: start if old < 0 else old] + added + content[start:])


def edit(folder: Path, change: Callable[[Dataset, int], object]) -> Path:
    """`change(data, n)` the n-th file of a folder, by name; elements as pydicom names them."""
    for n, file in enumerate(sorted(folder.iterdir())):
        data = pydicom.dcmread(file)
        change(data, n)
        data.save_as(file, enforce_file_format=True)
    return folder


def without(keyword: str) -> Callable[[Dataset, int], object]:
    """A change that drops an element."""
    return lambda data, _: data.__delattr__(keyword)


@dataclass(frozen=True)
class StoredFrame:
    """One frame of `write_enhanced`: slice `k` of the volume, stored as `values`, which stand for values · slope + intercept."""

    k: int
    values: np.ndarray
    slope: float = 1.0
    intercept: float = 0.0
    kind: str = "ORIGINAL\\PRIMARY\\M\\NONE"


def frames_of(volume: Volume) -> list[StoredFrame]:
    return [StoredFrame(k, plane) for k, plane in enumerate(volume.array)]


def write_enhanced(
    file: Path, volume: Volume, frames: Sequence[StoredFrame], *, series: str = "1.2.3", change: Callable[[Dataset], object] = lambda _: None
) -> Path:
    """An Enhanced MR image with a functional group for each frame, in the order given; returns its folder."""
    file.parent.mkdir(parents=True, exist_ok=True)
    data = minimal(ENHANCED_MR, series)
    geometry = volume.geometry
    data.NumberOfFrames, (data.Rows, data.Columns) = len(frames), frames[0].values.shape
    shared = Dataset()
    measures = item(PixelSpacing=[geometry.spacing[1], geometry.spacing[0]], SliceThickness=geometry.spacing[2])
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([item(ImageOrientationPatient=[f"{x:.12f}" for x in geometry.rotation[:, :2].T.ravel()])])
    data.SharedFunctionalGroupsSequence = Items([shared])
    data.PerFrameFunctionalGroupsSequence = Items([_own(frame, geometry) for frame in frames])
    data.PixelData = np.stack([frame.values for frame in frames]).astype(np.uint16).tobytes()
    change(data)
    data.save_as(file, enforce_file_format=True)
    return file.parent


def _own(frame: StoredFrame, geometry: Geometry) -> Dataset:
    own = Dataset()
    position = geometry.index_to_lps(np.array([[0, 0, frame.k]]))[0]
    own.PlanePositionSequence = Items([item(ImagePositionPatient=[f"{x:.9f}" for x in position])])
    own.PixelValueTransformationSequence = Items([item(RescaleSlope=frame.slope, RescaleIntercept=frame.intercept, RescaleType="US")])
    own.MRImageFrameTypeSequence = Items([item(FrameType=frame.kind)])
    return own


def minimal(sop_class: str, series: str, **elements: object) -> Dataset:
    """A DICOM object of a class, with 16-bit grey pixels to be filled in unless it has none."""
    data = item(SOPClassUID=sop_class, SOPInstanceUID=pydicom.uid.generate_uid(), SeriesInstanceUID=series, StudyInstanceUID="1.2", Modality="MR")
    for keyword, value in {"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
                           "HighBit": 15, "PixelRepresentation": 0}.items():  # fmt: skip
        setattr(data, keyword, value)
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = sop_class, data.SOPInstanceUID
    return data


def item(**elements: object) -> Dataset:
    data = Dataset()
    for keyword, value in elements.items():
        setattr(data, keyword, value)
    return data

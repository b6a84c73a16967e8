"""Writes small DICOM series as a scanner would export them, with whatever is to be wrong about them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

import SimpleITK as sitk

from LAScarSegLib.volumes.volume import Volume

MODALITY, DESCRIPTION, SERIES, STUDY, INSTANCE, NUMBER = "0008|0060", "0008|103e", "0020|000e", "0020|000d", "0008|0018", "0020|0013"
POSITION, ORIENTATION, THICKNESS = "0020|0032", "0020|0037", "0018|0050"
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

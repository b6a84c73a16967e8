"""Files that people keep masks in, written as the programs that make them do, byte by byte where a library would tidy up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from LAScarSegLib.volumes.volume import Box, Geometry, Volume


def write_segments(path: Path, layers: Sequence[np.ndarray], geometry: Geometry, segments: Sequence[dict[str, object]]) -> Path:
    """A Slicer `.seg.nrrd`: `layers` of labels (k, j, i); `segments` hold Name, LabelValue, Layer as far as that Slicer wrote them."""
    vectors = [geometry.rotation[:, axis] * geometry.spacing[axis] for axis in range(3)]
    words = [f"({','.join(repr(float(v)) for v in vector)})" for vector in vectors]
    several = len(layers) > 1
    sizes = ([len(layers)] if several else []) + list(geometry.size)
    lines = [
        "NRRD0004", "type: unsigned char", f"dimension: {len(sizes)}", "space: left-posterior-superior", f"sizes: {' '.join(map(str, sizes))}",
        f"space directions: {'none ' if several else ''}{' '.join(words)}", f"kinds: {'list ' if several else ''}domain domain domain",
        "encoding: raw", f"space origin: ({','.join(repr(float(v)) for v in geometry.origin)})",
        *(f"Segment{n}_{key}:={value}" for n, segment in enumerate(segments) for key, value in segment.items()),
    ]  # fmt: skip
    data = np.stack(layers, axis=-1) if several else layers[0]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + np.ascontiguousarray(data, dtype=np.uint8).tobytes())
    return path


def cropped(labels: Volume) -> Volume:
    """Without the empty border, as Slicer saves what has a minimum extent."""
    return labels.crop(Box.around(labels.array, 0.0, labels.geometry.spacing_kji))


def write_dicom_segmentation(path: Path, names: Sequence[str]) -> Path:
    """What is looked at of a DICOM SEG: its class, and the names of its segments."""

    def element(group: int, number: int, kind: bytes, text: str) -> bytes:
        value = text.encode() + b" " * (len(text.encode()) % 2)
        return group.to_bytes(2, "little") + number.to_bytes(2, "little") + kind + len(value).to_bytes(2, "little") + value

    head = element(0x0008, 0x0016, b"UI", "1.2.840.10008.5.1.4.1.1.66.4")
    path.write_bytes(bytes(128) + b"DICM" + head + b"".join(element(0x0062, 0x0005, b"LO", name) for name in names))
    return path


def write_ball_mesh(path: Path, centre: Sequence[float], radius_mm: float, comment: str = "", is_open: bool = False) -> Path:
    """A ball as STL, PLY, legacy VTK or VTP; `comment` is the head's, as Slicer writes `SPACE=LPS` there."""
    from vtkmodules.vtkFiltersSources import vtkSphereSource
    from vtkmodules.vtkIOGeometry import vtkSTLWriter
    from vtkmodules.vtkIOLegacy import vtkPolyDataWriter
    from vtkmodules.vtkIOPLY import vtkPLYWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

    ball = vtkSphereSource()
    ball.SetCenter(*map(float, centre))
    ball.SetRadius(radius_mm)
    ball.SetThetaResolution(90)
    ball.SetPhiResolution(60)
    if is_open:
        ball.SetEndPhi(150.0)
    writer = {".stl": vtkSTLWriter, ".ply": vtkPLYWriter, ".vtk": vtkPolyDataWriter, ".vtp": vtkXMLPolyDataWriter}[path.suffix]()
    if comment and path.suffix in (".stl", ".vtk"):
        writer.SetHeader(comment)
    if comment and path.suffix == ".ply":
        writer.AddComment(comment)
    writer.SetFileName(os.fspath(path))
    writer.SetInputConnection(ball.GetOutputPort())
    writer.Write()
    return path

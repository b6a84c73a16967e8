"""What ITK doesn't tell of a NIfTI-1 header: its two orientations, its two voxel sizes, and how long the file must be."""

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag

ORIENTATION_TOLERANCE_MM = 0.1
"""qform and sform that agree to this at every corner describe the same place."""
SPACING_TOLERANCE = 0.01
"""Voxel sizes that agree to this share are the same (float32 rounding is far below, a wrong size far above)."""
HEADER_BYTES, NIFTI2_HEADER_BYTES = 348, 540


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """`qform` and `sform` are 3×4 matrices from (i, j, k, 1) to RAS mm, None where their code is 0; `spacing` is pixdim in mm;
    `file_bytes` is what the uncompressed file must have at least."""

    qform: np.ndarray | None
    sform: np.ndarray | None
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    file_bytes: int

    def flags(self) -> tuple[QualityFlag, ...]:
        """What the header leaves out, or contradicts itself in."""
        if self.qform is None and self.sform is None:
            message = (
                "The NIfTI header gives no orientation (qform and sform codes are 0): left and right, front and back of the maps, "
                "and where masks and planes lie, are a guess. Export the image again with its orientation."
            )
            return (QualityFlag("nifti_without_orientation", message),)
        return (*self._orientation_flags(), *self._spacing_flags())

    def _orientation_flags(self) -> tuple[QualityFlag, ...]:
        if self.qform is None or self.sform is None:
            return ()
        last = np.array(self.size) - 1
        corners = np.array([[i, j, k, 1] for i in (0, last[0]) for j in (0, last[1]) for k in (0, last[2])], dtype=float)
        distance = float(np.linalg.norm(corners @ (self.qform - self.sform).T, axis=1).max())
        if distance <= ORIENTATION_TOLERANCE_MM:
            return ()
        message = (
            f"The NIfTI header gives two orientations, qform and sform, that differ by up to {distance:.1f} mm; "
            "other programs may place this image elsewhere. Check left and right, or export it again."
        )
        return (QualityFlag("nifti_qform_sform_disagree", message),)

    def _spacing_flags(self) -> tuple[QualityFlag, ...]:
        if self.sform is None:
            return ()
        sizes = np.linalg.norm(self.sform[:, :3], axis=0)
        if np.allclose(sizes, self.spacing, rtol=SPACING_TOLERANCE):
            return ()
        used, other = (" × ".join(f"{s:.4g}" for s in spacing) for spacing in (self.spacing, sizes))
        message = (
            f"The NIfTI header gives two voxel sizes, {used} mm (pixdim, used here) and {other} mm (sform); if the second is right, "
            "every length, area and volume is wrong. Export the image again."
        )
        return (QualityFlag("nifti_spacing_disagrees", message),)


def read_nifti_header(path: Path) -> NiftiHeader:
    """The header of a single-file NIfTI-1.

    Raises
    ------
    InputError
        another kind of file; a spacing that is not positive or a matrix that is singular: ITK would silently take others.
    """
    raw = _first_bytes(path)
    order = "<" if raw[:4] == struct.pack("<i", HEADER_BYTES) else ">"
    dimensions = struct.unpack(order + "8h", raw[40:56])
    size = tuple(max(1, n) for n in dimensions[1:4])
    qfac, *spacing = struct.unpack(order + "4f", raw[76:92])
    if not all(np.isfinite(s) and s > 0 for s in spacing[: max(0, dimensions[0])]):
        raise InputError(
            f"{path}: the header's voxel spacing is {tuple(spacing)} mm; every spacing must be a positive number. Correct the header."
        )
    qform_code, sform_code = struct.unpack(order + "2h", raw[252:256])
    b, c, d, *offset = struct.unpack(order + "6f", raw[256:280])
    sform = np.array(struct.unpack(order + "12f", raw[280:328])).reshape(3, 4) if sform_code > 0 else None
    if sform is not None and (not np.isfinite(sform).all() or abs(np.linalg.det(sform[:, :3])) < 1e-9):
        raise InputError(
            f"{path}: the header's sform matrix is singular or not finite, so the direction of its axes is undefined. Correct the header."
        )
    qform = _qform_matrix(b, c, d, -1.0 if qfac < 0 else 1.0, spacing, offset) if qform_code > 0 else None
    bits, offset_bytes = struct.unpack(order + "h", raw[72:74])[0], struct.unpack(order + "f", raw[108:112])[0]
    voxels = int(np.prod([max(1, n) for n in dimensions[1 : dimensions[0] + 1]], dtype=np.int64))
    return NiftiHeader(qform, sform, size, tuple(spacing), int(offset_bytes) + voxels * bits // 8)


def _first_bytes(path: Path) -> bytes:
    """The 348 bytes of a NIfTI-1 header; `InputError` says what the file is instead."""
    try:
        with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
            raw = file.read(HEADER_BYTES)
    except gzip.BadGzipFile as error:
        raise InputError(f"{path} is not compressed, as its name says. Rename it to .nii if it is an image, or export it again.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} can't be read: {error}. The file may be truncated or damaged: copy or export it again.") from error
    start = {struct.unpack(order + "i", raw[:4].ljust(4, b"\0"))[0] for order in "<>"}
    if len(raw) == HEADER_BYTES and HEADER_BYTES in start:
        return raw
    if NIFTI2_HEADER_BYTES in start:
        raise InputError(f"{path} is a NIfTI-2 file, which ITK and Slicer don't read. Save it as NIfTI-1 or NRRD.")
    raise InputError(f"{path} is not a NIfTI image: its content is something else, or damaged. Copy or export it again.")


def _qform_matrix(b: float, c: float, d: float, qfac: float, spacing: list[float], offset: list[float]) -> np.ndarray:
    """NIfTI-1 method 2: a unit quaternion (a, b, c, d), the handedness `qfac`, spacing and offset in mm."""
    a = np.sqrt(max(0.0, 1.0 - b * b - c * c - d * d))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scaled = rotation * np.array([spacing[0], spacing[1], qfac * spacing[2]])
    return np.column_stack([scaled, offset])

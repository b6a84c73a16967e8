"""What ITK doesn't tell of a NIfTI-1 header: its two orientations, its two voxel sizes, and how long the file must be."""

import gzip
import math
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
LFS_POINTER = b"version https://git-lfs.github.com/spec"
GZIP_MAGIC = b"\x1f\x8b"
VOXEL_BYTES = {2: 1, 4: 2, 8: 4, 16: 4, 32: 8, 64: 8, 128: 3, 256: 1, 512: 2, 768: 4, 1024: 8, 1280: 8, 1536: 16, 1792: 16, 2048: 32}
"""Bytes of a voxel by the header's datatype (nifti1.h); of another, ITK itself complains."""
FLOAT_TYPES = {16: "f4", 64: "f8"}
MOST_DIMENSIONS = 7
SMALLEST_SLOPE = float(np.finfo(np.float64).eps)
"""ITK takes a smaller scl_slope for none."""
UNIT_TOLERANCE = 1e-3
"""b² + c² + d² of a quaternion may be this much above 1 when its numbers were rounded; more is no rotation."""


@dataclass(frozen=True, eq=False)
class NiftiHeader:
    """`qform` and `sform` are 3×4 matrices from (i, j, k, 1) to RAS mm, None where their code is 0; `spacing` is pixdim in mm.

    `file_bytes` is what the uncompressed file must have at least, its voxels beginning at byte `voxels_from`. `float_type` is NumPy's
    name of the voxel's type, None for integers, `order` its byte order.
    """

    qform: np.ndarray | None
    sform: np.ndarray | None
    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    file_bytes: int
    voxels_from: int
    float_type: str | None
    order: str

    @property
    def shear(self) -> float:
        """The largest cosine between two of the axes that are used when there is an sform only; 0 else."""
        if self.sform is None or self.qform is not None:
            return 0.0
        axes = self.sform[:, :3] / np.linalg.norm(self.sform[:, :3], axis=0)
        return float(np.abs(axes.T @ axes - np.eye(3)).max())

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
    if not 1 <= dimensions[0] <= MOST_DIMENSIONS or min(dimensions[1 : dimensions[0] + 1]) < 1:
        raise InputError(f"{path} can't be read: its header's dimensions are {dimensions}. It may be damaged: copy or export it again.")
    size = tuple(max(1, n) for n in dimensions[1:4])
    qfac, *spacing = struct.unpack(order + "4f", raw[76:92])
    if not all(np.isfinite(s) and s > 0 for s in spacing[: dimensions[0]]):
        raise InputError(
            f"{path}: the header's voxel spacing is {tuple(spacing)} mm; every spacing must be a positive number. Correct the header."
        )
    datatype, bits = struct.unpack(order + "2h", raw[70:74])
    start = _voxels_from(path, *struct.unpack(order + "3f", raw[108:120]))
    voxels = math.prod(dimensions[1 : dimensions[0] + 1])
    file_bytes = start + voxels * VOXEL_BYTES.get(datatype, max(0, bits) // 8)
    qform, sform = _orientations(path, raw, order, -1.0 if qfac < 0 else 1.0, spacing)
    return NiftiHeader(qform, sform, size, tuple(spacing), file_bytes, start, FLOAT_TYPES.get(datatype), order)


def _voxels_from(path: Path, offset: float, slope: float, intercept: float) -> int:
    """Where the voxels begin; `InputError` for an offset or a rescaling that is no number or half of one (NaN for the slope is none, by custom)."""
    if not np.isfinite(offset) or offset < 0:
        raise InputError(f"{path} can't be read: its voxels begin at byte {offset:g} (vox_offset). The header is damaged: export it again.")
    if np.isinf(slope) or (np.isfinite(slope) and slope != 0 and not np.isfinite(intercept)):
        raise InputError(f"{path}: its grey levels are rescaled by {slope:g} and {intercept:g}, which are no numbers. Correct the header.")
    if not abs(slope) >= SMALLEST_SLOPE and intercept != 0 and not np.isnan(intercept):
        # The standard then has no rescaling at all; ITK, and so Slicer, adds the intercept.
        raise InputError(
            f"{path}: the header says that its grey levels are not rescaled (scl_slope {slope:g}) and gives an offset for them (scl_inter "
            f"{intercept:g}), which some programs add and others don't. Set scl_inter to 0 if the stored grey levels are meant, else scl_slope "
            "to 1."
        )
    return max(int(offset), HEADER_BYTES)


def _orientations(path: Path, raw: bytes, order: str, qfac: float, spacing: list[float]) -> tuple[np.ndarray | None, np.ndarray | None]:
    """qform and sform, None where their code is 0; `InputError` where one is no rotation, or singular."""
    qform_code, sform_code = struct.unpack(order + "2h", raw[252:256])
    b, c, d, *offset = struct.unpack(order + "6f", raw[256:280])
    sform = np.array(struct.unpack(order + "12f", raw[280:328])).reshape(3, 4) if sform_code > 0 else None
    if sform is not None and (not np.isfinite(sform).all() or abs(np.linalg.det(sform[:, :3])) < 1e-9):
        raise InputError(
            f"{path}: the header's sform matrix is singular or not finite, so the direction of its axes is undefined. Correct the header."
        )
    if qform_code <= 0:
        return None, sform
    length = b * b + c * c + d * d
    if not np.isfinite([length, *offset]).all() or length > 1 + UNIT_TOLERANCE:
        raise InputError(
            f"{path}: the header's qform is no rotation (quaternion {b:g}, {c:g}, {d:g}; offset {', '.join(f'{x:g}' for x in offset)}), so where the "
            "image lies is undefined. Correct the header."
        )
    if length > 1:
        b, c, d = (number / math.sqrt(length) for number in (b, c, d))
    return _qform_matrix(b, c, d, qfac, spacing, offset), sform


def _first_bytes(path: Path) -> bytes:
    """The 348 bytes of a NIfTI-1 header; `InputError` says what the file is instead."""
    with open(path, "rb") as file:
        start = file.read(len(LFS_POINTER))
    if start == LFS_POINTER:
        raise InputError(f"{path} only points to an image that Git LFS keeps elsewhere. Fetch it (`git lfs pull`).")
    if start.startswith(GZIP_MAGIC) and not path.name.lower().endswith(".gz"):
        raise InputError(f"{path} is compressed, though its name doesn't say so. Rename it to .nii.gz.")
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

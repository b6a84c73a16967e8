"""Checks of a NIfTI-1 file before ITK reads it, and its nearest perpendicular axes where ITK refuses rounded ones."""

import gzip
import struct
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag
from .expansion import BLOCK, check_stream, gunzipped, require_bytes, require_plausible_size
from .nifti_header import NiftiHeader, read_nifti_header
from .volume import SHEAR_TOLERANCE

QFORM_CODE, QFAC = 252, 76
"""Byte offsets of qform_code (followed by sform_code and the quaternion) and pixdim[0] in the NIfTI-1 header (nifti1.h)."""
SCANNER_SPACE = 1
PERPENDICULAR_REPAIR = (
    "Resample it to a regular grid (for example `antsApplyTransforms`, or Slicer: Transforms, Harden, then Resample Scalar/Vector Volume), "
    "or set the header's sform to the scanner's own axes."
)


def check_nifti(path: Path) -> tuple[QualityFlag, ...]:
    """Remarks on the header.

    Raises
    ------
    InputError
        truncated, damaged, sheared; or NaN and infinite voxels, which ITK would turn into 0.
    """
    header = read_nifti_header(path)
    voxels = _NotFinite(header)
    with open(path, "rb") as file:
        if path.name.lower().endswith(".gz"):
            require_plausible_size(path, header.file_bytes, path.stat().st_size)
            check_stream(file, path, header.file_bytes, gunzipped, voxels.look)
        else:
            require_bytes(path, header.file_bytes, path.stat().st_size)
            while header.float_type and (chunk := file.read(BLOCK)):
                voxels.look(chunk)
    if voxels.count:
        raise InputError(f"{path}: {voxels.count} voxels are NaN or infinite. Export the image again without them, or replace them with 0.")
    if header.shear > SHEAR_TOLERANCE:
        degrees = np.degrees(np.arcsin(min(1.0, header.shear)))
        raise InputError(f"{path}: the image's axes are not perpendicular (by {degrees:.2g}°: the sform is sheared). {PERPENDICULAR_REPAIR}")
    return header.flags()


class _NotFinite:
    """Counts the NaN and infinite ones among the voxels of a stream of blocks."""

    def __init__(self, header: NiftiHeader) -> None:
        self.type = np.dtype(header.order + header.float_type) if header.float_type else None
        self.skip, self.left, self.rest, self.count = header.voxels_from, header.file_bytes - header.voxels_from, b"", 0

    def look(self, chunk: bytes) -> None:
        if self.type is None:
            return
        skipped = min(self.skip, len(chunk))
        self.skip -= skipped
        content = chunk[skipped:][: self.left]
        self.left -= len(content)
        content = self.rest + content
        whole = len(content) - len(content) % self.type.itemsize
        self.rest = content[whole:]
        self.count += int(np.count_nonzero(~np.isfinite(np.frombuffer(content[:whole], self.type))))


def with_perpendicular_axes(path: Path, copy: Path) -> QualityFlag:
    """Write the image, uncompressed, to `copy` with the rotation that is nearest to its sform, about the image's centre.

    The remark says how far the axes were turned. The file at `path` has an sform only, whose shear is within `SHEAR_TOLERANCE`.
    """
    header = read_nifti_header(path)
    with gzip.open(path) if path.name.lower().endswith(".gz") else open(path, "rb") as file:
        content = bytearray(file.read())
    axes = header.sform[:, :3] / np.linalg.norm(header.sform[:, :3], axis=0)
    left, _, right = np.linalg.svd(axes)
    nearest = left @ right
    scaled = nearest * np.array(header.spacing)
    centre = (np.array(header.size) - 1) / 2
    offset = header.sform @ [*centre, 1] - scaled @ centre
    qfac = 1.0 if np.linalg.det(nearest) > 0 else -1.0
    struct.pack_into(header.order + "f", content, QFAC, qfac)
    quaternion = _quaternion(nearest * [1, 1, qfac])
    struct.pack_into(header.order + "2h6f", content, QFORM_CODE, SCANNER_SPACE, 0, *quaternion, *offset)
    copy.write_bytes(content)
    moved = float(np.linalg.norm((header.sform[:, :3] - scaled) @ centre))
    message = (
        f"The NIfTI header's axes are not quite perpendicular (by {np.degrees(np.arcsin(header.shear)):.2g}°, as rounded numbers are); the nearest "
        f"perpendicular ones are used, which moves the image's corners by up to {moved:.2g} mm."
    )
    return QualityFlag("nifti_axes_rounded", message)


def _quaternion(rotation: np.ndarray) -> tuple[float, float, float]:
    """(b, c, d) of a proper rotation, with a ≥ 0: the eigenvector of the largest eigenvalue (Bar-Itzhack, J Guid Control Dyn 2000)."""
    r = rotation
    symmetric = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], r[1, 1] - r[0, 0] - r[2, 2], r[1, 2] + r[2, 1]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    a, b, c, d = np.linalg.eigh(symmetric)[1][:, -1]
    return (b, c, d) if a >= 0 else (-b, -c, -d)

"""Volumes from and to files: NRRD, NIfTI, MetaImage; a folder is a DICOM series (`dicom_series`)."""

import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..support.flags import NOTE, QualityFlag
from ..support.printable import LONGEST, printable, require_encodable
from .file_checks import check_file, is_folder, quiet_itk, require_file
from .nifti_checks import with_perpendicular_axes
from .volume import SHEAR_TOLERANCE, Geometry, Volume

EXTENSIONS = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")
SCENES = (".mrb", ".mrml")
COMPRESSION_LEVEL = 1
"""zlib's fastest level: a fraction of the default's time for files a few percent larger."""
NOTE_KEY = "ITK_FileNotes"
"""ITK's name for the free text of a header: NIfTI's `descrip`, a key of its own in NRRD and MetaImage."""
SIMULATED_NOTE = "LAScarSeg phantom: simulated, not a patient"
SIMULATED = QualityFlag("simulated", "This is a simulated scan (a phantom of LAScarSeg), not a patient's.", NOTE)
COMPUTED_NOTE = "LAScarSeg map: computed, no scan"
COMPUTED = QualityFlag("computed_map", "This is a map that LAScarSeg computed (a distance, a probability), not a scan.")
HEADER_NOTES = {SIMULATED_NOTE: SIMULATED, COMPUTED_NOTE: COMPUTED}
"""What a header can say of the voxels, and the flag that a volume then has. Together they fit into NIfTI's 79 characters."""
NOT_ORTHONORMAL = "orthonormal"
"""In what ITK says of NIfTI axes that are not perpendicular to its own tolerance."""
LARGEST_INTENSITY = float(np.finfo(np.float32).max)
"""The analysis computes with float32."""


def read_volume(path: str | Path) -> Volume:
    """Read one scalar 3-D volume from a file, or from a folder that holds one DICOM series.

    Returns
    -------
    Volume
        array (k, j, i) in the file's voxel type, geometry in LPS mm; `flags` tell what the header contradicts itself in.

    Raises
    ------
    InputError
        missing, empty, truncated or foreign file; 2-D, 4-D or colour; NaN or infinite voxels; unusable geometry.
    """
    try:
        return _read(Path(path))
    except InputError as error:
        # File names and headers are others' words: nothing in them may steer a terminal.
        if printable(error) == str(error):
            raise
        raise InputError(printable(error, longest=LONGEST)) from None


def require_readable(path: Path) -> None:
    """`InputError`, as `read_volume` would raise it, for what is seen to be no volume without reading it."""
    if is_folder(path):
        from .dicom_headers import require_some_dicom

        require_some_dicom(path)
    else:
        require_file(path)
        _check_name(path)


def _read(path: Path) -> Volume:
    require_encodable(path, "file")
    if is_folder(path):
        from .dicom_series import read_dicom_series

        with quiet_itk():
            volume = read_dicom_series(path)
    else:
        require_file(path)
        _check_name(path)
        flags = check_file(path)
        with quiet_itk():
            image, remarks = _read_with_itk(path)
        volume = Volume.from_sitk(image, (*flags, *remarks, *_noted(image)))
    return check_finite(volume, path)


def write_volume(volume: Volume, path: str | Path) -> None:
    """Write to `path` (the format follows its extension), compressed at the fastest level; the header says what it is (`HEADER_NOTES`).

    Raises `InputError` for an unknown format and a name that is not UTF-8, `OSError` when the disk doesn't take it.
    """
    path = Path(path)
    require_encodable(path, "file")
    if not path.name.lower().endswith(EXTENSIONS):
        raise InputError(f"{path.name}: unknown image format; use one of {', '.join(EXTENSIONS)}.")
    compress = not path.name.lower().endswith(".nii")
    image = volume.to_sitk()
    notes = [note for note, flag in HEADER_NOTES.items() if flag in volume.flags]
    if notes:
        image.SetMetaData(NOTE_KEY, "; ".join(notes))
    try:
        sitk.WriteImage(image, str(path), useCompression=compress, compressionLevel=COMPRESSION_LEVEL)
    except RuntimeError as error:
        # SimpleITK has one exception for everything; writing a volume that is in memory fails for the disk's reasons.
        raise OSError(_itk_reason(error, path)) from error


def header_flags(path: Path) -> tuple[QualityFlag, ...]:
    """What a volume file's header notes of its voxels (`HEADER_NOTES`); nothing for a file that is gone or can't be read."""
    if not path.is_file() or not path.name.lower().endswith(EXTENSIONS):
        return ()
    header = read_header(path)
    return () if header is None else _noted(header)


def read_header(path: Path) -> sitk.ImageFileReader | None:
    """A volume file's header without its voxels; None for one that can't be read, which `read_volume` has words for."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            return None
    return reader


def _noted(header: sitk.Image | sitk.ImageFileReader) -> tuple[QualityFlag, ...]:
    text = header.GetMetaData(NOTE_KEY) if header.HasMetaDataKey(NOTE_KEY) else ""
    return tuple(flag for note, flag in HEADER_NOTES.items() if note in text)


def check_finite(volume: Volume, name: str | Path) -> Volume:
    """The volume itself; `InputError` when a voxel is NaN, infinite or beyond what float32 holds."""
    if np.issubdtype(volume.array.dtype, np.floating):
        # The sum is not finite when any voxel isn't, and costs no second array.
        with np.errstate(over="ignore", invalid="ignore"):
            suspicious = not np.isfinite(volume.array.sum(dtype=np.float64))
        bad = int((~np.isfinite(volume.array)).sum()) if suspicious else 0
        if bad:
            raise InputError(f"{name}: {bad} voxels are NaN or infinite. Export the image again without them, or replace them with 0.")
        if volume.array.dtype == np.float64 and (largest := float(np.abs(volume.array).max())) > LARGEST_INTENSITY:
            raise InputError(f"{name}: the largest intensity is {largest:.3g}, beyond single precision. Scale the image down.")
    return volume


def _check_name(path: Path) -> None:
    if not path.name.lower().endswith(EXTENSIONS):
        raise InputError(
            f"{path}: not a volume file that can be read{_what_else(path)}. Give one of {', '.join(EXTENSIONS)}, or for DICOM the folder with "
            "the files of one series."
        )
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes). Copy or export it again.")


def _what_else(path: Path) -> str:
    if path.name.lower().endswith(SCENES):
        return "; it is a scene of Slicer, which holds several things: open it there, and save the scan from it"
    return ""


def _read_with_itk(path: Path) -> tuple[sitk.Image, tuple[QualityFlag, ...]]:
    """The image, and what had to be mended for ITK to read it."""
    try:
        return _image_of(path, path), ()
    except RuntimeError as error:
        if NOT_ORTHONORMAL not in str(error) or ".nii" not in path.name.lower():
            raise _unreadable(path, error) from error
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "perpendicular.nii"
        remark = with_perpendicular_axes(path, copy)
        try:
            return _image_of(copy, path), (remark,)
        except RuntimeError as error:
            raise _unreadable(path, error) from error


def _image_of(file: Path, path: Path) -> sitk.Image:
    """The image in `file`, which stands for `path` in messages; `RuntimeError` when ITK can't read it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    _check_header(reader, path)
    return reader.Execute()


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} can't be read: {_itk_reason(error, path)} The file may be truncated or damaged: copy or export it again.")


def _check_header(reader: sitk.ImageFileReader, path: Path) -> None:
    size = reader.GetSize()
    while len(size) > 3 and size[-1] == 1:
        size = size[:-1]
    if len(size) != 3 or min(size) < 2:
        raise InputError(
            f"{path}: the image is {len(size)}-D with size {' × '.join(map(str, size))}; one 3-D volume of at least 2 slices is needed."
        )
    if reader.GetNumberOfComponents() != 1:
        raise InputError(
            f"{path}: every voxel has {reader.GetNumberOfComponents()} components (a colour or vector image); a scalar image is needed."
        )
    direction = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)[:3, :3]
    try:
        Geometry(size, reader.GetSpacing()[:3], reader.GetOrigin()[:3], tuple(direction.ravel().tolist()))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    shear = float(np.abs(direction.T @ direction - np.eye(3)).max())
    if shear > SHEAR_TOLERANCE:
        raise InputError(
            f"{path}: the image's axes are not perpendicular (their directions' cosine is {shear:.2g}). Resample it to a "
            "regular grid first."
        )
    if reader.GetDimension() > 3:
        reader.SetExtractSize([*size, *[0] * (reader.GetDimension() - 3)])


def _itk_reason(error: Exception, path: Path) -> str:
    """The last sentence of an ITK exception, without its file names and line numbers."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Reason:")]
    reason = lines[-1] if lines else str(error)
    if "Unable to determine ImageIO" in reason:
        return f"its content is not that of a {path.suffix} file."
    reason = reason.split("): ", 1)[-1] if "): " in reason else reason
    return reason.removeprefix("sitk::ERROR: ").removeprefix("ITK ERROR: ").rstrip(".!") + "."

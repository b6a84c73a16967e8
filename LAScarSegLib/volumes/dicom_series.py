"""One DICOM series from a folder: its slices sorted by where they lie, and none missing, doubled or out of step."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from .volume import Geometry, Volume

MODALITY, DESCRIPTION, NUMBER = "0008|0060", "0008|103e", "0020|0011"
OTHER_MODALITIES = {"CT": "CT", "PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "XA": "X-ray angiography"}
"""Scanners' images that are not MR; masks come under several other names."""
DIRECTORY = "DICOMDIR"
"""The index of a DICOM medium; no image."""
POSITION_TOLERANCE = 0.05
"""Gaps between slices may differ by this share of the spacing (rounding in the headers)."""
ORIENTATION_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class _Slice:
    file: Path
    size: tuple[int, ...]
    spacing: tuple[float, ...]
    origin: np.ndarray
    direction: np.ndarray
    components: int


def read_dicom_series(folder: Path) -> Volume:
    """The one image series in `folder` (its subfolders are not looked at).

    Raises
    ------
    InputError
        no DICOM file; several series (they are listed); not MR; slices missing, doubled, or of different size or orientation.
    """
    files = _single_series(folder)
    _check_modality(files[0])
    if len(files) == 1:
        return _read_multiframe(files[0])
    slices = [_read_header(file) for file in files]
    _check_alike(slices)
    normal = np.cross(slices[0].direction[:, 0], slices[0].direction[:, 1])
    slices.sort(key=lambda s: float(s.origin @ normal))
    gap = _check_gaps(slices, normal)
    array = np.stack([sitk.GetArrayFromImage(_read_image(s.file))[0] for s in slices])
    step = slices[-1].origin - slices[0].origin
    # The stack's own direction, not the slices' normal: a tilted stack would be sheared, which no grid can express.
    if np.linalg.norm(step / (len(slices) - 1) - gap * normal) > POSITION_TOLERANCE * gap:
        raise InputError(
            f"{folder}: the slices are shifted against each other (a tilted stack), which a regular grid can't express. "
            "Resample the series first."
        )
    first = slices[0]
    direction = np.column_stack([first.direction[:, :2], normal])
    size, spacing = (*first.size[:2], len(slices)), (*first.spacing[:2], gap)
    return Volume(array, Geometry(size, spacing, tuple(first.origin.tolist()), tuple(direction.ravel().tolist())))


def _single_series(folder: Path) -> list[Path]:
    """The files of the folder's only series."""
    reader = sitk.ImageSeriesReader
    series = [
        [Path(file) for file in reader.GetGDCMSeriesFileNames(str(folder), identifier)]
        for identifier in reader.GetGDCMSeriesIDs(str(folder))
    ]
    _check_nothing_dropped(folder, {file.name for files in series for file in files})
    if not series:
        inside = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        hint = f" (its subfolders are not searched: {', '.join(inside[:5])})" if inside else ""
        raise InputError(f"{folder} holds no DICOM image{hint}. Give the folder with one series' files, or a volume file.")
    if len(series) > 1:
        described = "; ".join(_describe(files) for files in series)
        raise InputError(
            f"{folder} holds {len(series)} series; one is needed. Copy the LGE series into a folder of its own. They are: {described}."
        )
    return series[0]


def _check_modality(file: Path) -> None:
    """`InputError` for a series of another kind of scanner."""
    reader = _header_reader(file)
    modality = reader.GetMetaData(MODALITY).strip() if reader.HasMetaDataKey(MODALITY) else ""
    if modality in OTHER_MODALITIES:
        raise InputError(
            f"{file.parent} holds a series of {OTHER_MODALITIES[modality]} (modality {modality}); an LGE-MRI is needed. Give the folder of "
            "the MR series."
        )


def _check_nothing_dropped(folder: Path, listed: set[str]) -> None:
    """GDCM leaves out files it can't read without a word; at either end of the stack nobody would notice the gap."""
    dropped = sorted(entry.name for entry in folder.iterdir() if entry.is_file() and entry.name not in listed and _looks_like_dicom(entry))
    if dropped:
        raise InputError(
            f"{folder}: {', '.join(dropped[:5])} can't be read as DICOM; truncated or damaged? Copy or export the series again."
        )


def _looks_like_dicom(file: Path) -> bool:
    """By the preamble of DICOM part 10, or by its name when not even that is left."""
    if file.name.upper() == DIRECTORY or file.name.startswith("."):
        return False
    with open(file, "rb") as content:
        return content.read(132)[128:] == b"DICM" or file.suffix.lower() in (".dcm", ".ima")


def _describe(files: list[Path]) -> str:
    try:
        reader = _header_reader(files[0])
    except InputError:
        return f"one without images, {len(files)} files, first {files[0].name}"
    tags = {key: reader.GetMetaData(key).strip() for key in (NUMBER, DESCRIPTION) if reader.HasMetaDataKey(key)}
    return f"number {tags.get(NUMBER) or '?'} '{tags.get(DESCRIPTION, '')}', {len(files)} files, first {files[0].name}"


def _header_reader(file: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"The DICOM file {file} can't be read; it may be truncated. Copy or export it again.") from error
    return reader


def _read_header(file: Path) -> _Slice:
    reader = _header_reader(file)
    direction = np.reshape(reader.GetDirection(), (reader.GetDimension(),) * 2)
    return _Slice(file, reader.GetSize(), reader.GetSpacing(), np.array(reader.GetOrigin()), direction, reader.GetNumberOfComponents())


def _read_image(file: Path) -> sitk.Image:
    try:
        return sitk.ReadImage(str(file), imageIO="GDCMImageIO")
    except RuntimeError as error:
        raise InputError(f"The DICOM file {file} can't be read; it may be truncated. Copy or export it again.") from error


def _read_multiframe(file: Path) -> Volume:
    header = _read_header(file)
    if header.components != 1 or len(header.size) != 3 or header.size[2] < 2:
        raise InputError(f"{file} is the only DICOM file of its series and holds one slice; a volume of at least 2 slices is needed.")
    return Volume.from_sitk(_read_image(file))


def _check_alike(slices: list[_Slice]) -> None:
    first = slices[0]
    for other in slices:
        if other.components != 1:
            raise InputError(f"{other.file} is a colour image; a scalar image is needed.")
        same = other.size == first.size and np.allclose(other.spacing[:2], first.spacing[:2], rtol=1e-4)
        if not same or len(other.size) != 3 or other.size[2] != 1:
            raise InputError(
                f"{other.file.name} has size {other.size} and spacing {other.spacing[:2]} mm, {first.file.name} {first.size} "
                f"and {first.spacing[:2]}: they are not one stack."
            )
        if np.abs(other.direction - first.direction).max() > ORIENTATION_TOLERANCE:
            raise InputError(
                f"{other.file.name} is oriented differently from {first.file.name}: they are not one stack (localiser or radial slices?)."
            )


def _check_gaps(slices: list[_Slice], normal: np.ndarray) -> float:
    """The distance between neighbouring slices in mm; `InputError` names slices that are doubled or missing."""
    positions = np.array([s.origin @ normal for s in slices])
    gaps = np.diff(positions)
    usual = float(np.median(gaps))
    doubled = [f"{slices[n].file.name} and {slices[n + 1].file.name}" for n in np.flatnonzero(gaps < max(0.5 * usual, 1e-3))]
    if doubled or usual < 1e-3:
        raise InputError(
            f"Slices lie at the same place: {'; '.join(doubled[:5])}. Keep one of each (two phases or a repeated scan in one series?)."
        )
    odd = np.flatnonzero(np.abs(gaps - usual) > POSITION_TOLERANCE * usual)
    if odd.size:
        described = "; ".join(f"{gaps[n]:.2f} mm between {slices[n].file.name} and {slices[n + 1].file.name}" for n in odd[:5])
        raise InputError(
            f"The slices are usually {usual:.2f} mm apart, but {described}: slices are missing, or their spacing varies. "
            "Export the whole series again."
        )
    return float((positions[-1] - positions[0]) / (len(slices) - 1))

"""One DICOM series from a folder: its slices sorted by where they lie, and none missing, doubled or out of step."""

import warnings
from pathlib import Path

import numpy as np

from ..errors import InputError
from .dicom_frames import Frame, frames_of
from .dicom_headers import find_series
from .dicom_pixels import read_file, stored_values
from .dicom_remarks import remarks_on
from .volume import Geometry, Volume

POSITION_TOLERANCE = 0.05
"""Gaps between slices may differ by this share of the spacing (rounding in the headers)."""
ORIENTATION_TOLERANCE = 1e-3
SAME_PLACE_MM = 1e-3
"""No two slices of a stack are nearer."""
SAME_SCALE = 1e-3
"""Slopes that agree to this share are the same, but for rounding."""
SHIFT_TOLERANCE = 0.5
"""A slice may be this share of a pixel beside its stack's line; more is a shift, not rounding."""


def read_dicom_series(folder: Path) -> Volume:
    """The one image series in `folder` (its subfolders are not looked at): a file a slice, or files of many frames.

    Every frame is placed and rescaled as the file says of that very frame.

    Returns
    -------
    Volume
        (k, j, i) in the stored type, or as the files' rescaling makes it; `flags` for a series that is not MR, has an offset or a
        real part instead of a magnitude, is a map or projection, or contradicts itself in the distance of its slices.

    Raises
    ------
    InputError
        no DICOM image; several series (they are listed) or several volumes in one; geometry that is missing (the tag is named);
        slices missing, doubled, or of different size or orientation.
    """
    with warnings.catch_warnings():
        # Of pydicom, about elements that don't keep to the standard: what matters of them is checked here.
        warnings.simplefilter("ignore")
        return _read_series(folder)


def _read_series(folder: Path) -> Volume:
    headers = find_series(folder)
    frames: list[Frame] = []
    values: dict[tuple[Path, int], np.ndarray] = {}
    for header in headers:
        data = read_file(header.file)
        own = frames_of(header.file, data)
        stored = stored_values(header.file, data)
        frames += own
        values.update({(header.file, frame.index): stored[frame.index] for frame in own})
    if len(frames) < 2:
        raise InputError(f"{headers[0].file} is the only DICOM file of its series and holds one slice; a volume of at least 2 slices is needed.")
    _check_alike(frames)
    normal = np.cross(frames[0].axes[:, 0], frames[0].axes[:, 1])
    frames.sort(key=lambda frame: float(frame.position @ normal))
    gap = _check_gaps(frames, normal)
    _check_in_line(folder, frames, normal, gap)
    array = _rescaled([values[frame.file, frame.index] for frame in frames], frames)
    return Volume(array, _grid(frames, normal, gap), remarks_on(frames, gap, headers[0].word("Modality"), headers[0].word("SeriesDescription")))


def _grid(frames: list[Frame], normal: np.ndarray, gap: float) -> Geometry:
    first = frames[0]
    direction = np.column_stack([first.axes, normal])
    return Geometry((*first.size, len(frames)), (*first.spacing, gap), tuple(first.position.tolist()), tuple(direction.ravel().tolist()))


def _rescaled(slices: list[np.ndarray], frames: list[Frame]) -> np.ndarray:
    """(k, j, i): each slice by its own slope and intercept; the stored type where these change nothing."""
    for frame in frames:
        if frame.slope == 0:
            raise InputError(f"{frame.name}: its Rescale Slope (0028,1053) is 0, which makes every grey level the same. Export it again.")
    stored = np.stack(slices)
    slopes, intercepts = (np.array(list(numbers)) for numbers in zip(*((frame.slope, frame.intercept) for frame in frames)))
    if not np.ptp(slopes) and not np.ptp(intercepts):
        _check_real_world(frames)
    if (slopes == 1).all() and (intercepts == 0).all():
        return stored
    return stored * slopes[:, None, None] + intercepts[:, None, None]


def _check_real_world(frames: list[Frame]) -> None:
    """`InputError` for slices that are scaled each on its own, and say so for other units only: their grey levels are on no common scale."""
    known = [frame for frame in frames if frame.real_world]
    if not known:
        return
    slopes, intercepts = np.array([frame.real_world for frame in known]).T
    largest = float(np.abs(slopes).max())
    if np.ptp(slopes) > SAME_SCALE * largest or np.ptp(intercepts) > largest:
        low, high = (known[int(n)] for n in (slopes.argmin(), slopes.argmax()))
        raise InputError(
            f"The slices are scaled differently, by {low.real_world[0]:.4g} in {low.name} and {high.real_world[0]:.4g} in {high.name}, and say so in "
            "their Real World Value Mapping (0040,9096) only, not by a Rescale Slope (0028,1053): their grey levels can't be compared. Export the "
            "series again with Rescale Slope and Intercept for every slice."
        )


def _check_alike(frames: list[Frame]) -> None:
    first = frames[0]
    for other in frames:
        if other.size != first.size or not np.allclose(other.spacing, first.spacing, rtol=1e-4):
            raise InputError(
                f"{other.name} has size {other.size} and spacing {_pair(other.spacing)} mm, {first.name} {first.size} "
                f"and {_pair(first.spacing)}: they are not one stack."
            )
        if np.abs(other.axes - first.axes).max() > ORIENTATION_TOLERANCE:
            raise InputError(f"{other.name} is oriented differently from {first.name}: they are not one stack (localiser or radial slices?).")


def _pair(spacing: tuple[float, float]) -> str:
    return " × ".join(f"{s:g}" for s in spacing)


def _check_gaps(frames: list[Frame], normal: np.ndarray) -> float:
    """The distance between neighbouring slices in mm; `InputError` names slices that are doubled or missing."""
    positions = np.array([frame.position @ normal for frame in frames])
    gaps = np.diff(positions)
    apart = gaps[gaps > SAME_PLACE_MM]
    usual = float(np.median(apart)) if apart.size else 0.0
    doubled = np.flatnonzero(gaps < max(0.5 * usual, SAME_PLACE_MM))
    if doubled.size:
        raise InputError(_several_volumes(frames, doubled))
    odd = np.flatnonzero(np.abs(gaps - usual) > POSITION_TOLERANCE * usual)
    if odd.size:
        described = "; ".join(f"{gaps[n]:.2f} mm between {frames[n].name} and {frames[n + 1].name}" for n in odd[:5])
        raise InputError(
            f"The slices are usually {usual:.2f} mm apart, but {described}: slices are missing, or their spacing varies. "
            "Export the whole series again."
        )
    return float((positions[-1] - positions[0]) / (len(frames) - 1))


def _several_volumes(frames: list[Frame], doubled: np.ndarray) -> str:
    """What to say of frames of which `doubled[n]` lies where the next one lies."""
    places = len(frames) - len(doubled)
    volumes, rest = divmod(len(frames), places)
    pairs = "; ".join(f"{frames[n].name} and {frames[n + 1].name}" for n in doubled[:3])
    kinds = sorted({"/".join(frame.kind) for frame in frames})
    told = f" Their image types are {', '.join(kinds[:4])}." if len(kinds) > 1 else ""
    if rest == 0 and places > 1:
        return (
            f"The series holds {volumes} volumes of {places} slices, which lie at the same place: {pairs} (two phases, or magnitude and "
            f"phase-sensitive?).{told} Export the one that is the LGE magnitude image into a folder of its own."
        )
    return f"Slices lie at the same place: {pairs}. Keep one of each (two phases or a repeated scan in one series?).{told}"


def _check_in_line(folder: Path, frames: list[Frame], normal: np.ndarray, gap: float) -> None:
    """`InputError` unless the slices lie one above the other: a shear, or one slice beside the others, no grid can express."""
    positions = np.array([frame.position for frame in frames])
    # The stack's own direction, not the slices' normal.
    step = (positions[-1] - positions[0]) / (len(frames) - 1)
    beside = positions - positions[0] - np.arange(len(frames))[:, None] * step
    beside -= np.outer(beside @ normal, normal)
    furthest = float(np.linalg.norm(beside, axis=1).max())
    if np.linalg.norm(step - gap * normal) > POSITION_TOLERANCE * gap or furthest > SHIFT_TOLERANCE * min(frames[0].spacing):
        raise InputError(
            f"{folder}: the slices are shifted against each other (a tilted stack), which a regular grid can't express. "
            "Resample the series first."
        )

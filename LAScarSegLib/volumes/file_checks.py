"""What ITK keeps quiet about in volume files: data that is damaged or cut short, and a voxel size that is not there.

ITK fills up a truncated NIfTI file with zeros, hands out what a broken compressed stream decodes to, takes 1 mm where a
header gives no spacing, takes memory for whatever a header asks, and prints to standard error instead of raising.
"""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError
from ..support.flags import QualityFlag
from .nifti_checks import check_nifti
from .text_headers import check_metaimage, check_nrrd
from .volume import Geometry

LARGE_SIZE, ELONGATED = 256, 1.5
"""With 1 mm voxels, more than a quarter metre; and no scanner's default. Scans have fewer slices than rows, by this and more."""
KINDS = {stat.S_ISFIFO: "a pipe", stat.S_ISSOCK: "a socket", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device"}


def is_folder(path: Path) -> bool:
    """Whether it is a folder; a name that can't be one isn't."""
    try:
        return path.is_dir()
    except OSError:
        return False


def require_file(path: Path) -> None:
    """`InputError` unless `path` is a file that is there and can be read: to open a pipe or device might never return."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise InputError(f"{path} does not exist. Check the path.") from error
    for is_kind, called in KINDS.items():
        if is_kind(mode):
            raise InputError(f"{path} is {called}, not a file. Give the file itself.")


def require_utf8(path: Path) -> None:
    """`InputError` for a name that ITK can't be told and no result can hold."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: the name is not valid UTF-8, so the image libraries can't open it. Rename it.") from error


def check_file(path: Path) -> tuple[QualityFlag, ...]:
    """Remarks on the header of a NIfTI, NRRD or MetaImage file.

    Raises
    ------
    InputError
        the data is truncated or damaged, lies in another folder, is no number, or is far more than the file can hold; the header has
        no voxel size.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            return check_nifti(path)
        if name.endswith((".nrrd", ".nhdr")):
            check_nrrd(path)
        else:
            check_metaimage(path)
    except PermissionError as error:
        raise InputError(f"{path} can't be read: {error.strerror}. Check its permissions.") from error
    return ()


def lost_header_flags(geometry: Geometry) -> tuple[QualityFlag, ...]:
    """A flag where the geometry is what programs write that know of none: 1 mm, origin 0, straight axes, on a scan's matrix."""
    straight = all(abs(cosine) == (1.0 if n % 4 == 0 else 0.0) for n, cosine in enumerate(geometry.direction))
    blank = set(geometry.spacing) == {1.0} and not any(geometry.origin) and straight
    if not blank or (max(geometry.size) < LARGE_SIZE and max(geometry.size) < ELONGATED * min(geometry.size)):
        return ()
    size = " × ".join(map(str, geometry.size))
    message = (
        f"The header looks lost: voxels of exactly 1 × 1 × 1 mm, origin 0 and straight axes on {size} voxels are what a program writes that "
        "got an array only. If the scan's voxels are not 1 mm cubes, every length, area and volume is wrong. Export the image again with "
        "its geometry, or copy the header of the original; if it is right, say --despite header_lost."
    )
    return (QualityFlag("header_lost", message),)


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep what ITK's readers print on the process's standard error from the terminal; their exceptions say enough."""
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:
        # A program without a terminal (Slicer on Windows) has no standard error.
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)

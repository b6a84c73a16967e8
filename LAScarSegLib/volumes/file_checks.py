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

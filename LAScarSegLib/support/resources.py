"""What an installation holds beside this library's code: resource files (report template, terminology, icons), and packages."""

from pathlib import Path

from ..errors import ProcessingError

_PACKAGE = Path(__file__).resolve().parents[1]
RESOURCE_FOLDERS = (_PACKAGE / "Resources", _PACKAGE.parent / "Resources")
"""Inside the package (the wheel), or beside it (a source checkout, and Slicer's qt-scripted-modules)."""


def resource_path(relative: str) -> Path:
    """The path of a file or folder below `Resources/`, for example `resource_path("Report/report.html.j2")`.

    Raises
    ------
    ProcessingError
        when no place has it: the installation is incomplete.
    """
    candidates = [folder / relative for folder in RESOURCE_FOLDERS]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    places = " nor ".join(str(candidate) for candidate in candidates)
    raise ProcessingError(f"The installation is incomplete: {relative} is neither at {places}. Install LAScarSeg again.")


def require_package(module: str, needed_by: str) -> None:
    """`ProcessingError` that names the remedy when a package that is no must can't be imported: `needed_by` begins its sentence."""
    package = module.partition(".")[0]
    try:
        __import__(module)
    except ImportError as error:
        message = f"{needed_by} the package {package}, which can't be imported ({error}). Install it: pip install {package}"
        raise ProcessingError(message) from error

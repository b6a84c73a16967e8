"""A result as a folder (ARCHITECTURE, "Results on disk"), from the analysis that is shown; what this machine can't make is named."""

import importlib.util
import itertools
import json
import re
from pathlib import Path

from ..analysis import Analysis
from ..errors import InputError
from ..output.writing import MARKER, write_results

REPORT_PACKAGES = {"matplotlib": "figures", "jinja2": "the report"}
"""What each package is for; Slicer brings neither."""


def new_folder(parent: Path, name: str) -> Path:
    """A folder in `parent` that isn't there yet, called after the scan: `NAME`, `NAME 2` …

    Raises
    ------
    InputError
        `parent` isn't a folder.
    """
    if not parent.is_dir():
        raise InputError(f"{parent} is not a folder. Choose the folder that results go to.")
    stem = re.sub(r'[\x00-\x1f<>:"/\\|?*]+', "_", name).strip(" .") or "result"
    folders = (parent / (stem if number == 1 else f"{stem} {number}") for number in itertools.count(1))
    return next(folder for folder in folders if not folder.exists())


def missing_packages() -> tuple[str, ...]:
    """The packages for figures and report that this Python lacks."""
    return tuple(name for name in REPORT_PACKAGES if importlib.util.find_spec(name) is None)


def write(analysis: Analysis, folder: Path, *, report: bool = True, scene: bool = True, force: bool = False) -> tuple[str, ...]:
    """Write the contract's folder; returns what was left out and how to get it, one sentence each.

    Parameters
    ----------
    report
        figures and report.html as well, as far as their packages are there.
    scene
        scene.mrb as well.

    Raises
    ------
    InputError, ProcessingError
        as `output.writing.write_results`; nothing is left behind.
    """
    missing = missing_packages() if report else ()
    written = write_results(
        analysis, folder, force=force, scene=scene,
        figures=report and "matplotlib" not in missing, report=report and "jinja2" not in missing,
    )  # fmt: skip
    left_out = [
        f"Left out {REPORT_PACKAGES[name]}: the Python package {name} is not installed. In Slicer's Python console: "
        f"slicer.util.pip_install('{name}')"
        for name in missing
    ]
    notes = json.loads((written / MARKER).read_text(encoding="utf-8"))["notes"]
    return (*left_out, *(note["message"] for note in notes))

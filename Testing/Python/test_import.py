"""Importing the library is light, and its version is said once."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import LAScarSegLib

HEAVY = ("torch", "vtk", "vtkmodules", "matplotlib", "jinja2", "slicer", "pandas", "typer", "rich")
WORKER_FREE_OF = ("torch", "matplotlib", "jinja2", "slicer", "pandas", "typer", "rich", "nibabel", "skimage", "pydicom")
"""What Slicer doesn't have, or what only the command line may use."""


def loaded_after(statement: str, names: tuple[str, ...]) -> list[str]:
    """Which of `names` are loaded in a fresh Python after `statement`."""
    code = f"{statement}\nimport sys\nprint([name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [name for name in names if repr(name) in done.stdout]


def test_importing_the_library_loads_nothing_heavy() -> None:
    assert loaded_after("import LAScarSegLib", HEAVY) == []


def test_importing_the_library_takes_less_than_half_a_second() -> None:
    code = "import time; start = time.perf_counter(); import LAScarSegLib; print(time.perf_counter() - start)"
    seconds = [float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(3)]
    assert min(seconds) < 0.5


def test_the_pipeline_and_the_worker_need_only_what_slicer_has() -> None:
    assert loaded_after("import LAScarSegLib.analysis, LAScarSegLib.jobs.worker", WORKER_FREE_OF) == []


def test_the_version_is_the_same_everywhere(repository: Path) -> None:
    cited = re.search(r"^version: (.+)$", (repository / "CITATION.cff").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert cited is not None and cited[1] == LAScarSegLib.__version__


def test_the_installed_package_has_this_version() -> None:
    try:
        installed = importlib.metadata.version("lascarseg")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("lascarseg is used from the source tree, not installed")
    assert installed == LAScarSegLib.__version__

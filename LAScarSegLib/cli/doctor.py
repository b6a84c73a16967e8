"""Is everything here that LAScarSeg needs? One line for each thing, with the remedy where it is missing.

Only the standard library is imported at the top, so that a broken installation can still be examined.
"""

import importlib
import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

OLDEST_PYTHON = (3, 11)
"""Debian 12's; pyproject.toml says the same."""

MEMORY_NEEDED_GB = 3.0
"""Peak memory of the analysis of a 640×640×88 scan (the bar of Benchmarks/)."""

DISK_NEEDED_GB = 1.0
"""Room for the result of the largest usual scan, its temporary copy while it is written, and pictures."""

REQUIRED_PACKAGES = ("numpy", "scipy", "SimpleITK", "pydicom", "vtk", "typer", "rich", "jinja2", "matplotlib")
"""Import names of what the analysis itself needs (these come with Slicer), then the command line, its figures and its report."""

DISTRIBUTIONS = {"SimpleITK": "simpleitk", "slicer": "slicer-core", "trame_slicer": "trame-slicer"}
"""Where a package is published under another name than it is imported by."""

NETWORK_PACKAGES = ("torch", "monai", "safetensors")
"""Needed by models; in Slicer torch comes with the PyTorch extension."""

NETWORKS_REMEDY, WITHOUT_NETWORKS = "pip install 'lascarseg[networks]'", "without it models don't run; intensity rules and masks do"
PLOTLY_REMEDY, WITHOUT_PLOTLY = "pip install plotly", "without it the report has no surface to turn around"
SCENE_REMEDY, WITHOUT_SCENE = "pip install 'lascarseg[scene]'", "without it scene.mrb is not written"

GIBIBYTE = 1024**3


@dataclass(frozen=True)
class Check:
    """One finding.

    `detail` is what was found; `remedy` what to do unless it is `ok`. When `required` is False the thing is an extra:
    without it everything else works, and `detail` says what does not.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True


def diagnose(folder: Path | None = None) -> list[Check]:
    """Every check, in the order to show them.

    Parameters
    ----------
    folder
        where results will be written (its disk is measured); None: the current folder.
    """
    checks = [check_python()]
    checks += [check_package(name, "pip install lascarseg") for name in REQUIRED_PACKAGES]
    checks += [check_package("plotly", PLOTLY_REMEDY, WITHOUT_PLOTLY)]
    checks += [check_mrml(), check_package("trame_slicer", SCENE_REMEDY, WITHOUT_SCENE)]
    checks += [check_package(name, NETWORKS_REMEDY, WITHOUT_NETWORKS) for name in NETWORK_PACKAGES]
    machine = [check_drawing(), check_resources(), check_memory(), check_disk(folder or Path.cwd()), check_temporary_folder()]
    return [*checks, check_cavity_model(), *machine, check_device()]


def problems(checks: list[Check]) -> list[Check]:
    """The findings that stop LAScarSeg from working: required and not fulfilled."""
    return [check for check in checks if check.required and not check.ok]


def check_python() -> Check:
    """Python's version."""
    remedy = f"Install Python {'.'.join(map(str, OLDEST_PYTHON))} or newer."
    return Check("Python", sys.version_info >= OLDEST_PYTHON, f"{platform.python_version()} ({sys.executable})", remedy)


def check_package(name: str, remedy: str, without: str | None = None) -> Check:
    """A package by its import name: really imported, since a package can be there and broken.

    Parameters
    ----------
    remedy
        the command that installs it.
    without
        for an extra: what doesn't work without it. None: the package is required.
    """
    distribution = DISTRIBUTIONS.get(name, name)
    consequence = f"; {without}" if without else ""
    try:
        importlib.import_module(name)
    except Exception as error:  # an installed package can raise anything while it is imported
        absent = isinstance(error, ModuleNotFoundError) and error.name == name
        detail = "not installed" if absent else f"installed, but fails: {type(error).__name__}: {error}"
        return Check(distribution, False, detail + consequence, remedy, required=without is None)
    return Check(distribution, True, package_version(distribution), required=without is None)


def check_mrml() -> Check:
    """Slicer's MRML library, and not another package that is imported by the same name."""
    from ..errors import ProcessingError
    from ..scene.mrml import slicer_classes

    try:
        slicer_classes()
    except ProcessingError as error:
        return Check("slicer-core", False, f"{error} ({WITHOUT_SCENE})", SCENE_REMEDY, required=False)
    return Check("slicer-core", True, package_version("slicer-core"), required=False)


def check_cavity_model() -> Check:
    """The model that finds the cavity when none is given, every byte of it."""
    title, remedy = "cavity model", "Give a mask of the cavity (--cavity FILE), or add a model: lascarseg models add FILE"
    try:
        from ..models.store import ModelStore

        bundle, model = ModelStore().default_cavity(), ModelStore().missing_cavity()
        if model is not None:
            get = f"Fetch it ({model.size}; its terms are asked first): {model.command}. Or give a mask of the cavity (--cavity FILE)."
            return Check(title, False, f"{model.reference} is not on this computer", get, required=False)
        if bundle is None:
            return Check(title, False, "none comes with this installation", remedy, required=False)
        bundle.verify()
    except Exception as error:  # where packages are missing nothing can be imported, and the checks of those say so
        return Check(title, False, str(error), "Install LAScarSeg again.", required=False)
    return Check(title, True, bundle.card.reference, required=False)


def package_version(distribution: str) -> str:
    """The installed version, `"version unknown"` for a package that came without its metadata (as some of Slicer's do)."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "version unknown"


def check_drawing() -> Check:
    """Can surfaces be drawn here, with or without a display? Without, a result has numbers but no picture of the surface."""
    from ..output.rendering import check_rendering

    problem = check_rendering()
    if problem is None:
        return Check("drawing", True, "surfaces can be drawn", required=False)
    cause, _, remedy = problem.rpartition(". ")
    return Check("drawing", False, f"{cause or problem}; without it results have no scar map pictures", remedy, required=False)


def check_resources() -> Check:
    """Are the files that are not code in their place?"""
    from ..errors import ProcessingError
    from ..support.resources import resource_path

    try:
        folder = resource_path("Report").parent
    except ProcessingError as error:
        return Check("resources", False, str(error), "Install LAScarSeg again.")
    return Check("resources", True, str(folder))


def check_memory() -> Check:
    """Memory that is free now; a large scan needs `MEMORY_NEEDED_GB`."""
    free = free_memory_gb()
    if free is None:
        return Check("memory", True, "unknown on this system", required=False)
    remedy = f"The largest scans (640×640×88) need {MEMORY_NEEDED_GB:g} GB: close other programs."
    return Check("memory", free >= MEMORY_NEEDED_GB, f"{free:.1f} GB free", remedy, required=False)


def free_memory_gb() -> float | None:
    """Free physical memory in GB (2³⁰ bytes); None where the system doesn't tell."""
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        available = re.search(r"^MemAvailable:\s+(\d+) kB", meminfo.read_text(), flags=re.MULTILINE)
        return int(available[1]) * 1024 / GIBIBYTE if available else None
    if "SC_AVPHYS_PAGES" in getattr(os, "sysconf_names", {}):
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIBIBYTE
    return None


def check_disk(folder: Path) -> Check:
    """Free disk space where results go."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free / GIBIBYTE
    remedy = f"A result can need {DISK_NEEDED_GB:g} GB: make room, or write elsewhere (-o)."
    return Check("disk", free >= DISK_NEEDED_GB, f"{free:.1f} GB free in {existing}", remedy, required=False)


def check_temporary_folder() -> Check:
    """Can temporary files be written?"""
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"LAScarSeg")
    except OSError as error:
        return Check("temporary files", False, str(error), "Set the variable TMPDIR to a folder that can be written.")
    return Check("temporary files", True, tempfile.gettempdir())


def check_device() -> Check:
    """What computes: the processor, and a graphics card when torch sees one. Intensity rules use the processor only."""
    cores = f"{os.cpu_count()} processor cores"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(0)
        return Check("device", True, f"{gpu.name}, {gpu.total_memory / GIBIBYTE:.0f} GB; {cores}", required=False)
    return Check("device", True, f"{cores}; no GPU (none is needed for intensity rules)", required=False)


def doctor() -> None:
    """Check this machine: Python, packages, libraries for pictures, memory and disk."""
    checks = diagnose()
    for check in checks:
        print(f"{'ok     ' if check.ok else 'MISSING' if check.required else 'no     '} {check.name}: {check.detail}")
        if not check.ok and check.remedy:
            print(f"        {check.remedy}")
    if problems(checks):
        import typer

        raise typer.Exit(1)

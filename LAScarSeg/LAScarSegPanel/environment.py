"""What only Slicer knows: its real interpreter, and how packages get into its Python."""

import importlib.metadata
import importlib.util
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.support.resources import resource_path

TORCH_MINIMUM = "2.4"


def workerPython() -> list[str]:
    """The command that starts the worker's interpreter.

    Not `PythonSlicer`: that is a launcher, and killing it would leave the interpreter running that it started.
    `python-real` is the interpreter in an installed Slicer (Slicer's own command line modules look for it the same way); in a
    build tree it is the `python` beside the launcher. Both inherit the environment that Slicer's launcher has set.

    Raises
    ------
    ProcessingError
        neither is there.
    """
    places = os.pathsep.join([str(Path(slicer.app.slicerHome) / "bin"), os.environ.get("PATH", "")])
    real = shutil.which("python-real", path=places)
    if real:
        return [real]
    launcher = shutil.which("PythonSlicer", path=places)
    beside = Path(launcher).with_name("python" + Path(launcher).suffix) if launcher else None
    if beside and beside.is_file():
        return [str(beside)]
    raise ProcessingError(
        _("Slicer's Python interpreter (python-real) was not found in {places}. Install Slicer again.").format(places=places)
    )


def ensureNetworks() -> None:
    """What a model needs: torch through the PyTorch extension, then MONAI and safetensors. Asks before it installs.

    Raises
    ------
    ProcessingError
        the extension is missing, its PyTorch is too old, the user said no, or the installation failed; the message says what to do.
    """
    if importlib.util.find_spec("torch") is None:
        try:
            import PyTorchUtils
        except ImportError:
            raise ProcessingError(
                _(
                    "Models need PyTorch, which comes with the PyTorch extension. Install it: menu View, Extensions Manager, search "
                    "PyTorch, Install, restart Slicer. Intensity rules with a segment as the cavity need nothing."
                )
            ) from None
        try:
            torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=f">={TORCH_MINIMUM}")
        except Exception as error:  # light-the-torch and pip fail in many ways
            raise ProcessingError(
                _("PyTorch could not be installed ({error}). Try again in the module PyTorch Utils, which shows what happens.").format(
                    error=error
                )
            ) from error
        if torch is None:
            raise ProcessingError(_("PyTorch was not installed, so no model can run. Choose an intensity rule, or press Apply again."))
    elif _release(importlib.metadata.version("torch")) < _release(TORCH_MINIMUM):
        raise ProcessingError(
            _("Slicer's Python has PyTorch {version}; models need {minimum} or newer. Module PyTorch Utils: Uninstall PyTorch, "
              "restart Slicer, and press Apply again.").format(version=importlib.metadata.version("torch"), minimum=TORCH_MINIMUM)
        )  # fmt: skip
    ensurePackages("requirements.txt")


def _release(version: str) -> tuple[int, ...]:
    """The first two numbers of a version."""
    return tuple(int(number) for number in version.split(".")[:2])


def ensureReport() -> None:
    """What figures and the report need; errors as in `ensureNetworks`."""
    ensurePackages("requirements-report.txt")


def ensurePackages(fileName: str) -> None:
    """Install what a requirements file below Resources/ lists and is not here yet; errors as in `ensureNetworks`."""
    path = resource_path(fileName)
    try:
        try:
            import slicer.packaging
        except ImportError:
            with _torchKept() as constraints:
                _ensureInOlderSlicer(path.read_text(encoding="utf-8").split(), constraints)
            return
        with _torchKept() as constraints:
            slicer.packaging.pip_ensure(slicer.packaging.load_requirements(path), constraints=constraints, requester="LAScarSeg")
    except Exception as error:  # pip fails in many ways: no network, a proxy, a read-only folder, no disk; or the user said no
        raise ProcessingError(
            _(
                "Python packages could not be installed ({error}). Needed are those in {path}. Behind a proxy or without a network, "
                "install them by hand in Slicer's Python console: slicer.util.pip_install('-r \"{path}\"')."
            ).format(error=error, path=path)
        ) from error


@contextmanager
def _torchKept():
    """A constraints file that holds PyTorch at the version there is, None without: pip would put its own build in place of the
    PyTorch extension's, which fits the graphics card, where the newest MONAI asks for a newer one."""
    if importlib.util.find_spec("torch") is None:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text(f"torch=={importlib.metadata.version('torch')}\n", encoding="utf-8")
        yield path


def _ensureInOlderSlicer(requirements: list[str], constraints: Path | None) -> None:
    """Slicer before 5.12 has no `slicer.packaging`: ask, then install what can't be imported."""
    missing = [requirement for requirement in requirements if importlib.util.find_spec(requirement.partition(">=")[0]) is None]
    if not missing:
        return
    question = _("LAScarSeg needs these Python packages: {packages}. Install them into Slicer now?").format(packages=", ".join(missing))
    if not slicer.util.confirmOkCancelDisplay(question):
        raise RuntimeError(_("you chose not to"))
    options = [] if constraints is None else ["-c", str(constraints)]
    slicer.util.pip_install([*missing, *options])

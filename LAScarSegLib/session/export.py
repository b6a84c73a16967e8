"""A result as a folder (ARCHITECTURE, "Results on disk"), from the analysis that is shown; what this machine can't make is named."""

import importlib.util
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..analysis import Analysis
from ..errors import Cancelled, InputError
from ..jobs.export import ResultRequest
from ..jobs.worker_process import WarmWorker
from ..output.writing import MARKER, write_results
from .worker_run import RunState, WorkerRun

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
    wanted, left_out = _wanted(report)
    written = write_results(analysis, folder, force=force, scene=scene, **wanted)
    return (*left_out, *_notes(written))


def _wanted(report: bool) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Which of figures and report can be made, for `write_results`; and a sentence for each that can't."""
    missing = missing_packages() if report else ()
    left_out = tuple(
        f"Left out {REPORT_PACKAGES[name]}: the Python package {name} is not installed. In Slicer's Python console: "
        f"slicer.util.pip_install('{name}')"
        for name in missing
    )
    return {"figures": report and "matplotlib" not in missing, "report": report and "jinja2" not in missing}, left_out


def _notes(folder: Path) -> tuple[str, ...]:
    """What the writer had to leave out."""
    return tuple(note["message"] for note in json.loads((folder / MARKER).read_text(encoding="utf-8"))["notes"])


class ExportRun(WorkerRun):
    """`write` in the worker process, while the windows go on; after success `folder` is whole and `notes` say what was left out.

    Where the worker can't do it (its Python has no scene library, it crashed) it is done here, and the windows wait.

    Parameters
    ----------
    report, scene
        as for `write`; the others as for `WorkerRun`.
    """

    def __init__(
        self, analysis: Analysis, folder: Path, python: Sequence[str], temp_dir: str | Path | None = None,
        worker: WarmWorker | None = None, *, report: bool = True, scene: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(python, temp_dir, worker)
        self.folder = folder
        self.notes: tuple[str, ...] = ()
        self._analysis, self._report, self._scene = analysis, report, scene
        self._left_out: tuple[str, ...] = ()
        self._here = False

    def _request(self, folder: Path) -> dict[str, Any]:
        wanted, self._left_out = _wanted(self._report)
        return ResultRequest.of(self._analysis, folder, self.folder, scene=self._scene, **wanted).to_json()

    def _take(self, folder: Path) -> None:
        self.notes = (*self._left_out, *_notes(folder))

    def poll(self) -> RunState:
        """What has happened since; waits only where the worker couldn't do it, which the state before has said."""
        if self._here and not self.state.done:
            self._write_here()
        return super().poll()

    def _refused(self, message: str) -> None:
        if message == str(Cancelled()):
            self._end(message)
            return
        self._log.append(f"The worker could not export: {message}")
        self._here = True
        self.state = replace(self.state, stage="Writing the result in Slicer itself, whose windows wait", remaining_s=None)

    def _write_here(self) -> None:
        try:
            self.notes = write(self._analysis, self.folder, report=self._report, scene=self._scene)
        except Exception as error:
            self._fail(error)
            return
        self._end("")

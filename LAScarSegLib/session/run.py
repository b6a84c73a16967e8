"""One Apply, from choices to nodes: a worker process, its progress, and the scene built in one step when it has succeeded."""

import json
import logging
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..analysis import Analysis
from ..analysis.archive import FILE, read_analysis
from ..analysis.provenance import describe_file
from ..errors import Cancelled, InputError, LAScarSegError, ProcessingError, as_lascarseg_error
from ..jobs.worker_process import WorkerJob
from ..scene.build import SceneNodes, build_scene
from ..scene.inputs import describe_node, hardened_copy, untouched_file
from ..scene.mrml import all_or_nothing, find_result, save_for_undo
from ..scene.plane_markups import mark_plane
from ..scene.selection import find_node
from ..scene.views import aim_camera
from .choices import Choices, corrections_to_replace, write_choices
from .run_inputs import RunInputs, write_inputs

logger = logging.getLogger(__name__)

ESTIMATE_FROM = 0.05
"""Share of the work after which the time that remains is worth telling."""
GONE = "The scan was removed from the scene, or the scene was closed, so the analysis was stopped. Nothing was changed."


@dataclass(frozen=True)
class RunState:
    """What to show now. `stage` is words for a person; `remaining_s` None as long as nobody can tell; `error` "" unless it failed."""

    stage: str
    fraction: float
    elapsed_s: float
    remaining_s: float | None = None
    done: bool = False
    error: str = ""
    cancelled: bool = False


class AnalysisRun:
    """One analysis of nodes of `scene` in a process of its own; the scene stays untouched until it has succeeded.

    Call `start`, then `poll` from a timer until `done`, then `close`. After success `analysis` and `nodes` are there.

    Parameters
    ----------
    python
        the command that starts Python, as a list.
    temp_dir
        where the temporary folder is made; None: the system's place.
    """

    def __init__(self, scene: Any, choices: Choices, python: Sequence[str], temp_dir: str | Path | None = None) -> None:
        self._scene, self._choices, self._python = scene, choices, list(python)
        self._temp_dir = temp_dir
        self._folder: Path | None = None
        self._inputs: RunInputs | None = None
        self._volume: Any | None = None
        self._corrections: dict[tuple[str, str], str] = {}
        self._job = WorkerJob()
        self._started = time.monotonic()
        self._log: list[str] = []
        self.state = RunState("Starting", 0.0, 0.0)
        self.analysis: Analysis | None = None
        self.nodes: SceneNodes | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the input was taken: transforms."""
        return self._inputs.scan.notes if self._inputs is not None else ()

    @property
    def log(self) -> str:
        """For "Copy log"."""
        head = f"LAScarSeg {__version__}\n{json.dumps(self._choices.to_json())}"
        return "\n".join(filter(None, [head, *self.notes, *self._log, self._job.log]))

    @property
    def pid(self) -> int | None:
        """The worker's process; None when none was started."""
        return self._job.pid

    def start(self) -> None:
        """Write the inputs and start the worker. Raises nothing: what is wrong is told by `poll`."""
        self._started = time.monotonic()
        try:
            self._folder = self._temporary_folder()
            self._inputs = write_inputs(self._scene, self._choices, self._folder)
            self._volume = find_node(self._scene, self._choices.volume_id)
            self._corrections = corrections_to_replace(self._scene, self._choices)
            self._job.start(self._inputs.request, self._python, self._folder)
        except Exception as error:
            self._fail(error)

    def poll(self) -> RunState:
        """What has happened since; never waits, but for building the scene at the end."""
        if self.state.done:
            return self.state
        if not self._volume_is_there():
            self._job.kill_tree()
            self._end(GONE)
            return self.state
        self.state = replace(self.state, elapsed_s=self._elapsed(), remaining_s=self._remaining())
        for event in self._job.poll():
            if event.kind == "progress":
                self.state = replace(self.state, stage=event.message or event.stage, fraction=event.fraction)
            elif event.kind == "error":
                self._end(event.message)
            else:
                self._show(Path(event.message))
        return self.state

    def cancel(self) -> None:
        """Ask the worker to stop; `poll` tells when it has, at most 2 s later."""
        if not self.state.done:
            self.state = replace(self.state, stage="Cancelling")
            self._job.cancel()

    def close(self) -> None:
        """End everything at once and leave no file: called when the run is over, the module is reloaded, or Slicer quits."""
        self._job.kill_tree()
        if not self.state.done:
            self._end(str(Cancelled()))
        self._clean_up()

    def _show(self, folder: Path) -> None:
        """The scene gets the result: all of it, or it stays as it was."""
        self.state = replace(self.state, stage="Showing the result", fraction=1.0)
        try:
            self._check_nothing_was_drawn()
            analysis = read_analysis(folder / FILE, self._inputs.scan.volume)
            analysis = analysis.described(self._described(analysis))
            save_for_undo(self._scene)
            with all_or_nothing(self._scene):
                volume = hardened_copy(self._scene, self._volume, self._inputs.scan.volume) if self._inputs.scan.hardened else self._volume
                is_first = find_result(self._scene, "vtkMRMLModelNode", "surface", volume) is None
                self.nodes = build_scene(self._scene, analysis, volume_node=volume)
                self._keep_choices(self.nodes)
            if is_first:
                aim_camera(self._scene, analysis)
            self.analysis = analysis
        except Exception as error:
            self._fail(error)
            return
        self._end("")

    def _check_nothing_was_drawn(self) -> None:
        """`InputError` when somebody corrected the earlier result meanwhile: nobody has agreed to replace that."""
        now = corrections_to_replace(self._scene, self._choices)
        new = [name for (source, name), digest in now.items() if self._corrections.get((source, name)) != digest]
        if new:
            raise InputError(
                f"The earlier result was corrected by hand ({', '.join(new)}) while the analysis ran, so the new one was not put in its "
                "place. Nothing was lost. Press Apply again to replace it."
            )

    def _keep_choices(self, nodes: SceneNodes) -> None:
        write_choices(nodes.measurements, self._choices)
        for node_id, name in self._inputs.planes.items():
            plane = find_node(self._scene, node_id)
            if plane is not None:
                # From here on dragging it changes this result.
                mark_plane(plane, name, nodes.volume)

    def _described(self, analysis: Analysis) -> dict[str, dict[str, str]]:
        """Where the inputs came from: the scan's own file where it still holds these voxels, else the node; no temporary file."""
        ids = {"cavity": self._choices.segmentation_id, "wall": self._choices.wall_segmentation_id, "roi": self._choices.roi_id}
        nodes = {"image": self._volume} | {name: find_node(self._scene, node_id) for name, node_id in ids.items()}
        described = {name: describe_node(nodes.get(name), file["sha256"]) for name, file in analysis.provenance["inputs"].items()}
        if file := untouched_file(self._volume):
            described["image"] = describe_file(file)
        return described

    def _volume_is_there(self) -> bool:
        return self._volume is not None and find_node(self._scene, self._choices.volume_id) is self._volume

    def _temporary_folder(self) -> Path:
        try:
            return Path(tempfile.mkdtemp(prefix="LAScarSeg-", dir=self._temp_dir))
        except OSError as error:
            where = self._temp_dir or tempfile.gettempdir()
            raise ProcessingError(
                f"The temporary folder {where} can't be written to ({error.strerror}). Free some space there, or choose another "
                "in Edit, Application Settings, Modules."
            ) from error

    def _fail(self, error: Exception) -> None:
        reported = as_lascarseg_error(error)
        if not isinstance(error, LAScarSegError):
            logger.exception("The analysis failed")
            self._log.append(f"{type(error).__name__}: {error}")
        self._end(str(reported))

    def _end(self, error: str) -> None:
        cancelled = error == str(Cancelled())
        fraction = self.state.fraction if error else 1.0
        self.state = RunState("Done" if not error else "Stopped", fraction, self._elapsed(), None, True, error, cancelled)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

    def _remaining(self) -> float | None:
        fraction = self.state.fraction
        return self._elapsed() * (1.0 - fraction) / fraction if fraction > ESTIMATE_FROM else None

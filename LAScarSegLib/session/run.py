"""One Apply, from choices to nodes: a worker process, its progress, and the scene built in one step when it has succeeded."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..analysis import Analysis
from ..analysis.archive import FILE, read_analysis
from ..analysis.provenance import describe_file
from ..errors import InputError
from ..jobs.worker_process import WarmWorker
from ..scene.build import SceneNodes, build_scene
from ..scene.inputs import describe_node, hardened_copy, untouched_file
from ..scene.mrml import all_or_nothing, find_result, save_for_undo
from ..scene.plane_markups import mark_plane, show_found
from ..scene.selection import find_node
from ..scene.views import aim_camera
from .choices import Choices, corrections_to_replace, write_choices
from .run_inputs import RunInputs, write_inputs
from .worker_run import RunState, WorkerRun

GONE = "The scan was removed from the scene, or the scene was closed, so the analysis was stopped. Nothing was changed."


class AnalysisRun(WorkerRun):
    """One analysis of nodes of `scene` in the worker process; the scene stays untouched until it has succeeded.

    After success `analysis` and `nodes` are there. Parameters but the first two as for `WorkerRun`.
    """

    def __init__(
        self, scene: Any, choices: Choices, python: Sequence[str], temp_dir: str | Path | None = None, worker: WarmWorker | None = None
    ) -> None:
        super().__init__(python, temp_dir, worker)
        self._scene, self.choices = scene, choices
        self._inputs: RunInputs | None = None
        self._volume: Any | None = None
        self._corrections: dict[tuple[str, str], str] = {}
        self.analysis: Analysis | None = None
        self.nodes: SceneNodes | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the input was taken: transforms."""
        return self._inputs.scan.notes if self._inputs is not None else ()

    def _describe(self) -> list[str]:
        return [json.dumps(self.choices.to_json()), *self.notes]

    def _request(self, folder: Path) -> dict[str, Any]:
        self._inputs = write_inputs(self._scene, self.choices, folder)
        self._volume = find_node(self._scene, self.choices.volume_id)
        self._corrections = corrections_to_replace(self._scene, self.choices)
        return self._inputs.request

    def poll(self) -> RunState:
        """What has happened since; never waits, but for building the scene at the end."""
        if not self.state.done and not self._volume_is_there():
            self._job.kill_tree()
            self._end(GONE)
        return super().poll()

    def _take(self, folder: Path) -> None:
        """The scene gets the result: all of it, or it stays as it was."""
        self.state = replace(self.state, stage="Showing the result", fraction=1.0)
        self._check_nothing_was_drawn()
        analysis = read_analysis(folder / FILE, self._inputs.scan.volume)
        analysis = analysis.described(self._described(analysis))
        save_for_undo(self._scene)
        with all_or_nothing(self._scene):
            volume = hardened_copy(self._scene, self._volume, self._inputs.scan.volume) if self._inputs.scan.hardened else self._volume
            is_first = find_result(self._scene, "vtkMRMLModelNode", "surface", volume) is None
            self.nodes = build_scene(self._scene, analysis, volume_node=volume)
            self._keep_choices(self.nodes)
        if not self._inputs.planes:
            show_found(self._scene, volume, analysis.planes)
        if is_first:
            aim_camera(self._scene, analysis)
        self.analysis = analysis

    def _check_nothing_was_drawn(self) -> None:
        """`InputError` when somebody corrected the earlier result meanwhile: nobody has agreed to replace that."""
        now = corrections_to_replace(self._scene, self.choices)
        new = [name for (source, name), digest in now.items() if self._corrections.get((source, name)) != digest]
        if new:
            raise InputError(
                f"The earlier result was corrected by hand ({', '.join(new)}) while the analysis ran, so the new one was not put in its "
                "place. Nothing was lost. Press Apply again to replace it."
            )

    def _keep_choices(self, nodes: SceneNodes) -> None:
        write_choices(nodes.measurements, self.choices)
        for node_id, name in self._inputs.planes.items():
            plane = find_node(self._scene, node_id)
            if plane is not None:
                # From here on dragging it changes this result.
                mark_plane(plane, name, nodes.volume)

    def _described(self, analysis: Analysis) -> dict[str, dict[str, str]]:
        """Where the inputs came from: the scan's own file where it still holds these voxels, else the node; no temporary file."""
        ids = {"cavity": self.choices.segmentation_id, "wall": self.choices.wall_segmentation_id, "roi": self.choices.roi_id}
        nodes = {"image": self._volume} | {name: find_node(self._scene, node_id) for name, node_id in ids.items()}
        described = {name: describe_node(nodes.get(name), file["sha256"]) for name, file in analysis.provenance["inputs"].items()}
        if file := untouched_file(self._volume):
            described["image"] = describe_file(file)
        return described

    def _volume_is_there(self) -> bool:
        return self._volume is not None and find_node(self._scene, self.choices.volume_id) is self._volume

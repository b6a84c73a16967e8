"""The open panel on real MRML in real Qt, for tests that drive it as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("slicer", reason="the scene layer needs slicer-core")
try:
    import PySide6.QtWidgets  # noqa: F401
except ImportError as error:
    pytest.skip(f"Qt can't be loaded ({error}): pip install lascarseg[test]; apt install libegl1", allow_module_level=True)

import pythonqt_stand_in
from scene_cases import AXIAL, scan
from slicer_stand_in import open_panel, slicer_application

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import Analysis, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.jobs.worker_process import Start, WarmWorker
from LAScarSegLib.models import store
from LAScarSegLib.scene.drawing import new_cavity
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.session.choices import write_choices
from LAScarSegLib.session.edit_session import EditSession

TIMEOUT_S = 180.0


@pytest.fixture
def scene():
    return mrml.new_scene()


@pytest.fixture
def dialogs(scene, monkeypatch, tmp_path):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(store, "RESOURCE_FOLDERS", (tmp_path / "Resources",))  # no model comes with the project
    failures = []
    # An exception in a slot ends there; without this a test would not notice.
    monkeypatch.setattr(sys, "excepthook", lambda kind, error, trace: failures.append(error))
    with slicer_application(scene) as dialogs:
        from LAScarSegPanel import environment

        monkeypatch.setattr(environment, "workerPython", lambda: [sys.executable])
        yield dialogs
    assert not failures


class LentWorker:
    """A worker process that outlives the panel it is lent to; that pytest tells it another test's name makes it no other process."""

    def __init__(self, worker: WarmWorker) -> None:
        self._worker = worker

    @property
    def pid(self) -> int | None:
        return self._worker.pid

    def take(self, start: Start) -> subprocess.Popen[bytes] | None:
        return self._worker.take(self._of_any_test(start))

    def keep(self, process: subprocess.Popen[bytes], start: Start) -> None:
        self._worker.keep(process, self._of_any_test(start))

    def _of_any_test(self, start: Start) -> Start:
        return replace(start, environment={name: value for name, value in start.environment.items() if name != "PYTEST_CURRENT_TEST"})

    def close(self) -> None:
        """It is another panel's next."""


@pytest.fixture(scope="session")
def worker_of_all_panels(tmp_path_factory):
    worker = WarmWorker()
    yield worker, tmp_path_factory.mktemp("models")
    worker.close()


@pytest.fixture
def lent_worker(dialogs, worker_of_all_panels, monkeypatch):
    """For tests in which it does not matter which process works: the panels share one, which is spared its start.

    They share an empty store of models, too, which is part of the process's environment.
    """
    from LAScarSegPanel import run_section

    worker, models = worker_of_all_panels
    monkeypatch.setenv("LASCARSEG_MODELS", str(models))
    monkeypatch.setattr(run_section, "WarmWorker", lambda: LentWorker(worker))


@pytest.fixture
def panel(dialogs):
    widget = open_panel()
    yield widget
    widget.cleanup()


@pytest.fixture
def ready(panel, scene):
    """The panel with a small scan and its cavity chosen, without the perturbation range."""
    image, cavity = scan(AXIAL)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    mrml.volume_to_node(image, volume)
    segmentation, segment = new_cavity(scene, volume)
    segmentation.SetName("drawn")
    put_mask(cavity.array, segmentation, segment, volume)
    node = panel.parameterNode
    node.inputVolume, node.cavitySegmentation, node.cavitySegmentId, node.fast = volume, segmentation, segment, True
    return panel


def put_mask(array, segmentation, segment: str, volume) -> None:
    """Voxels (k, j, i) on the volume's grid into a segment, as a stroke of the segment editor leaves them."""
    from vtkmodules.util.numpy_support import numpy_to_vtk
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    slicer = slicer_classes()
    labelmap, to_ras = slicer.vtkOrientedImageData(), vtkMatrix4x4()
    volume.GetIJKToRASMatrix(to_ras)
    labelmap.SetDimensions(*array.shape[::-1])
    labelmap.SetImageToWorldMatrix(to_ras)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(array.astype("uint8").ravel(), deep=True))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    logic.SetBinaryLabelmapToSegment(labelmap, segmentation, segment, logic.MODE_REPLACE)


def wait(condition, what: str) -> None:
    """Qt's event loop until `condition()`."""
    application, end = pythonqt_stand_in.application(), time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < end, f"waited {TIMEOUT_S:g} s for {what}"
        application.processEvents()
        time.sleep(0.01)


def apply(panel) -> None:
    panel.ui.applyButton.click()
    wait(lambda: not panel.runSection.running, "the run")


ANALYSED: dict[tuple[Settings, bytes, bytes], Analysis] = {}
"""What `show_result` has analysed: the same small scan again and again."""


def show_result(panel) -> None:
    """What Apply leaves behind, without its worker process."""
    choices, node = panel.choicesSection.choices(), panel.parameterNode
    scan = mrml.volume_from_node(node.inputVolume)
    cavity = mrml.segment_from_node(node.cavitySegmentation, node.cavitySegmentId, scan)
    key = choices.settings, scan.array.tobytes(), cavity.array.tobytes()
    if key not in ANALYSED:
        ANALYSED[key] = analyse(scan, choices.settings, cavity=cavity)
    nodes = mrml.build_scene(node.inputVolume.GetScene(), ANALYSED[key], volume_node=node.inputVolume)
    write_choices(nodes.measurements, choices)
    panel.setResult(EditSession(nodes.volume.GetScene(), nodes, ANALYSED[key]))


def node_ids(scene) -> set[str]:
    return {scene.GetNthNode(n).GetID() for n in range(scene.GetNumberOfNodes())}


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

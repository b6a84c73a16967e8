"""What goes wrong, seen from the panel: each is said in words, leaves the scene as it was, and no process behind."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest
import pythonqt_stand_in
from panel_cases import apply, dialogs, is_alive, node_ids, panel, put_mask, ready, scene, wait  # noqa: F401
from slicer_stand_in import open_panel

from LAScarSegLib import scene as mrml
from LAScarSegLib.models.bundle import CARD
from LAScarSegLib.scene.mrml import nodes_of_class
from LAScarSegLib.scene.segmentation import segment_mask


def test_apply_explains_what_is_missing(panel, scene):
    assert not panel.ui.applyButton.enabled
    assert "LGE-MRI" in panel.ui.applyButton.toolTip == panel.ui.statusLabel.text


def test_cancel_leaves_the_scene_as_it_was_and_no_process(ready, scene):
    before = node_ids(scene)
    ready.ui.applyButton.click()
    pid = ready.runSection.workerPid
    assert is_alive(pid)
    ready.ui.applyButton.click()
    assert not is_alive(pid)
    assert node_ids(scene) == before and "as it was" in ready.ui.statusLabel.text and ready.analysis is None


@pytest.mark.parametrize("how", ["scene closed", "module reloaded"])
def test_no_worker_outlives(ready, scene, how):
    ready.ui.applyButton.click()
    pid = ready.runSection.workerPid
    if how == "scene closed":
        scene.Clear()
        assert next(iter(nodes_of_class(scene, "vtkMRMLScalarVolumeNode")), None) is None
    else:
        ready.cleanup()
    assert not is_alive(pid)


def test_a_scan_deleted_while_the_worker_runs_is_said_in_words(ready, scene, dialogs):
    ready.ui.applyButton.click()
    scene.RemoveNode(ready.parameterNode.inputVolume)
    wait(lambda: not ready.runSection.running, "the end")
    assert "removed" in dialogs[-1][1] and ready.analysis is None


def test_a_killed_worker_is_explained_and_its_log_can_be_copied(ready, scene, dialogs):
    before = node_ids(scene)
    ready.ui.applyButton.click()
    os.kill(ready.runSection.workerPid, 9)
    wait(lambda: not ready.runSection.running, "the end")
    assert "ended from outside" in dialogs[-1][1]
    assert node_ids(scene) == before
    ready.ui.copyLogButton.click()
    assert "LAScarSeg" in pythonqt_stand_in.application().clipboard().text()


def test_an_empty_segment_stops_apply_until_something_is_drawn_in_it(ready):
    node = ready.parameterNode
    segmentation, drawn = node.cavitySegmentation, node.cavitySegmentId
    node.cavitySegmentId = empty = segmentation.GetSegmentation().AddEmptySegment("empty", "nothing in it")
    assert not ready.ui.applyButton.enabled and "'nothing in it'" in ready.ui.applyButton.toolTip == ready.ui.statusLabel.text
    mask = segment_mask(segmentation, drawn, mrml.volume_from_node(node.inputVolume).geometry).whole()
    put_mask(mask, segmentation, empty, node.inputVolume)
    wait(lambda: ready.ui.applyButton.enabled, "Apply, after the stroke")
    put_mask(mask * 0, segmentation, empty, node.inputVolume)
    wait(lambda: not ready.ui.applyButton.enabled, "the reason, after everything was erased")
    assert "empty" in ready.ui.statusLabel.text


def test_a_removed_segment_stops_apply(ready):
    ready.parameterNode.cavitySegmentation.GetSegmentation().RemoveAllSegments()
    ready.parameterNode.parameterNode.Modified()
    assert not ready.ui.applyButton.enabled and "segment" in ready.ui.applyButton.toolTip


def test_a_label_map_is_no_scan(ready, scene):
    ready.parameterNode.inputVolume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    assert not ready.ui.applyButton.enabled and "label map" in ready.ui.applyButton.toolTip


def test_a_model_that_is_gone_stops_apply(ready):
    ready.parameterNode.method = "a-model@1.0"
    assert not ready.ui.applyButton.enabled and "a-model@1.0" in ready.ui.applyButton.toolTip
    assert ready.ui.methodSelector.currentIndex == -1


def test_a_damaged_model_of_the_project_does_not_keep_the_panel_from_opening(dialogs, tmp_path):
    folder = tmp_path / "Resources" / "Models" / "la-cavity-1.1"
    folder.mkdir(parents=True)
    (folder / CARD).write_text("{")
    widget = open_panel()
    assert widget.ui.cavityModelSelector.count == 0
    assert "can't be used" in widget.ui.modelsList.item(0).text()
    assert CARD in widget.ui.modelText.toPlainText()
    widget.cleanup()


def test_without_torch_a_model_says_where_torch_comes_from(dialogs, monkeypatch):
    from LAScarSegPanel import environment

    from LAScarSegLib.errors import ProcessingError

    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProcessingError, match="PyTorch extension.*Extensions Manager.*need nothing"):
        environment.ensureNetworks()


def test_packages_come_without_another_torch(dialogs, monkeypatch):
    """Slicer 5.12's pip_ensure is told to leave the PyTorch extension's build alone; so is pip_install in an older one."""
    import slicer.util
    from LAScarSegPanel import environment

    told = []
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda name: "2.6.0+cu124")
    packaging = ModuleType("slicer.packaging")
    packaging.load_requirements = lambda path: path.read_text().split()
    packaging.pip_ensure = lambda needed, constraints, requester: told.append((needed, Path(constraints).read_text()))
    monkeypatch.setitem(sys.modules, "slicer.packaging", packaging)
    monkeypatch.setattr(slicer, "packaging", packaging, raising=False)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object())
    environment.ensureNetworks()
    assert told == [(["monai>=1.4", "safetensors>=0.4"], "torch==2.6.0+cu124\n")]
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object() if name == "torch" else None)
    install = lambda words: told.append((words[:2], Path(words[3]).read_text(), words[2]))  # noqa: E731
    monkeypatch.setattr(slicer.util, "pip_install", install, raising=False)
    environment.ensureNetworks()
    assert told[1] == (["monai>=1.4", "safetensors>=0.4"], "torch==2.6.0+cu124\n", "-c") and dialogs[-1][0] == "question"


def test_an_old_torch_is_said_in_words(dialogs, monkeypatch):
    from LAScarSegPanel import environment

    from LAScarSegLib.errors import ProcessingError

    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(environment.importlib.metadata, "version", lambda name: "2.3.1+cpu")
    with pytest.raises(ProcessingError, match="2.3.1.*2.4 or newer.*PyTorch Utils"):
        environment.ensureNetworks()


def test_without_the_report_s_packages_the_rest_is_exported(ready, dialogs, tmp_path, monkeypatch):
    from LAScarSegPanel import environment

    from LAScarSegLib.errors import ProcessingError
    from LAScarSegLib.session import export

    def refuse():
        raise ProcessingError("Python packages could not be installed (User declined package installation).")

    apply(ready)
    monkeypatch.setattr(environment, "ensureReport", refuse)
    monkeypatch.setattr(export, "missing_packages", lambda: ("matplotlib", "jinja2"))
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    ready.ui.exportSceneCheckBox.checked = False
    assert ready.ui.exportReportCheckBox.checked
    ready.ui.exportButton.click()
    wait(lambda: ready.ui.exportButton.text == "Export", "the export")
    assert dialogs == [] and (tmp_path / "scan" / "measurements.json").is_file()
    assert "declined" in ready.ui.exportLabel.text and "matplotlib" in ready.ui.exportLabel.text


@pytest.mark.parametrize("what", ["run", "edit"])
def test_a_failure_that_nobody_expected_is_said_once(ready, monkeypatch, what):
    """A message box has an event loop of its own, in which timers go on."""
    import slicer.util

    said = []

    def box(text, **details):
        said.append(text)
        end = time.monotonic() + 0.5
        while time.monotonic() < end and len(said) < 3:
            pythonqt_stand_in.application().processEvents()

    def fail():
        raise RuntimeError("out of order")

    if what == "edit":
        apply(ready)
        section, failing = ready.editSection, ready.editSection._live
    else:
        ready.ui.applyButton.click()
        section, failing = ready.runSection, ready.runSection._run
    monkeypatch.setattr(slicer.util, "errorDisplay", box)
    monkeypatch.setattr(failing, "poll", fail)
    section.onPoll()
    assert len(said) == 1 and "out of order" in said[0]


def test_a_folder_that_cannot_be_written_is_said_in_words(ready, dialogs, tmp_path):
    apply(ready)
    (tmp_path / "file").write_text("in the way")
    ready.ui.exportFolderEdit.currentPath = str(tmp_path / "file")
    ready.ui.exportReportCheckBox.checked = False
    ready.ui.exportButton.click()
    assert dialogs[-1][0] == "error" and "not written" in dialogs[-1][1] and str(tmp_path / "file") in dialogs[-1][1]
    assert "Traceback" not in dialogs[-1][1]


def test_a_run_goes_on_while_another_module_is_shown(ready):
    ready.ui.applyButton.click()
    ready.exit()
    wait(lambda: not ready.runSection.running, "the run")
    assert ready.analysis is not None
    ready.enter()
    assert ready.ui.measurementsTable.rowCount > 8 and ready.session.nodes.surface.GetDisplayNode().GetOpacity() == 1.0


def test_a_result_without_its_nodes_is_no_result(ready, scene):
    apply(ready)
    scene.RemoveNode(ready.session.nodes.surface)
    assert ready.analysis is None and not ready.ui.editScarButton.enabled
    assert ready.ui.headlineLabel.text == "No result yet."

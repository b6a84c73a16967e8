"""What goes wrong, seen from the panel: each is said in words, leaves the scene as it was, and no process behind."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import os

import pytest
import pythonqt_stand_in
from panel_cases import apply, dialogs, is_alive, node_ids, panel, ready, scene, wait  # noqa: F401
from slicer_stand_in import open_panel

from LAScarSegLib.models.bundle import CARD
from LAScarSegLib.scene.mrml import nodes_of_class


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


def test_an_empty_segment_is_refused_in_words_and_the_scene_is_as_it_was(ready, scene, dialogs):
    segmentation = ready.parameterNode.cavitySegmentation
    ready.parameterNode.cavitySegmentId = segmentation.GetSegmentation().AddEmptySegment("empty", "nothing in it")
    before = node_ids(scene)
    apply(ready)
    assert "empty" in dialogs[-1][1] and "empty" in ready.ui.statusLabel.text
    assert node_ids(scene) == before and ready.ui.applyButton.enabled


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
    folder = tmp_path / "Resources" / "Models" / "la-cavity-1.0"
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

"""The panel as a user drives it, on real MRML with a real worker: choose, Apply, look, correct, compare, export."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import json
import sys
import time

import numpy as np
import pytest
from panel_cases import apply, dialogs, panel, put_mask, ready, scene, wait  # noqa: F401
from session_cases import undo_switched_on
from slicer_stand_in import open_panel
from vtkmodules.util.numpy_support import vtk_to_numpy

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.bundle import save_scene
from LAScarSegLib.scene.inputs import load_sample
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.scene.segmentation import CAVITY, SCAR, segment_mask

PLACES = (1.56, 1.6, 1.64)
"""Where the threshold is dragged to: about the IIR of the small scan's scar, so that each leaves less of it than the one before."""


def test_opening_the_panel_loads_no_torch_and_takes_less_than_half_a_second_of_computing(dialogs):
    import LAScarSeg  # noqa: F401

    before = time.process_time()
    widget = open_panel()
    assert time.process_time() - before < 0.5
    widget.cleanup()


def test_a_scan_with_a_cavity_becomes_a_result(ready, scene):
    assert ready.ui.applyButton.enabled and not ready.ui.applyButton.text == "Cancel"
    ready.ui.applyButton.click()
    assert ready.ui.applyButton.text == "Cancel" and ready.ui.progressBar.isVisibleTo(ready.ui.applyFrame)
    wait(lambda: not ready.runSection.running, "the run")
    share = ready.analysis.measurements["scar_area_pct"].value
    assert f"{share:.1f} %" in ready.ui.headlineLabel.text
    assert "The cavity was given (node " in ready.ui.headlineLabel.text
    assert scene.GetFirstNodeByName("scan LA scar map") is not None
    assert ready.ui.measurementsTable.rowCount > 8
    assert ready.ui.applyButton.text == "Apply" and "Done" in ready.ui.statusLabel.text


def test_after_an_undo_of_apply_the_earlier_result_is_offered(ready, scene):
    undo_switched_on(scene)
    shares = []
    for method in ("iir", "percentile"):
        ready.ui.methodSelector.currentIndex = ready.ui.methodSelector.findData(method)
        ready.ui.applyButton.click()
        wait(lambda: not ready.runSection.running, "the run")
        shares.append(f"{ready.analysis.measurements['scar_area_pct'].value:.1f} %")
    assert shares[1] in ready.ui.headlineLabel.text and shares[0] != shares[1]
    scene.Undo()
    assert ready.session is None and ready.ui.headlineLabel.text == "No result yet."
    assert ready.ui.reopenButton.isVisibleTo(ready.ui.reviewCollapsibleButton)
    ready.ui.reopenButton.click()
    assert shares[0] in ready.ui.headlineLabel.text
    scene.Redo()
    ready.ui.reopenButton.click()
    assert shares[1] in ready.ui.headlineLabel.text


def test_choices_come_back_with_the_parameter_node(ready, scene):
    ready.ui.methodSelector.currentIndex = ready.ui.methodSelector.findData("nsd")
    assert ready.parameterNode.method == "nsd" and ready.parameterNode.threshold == 3.0  # that rule's usual number
    ready.ui.presetSelector.currentIndex = 1
    assert ready.parameterNode.threshold == 2.3
    assert ready.ui.thresholdSlider.value == 2.3
    ready.exit()
    ready.enter()
    assert ready.ui.methodSelector.itemData(ready.ui.methodSelector.currentIndex) == "nsd"
    assert ready.choicesSection.choices().threshold == 2.3


def test_a_rule_without_a_number_hides_it(ready):
    ready.ui.methodSelector.currentIndex = ready.ui.methodSelector.findData("otsu")
    assert not ready.ui.thresholdSlider.isVisibleTo(ready.ui.methodCollapsibleButton)
    assert ready.choicesSection.choices().threshold is None and ready.ui.applyButton.enabled


def test_the_cavity_by_a_model_asks_for_a_model(ready):
    ready.ui.cavitySourceSelector.currentIndex = 1
    assert ready.ui.roiSelector.isVisibleTo(ready.ui.inputCollapsibleButton)
    assert not ready.ui.cavitySelector.isVisibleTo(ready.ui.inputCollapsibleButton)
    assert not ready.ui.applyButton.enabled and "model" in ready.ui.statusLabel.text


def test_look_correct_compare_and_export_a_result(ready, scene, dialogs, tmp_path):
    apply(ready)
    assert dialogs == []
    nodes = ready.session.nodes
    first = ready.analysis.measurements["scar_area_pct"].value
    # look
    ready.ui.scalarSelector.currentIndex = ready.ui.scalarSelector.findData("LGE")
    assert nodes.surface.GetDisplayNode().GetActiveScalarName() == "LGE"
    ready.ui.opacitySlider.value = 0.5
    assert nodes.surface.GetDisplayNode().GetOpacity() == 0.5
    # compare with a higher threshold, dragged
    ready.ui.keepButton.click()
    ready.ui.thresholdSlider.value = ready.ui.thresholdSlider.value + 0.3
    assert ready.analysis.measurements["scar_area_pct"].value < first
    assert "Difference" in [ready.ui.measurementsTable.horizontalHeaderItem(n).text() for n in range(4)]
    # correct: all scar erased
    ready.ui.editScarButton.click()
    editor = ready.editSection.editor
    assert editor.effect == "Paint" and editor.shortcuts and editor.observing
    assert editor.node.GetSelectedSegmentID() == SCAR.segment_id
    assert editor.node.GetOverwriteMode() == editor.node.OverwriteNone
    put_mask(ready.analysis.scar.array * 0, nodes.segmentation, SCAR.segment_id, nodes.volume)
    wait(lambda: ready.analysis.measurements["scar_volume_ml"].value == 0, "the numbers after the edit")
    ready.exit()
    assert editor.effect is None and not editor.shortcuts and not editor.observing
    ready.enter()
    # export
    assert not ready.ui.exportButton.enabled
    ready.ui.exportFolderEdit.currentPath = str(tmp_path)
    ready.ui.exportReportCheckBox.checked = False
    ready.ui.exportSceneCheckBox.checked = False
    ready.ui.exportButton.click()
    wait(lambda: ready.ui.exportButton.text == "Export", "the export")
    assert json.loads((tmp_path / "scan" / "measurements.json").read_text())["scar_volume_ml"]["value"] == 0
    assert dialogs == []


def scar_segment(panel) -> np.ndarray:
    return segment_mask(panel.session.nodes.segmentation, SCAR.segment_id, panel.analysis.geometry).whole()


def scar_map(panel) -> np.ndarray:
    return vtk_to_numpy(panel.session.nodes.surface.GetPolyData().GetPointData().GetArray("Scar")).astype(bool)


def test_map_numbers_and_curve_follow_the_dragged_threshold_at_every_place(ready, scene):
    apply(ready)
    share = ready.analysis.measurements["scar_area_pct"].value
    for place in PLACES:
        ready.ui.thresholdSlider.drag(place)
        before, share = share, ready.analysis.measurements["scar_area_pct"].value
        assert share < before and ready.analysis.method.parameter == pytest.approx(place)
        assert np.array_equal(scar_map(ready), ready.analysis.surface.scar)
        assert f"{share:.1f} %" in ready.ui.headlineLabel.text and f"{place:.2f}" in ready.ui.headlineLabel.text
        assert ready.ui.measurementsTable.item(0, 1).text() == f"{share:.1f} %"
        assert ready.session.nodes.measurements.GetTable().GetValueByName(0, "Value").ToString() == f"{share:.1f}"
        assert scene.GetFirstNodeByName("scan this result").GetTable().GetValueByName(0, "iir").ToDouble() == pytest.approx(place)


def test_the_scar_segment_and_the_method_s_threshold_wait_until_the_handle_is_let_go(ready):
    apply(ready)
    before = scar_segment(ready)
    ready.ui.thresholdSlider.drag(*PLACES)
    assert np.array_equal(scar_segment(ready), before) and ready.parameterNode.threshold == 1.2
    ready.ui.thresholdSlider.release()
    assert np.array_equal(scar_segment(ready), ready.analysis.scar.array) and scar_segment(ready).sum() < before.sum()
    assert ready.parameterNode.threshold == pytest.approx(PLACES[-1])


def shown_thresholds(panel) -> list[float]:
    """The threshold of the result at every time that the sections are told of one, from now on."""
    shown, show = [], panel.resultChanged
    panel.resultChanged = lambda: shown.append(panel.analysis.method.parameter) or show()
    return shown


def said_of_edits(panel, seconds: float = 0.5) -> set[str]:
    """What the line about edits says while the event loop goes on."""
    said, end = set(), time.monotonic() + seconds
    wait(lambda: said.add(panel.ui.editLabel.text) or time.monotonic() > end, "what might come after")
    return said


def test_a_drag_is_shown_once_a_place_and_set_once_and_is_no_edit(ready):
    apply(ready)
    slider, shown, told = ready.ui.thresholdSlider, shown_thresholds(ready), []
    slider.valueIsChanging.connect(lambda value: told.append("moves"))
    slider.valueChanged.connect(lambda value: told.append("set"))
    slider.drag(*PLACES)
    assert shown == pytest.approx(PLACES)
    slider.release()
    assert said_of_edits(ready) == {""}
    assert shown == pytest.approx([*PLACES, PLACES[-1]]) and told == ["moves"] * len(PLACES) + ["set"]
    assert slider.value == pytest.approx(PLACES[-1])


def test_a_new_result_moves_the_slider_which_sets_nothing_back(ready):
    ready.parameterNode.threshold = 2.6
    shown = shown_thresholds(ready)
    apply(ready)
    assert said_of_edits(ready) == {""} and shown == [2.6]
    assert (ready.ui.thresholdSlider.value, ready.ui.thresholdSlider.maximum) == (2.6, 2.6)


def test_an_edit_after_a_drag_keeps_the_threshold(ready):
    apply(ready)
    ready.ui.thresholdSlider.drag(1.6)
    ready.ui.thresholdSlider.release()
    half = ready.analysis.cavity.array.copy()
    half[: len(half) // 2] = 0
    put_mask(half, ready.session.nodes.segmentation, CAVITY.segment_id, ready.session.nodes.volume)
    wait(lambda: np.array_equal(ready.analysis.cavity.array, half), "the numbers after the edit")
    assert ready.analysis.method.parameter == pytest.approx(1.6) and ready.ui.thresholdSlider.enabled


def test_the_other_sections_follow_a_dragged_threshold(ready):
    apply(ready)
    ready.ui.keepButton.click()
    ready.ui.editScarButton.click()
    unchanged = ready.ui.measurementsTable.item(0, 3).text()
    ready.ui.thresholdSlider.drag(1.61)
    assert ready.ui.measurementsTable.item(0, 3).text() != unchanged
    ready.ui.thresholdSlider.release()
    assert ready.ui.presetSelector.itemData(ready.ui.presetSelector.currentIndex) == 1.61
    assert ready.editSection.editor.effect == "Paint" and ready.ui.editScarButton.checked


def test_a_handle_put_back_leaves_the_result_as_it_was(ready):
    apply(ready)
    before, shown, written = ready.analysis.measurements["scar_area_pct"].value, scar_map(ready).copy(), scar_segment(ready)
    ready.ui.thresholdSlider.drag(*PLACES, 1.2)
    ready.ui.thresholdSlider.release()
    assert ready.analysis.measurements["scar_area_pct"].value == before and ready.parameterNode.threshold == 1.2
    assert np.array_equal(scar_map(ready), shown) and np.array_equal(scar_segment(ready), written)


def test_a_threshold_that_is_typed_is_kept(ready):
    apply(ready)
    ready.ui.thresholdSlider.type("1.64")
    assert ready.analysis.method.parameter == ready.parameterNode.threshold == pytest.approx(1.64)
    assert np.array_equal(scar_segment(ready), ready.analysis.scar.array)


def test_a_scene_that_closes_under_a_held_handle_ends_the_drag(ready, scene, dialogs):
    apply(ready)
    ready.ui.thresholdSlider.drag(1.56)
    scene.Clear()
    ready.ui.thresholdSlider.drag(1.6)
    ready.ui.thresholdSlider.release()
    assert dialogs == [] and ready.analysis is None


def test_a_cavity_can_be_drawn_on_the_scan(ready):
    volume, node = ready.parameterNode.inputVolume, ready.parameterNode
    node.cavitySegmentation = None
    ready.ui.drawCavityButton.click()
    assert node.cavitySegmentation.GetName() == "scan cavity" and node.cavitySegmentId == "LA_cavity"
    editor = ready.editSection.editor
    assert editor.node.GetSourceVolumeNode() is volume and editor.effect == "Paint"
    assert editor.node.GetSelectedSegmentID() == "LA_cavity"
    assert editor.node.GetMaskMode() == slicer_classes().vtkMRMLSegmentationNode.EditAllowedEverywhere
    ready.ui.drawCavityButton.click()
    assert editor.effect is None and not editor.shortcuts and not ready.ui.drawCavityButton.checked


def test_a_new_region_begins_with_the_whole_scan(ready, scene):
    from LAScarSegLib.scene.inputs import roi_mask

    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "heart")
    ready.ui.roiSelector.nodeAddedByUserAction.emit(roi)
    assert roi_mask(roi, mrml.volume_from_node(ready.parameterNode.inputVolume).geometry).all()


def test_a_chosen_cavity_is_drawn_in_and_no_other_segment_is_touched(ready):
    node = ready.parameterNode
    chosen = node.cavitySegmentation
    other = chosen.GetSegmentation().AddEmptySegment("first", "first")
    chosen.GetSegmentation().SetSegmentIndex(other, 0)
    ready.ui.drawCavityButton.click()
    assert node.cavitySegmentation is chosen
    editor = ready.editSection.editor.node
    assert editor.GetSelectedSegmentID() == node.cavitySegmentId != other
    assert editor.GetOverwriteMode() == editor.OverwriteNone


def test_a_scene_that_closes_leaves_no_effect_active(ready, scene):
    ready.ui.drawCavityButton.click()
    scene.Clear()
    editor = ready.editSection.editor
    assert editor.effect is None and not editor.shortcuts and not editor.observing and not ready.ui.drawCavityButton.checked


def test_one_segment_of_a_chosen_segmentation_is_chosen_too(ready, scene):
    node = ready.parameterNode
    segmentation, segment = node.cavitySegmentation, node.cavitySegmentId
    ready.ui.cavitySelector.setCurrentNode(None)
    assert node.cavitySegmentation is None and node.cavitySegmentId == ""
    ready.ui.cavitySelector.setCurrentSegmentID("")
    ready.ui.cavitySelector.setCurrentNode(segmentation)
    assert (node.cavitySegmentation, node.cavitySegmentId) == (segmentation, segment)
    ready.ui.cavitySelector.setCurrentSegmentID("")
    assert node.cavitySegmentId == "" and not ready.ui.applyButton.enabled


def test_scan_and_cavity_are_chosen_when_the_scene_leaves_no_doubt(dialogs, scene):
    volume, segmentation, _planes = load_sample(scene)
    widget = open_panel()
    assert (widget.parameterNode.inputVolume, widget.parameterNode.cavitySegmentation) == (volume, segmentation)
    assert widget.ui.applyButton.enabled, widget.ui.statusLabel.text
    widget.cleanup()


def test_a_scene_that_is_read_brings_its_choices(ready, scene, tmp_path):
    ready.parameterNode.threshold, ready.parameterNode.native = 1.32, True
    save_scene(scene, tmp_path / "scene.mrb")
    scene.Clear()
    assert ready.parameterNode.inputVolume is None and ready.parameterNode.threshold == 1.2
    mrml.read_mrb(scene, tmp_path / "scene.mrb")
    node = ready.parameterNode
    assert node.threshold == 1.32 and node.native and ready.ui.nativeCheckBox.checked
    assert node.inputVolume.GetName() == "scan" and ready.ui.inputSelector.currentNode() is node.inputVolume
    assert ready.ui.cavitySelector.currentNode().GetName() == "drawn" and ready.ui.applyButton.enabled


def test_a_scene_that_is_added_leaves_the_choices(ready, scene, tmp_path):
    other = mrml.new_scene()
    other.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another")
    save_scene(other, tmp_path / "other.mrb")
    mrml.read_mrb(scene, tmp_path / "other.mrb")
    assert scene.GetFirstNodeByName("another") is not None
    node = ready.parameterNode
    assert node.inputVolume.GetName() == "scan" and node.cavitySegmentation.GetName() == "drawn"
    assert ready.ui.inputSelector.currentNode() is node.inputVolume and ready.ui.applyButton.enabled


def test_a_loaded_result_is_taken_up_and_corrected(ready, scene, dialogs, tmp_path):
    apply(ready)
    share = ready.analysis.measurements["scar_area_pct"].value
    save_scene(scene, tmp_path / "scene.mrb")
    scene.Clear()
    assert not ready.ui.reopenButton.isVisibleTo(ready.ui.reviewCollapsibleButton)
    mrml.read_mrb(scene, tmp_path / "scene.mrb")
    assert ready.analysis is None and ready.ui.reopenButton.isVisibleTo(ready.ui.reviewCollapsibleButton)
    ready.ui.reopenButton.click()
    assert ready.analysis.measurements["scar_area_pct"].value == pytest.approx(share)
    assert not ready.ui.reopenButton.isVisibleTo(ready.ui.reviewCollapsibleButton) and ready.ui.editScarButton.enabled
    assert dialogs == []


def test_apply_asks_before_it_replaces_what_was_drawn_by_hand(ready, dialogs):
    apply(ready)
    put_mask(ready.analysis.scar.array * 0, ready.session.nodes.segmentation, SCAR.segment_id, ready.session.nodes.volume)
    dialogs.answer = False
    ready.ui.applyButton.click()
    assert dialogs[-1][0] == "question" and "scar" in dialogs[-1][1] and not ready.runSection.running
    assert ready.ui.statusLabel.text == "Nothing was started; the corrections by hand are as they were."
    dialogs.answer = True
    ready.ui.applyButton.click()
    assert ready.runSection.running


def test_a_reload_for_developers_reads_the_whole_package_again(ready, monkeypatch):
    import LAScarSeg

    reloaded = []
    monkeypatch.setattr(LAScarSeg.ScriptedLoadableModuleWidget, "onReload", lambda widget: reloaded.append(widget), raising=False)
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] in ("LAScarSegLib", "LAScarSegPanel")}
    try:
        ready.onReload()
        assert reloaded and not kept.keys() & sys.modules.keys()
    finally:
        sys.modules.update(kept)


def test_the_threshold_moves_in_round_steps(ready):
    apply(ready)
    assert ready.ui.thresholdSlider.singleStep == 0.01 and ready.ui.thresholdSlider.maximum == 2.4


def test_the_first_model_is_chosen_and_apply_is_ready(ready):
    pytest.importorskip("monai", reason="models need lascarseg[models]")
    from bright_network import add_bright_bundle

    bundle = add_bright_bundle()
    ready.choicesSection.fillLists()
    ready.ui.cavitySourceSelector.currentIndex = 1
    assert ready.parameterNode.cavityModel == bundle.card.reference and ready.ui.applyButton.enabled, ready.ui.statusLabel.text


def test_a_loaded_network_shows_what_it_can_compute_on(ready):
    ready.ui.cavitySourceSelector.currentIndex = 1
    wait(lambda: "cores" in ready.ui.deviceSelector.itemText(ready.ui.deviceSelector.count - 1), "the devices")
    assert ready.ui.deviceSelector.itemData(0) == "auto" and ready.parameterNode.device == "auto"


def test_a_plane_is_placed_watched_and_taken_away(ready, scene):
    ready.ui.drawCavityButton.click()
    ready.ui.placePlaneButton.click()
    assert ready.editSection.editor.effect is None
    plane = ready.planesSection.nodes()[0]
    assert plane.GetName() == "MV" and ready.planesSection.nodeIds() == ()
    plane.SetPlaneType(plane.PlaneTypePointNormal)
    plane.SetOriginWorld(0.0, 0.0, 0.0)
    plane.SetNormalWorld(0.0, 0.0, 1.0)
    plane.InvokeEvent(plane.PointEndInteractionEvent)
    assert ready.planesSection.nodeIds() == (plane.GetID(),) and "MV" in ready.ui.planesLabel.text
    ready.ui.removePlaneButton.click()
    assert ready.planesSection.nodes() == []


def test_a_result_stays_when_its_last_plane_goes(ready, scene):
    """The grey cover beyond the plane goes with it: the update itself takes it out of the scene."""
    apply(ready)
    bounds = [0.0] * 6
    ready.session.nodes.surface.GetRASBounds(bounds)
    ready.ui.placePlaneButton.click()
    plane = ready.planesSection.nodes()[0]
    plane.SetPlaneType(plane.PlaneTypePointNormal)
    plane.SetOriginWorld(*(sum(bounds[n : n + 2]) / 2 for n in (0, 2, 4)))
    plane.SetNormalWorld(0.0, 0.0, 1.0)
    plane.InvokeEvent(plane.PointEndInteractionEvent)
    wait(lambda: ready.session.nodes.left_out is not None, "the cover")
    assert not ready.analysis.surface.is_wall.all()
    ready.ui.removePlaneButton.click()
    wait(lambda: ready.analysis is None or ready.analysis.surface.is_wall.all(), "the whole wall")
    assert ready.session is not None and ready.session.nodes.left_out is None and ready.ui.editScarButton.enabled


def test_an_editor_that_is_closed_leaves_the_views_alone_and_is_not_saved(ready):
    ready.ui.drawCavityButton.click()
    editor = ready.editSection.editor
    assert editor.autoShowSourceVolumeNode and not editor.node.GetSaveWithScene()
    ready.ui.drawCavityButton.click()
    assert not editor.autoShowSourceVolumeNode


def test_a_scene_that_is_added_closes_the_editor(ready, scene, tmp_path):
    save_scene(mrml.new_scene(), tmp_path / "other.mrb")
    ready.ui.drawCavityButton.click()
    assert ready.editSection.editor.effect == "Paint"
    mrml.read_mrb(scene, tmp_path / "other.mrb")
    assert ready.editSection.editor.effect is None and not ready.ui.drawCavityButton.checked

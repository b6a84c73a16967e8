"""The panel's settings and what is shown: one threshold, results of other settings and of other scans, what Apply still lacks."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import ast
import re
import xml.etree.ElementTree as ElementTree
from types import SimpleNamespace

import numpy as np
import pytest
import pythonqt_stand_in
from panel_cases import apply, dialogs, lent_worker, panel, put_mask, ready, scene, show_result, wait, worker_of_all_panels  # noqa: F401
from PySide6 import QtWidgets
from scene_cases import AXIAL, scan
from slicer_stand_in import open_panel
from vtkmodules.util.numpy_support import vtk_to_numpy

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.drawing import new_cavity
from LAScarSegLib.scene.mrml import ROLE, nodes_of_class, slicer_classes
from LAScarSegLib.scene.segmentation import SCAR, segment_mask
from LAScarSegLib.support.flags import FLAGS

pytestmark = pytest.mark.usefixtures("lent_worker")


def add_scan(scene, name: str, brighter: float = 1.0):
    """A volume node and a segmentation node with its cavity."""
    image, cavity = scan(AXIAL)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    mrml.volume_to_node(type(image)(image.array * brighter, image.geometry), volume)
    segmentation, segment = new_cavity(scene, volume)
    put_mask(cavity.array, segmentation, segment, volume)
    return volume, segmentation, segment


def choose(panel, volume, segmentation, segment) -> None:
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.cavitySelector.setCurrentNode(segmentation)
    panel.ui.cavitySelector.setCurrentSegmentID(segment)


def shown_share(panel) -> str:
    return panel.ui.measurementsTable.item(0, 1).text()


def scar_map(panel) -> np.ndarray:
    return vtk_to_numpy(panel.session.nodes.surface.GetPolyData().GetPointData().GetArray("Scar")).astype(bool)


def is_grey(panel) -> bool:
    table = panel.ui.measurementsTable
    inks = {table.item(row, column).foreground().color().name() for row in range(table.rowCount) for column in range(3)}
    assert len(inks) == 1
    disabled = QtWidgets.QWidget.palette(table).color(QtWidgets.QApplication.palette().ColorGroup.Disabled, table.palette.ColorRole.Text)
    assert panel.ui.headlineLabel.enabled == (inks != {disabled.name()})
    return inks == {disabled.name()}


def pick(combo, key) -> None:
    combo.currentIndex = combo.findData(key)


# One threshold


def test_there_is_one_threshold_before_and_after_apply(ready):
    sliders = [slider for slider in ready.parent.widget.findChildren(QtWidgets.QWidget) if "hreshold" in str(slider.property("objectName"))]
    assert sorted(slider.property("objectName") for slider in sliders) == ["thresholdLabel", "thresholdSlider"]
    ready.ui.thresholdSlider.value = 1.5
    assert ready.parameterNode.threshold == 1.5
    apply(ready)
    assert ready.analysis.method.parameter == 1.5


def test_a_preset_is_live_too(ready):
    show_result(ready)
    before = shown_share(ready)
    pick(ready.ui.presetSelector, 1.32)
    assert ready.analysis.method.parameter == ready.ui.thresholdSlider.value == 1.32 and shown_share(ready) != before
    written = segment_mask(ready.session.nodes.segmentation, SCAR.segment_id, ready.analysis.geometry).whole()
    assert np.array_equal(written, ready.analysis.scar.array) and np.array_equal(scar_map(ready), ready.analysis.surface.scar)
    assert not is_grey(ready)


@pytest.mark.parametrize("shown", [False, True])
def test_a_typed_threshold_is_taken_as_typed(ready, dialogs, shown):
    if shown:
        show_result(ready)
    ready.ui.thresholdSlider.type("0.95")  # which begins with a threshold of 0
    assert ready.parameterNode.threshold == pytest.approx(0.95)
    ready.ui.thresholdSlider.type("1.35")
    assert ready.parameterNode.threshold == pytest.approx(1.35) and ready.choicesSection.choices().threshold == pytest.approx(1.35)
    assert (not shown or ready.analysis.method.parameter == pytest.approx(1.35)) and dialogs == []


@pytest.mark.parametrize("name", ["thresholdSlider", "opacitySlider"])
@pytest.mark.parametrize("method", ["iir", "percentile"])
def test_a_click_beside_a_handle_does_not_jump_to_the_end(ready, name, method):
    pick(ready.ui.methodSelector, method)
    slider = getattr(ready.ui, name)
    middle = slider.value = (slider.minimum + slider.maximum) / 2
    bar = slider.findChild(QtWidgets.QSlider)
    bar.triggerAction(QtWidgets.QSlider.SliderAction.SliderPageStepSub)
    assert 0 < middle - slider.value < (slider.maximum - slider.minimum) / 4


def test_a_range_beyond_the_usual_stays_under_a_held_handle(ready):
    show_result(ready)
    slider = ready.ui.thresholdSlider
    slider.value = usual = slider.maximum
    ready.parameterNode.threshold = 2 * usual
    assert slider.maximum == slider.value == pytest.approx(2 * usual)
    slider.drag(1.5 * usual)
    ready.resultChanged()  # as when the ranges arrive
    assert slider.maximum == pytest.approx(2 * usual) and ready.analysis.method.parameter == pytest.approx(1.5 * usual)
    slider.release()
    assert slider.maximum == slider.value == ready.parameterNode.threshold == pytest.approx(1.5 * usual)


def test_back_at_the_result_s_own_rule_nothing_has_changed(ready):
    show_result(ready)
    ready.ui.thresholdSlider.value = 1.4
    before = ready.analysis
    pick(ready.ui.methodSelector, "nsd")
    assert is_grey(ready) and ready.analysis is before
    pick(ready.ui.methodSelector, "barcelona")
    assert ready.analysis is before and ready.parameterNode.threshold == pytest.approx(1.4) and not is_grey(ready)


# A result of other settings


def change_wall(ready) -> None:
    segmentation = ready.parameterNode.cavitySegmentation
    ready.ui.wallSelector.setCurrentNode(segmentation)
    ready.ui.wallSelector.setCurrentSegmentID(segmentation.GetSegmentation().GetNthSegmentID(0))


def change_cavity(ready) -> None:
    ready.ui.cavitySelector.setCurrentNode(ready.session.nodes.segmentation)


CHANGES = {
    "method": (lambda ready: pick(ready.ui.methodSelector, "otsu"), "Image intensity ratio > 1.20 in the mid-wall layer (barcelona)."),
    "cavity": (change_cavity, "with the cavity of another segment."),
    "source": (lambda ready: setattr(ready.ui.cavitySourceSelector, "currentIndex", 1), "with the cavity of another segment."),
    "wall": (change_wall, "with the automatic wall."),
    "native": (lambda ready: ready.ui.nativeCheckBox.click(), "with a scan not known to be native."),
    "fast": (lambda ready: ready.ui.fastCheckBox.click(), "with no perturbation range."),
}


@pytest.mark.parametrize("what", CHANGES)
def test_another_setting_leaves_the_numbers_grey_until_apply(ready, what):
    show_result(ready)
    assert ready.ui.olderLabel.text == "" and not is_grey(ready)
    share, (change, words) = shown_share(ready), CHANGES[what]
    change(ready)
    said = ready.ui.olderLabel.text
    assert said.startswith("Result of Image intensity ratio > 1.20") and f"{words} Press Apply." in said
    assert is_grey(ready) and shown_share(ready) == share


def test_apply_makes_an_older_result_the_newest(ready):
    apply(ready)
    ready.ui.nativeCheckBox.click()
    assert is_grey(ready)
    apply(ready)
    assert not is_grey(ready) and ready.ui.olderLabel.text == ""


def test_a_setting_put_back_makes_the_result_the_newest_again(ready):
    show_result(ready)
    ready.ui.nativeCheckBox.click()
    ready.ui.nativeCheckBox.click()
    assert not is_grey(ready) and ready.ui.olderLabel.text == ""


def test_a_stroke_in_the_segment_that_was_measured_makes_the_result_older_until_it_is_undone(ready):
    show_result(ready)
    node, share = ready.parameterNode, shown_share(ready)
    where, before = (node.cavitySegmentation, node.cavitySegmentId, node.inputVolume), ready.analysis.cavity.array
    put_mask(np.roll(before, 3, axis=2), *where)
    wait(lambda: is_grey(ready), "the result to be older")
    assert "with the cavity's segment as it was before. Press Apply." in ready.ui.olderLabel.text and shown_share(ready) == share
    put_mask(before, *where)
    wait(lambda: not is_grey(ready), "the result to be the newest")
    assert ready.ui.olderLabel.text == ""


def test_the_threshold_of_a_scar_that_was_edited_waits_for_apply(ready):
    show_result(ready)
    put_mask(ready.analysis.scar.array * 0, ready.session.nodes.segmentation, SCAR.segment_id, ready.session.nodes.volume)
    wait(lambda: ready.analysis.measurements["scar_volume_ml"].value == 0, "the numbers after the edit")
    assert not is_grey(ready)
    ready.ui.thresholdSlider.value = 1.5
    assert is_grey(ready) and "edited by hand. Press Apply." in ready.ui.olderLabel.text
    assert ready.analysis.measurements["scar_volume_ml"].value == 0 and ready.parameterNode.threshold == 1.5


# Two scans


def test_the_selected_scan_s_result_is_shown_with_its_settings(ready, scene):
    show_result(ready)
    first = ready.parameterNode.inputVolume
    ready.ui.thresholdSlider.value = 1.3
    share = shown_share(ready)
    second = add_scan(scene, "second", brighter=2.0)
    choose(ready, *second)
    assert ready.analysis is None and ready.ui.headlineLabel.text == "No result yet." and not ready.ui.editScarButton.enabled
    pick(ready.ui.methodSelector, "nsd")
    show_result(ready)
    assert ready.ui.headlineLabel.text.count("second")
    ready.ui.inputSelector.setCurrentNode(first)
    assert shown_share(ready) == share and "scan:" in ready.ui.headlineLabel.text
    assert ready.session.nodes.volume is first and not is_grey(ready)
    assert (ready.parameterNode.method, ready.parameterNode.threshold) == ("barcelona", 1.3)
    assert ready.parameterNode.cavitySegmentation.GetName() == "drawn"
    ready.ui.inputSelector.setCurrentNode(second[0])
    assert ready.session.nodes.volume is second[0] and ready.parameterNode.method == "nsd"
    assert ready.parameterNode.cavitySegmentation is second[1] and not is_grey(ready)


def test_what_was_drawn_while_another_scan_was_shown_is_measured(ready, scene):
    show_result(ready)
    first, nodes, scar = ready.parameterNode.inputVolume, ready.session.nodes, ready.analysis.scar.array
    choose(ready, *add_scan(scene, "second"))
    put_mask(scar * 0, nodes.segmentation, SCAR.segment_id, nodes.volume)
    ready.ui.inputSelector.setCurrentNode(first)
    wait(lambda: ready.analysis.measurements["scar_volume_ml"].value == 0, "the numbers after the edit")


def test_a_run_that_ends_while_another_scan_is_selected_waits_for_its_scan(ready, scene):
    first = ready.parameterNode.inputVolume
    second = add_scan(scene, "second")
    ready.ui.applyButton.click()
    choose(ready, *second)
    wait(lambda: not ready.runSection.running, "the run")
    assert ready.analysis is None and ready.ui.headlineLabel.text == "No result yet."
    assert "Choose scan to see it." in ready.ui.statusLabel.text
    ready.ui.inputSelector.setCurrentNode(first)
    assert ready.analysis is not None and "scan:" in ready.ui.headlineLabel.text


def test_a_result_that_a_script_replaced_is_offered_and_not_shown(ready, scene):
    import LAScarSeg
    from LAScarSegLib.analysis.settings import Settings

    show_result(ready)
    node = ready.parameterNode
    first, segmentation, segment = node.inputVolume, node.cavitySegmentation, node.cavitySegmentId
    choose(ready, *add_scan(scene, "second"))
    LAScarSeg.LAScarSegLogic().process(first, segmentation, segment, Settings("nsd", 2.0, perturbation=False))
    ready.ui.inputSelector.setCurrentNode(first)
    assert ready.analysis is None and ready.ui.reopenButton.isVisibleTo(ready.ui.reviewCollapsibleButton)
    ready.ui.reopenButton.click()
    assert ready.analysis.method.name == "nsd" and ready.parameterNode.method == "nsd" and not is_grey(ready)
    assert ready.parameterNode.threshold == 2.0


def test_a_deleted_node_of_another_scan_s_result_forgets_that_result_only(ready, scene):
    show_result(ready)
    first, surface = ready.parameterNode.inputVolume, ready.session.nodes.surface
    choose(ready, *add_scan(scene, "second"))
    show_result(ready)
    shown = ready.session
    scene.RemoveNode(surface)
    assert ready.session is shown
    ready.ui.inputSelector.setCurrentNode(first)
    assert ready.session is None


# What Apply still lacks


def test_a_scan_and_a_cavity_that_come_while_the_module_is_open_are_chosen(panel, scene):
    assert not panel.ui.drawCavityButton.enabled
    volume, segmentation, segment = add_scan(scene, "loaded")
    wait(lambda: panel.ui.applyButton.enabled, "the scan to be chosen")
    node = panel.parameterNode
    assert (node.inputVolume, node.cavitySegmentation, node.cavitySegmentId) == (volume, segmentation, segment)
    assert panel.ui.drawCavityButton.enabled
    other = add_scan(scene, "another")[0]
    wait(lambda: not panel.choicesSection._settledTimer.isActive(), "a choice that is not made")
    assert node.inputVolume is volume is not other


def test_a_deleted_scan_leaves_no_map_of_ours_chosen(ready, scene):
    show_result(ready)
    maps = [node for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode") if node.GetAttribute(ROLE)]
    assert len(maps) >= 2
    scene.RemoveNode(ready.parameterNode.inputVolume)
    assert ready.ui.inputSelector.currentNode() is None and ready.parameterNode.inputVolume is None
    assert not ready.ui.applyButton.enabled


@pytest.mark.parametrize(("chosen", "button"), [("cavity", "cavityPyTorchButton"), ("method", "methodPyTorchButton")])
def test_without_torch_a_click_beside_the_list_brings_it(ready, dialogs, monkeypatch, chosen, button):
    from LAScarSegPanel import choices_section, environment

    there, brought = [], []
    find_spec = choices_section.importlib.util.find_spec
    monkeypatch.setattr(choices_section.importlib.util, "find_spec", lambda name: find_spec("json") if there else None)
    monkeypatch.setattr(environment, "ensureNetworks", lambda: brought.append(1) or there.append(1))
    nobody = SimpleNamespace(poll=lambda: None, close=lambda: None)
    monkeypatch.setattr(choices_section, "DeviceQuery", lambda python: nobody)
    option = choices_section.methods()[0]
    ready.choicesSection._methods = (*ready.choicesSection._methods, type(option)("a@1", "Model a@1", True))
    buttons = {name: getattr(ready.ui, name) for name in ("cavityPyTorchButton", "methodPyTorchButton")}
    assert not any(found.isVisibleTo(ready.parent.widget) for found in buttons.values())
    if chosen == "cavity":
        ready.ui.cavitySourceSelector.currentIndex = 1
    else:
        ready.parameterNode.method = "a@1"
    assert [name for name, found in buttons.items() if found.isVisibleTo(ready.parent.widget)] == [button]
    assert "PyTorch" in buttons[button].text
    buttons[button].click()
    assert brought and not buttons[button].isVisibleTo(ready.parent.widget)


def test_no_wall_is_said_as_what_it_means(ready):
    shown = [label.text for label in ready.ui.wallSelector.findChildren(QtWidgets.QLabel) if label.isVisibleTo(ready.ui.wallSelector)]
    window = ready.parent.widget
    window.show()
    pythonqt_stand_in.application().processEvents()
    labels = ready.ui.wallSelector.findChildren(QtWidgets.QLabel)
    assert shown and all(QtWidgets.QWidget.width(label) == 0 or not label.isVisible() for label in labels)
    boxes = ready.ui.wallSelector.findChildren(QtWidgets.QComboBox)
    assert "automatic" in boxes[0].currentText


@pytest.mark.parametrize("name", ["overlay", "cavitySource"])
def test_a_scene_of_another_version_opens(dialogs, scene, name):
    node = slicer_classes().vtkMRMLScriptedModuleNode()
    node.SetSingletonTag("LAScarSeg")
    node.SetParameter(name, "OF_ANOTHER_VERSION")
    node.SetParameter("threshold", "1.7")
    scene.AddNode(node)
    widget = open_panel()
    chosen = getattr(widget.parameterNode, name)
    assert chosen is next(iter(type(chosen))) and widget.parameterNode.threshold == 1.7
    widget.cleanup()


def strings(path) -> list[str]:
    """The texts in a file's code, without those that stand for themselves: docstrings."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    alone = {node.value for node in nodes if isinstance(node, ast.Expr)}
    return [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in alone]


def test_the_panel_says_model_and_never_network(repository):
    form = ElementTree.parse(repository / "Resources" / "UI" / "LAScarSeg.ui")
    said = [text.text or "" for text in form.iter("string")] + [kind.title for kind in FLAGS.values()]
    files = [repository / "LAScarSegLib" / "analysis" / "method.py", repository / "LAScarSegLib" / "systems" / "uncertainty.py"]
    for path in [*files, *(repository / "LAScarSeg").rglob("*.py"), *(repository / "LAScarSegLib" / "session").glob("*.py")]:
        said += strings(path)
    assert len(said) > 400
    # of a computer without a network, packages can't be downloaded
    assert not [text for text in said if re.search(r"\b[Nn]etworks?\b", text) and " " in text and "without a network" not in text]


def test_the_help_leads_to_the_tutorial(ready, repository):
    import LAScarSeg

    homepage = re.search(r'EXTENSION_HOMEPAGE "([^"]+)"', (repository / "CMakeLists.txt").read_text(encoding="utf-8"))[1]
    assert LAScarSeg.TUTORIAL.startswith(homepage + "/")
    assert (repository / LAScarSeg.TUTORIAL.partition("/blob/main/")[2]).is_file()

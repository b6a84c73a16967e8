"""The panel's form in real Qt, without Slicer: it loads, nothing is clipped at 400 pixels, and code and form know the same names."""

from __future__ import annotations

import ast
import os
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
try:
    from PySide6 import QtWidgets
except ImportError as error:
    pytest.skip(f"Qt can't be loaded ({error}): pip install lascarseg[test]; apt install libegl1", allow_module_level=True)

import pythonqt_stand_in
from conftest import REPOSITORY

FORM = REPOSITORY / "Resources" / "UI" / "LAScarSeg.ui"
CODE = [REPOSITORY / "LAScarSeg" / "LAScarSeg.py", *sorted((REPOSITORY / "LAScarSeg" / "LAScarSegPanel").glob("*.py"))]
NARROW = 400
"""Width in pixels of Slicer's module panel on a small screen."""
DECLARED = {
    "qMRMLWidget": set(),
    "ctkCollapsibleButton": {"text", "collapsed"},
    "ctkSliderWidget": {"decimals", "singleStep", "pageStep", "minimum", "maximum", "value", "tracking"},
    "ctkPathLineEdit": {"filters", "settingKey", "currentPath"},
    "qMRMLNodeComboBox": {
        "nodeTypes", "showHidden", "showChildNodeTypes", "noneEnabled", "addEnabled", "removeEnabled", "renameEnabled", "noneDisplay",
    },
    "qMRMLSegmentSelectorWidget": {"noneEnabled", "horizontalLayout"},
}  # fmt: skip
"""What Q_PROPERTY lines of these classes declare (CTK and Slicer 5.12) of what a form may set; a misspelt one is silently ignored."""
OF_EVERY_WIDGET = {"toolTip", "enabled", "visible", "sizePolicy", "SlicerParameterName"}
SECTIONS = ["Input", "Method", "Review", "Measurements", "Veins and gaps", "Compare", "Export", "Models"]


@pytest.fixture(scope="module")
def form():
    """The form with everything visible at 400 pixels, long words in the labels that wrap."""
    application = pythonqt_stand_in.application()
    widget = pythonqt_stand_in.load_ui(FORM)
    for child in widget.findChildren(QtWidgets.QWidget):
        if child.property("objectName") in shown_names():
            child.setVisible(True)
    widget.resize(NARROW, QtWidgets.QWidget.sizeHint(widget).height())
    widget.show()
    application.processEvents()
    yield widget
    widget.close()


def tree() -> ElementTree.Element:
    return ElementTree.parse(FORM).getroot()


def shown_names() -> set[str]:
    return {widget.get("name") for widget in tree().iter("widget")}


def children(form) -> list:
    return [child for child in form.findChildren(QtWidgets.QWidget) if child.property("objectName") in shown_names()]


def test_the_sections_come_in_the_order_of_the_work_with_apply_between_method_and_review() -> None:
    root = tree().find("widget/layout")
    names = [item.find("widget") for item in root.findall("item") if item.find("widget") is not None]
    texts = [text.text for widget in names for text in widget.findall("property[@name='text']/string")]
    assert texts == SECTIONS
    assert [widget.get("name") for widget in names].index("applyFrame") == 2


def test_nothing_is_clipped_at_400_pixels(form) -> None:
    assert form.size.width() == NARROW
    too_small = {
        child.property("objectName"): (child.property("size").width(), child.minimumSizeHint().width())
        for child in children(form)
        if child.isVisible() and child.property("size").width() < child.minimumSizeHint().width()
    }
    assert not too_small


def test_every_word_of_every_button_and_label_is_seen(form) -> None:
    kinds = (QtWidgets.QLabel, QtWidgets.QPushButton, QtWidgets.QCheckBox, QtWidgets.QToolButton)
    cut = {
        child.property("objectName"): child.property("text")
        for child in children(form)
        if isinstance(child, kinds) and child.isVisible() and not child.property("wordWrap")
        and child.property("size").width() < child.sizeHint().width()
    }  # fmt: skip
    assert not cut


def test_every_control_has_a_tool_tip() -> None:
    silent = {"QLabel", "QFrame", "QProgressBar", "qMRMLWidget", "ctkCollapsibleButton"}
    controls = [widget for widget in tree().iter("widget") if widget.get("class") not in silent]
    assert len(controls) > 30
    assert not [widget.get("name") for widget in controls if widget.find("property[@name='toolTip']") is None]


def test_the_keyboard_goes_through_the_controls_from_top_to_bottom() -> None:
    passive = {"QLabel", "QFrame", "QProgressBar", "qMRMLWidget"}
    order = [widget.get("name") for widget in tree().iter("widget") if widget.get("class") not in passive]
    assert [stop.text for stop in tree().iter("tabstop")] == order


def test_widgets_of_slicer_get_only_properties_that_they_have() -> None:
    custom = {widget.findtext("class") for widget in tree().iter("customwidget")}
    used = [widget for widget in tree().iter("widget") if widget.get("class") in custom]
    assert custom == set(DECLARED) and len(used) > 10
    for widget in used:
        names = {entry.get("name") for entry in widget.findall("property")}
        assert names <= DECLARED[widget.get("class")] | OF_EVERY_WIDGET, widget.get("name")


def test_every_selector_of_nodes_gets_the_scene() -> None:
    selectors = {widget.get("name") for widget in tree().iter("widget") if widget.get("class", "").startswith("qMRML")} - {"LAScarSeg"}
    wired = {
        connection.findtext("receiver")
        for connection in tree().iter("connection")
        if connection.findtext("signal") == "mrmlSceneChanged(vtkMRMLScene*)" and connection.findtext("sender") == "LAScarSeg"
    }
    assert wired == selectors and len(selectors) == 4


def test_the_form_and_the_parameter_node_know_the_same_names() -> None:
    module = ast.parse(CODE[0].read_text(encoding="utf-8"))
    node = next(c for c in module.body if isinstance(c, ast.ClassDef) and c.name == "LAScarSegParameterNode")
    fields = {line.target.id for line in node.body if isinstance(line, ast.AnnAssign)}
    names = [text.text for text in tree().findall(".//property[@name='SlicerParameterName']/string")]
    assert len(names) == len(set(names)) > 8
    assert set(names) <= fields


def test_every_widget_that_the_code_names_is_in_the_form_and_no_widget_is_forgotten() -> None:
    code = "\n".join(path.read_text(encoding="utf-8") for path in CODE)
    used = set(re.findall(r"\bui\.(\w+)", code)) | set(re.findall(r'"(\w+(?:Label|Selector|SpinBox|Slider|Button|CheckBox))"', code))
    assert used <= shown_names() | {"__dict__"}
    connected = {
        widget.get("name") for widget in tree().iter("widget") if widget.find("property[@name='SlicerParameterName']") is not None
    }
    active = {w.get("name") for w in tree().iter("widget") if w.get("class") in {"QPushButton", "QToolButton", "QComboBox", "ctkSliderWidget"}}
    assert active <= used | connected


def slicer_names(path: Path) -> set[str]:
    """The vtkMRML… and vtk… names that a file takes from `slicer`."""
    return set(re.findall(r"\bslicer\.(vtk\w+)", path.read_text(encoding="utf-8")))


def test_every_mrml_class_and_event_that_the_code_names_exists() -> None:
    slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")
    for path in CODE:
        for name in slicer_names(path):
            assert hasattr(slicer, name), f"{path.name}: slicer.{name}"
    for owner, event in (
        (slicer.vtkMRMLMarkupsNode, "PointEndInteractionEvent"), (slicer.vtkMRMLMarkupsNode, "PointPositionDefinedEvent"),
        (slicer.vtkSegmentation, "SourceRepresentationModified"), (slicer.vtkMRMLScene, "StartCloseEvent"),
        (slicer.vtkMRMLScene, "EndCloseEvent"), (slicer.vtkMRMLScene, "NodeAddedEvent"), (slicer.vtkMRMLScene, "NodeRemovedEvent"),
        (slicer.vtkMRMLMarkupsPlaneNode, "GetIsPlaneValid"), (slicer.vtkSlicerPlotsLogic, "ShowChartInLayout"),
        (slicer.vtkMRMLSegmentEditorNode, "SetSelectedSegmentID"),
    ):  # fmt: skip
        assert hasattr(owner, event), event

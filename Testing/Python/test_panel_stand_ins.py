"""The stand-ins against what they stand for: ctkSliderWidget as measured in CTK, and slicer.parameterNodeWrapper itself where it is here.

The slider's expectations were read off CTK's own widget (July 2026, Qt 5.15) under the same strokes. Those of the parameter node
run twice, on the stand-in and on Slicer's code.
"""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import enum
import gc
import math
from types import SimpleNamespace
from typing import Annotated

import numpy as np
import pytest
from panel_cases import scene  # noqa: F401 (first: it skips all of this where slicer-core or Qt is absent)

# isort: split
import parameter_node_stand_in
from pythonqt_stand_in import CLASSES, QT_CLASSES, application
from slicer_stand_in import SLICER_SOURCE, has_real_wrapper, real_wrapper, slicer_application

from LAScarSegLib.scene.mrml import slicer_classes


class Source(enum.Enum):
    SEGMENT = "segment"
    MODEL = "model"

    def label(self) -> str:
        return f"from a {self.value}"


@pytest.fixture
def slider():
    """Without tracking, 0…2.4 in steps of 0.01, at 1.2; `heard` is what it told since."""
    application()
    slider = CLASSES["ctkSliderWidget"]()
    slider.decimals, slider.singleStep, slider.maximum, slider.value, slider.tracking = 2, 0.01, 2.4, 1.2, False
    slider.heard = []
    slider.valueIsChanging.connect(lambda value: slider.heard.append(("moves", round(value, 9), round(slider.value, 9))))
    slider.valueChanged.connect(lambda value: slider.heard.append(("set", round(value, 9), round(slider.value, 9))))
    return slider


def both(value: float) -> list[tuple[str, float, float]]:
    return [("moves", value, value), ("set", value, value)]


def test_a_held_handle_tells_that_it_moves_and_keeps_the_value_until_it_is_let_go(slider) -> None:
    slider.drag(1.3, 1.31)
    assert slider.heard == [("moves", 1.3, 1.2), ("moves", 1.31, 1.2)] and slider.value == 1.2
    slider.release()
    assert slider.heard[2:] == [("set", 1.31, 1.31)]


def test_a_handle_put_back_where_it_was_sets_nothing(slider) -> None:
    slider.drag(1.3, 1.2)
    slider.release()
    assert slider.heard == [("moves", 1.3, 1.2), ("moves", 1.2, 1.2)]


def test_with_tracking_every_place_is_set_and_the_release_tells_nothing(slider) -> None:
    slider.tracking = True
    slider.drag(1.3, 1.31)
    slider.release()
    assert slider.heard == [("set", 1.3, 1.3), ("set", 1.31, 1.31)]


def test_code_that_sets_a_value_is_told_like_a_user_and_the_same_value_is_not(slider) -> None:
    slider.value = 1.5
    slider.value = 1.5
    assert slider.heard == both(1.5)


def test_code_that_sets_what_a_held_handle_shows_tells_nothing_and_another_value_is_set_at_once(slider) -> None:
    slider.drag(1.3)
    slider.value = 1.3
    assert slider.heard == [("moves", 1.3, 1.2)]
    slider.value = 1.4
    assert slider.heard[1:] == both(1.4) and slider.value == 1.2
    slider.release()
    assert slider.heard[3:] == [("set", 1.4, 1.4)]


def test_every_letter_in_the_box_moves_and_sets(slider) -> None:
    slider.type("1.35")
    assert slider.heard == both(1.0) + both(1.3) + both(1.35)


def test_a_range_without_the_value_sets_its_end(slider) -> None:
    slider.maximum = 1.0
    assert slider.heard == both(1.0) and (slider.minimum, slider.maximum) == (0.0, 1.0)


def test_the_handle_goes_in_steps_from_where_it_is_and_the_box_alone_rounds(slider) -> None:
    slider.value = 1.234
    slider.drag(1.25)
    slider.release()
    assert slider.value == pytest.approx(1.254) and slider._box.text() == "1.25"


@pytest.mark.parametrize(("page", "value"), [(None, 2.4), (0.1, 1.3)])
def test_a_page_is_ten_unless_it_is_set(slider, page, value) -> None:
    if page:
        slider.pageStep = page
    slider._slider.triggerAction(slider._slider.SliderAction.SliderPageStepAdd)
    assert slider.heard == both(value)


@pytest.fixture(params=["the stand-in", *(["Slicer"] if has_real_wrapper() else [])])
def wrapper(request, scene):
    with slicer_application(scene):
        yield real_wrapper() if request.param == "Slicer" else parameter_node_stand_in


def test_slicer_s_own_parameter_node_wrapper_is_here_to_compare_with() -> None:
    if not has_real_wrapper():
        pytest.skip(f"slicer.parameterNodeWrapper is not here: set {SLICER_SOURCE} to a checkout of Slicer/Slicer")


def make(wrapper, defaults=None, /, **types) -> type:
    """A wrapped class with these attributes."""
    return wrapper.parameterNodeWrapper(type("Made", (), {"__annotations__": types, **(defaults or {})}))


@pytest.fixture
def choices(wrapper, scene):
    """One attribute of every kind, on a node of the scene."""
    cls = make(
        wrapper,
        {"source": Source.MODEL, "method": "iir", "threshold": 1.2, "legend": True},
        volume=slicer_classes().vtkMRMLScalarVolumeNode, source=Source, first=Source, segment=str, method=str,
        threshold=Annotated[float, wrapper.WithinRange(0, 100)], number=float, count=int, native=bool, legend=bool,
    )  # fmt: skip
    node = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    choices = cls(node)
    choices.events = []
    node.AddObserver("ModifiedEvent", lambda *unused: choices.events.append(1))
    return choices


def stored(choices) -> dict[str, str]:
    node = choices.parameterNode
    return {name: node.GetParameter(name) for name in node.GetParameterNames()}


def test_a_new_node_gets_every_default_as_text(choices) -> None:
    assert stored(choices) == {
        "volume": "", "source": "MODEL", "first": "SEGMENT", "segment": "", "method": "iir", "threshold": "1.2", "number": "0",
        "count": "0", "native": "False", "legend": "True",
    }  # fmt: skip
    assert choices.volume is None and choices.source is Source.MODEL and choices.first is Source.SEGMENT
    assert choices.number == 0 and choices.legend is True and choices.native is False


@pytest.mark.parametrize(
    ("name", "value", "text", "read"),
    [
        ("source", Source.SEGMENT, "SEGMENT", Source.SEGMENT), ("segment", "two words", "two words", "two words"),
        ("threshold", 2, "2", 2.0), ("threshold", 0.1 + 0.2, "0.30000000000000004", 0.1 + 0.2), ("threshold", 100.0, "100.0", 100.0),
        ("threshold", np.float64(1.25), "1.25", 1.25), ("count", 5, "5", 5), ("native", True, "True", True),
    ],
)  # fmt: skip
def test_what_is_assigned_is_kept_as_text_and_told_once(choices, name, value, text, read) -> None:
    setattr(choices, name, value)
    assert choices.parameterNode.GetParameter(name) == text and len(choices.events) == 1
    assert getattr(choices, name) == read and type(getattr(choices, name)) is type(read)
    setattr(choices, name, value)
    assert len(choices.events) == 1


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("threshold", 100.5, ValueError), ("threshold", -1, ValueError), ("threshold", math.nan, ValueError),
        ("threshold", None, ValueError), ("threshold", "3", TypeError), ("threshold", np.float32(1.25), TypeError),
        ("count", 5.0, TypeError), ("count", None, ValueError), ("native", 1, TypeError), ("native", np.bool_(True), TypeError),
        ("segment", None, ValueError), ("segment", 3, TypeError), ("source", "MODEL", TypeError), ("source", None, AttributeError),
        ("volume", "vtkMRMLScalarVolumeNode1", TypeError),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_changes_nothing(choices, name, value, error) -> None:
    before, read = stored(choices), getattr(choices, name)
    with pytest.raises(error):
        setattr(choices, name, value)
    assert stored(choices) == before and getattr(choices, name) == read and choices.events == []


def test_a_node_is_kept_as_a_reference_beside_an_empty_text(choices, scene) -> None:
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    choices.volume = volume
    choices.volume = volume
    node = choices.parameterNode
    assert node.GetNodeReferenceID("volume") == volume.GetID() and node.GetParameter("volume") == ""
    assert choices.volume is volume and len(choices.events) == 1
    with pytest.raises(TypeError):
        choices.volume = scene.AddNewNodeByClass("vtkMRMLModelNode", "model")
    choices.volume = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "a kind of scalar volume")
    assert choices.volume.GetName() == "a kind of scalar volume"
    choices.volume = None
    assert choices.volume is None and node.GetNodeReferenceID("volume") is None


def test_a_node_that_leaves_the_scene_leaves_the_choice(choices, scene) -> None:
    choices.volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    scene.RemoveNode(choices.volume)
    assert choices.volume is None


def test_what_a_node_holds_is_read_without_a_look_at_its_range(choices) -> None:
    choices.parameterNode.SetParameter("threshold", "1000")
    choices.parameterNode.SetParameter("native", "true")
    assert choices.threshold == 1000.0 and choices.native is False
    assert type(choices)(choices.parameterNode).threshold == 1000.0


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Slicer's, of what it had not made yet
@pytest.mark.parametrize(("name", "text"), [("threshold", "x"), ("source", "GONE"), ("count", "1.5")])
def test_a_node_with_what_cannot_be_read_has_no_parameter_node(choices, scene, name, text) -> None:
    node = scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    node.SetParameter(name, text)
    with pytest.raises(ValueError, match=text):
        type(choices)(node)


def test_what_cannot_be_read_later_leaves_the_value(choices) -> None:
    choices.parameterNode.SetParameter("source", "GONE")
    assert choices.source is Source.MODEL


def test_a_parameter_that_is_taken_away_comes_back_with_its_default(choices) -> None:
    choices.threshold = 3.0
    choices.parameterNode.UnsetParameter("threshold")
    assert choices.threshold == 1.2 and choices.parameterNode.GetParameter("threshold") == "1.2"


def test_between_start_and_end_of_changes_only_the_writer_knows_them(choices) -> None:
    other = type(choices)(choices.parameterNode)
    before = choices.StartModify()
    choices.threshold, choices.method = 3.0, "nsd"
    assert (choices.threshold, choices.method, other.threshold, other.method) == (3.0, "nsd", 1.2, "iir") and choices.events == []
    choices.EndModify(before)
    assert (other.threshold, other.method) == (3.0, "nsd") and len(choices.events) == 1


def test_an_observer_of_somebody_else_s_change_may_be_told_before_an_attribute_has_it(choices, scene) -> None:
    """VTK calls the first of several observers last, and that is the first attribute's. One's own changes are there."""
    read = []
    choices.AddObserver("ModifiedEvent", lambda *unused: read.append((choices.volume, choices.threshold)))
    volume, node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan"), choices.parameterNode
    before = node.StartModify()
    node.SetNodeReferenceID("volume", volume.GetID())
    node.SetParameter("threshold", "2.0")
    node.EndModify(before)
    assert read == [(None, 2.0)] and choices.volume is volume
    choices.volume = None
    assert read[1:] == [(None, 2.0)]


def test_a_parameter_node_that_is_dropped_hears_no_more(wrapper) -> None:
    node = slicer_classes().vtkMRMLScriptedModuleNode()
    choices = make(wrapper, threshold=float, method=str)(node)
    assert node.HasObserver("ModifiedEvent")
    del choices
    gc.collect()
    assert not node.HasObserver("ModifiedEvent")


@pytest.mark.parametrize("name", ["default", "getValue", "connectGui", "Modified", "allParameters"])
def test_names_that_slicer_uses_are_refused(wrapper, name) -> None:
    with pytest.raises(ValueError, match=name):
        make(wrapper, **{name: str})


def form(**widgets: str) -> SimpleNamespace:
    """Widgets of these classes, each for the parameter of its name, and a label for none."""
    classes = {**CLASSES, **QT_CLASSES}
    made = SimpleNamespace(**{name: classes[cls]() for name, cls in widgets.items()}, label=QT_CLASSES["QLabel"]())
    for name in widgets:
        getattr(made, name).setProperty("SlicerParameterName", name)
    return made


@pytest.fixture
def ui(choices, scene):
    """The four kinds of widget that the panel connects, connected."""
    made = form(volume="qMRMLNodeComboBox", source="QComboBox", threshold="QDoubleSpinBox", legend="QCheckBox", native="QCheckBox")
    choices.tag = choices.connectGui(made)
    return made


def test_widgets_show_the_choices_within_their_range_and_by_their_labels(choices, ui) -> None:
    assert (ui.threshold.minimum, ui.threshold.maximum, ui.threshold.value) == (0, 100, 1.2)
    assert [ui.source.itemText(n) for n in range(ui.source.count)] == ["from a segment", "from a model"]
    assert ui.source.currentIndex == 1 and ui.legend.checked and not ui.native.checked
    assert list(ui.volume.nodeTypes) == ["vtkMRMLScalarVolumeNode"] and choices.events == []


def test_what_the_user_chooses_is_kept_and_told_once(choices, ui, scene) -> None:
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    ui.threshold.value = 1.5
    ui.source.currentIndex = 0
    ui.native.click()
    ui.volume.setCurrentNode(volume)
    assert (choices.threshold, choices.source, choices.native, choices.volume) == (1.5, Source.SEGMENT, True, volume)
    assert len(choices.events) == 4


def test_widgets_follow_and_what_they_round_is_not_kept(choices, ui) -> None:
    choices.threshold, choices.source, choices.legend = 1.234, Source.SEGMENT, False
    assert (ui.threshold.value, ui.source.currentIndex, ui.legend.checked) == (1.23, 0, False)
    assert choices.threshold == 1.234 and len(choices.events) == 3
    ui.native.click()
    assert choices.threshold == 1.234


def test_after_disconnecting_neither_follows_the_other_and_the_way_back_is_told_once(choices, ui) -> None:
    choices.disconnectGui(choices.tag)
    choices.threshold = 2.0
    ui.native.click()
    assert ui.threshold.value == 1.2 and not choices.native
    choices.disconnectGui(choices.tag)
    choices.disconnectGui(None)
    choices.connectGui(ui)
    assert ui.threshold.value == 2.0 and not ui.native.checked
    choices.events.clear()
    ui.native.click()
    assert choices.native and len(choices.events) == 1


def test_two_forms_are_connected_at_a_time(choices, ui) -> None:
    other = form(threshold="ctkSliderWidget")
    tag = choices.connectGui(other)
    ui.threshold.value = 1.5
    assert other.threshold.value == 1.5 and other.threshold.maximum == 100
    choices.disconnectGui(tag)
    ui.threshold.value = 1.6
    assert other.threshold.value == 1.5 and choices.threshold == 1.6


@pytest.mark.parametrize(
    ("widgets", "error"),
    [
        ({"nothing": "QCheckBox"}, ValueError), ({"threshold": "QCheckBox"}, RuntimeError), ({"volume": "QDoubleSpinBox"}, RuntimeError),
        ({"number": "ctkSliderWidget"}, RuntimeError), ({"volume": "qMRMLSegmentSelectorWidget"}, RuntimeError),
    ],
)  # fmt: skip
def test_a_form_that_does_not_fit_the_parameters_is_refused(choices, widgets, error) -> None:
    with pytest.raises(error):
        choices.connectGui(form(**widgets))


def test_a_slider_without_tracking_is_kept_when_it_is_let_go(choices) -> None:
    ui = form(threshold="ctkSliderWidget")
    ui.threshold.singleStep, ui.threshold.tracking = 0.01, False
    choices.connectGui(ui)
    ui.threshold.drag(1.3, 1.4)
    assert choices.threshold == 1.2 and choices.events == []
    ui.threshold.release()
    assert choices.threshold == pytest.approx(1.4) and len(choices.events) == 1

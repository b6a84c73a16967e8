"""The panel where no cavity model came along: one click gets it, after its terms were accepted."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import threading

import pytest
from panel_cases import dialogs, panel, scene, wait  # noqa: F401
from release_server import LICENCE, TERMS, connections, left_in_store, make_release, serving

from LAScarSegLib.models import fetch
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.session import model_fetch


@pytest.fixture
def release(dialogs, tmp_path, monkeypatch):
    """A package without its model, and a release that has it; someone is there to answer."""
    import slicer

    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    with serving(make_release(tmp_path, monkeypatch), monkeypatch) as release:
        yield release


@pytest.fixture
def opened(release, dialogs):
    """The open panel; a model is to find the cavity."""
    from slicer_stand_in import open_panel

    with connections() as connected:
        widget = open_panel()
        widget.ui.cavitySourceSelector.currentIndex = 1
    assert connected == [], "nothing is fetched unasked"
    yield widget
    widget.cleanup()


@pytest.fixture
def answer():
    """What somebody answers next, by the button's text; what was asked is kept."""
    from PySide6 import QtCore, QtWidgets

    asked = []

    def with_button(text: str) -> list[str]:
        def press() -> None:
            box = QtWidgets.QApplication.activeModalWidget()
            buttons = {button.text().replace("&", ""): button for button in box.buttons()}
            asked.append("\n".join((box.text(), box.informativeText(), box.detailedText())))
            buttons.get(text, box.buttons()[-1]).click()

        QtCore.QTimer.singleShot(0, press)
        return asked

    return with_button


def buttons(panel) -> list[bool]:
    """Whether they are shown: the one beside the list, the one under Models."""
    return [button.isVisibleTo(button.parentWidget()) for button in (panel.ui.cavityGetButton, panel.ui.getModelButton)]


def test_it_is_offered_where_it_is_missing_with_what_it_costs(opened, release):
    assert buttons(opened) == [True, True]
    assert opened.ui.cavityGetButton.text == opened.ui.getModelButton.text == f"Get small-cavity ({release.model.size})…"
    assert release.model.address in opened.ui.cavityGetButton.toolTip
    opened.ui.cavitySourceSelector.currentIndex = 0
    assert buttons(opened) == [False, True]


def test_apply_says_what_to_press(opened, scene):
    from scene_cases import AXIAL, scan

    from LAScarSegLib import scene as mrml

    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    mrml.volume_to_node(scan(AXIAL)[0], volume)
    opened.parameterNode.inputVolume = volume
    assert "Press Get small-cavity" in opened.ui.statusLabel.text and not opened.ui.applyButton.enabled


def test_declined_nothing_is_fetched(opened, release, answer):
    asked = answer("Decline")
    opened.ui.cavityGetButton.click()
    assert all(words in asked[0] for words in (TERMS, LICENCE.decode(), release.model.address, "Tests only."))
    assert release.asked == [] and buttons(opened) == [True, True]
    assert "terms of small-cavity were declined" in opened.ui.modelsLabel.text


def test_accepted_it_is_fetched_chosen_and_offered_no_more(opened, release, answer, monkeypatch):
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 1000)
    answer("Accept")
    opened.ui.cavityGetButton.click()
    assert opened.ui.cavityGetButton.text == "Cancel"
    wait(lambda: not opened.getModelSection.running, "the model")
    assert opened.parameterNode.cavityModel == "small-cavity@1.0" and buttons(opened) == [False, False]
    assert "Added small-cavity@1.0" in opened.ui.modelsLabel.text
    bundle = ModelStore().default_cavity()
    assert ModelStore().accepted(bundle), "Apply does not ask again"
    opened.modelsSection.changed("")
    ModelStore().remove("small-cavity")
    opened.enter()
    assert buttons(opened) == [True, True]


def hold(release, event) -> None:
    """The server gives half of the file, and waits."""

    def answer(handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(release.content[: len(release.content) // 2])
        handler.wfile.flush()
        event.wait(20)

    release.answer = answer


@pytest.mark.parametrize("end", ["cancel", "cleanup"])
def test_cancelled_in_the_middle_nothing_is_kept(opened, release, answer, tmp_path, monkeypatch, end):
    event = threading.Event()
    hold(release, event)
    monkeypatch.setattr(fetch, "CHUNK_BYTES", 1000)
    monkeypatch.setattr(model_fetch, "PATIENCE_S", 0.1)
    answer("Accept")
    opened.ui.getModelButton.click()
    wait(lambda: "%" in opened.ui.getModelButton.text and "– 0 %" not in opened.ui.getModelButton.text, "half of it")
    assert "Fetching small-cavity" in opened.ui.modelsLabel.text and left_in_store(tmp_path)
    opened.ui.getModelButton.click() if end == "cancel" else opened.cleanup()
    if end == "cancel":
        assert opened.ui.getModelButton.text.startswith("Get small-cavity") and "Cancelled" in opened.ui.modelsLabel.text
    event.set()
    wait(lambda: left_in_store(tmp_path) == [], "the scratch file to go")


def test_a_failure_is_said_with_the_way_by_hand(opened, release, answer, dialogs):
    release.answer = lambda handler: handler.send_error(503)
    answer("Accept")
    opened.ui.cavityGetButton.click()
    wait(lambda: not opened.getModelSection.running, "the failure")
    ((kind, text),) = dialogs
    assert kind == "error" and "503" in text and "Models, Add zip" in text and buttons(opened) == [True, True]


def test_a_panel_with_its_model_offers_nothing(panel):
    assert buttons(panel) == [False, False]

"""The panel and its worker process: kept between runs, gone with the panel; Export beside the windows; the terms of a model."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import json
import time
from dataclasses import replace
from importlib.util import find_spec

import pytest
import pythonqt_stand_in
from panel_cases import apply, dialogs, is_alive, lent_worker, panel, ready, scene, show_result, wait, worker_of_all_panels  # noqa: F401

from LAScarSegLib.models.bundle import read_bundle
from LAScarSegLib.models.store import ModelStore


def test_the_second_apply_and_the_export_run_in_the_process_of_the_first(ready, dialogs, tmp_path):
    apply(ready)
    worker = ready.runSection.worker.pid
    ready.parameterNode.threshold = 0.7
    ready.ui.applyButton.click()
    assert ready.runSection.workerPid == worker
    wait(lambda: not ready.runSection.running, "the run")
    assert ready.analysis.method.parameter == 0.7 and ready.runSection.worker.pid == worker
    export(ready, tmp_path)
    wait(lambda: ready.ui.exportButton.text == "Export", "the export")
    assert ready.runSection.worker.pid == worker and dialogs == []
    ready.cleanup()
    assert not is_alive(worker)


def test_after_cancel_another_process_takes_the_next_run(lent_worker, ready):
    apply(ready)
    worker = ready.runSection.worker.pid
    ready.ui.applyButton.click()
    ready.ui.applyButton.click()
    assert not is_alive(worker) and "Cancelled" in ready.ui.statusLabel.text
    apply(ready)
    assert ready.runSection.worker.pid not in (None, worker)


def export(panel, folder) -> None:
    panel.ui.exportFolderEdit.currentPath = str(folder)
    panel.ui.exportReportCheckBox.checked = False
    panel.ui.exportSceneCheckBox.checked = False
    panel.ui.exportButton.click()


def test_while_an_export_is_written_the_windows_go_on_and_it_is_said_what_happens(lent_worker, ready, tmp_path):
    show_result(ready)
    export(ready, tmp_path)
    said = []
    while ready.ui.exportButton.text == "Cancel":
        pythonqt_stand_in.application().processEvents()
        said.append(ready.ui.exportLabel.text)
        time.sleep(0.005)
    # An export that kept the windows waiting would be over before the first of these.
    assert len(said) > 5 and "Writing" in said[0]
    shown = ready.analysis.measurements["scar_volume_ml"].value
    assert json.loads((tmp_path / "scan" / "measurements.json").read_text())["scar_volume_ml"]["value"] == shown
    assert str(tmp_path / "scan") in ready.ui.exportLabel.text


def test_an_export_that_was_cancelled_leaves_nothing_and_can_be_done_again(lent_worker, ready, tmp_path):
    show_result(ready)
    export(ready, tmp_path)
    assert ready.ui.exportButton.text == "Cancel"
    ready.ui.exportButton.click()
    assert ready.ui.exportButton.text == "Export" and ready.ui.exportButton.enabled and "Cancelled" in ready.ui.exportLabel.text
    export(ready, tmp_path)
    wait(lambda: ready.ui.exportButton.text == "Export", "the export")
    assert (tmp_path / "scan" / "provenance.json").is_file()


def test_a_panel_that_is_closed_while_it_exports_leaves_no_process_and_no_folder(ready, tmp_path):
    show_result(ready)
    export(ready, tmp_path)
    worker = next(section for section in ready.sections if type(section).__name__ == "ExportSection")._run.pid
    assert is_alive(worker)
    ready.cleanup()
    assert not is_alive(worker) and not (tmp_path / "scan").exists()


@pytest.fixture
def asked(ready, repository, monkeypatch):
    """A model with terms is chosen, somebody is there to answer; the answers by button text, in order, and what was asked."""
    import slicer
    from PySide6 import QtCore, QtWidgets

    if find_spec("torch") is None or find_spec("monai") is None:
        pytest.skip("models need lascarseg[models]")
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    folder = repository / "Testing" / "Models" / "two-stage-sdm-scar-phantom"
    card = replace(read_bundle(folder).card, terms="Research only.")
    ModelStore().keep_new(card, {path.name: path.read_bytes() for path in folder.glob("*.safetensors")})
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    ready.modelsSection.enter()
    ready.parameterNode.method = card.reference
    questions = []

    def answer(text: str) -> None:
        def press() -> None:
            box = QtWidgets.QApplication.activeModalWidget()
            buttons = {button.text().replace("&", ""): button for button in box.buttons()}
            questions.append((box.text(), set(buttons)))
            buttons.get(text, box.buttons()[-1]).click()  # a question that stays open would keep the test waiting

        QtCore.QTimer.singleShot(0, press)

    return questions, answer


def test_terms_are_accepted_or_declined_and_it_is_said_what_declining_means(ready, asked):
    questions, answer = asked
    answer("Decline")
    ready.ui.applyButton.click()
    assert not ready.runSection.running
    said = ready.ui.statusLabel.text
    assert "declined" in said and "Press Apply" in said and ready.ui.statusLabel.isVisibleTo(ready.ui.applyFrame)
    answer("Accept")
    ready.ui.applyButton.click()
    assert ready.runSection.running
    ready.ui.applyButton.click()
    assert [buttons for _, buttons in questions] == [{"Accept", "Decline"}] * 2 and "Research only." in questions[0][0]
    ready.ui.applyButton.click()  # once is enough
    assert ready.runSection.running and len(questions) == 2

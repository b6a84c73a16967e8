"""Tests for Slicer (Testing/Slicer) that need no more than real MRML, real Qt and the stand-ins: run here too, so that they stay true."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import importlib.util
import unittest
from types import SimpleNamespace

import pytest
import pythonqt_stand_in
from conftest import REPOSITORY
from error_log_stand_in import ErrorLog
from panel_cases import dialogs, lent_worker, scene, worker_of_all_panels  # noqa: F401
from scene_cases import CENTRE_LPS
from session_cases import ball_nodes
from slicer_stand_in import open_panel
from slicer_windows import Windows

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene import inputs
from LAScarSegLib.scene.bundle import save_scene
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.scene.plane_markups import add_plane
from LAScarSegLib.surface.planes import CutPlane

CASES = (
    "LAScarSegRunTest.test_cancel_leaves_the_scene_as_it_was_and_no_process",
    "LAScarSegUndoTest.test_a_cavity_stroke_across_scar_is_undone_and_made_again_bit_for_bit",
    "LAScarSegEditTest.test_scar_is_painted_inside_the_wall_only_and_the_numbers_follow",
    "LAScarSegSceneTest.test_a_scan_deleted_while_the_worker_runs_leaves_nothing_behind",
    "LAScarSegSceneTest.test_a_saved_scene_brings_the_choices_and_the_result_back",
    "LAScarSegSceneTest.test_a_second_run_updates_the_nodes_of_the_first",
    "LAScarSegTransformTest.test_a_shifted_scan_gives_the_same_numbers_where_it_is_shown",
    "LAScarSegTransformTest.test_an_empty_segment_is_refused_with_words",
    "LAScarSegExportTest.test_the_worker_writes_the_folder_with_its_scene",
    "LAScarSegVeinsTest.test_a_row_takes_the_slices_and_the_camera_to_its_place",
    "LAScarSegCompareTest.test_the_map_of_changes_takes_the_place_of_the_scar_map_until_it_is_put_away",
    "LAScarSegLogTest.test_thresholds_and_strokes_say_nothing",
    "LAScarSegLogTest.test_a_segmentation_that_changes_without_its_item_is_noticed",
    "LAScarSegBatchTest.test_run_does_what_apply_does",
    "LAScarSegBatchTest.test_the_batch_script_analyses_a_folder",
)
"""Scenes and nodes are written by our own code and by the storage node here: Slicer's managers of files are part of the application."""


NOT_IN_SLICER = ("matplotlib", "jinja2")
"""Without them a batch draws no figure and writes no report."""
PLANES = (
    CutPlane("MV", tuple(CENTRE_LPS - [0, 0, 10]), (0.0, 0.0, 1.0)),
    CutPlane("LSPV", tuple(CENTRE_LPS + [12, 0, 8]), (-1.0, 0.0, 0.0)),
)


def small_sample(scene):
    """In place of the extension's sample, which Slicer takes, a ball with the openings of PLANES: a run takes a tenth of the time."""
    volume, segmentation, _choices = ball_nodes(scene)
    for node in (volume, segmentation):
        node.CreateDefaultDisplayNodes()
    return volume, segmentation, tuple(add_plane(scene, volume, plane.name, plane) for plane in PLANES)


@pytest.fixture
def application(scene, dialogs, lent_worker, monkeypatch):
    """What of Slicer's application the cases call, with the module's panel open in it."""
    import slicer
    import slicer.util

    logs = []
    slicer.app.errorLogModel = lambda: logs[0] if logs else logs.append(ErrorLog(Windows(scene))) or logs[0]  # which sees what comes then
    slicer.app.processEvents = pythonqt_stand_in.application().processEvents
    slicer.modules.segmentations = SimpleNamespace(logic=lambda: slicer_classes().vtkSlicerSegmentationsModuleLogic)
    volumes = slicer_classes().vtkSlicerVolumesLogic()
    volumes.SetMRMLScene(scene)
    slicer.modules.volumes = SimpleNamespace(logic=lambda: volumes)
    modes = slicer_classes().vtkSlicerSegmentEditorLogic
    slicer.qSlicerSegmentEditorAbstractEffect = SimpleNamespace(ModificationModeAdd=modes.ModificationModeAdd)
    monkeypatch.setattr(inputs, "load_sample", small_sample)
    panel = open_panel()
    panel.parent.widget.show()
    slicer.modules.lascarseg = SimpleNamespace(widgetRepresentation=lambda: SimpleNamespace(self=lambda: panel))
    monkeypatch.setattr(slicer.util, "selectModule", lambda name: None)
    monkeypatch.setattr(slicer.util, "saveScene", lambda path: save_scene(scene, path) or True)
    monkeypatch.setattr(slicer.util, "loadScene", lambda path: mrml.read_mrb(scene, path))
    monkeypatch.setattr(slicer.util, "saveNode", save_volume)
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in NOT_IN_SLICER else find(name, *rest))
    yield
    panel.cleanup()
    panel.parent.widget.close()
    for log in logs:
        log.close()


def save_volume(node, path: str) -> None:
    storage = slicer_classes().vtkMRMLNRRDStorageNode()
    storage.SetFileName(path)
    assert storage.WriteData(node)


@pytest.mark.parametrize("case", CASES)
def test_a_case_for_slicer(case, application, monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "Testing" / "Slicer"))
    module, name = case.split(".")
    result = unittest.TestResult()
    unittest.TestLoader().loadTestsFromName(f"{module}.{module}.{name}").run(result)
    assert result.testsRun == 1 and result.wasSuccessful(), "".join(text for _test, text in result.errors + result.failures)

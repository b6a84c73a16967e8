"""One Apply with a real worker process on real MRML: what the scene gets, and that it gets nothing when anything goes wrong."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
import time

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from editing_cases import Bench  # noqa: E402
from processes import group_members  # noqa: E402
from scene_cases import CENTRE_LPS, GRIDS, scan  # noqa: E402
from session_cases import PYTHON, add_bend, ball_nodes, left_in, snapshot, undo_switched_on, wait_until  # noqa: E402

from LAScarSegLib import scene as mrml  # noqa: E402
from LAScarSegLib.analysis import analyse  # noqa: E402
from LAScarSegLib.scene.mrml import results_of  # noqa: E402
from LAScarSegLib.scene.plane_markups import read_planes  # noqa: E402
from LAScarSegLib.session.choices import read_choices  # noqa: E402
from LAScarSegLib.session.edit_session import EditSession, has_result, reopen  # noqa: E402
from LAScarSegLib.session.run import GONE, AnalysisRun, RunState  # noqa: E402
from LAScarSegLib.volumes.files import write_volume  # noqa: E402

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and /proc")
GONE_SECONDS = 2.0
"""The promise; a loaded machine gets as much again."""


@pytest.fixture
def scene():
    return mrml.new_scene()


@pytest.fixture
def runs():
    """Runs that are ended after the test, whatever it did."""
    started: list[AnalysisRun] = []
    yield started
    for run in started:
        run.close()


@pytest.fixture
def temporary(tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def started(runs, scene, choices, temporary, python=PYTHON) -> AnalysisRun:
    run = AnalysisRun(scene, choices, python, temporary)
    runs.append(run)
    run.start()
    return run


def finished(run: AnalysisRun) -> RunState:
    wait_until(lambda: run.poll().done)
    return run.state


def shell(script: str) -> list[str]:
    return ["sh", "-c", script, "worker"]


SLEEPER = shell('echo \'{"stage": "s", "fraction": 0.5, "message": "Working"}\'; cat; sleep 60 & sleep 60')
"""A worker that works until it is killed."""


def test_from_choices_to_nodes(scene, runs, temporary):
    """The numbers are those of the pipeline on the same voxels, called directly."""
    volume, segmentation, choices = ball_nodes(scene, "oblique")
    untouched = [node.GetMTime() for node in (segmentation,)]
    run = started(runs, scene, dataclasses.replace(choices, threshold=1.3), temporary)
    before = set(snapshot(scene))
    fractions = []
    while not run.poll().done:
        fractions.append(run.state.fraction)
        assert set(snapshot(scene)) == before
        time.sleep(0.01)
    assert run.state.error == "" and run.state.fraction == 1.0 and fractions == sorted(fractions) and len(set(fractions)) > 3
    image, cavity = scan(GRIDS["oblique"])
    direct = analyse(image, dataclasses.replace(choices, threshold=1.3).settings, cavity=cavity)
    found, expected = ({key: q.value for key, q in a.measurements.items() if q.value is not None} for a in (run.analysis, direct))
    assert found == pytest.approx(expected, rel=1e-9)
    assert run.nodes.volume is volume and set(run.nodes.results()) <= set(results_of(scene, volume))
    assert [segmentation.GetMTime()] == untouched and left_in(temporary) == []
    assert run.analysis.provenance["inputs"]["image"]["path"] == "node scan"
    assert read_choices(scene, run.nodes.measurements) == dataclasses.replace(choices, threshold=1.3)
    camera = scene.GetSingletonNode("1", "vtkMRMLCameraNode")
    np.testing.assert_allclose(camera.GetFocalPoint(), CENTRE_LPS * [-1, -1, 1], atol=0.5)  # the new surface is in sight


def test_only_a_scan_of_one_file_is_named_by_its_file(scene, runs, temporary, tmp_path):
    volume, _, choices = ball_nodes(scene)
    file = tmp_path / "scan.nrrd"
    write_volume(mrml.volume_from_node(volume), file)
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(file))
    assert storage.ReadData(volume)
    volume.SetAndObserveStorageNodeID(storage.GetID())
    run = started(runs, scene, choices, temporary)
    assert finished(run).error == "" and run.analysis.provenance["inputs"]["image"]["path"] == file.name
    storage.AddFileName(str(file))
    storage.AddFileName(str(tmp_path / "slice2.dcm"))
    series = started(runs, scene, choices, temporary)
    assert finished(series).error == "" and series.analysis.provenance["inputs"]["image"]["path"] == "node scan"


def test_a_second_run_updates_the_nodes_of_the_first(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    first = started(runs, scene, choices, temporary)
    finished(first)
    nodes = set(snapshot(scene))
    camera = scene.GetSingletonNode("1", "vtkMRMLCameraNode")
    camera.SetPosition(1.0, 2.0, 3.0)
    second = started(runs, scene, dataclasses.replace(choices, method="nsd"), temporary)
    assert finished(second).error == ""
    assert set(snapshot(scene)) == nodes and second.nodes.surface is first.nodes.surface
    assert second.nodes.surface.GetAttribute("LAScarSeg.method") == "nsd"
    assert camera.GetPosition() == (1.0, 2.0, 3.0)


def test_where_scene_undo_is_switched_on_every_apply_is_one_step_of_it(scene, runs, temporary):
    undo_switched_on(scene)
    volume, _, choices = ball_nodes(scene)
    first = started(runs, scene, dataclasses.replace(choices, threshold=1.3), temporary)
    assert finished(first).error == "" and scene.GetNumberOfUndoLevels() == 1
    second = started(runs, scene, dataclasses.replace(choices, threshold=0.7), temporary)
    assert finished(second).error == "" and scene.GetNumberOfUndoLevels() == 2
    session = EditSession(scene, second.nodes, second.analysis)
    assert session.is_shown() and session.edited() == frozenset()
    scene.Undo()
    assert not session.is_shown()
    again = reopen(scene, volume)
    assert again.analysis.measurements == first.analysis.measurements and again.analysis.method == first.analysis.method
    assert again.snapshot().scar == first.analysis.masks["scar"]
    assert read_choices(scene, again.nodes.measurements) == dataclasses.replace(choices, threshold=1.3)
    scene.Undo()
    assert not has_result(scene, volume) and volume.GetImageData() is not None


def test_under_a_bending_transform_the_result_belongs_to_a_hardened_copy(scene, runs, temporary):
    shift_lps = np.array([2.8, -4.2, 2.5])
    volume, segmentation, choices = ball_nodes(scene)
    segmentation.SetAndObserveTransformNodeID(add_bend(scene, volume, tuple(shift_lps * [-1, -1, 1])).GetID())
    run = started(runs, scene, choices, temporary)
    assert finished(run).error == ""
    assert run.nodes.volume is not volume and run.nodes.volume.GetName() == "scan hardened"
    assert run.nodes.volume.GetParentTransformNode() is None and volume.GetParentTransformNode() is not None
    np.testing.assert_allclose(run.analysis.surface.points.mean(axis=0), CENTRE_LPS + shift_lps, atol=0.3)
    assert "hardened" in run.nodes.volume.GetName() and "resampled copy" in run.notes[0] and run.notes[0] in run.log
    copies = scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode")
    assert finished(started(runs, scene, choices, temporary)).error == ""
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == copies


def test_an_input_that_can_not_be_used_is_told_by_poll(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    run = started(runs, scene, dataclasses.replace(choices, segment_id="gone"), temporary)
    state = run.poll()
    assert state.done and "no longer has the segment" in state.error and not state.cancelled
    assert run.pid is None and snapshot(scene) == before and left_in(temporary) == []


def test_no_place_for_temporary_files(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    state = started(runs, scene, choices, temporary / "gone").poll()
    assert state.done and "temporary folder" in state.error and "gone" in state.error


def test_a_python_that_is_not_there(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    state = started(runs, scene, choices, temporary, ["/no/python"]).poll()
    assert state.done and "/no/python" in state.error and left_in(temporary) == []


@posix
def test_cancelled_the_scene_is_as_it_was_and_nothing_is_left(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    run = started(runs, scene, dataclasses.replace(choices, fast=False), temporary)
    wait_until(lambda: run.poll().fraction > 0.05)
    run.cancel()
    told = time.monotonic()
    state = finished(run)
    assert time.monotonic() - told < 2 * GONE_SECONDS
    assert state.cancelled and state.error == "Cancelled; nothing was written."
    assert snapshot(scene) == before and group_members(run.pid) == [] and left_in(temporary) == []


@posix
@pytest.mark.parametrize("how", ["node deleted", "scene closed"])
def test_without_its_scan_it_stops(scene, runs, temporary, how):
    volume, _, choices = ball_nodes(scene)
    run = started(runs, scene, choices, temporary, SLEEPER)
    wait_until(lambda: run.poll().fraction == 0.5)
    scene.RemoveNode(volume) if how == "node deleted" else scene.Clear(False)
    before = snapshot(scene)
    assert run.poll().error == GONE and run.state.done
    wait_until(lambda: group_members(run.pid) == [], 2 * GONE_SECONDS)
    assert snapshot(scene) == before and left_in(temporary) == []


@posix
def test_a_new_scene_with_a_node_of_the_same_name_and_number_is_not_taken_for_the_old_one(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    run = started(runs, scene, choices, temporary, SLEEPER)
    scene.Clear(False)
    _, _, again = ball_nodes(scene)
    assert again.volume_id == choices.volume_id
    assert run.poll().error == GONE


def test_a_segmentation_deleted_while_running_does_not_matter(scene, runs, temporary):
    """Its voxels were read at the start."""
    _, segmentation, choices = ball_nodes(scene)
    run = started(runs, scene, choices, temporary)
    scene.RemoveNode(segmentation)
    assert finished(run).error == "" and run.nodes.segmentation is not segmentation


def test_a_plane_that_was_changed_while_running_does_not_spoil_the_result(scene, runs, temporary):
    volume, _, choices = ball_nodes(scene)
    planes = [scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", name) for name in ("MV", "LSPV")]
    for plane, height in zip(planes, (-10.0, 10.0)):
        plane.SetOriginWorld(*((CENTRE_LPS + [0, 0, height]) * [-1, -1, 1]))
        plane.SetNormalWorld(0.0, 0.0, 1.0)
    run = started(runs, scene, dataclasses.replace(choices, planes=tuple(plane.GetID() for plane in planes)), temporary)
    planes[0].SetName("my plane")
    planes[1].RemoveAllControlPoints()
    assert finished(run).error == ""
    assert [plane.name for plane in run.analysis.planes] == ["MV", "LSPV"]
    assert [plane.name for plane in read_planes(scene, volume)] == ["MV"]


def test_a_scan_that_was_moved_while_running_is_not_given_numbers(scene, runs, temporary):
    volume, _, choices = ball_nodes(scene)
    run = started(runs, scene, choices, temporary)
    volume.SetOrigin(1.0, 2.0, 3.0)
    before = snapshot(scene)
    assert "was moved since" in finished(run).error
    assert snapshot(scene) == before


@posix
def test_quitting_or_reloading_leaves_no_orphan(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    run = started(runs, scene, choices, temporary, SLEEPER)
    wait_until(lambda: run.poll().fraction == 0.5)
    run.close()
    wait_until(lambda: group_members(run.pid) == [], 2 * GONE_SECONDS)
    assert run.poll().cancelled and left_in(temporary) == []


@posix
def test_killed_from_outside(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    run = started(runs, scene, dataclasses.replace(choices, fast=False), temporary)
    wait_until(lambda: run.poll().fraction > 0.05)
    os.kill(run.pid, signal.SIGKILL)
    state = finished(run)
    assert "was ended from outside" in state.error and "memory" in state.error and not state.cancelled
    assert "Exit code -9." in run.log and snapshot(scene) == before and left_in(temporary) == []


@posix
def test_a_crash(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    run = started(runs, scene, dataclasses.replace(choices, fast=False), temporary)
    wait_until(lambda: run.poll().fraction > 0.05)
    os.kill(run.pid, signal.SIGSEGV)
    assert "crashed (SIGSEGV)" in finished(run).error
    assert "Fatal Python error: Segmentation fault" in run.log and snapshot(scene) == before


@posix
def test_out_of_memory(scene, runs, temporary):
    """A worker that is given 0.3 MB on top of what its libraries take (RLIMIT_AS): less than the scan."""
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    program = (
        "import resource, runpy, sys; import LAScarSegLib.jobs.request, LAScarSegLib.analysis\n"
        "from vtkmodules import vtkCommonDataModel; used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300_000, used + 300_000))\n"
        "del sys.argv[0:2]; runpy.run_module('LAScarSegLib.jobs.worker', run_name='__main__')"
    )
    state = finished(started(runs, scene, choices, temporary, [sys.executable, "-c", program]))
    assert "not enough memory" in state.error and "Close other programs" in state.error and "crop the scan" in state.error
    assert snapshot(scene) == before and left_in(temporary) == []


def test_a_result_that_can_not_be_read(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    before = snapshot(scene)
    state = finished(started(runs, scene, choices, temporary, shell("""echo '{"result": "/nowhere"}'""")))
    assert "can't be read" in state.error and snapshot(scene) == before


def test_what_is_drawn_in_the_earlier_result_while_a_run_is_under_way_is_not_replaced(scene, runs, temporary):
    _, _, choices = ball_nodes(scene)
    first = started(runs, scene, choices, temporary)
    assert finished(first).error == ""
    made = Bench(scene, first.nodes, EditSession(scene, first.nodes, first.analysis))
    second = started(runs, scene, dataclasses.replace(choices, threshold=0.7), temporary)
    painted = made.held("scar") ^ made.held("wall")
    made.draw("scar", painted)
    state = finished(second)
    assert "corrected by hand (scar) while the analysis ran" in state.error and "Press Apply again" in state.error
    np.testing.assert_array_equal(made.held("scar"), painted)
    assert second.analysis is None and left_in(temporary) == []
    # What was drawn before Apply, the user has agreed to lose.
    third = started(runs, scene, dataclasses.replace(choices, threshold=0.7), temporary)
    assert finished(third).error == "" and third.analysis.method.parameter == 0.7

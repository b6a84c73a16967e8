"""A scene that a process of its own writes: the same as one written here, and always written, whatever becomes of the process."""

import os
import signal
import sys
import time
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="scenes need slicer-core")

from same_analysis import assert_same
from scene_cases import analysed
from small_scan import write_scan

from LAScarSegLib.errors import Cancelled
from LAScarSegLib.jobs import request as requests
from LAScarSegLib.jobs import scene_process
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.jobs.scene_process import SceneProcess
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.scene import new_scene, read_mrb, write_mrb
from LAScarSegLib.session.edit_session import reopen
from LAScarSegLib.support.progress import Progress


@pytest.fixture
def analysis():
    return analysed("axial")


def names(path: Path) -> set[str]:
    """Of the scene's files."""
    with zipfile.ZipFile(path) as scene:
        return {Path(entry.filename).name for entry in scene.infolist()}


def taken_up(path: Path):
    """The analysis that a scene shows."""
    scene = new_scene()
    read_mrb(scene, path)
    return reopen(scene, scene.GetFirstNodeByName("LGE-MRI"), ranges=False).analysis


def written_beside(analysis, folder: Path, process: SceneProcess, progress: Progress = Progress()) -> Path:
    return write_results(analysis, folder, figures=False, report=False, scene=process, progress=progress)


def here_is_an_error(*_):
    raise AssertionError("the scene was written here")


def test_the_process_writes_the_scene_that_would_be_written_here(analysis, tmp_path, monkeypatch):
    write_mrb(analysis, tmp_path / "scene.mrb")
    monkeypatch.setattr(scene_process.SceneHere, "finish", here_is_an_error)
    with SceneProcess() as process:
        process.start()
        folder = written_beside(analysis, tmp_path / "out", process)
    assert names(folder / "scene.mrb") == names(tmp_path / "scene.mrb")
    assert_same(taken_up(folder / "scene.mrb"), taken_up(tmp_path / "scene.mrb"))
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


@pytest.mark.parametrize("fate", ["never started", "killed", "no python"])
def test_without_the_process_the_scene_is_written_here(analysis, tmp_path, monkeypatch, fate):
    if fate == "no python":
        monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with SceneProcess() as process:
        if fate != "never started":
            process.start()
        if fate == "killed":
            os.kill(process.pid, signal.SIGKILL)
        folder = written_beside(analysis, tmp_path / "out", process)
    assert "scene.mrb" in os.listdir(folder) and not [name for name in os.listdir(folder) if name.startswith(".")]


def test_whoever_cancels_waits_for_no_process_and_finds_nothing(analysis, tmp_path):
    cancelled = []
    with pytest.raises(Cancelled), SceneProcess() as process:
        process.start()
        number = process.pid
        # From the moment when everything else is written.
        listen = lambda event: cancelled.append(time.monotonic()) if "scene.mrb" in event.message else None  # noqa: E731
        written_beside(analysis, tmp_path / "out", process, Progress(listen, lambda: bool(cancelled)))
    assert time.monotonic() - cancelled[0] < 1.5 and os.listdir(tmp_path) == []
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)


def test_a_run_of_a_large_scan_takes_one(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "PAYS_OFF_BYTES", 0)
    monkeypatch.setattr(scene_process.SceneHere, "finish", here_is_an_error)
    scan, cavity = write_scan(tmp_path)
    run_request(Request(scan, tmp_path / "out", cavity=cavity, figures=False, report=False))
    assert (tmp_path / "out" / "scene.mrb").is_file()


def test_the_process_ends_with_the_one_who_started_it(tmp_path):
    """Its standard input ends: there will be no request."""
    with SceneProcess() as process:
        process.start()
        process._process.stdin.close()
        assert process._process.wait(60) == 0

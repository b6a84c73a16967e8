"""A machine that can't draw is told what it lacks, and nothing dies of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.output import rendering
from LAScarSegLib.support.resources import resource_path


@pytest.fixture
def fresh_check(monkeypatch):
    """The check without what it remembers of this machine; outside Slicer, whatever stood in for it in another test."""
    monkeypatch.delattr(sys.modules.get("slicer"), "app", raising=False)
    rendering._checked.cache_clear()
    yield rendering.check_rendering
    rendering._checked.cache_clear()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names Debian packages")
@pytest.mark.parametrize("end", ["import os; os.kill(os.getpid(), 11)", "raise SystemExit('no OpenGL')", "raise SystemExit(3)"])
def test_a_test_drawing_that_dies_is_survived_and_the_packages_are_named(fresh_check, monkeypatch, end):
    monkeypatch.setattr(rendering, "_PROBE", end)
    assert "apt-get install libegl1 libgl1-mesa-dri" in fresh_check()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names Debian packages")
def test_a_missing_library_is_named(fresh_check, monkeypatch):
    monkeypatch.setattr(rendering, "_PROBE", "raise SystemExit(3)")
    monkeypatch.setattr(rendering, "_loads", lambda library: "mesa" in library)
    message = fresh_check()
    assert "missing: libEGL (EGL), package libegl1." in message and "libegl-mesa0" not in message


def test_a_drawing_that_hangs_is_given_up(fresh_check, monkeypatch):
    monkeypatch.setattr(rendering, "_PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(rendering, "PROBE_SECONDS", 0.2)
    assert "VTK can't draw on this machine" in fresh_check()


def test_drawing_says_nothing_on_the_terminal():
    # VTK warns of every display it doesn't find; with --progress json that would be noise in somebody's log.
    if rendering.check_rendering() is not None:
        pytest.skip(rendering.check_rendering())
    program = (
        "from LAScarSegLib.output.rendering import Camera, render\n"
        "assert render([], [Camera((0, 1, 0), (0, 0, 1), (0, 0, 0), 10.0)], (8, 8))[0].min() == 255\n"
    )
    child = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=resource_path("Report").parents[1])
    assert (child.returncode, child.stdout, child.stderr) == (0, "", "")


def test_resources_are_found_and_a_missing_one_is_named():
    assert resource_path("Report/report.html.j2").is_file()
    with pytest.raises(ProcessingError, match="Report/nothing.txt is neither at .*Install LAScarSeg again"):
        resource_path("Report/nothing.txt")

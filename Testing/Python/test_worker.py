"""The worker that Slicer starts: a process of its own, spoken to by a request file, JSON lines and its standard input."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_scan import numbers, write_scan

from LAScarSegLib.errors import InputError
from LAScarSegLib.jobs.request import Request, run_request

ROOT = Path(__file__).resolve().parents[2]
NOT_IN_SLICER = ("typer", "rich", "jinja2", "matplotlib", "torch", "slicer", "pandas", "nibabel", "skimage")
CANCEL_SECONDS = 2.0
"""How soon the worker must be gone after it was told to stop (a loaded machine gets as much again)."""


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(request: dict | str, python: tuple[str, ...] = ("-m", "LAScarSegLib.jobs.worker")) -> subprocess.Popen:
    """The worker on a request, with pipes, as Slicer's QProcess starts it."""
    Path("request ä.json").write_text(request if isinstance(request, str) else json.dumps(request), encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    return subprocess.Popen([sys.executable, *python, "request ä.json"], env=environment, text=True, **pipes)


def finish(worker: subprocess.Popen) -> tuple[int, list[dict], str]:
    """Exit code, JSON lines and standard error of a worker that ends by itself, its input left open."""
    out, err = worker.stdout.read(), worker.stderr.read()
    code = worker.wait(timeout=30)
    for pipe in (worker.stdin, worker.stdout, worker.stderr):
        pipe.close()
    return code, [json.loads(line) for line in out.splitlines()], err


def request(**changes: object) -> dict:
    return {"image": "image.nrrd", "cavity": "cavity.nrrd", "output": "out 結果"} | changes


def wait_for(worker: subprocess.Popen, message: str) -> None:
    """Read progress until a line holds `message`."""
    for line in worker.stdout:
        if message in line:
            return
    raise AssertionError(f"the worker never said '{message}': {worker.stderr.read()}")


def test_progress_then_the_result_with_nothing_that_slicer_lacks(folder):
    """The process says at its end which modules it had loaded."""
    program = (
        "import sys, LAScarSegLib.jobs.worker as worker\ncode = worker.main(sys.argv[1:])\n"
        f"print([name for name in {NOT_IN_SLICER!r} if name in sys.modules], file=sys.stderr)\nsys.exit(code)"
    )
    code, lines, err = finish(start(request(settings={"rule": "nsd", "threshold": 2.3}), ("-c", program)))
    assert code == 0 and err.strip() == "[]"
    assert lines[-1] == {"result": str(folder / "out 結果")}
    fractions = [line["fraction"] for line in lines[:-1]]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    result = numbers(folder / "out 結果")
    assert (result["method"]["name"], result["threshold"]["value"]) == ("nsd", 2.3)
    assert {"figures", "report.html", "scene.mrb"}.isdisjoint(os.listdir("out 結果"))


@pytest.mark.parametrize("how", ["input closed", "cancel", "terminate"])
def test_told_to_stop_it_is_gone_and_leaves_nothing(folder, how):
    worker = start(request())
    wait_for(worker, "Numbers and their perturbation range" if how != "cancel" else "Writing")
    told = time.monotonic()
    if how == "input closed":
        worker.stdin.close()
    elif how == "cancel":
        worker.stdin.write("cancel\n")
        worker.stdin.flush()
    else:
        worker.terminate()
    last = worker.stdout.read().splitlines()[-1]
    assert worker.wait(timeout=30) == 130
    assert time.monotonic() - told < 2 * CANCEL_SECONDS
    assert json.loads(last) == {"error": "Cancelled; nothing was written.", "exit_code": 130}
    assert worker.stderr.read() == ""
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd", "request ä.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_killed_it_leaves_no_result_and_the_next_run_cleans_up(folder):
    worker = start(request())
    wait_for(worker, "Writing")
    worker.kill()
    worker.communicate()
    assert not Path("out 結果").exists()
    run_request(Request.from_json(request(figures=False, report=False, scene=False)))
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd", "out 結果", "request ä.json"]


def test_a_bad_request_is_an_error_line_and_exit_code_2(folder):
    code, lines, err = finish(start(request(cavity="gone.nrrd")))
    assert code == 2 and err == ""
    (line,) = [line for line in lines if "error" in line]
    assert line["exit_code"] == 2 and "'gone.nrrd' is not an existing file" in line["error"]
    assert lines[-1] == line and not Path("out 結果").exists()


def test_a_request_that_is_no_json_is_named(folder):
    code, lines, _ = finish(start("{"))
    assert code == 2 and "request ä.json can't be read" in lines[-1]["error"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"image": None}, "'image' is None; it must be a path"),
        ({"image": ""}, "'image' is ''"),
        ({"output": 5}, "'output' is 5"),
        ({"output": "a\0b"}, "'output' is"),
        ({"cavity": ["a"]}, "'cavity' is"),
        ({"scar": 1.2}, "'scar' is 1.2"),
        ({"planes": "planes.json"}, "'planes' is 'planes.json'; it must be a list of paths"),
        ({"planes": [1]}, "'planes' is"),
        ({"labels": [2]}, "'labels' is"),
        ({"labels": {"cavity": 2.5}}, "'labels' is"),
        ({"labels": {"aorta": 2}}, "'labels' is"),
        ({"settings": 5}, "'settings' is 5"),
        ({"settings": {"rule": 5}}, "rule is 5"),
        ({"settings": {"native": "no"}}, "native is 'no'; it must be true or false"),
        ({"settings": {"threshold": "1.2"}}, "threshold is '1.2'"),
        ({"settings": {"treshold": 1.2}}, "Unknown setting 'treshold'"),
        ({"settings": {"mesh_edge_mm": 0}}, "mesh_edge_mm is 0"),
        ({"force": "false"}, "'force' is 'false'; it must be true or false"),
        ({"figures": 1}, "'figures' is 1"),
        ({"colour": "red"}, r"unknown keys \['colour'\]"),
    ],
)
def test_every_value_of_a_request_is_checked(changes, says):
    with pytest.raises(InputError, match=says):
        Request.from_json(request(**changes))


def test_what_a_request_must_have(folder):
    with pytest.raises(InputError, match=r"lacks \['image', 'output'\]"):
        Request.from_json({})


def test_the_rule_of_the_settings_holds_unless_scar_says_otherwise(folder):
    quick = {"figures": False, "report": False, "scene": False, "force": True}
    settings = {"rule": "percentile", "threshold": 80, "perturbation": False}
    analysis = run_request(Request.from_json(request(settings=settings, **quick)))
    assert (analysis.method.name, analysis.method.parameter) == ("percentile", 80)
    analysis = run_request(Request.from_json(request(settings=settings | {"threshold": 1.2}, scar="iir", **quick)))
    assert analysis.method.name == "iir" and np.isclose(analysis.method.parameter, 1.2)

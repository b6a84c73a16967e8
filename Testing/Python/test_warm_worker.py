"""The worker process that is kept between jobs: what the next job is spared, what is let go, and when the process goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import alive, group_members
from small_scan import write_scan

from LAScarSegLib.jobs.worker_process import JobEvent, WarmWorker, WorkerJob

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs signals and /proc")
PYTHON = [sys.executable]
WAIT_SECONDS = 60.0
SERVER = ["sh", "-c", 'while read path; do sleep 0.2; echo "{\\"result\\": \\"$path\\"}"; done', "worker"]
"""A worker that answers with the path that it was given, and takes its time."""
LIGHT = """
import sys, types
request = types.ModuleType("LAScarSegLib.jobs.request")
class Request(types.SimpleNamespace):
    def from_json(content):
        return Request(output=__import__("pathlib").Path(content["output"]))
def run_request(request, progress):
    progress.report("all", 0.5, "Working")
    request.output.mkdir()
request.Request, request.run_request = Request, run_request
sys.modules[request.__name__] = request
import LAScarSegLib.jobs.worker as worker
"""
"""The worker itself, its signals and its waiting, with work that is done at once and needs no library."""


def light(setting: str = "") -> list[str]:
    """The command that starts it; `setting` is one line of Python."""
    return [*PYTHON, "-c", f"{LIGHT}\n{setting}\nworker.leave(worker.main(sys.argv[3:]))"]


GONE_SECONDS = 2.0
"""The promise; a loaded machine gets as much again."""


@pytest.fixture
def warm():
    warm = WarmWorker()
    yield warm
    warm.close()


@pytest.fixture
def scan(tmp_path) -> Path:
    write_scan(tmp_path)
    return tmp_path


def request(scan: Path, output: str, **more) -> dict:
    files = {name: str(scan / f"{name}.nrrd") for name in ("image", "cavity")}
    return files | {"output": str(scan / output), "settings": {"perturbation": False}} | more


def wait_until(condition, seconds: float = WAIT_SECONDS) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds
        time.sleep(0.01)


def started(warm: WarmWorker, content: dict, folder: Path, python: list[str] = PYTHON) -> WorkerJob:
    job = WorkerJob(warm)
    job.start(content, python, folder)
    return job


def gone(worker: int) -> bool:
    """Whether the process and all it started are gone soon: a signal that was sent is not yet one that has arrived."""
    wait_until(lambda: group_members(worker) == [], 2 * GONE_SECONDS)
    return True


def end_of(job: WorkerJob) -> JobEvent:
    events = []
    wait_until(lambda: events.extend(job.poll()) or not job.is_running)
    return events[-1]


def done(warm: WarmWorker, content: dict, folder: Path, python: list[str] = PYTHON) -> tuple[JobEvent, int]:
    """The job's last event and the process it ran in."""
    job = started(warm, content, folder, python)
    return end_of(job), job.pid


def test_the_second_job_runs_in_the_process_of_the_first(warm, scan):
    """Also after a request that can't be used; and of a finished job nothing is held open."""
    first, worker = done(warm, request(scan, "one"), scan)
    assert first == JobEvent("result", str(scan / "one")) and warm.pid == worker and alive(worker)
    refused, again = done(warm, request(scan, "none", cavity="gone.nrrd"), scan)
    assert again == worker and refused.kind == "error" and "'gone.nrrd' is not an existing file" in refused.message
    second, again = done(warm, request(scan, "two ä"), scan)
    assert again == worker and second == JobEvent("result", str(scan / "two ä"))
    assert (scan / "two ä" / "measurements.json").read_bytes() == (scan / "one" / "measurements.json").read_bytes()
    process = Path("/proc", str(worker))
    held = [os.readlink(entry) for entry in (process / "fd").iterdir()] + [os.readlink(process / "cwd"), (process / "maps").read_text()]
    assert not any(str(scan) in text for text in held)


def test_after_a_failure_the_process_is_not_trusted_with_another_job(warm, tmp_path):
    script = """read path; echo '{"error": "no memory", "exit_code": 1}'; cat"""
    failed, worker = done(warm, {}, tmp_path, ["sh", "-c", script, "worker"])
    assert failed == JobEvent("error", "no memory") and warm.pid is None and gone(worker)


def test_a_worker_that_fails_ends_by_itself(tmp_path):
    """Also where nobody ends it."""
    paths = f"{tmp_path / 'request.json'}\n"
    (tmp_path / "request.json").write_text('{"image": "a", "output": "b"}')
    command = [*light("def fail(*unused): raise RuntimeError('broken')\nrequest.run_request = fail"), "-m", "worker", "--serve"]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    worker.stdin.write(paths)
    worker.stdin.flush()
    assert worker.wait(timeout=WAIT_SECONDS) == 1
    assert "broken" in worker.stdout.read()


def test_cancelled_the_process_goes_and_another_takes_the_next_job(warm, tmp_path):
    _, worker = done(warm, {}, tmp_path, SERVER)
    job = started(warm, {}, tmp_path, SERVER)
    job.cancel()
    assert end_of(job) == JobEvent("error", "Cancelled; nothing was written.")
    assert job.pid == worker and gone(worker) and warm.pid is None
    third, other = done(warm, {}, tmp_path, SERVER)
    assert third.kind == "result" and other != worker


def test_cancelled_in_its_second_job_a_worker_stops_and_leaves_nothing(warm, scan):
    _, worker = done(warm, request(scan, "one"), scan)
    job = started(warm, request(scan, "two"), scan)
    wait_until(job.poll)
    job.cancel()
    told = time.monotonic()
    assert end_of(job) == JobEvent("error", "Cancelled; nothing was written.")
    assert time.monotonic() - told < 2 * GONE_SECONDS and gone(worker)
    assert sorted(os.listdir(scan)) == ["cavity.nrrd", "image.nrrd", "one", "request.json"]


def test_told_to_end_while_it_waits_a_worker_ends(warm, tmp_path):
    """At once after the result: not even then the signal is lost."""
    _, worker = done(warm, request(tmp_path, "one"), tmp_path, light())
    os.kill(worker, signal.SIGTERM)
    wait_until(lambda: not alive(worker), 2 * GONE_SECONDS)


def test_ended_while_it_waits_another_takes_the_next_job(warm, tmp_path):
    _, worker = done(warm, {}, tmp_path, SERVER)
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not alive(worker))
    second, other = done(warm, {}, tmp_path, SERVER)
    assert second.kind == "result" and other != worker


def test_ended_at_the_very_moment_it_is_asked_another_takes_the_job(warm, tmp_path):
    """It stopped before it read the path, as one does whose time to wait is over."""
    _, worker = done(warm, {}, tmp_path, SERVER)
    os.kill(worker, signal.SIGSTOP)
    job = started(warm, {}, tmp_path, SERVER)
    os.kill(worker, signal.SIGKILL)
    assert end_of(job) == JobEvent("result", str(tmp_path / "request.json")) and job.pid != worker


def test_a_crash_in_a_job_is_reported_and_not_tried_again(warm, tmp_path):
    """Also in a process that has done another before."""
    script = """read path; echo '{"result": "r"}'; read path; echo '{"stage": "s", "fraction": 0.5, "message": "m"}'; sleep 60"""
    python = ["sh", "-c", script, "worker"]
    _, worker = done(warm, {}, tmp_path, python)
    job = started(warm, {}, tmp_path, python)
    wait_until(job.poll)
    os.kill(worker, signal.SIGSEGV)
    end = end_of(job)
    assert end.kind == "error" and "crashed (SIGSEGV)" in end.message and warm.pid is None


def test_a_result_that_comes_after_cancel_does_not_count_and_the_process_goes(warm, tmp_path):
    job = started(warm, {}, tmp_path, ["sh", "-c", """read path; cat; echo '{"result": "r"}'; sleep 60""", "worker"])
    job.cancel()
    assert end_of(job) == JobEvent("error", "Cancelled; nothing was written.")
    assert warm.pid is None and gone(job.pid)


def test_nobody_asks_for_a_while_and_its_memory_is_given_back(warm, tmp_path):
    python = light("worker.IDLE_SECONDS = 0.3")
    _, worker = done(warm, request(tmp_path, "one"), tmp_path, python)
    wait_until(lambda: not alive(worker))
    assert done(warm, request(tmp_path, "two"), tmp_path, python)[0] == JobEvent("result", str(tmp_path / "two"))


def test_another_python_or_environment_gets_a_process_of_its_own(warm, tmp_path, monkeypatch):
    _, worker = done(warm, {}, tmp_path, SERVER)
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "models"))
    _, other = done(warm, {}, tmp_path, SERVER)
    assert other != worker and gone(worker)
    _, third = done(warm, {}, tmp_path, [*SERVER, "more"])
    assert third != other and group_members(other) == []


def test_closed_it_is_gone(warm, tmp_path):
    _, worker = done(warm, {}, tmp_path, SERVER)
    warm.close()
    assert gone(worker) and warm.pid is None


def test_without_its_parent_it_is_gone(tmp_path):
    program = (
        "import os, sys, time, pathlib, json; from LAScarSegLib.jobs.worker_process import WarmWorker, WorkerJob\n"
        "folder = pathlib.Path(sys.argv[1]); warm = WarmWorker(); job = WorkerJob(warm)\n"
        "job.start(json.loads(sys.argv[2]), sys.argv[3:], folder)\n"
        "while job.is_running: job.poll(); time.sleep(0.01)\nprint(warm.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [*PYTHON, "-c", program, str(tmp_path), json.dumps(request(tmp_path, "two")), *light()]
    orphan = int(subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2]).stdout)
    wait_until(lambda: not alive(orphan), 2 * GONE_SECONDS)
    assert (tmp_path / "two").is_dir()

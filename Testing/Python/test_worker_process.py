"""The worker process as the module drives it: what it says, how it is stopped, and what its death is called."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import alive, group_members
from small_scan import write_scan

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.jobs.worker_process import OUT_OF_MEMORY, JobEvent, WorkerJob, explain_death

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the workers of these tests are shell scripts")
GONE_SECONDS = 2.0
"""The promise; a loaded machine gets as much again."""
WAIT_SECONDS = 60.0


@pytest.fixture
def job():
    job = WorkerJob()
    yield job
    job.kill_tree()


def shell(script: str) -> list[str]:
    """A "Python" that runs a shell script instead of the worker."""
    return ["sh", "-c", script, "worker"]


def last(job: WorkerJob) -> list[JobEvent]:
    """All events of a job until it has ended."""
    events, start = [], time.monotonic()
    while job.is_running:
        events += job.poll()
        assert time.monotonic() - start < WAIT_SECONDS, job.log
        time.sleep(0.01)
    return events


def wait_until(condition) -> None:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < WAIT_SECONDS
        time.sleep(0.01)


def ends(job: WorkerJob, script: str, folder: Path) -> JobEvent:
    job.start({}, shell(script), folder)
    return last(job)[-1]


def test_a_job_from_progress_to_result(job, tmp_path):
    write_scan(tmp_path)
    request = {name: str(tmp_path / f"{name}.nrrd") for name in ("image", "cavity")} | {"output": str(tmp_path / "out ä")}
    job.start(request, [sys.executable], tmp_path)
    *progress, end = last(job)
    assert end == JobEvent("result", str(tmp_path / "out ä"))
    assert {event.kind for event in progress} == {"progress"}
    assert progress[-1].fraction == 1.0 and (tmp_path / "out ä" / "measurements.json").is_file()


def test_an_error_of_the_worker_is_its_own_words(job, tmp_path):
    job.start({"image": "gone.nrrd", "output": str(tmp_path / "out"), "cavity": "gone.nrrd"}, [sys.executable], tmp_path)
    end = last(job)[-1]
    assert end.kind == "error" and "gone.nrrd does not exist" in end.message
    assert "gone.nrrd" in job.log and "Exit code 2." in job.log


def test_half_a_line_waits_for_its_other_half_and_chatter_goes_to_the_log(job, tmp_path):
    script = r"""printf '{"stage": "a", "frac'; sleep 0.3; printf 'tion": 0.5, "message": "m"}\nlibrary says hello\n{"result": "r"}\n'"""
    job.start({}, shell(script), tmp_path)
    assert last(job) == [JobEvent("progress", "m", "a", 0.5), JobEvent("result", "r")]
    assert "library says hello" in job.log


def test_a_python_that_is_not_there(job, tmp_path):
    with pytest.raises(ProcessingError, match="can't be started: /no/python: No such file"):
        job.start({}, ["/no/python"], tmp_path)


def test_a_request_that_can_not_be_written(job, tmp_path):
    with pytest.raises(ProcessingError, match="can't be started: .*gone.*No such file"):
        job.start({}, [sys.executable], tmp_path / "gone")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ended_from_outside(job, tmp_path, number):
    end = ends(job, f"kill -{number.value} $$", tmp_path)
    assert end.kind == "error" and "was ended from outside" in end.message and "memory" in end.message


def test_a_launcher_that_passes_a_kill_on(job, tmp_path):
    assert "was ended from outside" in ends(job, "exit 137", tmp_path).message


def test_a_crash_is_named_and_logged(job, tmp_path):
    end = ends(job, "echo 'Fatal Python error: Segmentation fault' >&2; kill -SEGV $$", tmp_path)
    assert end.kind == "error" and "crashed (SIGSEGV)" in end.message and "Copy log" in end.message
    assert "Segmentation fault" in job.log and "Exit code -11." in job.log


@pytest.mark.parametrize("words", ["MemoryError", "terminate called after throwing an instance of 'std::bad_alloc'"])
def test_no_memory_is_called_so(job, tmp_path, words):
    assert ends(job, f'echo "{words}" >&2; kill -ABRT $$', tmp_path) == JobEvent("error", OUT_OF_MEMORY)


def test_a_broken_installation(job, tmp_path):
    end = ends(job, "echo \"ModuleNotFoundError: No module named 'numpy'\" >&2; exit 1", tmp_path)
    assert "No module named 'numpy'" in end.message and "Install" in end.message


def test_codes_of_windows():
    """ntstatus.h: STATUS_NO_MEMORY, STATUS_ACCESS_VIOLATION."""
    assert explain_death(0xC0000017, "") == OUT_OF_MEMORY
    assert "exit code 3221225477" in explain_death(0xC0000005, "")


def test_more_output_than_a_pipe_holds(job, tmp_path):
    job.start({}, shell("""yes '{"stage": "a", "fraction": 0.5, "message": "m"}' | head -20000; echo '{"result": "r"}'"""), tmp_path)
    events = last(job)
    assert len(events) == 20001 and events[-1].kind == "result"


def test_cancelled_it_is_gone_with_all_it_started(job, tmp_path):
    """A worker that heeds nothing, with a child of its own."""
    job.start({}, shell("trap '' TERM INT; sleep 60 & sleep 60"), tmp_path)
    wait_until(lambda: len(group_members(job.pid)) >= 2)
    job.cancel()
    start = time.monotonic()
    assert last(job)[-1] == JobEvent("error", "Cancelled; nothing was written.")
    wait_until(lambda: not group_members(job.pid))
    assert time.monotonic() - start < 2 * GONE_SECONDS


def test_a_child_that_outlives_its_launcher_goes_too(job, tmp_path):
    job.start({}, shell("sleep 600 & exit 0"), tmp_path)
    assert last(job)[-1].kind == "error"
    wait_until(lambda: not group_members(job.pid))


def test_a_result_that_comes_after_cancel_does_not_count(job, tmp_path):
    job.start({}, shell("""cat; echo '{"result": "r"}'"""), tmp_path)
    job.cancel()
    assert last(job) == [JobEvent("error", "Cancelled; nothing was written.")]


def test_killed_at_once(job, tmp_path):
    job.start({}, shell("sleep 60"), tmp_path)
    job.kill_tree()
    assert not alive(job.pid) and not job.is_running and job.poll() == []


def test_when_slicer_dies_the_worker_stops(tmp_path):
    """Its standard input ends with the process that held the other end."""
    write_scan(tmp_path)
    program = (
        "import os, sys, time, pathlib; from LAScarSegLib.jobs.worker_process import WorkerJob\n"
        "folder = pathlib.Path(sys.argv[1]); job = WorkerJob()\n"
        "job.start({'image': str(folder / 'image.nrrd'), 'cavity': str(folder / 'cavity.nrrd'), 'output': str(folder / 'out')}, "
        "[sys.executable], folder)\nprint(job.pid, flush=True)\n"
        "while not job.poll(): time.sleep(0.01)\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    start, worker = time.monotonic(), int(done.stdout)
    wait_until(lambda: not alive(worker))
    assert time.monotonic() - start < 2 * GONE_SECONDS
    assert sorted(os.listdir(tmp_path)) == ["cavity.nrrd", "image.nrrd", "request.json"]

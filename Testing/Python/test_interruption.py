"""Ctrl-C, a polite and an impolite kill, a full and a read-only disk: a result is whole or it is not there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_scan import only_data_files, write_scan

from LAScarSegLib.errors import Cancelled
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.support.interruption import GRACE_SECONDS, Stop, watch_signals
from LAScarSegLib.support.progress import Progress

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals to send")
LASCARSEG = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from LAScarSegLib.cli.main import main; main()"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


def start(*options: str) -> subprocess.Popen:
    """`lascarseg run`, with its progress as JSON lines to wait for."""
    arguments = ["run", "image.nrrd", "--cavity", "cavity.nrrd", "-o", "out", "--progress", "json", *options]
    return subprocess.Popen([sys.executable, "-c", LASCARSEG, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(command: subprocess.Popen, message: str) -> None:
    for line in command.stdout:
        if message in json.loads(line)["message"]:
            return
    raise AssertionError(command.stderr.read())


def end(command: subprocess.Popen) -> tuple[int, str]:
    _, err = command.communicate(timeout=60)
    return command.returncode, err


def result_of_a_run() -> None:
    run_request(Request(image=Path("image.nrrd"), cavity=Path("cavity.nrrd"), output=Path("out"), figures=False, report=False, scene=False))


MOMENTS = ["Reading cavity", "LA surface", "Perturbation range", "Writing figures/", "Writing scene"]


@posix
@pytest.mark.parametrize(("moment", "stop"), list(zip(MOMENTS, [signal.SIGINT, signal.SIGTERM] * 3)))
def test_ctrl_c_and_a_polite_kill_end_with_130_and_leave_nothing(folder, moment, stop):
    command = start()
    wait_for(command, moment)
    command.send_signal(stop)
    # An impatient user presses it again, while it cleans up.
    time.sleep(0.02)
    command.send_signal(signal.SIGINT)
    assert end(command) == (130, "Cancelled; nothing was written.\n")
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd"]


@posix
def test_ctrl_c_keeps_the_result_that_was_to_be_replaced(folder):
    result_of_a_run()
    before = {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()}
    command = start("--force")
    wait_for(command, "Writing figures/")
    command.send_signal(signal.SIGINT)
    assert end(command)[0] == 130
    assert {path.name: path.stat().st_mtime_ns for path in Path("out").iterdir()} == before
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd", "out"]


@posix
@pytest.mark.parametrize("moment", ["Perturbation range", "Writing figures/"])
def test_killed_there_is_no_result_and_the_next_run_cleans_up(folder, moment):
    command = start()
    wait_for(command, moment)
    command.kill()
    end(command)
    assert not Path("out").exists()
    result_of_a_run()
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd", "out"]


@pytest.fixture
def stop() -> Iterator[Stop]:
    """What `watch_signals` returns; the handlers of the tests' own process come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield watch_signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@posix
def test_a_signal_raises_once_and_is_remembered(stop):
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert stop
    signal.raise_signal(signal.SIGINT)


@posix
def test_work_that_looks_at_its_progress_is_not_interrupted(stop):
    """Asked to stop, it has GRACE_SECONDS to notice, and then cleans up in peace."""
    threading.Thread(target=stop.ask).start()
    with pytest.raises(Cancelled):
        while True:
            Progress(is_cancelled=stop.requested).report("work", 0.5)
    time.sleep(GRACE_SECONDS + 0.2)
    signal.raise_signal(signal.SIGINT)


@posix
def test_work_that_waits_is_interrupted(stop):
    threading.Thread(target=stop.ask).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        time.sleep(30)
    assert time.monotonic() - start < 2.0


@posix
def test_loading_a_library_is_not_interrupted(stop, tmp_path, monkeypatch):
    """C++ libraries that load each other through Python don't expect an exception: it waits until they are there."""
    (tmp_path / "slow_library.py").write_text("import signal, time\nsignal.raise_signal(signal.SIGINT)\ntime.sleep(0.1)\nREADY = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import slow_library

        time.sleep(30)
    assert slow_library.READY


@posix
def test_python_code_that_cpp_may_have_called_is_not_interrupted(stop):
    namespace = {"__name__": "vtkmodules.util", "signal": signal}
    exec("def observer():\n    signal.raise_signal(signal.SIGINT)\n    return 'done'", namespace)
    assert namespace["observer"]() == "done"
    with pytest.raises(KeyboardInterrupt):
        time.sleep(30)


@posix
def test_the_end_waits_for_no_thread_and_loses_no_output():
    program = (
        "import os, sys, threading, atexit; from LAScarSegLib.support.interruption import leave\n"
        "threading.Thread(target=os.read, args=(0, 1), daemon=True).start()\n"
        "atexit.register(print, 'cleaned up')\nprint('said'); leave(130)"
    )
    command = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert command.wait(timeout=30) == 130
    with command.stdin, command.stdout:
        assert command.stdout.read() == "said\ncleaned up\n"


def on_a_disk(options: str) -> subprocess.CompletedProcess:
    """`lascarseg run` onto a disk of its own, which `mount -t tmpfs -o OPTIONS` makes and which goes with the process."""
    Path("disk").mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare(1) to make a small disk")
    run = '"$0" -c "$1" run image.nrrd --cavity cavity.nrrd -o disk/out'
    command = f"mount -t tmpfs -o {options} tmpfs disk || exit 77; {run}; code=$?; ls -A disk; exit $code"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", command, sys.executable, LASCARSEG], capture_output=True, text=True
    )
    if done.returncode == 77 or "unshare" in done.stderr:
        pytest.skip(f"needs the right to mount a small disk: {done.stderr.strip()}")
    return done


@posix
@pytest.mark.parametrize("kilobytes", [20, 300], ids=["volumes", "surface"])
def test_a_full_disk_is_said_and_nothing_is_half_written(folder, kilobytes):
    done = on_a_disk(f"size={kilobytes}k")
    assert done.returncode == 1 and done.stdout == ""
    message = done.stderr.splitlines()[-1]
    assert "could not be written" in message and "0 MB left" in message and "Free some space" in message
    assert "Traceback" not in done.stderr


@posix
def test_a_read_only_disk_is_refused_before_the_work(folder):
    done = on_a_disk("size=20m,ro")
    assert done.returncode == 2 and done.stdout == ""
    assert "disk can't be written to (Read-only file system)" in done.stderr

"""Work beside the windows: the latest wish wins, strokes are waited for, errors come back as words."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from LAScarSegLib.errors import InputError, ProcessingError
from LAScarSegLib.session import background as background_module
from LAScarSegLib.session.background import Background, Outcome

PATIENCE_S = 20.0


def wait_for(background: Background) -> Outcome:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        outcome = background.poll()
        if outcome is not None:
            return outcome
        time.sleep(0.002)
    raise AssertionError("nothing came back")


def test_work_runs_in_another_thread_and_its_result_is_polled_once():
    background = Background(pause_s=0.0)
    background.submit(threading.get_ident)
    assert background.busy
    assert wait_for(background).result != threading.get_ident()
    assert background.poll() is None and not background.busy


def test_nothing_starts_before_the_wishes_pause(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(background_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    background, runs = Background(pause_s=0.2), []
    for _ in range(5):
        background.submit(lambda: runs.append(clock[0]))
        clock[0] += 0.19
        assert background.poll() is None and runs == []
    clock[0] += 0.02
    wait_for(background)
    assert runs == clock


def test_of_many_wishes_only_the_last_is_done():
    background, done = Background(pause_s=0.02), []
    for number in range(5):
        background.submit(lambda number=number: done.append(number) or number)
    assert wait_for(background).result == 4 and done == [4]


def test_work_that_was_overtaken_while_it_ran_is_not_heard():
    background, started, go_on = Background(pause_s=0.0), threading.Event(), threading.Event()

    def slow() -> str:
        started.set()
        go_on.wait(PATIENCE_S)
        return "old"

    background.submit(slow)
    while not started.is_set():
        background.poll()
    background.submit(lambda: "new")
    go_on.set()
    assert wait_for(background).result == "new"
    assert background.poll() is None


def test_dropped_work_is_not_heard():
    background, go_on = Background(pause_s=0.0), threading.Event()
    background.submit(lambda: go_on.wait(PATIENCE_S))
    background.poll()
    background.drop()
    go_on.set()
    end = time.monotonic() + PATIENCE_S
    while background.busy and time.monotonic() < end:
        assert background.poll() is None
    assert not background.busy


@pytest.mark.parametrize(
    ("raised", "kind", "words"),
    [(InputError("The mask is empty."), InputError, "The mask is empty."), (MemoryError(), ProcessingError, "not enough memory")],
)
def test_an_error_comes_back_in_our_own_words(raised, kind, words):
    def fail() -> None:
        raise raised

    background = Background(pause_s=0.0)
    background.submit(fail)
    outcome = wait_for(background)
    assert outcome.result is None and isinstance(outcome.error, kind) and words in str(outcome.error)


@pytest.mark.skipif(sys.platform == "win32", reason="needs usleep")
def test_work_goes_on_in_an_event_loop_that_keeps_pythons_lock():
    """As Slicer's does (PythonQt without thread support): ctypes.PyDLL calls C functions without giving the lock back."""
    wait = ctypes.PyDLL(None).usleep
    background = Background(pause_s=0.0)
    background.submit(lambda: sum(len(range(1000)) // len(list(range(1000))) for _ in range(5000)))
    outcome, end = None, time.monotonic() + PATIENCE_S
    while outcome is None and time.monotonic() < end:
        outcome = background.poll()
        wait(10_000)
    assert outcome == Outcome(5000)


def test_new_work_gets_pythons_lock_in_the_poll_that_starts_it(monkeypatch):
    """Else it would stand still until the next one."""
    monkeypatch.setattr(background_module, "GIVE_WAY_S", PATIENCE_S)
    background = Background(pause_s=0.0)
    background.submit(lambda: "done")
    assert background.poll() == Outcome("done")


def test_polling_does_not_wait_for_the_work_to_end():
    background, go_on = Background(pause_s=0.0), threading.Event()
    background.submit(lambda: go_on.wait(PATIENCE_S))
    assert background.poll() is None and background.poll() is None and background.busy
    go_on.set()
    assert wait_for(background).result is True

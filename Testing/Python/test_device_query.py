"""What networks can compute on, asked of another process so that Slicer's windows never wait for torch."""

from __future__ import annotations

import sys
import time

from LAScarSegLib.jobs.device_query import DeviceQuery

TIMEOUT_S = 120.0


def answer(query: DeviceQuery):
    end = time.monotonic() + TIMEOUT_S
    while (devices := query.poll()) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    query.close()
    return devices


def test_automatic_comes_first_and_the_processor_last():
    keys = [device.key for device in answer(DeviceQuery([sys.executable]))]
    assert keys[0] == "auto" and keys[-1] == "cpu"


def test_a_name_has_its_memory_when_it_has_one_of_its_own():
    talks = 'print(\'chatter\'); print(\'[["auto", "automatic", null], ["cuda:0", "A card", 12.0]]\')'
    assert [str(device) for device in answer(DeviceQuery([sys.executable, "-c", talks]))] == ["automatic", "A card, 12 GB"]


def test_a_process_that_dies_knows_no_device():
    assert answer(DeviceQuery([sys.executable, "-c", "raise SystemExit(3)"])) == ()


def test_a_question_that_nobody_waits_for_leaves_no_process():
    query = DeviceQuery([sys.executable, "-c", "import time; time.sleep(600)"])
    started = time.monotonic()
    query.close()
    assert time.monotonic() - started < 5.0 and query.poll() == ()

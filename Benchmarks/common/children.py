"""Work in processes of its own: a command watched from outside, and preparations that must not count."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

GB_PER_MAXRSS = 1e-9 if sys.platform == "darwin" else 1024e-9
"""getrusage counts in kB on Linux, in bytes on macOS."""


@dataclass(frozen=True)
class Measured:
    """One run of a command: seconds from its start to each line `{"event": NAME}` and to its end, processor seconds, peak memory in GB."""

    moments: dict[str, float]
    seconds: float
    cpu_seconds: float
    peak_gb: float

    def between(self, first: str, second: str) -> float:
        """Seconds from one event to another."""
        return self.moments[second] - self.moments[first]


def measure(command: Sequence[str]) -> Measured:
    """Run a command; an event's first line counts, other lines are left alone. `SystemExit` when it fails.

    On Linux a process starts with its parent's peak memory as its own: keep the caller small (`apart`).
    """
    moments: dict[str, float] = {}
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for line in child.stdout:
        if line.startswith('{"event"'):
            moments.setdefault(json.loads(line)["event"], time.perf_counter() - start)
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {os.waitstatus_to_exitcode(status)}")
    return Measured(moments, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * GB_PER_MAXRSS)


def has_nnunet(python: str) -> bool:
    """Whether nnunetv2 is installed for this Python."""
    return subprocess.run([python, "-c", "import nnunetv2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


def announce(event: str) -> None:
    """What a measured command says when it gets somewhere."""
    print(json.dumps({"event": event}), flush=True)


def apart(work: Callable[..., None], *arguments: Any) -> None:
    """`work(*arguments)` in a fresh process, whose memory is gone afterwards. `SystemExit` when it fails."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"{work.__name__} ended with exit code {process.exitcode}")

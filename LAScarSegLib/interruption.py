"""Ctrl-C and a polite kill: the work stops at once, and what was begun is cleaned up undisturbed."""

from __future__ import annotations

import signal
import threading


def watch_signals() -> threading.Event:
    """Make SIGINT and SIGTERM raise one `KeyboardInterrupt` in the main thread; returns the event that they set.

    Once the event is set signals are ignored: an impatient second Ctrl-C would only stop the cleaning up. The event is for
    `Progress(is_cancelled=...)`: an exception that is raised while a library's C++ code calls back into Python gets lost.
    """
    stopped = threading.Event()

    def stop(*_: object) -> None:
        if not stopped.is_set():
            stopped.set()
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stopped


def ignore_signals() -> None:
    """The program is about to end: Python's own handlers would change its exit code while it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

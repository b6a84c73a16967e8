"""One piece of work beside the windows: in a thread, the latest wish wins, and it waits until the wishes pause."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread
from typing import Any

from ..errors import LAScarSegError, as_lascarseg_error

PAUSE_S = 0.1
"""Work starts this long after the last wish. Segment Editor reports a stroke once, when the button is let go; what follows while
the work runs takes its place."""
GIVE_WAY_S = 0.03
"""How long a poll waits for running work: an event loop written in C++ may keep Python's lock all the time, and then the
thread would stand still. Short enough to stay unnoticed."""


@dataclass(frozen=True)
class Outcome:
    """What the work returned, or the error it ended with (then `result` is None)."""

    result: Any = None
    error: LAScarSegError | None = None


class Background:
    """Runs functions one at a time in a thread; `poll` it from a timer (or a loop) and take what comes.

    The functions must touch no MRML node and no widget. What was overtaken by a newer `submit` is never returned.
    """

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._wish: Callable[[], Any] | None = None
        self._due = 0.0
        self._thread: Thread | None = None
        self._outcome: Outcome | None = None
        self._overtaken = False

    @property
    def busy(self) -> bool:
        """True while something waits, runs, or has an outcome nobody polled."""
        return self._wish is not None or self._thread is not None

    def submit(self, work: Callable[[], Any]) -> None:
        """Ask for `work` after a pause without another `submit`; whatever was asked before is dropped."""
        self._wish = work
        self._due = time.monotonic() + self._pause_s
        self._overtaken = True

    def drop(self) -> None:
        """Forget everything that was asked for; work that already runs ends unheard."""
        self._wish = None
        self._overtaken = True

    def poll(self) -> Outcome | None:
        """The outcome of the latest work once it is there, else None; returns within `GIVE_WAY_S`."""
        self._start()
        if self._thread is None:
            return None
        # New work too: the lock it waits for is given back only here.
        self._thread.join(GIVE_WAY_S)
        if self._thread.is_alive():
            return None
        self._thread = None
        if not self._overtaken:
            return self._outcome
        self._start()
        return None

    def _start(self) -> None:
        """Begin with the wish when its time has come and nothing else runs."""
        if self._thread is not None or self._wish is None or time.monotonic() < self._due:
            return
        work, self._wish, self._overtaken = self._wish, None, False
        # A daemon: Slicer must be able to quit while it works.
        self._thread = Thread(target=self._run, args=(work,), name="LAScarSeg", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], Any]) -> None:
        try:
            self._outcome = Outcome(work())
        except Exception as error:
            self._outcome = Outcome(error=as_lascarseg_error(error))

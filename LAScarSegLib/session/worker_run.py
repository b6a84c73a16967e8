"""One job of the worker process as the panel follows it: its progress, how long it will take, its end; no file is left."""

import logging
import math
import shutil
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import Cancelled, LAScarSegError, ProcessingError, as_lascarseg_error
from ..jobs.worker_process import WarmWorker, WorkerJob

logger = logging.getLogger(__name__)

TELL_AFTER_S, TELL_AFTER_SHARE = 3.0, 0.15
"""Work that has run for less, or done less, has told nothing yet about its pace: the steps are not equally long."""
SETTLE_S = 4.0
"""The told end follows a new estimate over this time, so that a quick or slow step does not make it jump."""


@dataclass(frozen=True)
class RunState:
    """What to show now. `stage` is words for a person; `remaining_s` None as long as nobody can tell; `error` "" unless it failed;
    `stops` are the codes that one may go on despite."""

    stage: str
    fraction: float
    elapsed_s: float
    remaining_s: float | None = None
    done: bool = False
    error: str = ""
    cancelled: bool = False
    stops: tuple[str, ...] = ()


class TimeLeft:
    """How long work will still take, from its pace so far since its first word: the start of a process says nothing of it."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None
        self._end: float | None = None
        self._at = 0.0

    def tell(self, fraction: float, now: float) -> float | None:
        """Seconds left at the time `now` (s) with `fraction` done; None as long as nobody can tell. To be asked again and again."""
        if fraction <= 0.0:
            return None
        if self._first is None:
            self._first = (now, fraction)
        began, done_before = self._first
        if now - began < TELL_AFTER_S or fraction - done_before < TELL_AFTER_SHARE:
            return None
        end = now + (now - began) * (1.0 - fraction) / (fraction - done_before)
        step = 1.0 if self._end is None else 1.0 - math.exp((self._at - now) / SETTLE_S)
        self._end = end if self._end is None else self._end + step * (end - self._end)
        self._at = now
        return max(self._end - now, 0.0)


class WorkerRun(ABC):
    """A job for the worker process. Call `start`, then `poll` from a timer until `done`, then `close`.

    A kind of run says what the worker is asked for (`_request`) and what becomes of the folder that it made (`_take`).

    Parameters
    ----------
    python
        the command that starts Python, as a list.
    temp_dir
        where the temporary folder is made; None: the system's place.
    worker
        where a worker process is kept between runs; None: this run has one of its own.
    """

    def __init__(self, python: Sequence[str], temp_dir: str | Path | None = None, worker: WarmWorker | None = None) -> None:
        self._python, self._temp_dir = list(python), temp_dir
        self._folder: Path | None = None
        self._job = WorkerJob(worker)
        self._started = time.monotonic()
        self._left = TimeLeft()
        self._log: list[str] = []
        self.state = RunState("Starting", 0.0, 0.0)

    @abstractmethod
    def _request(self, folder: Path) -> dict[str, Any]:
        """Write the inputs into the temporary folder; the worker's request."""

    @abstractmethod
    def _take(self, folder: Path) -> None:
        """The worker has made `folder`."""

    def _describe(self) -> list[str]:
        """What the log says first."""
        return []

    @property
    def log(self) -> str:
        """For "Copy log"."""
        return "\n".join(filter(None, [f"LAScarSeg {__version__}", *self._describe(), *self._log, self._job.log]))

    @property
    def pid(self) -> int | None:
        """The worker's process; None when none was started."""
        return self._job.pid

    def start(self) -> None:
        """Write the inputs and start the worker. Raises nothing: what is wrong is told by `poll`."""
        self._started = time.monotonic()
        try:
            self._folder = self._temporary_folder()
            self._job.start(self._request(self._folder), self._python, self._folder)
        except Exception as error:
            self._fail(error)

    def poll(self) -> RunState:
        """What has happened since; never waits, but for what is done with the result at the end."""
        if self.state.done:
            return self.state
        for event in self._job.poll():
            if event.kind == "progress":
                self.state = replace(self.state, stage=event.message or event.stage, fraction=event.fraction)
            elif event.kind == "error":
                self._refused(event.message)
                self.state = replace(self.state, stops=event.stops)
            else:
                self._finish(Path(event.message))
        if not self.state.done:
            left = self._left.tell(self.state.fraction, time.monotonic())
            self.state = replace(self.state, elapsed_s=self._elapsed(), remaining_s=left)
        return self.state

    def cancel(self) -> None:
        """Ask the worker to stop; `poll` tells when it has, at most 2 s later."""
        if not self.state.done:
            self.state = replace(self.state, stage="Cancelling")
            self._job.cancel()

    def close(self) -> None:
        """End everything at once and leave no file: called when the run is over, the module is reloaded, or Slicer quits."""
        self._job.kill_tree()
        if not self.state.done:
            self._end(str(Cancelled()))
        self._clean_up()

    def _finish(self, folder: Path) -> None:
        try:
            self._take(folder)
        except Exception as error:
            self._fail(error)
            return
        self._end("")

    def _refused(self, message: str) -> None:
        """The worker ended with an error."""
        self._end(message)

    def _temporary_folder(self) -> Path:
        try:
            return Path(tempfile.mkdtemp(prefix="LAScarSeg-", dir=self._temp_dir))
        except OSError as error:
            where = self._temp_dir or tempfile.gettempdir()
            raise ProcessingError(
                f"The temporary folder {where} can't be written to ({error.strerror}). Free some space there, or choose another "
                "in Edit, Application Settings, Modules."
            ) from error

    def _fail(self, error: Exception) -> None:
        reported = as_lascarseg_error(error)
        if not isinstance(error, LAScarSegError):
            logger.exception("The work failed")
            self._log.append(f"{type(error).__name__}: {error}")
        self._end(str(reported))

    def _end(self, error: str) -> None:
        cancelled = error == str(Cancelled())
        fraction = self.state.fraction if error else 1.0
        self.state = RunState("Done" if not error else "Stopped", fraction, self._elapsed(), None, True, error, cancelled)
        self._clean_up()

    def _clean_up(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _elapsed(self) -> float:
        return time.monotonic() - self._started

"""The worker process (`LAScarSegLib.jobs.worker`): started, listened to, stopped with everything it started, and its death explained.

No threads: in Slicer the user interface holds Python's lock while it waits, so `poll` reads the pipes without blocking.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import Cancelled, InputError, ProcessingError, is_about_memory
from .worker import SERVE

LIBRARY_FOLDER = Path(__file__).resolve().parents[2]
"""What the worker needs on its path to find LAScarSegLib."""
WORKER = ("-m", "LAScarSegLib.jobs.worker")
CANCEL_SECONDS = 1.2
"""So long the worker may take to stop by itself; then it is killed: it must be gone within 2 s."""
KILL_SECONDS = 0.5
"""So long the system may take to end what was killed."""
LOG_CHARACTERS = 20_000
"""The end of the worker's standard error that is kept."""


@dataclass(frozen=True)
class Start:
    """What a worker process is started with: the command that starts Python, and the environment."""

    python: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def now(cls, python: Sequence[str]) -> Self:
        """With this process's environment as it is now, and LAScarSegLib to be found."""
        path = os.pathsep.join(filter(None, [str(LIBRARY_FOLDER), os.environ.get("PYTHONPATH")]))
        return cls(tuple(python), os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", "PYTHONFAULTHANDLER": "1"})


@dataclass(frozen=True)
class JobEvent:
    """What a worker says: `kind` is `progress` (with `stage` and `fraction`), `result` (`message` is the folder) or `error`, with the
    codes of the `stops` that one may go on despite."""

    kind: str
    message: str
    stage: str = ""
    fraction: float = 0.0
    stops: tuple[str, ...] = ()


class WarmWorker:
    """The worker process that is kept from one job to the next, with what it has loaded; `WorkerJob` takes it and gives it back."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._start: Start | None = None

    @property
    def pid(self) -> int | None:
        """The process that waits for a job; None when none does."""
        return self._process.pid if self._process is not None else None

    def take(self, start: Start) -> subprocess.Popen[bytes] | None:
        """The waiting process, no longer kept here; None when there is none that was started like this."""
        process, self._process = self._process, None
        if process is None or (not _has_ended(process) and self._start == start):
            return process
        _end(process)
        return None

    def keep(self, process: subprocess.Popen[bytes], start: Start) -> None:
        """Keep a process that waits for a job; one is enough."""
        self.close()
        self._process, self._start = process, start

    def close(self) -> None:
        """End the process that waits, if there is one."""
        if self._process is not None:
            _end(self._process)
            self._process = None


class WorkerJob:
    """One job of a worker process: a process of its own, or with `warm` the one that is kept there, which it gives back.

    Ends with exactly one `result` or `error` event, whatever happens to the process. A process that was cancelled, or went
    wrong, is never given back.
    """

    def __init__(self, warm: WarmWorker | None = None) -> None:
        self._warm = warm
        self._process: subprocess.Popen[bytes] | None = None
        self._start = Start((), {})
        self._request = Path()
        self._was_kept = False
        self._partial_line = b""
        self._errors = ""
        self._last: JobEvent | None = None
        self._failed = False
        self._cancelled_at: float | None = None
        self._over = False

    def start(self, request: dict[str, Any], python: Sequence[str], folder: Path) -> None:
        """Start the worker on `request`, which is written to `folder`.

        Parameters
        ----------
        python
            the command that starts Python, as a list: `["/…/PythonSlicer"]`.

        Raises
        ------
        ProcessingError
            the request can't be written, or that Python can't be started.
        """
        self._start, self._request = Start.now(python), folder / "request.json"
        try:
            self._request.write_text(json.dumps(request, ensure_ascii=False, indent=1), encoding="utf-8")
            self._process = self._warm.take(self._start) if self._warm is not None else None
            self._was_kept = self._process is not None
            self._launch()
        except OSError as error:
            reason = f"{error.filename or self._request}: {error.strerror}"
            raise ProcessingError(f"The analysis can't be started: {reason}. Check the disk and this installation.") from error

    def _launch(self) -> None:
        """Hand the request to the process that was kept, or to a new one; `OSError` when that can't be started."""
        if self._process is None:
            self._process = _start(self._start, str(self._request) if self._warm is None else SERVE)
        if self._warm is not None:
            # One that has died meanwhile is noticed by `poll`.
            with suppress(OSError):
                self._process.stdin.write(os.fsencode(self._request) + b"\n")
                self._process.stdin.flush()

    @property
    def pid(self) -> int | None:
        """The process's number; None before it is started."""
        return self._process.pid if self._process is not None else None

    @property
    def is_running(self) -> bool:
        return self._process is not None and not self._over

    @property
    def log(self) -> str:
        """For "Copy log": what the worker wrote to standard error, its last words and how it ended."""
        code = self._process.returncode if self._process is not None else None
        said, end = self._last.message if self._last else "", "" if code is None else f"Exit code {code}."
        return "\n".join(filter(None, [self._errors.strip(), said, end]))

    def poll(self) -> list[JobEvent]:
        """What the worker has said since the last call; never waits."""
        if not self.is_running:
            return []
        if self._cancelled_at is not None and time.monotonic() - self._cancelled_at > CANCEL_SECONDS:
            _kill_group(self._process)
        # First whether it has ended, then what it said: nothing that was said before the end is lost.
        ended = _has_ended(self._process)
        events = self._read()
        if ended:
            # The launcher may be gone and the interpreter it started alive: the group's number is ours until it is reaped.
            _kill_group(self._process)
            self._process.wait()
            events += self._start_anew() if self._died_while_kept() else self._finish()
        elif self._last is not None and self._warm is not None and self._cancelled_at is None:
            events += self._give_back()
        return events

    def _died_while_kept(self) -> bool:
        """Whether the process ended before it said a word about this job: it had waited long enough, or somebody ended it."""
        return self._was_kept and self._last is None and self._cancelled_at is None

    def _start_anew(self) -> list[JobEvent]:
        _close_pipes(self._process)
        self._process, self._was_kept, self._partial_line = None, False, b""
        try:
            self._launch()
        except OSError as error:
            self._over = True
            return [JobEvent("error", f"The analysis can't be started: {error}. Check this installation.")]
        return []

    def _give_back(self) -> list[JobEvent]:
        """The job has had its last word, and the process is there for the next one."""
        self._over = True
        if self._failed:
            _end(self._process)
        else:
            self._warm.keep(self._process, self._start)
        return [self._last]

    def cancel(self) -> None:
        """Ask the worker to stop; `poll` sees to it that it does, and ends with the error event of `Cancelled`."""
        if self.is_running and self._cancelled_at is None:
            self._cancelled_at = time.monotonic()
            _close(self._process.stdin)

    def kill_tree(self) -> None:
        """End the worker and everything it started, now: Slicer quits, or the module is reloaded."""
        if self._process is None or self._over:
            return
        self._over = True
        _end(self._process)

    def _read(self) -> list[JobEvent]:
        self._errors = (self._errors + _available(self._process.stderr).decode("utf-8", "replace"))[-LOG_CHARACTERS:]
        *lines, self._partial_line = (self._partial_line + _available(self._process.stdout)).split(b"\n")
        events = [event for event in map(self._understand, lines) if event is not None]
        self._was_kept &= not events
        return events

    def _understand(self, line: bytes) -> JobEvent | None:
        """A line of the worker as progress; its last word is kept for the end; what isn't JSON (a library's chatter) goes to the log."""
        try:
            content = json.loads(line)
            if "result" in content:
                self._last = JobEvent("result", str(content["result"]))
            elif "error" in content:
                self._last = JobEvent("error", str(content["error"]), stops=tuple(map(str, content.get("stops", ()))))
                self._failed = content.get("exit_code") != InputError.exit_code
            else:
                return JobEvent("progress", str(content["message"]), str(content["stage"]), float(content["fraction"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            self._errors += line.decode("utf-8", "replace") + "\n"
        return None

    def _finish(self) -> list[JobEvent]:
        self._over = True
        _close_pipes(self._process)
        if self._cancelled_at is not None:
            return [JobEvent("error", str(Cancelled()))]
        if self._last is not None:
            return [self._last]
        return [JobEvent("error", explain_death(self._process.returncode, self._errors))]


OUT_OF_MEMORY = (
    "There was not enough memory for the analysis. Close other programs, crop the scan around the heart (Crop Volume), or take a "
    "method without a model."
)
TRY_AGAIN = "Nothing was changed. Try again; if it happens again, report it with Copy log."
ASKED_TO_KILL = (signal.SIGTERM, getattr(signal, "SIGKILL", signal.SIGTERM))
WINDOWS_NO_MEMORY = 0xC0000017
"""ntstatus.h, STATUS_NO_MEMORY."""
SHELL_SIGNAL_BASE = 128
"""A launcher or shell tells its child's signal N as exit code 128 + N."""


def explain_death(code: int, errors: str) -> str:
    """Cause and remedy for a worker that ended with exit code `code` without a last word; `errors` is its standard error."""
    if is_about_memory(errors) or code & 0xFFFFFFFF == WINDOWS_NO_MEMORY:
        return OUT_OF_MEMORY
    if "ModuleNotFoundError" in errors or "ImportError" in errors:
        reason = [line for line in errors.splitlines() if "Error:" in line][-1].strip()
        return f"The analysis could not be started: {reason}. Install LAScarSeg again; Copy log has the details."
    number = -code if code < 0 else code - SHELL_SIGNAL_BASE
    if sys.platform != "win32" and 0 < number < signal.NSIG:
        if number in ASKED_TO_KILL:
            return (
                "The analysis was ended from outside. The system does that when memory runs out: close other programs, crop the scan "
                "around the heart (Crop Volume), and try again."
            )
        return f"The analysis crashed ({_signal_name(number)}). {TRY_AGAIN}"
    return f"The analysis ended unexpectedly (exit code {code}). {TRY_AGAIN}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _start(start: Start, argument: str) -> subprocess.Popen[bytes]:
    """The process, in a group of its own, so that it can be ended with what it started; its pipes give what is there."""
    # On Windows a group; a session is ignored there.
    flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    command = [*start.python, *WORKER, argument]
    process = subprocess.Popen(command, env=start.environment, creationflags=flags, start_new_session=True, **pipes)
    for pipe in (process.stdout, process.stderr):
        os.set_blocking(pipe.fileno(), False)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process and everything it started, now."""
    _close(process.stdin)
    _kill_group(process)
    # When it is stuck in a system call (a network disk) it dies as soon as that returns.
    with suppress(subprocess.TimeoutExpired):
        process.wait(KILL_SECONDS)
    _close_pipes(process)


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether the process has ended; on POSIX it stays a zombie, so that nobody else gets its number meanwhile."""
    if sys.platform == "win32":
        return process.poll() is not None
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        if process.poll() is None:
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True, check=False)
        return
    # macOS refuses when only a zombie is left.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _available(pipe: Any) -> bytes:
    """Everything that can be read without waiting; a pipe that doesn't block gives None for nothing."""
    return pipe.read() or b""


def _close_pipes(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        _close(pipe)


def _close(pipe: Any) -> None:
    with suppress(OSError):
        pipe.close()

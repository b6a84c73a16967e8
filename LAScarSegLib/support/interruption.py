"""Ctrl-C, a polite kill, a closed standard input: the work stops soon, and what was begun is cleaned up undisturbed."""

import _thread
import atexit
import logging
import os
import signal
import sys
import threading
import time
from types import FrameType
from typing import NoReturn

GRACE_SECONDS = 0.3
"""How long work that was asked to stop may take to notice by itself, before it is interrupted."""
RETRY_SECONDS, PATIENCE_SECONDS = 0.02, 1.0
"""How often, and for how long, a safer moment to interrupt is waited for."""
CALLED_BY_CPP = frozenset({"vtk", "vtkmodules", "SimpleITK"})
"""Packages whose Python code may have been called by C++ code, which loses an exception or trips over it."""


class Stop:
    """Whether somebody wants the work to stop.

    Only plain attributes: a lock (as in `threading.Event`) that a signal handler found taken would never be released.
    """

    def __init__(self) -> None:
        self._wanted = False
        self._over = False
        self._late = False
        self._since: float | None = None

    def __bool__(self) -> bool:
        """Whether anybody has asked to stop."""
        return self._wanted

    def requested(self) -> bool:
        """Whether to stop now, for `Progress(is_cancelled=...)`: after a True the work cleans up, so nothing interrupts it any more."""
        self._over |= self._wanted
        return self._wanted

    def finish(self) -> None:
        """The work has ended, well or not: from here on signals change nothing."""
        self._over = True

    def begin(self) -> None:
        """The process goes on with other work: from here on signals count again. Raises `KeyboardInterrupt` for one that came late."""
        self._over = False
        if self._late or self._wanted:
            self._over = True
            raise KeyboardInterrupt

    def ask(self) -> None:
        """Ask from another thread than the main one: at the next report of progress, by an interruption if that takes too long."""
        self._wanted = True
        time.sleep(GRACE_SECONDS)
        if not self._over:
            _signal_main_thread()

    def on_signal(self, _: int, frame: FrameType | None) -> None:
        """The handler of SIGINT and SIGTERM: raises one `KeyboardInterrupt` in the main thread, where that is safe."""
        if self._over:
            self._late = True
            return
        self._wanted = True
        self._since = self._since or time.monotonic()
        if is_safe_to_interrupt(frame) or time.monotonic() - self._since > PATIENCE_SECONDS:
            self._over = True
            raise KeyboardInterrupt
        # Not threading.Timer: the main thread may be holding the locks that starting one takes.
        _thread.start_new_thread(_signal_main_thread, (RETRY_SECONDS,))


def watch_signals() -> Stop:
    """Make SIGINT and SIGTERM interrupt the main thread once; returns what they set, for `Progress` to look at.

    A second Ctrl-C of an impatient user is ignored: it would only stop the cleaning up.
    """
    stop = Stop()
    signal.signal(signal.SIGINT, stop.on_signal)
    signal.signal(signal.SIGTERM, stop.on_signal)
    return stop


def is_safe_to_interrupt(frame: FrameType | None) -> bool:
    """Whether code at `frame` takes an exception well: not while a library is loaded, nor where C++ code may be the caller."""
    if frame is None or frame.f_code.co_name == "__del__" or str(frame.f_globals.get("__name__")).partition(".")[0] in CALLED_BY_CPP:
        return False
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return False
        frame = frame.f_back
    return True


def leave(code: int) -> NoReturn:
    """End the process with `code`, without the interpreter's own end.

    There C++ libraries are unloaded while their threads, or a thread that waits for standard input, still run: a worker
    that had done everything right has been seen to die of SIGSEGV.
    """
    # Python's handlers would change the exit code.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        atexit._run_exitfuncs()
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, ValueError):
        # Nobody reads any more: there is nobody to tell.
        pass
    finally:
        os._exit(code)


def _signal_main_thread(after_seconds: float = 0.0) -> None:
    time.sleep(after_seconds)
    if sys.platform == "win32":
        _thread.interrupt_main(signal.SIGINT)
    else:
        # A real signal also ends a wait for a file or the network.
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

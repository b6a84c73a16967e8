"""`python -m LAScarSegLib.jobs.worker REQUEST.json`: one job in a process of its own, for Slicer.

Needs no more than NumPy, SciPy, SimpleITK and VTK. Progress goes to stdout as JSON lines `{"stage", "fraction", "message"}`;
the last line is `{"result": FOLDER}` or `{"error": MESSAGE, "exit_code": N}`, with
`"stops": CODES` where one may go on despite them. When whoever started it closes its standard
input or dies, the worker stops and leaves nothing behind; so it does after a line `cancel` and after SIGTERM.

`--serve` instead of a file: the files' paths come through standard input, one a line, and each job ends with its last line.
Libraries and networks stay loaded between jobs; of a finished job nothing is kept. The process ends with its input, with a
failure that is no fault of the request's, and when nobody has asked for anything for a while.
"""

import gc
import importlib
import json
import logging
import os
import sys
import threading
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from ..errors import Cancelled, InputError, Stopped, as_lascarseg_error
from ..support.interruption import Stop, leave, watch_signals
from ..support.json_text import parse_json
from ..support.printable import printable
from ..support.progress import Progress

STANDARD_INPUT = 0
LARGEST_REQUEST_BYTES = 1 << 20
"""A request has some hundred bytes, and a few for each path."""
SERVE = "--serve"
IDLE_SECONDS = 300.0
"""So long a serving worker waits for the next job before it gives its memory back: half a GB with torch (Benchmarks/warm_worker.py)."""
STANDARD_KEYS = {"figures": False, "report": False, "scene": False}
"""What Slicer's own process does better, or needs packages for, is off unless the request says otherwise."""


def main(arguments: list[str]) -> int:
    """Run the request file, or serve, and return the exit code (0, 1 failure, 2 input, 130 cancelled)."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if len(arguments) != 1:
        _say({"error": f"Usage: python -m LAScarSegLib.jobs.worker REQUEST.json | {SERVE}", "exit_code": 2})
        return 2
    stop, paths = watch_signals(), SimpleQueue()
    try:
        threading.Thread(target=_watch_input, args=(stop, paths), daemon=True).start()
    except KeyboardInterrupt:
        # The job says so, as ever, with its last line.
        pass
    return _serve(stop, paths) if arguments[0] == SERVE else _run(Path(arguments[0]), stop)


def _serve(stop: Stop, paths: SimpleQueue) -> int:
    """Run one request after another, as they come; returns the last one's exit code when it was stopped or went wrong."""
    try:
        while (path := paths.get(timeout=IDLE_SECONDS)) is not None:
            code = _run(Path(os.fsdecode(path)), stop)
            if code not in (0, InputError.exit_code):
                return code
            _give_back()
            stop.begin()
    except (Empty, KeyboardInterrupt):
        pass
    return 0


def _run(path: Path, stop: Stop) -> int:
    """One job, from its request file to its last line; returns the exit code."""
    try:
        # Packages may have been installed since the last job.
        importlib.invalidate_caches()
        content = _read_request(path)
        progress = Progress(lambda event: _say(event.to_json()), stop.requested)
        if "archive" in content:
            from .export import ResultRequest, run_export

            output = run_export(ResultRequest.from_json(content), progress)
        else:
            from .request import Request, run_request

            request = Request.from_json(STANDARD_KEYS | content)
            run_request(request, progress)
            output = request.output
    except (Exception, KeyboardInterrupt) as error:
        # Libraries turn an interruption inside them into errors of all kinds.
        reported = Cancelled() if stop else as_lascarseg_error(error)
        stop.finish()
        if not isinstance(reported, Cancelled) and reported is not error:
            logging.exception("The analysis failed")
        stops = {"stops": list(reported.codes)} if isinstance(reported, Stopped) else {}
        _say({"error": str(reported), "exit_code": reported.exit_code} | stops)
        return reported.exit_code
    # The result is there; whoever wants to stop the work now is too late.
    stop.finish()
    _say({"result": str(output.resolve())})
    return 0


def _give_back() -> None:
    """The memory of a finished job, a graphics card's too: others may want it meanwhile."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


def _read_request(path: Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            content = parse_json(file.read(LARGEST_REQUEST_BYTES + 1), LARGEST_REQUEST_BYTES)
    except (OSError, ValueError) as error:
        raise InputError(f"The request {printable(path)} can't be read: {printable(error)}.") from error
    if not isinstance(content, dict):
        raise InputError(f"The request {printable(path)} is not a JSON object.")
    return content


def _watch_input(stop: Stop, paths: SimpleQueue) -> None:
    """Each line is a path to put into the queue; the end of standard input, or the line "cancel", means stop."""
    rest = b""
    # Not through sys.stdin: a thread that waits there holds a lock that the interpreter wants when it ends.
    while block := os.read(STANDARD_INPUT, 4096):
        *lines, rest = (rest + block).split(b"\n")
        lines = [line.strip() for line in lines]
        if b"cancel" in (*lines, rest.strip()):
            break
        for line in filter(None, lines):
            paths.put(line)
    paths.put(None)
    stop.ask()


def _say(content: dict[str, Any]) -> None:
    try:
        print(json.dumps(content), flush=True)
    except BrokenPipeError:
        # Nobody reads any more; what is under way notices by its standard input.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    leave(main(sys.argv[1:]))

"""`python -m LAScarSegLib.jobs.worker REQUEST.json`: one job in a process of its own, for Slicer.

Needs no more than NumPy, SciPy, SimpleITK and VTK. Progress goes to stdout as JSON lines `{"stage", "fraction", "message"}`;
the last line is `{"result": FOLDER}` or `{"error": MESSAGE, "exit_code": N}`. When whoever started it closes its standard
input or dies, the worker stops and leaves nothing behind; so it does after a line `cancel` and after SIGTERM.
"""

import json
import logging
import os
import sys
import threading
from pathlib import Path
from typing import Any

from ..errors import Cancelled, InputError, as_lascarseg_error
from ..support.interruption import Stop, leave, watch_signals
from ..support.progress import Progress

STANDARD_INPUT = 0
STANDARD_KEYS = {"figures": False, "report": False, "scene": False}
"""What Slicer's own process does better, or needs packages for, is off unless the request says otherwise."""


def main(arguments: list[str]) -> int:
    """Run the request file and return the exit code (0, 1 failure, 2 input, 130 cancelled)."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    if len(arguments) != 1:
        _say({"error": "Usage: python -m LAScarSegLib.jobs.worker REQUEST.json", "exit_code": 2})
        return 2
    stop = watch_signals()
    try:
        threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
        from .request import Request, run_request

        request = Request.from_json(STANDARD_KEYS | _read_request(Path(arguments[0])))
        run_request(request, Progress(lambda event: _say(event.to_json()), stop.requested))
    except (Exception, KeyboardInterrupt) as error:
        # Libraries turn an interruption inside them into errors of all kinds.
        reported = Cancelled() if stop else as_lascarseg_error(error)
        stop.finish()
        if not isinstance(reported, Cancelled) and reported is not error:
            logging.exception("The analysis failed")
        _say({"error": str(reported), "exit_code": reported.exit_code})
        return reported.exit_code
    # The result is there; whoever wants to stop the work now is too late.
    stop.finish()
    _say({"result": str(request.output.resolve())})
    return 0


def _read_request(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"The request {path} can't be read: {error}.") from error
    if not isinstance(content, dict):
        raise InputError(f"The request {path} is not a JSON object.")
    return content


def _watch_input(stop: Stop) -> None:
    """The end of standard input, or the line "cancel", means stop."""
    received = b""
    # Not through sys.stdin: a thread that waits there holds a lock that the interpreter wants when it ends.
    while block := os.read(STANDARD_INPUT, 4096):
        received += block
        if b"cancel" in (line.strip() for line in received.split(b"\n")):
            break
    stop.ask()


def _say(content: dict[str, Any]) -> None:
    try:
        print(json.dumps(content), flush=True)
    except BrokenPipeError:
        # Nobody reads any more; what is under way notices by its standard input.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    leave(main(sys.argv[1:]))

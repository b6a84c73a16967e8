"""What networks can compute on here, asked of another Python process: torch takes seconds to import, and windows must not wait."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence

from ..inference.device import CPU, Device, list_devices
from .worker_process import LIBRARY_FOLDER

AUTO = "auto"
"""The device that is fastest here."""
QUESTION = (
    "import json; from LAScarSegLib.jobs.device_query import devices;"
    "print(json.dumps([[device.key, device.title, device.memory_gb] for device in devices(ask_torch=True)]))"
)
ENOUGH_SECONDS = 5.0
"""So long the system may take to end what was killed."""


def devices(ask_torch: bool = False) -> tuple[Device, ...]:
    """What networks may compute on, "auto" first. With `ask_torch` the cards that are here: that imports torch (seconds)."""
    auto = Device(AUTO, "automatic")
    try:
        return (auto, *list_devices()) if ask_torch else (auto, CPU)
    except Exception:
        # No torch, or a broken one: a run with a network says so; the list needn't.
        return (auto, CPU)


class DeviceQuery:
    """One question, in a process of its own. `poll` until it gives the answer, or `close`."""

    def __init__(self, python: Sequence[str]) -> None:
        """Ask; `python` is the command that starts Python. Raises OSError when that can't be started."""
        path = os.pathsep.join(filter(None, [str(LIBRARY_FOLDER), os.environ.get("PYTHONPATH")]))
        hidden = subprocess.CREATE_NO_WINDOW if sys.platform == "win32" else 0
        self._process = subprocess.Popen(
            [*python, "-c", QUESTION], env=os.environ | {"PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, creationflags=hidden,
        )  # fmt: skip

    def poll(self) -> tuple[Device, ...] | None:
        """The devices, "auto" first; () when the process died without telling; None as long as it has not ended. Never waits."""
        if self._process.poll() is None:
            return None
        lines = self._process.stdout.read().splitlines() if not self._process.stdout.closed else []
        self._process.stdout.close()
        try:
            # The last line: libraries may have talked before.
            return tuple(Device(key, title, memory_gb) for key, title, memory_gb in json.loads(lines[-1]))
        except (IndexError, ValueError, TypeError):
            return ()

    def close(self) -> None:
        """Nobody waits for the answer any more."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(ENOUGH_SECONDS)
        self._process.stdout.close()

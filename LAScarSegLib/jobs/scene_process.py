"""A scene that is written by a process of its own, while the rest of a result is written here.

The process loads what it needs while the scan is still being analysed, and is handed the analysis as the worker is (`jobs.export`). It is
never needed: what it can't do for any reason is done here, where it is said what is wrong.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Self

from ..analysis import Analysis
from ..analysis.surface_findings import pack_findings, unpack_findings
from ..errors import Cancelled, LAScarSegError
from ..output.writing import SceneHere
from ..scene.gaps import has_findings
from ..support.progress import Progress
from .export import ResultRequest
from .worker_process import Start

PAYS_OFF_BYTES = 8_000_000
"""Size of a scan's file above which a process of its own is worth its start, 3 s of a processor that would else be idle: that of
256×256×44 is written sooner than it is ready."""
LOOK_SECONDS = 0.05
"""How often the one who waits looks whether to stop."""
KILL_SECONDS = 5.0
FINDINGS = "findings.json"
"""Regions and gaps, beside the archive that is handed over."""


class SceneProcess:
    """Writes one scene beside (`output.writing.SceneWriter`); a context manager, at whose end the process is gone."""

    def __init__(self) -> None:
        self._here = SceneHere()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, which loads its libraries; a second call does nothing. Without it the scene is written here."""
        if self._process is not None:
            return
        start = Start.now((sys.executable,))
        # A group of its own: Ctrl-C in the terminal is for whoever waits, who ends it.
        with suppress(OSError):
            self._process = subprocess.Popen(
                [*start.python, "-m", __name__], env=start.environment, start_new_session=True, stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def pid(self) -> int | None:
        """The process's number; None when there is none."""
        return self._process.pid if self._process is not None else None

    def begin(self, analysis: Analysis, path: Path) -> None:
        """Hand the analysis over."""
        self._here.begin(analysis, path)
        if self._process is None:
            return
        try:
            self._folder = tempfile.TemporaryDirectory(prefix=".handover-", dir=path.parent, ignore_cleanup_errors=True)
            request = ResultRequest.of(analysis, Path(self._folder.name), path).to_json()
            if has_findings(analysis):
                # Seconds of work that the rest of the result needs as well: once, and before, since here nobody waits for the scene yet.
                found = json.dumps(pack_findings(analysis.findings))
                (Path(self._folder.name) / FINDINGS).write_text(found, encoding="utf-8")
            self._process.stdin.write(json.dumps(request).encode("utf-8") + b"\n")
            self._process.stdin.flush()
        except (OSError, LAScarSegError):
            self._end()

    def finish(self, progress: Progress) -> None:
        """Wait until the file is there; errors as `scene.write_mrb`."""
        code = None
        while self._process is not None and code is None:
            with suppress(subprocess.TimeoutExpired):
                code = self._process.wait(LOOK_SECONDS)
            if progress.is_cancelled:
                raise Cancelled()
        self._end()
        if code != 0 or not self._here.path.is_file():
            self._here.finish(progress)

    def _end(self) -> None:
        if self._process is not None:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(KILL_SECONDS)
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def main() -> int:
    """The process: load, wait for one request, write its scene. Without a request it ends."""
    from ..scene.bundle import new_scene, write_mrb

    new_scene()
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return 0
    request = ResultRequest.from_json(json.loads(line))
    analysis, findings = request.read(), request.archive.with_name(FINDINGS)
    if findings.is_file():
        analysis = analysis.with_findings(unpack_findings(json.loads(findings.read_text(encoding="utf-8")), analysis.surface))
    write_mrb(analysis, request.output)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

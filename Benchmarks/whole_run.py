"""`lascarseg run` on 640×640×88 with a given cavity: time by step, peak memory; and the worker that Slicer starts.

The steps are read from `--progress json`: a step lasts from its line to the next one. The reference is the least that any
program does with such a scan: read it and write it again, with SimpleITK's defaults. Peak memory is the largest of the
program and the processes that it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
from common.children import GB_PER_MAXRSS, apart
from common.scans import SIZE_88, SPACING_88, left_atrium, scan_of
from common.timing import Bar, judge, median_seconds, print_table, ratio

from LAScarSegLib.volumes.files import write_volume

MEMORY_BAR_GB = 3.0
START, END = "start Python, import", "print, free memory, end"
COMMAND_LINE = [sys.executable, "-c", "from LAScarSegLib.cli.main import main; main()"]
WORKER = [sys.executable, "-m", "LAScarSegLib.jobs.worker"]


@dataclass(frozen=True)
class Run:
    """Seconds of every step in order, seconds in all, processor seconds, peak memory in GB."""

    steps: dict[str, float]
    seconds: float
    cpu_seconds: float
    peak_gb: float


def run(command: list[str]) -> Run:
    """Run a command that speaks JSON lines and take the time between them."""
    start = last = time.perf_counter()
    steps: dict[str, float] = {}
    step = START
    # The worker takes the end of its standard input for a cancel, so it gets a pipe that stays open.
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    for line in child.stdout:
        event, now = json.loads(line), time.perf_counter()
        steps[step] = steps.get(step, 0.0) + now - last
        last = now
        step = END if event.get("message") == "Saved" or "stage" not in event else f"{event['stage']}: {event['message']}"
    _, status, usage = os.wait4(child.pid, 0)
    now = time.perf_counter()
    steps[step] = steps.get(step, 0.0) + now - last
    if status != 0:
        raise SystemExit(f"{' '.join(command)} ended with exit code {os.waitstatus_to_exitcode(status)}")
    return Run(steps, now - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * GB_PER_MAXRSS)


def median_run(command: list[str], repetitions: int) -> Run:
    """Every number's median over some runs, memory's maximum."""
    runs = [run(command) for _ in range(repetitions)]
    return Run(
        {step: statistics.median(r.steps.get(step, 0.0) for r in runs) for step in runs[0].steps},
        statistics.median(r.seconds for r in runs),
        statistics.median(r.cpu_seconds for r in runs),
        max(r.peak_gb for r in runs),
    )


def make_scan(image: Path, cavity: Path) -> None:
    """The simulated scan and its cavity."""
    mask = left_atrium(SIZE_88, SPACING_88)
    write_volume(scan_of(mask), image)
    write_volume(mask, cavity)


def copy(image: Path, target: Path) -> None:
    """The reference: read and write, default compression."""
    sitk.WriteImage(sitk.ReadImage(str(image)), str(target), useCompression=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a scan instead of the simulated one, with --cavity")
    parser.add_argument("--cavity", type=Path)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image, cavity = arguments.image, arguments.cavity
        if image is None or cavity is None:
            image, cavity = folder / "image.nii.gz", folder / "cavity.nii.gz"
            # Made here, its memory would count as the run's: on Linux a process starts with its parent's peak.
            apart(make_scan, image, cavity)
        result = folder / "result"
        request = folder / "request.json"
        request.write_text(json.dumps({"image": str(image), "cavity": str(cavity), "output": str(result), "force": True}))
        whole = median_run(
            [*COMMAND_LINE, "run", str(image), "--cavity", str(cavity), "-o", str(result), "--force", "--progress", "json"],
            arguments.repetitions,
        )
        worker = median_run([*WORKER, str(request)], arguments.repetitions)
        copy_seconds, _ = median_seconds(lambda: copy(image, folder / "copy.nii.gz"), arguments.repetitions)
    print_table(["step", "s", "%"], [[step, f"{s:.2f}", f"{100 * s / whole.seconds:.0f}"] for step, s in whole.steps.items()])
    print()
    print_table(
        ["", "s", "processor s", "÷ read and write", "peak, GB"],
        [
            [
                "lascarseg run",
                f"{whole.seconds:.1f}",
                f"{whole.cpu_seconds:.1f}",
                ratio(whole.seconds, copy_seconds),
                f"{whole.peak_gb:.2f}",
            ],
            [
                "worker (in Slicer)",
                f"{worker.seconds:.1f}",
                f"{worker.cpu_seconds:.1f}",
                ratio(worker.seconds, copy_seconds),
                f"{worker.peak_gb:.2f}",
            ],
            ["read the scan, write it", f"{copy_seconds:.1f}", "", "1×", ""],
        ],
    )
    return judge([Bar("peak memory", max(whole.peak_gb, worker.peak_gb), MEMORY_BAR_GB, "GB")])


if __name__ == "__main__":
    sys.exit(main())

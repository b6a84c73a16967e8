"""Apply with the network that comes with the project on 576×576×44, the first time and again: what a worker process that stays is worth.

Everything between the button and the nodes is timed, on real MRML nodes: writing the scan, the worker, building the scene. The first
run starts a process, imports torch and reads the weights; the second finds all that. They are compared with a run in a process of
its own, as ratios taken side by side, because seconds depend on what else the machine does. Beside them: what the process holds while
it waits, and an export by it with what it is without.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, print_table, ratio

from LAScarSegLib import scene as mrml
from LAScarSegLib.jobs.worker_process import WarmWorker
from LAScarSegLib.models.store import STORE_VARIABLE, ModelStore
from LAScarSegLib.session import export
from LAScarSegLib.session.choices import MODEL, Choices
from LAScarSegLib.session.run import AnalysisRun
from LAScarSegLib.session.worker_run import WorkerRun
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Volume

POLL_S = 0.02
BAR_RATIO = 0.75
"""Of a second run to one in a process of its own: 5 s where the first takes 7 s (issue 13)."""


def finished(run: WorkerRun) -> tuple[float, float]:
    """Seconds until a run is over, and the longest that it held the caller. `SystemExit` when it fails."""
    began = last = time.perf_counter()
    run.start()
    longest = 0.0
    while not run.poll().done:
        longest = max(longest, time.perf_counter() - last)
        time.sleep(POLL_S)
        last = time.perf_counter()
    run.close()
    if run.state.error:
        raise SystemExit(run.state.error)
    return time.perf_counter() - began, longest


def resident_gb(pid: int) -> float:
    """Memory of a process that is its own (Linux)."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()
    return (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE") / 1e9


def applied(volume: Volume, worker: WarmWorker | None, times: int) -> tuple[list[float], AnalysisRun]:
    """Seconds of Apply, some times on one scene."""
    scene = mrml.new_scene()
    node = mrml.volume_to_node(volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan"))
    model = ModelStore().default_cavity().card.reference
    choices = Choices(volume_id=node.GetID(), cavity_source=MODEL, cavity_model=model, accept_terms=True, device="cpu")
    seconds = []
    for _ in range(times):
        run = AnalysisRun(scene, choices, [sys.executable], worker=worker)
        seconds.append(finished(run)[0])
    return seconds, run


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image", type=Path, help="a scan instead of the simulated one")
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    volume = read_volume(arguments.image) if arguments.image else scan_of(left_atrium(SIZE_44, SPACING_44))
    alone, first, second = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        os.environ[STORE_VARIABLE] = folder
        for _ in range(arguments.repetitions):
            alone += applied(volume, None, 1)[0]
            worker = WarmWorker()
            seconds, run = applied(volume, worker, 3)
            first.append(seconds[0])
            second += seconds[1:]
            held = resident_gb(worker.pid)
            there = finished(export.ExportRun(run.analysis, Path(folder, f"{len(first)}"), [sys.executable], worker=worker))
            worker.close()
        began = time.perf_counter()
        export.write(run.analysis, Path(folder, "here"))
        here = time.perf_counter() - began
    rows = [("a process of its own", alone), ("the first run of one that stays", first), ("its later runs", second)]
    own = statistics.median(alone)
    print_table(
        ["Apply", "s", "best, s", "of one of its own"],
        [[what, f"{statistics.median(s):.2f}", f"{min(s):.2f}", f"{statistics.median(s) / own:.2f}"] for what, s in rows],
    )
    print(f"\nIt holds {held:.2f} GB while it waits.\n")
    print_table(
        ["export", "s in all", "the windows stand still, s"],
        [["here", f"{here:.2f}", f"{here:.2f}"], ["by the worker", f"{there[0]:.2f}", f"{there[1]:.3f}"]],
    )
    print(f"standing still: {ratio(here, there[1])} less")
    return judge([Bar("a later run, of one in a process of its own", statistics.median(second) / own, BAR_RATIO, "")])


if __name__ == "__main__":
    sys.exit(main())

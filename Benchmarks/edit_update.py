"""From the last stroke to the new map on a 576×576×44 scan: a cavity edit, a scar edit, a tick of the threshold slider.

Everything that happens in Slicer is timed on real MRML nodes: reading the segments, the quick analysis, writing the nodes
(the perturbation range follows later and is timed apart). The last rows are what somebody waits for in Slicer: the pause after
the stroke, and a thread that gets Python's lock only while the windows' thread polls; and the longest that the windows stand still
meanwhile. Compared with `analyse` from the start in the same run, because seconds depend on what else the machine does: the best of
the repetitions is the one that was disturbed least, and processor seconds are given beside them.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, print_table, ratio
from scipy import ndimage

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import analyse
from LAScarSegLib.scene import segmentation as segments
from LAScarSegLib.session.edit_session import EditSession, set_threshold
from LAScarSegLib.session.live import LiveUpdate

LIVE = "cavity edit, the pause of 0.1 s and Slicer's event loop included"
BAR_SECONDS = 1.0
BAR_TICK_SECONDS = 0.05
BAR_RATIO = 0.5
"""A quick update leaves out the perturbation range, which takes most of an analysis (Docs/performance.md)."""
POLL_MICROSECONDS, BUSY_POLL_MICROSECONDS = 20_000, 5_000
"""POLL_MS and BUSY_POLL_MS of LAScarSegPanel.edit_section."""


@dataclass(frozen=True)
class Timing:
    """Seconds by the wall clock, the best and the median of the repetitions, and the processor's (median)."""

    best: float
    median: float
    processor: float

    @classmethod
    def of(cls, wall: Sequence[float], processor: Sequence[float]) -> Timing:
        return cls(min(wall), float(np.median(wall)), float(np.median(processor)))

    def cells(self) -> list[str]:
        return [f"{seconds:.3f}" for seconds in (self.best, self.median, self.processor)]


class Hand:
    """Draws in the segments of a result, another stroke every time."""

    def __init__(self, session: EditSession) -> None:
        self.session = session
        self._strokes = 0

    def draw(self, what: str) -> None:
        """Add a ball of 5 mm to the cavity, or the wall inside one to the scar, at another place of the wall every time."""
        session, kind = self.session, {"cavity": segments.CAVITY, "scar": segments.SCAR}[what]
        analysis = session.analysis
        wall = np.argwhere(analysis.wall_box)
        self._strokes += 1
        distance = (np.argwhere(np.ones(analysis.wall_box.shape, dtype=bool)) - wall[(self._strokes * 7919) % len(wall)]).astype(np.float32)
        ball = np.linalg.norm(distance * analysis.geometry.spacing_kji, axis=1).reshape(analysis.wall_box.shape) <= 5.0
        mask = analysis.cavity_box | ball if what == "cavity" else analysis.scar_box ^ (ball & analysis.wall_box)
        segments.write_voxels(session.nodes.segmentation, kind, mask, analysis.geometry, analysis.box.start)


def timed(prepare: Callable[[], Any], work: Callable[[], Any], repetitions: int) -> Timing:
    """The time `work()` takes, each after `prepare()`, which isn't counted."""
    wall, processor = [], []
    for _ in range(repetitions):
        prepare()
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return Timing.of(wall, processor)


def timed_live(hand: Hand, repetitions: int) -> tuple[Timing, float]:
    """From a stroke in the cavity to its map, and the longest poll on the way (median, s), polled as the panel polls.

    The event loop keeps Python's lock as Slicer's does.
    """
    wait = ctypes.PyDLL(None).usleep
    watches: list[LiveUpdate] = []
    longest: list[float] = []

    def prepare() -> None:
        watches.append(LiveUpdate(hand.session))
        hand.draw("cavity")

    def work() -> None:
        longest.append(0.0)
        while True:
            start = time.perf_counter()
            state = watches[-1].poll()
            longest[-1] = max(longest[-1], time.perf_counter() - start)
            if state.changed:
                return watches[-1].close()
            wait(BUSY_POLL_MICROSECONDS if state.busy else POLL_MICROSECONDS)

    whole = timed(prepare, work, repetitions)
    return whole, float(np.median(longest))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=5)
    repetitions = parser.parse_args().repetitions
    cavity = left_atrium(SIZE_44, SPACING_44)
    cavity = cavity.like(ndimage.binary_fill_holes(cavity.array))
    scan = scan_of(cavity)
    first = analyse(scan, cavity=cavity)
    scene = mrml.new_scene()
    session = EditSession(scene, mrml.build_scene(scene, first), first)
    hand, nothing = Hand(session), lambda: None
    ticks = iter(np.linspace(1.0, 1.4, 1000))
    measured = {
        "analyse, from the start": timed(nothing, lambda: analyse(scan, cavity=cavity), repetitions),
        "cavity edit, to the new map": timed(lambda: hand.draw("cavity"), lambda: session.update(full=False), repetitions),
        "its perturbation range": timed(nothing, lambda: session.measure(session.snapshot(), True), 1),
        "scar edit, to the new map": timed(lambda: hand.draw("scar"), lambda: session.update(full=False), repetitions),
        "a tick of the slider": timed(nothing, lambda: set_threshold(session.nodes, first, float(next(ticks))), 4 * repetitions),
        "reading the segments (in the windows' thread)": timed(nothing, session.snapshot, repetitions),
    }
    measured[LIVE], longest_poll = timed_live(hand, 3 * repetitions)
    whole = measured["analyse, from the start"]
    print_table(
        ["what", "best s", "median s", "processor s", "analyse takes"],
        [[name, *t.cells(), ratio(whole.processor, t.processor)] for name, t in measured.items()],
    )
    print(f"\nthe windows stand still for {longest_poll:.3f} s at most between stroke and map (median of the strokes)")
    stroke = max(measured[f"{what} edit, to the new map"].processor for what in ("cavity", "scar"))
    return judge(
        [
            Bar("slower of the two edits, processor time", stroke, BAR_SECONDS, "s"),
            Bar("slower of the two edits against analyse, processor time", stroke / whole.processor, BAR_RATIO, "×"),
            Bar("a tick of the slider, processor time", measured["a tick of the slider"].processor, BAR_TICK_SECONDS, "s"),
            Bar(f"{LIVE}, best", measured[LIVE].best, BAR_SECONDS, "s"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

"""From the last stroke to the new map on a 576×576×44 scan: a cavity edit, a scar edit, a tick of the threshold slider.

Everything that happens in Slicer is timed on real MRML nodes: reading the segments, the quick analysis, writing the nodes
(the perturbation range follows later and is timed apart). The last row is what somebody waits for in Slicer: the pause after
the stroke, and a thread that gets Python's lock only while the windows' thread polls. Compared with `analyse` from the start
in the same run, because seconds depend on what else the machine does; processor seconds are given beside them.
"""

from __future__ import annotations

import argparse
import ctypes
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from common.scans import SIZE_44, SPACING_44, left_atrium, scan_of
from common.timing import Bar, judge, print_table, ratio
from scipy import ndimage

from LAScarSegLib import scene as mrml
from LAScarSegLib.pipeline import analyse
from LAScarSegLib.presenter.editing import EditSession
from LAScarSegLib.presenter.live import LiveUpdate
from LAScarSegLib.presenter.review import set_threshold_live
from LAScarSegLib.scene import segmentation as segments

BAR_SECONDS = 1.0
BAR_TICK_SECONDS = 0.05
BAR_RATIO = 0.7
"""A quick update leaves out the perturbation range, which takes most of an analysis (Docs/performance.md)."""
POLL_MICROSECONDS = 20_000
"""LAScarSegPanel.edit_section.POLL_MS."""


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
        image = segments._oriented_image(mask, analysis.geometry, analysis.box.start[::-1])
        segments._set_segment(session.nodes.segmentation, kind, image)


def timed(prepare: Callable[[], Any], work: Callable[[], Any], repetitions: int) -> tuple[float, float]:
    """Median wall-clock and processor seconds of `work()`, each after `prepare()`, which isn't counted."""
    wall, processor = [], []
    for _ in range(repetitions):
        prepare()
        start = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start[0])
        processor.append(time.process_time() - start[1])
    return float(np.median(wall)), float(np.median(processor))


def timed_live(hand: Hand, repetitions: int) -> tuple[float, float]:
    """From a stroke in the cavity to its map, polled as the panel polls, in an event loop that keeps Python's lock as Slicer's does."""
    wait = ctypes.PyDLL(None).usleep
    watches: list[LiveUpdate] = []

    def prepare() -> None:
        watches.append(LiveUpdate(hand.session))
        hand.draw("cavity")

    def work() -> None:
        while not watches[-1].poll().changed:
            wait(POLL_MICROSECONDS)
        watches[-1].close()

    return timed(prepare, work, repetitions)


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
        "a tick of the slider": timed(nothing, lambda: set_threshold_live(session.nodes, first, float(next(ticks))), 4 * repetitions),
        "reading the segments (in the windows' thread)": timed(nothing, session.snapshot, repetitions),
        "cavity edit, the pause of 0.1 s and Slicer's event loop included": timed_live(hand, repetitions),
    }
    whole = measured["analyse, from the start"]
    print_table(
        ["what", "s", "processor s", "analyse takes"],
        [[name, f"{a:.3f}", f"{b:.3f}", ratio(whole[1], b)] for name, (a, b) in measured.items()],
    )
    strokes = [measured[f"{what} edit, to the new map"] for what in ("cavity", "scar")]
    return judge(
        [
            Bar("slower of the two edits, processor time", max(b for _, b in strokes), BAR_SECONDS, "s"),
            Bar("slower of the two edits against analyse, processor time", max(b for _, b in strokes) / whole[1], BAR_RATIO, "×"),
            Bar("a tick of the slider, processor time", measured["a tick of the slider"][1], BAR_TICK_SECONDS, "s"),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())

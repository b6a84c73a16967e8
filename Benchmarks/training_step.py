"""What a training step takes beyond the bare network's forward and backward pass, and what a kept target saves.

Preset `tiny` of two_stage_sdm on simulated scans, one thread for the network, patches cut by another process; the bare pass is of the same
network and loss on one batch. Steps are measured in processor time, so that what else the machine does tells little.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common.timing import Bar, judge, print_table

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort
from LAScarSegLib.losses import make_loss
from LAScarSegLib.networks import build
from LAScarSegLib.phantom import PhantomSettings
from LAScarSegLib.support.progress import Progress, ProgressEvent
from LAScarSegLib.systems import Target, find_system
from LAScarSegLib.systems.targets import distance_probabilities, signed_distance_outside
from LAScarSegLib.training.patches import PatchDataset
from LAScarSegLib.training.preparation import keep_target
from LAScarSegLib.training.run_folder import TrainingRun
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.training.train import Hardware, start_run, train

BAR_TIMES = 1.3
SYSTEM, PRESET = "two_stage_sdm", "tiny"
FIRST = 5
"""Steps that are not counted: the first ones find their algorithms."""


def prepared(folder: Path, cases: Path, stage: str, steps: int) -> TrainingRun:
    size = replace(find_system(SYSTEM).stage(stage).preset(PRESET), epochs=1)
    settings = TrainingSettings(SYSTEM, stage, str(cases), size, preset=PRESET, steps_per_epoch=steps, folds=2, anatomy="truth")
    return start_run(settings, folder / stage)


def training_seconds(run: TrainingRun, workers: int) -> float:
    """The median of the program's processor time between two steps of a training."""
    times: list[float] = []

    def seen(event: ProgressEvent) -> None:
        if "loss" in event.message:
            times.append(time.process_time())

    train(run, Hardware(device="cpu", precision="32", workers=workers, validate_every=99), Progress(seen))
    return statistics.median(np.diff(times)[FIRST:])


def bare_seconds(run: TrainingRun, steps: int) -> float:
    """The median processor time of forward and backward pass of the same network and loss."""
    stage, size = run.settings.described, run.settings.size
    network, loss = build(size.plan.for_training(), seed=0).train(), make_loss(stage.recipe)
    items = [PatchDataset(run.cases, run.prepared, stage, size, 0)[n] for n in range(size.batch_size)]
    batch = {key: torch.stack([item[key] for item in items]) for key in items[0]}
    times = []
    for _ in range(steps):
        begun = time.process_time()
        network.zero_grad(set_to_none=True)
        loss(network(batch["channels"]), batch["target"], batch.get("region")).backward()
        times.append(time.process_time() - begun)
    return statistics.median(times[FIRST:])


def target_seconds(folder: Path) -> list[list[str]]:
    """For a scan of LAScarQS's size: computing two targets, and reading a patch of what was kept."""
    shape, spacing = (44, 320, 320), (2.5, 0.625, 0.625)
    k, j, i = np.indices(shape)
    cavity = ((k - 22) / 12) ** 2 + ((j - 160) / 48) ** 2 + ((i - 160) / 48) ** 2 < 1
    masks = {"cavity": cavity, "scar": cavity & (i > 200)}
    rows = []
    for target in (Target("distance", signed_distance_outside, (50.0,)), Target("nearness", distance_probabilities, (0.0, 0.0))):
        times = []
        for _ in range(2):
            begun = time.perf_counter()
            digest = keep_target(folder, target, masks, spacing)
            times.append(time.perf_counter() - begun)
        begun = time.perf_counter()
        np.ascontiguousarray(np.load(folder / f"{digest}.npy", mmap_mode="r")[:, 10:34, 60:252, 60:252])
        rows.append([target.name, f"{times[0]:.3f}", f"{times[1]:.3f}", f"{time.perf_counter() - begun:.4f}"])
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40)
    steps = parser.parse_args().steps
    torch.set_num_threads(1)
    rows, bars = [], []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cases = write_lascarqs_cohort(folder / "cases", 2, seed=5, settings=PhantomSettings(size=(96, 88, 36), spacing=(1.5, 1.5, 3.0)))
        for stage in ("cavity", "scar"):
            run = prepared(folder, cases, stage, steps)
            bare, whole = bare_seconds(run, steps), training_seconds(run, workers=1)
            rows.append([stage, f"{1e3 * bare:.0f}", f"{1e3 * whole:.0f}", f"{whole / bare:.2f}"])
            bars.append(Bar(f"a training step of the {stage}, ÷ forward and backward", whole / bare, BAR_TIMES, "×"))
        print_table(["", "forward and backward, ms", "training step, ms", "÷"], rows)
        print_table(["target of a scan of 44×320×320", "computed, s", "found again, s", "a patch of it, s"], target_seconds(folder / "targets"))
    return judge(bars)


if __name__ == "__main__":
    sys.exit(main())

"""What augmenting a patch takes by the processor's transforms, and by those of a device when the processor is that device.

Preset `small` of two_stage_sdm's cavity on simulated scans, one thread, processor time, so that what else the machine does tells little.
Nothing here says how fast a graphics card is.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from common.timing import Bar, judge, print_table

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort
from LAScarSegLib.phantom import PhantomSettings
from LAScarSegLib.systems import find_system
from LAScarSegLib.training.device_augmentation import DRAWN, DeviceAugmentation, collate
from LAScarSegLib.training.patches import PatchDataset
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.training.train import start_run

BAR_TIMES = 1.2
SYSTEM, STAGE, PRESET = "two_stage_sdm", "cavity", "small"


def seconds(dataset: PatchDataset, numbers: range, augment: DeviceAugmentation | None, batch: int) -> tuple[float, float]:
    """Processor seconds a patch for what the cutting processes do, and for what the device does."""
    begun = time.process_time()
    items = [dataset[number] for number in numbers]
    cut = time.process_time()
    for first in range(0, len(items) if augment else 0, batch):
        arrays = collate(items[first : first + batch])
        drawn = arrays.pop(DRAWN)
        augment(arrays, drawn)
    return (cut - begun) / len(items), (time.process_time() - cut) / len(items)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--patches", type=int, default=60)
    count = parser.parse_args().patches
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        cohort = write_lascarqs_cohort(Path(scratch) / "cohort", 2, seed=3, settings=PhantomSettings(size=(128, 112, 40), spacing=(1.25, 1.25, 2.5)))
        stage = find_system(SYSTEM).stage(STAGE)
        size = stage.preset(PRESET)
        run = start_run(TrainingSettings(SYSTEM, STAGE, str(cohort), size, folds=2), Path(scratch) / "run")
        here, there = (PatchDataset(run.cases, run.prepared, stage, size, 0, on_device=device) for device in (False, True))
        augment = DeviceAugmentation(stage, there.transforms, there.patch)
        for dataset, device in ((here, None), (there, augment)):
            seconds(dataset, range(4), device, size.batch_size)
        processor, _ = seconds(here, range(count), None, size.batch_size)
        cut, device = seconds(there, range(count), augment, size.batch_size)
    print_table(
        ("a patch of `small`", "ms"),
        [["processor's transforms, cutting included", f"{1e3 * processor:.1f}"], ["cut and drawn for a device", f"{1e3 * cut:.1f}"],
         ["augmented by the device, here the processor", f"{1e3 * device:.1f}"]],
    )  # fmt: skip
    return judge([Bar("device's transforms, ÷ the processor's", (cut + device) / processor, BAR_TIMES, "×")])


if __name__ == "__main__":
    sys.exit(main())

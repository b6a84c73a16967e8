"""Small data sets to train on, whose right answers are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from LAScarSegLib.networks import NetworkPlan
from LAScarSegLib.systems import SYSTEMS, Preset
from LAScarSegLib.training.settings import TrainingSettings
from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

SPACING = (2.0, 2.0, 4.0)
SIZE = (24, 20, 12)
CUBE = ((1, 1, 1), (2, 2, 2), (2, 2, 2))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small are faster on one core, much so where others work too. For the modules that import it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def scan(seed: int) -> Volume:
    """Noise with a bright box in it."""
    array = np.random.default_rng(seed).normal(100.0, 10.0, SIZE[::-1]).astype(np.float32)
    array[4:8, 6:14, 8:16] += 100.0
    return Volume(array, Geometry(SIZE, SPACING))


def box_mask(start: int = 4, stop: int = 8) -> Volume:
    """The bright box, or some of its slices."""
    mask = np.zeros(SIZE[::-1], dtype=np.uint8)
    mask[start:stop, 6:14, 8:16] = 1
    return Volume(mask, Geometry(SIZE, SPACING))


def write_case(folder: Path, seed: int, labels: Iterable[str] = ("atriumSegImgMO",)) -> Path:
    """One case as LAScarQS lays it out; the scar is one slice of the box."""
    folder.mkdir(parents=True)
    write_volume(scan(seed), folder / "enhanced.nii.gz")
    for name in labels:
        write_volume(box_mask(7, 8) if name == "scarSegImgM" else box_mask(), folder / f"{name}.nii.gz")
    return folder


def write_cases(root: Path, count: int, **options) -> Path:
    """`count` cases `train_1` … of task 1."""
    for n in range(1, count + 1):
        write_case(root / "task1" / "train_data" / f"train_{n}", n, **options)
    return root


def tiny_settings(
    data: Path, stage: str = "cavity", epochs: int = 3, steps_per_epoch: int = 12, system: str = "two_stage_sdm", **changes
) -> TrainingSettings:
    """A network of some thousand weights on patches of 80 mm at 2.5 mm."""
    channels = len(SYSTEMS[system].stage(stage).channels)
    plan = NetworkPlan(channels, 2, (6, 12, 16), CUBE, ((3, 3, 3),) * 3)
    size = Preset(plan, (2.5, 2.5, 2.5), (32, 32, 32), 2, epochs)
    values = {"system": system, "stage": stage, "data": str(data), "size": size, "steps_per_epoch": steps_per_epoch, "folds": 4,
              "anatomy": "truth"}  # fmt: skip
    return TrainingSettings(**(values | changes))

"""Patches of the prepared cases: sample n of a training is the same, whoever draws it and wherever the training was resumed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch.utils import data as torch_data

from ..errors import ProcessingError
from ..networks.architectures import in_scan
from ..systems import Preset, Sampler, Stage
from .augmentation import LABELS, transforms_of
from .device_augmentation import CUT, DRAWN, TARGETS, draw
from .preparation import PreparedCase
from .samples import SampleLayout

LARGEST_SEED = 2**32 - 1
Arrays = tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]


@dataclass(frozen=True)
class Window:
    """A block of `shape` voxels (k, j, i) that starts at `start`, which may lie outside the scan."""

    start: tuple[int, int, int]
    shape: tuple[int, int, int]

    def cut(self, array: np.ndarray, padding: Sequence[float], dtype: type) -> np.ndarray:
        """The block of `array` (C, k, j, i) as `dtype`; beyond the scan channel c is `padding[c]`."""
        out = np.empty((array.shape[0], *self.shape), dtype=dtype)
        out[:] = np.asarray(padding, dtype=dtype).reshape(-1, 1, 1, 1)
        spans = [(max(0, s), min(n, s + w)) for s, w, n in zip(self.start, self.shape, array.shape[1:])]
        if all(a < b for a, b in spans):
            inside = tuple(slice(a - s, b - s) for (a, b), s in zip(spans, self.start))
            out[(slice(None), *inside)] = array[(slice(None), *(slice(a, b) for a, b in spans))]
        return out


def place_patch(shape: Sequence[int], patch: Sequence[int], points: np.ndarray | None, random: np.random.Generator) -> tuple[int, int, int]:
    """Where a patch starts: around one of `points` (N, 3), or anywhere when it is None; within the scan where it fits.

    A scan smaller than the patch lies somewhere inside it (nnU-Net's get_bbox, which lets it lie in the middle).
    """
    start = []
    point = None if points is None else points[random.integers(len(points))]
    for axis, (n, size) in enumerate(zip(shape, patch)):
        low, high = min(0, n - size), max(0, n - size)
        start.append(int(random.integers(low, high + 1)) if point is None else int(np.clip(point[axis] - size // 2, low, high)))
    return tuple(start)


class PatchDataset(torch_data.Dataset):
    """Augmented training patches; item n depends on `seed` and n alone.

    An item is a dictionary: `channels` (C, k, j, i) float32, `target` (P, k, j, i) float32 of 0 and 1, the masks that the stage produces,
    where the stage has one `region` (1, k, j, i), and each target of its losses (n, k, j, i) by its name.

    Parameters
    ----------
    cases, folder
        prepared cases and where their arrays are.
    sampler
        of a phase that has its own; None: the stage's.
    learned
        what the stage's `learn` found in the training cases.
    on_device
        items are what `device_augmentation.DeviceAugmentation` makes such items of, on the device: arrays with room around the patch, and
        what was drawn for it.
    """

    def __init__(
        self, cases: Sequence[PreparedCase], folder: Path, stage: Stage, size: Preset, seed: int, sampler: Sampler | None = None,
        learned: Mapping[str, Any] = MappingProxyType({}), on_device: bool = False,
    ) -> None:  # fmt: skip
        self.learned, self.on_device = dict(learned), on_device
        self.cases, self.folder, self.stage, self.size, self.seed = tuple(cases), Path(folder), stage, size, seed
        self.sampler, self.patch = sampler or stage.sampler, in_scan(size.patch_kji)
        self.room, self.transforms = transforms_of(self.sampler.augmentation, self.patch, size.mirror, size.strong_augmentation)
        self.layout = SampleLayout(stage)

    def __len__(self) -> int:
        # Whoever draws says which (`SampleStream`); there are as many as the numbers of a seed.
        return LARGEST_SEED

    def __getitem__(self, number: int) -> dict[str, Any]:
        if self.on_device:
            return self._cut(number)
        (channels, labels, targets), random = self._arrays(number, np.float32, np.float32)
        sample = self.layout.to_augment(channels, labels, targets)
        self.transforms.set_random_state(seed=int(random.integers(LARGEST_SEED)))
        augmented = {key: torch.as_tensor(value) for key, value in self.transforms(sample).items()}
        return self.layout.item(augmented, self.learned)

    def _cut(self, number: int) -> dict[str, Any]:
        """What the device makes item `number` of, in the types that it is kept in: half or less of what there is to move."""
        (channels, labels, targets), random = self._arrays(number, np.float16, np.uint8)
        drawn = draw(self.transforms, int(random.integers(LARGEST_SEED)))
        return {CUT: channels, LABELS: labels, DRAWN: drawn} | ({} if targets is None else {TARGETS: targets})

    def _arrays(self, number: int, values: type, masks: type) -> tuple[Arrays, np.random.Generator]:
        """Channels, labels and targets of the room around patch `number`, and the generator that has drawn where it lies."""
        random = np.random.default_rng([self.seed, number])
        case = self.cases[random.integers(len(self.cases))]
        channels = case.channels(self.folder)
        start = self._start(case, channels.shape[1:], number, random)
        window = Window(tuple(s - (room - n) // 2 for s, room, n in zip(start, self.room, self.patch)), self.room)
        labels = case.labels(self.folder)
        cut = torch.from_numpy(window.cut(channels, self.stage.padding, values))
        masked = torch.from_numpy(window.cut(labels, (0,) * len(labels), masks))
        targets = [window.cut(case.target(self.folder, each.name), each.padding, values) for each in self.stage.targets]
        return (cut, masked, torch.from_numpy(np.concatenate(targets)) if targets else None), random

    def _start(self, case: PreparedCase, shape: Sequence[int], number: int, random: np.random.Generator) -> tuple[int, int, int]:
        """Where the patch starts, as the sampler says."""
        sampler = self.sampler
        if sampler.kind == "boundary":
            points = case.boundary(self.folder)
            if not len(points):
                raise ProcessingError(f"{case.name}: the cavity has no outline to draw patches along. Leave the case out (--exclude).")
            point = points[random.integers(len(points))]
            return tuple(int(p - n // 2) for p, n in zip(point, self.patch))
        points = None
        if sampler.wants_foreground(number, self.size.batch_size):
            last = self.stage.produces[-1]
            points = case.foreground(self.folder, "" if sampler.foreground in ("", last) else sampler.foreground)
            # An atrium without scar.
            points = points if len(points) else None
        start = place_patch(shape, self.patch, points, random)
        if sampler.kind == "slices":
            return (start[0], *((n - size) // 2 for n, size in zip(shape[1:], self.patch[1:])))
        return start


class SampleStream(torch_data.Sampler):
    """The numbers of the samples of one epoch for one of several processes, from any step on.

    Parameters
    ----------
    step, rank, processes
        asked when an epoch begins: optimiser steps that are done, which process this is and of how many.
    """

    def __init__(
        self,
        batch: int,
        steps_per_epoch: int,
        step: Callable[[], int],
        rank: Callable[[], int] = lambda: 0,
        processes: Callable[[], int] = lambda: 1,
    ) -> None:
        self.batch, self.steps_per_epoch, self.step, self.rank, self.processes = batch, steps_per_epoch, step, rank, processes

    def __len__(self) -> int:
        return self.batch * self.steps_per_epoch

    def __iter__(self) -> Iterator[int]:
        first, rank, processes = self.step(), self.rank(), self.processes()
        for step in range(first, (first // self.steps_per_epoch + 1) * self.steps_per_epoch):
            begin = (step * processes + rank) * self.batch
            yield from range(begin, begin + self.batch)

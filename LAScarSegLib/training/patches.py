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
from .augmentation import LABELS, MAPS, SCAN, transforms_of
from .preparation import PreparedCase

LARGEST_SEED = 2**32 - 1


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
    """

    def __init__(
        self, cases: Sequence[PreparedCase], folder: Path, stage: Stage, size: Preset, seed: int, sampler: Sampler | None = None,
        learned: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self.learned = dict(learned)
        self.cases, self.folder, self.stage, self.size, self.seed = tuple(cases), Path(folder), stage, size, seed
        self.sampler, self.patch = sampler or stage.sampler, in_scan(size.patch_kji)
        self.room, self.transforms = transforms_of(self.sampler.augmentation, self.patch, size.mirror, size.strong_augmentation)
        self.padding = torch.tensor(stage.padding, dtype=torch.float32).reshape(-1, 1, 1, 1)
        beyond = [value for target in stage.targets for value in target.padding]
        self.beyond = torch.tensor(beyond, dtype=torch.float32).reshape(-1, 1, 1, 1)
        self.scans = [n for n, channel in enumerate(stage.channels) if channel.augment_intensity]
        self.maps = [n for n, channel in enumerate(stage.channels) if not channel.augment_intensity]

    def __len__(self) -> int:
        # Whoever draws says which (`SampleStream`); there are as many as the numbers of a seed.
        return LARGEST_SEED

    def __getitem__(self, number: int) -> dict[str, torch.Tensor]:
        random = np.random.default_rng([self.seed, number])
        case = self.cases[random.integers(len(self.cases))]
        channels = case.channels(self.folder)
        start = self._start(case, channels.shape[1:], number, random)
        window = Window(tuple(s - (room - n) // 2 for s, room, n in zip(start, self.room, self.patch)), self.room)
        labels = case.labels(self.folder)
        cut = torch.from_numpy(window.cut(channels, self.stage.padding, np.float32))
        sample = {SCAN: cut[self.scans], LABELS: torch.from_numpy(window.cut(labels, (0,) * len(labels), np.float32))}
        moved = [cut[self.maps] - self.padding[self.maps]] if self.maps else []
        if self.stage.targets:
            cuts = [window.cut(case.target(self.folder, each.name), each.padding, np.float32) for each in self.stage.targets]
            moved.append(torch.from_numpy(np.concatenate(cuts)) - self.beyond)
        if moved:
            # Empty corners of a rotated patch become 0: a map is shifted so that 0 is its padding, and back.
            sample[MAPS] = torch.cat(moved)
        return self._augmented(sample, random)

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

    def _augmented(self, sample: dict[str, torch.Tensor], random: np.random.Generator) -> dict[str, torch.Tensor]:
        self.transforms.set_random_state(seed=int(random.integers(LARGEST_SEED)))
        sample = {key: torch.as_tensor(value) for key, value in self.transforms(sample).items()}
        channels = torch.empty((len(self.stage.channels), *self.patch))
        channels[self.scans] = sample[SCAN].float()
        if self.maps:
            channels[self.maps] = sample[MAPS][: len(self.maps)].float() + self.padding[self.maps]
        if self.stage.patch_inputs is not None:
            channels = torch.from_numpy(np.asarray(self.stage.patch_inputs(channels.numpy(), self.learned), dtype=np.float32))
        row = self.stage.region_row
        item = {"channels": channels, "target": sample[LABELS][:row].float()}
        if self.stage.region is not None:
            item["region"] = sample[LABELS][row : row + 1].float()
        if self.stage.targets:
            targets, first = sample[MAPS][len(self.maps) :].float() + self.beyond, 0
            for target in self.stage.targets:
                item[target.name] = targets[first : first + len(target.padding)]
                first += len(target.padding)
        return item


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

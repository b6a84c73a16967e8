"""What one sample of a training is made of, between the arrays that are cut out of a prepared case and what the network and its loss get.

The same for one sample and for a batch: channels are the fourth axis from the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..systems import Stage
from .augmentation import LABELS, MAPS, SCAN

CHANNELS = -4


class SampleLayout:
    """Which channels of a stage are scans, whose intensities are augmented, which are maps, and what lies beyond a scan in each."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.padding = torch.tensor(stage.padding, dtype=torch.float32).reshape(-1, 1, 1, 1)
        beyond = [value for target in stage.targets for value in target.padding]
        self.beyond = torch.tensor(beyond, dtype=torch.float32).reshape(-1, 1, 1, 1)
        self.scans = [n for n, channel in enumerate(stage.channels) if channel.augment_intensity]
        self.maps = [n for n, channel in enumerate(stage.channels) if not channel.augment_intensity]

    def to_augment(self, channels: torch.Tensor, labels: torch.Tensor, targets: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """What the transforms take, float32, from what was cut: (C, k, j, i), (P, k, j, i), and targets (n, k, j, i) if there are any."""
        device = channels.device
        sample = {SCAN: _of(channels, self.scans), LABELS: labels}
        moved = [_of(channels, self.maps) - self.padding[self.maps].to(device)] if self.maps else []
        if targets is not None:
            moved.append(targets - self.beyond.to(device))
        if moved:
            # Empty corners of a rotated patch become 0: a map is shifted so that 0 is its padding, and back.
            sample[MAPS] = torch.cat(moved, dim=CHANNELS)
        return sample

    def item(self, sample: Mapping[str, torch.Tensor], learned: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """What the network and its loss get, from an augmented sample: see `patches.PatchDataset`."""
        scan, labels, device = sample[SCAN].float(), sample[LABELS], sample[SCAN].device
        channels = scan.new_empty((*scan.shape[:CHANNELS], len(self.stage.channels), *scan.shape[CHANNELS + 1 :]))
        channels.movedim(CHANNELS, 0)[self.scans] = scan.movedim(CHANNELS, 0)
        if self.maps:
            maps = sample[MAPS].narrow(CHANNELS, 0, len(self.maps)).float() + self.padding[self.maps].to(device)
            channels.movedim(CHANNELS, 0)[self.maps] = maps.movedim(CHANNELS, 0)
        if self.stage.patch_inputs is not None:
            channels = torch.from_numpy(np.asarray(self.stage.patch_inputs(channels.numpy(), learned), dtype=np.float32))
        row = self.stage.region_row
        item = {"channels": channels, "target": labels.narrow(CHANNELS, 0, row).float()}
        if self.stage.region is not None:
            item["region"] = labels.narrow(CHANNELS, row, 1).float()
        if self.stage.targets:
            item |= self._targets(sample[MAPS].narrow(CHANNELS, len(self.maps), len(self.beyond)).float() + self.beyond.to(device))
        return item

    def _targets(self, together: torch.Tensor) -> dict[str, torch.Tensor]:
        parts = together.split([len(target.padding) for target in self.stage.targets], dim=CHANNELS)
        return {target.name: part for target, part in zip(self.stage.targets, parts)}


def _of(channels: torch.Tensor, numbers: Sequence[int]) -> torch.Tensor:
    """The channels of these numbers; a view where they are all of them."""
    if len(numbers) == channels.shape[CHANNELS]:
        return channels
    return torch.stack([channels.select(CHANNELS, n) for n in numbers], dim=CHANNELS)

"""The same augmentation as on the processor, for a batch on the device that the network is on.

What is drawn is described in one place, `augmentation.training_transforms`: here the same transforms draw, with the same seeds, and
only what they would do to a patch is done otherwise: to all patches of the batch that it was drawn for at once, in torch. Sample n
of a training is so the same, wherever it is augmented, up to rounding, and up to the values of the noise that is added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from monai.networks.layers import gaussian_1d
from monai.transforms import (
    Compose, RandAdjustContrastd, RandFlipd, RandGaussianNoised, RandGaussianSmoothd, RandScaleIntensityd, RandScaleIntensityFixedMeand,
    RandSimulateLowResolutiond, create_rotate, create_scale,
)  # fmt: skip
from torch.nn import functional

from ..systems import Sampler, Stage
from .augmentation import (
    DARK_BLOOD_WIDTH, LABELS, MAPS, SCAN, ElasticDeformation, RandomAffine, RandomBiasField, RandomContrast, RandomDarkBlood,
)  # fmt: skip
from .samples import SampleLayout

CUT, TARGETS, DRAWN = "cut", "targets", "drawn"
"""Of what is moved to the device: channels and targets with the room around the patch, and what was drawn, which stays."""
LARGEST_SEED = 2**32 - 1
PATCH = (1, 2, 3, 4)
"""Axes of one sample in a batch (B, C, k, j, i)."""

Values = Mapping[str, Any]
Drawn = tuple[Values | None, ...]
"""For each of the transforms what it has drawn for a sample; None: it leaves the sample as it is."""


def can_augment(stage: Stage, sampler: Sampler) -> bool:
    """Whether the device can do a stage's augmentation: nnU-Net's, with ours; channels that NumPy makes of a patch come after it."""
    return sampler.augmentation == "nnunet" and stage.patch_inputs is None


def draw(transforms: Compose, seed: int) -> Drawn:
    """What `transforms` draw for the sample of this seed, without a patch."""
    transforms.set_random_state(seed=seed)
    return tuple(_DRAW[type(step)](step) for step in transforms.transforms)


def collate(items: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A batch of what `PatchDataset.cut` gives: arrays on top of each other, what was drawn side by side."""
    return {key: [item[key] for item in items] if key == DRAWN else torch.stack([item[key] for item in items]) for key in items[0]}


class DeviceAugmentation:
    """Makes a batch of `PatchDataset` from a batch of `collate`, on the device where its arrays lie.

    Parameters
    ----------
    transforms
        the transforms that drew.
    patch
        (k, j, i) of what comes out.
    """

    def __init__(self, stage: Stage, transforms: Compose, patch: Sequence[int]) -> None:
        self.layout, self.transforms, self.patch = SampleLayout(stage), transforms, tuple(patch)

    @torch.no_grad()
    def __call__(self, batch: Mapping[str, torch.Tensor], drawn: Sequence[Drawn]) -> dict[str, torch.Tensor]:
        """`batch` holds `cut` (B, C, k, j, i) float16, `labels` (B, P, k, j, i) uint8 and maybe `targets` (B, n, k, j, i) float16."""
        targets = batch[TARGETS].float() if TARGETS in batch else None
        sample = self.layout.to_augment(batch[CUT].float(), batch[LABELS].float(), targets)
        for step, transform in enumerate(self.transforms.transforms):
            rows = [row for row, values in enumerate(drawn) if values[step] is not None]
            values = [drawn[row][step] for row in rows]
            if isinstance(transform, RandomAffine):
                sample = _placed(sample, rows, values, self.patch)
            elif rows:
                _DO[type(transform)](sample, rows, values, transform)
        return self.layout.item(sample, {})


# --- what is drawn ------------------------------------------------------------------------------------------------------------------------


def _draw_affine(step: RandomAffine) -> Values | None:
    step.randomize()
    if not any(step.angles) and step.scales == (1.0, 1.0, 1.0):
        return None
    turn, scale = create_rotate(3, step.angles), create_scale(3, step.scales)
    return {"matrix": (np.asarray(turn) @ np.asarray(scale))[:3, :3].astype(np.float32)}


def _draw_bend(step: ElasticDeformation) -> Values | None:
    step.randomize()
    return None if step.displacements is None else {"stretch": step.stretch.astype(np.float32), "displacements": step.displacements}


def _draw_contrast(step: RandomContrast) -> Values | None:
    step.randomize()
    return {"kernels": tuple(step.kernels), "shifts": tuple(step.shifts), "share": step.share} if step.kernels else None


def _draw_dark_blood(step: RandomDarkBlood) -> Values | None:
    step.randomize()
    return {"depth": step.depth} if step.depth else None


def _draw_shading(step: RandomBiasField) -> Values | None:
    step.randomize()
    return None if step.log_gain is None else {"log_gain": step.log_gain}


def _draw_noise(step: RandGaussianNoised) -> Values | None:
    # MONAI draws the noise itself at once, a number for each voxel, which the device shall do.
    step.randomize(None)
    if not step._do_transform:
        return None
    inner = step.rand_gaussian_noise
    # Whether at all, which it asks again.
    inner.R.rand()
    sd = inner.R.uniform(0, inner.std) if inner.sample_std else inner.std
    return {"sd": float(sd), "seed": int(inner.R.randint(LARGEST_SEED, dtype="uint32"))}


def _draw_blur(step: RandGaussianSmoothd) -> Values | None:
    return {"sigmas": (step.rand_smooth.x, step.rand_smooth.y, step.rand_smooth.z)} if _happens(step, step.rand_smooth) else None


def _draw_scale(step: RandScaleIntensityd | RandScaleIntensityFixedMeand) -> Values | None:
    return {"factor": 1.0 + float(step.scaler.factor)} if _happens(step, step.scaler) else None


def _draw_low_resolution(step: RandSimulateLowResolutiond) -> Values | None:
    return {"zoom": float(step.sim_lowres_tfm.zoom_factor)} if _happens(step, step.sim_lowres_tfm) else None


def _draw_gamma(step: RandAdjustContrastd) -> Values | None:
    return {"gamma": float(step.adjuster.gamma_value)} if _happens(step, step.adjuster) else None


def _draw_flip(step: RandFlipd) -> Values | None:
    step.randomize(None)
    return {} if step._do_transform else None


def _happens(step: Any, inner: Any) -> bool:
    """Let one of MONAI's transforms of dictionaries draw, and the one of arrays in it if the first says that it shall."""
    step.randomize(None)
    if step._do_transform:
        inner.randomize(None)
    return bool(step._do_transform)


# --- what is done -------------------------------------------------------------------------------------------------------------------------

Sample = dict[str, torch.Tensor]


def _placed(sample: Sample, rows: Sequence[int], values: Sequence[Values], patch: tuple[int, ...]) -> Sample:
    """The patches in the middle of the rooms that were cut, those of `rows` turned and scaled."""
    placed = {}
    for key, rooms in sample.items():
        size = rooms.shape[2:]
        middle = tuple(slice(n // 2 - p // 2, n // 2 - p // 2 + p) for n, p in zip(size, patch))
        placed[key] = rooms[(..., *middle)].clone(memory_format=torch.contiguous_format)
        if rows:
            # torch's coordinates are (x, y, z) and 2 wide on either grid.
            voxels = torch.tensor(patch) / torch.tensor(size)[:, None]
            matrix = _stacked(values, "matrix", rooms) * voxels.to(rooms.device)
            theta = torch.cat([matrix.flip(1, 2), matrix.new_zeros(len(rows), 3, 1)], dim=2)
            grid = functional.affine_grid(theta, [len(rows), 1, *patch], align_corners=False)
            _put(placed[key], rows, functional.grid_sample(_taken(rooms, rows), grid, mode=_mode(key), align_corners=False))
    return placed


def _bend(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: ElasticDeformation) -> None:
    like = sample[SCAN]
    theta = torch.cat([torch.diag_embed(_stacked(values, "stretch", like)), like.new_zeros(len(rows), 3, 1)], dim=2)
    shift = _between_knots(_stacked(values, "displacements", like), like.shape[2:])
    grid = functional.affine_grid(theta, [len(rows), 1, *like.shape[2:]], align_corners=True) + shift.permute(0, 2, 3, 4, 1)
    for key in (SCAN, MAPS, LABELS):
        if key in sample:
            _put(sample[key], rows, functional.grid_sample(_taken(sample[key], rows), grid, mode=_mode(key), align_corners=True))


def _other_contrast(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandomContrast) -> None:
    # Kernels of one row are of another size than the next one's.
    for row, drawn in zip(rows, values):
        own = RandomContrast((SCAN,))
        own.kernels, own.shifts = ([value.to(sample[SCAN].device) for value in drawn[key]] for key in ("kernels", "shifts"))
        own.share = drawn["share"]
        sample[SCAN][row] = own.changed({SCAN: sample[SCAN][row]}, SCAN)


def _darken(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandomDarkBlood) -> None:
    scan, cavity = _taken(sample[SCAN], rows), (_taken(sample[LABELS], rows)[:, :1] > 0).expand(-1, sample[SCAN].shape[1], -1, -1, -1)
    voxels = cavity.sum(PATCH, keepdim=True)
    blood, sd = (scan * cavity).sum(PATCH, keepdim=True) / voxels.clamp(min=1), scan.std(PATCH, keepdim=True)
    near = torch.exp(-0.5 * ((scan - blood) / (DARK_BLOOD_WIDTH * sd + 1e-8)) ** 2)
    _put(sample[SCAN], rows, torch.where(voxels > 0, _as_spread(scan - _numbers(values, "depth", scan) * sd * near, scan), scan))


def _shade(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandomBiasField) -> None:
    scan = _taken(sample[SCAN], rows)
    gain = _between_knots(_stacked(values, "log_gain", scan), scan.shape[2:]).exp()
    _put(sample[SCAN], rows, _as_spread((scan - scan.amin(PATCH, keepdim=True)) * gain, scan))


def _add_noise(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandGaussianNoised) -> None:
    scan = sample[SCAN]
    for row, drawn in zip(rows, values):
        # Of its own seed: the same for a sample, whatever it is batched with.
        generator = torch.Generator(scan.device).manual_seed(drawn["seed"])
        scan[row] += torch.randn(scan.shape[1:], generator=generator, device=scan.device) * drawn["sd"]


def _blur(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandGaussianSmoothd) -> None:
    scan = sample[SCAN]
    for row, drawn in zip(rows, values):
        blurred = scan[row][:, None]
        for axis, sigma in enumerate(drawn["sigmas"]):
            kernel = gaussian_1d(torch.tensor(float(sigma)), approx=step.rand_smooth.approx).to(scan.device)
            shape, tail = [1, 1, 1], [0, 0, 0]
            shape[axis], tail[axis] = -1, len(kernel) // 2
            blurred = functional.conv3d(blurred, kernel.reshape(1, 1, *shape), padding=tail)
        scan[row] = blurred[:, 0]


def _brighten(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandScaleIntensityd) -> None:
    scan = _taken(sample[SCAN], rows)
    _put(sample[SCAN], rows, scan * _numbers(values, "factor", scan))


def _stretch_contrast(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandScaleIntensityFixedMeand) -> None:
    scan = _taken(sample[SCAN], rows)
    mean = scan.mean(PATCH, keepdim=True)
    stretched = (scan - mean) * _numbers(values, "factor", scan) + mean
    if step.preserve_range:
        stretched = stretched.clamp(scan.amin(PATCH, keepdim=True), scan.amax(PATCH, keepdim=True))
    _put(sample[SCAN], rows, stretched)


def _coarsen(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandSimulateLowResolutiond) -> None:
    scan, size = sample[SCAN], sample[SCAN].shape[2:]
    for row, drawn in zip(rows, values):
        fewer = [max(1, int(np.round(n * drawn["zoom"]))) for n in size]
        coarse = functional.interpolate(scan[row][None], fewer, mode=str(step.downsample_mode))
        scan[row] = functional.interpolate(coarse, size, mode=str(step.upsample_mode), align_corners=step.align_corners)[0]


def _adjust_gamma(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandAdjustContrastd) -> None:
    sign = -1.0 if step.adjuster.invert_image else 1.0
    scan = _taken(sample[SCAN], rows) * sign
    low = scan.amin(PATCH, keepdim=True)
    extent = scan.amax(PATCH, keepdim=True) - low
    bent = ((scan - low) / (extent + 1e-7)) ** _numbers(values, "gamma", scan) * extent + low
    _put(sample[SCAN], rows, sign * (_as_spread(bent, scan) if step.adjuster.retain_stats else bent))


def _mirror(sample: Sample, rows: Sequence[int], values: Sequence[Values], step: RandFlipd) -> None:
    axis = 1 + step.flipper.spatial_axis
    for array in sample.values():
        for row in rows:
            array[row] = array[row].flip(axis)


def _taken(batch: torch.Tensor, rows: Sequence[int]) -> torch.Tensor:
    """These rows; of all of them no copy."""
    return batch if len(rows) == len(batch) else torch.stack([batch[row] for row in rows])


def _put(batch: torch.Tensor, rows: Sequence[int], changed: torch.Tensor) -> None:
    for row, patch in zip(rows, changed):
        batch[row] = patch


def _stacked(values: Sequence[Values], key: str, like: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn[key] for drawn in values])).to(like.device, non_blocking=True)


def _numbers(values: Sequence[Values], key: str, like: torch.Tensor) -> torch.Tensor:
    """One number for each row, to be multiplied with its patch."""
    return torch.tensor([drawn[key] for drawn in values], dtype=torch.float32).to(like.device, non_blocking=True).reshape(-1, 1, 1, 1, 1)


def _mode(key: str) -> str:
    return "nearest" if key == LABELS else "bilinear"


def _between_knots(values: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    return functional.interpolate(values, list(shape), mode="trilinear", align_corners=True)


def _as_spread(changed: torch.Tensor, scan: torch.Tensor) -> torch.Tensor:
    """`changed` with each sample's mean and standard deviation in `scan`."""
    centred = changed - changed.mean(PATCH, keepdim=True)
    return centred / (changed.std(PATCH, keepdim=True) + 1e-8) * scan.std(PATCH, keepdim=True) + scan.mean(PATCH, keepdim=True)


_DRAW: Mapping[type, Callable[[Any], Values | None]] = {
    RandomAffine: _draw_affine, ElasticDeformation: _draw_bend, RandomContrast: _draw_contrast, RandomDarkBlood: _draw_dark_blood,
    RandomBiasField: _draw_shading, RandGaussianNoised: _draw_noise, RandGaussianSmoothd: _draw_blur, RandScaleIntensityd: _draw_scale,
    RandScaleIntensityFixedMeand: _draw_scale, RandSimulateLowResolutiond: _draw_low_resolution, RandAdjustContrastd: _draw_gamma,
    RandFlipd: _draw_flip,
}  # fmt: skip
_DO: Mapping[type, Callable[[Sample, Sequence[int], Sequence[Values], Any], None]] = {
    ElasticDeformation: _bend, RandomContrast: _other_contrast, RandomDarkBlood: _darken, RandomBiasField: _shade,
    RandGaussianNoised: _add_noise, RandGaussianSmoothd: _blur, RandScaleIntensityd: _brighten,
    RandScaleIntensityFixedMeand: _stretch_contrast, RandSimulateLowResolutiond: _coarsen, RandAdjustContrastd: _adjust_gamma,
    RandFlipd: _mirror,
}  # fmt: skip

"""nnU-Net's augmentation (Isensee et al. 2021; nnU-Net v2's nnUNetTrainer.get_training_transforms) through MONAI.

A sample is a dictionary of tensors (channels, k, j, i): `scan` (intensities), `maps` (distances; only moved, never changed in
value), `labels` (target and region: moved with nearest neighbour). Docs/training.md lists what differs from nnU-Net.
"""

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import torch
from monai.transforms import (
    Affine, CenterSpatialCrop, Compose, MapTransform, RandAdjustContrastd, RandFlipd, RandGaussianNoised, RandGaussianSmoothd,
    Randomizable, RandScaleIntensityd, RandScaleIntensityFixedMeand, RandSimulateLowResolutiond,
)  # fmt: skip
from torch.nn import functional

SCAN, MAPS, LABELS = "scan", "maps", "labels"
ROTATION_SHARE, SCALING_SHARE = 0.2, 0.2
SCALES = (0.7, 1.4)
CUBE_ROTATION, PLANE_ROTATION = np.radians(30.0), np.radians(180.0)
"""About every axis; of thick patches in the plane of the slices only."""
THICK_PATCH = 3.0
"""Patches with a longer side than this many times the shortest are moved within their slices (nnU-Net's ANISO_THRESHOLD)."""
NOISE_SHARE, NOISE_SD = 0.1, 0.1**0.5
"""nnU-Net's noise has a variance of up to 0.1."""
BLUR_SHARE, BLUR_SIGMA = 0.1, (0.5, 1.0)
"""0.2 of the samples, and of them each channel with 0.5: there is one scan channel."""
BRIGHTNESS_SHARE, CONTRAST_SHARE, CHANGE = 0.15, 0.15, (-0.25, 0.25)
LOW_RESOLUTION_SHARE, LOW_RESOLUTION = 0.125, (0.5, 1.0)
"""0.25 of the samples, each channel with 0.5."""
BEND_SHARE, BEND_KNOTS, BEND, STRETCH = 0.5, 5, 0.15, 0.15
"""Largest standard deviation of the displacement of the knots, of which there are 5 along each axis of a patch, in distances between
knots; largest stretching of each axis, as a logarithm."""
SHADING_SHARE, SHADING_LOG_GAIN, SHADING_KNOTS = 0.3, 0.8, 4
"""Largest standard deviation of the gain's logarithm at the field's knots, of which there are 4 along each axis of a patch."""
CONTRAST_NETWORK_SHARE, CONTRAST_NETWORK_SLOPE = 0.3, 0.01
CONTRAST_NETWORK_CHANNELS, CONTRAST_NETWORK_KERNELS = (1, 2, 2, 2, 1), (1, 1, 1, 3)
"""Channels between the layers of the random network, and sizes to draw its kernels from (1 and 3 equally often leave little but noise of
half of the scans)."""
DARK_BLOOD_SHARE, DARK_BLOOD_DEPTH, DARK_BLOOD_WIDTH = 0.4, 2.0, 0.5
"""Largest depth, and width (one standard deviation) of the range of grey levels that is darkened, in SDs of the patch."""
GAMMA, INVERTED_GAMMA_SHARE, GAMMA_SHARE = (0.7, 1.5), 0.1, 0.3
MIRROR_SHARE = 0.5


class Augmentation(Randomizable, MapTransform):
    """Draws once for each sample, then changes the sample's keys by what was drawn."""

    def __init__(self, keys: Sequence[str]) -> None:
        super().__init__(keys, allow_missing_keys=True)

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        self.randomize()
        return dict(data) | {key: self.changed(data, key) for key in self.key_iterator(data)}

    @abstractmethod
    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        """What `sample[key]` becomes."""


class RandomAffine(Augmentation):
    """A rotation with probability 0.2 and a scaling, equal along all axes, with 0.2, in one interpolation; then the middle.

    Parameters
    ----------
    patch
        size (k, j, i) of what comes out.
    """

    def __init__(self, keys: Sequence[str], patch: Sequence[int]) -> None:
        super().__init__(keys)
        self.patch = tuple(patch)
        self.thick = is_thick(patch)
        self.angles, self.scales = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def randomize(self, data: object = None) -> None:
        self.angles, self.scales = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if self.R.random() < ROTATION_SHARE:
            limits = (PLANE_ROTATION, 0.0, 0.0) if self.thick else (CUBE_ROTATION,) * 3
            self.angles = tuple(float(self.R.uniform(-limit, limit)) for limit in limits)
        if self.R.random() < SCALING_SHARE:
            # Smaller and larger equally often, as in batchgenerators.
            scale = float(self.R.uniform(SCALES[0], 1.0) if self.R.random() < 0.5 else self.R.uniform(1.0, SCALES[1]))
            self.scales = (1.0, scale, scale) if self.thick else (scale,) * 3

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        if not any(self.angles) and self.scales == (1.0, 1.0, 1.0):
            return CenterSpatialCrop(self.patch)(sample[key])
        mode = "nearest" if key == LABELS else "bilinear"
        affine = Affine(self.angles, None, None, self.scales, spatial_size=self.patch, mode=mode, padding_mode="zeros", image_only=True)
        return affine(sample[key])


class ElasticDeformation(Augmentation):
    """An atrium of another shape, with probability 0.5: each axis stretched by itself, and a smooth displacement.

    Not nnU-Net's (its first version had elastic deformation): for few scans.
    """

    def randomize(self, data: object = None) -> None:
        bent = self.R.random() < BEND_SHARE
        # In the coordinates of grid_sample: a patch is 2 wide, a distance between knots 2 / (knots − 1).
        largest = 2.0 / (BEND_KNOTS - 1) * BEND
        displacements = self.R.normal(0.0, self.R.uniform(0.0, largest), (3,) + (BEND_KNOTS,) * 3)
        self.stretch = np.exp(self.R.uniform(-STRETCH, STRETCH, 3)) if bent else np.ones(3)
        self.displacements = displacements.astype(np.float32) if bent else None

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        if self.displacements is None:
            return sample[key]
        affine = torch.diag(torch.as_tensor(self.stretch, dtype=torch.float32))
        affine = torch.cat([affine, torch.zeros(3, 1)], dim=1)[None]
        patch = torch.as_tensor(sample[key]).float()[None]
        shift = _between_knots(self.displacements, patch.shape[2:])
        grid = functional.affine_grid(affine, [1, 1, *patch.shape[2:]], align_corners=True) + shift.permute(0, 2, 3, 4, 1)
        return functional.grid_sample(patch, grid, mode="nearest" if key == LABELS else "bilinear", align_corners=True)[0]


class RandomBiasField(Augmentation):
    """The shading of surface coils, which brightens the chest and leaves the atrium dark: a smooth gain, with probability 0.3.

    Not nnU-Net's: for few scans of one scanner. Mean and standard deviation of the patch stay as they were.
    """

    def randomize(self, data: object = None) -> None:
        shaded = self.R.random() < SHADING_SHARE
        knots = self.R.normal(0.0, self.R.uniform(0.0, SHADING_LOG_GAIN), (1,) + (SHADING_KNOTS,) * 3)
        self.log_gain = knots.astype(np.float32) if shaded else None

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        scan = sample[key]
        if self.log_gain is None:
            return scan
        return _as_spread((scan - scan.min()) * _between_knots(self.log_gain, scan.shape[1:])[0].exp(), scan)


class RandomDarkBlood(Augmentation):
    """Blood as dark as muscle, or darker, as late after the contrast agent or at another inversion time: with probability 0.4.

    Grey levels around the cavity's mean are lowered, in every chamber and vessel alike. Not nnU-Net's: for few scans. Mean and
    standard deviation of the patch stay as they were; a patch without cavity stays as it is.
    """

    def __init__(self, keys: Sequence[str], labels: str) -> None:
        super().__init__(keys)
        self.labels = labels

    def randomize(self, data: object = None) -> None:
        darkened = self.R.random() < DARK_BLOOD_SHARE
        self.depth = float(self.R.uniform(0.0, DARK_BLOOD_DEPTH)) if darkened else 0.0

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        scan, cavity = sample[key], sample[self.labels][:1] > 0
        if not self.depth or not cavity.any():
            return scan
        blood = scan[cavity.expand_as(scan)].mean()
        near = torch.exp(-0.5 * ((scan - blood) / (DARK_BLOOD_WIDTH * scan.std() + 1e-8)) ** 2)
        return _as_spread(scan - self.depth * scan.std() * near, scan)


class RandomContrast(Augmentation):
    """A contrast that no scanner gave, the anatomy as it was, with probability 0.3: what is brighter than what becomes uncertain.

    Global intensity non-linear augmentation (Ouyang et al., IEEE TMI 2023, section III-C): the patch goes through four convolutions
    of random weights and size with leaky ReLUs between them, and is mixed with itself in a random share. Not nnU-Net's: for scans of
    few scanners. Mean and standard deviation of the patch stay as they were.
    """

    def randomize(self, data: object = None) -> None:
        self.kernels: list[torch.Tensor] = []
        if self.R.random() >= CONTRAST_NETWORK_SHARE:
            return
        for inner, outer in zip(CONTRAST_NETWORK_CHANNELS, CONTRAST_NETWORK_CHANNELS[1:]):
            size = int(self.R.choice(CONTRAST_NETWORK_KERNELS))
            self.kernels.append(torch.from_numpy(self.R.normal(size=(outer, inner, size, size, size)).astype(np.float32)))
        self.shifts = [torch.from_numpy(self.R.normal(size=len(kernel)).astype(np.float32)) for kernel in self.kernels]
        self.share = float(self.R.random())

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        scan = sample[key]
        if not self.kernels:
            return scan
        other = ((scan - scan.mean()) / (scan.std() + 1e-8))[None]
        for kernel, shift in zip(self.kernels, self.shifts):
            if kernel is not self.kernels[0]:
                other = functional.leaky_relu(other, CONTRAST_NETWORK_SLOPE)
            other = functional.conv3d(other, kernel, shift, padding="same")
        return _as_spread(self.share * _as_spread(other[0], scan) + (1.0 - self.share) * scan, scan)


def _between_knots(values: np.ndarray, shape: Sequence[int]) -> torch.Tensor:
    """Values (C, k, j, i) at knots, which lie on a patch's outermost voxels too, at its `shape` voxels: (1, C, k, j, i)."""
    return functional.interpolate(torch.from_numpy(values)[None], shape, mode="trilinear", align_corners=True)


def _as_spread(changed: torch.Tensor, scan: torch.Tensor) -> torch.Tensor:
    """`changed` with the mean and the standard deviation of `scan`."""
    return (changed - changed.mean()) / (changed.std() + 1e-8) * scan.std() + scan.mean()


def is_thick(patch: Sequence[int]) -> bool:
    """Whether nnU-Net moves a patch of this size within its slices only."""
    return max(patch) / min(patch) > THICK_PATCH


def room_for(patch: Sequence[int]) -> tuple[int, int, int]:
    """The size (k, j, i) to cut out of a scan, so that a rotated and enlarged patch has no empty corners (nnU-Net's get_patch_size)."""
    extents = np.asarray(patch, dtype=float)
    angle = np.pi / 2 if is_thick(patch) else CUBE_ROTATION
    largest = extents.copy()
    for a, b in ((1, 2),) if is_thick(patch) else ((1, 2), (0, 2), (0, 1)):
        turned = largest.copy()
        turned[a] = np.cos(angle) * extents[a] + np.sin(angle) * extents[b]
        turned[b] = np.sin(angle) * extents[a] + np.cos(angle) * extents[b]
        largest = np.maximum(largest, turned)
    grown = largest / SCALES[0]
    if is_thick(patch):
        grown[0] = extents[0]
    return tuple(int(np.ceil(n - 1e-9)) for n in grown)


def transforms_of(augmentation: str, patch: Sequence[int], mirror: bool, strong: bool) -> tuple[tuple[int, int, int], Compose]:
    """The size (k, j, i) to cut out of a scan for one of `systems.sampling.AUGMENTATIONS`, and what makes a patch (k, j, i) of it."""
    if augmentation == "nnunet":
        return room_for(patch), training_transforms(patch, mirror, strong)
    if augmentation == "lge_mri":
        from . import lge_augmentation

        return lge_augmentation.room_for(patch), lge_augmentation.lge_transforms(patch)
    return tuple(patch), Compose([RandomQuarterTurn((SCAN, MAPS, LABELS))] if augmentation == "quarter_turns" else [])


class RandomQuarterTurn(Augmentation):
    """A turn by 0, 90, 180 or 270° in the plane of the slices, each as often, and a mirroring there in half of the cases.

    Of a patch that is no square only the turns that keep its shape.
    """

    def randomize(self, data: object = None) -> None:
        self.turns, self.mirrored = int(self.R.randint(4)), bool(self.R.random() < MIRROR_SHARE)

    def changed(self, sample: Mapping[Hashable, torch.Tensor], key: Hashable) -> torch.Tensor:
        array = sample[key]
        turns = self.turns if array.shape[-1] == array.shape[-2] else self.turns // 2 * 2
        turned = torch.rot90(array, turns, (-2, -1))
        return torch.flip(turned, (-1,)) if self.mirrored else turned


def training_transforms(patch: Sequence[int], mirror: bool = True, strong_augmentation: bool = False) -> Compose:
    """All of it, for patches (k, j, i); only if asked for, mirroring, and other shapes and contrasts, dark blood, shading.

    `set_random_state` before each sample makes it repeatable.
    """
    everything = (SCAN, MAPS, LABELS)
    # A single slice has no neighbours to be blurred with, or to be left out.
    across, one_slice = BLUR_SIGMA if patch[0] > 1 else (1e-3, 1e-3), patch[0] == 1
    low_resolution = RandSimulateLowResolutiond(SCAN, prob=LOW_RESOLUTION_SHARE, zoom_range=LOW_RESOLUTION)
    strong = [ElasticDeformation(everything), RandomContrast((SCAN,)), RandomDarkBlood((SCAN,), LABELS), RandomBiasField((SCAN,))]
    return Compose(
        [
            RandomAffine(everything, patch),
            *(strong if strong_augmentation else []),
            RandGaussianNoised(SCAN, prob=NOISE_SHARE, std=NOISE_SD),
            RandGaussianSmoothd(SCAN, across, BLUR_SIGMA, BLUR_SIGMA, prob=BLUR_SHARE),
            RandScaleIntensityd(SCAN, factors=CHANGE, prob=BRIGHTNESS_SHARE),
            RandScaleIntensityFixedMeand(SCAN, factors=CHANGE, preserve_range=True, prob=CONTRAST_SHARE),
            *([] if one_slice else [low_resolution]),
            RandAdjustContrastd(SCAN, prob=INVERTED_GAMMA_SHARE, gamma=GAMMA, invert_image=True, retain_stats=True),
            RandAdjustContrastd(SCAN, prob=GAMMA_SHARE, gamma=GAMMA, retain_stats=True),
            *(RandFlipd(everything, prob=MIRROR_SHARE, spatial_axis=axis, allow_missing_keys=True) for axis in range(3) if mirror and patch[axis] > 1),
        ]
    )

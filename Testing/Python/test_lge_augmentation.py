"""The eight augmentations of Zhang J. et al. 2026, table 1: what each changes, how far, how often, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="augmentation needs MONAI")

from monai.transforms import Transform  # noqa: E402

from LAScarSegLib.systems import Sampler  # noqa: E402
from LAScarSegLib.training.augmentation import LABELS, MAPS, SCAN, transforms_of  # noqa: E402
from LAScarSegLib.training.lge_augmentation import RandomElastic, RotationAndZoom, lge_transforms, room_for  # noqa: E402

PATCH = (8, 24, 28)


def alone(number: int) -> Transform:
    """One of the eight (rotation and zoom are one), always carried out."""
    transform = lge_transforms(PATCH).transforms[number]
    transform.prob = 1.0
    return transform


def scan(seed: int = 0, shape: tuple[int, ...] = PATCH) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0.3, 1.0, (1, *shape)).astype(np.float32))


def changed(number: int, seed: int, before: torch.Tensor) -> torch.Tensor:
    transform = alone(number)
    transform.set_random_state(seed)
    return torch.as_tensor(transform({SCAN: before.clone()})[SCAN])


def test_they_come_in_the_tables_order() -> None:
    names = [type(transform).__name__ for transform in lge_transforms(PATCH).transforms]
    assert names == [
        "RandBiasFieldd", "RandomElastic", "RotationAndZoom", "RandGaussianSmoothd", "RandScaleIntensityFixedMeand", "RandShiftIntensityd",
        "RandGaussianNoised",
    ]  # fmt: skip


def test_each_comes_as_often_as_the_table_says() -> None:
    transforms, counts, patches = lge_transforms((4, 6, 6)).transforms, np.zeros(8), 600
    before = {SCAN: scan(1, (2, 4, 4))}
    for number, transform in enumerate(transforms):
        transform.set_random_state(number)
        for _ in range(patches):
            if isinstance(transform, RotationAndZoom):
                transform.randomize()
                counts[2:4] += transform.angles != (0.0, 0.0, 0.0), transform.scales != (1.0, 1.0, 1.0)
            elif isinstance(transform, RandomElastic):
                transform.randomize((2, 2, 2))
                counts[1] += transform.grid is not None
            else:
                counts[number + (number > 1)] += not torch.equal(torch.as_tensor(transform(before)[SCAN]), before[SCAN])
    shares = np.array([0.15, 0.10, 0.50, 0.30, 0.20, 0.30, 0.50, 0.20])
    # Four standard errors.
    assert (np.abs(counts / patches - shares) < 4 * np.sqrt(shares * (1 - shares) / patches)).all()


def test_the_bias_field_is_smooth_and_its_coefficients_are_the_tables() -> None:
    gains = [changed(0, seed, torch.ones((1, *PATCH)))[0] for seed in range(6)]
    for gain in gains:
        # In the corner where all Legendre polynomials are 1, MONAI's gain is exp of the sum of their coefficients: 19 of degree 3 or less.
        assert 19 * 0.02 <= float(torch.log(gain[-1, -1, -1])) <= 20 * 0.06
        assert float(gain.diff(dim=2).abs().max()) < 0.4
    assert not torch.equal(gains[0], gains[1])


@pytest.mark.parametrize("seed", range(5))
def test_elastic_displacements_reach_as_far_as_the_table_says(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("LAScarSegLib.training.lge_augmentation.ELASTIC_SHARE", 1.0)
    shape = (24, 48, 56)
    elastic = RandomElastic((SCAN, MAPS, LABELS))
    elastic.set_random_state(seed)
    elastic.randomize(shape)
    here = torch.stack(torch.meshgrid(*(torch.linspace(-1, 1, n) for n in reversed(shape)), indexing="ij")).permute(3, 2, 1, 0)
    voxels = ((elastic.grid[0] - here) * (torch.tensor(shape[::-1]) - 1) / 2).flip(-1).abs()
    most = voxels.amax(dim=(0, 1, 2))
    assert 2.0 <= most[0] <= 5.0 and 3.0 <= most[1] <= 6.0 and 3.0 <= most[2] <= 6.0
    # Smooth: neighbours move alike (a Gaussian of 3 voxels changes by less than half of its height from voxel to voxel).
    assert float(voxels[..., 1].diff(dim=1).abs().max()) < 0.5 * most[1]


def test_scan_maps_and_labels_are_bent_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("LAScarSegLib.training.lge_augmentation.ELASTIC_SHARE", 1.0)
    ramp = torch.arange(56.0).expand(1, 24, 48, 56).clone()
    elastic = RandomElastic((SCAN, MAPS, LABELS))
    elastic.set_random_state(3)
    after = elastic({SCAN: ramp, MAPS: ramp.clone(), LABELS: (ramp > 27).float()})
    assert torch.equal(after[SCAN], after[MAPS]) and not torch.equal(after[SCAN], ramp)
    # Nearest neighbour: a label says where the nearest voxel comes from.
    scan_inside, labels_inside = (after[key][:, 6:-6, 7:-7, 7:-7] for key in (SCAN, LABELS))
    certain = (scan_inside - 27.5).abs() > 0.6
    assert torch.equal(labels_inside[certain] > 0, scan_inside[certain] > 27.5)


@pytest.mark.parametrize("seed", range(6))
def test_a_patch_is_turned_in_the_slices_by_15_degrees_at_most_and_zoomed_by_a_tenth(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("LAScarSegLib.training.lge_augmentation.ROTATION_SHARE", 1.0)
    monkeypatch.setattr("LAScarSegLib.training.lge_augmentation.ZOOM_SHARE", 1.0)
    room = room_for(PATCH)
    ramps = torch.stack(torch.meshgrid(*(torch.arange(float(n)) for n in room), indexing="ij"))
    both = RotationAndZoom((MAPS,), PATCH)
    both.set_random_state(seed)
    after = torch.as_tensor(both({MAPS: ramps})[MAPS])
    # How the position that a voxel comes from changes along the patch's axes.
    along_k, along_j, along_i = (after.diff(dim=1)[:, :, 1:, 1:], after.diff(dim=2)[:, 1:, :, 1:], after.diff(dim=3)[:, 1:, 1:, :])
    steps = [float(torch.linalg.vector_norm(part, dim=0).mean()) for part in (along_k, along_j, along_i)]
    assert steps == pytest.approx([steps[0]] * 3, rel=1e-3) and 1 / 1.1 - 1e-3 <= steps[0] <= 1 / 0.9 + 1e-3
    angle = torch.rad2deg(torch.atan2(along_i[1].mean(), along_i[2].mean()))
    assert 0.05 < abs(float(angle)) <= 15.01 and float(along_i[0].abs().max()) < 1e-3


def test_no_corner_is_empty_however_a_patch_was_moved() -> None:
    room, transforms = transforms_of("lge_mri", PATCH, mirror=False, strong=False)
    assert room == room_for(PATCH)
    full = RotationAndZoom((MAPS,), PATCH)
    full.set_random_state(0)
    for angle in np.radians((-15.0, 0.0, 15.0)):
        for zoom in (0.9, 1.1):
            full.randomize = lambda data=None, a=angle, z=zoom: full.__dict__.update(angles=(a, 0.0, 0.0), scales=(1 / z,) * 3)
            after = torch.as_tensor(full({MAPS: torch.ones((1, *room))})[MAPS])
            assert after.shape[1:] == PATCH and float(after.min()) > 0.999
    assert len(transforms.transforms) == 7


def test_contrast_stretches_about_the_mean_and_shift_and_noise_are_the_tables() -> None:
    before = scan()
    for seed in range(8):
        contrast, shifted, noisy = (changed(number, seed, before) for number in (4, 5, 6))
        factor = float(contrast.std() / before.std())
        assert 0.8 <= factor <= 1.3 and float(contrast.mean()) == pytest.approx(float(before.mean()), abs=1e-5)
        offset = shifted - before
        assert float(offset.std()) < 1e-6 and 0 < abs(float(offset.mean())) <= 0.1
        # 5376 voxels: the SD of their SD is a hundredth of it.
        assert float((noisy - before).std()) == pytest.approx(0.02, rel=0.05) and abs(float((noisy - before).mean())) < 0.002


@pytest.mark.parametrize("seed", range(4))
def test_blurring_is_a_gaussian_of_half_to_one_and_a_half_voxels(seed: int) -> None:
    before = torch.zeros((1, 21, 21, 21))
    before[0, 10, 10, 10] = 1.0
    after = changed(3, seed, before)[0]
    assert float(after.sum()) == pytest.approx(1.0, abs=1e-3)
    squares = (torch.arange(21.0) - 10) ** 2
    for axis in range(3):
        others = tuple(a for a in range(3) if a != axis)
        sd = float((after.sum(dim=others) * squares).sum()) ** 0.5
        # A Gaussian that is integrated over voxels is up to √(1/12) wider.
        assert 0.45 <= sd <= 1.55


def test_half_of_the_patches_hold_foreground_also_in_batches_of_one() -> None:
    guided = Sampler(foreground_share=0.5, of_each_batch=False)
    assert [guided.wants_foreground(n, 1) for n in range(6)] == [False, True] * 3
    third = Sampler(foreground_share=1 / 3, of_each_batch=False)
    assert sum(third.wants_foreground(n, 1) for n in range(300)) == pytest.approx(100, abs=1)
    # nnU-Net's rule: of each batch one at least.
    assert all(Sampler(foreground_share=0.5).wants_foreground(n, 1) for n in range(6))

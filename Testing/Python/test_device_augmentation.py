"""Augmentation of a batch on the device: the same draws as on the processor, and the same patches; the processor stands in for a device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import ks_2samp
from training_data import one_thread, tiny_settings, write_cases  # noqa: F401

from LAScarSegLib.errors import InputError
from LAScarSegLib.systems import SYSTEMS, Sampler
from LAScarSegLib.training import recorder
from LAScarSegLib.training.augmentation import LABELS, NOISE_SD, SCAN, room_for, training_transforms
from LAScarSegLib.training.device_augmentation import CUT, DRAWN, DeviceAugmentation, collate, draw
from LAScarSegLib.training.patches import PatchDataset
from LAScarSegLib.training.run_folder import TrainingRun
from LAScarSegLib.training.train import Hardware, start_run, train
from LAScarSegLib.training.validation import ValidationScore

PATCH = (12, 16, 20)
NOISE, NOISE_WITHOUT_MORE = 5, 1
"""Which of all transforms adds noise, and which where there are nnU-Net's alone."""
DRAWS = 150
MACHINE = Hardware(device="cpu", precision="32", workers=0)


@pytest.fixture(scope="module")
def room() -> dict[str, torch.Tensor]:
    """Blobs as large as the room around a patch, in the types that cases are kept in."""
    random, shape = np.random.default_rng(0), room_for(PATCH)
    scan, mask = (gaussian_filter(random.normal(size=shape), sigma) for sigma in (1.5, 3.0))
    return {CUT: torch.from_numpy(scan / scan.std())[None].half(), LABELS: torch.from_numpy((mask > 0).astype(np.uint8))[None]}


def on_processor(room, seeds, transforms) -> list[tuple[torch.Tensor, torch.Tensor]]:
    made = []
    for seed in seeds:
        transforms.set_random_state(seed=seed)
        out = transforms({SCAN: room[CUT].float(), LABELS: room[LABELS].float()})
        made.append((torch.as_tensor(out[SCAN]), torch.as_tensor(out[LABELS])))
    return made


def on_device(room, seeds, transforms, size: int = 8) -> list[tuple[torch.Tensor, torch.Tensor]]:
    augment, made = DeviceAugmentation(SYSTEMS["two_stage_sdm"].cavity, transforms, PATCH), []
    for first in range(0, len(seeds), size):
        batch = collate([room | {DRAWN: draw(transforms, seed)} for seed in seeds[first : first + size]])
        drawn = batch.pop(DRAWN)
        out = augment(batch, drawn)
        made += list(zip(out["channels"], out["target"]))
    return made


def without_noise(transforms):
    transforms.transforms = tuple(step for n, step in enumerate(transforms.transforms) if n != NOISE)
    return transforms


def test_the_same_seed_gives_the_same_patch_on_either_side(room):
    """All kinds of change among 64 samples, in batches of eight. Voxels whose nearest neighbour is a matter of rounding may differ."""
    transforms, seeds = without_noise(training_transforms(PATCH, mirror=True, strong_augmentation=True)), range(64)
    changed = {n for seed in seeds for n, values in enumerate(draw(transforms, seed)) if values is not None}
    assert changed == set(range(len(transforms.transforms)))
    for (scan, mask), (expected, expected_mask) in zip(on_device(room, seeds, transforms), on_processor(room, seeds, transforms)):
        torch.testing.assert_close(scan, expected, rtol=1e-3, atol=1e-3)
        assert float((mask != expected_mask).float().mean()) < 1e-3


def test_a_patch_does_not_depend_on_what_it_is_batched_with(room):
    transforms = training_transforms(PATCH, mirror=True, strong_augmentation=True)
    for (one, _), (many, _) in zip(on_device(room, range(32), transforms, 1), on_device(room, range(32), transforms, 16)):
        torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-4)


def test_noise_has_the_processors_spread_and_shape(room):
    """Spreads drawn are even up to √0.1, and the values are distributed as the processor's (Kolmogorov–Smirnov)."""
    transforms = training_transforms(PATCH)
    place, noise = transforms.transforms[0], transforms.transforms[NOISE_WITHOUT_MORE]
    place.randomize, noise.prob = (lambda data=None: None), 1.0
    transforms.transforms = (place,)
    ((middle, _),) = on_processor(room, [0], transforms)
    transforms.transforms = (place, noise)
    sides = [[(scan - middle).numpy() for scan, _ in made(room, range(DRAWS), transforms)] for made in (on_processor, on_device)]
    spreads = [[float(patch.std()) for patch in side] for side in sides]
    # The same draws: the spread of 3,840 voxels lies within 8 % (seven standard errors) of what was drawn, on both sides.
    np.testing.assert_allclose(spreads[0], spreads[1], rtol=0.08)
    assert ks_2samp(spreads[1], np.linspace(0, NOISE_SD, 20_000)).pvalue > 0.01
    voxels = [np.concatenate([patch.ravel()[::61] / patch.std() for patch in side]) for side in sides]
    assert ks_2samp(*voxels).pvalue > 0.01


def test_patches_of_other_seeds_have_the_same_statistics(room):
    """Mean, spread, extremes and the mask's share of a few hundred patches of either side, by Kolmogorov–Smirnov."""
    transforms = training_transforms(PATCH, mirror=True, strong_augmentation=True)
    one, other = on_processor(room, range(DRAWS), transforms), on_device(room, range(1000, 1000 + DRAWS), transforms)
    for statistic in (
        lambda scan, mask: scan.mean(), lambda scan, mask: scan.std(), lambda scan, mask: scan.max(), lambda scan, mask: scan.min(),
        lambda scan, mask: mask.mean(), lambda scan, mask: scan.diff(dim=-1).abs().mean(),
    ):  # fmt: skip
        assert ks_2samp([float(statistic(*patch)) for patch in one], [float(statistic(*patch)) for patch in other]).pvalue > 0.01


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("device")
    write_cases(folder / "data", 4, labels=("atriumSegImgMO", "scarSegImgM"))
    return start_run(tiny_settings(folder / "data", "scar", epochs=1, steps_per_epoch=3), folder / "run")


def test_distance_maps_and_regions_of_a_scar_network_are_moved_alike(run):
    """Item by item what the processor's dataset gives, channels with their padding included; noise aside."""
    arguments = run.cases, run.prepared, run.settings.described, run.settings.size, 0
    here, there = PatchDataset(*arguments), PatchDataset(*arguments, on_device=True)
    augment = DeviceAugmentation(run.settings.described, there.transforms, there.patch)
    numbers = [n for n in range(16) if there[n][DRAWN][1] is None]
    batch = collate([there[n] for n in numbers])
    drawn = batch.pop(DRAWN)
    made = augment(batch, drawn)
    for row, number in enumerate(numbers):
        expected = here[number]
        assert expected.keys() == made.keys()
        for key, value in expected.items():
            assert float((made[key][row] - value).abs().gt(2e-3).float().mean()) < 1e-3, key


def test_a_training_that_augments_on_the_device_resumes_bit_for_bit(run, monkeypatch):
    """The processor is the device; whole batches come to it."""
    monkeypatch.setattr(recorder, "score_cases", lambda network, cases, *rest: [ValidationScore(case.name, 0.5) for case in cases])
    seen, call = [], DeviceAugmentation.__call__
    monkeypatch.setattr(DeviceAugmentation, "__call__", lambda self, batch, drawn: seen.append(len(drawn)) or call(self, batch, drawn))
    device = replace(MACHINE, augment_on="device")
    once = train(run, device)
    stopped = start_run(run.settings, run.folder.parent / "stopped")
    train(stopped, replace(device, max_steps=1))
    train(stopped, device)
    assert set(seen) == {run.settings.size.batch_size}
    one, two = once.weights("last.ckpt"), stopped.weights("last.ckpt")
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_channels_last_is_the_same_training_but_for_rounding(run, monkeypatch):
    """After one step the weights have moved as far; kernels lie otherwise in memory."""
    monkeypatch.setattr(recorder, "score_cases", lambda network, cases, *rest: [ValidationScore(case.name, 0.5) for case in cases])
    made = []
    for number, last in enumerate((False, True)):
        trained = start_run(run.settings, run.folder.parent / f"layout{number}")
        made.append(train(trained, replace(MACHINE, max_steps=1, channels_last=last)).weights("last.ckpt"))
    for name, value in made[0].items():
        torch.testing.assert_close(made[1][name], value, rtol=1e-3, atol=1e-5)
    kernel = next(value for value in made[1].values() if value.dim() == 5 and value.shape[1] > 1)
    assert kernel.is_contiguous(memory_format=torch.channels_last_3d) and not kernel.is_contiguous()


def test_a_processor_augments_as_ever_unless_it_is_told_otherwise(run, monkeypatch):
    monkeypatch.setattr(recorder, "score_cases", lambda network, cases, *rest: [ValidationScore(case.name, 0.5) for case in cases])
    monkeypatch.setattr(DeviceAugmentation, "__call__", lambda *ignored: pytest.fail("a processor's patches come augmented"))
    train(start_run(run.settings, run.folder.parent / "usual"), replace(MACHINE, max_steps=1))


def test_an_augmentation_that_the_device_can_not_do_is_refused_when_it_is_asked_for(tmp_path):
    with pytest.raises(InputError, match="place to augment on"):
        replace(MACHINE, augment_on="moon")
    from LAScarSegLib.training.train import _augments_on_device

    stage, other = SYSTEMS["two_stage_sdm"].cavity, Sampler(augmentation="lge_mri")
    with pytest.raises(InputError, match="--augment-on"):
        _augments_on_device(replace(MACHINE, augment_on="device"), stage, other, on_card=False)
    assert [_augments_on_device(MACHINE, stage, sampler, True) for sampler in (stage.sampler, other)] == [True, False]
    assert not _augments_on_device(MACHINE, stage, stage.sampler, on_card=False)

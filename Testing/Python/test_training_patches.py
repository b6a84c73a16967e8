"""Patches: what the network sees in training is what it sees in use; augmentation keeps every channel's meaning."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training_data import tiny_settings, write_cases

from LAScarSegLib.inference.preparation import Normalisation, channels_at
from LAScarSegLib.models.card import Preprocessing
from LAScarSegLib.training.augmentation import (
    ElasticDeformation, RandomAffine, RandomBiasField, RandomContrast, RandomDarkBlood, room_for, training_transforms,
)  # fmt: skip
from LAScarSegLib.training.patches import PatchDataset, SampleStream, Window, place_patch
from LAScarSegLib.training.run_folder import TrainingRun
from LAScarSegLib.training.train import start_run
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Box, Volume


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("patches")
    write_cases(folder / "data", 4, labels=("atriumSegImgMO", "scarSegImgM"))
    return start_run(tiny_settings(folder / "data", "scar"), folder / "run")


def patches(run: TrainingRun, seed: int = 0) -> PatchDataset:
    return PatchDataset(run.part(run.split.training), run.prepared, run.settings.described, run.settings.size, seed)


def test_prepared_channels_are_those_of_inference(run):
    case = run.cases[0]
    source = run.folder.parent / "data" / "task1" / "train_data" / case.name
    scan, cavity = read_volume(source / "enhanced.nii.gz").array, read_volume(source / "atriumSegImgMO.nii.gz").array > 0
    whole = Box((0, 0, 0), scan.shape)
    expected = channels_at(
        run.settings.card(), run.settings.described, scan, cavity, (4.0, 2.0, 2.0), Normalisation.of(scan, "image"), whole
    )
    # Half precision in the cache: a thousandth.
    np.testing.assert_allclose(case.channels(run.prepared), expected, rtol=1e-3, atol=1e-3)


def test_a_scan_stored_the_other_way_round_is_prepared_as_the_same_anatomy(tmp_path):
    """Every network sees axes to superior, posterior, left, whatever the file's order."""
    write_cases(tmp_path / "data", 3)
    settings = tiny_settings(tmp_path / "data", folds=3)
    straight = start_run(settings, tmp_path / "straight")
    folder = tmp_path / "data" / "task1" / "train_data" / "train_2"
    for name in ("enhanced.nii.gz", "atriumSegImgMO.nii.gz"):
        old = read_volume(folder / name)
        size = np.array(old.geometry.size)
        last = old.geometry.index_to_lps(np.array([[0.0, size[1] - 1.0, size[2] - 1.0]]))[0]
        flipped = replace(old.geometry, origin=tuple(last), direction=(1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0))
        write_volume(Volume(np.ascontiguousarray(old.array[::-1, ::-1]), flipped), folder / name)
    again = start_run(settings, tmp_path / "again")
    for part in ("channels", "labels"):
        one, two = (getattr(run.part(["train_2"])[0], part)(run.prepared) for run in (straight, again))
        np.testing.assert_allclose(one, two, atol=2e-3)


def in_a_bright_room(folder: Path, voxels: int) -> None:
    """Make a case's files larger on all sides; the scan is ten times as bright there."""
    for name, around in (("enhanced.nii.gz", 1000.0), ("atriumSegImgMO.nii.gz", 0)):
        old = read_volume(folder / name)
        size = tuple(n + 2 * voxels for n in old.geometry.size)
        write_volume(Volume(np.pad(old.array, voxels, constant_values=around), replace(old.geometry, size=size)), folder / name)


def test_a_network_of_a_region_is_trained_on_what_it_will_see_there(tmp_path):
    """The box around the cavity and 30 mm more, with the box's own mean and SD, as `BundleCavityModel` gives it in use."""
    write_cases(tmp_path / "data", 2)
    sources = sorted((tmp_path / "data" / "task1" / "train_data").iterdir())
    for source in sources:
        in_a_bright_room(source, 20)
    settings = tiny_settings(tmp_path / "data", folds=2)
    settings = replace(settings, size=replace(settings.size, statistics="region", mirror=False, patch_kji=(16, 16, 16)))
    assert settings.card().preprocessing == Preprocessing(statistics="region", mirror_axes=())
    run = start_run(settings, tmp_path / "run")
    scan, cavity = read_volume(sources[0] / "enhanced.nii.gz").array, read_volume(sources[0] / "atriumSegImgMO.nii.gz").array > 0
    # 16 mm of cavity and 15 mm on either side are more than a patch of 40 mm.
    box = Box.around(cavity, 15.0, (4.0, 2.0, 2.0))
    inside = scan[box.slices]
    assert inside.size < scan.size / 4 and inside.mean() < scan.mean() - 100
    normalisation = Normalisation(float(inside.mean()), float(inside.std()), Box((0, 0, 0), scan.shape))
    more = Box.around(cavity, 45.0, (4.0, 2.0, 2.0))
    assert all(a > b > 0 for a, b in zip(box.start[1:], more.start[1:])), "neither box ends where the scan does"
    expected = channels_at(settings.card(), settings.described, scan, None, (4.0, 2.0, 2.0), normalisation, more)
    np.testing.assert_allclose(run.cases[0].channels(run.prepared), expected, rtol=1e-3, atol=1e-3)


def test_a_sample_depends_on_seed_and_number_alone(run):
    first, second = patches(run), patches(run)
    second[3]
    for key, value in first[7].items():
        assert torch.equal(value, second[7][key])
    assert not torch.equal(first[7]["channels"], first[8]["channels"])
    assert not torch.equal(first[7]["channels"], patches(run, seed=1)[7]["channels"])


def test_a_sample_has_the_patch_size_and_binary_labels(run):
    for number in range(12):
        sample = patches(run)[number]
        assert {key: tuple(value.shape) for key, value in sample.items()} == {
            "channels": (3, 32, 32, 32), "target": (1, 32, 32, 32), "region": (1, 32, 32, 32),
        }  # fmt: skip
        assert all(set(sample[key].unique().tolist()) <= {0.0, 1.0} for key in ("target", "region"))


def test_distance_maps_keep_their_values_and_are_far_outside_beyond_the_scan(run):
    for number in range(12):
        maps = patches(run)[number]["channels"][1:]
        assert maps.min() >= -1.001 and maps.max() <= 1.001
        # The scan is 48 × 40 × 48 mm in a patch of 80 mm: a corner lies beyond it.
        corners = (maps[:, 0, 0, 0], maps[:, -1, -1, -1])
        assert any(torch.allclose(corner, torch.tensor(-1.0), atol=1e-3) for corner in corners)


def test_intensity_augmentation_leaves_maps_and_labels_alone():
    """Once moved and mirrored, a map equals the label it was made of, whatever happened to the scan."""
    transforms = training_transforms((16, 16, 16))
    transforms.transforms = tuple(t for t in transforms.transforms if not isinstance(t, RandomAffine))
    random = np.random.default_rng(0)
    changed = 0
    for seed in range(30):
        mask = torch.from_numpy((random.random((1, 16, 16, 16)) > 0.5).astype(np.float32))
        transforms.set_random_state(seed=seed)
        out = transforms({"scan": mask.clone(), "maps": mask.clone(), "labels": mask.clone()})
        assert torch.equal(torch.as_tensor(out["maps"]), torch.as_tensor(out["labels"]))
        changed += not torch.allclose(torch.as_tensor(out["scan"]), torch.as_tensor(out["labels"]))
    # At least one of seven changes with probability 1 − 0.9·0.9·0.85·0.85·0.875·0.9·0.7 = 0.68.
    assert 12 <= changed <= 28


def test_patches_are_mirrored_only_where_the_preset_mirrors():
    # A corner that is brighter than all others keeps its place under everything but a mirror.
    corner = torch.zeros((1, 16, 16, 16))
    corner[0, 12:, 12:, 12:] = 1.0
    places = {True: set(), False: set()}
    for mirror, seen in places.items():
        transforms = training_transforms((16, 16, 16), mirror)
        transforms.transforms = tuple(t for t in transforms.transforms if not isinstance(t, RandomAffine))
        for seed in range(40):
            transforms.set_random_state(seed=seed)
            out = torch.as_tensor(transforms({"scan": corner.clone(), "labels": corner.clone()})["labels"])
            seen.add(tuple(out[0].nonzero()[0].tolist()))
    assert places[False] == {(12, 12, 12)}
    assert places[True] == set(itertools.product((0, 12), repeat=3))


def test_coils_shade_the_scan_smoothly_and_leave_its_mean_and_spread():
    """A flat scan, but for one dark voxel, shows the gain itself."""
    flat = torch.ones((1, 32, 32, 32))
    flat[0, 0, 0, 0] = 0.0
    shade = RandomBiasField(("scan",))
    shaded = 0
    for seed in range(200):
        shade.set_random_state(seed=seed)
        out = shade({"scan": flat.clone(), "labels": flat.clone()})
        assert torch.equal(out["labels"], flat)
        assert float(out["scan"].mean()) == pytest.approx(float(flat.mean()), abs=1e-4)
        assert float(out["scan"].std()) == pytest.approx(float(flat.std()), rel=1e-3)
        if not torch.equal(out["scan"], flat):
            shaded += 1
            gain = out["scan"][0, 1:, 1:, 1:]
            # Knots are 10 voxels apart, so neighbours differ by a fraction of what the whole field does.
            assert max(float(gain.diff(dim=axis).abs().max()) for axis in range(3)) < 0.5 * float(gain.max() - gain.min())
    # 0.3 of the samples; four standard deviations of a share of 200 are 0.13.
    assert shaded / 200 == pytest.approx(0.3, abs=0.13)


def test_blood_becomes_dark_wherever_it_is_and_nothing_else_moves_past_it():
    """Muscle at 0, blood at 1 in the cavity and in another chamber, fat at 3: three grey levels, and where they go."""
    scan = torch.zeros((1, 16, 16, 16))
    scan[0, :8], scan[0, 8:, :4] = 1.0, 3.0
    labels = torch.zeros((2, 16, 16, 16))
    labels[0, :4] = 1.0
    darken = RandomDarkBlood(("scan",), "labels")
    seen = []
    for seed in range(200):
        darken.set_random_state(seed=seed)
        out = darken({"scan": scan.clone(), "labels": labels.clone()})
        assert torch.equal(out["labels"], labels)
        assert float(out["scan"].mean()) == pytest.approx(float(scan.mean()), abs=1e-4)
        assert float(out["scan"].std()) == pytest.approx(float(scan.std()), rel=1e-3)
        blood, chamber, muscle, fat = (float(out["scan"][0][place]) for place in ((0, 0, 0), (6, 0, 0), (12, 8, 0), (12, 0, 0)))
        assert blood == chamber and fat > muscle and fat > blood
        if (blood, muscle) != (1.0, 0.0):
            seen.append((muscle - blood) / (fat - muscle))
    # 0.4 of the samples; four standard deviations of a share of 200 are 0.14. From as bright as ever to darker than muscle.
    assert len(seen) / 200 == pytest.approx(0.4, abs=0.14)
    assert min(seen) < -0.2 and max(seen) > 0.1


def test_a_patch_without_cavity_keeps_its_blood():
    scan = torch.rand((1, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    darken = RandomDarkBlood(("scan",), "labels")
    for seed in range(20):
        darken.set_random_state(seed=seed)
        assert torch.equal(darken({"scan": scan.clone(), "labels": torch.zeros((1, 8, 8, 8))})["scan"], scan)


def test_only_the_presets_for_few_scans_vary_more_than_nnu_net():
    kinds = [{type(step) for step in training_transforms((16, 16, 16), strong_augmentation=few).transforms} for few in (False, True)]
    assert kinds[1] - kinds[0] == {ElasticDeformation, RandomBiasField, RandomDarkBlood, RandomContrast}


def test_half_of_the_atria_are_stretched_along_each_axis_and_bent():
    """A ramp along each axis, 0 in the middle, shows where every voxel came from."""
    shape = (33, 41, 49)
    ramps = torch.stack(torch.meshgrid(*(torch.linspace(-1.0, 1.0, n) for n in shape), indexing="ij"))
    bend, bent, stretches, shifts = ElasticDeformation(("scan",)), 0, [], []
    for seed in range(200):
        bend.set_random_state(seed=seed)
        out = bend({"scan": ramps.clone()})["scan"]
        if torch.equal(out, ramps):
            continue
        bent += 1
        inside = (slice(6, -6),) * 3
        for axis in range(3):
            ramp, moved = ramps[axis][inside].flatten().numpy(), out[axis][inside].flatten().numpy()
            slope, offset = np.polyfit(ramp, moved, 1)
            stretches.append(slope)
            shifts.append(np.std(moved - slope * ramp - offset))
    # Four standard deviations of a share of 200 are 0.14.
    assert bent / 200 == pytest.approx(0.5, abs=0.14)
    # Stretched by up to 15 %, the slope of a displacement (up to 0.075 at each of five knots over a width of 2) included.
    assert 0.8 < min(stretches) < 0.92 and 1.08 < max(stretches) < 1.3
    assert np.corrcoef(stretches[::3], stretches[1::3])[0, 1] < 0.4
    assert 0.01 < np.mean(shifts) < 0.075 / 2 ** 0.5


def test_scan_maps_and_labels_are_bent_alike():
    block = torch.zeros((1, 32, 32, 32))
    block[:, 8:24, 10:22, 6:26] = 1.0
    bend = ElasticDeformation(("scan", "maps", "labels"))
    for seed in range(20):
        bend.set_random_state(seed=seed)
        out = bend({"scan": block.clone(), "maps": block.clone(), "labels": block.clone()})
        assert set(out["labels"].unique().tolist()) <= {0.0, 1.0}
        assert torch.equal(out["scan"], out["maps"])
        assert float(((out["scan"] > 0.5) == (out["labels"] > 0)).float().mean()) > 0.985


def test_another_contrast_reorders_the_tissues_and_moves_no_border():
    """Four tissues in blocks: the middle of each stays of one grey, mean and spread stay, and which is brighter becomes uncertain."""
    tissues = (0.0, 1.0, 2.0, 4.0)
    scan = torch.zeros((1, 16, 16, 40))
    for n, grey in enumerate(tissues):
        scan[..., 10 * n : 10 * n + 10] = grey
    contrast, changed, orders = RandomContrast(("scan",)), 0, set()
    for seed in range(200):
        contrast.set_random_state(seed=seed)
        out = contrast({"scan": scan.clone(), "labels": scan.clone()})
        assert torch.equal(out["labels"], scan)
        assert float(out["scan"].mean()) == pytest.approx(float(scan.mean()), abs=1e-4)
        if torch.equal(out["scan"], scan):
            continue
        changed += 1
        assert float(out["scan"].std()) == pytest.approx(float(scan.std()), rel=1e-3)
        # Four kernels of 3 voxels reach 4 voxels far: less than from a block's middle to its faces.
        middles = [out["scan"][0, 5:11, 5:11, 10 * n + 5] for n in range(4)]
        assert max(float(middle.max() - middle.min()) for middle in middles) < 1e-3 * float(scan.std())
        orders.add(tuple(np.argsort([float(middle.mean()) for middle in middles])))
    # 0.3 of the samples; four standard deviations of a share of 200 are 0.13.
    assert changed / 200 == pytest.approx(0.3, abs=0.13)
    assert (0, 1, 2, 3) in orders and len(orders) > 3


def test_another_contrast_is_mixed_with_the_scan_in_its_share():
    """With one layer of weight −1 the other contrast is the negative; half of each is grey, a quarter of it is half the contrast."""
    scan = torch.linspace(-1.0, 1.0, 9).reshape(1, 1, 1, 9)
    contrast = RandomContrast(("scan",))
    contrast.randomize = lambda data=None: None
    contrast.kernels, contrast.shifts = [-torch.ones((1, 1, 1, 1, 1))], [torch.zeros(1)]
    for share, sign in ((0.0, 1.0), (0.25, 1.0), (0.75, -1.0), (1.0, -1.0)):
        contrast.share = share
        torch.testing.assert_close(contrast({"scan": scan})["scan"], sign * scan)


def test_patches_are_turned_and_scaled_as_often_and_as_far_as_nnu_nets():
    # nnU-Net v2's SpatialTransform: p_rotation 0.2 of ±30° about each axis, p_scaling 0.2 of 0.7 to 1.4, one for all axes.
    move = RandomAffine(("scan",), (32, 32, 32))
    move.set_random_state(seed=0)
    turns, scales = [], []
    for _ in range(3000):
        move.randomize()
        turns += [move.angles] if any(move.angles) else []
        scales += [move.scales] if set(move.scales) != {1.0} else []
    # Four standard deviations of a share of 3000 are 0.03.
    assert len(turns) / 3000 == pytest.approx(0.2, abs=0.03) and len(scales) / 3000 == pytest.approx(0.2, abs=0.03)
    assert 29 < np.degrees(np.abs(turns).max()) <= 30 and all(len(set(scale)) == 1 for scale in scales)
    assert 0.7 <= np.min(scales) < 0.72 and 1.37 < np.max(scales) <= 1.4
    assert np.mean(np.array(scales)[:, 0] < 1.0) == pytest.approx(0.5, abs=0.1)


def test_intensities_change_as_often_and_as_much_as_nnu_nets():
    # nnUNetTrainer.get_training_transforms: of the blur's 0.2 and low resolution's 0.25 of the samples each channel takes half.
    _, noise, blur, brightness, contrast, low, inverted, gamma, *mirrors = training_transforms((16, 16, 16)).transforms
    steps = (noise, blur, brightness, contrast, low, inverted, gamma)
    assert [type(step).__name__.removeprefix("Rand") for step in steps] == [
        "GaussianNoised", "GaussianSmoothd", "ScaleIntensityd", "ScaleIntensityFixedMeand", "SimulateLowResolutiond", "AdjustContrastd",
        "AdjustContrastd",
    ]  # fmt: skip
    assert [step.prob for step in (*steps, *mirrors)] == [0.1, 0.1, 0.15, 0.15, 0.125, 0.1, 0.3, 0.5, 0.5, 0.5]
    assert noise.rand_gaussian_noise.std == pytest.approx(0.1**0.5) and low.zoom_range == (0.5, 1.0)
    assert (inverted.invert_image, gamma.invert_image) == (True, False)
    assert inverted.adjuster.gamma == gamma.adjuster.gamma == (0.7, 1.5)


def test_thick_patches_are_moved_within_their_slices_only():
    slices = torch.arange(8.0).reshape(1, 8, 1, 1).expand(1, 8, 60, 60).contiguous() + 1.0
    move = RandomAffine(("scan",), (8, 40, 40))
    move.set_random_state(seed=0)
    for _ in range(20):
        out = torch.as_tensor(move({"scan": slices})["scan"])
        assert torch.allclose(out[0, :, 20, 20], torch.arange(8.0) + 1.0, atol=1e-4)


def test_room_for_a_patch_is_its_largest_turn_over_the_smallest_scale():
    # A cube of 30 turned by 30° about one axis spans 30·(cos 30° + sin 30°) = 40.98; over 0.7: 58.5.
    assert room_for((30, 30, 30)) == (59, 59, 59)
    # In the plane any angle: a quarter turn of a square is the same square; 256 / 0.7 = 365.7.
    assert room_for((24, 256, 256)) == (24, 366, 366)


def test_a_patch_with_foreground_holds_its_point_and_stays_in_the_scan():
    random = np.random.default_rng(0)
    for point in ([0, 0, 0], [39, 49, 59], [20, 25, 30]):
        start = place_patch((40, 50, 60), (16, 16, 16), np.array([point]), random)
        assert all(s <= p < s + 16 for s, p in zip(start, point))
        assert all(0 <= s <= n - 16 for s, n in zip(start, (40, 50, 60)))


def test_a_window_beyond_the_scan_is_padded_by_channel():
    array = np.arange(2 * 8, dtype=np.float32).reshape(2, 2, 2, 2)
    cut = Window((-1, 0, 1), (2, 2, 2)).cut(array, (0.0, -1.0), np.float32)
    assert cut.tolist() == [[[[0, 0], [0, 0]], [[1, 0], [3, 0]]], [[[-1, -1], [-1, -1]], [[9, -1], [11, -1]]]]


def test_one_patch_of_two_is_around_foreground(run):
    """In every batch the second; the first lies anywhere, but the box fills so much of this scan that it often holds some, too."""
    dataset = patches(run)
    assert Counter(dataset.sampler.wants_foreground(number, dataset.size.batch_size) for number in range(20)) == {True: 10, False: 10}
    assert all(dataset[number]["target"].any() for number in range(1, 20, 2))


def test_the_stream_goes_on_where_a_training_was_stopped_and_processes_share_it():
    whole = list(SampleStream(2, 5, lambda: 0)) + list(SampleStream(2, 5, lambda: 5))
    assert whole == list(range(20))
    assert list(SampleStream(2, 5, lambda: 3)) == [6, 7, 8, 9]
    two = [list(SampleStream(2, 5, lambda: 0, lambda r=rank: r, lambda: 2)) for rank in range(2)]
    assert sorted(two[0] + two[1]) == list(range(20)) and two[0][:4] == [0, 1, 4, 5]

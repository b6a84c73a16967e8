"""The published systems as they are described, and what their networks see."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest

from LAScarSegLib.anatomy.anatomy import Anatomy, build_anatomy
from LAScarSegLib.anatomy.wall import two_stage_band
from LAScarSegLib.errors import InputError
from LAScarSegLib.networks import read_plan
from LAScarSegLib.systems import SYSTEMS, Preset, Stage, find_system, z_score
from LAScarSegLib.systems.boundary_focused import boundary_distance, boundary_mask
from LAScarSegLib.systems.two_stage_sdm import ScarOptions, scar_stage
from LAScarSegLib.volumes.volume import Box, Geometry

TWO_STAGE, BOUNDARY = SYSTEMS["two_stage_sdm"], SYSTEMS["boundary_focused"]
EVERY_STAGE = [
    pytest.param(stage, id=f"{system.key}-{key}-{variant}")
    for system in SYSTEMS.values()
    for key, variants in system.stages.items()
    for variant, stage in variants.items()
]
NNUNET_STAGES = [each for each in EVERY_STAGE if each.id.startswith((TWO_STAGE.key, BOUNDARY.key))]
"""Of the two systems that take nnU-Net as it is."""


def anatomy_of(cavity: np.ndarray, spacing_kji: tuple[float, float, float]) -> Anatomy:
    return build_anatomy(cavity, Geometry(cavity.shape[::-1], spacing_kji[::-1]), 2.5)


@pytest.fixture(scope="module")
def block() -> Anatomy:
    """A cavity of 8 × 20 × 20 voxels of 2.5 × 0.625 × 0.625 mm, far from the border of its grid."""
    cavity = np.zeros((24, 80, 80), dtype=bool)
    cavity[8:16, 30:50, 30:50] = True
    return anatomy_of(cavity, (2.5, 0.625, 0.625))


def test_reading_the_descriptions_does_not_import_torch() -> None:
    modules = "LAScarSegLib.systems, LAScarSegLib.networks, LAScarSegLib.systems.uncertainty"
    code = f"import sys, {modules}; print('torch' in sys.modules, 'monai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_an_unknown_system_stage_variant_or_preset_is_refused_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="two_stage_sdm, boundary_focused"):
        find_system("unet")
    with pytest.raises(InputError, match="cavity, scar"):
        TWO_STAGE.stage("wall")
    with pytest.raises(InputError, match="full, sdm_roi, sdm, plain"):
        TWO_STAGE.stage("scar", "bub")
    with pytest.raises(InputError, match="paper, small, tiny, coarse, fine"):
        TWO_STAGE.cavity.preset("large")
    with pytest.raises(InputError, match="paper, small, tiny[.]"):
        TWO_STAGE.scar.preset("coarse")


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_stage_travels_to_another_process(stage: Stage) -> None:
    # Data loaders and multi-GPU launchers pickle what they are given.
    assert pickle.loads(pickle.dumps(stage)) == stage


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_a_stage_gives_one_array_per_channel_and_may_augment_the_scan_alone(stage: Stage, block: Anatomy) -> None:
    lge = np.random.default_rng(0).normal(size=block.cavity.shape).astype(np.float32)
    channels = stage.inputs(lge, None if stage.key == "cavity" else block)
    assert channels.shape == (len(stage.channels), *lge.shape) and channels.dtype == np.float32
    assert np.array_equal(channels[0], lge)
    assert [channel.augment_intensity for channel in stage.channels] == [True] + [False] * (len(stage.channels) - 1)


def test_the_papers_numbers() -> None:
    assert [TWO_STAGE.cavity.preset("paper").epochs, TWO_STAGE.scar.preset("paper").epochs] == [1000, 350]
    assert [BOUNDARY.stage("cavity", v).preset("paper").epochs for v in ("full", "task1")] == [1000, 500]
    assert BOUNDARY.scar.preset("paper").epochs == 130
    assert (BOUNDARY.cavity.threshold, BOUNDARY.cavity.uncertain_threshold, BOUNDARY.scar.threshold) == (0.5, 0.2, 0.2)
    assert (TWO_STAGE.cavity.threshold, TWO_STAGE.scar.threshold) == (0.5, 0.5)
    assert [c.name for c in TWO_STAGE.scar.channels] == ["lge", "sdm_cavity", "sdm_wall"]
    assert TWO_STAGE.scar.padding == (0.0, -1.0, -1.0)


@pytest.mark.parametrize("stage", NNUNET_STAGES)
def test_the_papers_network_is_nnu_nets_default_plan(stage: Stage) -> None:
    # 3d_fullres of nnU-Net v2.8.1's default planner for 44 × 576 × 576 voxels of 2.5 × 0.625 × 0.625 mm.
    paper = stage.preset("paper")
    assert (paper.spacing_kji, paper.patch_kji, paper.batch_size) == ((2.5, 0.625, 0.625), (24, 256, 256), 2)
    assert paper.plan.features == (32, 64, 128, 256, 320, 320, 320)
    assert paper.plan.strides == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2))
    assert paper.plan.kernel_sizes == ((1, 3, 3),) * 2 + ((3, 3, 3),) * 5


def test_the_optimiser_is_nnu_nets() -> None:
    for system in (TWO_STAGE, BOUNDARY):
        for stage in (system.cavity, system.scar):
            recipe = stage.optimiser
            assert (recipe.learning_rate, recipe.momentum, recipe.nesterov, recipe.weight_decay) == (0.01, 0.99, True, 3e-5)
            assert (recipe.gradient_clip, recipe.iterations_per_epoch, stage.sampler.foreground_share) == (12.0, 250, 1 / 3)


CROSS_ENTROPY_DICE = [(1.0, "CrossEntropy"), (1.0, "SoftDice")]
ROI_LOSS = [(1.0, "RegionDice"), (2.0, "RegionBCE"), (0.1, "SoftDice")]


@pytest.mark.parametrize(("key", "stage", "variant", "terms"), [
    ("two_stage_sdm", "cavity", "full", CROSS_ENTROPY_DICE),
    ("two_stage_sdm", "scar", "full", ROI_LOSS),
    ("two_stage_sdm", "scar", "sdm_roi", ROI_LOSS),
    ("two_stage_sdm", "scar", "sdm", CROSS_ENTROPY_DICE),
    ("two_stage_sdm", "scar", "plain", CROSS_ENTROPY_DICE),
    ("boundary_focused", "cavity", "full", [(1.0, "TopK"), (1.0, "SoftDice")]),
    ("boundary_focused", "cavity", "task1", [(1.0, "TopK"), (1.0, "SoftDice")]),
    ("boundary_focused", "cavity", "plain", CROSS_ENTROPY_DICE),
    ("boundary_focused", "scar", "full", CROSS_ENTROPY_DICE),
    ("boundary_focused", "scar", "plain", CROSS_ENTROPY_DICE),
])  # fmt: skip
def test_every_stage_has_its_papers_loss_with_deep_supervision(key: str, stage: str, variant: str, terms: list) -> None:
    pytest.importorskip("torch")
    loss = SYSTEMS[key].stage(stage, variant).loss()
    assert type(loss).__name__ == "DeepSupervision"
    assert [(weight, type(term).__name__) for weight, term in zip(loss.loss.weights, loss.loss.losses, strict=True)] == terms
    shares = [term.share for term in loss.loss.losses if hasattr(term, "share")]
    assert shares in ([], [0.1])


def test_the_learning_rate_falls_as_in_nnu_net() -> None:
    # PolyLRScheduler: 0.01 · (1 − epoch / epochs)^0.9
    optimiser = TWO_STAGE.scar.optimiser
    assert optimiser.learning_rate_at(0, 350) == 0.01
    assert optimiser.learning_rate_at(175, 350) == pytest.approx(0.01 * 2**-0.9)
    assert optimiser.learning_rate_at(350, 350) == 0.0


def test_the_four_ablations_switch_the_papers_parts_on_one_by_one(block: Anatomy) -> None:
    stages = [TWO_STAGE.stage("scar", variant) for variant in ("plain", "sdm", "sdm_roi", "full")]
    assert [len(stage.channels) for stage in stages] == [1, 3, 3, 3]
    sizes = [None if stage.region is None else int(stage.region(block).sum()) for stage in stages]
    assert sizes[:2] == [None, None] and sizes[2] < sizes[3]
    assert [stage.mask_prediction for stage in stages] == [False, False, True, True]
    assert not scar_stage(ScarOptions(mask_prediction=False)).mask_prediction
    with pytest.raises(InputError, match="needs roi"):
        ScarOptions(roi=False)


@pytest.mark.parametrize("stage", NNUNET_STAGES)
def test_the_papers_presets_see_the_whole_scan_mirrored_as_nnu_net_does(stage: Stage) -> None:
    paper = stage.preset("paper")
    assert (paper.statistics, paper.mirror, paper.strong_augmentation) == ("image", True, False)


@pytest.mark.parametrize("stage", NNUNET_STAGES)
def test_a_cavity_is_found_in_the_whole_scan_and_drawn_in_its_region(stage: Stage) -> None:
    small = stage.preset("small")
    assert not small.mirror
    if stage.key == "cavity":
        coarse = stage.preset("coarse")
        assert (coarse.statistics, coarse.mirror, small.statistics) == ("image", False, "region")
        assert coarse.strong_augmentation and small.strong_augmentation
        fine = stage.preset("fine")
        assert (fine.statistics, fine.mirror, fine.batch_size, fine.strong_augmentation) == ("region", False, 8, True)
        # What lies around the atrium tells where it is: a patch of the coarse network covers a heart.
        assert min(n * s for n, s in zip(coarse.patch_kji, coarse.spacing_kji)) >= 120.0
    else:
        assert small.statistics == "image" and "coarse" not in stage.presets


@pytest.mark.parametrize("stage", NNUNET_STAGES)
def test_the_tiny_preset_knows_regions_only_and_sees_a_good_part_of_an_atrium(stage: Stage) -> None:
    tiny, small = stage.preset("tiny"), stage.preset("small")
    assert (tiny.statistics, tiny.mirror, tiny.batch_size) == ("region", False, small.batch_size)
    assert sum(tiny.plan.features) < sum(small.plan.features) and np.prod(tiny.patch_kji) < np.prod(small.patch_kji)
    assert max(n * s for n, s in zip(tiny.patch_kji, tiny.spacing_kji)) == (80.0 if stage.key == "cavity" else 60.0)


def test_a_preset_whose_patch_the_network_cannot_halve_is_refused() -> None:
    plan = TWO_STAGE.cavity.preset("small").plan
    with pytest.raises(InputError, match="multiple of"):
        Preset(plan, (1.25, 1.25, 1.25), (60, 80, 80), 2, 1)


def test_z_score_has_mean_0_and_sd_1_and_a_flat_scan_is_0() -> None:
    scan = np.random.default_rng(1).integers(0, 4000, size=(20, 30, 40)).astype(np.int16)
    scored = z_score(scan)
    assert scored.dtype == np.float32 and abs(float(scored.mean())) < 1e-5 and float(scored.std()) == pytest.approx(1.0, abs=1e-5)
    assert np.array_equal(z_score(np.full((4, 4, 4), 7)), np.zeros((4, 4, 4)))


def test_two_stage_distances_are_positive_inside_over_12_mm_and_padding_is_far_outside(block: Anatomy) -> None:
    _, cavity, wall = TWO_STAGE.scar.inputs(np.zeros(block.cavity.shape, np.float32), block)
    # The centre of the block is 10 voxels of 0.625 mm from its sides; r = round(2 / 0.625) = 3 voxels make the wall band.
    assert cavity[12, 40, 40] == pytest.approx(10 * 0.625 / 12)
    assert wall[12, 40, 40] == pytest.approx(-7 * 0.625 / 12)
    # First voxel outside the cavity: 1 voxel from it, and the third of six in the band counted from outside.
    assert cavity[12, 40, 29] == pytest.approx(-0.625 / 12)
    assert wall[12, 40, 29] == pytest.approx(3 * 0.625 / 12)
    assert cavity[0, 0, 0] == wall[0, 0, 0] == TWO_STAGE.scar.padding[1]


def test_two_stage_region_is_the_band_and_3_mm_around(block: Anatomy) -> None:
    row = TWO_STAGE.scar.region(block)[12, 40]
    # Band: 27…32; |SDM| < 3 mm is up to 4 voxels (2.5 mm) beyond, on both sides.
    assert np.array_equal(np.flatnonzero(row[:40]), np.arange(23, 37))
    narrow = TWO_STAGE.stage("scar", "sdm_roi").region(block)[12, 40]
    assert np.array_equal(np.flatnonzero(narrow[:40]), np.arange(27, 33))


def test_an_empty_cavity_has_no_wall_and_no_boundary() -> None:
    nothing = anatomy_of(np.zeros((4, 8, 8), dtype=bool), (2.5, 0.625, 0.625))
    lge = np.zeros(nothing.cavity.shape, np.float32)
    assert (TWO_STAGE.scar.inputs(lge, nothing)[1:] == -1).all() and not TWO_STAGE.scar.region(nothing).any()
    with pytest.raises(InputError, match="cavity is empty"):
        BOUNDARY.scar.inputs(lge, nothing)


@pytest.mark.parametrize("spacing", [(2.5, 0.625, 0.625), (1.25, 1.25, 1.25), (1.0, 4.0, 0.25), (3.0, 5.0, 5.0)])
def test_the_wall_region_is_the_band_of_the_whole_grid_also_at_its_border(spacing: tuple[float, float, float]) -> None:
    cavity = np.zeros((6, 40, 40), dtype=bool)
    cavity[0:3, 0:9, 14:30] = True
    cavity[5, 30:33, 30:33] = True
    assert np.array_equal(TWO_STAGE.stage("scar", "sdm_roi").region(anatomy_of(cavity, spacing)), two_stage_band(cavity, spacing))


def test_two_stage_channels_are_the_same_in_any_box_that_holds_12_mm_around(block: Anatomy) -> None:
    stage = TWO_STAGE.scar
    assert not stage.whole_scan_inputs
    # The wall band reaches 3 voxels further out than the cavity.
    box = Box.around(block.cavity, 12.0 + 3 * 0.625, block.geometry.spacing_kji).slices
    lge = np.random.default_rng(2).normal(size=block.cavity.shape).astype(np.float32)
    whole, part = stage.inputs(lge, block), stage.inputs(lge[box], anatomy_of(block.cavity[box], block.geometry.spacing_kji))
    assert np.array_equal(whole[(slice(None), *box)], part)
    outside = np.ones(lge.shape, dtype=bool)
    outside[box] = False
    assert (whole[1:, outside] == -1).all()


def test_the_boundary_is_two_pixels_out_and_one_in_slice_by_slice() -> None:
    cavity = np.zeros((3, 12, 12), dtype=bool)
    cavity[1, 4:9, 4:9] = True
    expected = np.zeros_like(cavity)
    expected[1, 2:11, 2:11] = True
    expected[1, 5:8, 5:8] = False
    assert np.array_equal(boundary_mask(cavity), expected)


def test_the_boundary_mask_is_the_papers_max_pooling() -> None:
    torch = pytest.importorskip("torch")
    cavity = np.random.default_rng(3).random((4, 30, 30)) > 0.4
    mask = torch.from_numpy(cavity.astype(np.float32))
    dilated = torch.nn.functional.max_pool2d(mask, 5, stride=1, padding=2)
    eroded = -torch.nn.functional.max_pool2d(-mask, 3, stride=1, padding=1)
    assert np.array_equal(boundary_mask(cavity), (dilated - eroded).numpy() > 0)


def test_the_boundary_distance_is_as_printed_positive_outside_and_one_less_inside() -> None:
    cavity = np.zeros((1, 40, 40), dtype=bool)
    cavity[0, 10:30, 10:30] = True
    row = boundary_distance(cavity, (2.5, 0.5, 0.5))[0, 20]
    # The boundary covers 8, 9 (outside) and 10 (inside): E is 0.5, 1.0, 0.5 mm there, so D = −(E − 1).
    assert row[7:12] == pytest.approx([0.5, 0.5, 0.0, 0.5, 0.5])
    assert row[0] == pytest.approx(8 * 0.5) and row[20] == pytest.approx(9 * 0.5)


def test_the_boundary_distance_is_not_clipped_and_z_scored_over_the_whole_scan(block: Anatomy) -> None:
    stage = BOUNDARY.scar
    assert stage.whole_scan_inputs
    channel = stage.inputs(np.zeros(block.cavity.shape, np.float32), block)[1]
    assert float(channel.mean()) == pytest.approx(0.0, abs=1e-4) and float(channel.std()) == pytest.approx(1.0, abs=1e-4)
    distance = boundary_distance(block.cavity, block.geometry.spacing_kji)
    # From the corner of the grid to the nearest voxel of the boundary: 8 slices, 28 rows, 28 columns.
    assert distance[0, 0, 0] == pytest.approx(np.sqrt((8 * 2.5) ** 2 + 2 * (28 * 0.625) ** 2), rel=1e-6)
    assert channel[0, 0, 0] == pytest.approx((distance[0, 0, 0] - distance.mean()) / distance.std(), rel=1e-4)


@pytest.mark.parametrize("stage", EVERY_STAGE)
def test_every_plan_is_json_and_back(stage: Stage) -> None:
    for preset in stage.presets.values():
        assert read_plan(preset.plan.to_json()) == preset.plan

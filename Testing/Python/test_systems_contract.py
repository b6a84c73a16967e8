"""What a description may say beyond the two nnU-Net systems: outputs, targets, samplers, recipes; each does what its paper's words mean."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from LAScarSegLib.errors import InputError
from LAScarSegLib.inference.boundary import boundary_points, boundary_tiles
from LAScarSegLib.inference.preparation import Normalisation
from LAScarSegLib.inference.region import middle_of
from LAScarSegLib.systems import SYSTEMS, ComponentFilter, EarlyStop, Optimiser, Output, Part, Phase, Preset, Sampler, StartWeights
from LAScarSegLib.systems.targets import boundary, distance_probabilities, signed_distance_outside
from LAScarSegLib.volumes.volume import Box

CAVITY = SYSTEMS["two_stage_sdm"].cavity


def logit(p: np.ndarray) -> np.ndarray:
    return np.log(p / (1 - p)).astype(np.float32)


@pytest.mark.parametrize(
    ("recipe", "rates"),
    [
        # 0.01·(1 − epoch/4)^0.9, ten steps an epoch.
        (Optimiser(), {0: 0.01, 9: 0.01, 10: 0.01 * 0.75**0.9, 39: 0.01 * 0.25**0.9}),
        (Optimiser(schedule="constant", learning_rate=1e-4), {0: 1e-4, 39: 1e-4}),
        # mtl_sesa: ÷ 10 per 4000 iterations.
        (Optimiser(schedule="step", learning_rate=1e-3), {0: 1e-3, 3999: 1e-3, 4000: 1e-4, 12000: 1e-6}),
    ],
)
def test_the_learning_rate_follows_its_schedule(recipe, rates):
    assert [recipe.rate(step, 10, 4) for step in rates] == pytest.approx(list(rates.values()))


def test_an_early_stop_waits_for_its_epochs_and_counts_small_gains_as_none():
    stop = EarlyStop(30, least_gain=1e-4)
    dice = [0.5] + [0.50009] * 29
    assert not stop.says_stop(range(1, 31), dice, [1.0] * 30) and stop.says_stop(range(1, 32), [*dice, 0.50009], [1.0] * 31)
    assert not stop.says_stop(range(1, 32), [*dice[:-1], 0.6, 0.6], [1.0] * 31)
    # msws_b2p: when loss *or* Dice has not improved for 5; Dice is there in some epochs only.
    either = EarlyStop(5, watched=("dice", "loss"))
    assert either.says_stop(range(1, 7), [0.1, None, 0.2, None, 0.3, None], [1.0] * 6)
    assert not either.says_stop(range(1, 7), [0.1, None, 0.2, None, 0.3, None], [1.0, 0.9, 0.8, 0.7, 0.6, 0.5])


def test_parts_are_found_by_how_their_names_begin_and_the_first_counts():
    phase = Phase("second", "cross_entropy_dice", parts=(Part("encoder.1."), Part("encoder.", 0.1)))
    assert [phase.rate_of(name) for name in ("encoder.1.weight", "encoder.2.weight", "decoder.weight")] == [0.0, 0.1, 1.0]


def test_one_weight_may_be_carried_to_two_decoders():
    start = StartWeights("cavity", (("encoder.", "encoder."), ("decoder.", "decoder_cavity."), ("decoder.", "decoder_scar.")))
    assert start.names("decoder.1.weight") == ("decoder_cavity.1.weight", "decoder_scar.1.weight")
    assert start.names("encoder.weight") == ("encoder.weight",) and start.names("head.weight") == ()


def test_components_are_kept_by_their_area_in_the_slice():
    """msws_b2p's 10–450 pixels of 0.625 mm are 3.9–176 mm²; pixels that touch at a corner, and in the next slice, are apart."""
    mask = np.zeros((2, 40, 60), dtype=bool)
    mask[0, 1, 1:10], mask[0, 5, 1:11], mask[0, 10:31, 1:22], mask[0, 10:32, 30:52] = True, True, True, True
    mask[0, 2, 10] = mask[1, 1, 10] = True
    kept = ComponentFilter(10 * 0.625**2, 450 * 0.625**2).of(mask, (2.5, 0.625, 0.625))
    expected = np.zeros_like(mask)
    expected[0, 5, 1:11] = expected[0, 10:31, 1:22] = True
    np.testing.assert_array_equal(kept, expected)
    output = Output("scar", components=ComponentFilter(10 * 0.625**2, 450 * 0.625**2))
    probability = np.where(mask, 0.9, 0.3).astype(np.float32)
    np.testing.assert_array_equal(output.filtered(probability, (2.5, 0.625, 0.625)) > 0.5, expected)
    assert output.filtered(probability, (2.5, 0.625, 0.625))[1, 0, 0] == np.float32(0.3)


def test_two_distance_probabilities_become_one_of_scar():
    normal, scar = np.array([[[0.2, 0.6, 0.1, 0.05]]]), np.array([[[0.6, 0.2, 0.05, 0.1]]])
    probability = Output("scar", (0, 1), "distance_pair").probability(np.stack([logit(normal), logit(scar)]))
    # p_scar / (p_normal + p_scar), and nothing where both are at most 0.1.
    np.testing.assert_allclose(probability[0, 0], [0.75, 0.25, 0.0, 0.0], atol=1e-6)


def test_what_marks_the_surface_is_carried_to_the_voxels_nearest_to_it():
    cavity, probability = np.zeros((3, 9, 9), dtype=bool), np.zeros((3, 9, 9), dtype=np.float32)
    cavity[:, 3:6, 3:6] = True
    probability[1, 3:6, 5] = 0.8
    carried = Output("scar", surface_mm=2.0).from_surface(probability, cavity, (3.0, 1.0, 1.0))
    assert carried[1, 4, 6] == carried[1, 4, 7] == np.float32(0.8) and carried[1, 4, 8] == carried[1, 4, 2] == carried[0, 4, 7] == 0.0


def test_targets_are_the_papers_distances():
    cavity, scar = np.zeros((5, 20, 20), dtype=bool), np.zeros((5, 20, 20), dtype=bool)
    cavity[:, 5:15, 5:15] = True
    scar[:, 5:15, 15:17] = True
    masks, spacing = {"cavity": cavity, "scar": scar}, (2.5, 1.0, 1.0)
    distance = signed_distance_outside(masks, spacing, clip_mm=3.0)[0]
    assert distance[2, 10, 16] == 2.0 and distance[2, 10, 14] == -1.0 and distance[2, 10, 19] == 3.0
    edge = boundary(masks, spacing)[0]
    assert edge[2, 10, 14] == 1.0 and edge[2, 10, 13] == edge[2, 10, 15] == 0.0
    normal, of_scar = distance_probabilities(masks, spacing, reach_mm=1.0)
    # Scar lies 1 mm beside the last column of the cavity; the first column is 9 mm away, and normal.
    assert of_scar[2, 10, 14] == 1.0 and of_scar[2, 10, 16] == pytest.approx(np.exp(-2.0)) and normal[2, 10, 5] == 1.0
    assert of_scar[2, 10, 5] == pytest.approx(np.exp(-9.0), rel=1e-3)
    nothing = {"cavity": np.zeros_like(cavity), "scar": np.zeros_like(cavity)}
    assert (signed_distance_outside(nothing, spacing) == 50.0).all() and not distance_probabilities(nothing, spacing).any()


def test_patches_lie_all_along_the_outline_in_each_slice():
    j, i = np.indices((80, 80))
    cavity = np.zeros((4, 80, 80), dtype=bool)
    cavity[1:3] = (j - 40) ** 2 + (i - 38) ** 2 < 25**2
    points = boundary_points(cavity, 12)
    assert set(points[:, 0]) == {1, 2}
    flat = points[points[:, 0] == 1][:, 1:]
    distances = np.linalg.norm(flat[:, None] - flat[None], axis=2)
    assert distances[~np.eye(len(flat), dtype=bool)].min() >= 12
    # A circle of 157 pixels: each point stands for 12 to 24 of them.
    assert 157 / 24 <= len(flat) <= 157 / 12
    corners, room = boundary_tiles(points, (1, 16, 16))
    assert room == (1, 16, 16)
    np.testing.assert_array_equal(np.array(corners) - room + (0, 8, 8), points)
    assert boundary_points(np.zeros_like(cavity), 12).shape == (0, 3)


def test_each_slice_may_be_normalised_by_itself():
    scan = np.random.default_rng(0).normal(100.0, 10.0, (3, 30, 30)) * np.array([1.0, 2.0, 5.0])[:, None, None]
    box = Box((1, 5, 5), (3, 25, 25))
    part = Normalisation.of(scan, "slice").apply(scan[box.slices], box)
    expected = [(plane[5:25, 5:25] - plane.mean()) / plane.std() for plane in scan[1:]]
    np.testing.assert_allclose(part, expected, rtol=1e-4, atol=1e-5)


def test_a_crop_lies_around_the_middle_of_the_scan_and_within_it():
    assert middle_of((44, 640, 640), (40, 256, 384)) == Box((2, 192, 128), (42, 448, 512))
    assert middle_of((30, 641, 300), (40, 256, 384)) == Box((0, 192, 0), (30, 448, 300))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Optimiser(kind="lion"), "optimiser is 'lion'; choose one of sgd, adam, adamw"),
        (lambda: Optimiser(accumulate=0), "accumulate is 0"),
        (lambda: EarlyStop(0), "patience is 0"),
        (lambda: Sampler("voxels"), "sampler is 'voxels'"),
        (lambda: Output("scar", (0,), "softmax"), "softmax needs 2"),
        (lambda: ComponentFilter(176.0, 3.9), "176 to 3.9 mm²"),
        (lambda: replace(CAVITY, outputs=(Output("wall"),)), "produces wall; possible are cavity, scar, or cavity and scar"),
        (lambda: replace(CAVITY, outputs=(Output("cavity", (0, 2)),)), "gives 2 channels; what stage cavity produces needs 3"),
        (lambda: replace(CAVITY, sampler=Sampler("slices")), "must be one slice thick"),
        (lambda: replace(CAVITY, sampler=Sampler("boundary")), "can't look along its boundary only"),
        (lambda: replace(CAVITY, phases=(Phase("a", "x"), Phase("a", "y"))), "have one name"),
        (lambda: Preset(CAVITY.preset("tiny").plan, (2.0, 2.0, 2.0), (30, 32, 32), 2, 1), "not a multiple"),
        (lambda: Preset(CAVITY.preset("tiny").plan, (2.0, 2.0), (32, 32, 32), 2, 1), "three numbers each, or two for slices"),
    ],
)
def test_a_description_that_can_not_be_is_refused_in_words(make, words):
    with pytest.raises(InputError, match=words):
        make()

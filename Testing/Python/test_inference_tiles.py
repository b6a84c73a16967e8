"""Tiles: what a network says of a large array doesn't depend on how it was cut."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="networks need torch")

from model_cases import Blur, Contrast  # noqa: E402

from LAScarSegLib.errors import Cancelled  # noqa: E402
from LAScarSegLib.inference.tiles import BACKGROUND, MIN_TILE_WEIGHT, contributing_tiles, predict_tiles, tile_starts, tile_weights  # noqa: E402


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(1, *shape)).astype(np.float32)


def test_a_network_without_neighbours_gives_the_untiled_result():
    x = noise(40, 70, 33)
    assert np.allclose(predict_tiles(Contrast(), x, (16, 32, 48), padding=[0.0]), x[0], atol=1e-5)


def test_a_blurring_network_gives_the_untiled_result_away_from_the_seams_of_single_tiles():
    # At the middle of a tile the Gaussian all but ignores the borders of others, where the blur meets the tile's edge.
    x = noise(48, 48, 48)
    whole = predict_tiles(Blur(), x, (48, 48, 48), padding=[0.0])
    tiled = predict_tiles(Blur(), x, (32, 32, 32), padding=[0.0], step=0.25)
    assert np.abs(tiled - whole).mean() < 5e-3
    assert np.corrcoef(tiled.ravel(), whole.ravel())[0, 1] > 0.999


def test_an_array_smaller_than_the_patch_is_padded_with_each_channels_own_value():
    class Padding(Contrast):
        def forward(self, x):
            self.corner = x[0, :, 0, 0, 0].tolist()
            return super().forward(x)

    network = Padding()
    x = np.concatenate([noise(10, 11, 12), noise(10, 11, 12)])
    result = predict_tiles(network, x, (16, 16, 16), padding=[0.0, -1.0])
    assert network.corner == [0.0, -1.0] and network.seen == [(16, 16, 16)]
    assert result.shape == (10, 11, 12) and np.allclose(result, x[0], atol=1e-6)


def test_mirroring_averages_over_all_eight_mirrorings():
    class Ramp(Contrast):
        """Adds the position along the last axis: a network that isn't symmetric."""

        def forward(self, x):
            import torch

            return super().forward(x + torch.arange(x.shape[-1], dtype=torch.float32))

    network = Ramp()
    x = noise(16, 16, 16)
    result = predict_tiles(network, x, (16, 16, 16), padding=[0.0], mirror_axes=(0, 1, 2))
    # Half of the mirrorings see the ramp backwards: its mean is (16 − 1) / 2 everywhere.
    assert len(network.seen) == 8
    assert np.allclose(result, x[0] + 7.5, atol=1e-4)


def test_the_same_input_gives_the_same_bits():
    x = noise(40, 40, 40)
    first, second = (predict_tiles(Blur(), x, (32, 32, 32), padding=[0.0]) for _ in range(2))
    assert np.array_equal(first, second)


@pytest.mark.parametrize(
    ("length", "tile", "step", "starts"),
    [(110, 64, 0.5, [0, 23, 46]), (64, 64, 0.5, [0]), (128, 64, 0.5, [0, 32, 64]), (65, 64, 1.0, [0, 1])],
)
def test_tiles_start_where_nnunet_has_them(length, tile, step, starts):
    # The first is the example in nnU-Net's own source, the others follow from its rule.
    assert tile_starts(length, tile, step) == starts


def test_the_weights_are_a_gaussian_of_an_eighth_of_the_tile():
    weights = tile_weights(64)
    # One sigma (8 voxels) from the middle a Gaussian has e^(−1/2).
    assert weights[32] == 1.0
    assert weights[40] == pytest.approx(np.exp(-0.5), abs=1e-3)
    assert (weights > 0).all()


def test_a_cancellation_ends_it_between_two_tiles():
    network, calls = Contrast(), []

    def report(fraction: float) -> None:
        calls.append(fraction)
        if len(calls) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        predict_tiles(network, noise(40, 40, 40), (32, 32, 32), padding=[0.0], report=report)
    assert len(network.seen) == 2
    # Two tiles at a time.
    assert calls == [0.0, 2 / 8, 4 / 8]


def test_a_tile_has_a_say_where_it_has_more_than_a_fifth_of_the_weights():
    """Against the weights of all tiles added up voxel by voxel; the last axis is smaller than the tile."""
    shape, patch = (60, 72, 20), (24, 32, 32)
    wanted = np.zeros(shape, dtype=bool)
    wanted[14:30, 20:51, 3:9] = True
    window = np.einsum("k,j,i->kji", *(tile_weights(n) for n in patch))[..., 6:26]
    every = [(k, j, 0) for k in tile_starts(60, 24, 0.5) for j in tile_starts(72, 32, 0.5)]
    places = [(slice(k, k + 24), slice(j, j + 32)) for k, j, _ in every]
    total = np.zeros(shape)
    for place in places:
        total[place] += window
    expected = [corner for corner, place in zip(every, places) if (window / total[place])[wanted[place]].max(initial=0.0) > MIN_TILE_WEIGHT]
    assert contributing_tiles(np.argwhere(wanted), shape, patch) == expected
    assert 2 < len(expected) < len(every)


def test_some_tiles_give_what_all_give_where_they_decide_and_background_where_none_looked():
    x = noise(60, 72, 40)
    points = np.argwhere(np.ones((10, 10, 10))) + (20, 30, 15)
    corners = contributing_tiles(points, x.shape[1:], (24, 32, 32))
    result = predict_tiles(Contrast(), x, (24, 32, 32), padding=[0.0], corners=corners)
    covered = np.zeros(x.shape[1:], dtype=bool)
    for k, j, i in corners:
        covered[k : k + 24, j : j + 32, i : i + 32] = True
    assert covered[tuple(points.T)].all() and not covered.all()
    assert np.allclose(result[covered], x[0][covered], atol=1e-5) and (result[~covered] == BACKGROUND).all()


@pytest.mark.parametrize("step", [0.5, 0.25, 0.125])
def test_every_voxel_that_is_wanted_is_covered_however_many_tiles_share_it(step):
    """At an eighth of a tile apart no tile of 32 voxels has a fifth of the weights anywhere away from the border."""
    points = np.argwhere(np.ones((6, 6, 6))) + 33
    corners = np.array(contributing_tiles(points, (72, 72, 72), (32, 32, 32), step))
    inside = (points[:, None] >= corners) & (points[:, None] < corners + 32)
    assert inside.all(axis=2).any(axis=1).all()

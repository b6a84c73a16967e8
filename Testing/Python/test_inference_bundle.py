"""A bundle at work: its probability lies on the scan's grid, where the anatomy is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import BALL_RADIUS_MM, OBLIQUE, Contrast, ball, centroid, small_card, small_plan, weights_for  # noqa: E402

from LAScarSegLib.errors import Cancelled, InputError  # noqa: E402
from LAScarSegLib.inference import tiles  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.inference.region import check_found  # noqa: E402
from LAScarSegLib.models.bundle import write_bundle  # noqa: E402
from LAScarSegLib.models.card import Channel, NetworkSpec, Preprocessing  # noqa: E402
from LAScarSegLib.networks import build  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors  # noqa: E402
from LAScarSegLib.support.progress import Progress  # noqa: E402
from LAScarSegLib.systems import SYSTEMS  # noqa: E402
from LAScarSegLib.systems.uncertainty import entropy_map  # noqa: E402
from LAScarSegLib.volumes.volume import Box, Geometry, Volume  # noqa: E402

FLIPPED = (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
LEFT_HANDED = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
GRIDS = {
    "oblique, thick slices": ((1.0, 1.0, 2.5), (64, 62, 26), OBLIQUE),
    "oblique, anisotropic in three directions": ((0.9, 1.6, 3.0), (72, 40, 22), OBLIQUE),
    "sagittal, flipped": ((1.5, 1.5, 1.5), (42, 44, 46), FLIPPED),
    "left-handed": ((1.25, 1.25, 2.0), (52, 50, 33), LEFT_HANDED),
}


def cavity_model(network, options=InferenceOptions(), coarse=None, progress=None, **changes) -> BundleCavityModel:
    """A model whose fine network is `network`, and whose coarse one, where asked for, is `coarse`."""
    card = small_card(coarse=coarse is not None, **changes)
    return BundleCavityModel(card, lambda spec, fold: coarse if spec == card.coarse else network, options, progress)


@pytest.mark.parametrize("resampling", ["linear", "nnunet"])
@pytest.mark.parametrize("orientation", ["lps", "stored"])
@pytest.mark.parametrize("grid", GRIDS)
def test_the_probability_lies_where_the_anatomy_is(grid, orientation, resampling):
    spacing, size, direction = GRIDS[grid]
    volume, centre = ball(spacing, size, direction)
    how = Preprocessing(resampling=resampling, orientation=orientation)
    probability = cavity_model(Contrast(level=0.5, gain=8.0), preprocessing=how).predict(volume)
    assert probability.geometry == volume.geometry and probability.array.dtype == np.float32
    found = Volume((probability.array > 0.5).astype(float), probability.geometry)
    # A shift by half a voxel of the network's grid would be 1 mm.
    assert np.linalg.norm(centroid(found) - centre) < 0.15
    assert np.linalg.norm(centroid(volume) - centre) < 0.05


def test_the_volume_is_kept():
    volume, _ = ball((1.0, 1.0, 2.0), (64, 64, 32))
    # The network's edge where the intensity is one half of the highest, which is where the ball ends.
    level = (500.0 - volume.array.mean()) / volume.array.std()
    probability = cavity_model(Contrast(level=level, gain=8.0)).predict(volume)
    found_ml = (probability.array > 0.5).sum() * volume.geometry.voxel_volume_ml
    assert found_ml == pytest.approx(4 / 3 * np.pi * BALL_RADIUS_MM**3 / 1000, rel=0.02)


def test_a_region_first_gives_the_same_as_the_whole_scan_and_the_fine_network_sees_less():
    volume, _ = ball((2.0, 2.0, 2.0), (120, 110, 100))
    first, whole = Contrast(level=1.0, gain=8.0), Contrast(level=1.0, gain=8.0)
    found = cavity_model(first, coarse=Contrast(level=1.0, gain=8.0)).predict(volume)
    seen = cavity_model(whole, InferenceOptions(region_first=False), coarse=Contrast()).predict(volume)
    assert len(first.seen) < len(whole.seen) / 4
    inside = found.array > 0
    assert np.allclose(found.array[inside], seen.array[inside], atol=1e-4)
    assert ((seen.array > 0.5) & ~inside).sum() == 0


class PlaceInTile(Contrast):
    """Its opinion depends on where in a tile something lies, as any network's does near a tile's border."""

    def forward(self, x):
        logits = super().forward(x)
        return logits + torch.linspace(-8.0, 8.0, x.shape[-1]) * torch.tensor([0.0, 1.0]).reshape(1, 2, 1, 1, 1)


@pytest.mark.parametrize("how", [{}, {"resampling": "nnunet"}, {"statistics": "nonzero_box"}], ids=str)
def test_what_a_network_of_whole_scans_finds_does_not_depend_on_whether_the_region_was_found_first(how, monkeypatch):
    """Some of the whole scan's tiles, where they lie there: with every tile that touches the atrium there is no difference at all."""
    volume, _ = ball((1.5, 1.25, 2.4), (128, 140, 90))
    if "statistics" in how:
        volume = Volume(np.pad(volume.array + 1.0, ((5, 9), (20, 4), (0, 31))), replace(volume.geometry, size=(159, 164, 104)))
    sides = {}
    for least in (0.0, tiles.MIN_TILE_WEIGHT):
        monkeypatch.setattr(tiles, "MIN_TILE_WEIGHT", least)
        for first in (True, False):
            network = PlaceInTile(level=1.5, gain=8.0)
            coarse, options = Contrast(level=1.0, gain=8.0), InferenceOptions(region_first=first)
            model = cavity_model(network, options, coarse, preprocessing=Preprocessing(**how))
            sides[least, first] = model.predict(volume).array, len(network.seen)
    exact, some, all_of_it = sides[0.0, True][0], sides[tiles.MIN_TILE_WEIGHT, True][0], sides[0.0, False][0]
    seen = binary_erosion(exact > 0, iterations=4)
    assert 0.1 < all_of_it[seen].mean() < 0.9 and np.abs(exact - all_of_it)[seen].max() < 1e-3
    # The fifth that may be left out moves a few voxels in a hundred of opinions this far apart: within a tile they change by 16.
    assert np.abs(some - all_of_it)[seen].mean() < 0.02
    assert sides[tiles.MIN_TILE_WEIGHT, True][1] < sides[0.0, True][1] < sides[0.0, False][1]


def test_the_users_region_overrides_the_coarse_pass():
    volume, centre = ball((2.0, 2.0, 2.0), (120, 110, 100))
    coarse, fine = Contrast(), Contrast(level=1.0, gain=8.0)
    k, j, i = np.round(volume.geometry.lps_to_index(centre[None])[0][::-1]).astype(int)
    roi = Box((k - 12, j - 12, i - 12), (k + 12, j + 12, i + 12))
    probability = cavity_model(fine, InferenceOptions(roi=roi), coarse=coarse).predict(volume)
    assert coarse.seen == [] and len(fine.seen) == 1
    assert np.linalg.norm(centroid(Volume((probability.array > 0.5).astype(float), probability.geometry)) - centre) < 0.15


def test_a_small_region_is_seen_with_as_much_around_it_as_a_patch_holds():
    """A network that was trained on patches of 64 mm has never judged 20 mm on their own."""
    volume, centre = ball((2.0, 2.0, 2.0), (120, 110, 100))
    k, j, i = np.round(volume.geometry.lps_to_index(centre[None])[0][::-1]).astype(int)
    probability = cavity_model(Contrast(level=0.5, gain=0.1), InferenceOptions(roi=Box((k, j, i), (k + 10, j + 10, i + 10)))).predict(volume)
    # This network is nowhere quite sure, so what was seen is above 0.
    assert np.argwhere(probability.array > 0).min(axis=0).tolist() == [k - 11, j - 11, i - 11]
    assert np.count_nonzero(probability.array) == 32**3


def test_a_region_outside_the_scan_is_refused():
    volume, _ = ball((2.0, 2.0, 2.0), (60, 60, 60))
    options = InferenceOptions(roi=Box((70, 70, 70), (80, 80, 80)))
    with pytest.raises(InputError, match="outside the scan"):
        cavity_model(Contrast(), options).predict(volume)


@pytest.mark.parametrize("coarse", [None, Contrast(level=1e6)])
def test_a_scan_without_a_left_atrium_says_so_and_asks_for_a_region(coarse):
    noise = np.random.default_rng(0).normal(100, 20, (40, 50, 60)).astype(np.float32)
    volume = Volume(noise, Geometry((60, 50, 40), (2.0, 2.0, 2.0)))
    with pytest.raises(InputError, match="left atrium was not found.*region of interest"):
        cavity_model(Contrast(level=1e6), coarse=coarse).predict(volume)


def test_in_a_scan_cropped_around_the_heart_nothing_has_to_be_found_first():
    blind = Contrast(level=1e6)
    cropped, _ = ball((2.0, 2.0, 2.0), (75, 60, 60))
    half = (500.0 - cropped.array.mean()) / cropped.array.std()
    found = cavity_model(Contrast(level=half, gain=8.0), coarse=blind).predict(cropped)
    assert (found.array > 0.5).sum() * 0.008 == pytest.approx(4 / 3 * np.pi * BALL_RADIUS_MM**3 / 1000, rel=0.05)
    larger, _ = ball((2.0, 2.0, 2.0), (76, 60, 60))
    with pytest.raises(InputError, match="coarse pass saw 0.0 mL"):
        cavity_model(Contrast(level=1.0, gain=8.0), coarse=blind).predict(larger)


def test_less_than_ten_millilitres_are_no_left_atrium():
    # Voxels of 2 × 2.5 × 2 mm, 0.01 mL each.
    mask = np.zeros((10, 10, 10), dtype=bool)
    check_found(~mask, (2.0, 2.5, 2.0), "network")
    mask[1:] = True
    with pytest.raises(InputError, match=r"saw 9\.0 mL, at least 10 mL"):
        check_found(mask, (2.0, 2.5, 2.0), "network")


def test_folds_give_their_mean_probability_or_the_probability_of_their_mean_logit():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    levels = (0.0, 1.0)

    def networks(spec, fold):
        return Contrast(level=levels[fold], gain=6.0)

    def predict(ensemble):
        card = small_card(folds=2, preprocessing=Preprocessing(ensemble=ensemble, orientation="stored"))
        return BundleCavityModel(card, networks).predict(volume).array

    z = (volume.array - volume.array.mean()) / volume.array.std()
    each = [1 / (1 + np.exp(-6.0 * (z - level))) for level in levels]
    assert np.allclose(predict("probability"), (each[0] + each[1]) / 2, atol=1e-4)
    assert np.allclose(predict("logits"), 1 / (1 + np.exp(-6.0 * (z - 0.5))), atol=1e-4)


def test_a_graphics_card_may_not_choose_its_algorithms_by_their_speed():
    """cuDNN's choice differs from run to run, and so do the last digits; what was set before comes back."""
    cudnn = torch.backends.cudnn
    before, seen = (cudnn.deterministic, cudnn.benchmark), []

    class Watching(Contrast):
        def forward(self, x):
            seen.append((cudnn.deterministic, cudnn.benchmark))
            return super().forward(x)

    cavity_model(Watching(level=0.5, gain=8.0)).predict(ball((2.0, 2.0, 2.0), (48, 48, 48))[0])
    assert set(seen) == {(True, False)} and (cudnn.deterministic, cudnn.benchmark) == before


def test_entropy_is_a_bit_where_nothing_is_known():
    probability = Volume(np.array([[[0.0, 0.5, 1.0, 0.25]]], dtype=np.float32), Geometry((4, 1, 1)))
    # −¼ log₂ ¼ − ¾ log₂ ¾
    assert np.allclose(entropy_map(probability).array, [[[0.0, 1.0, 0.0, 0.5 + 0.75 * np.log2(4 / 3)]]])


def test_statistics_of_the_non_zero_box_leave_a_black_frame_out():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    framed = Volume(np.pad(volume.array, 9), replace(volume.geometry, size=(66, 66, 66)))
    how = Preprocessing(statistics="nonzero_box", orientation="stored")
    plain = cavity_model(Contrast(gain=6.0), preprocessing=how).predict(volume).array
    inside = cavity_model(Contrast(gain=6.0), preprocessing=how).predict(framed).array
    assert np.allclose(inside[9:-9, 9:-9, 9:-9], plain, atol=1e-5)
    assert inside[:9].max() == 0.0


REGION_STATISTICS = Preprocessing(statistics="region", orientation="stored")


def in_a_bright_room(volume: Volume, voxels: int) -> Volume:
    """The scan with something ten times as bright around it: another mean, another SD."""
    around = np.random.default_rng(4).normal(8000.0, 900.0, [n + 2 * voxels for n in volume.array.shape]).astype(np.float32)
    around[(slice(voxels, -voxels),) * 3] = volume.array
    return Volume(around, replace(volume.geometry, size=tuple(n + 2 * voxels for n in volume.geometry.size)))


def test_statistics_of_the_region_are_the_same_whatever_lies_outside_it():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    alone = cavity_model(Contrast(gain=6.0), preprocessing=REGION_STATISTICS).predict(volume).array
    roi = InferenceOptions(roi=Box((9, 9, 9), (57, 57, 57)))
    framed = cavity_model(Contrast(gain=6.0), roi, preprocessing=REGION_STATISTICS).predict(in_a_bright_room(volume, 9)).array
    assert np.array_equal(framed[9:-9, 9:-9, 9:-9], alone)
    z = (volume.array - volume.array.mean()) / volume.array.std()
    assert np.allclose(alone, 1 / (1 + np.exp(-6.0 * z)), atol=1e-4)


def test_a_coarse_network_knows_the_whole_scan_and_the_fine_one_its_region():
    volume, _ = ball((2.0, 2.0, 2.0), (120, 110, 100))
    coarse, fine = Contrast(level=1.0, gain=8.0), Contrast(level=1.0, gain=8.0)
    found = cavity_model(fine, coarse=coarse, preprocessing=REGION_STATISTICS).predict(volume).array
    seen = Box.around(found > 0, 0.0, (2.0, 2.0, 2.0)).slices
    z = (volume.array[seen] - volume.array[seen].mean()) / volume.array[seen].std()
    assert np.allclose(found[seen], 1 / (1 + np.exp(-8.0 * (z - 1.0))), atol=1e-3)
    assert volume.array[seen].mean() > 2 * volume.array.mean()


def test_a_scar_network_with_statistics_of_its_region_sees_no_more_than_that():
    volume, _ = ball((2.0, 2.0, 2.0), (64, 64, 64))
    card = small_card("scar", preprocessing=REGION_STATISTICS)

    def scar(scan: Volume, cavity: Volume) -> np.ndarray:
        options = InferenceOptions(mask_prediction=False)
        return BundleScarModel(card, lambda spec, fold: Contrast(gain=6.0), options).predict(scan, cavity).array

    cavity = cavity_of(volume)
    room = in_a_bright_room(volume, 9)
    framed = scar(room, room.like(np.pad(cavity.array, 9)))
    assert np.array_equal(framed[9:-9, 9:-9, 9:-9], scar(volume, cavity))


def test_progress_grows_and_a_cancellation_ends_the_work():
    volume, _ = ball((2.0, 2.0, 2.0), (90, 90, 90))
    events = []
    network = Contrast(level=1.0, gain=8.0)
    cavity_model(network, coarse=Contrast(level=1.0, gain=8.0), progress=Progress(events.append)).predict(volume)
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] < 1.0
    assert [event.stage for event in events][0] == "find" and events[-1].stage == "cavity"

    stopped = Contrast()
    with pytest.raises(Cancelled):
        cavity_model(stopped, progress=Progress(is_cancelled=lambda: len(stopped.seen) >= 2)).predict(volume)
    assert len(stopped.seen) == 2


def test_a_bundle_on_disk_gives_what_its_network_gives(tmp_path):
    # One tile at the network's own spacing: nothing but the network is left. The threshold finds a "left atrium" in noise.
    card = small_card(threshold=0.01, preprocessing=Preprocessing(orientation="stored"))
    bundle = write_bundle(card, weights_for(card), tmp_path / "model.zip")
    volume, _ = ball((2.0, 2.0, 2.0), (32, 32, 32))
    z = ((volume.array - volume.array.mean()) / volume.array.std()).astype(np.float32)
    with torch.inference_mode():
        expected = torch.softmax(build(card.fine.plan, seed=0).eval()(torch.from_numpy(z)[None, None]), dim=1)[0, 1].numpy()
    assert np.allclose(BundleCavityModel.from_bundle(bundle).predict(volume).array, expected, atol=1e-5)


def test_weights_of_another_network_are_refused(tmp_path):
    card = small_card()
    other = replace(small_plan(), features=(4, 6, 10))
    bundle = write_bundle(card, {"fold_0.safetensors": pack_tensors(build(other, seed=0).state_dict())}, tmp_path / "model")
    volume, _ = ball((2.0, 2.0, 2.0), (32, 32, 32))
    with pytest.raises(InputError, match="fold_0.safetensors does not fit the network"):
        BundleCavityModel.from_bundle(bundle).predict(volume)


def test_a_simulated_bundle_flags_every_result():
    volume, _ = ball((2.0, 2.0, 2.0), (48, 48, 48))
    flags = cavity_model(Contrast(gain=6.0), simulated=True).predict(volume).flags
    assert [flag.code for flag in flags] == ["simulated"] and flags[0].severity == "warning"


class Distance(torch.nn.Module):
    """Foreground where one of the input's distance channels is positive."""

    def __init__(self, channel: int, gain: float = 80.0) -> None:
        super().__init__()
        self.channel, self.gain = channel, gain

    def forward(self, x):
        logit = self.gain / 2 * x[:, self.channel : self.channel + 1]
        return torch.cat([-logit, logit], dim=1)


def cavity_of(volume: Volume) -> Volume:
    return volume.like((volume.array > 500).astype(np.uint8))


@pytest.mark.parametrize("grid", GRIDS)
def test_a_scar_network_gets_the_cavitys_distances_where_the_cavity_is(grid):
    spacing, size, direction = GRIDS[grid]
    volume, centre = ball(spacing, size, direction)
    cavity = cavity_of(volume)
    card = small_card("scar")
    options = InferenceOptions(mask_prediction=False)
    probability = BundleScarModel(card, lambda spec, fold: Distance(1), options).predict(volume, cavity)
    found = volume.like((probability.array > 0.5).astype(float))
    dice = 2 * (found.array * cavity.array).sum() / (found.array.sum() + cavity.array.sum())
    assert np.linalg.norm(centroid(found) - centroid(cavity)) < 0.2
    assert dice > 0.95


def test_the_prediction_is_kept_inside_the_region_around_the_wall_unless_asked_otherwise():
    volume, _ = ball((1.0, 1.0, 2.5), (64, 62, 26))
    card = small_card("scar")

    def scar(masked):
        model = BundleScarModel(card, lambda spec, fold: Contrast(level=-1e6), InferenceOptions(mask_prediction=masked))
        return model.predict(volume, cavity_of(volume)).array

    free, kept = scar(False), scar(None)
    depth = np.abs(
        np.linalg.norm(
            np.indices(volume.array.shape) - np.array(np.unravel_index(np.argmax(volume.array), volume.array.shape))[:, None, None, None],
            axis=0,
        )
    )
    assert (free > 0.5).sum() > 4 * (kept > 0.5).sum() > 0
    # The band is some mm around the surface: the ball's middle is not in it.
    assert kept[depth < 2].max() == 0.0


def test_a_cavity_on_another_grid_or_an_empty_one_is_refused():
    volume, _ = ball((2.0, 2.0, 2.0), (40, 40, 40))
    model = BundleScarModel(small_card("scar"), lambda spec, fold: Contrast())
    with pytest.raises(InputError, match="another grid"):
        model.predict(volume, ball((2.0, 2.0, 2.0), (41, 40, 40))[0])
    with pytest.raises(InputError, match="cavity is empty"):
        model.predict(volume, volume.like(np.zeros_like(volume.array)))


def test_a_channel_with_statistics_over_the_scan_is_the_same_wherever_the_region_is():
    # boundary_focused z-scores its distance map over the whole scan.
    stage = SYSTEMS["boundary_focused"].scar
    channels = tuple(Channel(c.name, "none" if n else "zscore", c.padding) for n, c in enumerate(stage.channels))
    spec = NetworkSpec(small_plan(len(channels)), (2.0, 2.0, 2.0), (16, 16, 16), ("fold_0.safetensors",))
    card = small_card("scar", system="boundary_focused", channels=channels, fine=spec)
    volume, _ = ball((2.0, 2.0, 2.0), (70, 70, 70))
    first, whole = (
        BundleScarModel(card, lambda spec, fold: Distance(1, gain=1.0), InferenceOptions(region_first=region))
        .predict(volume, cavity_of(volume))
        .array
        for region in (True, False)
    )
    assert 0.01 < (first > 0).mean() < 0.5 and (whole > 0).all()
    assert np.allclose(first[first > 0], whole[first > 0], atol=1e-4)

"""mtl_sesa (Li et al. 2020): its network, its crop, its training, and one run of it for cavity and scar."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="augmentation needs MONAI")
pytest.importorskip("lightning", reason="training needs Lightning")

from small_scan import flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan  # noqa: E402
from training_data import CUBE, one_thread, write_cases  # noqa: E402, F401
from vtkmodules.util.numpy_support import vtk_to_numpy  # noqa: E402
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader  # noqa: E402

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort  # noqa: E402
from LAScarSegLib.datasets.training_cases import find_training_cases  # noqa: E402
from LAScarSegLib.errors import AtriumNotFound, InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.models.card import ModelCard, NetworkSpec  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import NetworkPlan, build, read_plan  # noqa: E402
from LAScarSegLib.networks.shared_encoder_plan import SharedEncoderPlan  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors  # noqa: E402
from LAScarSegLib.phantom import PhantomSettings  # noqa: E402
from LAScarSegLib.systems import find_system  # noqa: E402
from LAScarSegLib.training.cavities import TrainedCavityModel  # noqa: E402
from LAScarSegLib.training.preparation import prepare  # noqa: E402
from LAScarSegLib.training.run_folder import TrainingRun, read_run  # noqa: E402
from LAScarSegLib.training.scar_labels import ScarPlacement, notes_of  # noqa: E402
from LAScarSegLib.training.settings import TrainingSettings  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Box, Geometry, Volume  # noqa: E402

SYSTEM = find_system("mtl_sesa")
JOINT = SYSTEM.stage("joint")
MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=1)
OPTIONS = InferenceOptions(device="cpu")
BLOOD_LEVEL, SCAR_LEVEL = 180.0, 250.5
"""Grey levels of the small scan between wall and blood, and between blood and scar."""
LEAST_PCT, MOST_PCT = 11.7, 19.2
"""A cap of 40° is (1 − cos 40°) / 2 = 11.7 % of a sphere. What touches it in voxels of 1.25 mm reaches their diagonal of 2.2 mm farther, and in
slices of 2.5 mm one slice more: 12° of a radius of 22 mm, (1 − cos 52°) / 2 = 19.2 %."""


# The network


def test_the_papers_network_has_the_parameters_of_the_public_code() -> None:
    # 7.76 and 5.65 million: by hand, 27·i·o a convolution, 2·o a norm, 8·i·o + o a transposed convolution.
    encoder, before = 0, 1
    for width in (16, 32, 64, 128, 256):
        encoder, before = encoder + 27 * width * (before + width) + 4 * width, width
    decoder = sum(8 * 2 * w * w + w + 27 * 3 * w * w + 4 * w for w in (16, 32, 64, 128))
    expected = {"joint": encoder + 2 * decoder + 17 * 3, "cavity": encoder + decoder + 17, "scar": encoder + decoder + 17 * 2}
    for key, count in expected.items():
        plan = SYSTEM.stage(key).preset("paper").plan
        with torch.device("meta"):
            assert sum(weight.numel() for weight in build(plan).parameters()) == count
        assert plan.parameters < count < 1.01 * plan.parameters
    assert (round(expected["joint"] / 1e6, 2), round(expected["cavity"] / 1e6, 2)) == (7.76, 5.65)


def test_the_papers_numbers() -> None:
    paper, recipe = JOINT.preset("paper"), JOINT.phases[0].optimiser
    assert (paper.spacing_kji, paper.crop_kji, paper.patch_kji, paper.batch_size) == ((1.0, 1.0, 1.0), (80, 208, 208), (80, 208, 208), 2)
    assert (paper.statistics, paper.crop_around) == ("region", "atrium")
    assert (recipe.kind, recipe.learning_rate, recipe.momentum, recipe.nesterov, recipe.weight_decay) == ("sgd", 1e-3, 0.9, False, 1e-4)
    rates = [recipe.rate(step, 250, paper.epochs) for step in (0, 3999, 4000, 7999, 8000, 11_999)]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5]) and paper.epochs * recipe.iterations_per_epoch == 12_000


def test_two_decoders_share_an_encoder_and_nothing_else() -> None:
    plan = SharedEncoderPlan(1, (1, 2), (3, 4, 5))
    both, x = build(plan, 1).eval(), torch.randn((2, 1, 8, 12, 16), generator=torch.Generator().manual_seed(0))
    assert both(x).shape == (2, 3, 8, 12, 16)
    for number, channels in enumerate((slice(0, 1), slice(1, 3))):
        alone = build(replace(plan, heads=(plan.heads[number],)), 2).eval()
        alone.load_state_dict({name: both.state_dict()[name.replace("decoders.0", f"decoders.{number}")] for name in alone.state_dict()})
        torch.testing.assert_close(alone(x), both(x)[:, channels])
    both.train()(x)[:, 1:].sum().backward()
    moved = {name for name, weight in both.named_parameters() if weight.grad is not None and weight.grad.abs().sum() > 0}
    assert not any(name.startswith("decoders.0") for name in moved) and any(name.startswith("encoder.0") for name in moved)


def test_the_network_is_the_u_net_written_out_by_hand() -> None:
    network = build(SharedEncoderPlan(1, (2,), (2, 3)), 4)
    x = torch.randn((1, 1, 4, 4, 6), generator=torch.Generator().manual_seed(1))
    w, f = dict(network.state_dict()), torch.nn.functional

    def twice(values: torch.Tensor, name: str) -> torch.Tensor:
        for convolution, norm in ((0, 1), (3, 4)):
            values = f.conv3d(values, w[f"{name}.{convolution}.weight"], padding=1)
            mean, variance = values.mean((0, 2, 3, 4), keepdim=True), values.var((0, 2, 3, 4), unbiased=False, keepdim=True)
            values = torch.relu((values - mean) / torch.sqrt(variance + 1e-5))
        return values

    first = twice(x, "encoder.0")
    deep = twice(f.max_pool3d(first, 2), "encoder.1")
    up = f.conv_transpose3d(deep, w["decoders.0.up.0.weight"], w["decoders.0.up.0.bias"], stride=2)
    last = twice(torch.cat([first, up], dim=1), "decoders.0.levels.0")
    torch.testing.assert_close(network.train()(x), f.conv3d(last, w["decoders.0.head.weight"], w["decoders.0.head.bias"]))


@pytest.mark.parametrize(("change", "words"), [
    ({"features": (16,)}, "2 to 10 stages"), ({"heads": ()}, "1 to 8 decoders"), ({"heads": (0,)}, "from 1 to 1024"),
    ({"features": 3}, "must be lists"), ({"extra": 1}, "unknown extra"), ({"architecture": "unet"}, "'unet'; known are"),
])  # fmt: skip
def test_a_plan_that_cannot_be_is_refused(change: dict, words: str) -> None:
    plan = SharedEncoderPlan(1, (1, 2), (16, 32))
    assert read_plan(plan.to_json()) == plan and plan.out_channels == 3 and plan.divisor == (2, 2, 2)
    with pytest.raises(InputError, match=words):
        read_plan(plan.to_json() | change)


@pytest.mark.parametrize(("key", "variant", "masks", "targets"), [
    ("joint", "full", ("cavity", "scar"), {"outside_mm", "wall_and_scar", "cavity_boundary"}),
    ("joint", "se", ("cavity", "scar"), {"outside_mm", "wall_and_scar"}),
    ("joint", "bce", ("cavity", "scar"), set()),
    ("cavity", "full", ("cavity",), {"outside_mm"}),
    ("cavity", "bce", ("cavity",), set()),
    ("scar", "full", ("scar",), {"wall_and_scar"}),
    ("scar", "bce", ("scar",), set()),
    ("scar", "dice", ("scar",), set()),
])  # fmt: skip
def test_every_row_of_the_papers_tables_is_a_variant(key: str, variant: str, masks: tuple, targets: set) -> None:
    stage = SYSTEM.stage(key, variant)
    assert stage.produces == masks and {target.name for target in stage.targets} == targets
    # What the losses ask for is what the description makes, on a block of 40 mm with scar on one side.
    cavity = np.zeros((24, 24, 24), dtype=bool)
    cavity[4:20, 4:20, 4:20] = True
    scar = np.zeros_like(cavity)
    scar[4:20, 4:20, 20:22] = True
    made = {target.name: torch.from_numpy(target.of({"cavity": cavity, "scar": scar}, (2.5,) * 3))[None] for target in stage.targets}
    drawn = np.stack([{"cavity": cavity, "scar": scar}[name] for name in masks])
    network = build(stage.preset("tiny").plan, 0)
    outputs = network(torch.randn((1, 1, 24, 24, 24), generator=torch.Generator().manual_seed(0)))
    from LAScarSegLib.losses import Moment
    from LAScarSegLib.losses.objective import minimised

    minimised(stage.loss(), outputs, {"target": torch.from_numpy(drawn)[None].float(), **made}, lambda: Moment(0, 0, 1)).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in network.parameters())


# The crop


def off_centre() -> tuple[Volume, np.ndarray]:
    """Noise of 60 × 100 × 100 voxels of 2 mm with a bright ball of 16 mm around (40, 70, 30), and that ball."""
    k, j, i = np.indices((60, 100, 100))
    ball = (k - 40) ** 2 + (j - 70) ** 2 + (i - 30) ** 2 <= 8**2
    array = np.random.default_rng(0).normal(100.0, 5.0, ball.shape).astype(np.float32)
    array[ball] += 100.0
    return Volume(array, Geometry((100, 100, 60), (2.0, 2.0, 2.0))), ball


class Reads(torch.nn.Module):
    """Logits that are high where the z-scored scan is bright: of the coarse network two channels, of the fine one three."""

    def __init__(self, channels: int, level: float = 2.0) -> None:
        super().__init__()
        self.channels, self.level = channels, level

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        bright = 5.0 * (x - self.level)
        return torch.cat([-bright, bright], dim=1) if self.channels == 2 else torch.cat([bright, bright, -bright], dim=1)


def cropping_card(**changes) -> ModelCard:
    """A joint network that sees 24 × 40 × 40 voxels of 2 mm, and a coarse one of 4 mm."""
    size = replace(JOINT.preset("tiny"), spacing_kji=(2.0,) * 3, patch_kji=(24, 40, 40), crop_kji=(24, 40, 40))
    coarse = NetworkSpec(NetworkPlan(1, 2, (4, 8, 8), CUBE, ((3, 3, 3),) * 3), (4.0,) * 3, (16, 16, 16), ("coarse.safetensors",))
    return replace(TrainingSettings("mtl_sesa", "joint", "", size).card(), coarse=coarse, **changes)


def seen_part(card: ModelCard, coarse_level: float = 2.0, **options) -> tuple[list[int], set[str]]:
    """Where the crop begins that a cavity model of the card looks at, and the codes of its remarks."""
    scan, _ = off_centre()
    networks = lambda spec, fold: Reads(2, coarse_level) if spec is card.coarse else Reads(3)  # noqa: E731
    found = BundleCavityModel(card, networks, InferenceOptions(device="cpu", **options)).predict(scan)
    where = np.argwhere(found.array > 0)
    assert tuple(where.max(axis=0) - where.min(axis=0) + 1) == (24, 40, 40)
    return where.min(axis=0).tolist(), {flag.code for flag in found.flags}


def test_in_use_the_crop_lies_around_the_atrium_that_the_coarse_network_finds() -> None:
    start, codes = seen_part(cropping_card())
    # 40 − 12, 70 − 20, 30 − 20, and a coarse voxel is two fine ones.
    assert start == pytest.approx([28, 50, 10], abs=2) and "crop_in_the_middle" not in codes


def test_where_no_atrium_is_found_first_the_crop_lies_in_the_middle_and_the_result_says_so() -> None:
    card = cropping_card()
    scan, ball = off_centre()
    with pytest.raises(InputError, match="left atrium was not found in the scan .the model saw"):
        seen_part(card, coarse_level=99.0)
    middle = scan.like(np.roll(scan.array, (-10, -20, 20), axis=(0, 1, 2)))
    networks = lambda spec, fold: Reads(2, 99.0) if spec is card.coarse else Reads(3)  # noqa: E731
    found = BundleCavityModel(card, networks, OPTIONS).predict(middle)
    where = np.argwhere(found.array > 0)
    assert where.min(axis=0).tolist() == [18, 30, 30] and {flag.code for flag in found.flags} == {"crop_in_the_middle"}
    assert np.array_equal(found.array > 0.5, np.roll(ball, (-10, -20, 20), axis=(0, 1, 2)))


def test_a_scar_alone_is_looked_for_around_the_cavity_that_was_given() -> None:
    card, (scan, ball) = cropping_card(), off_centre()
    model = BundleScarModel(card, lambda spec, fold: Reads(3), OPTIONS)
    found = model.predict(scan, scan.like(ball.astype(np.uint8)))
    # Carried 5 mm from the surface of the ball of 16 mm: all of it, and nothing of the rest.
    distance = 2.0 * np.sqrt(((np.indices(ball.shape) - np.array([40, 70, 30]).reshape(3, 1, 1, 1)) ** 2).sum(axis=0))
    assert (found.array[(distance > 14.0) & (distance < 18.0)] > 0).all() and not found.array[distance > 22.0].any()


class Keeps(Reads):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__(3)
        self.given: list[np.ndarray] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.given.append(x[0, 0].numpy().copy())
        return super().forward(x)


@pytest.mark.parametrize("told", ["by a coarse network", "by a cavity", "by a region of interest"])
def test_the_crops_grey_levels_are_those_of_the_crop_wherever_it_lies(told: str) -> None:
    card, (scan, ball), network = cropping_card(), off_centre(), Keeps()
    # Beyond the crop the scan is bright: the z-score of another part would see it.
    scan.array[:, :40] += 500.0
    networks = lambda spec, fold: Reads(2) if spec is card.coarse else network  # noqa: E731
    scan.array[ball] += 2000.0
    roi = Box((28, 50, 10), (52, 90, 50))
    if told == "by a cavity":
        BundleScarModel(card, networks, OPTIONS).predict(scan, scan.like(ball.astype(np.uint8)))
    else:
        options = replace(OPTIONS, roi=roi if told == "by a region of interest" else None)
        BundleCavityModel(card, networks, options).predict(scan)
    tile = network.given[-1]
    assert tile.shape == (24, 40, 40) and abs(tile.mean()) < 1e-3 and tile.std() == pytest.approx(1.0, abs=1e-3)


def test_in_training_the_crop_lies_around_a_predicted_atrium_and_never_around_the_label(tmp_path: Path) -> None:
    scan, ball = off_centre()
    scar = np.roll(ball, 8, axis=2) & ~ball
    folder = tmp_path / "data" / "train_1"
    folder.mkdir(parents=True)
    for name, array in (("enhanced", scan.array), ("atriumSegImgMO", ball.astype(np.uint8)), ("scarSegImgM", scar.astype(np.uint8))):
        write_volume(scan.like(array), folder / f"{name}.nii.gz")
    (case,), card = find_training_cases(tmp_path / "data", "scar"), replace(cropping_card(), coarse=None)
    crops = {}
    for name, told in (("none", None), ("empty", np.zeros_like(ball)), ("elsewhere", np.roll(ball, (-3, -3, 5), axis=(0, 1, 2)))):
        out = tmp_path / name
        out.mkdir()
        cavity_of = None if told is None else lambda sha256, image, told=told: told
        try:
            prepared = prepare(case, "0" * 64, card, JOINT, out, cavity_of)
        except InputError as error:
            crops[name] = str(error)
            continue
        crops[name] = prepared.labels(out)[0].sum()
    # The middle (18–42, 30–70, 30–70) holds no more than the edge of the ball; around (37, 67, 35) all of it lies in the crop.
    assert crops["none"] == crops["empty"] == ball[18:42, 30:70, 30:70].sum() and crops["elsewhere"] == ball.sum()


class FindsNothing:
    """A cavity model that sees no atrium."""

    def predict_mask(self, scan: Volume) -> Volume:
        raise AtriumNotFound("The left atrium was not found in the scan.")


def test_a_cavity_model_that_finds_no_atrium_leaves_the_crop_in_the_middle_and_the_run_says_so(tmp_path: Path, monkeypatch) -> None:
    cases = write_cases(tmp_path / "data", 2, labels=("atriumSegImgMO", "scarSegImgM"))
    size = replace(JOINT.preset("tiny"), spacing_kji=(4.0, 2.0, 2.0), crop_kji=(8, 12, 16))
    monkeypatch.setattr("LAScarSegLib.training.train.open_cavity_model", lambda path: TrainedCavityModel(path, FindsNothing(), frozenset()))
    told = start_run(settings_of(cases, size=size, cavities=("a model",)), tmp_path / "told")
    # The scar of these cases lies in the box that is their cavity, of which another note tells.
    words = "the given model found no left atrium, so the network sees the middle of the scan."
    assert told.notes[1:] == (f"train_1: {words}", f"train_2: {words}")
    alone = start_run(settings_of(cases, size=size), tmp_path / "alone")
    for case, same in zip(told.cases, alone.cases, strict=True):
        # 12 × 20 × 24 voxels, of which the middle ones.
        assert case.labels(told.prepared).shape == (2, 8, 12, 16) and alone.notes == told.notes[:1]
        assert np.array_equal(case.channels(told.prepared), same.channels(alone.prepared))
    # Another system's network, or one that sees no crop, takes no notice of cavities that it is not asked for.
    assert not settings_of(cases, size=replace(size, crop_around="middle"), cavities=("a model",)).crops_around_predictions


def test_a_label_outside_of_the_crop_is_refused_by_name(tmp_path: Path) -> None:
    cases = write_cases(tmp_path / "data", 2, labels=("atriumSegImgMO", "scarSegImgM"))
    size = replace(JOINT.preset("tiny"), spacing_kji=(4.0, 2.0, 2.0), crop_kji=(2, 4, 4))
    with pytest.raises(InputError, match="train_1: nothing of the scar is left at 4 × 2 × 2 mm in the 2 × 4 × 4 voxels that the network sees"):
        start_run(settings_of(cases, size=size), tmp_path / "run")
    assert not (tmp_path / "run").exists()


# Training


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mtl") / "cohort"
    return write_lascarqs_cohort(folder, 2, seed=11, settings=PhantomSettings(size=(96, 88, 36), spacing=(1.5, 1.5, 3.0)))


def settings_of(data: Path, **changes) -> TrainingSettings:
    values = {"system": "mtl_sesa", "stage": "joint", "data": str(data), "size": replace(JOINT.preset("tiny"), epochs=2), "preset": "tiny",
              "steps_per_epoch": 3, "folds": 2}  # fmt: skip
    return TrainingSettings(**(values | changes))


@pytest.fixture(scope="module")
def run(cohort: Path) -> TrainingRun:
    return train(start_run(settings_of(cohort), cohort.parent / "run"), MACHINE)


def test_it_trains_both_masks_and_goes_on_after_a_kill_as_if_nothing_was(run: TrainingRun, cohort: Path) -> None:
    scores = run.scores()["best"]
    assert set(scores["cases"][0]["products"]) == {"cavity", "scar"} and run.notes == ()
    stopped = start_run(run.settings, cohort.parent / "stopped")
    train(stopped, replace(MACHINE, max_steps=4))
    train(read_run(stopped.folder), MACHINE)
    once, twice = run.weights("last.ckpt"), stopped.weights("last.ckpt")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    # The norms' running means, which are no parameters, are kept as well.
    assert int(once["encoder.0.1.num_batches_tracked"]) == 6 and once["encoder.0.1.running_mean"].any()


def test_the_preset_has_a_learning_rate_of_its_own_and_the_user_the_last_word(cohort: Path) -> None:
    assert settings_of(cohort).recipe().learning_rate == 0.01
    assert settings_of(cohort, size=JOINT.preset("paper")).recipe().learning_rate == 1e-3
    assert settings_of(cohort, learning_rate=0.5).recipe().learning_rate == 0.5


def test_it_trains_and_is_packed_by_the_command_line(cohort: Path, tmp_path: Path, capfd, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("--preset", "tiny", "--steps-per-epoch", 1, "--folds", 2, "--device", "cpu", "--workers", 0)
    trained = lascarseg(capfd, "train", "mtl_sesa", "scar", "--anatomy", "truth", "--data", cohort, "-o", "run", *arguments)
    assert trained.code == 0 and "Trained 1 of 1 steps" in trained.out, trained.err
    assert lascarseg(capfd, "models", "export", "run", "-o", "scar.zip").code == 0
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    assert lascarseg(capfd, "models", "add", "scar.zip").code == 0
    content = json.loads(next((tmp_path / "store").rglob("model.json")).read_text())
    assert content["preprocessing"]["crop"] == [32, 84, 84] and content["preprocessing"]["crop_around"] == "atrium"
    plan = {"architecture": "shared_encoder_unet", "features": [4, 8, 16], "heads": [2], "in_channels": 1}
    assert content["networks"]["scar"]["plan"] == plan


# Odd labels


def test_scars_inside_the_cavity_or_off_its_wall_are_told_by_their_share() -> None:
    cavity = np.zeros((20, 20, 20), dtype=bool)
    cavity[5:15, 5:15, 5:15] = True
    scar = np.zeros((20, 20, 24), dtype=bool)
    cavity = np.pad(cavity, ((0, 0), (0, 0), (0, 4)))
    # Eight voxels of 1 mm on the wall, one 5 mm deep in the cavity, one 6 mm outside of it.
    scar[8, 6:14, 15], scar[9, 9, 9], scar[9, 9, 20] = True, True, True
    assert ScarPlacement.of(scar, cavity, (1.0, 1.0, 1.0)) == ScarPlacement(0.1, 0.1)
    placed = {"a": (0.1, 0.0), "b": (0.0, 0.005), "c": (0.0, 0.25), "d": (0.0, 0.0, True)}
    notes = notes_of({name: ScarPlacement(*values) for name, values in placed.items()})
    assert [note[:60] for note in notes] == [
        "Scar labels inside the cavity, more than 3 mm from its surfa", "Scar labels off its wall, more than 5 mm from its surface: c",
        "Without any scar: d. All of the wall there is taken for heal",
    ]  # fmt: skip
    assert "a (10 %)" in notes[0] and "c (25 %)" in notes[1] and "kept" in notes[0]


def test_a_case_without_scar_and_one_with_scar_in_the_cavity_are_trained_on_and_told(cohort: Path, tmp_path: Path) -> None:
    shutil.copytree(cohort, tmp_path / "data")
    cases = tmp_path / "data" / "task1" / "train_data"
    for name, change in (("train_1", lambda scar, cavity: 0 * scar), ("train_2", lambda scar, cavity: cavity)):
        scar, cavity = (read_volume(cases / name / f"{file}.nii.gz") for file in ("scarSegImgM", "atriumSegImgMO"))
        write_volume(scar.like(change(scar.array, cavity.array)), cases / name / "scarSegImgM.nii.gz")
    run = train(start_run(settings_of(tmp_path / "data", steps_per_epoch=2), tmp_path / "run"), replace(MACHINE, max_steps=2))
    assert any("inside the cavity" in note and "train_2" in note for note in run.notes)
    assert any(note.startswith("Without any scar: train_1.") for note in run.notes)
    (healthy,) = run.part(["train_1"])
    wall, scar = healthy.target(run.prepared, "wall_and_scar")
    assert wall.max() == 1.0 and not scar.any() and np.isfinite(run.scores()["last"]["dice"])


# One run for both masks


def grey_level_reader(plan: SharedEncoderPlan, blood: float, scar: float) -> dict[str, torch.Tensor]:
    """Weights of a joint network that calls cavity what is brighter than `blood` and not than `scar`, and scar what is, or touches it."""
    network = build(plan, 0)
    weights = {name: torch.zeros_like(value) for name, value in network.state_dict().items()}
    for name in weights:
        if name.endswith("running_var"):
            weights[name] += 1.0
    for block in ("encoder.0", "decoders.0.levels.1", "decoders.1.levels.1"):
        for convolution in ("0", "3"):
            weights[f"{block}.{int(convolution) + 1}.weight"] += 1.0
            kernel = weights[f"{block}.{convolution}.weight"]
            kernel[0, 0, 1, 1, 1] = 1.0
            # The scan is one channel; from there on the two are handed on.
            kernel[1, min(1, kernel.shape[1] - 1), 1, 1, 1] = 1.0
    weights["encoder.0.1.bias"][:2] = torch.tensor([-blood, -scar])
    weights["decoders.1.levels.1.0.weight"][1, 1] = 1.0
    weights["decoders.0.head.weight"][0, :2], weights["decoders.0.head.bias"][0] = torch.tensor([20.0, -200.0]).reshape(2, 1, 1, 1), -1.0
    weights["decoders.1.head.weight"][1, 1], weights["decoders.1.head.bias"][1] = 50.0, -5.0
    return weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: a scan, and a store with a joint model whose answer is known."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    only_data_files(monkeypatch)
    size = replace(JOINT.preset("tiny"), spacing_kji=(1.25,) * 3, patch_kji=(52, 52, 52), crop_kji=(64, 64, 64))
    array = small_scan()[0].array
    weights = grey_level_reader(size.plan, *((level - array.mean()) / array.std() for level in (BLOOD_LEVEL, SCAR_LEVEL)))
    card = replace(TrainingSettings("mtl_sesa", "joint", "", size).card(), name="mtl")
    ModelStore().keep_new(card, {"fold_0.safetensors": pack_tensors(weights)})
    return tmp_path


def runs_of(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The shapes of what the network is given, as it is given."""
    from LAScarSegLib.networks.shared_encoder_unet import SharedEncoderUNet

    seen, forward = [], SharedEncoderUNet.forward
    monkeypatch.setattr(SharedEncoderUNet, "forward", lambda self, x: (seen.append(tuple(x.shape)), forward(self, x))[1])
    return seen


def test_asked_for_both_masks_the_network_runs_once(folder: Path, capfd, monkeypatch) -> None:
    seen = runs_of(monkeypatch)
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "mtl", "--scar", "mtl", "-o", "out")
    assert outcome.code == 0, outcome.err
    # The whole scan is less than a patch; the processor takes a tile of this size twice.
    assert len(seen) == 1 and seen[0][1:] == (1, 52, 52, 52)
    cavity, truth = read_volume("out/cavity.nii.gz").array > 0, small_scan()[1].array > 0
    assert 2 * (cavity & truth).sum() / (cavity.sum() + truth.sum()) > 0.93
    assert LEAST_PCT < numbers(folder / "out")["scar_area_pct"]["value"] < MOST_PCT
    models = json.loads(Path("out/provenance.json").read_text())["models"]
    assert models["cavity"]["one_run"] == models["scar"]["one_run"] == ["cavity", "scar"]


def test_the_scar_is_there_as_voxels_of_the_wall_and_on_the_surface(folder: Path, capfd) -> None:
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "mtl", "--scar", "mtl", "-o", "out").code == 0
    probability, scar, wall = (read_volume(f"out/{name}.nii.gz").array for name in ("scar_probability", "scar", "wall"))
    assert scar.any() and np.array_equal((probability > 0.5) & (wall > 0), scar > 0)
    reader = vtkXMLPolyDataReader()
    reader.SetFileName("out/surface.vtp")
    reader.Update()
    surface = reader.GetOutput()
    on_surface, likely = (vtk_to_numpy(surface.GetPointData().GetArray(name)) for name in ("Scar", "ScarProbability"))
    z = vtk_to_numpy(surface.GetPoints().GetData())[:, 2]
    z = z - (z.min() + z.max()) / 2
    # The head-side pole is scar, the foot-side half is not, and the surface is scar where its probability is above one half.
    assert on_surface[z > 20.0].mean() > 0.9 and not on_surface[z < 0].any() and np.array_equal(on_surface > 0, likely > 0.5)


def test_the_cavity_alone_and_the_scar_alone_around_a_given_cavity(folder: Path, capfd, monkeypatch) -> None:
    seen = runs_of(monkeypatch)
    alone = lascarseg(capfd, "run", "image.nrrd", "--cavity", "mtl", "-o", "cavity")
    assert alone.code == 0 and len(seen) == 1, alone.err
    result = numbers(folder / "cavity")
    assert result["method"]["name"] == "iir" and list(json.loads(Path("cavity/provenance.json").read_text())["models"]) == ["cavity"]
    given = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "mtl", "-o", "scar")
    assert given.code == 0 and len(seen) == 2, given.err
    # The mask that was given is what is measured, voxel by voxel; the scar lies on its surface.
    assert np.array_equal(read_volume("scar/cavity.nii.gz").array > 0, small_scan()[1].array > 0)
    assert LEAST_PCT < numbers(folder / "scar")["scar_area_pct"]["value"] < MOST_PCT
    assert "scar_older_than_cavity" not in flag_codes(folder / "scar")

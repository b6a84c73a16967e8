"""A made-up sixth system, all in this file: one network of slices with two heads, Adam, two phases. It trains, packs, runs and is listed."""

from __future__ import annotations

import csv
import dataclasses
import importlib.util
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="augmentation needs MONAI")
pytest.importorskip("lightning", reason="training needs Lightning")

from scipy import ndimage  # noqa: E402
from small_scan import flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan  # noqa: E402
from training_data import one_thread  # noqa: E402, F401

from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.losses import LOSSES, Objective  # noqa: E402
from LAScarSegLib.models.bundle import card_lines, check_use, read_bundle  # noqa: E402
from LAScarSegLib.models.card import ModelCard  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import ARCHITECTURES, Architecture  # noqa: E402
from LAScarSegLib.networks.slices import SliceBySlice  # noqa: E402
from LAScarSegLib.phantom import PhantomSettings  # noqa: E402
from LAScarSegLib.systems import (  # noqa: E402
    SYSTEMS, EarlyStop, InputChannel, Optimiser, Output, Part, Phase, Preset, Sampler, Stage, StartWeights, System, Target,
)  # fmt: skip
from LAScarSegLib.systems.decoding import IN_SLICE  # noqa: E402
from LAScarSegLib.systems.targets import signed_distance_outside  # noqa: E402
from LAScarSegLib.training.export import ExportRequest, export_runs  # noqa: E402
from LAScarSegLib.training.module import TrainingModule  # noqa: E402
from LAScarSegLib.training.patches import PatchDataset, Window  # noqa: E402
from LAScarSegLib.training.preparation import keep_target  # noqa: E402
from LAScarSegLib.training.run_folder import TrainingRun, read_run  # noqa: E402
from LAScarSegLib.training.settings import TrainingSettings  # noqa: E402
from LAScarSegLib.training.start import open_start  # noqa: E402
from LAScarSegLib.training.train import Hardware, start_run, train  # noqa: E402
from LAScarSegLib.volumes.files import read_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Geometry, Volume  # noqa: E402

BLOOD_LEVEL, SCAR_LEVEL = 180.0, 250.5
"""Grey levels of the small scan between wall and blood, and between blood and scar."""
MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=1)


@dataclass(frozen=True)
class CupPlan:
    """The plan of the made-up architecture: `width` channels of a smallest encoder."""

    in_channels: int = 2
    out_channels: int = 3
    width: int = 2
    architecture: str = "cup"
    training_only = ()
    divisor = (1, 2, 2)

    @property
    def parameters(self) -> int:
        return self.width * (self.in_channels + self.out_channels)

    def activations(self, patch: tuple[int, int, int]) -> int:
        return int(np.prod(patch)) * self.width

    def for_training(self) -> CupPlan:
        return self

    def for_use(self) -> CupPlan:
        return self

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CupPlan:
        return cls(**data)


class Cup(torch.nn.Module):
    """Two heads on one encoder, of slices: channel 0 the cavity's logit, 1 and 2 no scar and scar. It begins as a reader of grey levels."""

    def __init__(self, plan: CupPlan) -> None:
        super().__init__()
        self.encoder = torch.nn.Conv2d(plan.in_channels, plan.width, 1)
        self.cavity_head, self.scar_head = torch.nn.Conv2d(plan.width, 1, 1), torch.nn.Conv2d(plan.width, 2, 1)
        scan = small_scan()[0].array
        levels = [(level - scan.mean()) / scan.std() for level in (BLOOD_LEVEL, SCAR_LEVEL)]
        with torch.no_grad():
            for layer in (self.encoder, self.cavity_head, self.scar_head):
                layer.weight.zero_()
                layer.bias.zero_()
            self.encoder.weight[:2, 0], self.encoder.bias[1] = 1.0, -levels[1]
            self.cavity_head.weight[0, 0], self.cavity_head.bias[0] = 20.0, -20.0 * levels[0]
            # What is as bright as scar is no blood.
            self.cavity_head.weight[0, 1] = -100.0
            self.scar_head.weight[1, 0], self.scar_head.bias[1] = 20.0, -20.0 * levels[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        assert x.ndim == 4
        seen = self.encoder(x)
        features = torch.cat([seen[:, :1], torch.relu(seen[:, 1:])], dim=1)
        return torch.cat([self.cavity_head(features), self.scar_head(features)], dim=1)


class CupLoss(Objective):
    """Cross-entropy of both heads, the scar's growing with the epochs, and the signed distance on the cavity (as mtl_sesa's SE)."""

    moments: list = []

    def forward(self, outputs, sample, moment):
        CupLoss.moments.append(moment)
        cavity, scar = sample["target"][:, :1], sample["target"][:, 1]
        of_cavity = torch.nn.functional.binary_cross_entropy_with_logits(outputs[:, :1], cavity)
        distance = ((torch.sigmoid(outputs[:, :1]) - 0.5) * sample["outside_mm"]).mean()
        of_scar = torch.nn.functional.cross_entropy(outputs[:, 1:], scar.long())
        return of_cavity + 0.01 * distance + (0.5 + moment.done) * of_scar


class RimLoss(Objective):
    """Cross-entropy of the scar's head."""

    def forward(self, outputs, sample, moment):
        return torch.nn.functional.cross_entropy(outputs[:, 1:], sample["target"][:, 0].long())


def cup_inputs(lge: np.ndarray, anatomy: object) -> np.ndarray:
    return np.stack([lge, np.zeros_like(lge)]).astype(np.float32)


def mean_of_blood(cases) -> dict[str, Any]:
    """What the inputs learn from the training cases: the normalised grey level of blood."""
    return {"blood": float(np.mean([case.channels[0][case.masks["cavity"]].mean() for case in cases]))}


def beyond_blood(patch: np.ndarray, learned: Mapping[str, Any]) -> np.ndarray:
    """The second channel: how much brighter than blood."""
    return np.stack([patch[0], np.maximum(patch[0] - learned["blood"], 0.0)])


ADAM = Optimiser(kind="adam", learning_rate=1e-5, betas=(0.9, 0.99), weight_decay=0.0, gradient_clip=None, schedule="constant")
LATER = Optimiser(
    kind="adamw", learning_rate=1e-5, schedule="step", step_iterations=2, step_factor=0.1, gradient_clip=None, accumulate=2,
    stop=EarlyStop(3, watched=("dice", "loss")),
)  # fmt: skip
CUP = Stage(
    key="both",
    variant="full",
    channels=(InputChannel("lge", 0.0, True), InputChannel("beyond_blood", 0.0)),
    presets={"tiny": Preset(CupPlan(), (1.25, 1.25), (64, 64), 4, 2)},
    inputs=cup_inputs,
    outputs=(Output("cavity", (0,), "sigmoid"), Output("scar", (1, 2), "softmax", threshold=0.4)),
    sampler=Sampler("slices", foreground="cavity", augmentation="quarter_turns"),
    phases=(
        Phase("together", "cup", ADAM, hands_on="best"),
        Phase("scar", "cup", LATER, parts=(Part("network.encoder."), Part("network.cavity_head.", 0.1)), watched=("scar",)),
    ),
    learn=mean_of_blood,
    patch_inputs=beyond_blood,
    targets=(Target("outside_mm", signed_distance_outside, (50.0,), {"clip_mm": 50.0}),),
)
RIM = replace(
    CUP, key="scar", outputs=(Output("scar", (1, 2)),), presets={"tiny": Preset(CupPlan(), (1.25, 1.25), (16, 16), 4, 1)}, learn=None,
    patch_inputs=None, phases=(Phase("rim", "rim", ADAM),), targets=(), sampler=Sampler("boundary", step_px=6, augmentation="none"),
)  # fmt: skip
"""Patches along the outline of the cavity, as msws_b2p's."""
TEA_CUPS = System("tea_cups", "Tea cups (Nobody 2026)", "Nobody, Nowhere 2026", {"both": {"full": CUP}, "scar": {"rim": RIM}})


@pytest.fixture(scope="module", autouse=True)
def made_up():
    """The system, its architecture and its loss in the three tables; no other file knows them."""
    patch = pytest.MonkeyPatch()
    everything = {**SYSTEMS, TEA_CUPS.key: TEA_CUPS}
    patch.setattr("LAScarSegLib.systems.SYSTEMS", everything)
    patch.setitem(ARCHITECTURES, "cup", Architecture(CupPlan, lambda plan: SliceBySlice(Cup(plan))))
    patch.setitem(LOSSES, "cup", CupLoss)
    patch.setitem(LOSSES, "rim", RimLoss)
    yield
    patch.undo()


def cup_settings(data: Path, **changes) -> TrainingSettings:
    values = {"system": "tea_cups", "stage": "both", "data": str(data), "size": CUP.preset("tiny"), "preset": "tiny", "steps_per_epoch": 2,
              "folds": 4}  # fmt: skip
    return TrainingSettings(**(values | changes))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cups") / "cohort"
    return write_lascarqs_cohort(folder, 4, seed=11, settings=PhantomSettings(size=(96, 88, 36), spacing=(1.5, 1.5, 3.0)))


@pytest.fixture(scope="module")
def run(cohort: Path, made_up) -> TrainingRun:
    return train(start_run(cup_settings(cohort), cohort.parent / "run"), MACHINE)


@pytest.fixture
def folder(run: TrainingRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user is: a scan, and a store with the trained model."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("LASCARSEG_SIMULATED", "1")
    only_data_files(monkeypatch)
    ModelStore().add(export_runs([run.folder], tmp_path / "cups.zip", ExportRequest(name="cups", checkpoint="last")).path)
    return tmp_path


def weights_after(run: TrainingRun, name: str) -> dict[str, torch.Tensor]:
    return {name: value.double() for name, value in run.weights(name).items()}


def test_both_phases_train_one_after_the_other_and_validate_both_masks(run):
    with (run.folder / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["phase"], row["epoch"], row["step"]) for row in rows] == [
        ("together", "1", "2"), ("together", "2", "4"), ("scar", "3", "6"), ("scar", "4", "8"),
    ]  # fmt: skip
    # Divided by ten after two steps.
    assert [float(row["learning_rate"]) for row in rows] == pytest.approx([1e-5, 1e-5, 1e-5, 1e-6])
    assert set(run.scores()["best"]["cases"][0]["products"]) == {"cavity", "scar"}
    case = run.scores()["best"]["cases"][0]
    assert case["dice"] == case["products"]["scar"]
    # Phase, optimiser steps and epochs that a loss is told; of two batches a step in the second.
    moments = [(moment.step, moment.epoch, moment.epochs) for moment in CupLoss.moments[:12]]
    assert moments == [(0, 0, 2), (1, 0, 2), (2, 1, 2), (3, 1, 2), *((step, step // 2, 2) for step in (0, 0, 1, 1, 2, 2, 3, 3))]


def test_frozen_parts_stay_and_slow_ones_move_less(run, cohort):
    first = train(start_run(run.settings, cohort.parent / "first"), replace(MACHINE, max_steps=4))
    before, after = weights_after(first, "best.ckpt"), weights_after(run, "last.ckpt")
    moved = {name: float((after[name] - before[name]).abs().max()) for name in before}
    assert moved["network.encoder.weight"] == moved["network.encoder.bias"] == 0.0
    # Adam's steps are as long as the learning rate: 1e-5, 1e-5, 1e-6, 1e-6 at the most, a tenth of it for the cavity's head; float32
    # holds a bias of 19 to 2e-6.
    assert 0.0 < moved["network.cavity_head.bias"] <= 4e-6 < moved["network.scar_head.bias"] <= 2.4e-5


def test_a_training_stopped_within_the_second_phase_goes_on_bit_for_bit(run, cohort):
    stopped = start_run(run.settings, cohort.parent / "stopped")
    train(stopped, replace(MACHINE, max_steps=7))
    train(read_run(stopped.folder), MACHINE)
    once, twice = run.weights("last.ckpt"), stopped.weights("last.ckpt")
    assert all(torch.equal(once[name], twice[name]) for name in once)


def test_a_phase_that_was_stopped_early_is_not_continued(run, cohort, monkeypatch):
    monkeypatch.setattr(EarlyStop, "says_stop", lambda *history: True)
    stopped = train(start_run(run.settings, cohort.parent / "early"), MACHINE)
    with (stopped.folder / "curves.csv").open(newline="") as file:
        # The first phase has no such rule.
        assert [(row["phase"], row["step"]) for row in csv.DictReader(file)] == [("together", "2"), ("together", "4"), ("scar", "6")]
    before = stopped.weights("last.ckpt")
    train(read_run(stopped.folder), MACHINE)
    assert all(torch.equal(before[name], value) for name, value in stopped.weights("last.ckpt").items())


def test_the_optimisers_are_those_of_the_recipes(cohort):
    modules = [TrainingModule(cup_settings(cohort), number) for number in (0, 1)]
    kinds = [type(module.configure_optimizers()) for module in modules]
    assert kinds == [torch.optim.Adam, torch.optim.AdamW]
    assert modules[0].configure_optimizers().defaults["betas"] == (0.9, 0.99)
    scaled = cup_settings(cohort, learning_rate=2e-5)
    assert [scaled.recipe(number).learning_rate for number in (0, 1)] == pytest.approx([2e-5, 2e-5])


def test_targets_are_computed_once_and_kept_by_their_content(run, tmp_path):
    kept = sorted(path.stem for path in (run.prepared / "targets").iterdir())
    assert kept == sorted(case.targets["outside_mm"] for case in run.cases)
    calls = []

    def counted(masks, spacing_kji, clip_mm):
        calls.append(1)
        return signed_distance_outside(masks, spacing_kji, clip_mm=clip_mm)

    target, mask = replace(CUP.targets[0], make=counted), np.zeros((4, 8, 8), dtype=bool)
    mask[1:3, 2:6, 2:6] = True
    first = keep_target(tmp_path / "kept", target, {"cavity": mask}, (2.0, 1.0, 1.0))
    assert keep_target(tmp_path / "kept", target, {"cavity": mask.copy()}, (2.0, 1.0, 1.0)) == first and len(calls) == 1
    # 3 mm in the plane to the first voxel inside; within, 1 mm to the first one outside.
    values = np.load(tmp_path / "kept" / f"{first}.npy")[0]
    assert values[1, 2, 0] == 2.0 and values[1, 3, 3] == -2.0 and values[1, 2, 3] == -1.0
    others = [keep_target(tmp_path / "kept", target, {"cavity": mask}, (2.0, 1.0, 1.5)), keep_target(tmp_path / "kept", target, {"cavity": ~mask}, (2.0, 1.0, 1.0))]
    assert len({first, *others}) == 3 and len(calls) == 3


def test_its_bundle_is_of_format_2_and_reads_back(folder, run):
    bundle = read_bundle(folder / "cups.zip")
    content = json.loads((ModelStore().find("cups").path / "model.json").read_text())
    assert content["format"] == 2 and content["thresholds"] == {"cavity": 0.5, "scar": 0.4} and "stage" not in content
    network = content["networks"]["both"]
    assert (network["roles"], network["patch"], network["spacing_mm"]) == (["cavity", "scar"], [64, 64], [1.25, 1.25])
    blood = run.learned["blood"]
    assert content["learned"] == {"fold_0.safetensors": {"blood": blood}} and blood > 0
    assert ModelCard.from_json(content) == bundle.card and bundle.card.finds == ("cavity", "scar")
    assert ("Finds", "cavity and scar at once (tea_cups, variant full), where the probability is above 0.5 (cavity) and 0.4 (scar)") in card_lines(bundle)


def test_one_run_of_its_network_answers_for_both_masks(folder, run, capfd, monkeypatch):
    seen = []
    forward = Cup.forward
    blood = run.learned["blood"]

    def looked(self, x):
        assert torch.equal(x[:, 1], torch.clamp(x[:, 0] - blood, min=0.0))
        seen.append(tuple(x.shape))
        return forward(self, x)

    monkeypatch.setattr(Cup, "forward", looked)
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cups", "--scar", "cups", "-o", "out")
    assert outcome.code == 0, outcome.err
    scan, truth = small_scan()
    # Every slice once, two at a time: the scan is no larger than a patch.
    assert seen == [(2, 2, 64, 64)] * ((scan.array.shape[0] + 1) // 2)
    cavity = read_volume(folder / "out" / "cavity.nii.gz").array > 0
    assert 2 * (cavity & (truth.array > 0)).sum() / (cavity.sum() + truth.array.sum()) > 0.93
    models = json.loads((folder / "out" / "provenance.json").read_text())["models"]
    assert models["cavity"] == models["scar"] and models["scar"]["one_run"] == ["cavity", "scar"]
    assert numbers(folder / "out")["method"]["name"] == "cups@1.0"
    assert "simulated" in flag_codes(folder / "out") and "scar_older_than_cavity" not in flag_codes(folder / "out")
    probability, scar, wall = (read_volume(folder / "out" / f"{name}.nii.gz").array for name in ("scar_probability", "scar", "wall"))
    assert scar.any() and np.array_equal((probability > 0.4) & (wall > 0), scar > 0)


def test_measured_again_its_result_is_the_same(folder, capfd):
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cups", "--scar", "cups", "-o", "out").code == 0
    before = numbers(folder / "out")
    outcome = lascarseg(capfd, "measure", "out", "-o", "again")
    assert outcome.code == 0, outcome.err
    again = numbers(folder / "again")
    assert {key: value for key, value in again.items() if isinstance(value, dict)} == {key: value for key, value in before.items() if isinstance(value, dict)}
    assert json.loads((folder / "again" / "provenance.json").read_text())["models"]["scar"]["one_run"] == ["cavity", "scar"]


def test_the_batch_script_takes_it_for_both_masks(folder, repository):
    pytest.importorskip("slicer", reason="the batch script needs slicer-core")
    spec = importlib.util.spec_from_file_location("slicer_batch", repository / "Examples" / "slicer_batch.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_batch"] = module
    spec.loader.exec_module(module)
    from LAScarSegLib import scene as mrml

    assert module.main(mrml.new_scene(), ["image.nrrd", "-o", "batch", "--cavity", "cups", "--scar", "cups", "--device", "cpu"]) == 0
    models = json.loads((folder / "batch" / "image" / "provenance.json").read_text())["models"]
    assert models["cavity"]["one_run"] == models["scar"]["one_run"] == ["cavity", "scar"]


def test_it_may_answer_for_one_mask_alone(folder, capfd):
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cups", "-o", "cavity").code == 0
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--scar", "cups", "-o", "scar").code == 0
    assert list(json.loads((folder / "cavity" / "provenance.json").read_text())["models"]) == ["cavity"]
    # A cap of 40° is (1 − cos 40°) / 2 = 11.7 % of a sphere.
    assert numbers(folder / "scar")["scar_area_pct"]["value"] == pytest.approx(11.7, abs=1.5)


def test_it_is_listed_wherever_models_and_systems_are(folder, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "tea_cups" in lascarseg(capfd, "train", "--help").out
    listed = lascarseg(capfd, "models", "list").out
    assert "cups@1.0" in listed and "cavity and scar (simulated)" in listed
    assert "cavity and scar at once" in lascarseg(capfd, "models", "show", "cups").out


def test_the_panel_offers_it_for_both_and_asks_once(folder):
    pytest.importorskip("slicer", reason="the panel's choices need slicer-core")
    from LAScarSegLib.session import choices

    assert "cups@1.0" in [option.key for option in choices.methods()] and "cups@1.0" in [option.key for option in choices.cavity_sources()]
    chosen = choices.Choices(cavity_source=choices.MODEL, cavity_model="cups@1.0", method="cups@1.0")
    assert chosen.models == ("cups@1.0",) and chosen.models_by_mask == {"cavity": "cups@1.0", "scar": "cups@1.0"}


def test_terms_of_one_model_for_both_masks_are_asked_for_once(folder, run):
    from LAScarSegLib.jobs.request import Request, terms_to_accept

    ModelStore().add(export_runs([run.folder], folder / "t.zip", ExportRequest(name="terms", checkpoint="last", terms="Ask.")).path)
    asked = terms_to_accept(Request(folder / "image.nrrd", folder / "out", Path("terms"), scar="terms"))
    assert [bundle.card.name for bundle in asked] == ["terms"]


def test_patches_along_the_cavitys_outline_are_all_that_a_network_of_it_sees(folder, cohort):
    settings = cup_settings(cohort, stage="scar", variant="rim", size=RIM.preset("tiny"), anatomy="truth", steps_per_epoch=1)
    run = train(start_run(settings, folder / "rim"), MACHINE)
    case = run.cases[0]
    item = PatchDataset([case], run.prepared, RIM, RIM.preset("tiny"), seed=1)[0]
    assert item["channels"].shape == (2, 1, 16, 16)
    points, channels = case.boundary(run.prepared), case.channels(run.prepared)
    cuts = [Window((k, j - 8, i - 8), (1, 16, 16)).cut(channels, RIM.padding, np.float32) for k, j, i in points]
    assert any(np.array_equal(item["channels"], cut) for cut in cuts)
    ModelStore().add(export_runs([run.folder], folder / "rim.zip", ExportRequest(name="rim", checkpoint="last")).path)
    scan, cavity = small_scan()
    probability = BundleScarModel.from_bundle(ModelStore().find("rim"), InferenceOptions(device="cpu")).predict(scan, cavity).array
    bright = scan.array > SCAR_LEVEL
    outline = (cavity.array > 0) & ~ndimage.binary_erosion(cavity.array > 0, IN_SLICE)
    across = np.stack([ndimage.distance_transform_cdt(~plane, "chessboard") if plane.any() else np.full(plane.shape, 99) for plane in outline])
    # Patches of 16 pixels, nowhere farther apart than 6: 2 pixels around the outline are always seen, 16 never. Unseen is 0 (2e-9).
    assert (probability[across > 16] < 1e-6).all() and np.array_equal(probability[across <= 2] > 0.5, bright[across <= 2])
    assert bright[across <= 2].any()


@pytest.mark.parametrize("shape", [(3, 88, 96), (1, 30, 40), (36, 61, 67)], ids=["three slices", "smaller than the patch", "odd sizes"])
def test_scans_of_any_size_are_looked_at(folder, shape):
    scan = small_scan()[0]
    array = np.full(shape, 100, dtype=np.int16)
    array[:, 5:25, 5:35] = 200
    volume = Volume(array, Geometry(shape[::-1], scan.geometry.spacing))
    bundle = ModelStore().find("cups")
    inside = volume.like((array == 200).astype(np.uint8))
    probability = BundleScarModel.from_bundle(bundle, InferenceOptions(device="cpu")).predict(volume, inside)
    assert probability.array.shape == shape and np.isfinite(probability.array).all()
    if shape[0] * 20 * 30 * np.prod(scan.geometry.spacing) < 10_000:
        with pytest.raises(InputError, match="left atrium was not found"):
            BundleCavityModel.from_bundle(bundle, InferenceOptions(device="cpu")).predict(volume)


def test_a_network_trained_on_a_crop_around_the_middle_sees_that_in_use(folder, cohort):
    size = replace(CUP.preset("tiny"), crop_kji=(20, 48, 48), statistics="region")
    run = start_run(cup_settings(cohort, size=size), folder / "cropped")
    card = replace(run.settings.card(), files=ModelStore().find("cups").card.files)
    assert ModelCard.from_json(json.loads(json.dumps(card.to_json()))) == card and card.preprocessing.crop == (20, 48, 48)
    assert read_run(run.folder).settings == run.settings
    case = run.cases[0]
    # Slices stay as the scan has them, 3 mm; in the plane 48 of 1.25 mm.
    assert case.channels(run.prepared).shape[1:] == (20, 48, 48)
    seen = case.channels(run.prepared)[0].astype(np.float32)
    assert abs(seen.mean()) < 0.02 and seen.std() == pytest.approx(1.0, abs=0.05)
    image = read_volume(next((cohort / "task1" / "train_data" / case.name).glob("enhanced*")))
    networks = lambda spec, fold: SliceBySlice(Cup(CupPlan())).eval()  # noqa: E731
    card = replace(run.settings.card(), learned={"fold_0.safetensors": dict(run.learned)})
    model = BundleScarModel(card, networks, InferenceOptions(device="cpu"))
    found = model.predict(image, image.like(np.ones(image.array.shape, dtype=np.uint8))).array
    # Of voxels of 1.5 mm in the plane these are 40, in the middle of 36 × 88 × 96; some within are so dark that they are 0.
    where = np.argwhere(found > 0)
    assert (where.min(axis=0) == (8, 24, 28)).all() and (where.max(axis=0) == (27, 63, 67)).all()


def test_what_can_not_be_is_refused_in_words(folder, cohort, run):
    bundle = ModelStore().find("cups")
    content = json.loads((bundle.path / "model.json").read_text())
    for change, words in (
        ({"format": 3}, "format 3, this program reads up to 2. Update LAScarSeg"),
        ({"networks": content["networks"] | {"second": content["networks"]["both"]}}, "one that answers for cavity, scar or both is needed"),
        ({"thresholds": {"cavity": 0.5}}, "thresholds is"),
        ({"networks": {"both": content["networks"]["both"] | {"roles": ["wall"]}}}, "roles is"),
        ({"networks": {"both": content["networks"]["both"] | {"plan": {"architecture": "saucer"}}}}, "'saucer'; known are dynunet, .*cup"),
    ):
        with pytest.raises(InputError, match=words):
            ModelCard.from_json(content | change)
    with pytest.raises(InputError, match="says that it finds cavity, but its network of tea_cups finds cavity and scar"):
        check_use(replace(bundle.card, roles=("cavity",), thresholds={"cavity": 0.5}))
    later = replace(CUP, key="scar", outputs=(Output("scar", (1, 2)),), start=StartWeights("both"))
    with pytest.MonkeyPatch.context() as patch:
        system = replace(TEA_CUPS, stages={**TEA_CUPS.stages, "scar": {"full": later}})
        patch.setattr("LAScarSegLib.systems.SYSTEMS", {**SYSTEMS, "tea_cups": system})
        with pytest.raises(InputError, match="begins with the weights of its both network, which has to be trained first.*--start-from"):
            cup_settings(cohort, stage="scar", anatomy="truth")
        settings = cup_settings(cohort, stage="scar", anatomy="truth", start_from=str(run.folder))
        handed = TrainingModule(settings)
        open_start(str(run.folder)).load_into(handed.network, later)
        assert torch.equal(handed.network.state_dict()["network.scar_head.weight"], run.weights()["network.scar_head.weight"])


def test_weights_of_another_plan_are_refused_before_any_is_loaded(folder, monkeypatch):
    from LAScarSegLib.inference import kept_networks

    card = ModelStore().find("cups").card
    wider = replace(card, fine=replace(card.fine, plan=CupPlan(width=3)), name="wider", files={})
    name = card.fine.weights[0]
    bundle = ModelStore().keep_new(wider, {name: ModelStore().find("cups").read(name)})
    monkeypatch.setattr(kept_networks, "unpack_tensors", lambda content: pytest.fail("the weights were loaded"))
    with pytest.raises(InputError, match="does not fit the network that model.json describes .network.cavity_head.weight"):
        BundleCavityModel.from_bundle(bundle, InferenceOptions(device="cpu")).predict(small_scan()[0])

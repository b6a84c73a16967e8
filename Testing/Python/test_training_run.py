"""A real training on phantoms, as small as can be: it learns, resumes bit for bit, and becomes a model that predicts."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_cases import small_card, weights_for
from training_data import one_thread, tiny_settings  # noqa: F401
from typer.testing import CliRunner

from LAScarSegLib.anatomy.overlap import dice
from LAScarSegLib.cli.common import Invocation
from LAScarSegLib.cli.main import app
from LAScarSegLib.datasets.phantoms import write_lascarqs_cohort
from LAScarSegLib.errors import Cancelled, InputError, ProcessingError
from LAScarSegLib.inference.bundle_models import BundleCavityModel, BundleScarModel
from LAScarSegLib.models.bundle import read_bundle, write_bundle
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.phantom import PhantomSettings
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.training import recorder
from LAScarSegLib.training.cavities import TrainedCavityModel, choose_cavity_models, open_cavity_model
from LAScarSegLib.training.export import ExportRequest, export_runs
from LAScarSegLib.training.module import TrainingModule
from LAScarSegLib.training.patches import PatchDataset
from LAScarSegLib.training.run_folder import TrainingRun, check_same, read_run
from LAScarSegLib.training.train import Hardware, start_run, train
from LAScarSegLib.training.validation import ValidationScore
from LAScarSegLib.volumes.files import read_volume

MACHINE = Hardware(device="cpu", precision="32", workers=0, validate_every=1)
"""In full precision: bfloat16 would be as repeatable, but not on every processor there is."""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training") / "cohort"
    return write_lascarqs_cohort(folder, 4, seed=3, settings=PhantomSettings(size=(128, 112, 40), spacing=(1.25, 1.25, 2.5)))


@pytest.fixture(scope="module")
def cavity_run(cohort) -> TrainingRun:
    return train(start_run(tiny_settings(cohort), cohort.parent / "cavity"), MACHINE)


def rows(run: TrainingRun) -> list[dict[str, str]]:
    with (run.folder / "curves.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def command(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments], obj=Invocation())
    return result.exit_code, result.output


def test_the_loss_falls_and_the_curves_are_drawn(cavity_run):
    losses = [float(row["loss"]) for row in rows(cavity_run)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.85 * losses[0]
    assert (cavity_run.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_learning_rate_falls_as_nnunets(cavity_run):
    # 0.01·(1 − epoch/3)^0.9.
    assert [float(row["learning_rate"]) for row in rows(cavity_run)] == pytest.approx([0.01, 0.01 * (2 / 3) ** 0.9, 0.01 * (1 / 3) ** 0.9])


def test_a_training_resumed_within_an_epoch_is_the_same_bit_for_bit(cohort, cavity_run):
    run = start_run(cavity_run.settings, cohort.parent / "resumed")
    train(run, replace(MACHINE, max_steps=17))
    assert json.loads((run.folder / "scores.json").read_text())["last"]["step"] == 17
    train(read_run(run.folder), MACHINE)
    once, twice = cavity_run.weights("last.ckpt"), run.weights("last.ckpt")
    assert all(torch.equal(once[name], twice[name]) for name in once)
    assert rows(run) == rows(cavity_run)


def test_a_cancelled_training_keeps_its_last_epoch(cohort, cavity_run):
    run = start_run(cavity_run.settings, cohort.parent / "cancelled")
    seen = []
    with pytest.raises(Cancelled, match="--resume continues it"):
        train(run, MACHINE, Progress(seen.append, lambda: len(seen) > 40))
    state = torch.load(run.folder / "last.ckpt", weights_only=True)
    assert state["global_step"] == 12


def test_the_best_checkpoint_is_that_of_the_highest_validation_dice(cohort, monkeypatch):
    run = start_run(tiny_settings(cohort, epochs=3, steps_per_epoch=1), cohort.parent / "best")
    dices = iter((0.5, 0.7, 0.6))
    monkeypatch.setattr(recorder, "score_cases", lambda network, cases, *rest: [ValidationScore(case.name, next(dices)) for case in cases])
    train(run, MACHINE)
    assert (run.scores()["best"]["step"], run.scores()["last"]["step"]) == (2, 3)
    steps = [torch.load(run.folder / name, weights_only=True)["global_step"] for name in ("best.ckpt", "last.ckpt")]
    assert steps == [2, 3]
    assert not all(torch.equal(run.weights("best.ckpt")[name], weight) for name, weight in run.weights("last.ckpt").items())


def test_a_training_that_diverges_says_so_and_keeps_its_last_epoch(cohort, monkeypatch):
    run = start_run(tiny_settings(cohort, epochs=2, steps_per_epoch=2), cohort.parent / "diverged")
    step = TrainingModule.training_step

    def diverging(module, batch, number):
        return step(module, batch, number) * (torch.inf if module.trainer.global_step == 3 else 1.0)

    monkeypatch.setattr(TrainingModule, "training_step", diverging)
    with pytest.raises(ProcessingError, match="The loss is inf at step 4.*--resume --precision 32"):
        train(run, MACHINE)
    assert torch.load(run.folder / "last.ckpt", weights_only=True)["global_step"] == 2


def test_gradients_are_clipped_as_in_nnu_net(cohort, monkeypatch):
    run = start_run(tiny_settings(cohort, epochs=1, steps_per_epoch=1), cohort.parent / "clipped")
    norms, batch_end = [], recorder.Recorder.on_train_batch_end

    def huge(module, batch, number):
        return 1e6 * sum(parameter.sum() for parameter in module.network.parameters())

    def look(self, trainer, module, *rest):
        norms.append(float(torch.cat([parameter.grad.flatten() for parameter in module.network.parameters()]).norm()))
        batch_end(self, trainer, module, *rest)

    monkeypatch.setattr(TrainingModule, "training_step", huge)
    monkeypatch.setattr(recorder, "score_cases", lambda network, cases, *rest: [ValidationScore(case.name, 0.0) for case in cases])
    monkeypatch.setattr(recorder.Recorder, "on_train_batch_end", look)
    train(run, MACHINE)
    assert norms == pytest.approx([12.0], rel=1e-4)


def test_a_training_that_fails_while_it_is_stopped_says_what_is_left(cohort, monkeypatch):
    """Ctrl-C reaches the processes that cut patches, too: they may be gone before the training notices that it shall stop."""
    run = start_run(tiny_settings(cohort), cohort.parent / "stopped")
    stopped = []

    def killed(dataset, number):
        stopped.append(number)
        raise RuntimeError("DataLoader worker (pid 7) exited unexpectedly")

    monkeypatch.setattr(PatchDataset, "__getitem__", killed)
    with pytest.raises(Cancelled, match="keeps the prepared cases; the same command with --resume"):
        train(run, MACHINE, Progress(is_cancelled=lambda: bool(stopped)))
    with pytest.raises(RuntimeError, match="exited unexpectedly"):
        train(run, MACHINE)


def test_the_bundle_predicts_what_validation_measured(cohort, cavity_run):
    bundle = export_runs([cavity_run.folder], cohort.parent / "cavity.zip", ExportRequest(name="tiny", half=True))
    assert (
        bundle.card.simulated
        and bundle.card.training["cases"] == 4
        and bundle.card.training["steps"] == [cavity_run.scores()["best"]["step"]]
    )
    (name,) = cavity_run.split.validation
    case = cohort / "task1" / "train_data" / name
    scan, reference = read_volume(case / "enhanced.nii.gz"), read_volume(case / "atriumSegImgMO.nii.gz")
    found = BundleCavityModel.from_bundle(read_bundle(cohort.parent / "cavity.zip")).predict(scan)
    # On the scan's grid instead of 2.5 mm, and with weights of 16 bits.
    assert dice(found.array > 0.5, reference.array > 0) == pytest.approx(bundle.card.scores["dice_mean"], abs=0.03)
    assert any(flag.code == "simulated" for flag in found.flags)


def test_a_scar_network_trains_on_cavities_of_a_model_that_has_not_seen_the_scan(cohort, cavity_run):
    settings = tiny_settings(cohort, "scar", epochs=1, steps_per_epoch=3, anatomy="predicted", cavities=(str(cavity_run.folder),))
    with pytest.raises(InputError, match="was trained on train_"):
        start_run(settings, cohort.parent / "scar")
    sources = [TrainedCavityModel(title, None, frozenset(seen)) for title, seen in (("fold 0", "bc"), ("fold 1", "ac"), ("fold 2", "ab"))]
    chosen = choose_cavity_models({"case a": "a", "case b": "b", "case c": "c", "new": "d"}, sources)
    assert {sha256: source.title for sha256, source in chosen.items()} == {"a": "fold 0", "b": "fold 1", "c": "fold 2", "d": "fold 0"}


def test_a_scar_network_trains_and_predicts_inside_its_region(cohort):
    run = train(start_run(tiny_settings(cohort, "scar", epochs=2, steps_per_epoch=8), cohort.parent / "scar_truth"), MACHINE)
    losses = [float(row["loss"]) for row in rows(run)]
    assert losses[1] < losses[0]
    bundle = export_runs([run.folder], cohort.parent / "scar.zip")
    assert bundle.card.stage == "scar" and bundle.card.training["anatomy"] == "truth"
    case = cohort / "task1" / "train_data" / "train_1"
    cavity = read_volume(case / "atriumSegImgMO.nii.gz")
    found = BundleScarModel.from_bundle(bundle).predict(read_volume(case / "enhanced.nii.gz"), cavity)
    assert found.array.max() > 0 and np.isfinite(found.array).all()


def test_a_cavity_model_is_used_by_its_name_once_its_terms_are_accepted(tmp_path, monkeypatch):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    store = ModelStore()
    for stage in ("cavity", "scar"):
        card = small_card(stage, name=f"{stage}-net", terms="Research only.", training={"trained_on": ["a"]})
        store.add(write_bundle(card, weights_for(card), tmp_path / stage).path)
    with pytest.raises(InputError, match="(?s)Research only.*models accept cavity-net@1.0"):
        open_cavity_model("cavity-net")
    store.accept(store.find("cavity-net"))
    assert open_cavity_model("cavity-net").trained_on == open_cavity_model(tmp_path / "cavity").trained_on == {"a"}
    with pytest.raises(InputError, match="finds the scar"):
        open_cavity_model("scar-net")


def test_a_run_of_another_setting_is_refused_with_the_keys(cavity_run):
    other = replace(cavity_run.settings, seed=5, size=replace(cavity_run.settings.size, epochs=9))
    with pytest.raises(InputError, match="seed was 0, now 5; size.epochs was 3, now 9"):
        check_same(cavity_run, other)


def test_runs_of_different_trainings_make_no_ensemble(cohort, cavity_run):
    with pytest.raises(InputError, match="give each fold once"):
        export_runs([cavity_run.folder, cavity_run.folder], cohort.parent / "twice.zip")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("cavity", "--preset", "tiny", "--device", "cuda:7"), "The device 'cuda:7' is not here"),
        (("cavity", "--preset", "tiny", "--folds", 4, "--fold", 9), "no fold 9"),
        (("cavity", "--preset", "large"), "no preset 'large'"),
        (("wall",), "no stage 'wall'"),
        (("scar", "--preset", "tiny"), "--anatomy truth"),
        (("scar", "--preset", "tiny", "--cavity", "nothing"), "no model 'nothing'"),
        (("cavity", "--preset", "tiny", "--resume"), "no training run"),
    ],
)
def test_a_training_that_can_not_be_is_refused_before_anything_is_prepared(cohort, tmp_path, options, says):
    code, said = command("train", "two_stage_sdm", *options, "--data", cohort, "-o", tmp_path / "run")
    assert code == 2 and says in said and not (tmp_path / "run").exists()


def test_the_commands_train_continue_and_export(cohort, tmp_path):
    base = ["train", "two_stage_sdm", "cavity", "--data", cohort, "--preset", "small", "--epochs", 2, "--steps-per-epoch", 1, "--folds", 4,
            "--device", "cpu", "--workers", 0, "--validate-every", 2, "-o", tmp_path / "run"]  # fmt: skip
    code, said = command(*base, "--max-steps", 1)
    assert code == 0 and "Trained 1 of 2 steps" in said
    code, said = command(*base)
    assert code == 2 and "exists" in said
    code, said = command(*base, "--resume", "--progress", "json")
    assert code == 0 and json.loads(next(line for line in said.splitlines() if line.startswith("{")))["stage"] == "train"
    code, said = command(*base, "--resume", "--seed", 1)
    assert code == 2 and "seed was 0, now 1" in said
    code, said = command("models", "export", tmp_path / "run", "-o", tmp_path / "model.zip", "--name", "tiny")
    assert code == 0 and read_bundle(tmp_path / "model.zip").card.reference == "tiny@1.0"

"""A training that starts with the weights of an earlier one, or of a model."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_cases import small_card, weights_for
from training_data import one_thread, tiny_settings, write_cases  # noqa: F401

from LAScarSegLib.errors import InputError
from LAScarSegLib.models.bundle import write_bundle
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.networks import NetworkPlan
from LAScarSegLib.networks.weights import unpack_tensors
from LAScarSegLib.training.export import ExportRequest, export_runs
from LAScarSegLib.training.run_folder import TrainingRun, read_run
from LAScarSegLib.training.start import open_start
from LAScarSegLib.training.train import Hardware, start_run, train

MACHINE = Hardware(device="cpu", precision="32", workers=0)
NOTHING_MOVES = 1e-30
"""A learning rate at which a step in 32 bits leaves a weight as it was."""


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> TrainingRun:
    folder = tmp_path_factory.mktemp("start")
    write_cases(folder / "data", 4)
    return train(start_run(tiny_settings(folder / "data", epochs=1, steps_per_epoch=1), folder / "first"), MACHINE)


def second(first: TrainingRun, folder, **changes) -> TrainingRun:
    return start_run(replace(first.settings, **({"start_from": str(first.folder), "learning_rate": NOTHING_MOVES} | changes)), folder)


def test_a_training_starts_with_the_weights_of_a_run(first, tmp_path):
    run = train(second(first, tmp_path / "second", seed=1), MACHINE)
    before, after = first.weights(), run.weights()
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    # Not because every training of this seed has these weights.
    other = train(second(first, tmp_path / "other", seed=1, start_from=""), MACHINE).weights()
    assert not all(torch.equal(before[name], other[name]) for name in before)


def test_a_training_starts_with_the_weights_of_a_bundle_as_well(first, tmp_path):
    bundle = export_runs([first.folder], tmp_path / "first.zip")
    run = train(second(first, tmp_path / "second", start_from=str(bundle.path)), MACHINE)
    assert all(torch.equal(first.weights()[name], run.weights()[name]) for name in unpack_tensors(bundle.weights("fold_0.safetensors")))
    assert export_runs([run.folder], tmp_path / "second.zip").card.training["started_from"] == "first.zip"


def test_what_the_weights_have_seen_before_counts_as_seen(first, tmp_path):
    """Another fold: the scan that it validates on was trained on, the one that it leaves out was as well."""
    run = second(first, tmp_path / "second", fold=1)
    (validated,) = run.split.validation
    assert any(f"was trained on {validated}: the validation scores are too good" in note for note in run.notes)
    assert read_run(run.folder).trained_on == {case.sha256 for case in run.cases}
    assert not any("too good" in note for note in second(first, tmp_path / "same").notes)


def test_a_continued_training_takes_its_own_weights_not_those_it_started_from(first, tmp_path):
    run = second(first, tmp_path / "second", learning_rate=0.01, steps_per_epoch=2)
    train(run, replace(MACHINE, max_steps=1))
    once = run.weights("last.ckpt")
    train(read_run(run.folder), MACHINE)
    whole = train(second(first, tmp_path / "whole", learning_rate=0.01, steps_per_epoch=2), MACHINE).weights("last.ckpt")
    twice = run.weights("last.ckpt")
    assert not all(torch.equal(once[name], twice[name]) for name in once)
    assert all(torch.equal(whole[name], twice[name]) for name in whole)


def test_another_network_is_refused_with_what_differs(first, tmp_path):
    wider = NetworkPlan(1, 2, (6, 12, 24), first.settings.size.plan.strides, first.settings.size.plan.kernel_sizes)
    with pytest.raises(InputError, match=r"features \[6, 12, 16\] instead of \[6, 12, 24\].*preset"):
        second(first, tmp_path / "second", size=replace(first.settings.size, plan=wider))
    assert not (tmp_path / "second").exists()


def test_a_model_of_the_other_stage_is_refused_and_so_is_one_whose_terms_nobody_accepted(first, tmp_path, monkeypatch):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    store = ModelStore()
    for stage in ("cavity", "scar"):
        card = small_card(stage, name=f"{stage}-net", terms="Research only.", training={"trained_on": ["a"]})
        store.add(write_bundle(card, weights_for(card), tmp_path / stage).path)
    with pytest.raises(InputError, match="models accept cavity-net@1.0"):
        open_start("cavity-net")
    store.accept(store.find("scar-net"))
    with pytest.raises(InputError, match="is a scar network; a cavity network can't start from it"):
        second(first, tmp_path / "second", start_from="scar-net")
    with pytest.raises(InputError, match="no model 'nothing'"):
        second(first, tmp_path / "second", start_from="nothing")


def test_real_scans_do_not_start_from_simulated_ones(first, tmp_path):
    card = replace(first.settings.card(), name="phantoms", simulated=True)
    bundle = write_bundle(card, weights_for(card), tmp_path / "phantoms")
    with pytest.raises(InputError, match="trained on simulated scans, these are real"):
        second(first, tmp_path / "second", start_from=str(bundle.path))
    assert not (tmp_path / "second").exists()


@pytest.mark.parametrize("rate", [0.0, -0.01, 2.0, float("nan")])
def test_a_learning_rate_that_can_not_be_is_refused(first, rate):
    with pytest.raises(InputError, match="learning rate"):
        replace(first.settings, learning_rate=rate)


def test_a_models_coarse_network_goes_along_with_a_new_fine_one(first, tmp_path):
    card = small_card(name="older", coarse=True, training={"trained_on": ["a scan"]})
    older = write_bundle(card, weights_for(card), tmp_path / "older")
    made = export_runs([first.folder], tmp_path / "newer.zip", ExportRequest(coarse=older.path))
    assert made.card.coarse == older.card.coarse and made.weights("coarse.safetensors") == older.weights("coarse.safetensors")
    assert set(made.card.training["trained_on"]) == first.trained_on | {"a scan"}
    assert made.card.training["coarse"]["taken_from"] == "older@1.0"


def test_a_model_without_a_coarse_network_has_none_to_give(first, tmp_path):
    card = small_card(name="older")
    older = write_bundle(card, weights_for(card), tmp_path / "older")
    with pytest.raises(InputError, match="has no coarse network"):
        export_runs([first.folder], tmp_path / "newer.zip", ExportRequest(coarse=older.path))

"""Attacks on models: a store that others write to, a bundle that takes the default's name, plans and weights that exhaust or mislead."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests' weights are made with torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

import torch  # noqa: E402
from model_cases import Contrast, ball, small_card, small_plan, weights_for  # noqa: E402
from small_scan import lascarseg  # noqa: E402

from LAScarSegLib.errors import InputError, ProcessingError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.inference.kept_networks import bundle_networks  # noqa: E402
from LAScarSegLib.models import store as stores  # noqa: E402
from LAScarSegLib.models.bundle import read_bundle, with_files, write_bundle  # noqa: E402
from LAScarSegLib.models.card import NetworkSpec  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import NetworkPlan, build  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors, unpack_tensors  # noqa: E402

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")


def bundle_at(folder: Path, **changes) -> Path:
    card = small_card(**changes)
    return write_bundle(card, weights_for(card), folder).path


@pytest.fixture
def store(tmp_path, monkeypatch) -> ModelStore:
    """A user's store with `mine`, beside a project that ships `small`."""
    bundle_at(tmp_path / "Resources" / "Models" / "small" if (tmp_path / "Resources" / "Models").mkdir(parents=True) is None else tmp_path)
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", (tmp_path / "Resources",))
    made = ModelStore(tmp_path / "store", simulated=False)
    made.add(bundle_at(tmp_path / "mine", name="mine"))
    return made


def check_only_the_projects_models_are_used(store: ModelStore, says: str, tmp_path: Path) -> None:
    assert store.default_cavity().path.is_relative_to(tmp_path / "Resources")
    with pytest.raises(InputError, match=says):
        store.find("mine")
    terms = store.find("small")
    assert [model.bundle.card.name for model in store.models() if model.bundle] == [terms.card.name]


@posix
def test_a_store_that_everybody_may_write_to_is_not_used(store, tmp_path, capfd):
    store.folder.chmod(0o777)
    check_only_the_projects_models_are_used(store, "store can be written to by everybody.*chmod", tmp_path)
    with pytest.raises(InputError, match="can be written to by everybody"):
        store.add(bundle_at(tmp_path / "more", name="more"))
    listed = lascarseg(capfd, "models", "list", "--store", store.folder)
    assert listed.code == 0 and "are not used" in listed.out + listed.err


@posix
@pytest.mark.parametrize("inside", [".", "model.json", "fold_0.safetensors"])
def test_a_model_that_everybody_may_write_to_is_not_used(store, tmp_path, inside):
    (store.folder / "mine-1.0" / inside).chmod(0o777)
    check_only_the_projects_models_are_used(store, "can be written to by everybody", tmp_path)


@posix
def test_a_store_of_another_user_is_not_used(store, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "ADMINISTRATOR", -1)
    monkeypatch.setattr(stores.os, "getuid", lambda: os.stat(tmp_path).st_uid + 1)
    check_only_the_projects_models_are_used(store, "belongs to another user", tmp_path)


@posix
def test_terms_that_somebody_else_may_have_accepted_are_not(store, tmp_path):
    with_terms = store.add(bundle_at(tmp_path / "terms", name="terms", terms="Research only."))
    store.accept(with_terms)
    assert store.accepted(with_terms)
    (store.folder / stores.ACCEPTED).chmod(0o666)
    assert not store.accepted(with_terms)


def test_no_bundle_of_the_users_takes_the_place_of_the_default(store, tmp_path):
    store.add(bundle_at(tmp_path / "newer", version="9.9", threshold=0.01))
    assert store.default_cavity().card.version == store.find("small").card.version == "1.0"
    with pytest.raises(InputError, match=r"small@1\.0 is the name of a model that comes with the project"):
        store.add(bundle_at(tmp_path / "same", threshold=0.01))
    # Put there by hand it is not taken either.
    write_bundle(small_card(threshold=0.01), weights_for(small_card()), store.folder / "small-1.0")
    assert store.find("small@1.0").card.threshold == store.default_cavity().card.threshold == 0.5


HUGE = ((1, 1, 1),) * 3


@pytest.mark.parametrize(
    ("plan", "patch", "says"),
    [
        (lambda: NetworkPlan(1, 2, (32, 32, 32), HUGE, ((3, 3, 3),) * 3), (1024, 1024, 1024), "GiB and more at once"),
        (lambda: NetworkPlan(1, 2, (1024, 1024, 1024), HUGE, ((3, 3, 3),) * 3), (128, 128, 128), "GiB and more at once"),
        (lambda: NetworkPlan(1, 2, (4096, 4096, 4096), HUGE, ((3, 3, 3),) * 3), (32, 32, 32), "from 1 to 1024"),
        (lambda: NetworkPlan(1, 2, (8,) * 500, ((1, 1, 1),) * 500, ((3, 3, 3),) * 500), (32, 32, 32), "500 stages; at most 10"),
    ],
    ids=["patch", "channels", "features", "stages"],
)
def test_a_plan_that_would_fill_the_memory_is_refused(plan, patch, says):
    with pytest.raises(InputError, match=says):
        NetworkSpec(plan(), (1.0, 1.0, 1.0), patch, ("a.safetensors",))


def test_a_spacing_that_would_resample_the_scan_to_terabytes_is_refused():
    with pytest.raises(InputError, match="spacing_mm"):
        NetworkSpec(small_plan(), (0.001, 1.0, 1.0), (32, 32, 32), ("a.safetensors",))


def test_a_plan_of_more_weights_than_its_file_can_hold_is_refused_before_the_network_is_made(tmp_path):
    card = small_card()
    wide = NetworkPlan(1, 2, (512, 1024, 1024), card.fine.plan.strides, ((7, 7, 7),) * 3)
    with pytest.raises(InputError, match=r"weights, [\d.]+ MiB at least, and fold_0.safetensors has 0.0 MiB"):
        write_bundle(replace(card, fine=replace(card.fine, plan=wide)), weights_for(card), tmp_path / "wide")


def test_the_count_of_weights_is_never_more_than_there_are():
    plan = NetworkPlan(2, 2, (4, 6, 8, 10), ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)), ((1, 3, 3), (3, 3, 3), (3, 3, 3), (5, 3, 3)), False)
    tensors = build(plan, seed=0).state_dict()
    assert plan.parameters == sum(tensor.numel() for name, tensor in tensors.items() if name.endswith(".weight") and tensor.ndim == 5) - 2 * 4


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("half", [False, True])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value, half):
    card = small_card()
    tensors = unpack_tensors(weights_for(card)["fold_0.safetensors"])
    tensors["input_block.conv1.conv.weight"][0, 0, 0, 0, 0] = value
    bundle = write_bundle(card, {"fold_0.safetensors": pack_tensors(tensors, half=half)}, tmp_path / "bad")
    with pytest.raises(InputError, match="no numbers.*input_block.conv1"):
        bundle_networks(bundle)(card.fine, 0)


@pytest.mark.parametrize("kind", [torch.int32, torch.uint8, torch.bool])
def test_weights_that_are_whole_numbers_are_refused(tmp_path, kind):
    card = small_card()
    tensors = unpack_tensors(weights_for(card)["fold_0.safetensors"])
    bad = {"fold_0.safetensors": pack_tensors({**tensors, "input_block.conv1.conv.weight": tensors["input_block.conv1.conv.weight"].to(kind)})}
    with pytest.raises(InputError, match="input_block.conv1.conv.weight' are of type .* not floating-point"):
        write_bundle(card, bad, tmp_path / "bad")
    # Made by another program.
    path = bundle_at(tmp_path / "made")
    (path / "fold_0.safetensors").write_bytes(bad["fold_0.safetensors"])
    (path / "model.json").write_text(json.dumps(with_files(card, bad).to_json()))
    for use in (lambda: ModelStore(tmp_path / "store").add(path), lambda: bundle_networks(read_bundle(path))(card.fine, 0)):
        with pytest.raises(InputError, match="not floating-point"):
            use()


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_floating_type_are_read(tmp_path, kind):
    card = small_card()
    tensors = {name: tensor.to(kind) for name, tensor in unpack_tensors(weights_for(card)["fold_0.safetensors"]).items()}
    bundle_networks(write_bundle(card, {"fold_0.safetensors": pack_tensors(tensors)}, tmp_path / "good"))(card.fine, 0)


class _Overflowing(Contrast):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x) * float("inf")


def test_a_network_that_answers_with_no_numbers_ends_the_run_in_words():
    volume, _ = ball((2.0, 2.0, 2.0), (40, 40, 40))
    model = BundleCavityModel(small_card(), lambda spec, fold: _Overflowing())
    with pytest.raises(ProcessingError, match="NaN or infinite"):
        model.predict(volume)


@pytest.mark.parametrize("depth", [100, 100_000])
def test_a_deep_card_is_refused_in_words(tmp_path, depth):
    path = bundle_at(tmp_path / "deep")
    (path / "model.json").write_text('{"training": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(InputError, match="model.json is damaged"):
        read_bundle(path)


def test_a_card_cannot_steer_the_terminal(tmp_path, capfd):
    evil = "\x1b]0;owned\x07\x1b[2J[/x][bold]\u202e"
    card = small_card(intended_use=f"Use{evil}", licence=f"MIT{evil}", terms=f"Terms{evil}", training={evil: evil}, scores={evil: [evil]})
    path = write_bundle(card, weights_for(card), tmp_path / "evil.zip").path
    for command in (("show", path), ("add", path, "--store", tmp_path / "store"), ("accept", path, "--accept-terms", "--store", tmp_path / "store"),
                    ("list", "--store", tmp_path / "store")):  # fmt: skip
        outcome = lascarseg(capfd, "models", *command)
        said = outcome.out + outcome.err
        assert outcome.code == 0, said
        assert not any(character in said for character in "\x1b\x07\u202e") and "Traceback" not in said


def test_a_bundle_whose_path_is_not_printable_is_named_harmlessly(tmp_path, capfd):
    outcome = lascarseg(capfd, "models", "show", tmp_path / "\x1b[2J[/x]")
    assert outcome.code == 2 and "\x1b" not in outcome.err and "\\x1b[2J[/x]" in outcome.err
    assert stat.S_ISDIR(os.stat(tmp_path).st_mode) and json.dumps(outcome.err)

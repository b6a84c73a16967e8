"""The store and `lascarseg models`: what a person does with models on their computer."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the tests' weights are made with torch")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import small_card, weights_for  # noqa: E402
from small_scan import lascarseg  # noqa: E402

from LAScarSegLib.errors import InputError, ProcessingError  # noqa: E402
from LAScarSegLib.models import store as stores  # noqa: E402
from LAScarSegLib.models.bundle import card_lines, read_bundle, write_bundle  # noqa: E402
from LAScarSegLib.models.store import ModelStore, default_folder  # noqa: E402


def bundle_at(folder: Path, **changes) -> Path:
    card = small_card(**changes)
    return write_bundle(card, weights_for(card), folder).path


@pytest.fixture(autouse=True)
def nothing_comes_along(monkeypatch) -> None:
    """No model of the project, unless a test brings one."""
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", ())


@pytest.fixture
def store(tmp_path) -> ModelStore:
    return ModelStore(tmp_path / "store", simulated=False)


def test_a_bundle_that_was_added_is_found_by_name_and_by_version(store, tmp_path):
    store.add(bundle_at(tmp_path / "a.zip"))
    store.add(bundle_at(tmp_path / "b", version="1.10"))
    store.add(bundle_at(tmp_path / "c", version="1.9"))
    assert store.find("small").card.version == "1.10"
    assert store.find("small@1.9").card.version == "1.9"
    assert [m.bundle.card.reference for m in store.models()] == ["small@1.0", "small@1.10", "small@1.9"]


def test_an_unknown_name_names_those_that_are_there(store, tmp_path):
    with pytest.raises(InputError, match="no model 'large'.*installed: none"):
        store.find("large")
    store.add(bundle_at(tmp_path / "a"))
    with pytest.raises(InputError, match="installed: small"):
        store.find("large")


def test_the_same_bundle_twice_is_no_error_another_of_its_name_is(store, tmp_path):
    store.add(bundle_at(tmp_path / "a"))
    store.add(tmp_path / "a")
    with pytest.raises(InputError, match=r"another small@1\.0"):
        store.add(bundle_at(tmp_path / "b", threshold=0.4))
    assert store.add(tmp_path / "b", force=True).card.threshold == 0.4


def test_a_damaged_bundle_is_not_added(store, tmp_path):
    path = bundle_at(tmp_path / "a")
    with open(path / "fold_0.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(InputError, match="SHA-256"):
        store.add(path)
    assert store.models() == ()


def test_a_model_that_broke_in_the_store_is_listed_with_its_reason(store, tmp_path):
    folder = store.add(bundle_at(tmp_path / "a")).path
    (folder / "fold_0.safetensors").unlink()
    assert [(m.bundle, "lacks fold_0" in m.problem) for m in store.models()] == [(None, True)]
    with pytest.raises(InputError, match="'small' can't be used.*lacks fold_0"):
        store.find("small")
    store.remove("small")
    assert store.models() == ()


def test_a_model_may_be_called_like_a_rule_and_is_found_by_its_whole_name(store, tmp_path):
    store.add(bundle_at(tmp_path / "a", name="iir"))
    assert store.find("iir@1.0").card.reference == "iir@1.0"


def test_of_several_versions_one_must_be_named_to_remove_it(store, tmp_path):
    store.add(bundle_at(tmp_path / "a"))
    store.add(bundle_at(tmp_path / "b", version="2.0"))
    with pytest.raises(InputError, match="several versions"):
        store.remove("small")
    store.remove("small@1.0")
    assert [m.bundle.card.version for m in store.models()] == ["2.0"]


def test_an_exported_model_is_the_same_bundle(store, tmp_path):
    added = store.add(bundle_at(tmp_path / "a"))
    exported = store.export("small", tmp_path / "out.zip")
    assert exported.card.sha256 == added.card.sha256
    exported.verify()


def test_simulated_models_are_hidden_until_they_are_asked_for(store, tmp_path):
    store.add(bundle_at(tmp_path / "a", simulated=True))
    assert store.models() == ()
    with pytest.raises(InputError, match="no model"):
        store.find("small")
    assert ModelStore(store.folder, simulated=True).find("small").card.simulated


def test_terms_are_asked_for_once_and_for_this_very_bundle(store, tmp_path):
    first = store.add(bundle_at(tmp_path / "a", terms="Research only."))
    with pytest.raises(InputError, match=r"(?s)Research only.*models accept small@1\.0"):
        store.require_terms(first)
    store.accept(first)
    store.require_terms(first)
    ModelStore(store.folder).require_terms(first)
    second = store.add(bundle_at(tmp_path / "b", version="2.0", terms="Research only."))
    with pytest.raises(InputError, match="Research only"):
        store.require_terms(second)
    store.require_terms(second, accept=True)
    assert store.accepted(second)


def test_a_model_without_terms_asks_nothing(store, tmp_path):
    store.require_terms(store.add(bundle_at(tmp_path / "a")))


@pytest.fixture
def read_only(store, tmp_path, monkeypatch) -> ModelStore:
    """A store with a model with terms, that can't be written to."""
    store.add(bundle_at(tmp_path / "a", terms="Research only."))

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("mkdtemp", "mkstemp"):
        monkeypatch.setattr(stores.tempfile, name, refuse)
    return store


def test_a_read_only_store_can_be_used_and_what_it_can_not_do_says_how_else(read_only, tmp_path):
    found = read_only.find("small")
    found.verify()
    read_only.require_terms(found, accept=True)
    for work in (lambda: read_only.remove("small"), lambda: read_only.accept(found)):
        with pytest.raises(ProcessingError, match="can't be written to.*LASCARSEG_MODELS"):
            work()
    assert read_only.find("small").card == found.card


def test_models_of_the_project_are_found_and_can_not_be_removed(store, tmp_path, monkeypatch):
    shipped = tmp_path / "Resources"
    (shipped / "Models").mkdir(parents=True)
    bundle_at(shipped / "Models" / "small")
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", (shipped,))
    assert [(m.bundle.card.name, m.shipped) for m in store.models()] == [("small", True)]
    with pytest.raises(InputError, match="only models there can be removed"):
        store.remove("small")
    # A name of the project means the project's.
    store.add(shipped / "Models" / "small")
    assert store.find("small").path.is_relative_to(shipped)


def test_the_variable_names_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "hier drüben"))
    assert default_folder() == tmp_path / "hier drüben"


@pytest.mark.parametrize(
    ("platform", "variable", "end"),
    [
        ("linux", "XDG_DATA_HOME", "LAScarSeg/models"),
        ("win32", "LOCALAPPDATA", "LAScarSeg/models"),
        ("darwin", None, "Library/Application Support/LAScarSeg/models"),
    ],
)
def test_the_store_is_where_the_platform_keeps_data(platform, variable, end, tmp_path, monkeypatch):
    monkeypatch.delenv("LASCARSEG_MODELS", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    if variable:
        monkeypatch.setenv(variable, str(tmp_path))
    assert default_folder().as_posix().endswith(end)


def test_the_commands_take_a_model_from_file_to_store_and_out_again(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    bundle_at(tmp_path / "a.zip", terms="Research only.", scores={"dice": 0.91})

    def models(*arguments: object) -> str:
        outcome = lascarseg(capfd, "models", *arguments)
        assert outcome.code == 0, outcome.err
        return outcome.out

    assert "No models" in models("list")
    assert "dice 0.91" in models("show", tmp_path / "a.zip")
    said = models("add", tmp_path / "a.zip")
    assert "Added small@1.0" in said and "models accept small@1.0" in said
    assert "small@1.0" in models("list") and "to accept" in models("list")
    assert "dice 0.91" in models("show", "small")
    assert "is whole" in models("verify", "small")
    assert "Accepted" in models("accept", "small", "--accept-terms")
    assert "accepted before" in models("accept", "small")
    assert "models accept" not in models("add", tmp_path / "a.zip")
    models("export", "small", tmp_path / "out.zip")
    assert read_bundle(tmp_path / "out.zip").card.name == "small"
    models("remove", "small")
    assert "No models" in models("list")


def test_a_long_name_is_listed_whole(tmp_path, monkeypatch, capfd):
    """In a terminal of 80 characters, the width that is taken where there is none, too: it is there to be copied."""
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "80")
    name = "boundary_focused-cavity-of-the-second-hospital"
    bundle_at(tmp_path / "a.zip", name=name)
    assert lascarseg(capfd, "models", "add", tmp_path / "a.zip").code == 0
    listed = lascarseg(capfd, "models", "list").out
    assert f"{name}@1.0" in listed and "…" not in listed


def test_a_card_is_told_in_words_and_long_lists_by_their_length(tmp_path):
    training = {"data": "80 scans", "steps": [3000, 2750], "trained_on": [f"{n:064x}" for n in range(64)]}
    scores = {"dice_mean": 0.91234567, "measured": {"crop": {"dice": 0.9, "cases": 16}}}
    lines = dict(card_lines(read_bundle(bundle_at(tmp_path / "a", folds=2, training=training, scores=scores))))
    assert lines["Trained on"] == "data 80 scans; steps 3000, 2750; trained_on 64 entries"
    assert lines["Scores"] == "dice_mean 0.9123; measured (crop (dice 0.9; cases 16))"
    assert lines["Networks"].startswith("an ensemble of 2 at 2 × 2 × 2 mm")


def test_the_projects_own_cavity_model_is_found_without_a_name(store, tmp_path, monkeypatch):
    shipped = tmp_path / "Resources"
    (shipped / "Models").mkdir(parents=True)
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", (shipped,))
    store.add(bundle_at(tmp_path / "mine", name="mine"))
    assert store.default_cavity() is None
    bundle_at(shipped / "Models" / "scar", name="scar", stage="scar")
    bundle_at(shipped / "Models" / "small")
    assert store.default_cavity().card.reference == "small@1.0"
    store.add(bundle_at(tmp_path / "newer", version="1.1"))
    assert store.default_cavity().card.reference == store.find("small").card.reference == "small@1.0"
    assert store.find("small@1.1").card.reference == "small@1.1"


def test_a_broken_cavity_model_of_the_project_says_why(store, tmp_path, monkeypatch):
    (tmp_path / "Models").mkdir()
    monkeypatch.setattr(stores, "RESOURCE_FOLDERS", (tmp_path,))
    path = bundle_at(tmp_path / "Models" / "small")
    card = json.loads((path / "model.json").read_text())
    (path / "model.json").write_text(json.dumps(card | {"threshold": 0.3}))
    with pytest.raises(InputError, match="small, which comes with the project, can't be used.*was changed"):
        store.default_cavity()


def test_terms_of_a_bundle_that_is_not_kept_here_are_accepted_by_its_path(store, tmp_path, capfd):
    bundle = read_bundle(bundle_at(tmp_path / "a.zip", terms="Research only."))
    with pytest.raises(InputError, match=f"models accept {tmp_path / 'a.zip'}"):
        store.require_terms(bundle)
    assert lascarseg(capfd, "models", "accept", tmp_path / "a.zip", "--accept-terms", "--store", store.folder).code == 0
    store.require_terms(bundle)


def test_terms_that_nobody_accepts_stay_unaccepted(store, tmp_path, capfd, monkeypatch):
    bundle = store.add(bundle_at(tmp_path / "a", terms="Research only."))
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    refused = lascarseg(capfd, "models", "accept", "small", "--store", store.folder)
    assert refused.code == 2 and "Research only." in refused.out and "not accepted" in refused.err
    assert not store.accepted(bundle)


@pytest.mark.parametrize(
    "arguments",
    [("show", "nothing"), ("add", "nowhere.zip"), ("verify", "nothing"), ("remove", "nothing"), ("export", "nothing", "x.zip")],
)
def test_a_wrong_name_ends_with_exit_code_2_and_one_line(arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    outcome = lascarseg(capfd, "models", *arguments)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ") and len(outcome.err.strip().splitlines()) == 1
    assert os.listdir(tmp_path) == []

"""Networks stay in memory for the next scan, and their weight files are not read again; an ensemble's folds do not stay."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("monai", reason="networks need lascarseg[models]")

from model_cases import small_card, weights_for  # noqa: E402

from LAScarSegLib.inference import kept_networks  # noqa: E402
from LAScarSegLib.inference.kept_networks import bundle_networks  # noqa: E402
from LAScarSegLib.models.bundle import Bundle, write_bundle  # noqa: E402


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """The names of the weight files that were read; nothing is kept from before."""
    kept_networks._kept_network.cache_clear()
    names, weights = [], Bundle.weights
    monkeypatch.setattr(Bundle, "weights", lambda bundle, name: names.append(name) or weights(bundle, name))
    return names


def bundle_at(folder, **changes) -> Bundle:
    card = small_card(coarse=True, **changes)
    return write_bundle(card, weights_for(card), folder)


def test_the_second_scan_needs_no_file(read, tmp_path):
    """Nor does a bundle found anew, as the next run finds it."""
    for bundle in (bundle_at(tmp_path / "one"), bundle_at(tmp_path / "two")):
        networks = [bundle_networks(bundle)(spec, 0) for spec in (bundle.card.coarse, bundle.card.fine)]
        assert not any(network.training for network in networks)
    assert read == ["coarse.safetensors", "fold_0.safetensors"]


def test_other_weights_are_another_network(read, tmp_path):
    bundle = bundle_at(tmp_path / "one")
    first = bundle_networks(bundle)(bundle.card.fine, 0)
    files = weights_for(bundle.card)
    files["fold_0.safetensors"] = weights_for(small_card(folds=2))["fold_1.safetensors"]
    other = write_bundle(replace(bundle.card, files={}), files, tmp_path / "two")
    second = bundle_networks(other)(other.card.fine, 0)
    assert any((a != b).any() for a, b in zip(first.state_dict().values(), second.state_dict().values()))


def test_the_folds_of_an_ensemble_are_read_for_each_scan(read, tmp_path):
    bundle = bundle_at(tmp_path / "one", folds=2)
    for _ in range(2):
        for fold in range(2):
            bundle_networks(bundle)(bundle.card.fine, fold)
    assert read == ["fold_0.safetensors", "fold_1.safetensors"] * 2

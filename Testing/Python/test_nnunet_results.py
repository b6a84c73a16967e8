"""The benchmark's nnU-Net training made of a bundle: the inverse of the import, loadable by nnU-Net's own network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="checkpoints are torch's")
pytest.importorskip("monai", reason="networks need MONAI")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import small_card, weights_for  # noqa: E402
from test_networks import PlainConvUNet, real_plain_conv_unet, with_random_weights  # noqa: E402

from LAScarSegLib.models.bundle import Bundle, pack_tensors, write_bundle  # noqa: E402
from LAScarSegLib.models.nnunet import ImportRequest, convert_results  # noqa: E402
from LAScarSegLib.networks import build  # noqa: E402


@pytest.fixture
def benchmarks(repository, monkeypatch):
    monkeypatch.syspath_prepend(str(repository / "Benchmarks"))


def written(bundle: Bundle, folder: Path) -> Path:
    from common.nnunet_results import write_results

    folder.mkdir()
    write_results(bundle, folder)
    return folder


@pytest.mark.parametrize("half", [False, True])
def test_exported_and_imported_again_the_weights_are_the_same_numbers(benchmarks, tmp_path, half):
    card = small_card()
    files = {"fold_0.safetensors": pack_tensors(build(card.fine.plan, seed=3).state_dict(), half=half)}
    bundle = write_bundle(card, files, tmp_path / "model")
    imported, again = convert_results(written(bundle, tmp_path / "results"), ImportRequest(name="again"))
    back = write_bundle(imported, again, tmp_path / "back")
    before, after = (b.state_dict("fold_0.safetensors") for b in (bundle, back))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].float(), after[name]) for name in before)
    assert replace(imported.fine, weights=card.fine.weights) == card.fine


@pytest.mark.parametrize("make", [PlainConvUNet, real_plain_conv_unet])
def test_nnu_nets_network_takes_the_weights_and_gives_our_output(benchmarks, tmp_path, make):
    card = small_card()
    ours = with_random_weights(build(card.fine.plan)).eval()
    bundle = write_bundle(card, {"fold_0.safetensors": pack_tensors(ours.state_dict())}, tmp_path / "model")
    checkpoint = torch.load(written(bundle, tmp_path / "results") / "fold_0" / "checkpoint_final.pth", weights_only=True)
    theirs = make(card.fine.plan)
    theirs.load_state_dict(checkpoint["network_weights"], strict=True)
    x = torch.randn((1, 1, 16, 16, 16), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        assert torch.allclose(ours(x), theirs.eval()(x)[0], atol=1e-5)
        assert float(ours(x).std()) > 0.01


def test_a_bundle_of_several_folds_gives_its_first(benchmarks, tmp_path):
    card = small_card(folds=2, coarse=True)
    bundle = write_bundle(card, weights_for(card), tmp_path / "model")
    imported, _ = convert_results(written(bundle, tmp_path / "results"), ImportRequest(name="again"))
    assert imported.fine.weights == ("fold_0.safetensors",) and imported.coarse is None

"""The benchmark's nnU-Net training made of a bundle: the inverse of the import, loadable by nnU-Net's own network."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="checkpoints are torch's")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import ball, small_card, weights_for  # noqa: E402
from test_networks import PlainConvUNet, real_plain_conv_unet, with_random_weights  # noqa: E402

from LAScarSegLib.anatomy.overlap import dice  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.models.bundle import Bundle, write_bundle  # noqa: E402
from LAScarSegLib.networks import build  # noqa: E402
from LAScarSegLib.networks.weights import pack_tensors, unpack_tensors  # noqa: E402
from LAScarSegLib.training.nnunet_import import ImportRequest, convert_results  # noqa: E402
from LAScarSegLib.volumes.files import read_volume, write_volume  # noqa: E402


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
    before, after = (unpack_tensors(b.weights("fold_0.safetensors")) for b in (bundle, back))
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


def test_an_imported_model_predicts_what_nnu_nets_own_predictor_does(benchmarks, tmp_path, monkeypatch):
    """On a scan of another spacing, in many tiles. nnU-Net weighs and adds tiles in 16 bits, here in 32: no rounding hides a difference."""
    inference = pytest.importorskip("nnunetv2.inference.predict_from_raw_data", reason="nnunetv2 is not in this environment")
    from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

    card = small_card()
    weights = build(card.fine.plan, seed=4).state_dict()
    # Untrained, it says one half everywhere.
    weights["output_block.conv.conv.weight"] *= 20.0
    results = written(write_bundle(card, {"fold_0.safetensors": pack_tensors(weights)}, tmp_path / "model"), tmp_path / "results")
    scan, _ = ball((1.5, 1.3, 3.0), (70, 64, 30))
    noisy = scan.like((scan.array + np.random.default_rng(5).normal(0.0, 60.0, scan.array.shape)).astype(np.float32))
    write_volume(noisy, tmp_path / "scan.nii.gz")

    predictor = inference.nnUNetPredictor(use_mirroring=False, device=torch.device("cpu"), allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(results), (0,))
    image, properties = SimpleITKIO().read_images([str(tmp_path / "scan.nii.gz")])
    with monkeypatch.context() as patched:
        patched.setattr(torch, "half", torch.float32)
        patched.setattr(inference, "compute_gaussian", functools.partial(inference.compute_gaussian, dtype=torch.float32))
        theirs = predictor.predict_single_npy_array(image, properties, save_or_return_probabilities=True)[1][1]

    imported, files = convert_results(results, ImportRequest(name="again"))
    model = BundleCavityModel.from_bundle(write_bundle(replace(imported, threshold=0.01), files, tmp_path / "back"))
    ours = model.predict(read_volume(tmp_path / "scan.nii.gz")).array
    assert theirs.min() < 0.01 and theirs.max() > 0.9
    assert np.abs(ours - theirs).max() < 1e-4
    assert dice(ours > 0.5, theirs > 0.5) >= 0.999


def test_a_bundle_of_several_folds_gives_its_first(benchmarks, tmp_path):
    card = small_card(folds=2, coarse=True)
    bundle = write_bundle(card, weights_for(card), tmp_path / "model")
    imported, _ = convert_results(written(bundle, tmp_path / "results"), ImportRequest(name="again"))
    assert imported.fine.weights == ("fold_0.safetensors",) and imported.coarse is None

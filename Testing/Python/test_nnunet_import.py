"""nnU-Net v2 results as a bundle: read as data, refused where they would not give nnU-Net's own result."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="checkpoints are torch's")
pytest.importorskip("safetensors", reason="networks need safetensors")

from model_cases import CUBE, ball  # noqa: E402
from small_scan import lascarseg  # noqa: E402
from test_networks import PlainConvUNet  # noqa: E402

from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.models.bundle import read_bundle, write_bundle  # noqa: E402
from LAScarSegLib.models.store import ModelStore  # noqa: E402
from LAScarSegLib.networks import NetworkPlan  # noqa: E402
from LAScarSegLib.training.nnunet_import import ImportRequest, convert_results, import_results  # noqa: E402

PLAN = NetworkPlan(1, 2, (4, 6, 8), CUBE, ((3, 3, 3),) * 3)
REQUEST = ImportRequest(name="imported")
SPACING_KJI, PATCH = [2.0, 2.0, 2.0], [32, 32, 32]


def plans(**changes) -> dict:
    """A plans.json as nnU-Net v2.8 writes it, with one configuration that inherits from another."""
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "spacing": SPACING_KJI, "patch_size": PATCH, "batch_size": 2,
        "preprocessor_name": "DefaultPreprocessor", "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": resampling | {"order": 3},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape", "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 3, "features_per_stage": [4, 6, 8], "strides": [list(s) for s in CUBE], "kernel_sizes": [[3, 3, 3]] * 3,
                "conv_op": "torch.nn.modules.conv.Conv3d", "n_conv_per_stage": [2, 2, 2], "n_conv_per_stage_decoder": [2, 2],
                "conv_bias": True, "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True},
                "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
            },
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
        },
    }  # fmt: skip
    top = {key: changes.pop(key) for key in ("image_reader_writer", "transpose_forward") if key in changes}
    return {
        "dataset_name": "Dataset501_LA", "plans_name": "nnUNetPlans", "transpose_forward": [0, 1, 2], "image_reader_writer": "SimpleITKIO",
        "configurations": {"3d_fullres": configuration | changes, "longer": {"inherits_from": "3d_fullres", "batch_size": 4}},
    } | top  # fmt: skip


def checkpoint(seed: int, configuration: str = "longer", **more) -> dict:
    """A checkpoint as nnUNetTrainer.save_checkpoint writes it."""
    torch.manual_seed(seed)
    return {
        "network_weights": PlainConvUNet(PLAN).state_dict(),
        "optimizer_state": {"state": {}, "param_groups": []},
        "grad_scaler_state": None,
        # nnU-Net 2 logs NumPy numbers.
        "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.6)], "epoch_end_timestamps": [1.0]},
        "_best_ema": np.float64(0.7),
        "current_epoch": 1000,
        "init_args": {"configuration": configuration, "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1, 2),
    } | more


def results(folder: Path, folds: int = 2, dataset: dict | None = None, **changes) -> Path:
    """A finished training on disk."""
    folder = folder / "nnUNetTrainer__nnUNetPlans__3d_fullres"
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans(**changes)))
    labels = {"channel_names": {"0": "LGE"}, "labels": {"background": 0, "LA": 1}, "numTraining": 5, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(labels | (dataset or {})))
    for fold in range(folds):
        (folder / f"fold_{fold}").mkdir()
        torch.save(checkpoint(fold), folder / f"fold_{fold}" / "checkpoint_final.pth")
        (folder / f"fold_{fold}" / "progress.png").write_bytes(b"png")
    return folder


def zip_of(folder: Path) -> Path:
    """As `nnUNetv2_export_model_to_zip` packs it: below the dataset's folder."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.rglob("*"):
            archive.write(file, Path("Dataset501_LA") / file.relative_to(folder.parent))
    return target


def test_a_results_folder_and_a_zip_of_it_become_the_same_bundle(tmp_path):
    folder = results(tmp_path)
    store = ModelStore(tmp_path / "store")
    added = import_results(folder, REQUEST, store)
    assert import_results(zip_of(folder), REQUEST, store).card.sha256 == added.card.sha256
    card = read_bundle(added.path).card
    assert card.fine.weights == ("fold_0.safetensors", "fold_1.safetensors")
    assert card.fine.spacing_mm == (2.0, 2.0, 2.0) and card.fine.patch == (32, 32, 32)
    assert (card.preprocessing.resampling, card.preprocessing.ensemble, card.preprocessing.orientation) == ("nnunet", "logits", "stored")
    assert card.preprocessing.statistics == "nonzero_box" and card.preprocessing.mirror_axes == (0, 1, 2)
    assert card.training["data"] == "Dataset501_LA" and card.training["folds"] == ["fold_0", "fold_1"]


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0)])
def test_an_imported_model_gives_what_plain_conv_unet_gives(tmp_path, axes):
    # One tile at the plan's own spacing: axes exchanged, z-score, network, mean logit of two folds, softmax, axes back.
    folder = results(tmp_path, transpose_forward=list(axes))
    volume, _ = ball((2.0, 2.0, 2.0), (32, 32, 32))
    turned = volume.array.transpose(axes)
    z = torch.from_numpy(((turned - turned.mean()) / turned.std()).astype(np.float32))[None, None]
    logits = 0
    for fold in range(2):
        network = PlainConvUNet(PLAN)
        network.load_state_dict(checkpoint(fold)["network_weights"])
        with torch.inference_mode():
            output = network.eval()(z)
        logits = logits + (output[0] if isinstance(output, list) else output) / 2
    expected = torch.softmax(logits, dim=1)[0, 1].numpy().transpose(np.argsort(axes))
    card, files = convert_results(folder, REQUEST)
    bundle = write_bundle(replace(card, threshold=0.01), files, tmp_path / "model")
    assert np.abs(BundleCavityModel.from_bundle(bundle).predict(volume).array - expected).max() < 1e-5


def test_the_command_imports_into_the_store(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LASCARSEG_MODELS", str(tmp_path / "store"))
    terms = tmp_path / "terms.txt"
    terms.write_text("Research only.")
    outcome = lascarseg(
        capfd, "models", "import-nnunet", results(tmp_path), "--name", "imported", "--terms", terms, "--licence", "CC BY-NC 4.0"
    )
    assert outcome.code == 0, outcome.err
    assert "Imported imported@1.0" in outcome.out and "models accept imported@1.0" in outcome.out
    assert ModelStore().find("imported").card.licence == "CC BY-NC 4.0"


class Payload:
    """Unpickling it raises."""

    def __reduce__(self):
        return eval, ("1 / 0",)


@pytest.mark.parametrize("payload", [Payload(), Path("/etc")])
def test_a_checkpoint_with_more_than_weights_and_numbers_is_refused_without_running_it(tmp_path, payload):
    folder = results(tmp_path, folds=1)
    torch.save(checkpoint(0, extra=payload), folder / "fold_0" / "checkpoint_final.pth")
    with pytest.raises(InputError, match="besides weights and numbers.*could run code"):
        convert_results(folder, REQUEST)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_bare_pickle_is_refused_without_running_it(tmp_path):
    folder = results(tmp_path, folds=1)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(InputError, match=r"checkpoint_final\.pth"):
        convert_results(folder, REQUEST)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04"])
def test_a_damaged_checkpoint_is_refused(tmp_path, content):
    folder = results(tmp_path, folds=1)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"checkpoint_final\.pth"):
        convert_results(folder, REQUEST)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    folder = results(tmp_path, folds=1)
    path = folder / "fold_0" / "checkpoint_final.pth"
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"checkpoint_final\.pth is damaged"):
        convert_results(folder, REQUEST)


def test_another_torch_file_is_no_checkpoint(tmp_path):
    folder = results(tmp_path, folds=1)
    buffer = io.BytesIO()
    torch.save({"weights": torch.zeros(3)}, buffer)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(buffer.getvalue())
    with pytest.raises(InputError, match="no nnU-Net v2 checkpoint"):
        convert_results(folder, REQUEST)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"normalization_schemes": ["CTNormalization"]}, "CTNormalization"),
        ({"normalization_schemes": ["ZScoreNormalization"] * 2}, "takes 2 channels"),
        ({"preprocessor_name": "MyPreprocessor"}, "MyPreprocessor"),
        ({"resampling_fn_data": "resample_torch_fornnunet"}, "resampling_fn_data"),
        ({"resampling_fn_probabilities_kwargs": {"order": 0}}, "resampling_fn_probabilities"),
        ({"patch_size": [32, 32]}, "only 3-D"),
        ({"previous_stage": "3d_lowres"}, "cascade"),
        ({"image_reader_writer": "NibabelIOWithReorient"}, "NibabelIOWithReorient"),
        ({"architecture": {"network_class_name": "x.ResidualEncoderUNet", "arch_kwargs": {}}}, "ResidualEncoderUNet"),
    ],
)
def test_what_would_not_give_nnunets_own_result_is_refused_with_the_reason(tmp_path, changes, reason):
    with pytest.raises(InputError, match=reason):
        convert_results(results(tmp_path, folds=1, **changes), REQUEST)


@pytest.mark.parametrize(
    "labels", [{"background": 0, "LA": 1, "scar": 2}, {"background": 0, "whole": [1, 2]}, None, {"background": 0, "ignore": 1, "LA": 2}]
)
def test_other_labels_than_background_and_one_structure_are_refused(tmp_path, labels):
    with pytest.raises(InputError, match="labels"):
        convert_results(results(tmp_path, folds=1, dataset={"labels": labels}), REQUEST)


def test_an_unfinished_training_says_so(tmp_path):
    with pytest.raises(InputError, match="has not finished"):
        convert_results(results(tmp_path, folds=0), REQUEST)


def test_a_network_trained_on_all_cases_is_left_out_where_there_are_folds(tmp_path):
    # As nnU-Net's own auto_detect_available_folds does.
    folder = results(tmp_path, folds=2)
    shutil.copytree(folder / "fold_0", folder / "fold_all")
    card, _ = convert_results(folder, REQUEST)
    assert card.training["folds"] == ["fold_0", "fold_1"]


def test_a_folder_of_several_trainings_or_of_none_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no plans\.json"):
        convert_results(tmp_path, REQUEST)
    results(tmp_path / "a", folds=1)
    results(tmp_path / "b", folds=1)
    with pytest.raises(InputError, match="several trainings"):
        convert_results(tmp_path, REQUEST)


def test_a_zip_that_leads_out_of_itself_is_refused(tmp_path):
    path = zip_of(results(tmp_path, folds=1))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../evil.pth", b"x")
    with pytest.raises(InputError, match="leads out of it"):
        convert_results(path, REQUEST)


def test_a_model_of_three_channels_belongs_to_the_scar_stage(tmp_path):
    changes = {"normalization_schemes": ["ZScoreNormalization", "NoNormalization", "NoNormalization"], "use_mask_for_norm": [False] * 3}
    folder = results(tmp_path, folds=0, **changes)
    three = NetworkPlan(3, 2, (4, 6, 8), CUBE, ((3, 3, 3),) * 3)
    (folder / "fold_all").mkdir()
    torch.save(checkpoint(0, network_weights=PlainConvUNet(three).state_dict()), folder / "fold_all" / "checkpoint_final.pth")
    card, _ = convert_results(folder, ImportRequest(name="imported", stage="scar"))
    assert [(c.name, c.normalisation, c.padding) for c in card.channels] == [
        ("lge", "zscore", 0.0), ("sdm_cavity", "none", 0.0), ("sdm_wall", "none", 0.0)
    ]  # fmt: skip
    assert card.preprocessing.statistics == "image" and card.training["folds"] == ["fold_all"]

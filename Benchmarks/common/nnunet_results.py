"""A bundle's fine network written out as a finished nnU-Net v2 training: the inverse of `lascarseg models import-nnunet`.

nnU-Net's own preprocessing takes the place of the bundle's, so what nnU-Net then finds is what the bundle finds only after it was
imported again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LAScarSegLib.models.bundle import Bundle
from LAScarSegLib.models.card import NetworkSpec
from LAScarSegLib.networks import NetworkPlan
from LAScarSegLib.networks.from_nnunet import CONVOLUTIONS, weight_names
from LAScarSegLib.networks.weights import unpack_tensors

if TYPE_CHECKING:
    from torch import Tensor

CONFIGURATION = "3d_fullres"


def write_results(bundle: Bundle, folder: Path) -> None:
    """Write `plans.json`, `dataset.json` and `fold_0/checkpoint_final.pth` of the bundle's first fold into an empty folder."""
    import torch

    spec = bundle.card.fine
    (folder / "plans.json").write_text(json.dumps(plans_of(spec), indent=1))
    (folder / "dataset.json").write_text(json.dumps(DATASET, indent=1))
    checkpoint = {
        "network_weights": nnunet_weights(unpack_tensors(bundle.weights(spec.weights[0])), replace(spec.plan, deep_supervision=False)),
        "init_args": {"configuration": CONFIGURATION},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": None,
    }
    (folder / "fold_0").mkdir()
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")


DATASET = {"channel_names": {"0": "LGE"}, "labels": {"background": 0, "LA": 1}, "numTraining": 0, "file_ending": ".nii.gz"}


def plans_of(spec: NetworkSpec) -> dict[str, Any]:
    """The `plans.json` of one network, with what nnU-Net 2.8 asks for when it predicts."""
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor",
        "spacing": list(spec.spacing_mm), "patch_size": list(spec.patch), "batch_size": 2, "batch_dice": True,
        "normalization_schemes": ["ZScoreNormalization"], "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": resampling | {"order": 3},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape", "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": _architecture(spec.plan),
    }  # fmt: skip
    return {
        "dataset_name": "Dataset001_LA", "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO", "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "configurations": {CONFIGURATION: configuration},
        # Asked for by channel whatever the normalisation; a z-score makes no use of it.
        "foreground_intensity_properties_per_channel": {"0": {}},
    }  # fmt: skip


def _architecture(plan: NetworkPlan) -> dict[str, Any]:
    stages = len(plan.features)
    sizes = plan.to_json()
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages, "features_per_stage": sizes["features"], "strides": sizes["strides"], "kernel_sizes": sizes["kernel_sizes"],
            "n_conv_per_stage": [CONVOLUTIONS] * stages, "n_conv_per_stage_decoder": [CONVOLUTIONS] * (stages - 1),
            "conv_op": "torch.nn.modules.conv.Conv3d", "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "dropout_op": None, "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }  # fmt: skip


def nnunet_weights(weights: Mapping[str, Tensor], plan: NetworkPlan) -> dict[str, Tensor]:
    """Our network's weights, float32, under every name that PlainConvUNet has for them.

    What ours does not have is 0: the convolutions' biases, which have no effect, and outputs of deep supervision, which are not used.
    """
    named = {theirs: weights[ours].float() for ours, theirs in weight_names(plan)}
    named |= dict(_missing(named, plan))
    named |= {twin: tensor for name, tensor in named.items() for twin in _inner_names(name)}
    # The decoder keeps the encoder as a part of itself.
    return named | {f"decoder.{name}": tensor for name, tensor in named.items() if name.startswith("encoder.")}


def _missing(named: Mapping[str, Tensor], plan: NetworkPlan) -> Iterator[tuple[str, Tensor]]:
    import torch

    for name, tensor in named.items():
        if name.endswith(".conv.weight"):
            yield name.removesuffix("weight") + "bias", torch.zeros(tensor.shape[0])
    coarsest_first = plan.features[-2::-1]
    for level, features in enumerate(coarsest_first):
        if f"decoder.seg_layers.{level}.weight" not in named:
            yield f"decoder.seg_layers.{level}.weight", torch.zeros(plan.out_channels, features, 1, 1, 1)
            yield f"decoder.seg_layers.{level}.bias", torch.zeros(plan.out_channels)


def _inner_names(name: str) -> list[str]:
    """A block's convolution and norm are also the first and second of its `all_modules`."""
    return [name.replace(part, inner) for part, inner in ((".conv.", ".all_modules.0."), (".norm.", ".all_modules.1.")) if part in name]

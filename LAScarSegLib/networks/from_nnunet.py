"""nnU-Net v2's PlainConvUNet carried over to our network: its plan and its weights. Needs neither nnU-Net nor torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from .plan import NetworkPlan

if TYPE_CHECKING:
    import torch

PLAIN_CONV_UNET = "PlainConvUNet"
CONVOLUTIONS = 2
"""Per stage, in encoder and decoder: nnU-Net's default, and all that a DynUNet block has."""
WRAPPERS = ("module.", "_orig_mod.")
"""What DistributedDataParallel and torch.compile put before every name."""


def plan_from_nnunet(configuration: Mapping[str, Any], in_channels: int, out_channels: int) -> NetworkPlan:
    """The network of one entry of `configurations` in an nnU-Net `plans.json` (such as `3d_fullres`).

    Raises
    ------
    InputError
        for another network than a 3-D PlainConvUNet with two convolutions per stage, instance norm and leaky ReLU.
    """
    name, kwargs = _architecture(configuration)
    if name.rpartition(".")[2] != PLAIN_CONV_UNET:
        raise InputError(f"The nnU-Net network is a {name}; only {PLAIN_CONV_UNET}, nnU-Net's default, can be imported.")
    try:
        features, kernels, strides = kwargs["features_per_stage"], kwargs["kernel_sizes"], kwargs["strides"]
        _check_blocks(kwargs, len(features))
        channels = {"in_channels": in_channels, "out_channels": out_channels}
        return NetworkPlan.from_json(channels | {"features": features, "strides": strides, "kernel_sizes": kernels})
    except KeyError as error:
        raise InputError(f"The nnU-Net plan has no {error.args[0]}: it is damaged, or of a version that isn't known.") from None
    except TypeError:
        raise InputError("The nnU-Net plan can't be used: features, kernel sizes and strides must be lists, one entry per stage.") from None


def convert_state_dict(weights: Mapping[str, torch.Tensor], plan: NetworkPlan) -> dict[str, torch.Tensor]:
    """PlainConvUNet's weights under the names of our network; the tensors themselves are not copied.

    The biases of the convolutions are dropped: the instance norm behind each takes the mean away, bias and all. Load the
    result with `strict=True`, which checks the shapes.

    Raises
    ------
    InputError
        when a weight is missing, or there is one that such a network doesn't have.
    """
    named = {reduce(str.removeprefix, WRAPPERS, name): tensor for name, tensor in weights.items()}
    names = dict(weight_names(plan))
    missing = sorted(set(names.values()) - named.keys())
    foreign = sorted(name for name in named.keys() - set(names.values()) if not _is_spare(name))
    for word, found in (("lack", missing), ("also have", foreign)):
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise InputError(f"These weights are not those of the planned {PLAIN_CONV_UNET}: they {word} {found[0]!r}{more}.")
    return {ours: named[theirs] for ours, theirs in names.items()}


def weight_names(plan: NetworkPlan) -> Iterator[tuple[str, str]]:
    """(our name, PlainConvUNet's name) of every weight."""
    last = len(plan.features) - 1
    blocks = ["input_block", *(f"downsamples.{i}" for i in range(last - 1)), "bottleneck"]
    for stage, block in enumerate(blocks):
        yield from _block_names(block, f"encoder.stages.{stage}.0")
    for step in range(last):
        yield from _block_names(f"upsamples.{step}.conv_block", f"decoder.stages.{step}")
        for part in ("weight", "bias"):
            yield f"upsamples.{step}.transp_conv.conv.{part}", f"decoder.transpconvs.{step}.{part}"
    # PlainConvUNet counts its outputs from the coarsest, ours from the finest.
    outputs = ["output_block", *(f"deep_supervision_heads.{i}" for i in range(last - 1 if plan.deep_supervision else 0))]
    for level, output in enumerate(outputs):
        for part in ("weight", "bias"):
            yield f"{output}.conv.conv.{part}", f"decoder.seg_layers.{last - 1 - level}.{part}"


def _block_names(ours: str, theirs: str) -> Iterator[tuple[str, str]]:
    for convolution in range(CONVOLUTIONS):
        yield f"{ours}.conv{convolution + 1}.conv.weight", f"{theirs}.convs.{convolution}.conv.weight"
        for part in ("weight", "bias"):
            yield f"{ours}.norm{convolution + 1}.{part}", f"{theirs}.convs.{convolution}.norm.{part}"


def _is_spare(name: str) -> bool:
    """A weight that has another name too, one without effect, or one of a supervision head that the plan has no use for."""
    return (
        name.startswith(("decoder.encoder.", "decoder.seg_layers."))
        or ".all_modules." in name
        or (name.endswith(".conv.bias") and ".convs." in name)
    )


def _architecture(configuration: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Network name and arguments; nnU-Net before 2.3 wrote them in another way (as its own PlansManager translates them)."""
    if "architecture" in configuration:
        architecture = configuration["architecture"]
        return str(architecture.get("network_class_name", "network without a name")), architecture.get("arch_kwargs", {})
    if "UNet_class_name" not in configuration:
        raise InputError("The nnU-Net plan names no network: it is not a configuration of a plans.json.")
    try:
        stages = len(configuration["n_conv_per_stage_encoder"])
        first, most = configuration["UNet_base_num_features"], configuration["unet_max_num_features"]
        return str(configuration["UNet_class_name"]), {
            "features_per_stage": [min(first * 2**stage, most) for stage in range(stages)],
            "kernel_sizes": configuration["conv_kernel_sizes"],
            "strides": configuration["pool_op_kernel_sizes"],
            "n_conv_per_stage": configuration["n_conv_per_stage_encoder"],
            "n_conv_per_stage_decoder": configuration["n_conv_per_stage_decoder"],
        }
    except KeyError as error:
        raise InputError(f"The nnU-Net plan has no {error.args[0]}: it is damaged, or of a version that isn't known.") from None


def _check_blocks(kwargs: Mapping[str, Any], stages: int) -> None:
    """Refuse a PlainConvUNet whose blocks are not nnU-Net's default ones."""
    for key, count in (("n_conv_per_stage", stages), ("n_conv_per_stage_decoder", stages - 1)):
        per_stage = kwargs[key]
        if set([per_stage] if isinstance(per_stage, int) else per_stage) != {CONVOLUTIONS}:
            raise InputError(f"{key} of the nnU-Net plan is {per_stage}; only {CONVOLUTIONS} in each of {count} stages can be imported.")
    defaults = {
        "conv_op": "Conv3d", "norm_op": "InstanceNorm3d", "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "dropout_op": None, "nonlin": "LeakyReLU", "nonlin_kwargs": {"inplace": True}, "nonlin_first": False,
    }  # fmt: skip
    for key, default in defaults.items():
        value = kwargs.get(key, default)
        if (value.rpartition(".")[2] if isinstance(value, str) else value) != default:
            raise InputError(f"{key} of the nnU-Net plan is {value!r}; only nnU-Net's default, {default!r}, can be imported.")

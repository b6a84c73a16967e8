"""A finished nnU-Net v2 training made into a bundle: plans, labels and weights are read as data, no pickle is executed.

Isensee et al., nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation, Nature Methods 2021.
"""

import io
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InputError
from ..models.bundle import Bundle
from ..models.bundle_files import BundleFiles, open_bundle
from ..models.card import Channel, ModelCard, NetworkSpec, Preprocessing
from ..models.store import ModelStore
from ..networks.from_nnunet import convert_state_dict, plan_from_nnunet
from ..networks.weights import pack_tensors
from ..support.json_text import parse_json
from ..support.printable import printable
from ..systems import find_system

LARGEST_JSON_BYTES = 64 << 20
"""plans.json holds every training case's shape; 64 MiB is a hundred thousand of them."""
LARGEST_CHECKPOINT_BYTES = 2 << 30
"""Weights and the optimiser's state of nnU-Net's largest default network are 0.5 GB."""
READERS = ("SimpleITKIO", "NibabelIO")
"""nnU-Net's readers that leave the voxels as they are stored."""
RESAMPLERS = {"resampling_fn_data": 3, "resampling_fn_probabilities": 1}
"""By key of the plans, the order of nnU-Net's default resampling."""
NORMALISATION_OF = {"ZScoreNormalization": "zscore", "NoNormalization": "none"}
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True)
class ImportRequest:
    """What nnU-Net's files don't say: the model's name and version, what it is, and under which licence and terms it comes."""

    name: str
    version: str = "1.0"
    system: str = "two_stage_sdm"
    stage: str = "cavity"
    variant: str = "full"
    licence: str = "Not stated; ask who trained it."
    intended_use: str = "Research use only."
    terms: str | None = None
    simulated: bool = False
    checkpoint: str = "checkpoint_final.pth"


def import_results(results: str | Path, request: ImportRequest, store: ModelStore, force: bool = False) -> Bundle:
    """Convert a results folder, or a zip of one, and add it to the store; arguments and errors as in `convert_results`."""
    card, files = convert_results(results, request)
    return store.keep_new(card, files, force)


def convert_results(results: str | Path, request: ImportRequest) -> tuple[ModelCard, dict[str, bytes]]:
    """A bundle's card and files from nnU-Net's `plans.json`, `dataset.json` and `fold_*/checkpoint_final.pth`.

    Imports torch. Folds become an ensemble, in the order of their numbers.

    Raises
    ------
    InputError
        something is missing or damaged, the checkpoints hold more than weights and numbers, or the model is of a kind that
        would not give nnU-Net's own results here (another network, other labels, another preprocessing).
    """
    source = open_bundle(results)
    folder, folds = _locate(source, request.checkpoint)
    plans, dataset = (_json(source, f"{folder}{name}") for name in ("plans.json", "dataset.json"))
    checkpoints = [_checkpoint(source, path) for path in folds]
    configuration_name = _configuration_name(checkpoints[0], plans)
    configuration = _configuration(plans, configuration_name)
    _check_dataset(dataset)
    _check_plans(plans, configuration)
    described = find_system(request.system).stage(request.stage, request.variant)
    channels = _channels(configuration, [channel.name for channel in described.channels], dataset)
    # A bundle is for running: the heads of deep supervision stay behind.
    plan = replace(plan_from_nnunet(configuration, len(channels), out_channels=2), deep_supervision=False)
    names = tuple(f"fold_{number}.safetensors" for number in range(len(folds)))
    files = {name: pack_tensors(convert_state_dict(c["network_weights"], plan)) for name, c in zip(names, checkpoints)}
    card = ModelCard(
        name=request.name, version=request.version, system=request.system, stage=request.stage, variant=request.variant,
        fine=NetworkSpec(plan, tuple(float(s) for s in configuration["spacing"]), tuple(configuration["patch_size"]), names),
        channels=channels, preprocessing=_preprocessing(plans, configuration, checkpoints[0], len(channels)),
        threshold=described.threshold, licence=request.licence, intended_use=request.intended_use, terms=request.terms,
        simulated=request.simulated, training=_training(plans, dataset, checkpoints[0], configuration_name, folds),
    )  # fmt: skip
    return card, files


def _locate(source: BundleFiles, checkpoint: str) -> tuple[str, list[str]]:
    """The folder ("" or "a/b/") that holds plans.json, and the paths of its folds' checkpoints."""
    plans = [name for name in source.names() if PurePosixPath(name).name == "plans.json"]
    if len(plans) != 1:
        found = "no plans.json" if not plans else f"several trainings ({', '.join(plans[:3])})"
        raise InputError(f"{source.path} holds {found}. Give the results folder of one training (NAME__nnUNetPlans__3d_fullres).")
    folder = plans[0][: -len("plans.json")]
    parts = [(name, name[len(folder) :].split("/")) for name in source.names() if name.startswith(folder)]
    folds = [name for name, rest in parts if len(rest) == 2 and _FOLD.fullmatch(rest[0]) and rest[1] == checkpoint]
    # As nnU-Net does: the network trained on all cases is taken only when there are no folds.
    numbered = [name for name in folds if "/fold_all/" not in f"/{name}"] or folds
    if not numbered:
        raise InputError(
            f"{source.path} holds no fold_*/{checkpoint}: the training has not finished. Finish it, or name another checkpoint."
        )
    return folder, sorted(numbered, key=lambda name: [int(n) for n in re.findall(r"fold_(\d+)", name)])


def _json(source: BundleFiles, name: str) -> dict[str, Any]:
    try:
        data = parse_json(source.read(name, LARGEST_JSON_BYTES), LARGEST_JSON_BYTES)
    except ValueError as error:
        raise InputError(f"{source.path}: {name} is damaged ({printable(error)}).") from error
    if not isinstance(data, dict):
        raise InputError(f"{source.path}: {name} is not a JSON object.")
    return data


def _checkpoint(source: BundleFiles, name: str) -> dict[str, Any]:
    """The content of a checkpoint: tensors, numbers and text, read by torch's restricted unpickler."""
    import torch

    content = source.read(name, LARGEST_CHECKPOINT_BYTES)
    try:
        # nnU-Net logs its losses as NumPy numbers; these names make numbers and nothing else.
        with torch.serialization.safe_globals(_numpy_numbers()):
            data = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        needs = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"'{needs[1]}'" if needs else "something"
        raise InputError(
            f"{source.path}: {name} holds {what} besides weights and numbers. It is not read, since unpickling could run code. "
            "Where you trust it, load it with torch and save 'network_weights', 'trainer_name', 'init_args' and "
            "'inference_allowed_mirroring_axes' again."
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InputError(
            f"{source.path}: {name} is damaged or no checkpoint ({str(error).partition(chr(10))[0] or 'it is empty'}). Copy it again."
        ) from error
    weights = data.get("network_weights") if isinstance(data, dict) else None
    if not isinstance(weights, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in weights.values()):
        raise InputError(f"{source.path}: {name} has no network weights: it is no nnU-Net v2 checkpoint.")
    return data


def _numpy_numbers() -> list[Any]:
    """What a NumPy scalar is pickled with, under its names of NumPy 1 and 2."""
    import numpy as np
    from numpy._core.multiarray import scalar

    return [np.dtype, (scalar, "numpy.core.multiarray.scalar"), scalar, *(type(np.dtype(name)) for name in ("f4", "f8", "i4", "i8", "?"))]


def _configuration_name(checkpoint: Mapping[str, Any], plans: Mapping[str, Any]) -> str:
    name = (checkpoint.get("init_args") or {}).get("configuration")
    if name not in plans.get("configurations", {}):
        raise InputError(
            f"The checkpoint is of the configuration {name!r}, which plans.json does not have: the files are of different trainings."
        )
    return name


def _configuration(plans: Mapping[str, Any], name: str) -> dict[str, Any]:
    """One configuration, with what it inherits from others."""
    chain: list[str] = []
    while name is not None:
        if name in chain or name not in plans["configurations"]:
            raise InputError(f"plans.json: the configuration {name!r} inherits from itself or does not exist.")
        chain.append(name)
        name = plans["configurations"][name].get("inherits_from")
    return {key: value for link in reversed(chain) for key, value in plans["configurations"][link].items()}


def _check_dataset(dataset: Mapping[str, Any]) -> None:
    labels = dataset.get("labels")
    if not isinstance(labels, dict) or sorted(map(str, labels.values())) != ["0", "1"]:
        raise InputError(f"The model's labels are {labels}; only background (0) and one structure (1) can be imported.")


def _check_plans(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> None:
    """Refuse what would run, but not give nnU-Net's own result."""
    missing = sorted({"spacing", "patch_size", "normalization_schemes", "use_mask_for_norm"} - set(configuration))
    if missing:
        raise InputError(f"plans.json has no {', '.join(missing)}: it is damaged, or of a version that isn't known.")
    if len(configuration["patch_size"]) != 3:
        raise InputError(f"The patch is {configuration['patch_size']}; only 3-D configurations can be imported, such as 3d_fullres.")
    if configuration.get("previous_stage") or configuration.get("previous_stage_name"):
        raise InputError("The configuration is the second stage of a cascade, which can't be imported. Import 3d_fullres or 3d_lowres.")
    preprocessor = configuration.get("preprocessor_name", "DefaultPreprocessor")
    if preprocessor != "DefaultPreprocessor":
        raise InputError(f"The model was trained with the preprocessor {preprocessor}; only nnU-Net's DefaultPreprocessor can be imported.")
    reader = plans.get("image_reader_writer", READERS[0])
    if reader not in READERS:
        raise InputError(f"The model was trained with the reader {reader}, which turns the scans; {' and '.join(READERS)} can be imported.")
    for key, order in RESAMPLERS.items():
        name = configuration.get(key, "resample_data_or_seg_to_shape")
        wanted = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
        if name != "resample_data_or_seg_to_shape" or configuration.get(f"{key}_kwargs", wanted) != wanted:
            raise InputError(f"{key} of plans.json is {name} {configuration.get(f'{key}_kwargs')}; only nnU-Net's default can be imported.")


def _channels(configuration: Mapping[str, Any], names: list[str], dataset: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The input channels as the system makes them, normalised as nnU-Net did; nnU-Net pads all of them with 0."""
    schemes = configuration["normalization_schemes"]
    unknown = [scheme for scheme in schemes if scheme not in NORMALISATION_OF]
    if unknown:
        raise InputError(f"The model normalises with {unknown[0]}; {' and '.join(NORMALISATION_OF)} can be imported.")
    if len(schemes) != len(names):
        given = ", ".join(map(str, (dataset.get("channel_names") or {}).values()))
        raise InputError(
            f"The model takes {len(schemes)} channels ({given}); this system's stage makes {', '.join(names)}. "
            "Choose another stage or variant."
        )
    return tuple(Channel(name, NORMALISATION_OF[scheme]) for name, scheme in zip(names, schemes))


def _preprocessing(
    plans: Mapping[str, Any], configuration: Mapping[str, Any], checkpoint: Mapping[str, Any], channels: int
) -> Preprocessing:
    # nnU-Net cuts away what is 0 in every channel; a distance map is 0 nowhere but on its boundary.
    statistics = "image" if channels > 1 else "nonzero" if configuration["use_mask_for_norm"][0] else "nonzero_box"
    return Preprocessing(
        resampling="nnunet",
        statistics=statistics,
        orientation="stored",
        axes=tuple(plans.get("transpose_forward", (0, 1, 2))),
        ensemble="logits",
        mirror_axes=tuple(checkpoint.get("inference_allowed_mirroring_axes") or ()),
    )


def _training(
    plans: Mapping[str, Any], dataset: Mapping[str, Any], checkpoint: Mapping[str, Any], configuration: str, folds: list[str]
) -> dict[str, Any]:
    return {
        "framework": "nnU-Net v2",
        "data": str(plans.get("dataset_name", "not stated")),
        "cases": dataset.get("numTraining"),
        "trainer": str(checkpoint.get("trainer_name", "not stated")),
        "configuration": configuration,
        "folds": [PurePosixPath(path).parent.name for path in folds],
    }

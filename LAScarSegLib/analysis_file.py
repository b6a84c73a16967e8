"""A whole analysis as one file, from the worker's process to Slicer's: arrays and JSON in an .npz, nothing pickled."""

from __future__ import annotations

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from .analysis import Analysis, ScarMethod
from .errors import ProcessingError
from .flags import QualityFlag
from .intensity.blood_pool import BloodPool
from .intensity.curve import ThresholdCurve
from .measure.quantities import Quantity
from .measure.sample import GivenScar, Sample
from .progress import Progress
from .settings import Settings
from .surface.planes import CutPlane
from .surface.surface import Surface
from .volume import Box, Volume
from .whole_folder import FolderKind, check_folder, disk_error, whole_folder

FILE = "analysis.npz"
FOLDER = FolderKind("LAScarSeg analysis", frozenset({FILE}), frozenset({FILE}))
VERSION = 1
"""Of the format: worker and reader are the same installation, so another one is refused."""
JSON_NAME = "json"
"""The member that holds everything but arrays, as UTF-8 bytes."""
BOX_ARRAYS = (
    "lge_box", "cavity_box", "wall_box", "scar_box", "sdm_cavity_box", "sdm_wall_box", "scar_probability_box", "cavity_probability_box",
)  # fmt: skip
SAMPLE_ARRAYS = ("wall_intensity", "cavity_intensity", "wall_peak", "vertex_area_mm2", "is_wall")
SAMPLE_VALUES = ("has_planes", "la_volume_ml", "voxel_volume_ml")


def check_analysis_folder(folder: str | Path, force: bool = False) -> Path:
    """The absolute path of `folder`, if an analysis may be written there; `InputError` else."""
    return check_folder(folder, force, FOLDER)


def write_analysis_folder(analysis: Analysis, folder: Path, force: bool, progress: Progress) -> None:
    """`FILE` in a folder that appears whole or not at all."""
    with whole_folder(Path(folder).expanduser().resolve(), force, FOLDER) as partial:
        progress.report("output", 0.0, "Handing over the result")
        write_analysis(analysis, partial / FILE)
        progress.report("output", 1.0, "Handed over")


def write_analysis(analysis: Analysis, path: Path) -> None:
    """Write all of an analysis but the scan itself, which the reader has; `ProcessingError` for a full disk."""
    arrays = {name: getattr(analysis, name) for name in BOX_ARRAYS}
    arrays |= {f"surface.{name}": array for name, array in _fields(analysis.surface).items()}
    arrays |= {f"curve.{name}": array for name, array in _fields(analysis.curve).items()}
    samples = []
    for number, sample in enumerate(analysis.samples):
        arrays |= {f"sample{number}.{name}": getattr(sample, name) for name in SAMPLE_ARRAYS}
        samples.append(_sample_values(sample))
        if sample.given_scar is not None:
            arrays[f"sample{number}.given_scar"] = sample.given_scar.vertices
    content = {
        "version": VERSION,
        "box": dataclasses.asdict(analysis.box),
        "settings": analysis.settings.to_json(),
        "method": analysis.method.to_json(),
        "measurements": {key: quantity.to_json() for key, quantity in analysis.measurements.items()},
        "flags": [flag.to_json() for flag in analysis.flags],
        "planes": [plane.to_json() for plane in analysis.planes],
        "provenance": analysis.provenance,
        "samples": samples,
    }
    arrays[JSON_NAME] = np.frombuffer(json.dumps(content).encode("utf-8"), dtype=np.uint8)
    try:
        with open(path, "wb") as file:
            np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    except OSError as error:
        raise disk_error(error, path) from error


def read_analysis(path: str | Path, volume: Volume) -> Analysis:
    """The analysis that `write_analysis` wrote, of the scan `volume`; equal to it, samples included.

    Raises
    ------
    ProcessingError
        the file is missing, damaged, of another version, or of a scan of another size.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        content = json.loads(arrays[JSON_NAME].tobytes())
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']}")
        return _analysis(content, arrays, volume)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise ProcessingError(f"The analysis in {path} can't be read ({error}). Run it again.") from error


def _analysis(content: dict[str, Any], arrays: dict[str, np.ndarray], volume: Volume) -> Analysis:
    boxes = {name: arrays.get(name) for name in BOX_ARRAYS}
    box = Box(tuple(content["box"]["start"]), tuple(content["box"]["stop"]))
    if any(stop > size for stop, size in zip(box.stop, volume.array.shape)):
        raise ValueError(f"it is of another scan than this one of {volume.array.shape} voxels")
    return Analysis(
        volume=volume,
        settings=Settings.from_json(content["settings"]),
        box=box,
        surface=Surface(**_part(arrays, "surface.")),
        curve=ThresholdCurve(**_part(arrays, "curve.")),
        method=ScarMethod(**content["method"]),
        measurements={key: Quantity(**quantity) for key, quantity in content["measurements"].items()},
        flags=tuple(QualityFlag(**flag) for flag in content["flags"]),
        planes=tuple(map(CutPlane.from_json, content["planes"])),
        provenance=content["provenance"],
        samples=tuple(_sample(values, _part(arrays, f"sample{n}.")) for n, values in enumerate(content["samples"])),
        **boxes,
    )


def _sample_values(sample: Sample) -> dict[str, Any]:
    scar = sample.given_scar
    given = {} if scar is None else {"given_scar": [scar.voxels, scar.wall_voxels]}
    return {name: getattr(sample, name) for name in SAMPLE_VALUES} | {"blood": dataclasses.asdict(sample.blood)} | given


def _sample(values: dict[str, Any], arrays: dict[str, np.ndarray]) -> Sample:
    vertices, numbers = arrays.pop("given_scar", None), values.get("given_scar")
    scar = None if numbers is None else GivenScar(vertices, *numbers)
    return Sample(blood=BloodPool(**values["blood"]), given_scar=scar, **{name: values[name] for name in SAMPLE_VALUES}, **arrays)


def _fields(value: Any) -> dict[str, np.ndarray | None]:
    """The fields of a frozen dataclass of arrays, without what it caches."""
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

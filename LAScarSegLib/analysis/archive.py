"""A whole analysis as one file, from the worker's process to Slicer's: arrays and JSON in an .npz, nothing pickled.

It holds the description of the sources, and the values of the steps that take time: the reader goes the path again with these.
"""

import dataclasses
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..errors import Cancelled, ProcessingError
from ..intensity.blood_pool import BloodPool
from ..measure.counting import grey_level_of
from ..measure.sample import Sample
from ..support.flags import QualityFlag
from ..support.json_text import parse_json
from ..support.printable import printable
from ..support.progress import Progress
from ..support.whole_folder import FolderKind, check_folder, disk_error, whole_folder
from ..surface.projection import project_intensity
from ..surface.surface import Surface
from ..volumes.volume import Box, Geometry, Volume
from .archive_checks import check_steps, check_surface_and_box, check_value, read_arrays
from .description import describe, probabilities_of, read_description, with_first_provenance
from .measured_cavity import MeasuredCavity, find_anatomy, measure_cavity, mesh_of, with_other_blood, with_regions, with_shifted_surface
from .other_protocols import read_another
from .path import check_scan, follow_path
from .result import Analysis
from .sources import Probability
from .steps import StepCache

FILE = "analysis.npz"
FOLDER = FolderKind("LAScarSeg analysis", frozenset({FILE}), lambda path: () if zipfile.is_zipfile(path) else None)
VERSION = 3
"""Of the format: worker and reader are the same installation, so another one is refused."""
LARGEST_JSON_BYTES = 32 << 20
"""The description holds the masks that were given, packed."""
JSON_NAME = "json"
"""The member that holds everything but arrays, as UTF-8 bytes."""
SLOW_STEPS: tuple[Callable[..., Any], ...] = (
    check_scan, find_anatomy, mesh_of, with_regions, measure_cavity, with_other_blood, with_shifted_surface, project_intensity,
    grey_level_of, read_another,
)  # fmt: skip
"""Everything else takes milliseconds."""
KINDS = {kind.__name__: kind for kind in (Anatomy, BloodPool, Box, Geometry, Probability, QualityFlag, Sample, Surface, MeasuredCavity)}
"""What the values of steps are made of."""


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
    arrays: dict[str, np.ndarray] = {}
    content = {
        "version": VERSION,
        "description": describe(analysis),
        "ranges": analysis.has_ranges,
        "provenance": analysis.provenance,
        "probabilities": {name: _plain(found, arrays) for name, found in probabilities_of(analysis).items()},
        "steps": {step.__name__: _plain(analysis.steps.values(step), arrays) for step in SLOW_STEPS},
    }
    arrays[JSON_NAME] = np.frombuffer(json.dumps(content).encode("utf-8"), dtype=np.uint8)
    try:
        with open(path, "wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise disk_error(error, path) from error


def read_analysis(path: str | Path, volume: Volume) -> Analysis:
    """The analysis that `write_analysis` wrote, of the scan `volume`; equal to it, and as quickly changed.

    Raises
    ------
    ProcessingError
        the file is missing, damaged, of another version, of a scan of another size, or holds anything that is no part of an analysis: it
        comes from another process, by way of a folder, and is believed no further than it is checked (`archive_checks`).
    """
    try:
        return _read(Path(path), volume)
    except Cancelled:
        raise
    except Exception as error:
        # Whatever was done to the file: there is no telling what its content trips over.
        raise ProcessingError(f"The analysis in {path} can't be read ({printable(error)}). Run it again.") from error


def _read(path: Path, volume: Volume) -> Analysis:
    arrays = read_arrays(path, volume.array.size)
    content = parse_json(arrays[JSON_NAME].tobytes(), LARGEST_JSON_BYTES)
    if content["version"] != VERSION:
        raise ValueError(f"version {content['version']}")
    probabilities = {name: _value(found, arrays) for name, found in content["probabilities"].items()}
    steps = {name: _value(values, arrays) for name, values in content["steps"].items()}
    if not all(isinstance(found, Probability) for found in probabilities.values()):
        raise ValueError("a probability is none")
    scan, settings, sources = read_description(content["description"], volume, probabilities)
    check_value(probabilities, volume.array.shape)
    check_steps(steps, volume.array.shape)
    found = follow_path(scan, settings, sources, StepCache(replayed=steps), bool(content["ranges"]), Progress())
    check_surface_and_box(found)
    return with_first_provenance(found, content["provenance"])


def _plain(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    """A value of a step, JSON-ready; its arrays go to `arrays`, each once."""
    if isinstance(value, np.ndarray):
        known = next((name for name, array in arrays.items() if array is value), None)
        name = known or f"array{len(arrays)}"
        arrays[name] = value
        return {"array": name}
    if dataclasses.is_dataclass(value):
        fields = {field.name: _plain(getattr(value, field.name), arrays) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, "fields": fields}
    if isinstance(value, tuple):
        return {"tuple": [_plain(item, arrays) for item in value]}
    if isinstance(value, dict):
        return {"dict": {key: _plain(item, arrays) for key, item in value.items()}}
    if isinstance(value, list):
        return [_plain(item, arrays) for item in value]
    return value


def _value(content: Any, arrays: dict[str, np.ndarray]) -> Any:
    """What `_plain` was given."""
    if isinstance(content, list):
        return [_value(item, arrays) for item in content]
    if not isinstance(content, dict):
        return content
    if "array" in content:
        return arrays[content["array"]]
    if "tuple" in content:
        return tuple(_value(item, arrays) for item in content["tuple"])
    if "dict" in content:
        return {key: _value(item, arrays) for key, item in content["dict"].items()}
    kind = KINDS[content["kind"]]
    return kind(**{name: _value(item, arrays) for name, item in content["fields"].items()})

"""An analysis that is shown, written as a result's folder by the worker: handed over as its archive, beside the scan's voxels."""

from __future__ import annotations

import dataclasses
import importlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..analysis.archive import read_analysis, write_analysis
from ..errors import InputError, ProcessingError
from ..output.writing import check_output, write_results
from ..scene.bundle import MODULES_KINDS
from ..scene.mrml import slicer_classes
from ..support.progress import Progress
from ..support.whole_folder import disk_error
from ..volumes.volume import Geometry, Volume

READING_SHARE = 0.1
"""Where reading the archive ends in the progress: half a second of five on 576×576×44."""
SLICER_MODULES = tuple(
    f"vtkSlicer{name}Python" for name in ("ColorsModuleMRML", "ColorsModuleLogic", "MarkupsModuleMRML", "SegmentationsModuleLogic")
)
"""Where Slicer's loadable modules keep their classes (Base/QTCore/qSlicerLoadableModule.cxx); Slicer's launcher sets the path to them."""
MODULES_CLASSES = (
    *MODULES_KINDS, "vtkSlicerColorLogic", "vtkSlicerSegmentationsModuleLogic", "vtkSegmentationConverterFactory", "vtkMRMLLayoutLogic",
)  # fmt: skip
"""What a scene needs of them, and of the libraries: asked for before the work."""


@dataclass(frozen=True)
class ResultRequest:
    """`archive` is the analysis, `scan` its voxels (.npy) on the grid `geometry`; the rest as for `write_results`."""

    archive: Path
    scan: Path
    geometry: dict[str, list[float]]
    output: Path
    figures: bool = False
    report: bool = False
    scene: bool = False
    force: bool = False

    @classmethod
    def of(cls, analysis: Analysis, folder: Path, output: Path, **wanted: bool) -> ResultRequest:
        """Write the analysis into `folder` for the worker; `ProcessingError` when the disk doesn't take it."""
        request = cls(folder / "analysis.npz", folder / "scan.npy", analysis.geometry.to_json(), output, **wanted)
        write_analysis(analysis, request.archive)
        try:
            np.save(request.scan, analysis.volume.array)
        except OSError as error:
            raise disk_error(error, request.scan) from error
        return request

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> ResultRequest:
        """What `to_json` gave; `InputError` for anything else."""
        try:
            return cls(**data | {key: Path(data[key]) for key in ("archive", "scan", "output")})
        except (KeyError, TypeError) as error:
            raise InputError(f"The request for an export is damaged ({error}). Export again.") from error

    def read(self) -> Analysis:
        """The analysis that was handed over; `ProcessingError` when it is damaged."""
        geometry = Geometry(**{key: tuple(values) for key, values in self.geometry.items()})
        return read_analysis(self.archive, Volume(np.load(self.scan), geometry))

    def to_json(self) -> dict[str, Any]:
        return {key: str(value) if isinstance(value, Path) else value for key, value in dataclasses.asdict(self).items()}


def run_export(request: ResultRequest, progress: Progress) -> Path:
    """Write the folder; returns it. Nothing is written when anything fails or is cancelled.

    Raises
    ------
    InputError, ProcessingError, Cancelled
        as `write_results`; `ProcessingError` also when this Python lacks what a scene needs of Slicer.
    """
    check_output(request.output, request.force)
    if request.scene:
        check_scene_library()
    progress.report("read", 0.0, "Taking over the result")
    return write_results(
        request.read(), request.output, force=request.force, figures=request.figures, report=request.report, scene=request.scene,
        progress=progress.part(READING_SHARE, 1.0),
    )  # fmt: skip


def check_scene_library() -> None:
    """`ProcessingError` unless this Python has the classes that a scene needs: a bare interpreter of Slicer's gets its modules' here."""
    slicer = slicer_classes()
    if any(not hasattr(slicer, name) for name in MODULES_CLASSES):
        for name in SLICER_MODULES:
            with suppress(ImportError):
                classes = vars(importlib.import_module(name))
                vars(slicer).update({key: value for key, value in classes.items() if key.startswith("vtk") and not hasattr(slicer, key)})
    missing = [name for name in MODULES_CLASSES if not hasattr(slicer, name)]
    if missing:
        raise ProcessingError(f"A scene needs {', '.join(missing)}, which this Python does not have. Export from Slicer itself.")

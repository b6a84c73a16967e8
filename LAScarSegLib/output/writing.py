"""Writes an analysis to a folder: volumes, surface, tables, figures, report and scene, all or nothing."""

import errno
import logging
import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from ..analysis import Analysis
from ..analysis.description import describe, probabilities_of
from ..analysis.gap_curve import can_follow
from ..analysis.sources import MASKS
from ..errors import LAScarSegError, ProcessingError
from ..support.flags import QualityFlag
from ..support.printable import without_folders
from ..support.progress import Progress
from ..support.whole_folder import FolderKind, check_folder, disk_error, disk_is_full, marked_by_program, whole_folder
from ..surface.polydata import write_vtp
from ..volumes.files import COMPUTED, write_volume
from ..volumes.volume import Volume
from . import rendering
from .csv_tables import write_curve_csv, write_gap_curve_csv, write_gaps_csv, write_json, write_measurements_csv, write_regions_csv
from .figures import FIGURES
from .figures.style import require_matplotlib
from .report import render_report, require_jinja2

logger = logging.getLogger(__name__)

SCENE = "scene.mrb"
MARKER = "provenance.json"
"""The file by which a folder is known as a result of ours; it is written last."""
SOURCES = "sources"
"""The entry of that file that says what the result follows from, beside scan and networks' probabilities (`analysis.description`)."""
RESULT = FolderKind(
    title="LAScarSeg result",
    markers=frozenset({MARKER}),
    ours=marked_by_program(),
)
"""The marker lists the files of the result; nothing else is ever replaced."""
GAP_CURVE = "gaps_against_threshold.csv"
STAGE = "output"
GZIP_LENGTH_MODULUS = 1 << 32
"""A gzip file ends with its uncompressed length modulo this (RFC 1952, ISIZE)."""
NIFTI_HEADER_LIMIT = 1 << 16
"""A NIfTI-1 header has 352 bytes and perhaps small extensions; anything more than this is a wrapped negative number."""


@dataclass(frozen=True)
class _Job:
    """One file to write, and its share of the time (roughly seconds on a 640×640×88 scan)."""

    name: str
    write: Callable[[Path], None]
    weight: float = 0.1


class _Steps:
    """The progress over jobs of different weights."""

    def __init__(self, progress: Progress, total: float) -> None:
        self._progress, self._total, self._done = progress, total, 0.0

    def begin(self, job: _Job) -> None:
        """Announce a job; raises `Cancelled`."""
        self._progress.report(STAGE, self._done / self._total, f"Writing {job.name}")
        self._done += job.weight


class SceneWriter(Protocol):
    """Who writes a result's scene, perhaps while the rest is written."""

    def begin(self, analysis: Analysis, path: Path) -> None:
        """What is to be written where; called before anything else is written."""

    def finish(self, progress: Progress) -> None:
        """Returns when the file is there; `ProcessingError` when it can't be written, `Cancelled` from `progress`."""


class SceneHere:
    """Writes it in this process, when its turn comes."""

    def begin(self, analysis: Analysis, path: Path) -> None:
        self.analysis, self.path = analysis, path

    def finish(self, progress: Progress) -> None:
        from ..scene import write_mrb

        write_mrb(self.analysis, self.path)


def check_output(folder: str | Path, force: bool = False) -> Path:
    """The absolute path of `folder`, if a result may be written there (`whole_folder.check_folder`)."""
    return check_folder(folder, force, RESULT)


def write_results(
    analysis: Analysis,
    folder: str | Path,
    *,
    force: bool = False,
    figures: bool = True,
    report: bool = True,
    scene: bool | SceneWriter = True,
    progress: Progress | None = None,
) -> Path:
    """Write every file of a result (ARCHITECTURE, "Results on disk") into `folder`.

    Written to a partial folder beside it and renamed at the end: a folder that exists is whole.

    Parameters
    ----------
    force
        replace a result that is there, once the new one is complete.
    figures, report, scene
        leave these out to need no more than NumPy, SciPy, SimpleITK and VTK. A report shows the figures that are drawn. `scene` may
        also be who writes it.

    Returns
    -------
    Path
        the folder, absolute. What could not be made on this machine (no scene library, no OpenGL) is left out and
        named in provenance.json under `notes`, in the report and in the log.

    Raises
    ------
    InputError
        the folder can't be used (`check_output`).
    ProcessingError
        a file could not be written, or a package for figures or report is missing. Nothing is left behind.
    Cancelled
        from `progress`. Nothing is left behind.
    """
    if figures:
        require_matplotlib()
    if report:
        require_jinja2()
    folder = Path(folder).expanduser().resolve()
    with whole_folder(folder, force, RESULT) as partial:
        _Writer(analysis, partial, progress or Progress()).write(figures, report, scene)
    return folder


class _Writer:
    """Writes the files of one analysis into one folder and collects the notes on what had to be left out."""

    def __init__(self, analysis: Analysis, folder: Path, progress: Progress) -> None:
        self._analysis, self._folder, self._progress = analysis, folder, progress
        self._notes: list[QualityFlag] = []

    def write(self, figures: bool, report: bool, scene: bool | SceneWriter) -> None:
        # Before two threads would look for the same.
        self._progress.report(STAGE, 0.0, "Regions and gaps")
        _ = self._analysis.findings
        data, jobs = self._data_jobs(), []
        if scene:
            writer, path = SceneHere() if scene is True else scene, self._folder / SCENE
            with _naming(path):
                writer.begin(self._analysis, path)
        if figures:
            jobs += self._figure_jobs()
        # Some seconds more, which only who wants to see something pays.
        if (figures or report) and can_follow(self._analysis):
            jobs.append(_Job(GAP_CURVE, lambda path: write_gap_curve_csv(self._analysis.gap_curve, path)))
        if scene:
            jobs.append(_Job(SCENE, partial(self._write_scene, writer), 4.0))
        if report:
            jobs.append(_Job("report.html", self._write_report, 0.3))
        jobs.append(_Job(MARKER, self._write_provenance))
        steps = _Steps(self._progress, sum(job.weight for job in (*data, *jobs)))
        # Packing the volumes takes no part of Python's lock: it is done while figures are drawn. What is told and what is written last waits.
        with ThreadPoolExecutor(1) as beside:
            try:
                written = [beside.submit(self._write_one, job) for job in data]
                for job in jobs[:-1]:
                    steps.begin(job)
                    self._write_one(job)
                for job, future in zip(data, written):
                    steps.begin(job)
                    future.result()
            finally:
                beside.shutdown(wait=True, cancel_futures=True)
        steps.begin(jobs[-1])
        self._write_one(jobs[-1])
        self._progress.report(STAGE, 1.0, "Saved")

    def _write_one(self, job: _Job) -> None:
        with _naming(self._folder / job.name):
            job.write(self._folder / job.name)

    def _data_jobs(self) -> list[_Job]:
        analysis = self._analysis
        return [
            *[_Job(f"{name}.nii.gz", lambda path, name=name: _write_whole(getattr(analysis, name), path)) for name in MASKS],
            *[_Job(f"{name}.nii.gz", lambda path, make=make: _write_map(make(), path), 0.7) for name, make in self._maps().items()],
            _Job("surface.vtp", lambda path: write_vtp(analysis.surface, path)),
            _Job("measurements.json", lambda path: write_json(analysis.measurements_json(), path)),
            _Job("measurements.csv", lambda path: write_measurements_csv(analysis, path)),
            _Job("threshold_curve.csv", lambda path: write_curve_csv(analysis, path)),
            *self._findings_jobs(),
        ]

    def _findings_jobs(self) -> list[_Job]:
        """Tables of what was found around the veins, and the planes that were found, to be looked at and corrected."""
        found, search = self._analysis.findings, self._analysis.sources.search
        jobs = []
        if found.regions:
            jobs.append(_Job("regions.csv", lambda path: write_regions_csv(found, path)))
        if found.encirclements:
            jobs.append(_Job("gaps.csv", lambda path: write_gaps_csv(found, path)))
        if search is not None and search.planes:
            jobs.append(_Job("planes_found.json", lambda path: write_json({"coordinateSystem": "LPS"} | search.to_json(), path)))
        return jobs

    def _figure_jobs(self) -> list[_Job]:
        (self._folder / "figures").mkdir()
        problem = rendering.check_rendering()
        if problem is not None:
            self._note("surface_figures_missing", f"The surface maps are missing: {self._without_place(problem)}")
        wanted = [kind for kind in FIGURES if not (self._analysis.withheld and kind.tells_scar) and kind.can_draw(self._analysis)]
        drawable = [kind for kind in wanted if problem is None or not kind.needs_rendering]
        return [_Job(f"figures/{kind.file_name}", lambda path, kind=kind: kind.draw(self._analysis, path), 1.0) for kind in drawable]

    def _maps(self) -> dict[str, Callable[[], Volume]]:
        """Distances, and what networks say voxel by voxel (0 around their box): probability, and how sure they are. Made when written."""
        from ..systems.uncertainty import entropy_map

        analysis, grid = self._analysis, self._analysis.geometry
        maps = {"sdm_cavity": lambda: analysis.sdm_cavity, "sdm_wall": lambda: analysis.sdm_wall}
        for name, probability in probabilities_of(analysis).items():
            box, inside = probability.box, Volume(probability.values, grid.crop(probability.box))
            maps[f"{name}_probability"] = lambda box=box, inside=inside: inside.expand(box, grid)
            maps[f"{name}_entropy"] = lambda box=box, inside=inside: entropy_map(inside).expand(box, grid)
        return maps

    def _write_scene(self, writer: SceneWriter, path: Path) -> None:
        try:
            writer.finish(self._progress)
        except ProcessingError as error:
            # The scene is a convenience beside the data; only what would spoil the rest as well (a full disk) ends the run.
            if isinstance(error.__cause__, OSError) or disk_is_full(path):
                raise
            path.unlink(missing_ok=True)
            self._note("scene_missing", f"scene.mrb is missing: {self._without_place(str(error))}")

    def _write_report(self, path: Path) -> None:
        path.write_text(render_report(self._analysis, self._folder / "figures", self._notes), encoding="utf-8")

    def _write_provenance(self, path: Path) -> None:
        files = sorted(file.relative_to(self._folder).as_posix() for file in self._folder.rglob("*") if file.is_file())
        notes = [note.to_json() for note in self._notes]
        more = {"files": [*files, MARKER], "notes": notes, SOURCES: describe(self._analysis)}
        write_json(self._analysis.provenance | more, path)

    def _without_place(self, message: str) -> str:
        """A library's message as the result may keep it: without the folders it names."""
        return without_folders(message.replace(str(self._folder), self._folder.name))

    def _note(self, code: str, message: str) -> None:
        logger.warning(message)
        self._notes.append(QualityFlag(code, message))


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Say which file it was when writing fails; libraries give all kinds of errors, or none, for a full disk."""
    try:
        yield
    except LAScarSegError as error:
        if isinstance(error.__cause__, OSError):
            raise disk_error(error.__cause__, path) from error
        if isinstance(error, ProcessingError) and disk_is_full(path):
            raise disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), path) from error
        raise
    except (OSError, RuntimeError) as error:
        raise disk_error(error, path) from error


def _write_map(volume: Volume, path: Path) -> None:
    """A map says in its header that it is none of the scans that can be measured."""
    _write_whole(replace(volume, flags=(*volume.flags, COMPUTED)), path)


def _write_whole(volume: Volume, path: Path) -> None:
    write_volume(volume, path)
    _check_complete(path, volume.array.nbytes)


def _check_complete(path: Path, voxel_bytes: int) -> None:
    """A NIfTI writer may lose the end of a file on a full disk without a word: compare the length inside the archive."""
    with open(path, "rb") as file:
        file.seek(-4, os.SEEK_END)
        length = struct.unpack("<I", file.read(4))[0]
    header = (length - voxel_bytes) % GZIP_LENGTH_MODULUS
    if header > NIFTI_HEADER_LIMIT:
        raise OSError("the file is incomplete: the disk kept only a part of it")

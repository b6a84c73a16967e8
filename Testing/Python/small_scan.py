"""A scan small enough to analyse in a fraction of a second, on disk, and the command line called as a user calls it."""

from __future__ import annotations

import functools
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from analytic import Grid

from LAScarSegLib.cli.main import Invocation, _run_app
from LAScarSegLib.jobs import remeasure, request
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Volume

SPACING_MM, RADIUS_MM, REACH_MM, CAP_DEGREES = (1.25, 1.25, 2.5), 22.0, 30.0, 40.0
"""A ball of 44.6 mL, within the usual LA volumes, with scar on a cap around the head-side pole."""
NOISE = 10.0
"""A blood-pool coefficient of variation of 0.05: nothing to flag."""


@functools.cache
def small_scan() -> tuple[Volume, Volume]:
    """The scan (int16, 49 × 49 × 25) and its cavity (uint8)."""
    grid = Grid.around(SPACING_MM, REACH_MM)
    ideal = grid.scan_of_ball(RADIUS_MM, CAP_DEGREES, np.array([0.0, 0.0, 1.0]))
    noisy = ideal.array + np.random.default_rng(0).normal(0.0, NOISE, ideal.array.shape)
    return Volume(noisy.astype(np.int16), grid.geometry), Volume(grid.ball(RADIUS_MM).array.astype(np.uint8), grid.geometry)


def write_scan(folder: Path) -> tuple[Path, Path]:
    """`image.nrrd` and `cavity.nrrd` in `folder`."""
    paths = folder / "image.nrrd", folder / "cavity.nrrd"
    for volume, path in zip(small_scan(), paths):
        write_volume(volume, path)
    return paths


@dataclass(frozen=True)
class Outcome:
    """What a user sees of one command."""

    code: int
    out: str
    err: str


def lascarseg(capfd: pytest.CaptureFixture, *arguments: object) -> Outcome:
    """`lascarseg ARGUMENTS`, in this process; also what libraries print past Python is caught."""
    capfd.readouterr()
    with patch.object(sys, "argv", ["lascarseg", *map(str, arguments)]):
        code = _run_app(Invocation())
    return Outcome(code, *capfd.readouterr())


def only_data_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out figures, report and scene, which cost seconds, where a test is not about them."""

    def write(*arguments, **options):
        return write_results(*arguments, **(options | {"figures": False, "report": False, "scene": False}))

    for module in (request, remeasure):
        monkeypatch.setattr(module, "write_results", write)


def numbers(result: Path) -> dict:
    return json.loads((result / "measurements.json").read_text(encoding="utf-8"))


def flag_codes(result: Path) -> set[str]:
    return {flag["code"] for flag in numbers(result)["quality_flags"]}

"""An analysis written and read back is the same analysis: to the last array, and for what is computed from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, GRIDS, analysed, scan

from LAScarSegLib.analysis_file import read_analysis, write_analysis
from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.pipeline import analyse, change_threshold
from LAScarSegLib.settings import Settings
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.volume import Volume


def assert_equal(one: object, other: object, where: str = "analysis") -> None:
    """Equal in every field, arrays included, down through dataclasses and containers."""
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other), where
        for field in dataclasses.fields(one):
            assert_equal(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray) and one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif isinstance(one, (tuple, list)):
        assert len(one) == len(other), where
        for number, pair in enumerate(zip(one, other)):
            assert_equal(*pair, f"{where}[{number}]")
    elif isinstance(one, dict):
        assert list(one) == list(other), where
        for key in one:
            assert_equal(one[key], other[key], f"{where}[{key}]")
    else:
        assert one == other, where


def back(analysis, path: Path):
    write_analysis(analysis, path)
    return read_analysis(path, analysis.volume)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "analysis.npz"


def test_a_rule_with_planes_and_perturbation_range(path):
    image, cavity = scan(GRIDS["oblique"])
    plane = CutPlane("MV", tuple(map(float, CENTRE_LPS - [0, 0, 10])), (0.0, 0.0, 1.0))
    analysis = analyse(image, Settings(rule="nsd", native=True), cavity=cavity, planes=(plane,))
    read = back(analysis, path)
    assert_equal(analysis, read)
    assert_equal(change_threshold(analysis, "iir", 1.1).measurements, change_threshold(read, "iir", 1.1).measurements)


def test_a_given_scar_and_a_probability(path):
    image, cavity = scan(GRIDS["axial"])
    analysis = analyse(image, Settings(perturbation=False), cavity=cavity, scar=analysed("axial").scar)
    of_scar, of_cavity = analysis.scar_box.astype(np.float32) * 0.7, analysis.cavity_box.astype(np.float32) * 0.6
    analysis = dataclasses.replace(analysis, scar_probability_box=of_scar, cavity_probability_box=of_cavity)
    assert_equal(analysis, back(analysis, path))


def test_nothing_in_the_file_is_pickled(path):
    write_analysis(analysed("axial"), path)
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


def test_a_damaged_file_a_missing_one_and_another_scan_are_refused(path):
    analysis = analysed("axial")
    with pytest.raises(ProcessingError, match="can't be read.*Run it again"):
        read_analysis(path, analysis.volume)
    write_analysis(analysis, path)
    small = dataclasses.replace(analysis.geometry, size=(3, 3, 3))
    with pytest.raises(ProcessingError, match="another scan"):
        read_analysis(path, Volume(np.zeros((3, 3, 3)), small))
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ProcessingError, match="can't be read"):
        read_analysis(path, analysis.volume)

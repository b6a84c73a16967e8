"""An analysis written and read back is the same analysis: to the last array, and for what is computed from it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from same_analysis import assert_same
from scene_cases import CENTRE_LPS, GRIDS, analysed, network_of, scan

from LAScarSegLib.analysis import ByRule, Change, analyse, revise
from LAScarSegLib.analysis.archive import read_analysis, write_analysis
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.volumes.volume import Volume


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
    assert_same(analysis, read, same_run=True)
    assert_same(revise(analysis, Change(scar=ByRule("iir", 1.1))), revise(read, Change(scar=ByRule("iir", 1.1))))


def test_a_given_scar_and_a_probability(path):
    image, cavity = scan(GRIDS["axial"])
    given = analyse(image, Settings(perturbation=False), cavity=cavity, scar=analysed("axial").scar)
    assert_same(given, back(given, path), same_run=True)
    of_scar, of_cavity = given.scar.array * 0.7, given.cavity.array * 0.6
    found = analyse(image, cavity=network_of(of_cavity), scar=network_of(of_scar, cavity.array))
    assert found.scar_probability_box.max() == np.float32(0.7) and found.has_ranges
    assert_same(found, back(found, path), same_run=True)


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

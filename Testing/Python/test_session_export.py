"""The folder that Export writes: the command line's own, and what is missing is named with the way to get it."""

from __future__ import annotations

import json
import os

import pytest
from scene_cases import analysed

from LAScarSegLib.errors import InputError
from LAScarSegLib.output.writing import MARKER
from LAScarSegLib.session import export

DATA = {
    "cavity.nii.gz", "wall.nii.gz", "scar.nii.gz", "sdm_cavity.nii.gz", "sdm_wall.nii.gz", "surface.vtp", "measurements.json",
    "measurements.csv", "threshold_curve.csv", MARKER,
}  # fmt: skip
"""ARCHITECTURE, "Results on disk", for an intensity rule without figures, report and scene."""


def test_the_files_of_the_contract_with_the_numbers_that_are_shown(tmp_path):
    analysis = analysed("axial", 1.3)
    assert export.write(analysis, tmp_path / "out", report=False, scene=False) == ()
    assert set(os.listdir(tmp_path / "out")) == DATA
    written = json.loads((tmp_path / "out" / "measurements.json").read_text(encoding="utf-8"))
    assert written["scar_area_pct"]["value"] == analysis.measurements["scar_area_pct"].value


def test_with_the_scene(tmp_path):
    pytest.importorskip("slicer", reason="needs slicer-core")
    export.write(analysed("axial"), tmp_path / "out", report=False)
    assert set(os.listdir(tmp_path / "out")) == DATA | {"scene.mrb"}


def test_without_the_packages_for_a_report_the_rest_is_written_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "missing_packages", lambda: ("matplotlib", "jinja2"))
    left_out = export.write(analysed("axial"), tmp_path / "out", scene=False)
    assert set(os.listdir(tmp_path / "out")) == DATA
    assert [name in sentence for name, sentence in zip(("matplotlib", "jinja2"), left_out)] == [True, True]
    assert all("pip_install" in sentence for sentence in left_out)


def test_every_export_gets_a_folder_of_its_own(tmp_path):
    assert export.new_folder(tmp_path, "scan").name == "scan"
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan 2").mkdir()
    assert export.new_folder(tmp_path, "scan").name == "scan 3"
    assert export.new_folder(tmp_path, 'LGE: "a/b"?').parent == tmp_path
    assert export.new_folder(tmp_path, " . ").name == "result"


def test_no_folder_to_export_to(tmp_path):
    with pytest.raises(InputError, match="gone is not a folder"):
        export.new_folder(tmp_path / "gone", "scan")


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="left alone"):
        export.write(analysed("axial"), tmp_path / "out", report=False, scene=False, force=True)
    assert os.listdir(tmp_path / "out") == ["notes.txt"]

"""Examples/slicer_batch.py on real MRML: many scans, one bad one among them, and a second run."""

from __future__ import annotations

import csv
import importlib.util
import json

import numpy as np
import pytest
from scene_cases import AXIAL, OBLIQUE, analysed, scan

from LAScarSegLib.volumes.files import write_volume
from LAScarSegLib.volumes.volume import Volume

pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml


@pytest.fixture(scope="module")
def batch():
    """The script as a module; drawing figures and the report is the output's own test."""
    from conftest import REPOSITORY

    spec = importlib.util.spec_from_file_location("slicer_batch", REPOSITORY / "Examples" / "slicer_batch.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["slicer_batch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def quick(batch, monkeypatch):
    """Without figures and report, as in Slicer itself, which has neither matplotlib nor jinja2."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in ("matplotlib", "jinja2") else find(name, *rest))


@pytest.fixture
def scene():
    return mrml.new_scene()


def write_case(image_file, cavity_file, geometry=OBLIQUE, empty: bool = False):
    image, cavity = scan(geometry)
    image_file.parent.mkdir(parents=True, exist_ok=True)
    write_volume(image, image_file)
    write_volume(Volume(cavity.array * (not empty), geometry), cavity_file)


def status(folder) -> dict[str, dict[str, str]]:
    with open(folder / "status.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_one_scan_is_analysed_written_and_left_in_the_scene(batch, scene, tmp_path):
    write_case(tmp_path / "scan 1.nii.gz", tmp_path / "la.nrrd")
    image, cavity, out = (str(tmp_path / name) for name in ("scan 1.nii.gz", "la.nrrd", "out"))
    assert batch.main(scene, ["--", image, "--cavity", cavity, "-o", out, "--threshold", "1.2"]) == 0
    result = tmp_path / "out" / "scan 1"
    expected = analysed().measurements["scar_area_pct"].value
    assert json.loads((result / "measurements.json").read_text())["scar_area_pct"]["value"] == pytest.approx(expected)
    assert status(tmp_path / "out")["scan 1"]["status"] == "done"
    assert status(tmp_path / "out")["scan 1"]["scar_area_pct"] == f"{expected:.1f}"
    assert json.loads((result / "provenance.json").read_text())["inputs"]["cavity"]["path"].endswith("la.nrrd")
    assert scene.GetFirstNodeByName("scan 1 LA scar map") is not None
    written = mrml.new_scene()
    mrml.read_mrb(written, result / "scene.mrb")
    segmentation = next(iter(mrml.mrml.nodes_of_class(written, "vtkMRMLSegmentationNode")))
    np.testing.assert_array_equal(mrml.segment_from_node(segmentation, "LA_scar", analysed().volume).array, analysed().scar.array)


def test_a_bad_scan_does_not_stop_the_others_and_a_second_run_skips_what_is_finished(batch, scene, tmp_path):
    cohort, out = tmp_path / "cohort", tmp_path / "out"
    write_case(cohort / "a.nrrd", cohort / "a-cavity.nrrd")
    write_case(cohort / "b.nrrd", cohort / "b-cavity.nii.gz", empty=True)
    write_case(cohort / "c.nii.gz", cohort / "c-cavity.nrrd", AXIAL)
    write_volume(scan(AXIAL)[0], cohort / "d.nrrd")
    nodes = scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode")
    assert batch.main(scene, [str(cohort), "-o", str(out)]) == 1
    rows = status(out)
    assert {name: row["status"] for name, row in rows.items()} == {"a": "done", "b": "failed", "c": "done", "d": "failed"}
    assert "empty" in rows["b"]["message"] and "no cavity mask" in rows["d"]["message"]
    assert not (out / "b").exists() and not (out / "d").exists()
    assert scene.GetNumberOfNodesByClass("vtkMRMLDisplayableNode") == nodes  # a night's batch doesn't fill the memory
    before = (out / "a" / "measurements.json").stat().st_mtime_ns
    write_case(cohort / "b.nrrd", cohort / "b-cavity.nii.gz")
    write_volume(scan(AXIAL)[1], cohort / "d-cavity.nrrd")
    assert batch.main(scene, [str(cohort), "-o", str(out)]) == 0
    again = status(out)
    assert {name: row["status"] for name, row in again.items()} == {"a": "skipped", "b": "done", "c": "skipped", "d": "done"}
    assert again["a"]["scar_area_pct"] == rows["a"]["scar_area_pct"] != ""
    assert (out / "a" / "measurements.json").stat().st_mtime_ns == before


def test_what_was_finished_with_another_threshold_is_not_taken_for_this_cohorts(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    arguments = [str(tmp_path), "-o", str(tmp_path / "out")]
    assert batch.main(scene, arguments) == 0
    assert batch.main(scene, [*arguments, "--threshold", "1.2"]) == 0  # the default, said aloud
    assert batch.main(scene, [*arguments, "--threshold", "1.32"]) == 1
    assert "rule iir, threshold 1.2" in status(tmp_path / "out")["a"]["message"]


def test_case_folders_of_the_challenge_are_found_by_their_file_names(batch, tmp_path):
    for name in ("train_1", "train_2"):
        write_case(tmp_path / name / "enhanced.nii.gz", tmp_path / name / "atriumSegImgMO.nii.gz")
    (tmp_path / "notes").mkdir()
    cases = batch.find_cases(batch.parse([str(tmp_path), "-o", "out"]))
    assert [case.name for case in cases] == ["train_1", "train_2"]
    assert cases[0].cavity == tmp_path / "train_1" / "atriumSegImgMO.nii.gz"


def test_case_folders_with_other_file_names(batch, tmp_path):
    write_case(tmp_path / "P1" / "lgemri.nrrd", tmp_path / "P1" / "laendo.nrrd")
    cases = batch.find_cases(batch.parse([str(tmp_path), "-o", "out", "--image", "lgemri.nrrd", "--cavity", "laendo.nrrd"]))
    assert [(case.name, case.cavity.name) for case in cases] == [("P1", "laendo.nrrd")]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "-o", "out"], "nowhere does not exist"),
        (["scan.nrrd", "-o", "out"], "is one scan; give its mask with --cavity"),
        ([".", "-o", "out", "--image", "x.nrrd"], "holds neither pairs"),
    ],
)
def test_arguments_that_make_no_sense_end_with_2_and_a_reason(batch, scene, tmp_path, monkeypatch, caplog, arguments, words):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "scan.nrrd":
        write_volume(scan(AXIAL)[0], tmp_path / "scan.nrrd")
    assert batch.main(scene, arguments) == 2
    assert words in caplog.text
    assert not (tmp_path / "out").exists()


def test_missing_arguments_and_help_do_not_end_the_process(batch, scene, capsys):
    assert batch.main(scene, []) == 2
    assert batch.main(scene, ["--help"]) == 0
    capsys.readouterr()


def test_a_rule_that_does_not_exist_fails_the_case_with_its_name(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    assert batch.main(scene, [str(tmp_path), "-o", str(tmp_path / "out"), "--rule", "magic"]) == 1
    assert "magic" in status(tmp_path / "out")["a"]["message"]

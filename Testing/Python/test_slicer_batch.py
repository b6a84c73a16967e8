"""Examples/slicer_batch.py on real MRML: many scans, one bad one among them, and a second run."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
from scene_cases import AXIAL, CENTRE_LPS, OBLIQUE, analysed, grid, scan

from LAScarSegLib.models import store
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Volume

pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml

COARSE = grid(np.eye(3), (2.0, 2.0, 3.0), (32, 32, 22))
"""Where any scan will do: a third of the voxels."""


@pytest.fixture(scope="module")
def batch():
    """The script as a module; drawing figures and the report is the output's own test."""
    from conftest import REPOSITORY

    spec = importlib.util.spec_from_file_location("slicer_batch", REPOSITORY / "Examples" / "slicer_batch.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["slicer_batch"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def quick(batch, monkeypatch):
    """Without figures and report, as in Slicer itself, which has neither matplotlib nor jinja2."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in ("matplotlib", "jinja2") else find(name, *rest))


@pytest.fixture(autouse=True)
def resources(tmp_path_factory, monkeypatch):
    """An empty store, and no model comes with the project."""
    folder = tmp_path_factory.mktemp("resources")
    monkeypatch.setenv("LASCARSEG_MODELS", str(folder / "store"))
    monkeypatch.setattr(store, "RESOURCE_FOLDERS", (folder,))
    return folder


@pytest.fixture
def shipped(resources) -> str:
    """In place of the model that comes with the project one written by hand (bright_network), with terms; returns its reference."""
    pytest.importorskip("torch", reason="networks need torch")
    from bright_network import bright_network
    from model_cases import small_card

    from LAScarSegLib.networks.weights import pack_tensors

    card = small_card(name="shipped", patch=(32, 32, 32), terms="Research only.")
    weights = pack_tensors(bright_network(card.fine.plan).state_dict())
    return ModelStore(resources / "Models").keep_new(card, {card.fine.weights[0]: weights}).card.reference


@pytest.fixture
def scene():
    return mrml.new_scene()


def write_case(image_file, cavity_file, geometry=COARSE, empty: bool = False):
    image, cavity = scan(geometry)
    image_file.parent.mkdir(parents=True, exist_ok=True)
    write_volume(image, image_file)
    write_volume(Volume(cavity.array * (not empty), geometry), cavity_file)


def status(folder) -> dict[str, dict[str, str]]:
    with open(folder / "status.csv", newline="", encoding="utf-8") as file:
        return {row["case"]: row for row in csv.DictReader(file)}


def test_one_scan_is_analysed_written_and_left_in_the_scene(batch, scene, tmp_path):
    write_case(tmp_path / "scan 1.nii.gz", tmp_path / "la.nrrd", OBLIQUE)
    image, cavity, out = (str(tmp_path / name) for name in ("scan 1.nii.gz", "la.nrrd", "out"))
    assert batch.main(scene, ["--", image, "--cavity", cavity, "-o", out, "--scar", "iir", "--threshold", "1.2"]) == 0
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


def test_a_stop_is_in_the_table_and_the_script_goes_on_despite_it(batch, scene, tmp_path):
    image, cavity = scan(AXIAL)
    write_volume(Volume(((image.array - 100) / 50.0).astype(np.float32), AXIAL), tmp_path / "a.nrrd")
    write_volume(cavity, tmp_path / "a-cavity.nrrd")
    arguments = [str(tmp_path), "-o", str(tmp_path / "out")]
    assert batch.main(scene, arguments) == 1
    row = status(tmp_path / "out")["a"]
    assert (row["status"], row["flags"], row["stops"]) == ("failed", "negative_values", "1")
    assert batch.main(scene, [*arguments, "--despite", "negative_values"]) == 0
    row = status(tmp_path / "out")["a"]
    assert row["status"] == "done" and row["flags"].startswith("negative_values") and row["stops"] == "1"


def test_what_was_finished_with_another_threshold_is_not_taken_for_this_cohorts(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    arguments = [str(tmp_path), "-o", str(tmp_path / "out")]
    assert batch.main(scene, arguments) == 0
    assert batch.main(scene, [*arguments, "--threshold", "1.2"]) == 0  # the default, said aloud
    assert batch.main(scene, [*arguments, "--threshold", "1.32"]) == 1
    assert "rule iir, threshold 1.2" in status(tmp_path / "out")["a"]["message"]


def test_a_result_without_the_planes_is_not_taken_for_one_with_them(batch, scene, tmp_path):
    write_case(tmp_path / "scan.nrrd", tmp_path / "la.nrrd", OBLIQUE)
    mitral = {"name": "MV", "origin": list(CENTRE_LPS - [0, 0, 10]), "normal": [0, 0, 1]}
    (tmp_path / "mv.json").write_text(json.dumps({"planes": [mitral]}))
    arguments = [str(tmp_path / "scan.nrrd"), "--cavity", str(tmp_path / "la.nrrd"), "-o", str(tmp_path / "out"), "--scar", "iir"]
    with_plane = [*arguments, "--planes", str(tmp_path / "mv.json")]
    assert batch.main(scene, arguments) == 0
    assert batch.main(scene, with_plane) == 1
    assert "planes" in status(tmp_path / "out")["scan"]["message"]
    assert batch.main(scene, [*with_plane, "--force"]) == 0
    assert batch.main(scene, with_plane) == 0
    numbers = json.loads((tmp_path / "out" / "scan" / "measurements.json").read_text())
    assert numbers["scar_area_pct_wall"]["value"] == pytest.approx(analysed(with_plane=True).measurements["scar_area_pct_wall"].value)


def test_the_status_file_has_the_headline_and_the_flags(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    assert batch.main(scene, [str(tmp_path), "-o", str(tmp_path / "out")]) == 0
    row = status(tmp_path / "out")["a"]
    found = json.loads((tmp_path / "out" / "a" / "measurements.json").read_text())
    share = found["scar_area_pct"]
    assert f"{share['value']:.1f} %" in row["headline"] and f"{share['low']:.1f} – {share['high']:.1f}" in row["headline"]
    flags = sorted(found["quality_flags"], key=lambda flag: ("stop", "warning", "note").index(flag["severity"]))
    assert row["flags"].split() == [flag["code"] for flag in flags] != []


def test_several_labels_are_the_cavity_together(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    cavity = read_volume(tmp_path / "a-cavity.nrrd")
    parts = np.where(np.arange(cavity.array.shape[2]) < cavity.array.shape[2] // 2, 3, 7) * (cavity.array > 0)
    write_volume(Volume(parts.astype(np.uint8), cavity.geometry), tmp_path / "a-cavity.nrrd")
    assert batch.main(scene, [str(tmp_path), "--cavity-label", "3", "--cavity-label", "7", "-o", str(tmp_path / "out")]) == 0
    assert np.array_equal(read_volume(tmp_path / "out" / "a" / "cavity.nii.gz").array > 0, cavity.array > 0)


def test_a_mask_that_was_corrected_since_is_not_taken_for_finished(batch, scene, tmp_path):
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    arguments = [str(tmp_path), "-o", str(tmp_path / "out")]
    assert batch.main(scene, arguments) == 0
    cavity = read_volume(tmp_path / "a-cavity.nrrd")
    smaller = cavity.array * (np.arange(cavity.array.shape[2]) < np.argwhere(cavity.array)[:, 2].max())
    write_volume(Volume(smaller, cavity.geometry), tmp_path / "a-cavity.nrrd")
    assert batch.main(scene, arguments) == 1
    assert "a-cavity.nrrd is not what it was" in status(tmp_path / "out")["a"]["message"]
    assert batch.main(scene, [*arguments, "--force"]) == 0
    assert batch.main(scene, arguments) == 0


@pytest.mark.parametrize("level", [".", "task1", "task1/train_data"])
def test_the_challenges_layout_may_be_given_from_any_level(batch, tmp_path, level):
    write_case(tmp_path / "task1/train_data/train_1/enhanced.nii.gz", tmp_path / "task1/train_data/train_1/atriumSegImgMO.nii.gz")
    (tmp_path / "truth.json").write_text("{}")
    assert [case.name for case in batch.find_cases(batch.parse([str(tmp_path / level), "-o", "out"]))] == ["train_1"]


def test_nnunets_layout_is_told_what_to_do(batch, scene, tmp_path, caplog):
    write_case(tmp_path / "imagesTr" / "LA_1_0000.nii.gz", tmp_path / "imagesTr" / "LA_1.nii.gz")
    assert batch.main(scene, [str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "imagesTr is nnU-Net's layout: put each scan (X_0000.nii.gz) as X.nii.gz and its label as X-cavity.nii.gz" in caplog.text


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


def test_case_folders_that_are_dicom_series(batch, tmp_path, shipped):
    (tmp_path / "P1").mkdir()
    cases = batch.find_cases(batch.parse([str(tmp_path), "-o", "out", "--image", ".", "--cavity", "shipped"]))
    assert [(case.name, case.image, str(case.cavity)) for case in cases] == [("P1", tmp_path / "P1", "shipped@1.0")]


@pytest.mark.parametrize("twin", ["a.nii.gz", "a-cavity.nii.gz"])
def test_of_two_files_with_one_stem_none_is_dropped(batch, scene, tmp_path, caplog, twin):
    cohort = tmp_path / "cohort"
    write_case(cohort / "a.nrrd", cohort / "a-cavity.nrrd")
    write_volume(scan(COARSE)[twin != "a.nii.gz"], cohort / twin)
    assert batch.main(scene, [str(cohort), "-o", str(tmp_path / "out")]) == 2
    assert twin.partition(".")[0] in caplog.text and "extension" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "-o", "out"], "nowhere does not exist"),
        (["scan.nrrd", "-o", "out"], "no model that finds it comes"),
        (["scan.nrrd", "-o", "out", "--cavity", "la.nrrd"], "la.nrrd is no file"),
        (["scan.nrrd", "-o", "out", "--cavity", "unknown"], "no model 'unknown'"),
        ([".", "-o", "out", "--image", "x.nrrd"], "holds neither pairs"),
        ([".", "-o", "out", "--rule", "magic"], "magic"),
        ([".", "-o", "out", "--scar", "scan.nrrd"], "a batch finds scar by a rule or a model"),
        ([".", "-o", "out", "--planes", "p.json"], "belong to one scan"),
    ],
)
def test_arguments_that_make_no_sense_end_with_2_and_a_reason(batch, scene, tmp_path, monkeypatch, caplog, arguments, words):
    monkeypatch.chdir(tmp_path)
    for name in ("scan", "other")[: 0 if "--image" in arguments else 2]:
        write_case(tmp_path / f"{name}.nrrd", tmp_path / f"{name}-cavity.nrrd", AXIAL)
    assert batch.main(scene, arguments) == 2
    assert words in caplog.text
    assert not (tmp_path / "out").exists()


def test_missing_arguments_and_help_do_not_end_the_process(batch, scene, capsys):
    assert batch.main(scene, []) == 2
    assert batch.main(scene, ["--help"]) == 0
    capsys.readouterr()


class TestModels:
    """A made-up cavity model (bright_network), in the place of the one that comes with the project."""

    @pytest.fixture
    def cohort(self, tmp_path, shipped):
        """Scans without masks, in which the atrium is brighter than all but a spot of scar."""
        from test_session_story import bright_ball

        for name in ("a", "b"):
            write_volume(bright_ball(), tmp_path / f"{name}.nrrd")
        return tmp_path

    def test_a_folder_without_masks_is_measured_by_the_model_that_comes_along(self, batch, scene, cohort, shipped):
        assert batch.main(scene, [str(cohort), "-o", str(cohort / "out"), "--accept-terms", "--device", "cpu"]) == 0
        rows = status(cohort / "out")
        assert {name: row["status"] for name, row in rows.items()} == {"a": "done", "b": "done"}
        found, drawn = read_volume(cohort / "out" / "a" / "cavity.nii.gz").array > 0, scan(AXIAL)[1].array > 0
        assert 2 * (found & drawn).sum() / (found.sum() + drawn.sum()) > 0.9
        assert json.loads((cohort / "out" / "a" / "provenance.json").read_text())["origins"]["cavity"]["reference"] == shipped
        assert batch.main(scene, [str(cohort), "-o", str(cohort / "out")]) == 0
        assert {row["status"] for row in status(cohort / "out").values()} == {"skipped"}

    def test_its_terms_are_shown_and_accepted_first(self, batch, scene, cohort, caplog):
        assert batch.main(scene, [str(cohort / "a.nrrd"), "-o", str(cohort / "out")]) == 2
        assert "Research only" in caplog.text and "--accept-terms" in caplog.text and not (cohort / "out").exists()

    def test_a_result_of_a_model_is_not_taken_for_one_of_a_mask(self, batch, scene, cohort):
        arguments = [str(cohort / "a.nrrd"), "-o", str(cohort / "out"), "--accept-terms"]
        assert batch.main(scene, arguments) == 0
        write_volume(scan(AXIAL)[1], cohort / "la.nrrd")
        assert batch.main(scene, [*arguments, "--cavity", str(cohort / "la.nrrd")]) == 1
        assert "cavity: shipped@1.0" in status(cohort / "out")["a"]["message"]

    def test_a_cavity_model_is_none_for_scar(self, batch, scene, cohort, caplog):
        assert batch.main(scene, [str(cohort / "a.nrrd"), "-o", str(cohort / "out"), "--scar", "shipped", "--accept-terms"]) == 2
        assert "can't be used for the scar" in caplog.text

    def test_without_pytorch_it_says_where_to_get_it(self, batch, scene, cohort, caplog, monkeypatch):
        monkeypatch.setattr(batch, "_has", lambda package: False)
        assert batch.main(scene, [str(cohort / "a.nrrd"), "-o", str(cohort / "out"), "--accept-terms"]) == 2
        assert "PyTorch extension" in caplog.text


def test_progress_and_errors_reach_the_terminal_where_the_root_logger_has_a_handler(tmp_path, repository):
    """As in Slicer, whose handler of the root logger writes to its Error Log."""
    write_case(tmp_path / "a.nrrd", tmp_path / "a-cavity.nrrd")
    write_case(tmp_path / "b.nrrd", tmp_path / "b-cavity.nrrd", empty=True)
    program = (
        "import logging, runpy, sys, slicer, slicer.util; logging.getLogger().addHandler(logging.NullHandler())\n"
        "sys.modules.update(matplotlib=None, jinja2=None)\n"
        "from LAScarSegLib.scene import new_scene\n"
        "slicer.mrmlScene, slicer.util.exit = new_scene(), sys.exit\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    script = repository / "Examples" / "slicer_batch.py"
    code = f"import sys; sys.argv = [{str(script)!r}, '--', {str(tmp_path)!r}, '-o', {str(tmp_path / 'out')!r}]\n{program}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=repository)
    assert done.returncode == 1
    said = done.stderr.splitlines()
    assert any(line.startswith("1 of 2: a | done") for line in said), done.stderr
    assert any(line.startswith("2 of 2: b | failed") and "empty" in line for line in said)
    assert any(line.startswith("a: ") and "Reading" in line for line in said)

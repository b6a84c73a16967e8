"""The command line as a user, a script and a scheduler see it."""

from __future__ import annotations

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from dicom_files import write_series
from small_scan import flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan

from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.volumes.files import read_volume, write_volume


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with a scan and its cavity, where the user is."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


RUN = ("run", "image.nrrd", "--cavity", "cavity.nrrd", "-o", "out")


def test_run_prints_every_number_that_it_writes(folder, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # so that no name wraps
    outcome = lascarseg(capfd, *RUN)
    assert outcome.code == 0 and outcome.err == ""
    result = numbers(folder / "out")
    for quantity in NUMBERS:
        if result[quantity.key]["value"] is not None:
            assert quantity.label in outcome.out
            assert f"{result[quantity.key]['value']:.{quantity.decimals}f}" in outcome.out
    assert "Result: out" in outcome.out and "research use only" in outcome.out


def test_a_preset_is_a_threshold_by_name(folder, capfd):
    assert lascarseg(capfd, *RUN, "--threshold", "barcelona-dense").code == 0
    assert numbers(folder / "out")["threshold"]["value"] == 1.32
    assert numbers(folder / "out")["method"]["preset"] == "barcelona-dense"


def test_one_label_of_several_is_chosen(folder, capfd):
    image, cavity = small_scan()
    both = cavity.array * np.where(np.arange(25) < 12, 3, 7)[:, None, None].astype(np.uint8)
    write_volume(image.like(both), "labels.nrrd")
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "labels.nrrd", "--cavity-label", 7, "-o", "out").code == 0
    np.testing.assert_array_equal(read_volume("out/cavity.nii.gz").array, both == 7)


def test_a_utah_stage_needs_a_native_scan(folder, capfd):
    assert lascarseg(capfd, *RUN).code == 0
    assert numbers(folder / "out")["utah_stage"]["value"] is None
    assert lascarseg(capfd, *RUN, "--native", "--force").code == 0
    # 10 % is where stage II begins; the share itself decides.
    share = numbers(folder / "out")["scar_pct_of_wall_volume"]["value"]
    assert numbers(folder / "out")["utah_stage"]["value"] == (1 if share < 10 else 2)


def test_a_rule_is_found_though_a_result_is_called_like_it(folder, capfd):
    assert lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "-o", "nsd").code == 0
    assert lascarseg(capfd, *RUN, "--scar", "nsd").code == 0
    assert numbers(folder / "out")["method"]["name"] == "nsd"


def test_the_masks_of_a_result_are_masks(folder, capfd):
    """Scar found once and given back as a mask is the same scar."""
    assert lascarseg(capfd, *RUN, "--scar", "iir").code == 0
    again = ("run", "image.nrrd", "--cavity", "out/cavity.nii.gz", "--wall", "out/wall.nii.gz", "--scar", "out/scar.nii.gz", "-o", "again")
    assert lascarseg(capfd, *again).code == 0
    for key in ("scar_area_pct", "scar_volume_ml", "scar_pct_of_wall_volume", "la_volume_ml", "wall_volume_ml"):
        assert numbers(folder / "again")[key]["value"] == pytest.approx(numbers(folder / "out")[key]["value"], rel=1e-6)


def test_json_progress_is_json_lines_alone_that_never_fall_and_end_at_one(folder, capfd):
    outcome = lascarseg(capfd, *RUN, "--progress", "json")
    events = [json.loads(line) for line in outcome.out.splitlines()]
    assert all(set(event) == {"stage", "fraction", "message"} for event in events)
    fractions = [event["fraction"] for event in events]
    assert fractions == sorted(fractions) and fractions[0] == 0.0 and fractions[-1] == 1.0
    assert {"read", "anatomy", "surface", "scar", "measure", "output"} <= {event["stage"] for event in events}
    assert "Scar, share of the LA surface" in outcome.err


def test_json_progress_of_a_refused_command_is_empty(folder, capfd):
    outcome = lascarseg(capfd, *RUN[:4], "--scar", "foo", "-o", "out", "--progress", "json")
    assert outcome.code == 2 and outcome.out == "" and outcome.err.startswith("Error: ")


def test_measuring_without_output_also_ends_at_one(folder, capfd):
    lascarseg(capfd, *RUN)
    events = [json.loads(line) for line in lascarseg(capfd, "measure", "out", "--progress", "json").out.splitlines()]
    assert events[-1]["fraction"] == 1.0


def test_a_dicom_folder_is_a_scan_and_may_hold_the_result(folder, capfd):
    write_series(folder / "series", small_scan()[0])
    before = lascarseg(capfd, *RUN).code
    outcome = lascarseg(capfd, "run", "series", "--cavity", "cavity.nrrd", "-o", "series/out")
    assert (before, outcome.code) == (0, 0)
    assert numbers(folder / "series" / "out")["scar_area_pct"] == pytest.approx(numbers(folder / "out")["scar_area_pct"])
    assert lascarseg(capfd, "measure", "series/out").code == 0


def test_every_path_may_have_spaces_and_any_letters(folder, capfd):
    home = folder / "Müller ä 中文 💓"
    scan = write_series(home / "LGE Aufnahme 左心房", small_scan()[0], name=lambda k: f"Schicht {k} é.dcm")
    shutil.copy("cavity.nrrd", home / "Höhle 💓.nrrd")
    cavity, plain = home / "Höhle 💓.nrrd", home / "Wand ü.nii.gz"
    assert lascarseg(capfd, *RUN).code == 0
    shutil.copy("out/wall.nii.gz", plain)
    shutil.copy("out/scar.nii.gz", home / "Narbe ñ.nii.gz")
    origin = [float(x) for x in np.array(small_scan()[0].geometry.index_to_lps(np.array([[24.2, 24.3, 6.5]]))[0])]
    planes = home / "Ebenen ß.json"
    planes.write_text(json.dumps({"planes": [{"name": "MV", "origin": origin, "normal": [0, 0, 1]}]}))
    outcome = lascarseg(
        capfd,
        "run",
        scan,
        "--cavity",
        cavity,
        "--wall",
        plain,
        "--scar",
        home / "Narbe ñ.nii.gz",
        "--planes",
        planes,
        "-o",
        home / "Ergebnis – 結果 💓",
    )
    assert outcome.code == 0, outcome
    result = home / "Ergebnis – 結果 💓"
    assert numbers(result)["scar_area_pct_wall"]["value"] is not None
    inputs = json.loads((result / "provenance.json").read_text(encoding="utf-8"))["inputs"]
    assert inputs["cavity"]["path"] == cavity.name
    assert lascarseg(capfd, "measure", result, "-o", home / "nochmal 💓").code == 0


def test_a_whole_result_has_every_file_of_the_contract(folder, capfd, monkeypatch):
    """Figures, report and scene too: the one test here that takes the seconds they need."""
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    outcome = lascarseg(capfd, *RUN)
    assert outcome.code == 0, outcome
    contract = {
        "cavity.nii.gz",
        "wall.nii.gz",
        "scar.nii.gz",
        "sdm_cavity.nii.gz",
        "sdm_wall.nii.gz",
        "surface.vtp",
        "measurements.json",
        "measurements.csv",
        "threshold_curve.csv",
        "provenance.json",
        "report.html",
        "figures",
    }
    assert contract <= set(os.listdir("out")) <= contract | {"scene.mrb"}
    with open("out/measurements.csv", newline="", encoding="utf-8") as file:
        assert len(list(csv.reader(file))) > len(NUMBERS)


def test_flags_reach_the_file_and_the_terminal(folder, capfd):
    outcome = lascarseg(capfd, *RUN)
    assert flag_codes(folder / "out") == {"planes_unsure", "roof_and_floor", "cavity_shape_unusual"}
    # What may be wrong comes before the number, a note after it.
    warning, number, note = map(outcome.out.index, ("Warning: The shape is not", "Scar on", "Note: Mitral valve and veins were looked for"))
    assert warning < number < note


def test_planes_are_not_looked_for_when_nobody_wants_them(folder, capfd):
    lascarseg(capfd, *RUN, "--no-find-planes")
    assert "no_planes" in flag_codes(folder / "out") and not (folder / "out" / "planes_found.json").exists()


def test_a_failure_that_nobody_foresaw_is_one_line_and_a_traceback_on_demand(folder, capfd, monkeypatch, caplog):
    def broken(*_, **__):
        raise ZeroDivisionError("by accident")

    monkeypatch.setattr("LAScarSegLib.jobs.request.analyse", broken)
    outcome = lascarseg(capfd, *RUN)
    assert outcome.code == 1 and len(outcome.err.splitlines()) == 1 and "ZeroDivisionError: by accident" in outcome.err
    assert "Traceback" not in caplog.text
    lascarseg(capfd, "--debug", *RUN)
    assert 'raise ZeroDivisionError("by accident")' in caplog.text
    assert sorted(os.listdir()) == ["cavity.nrrd", "image.nrrd"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "not enough memory"),
        (ModuleNotFoundError("x", name="scipy"), "'scipy' is missing"),
        (KeyboardInterrupt(), "Cancelled"),
    ],
)
def test_other_failures_say_what_to_do(folder, capfd, monkeypatch, error, says):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr("LAScarSegLib.jobs.request.analyse", broken)
    outcome = lascarseg(capfd, *RUN)
    assert outcome.code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    (line,) = outcome.err.splitlines()
    assert says in line


def test_the_help_names_every_command(capfd):
    assert all(command in lascarseg(capfd, "--help").out for command in ("run", "measure", "doctor"))

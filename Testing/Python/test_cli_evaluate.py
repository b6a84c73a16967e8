"""`lascarseg evaluate` as a user runs it."""

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from LAScarSegLib.cli.main import app
from LAScarSegLib.volumes.files import SIMULATED, write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

GRID = Geometry((30, 28, 20), (1.0, 1.0, 2.0))


@pytest.fixture
def cohort(tmp_path):
    """Seven references; `first` misses one slice of ten, `second` two or more."""
    for n in range(1, 8):
        mask = np.zeros(GRID.shape, dtype=np.uint8)
        mask[5:15, 8:20, 8 : 18 + n % 3] = 1
        for folder, slices in (("reference", 10), ("first", 9), ("second", 8 - n % 2)):
            (tmp_path / folder).mkdir(exist_ok=True)
            part = mask.copy()
            part[5 + slices :] = 0
            write_volume(Volume(part, GRID), tmp_path / folder / f"case_{n}.nii.gz")
    return tmp_path


def lascarseg(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_scores_summary_and_comparison_on_disk(cohort):
    done = lascarseg("evaluate", cohort / "first", cohort / "reference", "--against", cohort / "second", "-o", cohort / "out")
    assert done.exit_code == 0, done.output
    cases = rows(cohort / "out" / "cases.csv")
    assert [row["case"] for row in cases if row["method"] == "first"] == [f"case_{n}" for n in range(1, 8)]
    # 9 of 10 equal slices: Dice 2·9/19, the missing slice is 2 mm away.
    assert float(cases[0]["dice"]) == pytest.approx(18 / 19) and float(cases[0]["hd_mm"]) == 2.0
    dice = next(row for row in rows(cohort / "out" / "summary.csv") if row["metric"] == "dice")
    assert (dice["n"], float(dice["mean"])) == ("7", pytest.approx(18 / 19))
    compared = next(row for row in rows(cohort / "out" / "comparison.csv") if row["metric"] == "dice")
    # Four of the seven have 7 slices, so the median difference is 18/19 − 14/17; all seven favour the first: p = 2/2⁷.
    assert float(compared["median_difference"]) == pytest.approx(18 / 19 - 14 / 17)
    assert (float(compared["p_value"]), compared["favours"]) == (pytest.approx(2 / 2**7), "first")
    assert json.loads((cohort / "out" / "evaluation.json").read_text())["simulated"] is False


def test_scores_on_the_screen(cohort):
    done = lascarseg("evaluate", cohort / "first", cohort / "reference", "--structure", "cavity", "--tolerance", "1.5")
    assert done.exit_code == 0
    assert "Cavity, 7 cases" in done.output and "0.947" in done.output and "Surface Dice at 1.5 mm" in done.output


def test_scores_are_replaced_only_on_demand_and_nothing_else_ever(cohort):
    arguments = ("evaluate", cohort / "first", cohort / "reference", "-o", cohort / "out")
    assert lascarseg(*arguments).exit_code == 0
    assert lascarseg(*arguments).exit_code == 2
    assert lascarseg(*arguments, "--against", cohort / "second", "--force").exit_code == 0
    assert lascarseg(*arguments, "--force").exit_code == 0
    assert not (cohort / "out" / "comparison.csv").exists()
    assert lascarseg(*arguments[:-1], cohort / "reference", "--force").exit_code == 2
    assert len(list((cohort / "reference").iterdir())) == 7
    assert not [path for path in cohort.iterdir() if path.name.startswith(".")]


def test_progress_as_json_lines(cohort):
    done = lascarseg("evaluate", cohort / "first", cohort / "reference", "--progress", "json")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[-1]["fraction"] == 1.0 and {event["stage"] for event in events} == {"evaluation"}


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("--tolerance", "-1"), "tolerance_mm is -1.0"),
        (("--label", "3"), "No mask has the label 3"),
        (("--structure", "scar", "--cavity", "none"), "none does not exist"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(cohort, arguments, message):
    done = lascarseg("evaluate", cohort / "first", cohort / "reference", *arguments, "-o", cohort / "out")
    assert done.exit_code == 2 and message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not (cohort / "out").exists()


@pytest.mark.parametrize("label", [None, 1])
def test_what_a_header_says_of_a_mask_is_kept_whichever_label_counts(tmp_path, label):
    from LAScarSegLib.evaluation.scores import read_mask

    mask = Volume(np.ones((2, 3, 4), np.uint8), Geometry((4, 3, 2)), (SIMULATED,))
    write_volume(mask, tmp_path / "mask.nrrd")
    assert SIMULATED in read_mask(tmp_path / "mask.nrrd", label).flags

"""A network's cavity with its doubt: numbers are withheld until a person confirms or corrects it, everywhere and through every carrier."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("slicer", reason="scenes need slicer-core")

from same_analysis import assert_same
from scene_cases import AXIAL, network_of, scan
from small_scan import lascarseg

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import Analysis, Change, Given, Mask, Network, analyse, revise
from LAScarSegLib.analysis.archive import read_analysis, write_analysis
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.scene import review
from LAScarSegLib.scene.segmentation import SCAR
from LAScarSegLib.session.edit_session import EditSession, reopen, set_threshold
from LAScarSegLib.support.doubt import Doubt
from LAScarSegLib.volumes.files import write_volume

IMAGE, CAVITY = scan(AXIAL)
REASON = "The shape is not that of a left atrium."
BAD = Doubt("do not use", 0.41, (REASON,))
UNSURE = Doubt("look at it", 0.83, ("The model's answer changes when the scan is shifted a little.",))
GOOD = Doubt("good", 0.93)
QUICK = Settings(perturbation=False)


def found(doubt: Doubt | None, confirmed: bool = False) -> Network:
    return replace(network_of(CAVITY.array), doubt=doubt, confirmed=confirmed)


def measured(doubt: Doubt | None, **options) -> Analysis:
    return analyse(IMAGE, options.pop("settings", QUICK), cavity=found(doubt), **options)


def numbers(analysis: Analysis) -> dict[str, float | None]:
    return {key: quantity.value for key, quantity in analysis.measurements.items()}


def told(analysis: Analysis) -> list[str]:
    return [remark.line for remark in analysis.remarks]


@pytest.fixture(scope="module")
def withheld() -> Analysis:
    return measured(BAD, settings=Settings())


def test_no_number_of_scar_is_given_and_the_atrium_is_still_measured(withheld):
    usual = numbers(measured(GOOD, settings=Settings()))
    given = {number.key for number in NUMBERS if numbers(withheld)[number.key] is not None}
    scar = {key for key, value in usual.items() if value is not None and ("scar" in key or "stage" in key)}
    assert scar and not scar & given
    assert given == {key for key, value in usual.items() if value is not None} - scar
    assert all(numbers(withheld)[key] == usual[key] for key in given)
    assert withheld.other_protocols == ()
    assert {name for name, values in withheld.curve.columns().items() if (values == values).any()} == {"threshold_intensity", "iir", "sd"}


def test_it_is_the_first_thing_that_is_said(withheld):
    assert told(withheld)[0].startswith("Do not use: ") and REASON in told(withheld)[0]
    assert told(measured(UNSURE))[0].startswith("Look at it: ")
    assert not any("careful drawing" in line for line in told(measured(GOOD)))
    assert "not to be used" in withheld.headline.sentence


@pytest.mark.parametrize("doubt", [UNSURE, GOOD, None])
def test_any_other_word_withholds_nothing(doubt):
    given = analyse(IMAGE, QUICK, cavity=CAVITY)
    assert numbers(measured(doubt)) == numbers(given)
    assert measured(doubt).measurements_json()["withheld"] is False


def test_a_person_who_confirms_it_gets_the_numbers_and_the_result_says_so(withheld):
    confirmed = revise(withheld, Change(confirm_cavity=True))
    assert_same(confirmed, analyse(IMAGE, Settings(), cavity=found(BAD, confirmed=True)))
    assert numbers(confirmed) == numbers(measured(GOOD))
    (line,) = [line for line in told(confirmed) if "confirmed" in line]
    assert line.startswith("Note: ") and "do not use" in line and REASON in line


def test_a_person_who_corrects_it_gets_the_numbers(withheld):
    array = CAVITY.array.copy()
    array[:, :20] = 0
    corrected = revise(withheld, Change(cavity=Mask.of(array > 0)))
    assert not corrected.withheld and numbers(corrected)["scar_area_pct"] is not None
    assert corrected.measurements_json()["doubt"] is None
    # Put back, it is the network's again.
    assert revise(corrected, Change(cavity=Mask.of(CAVITY.array > 0))).withheld


def test_confirming_a_given_cavity_changes_nothing():
    given = analyse(IMAGE, QUICK, cavity=CAVITY)
    assert_same(revise(given, Change(confirm_cavity=True)), given)


@pytest.fixture(scope="module")
def folder(withheld, tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("withheld")
    write_volume(IMAGE, home / "scan.nrrd")
    analysis = withheld.described({"image": describe_file(home / "scan.nrrd", home / "out")})
    return write_results(analysis, home / "out")


def test_files(folder):
    content = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    assert content["withheld"] is True
    assert content["doubt"] == {"word": "do not use", "expected_dice": 0.41, "reasons": [REASON]}
    assert content["scar_area_pct"]["value"] is None and content["la_volume_ml"]["value"] > 0
    rows = {row["key"]: row["value"] for row in csv.DictReader((folder / "measurements.csv").open(encoding="utf-8"))}
    assert rows["doubt"] == "do not use" and rows["scar_area_pct"] == ""
    curve = list(csv.DictReader((folder / "threshold_curve.csv").open(encoding="utf-8")))
    assert curve and not any(row["scar_area_pct"] for row in curve)
    assert {path.name for path in folder.glob("*.nii.gz")} >= {"cavity.nii.gz", "wall.nii.gz", "sdm_cavity.nii.gz", "sdm_wall.nii.gz"}
    assert (folder / "surface.vtp").is_file()
    assert [path.name for path in (folder / "figures").iterdir()] == ["montage.png"]


def test_report(folder):
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "cavity is not to be used" in text and REASON in text and "--confirm-cavity" in text
    assert "is marked as scar" not in text and "What other published" not in text


def test_folder_and_archive_keep_it(withheld, folder, tmp_path):
    assert read_result(folder).analyse().withheld
    for analysis in (withheld, revise(withheld, Change(confirm_cavity=True))):
        write_analysis(analysis, tmp_path / "archive")
        assert_same(read_analysis(tmp_path / "archive", IMAGE), analysis, same_run=True)


def test_the_command_line(folder, capfd, tmp_path):
    outcome = lascarseg(capfd, "measure", folder)
    assert outcome.code == 0
    first = next(line for line in outcome.out.splitlines() if line.strip())
    assert first.startswith("Do not use: ") and REASON in first
    assert outcome.out.count(REASON) == 1 and "--confirm-cavity" in outcome.out
    outcome = lascarseg(capfd, "measure", folder, "--confirm-cavity", "-o", tmp_path / "sure")
    assert outcome.code == 0 and "Scar on" in outcome.out
    content = json.loads((tmp_path / "sure" / "measurements.json").read_text(encoding="utf-8"))
    assert content["withheld"] is False and content["scar_area_pct"]["value"] is not None
    assert content["doubt"]["word"] == "do not use"


def test_the_scene_shows_the_shape_without_scar_until_it_is_confirmed(withheld):
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, withheld)
    display = nodes.surface.GetDisplayNode()

    def scar_visible() -> bool:
        return nodes.segmentation.GetDisplayNode().GetSegmentVisibility(SCAR.segment_id)

    assert not display.GetScalarVisibility() and not scar_visible()
    assert nodes.measurements.GetAttribute("LAScarSeg.doubt") == "do not use"
    with pytest.raises(InputError, match="not to be used"):
        review.show_scalar(nodes, withheld, "Scar")
    session = EditSession(scene, nodes, withheld)
    # The threshold can be moved, and tells nothing.
    moved = set_threshold(nodes, withheld, 1.3)
    assert moved.sources.scar.parameter == 1.3 and numbers(moved)["scar_area_pct"] is None and not display.GetScalarVisibility()
    session.rebase(session.confirm_cavity())
    assert display.GetScalarVisibility() and scar_visible()
    assert_same(session.analysis, revise(withheld, Change(confirm_cavity=True)))
    # Nobody drew: the next look finds the confirmed state again.
    assert session.update() is session.analysis and not session.analysis.withheld


def test_a_saved_scene_is_taken_up_withheld(withheld):
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, withheld)
    assert reopen(scene, nodes.volume, ranges=False).analysis.withheld


def test_a_given_cavity_has_no_doubt():
    assert analyse(IMAGE, QUICK, cavity=Given(Mask.of(CAVITY.array > 0))).doubt is None

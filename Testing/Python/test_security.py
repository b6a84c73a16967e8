"""Attacks: files, folders, models and archives that somebody prepared to mislead, to destroy or to exhaust; each is refused in words."""

from __future__ import annotations

import csv
import importlib.util
import json
import logging
import os
import time
from pathlib import Path

import pytest
from small_scan import lascarseg, only_data_files, write_scan

from LAScarSegLib.datasets.pairs import find_cohort, unused
from LAScarSegLib.datasets.phantoms import PHANTOM
from LAScarSegLib.errors import InputError, Stopped
from LAScarSegLib.evaluation import score_tables
from LAScarSegLib.evaluation.scores import CaseScore
from LAScarSegLib.jobs.request import read_plane_files
from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.output.writing import RESULT, check_output
from LAScarSegLib.support import whole_folder as whole_folders
from LAScarSegLib.surface.planes import LARGEST_FILE_BYTES, CutPlane, read_planes, remarks_on_planes
from LAScarSegLib.support.printable import PrintableFormatter, csv_text, printable, without_folders
from LAScarSegLib.support.whole_folder import check_folder, whole_folder

ESCAPE = "\x1b]0;owned\x07\x1b[2J"
"""Renames a terminal's window and clears it."""


def plane(name: str = "MV", x: float = 0.0) -> dict:
    return {"name": name, "origin": [x, 0.0, 0.0], "normal": [0.0, 0.0, 1.0]}


def plane_file(folder: Path, content: object) -> Path:
    path = folder / "planes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


# Planes


def test_sixty_thousand_planes_are_refused_at_once(tmp_path):
    path, start = plane_file(tmp_path, {"coordinateSystem": "LPS", "planes": [plane()] * 10_000}), time.perf_counter()
    with pytest.raises(InputError, match="holds 10000 planes; at most 10"):
        read_plane_files((path,))
    assert time.perf_counter() - start < 2.0


def test_a_plane_file_of_many_megabytes_is_refused_before_it_is_parsed(tmp_path):
    path = plane_file(tmp_path, '{"planes": [' + " " * LARGEST_FILE_BYTES + "]}")
    with pytest.raises(InputError, match="more than the 1,048,576"):
        read_planes(path)


@pytest.mark.parametrize("depth", [100, 200_000])
@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"planes":', "}")])
def test_deep_json_is_refused_in_words(tmp_path, opens, closes, depth):
    text = opens * depth + "0" + closes * depth
    with pytest.raises(InputError, match="not JSON|deep in each other|more than the"):
        read_planes(plane_file(tmp_path, text))


@pytest.mark.parametrize("value", [1e308, 10**400, float("inf")])
def test_numbers_that_overflow_are_refused(tmp_path, value):
    for key in ("origin", "normal"):
        with pytest.raises(InputError, match="three numbers"):
            read_planes(plane_file(tmp_path, {"coordinateSystem": "LPS", "planes": [plane() | {key: [0, value, 1]}]}))


def test_a_name_with_control_characters_is_shown_harmlessly(tmp_path):
    with pytest.raises(InputError, match="has no name that is known") as error:
        read_planes(plane_file(tmp_path, {"coordinateSystem": "LPS", "planes": [plane(ESCAPE)]}))
    assert "\x1b" not in str(error.value) and "\\x1b" in str(error.value)


def test_planes_without_a_coordinate_system_say_that_one_was_assumed(tmp_path):
    said = read_planes(plane_file(tmp_path, {"coordinateSystem": "LPS", "planes": [plane()]}))
    unsaid = read_planes(plane_file(tmp_path, {"planes": [plane()]}))
    assert said == unsaid and remarks_on_planes(said) == ()
    (flag,) = remarks_on_planes(unsaid)
    assert flag.code == "planes_system_assumed" and "MV" in flag.message and "LPS was assumed" in flag.message
    # It is known as long as the plane is kept.
    assert remarks_on_planes([CutPlane.from_json(json.loads(json.dumps(unsaid[0].to_json())))]) == (flag,)


def test_veins_on_the_wrong_sides_are_noticed(tmp_path):
    right = [CutPlane("LSPV", (30.0, 0, 0), (1.0, 0, 0)), CutPlane("RSPV", (-25.0, 0, 0), (1.0, 0, 0))]
    assert remarks_on_planes(right) == remarks_on_planes(right[:1]) == ()
    mirrored = [CutPlane(p.name, (-p.origin[0], 0, 0), p.normal) for p in right]
    (flag,) = remarks_on_planes(mirrored)
    assert flag.code == "planes_contradict_sides" and flag.severity == "warning" and "LSPV lies 55 mm to the patient's right" in flag.message


# Text from outside


def test_nothing_that_steers_a_terminal_survives():
    assert printable(ESCAPE) == "\\x1b]0;owned\\x07\\x1b[2J"
    assert printable("\x9b31m\u202eexe.nrrd\udcff\r\n") == "\\x9b31m\\u202eexe.nrrd\\xff\\x0d\\x0a"
    assert printable("one\ntwo\x08", lines=True) == "one\ntwo\\x08"
    assert printable("Müller [β] – étude 左心房 💓 ±1") == "Müller [β] – étude 左心房 💓 ±1"


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x")', "+1+1", "-1+1", "@SUM(1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text_in_a_table(text):
    assert csv_text(text) == f"'{text}"
    assert csv_text(f"P{text}") == f"P{text}"


def test_a_message_keeps_the_file_and_loses_its_folders():
    assert without_folders("/data/MUSTERMANN^MAX/x/scan.nrrd: bad") == "scan.nrrd: bad"
    assert without_folders("can't read 'C:\\Users\\max\\a.nrrd' (2/3 of it, 1/s)") == "can't read 'a.nrrd' (2/3 of it, 1/s)"


# Folders


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def put(folder: Path, **files: str) -> Path:
    """Text files by name; two underscores stand for a folder, one for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


OURS = '{"program": "LAScarSeg", "files": ["report.html", "figures/iir.png", "provenance.json"]}'


@pytest.mark.parametrize(
    ("marker", "says"),
    [
        ("{}", "not a LAScarSeg result"),
        ('{"program": "Other", "files": ["report.html", "figures/thesis.png", "provenance.json"]}', "not a LAScarSeg result"),
        ('{"program": "LAScarSeg"}', "not a LAScarSeg result"),
        ("[" * 100_000, "not a LAScarSeg result"),
        (OURS, "also holds figures/thesis.png"),
    ],
)
def test_force_never_touches_what_is_not_provably_ours(tmp_path, marker, says):
    folder = put(tmp_path / "thesis", provenance_json=marker, report_html="mine", figures__thesis_png="years")
    before = tree(folder)
    with pytest.raises(InputError, match=says):
        check_output(folder, force=True)
    with pytest.raises(InputError, match=says), whole_folder(folder, True, RESULT):
        pass
    assert tree(folder) == before


def test_force_on_the_challenges_data_is_refused(tmp_path):
    folder = put(tmp_path / "lascarqs", task1__train_data__train_1__enhanced="a scan")
    with pytest.raises(InputError, match="not a LAScarSeg phantom"):
        check_folder(folder, True, PHANTOM)
    assert tree(folder)


def test_a_link_in_a_result_is_not_followed(tmp_path):
    put(tmp_path / "elsewhere", thesis_txt="years")
    folder = put(tmp_path / "out", provenance_json=OURS, report_html="ours")
    (folder / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="also holds figures"):
        check_output(folder, force=True)
    assert (tmp_path / "elsewhere" / "thesis.txt").exists()


OWNER = {"program": "LAScarSeg", "folder": "out", "machine": "", "process": 2**30, "key": ""}


@pytest.mark.parametrize("name", [".out.replaced-host-1073741824", ".out.partial-host-1073741824", ".out.partial-abc"])
@pytest.mark.parametrize("owner", [None, "{}", json.dumps(OWNER), json.dumps(OWNER | {"folder": "other"})], ids=["none", "empty", "made up", "other"])
def test_a_planted_leftover_does_not_become_the_result(tmp_path, name, owner):
    """With an owner or without: others may write to it, so anybody may have put it there."""
    planted = put(tmp_path / name, old__provenance_json=OURS, old__report_html="a lie", provenance_json=OURS, report_html="a lie")
    if owner is not None:
        (planted / "owner.json").write_text(owner.replace('"machine": ""', f'"machine": "{whole_folders._machine()}"'))
    planted.chmod(0o777)
    before = tree(tmp_path)
    check_output(tmp_path / "out")
    assert not (tmp_path / "out").exists() and tree(tmp_path) == before


@pytest.mark.skipif(os.name == "nt", reason="POSIX owners")
def test_a_leftover_of_another_user_is_left_alone(tmp_path, monkeypatch):
    planted = put(tmp_path / ".out.partial-abc", old__provenance_json=OURS, old__report_html="a lie")
    (planted / "owner.json").write_text(json.dumps(OWNER | {"machine": whole_folders._machine()}))
    planted.chmod(0o700)
    monkeypatch.setattr(whole_folders.os, "getuid", lambda: 4242)
    check_output(tmp_path / "out")
    assert not (tmp_path / "out").exists() and planted.exists()


def test_no_name_beside_a_result_tells_host_or_process(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_folders.os, "getpid", lambda: 987654321)
    monkeypatch.setattr(whole_folders.socket, "gethostname", lambda: "ward7")
    with whole_folder(tmp_path / "out", False, RESULT) as partial:
        names = " ".join(path.as_posix() for path in tmp_path.rglob("*"))
        assert partial.is_dir() and "987654321" not in names and "ward7" not in names
        assert "ward7" not in (partial.parent / "owner.json").read_text()
    assert [path.name for path in (tmp_path / "out").iterdir()] == []


# The command line, tables, cohorts


@pytest.fixture
def scan_folder(tmp_path, monkeypatch) -> Path:
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


@pytest.mark.parametrize("label", ["[/x] [bold]P1", '=HYPERLINK("http://x")'])
def test_a_label_is_neither_markup_nor_a_formula(scan_folder, capfd, label):
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--label", label, "-o", "out")
    assert outcome.code == 0 and label in outcome.out and "Traceback" not in outcome.err
    with open("out/measurements.csv", newline="", encoding="utf-8") as file:
        (case,) = [row for row in csv.reader(file) if row[0] == "case"]
    assert case[2] == (f"'{label}" if label.startswith("=") else label)


@pytest.mark.skipif(os.name == "nt", reason="names of bytes")
def test_a_file_name_that_is_not_utf8_is_refused_in_words(scan_folder, capfd):
    os.rename(b"image.nrrd", b"im\xffage.nrrd")
    name = os.fsdecode(b"im\xffage.nrrd")
    for arguments in ((name, "--cavity", "cavity.nrrd", "-o", "out"), ("cavity.nrrd", "--cavity", name, "-o", "out"),
                      ("cavity.nrrd", "--cavity", "cavity.nrrd", "-o", name)):  # fmt: skip
        outcome = lascarseg(capfd, "run", *arguments)
        assert outcome.code == 2 and "im\\xffage.nrrd, is not valid UTF-8" in outcome.err and "Rename it" in outcome.err


def test_a_file_name_cannot_steer_the_terminal(scan_folder, capfd):
    outcome = lascarseg(capfd, "run", ESCAPE, "--cavity", "cavity.nrrd", "-o", "out")
    assert outcome.code == 2 and "\x1b" not in outcome.err + outcome.out and "\\x1b" in outcome.err


def test_a_log_line_cannot_steer_the_terminal():
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s is odd", (ESCAPE,), None)
    assert "\x1b" not in PrintableFormatter("%(message)s").format(record)


def test_of_two_files_of_one_name_none_is_dropped_without_a_word(tmp_path):
    for name in ("P1.nrrd", "P1-cavity.nrrd", "P2.nii.gz", "P2.nrrd"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match="more than one case called P2. P2.nii.gz and P2.nrrd differ in their extension alone"):
        find_cohort(tmp_path)
    (tmp_path / "P2.nrrd").rename(tmp_path / "p1.nrrd")
    with pytest.raises(InputError, match="more than one case called p1. P1.nrrd and p1.nrrd would overwrite each other"):
        find_cohort(tmp_path)


def test_what_is_part_of_no_case_is_told(tmp_path):
    for name in ("P1.nrrd", "P1-cavity.nrrd", "P3-cavity.nrrd"):
        (tmp_path / name).touch()
    put(tmp_path, P4__enhanced_nii="a scan of another name", P5__notes_txt="nothing")
    assert unused(tmp_path, find_cohort(tmp_path)) == ["P3-cavity.nrrd", "P4", "P5"]


def test_the_status_of_a_cohort_counts_warnings_and_stops_and_computes_nothing(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("slicer_batch_attacked", Path(__file__).parents[2] / "Examples" / "slicer_batch.py")
    batch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(batch)
    for name in ("=1+1", "-2", "P3"):
        for end in ("", "-cavity"):
            (tmp_path / "in").mkdir(exist_ok=True)
            (tmp_path / "in" / f"{name}{end}.nrrd").touch()

    def run(request, progress):
        if request.image.name == "P3.nrrd":
            raise Stopped("Stop: it is no scan.", ("field_of_view", "ct_like_values"))
        flags = [{"code": code, "severity": severity} for code, severity in (("a", "warning"), ("b", "warning"), ("c", "stop"), ("d", "note"))]
        numbers = {number.key: {"value": 1.0, "unit": number.unit, "low": None, "high": None} for number in NUMBERS}
        put(request.output, measurements_json=json.dumps(numbers | {"quality_flags": flags}))

    monkeypatch.setattr(batch, "run_request", run)
    assert batch.main(None, [str(tmp_path / "in"), "-o", str(tmp_path / "out")]) == 1
    with open(tmp_path / "out" / "status.csv", newline="", encoding="utf-8") as file:
        rows = {row["case"]: row for row in csv.DictReader(file)}
    assert set(rows) == {"'=1+1", "'-2", "P3"}
    assert (rows["'-2"]["flags"], rows["'-2"]["warnings"], rows["'-2"]["stops"]) == ("c a b d", "2", "1")
    assert (rows["P3"]["status"], rows["P3"]["flags"], rows["P3"]["stops"]) == ("failed", "field_of_view ct_like_values", "2")


def test_a_table_of_scores_computes_nothing(tmp_path):
    score = CaseScore("=cmd", "cavity", False, {"dice": -0.5})
    score_tables._write_csv(score_tables._case_rows(score_tables.Evaluation([score], [], {"tolerance_mm": 1.0})), tmp_path / "cases.csv")
    with open(tmp_path / "cases.csv", newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["case"] == "'=cmd" and row["dice"] == "-0.5"

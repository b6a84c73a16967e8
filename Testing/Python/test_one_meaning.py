"""What one word means is the same on every way to a result: after an edit, after undo, measured again, in the table, on the terminal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from editing_cases import RIGHT, ball, bench
from same_analysis import assert_same
from scene_cases import GRIDS, RADIUS_MM, analysed, network_of, scan
from scipy import ndimage
from small_scan import lascarseg, small_scan, write_scan

slicer = pytest.importorskip("slicer", reason="edits need slicer-core")

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import ByRule, Change, Mask, analyse, method, revise
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.intensity import rules
from LAScarSegLib.intensity.rules import RULES, Rule
from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.session.edit_session import reopen
from LAScarSegLib.session.live import LiveUpdate
from LAScarSegLib.surface.projection import VoxelsAlongNormals
from LAScarSegLib.systems import SYSTEMS
from LAScarSegLib.volumes.files import read_volume, write_volume

GRID = "oblique"
BULGE = ball(GRID, RIGHT * (RADIUS_MM - 2), 6.0)


def of_network():
    """A network that is surest of itself inside the cavity, where scar can't be, and less in the wall."""
    image, cavity = scan(GRIDS[GRID])
    near = ball(GRID, -RIGHT * RADIUS_MM, 9.0)
    probability = np.where(cavity.array > 0, 0.95, np.where(near, 0.7, 0.2))
    return analyse(image, Settings(perturbation=False), cavity=cavity, scar=network_of(probability, cavity.array))


def in_the_wall(analysis) -> np.ndarray:
    """The largest probability of wall voxels within ±3 mm of each vertex along its normal (ARCHITECTURE, "Contracts")."""
    probe = VoxelsAlongNormals.along(analysis.box_geometry, analysis.surface, 3.0)
    whole = analysis.sources.networks["scar"].probability.whole()[analysis.box.slices]
    values = np.append(np.where(analysis.wall_box, whole, 0).ravel(), 0)[probe.voxels]
    return values.max(axis=1).astype(np.float32)


def test_the_surfaces_probability_is_that_of_the_wall_before_and_after_every_change():
    made = bench(of_network())
    np.testing.assert_array_equal(made.session.analysis.surface.scar_probability, in_the_wall(made.session.analysis))
    assert made.session.analysis.surface.scar_probability.max() < 0.75
    made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
    edited = made.session.update(full=False)
    np.testing.assert_array_equal(edited.surface.scar_probability, in_the_wall(edited))
    made.draw("cavity", made.held("cavity") | BULGE)
    larger = made.session.update(full=False)
    np.testing.assert_array_equal(larger.surface.scar_probability, in_the_wall(larger))
    again = reopen(made.scene, made.nodes.volume)
    np.testing.assert_array_equal(again.analysis.surface.scar_probability, larger.surface.scar_probability)


def test_a_networks_scar_stays_inside_the_wall_when_the_cavity_of_its_folder_is_corrected(tmp_path):
    first = of_network()
    write_volume(first.volume, tmp_path / "scan.nrrd")
    first = first.described({"image": describe_file(tmp_path / "scan.nrrd")})
    write_results(first, tmp_path / "out", figures=False, report=False, scene=False)
    path = tmp_path / "out" / "cavity.nii.gz"
    smaller = ndimage.binary_erosion(read_volume(path).array > 0)
    write_volume(first.cavity.like(smaller.astype(np.uint8)), path)
    again = read_result(tmp_path / "out").analyse(ranges=False)
    unlimited = first.sources.scar.probability.whole() > 0.5
    np.testing.assert_array_equal(again.scar.array > 0, unlimited & (again.wall.array > 0))
    assert "scar_older_than_cavity" in [flag.code for flag in again.flags] and again.method.name == "net@1.0"


class Editor:
    """A brush with Segment Editor's undo (vtkSegmentationHistory), and the panel's update after every stroke."""

    def __init__(self, made) -> None:
        self.made, self.live = made, LiveUpdate(made.session, pause_s=0.0)
        self.history = slicer.vtkSegmentationHistory()
        self.history.SetSegmentation(made.nodes.segmentation.GetSegmentation())

    def stroke(self, what: str, mask: np.ndarray, wait: bool = True) -> None:
        self.history.SaveState()
        self.made.draw(what, mask)
        self.settle() if wait else None

    def undo(self) -> None:
        assert self.history.RestorePreviousState()
        self.settle()

    def redo(self) -> None:
        assert self.history.RestoreNextState()
        self.settle()

    def settle(self) -> None:
        self.live.touch()
        for _ in range(100_000):
            if not self.live.poll().busy:
                return
        raise AssertionError("it never came to rest")

    def close(self) -> None:
        self.live.close()
        self.history.SetSegmentation(None)


@pytest.fixture
def editor():
    editor = Editor(bench())
    yield editor
    editor.close()


ACROSS_SCAR = ball(GRID, -RIGHT * RADIUS_MM, 6.0)
"""On the patient's left, where the wall is enhanced: the stroke goes through cavity, wall and scar."""


def test_undo_and_redo_of_a_cavity_stroke_across_scar_are_the_earlier_results_bit_for_bit(editor):
    session, before = editor.made.session, editor.made.session.analysis
    editor.stroke("cavity", editor.made.held("cavity") | ACROSS_SCAR)
    after = session.analysis
    assert after.masks["scar"] != before.masks["scar"]
    for _ in range(2):
        editor.undo()
        assert_same(session.analysis, before)
        editor.redo()
        assert_same(session.analysis, after)


STROKES = (BULGE, ACROSS_SCAR, ball(GRID, -RIGHT * (RADIUS_MM + 2), 5.0))
"""Each adds to the one before; the last two go through scar."""


def test_three_strokes_are_undone_one_by_one_and_made_again(editor):
    session, cavity = editor.made.session, editor.made.held("cavity")
    results = [session.analysis]
    for stroke in STROKES:
        cavity = cavity | stroke
        editor.stroke("cavity", cavity)
        results.append(session.analysis)
    assert len({result.masks["cavity"].voxels for result in results}) == 4
    for number in (2, 1, 0):
        editor.undo()
        assert_same(session.analysis, results[number])
    for number in (1, 2, 3):
        editor.redo()
        assert_same(session.analysis, results[number])


def test_of_two_strokes_that_were_measured_together_the_last_is_undone(editor):
    """The segments come back with one stroke in the cavity, and wall and scar as before both: nobody drew these."""
    cavity = editor.made.held("cavity")
    editor.stroke("cavity", cavity | BULGE, wait=False)
    editor.stroke("cavity", cavity | BULGE | ACROSS_SCAR)
    editor.undo()
    image, _ = scan(GRIDS[GRID])
    expected = analyse(image, Settings("iir", perturbation=False), cavity=image.like(cavity | BULGE))
    found = editor.made.session.analysis
    assert found.measurements == expected.measurements and found.method == expected.method
    np.testing.assert_array_equal(editor.made.held("scar"), expected.scar.array > 0)
    assert found.provenance["edited"] == ["cavity"]


def test_a_utah_stage_is_roman_for_people_wherever_they_read_it(tmp_path, monkeypatch, capfd):
    image, cavity = scan(GRIDS[GRID])
    analysis = analyse(image, Settings(native=True, perturbation=False), cavity=cavity)
    stage = analysis.measurements["utah_stage"].value
    roman = {1: "I", 2: "II", 3: "III", 4: "IV"}[stage]
    table = mrml.build_scene(mrml.new_scene(), analysis).measurements.GetTable()
    shown = {
        table.GetValueByName(row, "Key").ToString(): table.GetValueByName(row, "Value").ToString() for row in range(table.GetNumberOfRows())
    }
    assert shown["utah_stage"] == roman
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", "--native", "-o", "out")
    assert outcome.code == 0
    (line,) = [line for line in outcome.out.splitlines() if "Utah" in line]
    written = json.loads(Path("out/measurements.json").read_text(encoding="utf-8"))["utah_stage"]["value"]
    assert line.split("│")[2].strip() == {1: "I", 2: "II"}[written]


def test_a_perturbation_that_can_not_be_measured_is_said():
    """A ball of 5 mm holds blood deeper than 4 mm, one of 4 mm doesn't."""
    image, cavity = small_scan()
    centre = np.array(image.array.shape) // 2
    offset = (np.stack(np.indices(image.array.shape), axis=-1) - centre) * image.geometry.spacing_kji
    small = image.like(np.linalg.norm(offset, axis=-1) <= 5.2)
    analysis = analyse(image, Settings(blood_pool_erosion_mm=4.0), cavity=small)
    (flag,) = [flag for flag in analysis.flags if flag.code == "range_incomplete"]
    assert (
        "a cavity smaller by 1 mm" in flag.message
        and "no blood pool" in flag.message
        and "may be too narrow" in flag.message
        and flag.severity == "warning"
    )
    whole = analyse(image, Settings(), cavity=cavity)
    assert "range_incomplete" not in [flag.code for flag in whole.flags]


def shuffled_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every title, suffix and display name says something else, and the wrong thing where it can."""
    titles = [rule.title for rule in RULES.values()]
    for rule, title in zip(list(RULES.values()), titles[1:] + titles[:1]):
        monkeypatch.setitem(RULES, rule.name, replace(rule, title=title, sentence="", parameter=rule.parameter and "edited by hand"))
    monkeypatch.setattr(method, "BY_HAND", "")
    monkeypatch.setattr(method, "MASK", "iir")
    monkeypatch.setattr(method, "GIVEN", "Image intensity ratio, edited by hand")
    for system in SYSTEMS.values():
        monkeypatch.setitem(system.__dict__, "title", "A scar mask that was given")
    for name in NUMBERS:
        monkeypatch.setitem(name.__dict__, "label", "LA volume")


def numbers_of_a_story(tmp_path: Path) -> list[dict]:
    """Every number of a rule's and a network's result that is edited, kept in a scene and a folder, and undone."""
    found = []
    for number, first in enumerate((analysed(), of_network())):
        made = bench(first)
        made.draw("scar", made.held("scar") | (made.held("wall") & BULGE))
        found.append(made.session.update(full=False))
        again = reopen(made.scene, made.nodes.volume)
        again_scar = first.scar.array > 0
        found.append(again.analysis)
        made.draw("scar", again_scar)
        found.append(again.update(full=False))
        made.draw("cavity", made.held("cavity") | BULGE)
        found.append(again.update(full=False))
        write_volume(first.volume, tmp_path / "scan.nrrd")
        named = found[-1].described({"image": describe_file(tmp_path / "scan.nrrd")})
        write_results(named, tmp_path / f"out{number}", figures=False, report=False, scene=False, force=True)
        found.append(read_result(tmp_path / f"out{number}").analyse(ranges=False))
        found.append(revise(found[-1], Change(scar=ByRule("nsd", 2.0)), ranges=False))
    return [{key: quantity.value for key, quantity in analysis.measurements.items()} for analysis in found]


def test_nothing_is_told_from_labels(tmp_path, monkeypatch):
    plain = numbers_of_a_story(tmp_path)
    shuffled_labels(monkeypatch)
    assert numbers_of_a_story(tmp_path) == plain


def test_a_rule_called_mask_and_a_network_called_like_a_rule_are_what_they_are(monkeypatch):
    rule = Rule("mask", "A scar mask that was given, edited by hand", "nobody", rules._iir, parameter="IIR", default=1.2)
    monkeypatch.setitem(RULES, "mask", rule)
    by_rule = revise(analysed(), Change(scar=ByRule("mask")))
    np.testing.assert_array_equal(by_rule.scar_box, analysed().scar_box)
    made = bench(by_rule)
    made.draw("cavity", made.held("cavity") | BULGE)
    assert made.session.update(full=False).method.is_rule and not made.session.analysis.origins["scar"].edited
    image, cavity = scan(GRIDS[GRID])
    network = network_of(np.where(ball(GRID, -RIGHT * RADIUS_MM, 9.0), 0.9, 0.1), cavity.array, name="iir")
    found = revise(analysed(), Change(scar=network))
    made = bench(found)
    made.draw("cavity", made.held("cavity") | BULGE)
    larger = made.session.update(full=False)
    assert larger.sources.scar is network and Mask.of(larger.scar.array) != Mask.of(analysed().scar.array)
    assert reopen(made.scene, made.nodes.volume).analysis.sources.scar.reference == "iir@1.0"

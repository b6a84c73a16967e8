"""Results of the version before sources were described: folders and scenes still open, and go on as they should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from editing_cases import RIGHT, ball, bench
from scene_cases import GRIDS, RADIUS_MM, analysed, network_of, scan
from scipy import ndimage

slicer = pytest.importorskip("slicer", reason="scenes need slicer-core")

from LAScarSegLib.analysis import Analysis, ByRule, Change, Given, Mask, Network, Offset, analyse, revise
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.scene.attributes import MEASUREMENTS, PROVENANCE, SOURCES
from LAScarSegLib.session.edit_session import reopen
from LAScarSegLib.volumes.files import read_volume, write_volume

GRID = "oblique"
SPOT = ball(GRID, RIGHT * (RADIUS_MM + 1), 4.0)
QUICK = Settings(perturbation=False)


def as_landed(provenance: dict, measurements: dict) -> None:
    """Take out what that version did not write."""
    for entry in ("sources", "origins"):
        provenance.pop(entry, None)
    for entry in ("kind", "edited"):
        del measurements["method"][entry]


def landed_folder(analysis: Analysis, folder: Path) -> Path:
    """A result as that version wrote it."""
    write_volume(analysis.volume, folder / "scan.nrrd")
    named = analysis.described(analysis.sources.inputs | {"image": describe_file(folder / "scan.nrrd")})
    out = write_results(named, folder / "out", figures=False, report=False, scene=False)
    contents = [json.loads((out / name).read_text(encoding="utf-8")) for name in ("provenance.json", "measurements.json")]
    as_landed(*contents)
    for name, content in zip(("provenance.json", "measurements.json"), contents):
        (out / name).write_text(json.dumps(content), encoding="utf-8")
    return out


def landed_scene(analysis: Analysis):
    made = bench(analysis)
    table = made.nodes.measurements
    contents = [json.loads(table.GetAttribute(name)) for name in (PROVENANCE, MEASUREMENTS)]
    as_landed(*contents)
    for name, content in zip((PROVENANCE, MEASUREMENTS), contents):
        table.SetAttribute(name, json.dumps(content))
    table.RemoveAttribute(SOURCES)
    return made


def of_network() -> Analysis:
    image, cavity = scan(GRIDS[GRID])
    probability = np.where(ball(GRID, -RIGHT * RADIUS_MM, 9.0), 0.75, 0.125)
    return analyse(image, QUICK, cavity=network_of(np.where(cavity.array, 0.9, 0.0)), scar=network_of(probability, cavity.array))


def of_masks() -> Analysis:
    image, cavity = scan(GRIDS[GRID])
    wall = image.like(ndimage.binary_dilation(cavity.array, iterations=2) & (cavity.array == 0))
    files = {name: {"path": f"{name}.nrrd", "sha256": "0"} for name in ("image", "cavity", "wall", "scar")}
    return analyse(image, QUICK, cavity=cavity, wall=wall, scar=image.like(wall.array & SPOT), files=files)


RESULTS = {"rule": analysed, "network": of_network, "masks": of_masks}
KINDS = {"rule": (Given, Offset, ByRule), "network": (Network, Offset, Network), "masks": (Given, Given, Given)}


@pytest.mark.parametrize("name", RESULTS)
def test_a_folder_opens_with_its_numbers_and_knows_where_its_masks_come_from(name, tmp_path):
    written = RESULTS[name]()
    read = read_result(landed_folder(written, tmp_path)).analyse()
    assert read.measurements == written.measurements and read.method.name == written.method.name
    assert tuple(type(read.sources[mask]) for mask in ("cavity", "wall", "scar")) == KINDS[name]
    assert {flag.code for flag in read.flags} == {flag.code for flag in written.flags} | ({"simulated"} if name == "network" else set())


@pytest.mark.parametrize("name", RESULTS)
def test_a_scene_opens_with_its_numbers_and_can_be_edited(name):
    made = landed_scene(RESULTS[name]())
    session = reopen(made.scene, made.nodes.volume)
    assert session.analysis.measurements == made.session.analysis.measurements
    made.draw("cavity", made.held("cavity") | ball(GRID, RIGHT * (RADIUS_MM - 2), 6.0))
    found = session.update(full=False)
    expected = revise(made.session.analysis, Change(cavity=Mask.of(made.held("cavity"))), ranges=False)
    assert found.measurements == expected.measurements and found.provenance["edited"] == ["cavity"]


def test_scar_that_was_edited_there_is_still_edited_and_a_rule_is_found_again(tmp_path):
    edited = revise(analysed(), Change(scar=Mask.of(analysed().scar.array.astype(bool) | (SPOT & (analysed().wall.array > 0)))))
    read = read_result(landed_folder(edited, tmp_path)).analyse()
    assert read.measurements == edited.measurements and read.method.label == "Image intensity ratio > 1.20, edited by hand"
    back = revise(read, Change(scar=Mask.of(analysed().scar.array)))
    assert not back.origins["scar"].edited and back.measurements == analysed().measurements


def test_what_a_person_changed_in_such_a_folder_counts_as_drawn(tmp_path):
    out = landed_folder(of_network(), tmp_path)
    cavity = read_volume(out / "cavity.nii.gz")
    smaller = ndimage.binary_erosion(cavity.array)
    write_volume(cavity.like(smaller.astype(np.uint8)), out / "cavity.nii.gz")
    read = read_result(out).analyse()
    np.testing.assert_array_equal(read.cavity.array, smaller)
    assert read.provenance["edited"] == ["cavity"] and "scar_older_than_cavity" in {flag.code for flag in read.flags}


@pytest.mark.parametrize("missing", ["cavity.nii.gz", "measurements.json"])
def test_a_file_that_is_missing_is_named(tmp_path, missing):
    out = landed_folder(analysed(), tmp_path)
    (out / missing).unlink()
    with pytest.raises(InputError, match=missing):
        read_result(out)


@pytest.mark.parametrize(
    ("where", "what"),
    [("sources", {"format": 99}), ("sources", {"format": 1}), ("sources", []), ("masks", {"cavity": ""}), ("inputs", None)],
)
def test_a_description_that_can_not_be_is_refused(tmp_path, where, what):
    analysis = analysed()
    write_volume(analysis.volume, tmp_path / "scan.nrrd")
    named = analysis.described({"image": describe_file(tmp_path / "scan.nrrd")})
    out = write_results(named, tmp_path / "out", figures=False, report=False, scene=False)
    content = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    (out / "provenance.json").write_text(json.dumps(content | {where: what}), encoding="utf-8")
    with pytest.raises(InputError, match="damaged or of another version.*Run the analysis again"):
        read_result(out)


def written_with_network(folder: Path) -> tuple[Analysis, Path]:
    """A network's result with an edit on top, as it is written now."""
    analysis = revise(of_network(), Change(scar=Mask.of(of_network().scar.array.astype(bool) | SPOT)))
    write_volume(analysis.volume, folder / "scan.nrrd")
    named = analysis.described({"image": describe_file(folder / "scan.nrrd")})
    return named, write_results(named, folder / "out", figures=False, report=False, scene=False)


def cut(text: str) -> str:
    return text[: len(text) // 8 * 4]


SPOILT = {
    "a mask cut off": lambda c: c["sources"]["scar"]["drawn"].update(bits=cut(c["sources"]["scar"]["drawn"]["bits"])),
    "bits that are none": lambda c: c["sources"]["scar"]["mask"].update(bits="AAAA"),
    "a list for the geometry": lambda c: c.update(geometry=[]),
    "a text for a file": lambda c: c.update(files={"image": "x"}),
    "a model without a name": lambda c: c["sources"]["scar"].update(model={}),
    "a cavity that is gone": lambda c: c["sources"]["cavity"].update(mask=None),
    "a plane of words": lambda c: c.update(planes=[{"name": "MV", "origin": "abc", "normal": [0, 0, 1]}]),
    "a source that there is not": lambda c: c["sources"]["wall"].update(kind="guessed"),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_damage_is_said_and_nothing_is_made_of_it(tmp_path, spoil):
    analysis, out = written_with_network(tmp_path)
    content = json.loads((out / "provenance.json").read_text(encoding="utf-8"))
    spoil(content["sources"])
    (out / "provenance.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError):
        read_result(out).analyse(ranges=False)
    made = bench(analysis)
    described = json.loads(made.nodes.measurements.GetAttribute(SOURCES))
    spoil(described)
    made.nodes.measurements.SetAttribute(SOURCES, json.dumps(described))
    before = {name: made.held(name) for name in ("cavity", "wall", "scar")}
    with pytest.raises(InputError):
        reopen(made.scene, made.nodes.volume)
    assert all(np.array_equal(made.held(name), mask) for name, mask in before.items())


def test_a_probability_that_is_gone_is_said_and_the_scar_is_still_the_networks(tmp_path):
    analysis, out = written_with_network(tmp_path)
    (out / "scar_probability.nii.gz").unlink()
    read = read_result(out).analyse(ranges=False)
    assert "probability_missing" in {flag.code for flag in read.flags} and read.measurements == analysis.measurements
    back = revise(read, Change(scar=Mask.of(of_network().scar.array)))
    assert back.method == of_network().method and not back.origins["scar"].edited


@pytest.mark.parametrize("text", ["", "[]", "{", '{"masks": {}}'])
def test_a_scene_whose_table_is_damaged_still_lets_apply_ask_what_it_replaces(text):
    from LAScarSegLib.session.choices import Choices, question_before_run

    made = bench(analysed())
    made.nodes.measurements.SetAttribute(PROVENANCE, text)
    question = question_before_run(made.scene, Choices(volume_id=made.nodes.volume.GetID()))
    assert question == "" if not text else "(cavity, wall, scar)" in question

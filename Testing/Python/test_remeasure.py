"""Measuring a result again: what was not touched stays, what was corrected counts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from small_scan import lascarseg, numbers, only_data_files, small_scan, write_scan

from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.volumes.files import read_volume, write_volume


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


@pytest.fixture(scope="module")
def whole_result(tmp_path_factory) -> Path:
    """A result made once, to be copied and spoilt."""
    home = tmp_path_factory.mktemp("whole")
    image, cavity = write_scan(home)
    run_request(Request(image=image, cavity=cavity, output=home / "out", figures=False, report=False, scene=False))
    return home / "out"


def run(capfd, *options: object) -> None:
    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "cavity.nrrd", *options, "-o", "out")
    assert outcome.code == 0, outcome


def measure(capfd, *options: object) -> dict:
    outcome = lascarseg(capfd, "measure", "out", *options, "-o", "again", "--force")
    assert outcome.code == 0, outcome
    return numbers(Path("again"))


def refusal(capfd, *arguments: object) -> str:
    outcome = lascarseg(capfd, "measure", *arguments)
    assert outcome.code == 2 and outcome.out == ""
    (line,) = outcome.err.splitlines()
    return line


def edit(name: str, change) -> np.ndarray:
    """Change a mask of the result, as a person with a brush would; returns the new mask."""
    path = Path("out") / f"{name}.nii.gz"
    mask = read_volume(path)
    array = change(mask.array > 0)
    write_volume(mask.like(array.astype(np.uint8)), path)
    return array


def values(result: dict) -> dict:
    return {key: content["value"] for key, content in result.items() if isinstance(content, dict) and "value" in content}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--scar", "nsd", "--threshold", "2.3"),
        ("--scar", "kmeans"),
        ("--native", "--staging", "utah2010"),
        ("--scar", "scar.nrrd"),
        ("--wall", "wall.nrrd"),
        ("--regions", "benito2018"),
    ],
    ids=["default", "nsd 2.3", "kmeans", "staging", "scar mask", "wall mask", "regions"],
)
def test_an_unedited_result_gives_identical_numbers(folder, capfd, options):
    image, cavity = small_scan()
    shell = ndimage.binary_dilation(cavity.array) & (cavity.array == 0)
    write_volume(image.like(shell.astype(np.uint8)), "wall.nrrd")
    write_volume(image.like((shell & (image.array > 250)).astype(np.uint8)), "scar.nrrd")
    run(capfd, *options)
    before, after = numbers(Path("out")), measure(capfd)
    for key in before:
        if key != "quality_flags":
            assert after[key] == before[key], key


def test_the_wall_is_divided_otherwise_on_demand(folder, capfd):
    run(capfd)
    assert numbers(Path("out"))["regions_scheme"] == "walls"
    assert measure(capfd, "--regions", "benito2018")["regions_scheme"] == "benito2018"
    assert "choose one of walls, benito2018" in refusal(capfd, "out", "--regions", "foo")


def test_an_edited_scar_mask_counts_as_it_is(folder, capfd):
    run(capfd)
    wall = read_volume("out/wall.nii.gz").array > 0
    half = edit("scar", lambda scar: scar & (np.arange(49) < 24))
    result = measure(capfd)
    assert result["method"]["name"] == "mask" and result["threshold"]["value"] is None
    assert result["scar_volume_ml"]["value"] == pytest.approx(half.sum() * 1.25 * 1.25 * 2.5 / 1000)
    assert result["scar_pct_of_wall_volume"]["value"] == pytest.approx(100 * half.sum() / wall.sum())


def bands(result: str) -> dict:
    return json.loads((Path(result) / "provenance.json").read_text(encoding="utf-8"))["settings"]["bands"]


def test_the_bands_around_the_veins_are_kept_until_others_are_given(folder, capfd):
    run(capfd, "--band", "12", "--band", "LSPV=20", "--band-inside", "3")
    measure(capfd)
    assert bands("again") == {"outside_mm": 12.0, "inside_mm": 3.0, "own_mm": {"LSPV": 20.0}}
    measure(capfd, "--band", "15")
    assert bands("again") == {"outside_mm": 15.0, "inside_mm": 3.0, "own_mm": {"LSPV": 20.0}}
    assert "'LSPV:12'" in refusal(capfd, "out", "--band", "LSPV:12")


def test_all_scar_erased_is_no_scar(folder, capfd):
    run(capfd)
    edit("scar", np.zeros_like)
    result = measure(capfd)
    assert result["scar_area_pct"]["value"] == 0 and result["scar_volume_ml"]["value"] == 0


def test_an_edited_cavity_gets_its_own_wall_and_scar(folder, capfd):
    run(capfd)
    smaller = edit("cavity", ndimage.binary_erosion)
    result = measure(capfd)
    assert result["method"]["name"] == "iir"
    fresh = lascarseg(capfd, "run", "image.nrrd", "--cavity", "out/cavity.nii.gz", "-o", "fresh")
    assert fresh.code == 0 and values(result) == pytest.approx(values(numbers(Path("fresh"))), nan_ok=True)
    wall = read_volume("again/wall.nii.gz").array > 0
    assert not (wall & smaller).any() and (wall & ndimage.binary_dilation(smaller)).any()


def test_an_edited_wall_is_kept(folder, capfd):
    run(capfd)
    wall = edit("wall", lambda wall: wall & (np.arange(25) > 8)[:, None, None])
    assert measure(capfd)["wall_volume_ml"]["value"] == pytest.approx(wall.sum() * 1.25 * 1.25 * 2.5 / 1000)
    np.testing.assert_array_equal(read_volume("again/wall.nii.gz").array > 0, wall)


def test_a_threshold_alone_is_for_the_results_own_rule(folder, capfd):
    run(capfd, "--scar", "nsd")
    result = measure(capfd, "--threshold", "kcl-2.3")
    assert (result["method"]["name"], result["threshold"]["value"]) == ("nsd", 2.3)


def test_a_threshold_does_not_silently_replace_an_edited_scar(folder, capfd):
    run(capfd)
    edit("scar", lambda scar: scar & (np.arange(49) < 24))
    assert "or the rule with --scar" in refusal(capfd, "out", "--threshold", "1.3")
    assert measure(capfd, "--scar", "iir", "--threshold", "1.3")["threshold"]["value"] == 1.3


def test_other_choices_replace_those_of_the_result(folder, capfd):
    run(capfd)
    result = measure(capfd, "--scar", "nsd", "--threshold", "4", "--native")
    assert result["method"]["name"] == "nsd" and result["utah_stage"]["value"] is not None


def test_a_result_measured_again_can_be_measured_again(folder, capfd):
    run(capfd)
    edit("scar", lambda scar: scar & (np.arange(49) < 24))
    first = measure(capfd)
    shutil.rmtree("out")
    shutil.move("again", "out")
    assert values(measure(capfd)) == values(first)


def provenance_of(result: str) -> dict:
    return json.loads((Path(result) / "provenance.json").read_text(encoding="utf-8"))


def test_where_the_cavity_came_from_is_kept_and_that_it_was_edited(folder, capfd):
    run(capfd)
    made = provenance_of("out")
    # A result of the landed version says which model it was, and has no description of its sources.
    del made["sources"]
    model = {"name": "la-net", "version": "2.1", "simulated": True, "intended_use": "Tests only."}
    Path("out/provenance.json").write_text(json.dumps(made | {"models": {"cavity": model, "scar": model}}), encoding="utf-8")
    measure(capfd)
    kept = provenance_of("again")
    assert kept["models"] == {"cavity": model} and kept["inputs"] == {"image": made["inputs"]["image"]} and kept["edited"] == []
    edit("cavity", lambda cavity: ndimage.binary_erosion(cavity))
    for _ in range(2):
        # The second time nothing was edited since, but a hand is still in it.
        measure(capfd)
        assert provenance_of("again")["models"] == {"cavity": model} and provenance_of("again")["edited"] == ["cavity"]
        shutil.rmtree("out")
        shutil.move("again", "out")


def test_a_result_may_replace_itself(folder, capfd):
    run(capfd)
    half = edit("scar", lambda scar: scar & (np.arange(49) < 24))
    assert "--force" in refusal(capfd, "out", "-o", "out")
    assert lascarseg(capfd, "measure", "out", "-o", "out", "--force").code == 0
    np.testing.assert_array_equal(read_volume("out/scar.nii.gz").array > 0, half)


def test_without_output_nothing_is_written(folder, capfd):
    run(capfd)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    outcome = lascarseg(capfd, "measure", "out", "--threshold", "1.3")
    assert outcome.code == 0 and "Scar, share of the LA surface" in outcome.out
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_a_scan_that_moved_is_asked_for(folder, capfd):
    run(capfd)
    before = values(numbers(Path("out")))
    Path("image.nrrd").rename("moved.nrrd")
    assert "image.nrrd is not where the result looks for it" in refusal(capfd, "out")
    assert values(measure(capfd, "--image", "moved.nrrd")) == before
    assert provenance_of("again")["inputs"]["image"]["path"] == "moved.nrrd"


def test_another_scan_is_noticed(folder, capfd):
    run(capfd)
    write_volume(small_scan()[0].like(small_scan()[0].array + 1), "image.nrrd")
    assert "not the scan this result was made from" in refusal(capfd, "out")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda: shutil.rmtree("out"), "out is not a result"),
        (lambda: Path("out/provenance.json").unlink(), "out is not a result of LAScarSeg"),
        (lambda: Path("out/provenance.json").write_text("{"), "damaged"),
        (lambda: Path("out/provenance.json").write_text("{}"), "damaged"),
        (lambda: Path("out/provenance.json").write_text("[]"), "damaged"),
        (lambda: Path("out/measurements.json").unlink(), "damaged"),
        (lambda: Path("out/scar.nii.gz").unlink(), "lacks scar.nii.gz"),
        (lambda: Path("out/wall.nii.gz").write_bytes(b"x"), "wall.nii.gz is not"),
    ],
)
def test_what_is_no_whole_result_is_refused(folder, whole_result, capfd, spoil, says):
    shutil.copytree(whole_result, "out")
    spoil()
    assert says in refusal(capfd, "out")


def test_no_result_at_all(folder, capfd):
    assert "is not a result" in refusal(capfd, "image.nrrd")
    assert "is not a result" in refusal(capfd, "nowhere")

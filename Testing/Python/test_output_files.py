"""Every file of a result: what is in it, that it reads back, and what happens when it can't be written."""

from __future__ import annotations

import csv
import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_analysis import sample_analysis
from scene_cases import network_of

from LAScarSegLib.errors import Cancelled, InputError, ProcessingError
from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.output import writing
from LAScarSegLib.output.csv_tables import write_json
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.volumes.files import COMPUTED, header_flags, read_volume

ROOT = Path(__file__).resolve().parents[2]

DATA_FILES = {
    "cavity.nii.gz", "wall.nii.gz", "scar.nii.gz", "sdm_cavity.nii.gz", "sdm_wall.nii.gz", "surface.vtp",
    "measurements.json", "measurements.csv", "threshold_curve.csv", "provenance.json",
}  # fmt: skip
MEASUREMENT_KEYS = {
    "scar_area_pct", "scar_area_pct_wall", "scar_area_cm2", "scar_volume_ml", "scar_pct_of_wall_volume", "la_volume_ml",
    "la_surface_area_cm2", "wall_volume_ml", "utah_stage", "blood_pool_mean", "blood_pool_sd", "threshold", "threshold_intensity",
    "scar_area_cm2_wall", "scar_volume_ml_wall", "scar_pct_of_wall_volume_wall", "wall_volume_ml_wall", "la_wall_area_cm2",
    "utah_stage_wall", "unmeasured_area_pct", "dense_scar_area_pct", "dense_scar_area_pct_wall", "dense_scar_area_cm2",
    "dense_scar_area_cm2_wall", "dense_scar_volume_ml", "threshold_dense", "scar_area_pct_measured", "dense_scar_area_pct_measured",
}  # fmt: skip
BESIDE = {
    "doubt", "withheld", "headline", "headline_range", "planes_source", "protocol", "other_protocols", "regions", "regions_scheme", "regions_remarks",
    "gaps", "unsure_planes",
}  # fmt: skip
"""From ARCHITECTURE, "measurements.json", and what is beside it."""


@pytest.fixture(scope="module")
def analysis():
    return sample_analysis()


@pytest.fixture(scope="module")
def result(analysis, tmp_path_factory) -> Path:
    """A result without pictures, in a folder with a space and letters beyond ASCII."""
    return write_results(analysis, tmp_path_factory.mktemp("résultats d’été") / "Größe 1", figures=False, report=False, scene=False)


def rows(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_data_files_are_there(result):
    assert {path.name for path in result.iterdir()} == DATA_FILES


def test_masks_read_back_on_the_inputs_grid(result, analysis):
    for name in ("cavity", "wall", "scar"):
        volume = read_volume(result / f"{name}.nii.gz")
        assert volume.geometry.same_grid(analysis.geometry)
        np.testing.assert_array_equal(volume.array, getattr(analysis, name).array)


def test_distance_maps_are_positive_inside_and_clipped(result):
    sdm, cavity = (read_volume(result / f"{name}.nii.gz").array for name in ("sdm_cavity", "cavity"))
    assert sdm.dtype == np.float32
    assert ((sdm > 0) == (cavity > 0)).all()
    assert np.abs(sdm).max() == 12.0


def test_a_map_says_that_it_is_no_scan_and_a_mask_does_not(result):
    names = ("sdm_cavity", "sdm_wall", "cavity", "wall", "scar")
    assert [header_flags(result / f"{name}.nii.gz") for name in names] == [(COMPUTED,), (COMPUTED,), (), (), ()]


@pytest.mark.parametrize("what", ["cavity", "scar"])
def test_a_networks_probability_comes_with_its_entropy(analysis, tmp_path, what):
    """In bits: 1 where the network can't decide, H(¼) = 2 − ¾ log2 3 = 0.8113, 0 where it is sure; around the box it is not asked."""
    probability = np.zeros(analysis.geometry.shape, dtype=np.float32)
    inside = analysis.box.slices
    probability[inside][0, 0, :4] = (0.5, 0.25, 0.75, 1.0)
    network = network_of(probability, analysis.cavity.array if what == "scar" else None)
    found = replace(analysis, sources=replace(analysis.sources, **{what: network}))
    write_results(found, tmp_path / "out", figures=False, report=False, scene=False)
    written, entropy = (read_volume(tmp_path / "out" / f"{what}_{name}.nii.gz") for name in ("probability", "entropy"))
    assert entropy.geometry.same_grid(analysis.geometry) and entropy.array.dtype == np.float32
    np.testing.assert_array_equal(written.array, probability)
    np.testing.assert_allclose(entropy.array[analysis.box.slices][0, 0, :4], [1.0, 0.8113, 0.8113, 0.0], atol=1e-4)
    assert np.count_nonzero(entropy.array) == 3
    listed = json.loads((tmp_path / "out" / "provenance.json").read_text(encoding="utf-8"))["files"]
    assert set(listed) == DATA_FILES | {f"{what}_probability.nii.gz", f"{what}_entropy.nii.gz"}


def test_measurements_json_keeps_its_contract(result):
    content = json.loads((result / "measurements.json").read_text(encoding="utf-8"))
    assert set(content) == MEASUREMENT_KEYS | {"method", "quality_flags", *BESIDE}
    for key in MEASUREMENT_KEYS:
        assert set(content[key]) == {"value", "unit", "low", "high"}
    assert content["scar_area_pct_wall"]["value"] is None
    # Archimedes: beyond the plane x = 8 mm a sphere of 20 mm has (20 − 8) / 40 = 30 % of its area.
    assert content["scar_area_pct"]["value"] == pytest.approx(30.0, abs=1.5)


def test_measurements_csv_says_the_same_as_json(result):
    content = json.loads((result / "measurements.json").read_text(encoding="utf-8"))
    header, *lines = rows(result / "measurements.csv")
    assert header == ["key", "label", "value", "unit", "low", "high"]
    about, lines = lines[: -len(NUMBERS)], lines[-len(NUMBERS) :]
    assert [line[0] for line in about] == ["case", "image", "protocol", "method", "cavity", "doubt", "headline", "simulated"]
    assert ("simulated", "no") in [(line[0], line[2]) for line in about]
    assert [line[0] for line in lines] == [name.key for name in NUMBERS]
    for key, _, value, unit, low, high in lines:
        assert (value == "") == (content[key]["value"] is None)
        assert value == "" or float(value) == content[key]["value"]
        assert unit == ("IIR" if key.startswith("threshold") and key != "threshold_intensity" else content[key]["unit"])
        assert low == "" or float(low) == content[key]["low"]
        assert high == "" or float(high) == content[key]["high"]


def test_threshold_curve_csv_reads_back(result, analysis):
    header, *lines = rows(result / "threshold_curve.csv")
    columns = analysis.curve.columns()
    assert header == list(columns)
    for number, (name, values) in enumerate(columns.items()):
        read = np.array([float(line[number]) if line[number] else np.nan for line in lines])
        np.testing.assert_allclose(read, values, rtol=1e-5, err_msg=name)


def test_json_has_no_nan_and_is_indented_by_two(tmp_path):
    write_json({"a": float("nan"), "b": [np.float32(0.5), np.int64(3), float("inf")], "c": (Path("ü"), True)}, tmp_path / "x.json")
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {"a": None, "b": [0.5, 3, None], "c": ["ü", True]}
    assert '\n  "a"' in text and "ü" in text


def test_provenance_lists_every_file(result):
    provenance = json.loads((result / "provenance.json").read_text(encoding="utf-8"))
    assert set(provenance["files"]) == DATA_FILES
    assert provenance["notes"] == []
    assert provenance["inputs"]["image"]["path"] == "scan.nrrd"


def test_what_is_no_result_is_refused_with_a_reason(tmp_path):
    with pytest.raises(InputError, match="not a result"):
        read_result(tmp_path)
    (tmp_path / "provenance.json").write_text("{")
    with pytest.raises(InputError, match="damaged"):
        read_result(tmp_path)


def test_progress_names_every_file_and_ends_at_one(analysis, tmp_path):
    events = []
    write_results(analysis, tmp_path / "out", figures=False, report=False, scene=False, progress=Progress(events.append))
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {event.stage for event in events} == {"output"}
    assert all(any(name in event.message for event in events) for name in DATA_FILES)


def test_cancelling_leaves_nothing(analysis, tmp_path):
    answers = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        write_results(analysis, tmp_path / "out", figures=False, report=False, scene=False, progress=Progress(None, lambda: next(answers)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), RuntimeError("sitk::ERROR: write failed")])
def test_a_file_that_cannot_be_written_is_named_and_nothing_is_left(analysis, tmp_path, monkeypatch, error):
    def fail(volume, path):
        path.write_text("half")
        raise error

    monkeypatch.setattr(writing, "write_volume", fail)
    with pytest.raises(ProcessingError, match=r"cavity\.nii\.gz could not be written .*MB left"):
        write_results(analysis, tmp_path / "out", figures=False, report=False, scene=False)
    assert list(tmp_path.iterdir()) == []


def test_a_volume_that_lost_its_end_is_noticed(analysis, tmp_path, monkeypatch):
    whole = writing.write_volume

    def lose_the_end(volume, path):
        whole(type(volume)(volume.array[:2], type(volume.geometry)((*volume.geometry.size[:2], 2))), path)

    monkeypatch.setattr(writing, "write_volume", lose_the_end)
    with pytest.raises(ProcessingError, match="cavity.nii.gz.*incomplete"):
        write_results(analysis, tmp_path / "out", figures=False, report=False, scene=False)


def test_a_scene_that_cannot_be_made_is_named_and_the_rest_is_kept(analysis, tmp_path, monkeypatch):
    import LAScarSegLib.scene

    def missing(analysis, path):
        raise ProcessingError("slicer-core is not installed. pip install lascarseg[scene]")

    monkeypatch.setattr(LAScarSegLib.scene, "write_mrb", missing)
    folder = write_results(analysis, tmp_path / "out", figures=False, report=True, scene=True)
    notes = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))["notes"]
    assert [note["code"] for note in notes] == ["scene_missing"]
    assert "lascarseg[scene]" in notes[0]["message"]
    assert "lascarseg[scene]" in (folder / "report.html").read_text(encoding="utf-8")


def test_without_opengl_the_other_figures_are_still_drawn(analysis, tmp_path, monkeypatch):
    from LAScarSegLib.output import rendering

    monkeypatch.setattr(rendering, "check_rendering", lambda: "no libEGL, package libegl1")
    folder = write_results(analysis, tmp_path / "out", report=False, scene=False)
    assert {path.name for path in (folder / "figures").iterdir()} == {"montage.png", "threshold_curve.png", "histogram.png"}
    assert "libegl1" in json.loads((folder / "provenance.json").read_text())["notes"][0]["message"]


@pytest.mark.parametrize("package, asked", [("matplotlib", "figures"), ("jinja2", "report")])
def test_a_missing_package_is_named_before_anything_is_written(analysis, tmp_path, monkeypatch, package, asked):
    monkeypatch.setitem(sys.modules, package, None)
    options = {"figures": False, "report": False, "scene": False, asked: True}
    with pytest.raises(ProcessingError, match=f"pip install {package}"):
        write_results(analysis, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []


def test_data_files_need_neither_matplotlib_nor_jinja2():
    program = "import sys, LAScarSegLib.output.writing; sys.exit(bool({'matplotlib', 'jinja2', 'trame_slicer'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0

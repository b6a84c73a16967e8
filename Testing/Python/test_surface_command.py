"""`lascarseg surface`: a mesh from elsewhere becomes a result, with the numbers that need no scan and no others."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from mesh_cases import BOX_AREA_CM2, BOX_VOLUME_ML, SIDE_MM, STEP_MM, box, patch, poly, write
from small_scan import flag_codes, lascarseg, numbers

from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.surface.mesh_files import read_surface_file

POINTS, TRIANGLES = box()
PATCH, DENSE = patch(POINTS), patch(POINTS, 1)
PATCH_CM2 = PATCH.sum() * STEP_MM**2 / 100
GREY = np.where(DENSE, 140.0, np.where(PATCH, 110.0, np.linspace(20.0, 90.0, len(POINTS))))


@pytest.fixture
def mesh(tmp_path):
    return write(tmp_path / "la.vtp", poly(POINTS, TRIANGLES, {"scalars": GREY, "scar": PATCH, "ratio": GREY / 100}))


def value(result, key):
    return numbers(result)[key]["value"]


def test_the_numbers_are_those_of_the_mesh(capfd, mesh, tmp_path):
    out = tmp_path / "out"
    said = lascarseg(capfd, "surface", mesh, "--scar", "scalars>100", "--dense-threshold", 130, "-o", out)

    assert said.code == 0 and "Scar on 1.5 % of the LA surface, 5.8 cm²" in said.out
    assert value(out, "scar_area_cm2") == pytest.approx(PATCH_CM2)
    assert value(out, "scar_area_pct") == pytest.approx(100 * PATCH_CM2 / BOX_AREA_CM2)
    assert value(out, "dense_scar_area_cm2") == pytest.approx(STEP_MM**2 / 100)
    assert value(out, "la_volume_ml") == pytest.approx(BOX_VOLUME_ML)
    assert value(out, "la_surface_area_cm2") == pytest.approx(BOX_AREA_CM2)
    assert value(out, "threshold") == value(out, "threshold_intensity") == 100 and numbers(out)["headline"] == "scar_area_pct"
    assert flag_codes(out) == {"no_planes", "la_volume_unusual"}


def test_what_needs_the_scan_is_absent_and_not_zero(capfd, mesh, tmp_path):
    out = tmp_path / "out"
    lascarseg(capfd, "surface", mesh, "--scar", "scar", "-o", out)
    with open(out / "measurements.csv", newline="", encoding="utf-8") as file:
        keys = {row["key"] for row in csv.DictReader(file)}

    for number in NUMBERS:
        assert (number.key in numbers(out)) == (number.key in keys) == (not number.needs_scan), number.key
    for key in ("scar_volume_ml", "wall_volume_ml", "blood_pool_mean", "utah_stage", "scar_pct_of_wall_volume"):
        assert key not in numbers(out)


def test_planes_give_the_wall_numbers(capfd, mesh, tmp_path):
    plane = {"name": "MV", "origin": [0, 0, -35], "normal": [0, 0, 1]}
    planes = tmp_path / "planes.json"
    planes.write_text(json.dumps({"coordinateSystem": "LPS", "planes": [plane]}), encoding="utf-8")
    out = tmp_path / "out"
    lascarseg(capfd, "surface", mesh, "--scar", "scar", "--planes", planes, "-o", out)
    floor_points = POINTS[:, 2] < -SIDE_MM / 2 + 1
    wall_cm2 = read_surface_file(mesh).surface.vertex_area_mm2[~floor_points].sum() / 100

    assert numbers(out)["planes_source"] == "given" and numbers(out)["headline"] == "scar_area_pct_wall"
    assert value(out, "la_wall_area_cm2") == pytest.approx(wall_cm2)
    assert value(out, "scar_area_pct_wall") == pytest.approx(100 * PATCH_CM2 / wall_cm2)


def arrays(result) -> dict:
    return read_surface_file(result / "surface.vtp").point_arrays


@pytest.mark.parametrize(("options", "expected"), [
    (("--scar", "scalars>100"), GREY), (("--scar", "scar"), None), (("--scar", "ratio>1"), None), (("--scar", "scar", "--lge", "scalars"), GREY),
    (("--scar", "scalars<30"), None),
])  # fmt: skip
def test_grey_levels_alone_are_written_as_lge(capfd, mesh, tmp_path, options, expected):
    lascarseg(capfd, "surface", mesh, *options, "-o", tmp_path / "out")
    found = arrays(tmp_path / "out")

    assert {"Scar", "ScarClass", "Region"} <= set(found)
    if expected is None:
        assert "LGE" not in found
    else:
        assert found["LGE"] == pytest.approx(expected, rel=1e-6)


def test_missing_values_are_not_measured_and_not_healthy(capfd, tmp_path):
    gone = POINTS[:, 2] > SIDE_MM / 2 - 0.1
    mesh = write(tmp_path / "la.vtp", poly(POINTS, TRIANGLES, {"scalars": np.where(gone, np.nan, GREY)}))
    out = tmp_path / "out"
    lascarseg(capfd, "surface", mesh, "--scar", "scalars>100", "-o", out)

    assert (arrays(out)["ScarClass"] == 255).sum() == gone.sum() and "mesh_values_missing" in flag_codes(out)
    assert value(out, "unmeasured_area_pct") > 100 / 6


def test_an_open_mesh_has_no_volume(capfd, tmp_path):
    points, triangles = box(without_lid=True)
    mesh = write(tmp_path / "la.vtp", poly(points, triangles, {"scar": patch(points)}))
    lascarseg(capfd, "surface", mesh, "--scar", "scar", "-o", tmp_path / "out")

    assert value(tmp_path / "out", "la_volume_ml") is None and value(tmp_path / "out", "la_surface_area_cm2") == pytest.approx(320.0)


def test_without_an_array_the_shape_alone_is_measured(capfd, tmp_path):
    mesh = write(tmp_path / "la.stl", poly(POINTS, TRIANGLES))
    said = lascarseg(capfd, "surface", mesh, "-o", tmp_path / "out")

    assert said.code == 0 and numbers(tmp_path / "out")["headline"] is None
    assert value(tmp_path / "out", "scar_area_pct") is None and value(tmp_path / "out", "la_volume_ml") == pytest.approx(BOX_VOLUME_ML, rel=1e-6)


@pytest.mark.parametrize(("options", "said"), [
    (("--scar", "lesions"), "no array lesions"),
    (("--scar", "scalars"), "say which are scar"),
    (("--scar", "scar", "--dense-threshold", "1"), "needs scar by a threshold"),
    (("--scar", "scalars>100", "--dense-threshold", "90"), "must be a part of scar"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(capfd, mesh, tmp_path, options, said):
    outcome = lascarseg(capfd, "surface", mesh, *options, "-o", tmp_path / "out")

    assert outcome.code == 2 and said in outcome.err and not (tmp_path / "out").exists()


def test_no_folder_above_the_result_is_named(capfd, mesh, tmp_path):
    lascarseg(capfd, "surface", mesh, "--scar", "scar", "-o", tmp_path / "out")

    for file in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_measuring_it_again_says_how(capfd, mesh, tmp_path):
    lascarseg(capfd, "surface", mesh, "--scar", "scar", "-o", tmp_path / "out")
    outcome = lascarseg(capfd, "measure", tmp_path / "out")

    assert outcome.code == 2 and "lascarseg surface" in outcome.err

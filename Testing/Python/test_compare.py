"""Two results compared: what is scar before and after, by one method and another, and what is refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_scan import lascarseg, small_scan
from surface_pairs import atrium, by_a_threshold, known_motion, moved, with_scar

from LAScarSegLib.analysis import ByRule, analyse
from LAScarSegLib.analysis.comparison import IN_BOTH, NOT_COMPARED, ONLY_A, ONLY_B, compare_surfaces, side_by_side
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.analysis.surface_alone import analyse_surface
from LAScarSegLib.errors import InputError
from LAScarSegLib.jobs import compare as compare_job
from LAScarSegLib.output import comparison_writing
from LAScarSegLib.output.result_surface import ResultSurface
from LAScarSegLib.output.surface_writing import write_surface_result
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.support.progress import Progress
from LAScarSegLib.surface.mesh_files import MeshScar, ScarCondition, SurfaceFile
from LAScarSegLib.surface.vtk_meshes import read_vtk_mesh, read_vtp

OLD, NEW, GONE = (0.0, 20.0, 0.0), (0.0, -32.0, 0.0), (10.0, 0.0, 30.0)
BEFORE, AFTER = with_scar(atrium(), OLD, GONE), with_scar(atrium(), OLD, NEW)


def area_cm2(surface, mask) -> float:
    return float(surface.vertex_area_mm2[mask].sum() / 100)


@pytest.fixture(scope="module")
def one_space():
    return compare_surfaces(BEFORE, AFTER, same_scan=True)


def test_scar_is_in_both_in_one_or_in_none(one_space):
    expected = {"both": BEFORE.scar & AFTER.scar, "only_b": AFTER.scar & ~BEFORE.scar, "only_a": BEFORE.scar & ~AFTER.scar}

    for name, code in (("both", IN_BOTH), ("only_b", ONLY_B), ("only_a", ONLY_A)):
        assert expected[name].any() and ((one_space.change == code) == expected[name]).all()
        assert one_space.numbers[f"{name}_cm2"] == pytest.approx(area_cm2(BEFORE, expected[name]))
    both, old, new = (area_cm2(BEFORE, mask) for mask in (expected["both"], BEFORE.scar, AFTER.scar))
    assert one_space.numbers["dice"] == pytest.approx(2 * both / (old + new))
    assert one_space.numbers["kept_pct"] == pytest.approx(100 * both / old)


def test_the_shares_of_the_common_wall_are_whole(one_space):
    assert sum(one_space.numbers[f"{part}_pct"] for part in ("both", "only_a", "only_b", "none")) == pytest.approx(100)
    assert one_space.numbers["common_wall_cm2"] == pytest.approx(BEFORE.area_mm2 / 100)


def test_a_known_motion_and_other_triangles_change_the_overlap_by_less_than_two_points(one_space):
    turn, shift = known_motion()
    found = compare_surfaces(BEFORE, moved(with_scar(atrium(2500, turn=1.0), OLD, NEW), turn, shift))

    assert 100 * abs(found.numbers["dice"] - one_space.numbers["dice"]) < 2.0
    for key in ("kept_pct", "both_pct", "only_a_pct", "only_b_pct"):
        assert abs(found.numbers[key] - one_space.numbers[key]) < 2.0


@pytest.mark.parametrize("array", ["lge", "scar_probability"])
def test_values_that_tell_scar_carry_its_border_between_the_vertices(array):
    """Of a mesh with a seventh of the points: by what is marked at these alone the border runs otherwise."""
    fine, coarse = with_scar(atrium(7000), OLD, GONE), by_a_threshold(atrium(1000), OLD, GONE)
    marked = coarse.with_arrays(lge=None)
    by_marks, by_values = (
        compare_surfaces(fine, surface, same_scan=True).numbers["dice"] for surface in (marked, marked.with_arrays(**{array: coarse.lge}))
    )

    assert 1 - by_values < 0.5 * (1 - by_marks)


def test_grey_levels_that_do_not_tell_scar_move_no_border():
    """Brightness that was projected while voxels said what is scar: here it grows from the patient's right to the left."""
    coarse = with_scar(atrium(1000), OLD, GONE)
    shown = coarse.with_arrays(lge=coarse.points[:, 0], scar_probability=np.full(len(coarse.points), 0.4))
    changes = [compare_surfaces(BEFORE, surface, same_scan=True).change for surface in (coarse, shown)]

    np.testing.assert_array_equal(*changes)


def test_a_vertex_without_a_value_leaves_its_neighbours_to_what_is_marked():
    told = by_a_threshold(atrium(1000), OLD, GONE)
    unknown = np.abs(told.lge) < 2.0
    holes = told.with_arrays(lge=np.where(unknown, np.nan, told.lge), scar_class=np.where(unknown, 255, told.scar_class).astype(np.uint8))
    found = compare_surfaces(BEFORE, holes, same_scan=True)

    assert (found.change[BEFORE.points @ (0, 1, 0) < -20] == 0).all() and found.numbers["dice"] > 0.97


def test_what_one_of_them_leaves_out_is_not_compared():
    region, unmeasured = np.where(AFTER.points[:, 0] > 40, 11, 1), BEFORE.points[:, 2] < -25
    a = BEFORE.with_arrays(scar_class=np.where(unmeasured, 255, BEFORE.scar_class).astype(np.uint8))
    found = compare_surfaces(a, AFTER.with_arrays(region=region.astype(np.uint8)), same_scan=True)

    assert ((found.change == NOT_COMPARED) == (unmeasured | (region == 11))).all()
    assert found.numbers["common_wall_cm2"] == pytest.approx(area_cm2(BEFORE, ~unmeasured & (region == 1)))


@pytest.mark.parametrize("unmeasured_in", ["A", "B"])
def test_little_wall_in_common_is_said_whosever_the_rest_is(unmeasured_in):
    half = AFTER.points[:, 2] < 5
    part = AFTER.with_arrays(scar_class=np.where(half, 255, AFTER.scar_class).astype(np.uint8))
    pair = (part, AFTER) if unmeasured_in == "A" else (AFTER, part)
    (flag,) = compare_surfaces(*pair, same_scan=True).flags
    left = 100 * area_cm2(AFTER, ~half) / area_cm2(AFTER, half | ~half)

    whole = "B" if unmeasured_in == "A" else "A"
    assert flag.code == "common_wall_small" and f"Only {left:.0f} % of {whole}'s measured wall" in flag.message


def test_a_vein_without_a_partner_is_not_compared():
    short = with_scar(atrium(vein_mm=2.0), OLD)
    found = compare_surfaces(BEFORE, short, same_scan=True)
    tip = BEFORE.points[np.argmax(np.linalg.norm(BEFORE.points, axis=1))]

    assert (found.change[np.linalg.norm(BEFORE.points - tip, axis=1) < 3] == NOT_COMPARED).all()


def test_within_the_tolerance_a_moved_border_is_no_change():
    wider = with_scar(atrium(), OLD, GONE, reach_mm=16.0)
    strict, tolerant = (compare_surfaces(BEFORE, wider, same_scan=True, tolerance_mm=mm).numbers for mm in (0.0, 4.0))

    assert strict["dice"] < 0.95 and strict["dice_within_tolerance"] == pytest.approx(strict["dice"])
    assert tolerant["dice"] == strict["dice"] and tolerant["dice_within_tolerance"] == pytest.approx(1.0)


def test_unlike_surfaces_are_refused_with_residual_and_limit():
    stranger = with_scar(atrium(size=(30.0, 34.0, 22.0), vein_mm=30.0), OLD)

    with pytest.raises(InputError, match=r"remain, .* \d\.\d mm apart .* at most 1\.\d* mm apart.*--force-different"):
        compare_surfaces(BEFORE, stranger)
    assert "surfaces_differ" in {flag.code for flag in compare_surfaces(BEFORE, stranger, force=True).flags}


def test_two_cavities_of_one_scan_that_differ_are_compared_with_a_warning():
    larger = replace(AFTER, points=AFTER.points + 3.0 * AFTER.normals)
    (flag,) = compare_surfaces(BEFORE, larger, same_scan=True).flags

    assert flag.code == "surfaces_differ" and "patient" not in flag.message
    assert re.search(r"two cavities differ.* [23]\.\d mm apart", flag.message)


def test_numbers_stand_side_by_side_with_their_ranges():
    def share(value, low, high):
        return {"scar_area_pct": {"value": value, "unit": "%", "low": low, "high": high}, "la_volume_ml": {"value": None}}

    (row,) = side_by_side(share(10.0, 8.0, 13.0), share(16.0, 14.0, 19.0))
    assert row["difference"] == 6.0 and row["ranges_overlap"] is False
    assert side_by_side(share(10.0, 8.0, 13.0), share(16.0, 12.0, 19.0))[0]["ranges_overlap"] is True
    assert side_by_side(share(10.0, None, None), share(16.0, 12.0, 19.0))[0]["ranges_overlap"] is None


def result(surface, folder: Path, label: str = "") -> Path:
    """A folder as `lascarseg surface` writes it."""
    file = SurfaceFile(surface, {}, {}, True, ())
    scar = MeshScar(ScarCondition("scar"), surface.scar, surface.scar.astype(float))
    return write_surface_result(analyse_surface(file, scar, label=label), folder)


def side(simulated: bool | None = None, surface=BEFORE, planes_source: str = "given", wall: str | None = None, **settings) -> ResultSurface:
    """A result as it is read, with so much in its provenance."""
    provenance = {"settings": {"wall_outside_mm": 2.5, "native": False} | settings, "simulated": simulated}
    provenance |= {} if wall is None else {"origins": {"wall": {"kind": wall, "edited": False}}}
    return ResultSurface("a", surface, {"planes_source": planes_source, "method": {"label": "IIR > 1.20"}}, provenance)


@pytest.fixture
def comparing(monkeypatch, tmp_path, one_space):
    """Compares results that were read already: `comparing(a, b)`. Their surfaces are not; registrations take seconds."""
    monkeypatch.setattr(comparison_writing.rendering, "check_rendering", lambda: "left out here")
    monkeypatch.setattr(compare_job, "compare_surfaces", lambda _a, _b, **_how: one_space)

    def compare(a: ResultSurface, b: ResultSurface):
        sides = iter((a, b))
        monkeypatch.setattr(compare_job, "read_result_surface", lambda _folder: next(sides))
        return compare_job.compare_results(compare_job.CompareRequest(Path("a"), Path("b"), tmp_path / "out", force=True), Progress())

    return compare


@pytest.mark.parametrize(("other", "said"), [
    ({"planes_source": "found"}, "planes (A given, B found)"),
    ({"wall": "offset", "wall_outside_mm": 3.0}, "wall (A 2.5 mm outside the cavity, B 3.0 mm outside the cavity)"),
    ({"wall": "given"}, "wall (A 2.5 mm outside the cavity, B given)"),
    ({"surface": with_scar(atrium(1500), OLD)}, "mean edge of the mesh"),
])  # fmt: skip
def test_ways_of_measuring_that_differ_are_named(comparing, other, said):
    (flag,) = comparing(side(wall="offset"), side(**{"wall": "offset"} | other)).flags
    assert flag.code == "methods_differ" and said in flag.message and flag.severity == "warning" and flag.message.count("(A ") == 1


def test_before_ablation_and_after_it_is_a_note(comparing):
    (flag,) = comparing(side(native=True), side()).flags
    assert "declared as (A native, B not native)" in flag.message and flag.severity == "note"


def test_one_way_of_measuring_is_no_remark(comparing):
    assert comparing(side(wall="offset"), side(wall="offset")).flags == ()


@pytest.mark.parametrize(("a", "b", "known", "shown"), [
    (False, False, False, None), (True, None, True, "This is a phantom"),
    (None, False, None, "Whether A shows a patient or a phantom is not known"), (None, None, None, "Whether A and B show"),
])  # fmt: skip
def test_a_patient_is_claimed_only_where_both_are_known_to_be(comparing, tmp_path, a, b, known, shown):
    assert comparing(side(a), side(b)).provenance["simulated"] is known
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    texts = ("This is a phantom", "Whether A and B show", "Whether A shows a patient or a phantom is not known")
    assert [text for text in texts if text in page] == ([] if shown is None else [shown])


@pytest.fixture
def folders(tmp_path, monkeypatch):
    # Pictures take a second; one test makes them.
    monkeypatch.setattr(comparison_writing.rendering, "check_rendering", lambda: "left out here")
    turn, shift = known_motion()
    return result(BEFORE, tmp_path / "before", "X1"), result(moved(AFTER, turn, shift), tmp_path / "after", "X2")


def test_the_command_writes_numbers_surface_and_report(capfd, folders, tmp_path, one_space):
    said = lascarseg(capfd, "compare", *folders, "-o", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    arrays = read_vtk_mesh(tmp_path / "out" / "compared.vtp").point_arrays

    assert said.code == 0 and content["kind"] == "before_after" and content["registration"]["angle_deg"] == pytest.approx(5.0, abs=0.01)
    assert content["numbers"]["only_b_cm2"]["value"] == pytest.approx(one_space.numbers["only_b_cm2"], rel=0.01)
    assert (arrays["Change"] == one_space.change).mean() > 0.995 and {"ScarA", "ScarB"} <= set(arrays)
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert [content["results"][name]["label"] for name in "ab"] == ["X1", "X2"] and "before (X1)" in report
    assert f"{content['numbers']['only_b_cm2']['value']:.1f}" in report and "turned by 5.0°" in report
    for file in (tmp_path / "out").rglob("*.*"):
        assert str(tmp_path).encode() not in file.read_bytes()
    assert lascarseg(capfd, "compare", *folders, "-o", tmp_path / "out").code == 2


@pytest.mark.parametrize(("options", "said"), [
    (("--same-scan",), "not known to be of one scan"), (("--same-scan", "--smooth"), "Leave one"), (("--tolerance", "-1"), "must be 0 to 20"),
])  # fmt: skip
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(capfd, folders, tmp_path, options, said):
    outcome = lascarseg(capfd, "compare", *folders, *options, "-o", tmp_path / "out")

    assert outcome.code == 2 and said in outcome.err and not (tmp_path / "out").exists()


def test_withheld_scar_and_foreign_folders_are_refused(capfd, folders, tmp_path):
    measurements = folders[1] / "measurements.json"
    measurements.write_text(json.dumps(json.loads(measurements.read_text(encoding="utf-8")) | {"withheld": True}), encoding="utf-8")

    assert "withheld" in lascarseg(capfd, "compare", *folders, "-o", tmp_path / "out").err
    (tmp_path / "empty").mkdir()
    assert "is not a result" in lascarseg(capfd, "compare", folders[0], tmp_path / "empty", "-o", tmp_path / "out").err


def test_two_methods_of_one_scan_are_not_moved(capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison_writing.rendering, "check_rendering", lambda: "left out here")
    image, cavity = small_scan()
    folders = []
    for factor in (1.2, 1.4):
        found = analyse(image, Settings(), cavity=cavity, scar=ByRule("iir", factor))
        found = replace(found, provenance=found.provenance | {"inputs": {"image": {"path": "image.nrrd", "sha256": "a" * 64}}})
        folders.append(write_results(found, tmp_path / f"iir{factor}", figures=False, report=False, scene=False))
    said = lascarseg(capfd, "compare", *folders, "--same-scan", "-o", tmp_path / "out")
    content = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"))
    one, other = (read_vtp(folder / "surface.vtp") for folder in folders)

    assert said.code == 0 and content["kind"] == "methods" and content["registration"] is None
    assert content["numbers"]["only_b_cm2"]["value"] == 0.0
    assert content["numbers"]["only_a_cm2"]["value"] == pytest.approx(area_cm2(one, one.scar & ~other.scar), rel=1e-6)
    (row,) = [row for row in content["side_by_side"] if row["key"] == "scar_area_pct"]
    assert row["difference"] == pytest.approx(row["b"]["value"] - row["a"]["value"]) and row["a"]["low"] is not None


def test_the_change_map_has_the_colours_of_what_changed(tmp_path):
    from LAScarSegLib.output import rendering
    from LAScarSegLib.output.comparison_report import ComparedResults
    from LAScarSegLib.output.figures import change_map, style

    if problem := rendering.check_rendering():
        pytest.skip(problem)
    from matplotlib.colors import to_rgb
    from matplotlib.image import imread

    compared = ComparedResults(side(), side(), compare_surfaces(BEFORE, AFTER, same_scan=True), [], ())
    picture = imread(comparison_writing.CHANGE_MAP.draw(compared, tmp_path / "map.png"))[..., :3]
    # The legend's patches have the plain colours, to the few that a picture is saved with.
    for colour in (change_map.IN_BOTH_COLOUR, style.SCAR, style.BORDER_SCAR, style.HEALTHY):
        assert (np.abs(picture - to_rgb(colour)).max(axis=2) < 0.025).sum() > 50

"""What changed between two surfaces by region and around the veins: a gap that closes, one that narrows, scar that is new in one region."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from atrium_model import BALL_MM, VEINS, ball_with_openings
from surface_pairs import atrium, with_scar
from test_report import Page

from LAScarSegLib.analysis.comparison import compare_surfaces
from LAScarSegLib.analysis.comparison_findings import ComparisonFindings, gap_changes, is_same_gap
from LAScarSegLib.output import compared_findings, comparison_writing
from LAScarSegLib.output.comparison_report import ComparedResults
from LAScarSegLib.output.result_surface import ResultSurface
from LAScarSegLib.session.compare import gap_rows
from LAScarSegLib.surface.band_reach import BandReach
from LAScarSegLib.surface.findings import Landmarks
from LAScarSegLib.surface.gaps import Gap

RING_MM, GAP_MM = (8.5, 13.0), 12.0
"""The band of scar around the LSPV: from and to so far from its axis, along the ball; its gap towards the head is about so wide."""
FULL_MM = (0.0, 13.0)
"""A disk of scar over the vein in the place of a ring: no path gets by along its inner side."""
CAP_DIRECTION, CAP_MM = np.array([0.0, 1.0, 0.15]), 6.0
"""The scar that is new: a cap in the middle of the posterior wall, of this radius along the ball."""
CAP_CM2 = 2 * np.pi * BALL_MM**2 * (1 - np.cos(CAP_MM / BALL_MM)) / 100
VERTEX_CM2 = 4 * np.pi * BALL_MM**2 / 4000 / 100
"""A border of scar runs between vertices; a cap of this size has some 15 of them along its border."""
SURFACE = ball_with_openings(VEINS)


def arc_mm(direction) -> np.ndarray:
    """(N,) mm along the ball from where a direction leaves it."""
    axis = np.asarray(direction) / np.linalg.norm(direction)
    return BALL_MM * np.arccos(np.clip(SURFACE.normals @ axis, -1, 1))


def band(gap_mm: float, ring_mm: tuple[float, float] = RING_MM, towards: float = 1.0) -> np.ndarray:
    """(N,) bool: the band around the LSPV with a gap of this width towards the head, or with `towards` −1 towards the feet."""
    axis = np.array(VEINS["LSPV"][:3]) / np.linalg.norm(VEINS["LSPV"][:3])
    up = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
    across = SURFACE.points @ np.cross(axis, up / np.linalg.norm(up))
    arc = arc_mm(axis)
    in_gap = (towards * (SURFACE.points @ up - axis @ up * BALL_MM) > 0) & (np.abs(across) < gap_mm / 2)
    return (arc > ring_mm[0]) & (arc < ring_mm[1]) & ~in_gap


def scarred(scar: np.ndarray):
    return SURFACE.with_arrays(scar=scar, scar_class=scar.astype(np.uint8))


BEFORE = scarred(band(GAP_MM))
AFTER = scarred(band(0.0) | (arc_mm(CAP_DIRECTION) < CAP_MM))
TWO_RINGS = tuple(scarred(band(8.0, (5.0, 8.0)) | band(mm, (14.5, 17.5), -1.0)) for mm in (16.0, 0.0))
"""An inner ring with a gap towards the head, and an outer one whose larger gap towards the feet closes: the least path leaves the inner
ring, whose gap is as it was."""


@pytest.fixture(scope="module")
def compared():
    return compare_surfaces(BEFORE, AFTER, same_scan=True)


def named(found, name: str):
    return next(change for change in found.findings.gaps if change.around == name)


def the_gap(gaps):
    """Of the one that there is."""
    (only,) = gaps
    return only.gap


@pytest.fixture(scope="module")
def landmarks():
    return Landmarks.of(SURFACE)


def lspv_between(landmarks, a, b):
    """What changed around the LSPV."""
    return next(change for change in gap_changes(landmarks, a, b) if change.around == "LSPV")


def not_measured_at(surface, where: np.ndarray):
    """The same surface, of which a part was not measured."""
    return surface.with_arrays(scar=surface.scar & ~where, scar_class=np.where(where, 255, surface.scar_class).astype(np.uint8))


def test_a_gap_that_closes_is_told_with_its_length_and_place(compared):
    lspv = named(compared, "LSPV")
    gap = the_gap(lspv.closed)
    assert lspv.opened == () and not lspv.a.encircled and lspv.b.encircled and lspv.b.gap_mm == 0.0
    assert gap.length_mm == pytest.approx(GAP_MM, abs=2.0) and min(gap.clock, 12 - gap.clock) < 1.0
    assert np.linalg.norm(gap.point_lps) == pytest.approx(BALL_MM, rel=0.01) and gap.region


def test_the_other_way_round_it_opens():
    lspv = named(compare_surfaces(AFTER, BEFORE, same_scan=True), "LSPV")
    assert len(lspv.opened) == 1 and lspv.closed == () and lspv.a.encircled and not lspv.b.encircled


def test_gaps_are_looked_for_in_the_bands_of_a():
    """Bands that end before the ring of scar, `RING_MM` from the vein's axis, hold none of it."""
    near = named(compare_surfaces(BEFORE, AFTER, same_scan=True, bands=BandReach(1.0)), "LSPV")
    assert not near.a.encircled and not near.b.encircled and near.b.gap_mm == near.b.path_mm


def test_the_panel_tells_of_the_changed_gaps_by_vein(compared):
    result = ResultSurface("before", BEFORE, {}, {})
    rows = {row[0]: row[1:] for row in gap_rows(ComparedResults(result, result, compared, [], ()))}
    lspv = named(compared, "LSPV")
    assert list(rows) == [change.around for change in compared.findings.gaps]
    assert rows["LSPV"][0] == f"{lspv.a.gap_mm:.0f} of {lspv.a.path_mm:.0f} mm" and rows["LSPV"][1] == "encircled"
    assert rows["LSPV"][2].startswith(f"A alone: {lspv.closed[0].gap.length_mm:.1f} mm") and rows["RIPV"][2] == ""


def test_veins_without_a_change_have_none(compared):
    for name in ("LIPV", "RSPV", "RIPV", "right pair"):
        change = named(compared, name)
        assert change.opened == change.closed == () and change.a.rgm == change.b.rgm == 1.0


def test_new_scar_is_in_its_region(compared):
    changed = {region.region: region for region in compared.findings.regions}
    assert changed["posterior"].only_b_cm2 == pytest.approx(CAP_CM2, abs=8 * VERTEX_CM2)
    assert changed["posterior"].share_pct(changed["posterior"].only_b_cm2) == pytest.approx(
        100 * changed["posterior"].only_b_cm2 / changed["posterior"].common_cm2
    )
    # The rest of what is new closes the gap.
    beside_gap = {"LSPV antrum", "anterior", "lateral"}
    assert all(region.only_b_cm2 < 2 * VERTEX_CM2 for name, region in changed.items() if name not in {"posterior", *beside_gap})
    assert all(region.only_a_cm2 == 0.0 for region in changed.values())


def test_regions_add_up_to_the_comparison(compared):
    regions = compared.findings.regions
    for part in ("both", "only_b", "only_a"):
        assert sum(getattr(region, f"{part}_cm2") for region in regions) == pytest.approx(compared.numbers[f"{part}_cm2"])
    assert sum(region.common_cm2 for region in regions) == pytest.approx(compared.numbers["common_wall_cm2"])


def test_the_wall_is_divided_as_that_of_a():
    found = compare_surfaces(BEFORE, AFTER, same_scan=True, regions="benito2018").findings.to_json()
    assert found["regions_scheme"] == "benito2018"
    assert [region["region"].split()[0] for region in found["regions"]] == [str(n) for n in range(1, 13)]


@pytest.mark.parametrize(("said", "scheme"), [("benito2018", "benito2018"), (None, "walls"), ("of a later version", "walls"), (3, "walls")])
def test_a_result_says_how_its_wall_is_divided(said, scheme):
    assert ResultSurface("a", SURFACE, {"regions_scheme": said}, {}).regions_scheme == scheme


def test_where_no_scar_is_left_no_gap_closes(landmarks):
    lspv = lspv_between(landmarks, BEFORE, scarred(np.zeros(len(SURFACE.points), dtype=bool)))
    assert len(lspv.a.gaps) == 1 and lspv.closed == ()
    # With B's scar, which is none, all of A's line is healthy.
    assert lspv.a_with_b_mm == pytest.approx(lspv.a.path_mm) and lspv.a_with_b_mm > lspv.a.gap_mm + 3.0


def test_a_line_that_goes_elsewhere_opens_and_closes_nothing(landmarks):
    a, b = TWO_RINGS
    for lspv, side in ((lspv_between(landmarks, a, b), 0), (lspv_between(landmarks, b, a), 1)):
        assert lspv.opened == lspv.closed == () and lspv.not_measured == ((), ())
        assert the_gap(lspv.elsewhere[side]).length_mm == pytest.approx(8.0, abs=2.0) and lspv.elsewhere[1 - side] == ()
        assert {lspv.a.encircled, lspv.b.encircled} == {True, False}


def test_a_gap_that_grew_has_opened_by_what_was_scar(landmarks):
    lspv = lspv_between(landmarks, scarred(band(6.0, FULL_MM)), scarred(band(GAP_MM, FULL_MM)))
    (grown,) = lspv.opened
    assert grown.other.scar_mm == pytest.approx(GAP_MM - 6.0, abs=2.0) and grown.other.healthy_mm == pytest.approx(6.0, abs=2.0)


def test_a_gap_of_which_some_is_left_has_not_closed(landmarks):
    lspv = lspv_between(landmarks, scarred(band(GAP_MM, FULL_MM)), scarred(band(6.0, FULL_MM)))
    assert len(lspv.b.gaps) == 1 and lspv.opened == lspv.closed == () and lspv.elsewhere == lspv.not_measured == ((), ())


def test_a_gap_whose_own_course_is_scar_now_closes(landmarks):
    (closed,) = lspv_between(landmarks, scarred(band(GAP_MM, FULL_MM)), scarred(band(0.0, FULL_MM))).closed
    assert closed.other.scar_mm == pytest.approx(closed.gap.length_mm)


def test_what_one_of_them_did_not_measure_neither_closed_nor_opened(compared, landmarks):
    near_gap = np.linalg.norm(SURFACE.points - the_gap(named(compared, "LSPV").closed).point_lps, axis=1) < GAP_MM
    for a, b, side in (
        (BEFORE, not_measured_at(AFTER, near_gap), 0),  # the gap of A, where B was not measured
        (not_measured_at(AFTER, near_gap), AFTER, 0),  # what counts as a gap of A since A was not measured
        (not_measured_at(AFTER, near_gap), BEFORE, 1),  # the gap of B, where A was not measured
        (AFTER, not_measured_at(AFTER, near_gap), 1),
    ):
        lspv = lspv_between(landmarks, a, b)
        assert lspv.closed == lspv.opened == () and len(lspv.not_measured[side]) == 1 and lspv.elsewhere == ((), ())


def test_the_comparison_asks_what_was_measured(compared):
    near_gap = np.linalg.norm(SURFACE.points - the_gap(named(compared, "LSPV").closed).point_lps, axis=1) < GAP_MM
    lspv = named(compare_surfaces(BEFORE, not_measured_at(AFTER, near_gap), same_scan=True), "LSPV")
    assert lspv.closed == () and len(lspv.not_measured[0]) == 1 and lspv.b.unmeasured_mm > 5.0


def gap(*points) -> Gap:
    points = np.array(points, dtype=float)
    return Gap(float(np.linalg.norm(points[-1] - points[0])), 12.0, "", tuple(points[len(points) // 2].tolist()), points)


@pytest.mark.parametrize(("other", "same"), [
    (gap((18, 0, 0), (20, 0, 0), (22, 0, 0)), True),  # within the long one, far from its middle
    (gap((0, 8.1, 0), (0, 10, 0), (0, 12, 0)), False),
    (gap((0, 5.9, 0), (0, 7.9, 0), (0, 9.9, 0)), True),
])  # fmt: skip
def test_a_gap_that_grew_narrower_is_still_the_same(other, same):
    long = gap(*((x, 0, 0) for x in range(-25, 26)))
    assert is_same_gap(long, other) == is_same_gap(other, long) == same


def test_without_planes_there_is_nothing_to_tell():
    plain = with_scar(atrium(600), (0.0, 20.0, 0.0))
    assert compare_surfaces(plain, plain, same_scan=True).findings.to_json() == {
        "regions": [], "regions_scheme": "walls", "gaps": [], "regions_remarks": [],
    }  # fmt: skip


def test_files_and_report_say_it(compared, tmp_path, monkeypatch):
    monkeypatch.setattr(comparison_writing.rendering, "check_rendering", lambda: "left out here")
    side = ResultSurface("a", BEFORE, {}, {})
    out = comparison_writing.write_comparison(ComparedResults(side, side, compared, [], ()), tmp_path / "out")
    content = json.loads((out / "comparison.json").read_text(encoding="utf-8"))
    regions, gaps = (list(csv.DictReader(open(out / f"compared_{name}.csv", encoding="utf-8"))) for name in ("regions", "gaps"))

    assert {"compared_regions.csv", "compared_gaps.csv"} <= set(content["files"])
    new = [(row["region"], row["only_b_cm2"]) for row in content["regions"]]
    assert [(row["region"], float(row["only_b_cm2"])) for row in regions] == new
    closed = next(change for change in content["gaps"] if change["around"] == "LSPV")["closed"]
    told = [row for row in gaps if row["around"] == "LSPV" and row["change"] == "closed"]
    expected = (closed[0]["length_mm"], closed[0]["scar_in_other_mm"], "a")
    assert [(float(row["length_mm"]), float(row["scar_in_other_mm"]), row["gap_of"]) for row in told] == [expected]
    assert {row["around"] for row in gaps} == {change["around"] for change in content["gaps"]}
    text = Page((out / "report.html").read_text(encoding="utf-8")).text
    assert "Gaps of A alone" in text and f"{closed[0]['length_mm']:.1f} mm" in text and "Scar by region" in text


def test_the_report_says_how_much_of_a_gap_is_scar_in_the_other(landmarks):
    grown = lspv_between(landmarks, scarred(band(6.0, FULL_MM)), scarred(band(GAP_MM, FULL_MM)))
    closed = lspv_between(landmarks, scarred(band(GAP_MM, FULL_MM)), scarred(band(0.0, FULL_MM)))
    bridged = lspv_between(landmarks, BEFORE, AFTER)
    first, second, third = compared_findings.page_tables(ComparisonFindings(gaps=(grown, closed, bridged)))["around"]

    assert first["opened"][0].endswith(f"({grown.opened[0].other.scar_mm:.1f} mm of it scar in A)")
    assert second["closed"][0].endswith("o’clock")  # all of it
    assert third["closed"][0].endswith(f"({bridged.closed[0].beside_mm:.1f} mm beside it scar in B alone)")


def test_files_and_report_say_why_a_gap_neither_opened_nor_closed(landmarks, tmp_path):
    elsewhere = lspv_between(landmarks, *TWO_RINGS)
    unknown = lspv_between(landmarks, BEFORE, not_measured_at(AFTER, SURFACE.points[:, 0] > 0))
    found = ComparisonFindings(gaps=(elsewhere, unknown))
    compared_findings.write_findings_csvs(found, tmp_path)
    rows = list(csv.DictReader((tmp_path / compared_findings.GAPS_CSV).read_text(encoding="utf-8").splitlines()))
    said = [" ".join(row["of_a"]) for row in compared_findings.page_tables(found)["around"]]

    assert [(row["change"], row["gap_of"]) for row in rows if row["gap_of"] == "a"] == [("elsewhere", "a"), ("not_measured", "a")]
    assert float(rows[0]["gap_mm_with_other_a"]) == pytest.approx(elsewhere.a_with_b_mm, abs=0.01)
    assert "the line of B runs elsewhere" in said[0] and "1 gap of A where not all was measured in both" in said[1]

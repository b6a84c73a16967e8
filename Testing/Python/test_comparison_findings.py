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
from LAScarSegLib.analysis.comparison_findings import is_same_gap
from LAScarSegLib.output import comparison_writing
from LAScarSegLib.output.comparison_report import ComparedResults
from LAScarSegLib.output.result_surface import ResultSurface
from LAScarSegLib.surface.gaps import Gap

RING_MM, GAP_MM = (8.5, 13.0), 12.0
"""The band of scar around the LSPV: from and to so far from its axis, along the ball; its gap towards the head is about so wide."""
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


def band(gap_mm: float) -> np.ndarray:
    """(N,) bool: the band around the LSPV with a gap of this width towards the head."""
    axis = np.array(VEINS["LSPV"][:3]) / np.linalg.norm(VEINS["LSPV"][:3])
    up = np.array([0.0, 0.0, 1.0]) - axis[2] * axis
    across = SURFACE.points @ np.cross(axis, up / np.linalg.norm(up))
    arc = arc_mm(axis)
    in_gap = (SURFACE.points @ up > axis @ up * BALL_MM) & (np.abs(across) < gap_mm / 2)
    return (arc > RING_MM[0]) & (arc < RING_MM[1]) & ~in_gap


def scarred(scar: np.ndarray):
    return SURFACE.with_arrays(scar=scar, scar_class=scar.astype(np.uint8))


BEFORE = scarred(band(GAP_MM))
AFTER = scarred(band(0.0) | (arc_mm(CAP_DIRECTION) < CAP_MM))


@pytest.fixture(scope="module")
def compared():
    return compare_surfaces(BEFORE, AFTER, same_scan=True)


def named(found, name: str):
    return next(change for change in found.findings.gaps if change.around == name)


def test_a_gap_that_closes_is_told_with_its_length_and_place(compared):
    lspv = named(compared, "LSPV")
    (gap,) = lspv.closed
    assert lspv.opened == () and not lspv.a.encircled and lspv.b.encircled and lspv.b.gap_mm == 0.0
    assert gap.length_mm == pytest.approx(GAP_MM, abs=2.0) and min(gap.clock, 12 - gap.clock) < 1.0
    assert np.linalg.norm(gap.point_lps) == pytest.approx(BALL_MM, rel=0.01) and gap.region


def test_the_other_way_round_it_opens():
    lspv = named(compare_surfaces(AFTER, BEFORE, same_scan=True), "LSPV")
    assert len(lspv.opened) == 1 and lspv.closed == () and lspv.a.encircled and not lspv.b.encircled


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


def test_what_b_did_not_measure_is_no_closed_gap(compared):
    near_gap = np.linalg.norm(SURFACE.points - named(compared, "LSPV").closed[0].point_lps, axis=1) < GAP_MM
    unknown = AFTER.with_arrays(scar=AFTER.scar & ~near_gap, scar_class=np.where(near_gap, 255, AFTER.scar_class).astype(np.uint8))
    lspv = named(compare_surfaces(BEFORE, unknown, same_scan=True), "LSPV")
    assert lspv.closed == () and lspv.b.unmeasured_mm > 5.0


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
    assert [float(row["length_mm"]) for row in gaps if row["around"] == "LSPV" and row["change"] == "closed"] == [closed[0]["length_mm"]]
    assert {row["around"] for row in gaps} == {change["around"] for change in content["gaps"]}
    text = Page((out / "report.html").read_text(encoding="utf-8")).text
    assert "Gaps of A alone" in text and f"{closed[0]['length_mm']:.1f} mm" in text and "Scar by region" in text

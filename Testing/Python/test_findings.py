"""Regions, gaps and stage on the report's first page, and the gaps' marks on the map."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sample_analysis import sample_analysis
from test_report import Page

from LAScarSegLib.measure.numbers import Quantity
from LAScarSegLib.output import report
from LAScarSegLib.output.figures.surface_views import VIEWS, shown
from LAScarSegLib.output.findings import FindingRows
from LAScarSegLib.output.report import render_report
from LAScarSegLib.surface.surface import Surface

MADE_UP = {
    "unsure_planes": {"LIPV": "It is short.", "MV": "It is rounded."},
    "regions": [
        {"region": "posterior", "area_cm2": 20.0, "scar_area_cm2": 8.0, "scar_pct": 40.0},
        {"region": "roof <b>", "area_cm2": 10.0, "scar_area_cm2": 1.0, "scar_pct": 10.0},
        {"region": "septal", "area_cm2": None, "scar_area_cm2": None, "scar_pct": None},
    ],
    "gaps": [
        {
            "around": "LSPV", "rgm": 0.2, "path_mm": 60.0, "gap_mm": 12.0, "encircled": False,
            "gaps": [
                {"length_mm": 7.04, "region": "roof", "clock": 11.3, "point_lps": [1, 2, 3]},
                {"length_mm": 4.96, "region": "", "clock": None, "point_lps": None},
            ],
        },
        {"around": "LIPV", "rgm": 0.0, "path_mm": 50.0, "gap_mm": 0.0, "encircled": True, "gaps": [], "unmeasured_mm": 4.2, "unsure": True},
        {"around": "RIPV", "rgm": None, "path_mm": None, "gap_mm": None, "encircled": None, "gaps": [], "problem": "too near the mitral plane"},
        {"around": "right pair", "rgm": None, "path_mm": None, "gap_mm": None, "encircled": None,
         "gaps": [{"length_mm": 5.0, "region": "septal", "clock": 0.2, "point_lps": [4, 5, 6], "depends_on_threshold": True}]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def no_live_part():
    """Nothing here looks at it, and its script is long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "packed_script", lambda: None)
        yield


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Page:
    return Page(render_report(sample_analysis(), tmp_path_factory.mktemp("none"), findings=FindingRows.from_json(MADE_UP)))


def test_gaps_are_numbered_through_and_say_where_they_lie():
    gaps = FindingRows.from_json(MADE_UP).gaps
    assert [gap.number for gap in gaps] == [1, 2, 3]
    assert [gap.text for gap in gaps] == ["7.0 mm, roof, 11 o’clock", "5.0 mm", "5.0 mm, septal, 12 o’clock"]


def test_courses_of_gaps_come_in_the_order_of_their_numbers():
    lines = [[(n, 0, 0), (n, 1, 0)] for n in (1, 2, 3)]
    assert [gap.line_lps[0][0] for gap in FindingRows.from_json(MADE_UP).with_lines(lines).gaps] == [1, 2, 3]


def test_a_vein_is_a_row_with_its_gaps_and_its_share(page):
    assert "LSPV no 1 7.0 mm, roof, 11 o’clock 2 5.0 mm 20 % 12 of 60 mm LIPV not sure yes none 4 mm not measured 0 % 0 of 50 mm RIPV – too near the mitral plane –" in page.text
    assert "right pair – 3 5.0 mm, septal, 12 o’clock † –" in page.text


def test_the_mark_of_the_threshold_says_what_was_asked(page):
    assert "† depends on the threshold" in page.text and "less than 3 mm in a row of the gap’s own course stay without scar" in page.text


def test_planes_that_are_not_sure_are_named_above_the_tables(page):
    before, _ = page.text.split("Around the veins")
    assert "not sure: LIPV, MV. Look at the planes before using these tables" in before
    assert page.text.count("not sure") == 2  # and beside LIPV


def test_the_relative_gap_measure_is_told_as_it_is_computed(page):
    """`rgm` is all healthy tissue of the path, and what was not measured, over its length (Docs/gaps.md)."""
    assert "the share of the line without scar; stretches under 3 mm count, and what was not measured counts as gap" in page.text


def test_the_bars_are_as_long_as_the_shares(page):
    bars = [attributes["style"] for attributes in page.all("i") if "style" in attributes]
    assert bars == ["width:100.0%", "width:25.0%"]
    assert "posterior 40.0 8.0 of 20.0" in page.text and "septal – –" in page.text


def test_a_region_without_a_share_is_explained_where_there_is_one(page, tmp_path):
    why = "less than 1 cm² of it was measured"
    large = MADE_UP | {"regions": MADE_UP["regions"][:2]}
    assert why in page.text
    assert why not in Page(render_report(sample_analysis(), tmp_path, findings=FindingRows.from_json(large))).text


def test_it_is_said_why_there_are_no_regions(tmp_path):
    why = "No left vein has an opening of its own on the body."
    text = Page(render_report(sample_analysis(), tmp_path, findings=FindingRows.from_json({"regions_remarks": [why]}))).text
    assert why in text and "Scar by region" not in text


def test_words_of_a_region_stay_words(page):
    assert "roof <b> 10.0 1.0 of 10.0" in page.text and page.open == []


def test_where_nothing_is_known_of_veins_and_regions_nothing_is_shown(tmp_path):
    text = Page(render_report(sample_analysis(), tmp_path)).text
    assert "Around the veins" not in text and "Scar by region" not in text and "not sure" not in text


@pytest.mark.parametrize(
    ("stage", "says"),
    [
        (Quantity(2, "", 1, 3), "Utah-style stage II of IV , I – III over the perturbation range: 12.0 % of the wall’s volume is scar; stage II means 10–20 %."),
        (Quantity(2, "", 2, 2), "Utah-style stage II of IV , the same over the whole perturbation range: 12.0 %"),
        (Quantity(2, ""), "Utah-style stage II of IV : 12.0 % of the wall’s volume is scar"),
    ],
)  # fmt: skip
def test_the_stage_is_said_in_words_with_its_range(tmp_path, stage, says):
    measurements = sample_analysis().measurements | {"utah_stage": stage, "scar_pct_of_wall_volume": Quantity(12.0, "%")}
    assert says in Page(render_report(replace(sample_analysis(), measurements=measurements), tmp_path)).text


@pytest.mark.parametrize(("stage", "means"), [(1, "stage I means under 10 %."), (4, "stage IV means over 30 %.")])
def test_the_first_and_the_last_stage_have_one_limit(tmp_path, stage, means):
    measurements = sample_analysis().measurements | {"utah_stage": Quantity(stage, "")}
    assert means in Page(render_report(replace(sample_analysis(), measurements=measurements), tmp_path)).text


def test_a_scan_that_was_not_declared_native_is_not_staged(tmp_path):
    assert "stage I" not in Page(render_report(sample_analysis(), tmp_path)).text.split("How scar was found")[0]


def test_a_mark_is_shown_from_where_it_is_seen():
    surface = sample_analysis().surface
    leftmost = np.array([[20.0, 0, 0]])
    seen = {view.name for view in VIEWS if shown(leftmost, view, surface)[0]}
    assert seen == {"Left lateral"}


def test_a_mark_behind_something_else_is_hidden():
    # Two balls one behind the other along y: the hind one's anterior wall faces the front, and the other ball stands before it.
    one = sample_analysis().surface
    both = Surface(np.concatenate([one.points, one.points + [0, 60, 0]]), np.concatenate([one.triangles, one.triangles + len(one.points)]),
                   np.concatenate([one.normals, one.normals]))  # fmt: skip
    anterior = next(view for view in VIEWS if view.name == "Anterior (AP)")
    assert shown(np.array([[0.0, -20, 0], [0.0, 40, 0]]), anterior, both).tolist() == [True, False]

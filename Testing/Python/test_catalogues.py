"""Adding is one place: a made-up rule, number, flag and system turn up in every list, table, curve and help that people see."""

from __future__ import annotations

import ast
import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scene_cases import GRIDS, scan
from small_scan import lascarseg

from LAScarSegLib.analysis import ByRule, analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.intensity.rules import RULES, PublishedThreshold, Rule
from LAScarSegLib.measure import quality
from LAScarSegLib.measure.numbers import NUMBERS, VOLUME, Coding, Number
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.support.flags import FLAGS, MASKS_OF_FILES, NOTE, FlagKind, QualityFlag
from LAScarSegLib.systems import SYSTEMS

ROOT = Path(__file__).resolve().parents[2]

MADE_UP_RULE = Rule(
    "twice_blood", "Twice the blood", "Nobody, Nowhere 2026", lambda on, factor: factor * 2.0 * on.blood.mean, mark="twice × {:g}",
    parameter="factor", default=0.65, presets=(PublishedThreshold(0.65, "nobody-0.65", "Nobody, Nowhere 2026", "a wall of cardboard"),),
)  # fmt: skip
MADE_UP_NUMBER = Number(
    "healthy_wall_ml", "Wall without scar", "mL", 3,
    lambda on: (on.sample.wall_intensity.size - on.scar_voxels) * on.sample.voxel_volume_ml, Coding("wall", VOLUME),
)  # fmt: skip
MADE_UP_FLAG = QualityFlag("full_moon", "The scan was made at full moon.", NOTE)


@pytest.fixture
def catalogues(monkeypatch):
    monkeypatch.setitem(RULES, MADE_UP_RULE.name, MADE_UP_RULE)
    NUMBERS.append(MADE_UP_NUMBER)
    monkeypatch.setitem(FLAGS, MADE_UP_FLAG.code, FlagKind("Full moon", NOTE, ("scan",)))
    checked = quality.check_volume
    monkeypatch.setattr(quality, "check_volume", lambda volume_ml: (*checked(volume_ml), MADE_UP_FLAG))
    system = next(iter(SYSTEMS.values()))
    monkeypatch.setattr("LAScarSegLib.systems.SYSTEMS", {**SYSTEMS, "tea_leaves": replace(system, key="tea_leaves")})
    yield
    NUMBERS.remove(MADE_UP_NUMBER)


@pytest.fixture
def analysis(catalogues):
    image, cavity = scan(GRIDS["oblique"])
    return analyse(image, Settings(), cavity=cavity, scar=ByRule(MADE_UP_RULE.name))


def test_the_number_is_counted_with_its_range(analysis):
    number = analysis.measurements[MADE_UP_NUMBER.key]

    expected = analysis.measurements["wall_volume_ml"].value - analysis.measurements["scar_volume_ml"].value
    assert number.value == pytest.approx(expected, rel=1e-12) and number.low <= number.value < number.high


def test_the_command_line_offers_rule_and_system(catalogues, capfd, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")

    assert MADE_UP_RULE.name in lascarseg(capfd, "run", "--help").out
    assert MADE_UP_RULE.name in lascarseg(capfd, "measure", "--help").out
    assert "tea_leaves" in lascarseg(capfd, "train", "--help").out


def test_the_files_of_a_result_have_all_three(analysis, tmp_path):
    folder = write_results(analysis, tmp_path / "result", scene=False)
    with open(folder / "measurements.csv", newline="", encoding="utf-8") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    report = (folder / "report.html").read_text(encoding="utf-8")

    assert rows[MADE_UP_NUMBER.key]["label"] == MADE_UP_NUMBER.label
    assert float(rows[MADE_UP_NUMBER.key]["value"]) == analysis.measurements[MADE_UP_NUMBER.key].value
    for said in (MADE_UP_NUMBER.label, "twice × 0.65", "a wall of cardboard", "Twice the blood, 0.65", MADE_UP_FLAG.message):
        assert said in report


def test_the_threshold_curve_marks_the_rules_presets(analysis):
    from LAScarSegLib.output.figures import threshold_curve

    assert "at twice × 0.65" in threshold_curve.describe(analysis)
    assert MADE_UP_RULE.title in threshold_curve.caption(analysis)


def test_the_panel_lists_all_three(analysis):
    pytest.importorskip("slicer", reason="the panel's choices need slicer-core")
    from LAScarSegLib.session import choices, measurements_page

    assert MADE_UP_RULE.name in [method.key for method in choices.methods()]
    (row,) = [row for row in measurements_page.rows(analysis) if row.key == MADE_UP_NUMBER.key]
    assert row.label == MADE_UP_NUMBER.label and float(row.value) == pytest.approx(analysis.measurements[row.key].value, abs=1e-3)
    assert measurements_page.FlagRow("Note", "Full moon", MADE_UP_FLAG.message) in measurements_page.flags(analysis)


def test_a_scene_has_the_number_in_its_table_and_statistics_and_the_preset_on_its_curve(analysis):
    pytest.importorskip("slicer", reason="scenes need slicer-core")
    from LAScarSegLib import scene as mrml
    from LAScarSegLib.scene.segment_statistics import ResultNumbers

    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysis)
    table = nodes.measurements.GetTable()
    shown = [table.GetValueByName(row, "Key").ToString() for row in range(table.GetNumberOfRows())]
    marks = [nodes.curve_chart.GetNthPlotSeriesNode(n) for n in range(nodes.curve_chart.GetNumberOfPlotSeriesNodes())]
    labels = [
        node.GetTableNode().GetTable().GetValueByName(row, "threshold").ToString()
        for node in marks if node.GetName().startswith("published: ")
        for row in range(node.GetTableNode().GetTable().GetNumberOfRows())
    ]  # fmt: skip

    assert MADE_UP_NUMBER.key in shown and "twice × 0.65" in labels
    assert MADE_UP_NUMBER.key in ResultNumbers().of_segment(scene, nodes.segmentation, "LA_wall")


def test_the_rule_of_the_made_up_preset_lies_where_its_grey_level_is(analysis):
    from LAScarSegLib.measure.published import published_scars

    (scar,) = [scar for scar in published_scars(analysis.samples[0]) if scar.rule is MADE_UP_RULE]
    assert scar.iir == pytest.approx(1.3)
    assert scar.area_pct == pytest.approx(analysis.measurements["scar_area_pct"].value)
    assert scar.volume_pct == pytest.approx(100 * np.mean(analysis.samples[0].wall_intensity > 1.3 * analysis.blood_pool.mean))


def test_every_flag_that_is_raised_is_in_the_catalogue_and_every_one_there_is_raised(repository):
    raised = set().union(*(literal_codes(path) for path in (repository / "LAScarSegLib").rglob("*.py")))

    assert raised == set(FLAGS)


def literal_codes(path: Path) -> set[str]:
    """The first argument of every `QualityFlag(...)` and `_note(...)` in a file; of an f-string, its ending for each kind of mask."""
    codes: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = "" if not isinstance(node, ast.Call) else getattr(node.func, "id", "") or getattr(node.func, "attr", "")
        if name in ("QualityFlag", "_note") and node.args:
            code = node.args[0]
            if isinstance(code, ast.Constant):
                codes.add(code.value)
            elif isinstance(code, ast.JoinedStr):
                codes |= {f"{mask}{code.values[-1].value}" for mask in ("cavity", "wall", "scar", "region of interest")}
    return codes


def test_every_flag_is_explained():
    """Docs/quality.md says of each what it looks at and when it is raised; the flags of the four kinds of mask file share a line."""
    told = (ROOT / "Docs" / "quality.md").read_text(encoding="utf-8")
    per_mask = tuple(f"{mask}_{what}" for mask in MASKS_OF_FILES for what in ("label_not_1", "resampled"))

    assert [code for code in FLAGS if f"`{code}`" not in told and code not in per_mask] == []

"""The Measurements page: the headline first, units and ranges, every flag in plain words, two methods side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scene_cases import GRIDS, analysed, scan

from LAScarSegLib.analysis import ByRule, Change, Drawn, Network, analyse, revise
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.measure.numbers import Quantity
from LAScarSegLib.session import measurements_page as numbers
from LAScarSegLib.support.flags import QualityFlag


def with_numbers(analysis, **quantities: Quantity):
    return replace(analysis, measurements=analysis.measurements | quantities)


def test_the_headline_says_the_share_and_its_range():
    quantity, area = Quantity(12.24, "%", 10.11, 14.26), Quantity(13.94, "cm2")
    shown = with_numbers(analysed(), scar_area_pct=quantity, scar_area_cm2=area)
    assert numbers.headline(shown) == "Scar on 12.2 % of the LA surface (10.1 – 14.3 %), 13.9 cm²"
    assert numbers.headline(with_numbers(shown, scar_area_pct=Quantity(12.24, "%"))) == "Scar on 12.2 % of the LA surface, 13.9 cm²"
    of_wall = with_numbers(shown, scar_area_pct_wall=quantity, scar_area_cm2_wall=Quantity(9.0, "cm2"))
    assert numbers.headline(of_wall) == "Scar on 12.2 % of the LA wall (10.1 – 14.3 %), 9.0 cm²"


def test_the_method_is_named_with_its_number_its_grey_level_and_whose_it_is():
    line = numbers.method_line(revise(analysed(), Change(scar=ByRule("iir", 1.32))))
    assert line.startswith("Image intensity ratio > 1.32, grey level ") and "Benito et al., Europace 2017" in line


def test_a_line_says_where_the_cavity_comes_from():
    assert numbers.cavity_line(analysed()) == "The cavity was given; no model found it."
    model = {"name": "la-net", "version": "2.1", "simulated": True, "intended_use": "Tests only."}
    mask = analysed().sources.cavity.mask
    found = replace(analysed(), sources=replace(analysed().sources, cavity=Drawn(mask, Network(model, 0.5, mask))))
    assert numbers.cavity_line(found) == (
        "The cavity was found by the model la-net 2.1 and then edited by hand. The model was trained on simulated scans, so it says "
        "nothing about a patient. Its card says: Tests only."
    )


def test_rows_carry_value_unit_and_range_rounded_for_reading():
    shown = {row.key: row for row in numbers.rows(with_numbers(analysed(), scar_area_cm2=Quantity(4.567, "cm2", 4.0, 5.04)))}
    row = shown["scar_area_cm2"]
    assert (row.label, row.value, row.unit, row.range) == ("Scar area", "4.6", "cm²", "4.0 – 5.0")
    assert list(shown)[0] == "scar_area_pct"


def test_what_was_not_computed_is_not_listed_and_a_stage_is_roman():
    shown = {row.key: row for row in numbers.rows(with_numbers(analysed(), utah_stage=Quantity(2, "", 1, 3)))}
    assert "scar_area_pct_wall" not in shown
    assert (shown["utah_stage"].value, shown["utah_stage"].range) == ("II", "I – III")


def test_flags_come_as_title_and_sentence_with_warnings_first():
    flags = (QualityFlag("no_planes", "No planes were given.", "note"), QualityFlag("thick_slices", "The slices are 8 mm apart."))
    first, second = numbers.flags(replace(analysed(), flags=flags))
    assert first == numbers.FlagRow("Warning", "Thick slices", "The slices are 8 mm apart.")
    assert second.heading == "Note" and second.title == "No mitral or vein planes"


def test_a_flag_without_a_title_is_still_readable():
    assert QualityFlag("brand_new_thing", "…", "note").title == "Brand new thing"


def test_two_methods_stand_side_by_side_with_their_difference():
    first, second = revise(analysed(), Change(scar=ByRule("iir", 1.2))), revise(analysed(), Change(scar=ByRule("nsd", 3.0)))
    table = numbers.compare(first, second)
    assert table.headings == ("Measurement", "Image intensity ratio > 1.20", "Blood mean + 3 standard deviations", "Difference", "Unit")
    by_label = {row[0]: row[1:] for row in table.rows}
    a, b = (analysis.measurements["scar_area_pct"].value for analysis in (first, second))
    assert by_label["Scar, share of the LA surface"] == (f"{a:.1f}", f"{b:.1f}", f"{b - a:+.1f}".replace("-", "−"), "%")
    assert by_label["LA volume"][2] == "+0.0"
    assert by_label["Threshold (the rule's parameter)"][2] == ""


def test_the_overlap_of_the_two_scars_is_their_dice_coefficient():
    from LAScarSegLib.anatomy.overlap import dice

    first, second = revise(analysed(), Change(scar=ByRule("iir", 1.2))), revise(analysed(), Change(scar=ByRule("iir", 1.5)))
    shown = numbers.compare(first, second).rows[-1]
    assert shown[0] == "Overlap of the two scars (Dice)"
    assert float(shown[3]) == pytest.approx(dice(first.scar.array > 0, second.scar.array > 0), abs=0.005)


def test_nothing_against_nothing_has_no_overlap():
    none = revise(analysed(), Change(scar=ByRule("iir", 9.0)))
    assert numbers.compare(none, none).rows[-1][3] == "–"


def test_it_says_when_more_than_the_method_differs():
    image, cavity = scan(GRIDS["oblique"])
    smaller = cavity.array.copy()
    smaller[: cavity.array.shape[0] // 2] = 0
    other = analyse(image, Settings(perturbation=False), cavity=cavity.like(smaller))
    remarks = " ".join(numbers.compare(analysed(), other).remarks)
    assert "different masks (cavity and wall)" in remarks
    assert "not calibrated" in remarks
    assert not any("different masks" in remark for remark in numbers.compare(analysed(), analysed()).remarks)


def test_results_of_two_scans_are_not_compared():
    with pytest.raises(InputError, match="different scans \\(48×44×26 and 44×46×26 voxels\\)"):
        numbers.compare(analysed("oblique"), analysed("axial"))

"""What an analysis says of regions and gaps, with planes that were given and planes that were found."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree
from test_report import Page

from LAScarSegLib.analysis import Change, PlanesToFind, Settings, analyse, revise
from LAScarSegLib.analysis.description import describe, read_description
from LAScarSegLib.analysis.steps import StepCache
from LAScarSegLib.analysis.surface_findings import find_on_surface, findings_digest, pack_findings, unpack_findings
from LAScarSegLib.datasets.sample_data import sample
from LAScarSegLib.jobs.mask_files import read_mask_file
from LAScarSegLib.output.csv_tables import write_gaps_csv, write_regions_csv
from LAScarSegLib.output.findings import rows_of
from LAScarSegLib.output.report import render_report
from LAScarSegLib.surface.openings import FoundPlanes
from LAScarSegLib.surface.planes import read_planes
from LAScarSegLib.volumes.files import read_volume

VEINS = {"LSPV", "LIPV", "RSPV", "RIPV"}


@pytest.fixture(scope="module")
def scan():
    return read_volume(sample().scan.path)


@pytest.fixture(scope="module")
def cavity(scan):
    return read_mask_file(sample().cavity.path, "cavity", (), scan)


@pytest.fixture(scope="module")
def analysis(scan, cavity):
    planes = [plane for file in sample().planes for plane in read_planes(file.path)]
    return analyse(scan, Settings(), cavity=cavity, planes=planes)


@pytest.fixture(scope="module")
def quick(analysis):
    """The same without ranges, as a first look at it is."""
    return revise(analysis, Change(), ranges=False)


@pytest.fixture(scope="module")
def divided(analysis):
    """The same analysis with the wall in Benito's twelve segments."""
    return revise(analysis, Change(settings=replace(analysis.settings, regions="benito2018")), ranges=False)


@pytest.fixture(scope="module")
def searched(scan, cavity):
    return analyse(scan, Settings(perturbation=False), cavity=cavity, planes=PlanesToFind())


def test_regions_add_up_to_the_wall(analysis):
    regions = analysis.findings.regions
    assert sum(region.area_cm2 for region in regions) == pytest.approx(analysis.measurements["la_wall_area_cm2"].value, rel=1e-6)
    assert sum(region.scar_area_cm2 for region in regions) == pytest.approx(analysis.measurements["scar_area_cm2_wall"].value, rel=1e-6)


def test_every_vein_and_pair_has_its_path(analysis):
    around = analysis.findings.encirclements
    assert {each.around for each in around} == VEINS | {"left pair", "right pair"}
    for each in around:
        assert 0 <= each.gap_mm <= each.path_mm
        assert all(gap.region or gap.all_around for gap in each.gaps)


def test_ranges_hold_the_value(analysis):
    found = analysis.findings
    shares = {region.region: region.scar_pct for region in found.regions if region.scar_pct is not None}
    assert set(found.region_ranges) == shares.keys()
    for region, share in shares.items():
        low, high = found.region_ranges[region]
        assert low <= share <= high
    for around in found.encirclements:
        low, high = found.gap_ranges[around.around]
        assert low <= around.gap_mm <= high
    assert any(low < high for low, high in found.gap_ranges.values())


def test_a_gap_lies_in_a_wall_or_on_a_vein_and_not_in_the_antrum_that_the_whole_line_is_in(analysis):
    places = {gap.region for around in analysis.findings.encirclements for gap in around.gaps}
    assert places & {"posterior", "anterior", "septal", "lateral", "inferior"}
    assert not [place for place in places if place.endswith(("antrum", "base"))]


@pytest.mark.parametrize("times", [1, 4])
def test_a_gap_of_which_a_lower_threshold_leaves_nothing_is_named(quick, times):
    """By the nearest vertex's scar at the lower threshold, which is right but for an edge of the mesh (1 mm) at each end of a stretch.

    A blood pool that is brighter takes the lower threshold farther down, at the same threshold and with the same scar.
    """
    first, scar, told = quick.samples[0], quick.sources.scar, []
    brighter = replace(quick, samples=(replace(first, blood=replace(first.blood, mean=times * first.blood.mean)),))
    lower = revise(quick, Change(scar=scar.with_threshold(scar.parameter - 0.05 * times)), ranges=False).surface
    vertices = KDTree(lower.points)
    for around in brighter.findings.encirclements:
        for number, gap in enumerate(around.gaps):
            along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(gap.points, axis=0), axis=1))])
            places = np.arange(0.0, along[-1], 0.05)
            healthy = ~lower.scar[vertices.query(np.stack([np.interp(places, along, axis) for axis in gap.points.T], axis=1))[1]]
            longest_mm = 0.05 * max((len(run) for run in "".join("01"[int(each)] for each in healthy).split("0")), default=0)
            if abs(longest_mm - 3.0) > 2.0:
                told.append(number in brighter.findings.unsteady.get(around.around, ()))
                assert told[-1] == (longest_mm < 3.0)
    assert times == 1 or set(told) == {False, True}
    assert (findings_digest(brighter) == findings_digest(quick)) == (times == 1)


def test_a_length_lies_in_its_own_range_as_it_is_written(analysis):
    around = replace(analysis.findings.encirclements[0], gap_mm=47.9549)
    found = replace(analysis.findings, encirclements=(around,), gap_ranges={around.around: (47.9549, 47.9552)})
    (told,) = found.to_json()["gaps"]
    assert told["gap_mm_low"] <= told["gap_mm"] <= told["gap_mm_high"]


def test_findings_without_ranges_are_of_another_digest(analysis, quick):
    assert quick.findings.gap_ranges == {} != analysis.findings.gap_ranges
    assert findings_digest(quick) != findings_digest(analysis)
    assert findings_digest(revise(quick, Change(), ranges=True)) == findings_digest(analysis)


def test_findings_follow_the_threshold_as_from_the_start(analysis, scan, cavity):
    before = analysis.findings
    scar = analysis.sources.scar.with_threshold(1.3)
    revised = revise(analysis, Change(scar=scar), ranges=False)
    afresh = analyse(scan, Settings(), cavity=cavity, scar=scar, planes=analysis.planes, ranges=False)
    assert revised.findings.to_json() == afresh.findings.to_json()
    assert revised.findings.landmarks is before.landmarks
    assert revised.findings.to_json() != before.to_json()


def test_tables_say_what_the_json_says(analysis, tmp_path):
    write_regions_csv(analysis.findings, tmp_path / "regions.csv")
    write_gaps_csv(analysis.findings, tmp_path / "gaps.csv")
    content = analysis.measurements_json()
    regions, gaps = (list(csv.DictReader(open(tmp_path / name, encoding="utf-8"))) for name in ("regions.csv", "gaps.csv"))
    shares = [(row["region"], float(row["scar_pct"]) if row["scar_pct"] else None) for row in regions]
    assert shares == [(r["region"], r["scar_pct"]) for r in content["regions"]]
    lengths = [(each["around"], gap["length_mm"]) for each in content["gaps"] for gap in each["gaps"]]
    assert [(row["around"], float(row["length_mm"])) for row in gaps if row["gap"]] == lengths


def test_the_wall_is_divided_as_chosen(analysis, divided, tmp_path):
    """Benito's twelve segments: the same wall and the same gaps, other names, and they are written and read back."""
    write_regions_csv(divided.findings, tmp_path / "regions.csv")
    rows, content = list(csv.DictReader(open(tmp_path / "regions.csv", encoding="utf-8"))), divided.measurements_json()
    _, settings, _ = read_description(json.loads(json.dumps(describe(divided))), divided.volume, {})

    assert [region["region"].split()[0] for region in content["regions"]] == [str(n) for n in range(1, 13)]
    wall_cm2 = divided.measurements["la_wall_area_cm2"].value
    assert sum(region["area_cm2"] for region in content["regions"]) == pytest.approx(wall_cm2, abs=0.01)
    assert [around["gap_mm"] for around in content["gaps"]] == [around["gap_mm"] for around in analysis.measurements_json()["gaps"]]
    assert content["regions_scheme"] == settings.regions == "benito2018" and {row["scheme"] for row in rows} == {"benito2018"}
    assert {gap["region"].split()[0] for around in content["gaps"] for gap in around["gaps"]} <= {str(n) for n in range(1, 13)} | VEINS


def test_regions_of_another_scheme_are_older(analysis, divided):
    assert findings_digest(divided) != findings_digest(analysis)
    back = unpack_findings(json.loads(json.dumps(pack_findings(divided.findings))), divided.surface)
    assert back.to_json() == divided.findings.to_json()


def test_the_report_shows_them(analysis, tmp_path):
    text = Page(render_report(analysis, tmp_path)).text
    assert "Around the veins" in text and "Scar by region" in text and "right pair" in text
    assert len(rows_of(analysis).gaps) == sum(len(each.gaps) for each in analysis.findings.encirclements)
    assert all(gap.line_lps for gap in rows_of(analysis).gaps)


def test_without_planes_veins_and_valve_are_looked_for(searched, analysis):
    search = searched.sources.search
    assert {plane.name for plane in search.planes} >= VEINS | {"MV"}
    given = {plane.name: np.array(plane.origin) for plane in analysis.planes}
    for plane in search.planes:
        if plane.name in VEINS:
            # The bar of the search, on the phantom whose planes are its truth.
            assert np.linalg.norm(given[plane.name] - plane.origin) < 6.0
    assert searched.findings.encirclements


@pytest.mark.parametrize(("unsure", "source"), [({}, "found"), ({"LIPV": "It is short."}, "none")])
def test_found_planes_cut_only_while_all_are_sure(searched, tmp_path, unsure, source):
    search = FoundPlanes(searched.sources.search.planes, unsure)
    found = revise(searched, Change(planes=() if unsure else search.planes, search=search), ranges=False)
    content = found.measurements_json()
    assert content["planes_source"] == found.sources.planes_source == source
    assert (content["scar_area_pct_wall"]["value"] is None) == (source == "none")
    assert {flag.code for flag in found.flags} & {"planes_found", "planes_unsure", "no_planes"} == {"planes_unsure" if unsure else "planes_found"}
    assert found.findings.regions and (source == "none") == bool(found.surface.is_wall.all())
    check_unsure(found, tmp_path, {"LIPV", "left pair"} if unsure else set())
    assert content["unsure_planes"] == unsure


def check_unsure(analysis, folder, expected) -> None:
    """The rows of these alone are marked in JSON and CSV, and all regions if there are any."""
    write_regions_csv(analysis.findings, folder / "regions.csv")
    write_gaps_csv(analysis.findings, folder / "gaps.csv")
    content = analysis.measurements_json()
    assert {around["around"] for around in content["gaps"] if around["unsure"]} == expected
    regions, gaps = (list(csv.DictReader(open(folder / name, encoding="utf-8"))) for name in ("regions.csv", "gaps.csv"))
    assert {row["around"] for row in gaps if row["unsure"] == "yes"} == expected and {row["unsure"] for row in gaps} <= {"yes", "no"}
    assert {region["unsure"] for region in content["regions"]} == {bool(expected)}
    assert {row["unsure"] for row in regions} == {"yes" if expected else "no"}


def test_a_plane_that_a_person_moves_is_given_and_back_again_found(searched):
    search = FoundPlanes(searched.sources.search.planes, {})
    found = revise(searched, Change(planes=search.planes, search=search), ranges=False)
    first, *others = search.planes
    moved = type(first)(first.name, tuple(np.add(first.origin, 2.0 * np.array(first.normal))), first.normal)
    away = revise(found, Change(planes=(moved, *others)), ranges=False)
    back = revise(away, Change(planes=search.planes), ranges=False)
    assert [each.sources.planes_source for each in (found, away, back)] == ["found", "given", "found"]
    assert back.findings.to_json() == found.findings.to_json()


def test_findings_follow_a_moved_vein_as_from_the_start_and_paths_elsewhere_are_kept(searched):
    planes = {plane.name: plane for plane in searched.sources.search.planes}
    vein = planes["LIPV"]
    moved = {**planes, "LIPV": replace(vein, origin=tuple(np.add(vein.origin, 2.0 * np.array(vein.normal))))}
    before = revise(searched, Change(planes=tuple(planes.values())), ranges=False)
    paths = {each.around: each.points for each in before.findings.encirclements}
    after = revise(before, Change(planes=tuple(moved.values())), ranges=False)
    assert pack_findings(after.findings) == pack_findings(find_on_surface(replace(after, steps=StepCache())))
    kept = {each.around for each in after.findings.encirclements if each.points is paths[each.around]}
    assert {"RSPV", "RIPV", "right pair"} <= kept and not {"LIPV", "left pair"} & kept


def test_sure_planes_that_a_person_takes_away_say_nothing_any_more(searched):
    search = FoundPlanes(searched.sources.search.planes, {})
    found = revise(searched, Change(planes=search.planes, search=search), ranges=False)
    away = revise(found, Change(planes=()), ranges=False)
    assert found.findings.encirclements and away.findings.encirclements == () and away.sources.planes_source == "none"
    assert {flag.code for flag in away.flags} & {"planes_found", "planes_unsure", "no_planes"} == {"no_planes"}


def test_what_was_found_is_read_back(searched, scan):
    _, _, sources = read_description(json.loads(json.dumps(describe(searched))), scan, {})
    assert sources.search == searched.sources.search and sources.planes == searched.sources.planes


def test_nothing_is_looked_for_again_after_a_change(searched, monkeypatch):
    monkeypatch.setattr("LAScarSegLib.analysis.measured_cavity.find_planes", lambda *_: pytest.fail("looked for again"))
    eroded = searched.sources.cavity.mask
    revised = revise(searched, Change(cavity=type(eroded).of(np.pad(eroded.inside[1:], ((1, 0), (0, 0), (0, 0))), eroded.box.start, eroded.shape)), ranges=False)
    assert revised.sources.search is searched.sources.search

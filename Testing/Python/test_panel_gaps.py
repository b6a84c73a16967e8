"""Veins and gaps in the panel: found when asked for, old when the map changes, looked at by a click; found planes taken up."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from gap_cases import NARROW, with_gaps
from panel_cases import dialogs, panel, scene, wait  # noqa: F401
from vtkmodules.vtkFiltersCore import vtkMassProperties, vtkTriangleFilter

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import Change, revise
from LAScarSegLib.analysis.steps import StepCache
from LAScarSegLib.analysis.surface_findings import pack_findings
from LAScarSegLib.scene.bands import TUBE_MM
from LAScarSegLib.scene.gaps import OLDER, findings_nodes, numbered_gaps
from LAScarSegLib.scene.mrml import find_result, nodes_of_class
from LAScarSegLib.scene.plane_markups import plane_nodes, read_planes, show_found
from LAScarSegLib.session.edit_session import EditSession
from LAScarSegLib.session.gaps import OLDER as SAID_OLDER
from LAScarSegLib.session.gaps import GapFinder, planes_words
from LAScarSegLib.surface.openings import FoundPlanes


def show(panel, scene, analysis) -> EditSession:
    session = EditSession(scene, mrml.build_scene(scene, analysis, name="scan"), analysis)
    panel.setResult(session)
    return session


def cells(table) -> list[str]:
    return [table.item(row, 1).text() for row in range(table.rowCount)]


@pytest.fixture
def shown(panel, scene):
    """A result whose gaps nobody has asked for, not even of another that has the same paths."""
    return show(panel, scene, replace(with_gaps(), steps=StepCache()))


def find(panel) -> None:
    panel.ui.findGapsButton.click()
    wait(lambda: panel.ui.findGapsButton.enabled, "the gaps")


def test_without_a_result_nothing_can_be_asked_for(panel):
    assert not panel.ui.findGapsButton.enabled and not panel.ui.takeUpPlanesButton.enabled


def test_gaps_are_found_when_asked_for_and_not_before(panel, scene, shown):
    assert panel.ui.gapsTable.rowCount == 0 and shown.analysis.known_findings is None and not findings_nodes(scene, shown.nodes.volume)
    panel.ui.findGapsButton.click()
    assert not panel.ui.findGapsButton.enabled and "Looking" in panel.ui.gapsLabel.text  # beside the windows
    wait(lambda: panel.ui.findGapsButton.enabled, "the gaps")
    gaps, listed = numbered_gaps(with_gaps().findings), cells(panel.ui.gapsTable)
    assert all(any(text.startswith(f"{gap.number}: {gap.gap.length_mm:.1f} mm, {gap.gap.place}") for text in listed) for gap in gaps)
    assert panel.ui.gapsTable.rowCount == len(gaps) + len(with_gaps().findings.encirclements)
    assert panel.ui.regionsTable.rowCount == len(with_gaps().findings.regions)
    assert findings_nodes(scene, shown.nodes.volume) and panel.ui.gapsLabel.text == ""


def test_another_threshold_makes_the_tables_old_until_they_are_found_anew(panel, scene, shown):
    find(panel)
    ink = panel.ui.gapsTable.item(0, 0).foreground().color()
    panel.ui.thresholdSlider.value = shown.analysis.method.parameter + 0.2
    assert panel.ui.gapsLabel.text == SAID_OLDER
    assert panel.ui.gapsTable.rowCount and panel.ui.gapsTable.item(0, 0).foreground().color() != ink
    assert all(node.GetName().endswith(OLDER) for node in findings_nodes(scene, shown.nodes.volume))
    find(panel)
    assert panel.ui.gapsLabel.text == "" and panel.ui.gapsTable.item(0, 0).foreground().color() == ink
    assert not any(node.GetName().endswith(OLDER) for node in findings_nodes(scene, shown.nodes.volume))


def outline_of(scene):
    return find_result(scene, "vtkMRMLModelNode", "band", None)


def length_mm(node) -> float:
    """Of a tube's middle line: its surface over its circumference."""
    measure = vtkMassProperties()
    triangles = vtkTriangleFilter()
    triangles.SetInputData(node.GetPolyData())
    measure.SetInputConnection(triangles.GetOutputPort())
    return measure.GetSurfaceArea() / (2 * np.pi * TUBE_MM)


def paths(findings) -> list:
    """Without ranges, which follow when nothing else is to be done."""
    return pack_findings(findings)["encirclements"]


def found(panel) -> None:
    """Gaps of the map that is shown, with ranges or before they come."""
    wait(lambda: panel.ui.findGapsButton.enabled and not panel.ui.gapsLabel.text, "the gaps")


def test_an_edited_band_gives_its_gaps_at_once_and_is_seen_on_the_surface(panel, scene, shown):
    assert outline_of(scene) is None and panel.ui.bandOutsideBox.value == 18.0 and panel.ui.bandInsideBox.value == 5.0
    panel.ui.bandOutsideBox.value = NARROW.outside_mm
    panel.ui.bandInsideBox.value = NARROW.inside_mm
    panel.ui.bandSelector.currentIndex = panel.ui.bandSelector.findText("LSPV")
    assert panel.ui.bandOutsideBox.value == NARROW.outside_mm  # as all
    panel.ui.bandOutsideBox.value = NARROW.of("LSPV")
    found(panel)
    assert panel.analysis.settings.bands == NARROW
    narrow = revise(with_gaps(), Change(settings=replace(with_gaps().settings, bands=NARROW)), ranges=False)
    assert paths(panel.analysis.findings) == paths(narrow.findings)
    assert cells(panel.ui.gapsTable)[0].startswith(f"{narrow.findings.encirclements[0].gap_mm:.1f} mm") and panel.ui.gapsLabel.text == ""
    assert json.loads(shown.nodes.measurements.GetAttribute("LAScarSeg.settings"))["bands"] == NARROW.to_json()
    assert panel.choicesSection.choices().settings.bands == NARROW
    own = length_mm(outline_of(scene))
    panel.ui.bandSelector.currentIndex = 0
    assert panel.ui.bandOutsideBox.value == NARROW.outside_mm and length_mm(outline_of(scene)) > 1.5 * own
    panel.ui.usualBandButton.click()
    found(panel)
    assert paths(panel.analysis.findings) == paths(with_gaps().findings) and not panel.ui.usualBandButton.enabled
    panel.ui.showBandCheckBox.click()
    assert outline_of(scene) is None


def test_the_outline_of_a_band_follows_the_planes_and_is_not_saved(panel, scene, shown):
    panel.ui.showBandCheckBox.click()
    wait(lambda: outline_of(scene) is not None, "the outline")
    before = length_mm(outline_of(scene))
    assert shown.analysis.known_findings is None  # nobody asked for gaps
    assert not outline_of(scene).GetSaveWithScene()
    analysis = revise(shown.analysis, Change(planes=shown.analysis.planes[:2]), ranges=False)
    panel.editSection.rebase(analysis)
    panel.resultChanged()
    wait(lambda: outline_of(scene) is not None and length_mm(outline_of(scene)) != before, "the outline of fewer veins")
    assert length_mm(outline_of(scene)) < before
    panel.editSection.rebase(revise(analysis, Change(planes=()), ranges=False))
    panel.resultChanged()
    wait(lambda: outline_of(scene) is None, "no outline")
    assert not panel.ui.bandOutsideBox.enabled


def test_another_scheme_of_regions_is_chosen_and_its_scar_follows(panel, scene, shown):
    panel.ui.schemeSelector.currentIndex = panel.ui.schemeSelector.findText("Twelve segments (Benito et al. 2018)")
    found(panel)
    benito = revise(with_gaps(), Change(settings=replace(with_gaps().settings, regions="benito2018")), ranges=False).findings
    shown_regions = [panel.ui.regionsTable.item(row, 0).text() for row in range(panel.ui.regionsTable.rowCount)]
    assert shown_regions == [region.region for region in benito.regions] != [region.region for region in with_gaps().findings.regions]
    assert panel.choicesSection.choices().settings.regions == "benito2018" == panel.analysis.settings.regions
    assert json.loads(shown.nodes.measurements.GetAttribute("LAScarSeg.settings"))["regions"] == "benito2018"


def test_another_scans_result_brings_its_own_bands(panel, scene, shown):
    panel.ui.bandOutsideBox.value = 12.0
    analysis = with_gaps()
    narrow = revise(analysis, Change(settings=replace(analysis.settings, bands=NARROW)), ranges=False)
    other = EditSession(scene, mrml.build_scene(scene, narrow, volume_node=mrml.volume_to_node(
        narrow.volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other"))), narrow)  # fmt: skip
    panel.setResult(other)
    panel.parameterNode.inputVolume = other.nodes.volume
    assert panel.session is other and panel.ui.bandOutsideBox.value == NARROW.outside_mm and panel.analysis.settings.bands == NARROW
    panel.parameterNode.inputVolume = shown.nodes.volume
    assert panel.ui.bandOutsideBox.value == 12.0 and panel.analysis.settings.bands.outside_mm == 12.0


def test_a_row_that_is_clicked_takes_the_views_to_the_gap(panel, scene, shown):
    find(panel)
    gap = numbered_gaps(with_gaps().findings)[-1]
    row = next(n for n, text in enumerate(cells(panel.ui.gapsTable)) if text.startswith(f"{gap.number}: "))
    panel.ui.gapsTable.cellClicked.emit(row, 0)
    ras = np.array(gap.gap.point_lps) * [-1, -1, 1]
    for view in nodes_of_class(scene, "vtkMRMLSliceNode"):
        np.testing.assert_allclose([view.GetSliceToRAS().GetElement(n, 3) for n in range(3)], ras, atol=0.01)
    np.testing.assert_allclose(scene.GetSingletonNode("1", "vtkMRMLCameraNode").GetFocalPoint(), ras, atol=0.01)


def test_unsure_planes_that_were_found_are_taken_up_and_the_result_follows(panel, scene):
    session = show(panel, scene, with_gaps(find=True))
    found = session.analysis.sources.search
    assert found.unsure and session.analysis.planes == ()
    assert all(why.split(".")[0] in panel.ui.foundPlanesLabel.text.replace("&#x27;", "'") for why in found.unsure.values())
    panel.ui.takeUpPlanesButton.click()
    wait(lambda: bool(panel.analysis.planes), "the planes")
    assert {plane.name for plane in read_planes(scene, session.nodes.volume)} == {plane.name for plane in found.planes}
    assert panel.analysis.sources.planes_source == "given" and panel.analysis.headline.number.key == "scar_area_pct_wall"
    assert not panel.ui.takeUpPlanesButton.enabled and panel.ui.foundPlanesLabel.text == ""


def test_sure_planes_that_a_person_takes_away_are_not_said_to_wait_for_a_look():
    search = FoundPlanes(with_gaps().planes, {})
    found = revise(with_gaps(), Change(search=search), ranges=False)
    away = revise(found, Change(planes=()), ranges=False)
    assert (found.sources.planes_source, away.sources.planes_source) == ("found", "none")
    (said,) = planes_words(away)
    assert "LSPV" in said and "not in use" in said and "looked" not in said
    assert "before you have looked at them" in planes_words(with_gaps(find=True))[0]


def test_ranges_that_come_after_the_gaps_are_followed(scene):
    quick = replace(with_gaps())
    session = EditSession(scene, mrml.build_scene(scene, quick), quick)
    finder = GapFinder(session)
    look(finder)
    assert session.analysis.known_findings is not None and not finder.older
    full = revise(quick, Change(), ranges=True)
    session.rebase(full)
    assert finder.older and session.analysis.known_findings is None
    wait(lambda: not finder.poll().busy, "the ranges")
    assert not finder.older and session.analysis.known_findings.gap_ranges
    assert session.analysis.measurements_json()["gaps"] == full.measurements_json()["gaps"]


def test_gaps_of_another_map_are_not_followed_by_its_ranges(scene):
    quick = replace(with_gaps())
    session = EditSession(scene, mrml.build_scene(scene, quick), quick)
    finder = GapFinder(session)
    look(finder)
    session.rebase(revise(quick, Change(scar=quick.sources.scar.with_threshold(1.3)), ranges=True))
    wait(lambda: not finder.poll().busy, "nothing")
    assert finder.older and session.analysis.known_findings is None


def test_gaps_found_while_the_ranges_came_have_them_in_the_end(scene):
    quick = replace(with_gaps())
    session = EditSession(scene, mrml.build_scene(scene, quick), quick)
    finder = GapFinder(session)
    finder.find()
    session.rebase(revise(quick, Change(), ranges=True))
    wait(lambda: not finder.poll().busy, "the gaps and their ranges")
    assert not finder.older and session.analysis.known_findings.gap_ranges


def look(finder: GapFinder) -> None:
    finder.find()
    wait(lambda: not finder.poll().busy, "the gaps")


def test_planes_that_the_program_found_can_be_moved_and_are_looked_for_anew_until_then(panel, scene):
    """Found for sure, as Apply leaves them."""
    analysis = with_gaps()
    session = show(panel, scene, analysis)
    volume = session.nodes.volume
    panel.parameterNode.inputVolume = volume
    show_found(scene, volume, analysis.planes)
    panel.planesSection.parametersChanged()
    assert panel.ui.planesLabel.text.startswith("Found by the program") and panel.planesSection.nodeIds() == ()
    moved = plane_nodes(scene, volume)[0]
    moved.SetOriginWorld(*(np.array(moved.GetOriginWorld()) + [0, 0, 1]))
    panel.planesSection.parametersChanged()
    assert panel.ui.planesLabel.text.startswith("What lies beyond") and len(panel.planesSection.nodeIds()) == len(analysis.planes)
    show_found(scene, volume, analysis.planes[:1])
    assert [plane.name for plane in read_planes(scene, volume)] == [analysis.planes[0].name]

"""Veins and gaps in the panel: found when asked for, old when the map changes, looked at by a click; found planes taken up."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gap_cases import with_gaps
from panel_cases import dialogs, panel, scene, wait  # noqa: F401

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.gaps import OLDER, findings_nodes, numbered_gaps
from LAScarSegLib.scene.mrml import nodes_of_class
from LAScarSegLib.scene.plane_markups import plane_nodes, read_planes, show_found
from LAScarSegLib.session.edit_session import EditSession
from LAScarSegLib.session.gaps import OLDER as SAID_OLDER


def show(panel, scene, analysis) -> EditSession:
    session = EditSession(scene, mrml.build_scene(scene, analysis, name="scan"), analysis)
    panel.setResult(session)
    return session


def cells(table) -> list[str]:
    return [table.item(row, 1).text() for row in range(table.rowCount)]


@pytest.fixture
def shown(panel, scene):
    """A result whose gaps nobody has asked for."""
    return show(panel, scene, replace(with_gaps()))


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
    assert all(any(text.startswith(f"{gap.number}: {gap.gap.length_mm:.1f} mm, {gap.gap.region}") for text in listed) for gap in gaps)
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

"""What the panel does with views and nodes: layout, the inputs' eyes, planes placed and given up, the brush, the curve."""

# ruff: noqa: F811 (fixtures)

from __future__ import annotations

import pytest
from panel_cases import apply, dialogs, lent_worker, panel, ready, scene, show_result, wait, worker_of_all_panels  # noqa: F401

# isort: split
from LAScarSegLib.scene import layouts
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.scene.plane_markups import cut_plane

pytestmark = pytest.mark.usefixtures("lent_worker")
USERS = 4
"""The number of one of Slicer's own layouts, that the user works in (SlicerLayoutOneUp3DView)."""


@pytest.fixture
def views(scene):
    """The nodes that Slicer's application makes: who clicks where, and how the views are arranged."""
    slicer = slicer_classes()
    for kind in ("Selection", "Interaction"):
        node = getattr(slicer, f"vtkMRML{kind}Node")()
        node.SetSingletonTag("Singleton")
        scene.AddNode(node)
    layout = layouts.register_layouts(scene)
    layout.AddLayoutDescription(USERS, "<layout/>")
    layout.SetViewArrangement(USERS)
    return layout


def hidden(segmentation, segment: str) -> bool:
    return not segmentation.GetDisplayNode().GetSegmentVisibility(segment)


def test_the_first_result_gets_the_windows_once_and_the_button_gives_them_back(views, ready, scene):
    apply(ready)
    assert views.GetViewArrangement() == layouts.WORK_LAYOUT and ready.ui.layoutButton.checked
    tags = [view.GetAttribute("singletontag") for view in views_of(views.GetLayoutRootElement())]
    assert tags == ["1", "Red", "Green", "Yellow"]
    ready.ui.layoutButton.click()
    assert views.GetViewArrangement() == USERS and not ready.ui.layoutButton.checked
    apply(ready)
    assert views.GetViewArrangement() == USERS
    ready.ui.layoutButton.click()
    assert views.GetViewArrangement() == layouts.WORK_LAYOUT
    # the user takes another one: that is nobody's to give back
    views.SetViewArrangement(USERS)
    assert not ready.ui.layoutButton.checked and views.GetViewArrangement() == USERS


def views_of(element) -> list:
    """The `view` elements below an element of a layout (vtkXMLDataElement)."""
    found = []
    for number in range(element.GetNumberOfNestedElements()):
        nested = element.GetNestedElement(number)
        found += [nested] if nested.GetName() == "view" else views_of(nested)
    return found


def test_the_scar_map_is_in_the_middle_of_its_view_and_fills_it(views, ready, scene):
    import numpy as np
    from vtkmodules.util.numpy_support import vtk_to_numpy

    apply(ready)
    camera = scene.GetSingletonNode("1", "vtkMRMLCameraNode")
    camera.SetPosition(0.0, -3000.0, 0.0)
    ready.ui.layoutButton.click()
    ready.ui.layoutButton.click()
    points = vtk_to_numpy(ready.session.nodes.surface.GetPolyData().GetPoints().GetData()) - np.array(camera.GetPosition())
    # looking to anterior: right is x, up is z, away is y
    half = np.tan(np.radians(camera.GetViewAngle() / 2))
    for across in (0, 2):
        share = points[:, across] / points[:, 1] / half
        assert -1 < share.min() < -0.75 and 0.75 < share.max() < 1


def test_the_curve_joins_the_layout_when_it_is_asked_for(views, ready, scene):
    slicer = slicer_classes()
    apply(ready)
    plot = scene.AddNode(slicer.vtkMRMLPlotViewNode())
    ready.ui.showCurveButton.click()
    chart = ready.session.nodes.curve_chart
    assert views.GetViewArrangement() == layouts.WORK_LAYOUT_WITH_CURVE and plot.GetPlotChartNodeID() == chart.GetID()
    assert "PlotView1" in [view.GetAttribute("singletontag") for view in views_of(views.GetLayoutRootElement())]
    import slicer as application

    assert application.modules.plots.logic().shown == []  # Slicer's own way would take another layout
    ready.ui.layoutButton.click()
    assert views.GetViewArrangement() == USERS
    ready.ui.showCurveButton.click()
    assert application.modules.plots.logic().shown == [chart] and views.GetViewArrangement() == USERS


def test_the_segment_that_was_measured_does_not_cover_the_result(ready, scene):
    node = ready.parameterNode
    apply(ready)
    assert hidden(node.cavitySegmentation, node.cavitySegmentId)
    result = ready.session.nodes.segmentation
    assert not any(hidden(result, result.GetSegmentation().GetNthSegmentID(number)) for number in range(3))
    node.cavitySegmentation.GetDisplayNode().SetSegmentVisibility(node.cavitySegmentId, True)
    ready.resultChanged()
    assert not hidden(node.cavitySegmentation, node.cavitySegmentId)  # the user's eye has the last word
    apply(ready)
    assert hidden(node.cavitySegmentation, node.cavitySegmentId)
    ready.ui.drawCavityButton.click()
    assert not hidden(node.cavitySegmentation, node.cavitySegmentId)


def click(plane, count: int) -> None:
    for number in range(count):
        plane.AddControlPointWorld([10.0 * number, float(number**2), 0.0])


def escape(ready) -> None:
    """The key, as the window of the panel gets it."""
    from PySide6 import QtCore

    assert ready.planesSection._escape.key.matches(QtCore.Qt.Key.Key_Escape) and ready.planesSection._escape.enabled
    ready.planesSection._escape.activated.emit()


def test_while_a_plane_is_placed_the_panel_says_how(views, ready, scene):
    ready.ui.placePlaneButton.click()
    assert "click three points" in ready.ui.planesLabel.text and "0 of 3" in ready.ui.planesLabel.text
    plane = ready.planesSection.nodes()[0]
    click(plane, 1)
    assert "1 of 3" in ready.ui.planesLabel.text
    click(plane, 3)
    scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode").SwitchToViewTransformMode()
    wait(lambda: "left out" in ready.ui.planesLabel.text, "the plane")
    assert ready.planesSection.nodeIds() == (plane.GetID(),) and ready.planesSection._escape is None


def test_escape_leaves_no_empty_plane_and_no_place_mode(views, ready, scene):
    interaction = scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    ready.ui.placePlaneButton.click()
    click(ready.planesSection.nodes()[0], 1)
    assert interaction.GetCurrentInteractionMode() == interaction.Place
    escape(ready)
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and ready.planesSection._escape is None
    wait(lambda: ready.planesSection.nodes() == [], "the end of the plane")
    assert ready.ui.planesLabel.text == "" and not ready.ui.removePlaneButton.enabled


def test_a_plane_that_was_to_be_placed_anew_lies_where_it_was_after_escape(views, ready, scene):
    from LAScarSegLib.scene.plane_markups import add_plane
    from LAScarSegLib.surface.planes import CutPlane

    plane = add_plane(scene, ready.parameterNode.inputVolume, "MV", CutPlane("MV", (1.0, 2.0, 3.0), (0.0, 0.0, 1.0)))
    before = cut_plane(plane)
    ready.ui.placePlaneButton.click()
    assert not plane.GetIsPlaneValid()
    escape(ready)
    wait(plane.GetIsPlaneValid, "the plane's return")
    assert cut_plane(plane) == before
    ready.ui.placePlaneButton.click()
    ready.ui.planeSelector.currentIndex = ready.ui.planeSelector.findData("LAA")
    ready.ui.placePlaneButton.click()  # another one instead
    assert cut_plane(plane) == before and "Appendage: click" in ready.ui.planesLabel.text


def test_a_plane_that_is_removed_while_it_is_placed_ends_place_mode(views, ready, scene):
    interaction = scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    ready.ui.placePlaneButton.click()
    ready.ui.removePlaneButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform
    assert ready.planesSection.nodes() == [] and ready.planesSection._escape is None


def test_the_editor_ends_a_placement(views, ready, scene):
    interaction = scene.GetSingletonNode("Singleton", "vtkMRMLInteractionNode")
    ready.ui.placePlaneButton.click()
    ready.ui.drawCavityButton.click()
    assert interaction.GetCurrentInteractionMode() == interaction.ViewTransform and ready.planesSection._escape is None
    assert ready.editSection.editor.effect == "Paint"


def test_one_eye_shows_and_hides_the_planes_of_the_scan(views, ready, scene):
    from LAScarSegLib.scene.plane_markups import add_plane
    from LAScarSegLib.surface.planes import CutPlane

    assert not ready.ui.planesVisibleButton.enabled
    volume, other = ready.parameterNode.inputVolume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "other")
    mine = [add_plane(scene, volume, name, CutPlane(name, (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))) for name in ("MV", "LAA")]
    theirs = add_plane(scene, other, "MV", CutPlane("MV", (0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    ready.planesSection.parametersChanged()
    assert ready.ui.planesVisibleButton.enabled and ready.ui.planesVisibleButton.checked
    ready.ui.planesVisibleButton.click()
    assert [plane.GetDisplayNode().GetVisibility() for plane in (*mine, theirs)] == [0, 0, 1]
    mine[1].GetDisplayNode().SetVisibility(True)  # by its own eye in the Data module
    assert ready.ui.planesVisibleButton.checked
    assert len(ready.planesSection.nodeIds()) == 2  # hidden planes count


def test_a_cavity_is_edited_with_a_ball_and_scar_with_a_disc(ready):
    show_result(ready)
    heard = []
    ready.ui.editCavityButton.click()
    node = ready.editSection.editor.node
    node.AddObserver(node.EffectParameterModified, lambda *unused: heard.append(node.GetAttribute("BrushSphere")))
    assert node.GetAttribute("BrushSphere") == "1"
    ready.ui.editScarButton.click()
    ready.ui.editCavityButton.click()
    assert heard == ["0", "1"]

"""A whole session leaves nothing on Slicer's console, and what Slicer draws of it draws without a warning."""

from __future__ import annotations

import pytest
from scene_cases import CENTRE_LPS, RADIUS_MM, analysed

slicer = pytest.importorskip("slicer", reason="scenes need slicer-core")

from editing_cases import RIGHT, Bench, ball
from session_cases import ball_nodes
from slicer_windows import BRANCH, SEGMENT_ID, Windows, vtk_messages
from vtkmodules.util.vtkConstants import VTK_OBJECT

from LAScarSegLib import scene as mrml
from LAScarSegLib.measure.numbers import NUMBERS
from LAScarSegLib.output.rendering import check_rendering
from LAScarSegLib.scene import review
from LAScarSegLib.scene.build import remove_scene
from LAScarSegLib.scene.model import legend_of
from LAScarSegLib.scene.mrml import remove_node
from LAScarSegLib.scene.plane_markups import add_plane, plane_nodes
from LAScarSegLib.scene.segmentation import show_segment
from LAScarSegLib.scene.tables import CURVE_TITLES
from LAScarSegLib.session.edit_session import EditSession, set_threshold
from LAScarSegLib.surface.planes import CutPlane

PLANE = CutPlane("MV", tuple(CENTRE_LPS - [0, 0, 10]), (0.0, 0.0, 1.0))


@pytest.fixture(params=[False, True], ids=["heard before it has an item", "heard once it has an item"])
def windows(request):
    scene = mrml.new_scene()
    windows = Windows(scene, item_first=request.param)
    yield windows
    windows.close()


def session_in(scene) -> None:
    """Built, thresholds, strokes, a plane, other colours, built again, a plane taken away, removed."""
    analysis = analysed(with_plane=True)
    nodes = mrml.build_scene(scene, analysis)
    session = EditSession(scene, nodes, analysis)
    for value in (1.1, 1.3):
        session.rebase(set_threshold(session.nodes, session.analysis, value))
    session.nodes = review.write_scar(session.nodes, session.analysis)
    session.rebase(session.analysis)
    made = Bench(scene, session.nodes, session)
    made.draw("cavity", made.held("cavity") | ball("oblique", RIGHT * (RADIUS_MM - 2), 6.0))
    session.update(full=False)
    add_plane(scene, nodes.volume, "MV", PLANE)
    session.update(full=False)
    for scalar in review.scalars(session.analysis):
        review.show_scalar(session.nodes, session.analysis, scalar.name)
    remove_node(scene, plane_nodes(scene, nodes.volume)[0])
    session.update(full=False)
    remove_scene(scene, mrml.build_scene(scene, analysed(), volume_node=nodes.volume))


def test_a_whole_session_says_nothing_on_the_console(windows):
    with vtk_messages() as said:
        session_in(windows.scene)
    assert said == [] and windows.said == []


def apply_in(scene, into_the_drawn_one: bool = False) -> None:
    """What Apply does with the scene, pressed twice: the result built, the segment that was measured hidden, the result built anew."""
    volume, drawn, choices = ball_nodes(scene)
    for _press in range(2):
        mrml.build_scene(scene, analysed("axial"), volume_node=volume, segmentation_node=drawn if into_the_drawn_one else None)
        show_segment(drawn, choices.segment_id, False)


@pytest.mark.parametrize("into_the_drawn_one", [False, True])
def test_apply_says_nothing_on_the_console(windows, into_the_drawn_one):
    with vtk_messages() as said:
        apply_in(windows.scene, into_the_drawn_one)
    assert said == [] and windows.said == []


SPOILED = {
    "changed without an item": lambda hierarchy, item, node: hierarchy.RemoveItem(item, False, False) and restyle(node),
    "a child that is no segment": lambda hierarchy, item, node: hierarchy.CreateHierarchyItem(item, "other", BRANCH) and restyle(node),
    "a segment without an item": lambda hierarchy, item, node: without_item(hierarchy, item, node.GetSegmentation()),
}
"""How a segmentation is spoiled, for each of the three places where Slicer says that it can't find an item (see slicer_windows)."""


def restyle(node) -> None:
    display = node.GetDisplayNode()
    display.SetOpacity(display.GetOpacity() / 2)


def without_item(hierarchy, item: int, segmentation) -> None:
    """The segment goes after its item, which forgets it before."""
    child = hierarchy.GetItemByPositionUnderParent(item, 0)
    name = hierarchy.GetItemAttribute(child, SEGMENT_ID)
    hierarchy.RemoveItemAttribute(child, SEGMENT_ID)
    hierarchy.RemoveItem(child)
    segmentation.RemoveSegment(name)


@pytest.mark.parametrize("how", SPOILED)
def test_what_slicer_would_say_of_a_spoiled_segmentation_is_heard(windows, how):
    _volume, drawn, _choices = ball_nodes(windows.scene)
    hierarchy = windows.scene.GetSubjectHierarchyNode()
    SPOILED[how](hierarchy, hierarchy.GetItemByDataNode(drawn), drawn)
    assert [text for text in windows.said if text.startswith("Unable to find subject hierarchy item for segment")], windows.said


def test_a_removed_result_leaves_no_node_and_no_item(windows):
    nodes = mrml.build_scene(windows.scene, analysed(with_plane=True))
    remove_scene(windows.scene, nodes)
    for name in ("Segmentation", "Model", "ScalarVolume", "Table", "PlotChart", "Display", "Storage"):
        assert windows.scene.GetFirstNodeByClass(f"vtkMRML{name}Node") is None, name
    from vtkmodules.vtkCommonCore import vtkIdList

    hierarchy, items = windows.scene.GetSubjectHierarchyNode(), vtkIdList()
    hierarchy.GetItemChildren(hierarchy.GetSceneItemID(), items, True)
    assert [hierarchy.GetItemName(items.GetId(number)) for number in range(items.GetNumberOfIds())] == []


def test_no_title_says_what_was_left_out_in_brackets():
    """Of "the LA wall proper (beyond the planes left out)" nobody knows what was left out of what."""
    titles = [*CURVE_TITLES.values(), *(number.label for number in NUMBERS)]
    assert len(titles) > 20 and [title for title in titles if "left out" in title or "proper" in title] == []


needs_drawing = pytest.mark.skipif(check_rendering() is not None, reason=str(check_rendering()))


@needs_drawing
def test_every_series_of_the_curve_is_drawn_without_an_error_and_says_what_it_is():
    """As qMRMLPlotView draws them: a vtkPlotLine each, whose name the chart's legend shows."""
    from vtkmodules.vtkChartsCore import vtkChartXY, vtkPlotLine
    from vtkmodules.vtkRenderingContext2D import vtkPen
    from vtkmodules.vtkViewsContext2D import vtkContextView

    scene = mrml.new_scene()
    chart_node = mrml.build_scene(scene, analysed()).curve_chart
    view, chart = vtkContextView(), vtkChartXY()
    view.GetRenderWindow().SetOffScreenRendering(True)
    view.GetScene().AddItem(chart)
    names, told = [], set()
    for number in range(chart_node.GetNumberOfPlotSeriesNodes()):
        series = chart_node.GetNthPlotSeriesNode(number)
        names.append(series.GetName())
        points = series.GetTableNode().GetTable().GetColumnByName(series.GetLabelColumnName() or "")
        told |= {points.GetValue(n) for n in range(points.GetNumberOfValues())} if points else set()
        plot = vtkPlotLine()
        plot.SetInputData(series.GetTableNode().GetTable(), series.GetXColumnName(), series.GetYColumnName())
        plot.GetPen().SetLineType(vtkPen.NO_PEN if series.GetLineStyle() == series.LineStyleNone else vtkPen.SOLID_LINE)
        chart.AddPlot(plot)
    with vtk_messages() as said:
        view.GetRenderWindow().Render()
    assert said == []
    assert {"IIR 0.86", "IIR 1.61", "this result"} <= told  # under the mouse
    assert any("IIR 0.86 … IIR 1.61" in name for name in names) and any("mean + 2 SD … mean + 4 SD" in name for name in names)


def drawn_labels(legend, display) -> list[str]:
    """What Slicer's own legend says (vtkSlicerScalarBarActor), set as vtkMRMLColorLegendDisplayableManager::UpdateActor sets it."""
    from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow

    colours = display.GetColorNode()
    actor, table = slicer.vtkSlicerScalarBarActor(), colours.CreateLookupTableCopy()
    table.SetTableRange(display.GetScalarRange())
    named = legend.GetUseColorNamesForLabels()
    defined = [entry for entry in range(colours.GetNumberOfColors()) if colours.GetColorDefined(entry)]
    if named:
        table.SetNumberOfTableValues(len(defined))
        for number, entry in enumerate(defined):
            table.SetAnnotation(number, colours.GetColorName(entry))
    actor.SetLookupTable(table)
    actor.SetLabelFormat(legend.GetLabelFormat())
    actor.SetNumberOfLabels(len(defined) if named else legend.GetNumberOfLabels())
    actor.SetUseAnnotationAsLabel(named)
    actor.SetCenterLabel(named)
    renderer, window = vtkRenderer(), vtkRenderWindow()
    window.SetOffScreenRendering(True)
    window.AddRenderer(renderer)
    renderer.AddViewProp(actor)
    window.Render()
    return [colours.GetColorName(entry) for entry in defined] if named else []


@needs_drawing
def test_a_legend_shows_numbers_where_there_are_numbers_and_names_where_there_are_names():
    analysis = analysed(with_plane=True)
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysis)
    legend, display = legend_of(nodes.surface), nodes.surface.GetDisplayNode()
    shown = {}
    for scalar in review.scalars(analysis):
        review.show_scalar(nodes, analysis, scalar.name)
        with vtk_messages() as said:
            shown[scalar.name] = drawn_labels(legend, display)
        assert said == [], scalar.name
    classes = ["no scar found", "scar", "not measured"]
    assert shown == {"ScarClass": classes, "Scar": classes[:2], "IIR": [], "LGE": [], "Region": ["left out", "LA body"]}


def test_the_regions_in_the_legend_follow_the_planes_and_have_room():
    analysis = analysed(with_plane=True)
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysis)
    review.show_scalar(nodes, analysis, "Region")
    legend, table = legend_of(nodes.surface), nodes.surface.GetDisplayNode().GetColorNode()

    def listed() -> list[str]:
        return [table.GetColorName(entry) for entry in range(table.GetNumberOfColors()) if table.GetColorDefined(entry)]

    with_two = legend.GetSize()[1]
    assert listed() == ["left out", "LA body"]
    mrml.build_scene(scene, analysed(), volume_node=nodes.volume)
    assert listed() == ["LA body"] and legend.GetSize()[1] < with_two


def test_a_legend_is_dark_on_a_light_ground_of_its_own():
    scene = mrml.new_scene()
    legend = legend_of(mrml.build_scene(scene, analysed()).surface)
    for text in (legend.GetLabelTextProperty(), legend.GetTitleTextProperty()):
        assert max(text.GetColor()) < 0.3 and min(text.GetBackgroundColor()) > 0.9 and text.GetBackgroundOpacity() > 0.5


def test_the_subject_hierarchy_meets_a_whole_segmentation(windows):
    """Segments that join one by one make an item each, and Slicer asks after it before it has its name."""
    added = []

    def watch(caller, event, node) -> None:
        if node.IsA("vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            added.append(segmentation.GetNumberOfSegments())
            segmentation.AddObserver(segmentation.SegmentAdded, lambda *unused: added.append("later"))

    watch.CallDataType = VTK_OBJECT
    windows.scene.AddObserver(windows.scene.NodeAddedEvent, watch)
    mrml.build_scene(windows.scene, analysed())
    assert added == [3]

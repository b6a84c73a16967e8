"""The layouts for the work: a large scar map beside three slices, with the threshold curve or without; and the way back.

Slicer registers them when it starts, so nothing else is imported here.
"""

from typing import Any

from .mrml import nodes_of_class

SLICE_VIEWS = (
    ("Red", "Axial", (243, 74, 51)),
    ("Green", "Coronal", (110, 176, 75)),
    ("Yellow", "Sagittal", (237, 213, 76)),
)
"""Singleton tag, orientation and colour of the slice views of Slicer's conventional layout (vtkMRMLLayoutLogic)."""
WORK_LAYOUT, WORK_LAYOUT_WITH_CURVE = 5121, 5122
"""Numbers of our own layouts, beyond Slicer's (vtkMRMLLayoutNode::SlicerLayout)."""
LAYOUT_BEFORE = "LAScarSeg.layout_before"
"""Attribute of the layout node: the layout that the user had."""
_SLICE = """<item><view class="vtkMRMLSliceNode" singletontag="{}"><property name="orientation" action="default">{}</property>
<property name="viewlabel" action="default">{}</property><property name="viewcolor" action="default">{}</property></view></item>"""
_THREE_D = """<view class="vtkMRMLViewNode" singletontag="1"><property name="viewlabel" action="default">1</property></view>"""
_CURVE = """<view class="vtkMRMLPlotViewNode" singletontag="PlotView1"><property name="viewlabel" action="default">P</property></view>"""
_MAP_AND_CURVE = f"""<layout type="vertical" split="true"><item splitSize="650">{_THREE_D}</item><item splitSize="350">{_CURVE}</item>
</layout>"""
_WORK = """<layout type="horizontal" split="true"><item splitSize="650">{}</item><item splitSize="350"><layout type="vertical">{}</layout>
</item></layout>"""


def register_layouts(scene: Any) -> Any:
    """Make our layouts known to the scene's layout node, before a scene is read that was saved in one; returns the node."""
    node, _ = singleton(scene, "vtkMRMLLayoutNode", "vtkMRMLLayoutNode")
    slices = "".join(
        _SLICE.format(tag, orientation, tag[0], "#{:02X}{:02X}{:02X}".format(*colour)) for tag, orientation, colour in SLICE_VIEWS
    )
    for number, left in ((WORK_LAYOUT, _THREE_D), (WORK_LAYOUT_WITH_CURVE, _MAP_AND_CURVE)):
        node.AddLayoutDescription(number, _WORK.format(left, slices))
    return node


def in_work_layout(scene: Any) -> bool:
    """Whether the windows are arranged by one of our layouts."""
    return register_layouts(scene).GetViewArrangement() in (WORK_LAYOUT, WORK_LAYOUT_WITH_CURVE)


def show_work_layout(scene: Any, with_curve: bool = False) -> None:
    """A large 3-D view beside three slices, and the threshold curve if asked for; the layout there was is remembered."""
    node = register_layouts(scene)
    if not in_work_layout(scene):
        node.SetAttribute(LAYOUT_BEFORE, str(node.GetViewArrangement()))
    node.SetViewArrangement(WORK_LAYOUT_WITH_CURVE if with_curve else WORK_LAYOUT)


def restore_layout(scene: Any) -> None:
    """Back to the layout that the user had before ours; Slicer's conventional one where nobody knows."""
    node = register_layouts(scene)
    before = int(node.GetAttribute(LAYOUT_BEFORE) or 0)
    known = before > 0 and node.IsLayoutDescription(before)
    node.SetViewArrangement(before if known else node.SlicerLayoutConventionalView)
    node.RemoveAttribute(LAYOUT_BEFORE)


def show_curve(scene: Any, chart: Any) -> bool:
    """Show the threshold curve (a plot chart node) in our layout; False, and nothing is done, in another one."""
    if not in_work_layout(scene):
        return False
    show_work_layout(scene, with_curve=True)
    selection, _ = singleton(scene, "vtkMRMLSelectionNode", "Singleton")
    selection.SetActivePlotChartID(chart.GetID())
    for view in nodes_of_class(scene, "vtkMRMLPlotViewNode"):
        view.SetPlotChartNodeID(chart.GetID())
    return True


def singleton(scene: Any, class_name: str, tag: str) -> tuple[Any, bool]:
    """The one node of that class and tag, as views find theirs; True when it had to be made."""
    node = scene.GetSingletonNode(tag, class_name)
    if node is not None:
        return node, False
    node = scene.CreateNodeByClass(class_name)  # unlike the constructor, gives the scene's defaults (orientation presets)
    node.UnRegister(None)
    node.SetSingletonTag(tag)
    node.SetName(tag)
    return scene.AddNode(node), True

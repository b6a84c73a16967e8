"""What Slicer's windows do with nodes that come and go, on real MRML: the Data module's logic, and the subject hierarchy's plugins.

The logic is Slicer's own (slicer-core has it). The plugins are Qt and are not in slicer-core: what they do and say here follows
qSlicerSubjectHierarchyPluginLogic and qSlicerSubjectHierarchySegmentationsPlugin.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
from vtkmodules.util.vtkConstants import VTK_LONG, VTK_OBJECT, VTK_STRING
from vtkmodules.vtkCommonCore import vtkIdList, vtkOutputWindow, vtkStringOutputWindow

SEGMENT_ID = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
BRANCH = slicer.vtkMRMLSubjectHierarchyConstants.GetSubjectHierarchyVirtualBranchAttributeName()
OWNED = (
    "vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLModelNode", "vtkMRMLTableNode", "vtkMRMLPlotChartNode",
    "vtkMRMLMarkupsNode",
)  # fmt: skip


@contextmanager
def vtk_messages() -> Iterator[list[str]]:
    """What VTK and MRML print meanwhile; filled at the end."""
    before, window, said = vtkOutputWindow.GetInstance(), vtkStringOutputWindow(), []
    vtkOutputWindow.SetInstance(window)
    try:
        yield said
    finally:
        vtkOutputWindow.SetInstance(before)
        said += [line for line in window.GetOutput().splitlines() if line.strip() and "bad X server connection" not in line]


class Windows:
    """Watches a scene as Slicer's main window does; `said` is what would be on the console."""

    def __init__(self, scene: Any) -> None:
        self.scene, self.said = scene, []
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)
        self._logic = slicer.vtkSlicerDataModuleLogic()
        self._logic.SetMRMLScene(scene)
        self._tags = []
        self._removing = False
        hierarchy = self._hierarchy
        self._observe(hierarchy, hierarchy.SubjectHierarchyItemAboutToBeRemovedEvent, self._item_going, VTK_LONG)
        self._observe(scene, scene.NodeAddedEvent, self._added, VTK_OBJECT)
        self._observe(scene, scene.NodeAboutToBeRemovedEvent, self._going, VTK_OBJECT)

    def close(self) -> None:
        self._logic.SetMRMLScene(None)
        for what, tag in self._tags:
            what.RemoveObserver(tag)

    def _observe(self, what: Any, event: Any, function: Any, kind: Any) -> None:
        def handler(caller: Any, event: Any, data: Any = None) -> None:
            function(data)

        handler.CallDataType = kind
        self._tags.append((what, what.AddObserver(event, handler)))

    @property
    def _hierarchy(self) -> Any:
        return self.scene.GetSubjectHierarchyNode()

    def _added(self, node: Any) -> None:
        if node.GetHideFromEditors() or not any(node.IsA(name) for name in OWNED):
            return
        if node.IsA("vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            self._observe(node, segmentation.SegmentAdded, lambda segment: self._segment_added(node, segment), VTK_STRING)
            self._observe(node, segmentation.SegmentRemoved, lambda segment: self._segment_removed(node, segment), VTK_STRING)
            self._observe(node, segmentation.SegmentModified, lambda segment: self._item(node), VTK_STRING)
            self._observe(node, node.DisplayModifiedEvent, lambda unused: self._all_segments(node), VTK_OBJECT)
        item = self._hierarchy.CreateItem(self._hierarchy.GetSceneItemID(), node)
        if node.IsA("vtkMRMLSegmentationNode"):
            self._hierarchy.SetItemAttribute(item, BRANCH, "1")
            self._all_segments(node)

    def _going(self, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode") or self.scene.IsClosing():
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
        if hierarchy is None:
            self.said.append("Failed to access subject hierarchy node")
        elif item := hierarchy.GetItemByDataNode(node):
            hierarchy.RemoveItem(item, False, False)

    def _item_going(self, item: int) -> None:
        """The item of a segment takes its segment along."""
        name = self._hierarchy.GetItemAttribute(item, SEGMENT_ID) if self._hierarchy.HasItemAttribute(item, SEGMENT_ID) else ""
        node = self._hierarchy.GetItemDataNode(self._hierarchy.GetItemParent(item)) if name else None
        if node is not None and node.GetSegmentation().GetSegment(name) is not None:
            self._removing = True
            node.GetSegmentation().RemoveSegment(name)
            self._removing = False

    def _item(self, node: Any) -> int:
        item = self._hierarchy.GetItemByDataNode(node)
        if not item:
            self.said.append(f"Unable to find subject hierarchy item for segmentation node {node.GetName()}")
        return item

    def _children(self, item: int) -> list[tuple[int, str]]:
        found = vtkIdList()
        self._hierarchy.GetItemChildren(item, found)
        items = [found.GetId(number) for number in range(found.GetNumberOfIds())]
        return [(child, self._hierarchy.GetItemAttribute(child, SEGMENT_ID)) for child in items]

    def _segment_added(self, node: Any, segment: str | None) -> None:
        item = self._item(node)
        if not segment:  # events that were held back lose what they carry
            self._all_segments(node)
            return
        if item and segment not in [name for _, name in self._children(item)]:
            child = self._hierarchy.CreateHierarchyItem(item, node.GetSegmentation().GetSegment(segment).GetName(), BRANCH)
            self._hierarchy.SetItemAttribute(child, SEGMENT_ID, segment)

    def _segment_removed(self, node: Any, segment: str | None) -> None:
        if self._removing:
            return
        item = self._item(node)
        if segment is None:
            self._all_segments(node)
            return
        children = [child for child, name in self._children(item) if name and name == segment] if item else []
        if item and not children:
            self.said.append(f"Unable to find subject hierarchy item for segment {segment} in segmentation {node.GetName()}")
        for child in children:
            self._hierarchy.RemoveItem(child)

    def _all_segments(self, node: Any) -> None:
        item, segmentation = self._item(node), node.GetSegmentation()
        if not item:
            return
        missing = [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]
        for _, name in self._children(item):
            if segmentation.GetSegment(name) is None:
                self._segment_removed(node, name)
            elif name in missing:
                missing.remove(name)
        for name in missing:
            self._segment_added(node, name)

"""What Slicer's windows do with nodes that come and go, on real MRML: the Data module's logic, and the subject hierarchy's plugins.

The logic is Slicer's own (slicer-core has it). The plugins and the tree's model are Qt and are not in slicer-core: what they do and say
here follows Slicer 5.12.3: qSlicerSubjectHierarchyPluginLogic, qSlicerSubjectHierarchyPluginHandler, qMRMLSubjectHierarchyModel,
qSlicerSegmentationsModule, qSlicerSubjectHierarchySegmentationsPlugin and …SegmentsPlugin.

"Unable to find subject hierarchy item …" has three sources there, all in …SegmentationsPlugin:
- onSegmentRemoved, for a segment that has no item (any more), or for a child of the segmentation's item that does not say its segment;
- onSegmentModified, when a segment changes while its segmentation has no item: not yet, or because it was taken out;
- updateAllSegmentsFromMRML, when the segmentation's display changes, or an event comes without its segment, meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import slicer
from vtkmodules.util.vtkConstants import VTK_LONG, VTK_OBJECT, VTK_STRING
from vtkmodules.vtkCommonCore import vtkIdList, vtkOutputWindow, vtkStringOutputWindow

CONSTANTS = slicer.vtkMRMLSubjectHierarchyConstants
SEGMENT_ID = slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName()
BRANCH, LEVEL = CONSTANTS.GetSubjectHierarchyVirtualBranchAttributeName(), CONSTANTS.GetSubjectHierarchyLevelAttributeName()
OWNED = {
    "vtkMRMLScalarVolumeNode": "Volumes",
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLModelNode": "Models",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Plots",
    "vtkMRMLMarkupsNode": "Markups",
}
COLOUR_STEPS, COLOUR_TOLERANCE = 65535, 1e-6
"""What QColor keeps of a channel, and what setDisplayColor calls another colour."""


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
    """Watches a scene as Slicer's main window does; `said` is what would be on the console.

    Of a new node both the Segmentations module (which from then on hears its segments) and the subject hierarchy (which makes its item)
    are told; `item_first` is which of them comes first: VTK asks the very first observer of an object last.
    """

    def __init__(self, scene: Any, item_first: bool = False) -> None:
        self.scene, self.said = scene, []
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(scene)  # before the Data module's logic looks for it
        self._logic = slicer.vtkSlicerDataModuleLogic()
        self._logic.SetMRMLScene(scene)
        self._tags, self._rows = [], set()
        self._removing = False
        self._watch_hierarchy()
        for told in (self._make_item, self._hear_segments)[:: 1 if item_first else -1]:
            self._observe(scene, scene.NodeAddedEvent, told, VTK_OBJECT)
        self._observe(scene, scene.NodeAboutToBeRemovedEvent, self._going, VTK_OBJECT)
        self._observe(scene, scene.EndCloseEvent, lambda unused: self._watch_hierarchy(), VTK_OBJECT)

    def _watch_hierarchy(self) -> None:
        """The hierarchy goes with a scene that is closed; another takes its place."""
        slicer.vtkMRMLSubjectHierarchyNode.ResolveSubjectHierarchy(self.scene)
        hierarchy = self._hierarchy
        self._rows.clear()
        for event in (hierarchy.SubjectHierarchyItemAddedEvent, hierarchy.SubjectHierarchyItemOwnerPluginSearchRequested):
            self._observe(hierarchy, event, self._own, VTK_LONG)
        self._observe(hierarchy, hierarchy.SubjectHierarchyItemAddedEvent, self._row_added, VTK_LONG)
        for event in (hierarchy.SubjectHierarchyItemModifiedEvent, hierarchy.SubjectHierarchyItemReparentedEvent):
            self._observe(hierarchy, event, self._row_changed, VTK_LONG)
        self._observe(hierarchy, hierarchy.SubjectHierarchyItemDisplayModifiedEvent, self._rows_changed, VTK_LONG)
        self._observe(hierarchy, hierarchy.SubjectHierarchyItemAboutToBeRemovedEvent, self._item_going, VTK_LONG)

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

    # The subject hierarchy: an item for each node, and a plugin that owns it

    def _make_item(self, node: Any) -> None:
        if self.scene.IsImporting() or node.GetHideFromEditors() or not any(node.IsA(name) for name in OWNED):
            return
        self._hierarchy.CreateItem(self._hierarchy.GetSceneItemID(), node)
        if node.IsA("vtkMRMLSegmentationNode"):
            self._all_segments(node)

    def _going(self, node: Any) -> None:
        if node.IsA("vtkMRMLSubjectHierarchyNode") or self.scene.IsClosing():
            return
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
        if hierarchy is None:
            self.said.append("Failed to access subject hierarchy node")
        elif item := hierarchy.GetItemByDataNode(node):
            hierarchy.RemoveItem(item, False, False)

    def _own(self, item: int) -> None:
        """An item is owned as soon as it is there: the item of a segment by no plugin in particular until it says its segment."""
        node = self._hierarchy.GetItemDataNode(item)
        owner = next((plugin for name, plugin in OWNED.items() if node is not None and node.IsA(name)), "Default")
        if owner == "Segmentations":
            self._hierarchy.SetItemAttribute(item, BRANCH, "1")
        elif self._segment_of(item):
            owner = "Segments"
        elif self._hierarchy.GetItemAttribute(item, LEVEL) == CONSTANTS.GetSubjectHierarchyLevelFolder():
            owner = "Folder"
        self._hierarchy.SetItemOwnerPluginName(item, owner)

    # The tree's model: reads an item anew at each change, and gives a segment back the colour and the names that it has read

    def _row_added(self, item: int) -> None:
        self._rows.add(item)
        self._read(item)

    def _row_changed(self, item: int) -> None:
        segment = self._read(item) if item in self._rows else None
        if segment is None:
            return
        colour = segment.GetColor()
        kept = [round(channel * COLOUR_STEPS) / COLOUR_STEPS for channel in colour]
        segment.SetTerminology(segment.GetTerminology())
        segment.SetName(segment.GetName())
        if any(abs(is_now - was) > COLOUR_TOLERANCE for is_now, was in zip(kept, colour)):
            segment.SetColor(*kept)
            self._hierarchy.ItemModified(item)

    def _rows_changed(self, item: int) -> None:
        for changed in (item, *(child for child, _ in self._children(item))):
            self._row_changed(changed)

    def _read(self, item: int) -> Any:
        """The segment of an item that is one: tooltip, colour and eye ask for it (qSlicerSubjectHierarchySegmentsPlugin)."""
        hierarchy, logic = self._hierarchy, slicer.vtkSlicerSegmentationsModuleLogic
        if hierarchy.GetItemOwnerPluginName(item) != "Segments" or self.scene.IsImporting():
            return None
        node = logic.GetSegmentationNodeForSegmentSubjectHierarchyItem(item, self.scene)
        segment = logic.GetSegmentForSegmentSubjectHierarchyItem(item, self.scene)
        if segment is None:
            self.said.append(f"Unable to get segment for segment subject hierarchy item {hierarchy.GetItemName(item)}")
        elif node.GetDisplayNode() is not None:
            node.GetDisplayNode().GetSegmentVisibility(self._segment_of(item))
        return segment

    def _item_going(self, item: int) -> None:
        """The item of a segment takes its segment along."""
        self._rows.discard(item)
        name = self._segment_of(item)
        node = self._hierarchy.GetItemDataNode(self._hierarchy.GetItemParent(item)) if name else None
        if node is not None and node.GetSegmentation().GetSegment(name) is not None:
            self._removing = True
            node.GetSegmentation().RemoveSegment(name)
            self._removing = False

    # The plugin of segmentations: an item for each segment

    def _hear_segments(self, node: Any) -> None:
        if node.IsA("vtkMRMLSegmentationNode"):
            segmentation = node.GetSegmentation()
            self._observe(node, segmentation.SegmentAdded, lambda segment: self._segment_added(node, segment), VTK_STRING)
            self._observe(node, segmentation.SegmentRemoved, lambda segment: self._segment_removed(node, segment), VTK_STRING)
            self._observe(node, segmentation.SegmentModified, lambda segment: self._segment_modified(node, segment), VTK_STRING)
            self._observe(node, node.DisplayModifiedEvent, lambda unused: self._all_segments(node), VTK_OBJECT)

    def _item(self, node: Any, otherwise: str = "Unable to find subject hierarchy item") -> int:
        item = self._hierarchy.GetItemByDataNode(node)
        if not item:
            self.said.append(f"{otherwise} for segmentation node {node.GetName()}")
        return item

    def _segment_of(self, item: int) -> str:
        return self._hierarchy.GetItemAttribute(item, SEGMENT_ID) if self._hierarchy.HasItemAttribute(item, SEGMENT_ID) else ""

    def _children(self, item: int) -> list[tuple[int, str]]:
        found = vtkIdList()
        self._hierarchy.GetItemChildren(item, found)
        return [(found.GetId(number), self._segment_of(found.GetId(number))) for number in range(found.GetNumberOfIds())]

    def _segment_added(self, node: Any, segment: str | None) -> None:
        item = 0 if self.scene.IsImporting() else self._item(node, "Failed to access subject hierarchy item")
        if item and segment is None:  # events that were held back lose what they carry
            self._all_segments(node)
        elif item and segment not in [name for _, name in self._children(item)]:
            segmentation = node.GetSegmentation()
            place, name = segmentation.GetSegmentIndex(segment), segmentation.GetSegment(segment).GetName()
            child = self._hierarchy.CreateHierarchyItem(item, name, BRANCH, place)
            self._hierarchy.SetItemAttribute(child, SEGMENT_ID, segment)
            self._own(child)

    def _segment_removed(self, node: Any, segment: str | None) -> None:
        item = 0 if self._removing else self._item(node, "Subject hierarchy item cannot be found")
        if item and segment is None:
            self._all_segments(node)
        elif item:
            child = next((child for child, name in self._children(item) if name and name == segment), None)
            if child is None:
                self.said.append(f"Unable to find subject hierarchy item for segment {segment} in segmentation {node.GetName()}")
            else:
                self._hierarchy.RemoveItem(child)

    def _segment_modified(self, node: Any, segment: str | None) -> None:
        item = 0 if self.scene.IsImporting() else self._item(node)
        if item and segment is None:
            self._all_segments(node)
        for child in [child for child, name in self._children(item) if name == segment][:1] if item and segment else ():
            name = node.GetSegmentation().GetSegment(segment).GetName()
            if self._hierarchy.GetItemName(child) != name:
                self._hierarchy.SetItemName(child, name)
            else:
                self._hierarchy.ItemModified(child)

    def _all_segments(self, node: Any) -> None:
        item, segmentation = 0 if self.scene.IsImporting() else self._item(node), node.GetSegmentation()
        if not item:
            return
        missing = [segmentation.GetNthSegmentID(number) for number in range(segmentation.GetNumberOfSegments())]
        for _, name in self._children(item):
            if segmentation.GetSegment(name) is None:
                self._segment_removed(node, name)
                continue
            self._segment_modified(node, name)
            missing = [segment for segment in missing if segment != name]
        for name in missing:
            self._segment_added(node, name)

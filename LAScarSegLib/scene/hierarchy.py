"""Where results appear in the Data module: one folder beside the image they were computed from."""

from collections.abc import Sequence
from typing import Any

from ..errors import ProcessingError
from .mrml import ROLE, slicer_classes

OWNER_PLUGINS = {
    "vtkMRMLScalarVolumeNode": "Volumes",
    "vtkMRMLSegmentationNode": "Segmentations",
    "vtkMRMLModelNode": "Models",
    "vtkMRMLTableNode": "Tables",
    "vtkMRMLPlotChartNode": "Plots",
    "vtkMRMLMarkupsFiducialNode": "Markups",
}
"""Slicer's subject hierarchy plugins by the nodes they look after (their `m_Name` in the plugin sources).

Slicer's windows assign them; a scene that was made without windows has to, or its items come up without icon and menu.
"""
FOLDER_PLUGIN = "Folder"
FOLDER_ROLE = "results"


def arrange(scene: Any, source: Any, results: Sequence[Any]) -> None:
    """Put `results` into one folder beside the volume node `source`: in its study, if it has one.

    A folder from an earlier run is used where the user moved it.
    """
    hierarchy = slicer_classes().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy is None:
        raise ProcessingError("The scene has no subject hierarchy. Restart Slicer, or start from a new scene.")
    volume_item = _item(hierarchy, source, hierarchy.GetSceneItemID())
    folder = _folder_of(hierarchy, results) or _new_folder(hierarchy, source, hierarchy.GetItemParent(volume_item))
    for node in results:
        hierarchy.SetItemParent(_item(hierarchy, node, folder), folder)


def remove_items(scene: Any, source: Any, results: Sequence[Any]) -> None:
    """Take the folder of a result, and the items of its nodes, out of the Data module; the nodes stay in the scene."""
    hierarchy = slicer_classes().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = _folder_of(hierarchy, results)
    for item in (*map(hierarchy.GetItemByDataNode, (*results, source)), folder):
        if item:
            hierarchy.RemoveItem(item, False, False)  # neither its node nor what a user put below it


def _item(hierarchy: Any, node: Any, parent: int) -> int:
    """The node's item; made under `parent` where no window made it."""
    item = hierarchy.GetItemByDataNode(node)
    if not item:
        item = hierarchy.CreateItem(parent, node)
    if not hierarchy.GetItemOwnerPluginName(item):
        hierarchy.SetItemOwnerPluginName(item, OWNER_PLUGINS[node.GetClassName()])
    return item


def _folder_of(hierarchy: Any, results: Sequence[Any]) -> int:
    """The folder that already holds one of the results, 0 when there is none.

    Found from the results up, because node IDs change when a scene is loaded into another one.
    """
    for node in results:
        item = hierarchy.GetItemByDataNode(node)
        parent = hierarchy.GetItemParent(item) if item else 0
        if parent and hierarchy.GetItemAttribute(parent, ROLE) == FOLDER_ROLE:
            return parent
    return 0


def _new_folder(hierarchy: Any, source: Any, parent: int) -> int:
    folder = hierarchy.CreateFolderItem(parent, f"LA scar: {source.GetName()}")
    hierarchy.SetItemAttribute(folder, ROLE, FOLDER_ROLE)
    if not hierarchy.GetItemOwnerPluginName(folder):
        hierarchy.SetItemOwnerPluginName(folder, FOLDER_PLUGIN)
    return folder

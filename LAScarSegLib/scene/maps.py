"""Signed distance maps and the scar probability as volume nodes that look right when they are shown."""

from __future__ import annotations

from typing import Any

from ..analysis import SDM_CLIP_MM, Analysis
from ..volume import Volume
from .colours import distance_table
from .mrml import find_or_add, remove_result
from .volumes import volume_to_node

PROBABILITY_COLOURS = "vtkMRMLColorTableNodeFileViridis.txt"
"""Slicer's own perceptually even map; a scene without it falls back to grey."""

_SDM_WORDS = (
    "Signed distance in mm to the boundary of {what}: positive inside, negative outside, zero on the boundary; clipped to ±{clip:g} mm."
)


def add_distance_maps(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, Any]:
    """The volume nodes of the cavity's and the wall's signed distance map, on the input's grid.

    They are not put into the slice views: whoever wants to see one drops it there.
    """
    cavity = _add_distance_map(scene, "sdm_cavity", "SDM cavity (mm)", "the left-atrial cavity", analysis.sdm_cavity, source)
    wall = _add_distance_map(scene, "sdm_wall", "SDM wall (mm)", "the left-atrial wall", analysis.sdm_wall, source)
    return cavity, wall


def _add_distance_map(scene: Any, role: str, name: str, what: str, volume: Volume, source: Any) -> Any:
    node, new = find_or_add(scene, "vtkMRMLScalarVolumeNode", role, name, source)
    if new:
        _show_as(node, distance_table(scene).GetID(), 2 * SDM_CLIP_MM, 0.0)
    volume_to_node(volume, node)
    words = _SDM_WORDS.format(what=what, clip=SDM_CLIP_MM)
    node.SetDescription(words)
    node.SetAttribute("LAScarSeg.description", words)
    node.SetAttribute("LAScarSeg.unit", "mm")
    node.SetAttribute("LAScarSeg.sign", "positive inside")
    return node


def add_probability(scene: Any, analysis: Analysis, source: Any) -> Any | None:
    """The volume node of the scar probability (0…1); None, and an old one removed, when the method gives none."""
    volume = analysis.scar_probability
    if volume is None:
        remove_result(scene, "vtkMRMLScalarVolumeNode", "scar_probability", source)
        return None
    node, new = find_or_add(scene, "vtkMRMLScalarVolumeNode", "scar_probability", "Scar probability", source)
    if new:
        _show_as(node, PROBABILITY_COLOURS, 1.0, 0.5)
    volume_to_node(volume, node)
    node.SetDescription("Probability of scar, 0 to 1.")
    return node


def _show_as(node: Any, colour_node_id: str, window: float, level: float) -> None:
    """Colours and window of a node that has no voxels yet: with voxels Slicer would look for its own, a quarter of a second each."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colour_node_id)
    display.AutoWindowLevelOff()
    display.SetWindowLevel(window, level)

"""Signed distance maps and the scar probability as volume nodes that look right when they are shown."""

from dataclasses import replace
from typing import Any

import numpy as np

from ..analysis import SDM_CLIP_MM, Analysis
from ..analysis.description import probabilities_of
from ..volumes.files import COMPUTED
from ..volumes.volume import Volume
from .colours import distance_table
from .mrml import find_or_add, remove_result
from .volumes import set_node_geometry, volume_to_node, voxels_of

PROBABILITY_COLOURS = "vtkMRMLColorTableNodeFileViridis.txt"
"""Slicer's own perceptually even map; a scene without it falls back to grey."""


def add_distance_maps(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, Any]:
    """The volume nodes of the cavity's and the wall's signed distance map, on the input's grid.

    They are not put into the slice views: whoever wants to see one drops it there.
    """
    boxes = {"cavity": analysis.sdm_cavity_box, "wall": analysis.sdm_wall_box}
    cavity, wall = (_add_distance_map(scene, name, values, analysis, source) for name, values in boxes.items())
    return cavity, wall


def _add_distance_map(scene: Any, name: str, values: np.ndarray, analysis: Analysis, source: Any) -> Any:
    node, new = find_or_add(scene, "vtkMRMLScalarVolumeNode", f"sdm_{name}", f"SDM {name} (mm)", source)
    if new:
        show_distances(scene, node)
    if not _written_in_place(node, values, analysis):
        whole = Volume(values, analysis.box_geometry).expand(analysis.box, analysis.geometry, -SDM_CLIP_MM)
        volume_to_node(replace(whole, flags=(COMPUTED,)), node)
    words = (
        f"Signed distance in mm to the boundary of the left-atrial {name}: positive inside, negative outside, zero on the boundary; "
        f"clipped to ±{SDM_CLIP_MM:g} mm."
    )
    node.SetDescription(words)
    node.SetAttribute("LAScarSeg.description", words)
    node.SetAttribute("LAScarSeg.unit", "mm")
    node.SetAttribute("LAScarSeg.sign", "positive inside")
    return node


def _written_in_place(node: Any, values: np.ndarray, analysis: Analysis) -> bool:
    """Put a map into the voxels that the node has; False when these are of another size or type.

    After every stroke the windows wait for this: new voxels for the whole grid take several times as long.
    """
    image = node.GetImageData()
    if image is None or image.GetDimensions() != analysis.geometry.size or voxels_of(image).dtype != values.dtype:
        return False
    whole = voxels_of(image)
    whole[...] = -SDM_CLIP_MM
    whole[analysis.box.slices] = values
    set_node_geometry(node, analysis.geometry)
    image.GetPointData().GetScalars().Modified()
    node.Modified()
    return True


def add_probability(scene: Any, analysis: Analysis, source: Any, name: str) -> Any | None:
    """The volume node of a network's probability (0…1) of `"cavity"` or `"scar"`; None, and an old one removed, without a network.

    Only the part of the grid where the network looked: the probability is 0 elsewhere.
    """
    role, found = f"{name}_probability", probabilities_of(analysis).get(name)
    if found is None:
        remove_result(scene, "vtkMRMLScalarVolumeNode", role, source)
        return None
    node, new = find_or_add(scene, "vtkMRMLScalarVolumeNode", role, f"{name.capitalize()} probability", source)
    if new:
        _show_as(node, PROBABILITY_COLOURS, 1.0, 0.5)
    volume_to_node(Volume(found.values, analysis.geometry.crop(found.box), (COMPUTED,)), node)
    node.SetDescription(f"Probability of {name}, 0 to 1, as the model gave it.")
    return node


def show_distances(scene: Any, node: Any) -> None:
    """The colours whose black line is where the distance is zero."""
    _show_as(node, distance_table(scene).GetID(), 2 * SDM_CLIP_MM, 0.0)


def _show_as(node: Any, colour_node_id: str, window: float, level: float) -> None:
    """Colours and window of a node that has no voxels yet: with voxels Slicer would look for its own, a quarter of a second each."""
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(colour_node_id)
    display.AutoWindowLevelOff()
    display.SetWindowLevel(window, level)

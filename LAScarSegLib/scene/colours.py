"""Colours of the scene: one meaning, one colour, in slices, on the surface and in the curves. RGB in 0…1."""

from __future__ import annotations

from typing import Any

import numpy as np

from .mrml import find_or_add

RGB = tuple[float, float, float]

LEFT_ATRIUM: RGB = (203 / 255, 108 / 255, 81 / 255)
"""Slicer's colour for the left atrium (DICOM master list's recommended display colour for heart chambers)."""
# The pair of the figures in the report: blue and vermilion stay apart for all common colour-vision deficiencies
# (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/).
HEALTHY: RGB = (174 / 255, 203 / 255, 224 / 255)
SCAR: RGB = (207 / 255, 58 / 255, 18 / 255)
LEFT_OUT: RGB = (141 / 255, 141 / 255, 141 / 255)
WALL: RGB = (255 / 255, 209 / 255, 102 / 255)

INSIDE_END: RGB = (178 / 255, 24 / 255, 43 / 255)
OUTSIDE_END: RGB = (33 / 255, 102 / 255, 172 / 255)
"""Ends of ColorBrewer's diverging scheme RdBu: red inside, blue outside, white between."""
ZERO_LINE: RGB = (0.0, 0.0, 0.0)
ZERO_HALF_WIDTH_MM = 0.25
"""The boundary is drawn as a black line half a millimetre wide: the wall is 2 mm thick, a pixel 0.6 mm."""
TABLE_ENTRIES = 256


def scar_table(scene: Any) -> Any:
    """The colour node of the array `Scar`: two entries, 0 healthy and 1 scar."""
    return _table(scene, "scar_colours", "LA scar colours", np.array([HEALTHY, SCAR]), ("healthy", "scar"))


def distance_table(scene: Any) -> Any:
    """The colour node of signed distance maps: red inside, blue outside, a black line where the distance is zero."""
    from ..analysis import SDM_CLIP_MM

    distance = np.linspace(-SDM_CLIP_MM, SDM_CLIP_MM, TABLE_ENTRIES)
    share = np.abs(distance)[:, None] / SDM_CLIP_MM
    ends = np.where(distance[:, None] > 0, INSIDE_END, OUTSIDE_END)
    colours = (1 - share) + share * ends
    colours[np.abs(distance) <= ZERO_HALF_WIDTH_MM] = ZERO_LINE
    return _table(scene, "distance_colours", "Signed distance colours", colours, None)


def _table(scene: Any, role: str, name: str, colours: np.ndarray, names: tuple[str, ...] | None) -> Any:
    """A user colour table shared by all results in the scene; made once."""
    node, new = find_or_add(scene, "vtkMRMLColorTableNode", role, name, None)
    if not new:
        return node
    node.SetTypeToUser()
    node.SetNumberOfColors(len(colours))
    for entry, colour in enumerate(colours):
        node.SetColor(entry, names[entry] if names else str(entry), *map(float, colour), 1.0)
    node.GetLookupTable().SetTableRange(0, len(colours) - 1)
    # the volumes and surfaces that use it would be grey without it
    node.SetSaveWithScene(True)
    return node

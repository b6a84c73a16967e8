"""Colours of the scene: one meaning, one colour, in slices, on the surface and in the curves. RGB in 0…1."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..analysis.comparison import IN_BOTH, IN_NONE, NOT_COMPARED, ONLY_A, ONLY_B, change_names
from ..surface.surface import CLASS_BORDER, CLASS_DENSE, CLASS_NONE, CLASS_NOT_MEASURED
from .mrml import find_or_add

RGB = tuple[float, float, float]

LEFT_ATRIUM: RGB = (203 / 255, 108 / 255, 81 / 255)
"""Slicer's colour for the left atrium (DICOM master list's recommended display colour for heart chambers)."""
# The pair of the figures in the report: blue and vermilion stay apart for all common colour-vision deficiencies
# (Okabe and Ito 2008, https://jfly.uni-koeln.de/color/).
HEALTHY: RGB = (174 / 255, 203 / 255, 224 / 255)
SCAR: RGB = (207 / 255, 58 / 255, 18 / 255)
BORDER_SCAR: RGB = (242 / 255, 176 / 255, 78 / 255)
NOT_MEASURED: RGB = (63 / 255, 74 / 255, 80 / 255)
WITHHELD: RGB = (214 / 255, 205 / 255, 160 / 255)
"""A surface that must not be read: neither healthy nor scar nor left out."""
LEFT_OUT: RGB = (141 / 255, 141 / 255, 141 / 255)
PATH_IN_SCAR: RGB = (0.1, 0.1, 0.1)
PATH_IN_GAP: RGB = (0.0, 158 / 255, 115 / 255)
"""A path around a vein lies on scar, and dark is seen there; its gaps are Okabe and Ito's bluish green, apart from scar and wall."""
IN_BOTH_SCAR: RGB = (34 / 255, 69 / 255, 110 / 255)
"""Scar of two results, as in the report of a comparison; dark, so that it is told from vermilion and amber by its lightness as well."""
BAND: RGB = (117 / 255, 63 / 255, 152 / 255)
"""The outline of a band: violet, which neither scar, wall nor a path is."""
WALL: RGB = (255 / 255, 209 / 255, 102 / 255)

INSIDE_END: RGB = (178 / 255, 24 / 255, 43 / 255)
OUTSIDE_END: RGB = (33 / 255, 102 / 255, 172 / 255)
"""Ends of ColorBrewer's diverging scheme RdBu: red inside, blue outside, white between."""
ZERO_LINE: RGB = (0.0, 0.0, 0.0)
ZERO_HALF_WIDTH_MM = 0.25
"""The boundary is drawn as a black line half a millimetre wide: the wall is 2 mm thick, a pixel 0.6 mm."""
TABLE_ENTRIES = 256


RED_YELLOW_BLUE = (
    "313695", "4575b4", "74add1", "abd9e9", "e0f3f8", "ffffbf", "fee090", "fdae61", "f46d43", "d73027", "a50026",
)  # fmt: skip
"""ColorBrewer's RdYlBu from blue to red (colorbrewer2.org): the intensity ratio, as in the report's figure."""
PURPLES = ("f2f0f7", "cbc9e2", "9e9ac8", "756bb1", "54278f")
"""ColorBrewer's Purples (colorbrewer2.org): how unsure a network is, from sure to undecided."""
REGIONS: dict[int, tuple[str, RGB]] = {
    0: ("left out", LEFT_OUT), 1: ("LA body", HEALTHY), 11: ("LSPV", (0.0, 0.45, 0.70)), 12: ("LMPV", (0.20, 0.60, 0.80)),
    13: ("LIPV", (0.34, 0.71, 0.91)), 14: ("LCPV", (0.45, 0.80, 0.95)), 15: ("RSPV", (0.84, 0.37, 0.0)), 16: ("RMPV", (0.87, 0.50, 0.0)),
    17: ("RIPV", (0.90, 0.62, 0.0)), 18: ("RCPV", (0.95, 0.75, 0.20)), 19: ("LAA", (0.80, 0.47, 0.65)),
}  # fmt: skip
"""Name and colour of every value of the array `Region` (`surface.REGION_…`): left veins blue, right veins orange."""


def scar_table(scene: Any) -> Any:
    """The colour node of the array `Scar`: two entries, 0 without scar and 1 scar. No threshold shows that a wall is healthy."""
    return _table(scene, "scar_colours", "LA scar colours", np.array([HEALTHY, SCAR]), ("no scar found", "scar"))


def path_table(scene: Any) -> Any:
    """The colour node of the array `Gap` of a path around a vein: 0 in scar, 1 in a gap."""
    return _table(scene, "path_colours", "LA path colours", np.array([PATH_IN_SCAR, PATH_IN_GAP]), ("in scar", "gap"))


def class_table(scene: Any, present: Iterable[int], has_dense: bool) -> Any:
    """The colour node of the array `ScarClass`; a legend lists the classes that are `present`."""
    names = {
        CLASS_NONE: ("no scar found", HEALTHY),
        CLASS_BORDER: ("border scar", BORDER_SCAR) if has_dense else ("scar", SCAR),
        CLASS_DENSE: ("dense scar", SCAR),
        CLASS_NOT_MEASURED: ("not measured", NOT_MEASURED),
    }
    entries = [names.get(value, ("", HEALTHY)) for value in range(CLASS_NOT_MEASURED + 1)]
    role, title = ("class_colours", "LA scar class colours") if has_dense else ("known_colours", "LA scar colours, where measured")
    node = _table(scene, role, title, np.array([rgb for _, rgb in entries]), tuple(name for name, _ in entries))
    _list_present(node, entries, present)
    return node


def change_table(scene: Any, source: Any, present: Iterable[int], of_methods: bool) -> Any:
    """The colour node of the array `Change` on the result of the volume node `source`; a legend lists the values that are `present`."""
    colours = {IN_NONE: HEALTHY, IN_BOTH: IN_BOTH_SCAR, ONLY_B: SCAR, ONLY_A: BORDER_SCAR, NOT_COMPARED: LEFT_OUT}
    words = change_names(of_methods)
    entries = [(words.get(value, ""), colours.get(value, HEALTHY)) for value in range(NOT_COMPARED + 1)]
    rgb, names = np.array([colour for _, colour in entries]), tuple(name for name, _ in entries)
    node = _table(scene, "change_colours", f"{source.GetName()} LA change colours", rgb, names, source)
    _list_present(node, entries, present)
    return node


def entropy_table(scene: Any) -> Any:
    """The colour node of a network's entropy, 0 to 1 bit: pale where it is sure, dark where it can't decide."""
    node = _table(scene, "entropy_colours", "LA network entropy colours", _ramp(PURPLES), None)
    node.GetLookupTable().SetNanColor(*NOT_MEASURED, 1.0)
    return node


def distance_table(scene: Any) -> Any:
    """The colour node of signed distance maps: red inside, blue outside, a black line where the distance is zero."""
    from ..analysis import SDM_CLIP_MM

    distance = np.linspace(-SDM_CLIP_MM, SDM_CLIP_MM, TABLE_ENTRIES)
    share = np.abs(distance)[:, None] / SDM_CLIP_MM
    ends = np.where(distance[:, None] > 0, INSIDE_END, OUTSIDE_END)
    colours = (1 - share) + share * ends
    colours[np.abs(distance) <= ZERO_HALF_WIDTH_MM] = ZERO_LINE
    return _table(scene, "distance_colours", "Signed distance colours", colours, None)


def ratio_table(scene: Any) -> Any:
    """The colour node of the array `IIR`: blue below blood, red above."""
    return _table(scene, "ratio_colours", "Intensity ratio colours", _ramp(RED_YELLOW_BLUE), None)


def _ramp(codes: tuple[str, ...]) -> np.ndarray:
    """(`TABLE_ENTRIES`, 3): the colours of these codes ("rrggbb"), evenly spread, and what lies between them."""
    anchors = np.array([[int(code[n : n + 2], 16) / 255 for n in (0, 2, 4)] for code in codes])
    share = np.linspace(0, 1, TABLE_ENTRIES)
    return np.stack([np.interp(share, np.linspace(0, 1, len(anchors)), anchors[:, channel]) for channel in range(3)], axis=1)


def region_table(scene: Any, source: Any, present: Iterable[int] = ()) -> Any:
    """The colour node of the array `Region` in the result of the volume node `source`, one entry a value, named.

    A legend lists the entries that are defined: those of the regions that are `present`.
    """
    last = max(REGIONS)
    entries = [REGIONS.get(value, ("", LEFT_OUT)) for value in range(last + 1)]
    rgb, names = np.array([rgb for _, rgb in entries]), tuple(name for name, _ in entries)
    node = _table(scene, "region_colours", f"{source.GetName()} LA region colours", rgb, names, source)
    _list_present(node, entries, present)
    return node


def _list_present(node: Any, entries: Sequence[tuple[str, RGB]], present: Iterable[int]) -> None:
    """Name and colour of every value; those that are `present` are listed by a legend."""
    here = {int(value) for value in present}
    # A table that was read from a scene holds the entries that were defined then, and no more.
    node.SetNumberOfColors(len(entries))
    for value, (name, colour) in enumerate(entries):
        node.SetColor(value, name, *colour, 1.0)
        node.SetColorDefined(value, value in here)
    node.GetLookupTable().SetTableRange(0, len(entries) - 1)


def _table(scene: Any, role: str, name: str, colours: np.ndarray, names: tuple[str, ...] | None, source: Any | None = None) -> Any:
    """A user colour table, made once; without a `source` all results in the scene share it."""
    node, new = find_or_add(scene, "vtkMRMLColorTableNode", role, name, source)
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

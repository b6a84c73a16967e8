"""The openings of a left atrium found on its closed surface: veins, appendage and mitral valve, each as a plane that can be edited."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..errors import InputError
from .mitral_plane import TOWARDS_VENTRICLE, VENTRICLE_ML, find_mitral
from .ostia import NECK_MM, Ostium, at_neck, farther_out, find_ostia
from .planes import MITRAL, CutPlane, SurfaceGraph, cut_off, label_regions
from .protrusions import Cavity, fill_surface, find_branches
from .surface import REGION_LABELS, Surface

LAA = "LAA"
APPENDAGE_ANTERIOR = -0.1
"""Of half the body's depth: how far before its middle an appendage lies (ostium and half of the way to the tip). 30 LGE-MRI and 30
phantoms: appendages −0.2 and less, left superior veins 0 and more; between them it is open which one it is."""
NEITHER, CLEARLY_BEFORE = 0.1, 0.2
AT_THE_VALVE = 0.75
"""Cosine: what stands out below the middle within 41° of the valve's direction belongs to the valve; appendages lie above the middle."""
COMMON_MM2 = 300.0
"""A common trunk has a diameter of 20 mm and more, a single vein 14–17.5 (SCIENCE section 7): 19.5 mm."""
LARGEST_VEIN_MM2, SMALLEST_VEIN_MM2 = 600.0, 40.0
"""Diameters of 28 and 7 mm."""
SHORT_STUMP_MM = 5.0
HIDDEN_MM = 1.5
"""Of eleven middle veins of 36 phantoms three go on so far inside of a neighbour: their planes lie 2–3 mm too far out; of the others one does."""
ALIKE_MM = 6.0
"""Two neighbouring veins whose order (below) differs by less could be called the other way round."""
POSTERIOR_LOWERS = 0.5
"""Superior veins leave higher and more anterior: the order on a side is by z − y / 2."""
NEAR_BORDER_MM = 3.0
PIECE_ML = 0.5
"""A loose piece smaller than this is a speck."""
SMALLEST_CAVITY_ML = 5.0
MOST_CUT = 0.3
"""Of the whole surface: a plane that cuts off more is no vein's (common trunks of phantoms: 0.12)."""
RIM_RADII, RIM_MM = 2.0, 5.0
"""A rim that is farther away than twice the ostium's radius and 5 mm runs round something else, too (ovals reach 1.35 radii)."""
FARTHEST_OUT_MM, STEP_OUT_MM = 8.0, 1.0
SIDES = {"left": ("LSPV", "LMPV", "LIPV", "LCPV"), "right": ("RSPV", "RMPV", "RIPV", "RCPV")}
STUMP_CUT = "its stump is cut off by the border and may not be whole"
CUT_BY_BORDER = {MITRAL: "the valve may lie partly outside of it", LAA: "it is cut off by the border and may not be whole"}
"""What an image that ends at an opening means for one that is no vein."""
SAID = {"S": "superior", "M": "middle", "I": "inferior"}


@dataclass(frozen=True)
class FoundPlanes:
    """Planes found on a surface, and which of them, or of the missing ones, nobody should rely on.

    `unsure` says for a plane's name, or for that of a vein that wasn't found, why, in words for a clinician; what is not in it is sure.
    """

    planes: tuple[CutPlane, ...]
    unsure: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        return {"planes": [plane.to_json() for plane in self.planes], "unsure": dict(self.unsure)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FoundPlanes:
        """From what `to_json` gave."""
        return cls(tuple(map(CutPlane.from_json, data["planes"])), {str(name): str(why) for name, why in data["unsure"].items()})


def find_planes(surface: Surface, at_border: np.ndarray | None = None) -> FoundPlanes:
    """The planes of the pulmonary veins, the appendage and the mitral valve of a closed LA surface.

    The cavity's opening with a ball is the body, what it leaves are veins and appendage; each is cut where the cross-section along its
    centre line begins to spread, and named after its side, height and depth in the patient (LPS). Normals point away from the body.

    Parameters
    ----------
    surface
        closed, mm LPS, as `cavity_surface` gives it.
    at_border
        (N,) bool: vertices where the image ends, or None where nobody knows.

    Raises
    ------
    InputError
        an open surface, or one too small or too large for an atrium.
    """
    _require_closed(surface)
    largest, pieces = _largest_piece(surface)
    if largest.volume_ml < SMALLEST_CAVITY_ML:
        raise InputError(
            f"The cavity has {largest.volume_ml:.1f} mL, less than any left atrium ({SMALLEST_CAVITY_ML:g} mL): there are no veins to "
            "find. Check the mask."
        )
    cavity = fill_surface(largest)
    notes = _Notes()
    ostia = find_ostia(cavity, find_branches(cavity))
    named, ventricle = _named(cavity, ostia, notes)
    if named.keys() <= {LAA}:
        for name in (MITRAL, *named):
            notes.add(name, "no vein was found, so that this does not look like a left atrium with its veins")
        return FoundPlanes((), notes.frozen())
    mesh = SurfaceGraph.of(largest)
    planes = [plane for name in named if (plane := _cutting(mesh, cavity, name, named, notes)) is not None]
    if ventricle is None:
        mitral, doubt = find_mitral(largest, cavity)
        notes.add(MITRAL, doubt)
    else:
        mitral = CutPlane(MITRAL, tuple(ventricle.origin.tolist()), tuple(ventricle.axis.tolist()))
    planes = [*_cutting_mitral(mesh, mitral, planes, notes), *planes]
    if (handles := _handles(largest)) > 0:
        for name in (LAA, "LSPV", "LCPV"):
            if name in named:
                notes.add(name, f"parts of the mask touch and form {handles} ring{'s'[: handles > 1]}, as appendage and left superior vein often do")
    _note_borders(surface, planes, at_border, notes)
    if pieces > 1:
        for name in [plane.name for plane in planes]:
            notes.add(name, f"the cavity is in {pieces} pieces, and only the largest was looked at")
    return FoundPlanes(tuple(planes), notes.frozen())


class _Notes:
    """Collects what is unsure, several reasons for one name."""

    def __init__(self) -> None:
        self._of: dict[str, list[str]] = {}

    def add(self, name: str, why: str) -> None:
        if why and why not in self._of.get(name, []):
            self._of.setdefault(name, []).append(why)

    def add_all(self, name: str, reasons: Iterable[str]) -> None:
        for why in reasons:
            self.add(name, why)

    def frozen(self) -> dict[str, str]:
        return {name: (text := "; ".join(why))[0].upper() + text[1:] + "." for name, why in self._of.items()}


def _require_closed(surface: Surface) -> None:
    edges = np.sort(np.concatenate([surface.triangles[:, [0, 1]], surface.triangles[:, [1, 2]], surface.triangles[:, [2, 0]]]), axis=1)
    keys = edges[:, 0] * len(surface.points) + edges[:, 1]
    _, counts = np.unique(keys, return_counts=True)
    if not len(surface.triangles) or (counts != 2).any():
        raise InputError(
            f"The surface is not closed ({np.count_nonzero(counts == 1)} edges have a triangle on one side only): veins and valve "
            "are looked for in the cavity inside of it. Make the surface from the cavity's mask."
        )


def _largest_piece(surface: Surface) -> tuple[Surface, int]:
    """The largest connected part of a surface, and how many parts there are that are no specks; holes inside a cavity are none."""
    size = len(surface.points)
    ends = np.concatenate([surface.triangles[:, :2], surface.triangles[:, 1:]])
    count, label = connected_components(coo_array((np.ones(len(ends), bool), tuple(ends.T)), shape=(size, size)), directed=False)
    if count == 1:
        return surface, 1
    parts = [_part(surface, label == number) for number in range(count)]
    # A cavity inside the cavity is turned inside out: its volume is negative.
    volumes = np.array([part.volume_ml for part in parts])
    return parts[int(volumes.argmax())], max(1, int(np.count_nonzero(volumes > PIECE_ML)))


def _handles(surface: Surface) -> int:
    """Rings of a closed, connected surface, by Euler's formula: V − E + F = 2 − 2 g, with E = 3 F / 2."""
    return max(0, (2 - len(surface.points) + len(surface.triangles) // 2) // 2)


def _part(surface: Surface, which: np.ndarray) -> Surface:
    number = np.cumsum(which) - 1
    triangles = number[surface.triangles[which[surface.triangles[:, 0]]]]
    return Surface(surface.points[which], triangles, surface.normals[which])


def _named(cavity: Cavity, ostia: Sequence[Ostium], notes: _Notes) -> tuple[dict[str, Ostium], Ostium | None]:
    """The ostia by name, and that of a ventricle which the cavity leaks into; what is odd about them goes into `notes`."""
    body = cavity.lps(np.argwhere(cavity.body))
    middle, half = body.mean(axis=0), np.ptp(body, axis=0) / 2
    named: dict[str, Ostium] = {}
    ventricle = None
    sides: dict[str, list[Ostium]] = {"left": [], "right": []}
    for ostium in ostia:
        place = (ostium.origin + ostium.tip) / 2 - middle
        if place[2] < 0 and place @ TOWARDS_VENTRICLE > AT_THE_VALVE * np.linalg.norm(place):
            notes.add(
                MITRAL, f"a part of {ostium.volume_ml:.1f} mL stands out towards the ventricle: a leak through the valve, or its leaflets"
            )
            ventricle = ostium if ostium.volume_ml >= VENTRICLE_ML else ventricle
            continue
        sides["left" if place[0] > 0 else "right"].append(ostium)
    appendage = _appendage(sides["left"], middle, half, notes)
    if appendage is not None:
        named[LAA] = at_neck(cavity, appendage)
        sides["left"] = [ostium for ostium in sides["left"] if ostium is not appendage]
    for side, found in sides.items():
        named |= _named_side(side, found, middle, notes)
    return named, ventricle


def _anterior(ostium: Ostium, middle: np.ndarray, half: np.ndarray) -> float:
    """How far before (negative) or behind the middle of the body a protrusion lies, in halves of the body's depth."""
    return float((ostium.origin - middle)[1] + (ostium.tip - ostium.origin)[1] / 2) / float(half[1])


def _appendage(left: Sequence[Ostium], middle: np.ndarray, half: np.ndarray, notes: _Notes) -> Ostium | None:
    """The most anterior protrusion on the left, if it is anterior enough."""
    ordered = sorted(left, key=lambda ostium: _anterior(ostium, middle, half))
    places = [_anterior(ostium, middle, half) for ostium in ordered]
    if not ordered or places[0] > APPENDAGE_ANTERIOR + NEITHER:
        notes.add(LAA, "no appendage stands out: it is not in the mask, or so short that it goes with the body")
        return None
    if places[0] > APPENDAGE_ANTERIOR:
        notes.add(LAA, "it lies where the left superior vein could be, too")
    if len(places) > 1 and places[1] - places[0] < CLEARLY_BEFORE:
        notes.add(LAA, "two protrusions on the left are about as anterior; the more anterior one was taken for the appendage")
    return ordered[0]


def _named_side(side: str, found: Sequence[Ostium], middle: np.ndarray, notes: _Notes) -> dict[str, Ostium]:
    """The veins of a side from above to below: superior, (middle,) inferior, or one common trunk."""
    superior, mid, inferior, _ = SIDES[side]

    def height(ostium: Ostium) -> float:
        return float((ostium.origin - middle) @ [0.0, -POSTERIOR_LOWERS, 1.0])

    if len(found) > 3:
        kept = sorted(found, key=lambda ostium: -ostium.volume_ml)[:3]
        for name in (superior, mid, inferior):
            notes.add(name, f"{len(found)} protrusions were found on the {side}; the three largest were taken for veins")
        found = kept
    ordered = sorted(found, key=height, reverse=True)
    if not ordered:
        for name in (superior, inferior):
            notes.add(name, f"no vein was found on the {side}: its stump is missing in the mask, or so short that it goes with the body")
        return {}
    if len(ordered) == 1:
        return {_only(side, ordered[0], height(ordered[0]), notes): ordered[0]}
    names = (superior, inferior) if len(ordered) == 2 else (superior, mid, inferior)
    for upper, lower, name, next_name in zip(ordered, ordered[1:], names, names[1:]):
        if height(upper) - height(lower) < ALIKE_MM:
            for one, other in ((name, next_name), (next_name, name)):
                notes.add(one, f"it lies about as high as the one called {other}: the two may be the other way round")
    if len(ordered) == 3 and side == "left":
        notes.add(mid, "a third vein on the left is rare: it may be a branch, or a part of the appendage")
    return dict(zip(names, ordered))


def _only(side: str, ostium: Ostium, height: float, notes: _Notes) -> str:
    """What the only vein of a side is called."""
    superior, _, inferior, common = SIDES[side]
    if ostium.area_mm2 >= COMMON_MM2 or len(ostium.tips) > 1:
        if side == "right" or ostium.area_mm2 < COMMON_MM2:
            notes.add(common, f"only one vein was found on the {side}; it was taken for a common trunk because it " + _trunk_reason(ostium))
        return common
    name, missing = (superior, inferior) if height > 0 else (inferior, superior)
    notes.add(name, f"only one vein was found on the {side}; it is called after its height, and may be the other one or a common trunk")
    notes.add(
        missing, f"only one vein was found on the {side}: this one's stump is missing in the mask, or so short that it goes with the body"
    )
    return name


def _trunk_reason(ostium: Ostium) -> str:
    diameter = 2 * np.sqrt(ostium.area_mm2 / np.pi)
    return f"is {diameter:.0f} mm wide" if ostium.area_mm2 >= COMMON_MM2 else f"forks, though it is only {diameter:.0f} mm wide"


def _doubts(name: str, ostium: Ostium) -> Iterator[str]:
    """What is unusual about one ostium."""
    diameter = 2 * np.sqrt(ostium.area_mm2 / np.pi)
    if not ostium.settled:
        yield "it tapers all the way without a tube, so that the place of its ostium is a guess"
    if ostium.hidden_mm >= HIDDEN_MM:
        yield "it joins a wider neighbour before it reaches the body, so that its ostium may lie some millimetres deeper"
    if ostium.reach_mm + (NECK_MM if name == LAA else 0.0) < SHORT_STUMP_MM:
        yield f"only {ostium.reach_mm:.0f} mm of it are in the mask"
    if name != LAA and ostium.area_mm2 > LARGEST_VEIN_MM2:
        yield f"its ostium is {diameter:.0f} mm wide, wider than a vein's"
    if ostium.area_mm2 < SMALLEST_VEIN_MM2:
        yield f"its ostium is only {diameter:.0f} mm wide: it may be a branch, or a roughness of the mask"


def _cutting(mesh: SurfaceGraph, cavity: Cavity, name: str, named: Mapping[str, Ostium], notes: _Notes) -> CutPlane | None:
    """The plane of an ostium; where it would cut into the body or a neighbour, too, it moves out along the centre line, and where none
    does without, the one with the shortest rim is kept."""
    ostium, tree = named[name], cKDTree(mesh.surface.points)
    own = tree.query(np.array(ostium.tips))[1]
    others = tree.query(np.array([tip for other in named.values() if other is not ostium for tip in other.tips]).reshape(-1, 3))[1]
    kept: tuple[CutPlane, float, Ostium, tuple[bool, float]] | None = None
    for out_mm in np.arange(0.0, FARTHEST_OUT_MM + STEP_OUT_MM / 2, STEP_OUT_MM):
        moved = farther_out(cavity, ostium, out_mm)
        if moved is None:
            break
        plane = CutPlane(name, tuple(moved.origin.tolist()), tuple(moved.axis.tolist()))
        try:
            cut = cut_off(mesh, plane, np.zeros((0, 3)))
        except InputError:
            continue
        share = float(mesh.surface.vertex_area_mm2[cut].sum() / mesh.surface.area_mm2)
        ends = mesh.edges[cut[mesh.edges[:, 0]] != cut[mesh.edges[:, 1]]]
        rim_mm = np.linalg.norm(mesh.surface.points[ends].mean(axis=1) - moved.origin, axis=1).max(initial=0.0)
        badness = (not cut[own].all(), float(rim_mm))
        if kept is None or badness < kept[3]:
            kept = (plane, share, moved, badness)
        if share <= MOST_CUT and cut[own].all() and not cut[others].any() and rim_mm <= RIM_RADII * moved.radius_mm + RIM_MM:
            notes.add_all(name, _doubts(name, moved))
            return plane
    if kept is None or kept[1] > MOST_CUT:
        notes.add(name, "no plane was found that cuts it off and leaves the body alone")
        return None
    notes.add(name, "its plane cuts off a part of the body or of a neighbour, too")
    notes.add_all(name, _doubts(name, kept[2]))
    return kept[0]


def _cutting_mitral(mesh: SurfaceGraph, mitral: CutPlane, others: Sequence[CutPlane], notes: _Notes) -> list[CutPlane]:
    """The mitral plane where it cuts something off, which is noted if it is too much."""
    try:
        cut = cut_off(mesh, mitral, np.array([plane.origin for plane in others]).reshape(-1, 3))
    except InputError:
        notes.add(MITRAL, "the plane found there cuts nothing off")
        return []
    share = mesh.surface.vertex_area_mm2[cut].sum() / mesh.surface.area_mm2
    if share > MOST_CUT:
        notes.add(MITRAL, f"its plane cuts off {100 * share:.0f} % of the surface")
    return [mitral]


def _note_borders(surface: Surface, planes: Sequence[CutPlane], at_border: np.ndarray | None, notes: _Notes) -> None:
    """What the image's border cuts: a vein there goes on, a valve there may lie beyond, and other veins may be missing."""
    if at_border is None or not at_border.any():
        return
    region = label_regions(surface, planes)
    for plane in planes:
        cut = at_border & (region == REGION_LABELS.get(plane.name, 0))
        beside = np.linalg.norm(surface.points[at_border] - plane.origin, axis=1).min() < NEAR_BORDER_MM
        if cut.any() or beside:
            notes.add(plane.name, f"the image ends there, so that {CUT_BY_BORDER.get(plane.name, STUMP_CUT)}")
    if (at_border & (region == 1)).any():
        for name in [name for name in (MITRAL, "LSPV", "LIPV", "RSPV", "RIPV", LAA) if name not in {plane.name for plane in planes}]:
            notes.add(name, "the image's border cuts the body of the atrium: it may lie outside of the image")

"""Exclusion planes: the mitral plane and the cut planes of veins and appendage, read from files and put to the surface."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import ConvexHull

from ..errors import InputError
from ..support.flags import QualityFlag
from ..support.json_text import parse_json
from ..support.printable import printable
from .mesh_holes import CUT_ALREADY, holes_of, named_hole, one_way_edges
from .opening_rim import around_opening
from .surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface

MITRAL = "MV"
PLANE_NAMES = (MITRAL, *REGION_LABELS)
"""What a plane may be called: the mitral valve, the veins, the appendage."""
LEFT_NAMES, RIGHT_NAMES = ("LSPV", "LMPV", "LIPV", "LCPV"), ("RSPV", "RMPV", "RIPV", "RCPV")
"""The veins of each side; x of LPS points to the patient's left."""
FARTHEST_MM = 1e6
"""From the scanner's origin: a coordinate beyond a kilometre is a mistake, and its square would overflow."""
LONGEST_SHOWN = 100
LARGEST_FILE_BYTES = 1 << 20
"""A Plane markup of Slicer has 4 kB; ten of them, each with its display, stay far below 1 MiB."""
MAX_ORIGIN_MM = 40.0
"""A plane's origin lies in the opening it cuts, at most 20 mm from its rim (mitral annulus 30–38 mm wide, SCIENCE section 7)."""
LID_MM, LID_COSINE = 2.0, 0.7
"""A cavity mask often ends flat at the mitral plane: surface this close before a plane that faces the same way (within 45°)
is its lid and goes with what is beyond, however the mask's last voxels lie to the plane."""
LID_REACH_MM = 24.0
"""Flat surface farther from the mitral plane's origin is a wall that lies in it by chance: flat ends are up to 45 mm long (looked at in la2018)."""
CLEARLY_SMALLER = 0.5
"""Of the area: what lies beyond the annulus has at most 20 cm² without a leak, an atrium with its veins at least 90 (phantoms)."""
LARGEST_APPENDAGE_MM2 = 3000.0
"""What hangs below the mitral plane beside the valve and is larger is no appendage: theirs have 10–16 cm² (phantoms), and not all of it below."""
HAS_VEINS = 0.12
"""Atria with veins fill 0.68–0.78 of their convex hull (phantoms), balls and stumps 0.9 and more."""


@dataclass(frozen=True)
class CutPlane:
    """A plane through the LA surface; what lies beyond it, seen from the LA body, is not LA wall.

    `name` is `"MV"` (mitral valve), a vein (`LSPV` …) or `LAA`; `origin` and `normal` in mm, LPS. The normal's sign
    doesn't matter: the side without the LA body is cut off.
    """

    name: str
    origin: tuple[float, float, float]
    normal: tuple[float, float, float]
    system_assumed: bool = field(default=False, compare=False)
    """Its file did not say whether it is LPS or RAS: LPS was taken."""

    def to_json(self) -> dict[str, Any]:
        content = {"name": self.name, "origin": list(self.origin), "normal": list(self.normal)}
        return content | {"system_assumed": True} if self.system_assumed else content

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CutPlane:
        """From what `to_json` gave. Raises `ValueError` for anything but three numbers each."""
        origin, normal = (tuple(map(float, data[key])) for key in ("origin", "normal"))
        if len(origin) != 3 or len(normal) != 3:
            raise ValueError(f"the plane {data['name']} has an origin of {len(origin)} and a normal of {len(normal)} numbers")
        return cls(data["name"], origin, normal, data.get("system_assumed") is True)


def same_planes(one: Iterable[CutPlane], other: Iterable[CutPlane]) -> bool:
    """Whether two sets of planes cut alike, to a thousandth of a millimetre: markups keep positions with rounding."""
    one, other = ({plane.name: plane for plane in planes} for planes in (one, other))
    return one.keys() == other.keys() and all(
        np.allclose(plane.origin, other[name].origin, atol=1e-3) and np.allclose(plane.normal, other[name].normal, atol=1e-5)
        for name, plane in one.items()
    )


def read_planes(path: str | Path) -> tuple[CutPlane, ...]:
    """Planes of a JSON file: our own format or Slicer markups (.mrk.json).

    Ours: `{"coordinateSystem": "LPS" | "RAS", "planes": [{"name": "MV", "origin": [x, y, z], "normal": [x, y, z]}, …]}`, mm.
    Slicer's: every Plane markup; its name is the control point's label ("LSPV-1"), else the file's name ("LSPV.mrk.json").

    A file of ours without `coordinateSystem` is LPS, and its planes remember that this was assumed (`remarks_on_planes`).

    Raises
    ------
    InputError
        no such file, no JSON, too large or too deep, no plane in it or more than there are names, unknown name, a normal of length 0.
    """
    path = Path(path)
    shown = printable(path)
    try:
        with open(path, "rb") as file:
            content = parse_json(file.read(LARGEST_FILE_BYTES + 1), LARGEST_FILE_BYTES)
    except OSError as error:
        raise InputError(f"The plane file {shown} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The plane file {shown} is not JSON that can be read: {printable(error)}.") from error
    try:
        planes = _planes_in(content, path)
    except KeyError as error:
        raise InputError(f"The plane file {shown} lacks {error}; see Docs/planes.md for the format.") from error
    except (TypeError, AttributeError) as error:
        raise InputError(
            f'The plane file {shown} is neither Slicer markups nor of the form {{"planes": [...]}} ({error}); see Docs/planes.md.'
        ) from error
    if not planes:
        raise InputError(f"The plane file {shown} holds no plane. Place planes in Slicer (Markups, Plane) and save them as .mrk.json.")
    return planes


def _planes_in(content: Any, path: Path) -> tuple[CutPlane, ...]:
    """The planes of a file's content; raises as the content is, KeyError and TypeError as well."""
    if "markups" in content:
        found = [markup for markup in content["markups"] if markup.get("type") == "Plane"]
    else:
        found = list(content["planes"])
    if len(found) > len(PLANE_NAMES):
        raise InputError(
            f"The plane file {printable(path)} holds {len(found)} planes; at most {len(PLANE_NAMES)} are possible, one for each name "
            f"({', '.join(PLANE_NAMES)}). Take the others out."
        )
    if "markups" in content:
        return tuple(_from_markup(markup, path) for markup in found)
    return tuple(_plane(p["name"], p["origin"], p["normal"], content.get("coordinateSystem"), path) for p in found)


def remarks_on_planes(planes: Sequence[CutPlane]) -> tuple[QualityFlag, ...]:
    """What the planes themselves give cause to doubt, without any scan: the system of coordinates, the sides of the veins."""
    assumed = [plane.name for plane in planes if plane.system_assumed]
    message = f"The file of the planes {', '.join(assumed)} does not say LPS or RAS (coordinateSystem): LPS was assumed. Write it there."
    return ((QualityFlag("planes_system_assumed", message),) if assumed else ()) + _contradicted_sides(planes)


def _contradicted_sides(planes: Sequence[CutPlane]) -> tuple[QualityFlag, ...]:
    """A warning when a left vein lies on the patient's right of a right one: names mixed up, or LPS taken for RAS."""
    left, right = ([plane for plane in planes if plane.name in names] for names in (LEFT_NAMES, RIGHT_NAMES))
    if not left or not right:
        return ()
    leftmost_right = max(right, key=lambda plane: plane.origin[0])
    rightmost_left = min(left, key=lambda plane: plane.origin[0])
    apart = leftmost_right.origin[0] - rightmost_left.origin[0]
    if apart <= 0:
        return ()
    message = (
        f"The plane {rightmost_left.name} lies {apart:.0f} mm to the patient's right of {leftmost_right.name}: the names are mixed up, or "
        "the file's coordinates are RAS and were read as LPS (or the other way round). Check the planes in Slicer."
    )
    return (QualityFlag("planes_contradict_sides", message),)


def label_regions(surface: Surface, planes: Sequence[CutPlane]) -> np.ndarray:
    """(N,) uint8 region of every vertex: 1 for the LA body, a vein's label beyond its plane, 0 beyond the mitral plane.

    A plane goes on for ever, its opening does not: what it cuts off is what hangs on the body through the opening around its origin
    alone. Which side stays, the whole shape tells: of a mitral plane the one where veins and appendage are, else the larger one. Where an
    open mesh ends at the plane already, the rim of that hole is what lies beyond.

    Raises
    ------
    InputError
        a plane that cuts nothing off, or planes that leave nothing.
    """
    region = np.full(len(surface.points), REGION_BODY, dtype=np.uint8)
    for plane, beyond in zip(planes, beyond_each(surface, planes)):
        region[beyond] = REGION_EXCLUDED if plane.name == MITRAL else REGION_LABELS[plane.name]
    if not (region == REGION_BODY).any():
        names = ", ".join(plane.name for plane in planes)
        raise InputError(f"The planes ({names}) leave nothing of the left atrium. Check where they lie, and which opening each is called after.")
    return region


def beyond_each(surface: Surface, planes: Sequence[CutPlane]) -> list[np.ndarray]:
    """(N,) bool of each plane: what it cuts off by itself."""
    mesh = SurfaceGraph.of(surface)
    return [cut_off(mesh, plane, np.array([other.origin for other in planes if other is not plane]).reshape(-1, 3)) for plane in planes]


def reach_beyond_mitral_mm(surface: Surface, planes: Sequence[CutPlane]) -> float:
    """How far the surface goes on beyond the mitral plane, mm; 0 without one. `surface.region` is from `label_regions`."""
    mitral = next((plane for plane in planes if plane.name == MITRAL), None)
    beyond = surface.points[surface.region == REGION_EXCLUDED]
    if mitral is None or len(beyond) == 0:
        return 0.0
    return float(np.abs((beyond - mitral.origin) @ np.array(mitral.normal)).max())


@dataclass(frozen=True, eq=False)
class SurfaceGraph:
    """A surface as a graph: (E, 2) edges with their lengths in mm, and those among them, (B, 2), where an open mesh ends."""

    surface: Surface
    edges: np.ndarray
    lengths_mm: np.ndarray
    border: np.ndarray

    @classmethod
    def of(cls, surface: Surface) -> SurfaceGraph:
        edges = np.concatenate([surface.triangles[:, [0, 1]], surface.triangles[:, [1, 2]], surface.triangles[:, [2, 0]]])
        border = one_way_edges(edges, len(surface.points))
        edges = np.concatenate([edges[edges[:, 0] < edges[:, 1]], border[border[:, 0] > border[:, 1]]])
        return cls(surface, edges, np.linalg.norm(surface.points[edges[:, 0]] - surface.points[edges[:, 1]], axis=1), border)

    @cached_property
    def holes(self) -> list[np.ndarray]:
        """(n,) the rim of each hole in the mesh, none of a closed one."""
        return holes_of(self.surface, self.border)

    @cached_property
    def component(self) -> np.ndarray:
        """(N,) number of the part of the surface that each vertex hangs on."""
        return connected_components(self.graph(np.ones(len(self.edges), dtype=bool)), directed=False)[1]

    def graph(self, which: np.ndarray) -> csr_array:
        """The graph of some edges (E,) bool."""
        ends = self.edges[which]
        return coo_array((self.lengths_mm[which], (ends[:, 0], ends[:, 1])), shape=(len(self.surface.points),) * 2).tocsr()


def cut_off(mesh: SurfaceGraph, plane: CutPlane, others: np.ndarray) -> np.ndarray:
    """(N,) bool: what `plane` cuts off the body; `others` (M, 3) are the other planes' origins."""
    surface = mesh.surface
    if plane.name == MITRAL and _lies_towards(surface, plane, others):
        plane = replace(plane, normal=tuple(-x for x in plane.normal))
    nearest_mm = np.linalg.norm(surface.points - plane.origin, axis=1).min()
    pieces = _pieces(mesh, plane) if nearest_mm <= MAX_ORIGIN_MM else []
    hole = named_hole(surface, mesh.holes, plane.origin, plane.normal)
    if not pieces and hole.any():
        return hole
    if not pieces:
        where = ", ".join(f"{x:.1f}" for x in plane.origin)
        raise InputError(
            f"The plane {plane.name} at ({where}) mm (LPS) does not cut the LA surface, which is {nearest_mm:.0f} mm away. "
            "Check that the planes belong to this scan and that their coordinate system is stated."
            + (CUT_ALREADY if len(mesh.border) else "")
        )
    # A vein is smaller than the body that it hangs on.
    piece, rim = min(pieces, key=lambda found: surface.vertex_area_mm2[found[0]].sum())
    cut = _through_opening(mesh, piece, rim, plane)
    if hole.any():
        # Farther out than the mesh goes, a plane may still run through something else.
        return cut | hole if (cut & hole).any() else hole
    return cut | _apart_beyond(mesh, plane) if plane.name == MITRAL else cut


def _apart_beyond(mesh: SurfaceGraph, plane: CutPlane) -> np.ndarray:
    """(N,) bool: parts of the surface that lie beyond the plane (its normal points there) and hang on nothing, as a leak that a smaller
    cavity tears off."""
    lowest = np.full(mesh.component.max() + 1, np.inf)
    np.minimum.at(lowest, mesh.component, (mesh.surface.points - plane.origin) @ np.array(plane.normal))
    return (lowest > 0)[mesh.component]


def _pieces(mesh: SurfaceGraph, plane: CutPlane) -> list[tuple[np.ndarray, np.ndarray]]:
    """What may be cut off: on either side of the plane (of the mitral plane where its normal points to) the connected piece of surface that begins
    nearest to its origin, (N,) bool, and its rim."""
    surface, normal = mesh.surface, np.array(plane.normal)
    height = (surface.points - plane.origin) @ normal
    beyond = height > 0
    if plane.name == MITRAL:
        beyond |= (height > -LID_MM) & (surface.normals @ normal > LID_COSINE)
    crossing = beyond[mesh.edges[:, 0]] != beyond[mesh.edges[:, 1]]
    rims, label = np.unique(mesh.edges[crossing]), connected_components(mesh.graph(~crossing), directed=False)[1]
    pieces = []
    for side in (True,) if plane.name == MITRAL else (True, False):
        rim = rims[beyond[rims] == side]
        if rim.size:
            piece = label == label[rim[np.linalg.norm(surface.points[rim] - plane.origin, axis=1).argmin()]]
            pieces.append((piece, rim[piece[rim]]))
    return pieces


def _lies_towards(surface: Surface, plane: CutPlane, others: np.ndarray) -> bool:
    """Whether the LA lies on the side of the mitral plane where its normal points to.

    Veins and appendage hang on it. Where no other plane tells where they are, the LA is the clearly larger part of what was drawn; and of two
    parts of like size the one that fills less of its convex hull, since the ventricle that a mask leaks into has no veins.
    """
    normal = np.array(plane.normal)
    votes = np.sign((others - plane.origin) @ normal).sum()
    if votes != 0:
        return bool(votes > 0)
    corners = surface.points[surface.triangles] - plane.origin
    above = corners.mean(axis=1) @ normal > 0
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = [np.linalg.norm(crosses[part], axis=1).sum() / 2 for part in (above, ~above)]
    larger = area[0] > area[1]
    if min(area) < CLEARLY_SMALLER * max(area):
        return larger
    # The disc between the two parts lies in the plane, whose origin volumes are reckoned from: it adds nothing.
    volume = [np.einsum("ij,ij->", corners[part][:, 0], crosses[part]) / 6 for part in (above, ~above)]
    filled = [inside / ConvexHull(corners[part].reshape(-1, 3)).volume for inside, part in zip(volume, (above, ~above))]
    return filled[0] < filled[1] if abs(filled[0] - filled[1]) > HAS_VEINS else larger


def _through_opening(mesh: SurfaceGraph, piece: np.ndarray, rim: np.ndarray, plane: CutPlane) -> np.ndarray:
    """(N,) bool: the part of a piece that hangs on the body through the opening around the plane's origin.

    Where the plane runs through a neighbour, too (the appendage's base beside the mitral valve), a vertex goes with that part of the
    rim which is nearer along the surface. What lies flat in the mitral plane is the valve's all the same: some are drawn longer than wide.
    """
    opening = around_opening(mesh.surface.points[rim], np.array(plane.origin), np.array(plane.normal), plane.name == MITRAL)
    if opening.all():
        return piece
    graph = mesh.graph(piece[mesh.edges].all(axis=1))
    through, past = (dijkstra(graph, directed=False, indices=rim[part], min_only=True) for part in (opening, ~opening))
    spared = piece & (through > past)
    if plane.name == MITRAL:
        height = (mesh.surface.points - plane.origin) @ np.array(plane.normal)
        far = np.linalg.norm(mesh.surface.points - plane.origin, axis=1) > LID_REACH_MM
        spared &= far | (np.abs(height) > LID_MM) | (mesh.surface.normals @ np.array(plane.normal) < LID_COSINE)
    # A ventricle that is wider than the valve meets the plane outside the opening, too.
    too_large = mesh.surface.vertex_area_mm2[spared].sum() > LARGEST_APPENDAGE_MM2
    return piece if too_large else piece & ~spared


def _from_markup(markup: dict[str, Any], path: Path) -> CutPlane:
    labels = [str(point.get("label", "")) for point in markup.get("controlPoints", [])]
    name = re.sub(r"[-_ ]?\d+$", "", labels[0]) if labels else ""
    if name.upper() not in PLANE_NAMES:
        name = path.name.removesuffix(".json").removesuffix(".mrk")
    origin = markup.get("center") or markup["origin"]
    return _plane(name, origin, markup["normal"], markup.get("coordinateSystem"), path)


def _plane(name: str, origin: Sequence[float], normal: Sequence[float], system: str | None, path: Path) -> CutPlane:
    shown = printable(path)
    if str(name).upper() not in PLANE_NAMES:
        raise InputError(f"{shown}: the plane '{_short(name)}' has no name that is known; call it one of {', '.join(PLANE_NAMES)}.")
    if system not in ("LPS", "RAS", None):
        raise InputError(f"{shown}: the coordinate system is '{_short(system)}'; it must be LPS or RAS.")
    try:
        vectors = np.array([origin, normal], dtype=float)
    except (TypeError, ValueError, OverflowError):
        vectors = np.empty(0)
    if vectors.shape != (2, 3) or not (np.abs(vectors) <= FARTHEST_MM).all() or not np.linalg.norm(vectors[1]) > 0:
        raise InputError(
            f"{shown}: the plane '{name}' needs an origin and a normal of three numbers, at most {FARTHEST_MM:g}, the normal not 0; "
            f"they are {_short(origin)} and {_short(normal)}."
        )
    if system == "RAS":
        vectors = vectors * [-1.0, -1.0, 1.0]
    unit = vectors[1] / np.linalg.norm(vectors[1])
    return CutPlane(str(name).upper(), tuple(vectors[0].tolist()), tuple(unit.tolist()), system is None)


def _short(value: object) -> str:
    """A value of a file in a message: printable, and no longer than a line."""
    text = printable(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"

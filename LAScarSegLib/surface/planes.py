"""Exclusion planes: the mitral plane and the cut planes of veins and appendage, read from files and put to the surface."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..errors import InputError
from .surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface

MITRAL = "MV"
PLANE_NAMES = (MITRAL, *REGION_LABELS)
"""What a plane may be called: the mitral valve, the veins, the appendage."""
MAX_ORIGIN_MM = 40.0
"""A plane's origin lies in the opening it cuts, at most 20 mm from its rim (mitral annulus 30–38 mm wide, SCIENCE section 7)."""
LID_MM, LID_COSINE = 2.0, 0.7
"""A cavity mask often ends flat at the mitral plane: surface this close before a plane that faces the same way (within 45°)
is its lid and goes with what is beyond, however the mask's last voxels lie to the plane."""


@dataclass(frozen=True)
class CutPlane:
    """A plane through the LA surface; what lies beyond it, seen from the LA body, is not LA wall.

    `name` is `"MV"` (mitral valve), a vein (`LSPV` …) or `LAA`; `origin` and `normal` in mm, LPS. The normal's sign
    doesn't matter: the side without the LA body is cut off.
    """

    name: str
    origin: tuple[float, float, float]
    normal: tuple[float, float, float]

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "origin": list(self.origin), "normal": list(self.normal)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> CutPlane:
        """From what `to_json` gave. Raises `ValueError` for anything but three numbers each."""
        origin, normal = (tuple(map(float, data[key])) for key in ("origin", "normal"))
        if len(origin) != 3 or len(normal) != 3:
            raise ValueError(f"the plane {data['name']} has an origin of {len(origin)} and a normal of {len(normal)} numbers")
        return cls(data["name"], origin, normal)


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

    Raises
    ------
    InputError
        no such file, no JSON, no plane in it, unknown name, a normal of length 0.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"The plane file {path} can't be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"The plane file {path} is not JSON: {error}.") from error
    try:
        if "markups" in content:
            planes = tuple(_from_markup(markup, path) for markup in content["markups"] if markup.get("type") == "Plane")
        else:
            system = content.get("coordinateSystem", "LPS")
            planes = tuple(_plane(p["name"], p["origin"], p["normal"], system, path) for p in content["planes"])
    except KeyError as error:
        raise InputError(f"The plane file {path} lacks {error}; see Docs/planes.md for the format.") from error
    except (TypeError, AttributeError) as error:
        raise InputError(
            f'The plane file {path} is neither Slicer markups nor of the form {{"planes": [...]}} ({error}); see Docs/planes.md.'
        ) from error
    if not planes:
        raise InputError(f"The plane file {path} holds no plane. Place planes in Slicer (Markups, Plane) and save them as .mrk.json.")
    return planes


def label_regions(surface: Surface, planes: Sequence[CutPlane], body_centre: np.ndarray) -> np.ndarray:
    """(N,) uint8 region of every vertex: 1 for the LA body, a vein's label beyond its plane, 0 beyond the mitral plane.

    Beyond a plane counts only the connected piece of surface that the plane cuts off nearest to its own origin, so that
    a vein's plane, which goes on for ever, doesn't cut the neighbouring vein.

    Parameters
    ----------
    body_centre
        (3,) a point deep in the LA body, mm LPS: it tells which side of a plane stays.

    Raises
    ------
    InputError
        a plane that cuts nothing off.
    """
    region = np.full(len(surface.points), REGION_BODY, dtype=np.uint8)
    for plane in planes:
        beyond = _cut_off(surface, plane, body_centre)
        region[beyond] = REGION_EXCLUDED if plane.name == MITRAL else REGION_LABELS[plane.name]
    return region


def reach_beyond_mitral_mm(surface: Surface, planes: Sequence[CutPlane]) -> float:
    """How far the surface goes on beyond the mitral plane, mm; 0 without one. `surface.region` is from `label_regions`."""
    mitral = next((plane for plane in planes if plane.name == MITRAL), None)
    beyond = surface.points[surface.region == REGION_EXCLUDED]
    if mitral is None or len(beyond) == 0:
        return 0.0
    return float(np.abs((beyond - mitral.origin) @ np.array(mitral.normal)).max())


def _cut_off(surface: Surface, plane: CutPlane, body_centre: np.ndarray) -> np.ndarray:
    """Numbers of the vertices that `plane` cuts off the body."""
    origin, normal = np.array(plane.origin), np.array(plane.normal)
    if (body_centre - origin) @ normal > 0:
        normal = -normal
    height = (surface.points - origin) @ normal
    beyond = height > 0
    if plane.name == MITRAL:
        beyond |= (height > -LID_MM) & (surface.normals @ normal > LID_COSINE)
    edges = np.concatenate([surface.triangles[:, [0, 1]], surface.triangles[:, [1, 2]], surface.triangles[:, [2, 0]]])
    rim = np.unique(edges[beyond[edges[:, 0]] != beyond[edges[:, 1]]])
    rim = rim[beyond[rim]]
    nearest = np.linalg.norm(surface.points - origin, axis=1).min()
    if rim.size == 0 or nearest > MAX_ORIGIN_MM:
        where = ", ".join(f"{x:.1f}" for x in plane.origin)
        raise InputError(
            f"The plane {plane.name} at ({where}) mm (LPS) does not cut the LA surface, which is {nearest:.0f} mm away. "
            "Check that the planes belong to this scan and that their coordinate system is stated."
        )
    inner = edges[beyond[edges].all(axis=1)]
    graph = coo_array((np.ones(len(inner), dtype=bool), (inner[:, 0], inner[:, 1])), shape=(len(beyond),) * 2)
    piece = connected_components(graph, directed=False)[1]
    nearest_rim = rim[np.linalg.norm(surface.points[rim] - origin, axis=1).argmin()]
    return np.flatnonzero(beyond & (piece == piece[nearest_rim]))


def _from_markup(markup: dict[str, Any], path: Path) -> CutPlane:
    labels = [point.get("label", "") for point in markup.get("controlPoints", [])]
    name = re.sub(r"[-_ ]?\d+$", "", labels[0]) if labels else ""
    if name.upper() not in PLANE_NAMES:
        name = path.name.removesuffix(".json").removesuffix(".mrk")
    origin = markup.get("center") or markup["origin"]
    return _plane(name, origin, markup["normal"], markup.get("coordinateSystem", "LPS"), path)


def _plane(name: str, origin: Sequence[float], normal: Sequence[float], system: str, path: Path) -> CutPlane:
    if str(name).upper() not in PLANE_NAMES:
        raise InputError(f"{path}: the plane '{name}' has no name that is known; call it one of {', '.join(PLANE_NAMES)}.")
    if system not in ("LPS", "RAS"):
        raise InputError(f"{path}: the coordinate system is '{system}'; it must be LPS or RAS.")
    try:
        vectors = np.array([origin, normal], dtype=float)
    except (TypeError, ValueError):
        vectors = np.empty(0)
    if vectors.shape != (2, 3) or not np.isfinite(vectors).all() or not np.linalg.norm(vectors[1]) > 0:
        raise InputError(
            f"{path}: the plane '{name}' needs an origin and a normal of three numbers, the normal not 0; they are {origin} and {normal}."
        )
    if system == "RAS":
        vectors = vectors * [-1.0, -1.0, 1.0]
    unit = vectors[1] / np.linalg.norm(vectors[1])
    return CutPlane(str(name).upper(), tuple(vectors[0].tolist()), tuple(unit.tolist()))

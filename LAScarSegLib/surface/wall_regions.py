"""Regions of the LA wall proper, and how much scar each has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from ..errors import InputError
from .flat_map import FlatMap, flatten
from .region_schemes import SCHEMES, Scheme, check_scheme
from .surface import CLASS_NOT_MEASURED, REGION_BODY, REGION_LABELS, Surface

APPENDAGE = "LAA"
REGIONS_VERSION = 2
"""Of how the wall is divided and what has a share: what an earlier version found is not what this one finds. 2: antra of 16 mm, not 10."""
SMALLEST_WITH_SHARE_CM2 = 1.0
"""What is smaller is given in cm² only: 3 points of its share would be less than two voxels (0.625 × 2.5 mm)."""


@dataclass(frozen=True, eq=False)
class WallRegions:
    """Which region each vertex belongs to.

    labels
        (N,) uint8: 0 what is no LA wall, else `names[label - 1]`.
    names
        of all regions this surface has or could have in the scheme, in its order.
    under_rings
        (N,) uint8: the same without the rings around the openings.
    """

    labels: np.ndarray
    names: tuple[str, ...]
    under_rings: np.ndarray


@dataclass(frozen=True)
class RegionScar:
    """One region's area and scar, cm² and % of its area; the share is None where less than 1 cm² of it was measured."""

    region: str
    area_cm2: float
    scar_area_cm2: float
    scar_pct: float | None


def label_walls(surface: Surface, scheme: str = "walls", flat_map: FlatMap | None = None) -> WallRegions:
    """Divide the wall proper of a surface with regions (`planes.label_regions`) by one of `SCHEMES`.

    Borders are the scheme's straight lines on the standard disk, carried back to the surface; antra are rings along the surface. What lies
    beyond planes belongs to no region. `flat_map` is the surface's own, where it is known: making it is nearly all the work.

    Raises
    ------
    InputError
        unknown scheme, or a surface that cannot be laid flat (`flat_map.flatten`).
    """
    chosen = SCHEMES[check_scheme(scheme)]
    flat_map = flat_map or flatten(surface)
    rings = _rings(surface, chosen)
    names = (*(region.name for region in chosen.regions), *(_ring_name(name) for name in rings))
    on_map = _on_map(flat_map, chosen)
    labels = np.zeros(len(surface.points), dtype=np.uint8)
    labels[flat_map.vertex] = on_map
    body = surface.region == REGION_BODY
    # Trimmed at an opening's edge, or an island: it goes with what is nearest.
    lost = np.flatnonzero(body & (labels == 0))
    labels[lost] = on_map[cKDTree(flat_map.surface_points).query(surface.points[lost])[1]]
    under_rings = labels.copy()
    for number, ring in enumerate(rings.values(), start=len(chosen.regions) + 1):
        labels[ring & body] = number
    return WallRegions(labels, names, under_rings)


def region_table(surface: Surface, walls: WallRegions) -> list[RegionScar]:
    """Area and scar of each region that the surface has; what was not measured is in neither. They add up to the wall's own totals."""
    if surface.scar is None:
        raise InputError("The surface has no scar to count by region: measure it first.")
    measured = np.ones(len(surface.points), dtype=bool) if surface.scar_class is None else surface.scar_class != CLASS_NOT_MEASURED
    area = np.bincount(walls.labels, surface.vertex_area_mm2 * measured, minlength=len(walls.names) + 1) / 100
    scar = np.bincount(walls.labels, surface.vertex_area_mm2 * (measured & surface.scar), minlength=len(walls.names) + 1) / 100
    present = np.bincount(walls.labels, minlength=len(walls.names) + 1) > 0
    return [
        RegionScar(name, float(area[n]), float(scar[n]), 100 * float(scar[n] / area[n]) if area[n] >= SMALLEST_WITH_SHARE_CM2 else None)
        for n, name in enumerate(walls.names, start=1)
        if present[n]
    ]


def _on_map(flat_map: FlatMap, scheme: Scheme) -> np.ndarray:
    """(K,) the number of the scheme's region, from 1, of each vertex of the map."""
    uv = flat_map.points
    number = np.zeros(len(uv), dtype=np.uint8)
    for n, region in enumerate(scheme.regions, start=1):
        number[region.holds(uv, flat_map.holes) & (number == 0)] = n
    # A place right on a border may be in neither outline, by rounding.
    nowhere = number == 0
    if nowhere.any():
        number[nowhere] = number[~nowhere][cKDTree(uv[~nowhere]).query(uv[nowhere])[1]]
    return number


def _ring_name(opening: str) -> str:
    return "LAA base" if opening == APPENDAGE else f"{opening} antrum"


def _rings(surface: Surface, scheme: Scheme) -> dict[str, np.ndarray]:
    """(N,) bool for every opening of the surface: what lies within the scheme's width of it along the surface, and nearer to it than to
    any other."""
    widths = {
        name: scheme.appendage_mm if name == APPENDAGE else scheme.antrum_mm
        for name, label in REGION_LABELS.items()
        if (surface.region == label).any()
    }
    widths = {name: width for name, width in widths.items() if width > 0}
    if not widths:
        return {}
    graph = _along_surface(surface, max(widths.values()))
    distance = np.stack(
        [
            dijkstra(graph, directed=False, indices=np.flatnonzero(surface.region == REGION_LABELS[name]), min_only=True, limit=width)
            for name, width in widths.items()
        ]
    )
    nearest = distance.argmin(axis=0)
    return {name: (nearest == n) & np.isfinite(distance[n]) for n, name in enumerate(widths)}


def _along_surface(surface: Surface, reach_mm: float) -> coo_array:
    """Lengths in mm between neighbouring vertices within reach of an opening, and across each side to the opposite corner, which makes
    paths straighter than sides alone do."""
    openings = np.flatnonzero(surface.region > REGION_BODY)
    if len(openings) == 0:
        near = np.zeros(len(surface.points), dtype=bool)
    else:
        near = np.isfinite(cKDTree(surface.points[openings]).query(surface.points, distance_upper_bound=reach_mm)[0])
    triangles = surface.triangles[near[surface.triangles].all(axis=1)]
    sides = np.sort(triangles[:, [[1, 2], [2, 0], [0, 1]]], axis=2).reshape(-1, 2)
    key = sides[:, 0] * len(surface.points) + sides[:, 1]
    order = np.argsort(key, kind="stable")
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    opposite = triangles.ravel()[order]
    edges = np.concatenate([sides[order[twin]], np.stack([opposite[twin], opposite[twin + 1]], axis=1)])
    length = np.linalg.norm(surface.points[edges[:, 0]] - surface.points[edges[:, 1]], axis=1)
    return coo_array((length, (edges[:, 0], edges[:, 1])), shape=(len(surface.points),) * 2).tocsr()

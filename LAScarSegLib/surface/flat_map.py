"""The flat map: the LA body on the standard disk, where the same place of every atrium lies at the same point.

After LA_flattening (Nuñez-Garcia et al., "Fast quasi-conformal regional flattening of the left atrium", IEEE TVCG 2020), whose disk it
is. Theirs needs nine points clicked by hand and lines fixed between the openings; this one needs the cut planes alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from ..errors import InputError
from .disk_map import disk_positions
from .foldovers import signed_areas, unfolded
from .open_body import OpenBody, open_body
from .planes import LEFT_NAMES, MITRAL, RIGHT_NAMES
from .standard_disk import standard_hole
from .surface import REGION_LABELS, Surface

FARTHEST_MM = 3.0
"""A point farther off the body has no place on the disk: the reach of scar along the normal (SCIENCE section 5)."""
NEAREST_VERTICES = 4
"""The triangle nearest to a point is sought around so many nearest vertices."""
CELLS = 200
"""The disk's square is divided into 200 × 200 cells to find the triangle around a point: about one triangle in each."""
INSIDE = -1e-9
"""The least barycentric coordinate of a point on a triangle's side, for rounding."""


@dataclass(frozen=True, eq=False)
class FlatMap:
    """The body's triangles on a disk of radius 0.5 around 0.

    points
        (K, 2) positions on the disk.
    triangles
        (M, 3) numbers into `points`, counter-clockwise.
    vertex
        (K,) number of each in the surface; one on a cut through a tunnel is there twice.
    surface_points
        (K, 3) mm LPS, the same on the surface.
    holes
        centre and radius of each vein's and the appendage's opening; the mitral annulus is the rim.
    remarks
        in words, what is not as in the standard.
    """

    points: np.ndarray
    triangles: np.ndarray
    vertex: np.ndarray
    surface_points: np.ndarray
    holes: dict[str, tuple[tuple[float, float], float]]
    remarks: tuple[str, ...] = ()

    @cached_property
    def flipped_pct(self) -> float:
        """Share of triangles that lie face down, %."""
        return 100.0 * float((signed_areas(self.points, self.triangles) <= 0).mean())

    @cached_property
    def area_distortion(self) -> np.ndarray:
        """(M,) area of each triangle on the disk over its area on the surface, both as shares of their whole: 1 where the map is fair."""
        flat = np.abs(signed_areas(self.points, self.triangles))
        corners = self.surface_points[self.triangles]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        return (flat / flat.sum()) / np.maximum(area / area.sum(), 1e-300)

    def to_disk(self, points_lps: np.ndarray) -> np.ndarray:
        """(Q, 2) places on the disk of points (Q, 3) mm LPS; NaN for one farther than 3 mm from the mapped body."""
        queries = np.asarray(points_lps, dtype=float).reshape(-1, 3)
        start, order = self._triangles_of_vertices
        nearest = self._tree.query(queries, k=min(NEAREST_VERTICES, len(self.points)))[1].reshape(len(queries), -1)
        query, triangle = _expanded(start, order, nearest)
        corners = self.surface_points[self.triangles[triangle]]
        weights = _nearest_on_triangle(queries[query], corners)
        distance = np.linalg.norm(np.einsum("nc,ncx->nx", weights, corners) - queries[query], axis=1)
        best = np.lexsort((distance, query))[np.searchsorted(np.sort(query), np.arange(len(queries)))]
        places = np.einsum("nc,ncx->nx", weights[best], self.points[self.triangles[triangle[best]]])
        return np.where((distance[best] <= FARTHEST_MM)[:, None], places, np.nan)

    def to_surface(self, uv: np.ndarray) -> np.ndarray:
        """(Q, 3) mm LPS of places (Q, 2) on the disk; NaN outside the disk and in its holes."""
        queries = np.asarray(uv, dtype=float).reshape(-1, 2)
        start, order = self._triangles_of_cells
        query, triangle = _expanded(start, order, _cells(queries)[:, None])
        corners = self.points[self.triangles[triangle]]
        weights = _barycentric(queries[query], corners)
        lowest = weights.min(axis=1)
        found = np.full(len(queries), -np.inf)
        np.maximum.at(found, query, lowest)
        hit = (lowest == found[query]) & (lowest >= INSIDE)
        places = np.full((len(queries), 3), np.nan)
        places[query[hit]] = np.einsum("nc,ncx->nx", weights[hit], self.surface_points[self.triangles[triangle[hit]]])
        return places

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.surface_points)

    @cached_property
    def _triangles_of_vertices(self) -> tuple[np.ndarray, np.ndarray]:
        """The triangles around vertex v are the second array from the first's entry v to its entry v + 1."""
        owner = self.triangles.ravel()
        return np.searchsorted(np.sort(owner), np.arange(len(self.points) + 1)), np.argsort(owner, kind="stable") // 3

    @cached_property
    def _triangles_of_cells(self) -> tuple[np.ndarray, np.ndarray]:
        """Likewise the triangles whose boxes touch each cell of the disk's square."""
        corners = self.points[self.triangles]
        low, high = _cell_indices(corners.min(axis=1)), _cell_indices(corners.max(axis=1))
        span = high - low + 1
        count = span.prod(axis=1)
        triangle = np.repeat(np.arange(len(count)), count)
        nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        cell = (low[triangle, 0] + nth % span[triangle, 0]) * CELLS + low[triangle, 1] + nth // span[triangle, 0]
        return np.searchsorted(np.sort(cell), np.arange(CELLS * CELLS + 1)), triangle[np.argsort(cell, kind="stable")]


def flatten(surface: Surface) -> FlatMap:
    """Lay the body of a surface with regions (`planes.label_regions`) on the standard disk.

    Openings lie exactly where the standard has them. A common trunk and a middle vein have a place of their own
    (`standard_disk.standard_hole`); a vein or appendage without a plane has no hole, and its surface is stretched over the place.

    Raises
    ------
    InputError
        no mitral plane; no vein of the left or of the right side; nothing left of the body; tunnels through it that
        are many, or wide all along.
    """
    body = open_body(surface)
    for side, names in (("left", LEFT_NAMES), ("right", RIGHT_NAMES)):
        if not any(name in body.openings for name in names):
            raise InputError(_why_no_opening(surface, body, side, names))
    return _flattened(body)


def _why_no_opening(surface: Surface, body: OpenBody, side: str, names: Sequence[str]) -> str:
    """Why no vein of a side has an opening on the body, and what to do."""
    given = [name for name in names if (surface.region == REGION_LABELS[name]).any()]
    needs = "the map needs the mitral plane and at least one left and one right vein to know how the atrium lies"
    if not given:
        return f"The surface has no plane of a {side} vein: {needs}. Give a plane {names[0]}, {names[2]} or {names[3]} (Docs/planes.md)."
    planes = f"the planes {' and '.join(given)} are" if len(given) > 1 else f"the plane {given[0]} is"
    return " ".join([
        f"No {side} vein has an opening of its own on the body, though {planes} given: {needs}.", *body.remarks,
        "A plane lies too deep, one of these or that of the valve or the appendage beside them: move it outwards (Docs/planes.md).",
    ])  # fmt: skip


def _flattened(body: OpenBody) -> FlatMap:
    points, holds = disk_positions(body)
    points = unfolded(points, *body.filled, holds)[: len(body.vertex)]
    holes = {name: standard_hole(name) for name in body.openings if name != MITRAL}
    return FlatMap(points, body.triangles, body.vertex, body.points, holes, body.remarks)


def _expanded(start: np.ndarray, order: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every entry of `order` that belongs to a query's `keys` (Q, k), with the query's number; a query without any gets none."""
    query, key = np.repeat(np.arange(len(keys)), keys.shape[1]), keys.ravel()
    count = start[key + 1] - start[key]
    nth = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(query, count), order[np.repeat(start[key], count) + nth]


def _cell_indices(uv: np.ndarray) -> np.ndarray:
    return np.clip(((np.nan_to_num(uv, nan=9.0) + 0.5) * CELLS).astype(int), 0, CELLS - 1)


def _cells(uv: np.ndarray) -> np.ndarray:
    column, row = _cell_indices(uv).T
    return column * CELLS + row


def _barycentric(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 3) weights of the corners (N, 3, d) at points (N, d) of the triangles' planes; far outside where a triangle has no area."""
    u, v, w = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0], points - corners[:, 0]
    uu, uv, vv = (np.einsum("ij,ij->i", *pair) for pair in ((u, u), (u, v), (v, v)))
    wu, wv = (np.einsum("ij,ij->i", *pair) for pair in ((w, u), (w, v)))
    whole = uu * vv - uv * uv
    with np.errstate(divide="ignore", invalid="ignore"):
        b, c = (vv * wu - uv * wv) / whole, (uu * wv - uv * wu) / whole
    return np.nan_to_num(np.stack([1 - b - c, b, c], axis=1), nan=-1.0, posinf=-1.0, neginf=-1.0)


def _nearest_on_triangle(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """(N, 3) weights of the corners (N, 3, 3) at the point of each triangle nearest to `points` (N, 3)."""
    weights = _barycentric(points, corners)
    outside = np.flatnonzero(weights.min(axis=1) < 0)
    best = np.full(len(outside), np.inf)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        start, along = corners[outside, a], corners[outside, b] - corners[outside, a]
        squared = np.maximum(np.einsum("ij,ij->i", along, along), 1e-300)
        share = np.clip(np.einsum("ij,ij->i", points[outside] - start, along) / squared, 0, 1)
        distance = np.linalg.norm(start + share[:, None] * along - points[outside], axis=1)
        closer = distance < best
        best[closer] = distance[closer]
        weights[outside[closer]] = 0
        weights[outside[closer], a], weights[outside[closer], b] = 1 - share[closer], share[closer]
    return weights

"""The LA body with its openings: what is left of the closed surface without what lies beyond the ostia and the mitral valve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from ..errors import InputError
from .planes import MITRAL
from .standard_disk import MIDDLES, TRUNKS
from .surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface
from .tunnels import cut_along, shortest_handle

SHARE_OF_OPENING = 0.25
"""An edge belongs to a second opening too when that is the nearest along at least a quarter of it: two veins whose carina was cut away."""
WORTH_SAYING_MM2 = 20.0
"""A piece that is left out is mentioned from this size: a tenth of a per cent of an atrium (about 200 cm²)."""
LONGEST_CUT_MM = 40.0
"""A tunnel is cut open along a loop of at most this length: less than a vein is around (ostia are 14–17 mm wide, SCIENCE section 7:
44 mm and more around), so that no vein is cut through."""
MOST_TUNNELS = 6
"""A body with more of them is no atrium whose parts touch here and there."""
CLEANING_ROUNDS = 60
"""The border is mended within a few rounds (3 on phantoms and scans); a limit, should it ever not be."""


@dataclass(frozen=True, eq=False)
class OpenBody:
    """The body as a mesh of its own.

    vertex
        (K,) numbers of its vertices in the surface; one on a cut is there twice.
    points, triangles
        (K, 3) mm LPS; (M, 3) numbers into `vertex`, counter-clockwise seen from outside.
    openings
        the edge (R,) of each opening in the order in which the triangles walk along it (the body on the left); `"MV"` is always there.
    detour
        (R,) bool, which vertices of the edge at `"MV"` lie on another opening, which the mitral plane meets.
    gaps
        other edges: around islands that were cut out of the body, and on both sides of a cut.
    remarks
        in words, what was taken together, cut or left out.
    """

    vertex: np.ndarray
    points: np.ndarray
    triangles: np.ndarray
    openings: dict[str, np.ndarray]
    detour: np.ndarray
    gaps: tuple[np.ndarray, ...]
    remarks: tuple[str, ...]

    @cached_property
    def filled(self) -> tuple[np.ndarray, np.ndarray]:
        """Points and triangles with each gap closed by a cone, whose tip is one more point."""
        tips = [self.points[gap].mean(axis=0, keepdims=True) for gap in self.gaps]
        return np.concatenate([self.points, *tips]), np.concatenate([self.triangles, *_cones(self.gaps, len(self.points))])


def open_body(surface: Surface) -> OpenBody:
    """Cut the body out of a surface whose `region` is known.

    A triangle counts when all its vertices are body. At the edge whatever hinders a clean opening is trimmed (triangles that hang by a
    corner, that span an opening): at most a few rows. A tunnel through the body is cut open along the shortest loop (`tunnels.py`).

    Raises
    ------
    InputError
        no regions, no mitral plane, nothing left, many tunnels through the body or one that is wide all along.
    """
    if surface.region is None or not (surface.region == REGION_EXCLUDED).any():
        raise InputError(
            "The surface has no mitral plane, and the mitral annulus is the rim of the map. Give a plane MV, and one for each vein "
            "(Docs/planes.md)."
        )
    whole = surface.triangles[(surface.region[surface.triangles] == REGION_BODY).all(axis=1)]
    if len(whole) == 0:
        raise InputError("The planes leave nothing of the left atrium's body: there is nothing to flatten. Check the planes.")
    kept, border = _clean(whole)
    vertex = np.unique(kept)
    number = np.full(len(surface.points), -1)
    number[vertex] = np.arange(len(vertex))
    triangles = number[kept]
    openings, detour, gaps, remarks = _named(edge_loops(number[border]), surface, vertex)
    if MITRAL not in openings:
        raise InputError("The largest piece of the body does not reach the mitral plane, which is the rim of the map. Check the planes.")
    left_out = _area_mm2(surface, whole) - _area_mm2(surface, kept)
    if left_out - _trim_mm2(surface, vertex, whole) > WORTH_SAYING_MM2:
        remarks.append(f"{left_out / 100:.1f} cm² of the body hang on the rest by less than an edge and are not on the map.")
    return _without_tunnels(OpenBody(vertex, surface.points[vertex], triangles, openings, detour, tuple(gaps), tuple(remarks)))


def edge_loops(border: np.ndarray) -> list[np.ndarray]:
    """Directed edges (B, 2) as closed walks of vertices. Each vertex must begin one edge at most."""
    ahead = dict(border.tolist())
    loops = []
    while ahead:
        start, at = next(iter(ahead.items()))
        loop = [start]
        del ahead[start]
        while at != start:
            loop.append(at)
            at = ahead.pop(at)
        loops.append(np.array(loop))
    return loops


def _clean(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest piece, trimmed until each edge vertex is on one edge once and no triangle's side spans an opening; and its directed
    edges (B, 2)."""
    begin, end = triangles, triangles[:, [1, 2, 0]]
    across, count = _across(triangles), int(triangles.max()) + 1
    kept = np.ones(len(triangles), dtype=bool)
    for _ in range(CLEANING_ROUNDS):
        kept = _largest(across, kept)
        inside = kept[:, None] & (across >= 0) & kept[across]
        outside = kept[:, None] & ~inside
        border = np.stack([begin[outside], end[outside]], axis=1)
        walks_through = np.bincount(border[:, 0], minlength=count)
        loop = connected_components(coo_array((np.ones(len(border)), border.T), shape=(count, count)).tocsr(), directed=False)[1]
        on_border = walks_through > 0
        spans = inside & on_border[begin] & on_border[end] & (loop[begin] == loop[end])
        spoilt = kept & ((walks_through > 1)[triangles].any(axis=1) | spans.any(axis=1))
        if not spoilt.any():
            return triangles[kept], border
        kept &= ~spoilt
        if not kept.any():
            break
    raise InputError("The body is too narrow between its openings to be laid flat. Check the planes: one may lie inside the body.")


def _across(triangles: np.ndarray) -> np.ndarray:
    """(M, 3) the triangle on the other side of each side (from corner k to the next), -1 where there is none."""
    sides = np.sort(np.stack([triangles, triangles[:, [1, 2, 0]]], axis=-1).reshape(-1, 2), axis=1)
    key = sides[:, 0] * (int(sides.max()) + 1) + sides[:, 1]
    order = np.argsort(key)
    twin = np.flatnonzero(key[order][1:] == key[order][:-1])
    one, other = order[twin], order[twin + 1]
    across = np.full(len(key), -1)
    across[one], across[other] = other // 3, one // 3
    return across.reshape(-1, 3)


def _largest(across: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(M,) bool: of the triangles that are `kept` the largest part that hangs together by whole sides."""
    owner = np.repeat(np.arange(len(across)), 3).reshape(-1, 3)
    hang = kept[:, None] & (across > owner) & kept[across]
    graph = coo_array((np.ones(hang.sum()), (owner[hang], across[hang])), shape=(len(across),) * 2).tocsr()
    part = connected_components(graph, directed=False)[1]
    return kept & (part == np.bincount(part[kept]).argmax())


def _named(
    loops: list[np.ndarray], surface: Surface, vertex: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, list[np.ndarray], list[str]]:
    """Which opening each edge belongs to: the one whose cut-off surface is nearest to it. Of several edges of one opening the longest
    counts. With the openings, the rim's detour, other edges and remarks."""
    names = {label: name for name, label in REGION_LABELS.items()} | {REGION_EXCLUDED: MITRAL}
    beyond = np.flatnonzero(surface.region != REGION_BODY)
    tree = cKDTree(surface.points[beyond])
    openings, around_rim, gaps, remarks, elsewhere = {}, np.zeros(0, dtype=np.uint8), [], [], set()
    for loop in sorted(loops, key=len, reverse=True):
        nearest = surface.region[beyond[tree.query(surface.points[vertex[loop]])[1]]]
        share = np.bincount(nearest, minlength=256) / len(loop)
        parts = sorted(names[label] for label in np.flatnonzero(share >= SHARE_OF_OPENING))
        name = _taken_together(parts, names[int(share.argmax())], remarks)
        elsewhere.update(parts if name != MITRAL else ())
        if name in openings:
            gaps.append(loop)
            remarks.append(f"The cut at {name} leaves more than one edge on the body: the longest is its opening.")
        else:
            openings[name] = loop
            around_rim = nearest if name == MITRAL else around_rim
    lost = sorted(names[label] for label in np.unique(around_rim) if names[label] not in {*openings, *elsewhere})
    if lost and MITRAL in openings:
        remarks.append(f"{_listed(lost)} cannot be told from the mitral opening: part of the map's rim.")
    return openings, around_rim != REGION_EXCLUDED, gaps, remarks


def _taken_together(parts: list[str], largest: str, remarks: list[str]) -> str:
    """The name of an opening that several share: the mitral valve, a common trunk, a vein with its middle vein; else the one with
    the largest share."""
    if len(parts) < 2:
        return largest
    if MITRAL in parts:
        return MITRAL
    for trunk, veins in TRUNKS.items():
        mains = [part for part in parts if part in veins]
        if mains and set(parts) <= {*veins, *(middle for middle, neighbours in MIDDLES.items() if neighbours == veins)}:
            remarks.append(f"{_listed(parts)} meet, nothing of the body is left between them: they are one opening on the map.")
            return mains[0] if len(mains) == 1 else trunk
    remarks.append(f"{_listed(parts)} meet, nothing of the body is left between them: they are one opening on the map, at {largest}.")
    return largest


def _listed(names: list[str]) -> str:
    return " and ".join(names)


def _without_tunnels(body: OpenBody) -> OpenBody:
    """The body, cut along a loop for each tunnel through it."""
    tunnels = _tunnels(body)
    if tunnels > MOST_TUNNELS:
        raise InputError(
            f"The surface of the body has {tunnels} tunnels through it (parts that touch where they should not): it cannot be laid flat. "
            "Separate or fill them in the cavity."
        )
    for _ in range(tunnels):
        body = _cut_open(body)
    return body


def _cut_open(body: OpenBody) -> OpenBody:
    """The body with one tunnel less: both sides of the cut are gaps."""
    edges = (*body.openings.values(), *body.gaps)
    closed = np.concatenate([body.triangles, *_cones(edges, len(body.points))])
    border = np.isin(np.arange(len(body.points)), np.concatenate(edges))
    loop, length_mm = shortest_handle(body.points, closed, border)
    if length_mm > LONGEST_CUT_MM:
        raise InputError(
            "The surface of the body has a tunnel through it (parts that touch where they should not) that no cut of at most "
            f"{LONGEST_CUT_MM:.0f} mm opens, and a longer one could go through a vein: it cannot be laid flat. Separate or fill it in the "
            "cavity."
        )
    triangles, one, other = cut_along(body.triangles, loop, len(body.points))
    remark = f"A tunnel through the body (parts that touch) was cut open along {length_mm:.0f} mm: the cut is a gap in the map."
    return replace(
        body,
        vertex=np.concatenate([body.vertex, body.vertex[loop]]),
        points=np.concatenate([body.points, body.points[loop]]),
        triangles=triangles,
        gaps=(*body.gaps, one, other),
        remarks=(*body.remarks, remark),
    )


def _tunnels(body: OpenBody) -> int:
    """A sphere with holes has as many vertices and triangles less sides as 2 less its holes (Euler), with a tunnel two less."""
    edges = (*body.openings.values(), *body.gaps)
    sides = (3 * len(body.triangles) + sum(map(len, edges))) // 2
    return (2 - len(edges) - (len(body.vertex) - sides + len(body.triangles))) // 2


def _cones(edges: tuple[np.ndarray, ...], first_tip: int) -> list[np.ndarray]:
    """The triangles (R, 3) that close each edge (R,), to tips numbered from `first_tip`."""
    return [np.stack([np.roll(edge, -1), edge, np.full(len(edge), tip)], axis=1) for tip, edge in enumerate(edges, start=first_tip)]


def _area_mm2(surface: Surface, triangles: np.ndarray) -> float:
    corners = surface.points[triangles]
    return float(np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1).sum() / 2)


def _trim_mm2(surface: Surface, vertex: np.ndarray, whole: np.ndarray) -> float:
    """Area of the triangles that touch the map without being on it: trimmed at its edge."""
    used = np.zeros(len(surface.points), dtype=bool)
    used[vertex] = True
    corners = used[whole]
    return _area_mm2(surface, whole[corners.any(axis=1) & ~corners.all(axis=1)])

"""What other programs' meshes need before anything is measured on them: one unit, one sheet of triangles, all facing outwards."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components

from ..errors import InputError
from ..support.flags import NOTE, QualityFlag
from ..support.printable import printable
from .raw_mesh import RawMesh

UNITS_MM = {"mm": 1.0, "cm": 10.0, "m": 1000.0, "um": 0.001}
"""Millimetres in one of a unit; openCARP's meshes are in µm."""
USUAL_EXTENT_MM = (60.0, 150.0)
"""The longest side of an LA with its vein stumps."""
POSSIBLE_EXTENT_MM = (40.0, 250.0)
"""The same with room for a cropped one and one with long veins: narrower than the factor 10 between the units."""
SMALLEST_MM, LARGEST_MM = 1.0, 1000.0
"""Beyond these nothing is measured: no part of an atrium, no patient."""
WELD_MM = 1e-3
"""Points closer than this are one: STL repeats a point for every triangle, float32 at 300 mm rounds to 3e-5 mm."""
MOST_LABELS = 16
"""More different values than any array of labels has (`anatomy.labels.FEWEST_GREY_LEVELS`)."""
CONTRADICTING = "points where coinciding ones have different labels in {}: what most have, or not measured"
LARGE_REST_PCT = 2.0
"""Parts left out with more of the area than this may be another chamber or a second shell; below it is debris."""


@dataclass(frozen=True, eq=False)
class RepairedMesh:
    """A mesh in mm that can be measured, with what was done to it; `is_closed`: it has an inside, and so a volume."""

    mesh: RawMesh
    is_closed: bool
    flags: tuple[QualityFlag, ...]


def repaired(mesh: RawMesh, unit: str | None = None) -> RepairedMesh:
    """The largest connected part of a mesh in mm, each triangle once, none degenerate, all turned alike and outwards.

    Parameters
    ----------
    unit
        one of `UNITS_MM`; None: told from the extent.

    Raises
    ------
    InputError
        points that are no numbers, a size that no unit makes an atrium of, nothing left, a surface with one side only.
    """
    if not np.isfinite(mesh.points).all():
        raise InputError("The mesh has points that are no numbers (NaN or infinite). Export the surface again.")
    mesh, flags = _in_millimetres(mesh, unit)
    mesh, cleaned = _cleaned(mesh)
    mesh, parts = _largest_part(mesh)
    edges = _Edges.of(mesh.triangles)
    mesh, turned = _turned_outwards(mesh, edges)
    return RepairedMesh(mesh, edges.open_count == 0 and edges.branching_count == 0, (*flags, *cleaned, *parts, *turned, *edges.flags))


def _in_millimetres(mesh: RawMesh, unit: str | None) -> tuple[RawMesh, tuple[QualityFlag, ...]]:
    used = mesh.points[np.unique(mesh.triangles)]
    extent = float(np.ptp(used, axis=0).max())
    low, high = POSSIBLE_EXTENT_MM
    found = unit or next((name for name, factor in UNITS_MM.items() if low <= extent * factor <= high), "mm")
    extent_mm = extent * UNITS_MM[found]
    scaled = replace(mesh, points=mesh.points * UNITS_MM[found])
    usual = f"a left atrium is {USUAL_EXTENT_MM[0]:.0f}–{USUAL_EXTENT_MM[1]:.0f} mm across"
    if not SMALLEST_MM <= extent_mm <= LARGEST_MM:
        raise InputError(f"The mesh is {extent:g} {unit or 'units'} across, and {usual}. Say the unit of its coordinates with --unit ({', '.join(UNITS_MM)}).")
    if not low <= extent_mm <= high:
        message = f"The mesh is {extent_mm:.0f} mm across, and {usual}: it may be a part of it, another chamber, or in another unit (--unit)."
        return scaled, (QualityFlag("mesh_size_unusual", message),)
    if unit is None and found != "mm":
        message = f"The mesh is {extent:g} units across, and {usual}: its unit was taken for {found}, which makes {extent_mm:.0f} mm. Areas depend on it."
        return scaled, (QualityFlag("mesh_unit_assumed", message),)
    return scaled, ()


def _cleaned(mesh: RawMesh) -> tuple[RawMesh, tuple[QualityFlag, ...]]:
    """Points that coincide made one, degenerate and repeated triangles left out."""
    welded, contradicting = _welded(mesh)
    triangles = welded.triangles
    a, b, c = np.moveaxis(welded.points[triangles], 1, 0)
    longest = np.max([np.linalg.norm(one - other, axis=1) for one, other in ((a, b), (b, c), (c, a))], axis=0)
    height = np.linalg.norm(np.cross(b - a, c - a), axis=1) / np.maximum(longest, np.finfo(float).tiny)
    distinct = (triangles[:, 0] != triangles[:, 1]) & (triangles[:, 1] != triangles[:, 2]) & (triangles[:, 2] != triangles[:, 0])
    # A sliver between three different points holds its neighbours together, and has no area that could do harm.
    sound = distinct & (longest > 0)
    first = np.zeros(len(triangles), dtype=bool)
    first[np.unique(np.sort(triangles, axis=1), axis=0, return_index=True)[1]] = True
    kept = sound & first
    if not kept.any():
        raise InputError("Not one triangle of the mesh has an area. Export the surface again.")
    parts = [
        (int((~sound).sum()), "triangles without area left out"),
        (int((sound & ~first).sum()), "triangles that were there twice left out"),
        (int((sound & (height < WELD_MM)).sum()), "slivers kept"),
        *((count, CONTRADICTING.format(printable(name))) for name, count in contradicting.items()),
    ]
    told = "; ".join(f"{count} {what}" for count, what in parts if count)
    return welded.keep_triangles(kept), (QualityFlag("mesh_repaired", f"The mesh was put in order: {told}."),) if told else ()


def _welded(mesh: RawMesh) -> tuple[RawMesh, dict[str, int]]:
    """Coinciding points made one, in the order of the first of each, and at how many of these an array's labels disagree. Values are
    averaged; of labels, whose mean is none of them, a point has the one that more than half of its points have, or none."""
    _, first, number = np.unique(np.rint(mesh.points / WELD_MM).astype(np.int64), axis=0, return_index=True, return_inverse=True)
    if len(first) == len(mesh.points):
        return mesh, {}
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    number = rank[number.ravel()]
    arrays, contradicting = {}, {}
    for name, values in mesh.point_arrays.items():
        arrays[name] = _averaged(values, number, len(order))
        if (labels := _labels(values)) is not None:
            counts = np.stack([np.bincount(number[values == label], minlength=len(order)) for label in labels])
            known, most = counts.sum(axis=0), counts.max(axis=0)
            arrays[name] = np.where(2 * most > known, labels[counts.argmax(axis=0)], np.nan)
            contradicting[name] = int((most < known).sum())
    welded = replace(mesh, points=mesh.points[first[order]], triangles=number[mesh.triangles], point_arrays=arrays)
    return welded, contradicting


def _labels(values: np.ndarray) -> np.ndarray | None:
    """(L,) the different values of an array of labels; None where there are more, or none."""
    labels = np.unique(values[np.isfinite(values)])
    return labels if 0 < labels.size <= MOST_LABELS else None


def _averaged(values: np.ndarray, number: np.ndarray, count: int) -> np.ndarray:
    """(count,) the mean of what is known of each point; NaN where nothing is."""
    known = np.isfinite(values)
    total = np.bincount(number[known], values[known], minlength=count)
    with np.errstate(invalid="ignore"):
        return total / np.bincount(number[known], minlength=count)


def _largest_part(mesh: RawMesh) -> tuple[RawMesh, tuple[QualityFlag, ...]]:
    """What hangs together by edges: two bodies that touch at a point have two insides, and no way leads from one to the other."""
    triangles, count = mesh.triangles, len(mesh.triangles)
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    number = np.unique(edges[:, 0] * len(mesh.points) + edges[:, 1], return_inverse=True)[1].ravel() + count
    owner = np.repeat(np.arange(count), 3)
    graph = coo_array((np.ones(len(owner), dtype=np.int8), (owner, number)), shape=(count + len(edges),) * 2)
    # Edges are nodes of this graph, too: however many triangles meet in one, they hang together.
    part = np.unique(connected_components(graph, directed=False)[1][:count], return_inverse=True)[1].ravel()
    areas = np.bincount(part, triangle_areas_mm2(mesh.points, triangles))
    if len(areas) == 1:
        return mesh, ()
    largest = int(areas.argmax())
    left_pct = 100.0 * (1.0 - areas[largest] / areas.sum())
    message = (
        f"The mesh has {len(areas)} parts that do not hang together; only the largest was measured ({areas[largest] / 100:.1f} cm²). "
        f"The others are {left_pct:.1f} % of the area."
    )
    if left_pct > LARGE_REST_PCT:
        message += " If they belong to the atrium, or are another chamber or the outer side of the wall, export the inner surface of the left atrium alone."
    return mesh.keep_triangles(part == largest), (QualityFlag("mesh_in_pieces", message, "" if left_pct > LARGE_REST_PCT else NOTE),)


def triangle_areas_mm2(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(M,) of points (N, 3) mm and triangles (M, 3)."""
    a, b, c = np.moveaxis(points[triangles], 1, 0)
    return 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)


@dataclass(frozen=True, eq=False)
class _Edges:
    """How triangles meet.

    `pairs` (P, 2) numbers of two triangles with a common edge, `turned` (P,) bool whether they run along it the same way, so that one of
    them is turned round; how many edges have a triangle on one side only, and how many have more than two triangles.
    """

    pairs: np.ndarray
    turned: np.ndarray
    open_count: int
    branching_count: int

    @classmethod
    def of(cls, triangles: np.ndarray) -> _Edges:
        edges = triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
        owner, ascending = np.repeat(np.arange(len(triangles)), 3), edges[:, 0] < edges[:, 1]
        _, number, counts = np.unique(np.sort(edges, axis=1), axis=0, return_inverse=True, return_counts=True)
        number = number.ravel()
        order = np.argsort(number, kind="stable")
        one, other = order[counts[number[order]] == 2].reshape(-1, 2).T
        pairs = np.stack([owner[one], owner[other]], axis=1)
        return cls(pairs, ascending[one] == ascending[other], int((counts == 1).sum()), int((counts > 2).sum()))

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        flags: tuple[QualityFlag, ...] = ()
        if self.open_count:
            message = (
                f"The mesh is open ({self.open_count} edges have a triangle on one side only: cut veins, the mitral valve?), so it has no volume, "
                "and shares of the surface are shares of what is there."
            )
            flags += (QualityFlag("mesh_open", message),)
        if self.branching_count:
            message = (
                f"{self.branching_count} edges of the mesh have more than two triangles: there are walls within the surface, so it has no volume, and "
                "areas count them. Mend it (MeshLab: Repair non-manifold edges; Slicer: Surface Toolbox), or export the inner surface alone."
            )
            flags += (QualityFlag("mesh_branches", message),)
        return flags


def _turned_outwards(mesh: RawMesh, edges: _Edges) -> tuple[RawMesh, tuple[QualityFlag, ...]]:
    """All triangles turned like their neighbours, and what hangs together so by edges together, so that its volume is positive."""
    one, other = edges.pairs.T
    count = len(mesh.triangles)
    relation = coo_array((np.where(edges.turned, -1.0, 1.0), (one, other)), shape=(count, count)).tocsr()
    relation = (relation + relation.T).tocsr()
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(count, count)).tocsr()
    sign = np.zeros(count, dtype=np.int8)
    # What hangs together by a branching edge alone has no neighbour to be turned like.
    sheet = connected_components(graph, directed=False)[1]
    for start in np.unique(sheet, return_index=True)[1].tolist():
        order, before = breadth_first_order(graph, start, directed=False)
        sign[start] = 1
        if len(order) == 1:
            continue
        steps = np.where(np.asarray(relation[before[order[1:]], order[1:]]).ravel() < 0, -1, 1)
        for triangle, parent, step in zip(order[1:].tolist(), before[order[1:]].tolist(), steps.tolist()):
            sign[triangle] = sign[parent] * step
    if (sign[one] * sign[other] != np.where(edges.turned, -1, 1)).any():
        raise InputError("The mesh has one side only (like a Möbius strip), so that it has no inside. Export the surface again.")
    volumes = np.bincount(sheet, sign * _signed_volumes(mesh.points, mesh.triangles))
    sign = np.where(volumes[sheet] < 0, -sign, sign)
    turned = sign < 0
    triangles = np.where(turned[:, None], mesh.triangles[:, ::-1], mesh.triangles)
    if not turned.any() or (turned.all()):
        # That all of them face inwards is a habit of programs and harms nothing.
        return replace(mesh, triangles=triangles), ()
    message = f"{int(turned.sum())} of the mesh's {count} triangles faced the other way and were turned."
    return replace(mesh, triangles=triangles), (QualityFlag("mesh_turned", message),)


def _signed_volumes(points: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """(M,) what each triangle adds to six times the volume, seen from the points' middle."""
    a, b, c = np.moveaxis(points[triangles] - points.mean(axis=0), 1, 0)
    return np.einsum("ij,ij->i", a, np.cross(b, c))

"""What hangs on the LA body: the cavity without its morphological opening, as branches with centre lines and cross-sections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from ..anatomy.distance import depth_inside, distance_to
from ..errors import InputError
from ..volumes.volume import Geometry
from .filled_mesh import filled
from .mesh_repair import POSSIBLE_EXTENT_MM, USUAL_EXTENT_MM
from .surface import Surface

VOXEL_MM = 1.25
BODY_SHARE, BODY_RADIUS_MM = 0.62, (7.0, 13.0)
"""The body is what a ball reaches whose radius is this share of the greatest depth; veins and appendages have radii of 4–12 mm."""
MIN_REACH_MM, SMALLEST_ML = 6.0, 0.15
"""What stands out less is a bump."""
PERSISTENCE_MM = 4.5
"""A side branch that ends sooner after its fork is a bump, too."""
SECTION_REACH_MM, SECTION_STEP_MM = 24.0, 1.0
"""Half the side of the square that a cross-section is looked for in; the widest trunk has a diameter of 26 mm."""
EVERY_NEIGHBOUR = np.ones((3, 3, 3))


@dataclass(frozen=True, eq=False)
class Cavity:
    """The inside of a closed surface on an isotropic grid along the patient's axes.

    depth_mm
        (k, j, i) signed distance to the surface, positive inside.
    body
        (k, j, i) bool, the opening of the inside with a ball.
    voxels, way_mm
        (S, 3) numbers of the voxels outside the body, and (S,) how far they are from it along the cavity.
    edges
        (E, 2) which of them are neighbours.
    """

    geometry: Geometry
    depth_mm: np.ndarray
    body: np.ndarray
    voxels: np.ndarray
    way_mm: np.ndarray
    edges: np.ndarray

    def lps(self, kji: np.ndarray) -> np.ndarray:
        """(N, 3) mm of voxel numbers (N, 3)."""
        return np.asarray(self.geometry.origin) + np.asarray(kji, dtype=float)[:, ::-1] * VOXEL_MM


@dataclass(eq=False)
class Branch:
    """A stretch of a protrusion between forks; its line runs from the tip, or from the fork of its `children`, towards the body.

    `line` holds centroids (3,) in mm LPS of slabs of equal way from the body, `way_mm` that way, `volume_ml` is all that lies beyond its
    inner end.
    """

    line: list[np.ndarray] = field(default_factory=list)
    way_mm: list[float] = field(default_factory=list)
    children: tuple[Branch, ...] = ()
    volume_ml: float = 0.0

    @property
    def tip_way_mm(self) -> float:
        return max([*self.way_mm[:1], *(child.tip_way_mm for child in self.children)], default=0.0)

    @property
    def tips(self) -> list[np.ndarray]:
        """(3,) of each tip beyond."""
        return [tip for child in self.children for tip in child.tips] or [self.line[0]]


@dataclass(frozen=True)
class CrossSection:
    """A plane's cut through the cavity around a point: area, centroid (3,) in mm LPS; `whole` when it ends within the square looked at."""

    area_mm2: float
    centre: np.ndarray
    whole: bool

    @property
    def radius_mm(self) -> float:
        """Of the circle of the same area."""
        return float(np.sqrt(self.area_mm2 / np.pi))


def fill_surface(surface: Surface) -> Cavity:
    """The cavity of a closed surface with its body.

    Raises
    ------
    InputError
        a surface larger than any atrium: its grid would fill the memory.
    """
    extent_mm = float(np.ptp(surface.points, axis=0).max())
    if extent_mm > POSSIBLE_EXTENT_MM[1]:
        raise InputError(
            f"The surface is {extent_mm:.0f} mm across, and a left atrium is {USUAL_EXTENT_MM[0]:.0f}–{USUAL_EXTENT_MM[1]:.0f} mm, so "
            f"mitral valve and veins were not looked for (up to {POSSIBLE_EXTENT_MM[1]:g} mm). Check the unit of its coordinates, and "
            "whether it is an atrium."
        )
    low, high = surface.points.min(axis=0) - 3 * VOXEL_MM, surface.points.max(axis=0) + 3 * VOXEL_MM
    size = tuple(int(n) for n in np.ceil((high - low) / VOXEL_MM) + 1)
    geometry = Geometry(size, (VOXEL_MM,) * 3, tuple(low.tolist()))
    mask = filled(geometry.lps_to_index(surface.points), surface.triangles, geometry)
    inner = depth_inside(mask, geometry.spacing_kji)
    # Half a voxel off a voxel's centre lies the border.
    depth = np.where(mask, inner - VOXEL_MM / 2, VOXEL_MM / 2 - distance_to(mask, geometry.spacing_kji))
    radius = float(np.clip(BODY_SHARE * inner.max(), *BODY_RADIUS_MM))
    core = _largest(inner >= min(radius, inner.max()))
    body = mask & (distance_to(core, geometry.spacing_kji) < radius)
    voxels, edges, lengths = _graph(mask & (~body | ndimage.binary_dilation(mask & ~body, EVERY_NEIGHBOUR)))
    start = np.flatnonzero(body[tuple(voxels.T)])
    way = np.full(len(voxels), np.inf)
    if start.size:
        graph = coo_array((lengths, tuple(edges.T)), shape=(len(voxels),) * 2).tocsr()
        way = dijkstra(graph, directed=False, indices=start, min_only=True)
    return Cavity(geometry, depth, body, voxels, np.where(np.isfinite(way), way, 0.0), edges)


def _largest(mask: np.ndarray) -> np.ndarray:
    label, count = ndimage.label(mask, EVERY_NEIGHBOUR)
    return label == np.argmax(np.bincount(label.ravel())[1:]) + 1 if count > 1 else mask


def _graph(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels (S, 3) of a mask that keeps off the array's border, pairs (E, 2) of neighbours among them, and their distances (E,) in mm."""
    here = np.flatnonzero(mask)
    number = np.full(mask.size, -1)
    number[here] = np.arange(len(here))
    pairs, lengths = [], []
    # Half of the 26 directions: an edge has two ends.
    for step in (np.argwhere(EVERY_NEIGHBOUR) - 1)[14:]:
        there = number[here + int(step @ [mask.shape[1] * mask.shape[2], mask.shape[2], 1])]
        known = there >= 0
        pairs.append(np.stack([np.flatnonzero(known), there[known]], axis=1))
        lengths.append(np.full(len(pairs[-1]), VOXEL_MM * np.linalg.norm(step)))
    return np.stack(np.unravel_index(here, mask.shape), axis=1), np.concatenate(pairs), np.concatenate(lengths)


def find_branches(cavity: Cavity) -> list[Branch]:
    """The protrusions of the cavity, each with its forks, by flooding from the tips towards the body (a tree of level sets)."""
    points, way = cavity.lps(cavity.voxels), cavity.way_mm
    lower = way[cavity.edges].min(axis=1)
    alive: list[tuple[Branch, int]] = []  # with a voxel of each
    for level in np.arange(np.floor(way.max(initial=0.0) / VOXEL_MM), 0, -1) * VOXEL_MM:
        ends = cavity.edges[lower >= level]
        graph = coo_array((np.ones(len(ends), bool), tuple(ends.T)), shape=(len(way),) * 2).tocsr()
        above = np.flatnonzero(way >= level)
        _, first, label = np.unique(connected_components(graph, directed=False)[1][above], return_index=True, return_inverse=True)
        slab = way[above] < level + VOXEL_MM
        sizes, counts = np.bincount(label), np.bincount(label[slab], minlength=len(first))
        sums = np.stack([np.bincount(label[slab], points[above[slab], axis], minlength=len(first)) for axis in range(3)], axis=1)
        component = dict(zip(above.tolist(), label.tolist()))
        held: list[list[Branch]] = [[] for _ in first]
        for branch, voxel in alive:
            held[component[voxel]].append(branch)
        alive = []
        for number, place in enumerate(above[first].tolist()):
            branch = _joined(held[number], level)
            if counts[number]:
                branch.line.append(sums[number] / counts[number])
                branch.way_mm.append(float(level))
            branch.volume_ml = sizes[number] * VOXEL_MM**3 / 1000
            alive.append((branch, place))
    return [branch for branch, _ in alive if branch.tip_way_mm >= MIN_REACH_MM and branch.volume_ml >= SMALLEST_ML]


def _joined(branches: Sequence[Branch], level: float) -> Branch:
    """The branch that goes on from these: of several only those count that are long and large enough."""
    if not branches:
        return Branch()
    branches = sorted(branches, key=lambda branch: -branch.tip_way_mm)
    lasting = [b for b in branches if b.tip_way_mm - level >= PERSISTENCE_MM and b.volume_ml >= SMALLEST_ML] or branches[:1]
    return lasting[0] if len(lasting) == 1 else Branch(children=tuple(lasting))


@dataclass(frozen=True, eq=False)
class Tube:
    """A vein or appendage as its centre line, points in a tree, and its radius."""

    line: cKDTree
    radius_mm: float


def cross_section(cavity: Cavity, point: np.ndarray, normal: np.ndarray, own: Tube | None = None, others: Sequence[Tube] = ()) -> CrossSection:
    """The piece of the cavity around `point` (3,) in the plane with that unit `normal` (3,); area 0 where the point lies outside.

    What lies nearer to one of the `others` than to `own`, in radii of each, belongs to that one where tubes have joined.
    """
    across = np.linalg.svd(normal[None])[2][1:]
    steps = np.arange(-SECTION_REACH_MM, SECTION_REACH_MM + SECTION_STEP_MM / 2, SECTION_STEP_MM)
    u, v = np.meshgrid(steps, steps, indexing="ij")
    places = point + u[..., None] * across[0] + v[..., None] * across[1]
    kji = (places - np.asarray(cavity.geometry.origin))[..., ::-1] / VOXEL_MM
    depth = ndimage.map_coordinates(cavity.depth_mm, np.moveaxis(kji, -1, 0), order=1, mode="nearest")
    if own is not None:
        inside = depth > -SECTION_STEP_MM
        away = own.line.query(places[inside])[0]
        for other in others:
            # About the distance from the border between the two, positive on this side.
            apart = (other.line.query(places[inside])[0] * own.radius_mm / other.radius_mm - away) / 2
            depth[inside] = np.minimum(depth[inside], apart)
    label = ndimage.label(depth > 0)[0]
    middle = len(steps) // 2
    if not label[middle, middle]:
        return CrossSection(0.0, point, True)
    # A pixel that the border runs through counts in part.
    piece = ndimage.binary_dilation(label == label[middle, middle])
    share = np.clip(depth / SECTION_STEP_MM + 0.5, 0, 1) * piece
    centre = (places * share[..., None]).sum(axis=(0, 1)) / share.sum()
    whole = not (piece[0].any() or piece[-1].any() or piece[:, 0].any() or piece[:, -1].any())
    return CrossSection(float(share.sum()) * SECTION_STEP_MM**2, centre, whole)

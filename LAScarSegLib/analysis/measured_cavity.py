"""A cavity that is measured, as it is or perturbed: wall and distances, surface, and what is counted on them whatever the scar is."""

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.anatomy import Anatomy, build_anatomy
from ..anatomy.masks import Mask
from ..anatomy.wall import measured_wall
from ..errors import InputError
from ..intensity.blood_pool import measure_blood_pool
from ..intensity.protocols import Reading
from ..measure.sample import Sample
from ..support.flags import QualityFlag
from ..support.progress import Progress
from ..surface.layers import brightest_along_normals, halfway_through, layer_at, nearest_vertices
from ..surface.mesh import cavity_surface
from ..surface.openings import FoundPlanes, find_planes
from ..surface.planes import MITRAL, CutPlane, label_regions
from ..surface.projection import VoxelsAlongNormals
from ..surface.subvoxel_distance import subvoxel_signed_distance
from ..surface.surface import REGION_BODY, Surface
from ..volumes.volume import Box, Geometry, Volume
from .settings import Settings
from .sources import ByRule, Drawn, Given, Sources, base_of
from .steps import StepCache

SHIFT_MM = 1.0
"""The perturbation range: the cavity's surface moved this far out and in, the blood pool's erosion changed as much."""
BORDER_VOXELS = 0.5
"""Surface so near to the middle of the scan's outermost voxels is where the image ends."""


@dataclass(frozen=True)
class Measuring:
    """How a cavity is measured: what protocols and settings say of it, whatever the scar is. Lengths in mm."""

    reading: Reading
    counts_triangles: bool
    has_planes: bool
    wall_given: bool
    wall_outside_mm: float
    erosion_mm: float
    reach_mm: float

    @classmethod
    def of(cls, sources: Sources, settings: Settings) -> "Measuring":
        rule = base_of(sources.scar)
        protocol = rule.protocol_of if isinstance(rule, ByRule) else None
        wall = sources.wall.base if isinstance(sources.wall, Drawn) else sources.wall
        return cls(
            Reading.VOXELS if protocol is None else protocol.reading,
            protocol is not None and protocol.counts_triangles,
            bool(sources.planes), isinstance(wall, Given),
            settings.wall_outside_mm, settings.blood_pool_erosion_mm, settings.scar_reach_mm,
        )  # fmt: skip


def cut_out(volume: Volume, box: Box) -> Volume:
    """The scan's grey levels in the box, float32."""
    return Volume(volume.array[box.slices].astype(np.float32), volume.geometry.crop(box))


def find_anatomy(cavity: Mask | np.ndarray, wall: Mask | None, box: Box, geometry: Geometry, thickness_mm: float) -> Anatomy:
    """Wall and distances; `cavity` as a mask of the scan, or already in the box."""
    inside = cavity.within(box) if isinstance(cavity, Mask) else cavity
    anatomy = build_anatomy(inside, geometry, thickness_mm, None if wall is None else wall.within(box))
    if not anatomy.wall.any():
        raise InputError("There is no wall outside the cavity to measure: the wall mask lies wholly inside it. Check both masks.")
    return anatomy


def mesh_of(anatomy: Anatomy, edge_mm: float) -> Surface:
    return cavity_surface(anatomy.cavity, anatomy.geometry, edge_mm, anatomy.depth_mm)


def search_planes(mesh: Surface, scan: Geometry) -> FoundPlanes:
    """The planes found on a cavity's surface; unsure of all of them where none can be looked for."""
    index = scan.lps_to_index(mesh.points)
    at_border = ((index < BORDER_VOXELS) | (index > np.array(scan.size) - 1 - BORDER_VOXELS)).any(axis=1)
    try:
        return find_planes(mesh, at_border)
    except InputError as error:
        return FoundPlanes((), {MITRAL: str(error)})


def with_regions(mesh: Surface, planes: tuple[CutPlane, ...]) -> Surface:
    return mesh.with_arrays(region=label_regions(mesh, planes))


@dataclass(frozen=True, eq=False)
class MeasuredCavity:
    """One cavity, as it is or perturbed, with what is counted on it; the scar comes later.

    `nearest` (n,) is the vertex nearest to each wall voxel, None where nobody asks.
    """

    surface: Surface
    wall: np.ndarray
    geometry: Geometry
    box: Box
    sample: Sample
    nearest: np.ndarray | None = None


def measure_cavity(body: Volume, anatomy: Anatomy, surface: Surface, box: Box, how: Measuring) -> MeasuredCavity:
    """Everything that is counted on one cavity."""
    blood = measure_blood_pool(body.array, anatomy.depth_mm, how.erosion_mm)
    surface_value = read_surface(body, anatomy, surface, how)
    wall_value = wall_intensity = body.array[anatomy.wall]
    is_wall, is_wall_voxel, nearest = surface.region == REGION_BODY, np.ones(len(wall_intensity), dtype=bool), None
    if how.has_planes or how.reading.is_layer:
        nearest = nearest_vertices(surface, body.geometry.index_to_lps(np.argwhere(anatomy.wall)[:, ::-1]))
        is_wall_voxel = is_wall[nearest]
    if how.reading.is_layer:
        wall_value = surface_value[nearest]
        is_wall_voxel = is_wall_voxel & ~np.isneginf(wall_value)
    sample = Sample(
        blood=blood,
        wall_intensity=wall_intensity,
        cavity_intensity=body.array[anatomy.cavity],
        surface_value=surface_value,
        wall_value=wall_value,
        vertex_area_mm2=surface.vertex_area_mm2,
        vertex_share=surface.vertex_triangles if how.counts_triangles else surface.vertex_area_mm2,
        is_wall=is_wall,
        is_wall_voxel=is_wall_voxel,
        has_planes=how.has_planes,
        la_volume_ml=surface.volume_ml,
        voxel_volume_ml=body.geometry.voxel_volume_ml,
    )
    return MeasuredCavity(surface, anatomy.wall, body.geometry, box, sample, nearest)


def read_surface(body: Volume, anatomy: Anatomy, surface: Surface, how: Measuring) -> np.ndarray:
    """(N,) float32: the grey level at each vertex that a threshold is compared with; −inf where nothing is measured.

    Raises
    ------
    InputError
        a layer that lies nowhere: outside the scan, or where the drawn wall does not reach.
    """
    if how.reading is Reading.VOXELS:
        return VoxelsAlongNormals.along(body.geometry, surface, how.reach_mm).maximum(body.array, anatomy.wall)
    if how.reading is Reading.NORMAL_MAXIMUM:
        value = brightest_along_normals(body.array, body.geometry, surface)
    else:
        value = layer_at(body.array, body.geometry, surface, _depth_of_mid_wall(body.geometry, anatomy, surface, how))
    if np.isneginf(value).all():
        raise InputError("The layer that is measured lies nowhere: outside the scan, or where the wall mask does not reach. Check both masks.")
    return value


def _depth_of_mid_wall(geometry: Geometry, anatomy: Anatomy, surface: Surface, how: Measuring) -> np.ndarray:
    """(N,) mm: halfway through the automatic wall, known to a fraction of a voxel; where a person drew another one, through that."""
    automatic = np.full(len(surface.points), how.wall_outside_mm / 2)
    drawn_here = np.ones(len(surface.points), dtype=bool)
    if not how.wall_given:
        changed = anatomy.wall ^ measured_wall(anatomy.outside_mm, how.wall_outside_mm)
        if not changed.any():
            return automatic
        drawn_here = VoxelsAlongNormals.along(geometry, surface, how.wall_outside_mm + how.reach_mm).any(changed)
    return np.where(drawn_here, halfway_through(anatomy.wall, geometry, surface, how.reach_mm), automatic)


def perturb(
    steps: StepCache, body: Volume, anatomy: Anatomy, mesh: Surface, cavity: MeasuredCavity, sources: Sources, how: Measuring,
    edge_mm: float, progress: Progress,
) -> tuple[dict[str, MeasuredCavity], tuple[QualityFlag, ...]]:  # fmt: skip
    """The blood pool eroded 1 mm less and more, and the cavity's surface 1 mm further out and in, each by what was done to it;
    and what had to be left out."""
    found: dict[str, MeasuredCavity | str] = {}
    for what, erosion_mm in (("less", max(0.0, how.erosion_mm - SHIFT_MM)), ("more", how.erosion_mm + SHIFT_MM)):
        progress.report("measure", len(found) / 4, "Perturbation range")
        found[f"a blood pool eroded by 1 mm {what}"] = steps(with_other_blood, body, anatomy, cavity, erosion_mm)
    progress.report("measure", 0.5, "Perturbation range")
    found |= steps(with_shifted_surface, body, anatomy, mesh, sources.wall.mask, cavity.box, sources.planes, how, edge_mm)
    flags = [
        QualityFlag("range_incomplete", f"The perturbation range leaves out {what}, so it may be too narrow: {reason}")
        for what, reason in found.items()
        if isinstance(reason, str)
    ]
    return {what: other for what, other in found.items() if isinstance(other, MeasuredCavity)}, tuple(flags)


def with_other_blood(body: Volume, anatomy: Anatomy, cavity: MeasuredCavity, erosion_mm: float) -> MeasuredCavity | str:
    """The same cavity with another blood pool; or why there is none."""
    try:
        blood = measure_blood_pool(body.array, anatomy.depth_mm, erosion_mm)
    except InputError as error:
        return str(error)
    return replace(cavity, sample=replace(cavity.sample, blood=blood))


def with_shifted_surface(
    body: Volume, anatomy: Anatomy, mesh: Surface, wall: Mask | None, box: Box, planes: tuple[CutPlane, ...], how: Measuring, edge_mm: float
) -> dict[str, MeasuredCavity | str]:
    """The cavity larger and smaller by 1 mm; or why that can't be measured."""
    distance = subvoxel_signed_distance(anatomy.sdm_cavity_mm, body.geometry, mesh, SHIFT_MM)
    found: dict[str, MeasuredCavity | str] = {}
    for what, shift_mm in (("larger", SHIFT_MM), ("smaller", -SHIFT_MM)):
        name = f"a cavity {what} by 1 mm"
        try:
            shifted = find_anatomy(distance > -shift_mm, wall, box, body.geometry, how.wall_outside_mm)
            surface = with_regions(mesh_of(shifted, edge_mm), planes)
            found[name] = measure_cavity(body, shifted, surface, box, how)
        except InputError as error:
            found[name] = str(error)
    return found

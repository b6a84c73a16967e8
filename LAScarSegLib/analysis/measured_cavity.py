"""One cavity measured, as it is or perturbed: wall and distances, surface, and what is counted on them whatever the scar is."""

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.anatomy import Anatomy, build_anatomy
from ..anatomy.masks import Mask
from ..errors import InputError
from ..intensity.blood_pool import measure_blood_pool
from ..measure.sample import Sample
from ..support.flags import QualityFlag
from ..support.progress import Progress
from ..surface.mesh import cavity_surface
from ..surface.planes import CutPlane, label_regions
from ..surface.projection import VoxelsAlongNormals
from ..surface.subvoxel_distance import subvoxel_signed_distance
from ..surface.surface import REGION_BODY, Surface
from ..volumes.volume import Box, Geometry, Volume
from .settings import Settings
from .sources import Sources
from .steps import StepCache

SHIFT_MM = 1.0
"""The perturbation range: the cavity's surface moved this far out and in, the blood pool's erosion changed as much."""


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


def with_regions(mesh: Surface, planes: tuple[CutPlane, ...], anatomy: Anatomy) -> Surface:
    return mesh.with_arrays(region=label_regions(mesh, planes, anatomy.deepest_point))


@dataclass(frozen=True, eq=False)
class MeasuredCavity:
    """One cavity, as it is or perturbed, with what is counted on it; the scar comes later."""

    surface: Surface
    wall: np.ndarray
    geometry: Geometry
    box: Box
    sample: Sample


def measure_cavity(
    body: Volume, anatomy: Anatomy, surface: Surface, box: Box, has_planes: bool, erosion_mm: float, reach_mm: float
) -> MeasuredCavity:
    """Everything that is counted on one cavity."""
    probe = VoxelsAlongNormals.along(body.geometry, surface, reach_mm)
    sample = Sample(
        blood=measure_blood_pool(body.array, anatomy.depth_mm, erosion_mm),
        wall_intensity=body.array[anatomy.wall],
        cavity_intensity=body.array[anatomy.cavity],
        wall_peak=probe.maximum(body.array, anatomy.wall),
        vertex_area_mm2=surface.vertex_area_mm2,
        is_wall=surface.region == REGION_BODY,
        has_planes=has_planes,
        la_volume_ml=surface.volume_ml,
        voxel_volume_ml=body.geometry.voxel_volume_ml,
    )
    return MeasuredCavity(surface, anatomy.wall, body.geometry, box, sample)


def perturb(
    steps: StepCache,
    body: Volume,
    anatomy: Anatomy,
    mesh: Surface,
    cavity: MeasuredCavity,
    sources: Sources,
    settings: Settings,
    progress: Progress,
) -> tuple[list[MeasuredCavity], tuple[QualityFlag, ...]]:
    """The blood pool eroded 1 mm less and more, and the cavity's surface 1 mm further out and in; and what had to be left out."""
    erosion = settings.blood_pool_erosion_mm
    found: dict[str, MeasuredCavity | str] = {}
    for what, erosion_mm in (("less", max(0.0, erosion - SHIFT_MM)), ("more", erosion + SHIFT_MM)):
        progress.report("measure", len(found) / 4, "Perturbation range")
        found[f"a blood pool eroded by 1 mm {what}"] = steps(with_other_blood, body, anatomy, cavity, erosion_mm)
    progress.report("measure", 0.5, "Perturbation range")
    found |= steps(
        with_shifted_surface, body, anatomy, mesh, sources.wall.mask, cavity.box, sources.planes, settings.wall_outside_mm,
        settings.mesh_edge_mm, erosion, settings.scar_reach_mm,
    )  # fmt: skip
    flags = [
        QualityFlag("range_incomplete", f"The perturbation range leaves out {what}, so it may be too narrow: {reason}")
        for what, reason in found.items()
        if isinstance(reason, str)
    ]
    return [other for other in found.values() if isinstance(other, MeasuredCavity)], tuple(flags)


def with_other_blood(body: Volume, anatomy: Anatomy, cavity: MeasuredCavity, erosion_mm: float) -> MeasuredCavity | str:
    """The same cavity with another blood pool; or why there is none."""
    try:
        blood = measure_blood_pool(body.array, anatomy.depth_mm, erosion_mm)
    except InputError as error:
        return str(error)
    return replace(cavity, sample=replace(cavity.sample, blood=blood))


def with_shifted_surface(
    body: Volume, anatomy: Anatomy, mesh: Surface, wall: Mask | None, box: Box, planes: tuple[CutPlane, ...], thickness_mm: float,
    edge_mm: float, erosion_mm: float, reach_mm: float,
) -> dict[str, MeasuredCavity | str]:  # fmt: skip
    """The cavity larger and smaller by 1 mm; or why that can't be measured."""
    distance = subvoxel_signed_distance(anatomy.sdm_cavity_mm, body.geometry, mesh, SHIFT_MM)
    found: dict[str, MeasuredCavity | str] = {}
    for what, shift_mm in (("larger", SHIFT_MM), ("smaller", -SHIFT_MM)):
        name = f"a cavity {what} by 1 mm"
        try:
            shifted = find_anatomy(distance > -shift_mm, wall, box, body.geometry, thickness_mm)
            surface = with_regions(mesh_of(shifted, edge_mm), planes, shifted)
            found[name] = measure_cavity(body, shifted, surface, box, bool(planes), erosion_mm, reach_mm)
        except InputError as error:
            found[name] = str(error)
    return found

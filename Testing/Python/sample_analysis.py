"""A small analysis made by hand for the tests of the outputs: a ball-shaped atrium whose scar is wherever the test wants it.

Nothing here calls the pipeline: the outputs are tested against geometry that is known without it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import ndimage

from LAScarSegLib.analysis import SDM_CLIP_MM, Analysis, ByRule, Given, Mask, Offset, ScarMethod, Sources
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.intensity.blood_pool import BloodPool
from LAScarSegLib.intensity.curve import ThresholdCurve
from LAScarSegLib.measure.numbers import NUMBERS, Quantity
from LAScarSegLib.measure.sample import Sample
from LAScarSegLib.support.flags import QualityFlag
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.surface.surface import Surface
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

RADIUS_MM = 20.0
WALL_MM = 2.5
BLOOD, WALL, SCAR = 200.0, 150.0, 300.0

AXIAL = Geometry((40, 44, 24), (1.5, 1.5, 2.5), (-29.0, -32.0, -28.0))


def left_side(points_lps: np.ndarray) -> np.ndarray:
    """Scar on the patient's left: x of LPS points to the left."""
    return points_lps[..., 0] > 8.0


def ball_surface(subdivisions: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Unit sphere as points (N, 3) and outward triangles (M, 3): an octahedron, subdivided."""
    points = [np.eye(3)[axis] * sign for axis in range(3) for sign in (1, -1)]
    faces = [(0, 2, 4), (2, 1, 4), (1, 3, 4), (3, 0, 4), (2, 0, 5), (1, 2, 5), (3, 1, 5), (0, 3, 5)]
    for _ in range(subdivisions):
        middle: dict[tuple[int, int], int] = {}
        finer = []
        for face in faces:
            mids = []
            for a, b in ((face[0], face[1]), (face[1], face[2]), (face[2], face[0])):
                key = (min(a, b), max(a, b))
                if key not in middle:
                    point = points[a] + points[b]
                    middle[key] = len(points)
                    points.append(point / np.linalg.norm(point))
                mids.append(middle[key])
            finer += [(face[0], mids[0], mids[2]), (mids[0], face[1], mids[1]), (mids[2], mids[1], face[2]), tuple(mids)]
        faces = finer
    return np.array(points), np.array(faces, dtype=np.int64)


def sample_analysis(
    scar_at: Callable[[np.ndarray], np.ndarray] = left_side,
    geometry: Geometry = AXIAL,
    excluded_at: Callable[[np.ndarray], np.ndarray] | None = None,
    provenance: dict | None = None,
) -> Analysis:
    """A ball of `RADIUS_MM` at the origin of LPS; wall and surface are scar where `scar_at(points)` says so."""
    k, j, i = np.indices(geometry.shape)
    points = geometry.index_to_lps(np.stack([i, j, k], -1).reshape(-1, 3)).reshape(*geometry.shape, 3)
    radius = np.linalg.norm(points, axis=-1)
    cavity, wall = radius <= RADIUS_MM, (radius > RADIUS_MM) & (radius <= RADIUS_MM + WALL_MM)
    scar = wall & scar_at(points)
    noise = np.random.default_rng(7).normal(0, 12, geometry.shape)
    image = (np.where(cavity, BLOOD, np.where(scar, SCAR, np.where(wall, WALL, 60.0))) + noise).astype(np.float32)
    box = Box.around(cavity, SDM_CLIP_MM, geometry.spacing_kji)
    inside = box.slices
    pool = image[(_sdm(cavity, geometry) > 3.0)]
    blood = BloodPool(float(pool.mean()), float(pool.std()), int(pool.size))
    surface = _surface(scar_at, excluded_at, blood)
    return Analysis(
        volume=Volume(image, geometry), settings=Settings(), box=box, lge_box=image[inside], cavity_box=cavity[inside],
        wall_box=wall[inside], scar_box=scar[inside], sdm_cavity_box=_sdm(cavity, geometry)[inside],
        sdm_wall_box=_sdm(wall, geometry)[inside], surface=surface,
        curve=_curve(image[wall], surface, blood), samples=(_sample(image, cavity, wall, surface, blood),),
        method=ScarMethod(
            "iir", "Image intensity ratio", "Image intensity ratio > 1.20", 1.2, "IIR", 1.2 * blood.mean,
            "barcelona-fibrosis", "a mid-wall surface layer", False, ("the threshold belongs to no whole protocol",), None, "Benito et al.",
            kind="rule",
        ),
        measurements=_measurements(surface, scar, wall, cavity, geometry, blood, excluded_at is not None),
        flags=(QualityFlag("sample_flag", "The atrium is a ball of 20 mm <radius> & nothing else.", "warning"),),
        sources=Sources(Given(Mask.of(cavity)), Offset(), ByRule("iir", 1.2)),
        masks={"cavity": Mask.of(cavity), "wall": Mask.of(wall), "scar": Mask.of(scar)},
        provenance={"simulated": False} | (provenance or {"lascarseg": "0.1.0", "inputs": {"image": {"path": "scan.nrrd"}}}),
    )  # fmt: skip


def _sdm(mask: np.ndarray, geometry: Geometry) -> np.ndarray:
    edt = ndimage.distance_transform_edt
    signed = edt(mask, geometry.spacing_kji) - edt(~mask, geometry.spacing_kji)
    return np.clip(signed, -SDM_CLIP_MM, SDM_CLIP_MM).astype(np.float32)


def _surface(scar_at: Callable, excluded_at: Callable | None, blood: BloodPool) -> Surface:
    unit, triangles = ball_surface()
    points = unit * RADIUS_MM
    scar = scar_at(points)
    lge = np.where(scar, SCAR, WALL)
    region = np.where(excluded_at(points), 0, 1).astype(np.uint8) if excluded_at else np.ones(len(points), np.uint8)
    return Surface(points, triangles, unit, lge, lge / blood.mean, scar, scar.astype(np.uint8), None, region)


def _sample(image: np.ndarray, cavity: np.ndarray, wall: np.ndarray, surface: Surface, blood: BloodPool) -> Sample:
    peak, area, values = surface.lge.astype(np.float32), surface.vertex_area_mm2, image[wall]
    proper = np.ones(len(values), dtype=bool)
    return Sample(
        blood, values, image[cavity], peak, values, area, area, surface.is_wall, proper, not surface.is_wall.all(), surface.volume_ml, 0.0
    )


def _curve(wall_values: np.ndarray, surface: Surface, blood: BloodPool) -> ThresholdCurve:
    iir = np.linspace(0.5, 2.0, 61)
    volume_pct = np.array([100.0 * (wall_values > t * blood.mean).mean() for t in iir])
    area_pct = np.array([100.0 * surface.vertex_area_mm2[surface.iir > t].sum() / surface.area_mm2 for t in iir])
    sd = (iir - 1.0) * blood.mean / blood.sd
    return ThresholdCurve(iir * blood.mean, iir, sd, area_pct, np.full(len(iir), np.nan), volume_pct, area_pct, np.full(len(iir), np.nan))


def _measurements(surface, scar, wall, cavity, geometry, blood, has_planes) -> dict[str, Quantity]:
    area = surface.vertex_area_mm2
    values = dict.fromkeys(name.key for name in NUMBERS)
    values["scar_area_pct"] = 100.0 * area[surface.scar].sum() / area.sum()
    if has_planes:
        values["scar_area_pct_wall"] = 100.0 * area[surface.scar & surface.is_wall].sum() / area[surface.is_wall].sum()
    values["scar_area_cm2"] = area[surface.scar].sum() / 100.0
    values["scar_volume_ml"] = scar.sum() * geometry.voxel_volume_ml
    values["scar_pct_of_wall_volume"] = 100.0 * scar.sum() / wall.sum()
    values["la_volume_ml"] = cavity.sum() * geometry.voxel_volume_ml
    values["la_surface_area_cm2"] = area.sum() / 100.0
    values["wall_volume_ml"] = wall.sum() * geometry.voxel_volume_ml
    values["blood_pool_mean"], values["blood_pool_sd"] = blood.mean, blood.sd
    values["threshold"], values["threshold_intensity"] = 1.2, 1.2 * blood.mean
    measurements = {n.key: Quantity(None if values[n.key] is None else float(values[n.key]), n.unit) for n in NUMBERS}
    headline = measurements["scar_area_pct"]
    measurements["scar_area_pct"] = Quantity(headline.value, "%", headline.value - 3.0, headline.value + 4.0)
    return measurements


def with_planes(analysis: Analysis, planes: tuple[CutPlane, ...]) -> Analysis:
    """The same analysis, as if these planes had been given."""
    return replace(analysis, sources=replace(analysis.sources, planes=planes))

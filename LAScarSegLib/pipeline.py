"""The one path: volume → cavity → anatomy → surface → scar → measure. Every front end calls `analyse`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from .analysis import GIVEN, Analysis, ScarMethod
from .anatomy.anatomy import Anatomy, build_anatomy
from .case import Case, prepare_case
from .errors import InputError
from .intensity.blood_pool import measure_blood_pool
from .intensity.rules import Rule, find_rule
from .measure import quality
from .measure.numbers import grey_level_of, measurements
from .measure.sample import GivenScar, Sample
from .progress import Progress
from .provenance import describe_run, mask_digest
from .settings import Settings
from .surface.distance import subvoxel_signed_distance
from .surface.mesh import cavity_surface
from .surface.planes import CutPlane, label_regions, reach_beyond_mitral_mm
from .surface.projection import NormalProbe, project_intensity
from .surface.surface import REGION_BODY, Surface
from .volume import Volume
from .volume_files import SIMULATED

SHIFT_MM = 1.0
"""The perturbation range: the cavity's surface moved this far out and in, the blood pool's erosion changed as much."""


def analyse(
    volume: Volume,
    settings: Settings = Settings(),
    *,
    cavity: Volume,
    wall: Volume | None = None,
    scar: Volume | None = None,
    planes: Sequence[CutPlane] = (),
    labels: dict[str, int] | None = None,
    scar_predicted: bool = False,
    ranges: bool = True,
    progress: Progress | None = None,
) -> Analysis:
    """Measure the scar of one LGE-MRI.

    Parameters
    ----------
    volume
        the scan, any scalar voxel type.
    cavity, wall, scar
        masks on any grid: the cavity (needed), a wall drawn by someone (else it is 0–2.5 mm outside the cavity), a scar
        mask (else the rule of `settings` finds it).
    planes
        mitral plane and vein cut planes.
    labels
        for a mask with several labels, which to take: `{"cavity": 420}`.
    scar_predicted
        `scar` comes from a model, not from a person: as with a rule, only what lies in the wall is scar (SCIENCE section 4).
    ranges
        False leaves out the perturbation range whatever `settings` say: a first look while somebody edits.
    progress
        where to report, and who may cancel.

    Raises
    ------
    InputError
        naming what can't be used and what to do.
    Cancelled
        from `progress`.
    """
    progress = progress or Progress()
    progress.report("check", 0.0, "Checking the input")
    rule = find_rule(settings.rule) if scar is None else None
    parameter = rule.check_parameter(settings.threshold) if rule is not None else None
    # The number that was used is written down, not "the default": that may be another one in a later version.
    settings = replace(settings, threshold=parameter) if rule is not None else settings
    masks = {name: mask for name, mask in {"cavity": cavity, "wall": wall, "scar": scar}.items() if mask is not None}
    case, flags = prepare_case(volume, settings, masks, planes, labels or {})
    case = replace(case, scar_predicted=scar_predicted)

    progress.report("anatomy", 0.1, "Wall and distances")
    anatomy = _anatomy(case)

    progress.report("surface", 0.2, "LA surface")
    # Nothing before the result asks for the wall's map, and smoothing leaves a core free: somebody who edits waits a tenth less.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: anatomy.sdm_wall_mm)
        surface = _surface(case, anatomy)

    progress.report("scar", 0.35, "Scar in the wall and on the surface")
    sample = _sample(case, anatomy, surface, settings.blood_pool_erosion_mm)
    level = grey_level_of(sample, rule, parameter)
    scar_box = case.scar_in(anatomy.wall) if case.scar is not None else anatomy.wall & (case.lge > level)
    surface = _painted(case, surface, sample, level)

    progress.report("measure", 0.5, "Numbers and their perturbation range")
    perturbed = _perturbed(case, anatomy, surface, progress.part(0.5, 0.95)) if settings.perturbation and ranges else ()
    numbers = measurements(sample, perturbed, rule, parameter, settings.staging if settings.native else None)
    flags += _result_flags(case, anatomy, surface, sample, numbers)
    progress.report("measure", 1.0, "Measured")
    return Analysis(
        volume=volume,
        settings=settings,
        box=case.box,
        lge_box=case.lge,
        cavity_box=anatomy.cavity,
        wall_box=anatomy.wall,
        scar_box=scar_box,
        sdm_cavity_box=anatomy.sdm_cavity_mm,
        sdm_wall_box=anatomy.sdm_wall_mm,
        surface=surface,
        curve=sample.curve(surface.lge),
        method=_describe_method(rule, parameter, level, case.wall is not None),
        measurements=numbers,
        flags=flags,
        planes=case.planes,
        provenance=describe_run(settings, volume.geometry)
        | {
            "simulated": SIMULATED in volume.flags,
            "masks": _digests(case, anatomy, scar_box, volume.geometry.shape),
            "planes": [plane.to_json() for plane in case.planes],
        },
        samples=(sample, *perturbed),
    )


def change_threshold(analysis: Analysis, rule: str, threshold: float | None = None) -> Analysis:
    """The same analysis with another rule or threshold: scar, area, numbers and flags anew, nothing else computed again.

    Raises `InputError` for an unknown rule or a threshold it can't use.
    """
    chosen = find_rule(rule)
    parameter = chosen.check_parameter(threshold)
    settings = replace(analysis.settings, rule=rule, threshold=parameter)
    sample, *perturbed = (replace(s, given_scar=None) for s in analysis.samples)
    level = grey_level_of(sample, chosen, parameter)
    numbers = measurements(sample, perturbed, chosen, parameter, settings.staging if settings.native else None)
    scar_box = analysis.wall_box & (analysis.lge_box > level)
    masks = analysis.provenance["masks"] | {"scar": mask_digest(scar_box, analysis.box.start, analysis.geometry.shape)}
    kept = tuple(flag for flag in analysis.flags if flag.code not in quality.DEPENDS_ON_SCAR)
    return replace(
        analysis,
        settings=settings,
        scar_box=scar_box,
        surface=analysis.surface.with_arrays(scar=sample.scar_vertices(level), scar_probability=None),
        method=_describe_method(chosen, parameter, level, analysis.method.wall_given),
        measurements=numbers,
        flags=kept + quality.check_level(level, sample.blood) + quality.check_scar_area(numbers["scar_area_pct"].value),
        provenance=analysis.provenance | {"settings": settings.to_json(), "masks": masks},
        samples=(sample, *perturbed),
        scar_probability_box=None,
    )


def change_scar(analysis: Analysis, scar_box: np.ndarray) -> Analysis:
    """The same analysis with a scar mask: scar, map, numbers and flags anew, without ranges; nothing else computed again.

    scar_box (k, j, i) bool in the analysis's box. The values equal those of `analyse` with that mask.
    """
    settings = analysis.settings
    sample = analysis.samples[0]
    probe = NormalProbe.along(analysis.box_geometry, analysis.surface, settings.scar_reach_mm)
    sample = replace(sample, given_scar=_given_scar(probe, scar_box, analysis.wall_box))
    numbers = measurements(sample, (), None, None, settings.staging if settings.native else None)
    masks = analysis.provenance["masks"] | {"scar": mask_digest(scar_box, analysis.box.start, analysis.geometry.shape)}
    kept = tuple(flag for flag in analysis.flags if flag.code not in quality.DEPENDS_ON_SCAR)
    scar_flags = quality.check_scar_mask(scar_box, analysis.cavity_box, analysis.wall_box)
    return replace(
        analysis,
        scar_box=scar_box,
        surface=analysis.surface.with_arrays(scar=sample.scar_vertices(None)),
        method=_describe_method(None, None, None, analysis.method.wall_given),
        measurements=numbers,
        flags=kept + scar_flags + quality.check_scar_area(numbers["scar_area_pct"].value),
        provenance=analysis.provenance | {"masks": masks},
        samples=(sample, *analysis.samples[1:]),
    )


def _anatomy(case: Case) -> Anatomy:
    anatomy = build_anatomy(case.cavity, case.geometry, case.settings.wall_outside_mm, case.wall)
    if not anatomy.wall.any():
        raise InputError("There is no wall outside the cavity to measure: the wall mask lies wholly inside it. Check both masks.")
    return anatomy


def _surface(case: Case, anatomy: Anatomy) -> Surface:
    """The surface with its regions."""
    surface = cavity_surface(anatomy.cavity, case.geometry, case.settings.mesh_edge_mm, anatomy.depth_mm)
    return surface.with_arrays(region=label_regions(surface, case.planes, anatomy.deepest_point))


def _sample(case: Case, anatomy: Anatomy, surface: Surface, erosion_mm: float) -> Sample:
    """Everything that is counted on one cavity."""
    probe = NormalProbe.along(case.geometry, surface, case.settings.scar_reach_mm)
    scar = None
    if case.scar is not None:
        scar = _given_scar(probe, case.scar_in(anatomy.wall), anatomy.wall)
    return Sample(
        blood=measure_blood_pool(case.lge, anatomy.depth_mm, erosion_mm),
        wall_intensity=case.lge[anatomy.wall],
        cavity_intensity=case.lge[anatomy.cavity],
        wall_peak=probe.maximum(case.lge, anatomy.wall),
        vertex_area_mm2=surface.vertex_area_mm2,
        is_wall=surface.region == REGION_BODY,
        has_planes=bool(case.planes),
        la_volume_ml=surface.volume_ml,
        voxel_volume_ml=case.geometry.voxel_volume_ml,
        given_scar=scar,
    )


def _given_scar(probe: NormalProbe, scar: np.ndarray, wall: np.ndarray) -> GivenScar:
    return GivenScar(probe.any(scar), int(scar.sum()), int((scar & wall).sum()))


def _painted(case: Case, surface: Surface, sample: Sample, level: float | None) -> Surface:
    """The surface with projected intensity and scar."""
    s = case.settings
    lge = project_intensity(
        case.lge, case.geometry, surface, s.projection_from_mm, s.projection_to_mm, s.projection_step_mm, s.projection_statistic
    )
    return surface.with_arrays(lge=lge, iir=lge / sample.blood.mean, scar=sample.scar_vertices(level))


def _perturbed(case: Case, anatomy: Anatomy, surface: Surface, progress: Progress) -> tuple[Sample, ...]:
    """The samples of a blood pool eroded 1 mm less and more, and of a cavity whose surface lies 1 mm further out and in.

    A perturbation that leaves nothing to measure (a shift that empties a small cavity) is left out.
    """
    erosion = case.settings.blood_pool_erosion_mm
    distance = subvoxel_signed_distance(anatomy.sdm_cavity_mm, case.geometry, surface, SHIFT_MM)
    samples = []
    for step, (shift_mm, erosion_mm) in enumerate(
        [(0.0, max(0.0, erosion - SHIFT_MM)), (0.0, erosion + SHIFT_MM), (SHIFT_MM, erosion), (-SHIFT_MM, erosion)]
    ):
        progress.report("measure", step / 4, "Perturbation range")
        try:
            shifted, moved = anatomy, surface
            if shift_mm:
                shifted = _anatomy(replace(case, cavity=distance > -shift_mm))
                moved = _surface(case, shifted)
            samples.append(_sample(case, shifted, moved, erosion_mm))
        except InputError:
            continue
    return tuple(samples)


def _result_flags(case: Case, anatomy: Anatomy, surface: Surface, sample: Sample, numbers: dict) -> tuple:
    excluded = 1.0 - float(sample.vertex_area_mm2[sample.is_wall].sum() / sample.vertex_area_mm2.sum())
    bare = float(sample.vertex_area_mm2[np.isneginf(sample.wall_peak)].sum() / sample.vertex_area_mm2.sum())
    return (
        *quality.check_intensities(sample.blood, sample.wall_intensity),
        *quality.check_lge_like(case.lge, anatomy.outside_mm, sample.blood),
        *_scar_flags(case, anatomy),
        *quality.check_volume(numbers["la_volume_ml"].value),
        *quality.check_bare_surface(bare, case.settings.scar_reach_mm),
        *quality.check_level(numbers["threshold_intensity"].value, sample.blood),
        *quality.check_scar_area(numbers["scar_area_pct"].value),
        *quality.check_planes(bool(case.planes), excluded),
        *quality.check_mitral_leak(reach_beyond_mitral_mm(surface, case.planes)),
    )


def _scar_flags(case: Case, anatomy: Anatomy) -> tuple:
    if case.scar is None:
        return ()
    check = quality.check_predicted_scar if case.scar_predicted else quality.check_scar_mask
    return check(case.scar, anatomy.cavity, anatomy.wall)


def _digests(case: Case, anatomy: Anatomy, scar: np.ndarray, shape: tuple[int, int, int]) -> dict[str, str]:
    masks = {"cavity": anatomy.cavity, "wall": anatomy.wall, "scar": scar}
    return {name: mask_digest(mask, case.box.start, shape) for name, mask in masks.items()}


def _describe_method(rule: Rule | None, parameter: float | None, level: float | None, wall_given: bool) -> ScarMethod:
    if rule is None:
        return ScarMethod(GIVEN, "A scar mask that was given", wall_given=wall_given)
    preset = rule.preset(parameter)
    return ScarMethod(
        name=rule.name,
        title=rule.title,
        parameter=parameter,
        parameter_name=rule.parameter,
        threshold_intensity=level,
        preset=preset.key if preset else None,
        published_for=preset.published_for if preset else None,
        calibrated=bool(preset and preset.wall_drawn_by_hand and wall_given),
        source=preset.source if preset else rule.source,
        wall_given=wall_given,
    )

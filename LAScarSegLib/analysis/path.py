"""The one path: scan and sources → cavity, wall, surface, scar → numbers. Every front end calls `analyse`; a result changes by `revise`."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.anatomy import SDM_CLIP_MM, Anatomy, build_anatomy
from ..anatomy.distance import distance_to
from ..anatomy.masks import Mask, check_cavity
from ..anatomy.wall import measured_wall
from ..errors import InputError
from ..flags import QualityFlag
from ..intensity.blood_pool import measure_blood_pool
from ..intensity.curve import ThresholdCurve
from ..intensity.rules import Rule
from ..measure import quality
from ..measure.numbers import grey_level_of, measurements
from ..measure.sample import GivenScar, Sample
from ..progress import Progress
from ..settings import Settings
from ..surface.distance import subvoxel_signed_distance
from ..surface.mesh import cavity_surface
from ..surface.planes import CutPlane, label_regions, reach_beyond_mitral_mm
from ..surface.projection import NormalProbe, project_intensity
from ..surface.surface import REGION_BODY, Surface
from ..volume import Box, Geometry, Volume
from ..volume_files import check_finite
from .change import Change
from .provenance import describe_run
from .result import Analysis
from .sources import CAVITY, MASKS, SCAR, WALL, ByRule, Drawn, Given, Network, Offset, Probability, Source, Sources, ToRun, check_sources
from .steps import Steps
from .words import describe_scar, older_than_cavity

BOX_MARGIN_MM = SDM_CLIP_MM
"""This far from cavity and wall every signed distance map is at its clip, and no projection reaches."""
SHIFT_MM = 1.0
"""The perturbation range: the cavity's surface moved this far out and in, the blood pool's erosion changed as much."""
NETWORKS_SHARE, CAVITY_SHARE = 0.8, 0.7
"""Where networks end in an analysis's progress, when there are some: on a CPU they take most of the time; and where, of their part,
the first of two ends: it looks at more."""


def analyse(
    volume: Volume,
    settings: Settings = Settings(),
    *,
    cavity: Volume | Source | ToRun,
    wall: Volume | Source | None = None,
    scar: Volume | Source | ToRun | None = None,
    planes: Sequence[CutPlane] = (),
    labels: dict[str, int] | None = None,
    files: dict[str, dict[str, str]] | None = None,
    ranges: bool = True,
    progress: Progress | None = None,
) -> Analysis:
    """Measure the scar of one LGE-MRI.

    Parameters
    ----------
    volume
        the scan, any scalar voxel type.
    cavity, wall, scar
        a source, or a mask on any grid: the cavity (needed), a wall drawn by someone (None: it is 0–2.5 mm outside the cavity),
        the scar (None: the rule of `settings` finds it).
    planes
        mitral plane and vein cut planes.
    labels
        for a mask with several labels, which to take: `{"cavity": 420}`.
    files
        what was read, by what it was read for, for the result's provenance: `{"image": {"path": …, "sha256": …}}`.
    ranges
        False leaves out the perturbation range whatever `settings` say: a first look while somebody edits.
    progress
        where to report, and who may cancel.

    Raises
    ------
    InputError
        naming what can't be used and what to do.
    ProcessingError
        from networks: there is not enough memory.
    Cancelled
        from `progress`.
    """
    progress = progress or Progress()
    progress.report("check", 0.0, "Checking the input")
    wanted = {
        "cavity": cavity,
        "wall": Offset() if wall is None else wall,
        "scar": ByRule(settings.rule, settings.threshold) if scar is None else scar,
    }
    steps, files = Steps(), files or {}
    steps(_check_scan, volume)
    masks = {
        name: Given.of(source, volume.geometry, name, (labels or {}).get(name), files.get(name)) if isinstance(source, Volume) else source
        for name, source in wanted.items()
    }
    others = {name: file for name, file in files.items() if name not in MASKS}
    return follow(volume, settings, Sources(**masks, planes=tuple(planes), files=others), steps, ranges, progress)


def revise(analysis: Analysis, change: Change, *, ranges: bool = True, progress: Progress | None = None) -> Analysis:
    """The analysis after a change: what `analyse` gives for the scan, the sources as they are now and the settings.

    It only knows which steps needn't be taken again. No network runs, unless the change itself asks for one. Raises as `analyse`.
    """
    settings = analysis.settings if change.settings is None else change.settings
    sources = change.of(analysis.sources)
    return follow(analysis.volume, settings, sources, Steps(analysis.steps), ranges, progress or Progress())


def follow(volume: Volume, settings: Settings, sources: Sources, steps: Steps, ranges: bool, progress: Progress) -> Analysis:
    """The path itself, from sources on the scan's grid; `steps` knows what needn't be computed again."""
    scan_flags = steps(_check_scan, volume)
    check_sources(sources)
    sources, progress = _let_networks_look(volume, sources, progress)
    sources = replace(sources, cavity=_without_no_change(sources.cavity))
    cavity = sources.cavity.mask
    cavity_flags = steps(check_cavity, cavity, volume.geometry)
    sources = replace(sources, wall=_settled_wall(sources.wall, cavity, volume.geometry, settings.wall_outside_mm))
    box = _box(cavity, sources.wall.mask, sources.scar.mask, settings, volume.geometry)

    progress.report("anatomy", 0.1, "Wall and distances")
    body = steps(_cut, volume, box)
    anatomy = steps(_anatomy, cavity, sources.wall.mask, box, body.geometry, settings.wall_outside_mm)

    progress.report("surface", 0.2, "LA surface")
    # Nothing before the result asks for the wall's map, and smoothing leaves a core free: somebody who edits waits a tenth less.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: anatomy.sdm_wall_mm)
        mesh = steps(_mesh, anatomy, settings.mesh_edge_mm)
    surface = steps(_with_regions, mesh, sources.planes, anatomy)

    progress.report("scar", 0.35, "Scar in the wall and on the surface")
    variant = steps(
        _variant, body, anatomy, surface, box, bool(sources.planes), settings.blood_pool_erosion_mm, settings.scar_reach_mm
    )
    sources = replace(sources, scar=_settled_scar(steps, sources.scar, variant, body, box))
    scar = _Scar(steps, sources.scar, box, settings.scar_reach_mm)
    sample, level = scar.counted(variant), scar.level(variant)
    scar_box = scar.voxels(body, variant, level)
    masks = {
        CAVITY: cavity,
        WALL: steps(_as_mask, anatomy.wall, box, volume.geometry),
        SCAR: _as_mask(scar_box, box, volume.geometry),
    }

    progress.report("measure", 0.5, "Numbers and their perturbation range")
    variants, left_out = [], ()
    has_ranges = settings.perturbation and ranges
    if has_ranges:
        part = progress.part(0.5, 0.95)
        variants, left_out = _perturbed(steps, body, anatomy, mesh, variant, sources, settings, part)
    perturbed = [scar.counted(other) for other in variants]
    levels = [level, *map(scar.level, variants)]
    numbers = measurements([sample, *perturbed], levels, scar.parameter, settings.staging if settings.native else None)
    projected = steps(
        project_intensity, body.array, body.geometry, mesh, settings.projection_from_mm, settings.projection_to_mm,
        settings.projection_step_mm, settings.projection_statistic,
    )  # fmt: skip
    probability = {name: network.probability for name, network in sources.networks.items()}
    settings = sources.in_settings(settings)
    progress.report("measure", 1.0, "Measured")
    return Analysis(
        volume=volume,
        settings=settings,
        sources=sources,
        box=box,
        lge_box=body.array,
        cavity_box=anatomy.cavity,
        wall_box=anatomy.wall,
        scar_box=scar_box,
        sdm_cavity_box=anatomy.sdm_cavity_mm,
        sdm_wall_box=anatomy.sdm_wall_mm,
        surface=surface.with_arrays(
            lge=projected,
            iir=projected / variant.sample.blood.mean,
            scar=sample.scar_vertices(level),
            scar_probability=steps(_probability_at_surface, probability.get(SCAR), box, variant, settings.scar_reach_mm),
        ),
        curve=steps(_curve, variant, projected),
        method=describe_scar(sources.scar, level, not isinstance(sources.wall, Offset)),
        measurements=numbers,
        flags=tuple(
            dict.fromkeys(
                (
                    *scan_flags, *(flag for name in MASKS for flag in sources[name].flags), *cavity_flags,
                    *steps(_body_flags, body, anatomy, variant, sources.planes, settings.scar_reach_mm),
                    *_scar_flags(sources, anatomy, box), *quality.check_level(level, sample.blood),
                    *quality.check_scar_area(numbers["scar_area_pct"].value), *left_out,
                )
            )
        ),
        masks=masks,
        provenance=describe_run(volume, settings, sources, {name: mask.digest for name, mask in masks.items()}),
        samples=(sample, *perturbed),
        scar_probability_box=_inside(probability.get(SCAR), box),
        cavity_probability_box=_inside(probability.get(CAVITY), box),
        has_ranges=has_ranges,
        steps=steps,
    )  # fmt: skip


def _check_scan(volume: Volume) -> tuple[QualityFlag, ...]:
    check_finite(volume, "The image")
    return (*volume.flags, *quality.check_image(volume.array, volume.geometry))


def _let_networks_look(volume: Volume, sources: Sources, progress: Progress) -> tuple[Sources, Progress]:
    """The sources with what the networks found that were asked for, and the progress that is left."""
    asked = {name: source for name in MASKS if isinstance(source := sources[name], ToRun)}
    if not asked:
        return sources, progress
    from .networks import find_cavity, find_scar

    part, share = progress.part(0.0, NETWORKS_SHARE), CAVITY_SHARE if len(asked) == 2 else 1.0
    if cavity := asked.get(CAVITY):
        sources = replace(sources, cavity=find_cavity(volume, cavity.bundle, cavity.options, part.part(0.0, share)))
    if scar := asked.get(SCAR):
        mask, part = _without_no_change(sources.cavity).mask, part.part(share if len(asked) == 2 else 0.0, 1.0)
        sources = replace(sources, scar=find_scar(volume, mask, scar.bundle, scar.options, part))
    return sources, progress.part(NETWORKS_SHARE, 1.0)


def _without_no_change(source: Given | Network | Drawn) -> Given | Network | Drawn:
    """What a person drew and put back counts as not drawn."""
    return source.base if isinstance(source, Drawn) and source.mask == source.base.mask else source


def _settled_wall(wall: Offset | Given | Drawn, cavity: Mask, geometry: Geometry, thickness_mm: float) -> Offset | Given | Drawn:
    """The wall's source; what a person drew and put back counts as not drawn. Cavity is never wall."""
    if not isinstance(wall, Drawn):
        return wall
    box = (cavity.box.around_both(wall.mask.box) if wall.mask.voxels else cavity.box).grown(thickness_mm, geometry.spacing_kji, cavity.shape)
    inside = cavity.within(box)
    if isinstance(wall.base, Offset):
        usual = measured_wall(distance_to(inside, geometry.spacing_kji, 2 * thickness_mm), thickness_mm)
    elif wall.base.mask is not None:
        usual = wall.base.mask.within(box) & ~inside
    else:
        return wall
    return wall.base if np.array_equal(wall.mask.within(box) & ~inside, usual) else wall


def _box(cavity: Mask, wall: Mask | None, scar: Mask | None, settings: Settings, geometry: Geometry) -> Box:
    """What is looked at: cavity and wall with all that distances and projections reach, and every voxel of scar."""
    drawn = cavity.box.around_both(wall.box) if wall is not None and wall.voxels else cavity.box
    # A wall that isn't given will reach this much further out than the cavity.
    margin_mm = BOX_MARGIN_MM + (0.0 if wall is not None else settings.wall_outside_mm)
    box = drawn.grown(margin_mm, geometry.spacing_kji, geometry.shape)
    return box if scar is None or not scar.voxels else box.around_both(scar.box)


def _cut(volume: Volume, box: Box) -> Volume:
    """The scan's grey levels in the box, float32."""
    return Volume(volume.array[box.slices].astype(np.float32), volume.geometry.crop(box))


def _anatomy(cavity: Mask | np.ndarray, wall: Mask | None, box: Box, geometry: Geometry, thickness_mm: float) -> Anatomy:
    """Wall and distances; `cavity` as a mask of the scan, or already in the box."""
    inside = cavity.within(box) if isinstance(cavity, Mask) else cavity
    anatomy = build_anatomy(inside, geometry, thickness_mm, None if wall is None else wall.within(box))
    if not anatomy.wall.any():
        raise InputError("There is no wall outside the cavity to measure: the wall mask lies wholly inside it. Check both masks.")
    return anatomy


def _mesh(anatomy: Anatomy, edge_mm: float) -> Surface:
    return cavity_surface(anatomy.cavity, anatomy.geometry, edge_mm, anatomy.depth_mm)


def _with_regions(mesh: Surface, planes: tuple[CutPlane, ...], anatomy: Anatomy) -> Surface:
    return mesh.with_arrays(region=label_regions(mesh, planes, anatomy.deepest_point))


@dataclass(frozen=True, eq=False)
class _Variant:
    """One cavity, as it is or perturbed, with what is counted on it; the scar comes later."""

    surface: Surface
    wall: np.ndarray
    geometry: Geometry
    box: Box
    sample: Sample


def _variant(
    body: Volume, anatomy: Anatomy, surface: Surface, box: Box, has_planes: bool, erosion_mm: float, reach_mm: float
) -> _Variant:
    """Everything that is counted on one cavity."""
    probe = NormalProbe.along(body.geometry, surface, reach_mm)
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
    return _Variant(surface, anatomy.wall, body.geometry, box, sample)


class _Scar:
    """The scar's source at work on a cavity, as it is or perturbed.

    A rule's and a network's scar counts inside the wall only; a mask that a person gave or drew counts as it is (SCIENCE section 4).
    """

    def __init__(self, steps: Steps, source: ByRule | Given | Network | Drawn, box: Box, reach_mm: float) -> None:
        self._steps, self._source, self._box, self._reach_mm = steps, source, box, reach_mm
        self._rule: Rule | None = source.rule if isinstance(source, ByRule) else None
        self.parameter = source.parameter if isinstance(source, ByRule) else None

    def level(self, variant: _Variant) -> float | None:
        """The grey level above which wall is scar; None when no rule finds it."""
        return self._steps(grey_level_of, variant.sample, self._rule, self.parameter)

    def counted(self, variant: _Variant) -> Sample:
        """What is counted on a cavity, with this scar."""
        if self._rule is not None:
            return variant.sample
        limit = variant.wall if isinstance(self._source, Network) else None
        probe = self._steps(NormalProbe.along, variant.geometry, variant.surface, self._reach_mm)
        return replace(variant.sample, given_scar=self._steps(_count_scar, self._source.mask, self._box, limit, variant.wall, probe))

    def voxels(self, body: Volume, variant: _Variant, level: float | None) -> np.ndarray:
        """(k, j, i) bool in the box."""
        if level is not None:
            return variant.wall & (body.array > level)
        mask = self._source.mask.within(self._box)
        return mask & variant.wall if isinstance(self._source, Network) else mask


def _count_scar(scar: Mask, box: Box, limit: np.ndarray | None, wall: np.ndarray, probe: NormalProbe) -> GivenScar:
    mask = scar.within(box) if limit is None else scar.within(box) & limit
    return GivenScar(probe.any(mask), int(mask.sum()), int((mask & wall).sum()))


def _settled_scar(steps: Steps, scar: ByRule | Given | Network | Drawn, variant: _Variant, body: Volume, box: Box) -> Source:
    """The scar's source; what a person drew and put back counts as not drawn."""
    if not isinstance(scar, Drawn) or (not isinstance(scar.base, ByRule) and scar.base.mask is None):
        return scar
    # What lies around it is the same with and without what was drawn, unless that lies outside, and then it isn't put back.
    base = _Scar(steps, scar.base, box, 0.0)
    return scar.base if np.array_equal(base.voxels(body, variant, base.level(variant)), scar.mask.within(box)) else scar


def _perturbed(
    steps: Steps, body: Volume, anatomy: Anatomy, mesh: Surface, variant: _Variant, sources: Sources, settings: Settings, progress: Progress
) -> tuple[list[_Variant], tuple[QualityFlag, ...]]:
    """The blood pool eroded 1 mm less and more, and the cavity's surface 1 mm further out and in; and what had to be left out."""
    erosion = settings.blood_pool_erosion_mm
    found: dict[str, _Variant | str] = {}
    for what, erosion_mm in (("less", max(0.0, erosion - SHIFT_MM)), ("more", erosion + SHIFT_MM)):
        progress.report("measure", len(found) / 4, "Perturbation range")
        found[f"a blood pool eroded by 1 mm {what}"] = steps(_with_other_blood, body, anatomy, variant, erosion_mm)
    progress.report("measure", 0.5, "Perturbation range")
    found |= steps(
        _with_shifted_surface, body, anatomy, mesh, sources.wall.mask, variant.box, sources.planes, settings.wall_outside_mm,
        settings.mesh_edge_mm, erosion, settings.scar_reach_mm,
    )  # fmt: skip
    flags = [
        QualityFlag("range_incomplete", f"The perturbation range leaves out {what}, so it may be too narrow: {reason}")
        for what, reason in found.items()
        if isinstance(reason, str)
    ]
    return [other for other in found.values() if isinstance(other, _Variant)], tuple(flags)


def _with_other_blood(body: Volume, anatomy: Anatomy, variant: _Variant, erosion_mm: float) -> _Variant | str:
    """The same cavity with another blood pool; or why there is none."""
    try:
        blood = measure_blood_pool(body.array, anatomy.depth_mm, erosion_mm)
    except InputError as error:
        return str(error)
    return replace(variant, sample=replace(variant.sample, blood=blood))


def _with_shifted_surface(
    body: Volume, anatomy: Anatomy, mesh: Surface, wall: Mask | None, box: Box, planes: tuple[CutPlane, ...], thickness_mm: float,
    edge_mm: float, erosion_mm: float, reach_mm: float,
) -> dict[str, _Variant | str]:  # fmt: skip
    """The cavity larger and smaller by 1 mm; or why that can't be measured."""
    distance = subvoxel_signed_distance(anatomy.sdm_cavity_mm, body.geometry, mesh, SHIFT_MM)
    found: dict[str, _Variant | str] = {}
    for what, shift_mm in (("larger", SHIFT_MM), ("smaller", -SHIFT_MM)):
        name = f"a cavity {what} by 1 mm"
        try:
            shifted = _anatomy(distance > -shift_mm, wall, box, body.geometry, thickness_mm)
            surface = _with_regions(_mesh(shifted, edge_mm), planes, shifted)
            found[name] = _variant(body, shifted, surface, box, bool(planes), erosion_mm, reach_mm)
        except InputError as error:
            found[name] = str(error)
    return found


def _probability_at_surface(probability: Probability | None, box: Box, variant: _Variant, reach_mm: float) -> np.ndarray | None:
    """(N,) float32: the greatest probability of wall voxels along each normal, where scar is counted (ARCHITECTURE, "Contracts")."""
    if probability is None:
        return None
    probe = NormalProbe.along(variant.geometry, variant.surface, reach_mm)
    return np.maximum(probe.maximum(probability.within(box), variant.wall), 0.0).astype(np.float32)


def _curve(variant: _Variant, projected: np.ndarray) -> ThresholdCurve:
    return variant.sample.curve(projected)


def _inside(probability: Probability | None, box: Box) -> np.ndarray | None:
    return None if probability is None else probability.within(box)


def _body_flags(body: Volume, anatomy: Anatomy, variant: _Variant, planes: tuple[CutPlane, ...], reach_mm: float) -> tuple[QualityFlag, ...]:
    """What is odd about scan, cavity, wall and planes, whatever the scar is."""
    sample, surface = variant.sample, variant.surface
    area = sample.vertex_area_mm2.sum()
    excluded = 1.0 - float(sample.vertex_area_mm2[sample.is_wall].sum() / area)
    bare = float(sample.vertex_area_mm2[np.isneginf(sample.wall_peak)].sum() / area)
    return (
        *quality.check_intensities(sample.blood, sample.wall_intensity),
        *quality.check_lge_like(body.array, anatomy.outside_mm, sample.blood),
        *quality.check_volume(sample.la_volume_ml),
        *quality.check_bare_surface(bare, reach_mm),
        *quality.check_planes(bool(planes), excluded),
        *quality.check_mitral_leak(reach_beyond_mitral_mm(surface, planes)),
    )


def _scar_flags(sources: Sources, anatomy: Anatomy, box: Box) -> tuple[QualityFlag, ...]:
    """What is odd about a scar mask, or a network's."""
    flags: tuple[QualityFlag, ...] = ()
    if isinstance(sources.scar, Network):
        flags = quality.check_predicted_scar(sources.scar.mask.within(box), anatomy.cavity, anatomy.wall)
    elif not isinstance(sources.scar, ByRule):
        flags = quality.check_scar_mask(sources.scar.mask.within(box), anatomy.cavity, anatomy.wall)
    network = sources.networks.get(SCAR)
    if network is not None and network.seen_cavity != sources.cavity.mask.digest:
        flags += (QualityFlag("scar_older_than_cavity", older_than_cavity(network)),)
    return flags


def _as_mask(part: np.ndarray, box: Box, geometry: Geometry) -> Mask:
    return Mask.of(part, box.start, geometry.shape)

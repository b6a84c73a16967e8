"""The one path: scan and sources → cavity, wall, surface, scar → numbers. Every front end calls `analyse`; a result changes by `revise`."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from ..anatomy.anatomy import SDM_CLIP_MM, Anatomy
from ..anatomy.distance import distance_to
from ..anatomy.likeness import check_shape
from ..anatomy.masks import Mask, check_cavity
from ..anatomy.placement import check_placement
from ..anatomy.surroundings import check_lie
from ..anatomy.wall import check_wall, measured_wall
from ..intensity.curve import ThresholdCurve
from ..measure import quality
from ..measure.counting import measurements
from ..measure.numbers import withhold_scar
from ..measure.plausibility import check_grey_levels, check_scar_share
from ..measure.sample import CavityCounts
from ..support.doubt import GOOD
from ..support.flags import NOTE, QualityFlag, require_no_stop
from ..support.progress import Progress
from ..surface.openings import FoundPlanes
from ..surface.planes import CutPlane, reach_beyond_mitral_mm, remarks_on_planes
from ..surface.projection import VoxelsAlongNormals, project_intensity
from ..surface.shared_openings import remarks_on_openings
from ..surface.surface import Surface
from ..volumes.files import SIMULATED, check_finite
from ..volumes.volume import Box, Geometry, Volume
from .change import Change
from .measured_cavity import MeasuredCavity, Measuring, cut_out, find_anatomy, measure_cavity, mesh_of, perturb, search_planes, with_regions
from .measured_scar import Scar, scar_flags, scar_without_undone_edit
from .method import describe_scar
from .network_entropy import cavity_entropy_at_surface, scar_entropy_at_surface
from .other_protocols import ProtocolScar, other_protocols
from .provenance import describe_run
from .result import Analysis
from .settings import Settings
from .sources import (
    CAVITY, MASKS, SCAR, WALL, ByRule, Drawn, Given, Network, Offset, PlanesToFind, Probability, Source, Sources, ToRun, base_of,
    check_sources,
)  # fmt: skip
from .steps import StepCache

BOX_MARGIN_MM = SDM_CLIP_MM
"""This far from cavity and wall every signed distance map is at its clip, and no projection reaches."""
NETWORKS_SHARE, CAVITY_SHARE = 0.8, 0.7
"""Where networks end in an analysis's progress, when there are some: on a CPU they take most of the time; and where, of their part,
the first of two ends: it looks at more."""

NO_ZERO = frozenset({"negative_values", "zero_is_not_no_signal"})
"""Flags that say that grey level 0 does not mean "no signal": then no ratio of grey levels tells anything."""


def analyse(
    volume: Volume,
    settings: Settings = Settings(),
    *,
    cavity: Volume | Source | ToRun,
    wall: Volume | Source | None = None,
    scar: Volume | Source | ToRun | None = None,
    planes: Sequence[CutPlane] | PlanesToFind = (),
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
        mitral plane and vein cut planes; `PlanesToFind()` looks for them on the cavity's surface, and uses them if all are sure.
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
        "scar": ByRule.of_settings(settings) if scar is None else scar,
    }
    steps, files = StepCache(), files or {}
    steps(check_scan, volume)
    masks = {
        name: Given.of(source, volume.geometry, name, (labels or {}).get(name), files.get(name)) if isinstance(source, Volume) else source
        for name, source in wanted.items()
    }
    others = {name: file for name, file in files.items() if name not in MASKS}
    return follow_path(volume, settings, Sources(**masks, planes=planes if isinstance(planes, PlanesToFind) else tuple(planes), files=others), steps, ranges, progress)


def revise(analysis: Analysis, change: Change, *, ranges: bool = True, progress: Progress | None = None) -> Analysis:
    """The analysis after a change: what `analyse` gives for the scan, the sources as they are now and the settings.

    It only knows which steps needn't be taken again. No network runs, unless the change itself asks for one. Raises as `analyse`.
    """
    settings = analysis.settings if change.settings is None else change.settings
    sources = change.of(analysis.sources)
    return follow_path(analysis.volume, settings, sources, StepCache(analysis.steps), ranges, progress or Progress())


def follow_path(volume: Volume, settings: Settings, sources: Sources, steps: StepCache, ranges: bool, progress: Progress) -> Analysis:
    """The path itself, from sources on the scan's grid; `steps` knows what needn't be computed again."""
    scan_flags = _harmless_flags_as_notes(steps(check_scan, volume), sources)
    check_sources(sources, volume.array.shape)
    # Before any network runs, which takes minutes.
    require_no_stop(scan_flags, settings.despite)
    sources, progress = _run_networks(volume, sources, progress)
    sources = _without_undone_edits(sources, volume.geometry, settings)
    cavity_flags = steps(check_cavity, sources.cavity.mask, volume.geometry)
    # Not after each stroke: what a person has drawn on, they have looked at.
    cavity_flags += steps(check_placement, volume.array, volume.geometry, sources.cavity.mask) if isinstance(sources.cavity, Given) else ()
    # A network's own doubt says it better.
    cavity_flags += steps(check_shape, sources.cavity.mask, volume.geometry) if sources.doubt is None else ()
    # Where the cavity was before anybody drew on it: a stroke moves no patient.
    first = base_of(sources.cavity).mask or sources.cavity.mask
    # The chest of a simulated scan is not quite a patient's.
    if SIMULATED not in scan_flags:
        cavity_flags += steps(check_lie, volume.array, volume.geometry, first)
    source_flags = tuple(flag for name in MASKS for flag in sources[name].flags)
    require_no_stop((*scan_flags, *source_flags, *cavity_flags), settings.despite)
    box = _box(sources, settings, volume.geometry)

    progress.report("anatomy", 0.1, "Wall and distances")
    body = steps(cut_out, volume, box)
    anatomy = steps(find_anatomy, sources.cavity.mask, sources.wall.mask, box, body.geometry, settings.wall_outside_mm)

    progress.report("surface", 0.2, "LA surface")
    # Nothing before the result asks for the wall's map, and smoothing leaves a core free: somebody who edits waits a tenth less.
    with ThreadPoolExecutor(1) as beside:
        beside.submit(lambda: anatomy.sdm_wall_mm)
        mesh = steps(mesh_of, anatomy, settings.mesh_edge_mm)
    if isinstance(sources.planes, PlanesToFind):
        sources = sources.with_search(steps(search_planes, mesh, volume.geometry))
    surface = steps(with_regions, mesh, sources.planes)

    progress.report("scar", 0.35, "Scar in the wall and on the surface")
    how = Measuring.of(sources, settings)
    cavity = steps(measure_cavity, body, anatomy, surface, box, how)
    sources = replace(sources, scar=scar_without_undone_edit(steps, sources.scar, cavity))
    scar = Scar(steps, sources.scar, cavity, how.reach_mm)

    body_flags = steps(_body_flags, body, anatomy, cavity, sources.planes, sources.search, how.reach_mm, _needs_true_zero(sources))
    require_no_stop(body_flags, settings.despite)

    progress.report("measure", 0.5, "Numbers and their perturbation range")
    perturbed, left_out, has_ranges, others = {}, (), settings.perturbation and ranges, ()
    if has_ranges:
        others = other_protocols(steps, body, anatomy, surface, box, how, base_of(sources.scar))
        perturbed, left_out = perturb(steps, body, anatomy, mesh, cavity, sources, how, settings.mesh_edge_mm, progress.part(0.5, 0.95))
    odd = (*scan_flags, *source_flags, *cavity_flags, *_confirmed(sources), *body_flags, *scar_flags(sources, anatomy, box), *left_out)
    progress.report("measure", 1.0, "Measured")
    return _result(volume, sources.in_settings(settings), sources, steps, body, anatomy, mesh, cavity, perturbed, scar, odd, has_ranges, others)


def _result(
    volume: Volume, settings: Settings, sources: Sources, steps: StepCache, body: Volume, anatomy: Anatomy, mesh: Surface,
    cavity: MeasuredCavity, perturbed: Mapping[str, MeasuredCavity], scar: Scar, flags: Sequence[QualityFlag], has_ranges: bool,
    others: tuple[ProtocolScar, ...],
) -> Analysis:  # fmt: skip
    """Scar, map and numbers on what was found."""
    cavities, box = [cavity, *perturbed.values()], cavity.box
    levels, samples = [scar.levels(each) for each in cavities], [scar.counted(each) for each in cavities]
    numbers = measurements(samples, levels, settings.staging if settings.native else None, tuple(perturbed))
    scar_box = scar.voxels()
    wall = steps(_as_mask, anatomy.wall, box, volume.geometry)
    masks = {CAVITY: sources.cavity.mask, WALL: wall, SCAR: _as_mask(scar_box, box, volume.geometry)}
    probability = {name: network.probability for name, network in sources.networks.items()}
    lge = steps(
        project_intensity, body.array, body.geometry, mesh, settings.projection_from_mm, settings.projection_to_mm,
        settings.projection_step_mm, settings.projection_statistic,
    )  # fmt: skip
    curve = steps(_curve, cavity, lge)
    cavity_entropy = steps(cavity_entropy_at_surface, probability.get(CAVITY), box, cavity, settings.scar_reach_mm)
    at_surface = steps(_probability_at_surface, probability.get(SCAR), box, cavity, settings.scar_reach_mm)
    scar_entropy = steps(scar_entropy_at_surface, at_surface, cavity)
    steps.finish()
    of_level = (
        *quality.check_level(levels[0].scar, cavity.sample.blood, float(cavity.sample.surface_value.max())),
        *quality.check_scar_area(numbers["scar_area_pct"].value),
        *check_scar_share(numbers["scar_area_pct"].value),
    )
    if sources.withheld:
        numbers, curve, others, of_level = withhold_scar(numbers), curve.withheld(), (), ()
    return Analysis(
        volume=volume,
        settings=settings,
        sources=sources,
        box=box,
        lge_box=body.array,
        cavity_box=anatomy.cavity,
        wall_box=anatomy.wall,
        scar_box=scar_box,
        masks=masks,
        sdm_cavity_box=anatomy.sdm_cavity_mm,
        sdm_wall_box=anatomy.sdm_wall_mm,
        surface=cavity.surface.with_arrays(
            lge=lge,
            iir=lge / cavity.sample.blood.mean,
            scar=samples[0].scar_vertices(levels[0].scar),
            scar_class=samples[0].scar_class(levels[0].scar, levels[0].dense),
            scar_probability=at_surface,
            scar_entropy=scar_entropy,
            cavity_entropy=cavity_entropy,
        ),
        curve=curve,
        method=describe_scar(sources, settings, levels[0].scar),
        measurements=numbers,
        flags=tuple(dict.fromkeys((*flags, *of_level))),
        provenance=describe_run(volume, settings, sources, {name: mask.digest for name, mask in masks.items()}),
        cavities=tuple(cavities),
        samples=tuple(samples),
        levels=tuple(levels),
        landmark_surface=steps(with_regions, mesh, sources.landmarks),
        scar_probability_box=_inside(probability.get(SCAR), box),
        cavity_probability_box=_inside(probability.get(CAVITY), box),
        has_ranges=has_ranges,
        other_protocols=others,
        steps=steps,
    )


def check_scan(volume: Volume) -> tuple[QualityFlag, ...]:
    check_finite(volume, "The image")
    return (*volume.flags, *quality.check_image(volume.array, volume.geometry))


def _confirmed(sources: Sources) -> tuple[QualityFlag, ...]:
    """That a person takes a cavity for good which the model itself is unsure of."""
    if not sources.cavity_confirmed or sources.doubt is None or sources.doubt.word == GOOD:
        return ()
    message = f"A person has confirmed the cavity of the model, whose own measure of doubt says '{sources.doubt.word}'. {sources.doubt.message}"
    return (QualityFlag("cavity_confirmed", message),)


def _run_networks(volume: Volume, sources: Sources, progress: Progress) -> tuple[Sources, Progress]:
    """The sources with what the networks found that were asked for, and the progress that is left."""
    asked = {name: source for name in MASKS if isinstance(source := sources[name], ToRun)}
    if not asked:
        return sources, progress
    from .network_runs import find_both, find_cavity, find_scar

    if _is_one_run(asked):
        both = asked[CAVITY]
        cavity, scar = find_both(volume, both.bundle, both.options, progress.part(0.0, NETWORKS_SHARE))
        return replace(sources, cavity=cavity, scar=scar), progress.part(NETWORKS_SHARE, 1.0)
    part, share = progress.part(0.0, NETWORKS_SHARE), CAVITY_SHARE if len(asked) == 2 else 1.0
    if cavity := asked.get(CAVITY):
        sources = replace(sources, cavity=find_cavity(volume, cavity.bundle, cavity.options, part.part(0.0, share)))
    if scar := asked.get(SCAR):
        mask, part = _without_undone_edit(sources.cavity).mask, part.part(share if len(asked) == 2 else 0.0, 1.0)
        sources = replace(sources, scar=find_scar(volume, mask, scar.bundle, scar.options, part))
    return sources, progress.part(NETWORKS_SHARE, 1.0)


def _is_one_run(asked: Mapping[str, ToRun]) -> bool:
    """Whether one network answers for cavity and scar, and was asked for both."""
    if not {CAVITY, SCAR} <= set(asked):
        return False
    cards = {asked[name].bundle.card.sha256 for name in (CAVITY, SCAR)}
    return len(cards) == 1 and {CAVITY, SCAR} <= set(asked[CAVITY].bundle.card.finds)


def _without_undone_edit(source: Given | Network | Drawn) -> Given | Network | Drawn:
    """What a person drew and put back counts as not drawn."""
    return source.base if isinstance(source, Drawn) and source.mask == source.base.mask else source


def _wall_without_undone_edit(wall: Offset | Given | Drawn, cavity: Mask, geometry: Geometry, thickness_mm: float) -> Offset | Given | Drawn:
    """The wall's source; what a person drew and put back counts as not drawn. Cavity is never wall."""
    if not isinstance(wall, Drawn):
        return wall
    box = cavity.box
    for mask in (wall.mask, wall.base.mask):
        box = box.around_both(mask.box) if mask is not None and mask.voxels else box
    box = box.grown(thickness_mm, geometry.spacing_kji, cavity.shape)
    inside = cavity.within(box)
    if isinstance(wall.base, Offset):
        usual = measured_wall(distance_to(inside, geometry.spacing_kji, 2 * thickness_mm), thickness_mm)
    elif wall.base.mask is not None:
        usual = wall.base.mask.within(box) & ~inside
    else:
        return wall
    return wall.base if np.array_equal(wall.mask.within(box) & ~inside, usual) else wall


def _without_undone_edits(sources: Sources, geometry: Geometry, settings: Settings) -> Sources:
    """The sources without what was put back; the scar's has to wait until there is a wall."""
    cavity = _without_undone_edit(sources.cavity)
    wall = _wall_without_undone_edit(sources.wall, cavity.mask, geometry, settings.wall_outside_mm)
    return replace(sources, cavity=cavity, wall=wall)


def _box(sources: Sources, settings: Settings, geometry: Geometry) -> Box:
    """What is looked at: cavity and wall with all that distances and projections reach, and every voxel of scar."""
    cavity, wall = sources.cavity.mask, sources.wall.mask
    drawn = cavity.box.around_both(wall.box) if wall is not None and wall.voxels else cavity.box
    # A wall that isn't given will reach this much further out than the cavity.
    margin_mm = BOX_MARGIN_MM + (0.0 if wall is not None else settings.wall_outside_mm)
    box = drawn.grown(margin_mm, geometry.spacing_kji, geometry.shape)
    # Of scar that a person drew also what was there before: else what they erased far away would count as put back.
    scars = [mask for mask in (sources.scar.mask, base_of(sources.scar).mask) if mask is not None and mask.voxels]
    for scar in scars:
        box = box.around_both(scar.box)
    return box


def _probability_at_surface(probability: Probability | None, box: Box, cavity: MeasuredCavity, reach_mm: float) -> np.ndarray | None:
    """(N,) float32: the greatest probability of wall voxels along each normal, where scar is counted (ARCHITECTURE, "Contracts")."""
    if probability is None:
        return None
    probe = VoxelsAlongNormals.along(cavity.geometry, cavity.surface, reach_mm)
    return np.maximum(probe.maximum(probability.within(box), cavity.wall), 0.0).astype(np.float32)


def _curve(cavity: MeasuredCavity, projected: np.ndarray) -> ThresholdCurve:
    return cavity.sample.curve(projected)


def _inside(probability: Probability | None, box: Box) -> np.ndarray | None:
    return None if probability is None else probability.within(box)


def _needs_true_zero(sources: Sources) -> bool:
    rule = base_of(sources.scar)
    return isinstance(rule, ByRule) and rule.rule.needs_true_zero


def _harmless_flags_as_notes(flags: tuple[QualityFlag, ...], sources: Sources) -> tuple[QualityFlag, ...]:
    """A zero that does not mean "no signal" is only worth a note where the scar was given, or its rule compares no ratios."""
    scar = base_of(sources.scar)
    if _needs_true_zero(sources) or not isinstance(scar, ByRule | Given):
        return flags
    return tuple(replace(flag, severity=NOTE) if flag.code == "psir" else flag for flag in flags)


def _body_flags(
    body: Volume, anatomy: Anatomy, cavity: MeasuredCavity, planes: tuple[CutPlane, ...], search: FoundPlanes | None, reach_mm: float,
    needs_true_zero: bool,
) -> tuple[QualityFlag, ...]:
    """What is odd about scan, cavity, wall and planes, whatever the scar is."""
    sample, surface = cavity.sample, cavity.surface
    area = sample.vertex_area_mm2.sum()
    grey_levels = check_grey_levels(body.array, sample, needs_true_zero)
    excluded = 1.0 - float(sample.vertex_area_mm2[sample.is_wall].sum() / area)
    return (
        *check_wall(anatomy.wall, anatomy.outside_mm, body.geometry.voxel_volume_ml),
        *grey_levels,
        *quality.check_intensities(sample.blood, sample.wall_intensity, not NO_ZERO.intersection(flag.code for flag in grey_levels)),
        *quality.check_lge_like(body.array, anatomy.outside_mm, sample.blood),
        *quality.check_edge(body.array, anatomy.sdm_cavity_mm),
        *quality.check_volume(sample.la_volume_ml),
        *quality.check_slices(body.geometry, surface),
        *quality.check_unmeasured(CavityCounts(sample).unmeasured_pct, reach_mm),
        *quality.check_planes(planes, search, excluded),
        *remarks_on_planes(planes),
        *remarks_on_openings(surface, planes),
        *quality.check_mitral_leak(reach_beyond_mitral_mm(surface, planes)),
    )


def _as_mask(part: np.ndarray, box: Box, geometry: Geometry) -> Mask:
    return Mask.of(part, box.start, geometry.shape)

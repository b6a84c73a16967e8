"""The scar's source at work: what counts as scar on a cavity, and what is odd about it."""

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from ..anatomy.anatomy import Anatomy
from ..anatomy.masks import Mask
from ..measure import quality
from ..measure.counting import grey_level_of
from ..measure.sample import GivenScar, Levels, Sample
from ..support.flags import QualityFlag
from ..surface.layers import nearest_vertices
from ..surface.projection import VoxelsAlongNormals
from ..volumes.volume import Box
from .measured_cavity import MeasuredCavity
from .method import older_than_cavity
from .sources import SCAR, ByRule, Drawn, Given, Network, Source, Sources, base_of
from .steps import StepCache


class Scar:
    """The scar's source at work on a cavity, as it is or perturbed.

    A rule's and a network's scar counts inside the wall only; a mask that a person gave or drew counts as it is (SCIENCE section 4).
    Where a layer decides, what a person drew is a stroke on it: vertices none of whose voxels it changed keep what the layer says.

    Parameters
    ----------
    cavity
        the one there is, not perturbed.
    """

    def __init__(self, steps: StepCache, source: ByRule | Given | Network | Drawn, cavity: MeasuredCavity, reach_mm: float) -> None:
        self._steps, self._source, self._cavity, self._reach_mm = steps, source, cavity, reach_mm
        base = base_of(source)
        self._rule: ByRule | None = base if isinstance(base, ByRule) else None
        self._on_layer = self._rule is not None and self._rule.reading.is_layer and isinstance(source, Drawn)

    @property
    def _decides(self) -> bool:
        """Whether a threshold decides everywhere: nobody drew in the scar of a rule."""
        return isinstance(self._source, ByRule)

    def levels(self, cavity: MeasuredCavity) -> Levels:
        """The grey levels above which this cavity's wall is scar, and dense scar; None what no rule decides."""
        if self._rule is None:
            return Levels()
        dense = self._level(cavity, self._rule.dense) if self._rule.dense is not None else None
        if not self._decides:
            return Levels(dense=dense, dense_parameter=self._rule.dense)
        return Levels(self._level(cavity, self._rule.parameter), dense, self._rule.parameter, self._rule.dense)

    def counted(self, cavity: MeasuredCavity) -> Sample:
        """What is counted on a cavity, with this scar."""
        if self._decides:
            return cavity.sample
        probe = self._steps(VoxelsAlongNormals.along, cavity.geometry, cavity.surface, self._reach_mm)
        if self._on_layer:
            levels = self._level(self._cavity, self._rule.parameter), self._level(cavity, self._rule.parameter)
            found = self._steps(count_stroke, self._source.mask, self._cavity, cavity, *levels, probe)
        else:
            found = self._steps(count_scar, self._source.mask, cavity, isinstance(self._source, Network), probe)
        return replace(cavity.sample, given_scar=found)

    def voxels(self) -> np.ndarray:
        """(k, j, i) bool in the box."""
        cavity = self._cavity
        if self._decides:
            return rule_voxels(cavity, self._level(cavity, self._rule.parameter))
        mask = self._source.mask.within(cavity.box)
        return mask & cavity.wall if isinstance(self._source, Network) else mask

    def _level(self, cavity: MeasuredCavity, parameter: float | None) -> float:
        return self._steps(grey_level_of, cavity.sample, self._rule.rule, parameter)


def rule_voxels(cavity: MeasuredCavity, level: float) -> np.ndarray:
    """(k, j, i) bool in the box: the wall's voxels above the level, or whose nearest vertex is."""
    voxels = np.zeros(cavity.wall.shape, dtype=bool)
    voxels[cavity.wall] = cavity.sample.wall_value > level
    return voxels


def count_scar(scar: Mask, cavity: MeasuredCavity, limited: bool, probe: VoxelsAlongNormals) -> GivenScar:
    """A mask as it is, or limited to the wall."""
    mask = scar.within(cavity.box)
    return _counted(mask & cavity.wall if limited else mask, cavity, probe.any(mask & cavity.wall if limited else mask))


def count_stroke(
    scar: Mask, first: MeasuredCavity, cavity: MeasuredCavity, first_level: float, level: float, probe: VoxelsAlongNormals
) -> GivenScar:
    """A person's strokes on a layer's scar: `scar` is what they left on the cavity `first`, `cavity` the same one or a perturbed one."""
    mask = scar.within(first.box)
    stroke, untouched = mask ^ rule_voxels(first, first_level), rule_voxels(cavity, level)
    voxels = np.where(stroke, mask, untouched)
    by_layer = cavity.sample.surface_value > level
    vertices = np.where(probe.any(stroke), probe.any(voxels), by_layer)
    # Scar between voxels, where no voxel lies along the normal that anybody could erase, goes the way of the scar nearest to it.
    has_voxels = probe.any(untouched)
    alone, others = np.flatnonzero(by_layer & ~has_voxels & vertices), np.flatnonzero(by_layer & has_voxels)
    if alone.size and others.size:
        points = cavity.surface.points
        vertices[alone] = vertices[others[cKDTree(points[others]).query(points[alone])[1]]]
    return _counted(voxels, cavity, vertices)


def _counted(voxels: np.ndarray, cavity: MeasuredCavity, vertices: np.ndarray) -> GivenScar:
    in_wall, count = voxels[cavity.wall], int(np.count_nonzero(voxels))
    if not cavity.sample.has_planes:
        return GivenScar(vertices, in_wall, count, count)
    beside = np.argwhere(voxels & ~cavity.wall)
    nearest = nearest_vertices(cavity.surface, cavity.geometry.index_to_lps(beside[:, ::-1])) if len(beside) else np.zeros(0, dtype=int)
    on_wall = np.count_nonzero(in_wall & cavity.sample.is_wall_voxel) + np.count_nonzero(cavity.sample.is_wall[nearest])
    return GivenScar(vertices, in_wall, count, int(on_wall))


def scar_without_undone_edit(steps: StepCache, scar: ByRule | Given | Network | Drawn, cavity: MeasuredCavity) -> Source:
    """The scar's source; what a person drew and put back counts as not drawn."""
    if not isinstance(scar, Drawn) or (not isinstance(scar.base, ByRule) and scar.base.mask is None):
        return scar
    # What lies around it is the same with and without what was drawn, unless that lies outside, and then it isn't put back.
    return scar.base if np.array_equal(Scar(steps, scar.base, cavity, 0.0).voxels(), scar.mask.within(cavity.box)) else scar


def scar_flags(sources: Sources, anatomy: Anatomy, box: Box) -> tuple[QualityFlag, ...]:
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

"""The scar's source at work: what counts as scar on a cavity, and what is odd about it."""

from dataclasses import replace

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..anatomy.masks import Mask
from ..intensity.rules import Rule
from ..measure import quality
from ..measure.counting import grey_level_of
from ..measure.sample import GivenScar, Sample
from ..support.flags import QualityFlag
from ..surface.projection import VoxelsAlongNormals
from ..volumes.volume import Box, Volume
from .measured_cavity import MeasuredCavity
from .method import older_than_cavity
from .sources import SCAR, ByRule, Drawn, Given, Network, Source, Sources
from .steps import StepCache


class Scar:
    """The scar's source at work on a cavity, as it is or perturbed.

    A rule's and a network's scar counts inside the wall only; a mask that a person gave or drew counts as it is (SCIENCE section 4).
    """

    def __init__(self, steps: StepCache, source: ByRule | Given | Network | Drawn, box: Box, reach_mm: float) -> None:
        self._steps, self._source, self._box, self._reach_mm = steps, source, box, reach_mm
        self._rule: Rule | None = source.rule if isinstance(source, ByRule) else None
        self.parameter = source.parameter if isinstance(source, ByRule) else None

    def level(self, cavity: MeasuredCavity) -> float | None:
        """The grey level above which wall is scar; None when no rule finds it."""
        return self._steps(grey_level_of, cavity.sample, self._rule, self.parameter)

    def counted(self, cavity: MeasuredCavity) -> Sample:
        """What is counted on a cavity, with this scar."""
        if self._rule is not None:
            return cavity.sample
        limit = cavity.wall if isinstance(self._source, Network) else None
        probe = self._steps(VoxelsAlongNormals.along, cavity.geometry, cavity.surface, self._reach_mm)
        return replace(cavity.sample, given_scar=self._steps(count_scar, self._source.mask, self._box, limit, cavity.wall, probe))

    def voxels(self, body: Volume, cavity: MeasuredCavity, level: float | None) -> np.ndarray:
        """(k, j, i) bool in the box."""
        if level is not None:
            return cavity.wall & (body.array > level)
        mask = self._source.mask.within(self._box)
        return mask & cavity.wall if isinstance(self._source, Network) else mask


def count_scar(scar: Mask, box: Box, limit: np.ndarray | None, wall: np.ndarray, probe: VoxelsAlongNormals) -> GivenScar:
    mask = scar.within(box) if limit is None else scar.within(box) & limit
    return GivenScar(probe.any(mask), int(mask.sum()), int((mask & wall).sum()))


def scar_without_undone_edit(steps: StepCache, scar: ByRule | Given | Network | Drawn, cavity: MeasuredCavity, body: Volume, box: Box) -> Source:
    """The scar's source; what a person drew and put back counts as not drawn."""
    if not isinstance(scar, Drawn) or (not isinstance(scar.base, ByRule) and scar.base.mask is None):
        return scar
    # What lies around it is the same with and without what was drawn, unless that lies outside, and then it isn't put back.
    base = Scar(steps, scar.base, box, 0.0)
    return scar.base if np.array_equal(base.voxels(body, cavity, base.level(cavity)), scar.mask.within(box)) else scar


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

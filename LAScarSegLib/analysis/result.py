"""The result of one analysis: what `analyse` and `revise` return and `scene` and `output` consume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..anatomy.anatomy import SDM_CLIP_MM
from ..anatomy.masks import Mask
from ..intensity.blood_pool import BloodPool
from ..intensity.curve import ThresholdCurve
from ..intensity.protocols import Reading
from ..measure.headline import Headline, others_text
from ..measure.numbers import Quantity
from ..measure.sample import Levels, Sample
from ..support.doubt import GOOD, Doubt
from ..support.flags import QualityFlag, gravest_first
from ..surface.findings import Findings
from ..surface.gaps import GapsAtThreshold
from ..surface.layers import nearest_vertices
from ..surface.planes import CutPlane
from ..surface.surface import Surface
from ..volumes.volume import Box, Geometry, Volume
from .gap_curve import find_gap_curve
from .measured_cavity import MeasuredCavity
from .method import ScarMethod
from .other_protocols import ProtocolScar
from .settings import Settings
from .sources import MASKS, ByRule, File, Origin, Sources, base_of
from .steps import StepCache
from .surface_findings import find_on_surface


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything one analysis found.

    `volume` is the input on its whole grid. The arrays below it live in `box`, the part of the grid around the cavity;
    the properties `cavity`, `wall`, `scar`, `sdm_cavity`, `sdm_wall` and `scar_probability` bring them back to the
    input's grid (a new array at every access).
    """

    volume: Volume
    settings: Settings
    sources: Sources
    """Where cavity, wall and scar come from, and the planes: with scan and settings, all that the rest follows from."""
    box: Box
    lge_box: np.ndarray
    """(k, j, i) intensities in the box, float32."""
    cavity_box: np.ndarray
    """(k, j, i) bool."""
    wall_box: np.ndarray
    """(k, j, i) bool, disjoint from the cavity."""
    scar_box: np.ndarray
    """(k, j, i) bool, inside the wall when a rule found it."""
    masks: dict[str, Mask]
    """The three, by name, wherever in the grid."""
    sdm_cavity_box: np.ndarray
    """(k, j, i) float32 mm, positive inside, plain EDT, clipped."""
    sdm_wall_box: np.ndarray
    """(k, j, i) float32 mm, positive inside the wall, plain EDT, clipped."""
    surface: Surface
    curve: ThresholdCurve
    method: ScarMethod
    measurements: dict[str, Quantity]
    """Keys and units of `measure.numbers.NUMBERS`."""
    flags: tuple[QualityFlag, ...]
    provenance: dict[str, Any]
    """JSON-ready: versions, input files with SHA-256, settings, times."""
    samples: tuple[Sample, ...]
    """What was counted: the cavity as it is, then perturbed."""
    scar_probability_box: np.ndarray | None = None
    """(k, j, i) float32 0…1, when a network found the scar, whatever a person changed since."""
    cavity_probability_box: np.ndarray | None = None
    """(k, j, i) float32 0…1, when a network found the cavity, whatever a person changed since."""
    has_ranges: bool = False
    """Whether the perturbation range was asked for; a first look leaves it out."""
    other_protocols: tuple[ProtocolScar, ...] = ()
    """What the other published protocols find on this scan, where a range was asked for, too."""
    cavities: tuple[MeasuredCavity, ...] = ()
    """The cavities behind the samples."""
    levels: tuple[Levels, ...] = ()
    """Above which grey levels wall is scar on each of them."""
    landmark_surface: Surface | None = None
    """The bare surface with the regions of the planes that say where veins and valve are, whether they cut or not; None: as `surface`."""
    steps: StepCache = field(default_factory=StepCache, repr=False)
    """How it was computed, for `revise`."""

    @property
    def doubt(self) -> Doubt | None:
        """How far the cavity that a network found can be trusted."""
        return self.sources.doubt

    @property
    def withheld(self) -> bool:
        """Whether there is no number of scar, since the cavity is not to be used before a person confirms or corrects it."""
        return self.sources.withheld

    @property
    def remarks(self) -> list[Doubt | QualityFlag]:
        """What to know before trusting it, in the order in which people read it: the cavity's doubt, then the flags, the gravest first."""
        speaks = self.doubt is not None and self.doubt.word != GOOD and not self.sources.cavity_confirmed
        return [*([self.doubt] if speaks else []), *gravest_first(self.flags)]

    @property
    def headline(self) -> Headline:
        """The number that stands first everywhere."""
        return Headline.of_measurements(self.measurements, self.withheld)

    @property
    def reading(self) -> Reading:
        """What the threshold is compared with."""
        rule = base_of(self.sources.scar)
        return rule.reading if isinstance(rule, ByRule) else Reading.VOXELS

    @property
    def others_line(self) -> str:
        """What the other published protocols would say, in a line; empty where that was not asked for."""
        return others_text([other.area_pct for other in self.other_protocols])

    @property
    def planes(self) -> tuple[CutPlane, ...]:
        """Mitral plane and vein cut planes."""
        return self.sources.planes

    @cached_property
    def findings(self) -> Findings:
        """Scar by region, and gaps around the veins; computed at the first look."""
        return find_on_surface(self)

    @cached_property
    def gap_curve(self) -> tuple[GapsAtThreshold, ...]:
        """Gaps as the threshold changes; computed at the first look, which takes some seconds. Empty where no threshold decides."""
        return find_gap_curve(self)

    @property
    def known_findings(self) -> Findings | None:
        """`findings` where somebody has asked for them: what must not wait shows these."""
        return vars(self).get("findings")

    def with_findings(self, findings: Findings) -> Analysis:
        """The same, knowing what another process, or an analysis of the same, found on its surface."""
        known = replace(self)
        vars(known)["findings"] = findings
        return known

    @property
    def origins(self) -> dict[str, Origin]:
        """Where cavity, wall and scar come from, by name."""
        return {name: self.sources[name].origin for name in MASKS}

    def described(self, inputs: Mapping[str, File]) -> Analysis:
        """The same, read from other files: a worker's are temporary, and the nodes behind them are meant."""
        sources = self.sources.described(inputs)
        return replace(
            self, sources=sources, provenance=self.provenance | {"inputs": {name: dict(f) for name, f in sources.inputs.items()}}
        )

    @property
    def beyond_planes_box(self) -> np.ndarray:
        """(k, j, i) bool in the box: wall and scar whose nearest vertex lies beyond an exclusion plane."""
        beyond = np.zeros(self.wall_box.shape, dtype=bool)
        if self.planes:
            found = np.argwhere(self.wall_box | self.scar_box)
            nearest = nearest_vertices(self.surface, self.box_geometry.index_to_lps(found[:, ::-1]))
            beyond[tuple(found.T)] = ~self.surface.is_wall[nearest]
        return beyond

    @property
    def blood_pool(self) -> BloodPool:
        """The reference of every intensity rule."""
        return self.samples[0].blood

    @property
    def geometry(self) -> Geometry:
        return self.volume.geometry

    @property
    def box_geometry(self) -> Geometry:
        return self.geometry.crop(self.box)

    @property
    def cavity(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.cavity_box.astype(np.uint8), 0)

    @property
    def wall(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.wall_box.astype(np.uint8), 0)

    @property
    def scar(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.scar_box.astype(np.uint8), 0)

    @property
    def sdm_cavity(self) -> Volume:
        """mm, float32, positive inside the cavity, input grid."""
        return self._whole(self.sdm_cavity_box, -SDM_CLIP_MM)

    @property
    def sdm_wall(self) -> Volume:
        """mm, float32, positive inside the wall, input grid."""
        return self._whole(self.sdm_wall_box, -SDM_CLIP_MM)

    @property
    def scar_probability(self) -> Volume | None:
        """0…1, float32, input grid; None for intensity rules and masks."""
        if self.scar_probability_box is None:
            return None
        return self._whole(self.scar_probability_box, 0)

    def measurements_json(self, findings: bool = True) -> dict[str, Any]:
        """The content of measurements.json (ARCHITECTURE, "measurements.json"); without `findings`, which take a second or more, in no time."""
        content: dict[str, Any] = {key: quantity.to_json() for key, quantity in self.measurements.items()}
        headline = self.headline
        content["headline"] = headline.number.key
        content["headline_range"] = {"low_by": headline.quantity.low_by, "high_by": headline.quantity.high_by}
        content["planes_source"] = self.sources.planes_source
        content["protocol"] = self.method.protocol
        content["method"] = self.method.to_json()
        content["other_protocols"] = [other.to_json() for other in self.other_protocols]
        content["doubt"] = None if self.doubt is None else self.doubt.to_json()
        content["withheld"] = self.withheld
        content |= self.findings.to_json() if findings else {}
        content["quality_flags"] = [flag.to_json() for flag in self.flags]
        return content

    def _whole(self, array: np.ndarray, fill: float) -> Volume:
        return Volume(array, self.box_geometry).expand(self.box, self.geometry, fill)

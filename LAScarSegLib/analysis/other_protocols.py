"""What the other published protocols would say of a scan: how far apart accepted ways of measuring lie."""

from dataclasses import dataclass, replace

import numpy as np

from ..anatomy.anatomy import Anatomy
from ..intensity.curve import share_above
from ..intensity.protocols import PROTOCOLS, Protocol
from ..measure.sample import Sample
from ..surface.surface import Surface
from ..volumes.volume import Box, Volume
from .measured_cavity import Measuring, measure_cavity
from .sources import Found
from .steps import StepCache


@dataclass(frozen=True)
class ProtocolScar:
    """A published protocol at one of its thresholds (None: it finds it): `area_pct` of the surface that the headline is about."""

    protocol: str
    threshold: float | None
    area_pct: float

    def to_json(self) -> dict[str, object]:
        return {"protocol": self.protocol, "threshold": self.threshold, "scar_area_pct": self.area_pct}

    @property
    def label(self) -> str:
        """"cemrgapp, IIR 1.20"."""
        rule = PROTOCOLS[self.protocol].its_rule
        return self.protocol if self.threshold is None else f"{self.protocol}, {rule.short_label(self.threshold)}"


def other_protocols(
    steps: StepCache, body: Volume, anatomy: Anatomy, surface: Surface, box: Box, how: Measuring, used: Found
) -> tuple[ProtocolScar, ...]:
    """Every published threshold of the protocols that can be followed here, but for the one in use (`used` is the scar's source without drawing)."""
    found = []
    for protocol in PROTOCOLS.values():
        if not protocol.complete or (protocol.needs_drawn_wall and not how.wall_given) or protocol.name == getattr(used, "protocol", None):
            continue
        reading = replace(how, reading=protocol.reading, counts_triangles=protocol.counts_triangles)
        sample = steps(read_another, body, anatomy, surface, box, reading)
        found += [ProtocolScar(protocol.name, threshold, _share(sample, protocol, threshold)) for threshold in protocol.published or (None,)]
    return tuple(found)


def read_another(body: Volume, anatomy: Anatomy, surface: Surface, box: Box, how: Measuring) -> Sample:
    """The same cavity in another reading."""
    return measure_cavity(body, anatomy, surface, box, how).sample


def _share(sample: Sample, protocol: Protocol, threshold: float | None) -> float:
    level = protocol.its_rule.grey_level(sample.intensities, threshold)
    on = sample.counts_as_wall if sample.has_planes else slice(None)
    return float(share_above(sample.surface_value[on], sample.vertex_share[on], np.array([level]))[0])

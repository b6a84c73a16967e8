"""What the published thresholds would call scar on a scan: how far apart accepted methods lie."""

from dataclasses import dataclass

import numpy as np

from ..intensity.curve import share_above
from ..intensity.rules import RULES, PublishedThreshold, Rule
from .sample import Sample


@dataclass(frozen=True)
class PublishedScar:
    """A published threshold on one scan, in the reading of the result: as intensity ratio to blood, and the shares above it.

    `area_pct` of the surface and `volume_pct` of the wall's volume: of the LA wall proper where planes tell which that is.
    """

    rule: Rule
    preset: PublishedThreshold
    iir: float
    area_pct: float
    volume_pct: float

    @property
    def label(self) -> str:
        """"IIR 1.20", "mean + 3 SD"."""
        return self.rule.short_label(self.preset.value)


def published_scars(sample: Sample) -> tuple[PublishedScar, ...]:
    """Every published threshold of every rule, by the intensity ratio it means on this scan; exact, not read off the curve."""
    known = [(rule, preset) for rule in RULES.values() for preset in rule.presets]
    levels = np.array([rule.grey_level(sample.intensities, preset.value) for rule, preset in known])
    on = sample.counts_as_wall if sample.has_planes else slice(None)
    areas = share_above(sample.surface_value[on], sample.vertex_share[on], levels)
    volumes = share_above(sample.wall_value[sample.is_wall_voxel], None, levels)
    found = [
        PublishedScar(rule, preset, float(level / sample.blood.mean), float(area), float(volume))
        for (rule, preset), level, area, volume in zip(known, levels, areas, volumes, strict=True)
    ]
    return tuple(sorted(found, key=lambda scar: scar.iir))

"""Gaps around the veins as the threshold changes: which of them hang on a number on which accepted methods disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..intensity.rules import RULES
from ..surface.gaps import Encirclement, GapsAtThreshold

if TYPE_CHECKING:
    from .result import Analysis

FROM_IIR, TO_IIR = 0.97, 1.61
"""The published ratios for fibrosis and for dense scar (Khurram et al., Heart Rhythm 2014): from nearly all to nearly nothing."""
REFERENCE_RULE = "iir"
"""Whose published thresholds are looked at."""
MOST_VERTICES = 135_000
"""Over all thresholds: some 3 s on one core, since the paths of one threshold take a second for 45,000 vertices (Docs/gaps.md)."""
FEWEST, MOST = 3, 12
"""Thresholds beside the result's own."""
DECIMALS = 2
"""Published ratios have two."""
SAME_IIR = 0.005
"""Ratios that are nearer than this are one, at their decimals."""


def can_follow(analysis: Analysis) -> bool:
    """Whether a threshold decides what scar is, and paths go around a vein. No path is looked for here but those of `analysis.findings`."""
    if analysis.withheld or not analysis.method.is_rule or result_ratio(analysis) is None:
        return False
    return any(around.problem is None for around in analysis.findings.encirclements)


def find_gap_curve(analysis: Analysis) -> tuple[GapsAtThreshold, ...]:
    """Gaps of each vein and pair at each threshold, by threshold, then in the order of the findings; empty where `can_follow` says no.

    A threshold is a ratio to the blood's mean, compared with what the result's own is compared with: at its own the curve has the
    numbers of the findings.
    """
    if not can_follow(analysis):
        return ()
    own, sample, bands = result_ratio(analysis), analysis.samples[0], analysis.findings.landmarks.bands
    rows: list[GapsAtThreshold] = []
    for ratio in thresholds(own, len(analysis.surface.points)):
        if ratio == own:
            found = analysis.findings.encirclements
        else:
            found = bands.encirclements(sample.scar_vertices(ratio * sample.blood.mean), ~sample.is_measured)
        rows += [_point(ratio, around) for around in found]
    return tuple(rows)


def result_ratio(analysis: Analysis) -> float | None:
    """The result's own threshold as a ratio to the blood's mean; None where none decides."""
    level = analysis.method.threshold_intensity
    return None if level is None else float(level / analysis.blood_pool.mean)


def published_ratios() -> tuple[float, ...]:
    """The published ratios in the range, ascending."""
    return tuple(sorted(preset.value for preset in RULES[REFERENCE_RULE].presets if FROM_IIR <= preset.value <= TO_IIR))


def thresholds(own: float, vertices: int) -> tuple[float, ...]:
    """Ratios, ascending: the result's `own`, then the published ones, and what halves the widest step, as many as a surface's size allows.

    Of the published ones the one farthest from those taken comes first, so that few thresholds span the range, too.
    """
    count = 1 + int(np.clip(MOST_VERTICES // max(vertices, 1), FEWEST, MOST))
    taken, left = [own], list(published_ratios())
    while left and len(taken) < count:
        distance = [min(abs(ratio - other) for other in taken) for ratio in left]
        farthest = int(np.argmax(distance))
        if distance[farthest] >= SAME_IIR:
            taken.append(left[farthest])
        left.pop(farthest)
    while len(taken) < count:
        ordered = sorted(taken)
        widest = int(np.argmax(np.diff(ordered)))
        taken.append(round((ordered[widest] + ordered[widest + 1]) / 2, DECIMALS))
    return tuple(sorted(taken))


def _point(ratio: float, around: Encirclement) -> GapsAtThreshold:
    return GapsAtThreshold(ratio, around.around, len(around.gaps), around.gap_mm, around.rgm)

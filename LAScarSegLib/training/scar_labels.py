"""What is odd about the scar labels of a training: they are kept as they are, and told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..anatomy.distance import depth_inside, distance_to
from ..datasets.layouts import listed
from ..volumes.volume import Box

DEEP_MM, FAR_MM = 3.0, 5.0
"""Deeper than this within the cavity nothing is wall, however its border was drawn; nor farther outside: a wall of 2 to 3 mm, and a slice."""
ODD_SHARE = 0.01
"""Less than this share of a label's voxels is a brush's slip, not worth a word."""


@dataclass(frozen=True)
class ScarPlacement:
    """Shares of a scar label's voxels, 0…1: deeper inside the cavity than `DEEP_MM`, and farther outside it than `FAR_MM`."""

    inside: float
    outside: float
    empty: bool = False

    @classmethod
    def of(cls, scar: np.ndarray, cavity: np.ndarray, spacing_kji: Sequence[float]) -> ScarPlacement:
        """Of masks (k, j, i) bool of one shape; the cavity is not empty."""
        if not scar.any():
            return cls(0.0, 0.0, empty=True)
        box = Box.around(scar | cavity, max(spacing_kji), spacing_kji).within(Box((0, 0, 0), scar.shape)).slices
        scar, cavity = scar[box], cavity[box]
        deep = depth_inside(cavity, spacing_kji)[scar] > DEEP_MM
        far = distance_to(cavity, spacing_kji)[scar] > FAR_MM
        return cls(float(deep.mean()), float(far.mean()))


def notes_of(placements: Mapping[str, ScarPlacement]) -> list[str]:
    """What whoever trains must know, a line for each kind of oddity; nothing for labels that lie on the wall. By the cases' names."""
    notes = []
    for where, share, limit in (("inside the cavity", "inside", DEEP_MM), ("off its wall", "outside", FAR_MM)):
        odd = {name: getattr(placement, share) for name, placement in placements.items() if getattr(placement, share) >= ODD_SHARE}
        if odd:
            named = listed(f"{name} ({100 * part:.0f} %)" for name, part in odd.items())
            kept = "They are kept as they are; correct them if that is wrong."
            notes.append(f"Scar labels {where}, more than {limit:g} mm from its surface: {named}. {kept}")
    if empty := [name for name, placement in placements.items() if placement.empty]:
        remedy = "leave cases out whose scar was not drawn (--exclude)."
        notes.append(f"Without any scar: {listed(empty)}. All of the wall there is taken for healthy; {remedy}")
    return notes

"""The checked input of one analysis, cut to the box around the cavity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .anatomy.anatomy import SDM_CLIP_MM
from .anatomy.masks import check_cavity, mask_on_grid
from .flags import QualityFlag
from .measure import quality
from .settings import Settings
from .surface.planes import CutPlane
from .volume import Box, Geometry, Volume
from .volume_files import check_finite

BOX_MARGIN_MM = SDM_CLIP_MM
"""This far from cavity and wall every signed distance map is at its clip, and no projection reaches."""


@dataclass(frozen=True, eq=False)
class Case:
    """What one analysis works on, inside `box`: arrays (k, j, i) on `geometry`; `wall` and `scar` None when not given."""

    settings: Settings
    box: Box
    geometry: Geometry
    lge: np.ndarray
    cavity: np.ndarray
    wall: np.ndarray | None
    scar: np.ndarray | None
    planes: tuple[CutPlane, ...]
    scar_predicted: bool = False

    def scar_in(self, wall: np.ndarray) -> np.ndarray:
        """The scar mask (k, j, i) bool: as a person drew it; of a model's prediction what lies in `wall`, as with a rule."""
        return self.scar & wall if self.scar_predicted else self.scar


def prepare_case(
    volume: Volume,
    settings: Settings,
    masks: dict[str, Volume],
    planes: Sequence[CutPlane],
    labels: dict[str, int],
) -> tuple[Case, tuple[QualityFlag, ...]]:
    """Check scan and masks, put the masks on the scan's grid, and cut all of it to the cavity's box.

    Parameters
    ----------
    masks
        `"cavity"` and, where given, `"wall"` and `"scar"`.
    labels
        by mask name, which label of a mask with several to take.

    Raises
    ------
    InputError
        naming what can't be used and what to do.
    """
    check_finite(volume, "The image")
    flags = [*volume.flags, *quality.check_image(volume.array, volume.geometry)]
    arrays: dict[str, np.ndarray] = {}
    for name, mask in masks.items():
        arrays[name], remarks = mask_on_grid(mask, volume.geometry, name, labels.get(name))
        flags += remarks
    flags += check_cavity(arrays["cavity"], volume.geometry)
    # A wall that isn't given will reach this much further out than the masks.
    margin_mm = BOX_MARGIN_MM + (0.0 if "wall" in arrays else settings.wall_outside_mm)
    box = Box.around(np.logical_or.reduce(list(arrays.values())), margin_mm, volume.geometry.spacing_kji)
    boxed = {name: np.ascontiguousarray(array[box.slices]) for name, array in arrays.items()}
    lge = volume.array[box.slices].astype(np.float32)
    case = Case(settings, box, volume.geometry.crop(box), lge, boxed["cavity"], boxed.get("wall"), boxed.get("scar"), tuple(planes))
    return case, tuple(flags)

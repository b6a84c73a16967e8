"""Mitral plane and veins of a surface that came without a scan: given, or looked for on the mesh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..errors import InputError
from ..measure.quality import check_planes
from ..support.flags import QualityFlag
from ..surface.mesh_files import SurfaceFile
from ..surface.mesh_repair import POSSIBLE_EXTENT_MM
from ..surface.openings import FoundPlanes, find_planes
from ..surface.planes import MITRAL, CutPlane, label_regions
from ..surface.surface import Surface
from .sources import ChosenPlanes, PlanesToFind

SPACE_ASSUMED = "mesh_without_space"
"""The flag of a file that says neither LPS nor RAS (`mesh_files.read_surface_file`)."""


@dataclass(frozen=True, eq=False)
class SurfacePlanes(ChosenPlanes):
    """The planes of a surface; `not_looked_for` says why none were looked for though somebody asked, "" otherwise."""

    planes: tuple[CutPlane, ...] = ()
    search: FoundPlanes | None = None
    not_looked_for: str = ""

    @classmethod
    def of(cls, file: SurfaceFile, planes: Sequence[CutPlane] | PlanesToFind) -> SurfacePlanes:
        """Those that were given, or what a search finds: only a closed mesh has an inside in which veins and valve can be looked for."""
        if not isinstance(planes, PlanesToFind):
            return cls(tuple(planes))
        if not file.is_closed:
            why = "The mesh is not closed, so mitral valve and veins were not looked for; give their planes (--planes)."
            return cls(not_looked_for=why)
        extent_mm, (low, high) = float(np.ptp(file.surface.points, axis=0).max()), POSSIBLE_EXTENT_MM
        if not low <= extent_mm <= high:
            why = (
                f"The mesh is {extent_mm:.0f} mm across, so mitral valve and veins were not looked for: that is done from {low:g} to "
                f"{high:g} mm. Say the unit of its coordinates (--unit), or give their planes (--planes)."
            )
            return cls(not_looked_for=why)
        return cls().with_search(_search(file))

    def regions_on(self, surface: Surface) -> tuple[Surface, Surface]:
        """The surface with the regions of the planes that cut, and with those of the planes that say where veins and valve are."""
        cut = surface.with_arrays(region=label_regions(surface, self.planes))
        return cut, cut if self.landmarks == self.planes else surface.with_arrays(region=label_regions(surface, self.landmarks))

    def flags(self, excluded_share: float) -> tuple[QualityFlag, ...]:
        """What to know of them; `excluded_share` of the surface lies beyond them."""
        flags = check_planes(self.planes, self.search, excluded_share)
        return tuple(replace(flag, message=f"{self.not_looked_for} {flag.message}") for flag in flags) if self.not_looked_for else flags


def _search(file: SurfaceFile) -> FoundPlanes:
    """What is found on a closed mesh; unsure of it all where that can't be, or where left and right, front and back were only assumed."""
    try:
        found = find_planes(file.surface)
    except InputError as error:
        return FoundPlanes((), {MITRAL: str(error)})
    if SPACE_ASSUMED not in {flag.code for flag in file.flags}:
        return found
    assumed = "The file says neither LPS nor RAS; LPS was taken, and veins are named and the valve is looked for by it."
    return replace(found, unsure={**found.unsure, MITRAL: " ".join(filter(None, (assumed, found.unsure.get(MITRAL))))})

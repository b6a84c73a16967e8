"""Two scar maps on one mesh, weighted by area: what the headline number (`scar_area_pct`) gets right and wrong."""

from __future__ import annotations

import numpy as np

from ..settings import Settings
from ..surface.mesh import cavity_surface
from ..surface.projection import NormalProbe
from ..surface.surface import Surface
from ..volume import Geometry
from .agreement import ScarAgreement


def surface_agreement(surface: Surface, prediction: np.ndarray, reference: np.ndarray, *, wall_only: bool = False) -> ScarAgreement:
    """Agreement in mm² of two scar maps (N,) bool at the vertices of one surface; its `dice` is the area-weighted one.

    With `wall_only` vertices beyond the exclusion planes don't count.
    """
    counted = surface.is_wall if wall_only else np.ones(len(surface.points), dtype=bool)
    return ScarAgreement.of(prediction[counted], reference[counted], surface.vertex_area_mm2[counted])


def mesh_agreement(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, geometry: Geometry) -> ScarAgreement:
    """Agreement in mm² of two scar masks carried to the mesh of the reference cavity; all (k, j, i) bool on `geometry`.

    Mesh and reach are the analysis' own (1 mm edges, ±3 mm along the normal). The cavity must not be empty.
    """
    surface = cavity_surface(cavity, geometry, Settings.mesh_edge_mm)
    probe = NormalProbe.along(geometry, surface, Settings.scar_reach_mm)
    return surface_agreement(surface, probe.any(prediction), probe.any(reference))

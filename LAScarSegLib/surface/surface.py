"""The LA surface: a triangle mesh in physical space with what was measured at its vertices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

REGION_EXCLUDED = 0
"""`Region` beyond the mitral plane: not LA wall."""
REGION_BODY = 1
"""`Region` of the LA body (CemrgApp's label)."""
REGION_LABELS = {
    "LSPV": 11, "LMPV": 12, "LIPV": 13, "LCPV": 14, "RSPV": 15, "RMPV": 16, "RIPV": 17, "RCPV": 18, "LAA": 19,
}  # fmt: skip
"""`Region` of each vein and the appendage (CemrgApp's labels, SCIENCE section 5)."""

CLASS_NONE, CLASS_BORDER, CLASS_DENSE, CLASS_NOT_MEASURED = 0, 1, 2, 255
"""`ScarClass` of a vertex; with a single threshold all scar is 1, since nobody knows what of it is dense."""


@dataclass(frozen=True, eq=False)
class Surface:
    """A closed triangle mesh and its point data.

    points
        (N, 3) float64, mm, LPS.
    triangles
        (M, 3) int64 vertex numbers, counter-clockwise seen from outside.
    normals
        (N, 3) unit vectors pointing out of the cavity.
    lge
        (N,) intensity projected along the normal (grey levels); `iir` is the same over the blood-pool mean.
    scar
        (N,) bool: the layer's grey level passes, or a scar voxel lies along the normal.
    scar_class
        (N,) uint8, `CLASS_…` numbers: none, scar (border scar where there are two thresholds), dense scar, not measured.
    scar_probability
        (N,) in 0…1, or None when the method gives no probability.
    region
        (N,) uint8, `REGION_…` numbers.
    scar_entropy, cavity_entropy
        (N,) bits, 0 sure … 1 can't decide: how unsure the network that found scar or cavity is (`analysis.network_entropy`); NaN where
        nothing was measured, None where no network found it.
    """

    points: np.ndarray
    triangles: np.ndarray
    normals: np.ndarray
    lge: np.ndarray | None = None
    iir: np.ndarray | None = None
    scar: np.ndarray | None = None
    scar_class: np.ndarray | None = None
    scar_probability: np.ndarray | None = None
    region: np.ndarray | None = None
    scar_entropy: np.ndarray | None = None
    cavity_entropy: np.ndarray | None = None

    @cached_property
    def vertex_area_mm2(self) -> np.ndarray:
        """(N,) area in mm² that belongs to each vertex: a third of every triangle around it; sums to the mesh area."""
        corners = self.points[self.triangles]
        triangle_area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        return np.bincount(self.triangles.ravel(), np.repeat(triangle_area / 3, 3), minlength=len(self.points))

    @cached_property
    def vertex_triangles(self) -> np.ndarray:
        """(N,) how many triangles belong to each vertex: a third of each around it; sums to the number of triangles."""
        return np.bincount(self.triangles.ravel(), minlength=len(self.points)) / 3.0

    @property
    def area_mm2(self) -> float:
        """Area of the closed mesh in mm²."""
        return float(self.vertex_area_mm2.sum())

    @property
    def volume_ml(self) -> float:
        """Volume inside the mesh in mL, by the divergence theorem."""
        a, b, c = np.moveaxis(self.points[self.triangles] - self.points.mean(axis=0), 1, 0)
        return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6.0 / 1000.0

    @property
    def is_wall(self) -> np.ndarray:
        """(N,) bool: vertices of the LA wall proper, i.e. in front of every exclusion plane."""
        if self.region is None:
            return np.ones(len(self.points), dtype=bool)
        return self.region == REGION_BODY

    def with_arrays(self, **arrays: np.ndarray | None) -> Surface:
        """The same mesh with other point data."""
        return replace(self, **arrays)

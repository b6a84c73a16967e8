"""How two scars agree: on the surface of a mesh or of the challenge's voxels, and where in the atrium their errors lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ..analysis.settings import Settings
from ..anatomy.wall import two_stage_band
from ..surface.mesh import cavity_surface
from ..surface.projection import VoxelsAlongNormals
from ..surface.surface import Surface
from ..volumes.volume import Box, Geometry
from .voxel import border

STEP_MM, REACH_MM = 0.5, 10.0
"""How the challenge looks for scar from each surface voxel, outward and inward."""
BLUR_SIGMA_VOXELS = 4.0
"""Of the Gaussian on the cavity whose gradient is the direction (the organisers' `-gau 4`)."""


@dataclass(frozen=True)
class ScarAgreement:
    """How much of a surface (voxels, or mm² of a mesh) is scar in both maps (`true_scar`), only in the prediction
    (`false_scar`), only in the reference (`missed_scar`), in none (`true_wall`). A rate over nothing is NaN."""

    true_scar: float
    false_scar: float
    missed_scar: float
    true_wall: float

    @classmethod
    def of(cls, prediction: np.ndarray, reference: np.ndarray, weights: np.ndarray | None = None) -> ScarAgreement:
        """Of two (N,) bool maps; `weights` (N,) is what each element counts, 1 when None."""
        cases = (prediction & reference, prediction & ~reference, ~prediction & reference, ~prediction & ~reference)
        return cls(*(float(np.count_nonzero(case) if weights is None else weights[case].sum()) for case in cases))

    @property
    def total(self) -> float:
        return self.true_scar + self.false_scar + self.missed_scar + self.true_wall

    @property
    def reference_scar(self) -> float:
        return self.true_scar + self.missed_scar

    @property
    def predicted_scar(self) -> float:
        return self.true_scar + self.false_scar

    @property
    def accuracy(self) -> float:
        """(TP + TN) / N."""
        return _share(self.true_scar + self.true_wall, self.total)

    @property
    def sensitivity(self) -> float:
        """TP / (TP + FN); NaN when the reference has no scar."""
        return _share(self.true_scar, self.reference_scar)

    @property
    def specificity(self) -> float:
        """TN / (TN + FP); NaN when the reference is all scar."""
        return _share(self.true_wall, self.true_wall + self.false_scar)

    @property
    def dice(self) -> float:
        """Dice of the scar; no scar in either map is agreement: 1."""
        return _dice(self.true_scar, self.false_scar + self.missed_scar)

    @property
    def generalized_dice(self) -> float:
        """Dice of scar and of normal wall, weighted with their shares in the reference (LAScarQS 2022); NaN without surface."""
        wall_dice = _dice(self.true_wall, self.false_scar + self.missed_scar)
        scar_share = _share(self.reference_scar, self.total)
        return self.dice * scar_share + wall_dice * (1.0 - scar_share)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else np.nan


def _dice(agreed: float, differing: float) -> float:
    return 2.0 * agreed / (2.0 * agreed + differing) if agreed + differing > 0 else 1.0


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
    probe = VoxelsAlongNormals.along(geometry, surface, Settings.scar_reach_mm)
    return surface_agreement(surface, probe.any(prediction), probe.any(reference))


@dataclass(frozen=True, eq=False)
class ChallengeSurface:
    """The voxels of a manual cavity's surface, and what each of them sees, as in LAScarQS 2022 (Li et al.).

    Written from the description (SCIENCE section 6): the organisers' published Python fails on 3-D arrays and, patched
    naively, counts the background (accuracy 0.9999). Here only surface voxels count.

    `voxels` (N, 3) array indices (k, j, i): the cavity minus its 6-connected erosion. `rays` (N, S, 3) array indices of the
    nearest voxel at each step within ±10 mm along the gradient. `shape` of the grid; a ray may leave it.
    """

    voxels: np.ndarray
    rays: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, cavity: np.ndarray, spacing_kji: Sequence[float]) -> ChallengeSurface:
        """Of a bool cavity (k, j, i) with spacing in mm; an empty cavity has no surface."""
        if not cavity.any():
            return cls(np.empty((0, 3), int), np.empty((0, 1, 3), np.int16), cavity.shape)
        spacing = np.asarray(spacing_kji, dtype=float)
        box = Box.around(cavity, 0.0, spacing)
        # Background is 0 for the blur wherever the box ends; one voxel more for the central differences.
        part = np.pad(cavity[box.slices], 1)
        inner = np.argwhere(border(part))
        steps = _inward(part, inner, spacing) / spacing
        distances = np.arange(-round(REACH_MM / STEP_MM), round(REACH_MM / STEP_MM) + 1) * STEP_MM
        voxels = inner - 1 + box.start
        rays = np.rint(voxels[:, None] + distances[None, :, None] * steps[:, None]).astype(np.int16)
        return cls(voxels, rays, cavity.shape)

    def carry(self, scar: np.ndarray) -> np.ndarray:
        """(N,) bool: which surface voxels see a voxel of `scar` (k, j, i) within reach."""
        inside = ((self.rays >= 0) & (self.rays < self.shape)).all(axis=-1)
        k, j, i = np.moveaxis(np.where(inside[..., None], self.rays, 0), -1, 0)
        return (scar[k, j, i] & inside).any(axis=1)


def challenge_agreement(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, spacing_kji: Sequence[float]) -> ScarAgreement:
    """Agreement of two scar masks on the surface voxels of the manual cavity; all (k, j, i) bool, spacing in mm.

    Its `accuracy`, `sensitivity`, `specificity`, `dice` and `generalized_dice` are the challenge's. An empty cavity has no
    surface: all of them are NaN but `dice`, which is 1 for two maps without scar.
    """
    surface = ChallengeSurface.of(cavity, spacing_kji)
    return ScarAgreement.of(surface.carry(prediction), surface.carry(reference))


def _inward(cavity: np.ndarray, voxels: np.ndarray, spacing: np.ndarray) -> np.ndarray:
    """(N, 3) unit vectors in mm along the gradient of the blurred cavity; 0 where it has none (only that voxel is looked at)."""
    blurred = ndimage.gaussian_filter(cavity.astype(np.float64), BLUR_SIGMA_VOXELS, mode="constant")
    gradient = np.stack([component[tuple(voxels.T)] for component in np.gradient(blurred, *spacing)], axis=1)
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return np.divide(gradient, length, out=np.zeros_like(gradient), where=length > 0)


@dataclass(frozen=True)
class AnatomyErrors:
    """In %. The false positives over all predicted, the false negatives over all reference scar voxels; NaN over none.

    The paper names the regions without defining them. Here they are its own masks of the *manual* cavity, taken
    literally: in the cavity mask, outside the wall band (eq 3: 2 mm to both sides of the boundary), inside the band.
    A false positive deep in the cavity is therefore in the cavity and outside the wall.
    """

    fp_in_cavity_pct: float
    fp_outside_wall_pct: float
    fn_inside_wall_pct: float


def anatomy_errors(prediction: np.ndarray, reference: np.ndarray, cavity: np.ndarray, spacing_kji: Sequence[float]) -> AnatomyErrors:
    """Of two scar masks and the manual cavity, all (k, j, i) bool, spacing in mm."""
    wall = two_stage_band(cavity, spacing_kji)
    false_positive, false_negative = prediction & ~reference, reference & ~prediction
    return AnatomyErrors(
        _percent(false_positive & cavity, prediction),
        _percent(false_positive & ~wall, prediction),
        _percent(false_negative & wall, reference),
    )


def _percent(part: np.ndarray, whole: np.ndarray) -> float:
    count = int(np.count_nonzero(whole))
    return 100.0 * int(np.count_nonzero(part)) / count if count else np.nan

"""How two scars agree: on the surface of a mesh or of the challenge's voxels, and where in the atrium their errors lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..analysis.settings import Settings
from ..anatomy.wall import two_stage_band
from ..surface.mesh import cavity_surface
from ..surface.projection import NormalProbe
from ..surface.surface import Surface
from ..volumes.volume import Geometry


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
    probe = NormalProbe.along(geometry, surface, Settings.scar_reach_mm)
    return surface_agreement(surface, probe.any(prediction), probe.any(reference))


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

"""What is true of a phantom: numbers from its geometry, not from its voxels."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface
from .atrium import Atrium
from .scar import Lesion, ScarPattern

SAMPLES_PER_EDGE = 6
"""A triangle's scar share is counted on this many rows of points."""
MIN_GAP_MM = 3.0
"""Shorter stretches don't count as gaps (SCIENCE section 5)."""


@dataclass(frozen=True)
class LesionTruth:
    """One encircling band or the roof line; lengths in mm, `gap_centres_lps` in mm.

    `relative_gap` is gap length over path length (Nuñez-Garcia 2018).
    """

    name: str
    encircles: tuple[str, ...]
    path_length_mm: float
    gap_count: int
    gap_lengths_mm: tuple[float, ...]
    gap_centres_lps: tuple[tuple[float, float, float], ...]
    relative_gap: float


@dataclass(frozen=True)
class PhantomTruth:
    """JSON-ready truth of one phantom.

    Areas are those of the closed cavity surface; `…_pct_wall` are shares of the LA wall proper (without the mitral disc,
    and veins and appendage beyond their planes). `scar` is ablation scar and fibrosis together. `region_scar_pct` is
    the share of each region's area. `greys_over_blood` are the tissues' grey levels, blood = 1; `blood_grey` is the
    grey level of blood in the middle of the coil profile.
    """

    seed: int
    kind: str
    vein_variant: str
    la_volume_ml: float
    la_surface_area_cm2: float
    wall_thickness_mm: float
    wall_volume_ml: float
    scar_volume_ml: float
    scar_area_pct: float
    scar_area_pct_wall: float
    scar_area_cm2: float
    ablation_area_cm2: float
    fibrosis_area_cm2: float
    region_area_cm2: dict[str, float]
    region_scar_pct: dict[str, float]
    lesions: tuple[LesionTruth, ...]
    mitral_diameter_mm: float
    ostium_diameter_mm: dict[str, float]
    greys_over_blood: dict[str, float]
    acquisition: dict[str, Any]
    blood_grey: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def lesion_truth(lesion: Lesion) -> LesionTruth:
    """Count and lengths of a band's gaps from the intervals left out when it was drawn."""
    gaps = [gap for gap in lesion.gaps if gap.length_mm >= MIN_GAP_MM]
    return LesionTruth(
        name=lesion.name,
        encircles=lesion.encircles,
        path_length_mm=round(lesion.length_mm, 2),
        gap_count=len(gaps),
        gap_lengths_mm=tuple(round(gap.length_mm, 2) for gap in gaps),
        gap_centres_lps=tuple(tuple(round(float(v), 2) for v in gap.centre) for gap in gaps),
        relative_gap=round(sum(gap.length_mm for gap in gaps) / lesion.length_mm, 4),
    )


def surface_truth(atrium: Atrium, pattern: ScarPattern, mesh: Surface) -> dict[str, Any]:
    """Areas in cm² and shares in % of scar on the closed surface, whole and by region."""
    share = triangle_share(pattern.signed_mm(mesh.points)[mesh.triangles])
    ablated = triangle_share(pattern.ablation_mm(mesh.points)[mesh.triangles])
    corners = mesh.points[mesh.triangles]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 100
    centres = corners.mean(axis=1)
    region = atrium.region(centres.T.astype(np.float32))
    # Stump ends and the mitral disc are openings: no wall, no scar.
    share = np.where(pattern.nodes.sample(pattern.nodes.beyond, centres) > -0.3, 0.0, share)
    ablated = np.minimum(ablated, share)
    names = {REGION_BODY: "body", **{label: name for name, label in REGION_LABELS.items()}}
    parts = {name: region == label for label, name in names.items() if (region == label).any()}
    scar_pct = {name: 100 * float((area * share)[part].sum() / area[part].sum()) for name, part in parts.items()}
    scar_area, ablation_area = float((area * share).sum()), float((area * ablated).sum())
    return {
        "la_surface_area_cm2": float(area.sum()),
        "scar_area_cm2": scar_area,
        "scar_area_pct": 100 * scar_area / float(area.sum()),
        "scar_area_pct_wall": scar_pct["body"],
        "ablation_area_cm2": ablation_area,
        "fibrosis_area_cm2": scar_area - ablation_area,
        "region_area_cm2": {name: float(area[part].sum()) for name, part in {"mitral": region == REGION_EXCLUDED, **parts}.items()},
        "region_scar_pct": scar_pct,
    }


def triangle_share(values: np.ndarray) -> np.ndarray:
    """(M,) share of each triangle where the linear interpolation of its corner values (M, 3) is positive."""
    n = SAMPLES_PER_EDGE
    rows = [((i + 1 / 3) / n, (j + 1 / 3) / n) for i in range(n) for j in range(n - i)]
    rows += [((i + 2 / 3) / n, (j + 2 / 3) / n) for i in range(n - 1) for j in range(n - 1 - i)]
    weights = np.array([(1 - u - v, u, v) for u, v in rows])
    return (values @ weights.T > 0).mean(axis=1)

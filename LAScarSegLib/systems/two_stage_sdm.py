"""two_stage_sdm (Kundu & Linte 2026): nnU-Net for the cavity; nnU-Net on [LGE, SDM cavity, SDM wall] for the scar, its losses
taken in the wall and its boundary uncertainty band."""

from dataclasses import dataclass

import numpy as np

from ..anatomy.anatomy import SDM_CLIP_MM, Anatomy
from ..anatomy.distance import signed_distance
from ..anatomy.wall import TWO_STAGE_RADIUS_MM, effective_region, two_stage_band
from ..errors import InputError
from ..volumes.volume import Box
from .base import SCAN, InputChannel, Stage, System, by_variant, scan_only
from .nnunet import cavity_presets, scar_presets
from .two_stage_sdm_tables import TABLES

PAPER = (
    "Kundu B, Linte C. A two stage pipeline for left atrial wall constrained scar segmentation and localization from LGE-MR images. "
    "2026, arXiv:2604.27101"
)
CAVITY_EPOCHS, SCAR_EPOCHS = 1000, 350
"""Section II-B."""
FAR_OUTSIDE = -1.0
"""Padding of the distance channels: beyond the scan is far outside; 0 would mean on the boundary."""


@dataclass(frozen=True)
class ScarOptions:
    """The parts that table I of the paper switches on one by one; `InputError` for `bub` without `roi`, which it widens."""

    sdm: bool = True
    """The two signed distance maps as input channels."""
    roi: bool = True
    """The losses inside the wall only."""
    bub: bool = True
    """The wall widened by its boundary uncertainty band."""
    mask_prediction: bool = True
    """No scar outside the region where the losses were taken. The paper doesn't say; without, the network's output there is
    what no loss but the weak global Dice has seen. Without `roi` there is no region to mask with."""

    def __post_init__(self) -> None:
        if self.bub and not self.roi:
            raise InputError("The boundary uncertainty band (bub) widens the region of the losses: it needs roi.")


def wall_region(anatomy: Anatomy) -> np.ndarray:
    """R_wall: the paper's wall band, (k, j, i) bool (eq 3); empty for an empty cavity."""
    cavity, spacing = anatomy.cavity, anatomy.geometry.spacing_kji
    band = np.zeros_like(cavity)
    if cavity.any():
        # Dilating a whole scan takes seconds; in the plane the band reaches no farther than its radius, rounded to voxels.
        voxels = TWO_STAGE_RADIUS_MM / min(spacing[1:]) + 1.0
        box = Box.around(cavity, voxels, (np.inf, 1.0, 1.0)).slices
        band[box] = two_stage_band(cavity[box], spacing)
    return band


def wall_band_sdm_mm(anatomy: Anatomy) -> np.ndarray:
    """Signed distance (k, j, i) in mm of the paper's symmetric wall band, positive inside, clipped to ±12 (eq 5, corrected).

    Not `Anatomy.sdm_wall_mm`, which is that of the wall that is measured.
    """
    return signed_distance(wall_region(anatomy), anatomy.geometry.spacing_kji, SDM_CLIP_MM)


def scar_inputs(lge: np.ndarray, anatomy: Anatomy | None) -> np.ndarray:
    """(3, k, j, i) float32: the normalised scan, and the distances to cavity and wall band over 12 mm (eq 6)."""
    return np.stack([lge, anatomy.sdm_cavity_mm / SDM_CLIP_MM, wall_band_sdm_mm(anatomy) / SDM_CLIP_MM]).astype(np.float32)


def wall_and_uncertainty_region(anatomy: Anatomy) -> np.ndarray:
    """R_eff = wall band ∪ boundary uncertainty band, (k, j, i) bool (eq 8)."""
    return effective_region(wall_region(anatomy), wall_band_sdm_mm(anatomy))


def scar_stage(options: ScarOptions = ScarOptions(), variant: str = "full") -> Stage:
    """The scar stage with these options; what is switched off leaves nnU-Net's default in its place."""
    distances = (InputChannel("sdm_cavity", FAR_OUTSIDE), InputChannel("sdm_wall", FAR_OUTSIDE)) if options.sdm else ()
    channels = (SCAN, *distances)
    region = None
    if options.roi:
        region = wall_and_uncertainty_region if options.bub else wall_region
    return Stage(
        key="scar",
        variant=variant,
        channels=channels,
        presets=scar_presets(len(channels), SCAR_EPOCHS),
        inputs=scar_inputs if options.sdm else scan_only,
        recipe="region_loss" if options.roi else "cross_entropy_dice",
        region=region,
        mask_prediction=options.mask_prediction and options.roi,
    )


TWO_STAGE_SDM = System(
    key="two_stage_sdm",
    title="Two-stage nnU-Net with signed distance maps (Kundu & Linte 2026)",
    paper=PAPER,
    stages={
        "cavity": by_variant(Stage("cavity", "full", (SCAN,), cavity_presets(CAVITY_EPOCHS), inputs=scan_only)),
        "scar": by_variant(
            scar_stage(),
            scar_stage(ScarOptions(bub=False), "sdm_roi"),
            scar_stage(ScarOptions(roi=False, bub=False), "sdm"),
            scar_stage(ScarOptions(sdm=False, roi=False, bub=False), "plain"),
        ),
    },
    reproduction=TABLES,
)

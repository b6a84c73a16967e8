"""The numbers of an evaluation: their names, units, and which way is better."""

from dataclasses import dataclass

DEFAULT_TOLERANCE_MM = 2.0
"""Of the surface Dice: the thickness of the atrial wall (2.1–2.4 mm, SCIENCE section 7), below one slice of 2.5 mm."""


@dataclass(frozen=True)
class Metric:
    """What a column means: a label for people, a short heading, the unit, decimals, whether more is better (None: neither)."""

    key: str
    label: str
    heading: str
    unit: str
    decimals: int
    more_is_better: bool | None
    headline: bool = False
    """Shown in the table of cases; the others are in the CSV."""


VOXEL_METRICS = (
    Metric("dice", "Dice", "Dice", "", 3, True, headline=True),
    Metric("hd_mm", "Hausdorff distance (HD)", "HD", "mm", 2, False),
    Metric("hd95_mm", "HD, 95th percentile", "HD95", "mm", 2, False, headline=True),
    Metric("assd_mm", "Mean surface distance (ASSD)", "ASSD", "mm", 2, False, headline=True),
    Metric("surface_dice", "Surface Dice at the tolerance", "sDice", "", 3, True),
    Metric("centroid_error_mm", "Centroid error", "centroid", "mm", 2, False),
)
SCAR_METRICS = (
    Metric("fp_in_cavity_pct", "FP in the cavity, of predicted", "FP cavity", "%", 1, False),
    Metric("fp_outside_wall_pct", "FP outside the wall, of predicted", "FP outside", "%", 1, False),
    Metric("fn_inside_wall_pct", "FN inside the wall, of reference", "FN wall", "%", 1, False),
    Metric("challenge_accuracy", "LAScarQS accuracy", "acc", "", 3, True),
    Metric("challenge_sensitivity", "LAScarQS sensitivity", "sens", "", 3, True),
    Metric("challenge_specificity", "LAScarQS specificity", "spec", "", 3, True),
    Metric("challenge_dice", "LAScarQS Dice of scar", "Dice scar", "", 3, True, headline=True),
    Metric("challenge_gdice", "LAScarQS generalized Dice", "GDice", "", 3, True, headline=True),
    Metric("mesh_dice", "Mesh Dice, weighted by area", "mesh Dice", "", 3, True, headline=True),
    Metric("scar_area_difference_pct", "Scar area, difference in % of LA", "Δ area", "points", 2, None, headline=True),
)
"""Of scar with a reference cavity only."""
METRICS = {metric.key: metric for metric in (*VOXEL_METRICS, *SCAR_METRICS)}

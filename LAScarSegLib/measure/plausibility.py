"""Whether grey levels can mean what a threshold takes them for. Each rule with what it was measured on: Docs/quality.md."""

import numpy as np

from ..support.flags import NOTE, STOP, WARNING, QualityFlag
from .sample import Sample

DARKEST_PCT = 0.1
BELOW_ZERO, MAX_BELOW_ZERO = -0.05, 5e-3
"""Of the blood's mean; share of voxels. Magnitude images have no negative grey levels; a spline that overshoots at edges makes a few small
ones. Z-scored scans have 30 % and more."""
MAX_DARKEST, PADDING = 0.25, 1e-3
"""Of the blood's mean, without voxels of the lowest grey level where more than this share has it: a frame of zeros is no part of the picture. Lung, air
and the noise's floor lie at 0.005–0.10 of it in 95 scans and 20 phantoms, at 0.7 with a PSIR's offset."""
MAX_AT_TOP, SOME_AT_TOP = 0.05, 0.01
"""Share of blood or wall that has the brightest grey level of all: 0 in 81 LGE scans, up to 0.02 in 14 others."""
LEAST_DARK_BLOOD = 1.1
"""Of the blood's mean: the darkest tenth of the wall lies at 0.36–0.95 of it in 80 scans; in dark-blood images all of the wall is brighter."""
LEAST_BRIGHT_WALL, MOST_BRIGHT_WALL = 0.11, 0.9
"""Share of wall voxels that are brighter than the blood's mean: 0.12–0.89 in 80 LGE scans, 0.02–0.10 in 14 without LGE."""
LEAST_NOISE = 0.04
"""SD of the blood over its mean: 0.066–0.28 in 95 scans, 0.11 in phantoms. In contrast-enhanced CT that is stored from 0 up (−1000 HU = 0)
it is 0.02: 25 HU of noise over 1300; a square root of the grey levels halves it, and so does smoothing over two voxels."""
MOST_SCAR_PCT = 80.0
"""Of the surface: more than in any patient that was published; it is the threshold or the grey levels then."""
REMEDY = "Give the magnitude image with its original grey levels"
OTHER_RULES = "or take a rule that needs no true zero (--protocol kcl or hopman, --scar nsd)"


def check_grey_levels(box_intensity: np.ndarray, sample: Sample, needs_true_zero: bool) -> tuple[QualityFlag, ...]:
    """What about the grey levels around the atrium makes a threshold meaningless.

    Parameters
    ----------
    box_intensity
        (k, j, i) grey levels of the cavity's box.
    needs_true_zero
        whether the scar's rule compares with a ratio, for which 0 must mean "no signal": else that is only worth a note.
    """
    if sample.blood.sd == 0:
        # Blood without any noise was drawn, not acquired: nothing is to be learned from its histogram.
        return ()
    severity = STOP if needs_true_zero else NOTE
    return (
        *_check_slices(box_intensity),
        *_check_zero(box_intensity, sample.blood.mean, severity),
        *_check_noise(sample),
        *_check_top(box_intensity, sample),
        *_check_wall_and_blood(sample, severity),
    )


def _check_slices(box_intensity: np.ndarray) -> tuple[QualityFlag, ...]:
    """Flag slices between others that show nothing."""
    blank = box_intensity.max(axis=(1, 2)) == box_intensity.min(axis=(1, 2))
    shown = np.flatnonzero(~blank)
    missing = int(blank[shown[0] : shown[-1]].sum()) if shown.size else 0
    if missing == 0:
        return ()
    what = "A slice" if missing == 1 else f"{missing} slices"
    message = (
        f"{what} of the scan through the atrium {'is' if missing == 1 else 'are'} blank: grey levels there are not the patient's, and wall and scar are "
        "missing. Export the scan again."
    )
    return (QualityFlag("slices_blank", message),)


def _check_zero(box_intensity: np.ndarray, blood: float, severity: str) -> tuple[QualityFlag, ...]:
    negative = float(np.count_nonzero(box_intensity < BELOW_ZERO * blood) / box_intensity.size)
    if negative > MAX_BELOW_ZERO:
        message = (
            f"{100 * negative:.2g} % of the voxels around the atrium are negative, which no magnitude image has: the scan was normalised (z-score, "
            f"−1…1), or is a phase-sensitive (PSIR) or CT image. A ratio to blood means nothing in it. {REMEDY}, {OTHER_RULES}."
        )
        return (QualityFlag("negative_values", message, severity),)
    padding = box_intensity == box_intensity.min()
    seen = box_intensity[~padding] if np.count_nonzero(padding) > PADDING * box_intensity.size else box_intensity
    darkest = float(np.percentile(seen, DARKEST_PCT)) / blood
    if darkest > MAX_DARKEST:
        message = (
            f"Nothing around the atrium is dark: even the darkest voxels have {darkest:.2f} of the blood's grey level (usually less than 0.1), so zero "
            f"does not mean 'no signal' here, as in a phase-sensitive (PSIR), inverted or shifted image. A ratio to blood means nothing in it. {REMEDY}, {OTHER_RULES}."
        )
        return (QualityFlag("zero_is_not_no_signal", message, severity),)
    return ()


def _check_noise(sample: Sample) -> tuple[QualityFlag, ...]:
    noise = sample.blood.coefficient_of_variation
    if noise >= LEAST_NOISE:
        return ()
    message = (
        f"The blood hardly varies (coefficient of variation {noise:.3f}, usually 0.07–0.2): a CT stored from 0 up, grey levels that were compressed "
        "(square root, logarithm), or a smoothed image. A ratio to blood means something else then. Give the LGE-MRI as the scanner made it."
    )
    return (QualityFlag("blood_pool_even", message),)


def _check_top(box_intensity: np.ndarray, sample: Sample) -> tuple[QualityFlag, ...]:
    top = box_intensity.max()
    wall, blood = (float(np.count_nonzero(values >= top) / max(values.size, 1)) for values in (sample.wall_intensity, sample.cavity_intensity))
    share = max(wall, blood)
    if share <= SOME_AT_TOP:
        return ()
    where = "wall" if wall >= blood else "blood"
    message = (
        f"{100 * share:.0f} % of the {where} have the brightest grey level there is ({top:g}): the scan was clipped, and what is scar can't be told from "
        "what was cut off. Export it again without clipping or rescaling to 8 bits."
    )
    return (QualityFlag("saturated", message, STOP if share > MAX_AT_TOP else WARNING),)


def _check_wall_and_blood(sample: Sample, severity: str) -> tuple[QualityFlag, ...]:
    blood, wall = sample.blood.mean, sample.wall_intensity
    darkest_wall = float(np.percentile(wall, 10)) / blood
    if darkest_wall > LEAST_DARK_BLOOD:
        message = (
            f"Nearly all of the wall is brighter than the blood (nine tenths above {darkest_wall:.2f} of it): a dark-blood image, or the mask is not the "
            "blood pool. A threshold that is told from blood means nothing here. Give a bright-blood LGE scan, or the mask of the cavity; a rule "
            "that looks at the wall alone (--scar otsu, --scar wall_nsd) may hold."
        )
        return (QualityFlag("dark_blood", message, STOP if severity == STOP else WARNING),)
    bright = float(np.count_nonzero(wall > blood) / wall.size)
    if bright < LEAST_BRIGHT_WALL:
        message = (
            f"Hardly any of the wall ({100 * bright:.0f} %, usually 12–89 %) is brighter than the blood, so no late enhancement is seen: another "
            "sequence than LGE, an image taken before contrast, or a cavity mask that reaches beyond the wall. Give the LGE-MRI, and look where "
            "the mask ends."
        )
        return (QualityFlag("not_lge_like", message),)
    if bright > MOST_BRIGHT_WALL:
        message = (
            f"{100 * bright:.0f} % of the wall is brighter than the blood (usually 12–89 %): little contrast between them is left to tell scar by, or the "
            "mask's edge lies inside the atrium."
        )
        return (QualityFlag("wall_brighter_than_blood", message),)
    return ()


def check_scar_share(scar_area_pct: float) -> tuple[QualityFlag, ...]:
    """Flag a share of scar that no atrium has."""
    if scar_area_pct <= MOST_SCAR_PCT:
        return ()
    message = (
        f"{scar_area_pct:.0f} % of the surface would be scar, more than in any patient: the threshold does not fit this scan's grey levels, or the mask "
        "is not the atrium."
    )
    return (QualityFlag("scar_share_implausible", message),)

"""Quality flags: when the numbers should not be taken at face value."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from ..errors import InputError
from ..intensity.blood_pool import BloodPool
from ..support.flags import NOTE, WARNING, QualityFlag
from ..surface.openings import FoundPlanes
from ..surface.planes import CutPlane, same_planes
from ..surface.surface import Surface
from ..volumes.files import COMPUTED
from ..volumes.volume import Geometry, Volume

MAX_FIELD_OF_VIEW_MM = 500.0
"""No cardiac scan is wider: a header that claims 1 mm for a 640² matrix is wrong (SCIENCE section 6)."""
MIN_FIELD_OF_VIEW_MM = 40.0
"""The smallest atrium that is measured without a warning is a ball of 41 mm; CARMA's crop, the smallest real scan at hand, has 47.5 mm."""
CT_BELOW, MAX_CT_SHARE = -500.0, 0.01
"""Lung in Hounsfield units lies below; magnitude images have no negative grey levels at all."""
SURROUNDINGS_MM = (2.5, 12.0)
"""Beyond the wall, as far as distances are known."""
LEAST_SURROUNDINGS = 100
"""Fewer voxels say nothing."""
EDGE_BINS_MM = np.arange(-8.0, 8.0)
"""Shells of 1 mm by distance from the mask's edge: to beyond the wall on one side, to the blood pool on the other."""
FALLS_INSIDE_MM = 0.0
"""Where the mean grey level falls most steeply: 1–3 mm outside 40 masks of the 2018 challenge, 1 mm outside 14 of another centre, 2 mm outside
CARMA's, 3–5 mm outside those of phantoms, whose wall is bright. It moves as the edge does."""
LEAST_IN_SHELL = 50
TAILS_PCT = (0.2, 50.0, 99.8)
SHARE_WEIGHT = 5.0
"""Chosen on the 80 scans of the 2018 challenge and CARMA's, of which none is flagged, and every one is when it is inverted."""
LARGE_SIZE, ELONGATED = 256, 1.5
"""With 1 mm voxels, more than a quarter metre; and no scanner's default. Scans have fewer slices than rows, by this and more."""
MAX_SPACING_MM, MIN_SPACING_MM = 20.0, 0.05
"""Beyond these a header is in another unit."""
MAX_SLICE_MM = 5.0
"""LGE scans of the atrium have 1.25–4 mm slices; a 2.5 mm wall is lost in thicker ones."""
THICK_AS_WALL_MM, LIES_ALONG_DEG = 2.0, 45.0
"""Atrial walls are 1–3 mm thick; within this angle a wall lies rather along a slice than across it."""
MAX_BLOOD_CV = 0.2
MIN_WALL_SPREAD = 1.2
"""SD of the wall over SD of the blood: 1.3–3.3 on 40 scans of the 2018 challenge; 1 is a wall that looks like blood."""
LA_VOLUME_ML = (37.0, 250.0)
"""Left atrial volumes seen in patients (SCIENCE section 7 and the issue's limits)."""
MAX_EXCLUDED_SHARE = 0.6
"""Veins, appendage and mitral valve together are less than this share of the surface."""
MAX_BEYOND_MITRAL_MM = 15.0
"""The annulus is a saddle less than 10 mm high, and a plane is clicked to a few millimetres: what reaches further is ventricle."""
MAX_UNMEASURED_PCT = 10.0
"""Surface without wall in front of it: none of it on scans of the 2018 challenge, 13–20 % where slices are thicker than the wall."""
MIN_LEVEL_SD = 2.0
"""A threshold nearer to blood than this is nearer than any of the benchmark's (Karim et al., JCMR 2013: 2 to 4 SD)."""
LEVEL_ROUNDING_SD = 1e-6
MOST_LABELS = 16
"""Label maps of the heart have up to 8 values (MM-WHS); the plainest of 80 scans of the 2018 challenge, 8-bit and cropped, has 38."""
FIRST_LOOK_VOXELS = 1e5
"""So many, evenly spread, show more than `MOST_LABELS` values in any scan; only what doesn't is looked at whole."""
MAX_SCAR_IN_CAVITY_PCT = 5.0
MAX_SCAR_OUTSIDE_WALL_PCT = 5.0
MAX_PREDICTION_CUT_PCT = 50.0
"""A model whose scar lies mostly beside the wall doesn't mean the same place, or its cavity is off."""


def check_image(intensities: np.ndarray, geometry: Geometry) -> tuple[QualityFlag, ...]:
    """Refuse a constant image and a spacing in another unit; flag an impossible field of view and thick slices."""
    if intensities.min() == intensities.max():
        raise InputError(f"Every voxel of the image is {intensities.flat[0]:g}: there is nothing to measure. Give the LGE scan itself.")
    spacing = geometry.spacing
    if max(spacing) > MAX_SPACING_MM or min(spacing) < MIN_SPACING_MM:
        listed = " × ".join(f"{s:g}" for s in spacing)
        raise InputError(
            f"The voxel spacing {listed} mm is impossible for a heart scan: the header is probably in another unit. Correct it (mm)."
        )
    flags = [*check_header(geometry)]
    if max(geometry.extent_mm) > MAX_FIELD_OF_VIEW_MM:
        extent = " × ".join(f"{e:.0f}" for e in geometry.extent_mm)
        message = (
            f"The field of view is {extent} mm, wider than any heart scan: the spacing in the header is wrong, and so is every "
            "area and volume."
        )
        flags.append(QualityFlag("field_of_view", message))
    if min(geometry.extent_mm) < MIN_FIELD_OF_VIEW_MM:
        extent = " × ".join(f"{e:.0f}" for e in geometry.extent_mm)
        message = f"The scan covers {extent} mm: hardly room for a left atrium, so what is measured may be a part of it."
        flags.append(QualityFlag("small_field_of_view", message))
    if max(spacing) > MAX_SLICE_MM:
        flags.append(QualityFlag("thick_slices", f"The slices are {max(spacing):g} mm apart; a wall of 2.5 mm is averaged away in them."))
    return (*flags, *_check_grey_levels(intensities))


def check_header(geometry: Geometry) -> tuple[QualityFlag, ...]:
    """A flag where the geometry is what programs write that know of none: 1 mm, origin 0, straight axes, on a scan's matrix."""
    straight = all(abs(cosine) == (1.0 if n % 4 == 0 else 0.0) for n, cosine in enumerate(geometry.direction))
    blank = set(geometry.spacing) == {1.0} and not any(geometry.origin) and straight
    if not blank or (max(geometry.size) < LARGE_SIZE and max(geometry.size) < ELONGATED * min(geometry.size)):
        return ()
    size = " × ".join(map(str, geometry.size))
    message = (
        f"The header looks lost: voxels of exactly 1 × 1 × 1 mm, origin 0 and straight axes on {size} voxels are what a program writes that "
        "got an array only. If the scan's voxels are not 1 mm cubes, every length, area and volume is wrong. Export the image again with "
        "its geometry, or copy the header of the original; if it is right, say --despite header_lost."
    )
    return (QualityFlag("header_lost", message),)


def check_is_scan(volume: Volume, name: str) -> None:
    """Refuse a mask, a label map or one of our own maps that was given as the scan `name`; for what people choose.

    A constant image passes: `check_image` has words for it.
    """
    if COMPUTED in volume.flags:
        raise InputError(f"{name} is a map that LAScarSeg computed (a distance, a probability), not a scan. Give the LGE-MRI as the scan.")
    intensities = volume.array
    step = max(1, round((intensities.size / FIRST_LOOK_VOXELS) ** (1 / 3)))
    if np.unique(intensities[::step, ::step, ::step]).size > MOST_LABELS:
        return
    values = np.unique(intensities)
    if not 2 <= values.size <= MOST_LABELS:
        return
    listed = ", ".join(f"{value:g}" for value in values)
    raise InputError(
        f"{name} is a mask or label map, not a scan: its voxels have only {values.size} different values ({listed}). Give the LGE-MRI "
        "itself as the scan; a mask can be given as the cavity, the wall or the scar."
    )


def _check_grey_levels(intensities: np.ndarray) -> tuple[QualityFlag, ...]:
    """Flag Hounsfield-like values: no ratio to blood means anything where 0 isn't "no signal"."""
    share = 0.0 if intensities.min() >= CT_BELOW else float(np.count_nonzero(intensities < CT_BELOW) / intensities.size)
    if share <= MAX_CT_SHARE:
        return ()
    message = (
        f"{100 * share:.0f} % of the voxels lie below {CT_BELOW:g}, as in CT (Hounsfield units) or in a real-part MR image: intensity "
        "ratios to blood mean nothing there. Give the magnitude image of the LGE-MRI."
    )
    return (QualityFlag("ct_like_values", message),)


def check_lge_like(box_intensity: np.ndarray, outside_mm: np.ndarray, blood: BloodPool) -> tuple[QualityFlag, ...]:
    """Flag a scan that is inverted or another sequence, by two signs that both turn round with the grey levels.

    In LGE blood is brighter than most of what surrounds the atrium, and dark tissue is alike while bright tissue differs (a long
    upper tail). Neither sign alone holds for every real scan; their sum, which changes its sign with an inversion, does.

    Parameters
    ----------
    box_intensity, outside_mm
        (k, j, i) grey levels of the cavity's box, and the distance to the cavity in mm (0 inside).
    """
    surroundings = box_intensity[(outside_mm > SURROUNDINGS_MM[0]) & (outside_mm < SURROUNDINGS_MM[1])]
    if surroundings.size < LEAST_SURROUNDINGS:
        return ()
    darker = float(np.count_nonzero(surroundings < blood.mean) / surroundings.size)
    low, middle, high = np.percentile(box_intensity, TAILS_PCT)
    smallest = np.finfo(np.float32).eps * max(high - low, 1.0)
    tails = max(high - middle, smallest) / max(middle - low, smallest)
    if SHARE_WEIGHT * (darker - 0.5) + np.log(tails) >= 0.0:
        return ()
    message = (
        f"The scan does not look like LGE: {100 * darker:.0f} % of what surrounds the atrium is darker than its blood (usually 60–98 %), "
        f"and grey levels reach {tails:.1f} times as far up as down (usually 0.7 or more). Is it inverted, or another sequence, or "
        "does the cavity mask lie elsewhere?"
    )
    return (QualityFlag("not_lge_like", message),)


def check_edge(box_intensity: np.ndarray, sdm_cavity_mm: np.ndarray) -> tuple[QualityFlag, ...]:
    """Flag a cavity whose edge lies outside the one in the picture: the mean grey level falls most steeply outside a sound mask.

    Parameters
    ----------
    box_intensity, sdm_cavity_mm
        (k, j, i) grey levels of the cavity's box, and the signed distance to the mask's edge in mm, positive inside.
    """
    reach = len(EDGE_BINS_MM) // 2
    near = np.abs(sdm_cavity_mm) < reach
    shell = np.floor(sdm_cavity_mm[near]).astype(int) + reach
    counts = np.bincount(shell, minlength=2 * reach)
    if counts.min() < LEAST_IN_SHELL:
        return ()
    means = np.bincount(shell, box_intensity[near], 2 * reach) / counts
    if means[reach:].mean() <= means[: reach // 2].mean():
        # Blood is no brighter than what surrounds it: other checks have words for that.
        return ()
    falls_at = float(EDGE_BINS_MM[1:][np.argmax(np.diff(means))])
    if falls_at < FALLS_INSIDE_MM:
        return ()
    message = (
        f"Grey levels fall most steeply {falls_at:.0f} mm inside the mask's edge (1–3 mm outside it is usual): the cavity is drawn too large, reaching "
        "through the wall, or lies in another place. The wall that is measured then lies beside the atrium's. Look at its outline on the scan."
    )
    return (QualityFlag("mask_too_large", message),)


def check_intensities(blood: BloodPool, wall_intensity: np.ndarray, has_zero: bool = True) -> tuple[QualityFlag, ...]:
    """Flag an uneven blood pool, which only a scan whose zero means "no signal" tells, and a wall that looks like blood."""
    flags = []
    if has_zero and blood.coefficient_of_variation > MAX_BLOOD_CV:
        message = (
            f"The blood pool is uneven (coefficient of variation {blood.coefficient_of_variation:.2f}, usual is up to {MAX_BLOOD_CV:g}): "
            "noise, inflow, shading, grey levels that were stretched, or the cavity mask covers other tissue."
        )
        flags.append(QualityFlag("blood_pool_uneven", message))
    spread = float(wall_intensity.std(dtype=np.float64)) / blood.sd if blood.sd > 0 else np.inf
    if spread < MIN_WALL_SPREAD:
        message = (
            f"The wall's grey levels vary hardly more than the blood's (ratio {spread:.2f}, usual is 1.3–3.3): no enhancement can "
            "be told from blood. Is this an LGE scan, and does the mask's edge lie on the atrium's?"
        )
        flags.append(QualityFlag("low_wall_contrast", message))
    return tuple(flags)


def check_level(grey_level: float | None, blood: BloodPool, brightest: float) -> tuple[QualityFlag, ...]:
    """Say that a threshold lies within the blood pool's own noise, or above all that is compared with it; None (a mask) has none."""
    if grey_level is None:
        return ()
    if grey_level >= brightest > -np.inf:
        message = f"The threshold (grey level {grey_level:.4g}) lies above everything it is compared with (at most {brightest:.4g}): it finds no scar anywhere."
        return (QualityFlag("threshold_above_all", message),)
    if blood.sd == 0:
        return ()
    distance = (grey_level - blood.mean) / blood.sd
    if distance >= MIN_LEVEL_SD - LEVEL_ROUNDING_SD:
        return ()
    where = f"only {distance:.1f} standard deviations above the blood pool's mean" if distance > 0 else "below the blood pool's mean"
    message = f"The threshold (grey level {grey_level:.4g}) lies {where}: blood and noise pass it too, so scattered specks need not be scar."
    return (QualityFlag("threshold_near_blood", message),)


def check_volume(la_volume_ml: float) -> tuple[QualityFlag, ...]:
    """Flag an atrium of unusual size."""
    low, high = LA_VOLUME_ML
    if low <= la_volume_ml <= high:
        return ()
    message = (
        f"The LA volume is {la_volume_ml:.0f} mL, outside {low:g}–{high:g} mL: the cavity may be cut off, leak, or be another chamber."
    )
    return (QualityFlag("la_volume_unusual", message),)


def check_unmeasured(unmeasured_pct: float, reach_mm: float) -> tuple[QualityFlag, ...]:
    """Flag surface of which nothing is known, because no wall lies along its normal, or because the scan ends; in % of the surface."""
    if unmeasured_pct <= MAX_UNMEASURED_PCT:
        return ()
    message = (
        f"{unmeasured_pct:.0f} % of the surface was not measured, which does not mean that it is free of scar: no wall lies within {reach_mm:g} mm of it "
        "along the normal. Slices or voxels are thicker than the wall, the image ends there, or the wall mask does not reach."
    )
    return (QualityFlag("surface_without_wall", message),)


def check_slices(geometry: Geometry, surface: Surface) -> tuple[QualityFlag, ...]:
    """Say how much of the wall lies along slices that are about as thick as it, and is averaged with what lies beside it."""
    slices = int(np.argmax(geometry.spacing))
    spacing = geometry.spacing[slices]
    if spacing < THICK_AS_WALL_MM or spacing > MAX_SLICE_MM:
        return ()
    along = np.abs(surface.normals @ geometry.rotation[:, slices]) > np.cos(np.deg2rad(LIES_ALONG_DEG))
    area = surface.vertex_area_mm2
    message = (
        f"Slices {spacing:g} mm apart are about as thick as the wall: where it lies along them ({100 * area[along].sum() / area.sum():.0f} % of the "
        "LA surface, roof and floor of axial scans) it is averaged with what lies beside it, and scar there is under-read."
    )
    return (QualityFlag("roof_and_floor", message),)


def check_scar_area(scar_area_pct: float) -> tuple[QualityFlag, ...]:
    """Say that nothing was found."""
    if scar_area_pct > 0:
        return ()
    return (QualityFlag("no_scar", "No scar was found: no voxel of the wall passes."),)


def check_scar_mask(scar: np.ndarray, cavity: np.ndarray, wall: np.ndarray) -> tuple[QualityFlag, ...]:
    """Flag given scar that lies in the blood or far from the wall. All masks (k, j, i) bool."""
    voxels = int(scar.sum())
    inside = 100.0 * int((scar & cavity).sum()) / voxels if voxels else 0.0
    # Two programs' walls differ by a voxel.
    near = ndimage.binary_dilation(cavity | wall, np.ones((3, 3, 3))) if voxels else wall
    elsewhere = 100.0 * int((scar & ~near).sum()) / voxels if voxels else 0.0
    flags = []
    if inside > MAX_SCAR_IN_CAVITY_PCT:
        message = f"{inside:.0f} % of the scar mask lies inside the cavity: scar is wall, so one of the two masks is off."
        flags.append(QualityFlag("scar_inside_cavity", message))
    if elsewhere > MAX_SCAR_OUTSIDE_WALL_PCT:
        message = (
            f"{elsewhere:.0f} % of the scar mask lies outside both cavity and wall, by more than a voxel; it counts in the scar volume, not in the share "
            "of the wall."
        )
        flags.append(QualityFlag("scar_outside_wall", message))
    return tuple(flags)


def check_predicted_scar(scar: np.ndarray, cavity: np.ndarray, wall: np.ndarray) -> tuple[QualityFlag, ...]:
    """Say how much of a model's scar is not counted, since it lies beside the measured wall. All masks (k, j, i) bool."""
    voxels = int(scar.sum())
    parts = scar & cavity, scar & ~cavity & ~wall
    inside, beyond = (100.0 * int(np.count_nonzero(part)) / voxels if voxels else 0.0 for part in parts)
    if inside + beyond <= MAX_SCAR_OUTSIDE_WALL_PCT:
        return ()
    message = (
        f"{inside + beyond:.0f} % of what the model took for scar lies beside the wall ({inside:.0f} % in the cavity, {beyond:.0f} % beyond "
        "the wall) and is not counted, as with every method; the scar probability shows it."
    )
    severity = WARNING if inside + beyond > MAX_PREDICTION_CUT_PCT else NOTE
    return (QualityFlag("prediction_beside_wall", message, severity),)


def check_planes(planes: Sequence[CutPlane], search: FoundPlanes | None, excluded_share: float) -> tuple[QualityFlag, ...]:
    """Say that other enhancing tissue may be counted without planes, that nobody has looked at them, or that they cut off most of the atrium."""
    if not planes:
        message = (
            "No mitral or vein planes were given: the mitral annulus, the veins beyond their ostia, and where they touch it the aorta "
            "and the oesophagus may be counted as scar."
        )
        return (QualityFlag("no_planes", message) if search is None or not search.unsure else _unsure_planes(search),)
    # Unsure ones cut only once a person has taken them up.
    found = search is not None and not search.unsure and same_planes(search.planes, planes)
    flags = (QualityFlag("planes_found", "Mitral valve and veins were found by the program: look at their planes, and move what is wrong."),)
    if excluded_share > MAX_EXCLUDED_SHARE:
        message = f"The planes cut off {100 * excluded_share:.0f} % of the LA surface: check where they lie."
        return (*(flags if found else ()), QualityFlag("planes_cut_most", message))
    return flags if found else ()


def _unsure_planes(search: FoundPlanes) -> QualityFlag:
    reasons = " ".join(f"{name}: {why}" for name, why in search.unsure.items())
    message = (
        "Mitral valve and veins were looked for, and not all were found for sure, so nothing is left out of the numbers; regions and gaps, where "
        f"there are any, lie around what was found. {reasons} Look at the planes and take them up, or give your own."
    )
    return QualityFlag("planes_unsure", message)


def check_mitral_leak(beyond_mitral_mm: float) -> tuple[QualityFlag, ...]:
    """Flag a cavity that reaches this far beyond the mitral plane (mm; 0 without that plane): it holds a part of the ventricle."""
    if beyond_mitral_mm <= MAX_BEYOND_MITRAL_MM:
        return ()
    message = (
        f"The cavity reaches {beyond_mitral_mm:.0f} mm beyond the mitral plane: it leaks into the left ventricle, or the plane lies too far "
        "in. LA volume and blood pool count that part; cut the cavity at the valve, or move the plane."
    )
    return (QualityFlag("leak_through_mitral_plane", message),)

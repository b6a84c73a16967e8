"""What the Measurements page shows: the headline, a table, the flags in plain words, two methods side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..analysis import Analysis
from ..errors import InputError
from ..flags import QualityFlag
from ..measure.quantities import QUANTITIES
from ..measure.words import DASH, cavity_words, number_words, range_words, unit_words

FLAG_TITLES = {
    "blood_pool_uneven": "Uneven blood pool",
    "cavity_has_holes": "Holes in the cavity",
    "cavity_in_pieces": "Cavity in pieces",
    "cavity_label_not_1": "Unusual cavity label",
    "cavity_resampled": "Cavity from another grid",
    "cavity_touches_border": "Atrium cut off by the image border",
    "cavity_uncertain": "Network unsure of the cavity",
    "cavity_uncertainty": "How sure the network is of the cavity",
    "computed_map": "A map, not a scan",
    "ct_like_values": "Looks like CT",
    "device_changed": "Ran on the processor instead",
    "field_of_view": "Impossible field of view",
    "la_volume_unusual": "Unusual LA volume",
    "leak_through_mitral_plane": "Cavity goes on beyond the mitral plane",
    "low_wall_contrast": "Wall looks like blood",
    "nifti_qform_sform_disagree": "Header contradicts itself (position)",
    "nifti_spacing_disagrees": "Header contradicts itself (spacing)",
    "nifti_without_orientation": "Header without orientation",
    "not_lge_like": "Doesn't look like LGE-MRI",
    "no_planes": "No mitral or vein planes",
    "no_scar": "No scar found",
    "planes_cut_most": "Planes cut off most of the atrium",
    "prediction_beside_wall": "Network's scar lies beside the wall",
    "probability_missing": "Probability map is gone",
    "range_incomplete": "Perturbation range may be too narrow",
    "scar_inside_cavity": "Scar inside the cavity",
    "scar_label_not_1": "Unusual scar label",
    "scar_older_than_cavity": "Scar is older than the cavity",
    "scar_outside_wall": "Scar outside the wall",
    "scar_resampled": "Scar from another grid",
    "simulated": "Simulated, not a patient",
    "small_field_of_view": "Small field of view",
    "smaller_tiles": "Ran in smaller tiles",
    "surface_without_wall": "Surface without wall in front of it",
    "thick_slices": "Thick slices",
    "threshold_near_blood": "Threshold close to blood",
    "wall_label_not_1": "Unusual wall label",
    "wall_resampled": "Wall from another grid",
}
"""A title for every code; the flag's own message says the value and what to do."""
SEVERITY_WORDS = {"warning": "Check", "note": "Note"}


@dataclass(frozen=True)
class NumberRow:
    """One line of the table; `key` as in measurements.json, `range` the perturbation range, empty while it isn't known."""

    key: str
    label: str
    value: str
    unit: str
    range: str


@dataclass(frozen=True)
class FlagRow:
    """One remark: `severity` "Check" (the numbers may be off) or "Note" (good to know), a title, and the whole sentence."""

    severity: str
    title: str
    message: str


@dataclass(frozen=True)
class Comparison:
    """Two results of one scan: `headings` over the columns of `rows`, and what to bear in mind."""

    headings: tuple[str, str, str, str, str]
    rows: tuple[tuple[str, str, str, str, str], ...]
    remarks: tuple[str, ...]


def headline(analysis: Analysis) -> str:
    """The result in a line: "Scar on 12.2 % of the LA surface (10.1 – 14.3 %)"."""
    name = QUANTITIES[0]
    quantity = analysis.measurements[name.key]
    span = range_words(name, quantity)
    return f"Scar on {number_words(name, quantity.value)} % of the LA surface" + (f" ({span} %)" if span else "")


def method_line(analysis: Analysis) -> str:
    """How it was found: the method with its number and grey level, and whose threshold that is."""
    method = analysis.method
    level = f", grey level {method.threshold_intensity:.4g}" if method.threshold_intensity is not None else ""
    preset = f" ({method.source}, published for {method.published_for})" if method.published_for else ""
    return f"{method.words}{level}{preset}"


def cavity_line(analysis: Analysis) -> str:
    """Where the cavity comes from: the model that found it, or whoever gave or edited it."""
    return cavity_words(analysis.provenance)


def rows(analysis: Analysis) -> tuple[NumberRow, ...]:
    """Every measurement in the order in which it is shown; a dash where nothing was computed."""
    known = [(name, analysis.measurements[name.key]) for name in QUANTITIES if name.key in analysis.measurements]
    units = {name.key: "" if quantity.value is None else unit_words(quantity.unit) for name, quantity in known}
    return tuple(NumberRow(name.key, name.label, number_words(name, q.value), units[name.key], range_words(name, q)) for name, q in known)


def flags(analysis: Analysis) -> tuple[FlagRow, ...]:
    """The quality flags, warnings first."""
    ordered = sorted(analysis.flags, key=lambda flag: flag.severity != "warning")
    return tuple(FlagRow(SEVERITY_WORDS[flag.severity], flag_title(flag), flag.message) for flag in ordered)


def flag_title(flag: QualityFlag) -> str:
    """A few words for a flag; one that has none here shows its code, readably."""
    return FLAG_TITLES.get(flag.code, flag.code.replace("_", " ").capitalize())


def compare(first: Analysis, second: Analysis) -> Comparison:
    """Two methods on one scan, side by side, with the difference second − first and how far the two scars overlap.

    Raises
    ------
    InputError
        when the two are of different grids, so not of one scan.
    """
    if not first.geometry.same_grid(second.geometry):
        sizes = ["×".join(map(str, analysis.geometry.size)) for analysis in (first, second)]
        raise InputError(f"The two results are of different scans ({sizes[0]} and {sizes[1]} voxels). Compare two methods on one scan.")
    body = []
    for name in QUANTITIES:
        a, b = (analysis.measurements[name.key].value for analysis in (first, second))
        if a is None and b is None:
            continue
        # Thresholds of two rules count different things, and stages aren't numbers to subtract.
        subtract = a is not None and b is not None and name.key not in ("threshold", "utah_stage")
        difference = f"{b - a:+.{name.decimals}f}".replace("-", "−") if subtract else ""
        body.append((name.label, number_words(name, a), number_words(name, b), difference, unit_words(name.unit)))
    body.append(("Overlap of the two scars (Dice)", "", "", _overlap(first, second), ""))
    headings = ("Measurement", first.method.words, second.method.words, "Difference", "Unit")
    return Comparison(headings, tuple(body), tuple(_remarks(first, second)))


def _remarks(first: Analysis, second: Analysis) -> list[str]:
    masks = first.provenance["masks"], second.provenance["masks"]
    different = [name for name in ("cavity", "wall") if masks[0][name] != masks[1][name]]
    remarks = []
    if different:
        names = " and ".join(different)
        remarks.append(f"The two were measured on different masks ({names}), so not all of the difference is the method's.")
    if first.planes != second.planes:
        remarks.append("The two were measured with different planes.")
    for analysis in (first, second):
        if analysis.method.parameter is not None and not analysis.method.calibrated:
            remarks.append(f"{analysis.method.words}: the threshold was not calibrated for this kind of wall.")
    return remarks


def _overlap(first: Analysis, second: Analysis) -> str:
    """2·|A∩B| / (|A| + |B|) of the scar voxels."""
    masks = [analysis.scar.array > 0 for analysis in (first, second)]
    total = sum(int(mask.sum()) for mask in masks)
    return f"{2 * int(np.logical_and(*masks).sum()) / total:.2f}" if total else DASH

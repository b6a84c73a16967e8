"""What a DICOM series says of itself that makes it no magnitude image of MR, or that contradicts its geometry."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from ..support.flags import NOTE, STOP, WARNING, QualityFlag
from .dicom_frames import Frame

MODALITIES = {"CT": "CT", "PT": "PET", "NM": "nuclear medicine", "US": "ultrasound", "XA": "X-ray angiography"}
OTHER = "OT"
"""As programs write that know no better."""
NOT_A_SCANNERS = {"", "SEG", OTHER}
"""A series that doesn't say, a segmentation, and "other": none of them another scanner's."""
SIGNED_KINDS = {"R": "real part", "REAL": "real part", "I": "imaginary part", "IMAGINARY": "imaginary part", "P": "phase", "PHASE": "phase"}
"""Image Type, value 3 or 4, and Complex Image Component (PS3.3, C.8.13.3.1): parts of the complex signal, which have a sign."""
PHASE_SENSITIVE = re.compile(r"PSIR|PHASE.?SENSITIVE", re.IGNORECASE)
MAGNITUDE = re.compile(r"\bMAG|MAGNITUDE|_MAG", re.IGNORECASE)
PROJECTION = re.compile(r"PROJECTION IMAGE|^PROJECTION$|(?<![A-Z])(MIP|MINIP|MAXIP|(MAX|MIN)_IP)(?![A-Z])|^(PJN|VRT|SSD|MAXIMUM|MINIMUM|CURVED_MPR)$|_RENDER$")
COMPUTED = re.compile(r"MAP$|^(ADC|ECV|QUANTITY|STD_DEVIATION|STDDEV)$")
SUBTRACTION = re.compile(r"SUBTRACT|^(SUB|DIFFERENCE)$")
REFORMATTED = re.compile(r"(?<![A-Z])MPR(?![A-Z])|^REFORMATTED$")
AVERAGED = re.compile(r"AVERAGE|THICK|^(AVG|MEAN)$|MEAN_IP")
"""Image Type, values 3 and on (PS3.3, C.7.6.1.1.2 and C.8.13.3.1), and Volume Based Calculation Technique, as several vendors write them."""
CALLED_COMPUTED = re.compile(r"(?<![A-Z])(MIP|MINIP|(T[12]\*?|ECV|ADC)[ _-]?MAPS?)(?![A-Z])", re.IGNORECASE)
DISTANCE_TOLERANCE = 0.1
"""Slice distances that agree to this share are the same: scanners round them to 0.1 mm."""
FAR_OFF = 2.0
"""Slices overlap by half at most (zero filling by 2): a header whose two numbers are further from the positions is not about them."""
OTHER_RULES = "Or take a rule that doesn't need it (--scar nsd, --protocol kcl or hopman)."


def remarks_on(frames: Sequence[Frame], gap: float, modality: str, description: str) -> tuple[QualityFlag, ...]:
    """Flags of a series, whose slices are `gap` mm apart: another scanner's, signed or shifted grey levels, computed images, distances
    that contradict each other."""
    distance = _missing_flags(frames, gap) or _distance_flags(frames, gap)
    if modality not in {"MR"} | NOT_A_SCANNERS:
        # Hounsfield units have an offset too, which is no second problem.
        return (_not_mr(modality), *distance)
    return (*([_not_said()] if modality == OTHER else []), *_zero_flags(frames, description), *_derived_flags(frames, description), *distance)


def _not_said() -> QualityFlag:
    message = "The series does not say which scanner made it (modality OT, other). Make sure that it is an LGE-MRI."
    return QualityFlag("not_mr", message, NOTE)


def _not_mr(modality: str) -> QualityFlag:
    what = f"{MODALITIES[modality]} (modality {modality})" if modality in MODALITIES else f"modality {modality}"
    message = (
        f"The series is one of {what}; an LGE-MRI is needed: intensity ratios to blood mean nothing in it. Give the folder of the MR series."
    )
    return QualityFlag("not_mr", message)


def _zero_flags(frames: Sequence[Frame], description: str) -> Iterator[QualityFlag]:
    """At most one: how it is known that zero doesn't mean "no signal"."""
    kinds = [kind for frame in frames for kind in frame.kind]
    signed = sorted({SIGNED_KINDS[part] for kind in set(kinds) if (part := kind.split("_")[0]) in SIGNED_KINDS})
    named = sorted({kind for kind in kinds if PHASE_SENSITIVE.search(kind) and not MAGNITUDE.search(kind)})
    offsets = sorted({frame.intercept for frame in frames} - {0.0})
    severity = STOP
    if offsets:
        why = f"its Rescale Intercept (0028,1052) of {offsets[0]:g} moves zero"
    elif signed or named:
        why = f"its image type says {', '.join(named or signed)}"
    elif PHASE_SENSITIVE.search(description) and not MAGNITUDE.search(description):
        # The type says magnitude, the scanner's or somebody's words say otherwise.
        why, severity = f"it is called '{description}'", WARNING
    else:
        return
    message = (
        f"The series is not a plain magnitude image: {why}, as in phase-sensitive reconstructions (PSIR). A ratio to blood (iir) needs "
        f'zero to mean "no signal". Give the magnitude series. {OTHER_RULES}'
    )
    yield QualityFlag("psir", message, severity)


def _derived_flags(frames: Sequence[Frame], description: str) -> Iterator[QualityFlag]:
    """At most one: what was computed of the image before it was stored."""
    kinds = sorted({kind for frame in frames for kind in frame.kind})
    for pattern, what, why in (
        (PROJECTION, "a projection", "each of its slices shows the brightest, or darkest, of many"),
        (COMPUTED, "a computed map", "its values are no grey levels of an LGE-MRI"),
        (SUBTRACTION, "a subtraction of two images", 'zero does not mean "no signal" in it'),
    ):
        if named := [kind for kind in kinds if pattern.search(kind)]:
            yield QualityFlag("derived_image", f"The series is {what} ({_said(named)}): {why}. Give the LGE-MRI that it was made from.")
            return
    if named := [kind for kind in kinds if REFORMATTED.search(kind)]:
        averaged = [kind for kind in kinds if AVERAGED.search(kind)]
        perhaps = "averaged over thick slabs, in which thin scar is lost" if averaged else "resampled, and perhaps averaged"
        message = f"The series is a reformatted one ({_said([*named, *averaged])}): {perhaps}. Give the LGE-MRI as it was acquired, if there is one."
        yield QualityFlag("derived_image", message, WARNING if averaged else NOTE)
    elif CALLED_COMPUTED.search(description):
        message = f"The series is called '{description}', as a projection or a computed map is. Make sure that it is the LGE-MRI as it was acquired."
        yield QualityFlag("derived_image", message, WARNING)


def _said(kinds: Sequence[str]) -> str:
    return f"image type {', '.join(dict.fromkeys(kinds))}"


def _missing_flags(frames: Sequence[Frame], gap: float) -> tuple[QualityFlag, ...]:
    """Slices that lie several times as far apart as told, and are numbered as if others lay between them.

    Numbers alone say nothing: phases and echoes that were stored elsewhere have theirs between, too.
    """
    told, thickness = _median(frame.told_spacing_mm for frame in frames), _median(frame.thickness_mm for frame in frames)
    distance, step = told or thickness, _step(frames)
    if distance is None or step == 1:
        return ()
    times = round(gap / distance)
    if times < 2 or not _alike(gap, times * distance):
        return ()
    if step != times and (told is None or _told_otherwise(gap, told, thickness)):
        return ()
    tag = "distance (0018,0088)" if told else "thickness (0018,0050)"
    numbers = f", and are numbered in steps of {step}" if step else ""
    message = (
        f"The slices lie {gap:.4g} mm apart by their positions, {times} times the {tag} of {distance:g} mm that the header gives{numbers}: slices "
        "seem to be missing between them. Export the whole series again."
    )
    return (QualityFlag("dicom_slices_missing", message, STOP if told and step == times else WARNING),)


def _told_otherwise(gap: float, told: float, thickness: float | None) -> bool:
    """Whether slices of another thickness, or the gap between their edges, explain their distance."""
    return thickness is not None and not _alike(told, thickness) and (_alike(gap, thickness) or _alike(gap, told + thickness))


def _step(frames: Sequence[Frame]) -> int | None:
    """By how much the numbers of the slices, in whatever order, go up; None where they are unknown or go up unevenly."""
    numbers = sorted(frame.number for frame in frames if frame.number is not None)
    steps = set(np.diff(numbers).tolist())
    return steps.pop() if len(numbers) == len(frames) and len(steps) == 1 else None


def _distance_flags(frames: Sequence[Frame], gap: float) -> tuple[QualityFlag, ...]:
    """What the header says of the distance and thickness of slices, where neither fits their positions."""
    told = [_median(frame.told_spacing_mm for frame in frames), _median(frame.thickness_mm for frame in frames)]
    numbers = [number for number in told if number]
    # Some write the gap between two slices' edges; thickness and gap then are the distance.
    if not numbers or any(_alike(gap, number) for number in (*numbers, sum(numbers))):
        return ()
    furthest = min(max(gap / number, number / gap) for number in numbers)
    if told[0] is None and furthest <= FAR_OFF * (1 + DISTANCE_TOLERANCE):
        # Slices may well be thicker than their distance, or have gaps, where nothing else is said.
        return ()
    both = len(numbers) == 2 and _alike(*numbers)
    words = [f"{what} {number:g} mm" for what, number in zip(("a distance (0018,0088) of", "a thickness (0018,0050) of"), told) if number]
    message = (
        f"The slices lie {gap:.4g} mm apart by their positions (used here), and the header gives {' and '.join(words)}: if that is right, every "
        "length, area and volume is wrong, or slices are missing. Export the series again."
    )
    return (QualityFlag("dicom_spacing_contradicts", message, STOP if both and furthest > FAR_OFF * (1 + DISTANCE_TOLERANCE) else WARNING),)


def _median(numbers: Iterator[float | None]) -> float | None:
    known = [abs(number) for number in numbers if number]
    return float(np.median(known)) if known else None


def _alike(one: float, other: float) -> bool:
    return abs(one - other) <= DISTANCE_TOLERANCE * max(one, other)

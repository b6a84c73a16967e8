"""Which voxels of a label volume are meant: by value, by a segment's name, several together; and what is odd about the values."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ..errors import InputError
from ..support.flags import QualityFlag
from ..volumes.segmentations import Segment, SegmentedFile
from ..volumes.volume import Volume
from .neighbours import check_neighbours

Label = int | str
"""A value of a label map, or the name of a segment."""
SEGMENT_NAMES = {"cavity": "Left atrium", "wall": "LA wall", "scar": "LA scar"}
"""What a result's segments are called in our scenes, and in what is saved from them."""
EMPTY = "The {name} mask is empty: it has no voxel above 0. Give a mask that holds the {name}."
MOST_ORGANS = 117
"""Values of the largest label map of a body in use (TotalSegmentator, Wasserth et al., Radiology AI 2023); those of the heart have up to 8."""
FEWEST_GREY_LEVELS = 16
"""More different values than any label map of a heart (8, MM-WHS); the plainest of 80 scans of the 2018 challenge has 38."""
LISTED = 8
LEFT_ATRIUM = re.compile(r"\bla\b|left ?atri|atri(um|al) ?left|l atrium|cavity|endo|blood ?pool")
OTHER_ORGAN = re.compile(
    r"\b(lv|rv|ra|myo|wall|epi)\b|ventric|ventrik|right ?atri|atri(um|al) ?right|aort|myocard|epicard|scar|fibros|enhancement|esophag|"
    r"thromb|lung|liver|spleen|spine|(\bla|left ?atrial) ?(appendage|auricle)"
)
"""Not the left atrium's cavity, even if "LA" is said with it."""
PART = re.compile(r"\b(ao|pa|laa|pvs?|[lr][sic]pv|appendage|auricle|veins?|pulmonary)\b")
"""Nor this, unless the atrium is named, too."""
MIDDLE = 0.5
"""Where a probability map is cut."""


def label_option(name: str) -> str:
    """How a person says which label of the mask `name` is meant; empty where there is no such option."""
    return f"--{name}-label" if name in ("cavity", "wall", "scar") else ""


def wanted_labels(label: Label | Sequence[Label] | None) -> tuple[Label, ...]:
    """A label, several, or None, as a tuple without repeats."""
    if label is None:
        return ()
    return tuple(dict.fromkeys([label] if isinstance(label, (int, str)) else label))


def labelled_voxels(labels: Volume, name: str, wanted: Sequence[Label] = ()) -> tuple[np.ndarray, tuple[QualityFlag, ...]]:
    """(k, j, i) bool: the voxels of any of the `wanted` values, else all above 0; and remarks.

    Parameters
    ----------
    name
        "cavity", "wall" or "scar", for the messages.

    Raises
    ------
    InputError
        no such value, several and none wanted, fractions (a probability map), grey levels (a scan), or empty (but for the scar).
    """
    values, wanted = positive_values(labels.array), _as_numbers(wanted, name)
    if values.size == 0 and name != "scar":
        raise InputError(EMPTY.format(name=name))
    _check_is_label_map(values, name, has_negative(labels.array))
    missing = [label for label in wanted if label not in values]
    if missing:
        raise InputError(_no_label(missing, values, name))
    if not wanted and values.size > 1:
        say = (
            f"Say which is the {name} with {option}, repeated for several." if (option := label_option(name)) else f"Keep the {name} only."
        )
        raise InputError(f"The {name} mask has several labels, {listed_values(values)}. {say}")
    flags = list(labels.flags)
    if not wanted and values.size and values[0] != 1:
        flags.append(QualityFlag(f"{name}_label_not_1", f"The {name} mask's value is {values[0]:g}, not 1; it was taken as the {name}."))
    if name == "cavity" and wanted and values.size > len(wanted):
        others = ((f"label {value:g}", labels.array == value) for value in values if value not in wanted)
        flags += check_neighbours(np.isin(labels.array, wanted), others, labels.geometry)
    if len(wanted) > 1:
        return np.isin(labels.array, wanted), tuple(flags)
    # Compared with False, a bool array stays one: ten times as fast as with 0, and after every edit somebody waits for it.
    return labels.array == wanted[0] if wanted else np.greater(labels.array, False), tuple(flags)


def chosen_voxels(file: SegmentedFile, name: str, wanted: Sequence[Label] = (), option: str | None = None) -> Volume:
    """What is meant in a label file, as a bool volume with the remarks on it; `wanted` are names of segments or values.

    `option` is how a person chooses (None: as for a run; empty: not at all). Raises `InputError` as `labelled_voxels`, naming the segments.
    """
    if not file.segments:
        (labels,) = file.layers
        array, flags = labelled_voxels(labels, name, wanted)
        return Volume(array, labels.geometry, flags)
    chosen = chosen_segments(file, f"The {name} mask", f"is the {name}", wanted, _by_name(name) if option is None else option)
    volume = file.together(chosen)
    if not volume.array.any() and name != "scar":
        raise InputError(f"The segment {_named(chosen or file.segments)} is empty. Give a mask that holds the {name}.")
    if name != "cavity":
        return volume
    if not wanted:
        return Volume(volume.array, volume.geometry, (*volume.flags, *(flag for segment in chosen for flag in _name_flags(segment))))
    others = ((f"'{segment.name}'", file.voxels(segment)) for segment in file.segments if segment not in chosen)
    return Volume(volume.array, volume.geometry, (*volume.flags, *check_neighbours(volume.array, others, volume.geometry)))


def chosen_segments(file: SegmentedFile, mask: str, meant: str, wanted: Sequence[Label], option: str) -> Sequence[Segment]:
    """The segments that are `wanted`, by name or value, else the only one; `InputError` names those there are.

    `mask` and `meant` are words: "The cavity mask", "is the cavity"; `option` as for `chosen_voxels`.
    """
    if wanted:
        return [segment for label in wanted for segment in _found(file, label, mask)]
    filled = file.filled
    if len(filled) <= 1:
        return filled
    say = f"Say which {meant} with {option}" if option else "Save a file with that one only"
    raise InputError(f"{mask} holds {len(filled)} segments, {_named(filled)}. {say}.")


def _name_flags(segment: Segment) -> tuple[QualityFlag, ...]:
    """A warning for a segment whose name says that it is something else than the left atrium's cavity, though it is the only one."""
    words = re.sub(r"[\W\d_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})", " ", segment.name)).strip().casefold()
    if not OTHER_ORGAN.search(words) and (LEFT_ATRIUM.search(words) or not PART.search(words)):
        return ()
    message = (
        f"The only segment of the cavity's file is called '{segment.name}', which is not the left atrium's cavity; it was taken as the cavity. If it "
        "is something else, every number is wrong. Give the segmentation of the left atrium, or correct the segment's name."
    )
    return (QualityFlag("cavity_named_otherwise", message),)


def _found(file: SegmentedFile, label: Label, mask: str) -> tuple[Segment, ...]:
    """The segment of that name, else the one of that value."""
    text = str(label).strip().casefold()
    found = [segment for segment in file.segments if segment.name.strip().casefold() == text]
    found = found or [segment for segment in file.segments if str(segment.label) == text]
    if not found:
        raise InputError(f"{mask} has no segment '{label}'; it has {_named(file.segments)}.")
    if len(found) > 1:
        raise InputError(
            f"{mask} has {len(found)} segments that '{label}' stands for, {_named(found)}. Choose by a name that only one has."
        )
    return tuple(found)


def _named(segments: Sequence[Segment]) -> str:
    return ", ".join(f"'{segment.name}' (label {segment.label})" for segment in segments)


def _by_name(name: str) -> str:
    return f'{option} "NAME", repeated for several together' if (option := label_option(name)) else ""


def _with(name: str) -> str:
    return f", with {option} once for each" if (option := label_option(name)) else ""


def _as_numbers(wanted: Sequence[Label], name: str) -> list[int]:
    """Values from what a person typed; `InputError` for a name, which only a segmentation has."""
    for label in wanted:
        if isinstance(label, str) and not label.strip().lstrip("+-").isdigit():
            raise InputError(
                f"The {name} mask names no segments, so '{label}' can't be found in it. Choose its labels by number{_with(name)}."
            )
    return [int(label) for label in wanted]


def _check_is_label_map(values: np.ndarray, name: str, negative: bool) -> None:
    """`InputError` for what holds no labels: probabilities as fractions or as 0–255, a signed distance, or a scan."""
    if values.size > 1 and (said := said_of_fractions(values, negative)):
        raise InputError(f"The {name} mask {said}")
    if values.size > FEWEST_GREY_LEVELS and values[-1] > MOST_ORGANS:
        middle = f"half of the largest value ({values[-1] / 2:g})"
        raise InputError(
            f"The {name} mask holds {values.size} different values up to {values[-1]:g}, which are grey levels, not labels: it is a scan, or a "
            f"probability map scaled to {values[-1]:g}. Give a mask; cut a probability map at {middle} first."
        )


def _no_label(missing: Sequence[int], values: np.ndarray, name: str) -> str:
    text = f"The {name} mask has no label {', '.join(map(str, missing))}; it has {listed_values(values)}."
    if values.size != 1:
        return text
    odd = "" if float(values[0]).is_integer() else ", which is no whole number: it was scaled on the way"
    return f"The {name} mask has no label {', '.join(map(str, missing))}: its only value above 0 is {values[0]:g}{odd}. Leave {label_option(name) or 'the label'} out."


def said_of_fractions(values: np.ndarray, negative: bool) -> str:
    """What a map is whose `values` above 0 are no whole numbers, and where to cut it; empty for labels. `negative`: it has values below 0, too."""
    fractions = values[np.mod(values, 1) != 0]
    if not fractions.size:
        return ""
    # Far from the atrium both have numbers that say nothing, such as 1e-38.
    example = f"{fractions[np.argmin(np.abs(fractions - MIDDLE))]:.3g}"
    if negative:
        return f"holds fractions such as {example}, and negative numbers, so it looks like a signed distance map. Cut it at 0 first."
    return f"holds fractions such as {example}, so it is a probability map. Cut it at a threshold ({MIDDLE:g}) first."


def has_negative(array: np.ndarray) -> bool:
    return array.dtype.kind in "if" and array.size > 0 and bool(array.min() < 0)


def positive_values(array: np.ndarray) -> np.ndarray:
    """The different values above 0, ascending."""
    if array.dtype == bool:
        return np.ones(int(array.any()))
    return np.unique(array[array > 0])


def listed_values(values: np.ndarray, most: int = LISTED) -> str:
    return ", ".join(f"{v:g}" for v in values[:most]) + (f" and {values.size - most} more" if values.size > most else "")

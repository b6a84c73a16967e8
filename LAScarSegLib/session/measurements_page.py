"""What the Measurements page shows: the headline, a table, the flags in plain words, two methods side by side."""

from dataclasses import dataclass

from ..analysis import Analysis
from ..analysis.method import describe_cavity
from ..anatomy.overlap import dice
from ..errors import InputError
from ..measure.numbers import DASH, NUMBERS


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
    """One remark: `heading` "Do not use", "Look at it" (the cavity), "Warning" (the numbers may be off) or "Note" (good to know), a title, and
    the whole sentence."""

    heading: str
    title: str
    message: str


@dataclass(frozen=True)
class ResultComparison:
    """Two results of one scan: `headings` over the columns of `rows`, and what to bear in mind."""

    headings: tuple[str, str, str, str, str]
    rows: tuple[tuple[str, str, str, str, str], ...]
    remarks: tuple[str, ...]


def headline(analysis: Analysis) -> str:
    """The result in a line: "Scar on 12.2 % of the LA wall (10.1 – 14.3 %), 11.2 cm²"."""
    found = analysis.headline
    return ", ".join(filter(None, (found.sentence, found.area_text)))


def unknown_line(analysis: Analysis) -> str:
    """What is not known, in a line: what other protocols say, where the range's ends come from, what is not as published."""
    because = analysis.method.not_calibrated_because if analysis.method.is_rule else ()
    not_calibrated = f"Not calibrated here: {'; '.join(because)}." if because else ""
    others = f"{analysis.others_line}." if analysis.others_line else ""
    return " ".join(filter(None, (others, analysis.headline.ends, not_calibrated)))


def method_line(analysis: Analysis) -> str:
    """How it was found: the method with its number and grey level, and whose threshold that is."""
    method = analysis.method
    level = f", grey level {method.threshold_intensity:.4g}" if method.threshold_intensity is not None else ""
    source = f" ({method.source})" if method.protocol or method.preset else ""
    return f"{method.label}{level}{source}"


def cavity_line(analysis: Analysis) -> str:
    """Where the cavity comes from: the model that found it, or whoever gave or edited it."""
    return describe_cavity(analysis.sources.cavity)


def rows(analysis: Analysis) -> tuple[NumberRow, ...]:
    """Every measurement that was computed, in the order in which it is shown."""
    known = [(number, quantity) for number in NUMBERS if (quantity := analysis.measurements[number.key]).value is not None]
    units = [number.unit_for_people(analysis.method.parameter_name) for number, _ in known]
    return tuple(NumberRow(number.key, number.label, number.text(q.value), unit, number.range_text(q)) for (number, q), unit in zip(known, units))


def flags(analysis: Analysis) -> tuple[FlagRow, ...]:
    """What is said of the cavity, then the quality flags, the gravest first."""
    return tuple(FlagRow(remark.heading, remark.title, remark.message) for remark in analysis.remarks)


def compare(first: Analysis, second: Analysis) -> ResultComparison:
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
    for number in NUMBERS:
        a, b = (analysis.measurements[number.key].value for analysis in (first, second))
        if a is None and b is None:
            continue
        subtract = a is not None and b is not None and number.comparable
        difference = f"{b - a:+.{number.decimals}f}".replace("-", "−") if subtract else ""
        body.append((number.label, number.text(a), number.text(b), difference, number.unit_text))
    body.append(("Overlap of the two scars (Dice)", "", "", _overlap(first, second), ""))
    headings = ("Measurement", first.method.label, second.method.label, "Difference", "Unit")
    return ResultComparison(headings, tuple(body), tuple(_remarks(first, second)))


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
            remarks.append(f"{analysis.method.label}: not calibrated here ({'; '.join(analysis.method.not_calibrated_because)}).")
    return remarks


def _overlap(first: Analysis, second: Analysis) -> str:
    masks = [analysis.scar.array > 0 for analysis in (first, second)]
    return f"{dice(*masks):.2f}" if any(mask.any() for mask in masks) else DASH

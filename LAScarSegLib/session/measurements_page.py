"""What the Measurements page shows: the headline, a table, the flags in plain words, two methods side by side."""

from dataclasses import dataclass

from ..analysis import Analysis
from ..analysis.method import describe_cavity
from ..anatomy.overlap import dice
from ..errors import InputError
from ..measure.numbers import DASH, HEADLINE, NUMBERS
from ..support.flags import WARNING


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
    """One remark: `heading` "Warning" (the numbers may be off) or "Note" (good to know), a title, and the whole sentence."""

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
    """The result in a line: "Scar on 12.2 % of the LA surface (10.1 – 14.3 %)"."""
    quantity = analysis.measurements[HEADLINE.key]
    span = HEADLINE.range_text(quantity)
    return f"Scar on {HEADLINE.text(quantity.value)} % of the LA surface" + (f" ({span} %)" if span else "")


def method_line(analysis: Analysis) -> str:
    """How it was found: the method with its number and grey level, and whose threshold that is."""
    method = analysis.method
    level = f", grey level {method.threshold_intensity:.4g}" if method.threshold_intensity is not None else ""
    preset = f" ({method.source}, published for {method.published_for})" if method.published_for else ""
    return f"{method.label}{level}{preset}"


def cavity_line(analysis: Analysis) -> str:
    """Where the cavity comes from: the model that found it, or whoever gave or edited it."""
    return describe_cavity(analysis.sources.cavity)


def rows(analysis: Analysis) -> tuple[NumberRow, ...]:
    """Every measurement in the order in which it is shown; a dash where nothing was computed."""
    known = [(number, analysis.measurements[number.key]) for number in NUMBERS]
    units = {number.key: "" if quantity.value is None else number.unit_text for number, quantity in known}
    return tuple(NumberRow(number.key, number.label, number.text(q.value), units[number.key], number.range_text(q)) for number, q in known)


def flags(analysis: Analysis) -> tuple[FlagRow, ...]:
    """The quality flags, warnings first."""
    ordered = sorted(analysis.flags, key=lambda flag: flag.severity != WARNING)
    return tuple(FlagRow(flag.heading, flag.title, flag.message) for flag in ordered)


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
            remarks.append(f"{analysis.method.label}: the threshold was not calibrated for this kind of wall.")
    return remarks


def _overlap(first: Analysis, second: Analysis) -> str:
    masks = [analysis.scar.array > 0 for analysis in (first, second)]
    return f"{dice(*masks):.2f}" if any(mask.any() for mask in masks) else DASH

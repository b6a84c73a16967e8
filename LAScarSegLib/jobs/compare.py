"""Compare two results: before and after, or two methods of one scan. From two folders to a third."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..analysis.comparison import SeemDifferent, compare_surfaces, side_by_side
from ..analysis.provenance import describe_program
from ..errors import InputError
from ..output.comparison_report import ComparedResults
from ..output.comparison_writing import check_comparison_folder, write_comparison
from ..output.figures.style import require_matplotlib
from ..output.report import require_jinja2
from ..output.result_surface import ResultSurface, read_result_surface
from ..support.flags import NOTE, QualityFlag
from ..support.progress import Progress

LARGEST_TOLERANCE_MM = 20.0
"""Beyond this any scar agrees with any other."""
DECLARED = "declared as"
SAME_EDGE_SHARE = 0.1
"""Mean edges that differ by less are of one setting: on four cavities of three grids 0.873–0.888 mm at 1.0 mm, 1.199–1.220 mm at 1.4 mm."""


@dataclass(frozen=True, kw_only=True)
class HowToCompare:
    """How two results are compared.

    `same_scan`: two methods of one scan, nothing is moved; `smooth`: bend B after its rigid motion; `tolerance_mm`: None for the
    registration's error; `force_different`: go on where they seem to be two patients', or two scans.
    """

    same_scan: bool = False
    smooth: bool = False
    tolerance_mm: float | None = None
    force_different: bool = False


@dataclass(frozen=True)
class CompareRequest(HowToCompare):
    """Two result folders, and where the comparison goes."""

    a: Path
    b: Path
    output: Path
    force: bool = False


def compare_results(request: CompareRequest, progress: Progress) -> ComparedResults:
    """Compare the results, and write the comparison.

    Raises
    ------
    InputError
        no results, withheld scar, two patients, two scans with `same_scan`, an output folder that can't be used.
    """
    if request.same_scan and request.smooth:
        raise InputError("--smooth bends B onto A; results of the same scan lie in one space already. Leave one of --smooth and --same-scan out.")
    if request.tolerance_mm is not None and not 0 <= request.tolerance_mm <= LARGEST_TOLERANCE_MM:
        raise InputError(f"The tolerance is {request.tolerance_mm:g} mm; it must be 0 to {LARGEST_TOLERANCE_MM:g} mm.")
    check_comparison_folder(request.output, request.force)
    require_matplotlib()
    require_jinja2()
    progress.report("read", 0.0, "Reading the results")
    a, b = read_result_surface(request.a), read_result_surface(request.b)
    compared = compare_both(a, b, request, progress.part(0.1, 0.7))
    progress.report("write", 0.7, "Writing the comparison")
    write_comparison(compared, request.output, force=request.force)
    return compared


def compare_both(a: ResultSurface, b: ResultSurface, how: HowToCompare, progress: Progress) -> ComparedResults:
    """Two results that were read already. Raises `SeemDifferent` and `InputError` as `compare_results`."""
    flags = _one_scan(a, b, how) + _methods(a, b, how) + _of_both(a, b)
    progress.report("compare", 0.0, "Comparing the surfaces" if how.same_scan else "Laying B onto A")
    comparison = compare_surfaces(
        a.surface, b.surface, same_scan=how.same_scan, bend=how.smooth, tolerance_mm=how.tolerance_mm, force=how.force_different,
        regions=a.regions_scheme, bands=a.bands,
    )  # fmt: skip
    settings = {"same_scan": how.same_scan, "smooth": how.smooth, "tolerance_mm": how.tolerance_mm, "force_different": how.force_different}
    provenance = describe_program() | {"simulated": _either(a.simulated, b.simulated), "settings": settings}
    progress.report("compare", 1.0, "Compared")
    return ComparedResults(a, b, comparison, side_by_side(a.measurements, b.measurements), (*comparison.flags, *flags), provenance)


def _either(a: bool | None, b: bool | None) -> bool | None:
    """Whether one is true; None where that is not known."""
    return True if a or b else None if None in (a, b) else False


def _one_scan(a: ResultSurface, b: ResultSurface, request: HowToCompare) -> tuple[QualityFlag, ...]:
    """Refuse, or remark on, results that are not known to be of one scan where that was said."""
    if not request.same_scan or (a.image_sha256 is not None and a.image_sha256 == b.image_sha256):
        return ()
    unknown = [name for name, result in (("A", a), ("B", b)) if result.image_sha256 is None]
    why = f"{' and '.join(unknown)} came without a scan" if unknown else "their scans differ (SHA-256)"
    message = f"The results are not known to be of one scan: {why}."
    if not request.force_different:
        raise SeemDifferent(message, "Leave --same-scan out, and they are registered.")
    return (QualityFlag("compared_scans_differ", f"{message} They were compared where they lie."),)


def _methods(a: ResultSurface, b: ResultSurface, request: HowToCompare) -> tuple[QualityFlag, ...]:
    """A change between two scans that were measured in different ways may be the method's."""
    if request.same_scan:
        return ()
    differ = {
        what: f"{what} (A {one}, B {other})" for what, one, other in _ways(a, b) if one is not None and other is not None and one != other
    }  # fmt: skip
    if not differ:
        return ()
    message = f"A and B were measured in different ways: {'; '.join(differ.values())}. What differs may be the method, and no change."
    # Before ablation and after it is what many compare; it changes stages, and no area.
    return (QualityFlag("methods_differ", message, NOTE if list(differ) == [DECLARED] else ""),)


def _ways(a: ResultSurface, b: ResultSurface) -> Iterator[tuple[str, str | None, str | None]]:
    """What makes numbers of one atrium differ: its name, and what it is in A and in B, in words; None where that is not known."""
    for what, words in (
        ("scar", lambda result: f"“{result.method}”"),
        ("planes", lambda result: result.planes_source),
        ("wall", lambda result: result.wall),
        (DECLARED, lambda result: {True: "native", False: "not native", None: None}[result.native]),
    ):
        yield what, words(a), words(b)
    shorter, longer = sorted((a.edge_mm, b.edge_mm))
    if longer > (1 + SAME_EDGE_SHARE) * shorter:
        yield "mean edge of the mesh", f"{a.edge_mm:.2f} mm", f"{b.edge_mm:.2f} mm"


def _of_both(a: ResultSurface, b: ResultSurface) -> tuple[QualityFlag, ...]:
    """What was remarked on each result, notes left out: it is no less true of their comparison."""
    found = []
    for name, result in (("A", a), ("B", b)):
        for flag in result.measurements.get("quality_flags") or ():
            if isinstance(flag, dict) and flag.get("severity") != NOTE:
                code, message, severity = (str(flag.get(key, "")) for key in ("code", "message", "severity"))
                found.append(QualityFlag(code, f"{name}: {message}", severity))
    return tuple(found)

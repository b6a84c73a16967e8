"""Veins and gaps as the panel shows them: found when somebody asks, beside the windows; older as soon as the map is another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..analysis import Analysis
from ..analysis.surface_findings import findings_digest
from ..errors import InputError
from ..measure.headline import WITHHELD
from ..output.findings import FindingRows, GapRow, Point, VeinRow
from ..scene.gaps import has_findings, numbered_gaps
from ..surface.findings import Findings, Range
from ..surface.planes import CutPlane
from .background import Background

if TYPE_CHECKING:
    from .edit_session import EditSession

OLDER = "Older than the map: press Find gaps."
LOOKING = "Looking for gaps around the veins"
NOT_YET = "Press Find gaps for the paths around the veins and for scar by region; it takes some seconds."
NO_PLANES = "It is not known where the veins are. Place their planes (Cut plane), or take up those that were found."


@dataclass(frozen=True)
class GapTableRow:
    """A line of the table of veins: what is encircled, or (`is_gap`) a gap of it; `point_lps` is where to look, mm, None where nothing is."""

    cells: tuple[str, str, str, str]
    is_gap: bool
    point_lps: Point | None


GAP_HEADINGS = ("Around", "Gap", "Relative gap", "Path")
REGION_HEADINGS = ("Region", "Scar", "Range", "Area")


@dataclass(frozen=True)
class GapsState:
    """What the panel shows: `message` for a person, `busy` while gaps are looked for, `older` when what is shown is of another map.

    `changed` is True in the one poll that brought new findings; `error` is what went wrong, until somebody asks again.
    """

    message: str = ""
    busy: bool = False
    older: bool = False
    changed: bool = False
    error: str = ""


class GapFinder:
    """The regions and gaps of one `EditSession`; for the thread of the windows, and nothing here takes long.

    `find` asks for them, `poll` from a timer takes them and puts them into the scene, `close` ends it.
    """

    def __init__(self, session: EditSession) -> None:
        self.session = session
        self._background = Background(pause_s=0.0)
        self._asked: Analysis | None = None
        self._error = ""
        self._digests: tuple[Analysis, str] | None = None
        self.findings: Findings | None = session.analysis.known_findings
        self._found_on = self._digest if self.findings is not None else ""

    def find(self) -> None:
        """Look for the gaps of the analysis that is shown now."""
        self._error = why_not(self.session.analysis)
        if self._error:
            return
        analysis = self._asked = self.session.analysis
        self._background.submit(lambda: analysis.findings)

    def close(self) -> None:
        """Nothing more is shown."""
        self._background.drop()

    @property
    def older(self) -> bool:
        """Whether what was found is of another map than the one that is shown."""
        return self.findings is not None and self._found_on != self._digest

    def poll(self) -> GapsState:
        """Take what was found, and say how far it is."""
        outcome, changed = self._background.poll(), False
        if outcome is not None and outcome.error is not None:
            self._error = str(outcome.error)
        elif outcome is not None:
            changed = True
            self.findings, self._found_on = outcome.result, findings_digest(self._asked)
            self._show()
        busy = self._background.busy
        return GapsState(self._message(busy), busy, self.older, changed, self._error)

    def _show(self) -> None:
        """In the scene, unless the map has become another one meanwhile."""
        if self.older:
            return
        try:
            self.session.show_findings(self.findings)
        except InputError as error:
            self._error = str(error)

    def _message(self, busy: bool) -> str:
        if self._error:
            return self._error
        if busy:
            return LOOKING
        if self.findings is None:
            return why_not(self.session.analysis) or NOT_YET
        return (why_not(self.session.analysis) or OLDER) if self.older else ""

    @property
    def _digest(self) -> str:
        """Of the map that is shown; asked for at every poll, and made once."""
        analysis = self.session.analysis
        if self._digests is None or self._digests[0] is not analysis:
            self._digests = analysis, findings_digest(analysis)
        return self._digests[1]


def why_not(analysis: Analysis) -> str:
    """Why there is nothing to find; "" where there is."""
    if has_findings(analysis):
        return ""
    return f"{WITHHELD}." if analysis.withheld else NO_PLANES


def gap_rows(findings: Findings) -> tuple[GapTableRow, ...]:
    """A row for each vein and pair, and below it one for each of its gaps, with the numbers of the report."""
    rows, depends = [], {gap.number for gap in numbered_gaps(findings) if gap.depends}
    for around, vein in zip(findings.encirclements, FindingRows.from_json(findings.to_json()).encirclements):
        first = vein.gaps[0].point_lps if vein.gaps else None
        rows.append(GapTableRow(_vein_cells(vein, findings.gap_ranges.get(vein.around)), False, first or _first(around.points)))
        rows += [GapTableRow(("", _gap_text(gap, gap.number in depends), "", ""), True, gap.point_lps) for gap in vein.gaps]
    return tuple(rows)


def _first(points: Sequence[Sequence[float]]) -> Point | None:
    return tuple(float(x) for x in points[0]) if len(points) else None


def _vein_cells(vein: VeinRow, ends: Range | None) -> tuple[str, str, str, str]:
    if vein.problem:
        return (vein.around, vein.problem, "", "")
    gap = f"{vein.gap_mm:.1f} mm" + (f" ({ends[0]:.1f} – {ends[1]:.1f})" if ends else "")
    words = f"encircled; {gap} in short pieces" if vein.encircled and vein.gap_mm else "encircled" if vein.encircled else gap
    return (vein.around, words, f"{100 * vein.rgm:.0f} %", f"{vein.path_mm:.0f} mm")


def _gap_text(gap: GapRow, depends: bool) -> str:
    return f"{gap.number}: {gap.text}" + ("; depends on the threshold" if depends else "")


def region_rows(findings: Findings) -> tuple[tuple[str, str, str, str], ...]:
    """A row for each region, as `REGION_HEADINGS` says."""
    return tuple(
        (
            region.region,
            "not measured" if region.scar_pct is None else f"{region.scar_pct:.1f} %",
            " – ".join(f"{end:.1f}" for end in findings.region_ranges.get(region.region, ())),
            f"{region.scar_area_cm2:.1f} of {region.area_cm2:.1f} cm²",
        )
        for region in findings.regions
    )


def remarks(findings: Findings) -> tuple[str, ...]:
    """What to know of the tables: what could not be had, what was not measured, which planes they hang on."""
    unmeasured = [
        f"{around.around}: {around.unmeasured_mm:.0f} mm of the path were not measured and count as gap."
        for around in findings.encirclements
        if not around.problem and around.unmeasured_mm >= 1.0
    ]
    return (*findings.landmarks.problems, *unmeasured)


def proposed_planes(analysis: Analysis) -> tuple[CutPlane, ...]:
    """The planes that were found and cut nothing: unsure ones, but for openings that have a plane already."""
    search, in_use = analysis.sources.search, {plane.name for plane in analysis.planes}
    return () if search is None else tuple(plane for plane in search.planes if plane.name not in in_use)


def planes_words(analysis: Analysis) -> tuple[str, ...]:
    """What to know of the planes: whether the program found them, and why those that cut nothing are unsure."""
    if analysis.sources.planes_source == "found":
        return ("The planes were found by the program.",)
    proposed = proposed_planes(analysis)
    if not proposed:
        return ()
    names = ", ".join(plane.name for plane in proposed)
    first = f"Found, but not in use before you have looked at them: {names}."
    return (first, *(f"{name}: {why}" for name, why in analysis.sources.search.unsure.items()))

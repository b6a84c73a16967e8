"""Veins and gaps as the panel shows them: found when somebody asks, beside the windows; older as soon as the map is another one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from ..analysis import Analysis
from ..analysis.surface_findings import bands_on_surface, bare_surface, find_on_surface, findings_digest
from ..errors import InputError
from ..measure.headline import WITHHELD
from ..output.findings import FindingRows, GapRow, Point, VeinRow
from ..scene.gaps import has_findings, numbered_gaps
from ..surface.band_reach import BandReach
from ..surface.findings import Findings, Range
from ..surface.gaps import Bands, encircled_names
from ..surface.planes import CutPlane
from ..surface.surface import Surface
from ..surface.wall_regions import SMALLEST_WITH_SHARE_CM2, RegionScar
from .background import Background

if TYPE_CHECKING:
    from .edit_session import EditSession

DEPENDS = (
    "“Depends on the threshold”: with one lower by 0.05 of the blood pool’s mean, less than 3 mm in a row of the gap’s own course "
    "stay without scar."
)
OLDER = "Older than the map: press Find gaps."
LOOKING = "Looking for gaps around the veins"
RANGES_FOLLOW = "Found; the ranges follow"
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


@dataclass(frozen=True)
class _Step:
    """One piece of the work, and what becomes of its result."""

    work: Callable[[], Any]
    take: Callable[[Any], None]


class GapFinder:
    """The regions and gaps of one `EditSession`; for the thread of the windows, and nothing here takes long.

    `find` asks for them, `show_band` for the outline of a band, `poll` from a timer takes what comes and puts it into the scene, `close`
    ends it. A result with ranges has a first look without, since each range asks for all paths again; ranges that come later are followed.
    """

    def __init__(self, session: EditSession) -> None:
        self.session = session
        self._background = Background()
        self._steps: list[_Step] = []
        self._asked: Analysis | None = None
        self._error = ""
        self._changed = False
        self._digests: tuple[Analysis, str] | None = None
        self.findings: Findings | None = session.analysis.known_findings
        self._found_on = self._digest if self.findings is not None else ""
        self._band: str | None = None
        self._band_of: tuple[Surface, BandReach] | None = None
        self._bands: Bands | None = None

    def find(self) -> None:
        """Look for the gaps of the analysis that is shown now."""
        self._error = why_not(self.session.analysis)
        if self._error:
            return
        analysis = self._asked = self.session.analysis
        first = [_Step(lambda: find_on_surface(analysis, ranges=False), self._take_first_look)] if analysis.has_ranges else []
        self._begin([*self._band_steps(), *first, _Step(lambda: analysis.findings, self._take)])

    def show_band(self, around: str | None) -> None:
        """Outline the band around `around` on the surface, ("") all together, (None) none; it follows what the result becomes."""
        self._band = around
        if around is None or self._band_steps():
            self._band_of = None
            self.session.show_band(None)
        else:
            self.session.show_band(self._bands, around)

    def close(self) -> None:
        """Nothing more is shown."""
        self._background.drop()
        self._steps = []

    @property
    def older(self) -> bool:
        """Whether what was found is of another map than the one that is shown."""
        return self.findings is not None and self._found_on != self._digest

    @property
    def busy(self) -> bool:
        return self._background.busy or bool(self._steps)

    def poll(self) -> GapsState:
        """Take what was found, and say how far it is."""
        outcome, self._changed = self._background.poll(), False
        if outcome is not None and outcome.error is not None:
            self._error, self._steps = str(outcome.error), []
        elif outcome is not None and self._steps:
            self._steps.pop(0).take(outcome.result)
            self._go_on()
        if not self.busy and not self._error:
            self._begin(self._ranges_step() or self._band_steps())
        return GapsState(self._message(), self.busy, self.older, self._changed, self._error)

    def _begin(self, steps: list[_Step]) -> None:
        self._steps = steps
        self._go_on()

    def _go_on(self) -> None:
        if self._steps:
            self._background.submit(self._steps[0].work)

    def _band_steps(self) -> list[_Step]:
        """What there is to do until the outline is that of the analysis that is shown."""
        analysis = self.session.analysis
        now = bare_surface(analysis), analysis.settings.bands
        if self._band is None or (self._band_of is not None and self._band_of[0] is now[0] and self._band_of[1] == now[1]):
            return []
        return [_Step(lambda: bands_on_surface(analysis) if has_findings(analysis) else None, partial(self._take_bands, now))]

    def _ranges_step(self) -> list[_Step]:
        """What there is to do when the ranges of the map came after its gaps had been found without."""
        asked, now = self._asked, self.session.analysis
        if asked is None or asked is now or asked.has_ranges or not now.has_ranges or not self.older:
            return []
        same = findings_digest(asked, ranges=False) == findings_digest(now, ranges=False)
        self._asked = now if same else None
        return [_Step(lambda: now.findings, self._take)] if same else []

    def _take_bands(self, of: tuple[Surface, BandReach], bands: Bands | None) -> None:
        self._band_of, self._bands = of, bands
        if self._band is not None:
            self._into_scene(self.session.show_band, bands, self._band)

    def _take_first_look(self, findings: Findings) -> None:
        self._changed, self.findings, self._found_on = True, findings, findings_digest(self._asked)
        if not self.older:
            self._into_scene(self.session.show_findings, findings, True)

    def _take(self, findings: Findings) -> None:
        """In the scene, unless the map has become another one meanwhile."""
        self._changed, self.findings, self._found_on = True, findings, findings_digest(self._asked)
        if not self.older:
            self._into_scene(self.session.show_findings, findings)

    def _into_scene(self, show: Callable[..., None], *what: Any) -> None:
        try:
            show(*what)
        except InputError as error:
            self._error = str(error)

    def _message(self) -> str:
        if self._error:
            return self._error
        if self.busy and self._asked is not None and len(self._steps) and self._steps[-1].take == self._take:
            return RANGES_FOLLOW if len(self._steps) == 1 and self._asked.has_ranges else LOOKING
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


def band_names(analysis: Analysis) -> tuple[str, ...]:
    """Of the bands that can be edited: each vein and each pair; none where it is not known where they are."""
    return tuple(encircled_names(bare_surface(analysis))) if has_findings(analysis) else ()


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
        return (vein.title, vein.problem, "", "")
    gap = f"{vein.gap_mm:.1f} mm" + (f" ({ends[0]:.1f} – {ends[1]:.1f})" if ends else "")
    words = f"encircled; {gap} in short pieces" if vein.encircled and vein.gap_mm else "encircled" if vein.encircled else gap
    return (vein.title, words, f"{100 * vein.rgm:.0f} %", f"{vein.path_mm:.0f} mm")


def _gap_text(gap: GapRow, depends: bool) -> str:
    return f"{gap.number}: {gap.text}" + ("; depends on the threshold" if depends else "")


def _share_text(region: RegionScar) -> str:
    if region.scar_pct is None:
        return f"below {SMALLEST_WITH_SHARE_CM2:g} cm²" if region.area_cm2 else "not measured"
    return f"{region.scar_pct:.1f} %"


def region_rows(findings: Findings) -> tuple[tuple[str, str, str, str], ...]:
    """A row for each region, as `REGION_HEADINGS` says."""
    return tuple(
        (
            region.region,
            _share_text(region),
            " – ".join(f"{end:.1f}" for end in findings.region_ranges.get(region.region, ())),
            f"{region.scar_area_cm2:.1f} of {region.area_cm2:.1f} cm²",
        )
        for region in findings.regions
    )


def remarks(findings: Findings) -> tuple[str, ...]:
    """What to know of the tables: what could not be had, what was not measured, what hangs on the threshold."""
    unmeasured = [
        f"{around.around}: {around.unmeasured_mm:.0f} mm of the path were not measured and count as gap."
        for around in findings.encirclements
        if not around.problem and around.unmeasured_mm >= 1.0
    ]
    return (*findings.landmarks.problems, *unmeasured, *([DEPENDS] if findings.unsteady else []))


def proposed_planes(analysis: Analysis) -> tuple[CutPlane, ...]:
    """The planes that were found and cut nothing, unsure or taken away by a person, but for openings that have a plane already."""
    search, in_use = analysis.sources.search, {plane.name for plane in analysis.planes}
    return () if search is None else tuple(plane for plane in search.planes if plane.name not in in_use)


def planes_words(analysis: Analysis) -> tuple[str, ...]:
    """What to know of the planes: whether the program found them, which of those cut nothing, and why what is unsure is so."""
    if analysis.sources.planes_source == "found":
        return ("The planes were found by the program.",)
    proposed = proposed_planes(analysis)
    if not proposed:
        return ()
    names = ", ".join(plane.name for plane in proposed)
    # Where there are others a person has looked; sure ones cut until a person took them away.
    unseen = analysis.sources.search.unsure and not analysis.planes
    first = "Found, but not in use before you have looked at them" if unseen else "Found by the program, and not in use"
    return (f"{first}: {names}.", *(f"{name}: {why}" for name, why in analysis.sources.search.unsure.items()))

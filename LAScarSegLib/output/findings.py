"""Regions and gaps as a person reads them: from the lists `regions` and `gaps` of measurements.json to rows, marks and lengths.

Both lists may be missing or empty, then nothing of them is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..surface.gaps import ALL_AROUND
from ..surface.region_schemes import SCHEMES

if TYPE_CHECKING:
    from ..analysis import Analysis

Point = tuple[float, float, float]


@dataclass(frozen=True)
class RegionRow:
    """A region of the wall as a row of the table: its area, the area of its scar, and the share in %, None where less than 1 cm² was
    measured. `unsure`: where it ends follows from planes that nobody should be sure of.
    """

    region: str
    area_cm2: float | None
    scar_area_cm2: float | None
    scar_pct: float | None
    unsure: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RegionRow:
        numbers = (_number(content.get(key)) for key in ("area_cm2", "scar_area_cm2", "scar_pct"))
        return cls(str(content["region"]), *numbers, content.get("unsure") is True)


@dataclass(frozen=True)
class GapRow:
    """Healthy tissue in a line of scar around a vein.

    `depends_on_threshold`: one nearby leaves less than 3 mm in a row of its own course healthy. `number` counts a result's gaps from 1,
    `region` and `clock` say where it lies ("" where that is not known; all the way round `clock` says so), `point_lps` is its middle and
    `line_lps` its course, both LPS mm; None and empty where they are not known.
    """

    number: int
    length_mm: float
    region: str
    clock: str
    point_lps: Point | None
    line_lps: tuple[Point, ...]
    depends_on_threshold: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any], number: int) -> GapRow:
        point, line, clock = content.get("point_lps"), content.get("line_lps") or (), content.get("clock")
        return cls(
            number,
            float(content["length_mm"]),
            str(content.get("region") or ""),
            ALL_AROUND if content.get("all_around") is True else "" if clock is None else f"{round(clock) % 12 or 12} o’clock",
            None if point is None else _point(point),
            tuple(_point(p) for p in line),
            content.get("depends_on_threshold") is True,
        )

    @property
    def text(self) -> str:
        """"6.2 mm, roof, 2 o’clock"."""
        return ", ".join(filter(None, (f"{self.length_mm:.1f} mm", self.region, self.clock)))


@dataclass(frozen=True)
class VeinRow:
    """The line around a vein or an ipsilateral pair as a row of the table (Nuñez-Garcia et al. 2018): its length, how much of it is gap, and the gaps.

    `rgm` is the relative gap measure, gap length over path length, 0…1; `unmeasured_mm` of the path were not measured and count as gap.
    `problem` says why no line goes around; then the numbers are None. `unsure`: nobody should be sure of the plane of the vein, or of one.
    """

    around: str
    encircled: bool | None
    rgm: float | None
    path_mm: float | None
    gap_mm: float | None
    unmeasured_mm: float | None
    gaps: tuple[GapRow, ...]
    problem: str = ""
    unsure: bool = False

    @classmethod
    def from_json(cls, content: Mapping[str, Any], first_number: int) -> VeinRow:
        gaps = tuple(GapRow.from_json(gap, number) for number, gap in enumerate(content.get("gaps") or (), first_number))
        encircled = content.get("encircled")
        numbers = (_number(content.get(key)) for key in ("rgm", "path_mm", "gap_mm", "unmeasured_mm"))
        around, problem = str(content["around"]), str(content.get("problem") or "")
        return cls(around, None if encircled is None else bool(encircled), *numbers, gaps, problem, content.get("unsure") is True)

    @property
    def title(self) -> str:
        """"LIPV", or "LIPV (not sure)"."""
        return f"{self.around} (not sure)" if self.unsure else self.around


@dataclass(frozen=True)
class FindingRows:
    """What a result says of regions and gaps; empty where it says nothing."""

    regions: tuple[RegionRow, ...] = ()
    encirclements: tuple[VeinRow, ...] = ()
    scheme: str = ""
    """How the wall is divided, for people."""
    unsure: tuple[str, ...] = ()
    """Planes, and veins that were not found, that nobody should be sure of."""
    remarks: tuple[str, ...] = ()
    """Why regions or lines could not be had, and which openings are one."""

    @classmethod
    def from_json(cls, measurements: Mapping[str, Any]) -> FindingRows:
        """From the content of measurements.json (ARCHITECTURE, keys `regions` and `gaps`); gaps are numbered through."""
        encirclements: list[VeinRow] = []
        for content in measurements.get("gaps") or ():
            encirclements.append(VeinRow.from_json(content, 1 + sum(len(before.gaps) for before in encirclements)))
        regions = tuple(RegionRow.from_json(content) for content in measurements.get("regions") or ())
        scheme = SCHEMES.get(measurements.get("regions_scheme") or "")
        unsure, remarks = (tuple(measurements.get(key) or ()) for key in ("unsure_planes", "regions_remarks"))
        return cls(regions, tuple(encirclements), scheme.title if scheme else "", unsure, remarks)

    def with_lines(self, lines: Iterable[Sequence[Point]]) -> FindingRows:
        """The same with the gaps' courses, LPS mm, in the order of their numbers: measurements.json has the middles only."""
        courses = iter(lines)
        named = tuple(
            replace(vein, gaps=tuple(replace(gap, line_lps=tuple(_point(p) for p in next(courses))) for gap in vein.gaps))
            for vein in self.encirclements
        )
        return replace(self, encirclements=named)

    @property
    def gaps(self) -> tuple[GapRow, ...]:
        """All gaps, in the order of their numbers."""
        return tuple(gap for encirclement in self.encirclements for gap in encirclement.gaps)

    @property
    def some_depend(self) -> bool:
        """Whether some gap depends on the threshold."""
        return any(gap.depends_on_threshold for gap in self.gaps)

    @property
    def widest_share_pct(self) -> float:
        """The largest share of scar of a region, %; what the bars of the chart are drawn against."""
        return max((region.scar_pct for region in self.regions if region.scar_pct is not None), default=0.0)


def rows_of(analysis: Analysis) -> FindingRows:
    """What an analysis says of regions and gaps, with the gaps' courses."""
    found = analysis.findings
    lines = [[tuple(point) for point in gap.points] for around in found.encirclements for gap in around.gaps]
    return FindingRows.from_json(found.to_json()).with_lines(lines)


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def _point(values: Sequence[float]) -> Point:
    x, y, z = map(float, values)
    return x, y, z

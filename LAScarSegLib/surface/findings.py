"""What an electrophysiologist asks of a surface whose veins and valve are known: scar by region, the path around each vein, its gaps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from .band_reach import BandReach
from .flat_map import FlatMap, flatten
from .gap_course import tissue_along
from .gaps import LENGTH_DECIMALS, Bands, Encirclement, default_names
from .planes import LEFT_NAMES, RIGHT_NAMES
from .region_schemes import USUAL_SCHEME, check_scheme
from .reuse import TakesSteps, anew
from .surface import CLASS_NOT_MEASURED, REGION_BODY, Surface
from .wall_regions import RegionScar, WallRegions, label_walls, region_table

SAME_GAP_MM = 8.0
"""Gaps whose middles lie no farther apart are one: ablation lines are 4–8 mm wide (SCIENCE section 7)."""
MOST_FLIPPED_PCT = 0.25
"""Published maps have 0.12–0.21 % (SCIENCE section 9)."""
DECIMALS = 3
PAIRS = {"left pair": LEFT_NAMES, "right pair": RIGHT_NAMES}


def has_landmarks(surface: Surface) -> bool:
    """Whether a surface has regions that tell veins and valve from the body."""
    return surface.region is not None and not (surface.region == REGION_BODY).all()


def bands_of(surface: Surface, reach: BandReach, steps: TakesSteps = anew) -> Bands | None:
    """The bands around the veins of a surface with regions; None without landmarks."""
    return Bands.of(surface, reach.by_name, reach.inside_mm, steps) if has_landmarks(surface) else None


@dataclass(frozen=True, eq=False)
class Landmarks:
    """What of a surface with regions (`planes.label_regions`) doesn't depend on its scar: made once, asked for every scar.

    `flat_map`, `walls` and `bands` are None where they can't be had; `problems` then says why, in words. `scheme` divides the wall
    (`region_schemes.SCHEMES`).
    """

    surface: Surface
    flat_map: FlatMap | None
    walls: WallRegions | None
    bands: Bands | None
    problems: tuple[str, ...] = ()
    scheme: str = USUAL_SCHEME

    @classmethod
    def of(
        cls, surface: Surface, scheme: str = USUAL_SCHEME, reach: BandReach | None = BandReach(), steps: TakesSteps = anew
    ) -> Landmarks:
        """Of a surface without planes there are none. `reach` None leaves the bands out, for who has made them already (`with_bands`);
        `steps` may remember what another surface of the same mesh had. Raises `InputError` for an unknown scheme."""
        if not has_landmarks(surface):
            return cls(surface, None, None, None, scheme=check_scheme(scheme))
        flat_map, walls, problems = None, None, []
        try:
            flat_map = flatten(surface)
            problems += flat_map.remarks
        except InputError as error:
            problems.append(str(error))
        if flat_map is not None and flat_map.flipped_pct > MOST_FLIPPED_PCT:
            problems.append(
                f"The flat map folds over itself in {flat_map.flipped_pct:.1f} % of its triangles: there is none, and no regions. Look at the planes."
            )
            flat_map = None
        if flat_map is not None:
            walls = label_walls(surface, scheme, flat_map)
        return cls(surface, flat_map, walls, None if reach is None else bands_of(surface, reach, steps), tuple(problems), scheme)

    def with_bands(self, bands: Bands | None) -> Landmarks:
        """The same with other bands around the veins."""
        return replace(self, bands=bands)

    def in_scheme(self, scheme: str) -> Landmarks:
        """The same with the wall divided otherwise; map and bands, which take most of the time, are kept."""
        if scheme == self.scheme:
            return self
        walls = None if self.flat_map is None else label_walls(self.surface, check_scheme(scheme), self.flat_map)
        return replace(self, walls=walls, scheme=check_scheme(scheme))

    @cached_property
    def vertex_names(self) -> np.ndarray | None:
        """(N,) the name of each vertex's region, beyond the wall that of its vein, for a gap to say where it lies; None without regions.

        Lines around a vein lie in its antrum: the wall below the ring says where on them a gap is.
        """
        if self.walls is None:
            return None
        names = np.array(("", *self.walls.names), dtype=object)[self.walls.under_rings]
        return np.where(self.walls.labels == 0, default_names(self.surface), names)

    def with_scar(self, surface: Surface, steps: TakesSteps = anew) -> Findings:
        """What is found with the scar of `surface`, the same mesh. `steps` may remember paths whose bands and scar are the same."""
        unmeasured = None if surface.scar_class is None else surface.scar_class == CLASS_NOT_MEASURED
        regions = () if self.walls is None else tuple(region_table(surface, self.walls))
        around = () if self.bands is None else self.bands.encirclements(surface.scar, unmeasured, self.vertex_names, steps)
        return Findings(self, regions, around)


@dataclass(frozen=True, eq=False)
class Findings:
    """Scar by region, and the closed path with the least healthy tissue around each vein and each pair, with its gaps.

    region_ranges, gap_ranges
        by region % scar, and by what is encircled mm of gap: the lowest and the highest under perturbation; empty where none was made.
    unsteady
        of each encirclement, by its name, the numbers of the gaps of whose own course another threshold nearby leaves no stretch healthy
        that is long enough for a gap.
    unsure
        by the name of a plane, or of a vein that was not found, why nobody should rely on it; empty where all planes are given or sure.
    """

    landmarks: Landmarks
    regions: tuple[RegionScar, ...] = ()
    encirclements: tuple[Encirclement, ...] = ()
    region_ranges: Mapping[str, Range] = field(default_factory=dict)
    gap_ranges: Mapping[str, Range] = field(default_factory=dict)
    unsteady: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)

    def with_ranges(self, perturbed: Sequence[Findings]) -> Findings:
        """The same, with the extremes over itself and what was found with other scar on the same landmarks."""
        if not perturbed:
            return self
        every = (self, *perturbed)
        shared = [region.region for region in self.regions if region.scar_pct is not None]
        regions = {name: _range(_share(each, name) for each in every) for name in shared}
        gaps = {around.around: _range(_gap_mm(each, around.around) for each in every) for around in self.encirclements}
        return replace(self, region_ranges=_known(regions), gap_ranges=_known(gaps))

    def with_unsteady(self, nearby: Surface) -> Findings:
        """The same, knowing which gaps hang on the threshold; `nearby` is the same mesh with the scar of another one.

        The least path may run elsewhere with it, through tissue that is healthy with both, and has other gaps then: only a gap's own course
        says whether its tissue is another. What was not measured counts as healthy.
        """
        gaps = [(around.around, number, gap.points) for around in self.encirclements for number, gap in enumerate(around.gaps)]
        found: dict[str, tuple[int, ...]] = {}
        for (name, number, _), left in zip(gaps, tissue_along(nearby, [points for *_, points in gaps], nearby.scar)):
            if not left.may_have_gap:
                found[name] = (*found.get(name, ()), number)
        return replace(self, unsteady=found)

    def with_unsure_planes(self, unsure: Mapping[str, str]) -> Findings:
        """The same, knowing of which planes nobody should be sure."""
        return replace(self, unsure=dict(unsure))

    def is_unsure(self, around: str) -> bool:
        """Whether the plane of a vein, or one of a pair's, is not sure."""
        return any(name in self.unsure for name in PAIRS.get(around, (around,)))

    def to_json(self) -> dict[str, Any]:
        """`regions` and `gaps` of measurements.json (ARCHITECTURE, "measurements.json")."""
        # Where one region ends follows from all planes.
        about = {"unsure": bool(self.unsure)}
        regions = [asdict(region) | _ends("scar_pct", self.region_ranges.get(region.region)) | about for region in self.regions]
        return {
            "regions": [{key: _rounded(value) for key, value in region.items()} for region in regions],
            "regions_scheme": self.landmarks.scheme,
            "gaps": [self._around_json(around) for around in self.encirclements],
            "regions_remarks": list(self.landmarks.problems),
            "unsure_planes": dict(self.unsure),
        }

    def _around_json(self, around: Encirclement) -> dict[str, Any]:
        content, unsteady = around.to_json(), self.unsteady.get(around.around, ())
        for number, gap in enumerate(content["gaps"]):
            gap["depends_on_threshold"] = number in unsteady
        ends = _ends("gap_mm", self.gap_ranges.get(around.around))
        return content | {key: round(value, LENGTH_DECIMALS) for key, value in ends.items()} | {"unsure": self.is_unsure(around.around)}


Range = tuple[float, float]


def _share(found: Findings, region: str) -> float | None:
    return next((each.scar_pct for each in found.regions if each.region == region), None)


def _gap_mm(found: Findings, around: str) -> float | None:
    value = next((each.gap_mm for each in found.encirclements if each.around == around), np.nan)
    return float(value) if np.isfinite(value) else None


def _range(values: Iterable[float | None]) -> Range | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def _known(ranges: Mapping[str, Range | None]) -> dict[str, Range]:
    return {name: ends for name, ends in ranges.items() if ends is not None}


def _ends(key: str, ends: Range | None) -> dict[str, float]:
    return {} if ends is None else {f"{key}_low": ends[0], f"{key}_high": ends[1]}


def _rounded(value: Any) -> Any:
    return round(value, DECIMALS) if isinstance(value, float) else value

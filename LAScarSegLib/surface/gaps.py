"""Gaps in the scar around the pulmonary veins: encircling paths with the least healthy tissue (Nuñez-Garcia et al. 2018, SCIENCE 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import InputError
from .band_paths import edge_costs, healthy_share, straightened
from .bands import Band, BandBuilder
from .mesh_graph import FineGraph, MeshGraph
from .planes import LEFT_NAMES, RIGHT_NAMES
from .reuse import ByContent, TakesSteps, anew
from .surface import CLASS_NOT_MEASURED, REGION_BODY, REGION_EXCLUDED, REGION_LABELS, Surface

MIN_GAP_MM = 3.0
"""A shorter stretch of healthy tissue is no gap (Nuñez-Garcia 2018; Linhart et al., Circ Arrhythm Electrophysiol 2018;11:e006659)."""
BAND_MM = 18.0
"""How far from the ostium a path may run: lines 5–10 mm outside the ostia and 4–8 mm wide (SCIENCE section 7)."""
INSIDE_MM = 5.0
"""How far into a vein: lines also lie on the ostium, and its plane is placed to a few millimetres."""
REGION_NAMES = {REGION_BODY: "body", REGION_EXCLUDED: "mitral", **{label: name for name, label in REGION_LABELS.items()}}
LENGTH_DECIMALS = 2
"""Of lengths and places in files, mm: everywhere the same, so that a value lies in its own range."""
ALL_AROUND = "all around"
Names = Callable[[np.ndarray], str] | np.ndarray
"""The region of a point (3,) mm LPS, or the names (N,) of the vertices' regions."""


@dataclass(frozen=True, eq=False)
class Gap:
    """One stretch of healthy tissue of at least `MIN_GAP_MM` on an encircling path.

    clock
        hours 0 … 12 of its middle seen from inside the LA looking into the vein: 12 is superior, 3 to the viewer's right, which is
        anterior at left veins and posterior at right ones. None where no scar ends it: it goes all the way round and has no middle.
    region
        where its middle lies; None, too, all the way round.
    point_lps
        its middle along the path, mm LPS; a point of the path (at 12 o'clock) where it goes all the way round.
    points
        (Q, 3) the path from one scar to the next, mm LPS; closed where it goes all the way round.
    """

    length_mm: float
    clock: float | None
    region: str | None
    point_lps: tuple[float, float, float]
    points: np.ndarray

    @property
    def all_around(self) -> bool:
        """Whether it goes all the way round the vein: nothing on the path is scar."""
        return self.clock is None

    @property
    def place(self) -> str:
        """Where it lies, in a word."""
        return ALL_AROUND if self.region is None else self.region

    def to_json(self) -> dict[str, Any]:
        return {
            "length_mm": round(self.length_mm, LENGTH_DECIMALS), "region": self.region,
            "clock": None if self.clock is None else round(self.clock, 1) % 12, "all_around": self.all_around,
            "point_lps": [round(x, LENGTH_DECIMALS) for x in self.point_lps],
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Encirclement:
    """The closed path with the least healthy tissue around a vein or an ipsilateral pair.

    around
        "LSPV" …, "left pair" or "right pair".
    points, scar
        (P, 3) mm LPS of the closed line (the first is not repeated) and (P,) bool: whether the piece from each to the next is scar.
    path_mm, gap_mm, rgm
        length of the path, of all its healthy tissue (shorter stretches, too), and their ratio, the relative gap measure.
    encircled
        no gap of at least `MIN_GAP_MM`.
    unmeasured_mm
        what of the path was not measured; it counts as healthy.
    problem
        why no path goes around; lengths are then NaN (null in JSON), there is no point, and `encircled` says nothing.
    """

    around: str
    points: np.ndarray
    scar: np.ndarray
    path_mm: float
    gap_mm: float
    encircled: bool
    gaps: tuple[Gap, ...]
    unmeasured_mm: float
    problem: str | None = None

    @property
    def rgm(self) -> float:
        return self.gap_mm / self.path_mm

    def to_json(self) -> dict[str, Any]:
        """As `gaps` of measurements.json has it."""
        if self.problem:
            nothing = dict.fromkeys(("rgm", "path_mm", "gap_mm", "encircled", "unmeasured_mm"))
            return {"around": self.around, **nothing, "gaps": [], "problem": self.problem}
        return {
            "around": self.around, "rgm": round(self.rgm, 4), "path_mm": round(self.path_mm, LENGTH_DECIMALS),
            "gap_mm": round(self.gap_mm, LENGTH_DECIMALS), "encircled": self.encircled, "gaps": [gap.to_json() for gap in self.gaps],
            "unmeasured_mm": round(self.unmeasured_mm, LENGTH_DECIMALS),
        }  # fmt: skip


@dataclass(frozen=True, eq=False)
class Bands:
    """The bands around every vein and every ipsilateral pair of a surface: made once, asked for every scar.

    `mesh` is the surface as a graph; `bands` in the order of the regions' labels, then the pairs.
    """

    surface: Surface
    mesh: MeshGraph
    bands: tuple[Band, ...]

    @classmethod
    def of(
        cls, surface: Surface, band_mm: float | Mapping[str, float] = BAND_MM, inside_mm: float = INSIDE_MM, steps: TakesSteps = anew
    ) -> Bands:
        """From the regions of a surface.

        Parameters
        ----------
        band_mm
            how far from the ostium, along the surface, a path may run; or one for each name ("LSPV", "left pair"), default `BAND_MM`.
        inside_mm
            how far into the vein.
        steps
            may remember bands that another surface of the same mesh had.

        Raises
        ------
        InputError
            a surface without regions, a length that isn't a positive number.
        """
        if surface.region is None:
            raise InputError("The surface has no regions, so that its veins are not known. Give cut planes of the veins.")
        names = encircled_names(surface)
        reach = {name: band_mm.get(name, BAND_MM) if isinstance(band_mm, Mapping) else band_mm for name in names}
        for name, value in (*reach.items(), ("inside_mm", inside_mm)):
            if not (np.isfinite(value) and (value > 0 or name == "inside_mm" and value == 0)):
                raise InputError(f"The band of {name} is {value} mm; it must be a positive number of millimetres.")
        builder = BandBuilder(surface, steps)
        bands = tuple(builder.band(name, veins, reach[name], inside_mm) for name, veins in names.items())
        return cls(surface, builder.mesh, bands)

    def encirclements(
        self,
        scar: np.ndarray | None = None,
        unmeasured: np.ndarray | None = None,
        region_names: Names | None = None,
        steps: TakesSteps = anew,
    ) -> tuple[Encirclement, ...]:
        """The path around each vein and pair.

        Parameters
        ----------
        scar
            (N,) bool, by default the surface's; or float: scar where it is above 0, so that its border lies between the vertices
            where it lies in the values (grey level − threshold), and not half-way. NaN is not measured.
        unmeasured
            (N,) bool, by default from the surface's `scar_class`; counts as healthy.
        region_names
            what a gap's region is called: names (N,) of the vertices or a function of a point (3,); by default "body" or the vein.
        steps
            may remember the paths of bands whose scar is the same.
        """
        level, unmeasured = scar_levels(self.surface, self.surface.scar if scar is None else scar, unmeasured)
        names = region_names if region_names is not None else default_names(self.surface)
        found = (steps(_encirclement, self.mesh, band, BandScar.of(band, level, unmeasured)) for band in self.bands)
        return tuple(_with_regions(each, band, self.surface.points, names) for each, band in zip(found, self.bands))


@dataclass(frozen=True, eq=False)
class BandScar(ByContent):
    """The scar that a band's path depends on: (n,) levels, above 0 in scar, of the band's vertices, and (n,) bool: not measured."""

    level: np.ndarray
    unmeasured: np.ndarray

    @classmethod
    def of(cls, band: Band, level: np.ndarray, unmeasured: np.ndarray) -> BandScar:
        return cls(level[band.vertices], unmeasured[band.vertices])

    def everywhere(self, mesh: MeshGraph, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """(N,) both of all vertices, unknown outside the band."""
        level, unmeasured = np.full(len(mesh.points), np.nan), np.zeros(len(mesh.points), dtype=bool)
        level[band.vertices], unmeasured[band.vertices] = self.level, self.unmeasured
        return level, unmeasured


def _encirclement(mesh: MeshGraph, band: Band, scar: BandScar) -> Encirclement:
    """The path in a band; its gaps are not yet told in which regions they lie."""
    level, unmeasured = scar.everywhere(mesh, band)
    problem, path = band.problem, None
    if problem is None:
        path = band.graph.cheapest_closed_path(edge_costs(mesh, band, level), band.separates)
        problem = None if path is not None else f"No closed path goes around {' and '.join(band.veins)} within its band."
    nothing = np.empty((0, 3)), np.empty(0, dtype=bool)
    if path is None:
        return Encirclement(band.around, *nothing, np.nan, np.nan, False, (), np.nan, problem)
    fine, nodes = straightened(mesh, band, band.vertices[path], level)
    if nodes is None:
        problem = f"The mesh is too coarse around {' and '.join(band.veins)} for a path to be laid across its triangles."
        return Encirclement(band.around, *nothing, np.nan, np.nan, False, (), np.nan, problem)
    return _measured(band, fine, nodes, mesh.points, level, unmeasured)


def _with_regions(found: Encirclement, band: Band, vertices: np.ndarray, names: Names) -> Encirclement:
    """The same, its gaps with the regions in which their middles lie; `vertices` (N, 3) mm LPS."""
    gaps = (gap if gap.all_around else replace(gap, region=_region_at(gap.point_lps, band, vertices, names)) for gap in found.gaps)
    return replace(found, gaps=tuple(gaps))


def _region_at(point: tuple[float, float, float], band: Band, vertices: np.ndarray, names: Names) -> str:
    near = band.vertices[np.square(vertices[band.vertices] - point).sum(axis=1).argmin()]
    return str(names(np.array(point)) if callable(names) else names[near])


def find_encirclements(
    surface: Surface,
    scar: np.ndarray | None = None,
    band_mm: float | Mapping[str, float] = BAND_MM,
    region_names: Names | None = None,
    inside_mm: float = INSIDE_MM,
) -> tuple[Encirclement, ...]:
    """The closed path with the least healthy tissue around every vein and every ipsilateral pair: `Bands.of` and its `encirclements`."""
    return Bands.of(surface, band_mm, inside_mm).encirclements(scar, region_names=region_names)


@dataclass(frozen=True)
class GapsAtThreshold:
    """One point of a curve: gaps of one encirclement at one threshold. NaN where no path goes around."""

    threshold: float
    around: str
    count: int
    gap_mm: float
    rgm: float


def gaps_against_threshold(
    surface: Surface | Bands, values: np.ndarray, thresholds: Sequence[float], band_mm: float | Mapping[str, float] = BAND_MM
) -> tuple[tuple[GapsAtThreshold, ...], ...]:
    """Gaps as the threshold changes: for each of `thresholds` one `GapsAtThreshold` for each vein and pair.

    Scar is where `values` (N,) is above the threshold. `Bands` in the place of the surface are used as they are.
    """
    bands = surface if isinstance(surface, Bands) else Bands.of(surface, band_mm)
    values = np.asarray(values, dtype=float)
    return tuple(
        tuple(GapsAtThreshold(float(t), e.around, len(e.gaps), e.gap_mm, e.rgm) for e in bands.encirclements(values - t))
        for t in thresholds
    )


def encircled_names(surface: Surface) -> dict[str, tuple[str, ...]]:
    """What is encircled on a surface with regions: each vein, and each side that has several together; name to veins."""
    present = [name for name, label in REGION_LABELS.items() if name != "LAA" and (surface.region == label).any()]
    sides = {side: tuple(n for n in present if n in own) for side, own in (("left pair", LEFT_NAMES), ("right pair", RIGHT_NAMES))}
    return {name: (name,) for name in present} | {side: veins for side, veins in sides.items() if len(veins) > 1}


def scar_levels(surface: Surface, scar: np.ndarray | None, unmeasured: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(N,) float, above 0 in scar, and (N,) bool: not measured, where nothing is scar. As `Bands.encirclements` takes both.

    Raises
    ------
    InputError
        scar that is missing, or of another number of vertices.
    """
    vertices = len(surface.points)
    if scar is None or np.shape(scar) != (vertices,):
        raise InputError(f"Gaps need the scar of {vertices} vertices; what was given has the shape {np.shape(scar)}.")
    if unmeasured is None:
        known = surface.scar_class is not None
        unmeasured = surface.scar_class == CLASS_NOT_MEASURED if known else np.zeros(vertices, dtype=bool)
    if scar.dtype == bool:
        return np.where(scar & ~unmeasured, 1.0, -1.0), unmeasured
    unmeasured = unmeasured | ~np.isfinite(scar)
    usual = float(np.median(np.abs(scar[~unmeasured]))) if not unmeasured.all() else 1.0
    return np.where(unmeasured, -max(usual, 1e-9), scar).astype(float), unmeasured


def default_names(surface: Surface) -> np.ndarray:
    """(N,) what each vertex's region is called by the planes alone."""
    return np.array([REGION_NAMES.get(n, "") for n in range(256)])[surface.region]


def _measured(
    band: Band, fine: FineGraph, nodes: np.ndarray, vertices: np.ndarray, level: np.ndarray, unmeasured: np.ndarray
) -> Encirclement:
    """Lengths and gaps of a path (P,) of nodes."""
    points, scar = _split(fine.at(vertices)[nodes], fine.at(level)[nodes])
    pieces = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    at = fine.at(np.where(unmeasured, -1.0, 1.0))[nodes]
    lengths = np.linalg.norm(np.roll(fine.at(vertices)[nodes], -1, axis=0) - fine.at(vertices)[nodes], axis=1)
    unmeasured_mm = float((lengths * healthy_share(at, np.roll(at, -1))).sum())
    gaps = tuple(
        _gap(band, line) for line in _healthy_lines(points, scar, band) if _length(line) >= MIN_GAP_MM
    )  # fmt: skip
    return Encirclement(
        band.around, points, scar, float(pieces.sum()), float(pieces[~scar].sum()), not gaps, gaps, unmeasured_mm
    )  # fmt: skip


def _split(points: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A closed line (P, 3) with one more point wherever its level (P,) passes 0, and which of its pieces are scar."""
    ahead, level_ahead = np.roll(points, -1, axis=0), np.roll(level, -1)
    passes = (level > 0) != (level_ahead > 0)
    share = np.where(passes, level / np.where(passes, level - level_ahead, 1.0), 0.0)[:, None]
    order = np.argsort(np.concatenate([np.arange(len(points)), np.flatnonzero(passes) + 0.5]), kind="stable")
    line = np.concatenate([points, (points + share * (ahead - points))[passes]])[order]
    # A piece from a vertex is what the vertex is, or what the next one is where the vertex lies on the border; one from a passage what follows.
    scar = np.concatenate([(level > 0) & (passes | (level_ahead > 0)), (level_ahead > 0)[passes]])[order]
    return line, scar


def _healthy_lines(points: np.ndarray, scar: np.ndarray, band: Band) -> list[np.ndarray]:
    """Each healthy stretch of a closed line, (Q, 3) from scar to scar; all of it, opened at 6 o'clock, where none is scar."""
    if not scar.any():
        hours = np.array([band.clock(point) for point in points])
        start = int(np.abs(hours - 6.0).argmin())
        line = np.roll(points, -start, axis=0)
        return [np.concatenate([line, line[:1]])]
    start = int(np.flatnonzero(scar)[0])
    points, scar = np.roll(points, -start, axis=0), np.append(np.roll(scar, -start), True)
    closed = np.concatenate([points, points[:1]])
    firsts = np.flatnonzero(scar[:-1] & ~scar[1:]) + 1
    lasts = np.flatnonzero(~scar[:-1] & scar[1:]) + 1
    return [closed[first : last + 1] for first, last in zip(firsts, lasts)]


def _length(line: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def _gap(band: Band, line: np.ndarray) -> Gap:
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    middle = np.array([np.interp(along[-1] / 2, along, line[:, axis]) for axis in range(3)])
    whole = bool((line[0] == line[-1]).all())
    return Gap(float(along[-1]), None if whole else band.clock(middle), None if whole else "", tuple(middle.tolist()), line)

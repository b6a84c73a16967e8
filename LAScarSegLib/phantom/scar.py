"""Where the scar is: bands around the veins with gaps, a roof line, patches of fibrosis; all on the LA surface, in mm."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from ..surface.surface import REGION_BODY, Surface
from .atrium import Atrium, Opening
from .settings import PhantomSettings
from .wall import NodeGrid, isolines

# Ranges: SCIENCE section 7 (post-ablation LGE and electro-anatomical studies collected there).
BAND_DISTANCE_MM = (5.0, 10.0)
"""From the ostium to the band's inner edge."""
BAND_WIDTH_MM = (4.0, 8.0)
GAPS_PER_PAIR = 2.7
GAP_MEDIAN_MM, GAP_LOG_SD, GAP_MIN_MM, GAP_MAX_MM = 6.0, 0.5, 3.0, 22.0
SCAR_PCT_MEAN, SCAR_PCT_SD, SCAR_PCT_RANGE = 13.9, 5.9, (4.0, 30.0)
FIBROSIS_PCT_MEDIAN, FIBROSIS_PCT_LOG_SD = 17.0, 0.45
"""Native scans: the same middle, skewed as fibrosis is."""
PAIR_SHARE = 0.75
"""Share of sides on which one band goes around both veins; on the others every vein has its own."""
ROOF_LINE_SHARE = 0.4
LINE_STEP_MM = 0.25
BETWEEN_GAPS_MM = 6.0
"""Scar left between two gaps, so that they stay two."""
NO_SCAR_MM = -50.0
Outline = tuple[str, np.ndarray, tuple[str, ...]]
"""A lesion's name, its line (n, 3) and the veins that it encircles."""


@dataclass(frozen=True, eq=False)
class DrawnGap:
    """Healthy tissue in a band: from `start_mm` along its line, `length_mm` long; `centre` (3,) LPS mm."""

    start_mm: float
    length_mm: float
    centre: np.ndarray


@dataclass(frozen=True, eq=False)
class Lesion:
    """One ablation line: `points` (n, 3) LPS mm every `LINE_STEP_MM`, `half_width_mm` (n,) there, and its gaps.

    `closed` lines encircle the veins `encircles`; the roof line is open and encircles none.
    """

    name: str
    points: np.ndarray
    half_width_mm: np.ndarray
    encircles: tuple[str, ...] = ()
    gaps: tuple[DrawnGap, ...] = ()

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self.points)

    @property
    def closed(self) -> bool:
        return bool(self.encircles)

    @property
    def length_mm(self) -> float:
        """Length of the whole line, gaps included."""
        return len(self.points) * LINE_STEP_MM

    def signed_mm(self, points: np.ndarray) -> np.ndarray:
        """mm inside the scar of this line (negative: outside it, or inside a gap) of surface points (n, 3)."""
        distance, nearest = self._tree.query(points, distance_upper_bound=20.0)
        found = np.isfinite(distance)
        nearest = np.where(found, nearest, 0)
        inside = np.where(found, self.half_width_mm[nearest] - distance, NO_SCAR_MM)
        return np.minimum(inside, self.outside_gaps_mm()[nearest])

    def outside_gaps_mm(self) -> np.ndarray:
        """(n,) mm along the line from each of its points to the nearest gap; negative within a gap."""
        position = np.arange(len(self.points)) * LINE_STEP_MM
        outside = np.full(len(self.points), -NO_SCAR_MM)
        for gap in self.gaps:
            offset = np.abs(position - gap.start_mm - gap.length_mm / 2)
            if self.closed:
                offset = np.minimum(offset, self.length_mm - offset)
            outside = np.minimum(outside, offset - gap.length_mm / 2)
        return outside


@dataclass(frozen=True, eq=False)
class ScarPattern:
    """The whole scar of one LA. `fibrosis` (k, j, i) on the nodes is positive where the wall is fibrotic."""

    lesions: tuple[Lesion, ...]
    fibrosis: np.ndarray
    nodes: NodeGrid

    def ablation_mm(self, points: np.ndarray) -> np.ndarray:
        """mm inside ablation scar of surface points (n, 3); negative outside."""
        return _inside_lesions_mm(self.lesions, points)

    def fibrosis_mm(self, points: np.ndarray) -> np.ndarray:
        """About mm inside fibrosis of points (n, 3); negative outside."""
        return self.nodes.sample(self.fibrosis, points)

    def signed_mm(self, points: np.ndarray) -> np.ndarray:
        """Positive inside any scar (about mm) of surface points (n, 3)."""
        return np.maximum(self.ablation_mm(points), self.fibrosis_mm(points))


def draw_scar(settings: PhantomSettings, atrium: Atrium, nodes: NodeGrid, mesh: Surface, rng: np.random.Generator) -> ScarPattern:
    """Lesions and fibrosis that together cover the drawn share of the LA wall proper (body without veins and valve)."""
    native = settings.kind == "native"
    drawn = FIBROSIS_PCT_MEDIAN * np.exp(FIBROSIS_PCT_LOG_SD * rng.standard_normal())
    if not native:
        drawn = SCAR_PCT_MEAN + SCAR_PCT_SD * rng.standard_normal()
    share = (settings.scar_pct or float(np.clip(drawn, *SCAR_PCT_RANGE))) / 100
    # Share of the drawn area that is fibrosis rather than ablation scar.
    patches = 1.0 if native else rng.uniform(0.1, 0.3)
    wall = _on_wall(atrium, mesh.points)
    wall_mm2 = float(mesh.vertex_area_mm2[wall].sum())
    lesions = () if native else _draw_lesions(atrium, mesh, share * (1 - patches) * wall_mm2, rng)
    fibrosis = _draw_fibrosis(nodes, mesh, wall, lesions, share, rng)
    # No patch grows on veins. Mirrored rather than sunk, so that linear interpolation ends it on the border and not before it.
    values = fibrosis.flat[nodes.band]
    values = np.where(_on_wall(atrium, nodes.band_points), values, -np.abs(values))
    values = np.minimum(values, _gap_room_mm(lesions, nodes.band_points))
    return ScarPattern(lesions, nodes.from_band(values, NO_SCAR_MM), nodes)


def ostium_distance_mm(vein: Opening, points: np.ndarray) -> np.ndarray:
    """Distance of surface points (n, 3) to the ostium's ring; negative beyond it, on the vein."""
    along, across = vein.along_and_across(points.T)
    distance = np.hypot(along, across - vein.radius_mm)
    return np.where(vein.holds(points.T), -distance, distance)


def _on_wall(atrium: Atrium, points: np.ndarray) -> np.ndarray:
    """(n,) bool: which surface points (n, 3) are LA wall proper: the body, without veins, appendage and mitral disc."""
    return atrium.region(points.T.astype(np.float32)) == REGION_BODY


def _inside_lesions_mm(lesions: Sequence[Lesion], points: np.ndarray) -> np.ndarray:
    """(n,) mm inside any of the lesions of surface points (n, 3); negative outside."""
    return np.max([np.full(len(points), NO_SCAR_MM), *(lesion.signed_mm(points) for lesion in lesions)], axis=0)


def _gap_room_mm(lesions: Sequence[Lesion], points: np.ndarray) -> np.ndarray:
    """(n,) mm of points (n, 3) from the surroundings of the nearest gap; negative where a patch would close it."""
    gaps = [gap for lesion in lesions for gap in lesion.gaps]
    rooms = (np.linalg.norm(points - gap.centre, axis=1) - gap.length_mm / 2 - BAND_WIDTH_MM[1] for gap in gaps)
    return np.min([np.full(len(points), np.inf), *rooms], axis=0)


def _draw_lesions(atrium: Atrium, mesh: Surface, area_mm2: float, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Bands on both sides and perhaps a roof line, about as wide as makes them cover `area_mm2`."""
    lines = []
    for side in ("left", "right"):
        veins = [v for v in atrium.veins if v.name.startswith(side[0].upper())]
        # A middle vein leaves no room for bands of their own: three are always encircled together.
        together = rng.random() < PAIR_SHARE or len(veins) != 2
        lines += _encirclements(side, veins, together, mesh, rng)
    if rng.random() < ROOF_LINE_SHARE:
        lines += _roof_line(lines, mesh)
    width = float(np.clip(area_mm2 / (sum(len(line) for _, line, _ in lines) * LINE_STEP_MM), *BAND_WIDTH_MM))
    bare = [Lesion(name, line, _half_width(len(line), width, bool(names), rng), names) for name, line, names in lines]
    return tuple(_with_gaps(lesion, [other for other in bare if other is not lesion], rng) for lesion in bare)


def _encirclements(side: str, veins: list[Opening], together: bool, mesh: Surface, rng: np.random.Generator) -> list[Outline]:
    """The bands of one side."""
    distances = {vein.name: ostium_distance_mm(vein, mesh.points) for vein in veins}
    to_middle = float(rng.uniform(*BAND_DISTANCE_MM)) + np.mean(BAND_WIDTH_MM) / 2
    bands = []
    for names in [tuple(distances)] if together else [(name,) for name in distances]:
        own = np.min([distances[name] for name in names], axis=0)
        # Between two near ostia there is no room: the band runs along the middle of the carina.
        others = [np.maximum(distance, 0) for name, distance in distances.items() if name not in names]
        loops = isolines(mesh, own - np.min([np.full(len(own), to_middle), *others], axis=0))
        name = names[0] if len(names) == 1 else f"{side} pair"
        bands += [(name, _smooth_loop(loops[0]), names)] if loops else []
    return bands


def _roof_line(bands: list[Outline], mesh: Surface) -> list[Outline]:
    """A line over the roof from the left to the right bands; none when one side has no band."""
    sides = [[line for _, line, names in bands if names[0].startswith(side)] for side in "LR"]
    if not all(sides):
        return []
    # The ends nearest to the midline, high up: z counts as much as closeness.
    chord = np.linspace(*(max(np.concatenate(lines), key=lambda p: p[2] - 1.0 * abs(p[0])) for lines in sides), 60)
    rise = np.sin(np.linspace(0, np.pi, 60))[:, None] * np.array([0.0, 0.0, 12.0])
    line = mesh.points[cKDTree(mesh.points).query(chord + rise)[1]]
    return [("roof", resample(ndimage.gaussian_filter1d(line, 2.0, axis=0, mode="nearest")), ())]


def _smooth_loop(line: np.ndarray) -> np.ndarray:
    """A closed line without the mesh's jags (Gaussian of 1.5 mm along it), end not repeated."""
    return resample(ndimage.gaussian_filter1d(resample(line), 1.5 / LINE_STEP_MM, axis=0, mode="wrap"))


def resample(line: np.ndarray) -> np.ndarray:
    """Points every `LINE_STEP_MM` along a polyline (n, 3)."""
    position = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    wanted = np.arange(0.0, position[-1], LINE_STEP_MM)
    return np.stack([np.interp(wanted, position, line[:, axis]) for axis in range(3)], axis=1)


def _half_width(points: int, width_mm: float, closed: bool, rng: np.random.Generator) -> np.ndarray:
    """A band's half width (n,): it wavers along the line by a fifth, with 5 mm correlation."""
    mode = "wrap" if closed else "nearest"
    wave = ndimage.gaussian_filter1d(rng.standard_normal(points), 5.0 / LINE_STEP_MM, mode=mode)
    wave /= wave.std() + 1e-9
    return np.clip(width_mm * (1 + 0.2 * wave), *BAND_WIDTH_MM) / 2


def _with_gaps(lesion: Lesion, others: list[Lesion], rng: np.random.Generator) -> Lesion:
    """The lesion with gaps where no other lesion would fill them."""
    if not lesion.closed:
        return lesion
    pair = len(lesion.encircles) > 1 or lesion.encircles == ("LCPV",)
    wanted = int(rng.poisson(GAPS_PER_PAIR if pair else GAPS_PER_PAIR / 2))
    covered = _inside_lesions_mm(others, lesion.points) > -3.0
    for _ in range(40 * wanted):
        if len(lesion.gaps) == wanted:
            break
        length = float(np.clip(GAP_MEDIAN_MM * np.exp(GAP_LOG_SD * rng.standard_normal()), GAP_MIN_MM, GAP_MAX_MM))
        start = float(rng.uniform(0, lesion.length_mm))
        stretch = np.arange(start - BETWEEN_GAPS_MM, start + length + BETWEEN_GAPS_MM, LINE_STEP_MM) / LINE_STEP_MM
        taken = stretch.astype(int) % len(lesion.points)
        if not covered[taken].any() and (lesion.outside_gaps_mm()[taken] > 0).all():
            middle = int((start + length / 2) / LINE_STEP_MM) % len(lesion.points)
            lesion = replace(lesion, gaps=(*lesion.gaps, DrawnGap(start, length, lesion.points[middle])))
    return lesion


def _draw_fibrosis(
    nodes: NodeGrid, mesh: Surface, wall: np.ndarray, lesions: tuple[Lesion, ...], share: float, rng: np.random.Generator
) -> np.ndarray:
    """(k, j, i) about mm inside patches; its zero level makes all scar together cover `share` of `wall` (N,), the wall proper."""
    patches = nodes.noise(rng, 4.5) + 0.35 * nodes.noise(rng, 1.8)
    values = nodes.sample(patches, mesh.points)
    scar = _inside_lesions_mm(lesions, mesh.points) > 0
    area = mesh.vertex_area_mm2 * wall
    missing = share * area.sum() - area[scar].sum()
    # No patch closes a gap.
    free = np.flatnonzero(~scar & (area > 0) & (_gap_room_mm(lesions, mesh.points) >= 0))
    if missing <= 0 or not len(free):
        return np.full(nodes.geometry.shape, np.float32(NO_SCAR_MM))
    order = free[np.argsort(-values[free])]
    filled = np.searchsorted(np.cumsum(area[order]), missing)
    # The noise falls by about 1 per correlation length: a scale that makes it roughly mm.
    return (patches - np.float32(values[order[min(filled, len(order) - 1)]])) * 3.0

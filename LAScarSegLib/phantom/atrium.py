"""The left atrium: body, veins, appendage and mitral plane, drawn from a seed, as implicit functions in LPS mm.

The origin is the centre of the LA body. x points to the patient's left, y to the back, z to the head.
"""

from dataclasses import dataclass

import numpy as np

from ..surface.planes import CutPlane
from ..surface.surface import REGION_BODY, REGION_EXCLUDED, REGION_LABELS
from ..volumes.volume import Box, Geometry, Volume
from .settings import LGE_SPACING_MM, VEIN_VARIANTS, PhantomSettings
from .shapes import FAR_MM, Field, Shape, curve, dot, ellipsoid, grid_points, in_front_of, spread, tube, union, unit

# Proportions and ranges are SCIENCE section 7's where it gives them; the rest is read off axial LGE scans.
VOLUME_MEDIAN_ML, VOLUME_LOG_SD, VOLUME_RANGE_ML = 110.0, 0.33, (40.0, 220.0)
VEIN_VARIANT_SHARES = (0.40, 0.35, 0.25)
BODY_PROPORTIONS = (1.25, 0.79, 1.12)
"""Semi-axes (left-right, front-back, head-foot) over their geometric mean: a flattened body."""
BODY_POWER = 2.5
"""Superellipsoid power: the back wall is flatter, the corners fuller than an ellipsoid's."""
BLEND_MM = 7.0
"""Rounding between body and veins: the antrum."""
OSTIUM_DIAMETER_MM = {"superior": (15.0, 17.5), "inferior": (14.0, 16.0), "common": (20.0, 24.0), "middle": (8.0, 10.0)}
OVALNESS = (1.1, 1.35)
STUMP_LENGTH_MM = (11.0, 15.0)
"""From the ostium to the first branch: so much vein belongs to the cavity."""
WALL_MM = (2.1, 2.4)
MITRAL_DIAMETER_MM = (30.0, 38.0)
VEIN_REACH = 1.9
"""A point beyond the ostial plane belongs to the vein within so many ostial radii of its axis."""

OSTIUM_BEYOND_BODY_MM, NECK_BEYOND_BODY_MM = 3.5, 7.0
"""The planes of ostia and of the appendage's neck lie this far outside the body, past the rounded antrum."""
CUT_DISC_RADII, CUT_WIDENING = 1.45, 0.7
"""What a stump's end cuts off: a disc of so many ostial radii (and 3 mm), wider by 0.7 mm for each mm beyond."""
MITRAL_DISC_RADII = 1.25
"""The mitral plane cuts within so many radii of the annulus: the funnel, not the appendage beside it."""

MASK_MARGIN_MM, MASK_LAYER_MM = 6.0, 0.5
"""Of `cavity_mask`: background around the cavity, and the distance of the layers that a slice is made of."""

MITRAL_NORMAL = np.array([0.46, -0.70, -0.55])
VEIN_PLACES = {
    # name: kind, direction of the ostium from the centre (in semi-axes), direction of the axis
    "LSPV": ("superior", (0.80, 0.20, 0.56), (0.78, 0.02, 0.62)),
    "LIPV": ("inferior", (0.82, 0.50, -0.22), (0.86, 0.48, -0.08)),
    "LCPV": ("common", (0.86, 0.38, 0.20), (0.88, 0.36, 0.26)),
    "RSPV": ("superior", (-0.82, 0.05, 0.50), (-0.82, -0.25, 0.50)),
    "RIPV": ("inferior", (-0.82, 0.50, -0.25), (-0.88, 0.44, -0.12)),
    "RMPV": ("middle", (-0.95, 0.16, 0.10), (-0.99, 0.08, 0.06)),
}
VEIN_NAMES = {
    "typical": ("LSPV", "LIPV", "RSPV", "RIPV"),
    "left_common": ("LCPV", "RSPV", "RIPV"),
    "right_middle": ("LSPV", "LIPV", "RSPV", "RMPV", "RIPV"),
}
MIDDLE_VEIN_MAKES_ROOM = {"RSPV": 0.16, "RIPV": -0.20}
"""Beside a middle vein the upper one opens higher and the lower one lower (z, in semi-axes)."""
APPENDAGE_PLACE, APPENDAGE_AXIS = (0.82, -0.70, 0.32), np.array([0.64, -0.70, 0.32])


@dataclass(frozen=True, eq=False)
class Opening:
    """Where something leaves the LA body: an ostium or the mitral annulus.

    `origin` (3,) its centre, `axis` (3,) the unit vector out of the body, `radius_mm` its mean radius, `length_mm` how
    far the cavity reaches beyond it (0: the mitral plane; infinite: the appendage, which ends by itself).
    """

    name: str
    origin: np.ndarray
    axis: np.ndarray
    radius_mm: float
    length_mm: float

    def along_and_across(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance beyond the opening along its axis, and from the axis, in mm, of points (3, …)."""
        offset = points - spread(self.origin, points)
        along = dot(self.axis, offset)
        return along, np.sqrt(np.maximum((offset**2).sum(axis=0) - along**2, 0))

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Which points (3, …) lie beyond the opening and near its axis."""
        along, across = self.along_and_across(points)
        reach = VEIN_REACH * self.radius_mm
        if self.name == "LAA":
            # The appendage bends away from its axis.
            reach = reach + along
        return (along > 0) & (across < reach) & (along < 45.0)


@dataclass(frozen=True, eq=False)
class Atrium:
    """One LA. `open_shape` has veins and mitral funnel that go on; the cavity is the part of it within the cuts.

    `semi_axes` (3,) of the body, `veins` the pulmonary ostia (`length_mm` of stump), `lines` their centre lines (n, 3).
    """

    variant: str
    semi_axes: np.ndarray
    wall_mm: float
    open_shape: Shape
    veins: tuple[Opening, ...]
    appendage: Opening
    mitral: Opening
    lines: tuple[np.ndarray, ...]

    def beyond_cuts(self, points: np.ndarray) -> np.ndarray:
        """mm that points (3, …) lie beyond the mitral plane or the end of a vein stump; negative in front of them."""
        beyond = np.full(points.shape[1:], -np.float32(FAR_MM))
        for opening in (*self.veins, self.mitral):
            along, across = opening.along_and_across(points)
            along = along - np.float32(opening.length_mm)
            # A widening disc, not a plane: it takes all of this vein and leaves the neighbours and the appendage.
            radius = MITRAL_DISC_RADII * opening.radius_mm
            if opening.length_mm:
                radius = CUT_DISC_RADII * opening.radius_mm + 3.0 + CUT_WIDENING * np.maximum(along, 0)
            np.maximum(beyond, np.where(across < radius, along, -np.float32(FAR_MM)), out=beyond)
        return beyond

    def region(self, points: np.ndarray) -> np.ndarray:
        """uint8 region (CemrgApp labels) of points (3, …): body 1, veins 11…, appendage 19, 0 beyond the mitral plane."""
        region = np.full(points.shape[1:], REGION_BODY, np.uint8)
        nearest = np.full(points.shape[1:], np.inf, np.float32)
        for opening in (*self.veins, self.appendage):
            _, across = opening.along_and_across(points)
            inside = opening.holds(points) & (across / opening.radius_mm < nearest)
            region[inside], nearest[inside] = REGION_LABELS[opening.name], (across / opening.radius_mm)[inside]
        along, across = self.mitral.along_and_across(points)
        region[(along > -0.3) & (across < MITRAL_DISC_RADII * self.mitral.radius_mm)] = REGION_EXCLUDED
        return region

    def planes(self) -> tuple[CutPlane, ...]:
        """The mitral plane, the ostial planes of the veins, the neck of the appendage."""
        openings = (self.mitral, *self.veins, self.appendage)
        return tuple(CutPlane(opening.name, tuple(opening.origin.tolist()), tuple(opening.axis.tolist())) for opening in openings)


def draw_atrium(settings: PhantomSettings, rng: np.random.Generator) -> Atrium:
    """An LA with the volume, vein variant and shape that `settings` and `rng` decide."""
    variant = settings.vein_variant or str(rng.choice(VEIN_VARIANTS, p=VEIN_VARIANT_SHARES))
    drawn_volume = float(np.clip(VOLUME_MEDIAN_ML * np.exp(VOLUME_LOG_SD * rng.standard_normal()), *VOLUME_RANGE_ML))
    volume_ml = settings.la_volume_ml or drawn_volume
    seed = int(rng.integers(2**32))
    radius = (3 * volume_ml * 800 / (4 * np.pi)) ** (1 / 3)
    # Veins and appendage keep their size, so the body takes up what is missing; two rounds reach 0.1 %.
    for _ in range(3):
        atrium = _build(variant, radius, volume_ml, np.random.default_rng(seed))
        excess_ml = _cavity_volume_ml(atrium, 1.5) - volume_ml
        radius -= excess_ml * 1000 / (4 * np.pi * radius**2) / 1.1
    return _build(variant, radius, volume_ml, np.random.default_rng(seed))


def _cavity_volume_ml(atrium: Atrium, step_mm: float) -> float:
    """Volume of the cavity by sampling its implicit function every `step_mm`."""
    _, distance = _sampled_cavity(atrium, step_mm)
    return float(np.clip(0.5 - distance / step_mm, 0, 1).sum(dtype=np.float64)) * step_mm**3 / 1000


def cavity_extent(atrium: Atrium) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest corner (3,) in LPS mm of the box around the cavity, to 2 mm."""
    grid, distance = _sampled_cavity(atrium, 2.0)
    box = Box.around(distance < 1.0, 0.0, grid.spacing_kji)
    corners = grid.index_to_lps(np.array([box.start[::-1], [n - 1 for n in box.stop[::-1]]]))
    return corners[0], corners[1]


def cavity_mask(atrium: Atrium, spacing: tuple[float, float, float] = LGE_SPACING_MM) -> Volume:
    """The cavity alone, without a scan, on an axial grid around it: bool, the voxels of which more than half lie in the LA.

    The shares are those of layers about half a millimetre apart through the slice, each smoothed over a voxel of the plane.
    """
    low, high = cavity_extent(atrium)
    low = low - MASK_MARGIN_MM
    size = tuple(int(n) for n in np.ceil((high + MASK_MARGIN_MM - low) / spacing))
    layers = max(1, round(spacing[2] / MASK_LAYER_MM))
    share = np.zeros(size[::-1], np.float32)
    for offset in ((np.arange(layers) + 0.5) / layers - 0.5) * spacing[2]:
        grid = Geometry(size, spacing, (low[0], low[1], low[2] + offset))
        whole = Box((0, 0, 0), grid.shape)
        distance = np.maximum(atrium.open_shape.on_grid(grid, whole, 6.0), atrium.beyond_cuts(grid_points(grid, whole)))
        share += np.clip(0.5 - distance / spacing[0], 0, 1) / layers
    return Volume(share > 0.5, Geometry(size, spacing, tuple(low.tolist())))


def _sampled_cavity(atrium: Atrium, step_mm: float) -> tuple[Geometry, np.ndarray]:
    """A grid around the LA and its cavity's implicit function there (k, j, i), negative inside."""
    shape = atrium.open_shape
    size = tuple(int(n) for n in np.ceil((shape.high - shape.low) / step_mm) + 1)
    grid = Geometry(size, (step_mm,) * 3, tuple(shape.low.tolist()))
    whole = Box((0, 0, 0), grid.shape)
    return grid, np.maximum(shape.on_grid(grid, whole, 6.0), atrium.beyond_cuts(grid_points(grid, whole)))


def _build(variant: str, radius: float, volume_ml: float, rng: np.random.Generator) -> Atrium:
    proportions = np.array(BODY_PROPORTIONS) * np.exp(0.06 * rng.standard_normal(3))
    semi_axes = radius * proportions / np.prod(proportions) ** (1 / 3)
    body = ellipsoid((0, 0, 0), semi_axes, BODY_POWER)
    size = (volume_ml / VOLUME_MEDIAN_ML) ** 0.15
    raised = MIDDLE_VEIN_MAKES_ROOM if variant == "right_middle" else {}
    drawn = [_draw_vein(name, semi_axes, size, raised.get(name, 0.0), rng) for name in VEIN_NAMES[variant]]
    veins, lines, stems = zip(*drawn)
    appendage, lobes = _draw_appendage(semi_axes, size, rng)
    mitral, funnel = _draw_mitral(body.distance, size, rng)
    open_shape = union([body, *stems, *lobes, funnel], BLEND_MM)
    return Atrium(variant, semi_axes, float(rng.uniform(*WALL_MM)), open_shape, veins, appendage, mitral, lines)


def on_body(direction: np.ndarray, semi_axes: np.ndarray) -> np.ndarray:
    """The body's surface point in a direction given in semi-axes."""
    direction = np.asarray(direction, dtype=float)
    return direction / (np.abs(direction) ** BODY_POWER).sum() ** (1 / BODY_POWER) * semi_axes


def _draw_vein(
    name: str, semi_axes: np.ndarray, size: float, raised: float, rng: np.random.Generator
) -> tuple[Opening, np.ndarray, Shape]:
    """The ostium, the centre line (n, 3) and the shape of a vein; `raised` moves its ostium along z, in semi-axes."""
    kind, place, axis = VEIN_PLACES[name]
    up = np.array([0.0, 0.0, raised])
    surface = on_body(place + up + 0.04 * rng.standard_normal(3), semi_axes)
    axis = unit(axis + up + 0.07 * rng.standard_normal(3))
    radius = float(rng.uniform(*OSTIUM_DIAMETER_MM[kind])) / 2 * size
    stump = float(rng.uniform(*STUMP_LENGTH_MM))
    ostium = surface + OSTIUM_BEYOND_BODY_MM * axis
    # Towards the lung the veins spread out and turn to the back.
    outward = axis + np.array([0.25 * np.sign(axis[0]), 0.35, 0.25 * np.sign(axis[2])])
    far = ostium + stump * axis + 30.0 * outward / np.linalg.norm(outward)
    line = np.concatenate([[surface - 0.35 * semi_axes.min() * axis], curve(ostium, ostium + stump * axis, far, points=12)])
    distance = np.linalg.norm(line - ostium, axis=1)
    radii = radius * np.interp(distance, [0.0, stump, stump + 22.0], [1.0, 0.88, 0.55])
    ovalness = float(rng.uniform(*OVALNESS))
    # Ostia are higher than wide: thin across the front-back direction.
    flat = unit(np.cross(axis, np.cross([0.0, 1.0, 0.0], axis)))
    return Opening(name, ostium, axis, radius, stump), line, tube(line, radii * np.sqrt(ovalness), flat, ovalness)


def _draw_appendage(semi_axes: np.ndarray, size: float, rng: np.random.Generator) -> tuple[Opening, list[Shape]]:
    surface = on_body(np.array(APPENDAGE_PLACE) + 0.03 * rng.standard_normal(3), semi_axes)
    axis = unit(APPENDAGE_AXIS + 0.06 * rng.standard_normal(3))
    neck = float(rng.uniform(8.0, 10.0)) * size
    length = float(rng.uniform(24.0, 32.0)) * size
    bend = unit(np.cross(axis, [0.3, 0.2, 1.0])) * rng.choice([-1.0, 1.0])
    tip = surface + length * axis + 10.0 * bend + np.array([0.0, -2.0, -4.0])
    line = curve(surface - 8.0 * axis, surface + 0.55 * length * axis, tip, points=9)
    lobe = surface + 0.6 * length * axis
    lobes = [ellipsoid(lobe + 6.0 * d, 6.5 * size * np.array([1.0, 0.8, 0.9])) for d in rng.standard_normal((2, 3)) / np.sqrt(3)]
    shape = tube(line, np.linspace(neck, 0.45 * neck, len(line)))
    return Opening("LAA", surface + NECK_BEYOND_BODY_MM * axis, axis, neck, np.inf), [shape, *lobes]


def _draw_mitral(body: Field, size: float, rng: np.random.Generator) -> tuple[Opening, Shape]:
    axis = unit(MITRAL_NORMAL + 0.05 * rng.standard_normal(3))
    radius = float(np.clip(rng.uniform(*MITRAL_DIAMETER_MM) * size, *MITRAL_DIAMETER_MM)) / 2
    steps = np.linspace(5.0, 80.0, 751)
    height = steps[np.argmax(body((axis[:, None] * steps).astype(np.float32)) > 0)]
    centre = axis * (height + 1.0)
    # A funnel as wide as the annulus; it ends just beyond the plane, in the ventricle.
    line = np.array([axis * (0.25 * height), centre + 2.0 * axis])
    funnel = tube(line, radius).where(in_front_of(centre + 5.0 * axis, axis))
    return Opening("MV", centre, axis, radius, 0.0), funnel

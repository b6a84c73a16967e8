"""The schemes that divide the LA wall into regions: each is one entry of `SCHEMES`, drawn on the standard disk.

To add a scheme, add one entry: the outlines of its regions on the disk. An outline goes round its region from corner to corner in
straight lines; a corner is the name of an opening (its centre; of the common trunk where that stands for the vein), the middle
`Between` two corners, a place `OnRim` or an `Arc` of the rim.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .standard_disk import RIM_DEGREES, TRUNKS, rim_point, standard_hole

ARC_STEP_DEGREES = 3.0
OUTSIDE = 1.1
"""Outlines run outside the rim by a tenth, so that no vertex of the rim is left between an arc and its chords."""


@dataclass(frozen=True)
class Arc:
    """A stretch of the disk's rim, counter-clockwise from one angle to another, degrees."""

    start_degrees: float
    end_degrees: float

    @property
    def points(self) -> np.ndarray:
        """(P, 2)"""
        sweep = (self.end_degrees - self.start_degrees) % 360.0
        steps = int(np.ceil(sweep / ARC_STEP_DEGREES)) + 1
        around = rim_point(self.start_degrees + np.linspace(0.0, sweep, steps))
        return np.concatenate([around[:1], OUTSIDE * around, around[-1:]])


@dataclass(frozen=True)
class OnRim:
    """The place of the rim at an angle, degrees counter-clockwise from the right."""

    degrees: float


@dataclass(frozen=True)
class Between:
    """The middle of two corners."""

    one: Place
    other: Place


Place = str | OnRim | Between
Corner = Place | Arc


@dataclass(frozen=True)
class Region:
    """A region's name and its outline on the standard disk."""

    name: str
    outline: tuple[Corner, ...]

    def polygon(self, openings: Container[str]) -> np.ndarray:
        """(P, 2) corners of the outline on the disk of an atrium with these openings."""
        return np.concatenate([corner.points if isinstance(corner, Arc) else _place(corner, openings)[None] for corner in self.outline])

    def holds(self, uv: np.ndarray, openings: Container[str]) -> np.ndarray:
        """(K,) bool: which places (K, 2) lie inside (a ray to the right crosses the outline an odd number of times)."""
        inside, polygon = np.zeros(len(uv), dtype=bool), self.polygon(openings)
        for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0)):
            if y0 != y1:
                inside ^= ((y0 > uv[:, 1]) != (y1 > uv[:, 1])) & (uv[:, 0] < x0 + (x1 - x0) * (uv[:, 1] - y0) / (y1 - y0))
        return inside


@dataclass(frozen=True)
class Scheme:
    """How the wall is divided.

    `regions` cover the whole disk without overlap. Before them come the antra: within `antrum_mm` of a vein's ostium along the surface
    the wall belongs to that vein, within `appendage_mm` of the appendage's neck to its base, to the nearest where two meet; 0 for none.
    """

    key: str
    title: str
    source: str
    regions: tuple[Region, ...]
    antrum_mm: float = 0.0
    appendage_mm: float = 0.0


def _place(corner: Place, openings: Container[str]) -> np.ndarray:
    """(2,) where a corner lies."""
    if isinstance(corner, OnRim):
        return rim_point(corner.degrees)
    if isinstance(corner, Between):
        return (_place(corner.one, openings) + _place(corner.other, openings)) / 2
    stands_for_it = (trunk for trunk, veins in TRUNKS.items() if corner in veins and trunk in openings and corner not in openings)
    return np.array(standard_hole(next(stands_for_it, corner))[0])


ANTRUM_MM = 16.0
"""Ours: ablation lines begin 5–10 mm outside the ostia and are 4–8 mm wide (SCIENCE section 7): nine of ten lie whole within 16 mm. A border
at 10 mm would run along the middle of many, and a millimetre of an ostium's place would move half a line out of the antrum."""
APPENDAGE_MM = 10.0
"""Ours: the ridge between the appendage and the left veins, where their lines run, is nearer to the one or to the others."""

_RIGHT, _ANTERIOR_LEFT, _LOWER_LEFT, _LOWER_RIGHT = (RIM_DEGREES[name] for name in ("RSPV", "LAA", "LIPV", "RIPV"))
_SEPTAL = ("RIPV", Arc(_LOWER_RIGHT, _RIGHT), "RSPV")
_LATERAL = ("LSPV", "LAA", Arc(_ANTERIOR_LEFT, _LOWER_LEFT), "LIPV")

_WALLS = Scheme(
    "walls",
    "Five walls, vein antra and appendage base",
    "The five parts into which LA_flattening divides the atrium (Nuñez-Garcia et al. 2020) by lines from opening to opening and to the "
    "mitral annulus; antra are ours.",
    (
        Region("posterior", ("LSPV", "LIPV", "RIPV", "RSPV")),
        Region("anterior", ("RSPV", Arc(_RIGHT, _ANTERIOR_LEFT), "LAA", "LSPV")),
        Region("septal", _SEPTAL),
        Region("lateral", _LATERAL),
        Region("inferior", ("LIPV", Arc(_LOWER_LEFT, _LOWER_RIGHT), "RIPV")),
    ),
    ANTRUM_MM,
    APPENDAGE_MM,
)

_ROOF, _FLOOR = Between("LSPV", "RSPV"), Between("LIPV", "RIPV")
_LEFT_CARINA, _RIGHT_CARINA = Between("LSPV", "LIPV"), Between("RSPV", "RIPV")
_BACK = Between(_LEFT_CARINA, _RIGHT_CARINA)
_BELOW = (_LOWER_LEFT + _LOWER_RIGHT) / 2
_ABOVE = (_RIGHT + _ANTERIOR_LEFT) / 2
_MIDWAY_RIGHT = Between("RSPV", OnRim(_RIGHT))
_FRONT = Between(_ROOF, OnRim(_ABOVE))

_BENITO_2018 = Scheme(
    "benito2018",
    "Twelve segments (Benito et al. 2018)",
    "Benito et al., Europace 20(12):1959–1965, 2018: segments 1–4 posterior wall, 5–6 floor, 7 septal, 8–11 anterior wall, 12 lateral; 3 "
    "and 5 are the ones nearest to the LIPV. The article's own borders were not at hand: the posterior wall is divided at its middle both "
    "ways, the floor and the anterior wall likewise, and segments are counted from the roof downwards and from left to right.",
    (
        Region("1 posterior upper left", ("LSPV", _LEFT_CARINA, _BACK, _ROOF)),
        Region("2 posterior upper right", (_ROOF, _BACK, _RIGHT_CARINA, "RSPV")),
        Region("3 posterior lower left", (_LEFT_CARINA, "LIPV", _FLOOR, _BACK)),
        Region("4 posterior lower right", (_BACK, _FLOOR, "RIPV", _RIGHT_CARINA)),
        Region("5 floor left", ("LIPV", Arc(_LOWER_LEFT, _BELOW), _FLOOR)),
        Region("6 floor right", (_FLOOR, Arc(_BELOW, _LOWER_RIGHT), "RIPV")),
        Region("7 septal", _SEPTAL),
        Region("8 anterior, roof left", ("LSPV", _ROOF, _FRONT, "LAA")),
        Region("9 anterior, roof right", (_ROOF, "RSPV", _MIDWAY_RIGHT, _FRONT)),
        Region("10 anterior, mitral left", ("LAA", _FRONT, Arc(_ABOVE, _ANTERIOR_LEFT))),
        Region("11 anterior, mitral right", (_FRONT, _MIDWAY_RIGHT, Arc(_RIGHT, _ABOVE))),
        Region("12 lateral", _LATERAL),
    ),
)

SCHEMES: dict[str, Scheme] = {scheme.key: scheme for scheme in (_WALLS, _BENITO_2018)}
"""Every scheme by its key; the first is the default."""
USUAL_SCHEME = next(iter(SCHEMES))


def check_scheme(key: str) -> str:
    """The key, if there is such a scheme; `InputError` else."""
    if key not in SCHEMES:
        raise InputError(f"There is no scheme of regions '{key}'. Choose one of {', '.join(SCHEMES)}.")
    return key

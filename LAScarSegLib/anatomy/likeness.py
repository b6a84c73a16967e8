"""How far a shape is from those of left atria, and what a mask alone says against itself."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from ..support.flags import QualityFlag
from ..volumes.volume import Geometry
from .left_atria import MEAN, WHITENING
from .masks import Mask
from .shape import DIRECTIONS, CavityShape, shape_of

USUAL_UNLIKENESS = 1.25
"""95 % of the challenge's 80 cavities lie below, each measured with the scans of its patient left out (Docs/cavity_model.md)."""
MOST_UNLIKENESS = 2.0
"""Beyond it a given or drawn cavity is remarked on: one of the challenge's 80 (2.4) is, the others reach 1.4, 14 of another centre 1.5, and 20
phantoms, which know other sizes and veins, 2.0."""
LPS_NAMES = (("right", "left"), ("anterior", "posterior"), ("inferior", "superior"))
CLEARLY_MORE_LIKE = 0.4
"""By so much less unlike, turned otherwise, that the header is named as the likely cause: sound cavities are never less unlike in another
direction, but for one of 94; upside down all of these 94 are, mirrored left to right 93, front to back half."""


@dataclass(frozen=True)
class Turned:
    """The shape as it would be with its axes otherwise: `unlikeness`, and `words` for how."""

    unlikeness: float
    words: str


def unlikeness(shape: CavityShape) -> float:
    """Mahalanobis distance from the training's cavities over the root of the numbers it is made of: 1 is usual."""
    return _unlikeness(shape.vector)


def more_like_turned(shape: CavityShape) -> Turned:
    """How the shape would be most like a left atrium, of the 47 other ways to name and direct its axes."""
    ways = (Turned(_unlikeness(_turned(shape.vector, order, signs)), _words(order, signs)) for order, signs in _TURNS)
    return min(ways, key=lambda way: way.unlikeness)


def check_shape(cavity: Mask, geometry: Geometry) -> tuple[QualityFlag, ...]:
    """Flag a given or drawn cavity that is not shaped like a left atrium, or would be turned or mirrored; it has one voxel at least."""
    shape = shape_of(cavity, geometry)
    distance, other = unlikeness(shape), more_like_turned(shape)
    if distance <= MOST_UNLIKENESS and other.unlikeness >= distance - CLEARLY_MORE_LIKE:
        return ()
    return (QualityFlag("cavity_shape_unusual", f"{shape_sentence(shape, distance, USUAL_UNLIKENESS)}."),)


def shape_sentence(shape: CavityShape, distance: float, usual: float) -> str:
    """Words for a shape that is unlike a left atrium's, without the full stop."""
    sentence = f"The shape is not that of a left atrium (distance from usual ones {distance:.1f}; usually below {usual:.1f}"
    other = more_like_turned(shape)
    if other.unlikeness < min(distance - CLEARLY_MORE_LIKE, MOST_UNLIKENESS):
        return f"{sentence}; it would be one {other.words}: check orientation and voxel spacing in the header)"
    return f"{sentence}: look at the mask, and check the voxel spacing in the header)"


def _unlikeness(vector: np.ndarray) -> float:
    return float(np.linalg.norm(np.array(WHITENING) @ (vector - MEAN)) / np.sqrt(len(vector)))


_TURNS = list(itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)))[1:]
"""Every order of the axes and every sense of each, but the one that changes nothing."""


def _turned(vector: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]) -> np.ndarray:
    """The vector of the shape whose axis a is the axis `order[a]` of this one, backwards where `signs[a]` is −1."""
    turned = vector.copy()
    for n, direction in enumerate(DIRECTIONS):
        source = [0, 0, 0]
        for axis, (old, sign) in enumerate(zip(order, signs)):
            source[old] = sign * direction[axis]
        turned[1 + n] = vector[1 + DIRECTIONS.index(tuple(source))]
    turned[-3:] = [sign * vector[-3:][old] for old, sign in zip(order, signs)]
    return turned


def _words(order: tuple[int, ...], signs: tuple[int, ...]) -> str:
    if order != (0, 1, 2):
        return "with its axes in another order"
    flipped = [f"{names[0]}–{names[1]}" for names, sign in zip(LPS_NAMES, signs) if sign < 0]
    return "turned upside down" if flipped == ["inferior–superior"] else f"mirrored {' and '.join(flipped)}"

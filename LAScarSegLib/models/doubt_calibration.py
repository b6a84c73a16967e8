"""How a model's doubt was calibrated: what is measured about a cavity that it found, and what that says of its Dice.

The score is a sum of what speaks against the cavity. Each measure counts from its `usual` value on, wholly from `worst` on, and with its
weight; no measure can speak in favour. The Dice to expect falls with the score, along straight lines between knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from math import isnan
from typing import Any

from ..errors import InputError
from ..support.checks import require_number
from ..support.doubt import DO_NOT_USE, GOOD, LOOK, MOST_REASONS, Doubt

MEASURES: dict[str, str] = {
    "scaled_overlap": "The model's answer changes when the scan is seen a little smaller (overlap {value:.2f}; usually above {usual:.2f}).",
    "moved_overlap": "The model's answer changes when the scan is shifted and turned (overlap {value:.2f}; usually above {usual:.2f}).",
    "unsure_mm": "The model is unsure where the edge lies (a shell of {value:.1f} mm; usually below {usual:.1f}).",
    "scaled_unsure_mm": "Asked again, the model is unsure where the edge lies (a shell of {value:.1f} mm; usually below {usual:.1f}).",
    "sureness": "The model is not sure of the atrium itself (probability {value:.2f} inside; usually above {usual:.2f}).",
    "unlikeness": "The shape is not that of a left atrium (distance from usual ones {value:.1f}; usually below {usual:.1f}).",
    "better_turned": "Turned or mirrored it would be more like a left atrium (by {value:.1f}; usually below {usual:.1f}): check the header.",
    "edge_agreement": "The edge of the cavity does not follow the picture (agreement {value:.2f}; usually above {usual:.2f}).",
    "uneven_blood": "Grey levels inside are uneven (SD {value:.2f}; usually below {usual:.2f}).",
    "at_border": "The atrium reaches the edge of the scan ({value_pct:.0f} % of its surface; usually below {usual_pct:.0f} %).",
}
"""What can be measured, and what a person is told when it speaks against the cavity, with its value and what is usual."""
LEAST_REASON = 0.3
"""Of what the weightiest measure adds to the score: what adds less is no reason."""
UNCHECKED = "The model could not be asked again (memory or device failed), so its answer is not checked."


@dataclass(frozen=True)
class Measure:
    """One measure's part of the score: 0 at `usual` and on its good side, `weight` at `worst` and beyond, a straight line between."""

    name: str
    usual: float
    worst: float
    weight: float

    def __post_init__(self) -> None:
        if self.name not in MEASURES:
            raise InputError(f"model.json: doubt measures {self.name!r}; known are {', '.join(sorted(MEASURES))}.")
        for key in ("usual", "worst"):
            require_number(f"model.json: doubt.{self.name}.{key}", getattr(self, key), -1e6, 1e6)
        require_number(f"model.json: doubt.{self.name}.weight", self.weight, 0.0, 1e3)
        if self.usual == self.worst:
            raise InputError(f"model.json: doubt.{self.name} has the same usual and worst value, {self.usual:g}; they must differ.")

    def against(self, value: float) -> float:
        """What a value adds to the score."""
        return self.weight * min(max((value - self.usual) / (self.worst - self.usual), 0.0), 1.0)

    def reason(self, value: float) -> str:
        """What a person is told."""
        return MEASURES[self.name].format(value=value, usual=self.usual, value_pct=100.0 * value, usual_pct=100.0 * self.usual)


@dataclass(frozen=True)
class DoubtCalibration:
    """The optional entry `doubt` of a card.

    measures
        each once.
    scores, dice
        knots, scores rising, Dice falling.
    do_not_use_below, look_below
        expected Dice below which the word is *do not use*, and *look at it*.
    made
        how it came about: scans, counts, date, what it reached.

    Raises
    ------
    InputError
        from the constructor and from `from_json`, naming the key and what it must be.
    """

    measures: tuple[Measure, ...]
    scores: tuple[float, ...]
    dice: tuple[float, ...]
    do_not_use_below: float
    look_below: float
    made: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [measure.name for measure in self.measures]
        if not names or len(set(names)) < len(names):
            raise InputError(f"model.json: doubt.measures are {', '.join(names) or 'missing'}; there must be one or more, each once.")
        if len(self.scores) != len(self.dice) or len(self.scores) < 2:
            raise InputError(
                f"model.json: doubt has {len(self.scores)} scores and {len(self.dice)} Dice values; it needs as many of each, at least two."
            )
        for key, low, high in (("scores", 0.0, 1e6), ("dice", 0.0, 1.0)):
            for value in getattr(self, key):
                require_number(f"model.json: doubt.{key}", value, low, high)
        if any(a >= b for a, b in pairwise(self.scores)) or any(a < b for a, b in pairwise(self.dice)):
            raise InputError(f"model.json: doubt.scores {self.scores} must rise and doubt.dice {self.dice} must not.")
        require_number("model.json: doubt.look_below", self.look_below, 0.0, 1.0)
        require_number("model.json: doubt.do_not_use_below", self.do_not_use_below, 0.0, self.look_below)
        if not isinstance(self.made, dict):
            raise InputError(f"model.json: doubt.made is {self.made!r}; it must be an object.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(measure.name for measure in self.measures)

    def score(self, values: Mapping[str, float]) -> float:
        """What speaks against a cavity, 0 and more; what could not be measured says nothing."""
        return sum(measure.against(values[measure.name]) for measure in self._known(values))

    def expected_dice(self, score: float) -> float:
        """The Dice that results of this score had."""
        if score <= self.scores[0]:
            return self.dice[0]
        for (a, b), (upper, lower) in zip(pairwise(self.scores), pairwise(self.dice)):
            if score <= b:
                return upper + (lower - upper) * (score - a) / (b - a)
        return self.dice[-1]

    def doubt(self, values: Mapping[str, float]) -> Doubt:
        """The word, the Dice to expect and the reasons, from what was measured: {name: value}.

        With a measure that failed (missing or no number) a cavity is never called good.
        """
        known = self._known(values)
        score = self.score(values)
        expected = self.expected_dice(score)
        word = DO_NOT_USE if expected < self.do_not_use_below else LOOK if expected < self.look_below else GOOD
        reasons: list[str] = []
        if len(known) < len(self.measures):
            word = LOOK if word == GOOD else word
            reasons = [UNCHECKED]
        if word != GOOD:
            parts = sorted(((m.against(values[m.name]), m) for m in known), key=lambda part: -part[0])
            reasons = [m.reason(values[m.name]) for part, m in parts if part > LEAST_REASON * parts[0][0]] + reasons
        return Doubt(word, round(expected, 3), tuple(dict.fromkeys(reasons))[:MOST_REASONS])

    def _known(self, values: Mapping[str, float]) -> list[Measure]:
        return [m for m in self.measures if m.name in values and not isnan(values[m.name])]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DoubtCalibration:
        values = _fields(cls, data, "doubt", optional=("made",))
        for key in ("measures", "scores", "dice"):
            if not isinstance(values[key], Sequence) or isinstance(values[key], str):
                raise InputError(f"model.json: doubt.{key} is {values[key]!r}; it must be a list.")
        measures = tuple(Measure(**_fields(Measure, entry, "doubt.measures")) for entry in values["measures"])
        return cls(**values | {"measures": measures, "scores": tuple(values["scores"]), "dice": tuple(values["dice"])})


def _fields(cls: type, data: object, where: str, optional: Sequence[str] = ()) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise InputError(f"model.json: {where} is {data!r}; it must be an object.")
    known = {f.name for f in fields(cls)}
    unknown, missing = sorted(set(data) - known), sorted(known - set(data) - set(optional))
    if unknown or missing:
        words = [f"{word} {', '.join(names)}" for word, names in (("unknown key", unknown), ("missing key", missing)) if names]
        raise InputError(f"model.json can't be used ({where}): {'; '.join(words)}.")
    return dict(data)

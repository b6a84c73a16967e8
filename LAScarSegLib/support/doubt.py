"""How far a cavity that was found can be trusted: one word, the Dice to expect, and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..errors import InputError
from .checks import require_choice

GOOD, LOOK, DO_NOT_USE = "good", "look at it", "do not use"
WORDS = (GOOD, LOOK, DO_NOT_USE)
"""The best first."""
MOST_REASONS = 3
"""More are not read."""


@dataclass(frozen=True)
class Doubt:
    """What can be said about a cavity without knowing the true one.

    Raises
    ------
    InputError
        from the constructor and from `from_json`, for what can't be.
    """

    word: str
    """One of `WORDS`."""
    expected_dice: float
    """Overlap with a careful reader's cavity that results like this one had, 0…1."""
    reasons: tuple[str, ...] = ()
    """What speaks against it, in whole sentences, the weightiest first; at most three."""

    def __post_init__(self) -> None:
        require_choice("word", self.word, WORDS)
        number = isinstance(self.expected_dice, (int, float)) and not isinstance(self.expected_dice, bool)
        if not number or not 0.0 <= self.expected_dice <= 1.0:
            raise InputError(f"expected_dice is {self.expected_dice!r}; it must be a number from 0 to 1.")
        sentences = isinstance(self.reasons, tuple) and all(isinstance(reason, str) and reason for reason in self.reasons)
        if not sentences or len(self.reasons) > MOST_REASONS:
            raise InputError(f"reasons is {self.reasons!r}; it must hold at most {MOST_REASONS} sentences.")

    @property
    def usable(self) -> bool:
        """Whether numbers may be taken from this cavity before a person has confirmed or corrected it."""
        return self.word != DO_NOT_USE

    @property
    def severity(self) -> str:
        """For what sorts remarks by weight and gives them colours."""
        return self.word.replace(" ", "_")

    @property
    def heading(self) -> str:
        """"Do not use", "Look at it", "Good"."""
        return self.word.capitalize()

    @property
    def title(self) -> str:
        return "The cavity that the model found"

    @property
    def message(self) -> str:
        """What to expect of the cavity, and what speaks against it."""
        expected = f"The cavity's expected overlap with a careful drawing (Dice) is {self.expected_dice:.2f}."
        return " ".join((expected, *self.reasons))

    @property
    def line(self) -> str:
        """One line for people: "Do not use: The cavity's expected overlap …"."""
        return f"{self.heading}: {self.message}"

    def looked_at(self, reason: str) -> Doubt:
        """No longer *good*, for a reason that stands first."""
        return Doubt(LOOK if self.word == GOOD else self.word, self.expected_dice, (reason, *self.reasons)[:MOST_REASONS])

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"reasons": list(self.reasons)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Doubt:
        """From `to_json`'s dictionary."""
        wanted = {"word", "expected_dice", "reasons"}
        if not isinstance(data, Mapping) or set(data) != wanted or not isinstance(data["reasons"], (list, tuple)):
            raise InputError(f"doubt is {data!r}; it must be an object of word, expected_dice and reasons.")
        return cls(data["word"], data["expected_dice"], tuple(data["reasons"]))

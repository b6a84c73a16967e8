"""A model's card in words, for the command line and for Slicer's panel."""

from collections.abc import Mapping
from typing import Any

from .bundle import Bundle

LONGEST_LIST = 8
"""Of longer ones (the hashes of the scans a model was trained on) only the length is told; model.json has them."""


def card_lines(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """What a model says about itself, as pairs of title and text."""
    card = bundle.card
    scope = "a coarse one finds the region first" if card.coarse else "sees the whole scan, or a region of interest"
    spacing = " × ".join(f"{s:g}" for s in card.fine.spacing_mm)
    folds = len(card.fine.weights)
    return (
        ("Model", card.reference),
        ("Finds", f"{card.stage} ({card.system}, variant {card.variant}), where the probability is above {card.threshold:g}"),
        ("Intended use", card.intended_use),
        ("Trained on", _words(card.training) or "not stated"),
        ("Scores", _words(card.scores) or "none stated"),
        ("Simulated", "yes: says nothing about patients" if card.simulated else "no"),
        ("Networks", f"{'one' if folds == 1 else f'an ensemble of {folds}'} at {spacing} mm; {scope}"),
        ("Licence", card.licence),
        ("Terms", card.terms.strip() if card.terms else "none"),
        ("SHA-256", card.sha256),
        ("Folder", str(bundle.path)),
    )


def _words(entries: Mapping[str, Any]) -> str:
    """`training` or `scores` of a card: `key value` for each entry, those with entries of their own in parentheses."""
    return "; ".join(f"{key} {_value(value)}" for key, value in entries.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_words(value)})"
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > LONGEST_LIST else ", ".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)

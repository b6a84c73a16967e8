"""A model's card in words, for the command line and for Slicer's panel."""

from __future__ import annotations

import json

from .bundle import Bundle


def card_lines(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """What a model says about itself, as pairs of title and text."""
    card = bundle.card
    scope = "a coarse one finds the region first" if card.coarse else "sees the whole scan, or a region of interest"
    spacing = " × ".join(f"{s:g}" for s in card.fine.spacing_mm)
    return (
        ("Model", card.reference),
        ("Finds", f"{card.stage} ({card.system}, variant {card.variant}), where the probability is above {card.threshold:g}"),
        ("Intended use", card.intended_use),
        ("Trained on", json.dumps(card.training, ensure_ascii=False) if card.training else "not stated"),
        ("Scores", json.dumps(card.scores, ensure_ascii=False) if card.scores else "none stated"),
        ("Simulated", "yes: says nothing about patients" if card.simulated else "no"),
        ("Networks", f"{len(card.fine.weights)} fold(s) at {spacing} mm; {scope}"),
        ("Licence", card.licence),
        ("Terms", card.terms.strip() if card.terms else "none"),
        ("SHA-256", card.sha256),
        ("Folder", str(bundle.path)),
    )

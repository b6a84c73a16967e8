"""Results from before sources were described, which told where a mask came from by names, titles and lists: read here, nowhere else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..anatomy.masks import Mask
from ..flags import simulated_model
from ..intensity.rules import RULES
from ..settings import Settings
from ..surface.planes import CutPlane
from .sources import CAVITY, SCAR, WALL, ByRule, Drawn, Found, Given, Network, Offset, Probability, Source, Sources
from .words import BY_HAND, MASK

USUAL_THRESHOLD = 0.5


def legacy_sources(
    provenance: Mapping[str, Any],
    method: Mapping[str, Any],
    masks: Mapping[str, Mask | None],
    probabilities: Mapping[str, Probability],
) -> tuple[Settings, Sources]:
    """Settings and sources of a result that has no description of its own.

    Parameters
    ----------
    provenance, method
        as written: provenance.json, and `method` in measurements.json.
    masks
        what the files or segments hold. What a person drew over is lost.

    Raises
    ------
    KeyError, TypeError, ValueError
        the result is damaged.
    """
    settings = Settings.from_json(provenance["settings"])
    edited = set(provenance.get("edited", ()))
    if method["name"] == MASK and method["title"].endswith(BY_HAND):
        edited.add(SCAR)
    digests = provenance["masks"]
    measured = {name: mask if mask is not None and mask.digest == digests[name] else None for name, mask in masks.items()}
    bases = {
        CAVITY: _base(CAVITY, provenance, method, measured, probabilities),
        WALL: _wall(provenance, method, measured),
        SCAR: _scar(settings, SCAR in edited, provenance, method, measured, probabilities),
    }
    sources = {name: _drawn(base, masks[name]) if name in edited else base for name, base in bases.items()}
    planes = tuple(map(CutPlane.from_json, provenance["planes"]))
    files = {name: file for name, file in provenance["inputs"].items() if name not in sources}
    return settings, Sources(**sources, planes=planes, files=files)


def _scar(
    settings: Settings,
    edited: bool,
    provenance: Mapping[str, Any],
    method: Mapping[str, Any],
    masks: Mapping[str, Mask | None],
    probabilities: Mapping[str, Probability],
) -> Found:
    if _is_rules(provenance, method, edited):
        return ByRule(settings.rule, settings.threshold)
    return _base(SCAR, provenance, method, masks, probabilities)


def _is_rules(provenance: Mapping[str, Any], method: Mapping[str, Any], edited: bool) -> bool:
    """Whether a rule found the scar, which a person may have edited since."""
    if method["name"] in RULES:
        return True
    known = SCAR in provenance.get("models", {}) or SCAR in provenance["inputs"]
    return method["name"] == MASK and edited and not known


def _base(
    name: str,
    provenance: Mapping[str, Any],
    method: Mapping[str, Any],
    masks: Mapping[str, Mask | None],
    probabilities: Mapping[str, Probability],
) -> Found:
    model = provenance.get("models", {}).get(name)
    if model is None:
        return Given(masks[name], (), provenance["inputs"].get(name))
    found = re.search(r"probability > ([0-9.]+)", method["title"]) if name == SCAR else None
    threshold, probability = float(found[1]) if found else USUAL_THRESHOLD, probabilities.get(name)
    # The scar on disk is limited to the wall; the probability is not.
    mask = probability.above(threshold) if name == SCAR and probability is not None else masks[name]
    seen = "" if name == CAVITY or CAVITY in provenance.get("edited", ()) else provenance["masks"][CAVITY]
    flags = (simulated_model(model["name"]),) if model.get("simulated") else ()
    return Network(model, threshold, mask, probability, seen, flags)


def _wall(provenance: Mapping[str, Any], method: Mapping[str, Any], masks: Mapping[str, Mask | None]) -> Found:
    given = WALL in provenance["inputs"] or (method["wall_given"] and WALL not in provenance.get("edited", ()))
    return Given(masks[WALL], (), provenance["inputs"].get(WALL)) if given else Offset()


def _drawn(base: Found, mask: Mask | None) -> Source:
    """What a person made of a mask; what they started from was not kept."""
    if mask is None:
        return base
    if isinstance(base, Given):
        base = Given(None, base.flags, base.file)
    elif isinstance(base, Network):
        base = Network(base.model, base.threshold, None, base.probability, base.seen_cavity, base.flags)
    return Drawn(mask, base)

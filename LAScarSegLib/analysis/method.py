"""What a person reads about where a result comes from, made from its sources and nowhere else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..intensity.rules import Rule
from ..systems import SYSTEMS
from .sources import ByRule, Drawn, Kind, Network, Source, base_of

MASK = "mask"
"""The method's name in measurements.json when somebody gave or drew the scar."""
GIVEN = "A scar mask that was given"
BY_HAND = ", edited by hand"


@dataclass(frozen=True)
class ScarMethod:
    """How scar was found, in the words a report needs; all that is computed is told from the scar's source instead.

    `name` is the rule's key, a network's `NAME@VERSION` or `"mask"`; `title` its name for people, `label` the same with its number ("Image intensity ratio > 1.20"); `parameter` the rule's
    number (None without a rule) and `parameter_name` what it counts; `threshold_intensity` the grey level above which wall is
    scar. `preset` is the key of the published preset this is, None when it is nobody's; `published_for` the wall it was
    published for; `calibrated` is False when that wall is not the one measured here ("not calibrated here"); `source` the
    citation; `wall_given` tells a wall drawn by someone from the automatic one; `kind` is the `Kind` of the scar's source, and
    `edited` that a person changed it since.
    """

    name: str
    title: str
    label: str
    parameter: float | None = None
    parameter_name: str | None = None
    threshold_intensity: float | None = None
    preset: str | None = None
    published_for: str | None = None
    calibrated: bool = False
    source: str = ""
    wall_given: bool = False
    kind: str = Kind.GIVEN.value
    edited: bool = False

    @property
    def is_rule(self) -> bool:
        """Whether a rule found the scar, and nobody changed it since."""
        return self.kind == Kind.RULE.value and not self.edited

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


def describe_scar(source: Source, level: float | None, wall_given: bool) -> ScarMethod:
    """The method of a scar source; `level` is the grey level that a rule found."""
    base = base_of(source)
    common: dict[str, Any] = {"wall_given": wall_given, "kind": source.origin.kind.value, "edited": source.origin.edited}
    if isinstance(source, Drawn):
        under = describe_scar(base, None, wall_given)
        title = under.label + BY_HAND
        return ScarMethod(MASK, title, title, source=under.source, **common)
    if isinstance(base, ByRule):
        return _describe_rule(base.rule, base.parameter, level, common)
    if isinstance(base, Network):
        system = SYSTEMS.get(base.model.get("system", ""))
        by = f" ({system.title})" if system else ""
        title = f"Model {base.reference}{by}, probability > {base.threshold:g}"
        return ScarMethod(base.reference, title, title, source=system.paper if system else "", **common)
    return ScarMethod(MASK, GIVEN, GIVEN, **common)


def _describe_rule(rule: Rule, parameter: float | None, level: float | None, common: dict[str, Any]) -> ScarMethod:
    preset = rule.preset(parameter)
    return ScarMethod(
        name=rule.name,
        title=rule.title,
        label=rule.label(parameter),
        parameter=parameter,
        parameter_name=rule.parameter,
        threshold_intensity=level,
        preset=preset.key if preset else None,
        published_for=preset.published_for if preset else None,
        calibrated=bool(preset and preset.wall_drawn_by_hand and common["wall_given"]),
        source=preset.source if preset else rule.source,
        **common,
    )


def older_than_cavity(network: Network) -> str:
    """That a network's scar belongs to another cavity than the one there is now."""
    return (
        f"The cavity is another one than the model {network.reference} saw when it found the scar; its scar was kept. "
        "To let the model look again, run the analysis again (in the panel: Apply)."
    )


def describe_cavity(source: Source) -> str:
    """Where the cavity comes from, in a sentence: the model that found it, with what its card says of its use, or whoever gave it."""
    base, edited = base_of(source), source.origin.edited
    if not isinstance(base, Network):
        path = base.file["path"] if base.file else ""
        # In Slicer it is a node, whose name may hold a slash.
        name = path if path.startswith("node ") else Path(path).name
        given = f"The cavity was given ({name})" if name else "The cavity was given"
        return f"{given} and then edited by hand." if edited else f"{given}; no model found it."
    model = base.model
    found = f"The cavity was found by the model {model['name']} {model['version']}"
    simulated = " The model was trained on simulated scans, so it says nothing about a patient." if model["simulated"] else ""
    return f"{found}{' and then edited by hand' if edited else ''}.{simulated} Its card says: {model['intended_use']}"

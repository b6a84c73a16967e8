"""What a person reads about where a result comes from, made from its sources and nowhere else."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..intensity.protocols import Reading
from ..support.doubt import GOOD
from ..systems import SYSTEMS
from .provenance import NODE
from .settings import Settings
from .sources import ByRule, Drawn, Given, Kind, Network, Offset, Source, Sources, base_of

MASK = "mask"
"""The method's name in measurements.json when somebody gave or drew the scar."""
GIVEN = "A scar mask that was given"
BY_HAND = ", edited by hand"


@dataclass(frozen=True)
class ScarMethod:
    """How scar was found, in the words a report needs; all that is computed is told from the scar's source instead.

    `name` is the rule's key, a network's `NAME@VERSION` or `"mask"`; `title` its name for people, `label` the same with its
    number ("Image intensity ratio > 1.20"); `parameter` the rule's number (None without a rule) and `parameter_name` what it
    counts; `threshold_intensity` the grey level above which wall is scar. `protocol` is the published protocol whose reading
    decides, None when voxels of the wall do without one; `calibrated` is True exactly when the whole protocol applies, else
    `not_calibrated_because` says what does not. `preset` is the key of the published threshold this is, None when it is
    nobody's; `published_for` the wall it was published for; `source` the citation; `wall_given` tells a wall drawn by someone
    from the automatic one; `kind` is the `Kind` of the scar's source, and `edited` that a person changed it since.
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
    not_calibrated_because: tuple[str, ...] = ()
    protocol: str | None = None
    source: str = ""
    wall_given: bool = False
    kind: str = Kind.GIVEN.value
    edited: bool = False

    @property
    def is_rule(self) -> bool:
        """Whether a rule found the scar, and nobody changed it since."""
        return self.kind == Kind.RULE.value and not self.edited

    def to_json(self) -> dict[str, Any]:
        return self.__dict__ | {"not_calibrated_because": list(self.not_calibrated_because)}


def describe_scar(sources: Sources, settings: Settings, level: float | None) -> ScarMethod:
    """The method of the scar's source; `level` is the grey level that a rule found."""
    source, wall_given = sources.scar, not isinstance(sources.wall, Offset)
    base = base_of(source)
    common: dict[str, Any] = {"wall_given": wall_given, "kind": source.origin.kind.value, "edited": source.origin.edited}
    if isinstance(source, Drawn):
        under = describe_scar(replace(sources, scar=base), settings, None)
        title = under.label + BY_HAND
        return ScarMethod(MASK, title, title, source=under.source, protocol=under.protocol, **common)
    if isinstance(base, ByRule):
        return _describe_rule(base, level, why_not_calibrated(sources, settings), common)
    if isinstance(base, Network):
        system = SYSTEMS.get(base.model.get("system", ""))
        by = f" ({system.title})" if system else ""
        title = f"Model {base.reference}{by}, probability > {base.threshold:g}"
        return ScarMethod(base.reference, title, title, source=system.paper if system else "", **common)
    return ScarMethod(MASK, GIVEN, GIVEN, **common)


def _describe_rule(scar: ByRule, level: float | None, reasons: tuple[str, ...], common: dict[str, Any]) -> ScarMethod:
    rule, protocol = scar.rule, scar.protocol_of
    preset = rule.preset(scar.parameter)
    own = protocol is not None and protocol.rule == scar.name
    label = rule.label(scar.parameter)
    return ScarMethod(
        name=rule.name,
        title=protocol.title if own else rule.title,
        label=label if protocol is None else f"{label} {protocol.reading.where} ({protocol.name})",
        parameter=scar.parameter,
        parameter_name=rule.parameter,
        threshold_intensity=level,
        preset=preset.key if preset else None,
        published_for=preset.published_for if preset else None,
        calibrated=not reasons,
        not_calibrated_because=reasons,
        source=protocol.source if own else preset.source if preset else rule.source,
        protocol=scar.protocol,
        **common,
    )


def why_not_calibrated(sources: Sources, settings: Settings) -> tuple[str, ...]:
    """What of the published protocol does not apply here, each in a few words; nothing when all of it does."""
    scar = sources.scar
    protocol = scar.protocol_of if isinstance(scar, ByRule) else None
    if protocol is None:
        return ("the threshold belongs to no whole protocol",)
    if protocol.rule != scar.name or (protocol.published and scar.parameter not in protocol.published):
        return (f"{scar.rule.label(scar.parameter)} is not this protocol's",)
    usual, given = Settings(), isinstance(base_of(sources.wall), Given)
    moved = settings.blood_pool_erosion_mm != usual.blood_pool_erosion_mm or (
        protocol.reading is Reading.MID_WALL and not given and settings.wall_outside_mm != usual.wall_outside_mm
    )
    reasons = (
        (not protocol.complete, protocol.differs[0].lower() + protocol.differs[1:].rstrip(".")),
        (protocol.needs_drawn_wall and not given, "it needs a wall drawn by hand"),
        (protocol.leaves_out and not sources.planes, "no planes leave out veins and valve"),
        (moved, "blood pool or wall are not the usual ones"),
    )
    return tuple(words for applies, words in reasons if applies)


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
        name = path if path.startswith(NODE) else Path(path).name
        given = f"The cavity was given ({name})" if name else "The cavity was given"
        return f"{given} and then edited by hand." if edited else f"{given}; no model found it."
    model, doubt = base.model, None if edited else base.doubt
    found = f"The cavity was found by the model {model['name']} {model['version']}"
    simulated = " The model was trained on simulated scans, so it says nothing about a patient." if model["simulated"] else ""
    looks = f" It looks good (expected overlap with a careful drawing, Dice: {doubt.expected_dice:.2f})." if doubt and doubt.word == GOOD else ""
    return f"{found}{' and then edited by hand' if edited else ''}.{looks}{simulated} Its card says: {model['intended_use']}"

"""What a user chose in the panel, as plain values: what is missing, what there is to choose from, and how it is kept in a scene."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..analysis import ByRule
from ..analysis.settings import Settings
from ..errors import InputError, LAScarSegError
from ..intensity.protocols import PROTOCOLS, USUAL_PROTOCOL, Protocol, Reading
from ..intensity.rules import RULES, PublishedThreshold
from ..jobs.device_query import AUTO
from ..scene.selection import check_scan_node, check_segment, find_node, read_choice, write_choice
from ..scene.stored import corrections
from ..surface.band_reach import BandReach
from ..surface.region_schemes import SCHEMES, USUAL_SCHEME

if TYPE_CHECKING:
    from ..models.bundle import Bundle

SEGMENT, MODEL = "segment", "model"
"""Where the cavity comes from: drawn by someone, or found by a model."""
ATTRIBUTE = "LAScarSeg.choices"
"""Node attribute: the choices as JSON; nodes are kept as references, which a scene adapts when it is read."""
NODE_FIELDS = ("volume_id", "segmentation_id", "roi_id", "wall_segmentation_id")


@dataclass(frozen=True)
class Choices:
    """Everything the panel says; "" or None where nothing was chosen.

    `method` is the key of one of `methods()`: a protocol's or rule's name, or a scar model's `NAME@VERSION`; `threshold` is that rule's
    parameter, None for its usual value; `cavity_model` a model's `NAME@VERSION`; `fast` leaves out the perturbation
    ranges; `planes` are the IDs of markups planes; `despite` the codes of stops to go on despite; `bands` how far gaps are looked for, `regions` the scheme that divides the wall; `accept_terms` that the user has accepted the models' terms.
    """

    volume_id: str = ""
    cavity_source: str = SEGMENT
    segmentation_id: str = ""
    segment_id: str = ""
    cavity_model: str = ""
    roi_id: str = ""
    method: str = USUAL_PROTOCOL
    threshold: float | None = None
    wall_segmentation_id: str = ""
    wall_segment_id: str = ""
    native: bool = False
    device: str = AUTO
    fast: bool = False
    accept_terms: bool = False
    planes: tuple[str, ...] = ()
    despite: tuple[str, ...] = ()
    bands: BandReach = BandReach()
    regions: str = USUAL_SCHEME

    @property
    def models(self) -> tuple[str, ...]:
        """References of the models that are needed, the cavity's first; one that finds both is named once."""
        return tuple(dict.fromkeys(self.models_by_mask.values()))

    @property
    def models_by_mask(self) -> dict[str, str]:
        """What is found by a model (`cavity`, `scar`), and the model's reference; one may stand for both."""
        cavity = {"cavity": self.cavity_model} if self.cavity_source == MODEL else {}
        return cavity if self.rule is not None else cavity | {"scar": self.method}

    @property
    def rule(self) -> ByRule | None:
        """The rule in its reading; None when a model finds the scar. `InputError` for a threshold that can't be used."""
        if self.method in PROTOCOLS:
            return ByRule.of_protocol(self.method, self.threshold)
        return ByRule(self.method, self.threshold) if self.method in RULES else None

    def bundles(self) -> tuple[Bundle, ...]:
        """The models that are needed; `InputError` when one isn't here any more."""
        from ..models.store import ModelStore

        store = ModelStore()
        return tuple(store.find(reference) for reference in self.models)

    @property
    def settings(self) -> Settings:
        """The analysis's settings; `InputError` for a threshold that can't be used."""
        values, rule = (
            {"native": self.native, "perturbation": not self.fast, "despite": self.despite, "bands": self.bands, "regions": self.regions},
            self.rule,
        )
        if rule is None:
            return Settings(**values)
        return Settings(rule=rule.name, threshold=rule.parameter, protocol=rule.protocol, dense_threshold=rule.dense, **values)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"planes": list(self.planes), "despite": list(self.despite), "bands": self.bands.to_json()}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Choices:
        """From what `to_json` gave, of this version or another: what is unknown is left out."""
        known = {f.name for f in dataclasses.fields(cls)}
        typed = {key: tuple(data.get(key, ())) for key in ("planes", "despite")} | {"bands": BandReach.from_json(data.get("bands", {}))}
        return cls(**{key: value for key, value in data.items() if key in known} | typed)


@dataclass(frozen=True)
class Option:
    """One entry of the list of methods or of cavity sources: a model (`key` is its `NAME@VERSION`), a rule, or a segment.

    `parameter` names the number to choose (None: there is none), `default` its usual value, `highest` the most it can be.
    """

    key: str
    title: str
    is_model: bool
    parameter: str | None = None
    default: float | None = None
    highest: float | None = None
    presets: tuple[PublishedThreshold, ...] = ()


def methods() -> tuple[Option, ...]:
    """Every way to find scar: the protocols, the rules on the wall's voxels, then the installed scar models."""
    rules = [
        Option(rule.name, f"{rule.title} {Reading.VOXELS.where}", False, rule.parameter, rule.default, rule.highest, rule.presets)
        for rule in RULES.values()
    ]
    return (*map(_protocol_option, PROTOCOLS.values()), *rules, *map(_model_option, _installed("scar")))


def _protocol_option(protocol: Protocol) -> Option:
    rule = protocol.its_rule
    own = tuple(preset for preset in rule.presets if preset.value in protocol.published)
    return Option(protocol.name, protocol.title, False, rule.parameter, protocol.threshold, rule.highest, own)


def cavity_sources() -> tuple[Option, ...]:
    """Where the cavity may come from: a segment, then the installed cavity models, the one that comes with the project first."""
    from ..models.store import ModelStore

    try:
        default = ModelStore().default_cavity()
    except InputError:
        # The project's own is damaged, which the list of models says; the user's can be chosen all the same.
        default = None
    references = sorted(_installed("cavity"), key=lambda reference: default is None or reference != default.card.reference)
    return (Option(SEGMENT, "A segment", False), *map(_model_option, references))


def _model_option(reference: str) -> Option:
    return Option(reference, f"Model {reference}", True)


def why_not(scene: Any, choices: Choices) -> str:
    """What is missing before the analysis can start, in words for a tooltip; "" when nothing is. Cheap: of voxels it asks only whether there are any."""
    try:
        check_scan_node(scene, choices.volume_id)
        if choices.cavity_source == SEGMENT:
            check_segment(
                scene, choices.segmentation_id, choices.segment_id,
                "Choose the segment that fills the left atrium, or a model that finds it. Draw one if there is none.",
            )  # fmt: skip
        if choices.wall_segmentation_id:
            check_segment(scene, choices.wall_segmentation_id, choices.wall_segment_id, "Choose the segment that is the wall.")
        _check_method(choices)
        _check_models(choices)
    except LAScarSegError as error:
        return str(error)
    return ""


def corrections_to_replace(scene: Any, choices: Choices) -> dict[tuple[str, str], str]:
    """What a run would replace of somebody's corrections (`scene.stored.corrections`); a segment that it starts from is kept."""
    kept = {(choices.wall_segmentation_id, choices.wall_segment_id)}
    if choices.cavity_source == SEGMENT:
        kept.add((choices.segmentation_id, choices.segment_id))
    return corrections(scene, find_node(scene, choices.volume_id), kept)


def question_before_run(scene: Any, choices: Choices) -> str:
    """What to ask the user before Apply: corrections by hand would be replaced; "" when nothing is lost."""
    lost = [name for _, name in corrections_to_replace(scene, choices)]
    if not lost:
        return ""
    return f"The earlier result was corrected by hand ({', '.join(lost)}). Apply replaces these corrections. Go on?"


def write_choices(node: Any, choices: Choices) -> None:
    """Keep the choices on a node, so that they are saved with the scene."""
    plain = choices.to_json()
    planes, nodes = plain.pop("planes"), {name: plain.pop(name) for name in NODE_FIELDS}
    write_choice(node, ATTRIBUTE, json.dumps(plain), nodes, planes)


def read_choices(scene: Any, node: Any) -> Choices | None:
    """What `write_choices` kept on the node; nodes that are gone from the scene are not chosen. None when nothing was kept."""
    kept = read_choice(scene, node, ATTRIBUTE, NODE_FIELDS)
    if kept is None:
        return None
    text, nodes, planes = kept
    return Choices.from_json(json.loads(text) | nodes | {"planes": planes})


def region_schemes() -> tuple[tuple[str, str], ...]:
    """(key, title) of every scheme that divides the wall."""
    return tuple((scheme.key, scheme.title) for scheme in SCHEMES.values())


def known_scheme(key: str) -> str:
    """The scheme of a parameter of the panel; the usual one where a scene of another version names one that is not here."""
    return key if key in SCHEMES else USUAL_SCHEME


def bands_text(reach: BandReach) -> str:
    """Bands as a parameter of the panel keeps them; "" for the usual ones."""
    return "" if reach == BandReach() else json.dumps(reach.to_json())


def read_bands(text: str) -> BandReach:
    """What `bands_text` gave; the usual ones where the text is damaged."""
    try:
        return BandReach.from_json(json.loads(text)) if text else BandReach()
    except (ValueError, InputError):
        return BandReach()


def _check_method(choices: Choices) -> None:
    if choices.rule is not None:
        protocol = choices.rule.protocol_of
        if protocol is not None and protocol.needs_drawn_wall and not choices.wall_segmentation_id:
            raise InputError(f"{protocol.title}: this protocol needs a wall drawn by hand. Choose its segment as the LA wall.")
    elif choices.threshold is not None:
        raise InputError("A model has its own threshold; leave it out.")


def _check_models(choices: Choices) -> None:
    if choices.cavity_source == MODEL and not choices.cavity_model:
        from ..models.store import ModelStore

        missing = None if _installed("cavity") else ModelStore().missing_cavity()
        if missing is not None:
            raise InputError(
                f"No model that finds the left atrium is here. Press Get {missing.name}, which fetches it, or choose a segment."
            )
        raise InputError("Choose the model that finds the left atrium. Add one under Models if there is none, or choose a segment.")
    choices.bundles()


def _installed(stage: str) -> list[str]:
    """References of the models that can be used, each once; the user's come first."""
    from ..models.store import ModelStore

    cards = [model.bundle.card for model in ModelStore().models() if model.bundle is not None]
    return list(dict.fromkeys(card.reference for card in cards if stage in card.finds))

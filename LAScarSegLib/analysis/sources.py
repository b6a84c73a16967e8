"""Where a mask comes from: given, offset from the cavity, found by a rule or a network, or drawn by a person on top of one of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..anatomy.labels import Label
from ..anatomy.masks import Mask, mask_on_grid
from ..errors import InputError
from ..intensity.protocols import USUAL_PROTOCOL, Protocol, Reading, find_protocol
from ..intensity.rules import Rule, find_rule
from ..support.doubt import Doubt
from ..support.flags import QualityFlag
from ..surface.openings import FoundPlanes
from ..surface.planes import CutPlane, same_planes
from ..volumes.volume import Box, Geometry, Volume
from .settings import Settings

if TYPE_CHECKING:
    from ..inference.options import InferenceOptions
    from ..models.bundle import Bundle

CAVITY, WALL, SCAR = "cavity", "wall", "scar"
MASKS = (CAVITY, WALL, SCAR)
"""The three masks of a result, by the names of their files."""

File = Mapping[str, str]
"""`path` and `sha256` of a file that was read; in Slicer `path` says which node it was."""


class Kind(str, Enum):
    """What answered for a mask before a person changed it."""

    GIVEN = "given"
    OFFSET = "offset"
    RULE = "rule"
    NETWORK = "network"


@dataclass(frozen=True)
class Origin:
    """Where a mask comes from, without the mask.

    `reference` is the rule's name, the network's `NAME@VERSION`, or what was given; `parameter` the rule's number, the network's
    threshold or the wall's thickness in mm; `edited` says that a person changed the mask since.
    """

    kind: Kind
    reference: str = ""
    parameter: float | None = None
    edited: bool = False

    @property
    def words(self) -> str:
        """"model la-cavity@1.0, edited by hand"."""
        name = {Kind.NETWORK: f"model {self.reference}", Kind.RULE: f"rule {self.reference}", Kind.OFFSET: "around the cavity"}
        return name.get(self.kind, "given") + (", edited by hand" if self.edited else "")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind.value, "reference": self.reference, "parameter": self.parameter, "edited": self.edited}


@dataclass(frozen=True, eq=False)
class Given:
    """A mask from outside: a file, a segment. `mask` is None where an older version kept only what a person made of it."""

    mask: Mask | None
    flags: tuple[QualityFlag, ...] = ()
    file: File | None = None

    @classmethod
    def of(cls, labels: Volume, grid: Geometry, name: str, label: Label | Sequence[Label] | None = None, file: File | None = None) -> Given:
        """A label volume on any grid as a mask on `grid`; `InputError` as `mask_on_grid`."""
        array, flags = mask_on_grid(labels, grid, name, label)
        return cls(Mask.of(array), flags, file)

    @property
    def origin(self) -> Origin:
        return Origin(Kind.GIVEN, self.file["path"] if self.file else "")


@dataclass(frozen=True)
class Offset:
    """The automatic wall: everything up to `Settings.wall_outside_mm` outside the cavity."""

    mask = None
    flags = ()
    origin = Origin(Kind.OFFSET)


@dataclass(frozen=True)
class ByRule:
    """Scar by an intensity rule, in the reading of a protocol, or (None) on the wall's voxels.

    `parameter` None is the usual number, the protocol's own where it has this rule; `dense` the second threshold, above which scar is
    dense, None where there is none.

    Raises
    ------
    InputError
        an unknown rule or protocol, a number that the rule can't use, or thresholds in the wrong order.
    """

    name: str
    parameter: float | None = None
    protocol: str | None = None
    dense: float | None = None

    mask = None
    flags = ()

    def __post_init__(self) -> None:
        rule, own = find_rule(self.name), self._is_protocols_own
        wanted = self.protocol_of.threshold if own and self.parameter is None else self.parameter
        # The number that is used is written down, not "the default": that may be another one in a later version.
        object.__setattr__(self, "parameter", rule.check_parameter(wanted))
        dense = self.protocol_of.dense_threshold if own and self.dense is None else self.dense
        if dense is None:
            return
        # A person's own must be one; above the protocol's all that is left of scar is dense.
        if self.parameter is None or (rule.check_parameter(dense) <= self.parameter and not (own and dense == self.protocol_of.dense_threshold)):
            of_scar = f"that of scar ({self.parameter:g})" if self.parameter is not None else f"that of scar, and '{self.name}' has none"
            raise InputError(f"The threshold of dense scar ({dense:g}) must lie above {of_scar}.")
        object.__setattr__(self, "dense", dense)

    @classmethod
    def of_settings(cls, settings: Settings) -> ByRule:
        """The rule and reading that settings ask for: nothing said, the usual protocol."""
        if settings.rule is None:
            return cls.of_protocol(settings.protocol or USUAL_PROTOCOL, settings.threshold, settings.dense_threshold)
        return cls(settings.rule, settings.threshold, settings.protocol, settings.dense_threshold)

    @classmethod
    def of_protocol(cls, name: str, threshold: float | None = None, dense: float | None = None) -> ByRule:
        """A protocol's rule in its reading, with its own thresholds where none are given."""
        return cls(find_protocol(name).rule, threshold, name, dense)

    @property
    def rule(self) -> Rule:
        return find_rule(self.name)

    @property
    def protocol_of(self) -> Protocol | None:
        return None if self.protocol is None else find_protocol(self.protocol)

    @property
    def _is_protocols_own(self) -> bool:
        """Whether the protocol was published with this rule."""
        return self.protocol_of is not None and self.protocol_of.rule == self.name

    @property
    def reading(self) -> Reading:
        return Reading.VOXELS if self.protocol is None else self.protocol_of.reading

    def with_threshold(self, value: float | None) -> ByRule:
        """The same rule in the same reading, with another number."""
        keeps = self.dense is not None and value is not None and value < self.dense
        return ByRule(self.name, value, self.protocol, self.dense if keeps else None)

    @property
    def origin(self) -> Origin:
        return Origin(Kind.RULE, self.name, self.parameter)


@dataclass(frozen=True, eq=False)
class Probability:
    """A network's probability: `values` (k, j, i) float32 in `box` of a grid of `shape`, 0 elsewhere."""

    values: np.ndarray
    box: Box
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, array: np.ndarray, start: tuple[int, int, int] = (0, 0, 0), shape: tuple[int, int, int] | None = None) -> Probability:
        """From an array of a whole grid, or of the part of a grid of `shape` that begins at `start`."""
        shape, place = array.shape if shape is None else shape, Mask.of(array, start, shape).box
        if 0 in place.shape:
            return cls(np.zeros((1, 1, 1), np.float32), Box((0, 0, 0), (1, 1, 1)), shape)
        inside = place.seen_from(Box(start, shape)).slices
        return cls(np.array(array[inside], dtype=np.float32, order="C"), place, shape)

    def within(self, box: Box) -> np.ndarray:
        """(k, j, i) float32: the part in `box`."""
        return self.box.of_values(self.values, box)

    def whole(self) -> np.ndarray:
        """(k, j, i) float32 on the whole grid."""
        return self.within(Box((0, 0, 0), self.shape))

    def above(self, threshold: float) -> Mask:
        """The voxels whose probability is greater."""
        return Mask.of(self.values > threshold, self.box.start, self.shape)


@dataclass(frozen=True, eq=False)
class Network:
    """What a network found, before anything limits it; it never runs again by itself.

    `model` is what its bundle says of itself (`Bundle.describe`) and how it was run; `mask` the cavity, or all voxels whose scar
    probability is above `threshold`; `seen_cavity` the digest of the cavity that a scar network looked at. `probability` and
    `mask` are None where an older version did not keep them. `doubt` is how far a cavity can be trusted, None where nobody knows, and
    `confirmed` that a person looked at it and says so.
    """

    model: Mapping[str, Any]
    threshold: float
    mask: Mask | None
    probability: Probability | None = None
    seen_cavity: str = ""
    flags: tuple[QualityFlag, ...] = ()
    doubt: Doubt | None = None
    confirmed: bool = False

    @property
    def reference(self) -> str:
        return f"{self.model['name']}@{self.model['version']}"

    @property
    def origin(self) -> Origin:
        return Origin(Kind.NETWORK, self.reference, self.threshold)


@dataclass(frozen=True, eq=False)
class ToRun:
    """A network that was asked for and has not run yet: `analyse` runs it as `options` say, and a `Network` takes its place."""

    bundle: Bundle
    options: InferenceOptions


@dataclass(frozen=True, eq=False)
class Drawn:
    """A mask as a person left it, on top of what `base` had found there; `remarks` are about the file it was left in."""

    mask: Mask
    base: Given | Offset | ByRule | Network
    remarks: tuple[QualityFlag, ...] = ()

    @property
    def flags(self) -> tuple[QualityFlag, ...]:
        return self.base.flags + self.remarks

    @property
    def origin(self) -> Origin:
        return replace(self.base.origin, edited=True)


@dataclass(frozen=True)
class PlanesToFind:
    """Planes that nobody gave: `analyse` looks for them on the cavity's surface, once."""


class ChosenPlanes:
    """Which planes cut and which only say where the openings are, for whoever holds `planes` and `search` (a frozen dataclass)."""

    planes: tuple[CutPlane, ...] | PlanesToFind
    search: FoundPlanes | None

    def with_search(self: Chosen, search: FoundPlanes) -> Chosen:
        """What a search for planes has found, in use when it is sure of all of them."""
        return replace(self, planes=() if search.unsure else search.planes, search=search)

    @property
    def planes_source(self) -> str:
        """"given", "found" or "none": where the planes that cut come from. What a person moved, or took up, is given."""
        if not self.planes:
            return "none"
        # Unsure ones cut only once a person has taken them up.
        found = self.search is not None and not self.search.unsure and same_planes(self.search.planes, self.planes)
        return "found" if found else "given"

    @property
    def landmarks(self) -> tuple[CutPlane, ...]:
        """The planes that say where veins and valve are: those that cut, or where there are none the unsure ones that were found."""
        # Sure ones that do not cut were taken away by a person.
        return self.planes or (self.search.planes if self.search is not None and self.search.unsure else ())

    @property
    def unsure(self) -> Mapping[str, str]:
        """Why nobody should rely on `landmarks` yet, by name, what is missing among them included; empty where they are given or sure."""
        return self.search.unsure if self.landmarks and not self.planes else {}


Chosen = TypeVar("Chosen", bound=ChosenPlanes)


Found = Given | Offset | ByRule | Network
Source = Found | Drawn


@dataclass(frozen=True, eq=False)
class Sources(ChosenPlanes):
    """All that a result follows from beside the scan and the settings.

    `planes` cut what is counted; `search` is what was found where somebody asked for planes to be looked for: it stays a proposal, beside no
    `planes`, while any of it is unsure. `files` are those that are no masks: `image`, `roi`.
    """

    cavity: Given | Network | Drawn | ToRun
    wall: Offset | Given | Drawn
    scar: ByRule | Given | Network | Drawn | ToRun
    planes: tuple[CutPlane, ...] | PlanesToFind = ()
    search: FoundPlanes | None = None
    files: Mapping[str, File] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Source:
        """One of `MASKS`."""
        return getattr(self, name)

    @property
    def doubt(self) -> Doubt | None:
        """How far the cavity can be trusted; None where nobody can tell, and where a person gave it or drew on it."""
        return self.cavity.doubt if isinstance(self.cavity, Network) else None

    @property
    def cavity_confirmed(self) -> bool:
        """Whether a person looked at a network's cavity and confirmed it."""
        return isinstance(self.cavity, Network) and self.cavity.confirmed

    @property
    def withheld(self) -> bool:
        """Whether the cavity is not to be used, so that no number of scar may be taken from it before a person confirms or corrects it."""
        return self.doubt is not None and not self.doubt.usable and not self.cavity_confirmed

    @cached_property
    def networks(self) -> dict[str, Network]:
        """What networks found, by mask, whether a person has drawn over it or not."""
        bases = {name: base_of(self[name]) for name in MASKS}
        return {name: base for name, base in bases.items() if isinstance(base, Network)}

    @property
    def inputs(self) -> dict[str, File]:
        """Every file that was read, by what it was read for."""
        given = {name: base_of(self[name]) for name in MASKS}
        return dict(self.files) | {name: base.file for name, base in given.items() if isinstance(base, Given) and base.file}

    def described(self, inputs: Mapping[str, File]) -> Sources:
        """The same, read from other files: those of the masks that were given, and `image`, `roi`."""
        masks = {name: _described(self[name], inputs.get(name)) for name in MASKS}
        return replace(self, **masks, files={name: file for name, file in inputs.items() if name not in MASKS})

    def in_settings(self, settings: Settings) -> Settings:
        """The settings with the rule that is in use, and with the usual one where none is."""
        rule = base_of(self.scar)
        if isinstance(rule, ByRule):
            return replace(settings, rule=rule.name, threshold=rule.parameter, protocol=rule.protocol, dense_threshold=rule.dense)
        return replace(settings, rule=None, threshold=None, protocol=None, dense_threshold=None)


POSSIBLE = {CAVITY: (Given, Network, ToRun), WALL: (Given, Offset), SCAR: (Given, ByRule, Network, ToRun)}
"""What may answer for each mask; a person may draw on any of them but one that has not run yet."""


def check_sources(sources: Sources, shape: tuple[int, int, int]) -> None:
    """`InputError` for a source that can't be: a rule for the cavity, a mask that is gone or on another grid than the scan's `shape`."""
    for name, possible in POSSIBLE.items():
        source = sources[name]
        kinds = tuple(kind for kind in possible if kind is not ToRun) if isinstance(source, Drawn) else possible
        base = base_of(source)
        if not isinstance(base, kinds):
            what = f"{base.origin.kind.value} {base.origin.reference}".strip() if hasattr(base, "origin") else "a model that has not run"
            raise InputError(f"The {name} can't come from this source ({what}). {_REMEDIES[name]}")
        if name == SCAR and isinstance(base, ByRule) and base.protocol is not None and base.protocol_of.needs_drawn_wall and sources.wall == Offset():
            raise InputError(
                f"The protocol '{base.protocol}' was published for a wall drawn by hand and means nothing on the automatic one. Give the wall "
                "(--wall FILE; in the panel: LA wall), or choose another protocol."
            )
        mask = None if isinstance(source, ToRun) else source.mask
        if mask is None and isinstance(source, (Given, Network)):
            raise InputError(f"The {name} is no longer there: its file or segment was removed. {_REMEDIES[name]}")
        if mask is not None and mask.shape != shape:
            raise InputError(
                f"The {name} is on a grid of {mask.shape} voxels, the scan on one of {shape}. Resample it to the scan's grid first."
            )


_REMEDIES = {
    CAVITY: "Give a mask of the left atrial cavity, or a model that finds it; a rule finds scar only.",
    WALL: "Give a mask of the wall, or nothing: then it lies around the cavity.",
    SCAR: "Give a mask of the scar, the name of a rule, or a model that finds it.",
}


def _described(source: Source, file: File | None) -> Source:
    if file is None or not isinstance(base_of(source), Given):
        return source
    return replace(source, base=replace(source.base, file=file)) if isinstance(source, Drawn) else replace(source, file=file)


def base_of(source: Source) -> Found:
    """What a source is without what a person drew on it."""
    return source.base if isinstance(source, Drawn) else source

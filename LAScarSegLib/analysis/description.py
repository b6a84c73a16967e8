"""What a result follows from, as a carrier keeps it: a folder, a scene and the worker's archive hold the same description.

The scan and the networks' probabilities are kept beside it, by each carrier in its own way.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..anatomy.masks import Mask
from ..support.doubt import Doubt
from ..support.flags import QualityFlag
from ..support.progress import Progress
from ..surface.openings import FoundPlanes
from ..surface.planes import CutPlane
from ..volumes.volume import Box, Geometry, Volume
from .change import Change
from .path import follow_path
from .provenance import MADE_BY, name_only
from .result import Analysis
from .settings import Settings
from .sources import MASKS, ByRule, Drawn, Given, Kind, Network, Offset, Probability, Source, Sources, base_of
from .steps import StepCache

PROBABILITY_MISSING = QualityFlag(
    "probability_missing", "The map of a model's probability that belongs to this result is no longer there; its mask was kept."
)
FORMAT = 1
"""Of the description; another one is refused."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A result as a carrier holds it.

    `sources` and `settings` are those that were measured, `digests` of the masks that came out; `masks` are what the files or
    segments hold now, None where one is missing, with `remarks` about them; `provenance` as it was written.
    """

    volume: Volume
    settings: Settings
    sources: Sources
    masks: Mapping[str, Mask | None]
    digests: Mapping[str, str]
    provenance: Mapping[str, Any]
    remarks: Mapping[str, tuple[QualityFlag, ...]] = field(default_factory=dict)

    @property
    def drawn(self) -> frozenset[str]:
        """Which masks a person changed since they were measured."""
        return frozenset(name for name in MASKS if (mask := self.masks[name]) is not None and mask.digest != self.digests[name])

    def analyse(self, change: Change = Change(), *, ranges: bool = True, progress: Progress | None = None) -> Analysis:
        """The result: as it was written, or after what a person drew since, and then `change`. Raises as `analysis.analyse`."""
        drawn = {name: Drawn(self.masks[name], base_of(self.sources[name]), self.remarks.get(name, ())) for name in self.drawn}
        settings = self.settings if change.settings is None else change.settings
        sources = change.of(replace(self.sources, **drawn))
        found = follow_path(self.volume, settings, sources, StepCache(), ranges, progress or Progress())
        another = self.drawn or any(value is not None and value is not False for value in vars(change).values())
        return found if another else with_first_provenance(found, self.provenance)


def with_first_provenance(found: Analysis, provenance: Mapping[str, Any]) -> Analysis:
    """An analysis that was read back, with when and by what it was made."""
    first = {key: provenance[key] for key in MADE_BY if key in provenance}
    if "remeasured" in first:
        first["remeasured"] = name_only(str(first["remeasured"]))
    return replace(found, provenance=found.provenance | first)


DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, zlib.error)
"""What comes of a description that somebody or something has damaged."""


def describe(analysis: Analysis) -> dict[str, Any]:
    """Settings and sources, JSON-ready, and what the scan's own file may lose: its grid to the last digit and its reader's remarks."""
    sources = analysis.sources
    return {
        "format": FORMAT,
        "geometry": analysis.geometry.to_json(),
        "flags": [flag.to_json() for flag in analysis.volume.flags],
        "settings": analysis.settings.to_json(),
        "sources": {name: _describe_source(sources[name]) for name in MASKS},
        "planes": [plane.to_json() for plane in sources.planes],
        "search": None if sources.search is None else sources.search.to_json(),
        "files": {name: dict(file) for name, file in sources.files.items()},
    }


def read_description(
    content: Mapping[str, Any], scan: Volume, probabilities: Mapping[str, Probability]
) -> tuple[Volume, Settings, Sources]:
    """The scan as it was measured, the settings and the sources.

    Parameters
    ----------
    scan
        the scan as the carrier has it; what differs from the description by rounding is taken from the description.
    probabilities
        of the networks, by mask.

    Raises
    ------
    DAMAGE
        for a description of another format, or a damaged one.
    InputError
        for settings, rules or planes that can't be.
    """
    if content["format"] != FORMAT:
        raise ValueError(f"it is of format {content['format']}, and this version reads {FORMAT}")
    volume = replace(on_described_grid(scan, content["geometry"]), flags=_flags(content["flags"]))
    found = {name: _source(content["sources"][name], scan.array.shape, probabilities.get(name)) for name in MASKS}
    sources = Sources(
        **found,
        planes=tuple(map(CutPlane.from_json, content["planes"])),
        # Earlier versions looked for none.
        search=None if content.get("search") is None else FoundPlanes.from_json(content["search"]),
        files={name: _file(file) for name, file in content["files"].items()},
    )
    return volume, Settings.from_json(content["settings"]), sources


def on_described_grid(scan: Volume, described: Mapping[str, Any]) -> Volume:
    """The scan on the grid it was measured on: files and nodes round. On its own where it was moved since."""
    geometry = Geometry(**{key: tuple(values) for key, values in described.items()})
    if geometry.size != scan.geometry.size:
        raise ValueError(f"it is of another scan than this one of {scan.array.shape} voxels")
    return replace(scan, geometry=geometry) if geometry.same_grid(scan.geometry) else scan


def _describe_source(source: Source) -> dict[str, Any]:
    if isinstance(source, Drawn):
        return _describe_source(source.base) | {"drawn": _packed(source.mask), "remarks": [flag.to_json() for flag in source.remarks]}
    content: dict[str, Any] = {"kind": source.origin.kind.value}
    if isinstance(source, ByRule):
        return content | {"rule": source.name, "parameter": source.parameter, "protocol": source.protocol, "dense": source.dense}
    if isinstance(source, Offset):
        return content
    content |= {"mask": _packed(source.mask), "flags": [flag.to_json() for flag in source.flags]}
    if isinstance(source, Network):
        content |= {"model": dict(source.model), "threshold": source.threshold, "seen_cavity": source.seen_cavity}
        doubt = None if source.doubt is None else source.doubt.to_json()
        return content | {"probability": source.probability is not None, "doubt": doubt, "confirmed": source.confirmed}
    return content | {"file": None if source.file is None else dict(source.file)}


def _source(content: Mapping[str, Any], shape: tuple[int, int, int], probability: Probability | None) -> Source:
    base = _base(content, shape, probability)
    return Drawn(_unpacked(content["drawn"], shape), base, _flags(content["remarks"])) if "drawn" in content else base


def _base(content: Mapping[str, Any], shape: tuple[int, int, int], probability: Probability | None) -> Source:
    kind = Kind(content["kind"])
    if kind is Kind.OFFSET:
        return Offset()
    if kind is Kind.RULE:
        # Results from before the protocols were read on the wall's voxels, and stay so.
        return ByRule(content["rule"], content["parameter"], content.get("protocol"), content.get("dense"))
    mask, flags = _unpacked(content["mask"], shape), _flags(content["flags"])
    if kind is Kind.GIVEN:
        return Given(mask, flags, None if content["file"] is None else _file(content["file"]))
    if content["probability"] and probability is None:
        flags += (PROBABILITY_MISSING,)
    model = content["model"] | {name: str(content["model"][name]) for name in ("name", "version")}
    # Earlier versions knew no doubt.
    doubt = None if content.get("doubt") is None else Doubt.from_json(content["doubt"])
    confirmed = content.get("confirmed", False) is True
    return Network(model, float(content["threshold"]), mask, probability, str(content["seen_cavity"]), flags, doubt, confirmed)


def _file(content: Mapping[str, str]) -> dict[str, str]:
    # Results of earlier versions hold absolute paths; they are not handed on.
    return {"path": name_only(str(content["path"])), "sha256": str(content["sha256"])}


def _flags(content: list[Mapping[str, str]]) -> tuple[QualityFlag, ...]:
    return tuple(QualityFlag(**flag) for flag in content)


def _packed(mask: Mask | None) -> dict[str, Any] | None:
    """A mask as text: a bit a voxel of its box, deflated."""
    if mask is None:
        return None
    bits = base64.b64encode(zlib.compress(np.packbits(mask.inside).tobytes())).decode("ascii")
    return {"start": list(mask.box.start), "stop": list(mask.box.stop), "bits": bits}


def _unpacked(content: Mapping[str, Any] | None, shape: tuple[int, int, int]) -> Mask | None:
    if content is None:
        return None
    box = Box(tuple(content["start"]), tuple(content["stop"]))
    if any(not 0 <= a <= b <= size for a, b, size in zip(box.start, box.stop, shape)):
        raise ValueError("a mask lies outside the scan")
    count = int(np.prod(box.shape))
    # No more than a bit a voxel is unpacked, whatever the text says.
    unpacking = zlib.decompressobj()
    data = unpacking.decompress(base64.b64decode(content["bits"], validate=True), (count + 7) // 8)
    if len(data) != (count + 7) // 8:
        raise ValueError("a mask is cut off")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8), count=count)
    return Mask.of(bits.reshape(box.shape), box.start, shape)


def probabilities_of(analysis: Analysis) -> dict[str, Probability]:
    """The networks' probabilities by mask, for the carrier to keep."""
    return {name: network.probability for name, network in analysis.sources.networks.items() if network.probability is not None}

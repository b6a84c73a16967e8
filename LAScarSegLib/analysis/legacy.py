"""Results from before sources were described, which told where a mask came from by names, titles and lists: read here, nowhere else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..anatomy.masks import Mask
from ..intensity.rules import RULES
from ..support.flags import FLAGS, QualityFlag, simulated_model
from ..surface.planes import CutPlane
from .description import PROBABILITY_MISSING
from .method import BY_HAND, MASK
from .provenance import name_only
from .settings import Settings
from .sources import CAVITY, MASKS, SCAR, WALL, ByRule, Drawn, File, Found, Given, Network, Offset, Probability, Source, Sources

USUAL_THRESHOLD = 0.5
"""Of a network's probability, where the method's title doesn't say it; every bundle there was had this one."""


@dataclass(frozen=True)
class LegacyResult:
    """A result as it was written: provenance.json, measurements.json, what its files or segments hold now, and probabilities by mask."""

    provenance: Mapping[str, Any]
    measurements: Mapping[str, Any]
    masks: Mapping[str, Mask | None]
    probabilities: Mapping[str, Probability]

    def sources(self) -> tuple[Settings, Sources]:
        """Its settings and sources; what a person drew over is lost. Raises one of `description.DAMAGE`."""
        settings, edited = Settings.from_json(self.provenance["settings"]), self._edited
        bases = {CAVITY: self._given_or_network(CAVITY), WALL: self._wall(), SCAR: self._scar(settings)}
        found = {name: self._drawn(base, name) if name in edited else base for name, base in bases.items()}
        planes = tuple(map(CutPlane.from_json, self.provenance["planes"]))
        files = {name: _without_folders(file) for name, file in self.provenance["inputs"].items() if name not in MASKS}
        return settings, Sources(**found, planes=planes, files=files)

    @property
    def _method(self) -> Mapping[str, Any]:
        return self.measurements["method"]

    @property
    def _edited(self) -> frozenset[str]:
        by_words = self._method["name"] == MASK and self._method["title"].endswith(BY_HAND)
        return frozenset(self.provenance.get("edited", ())) | ({SCAR} if by_words else set())

    def _measured(self, name: str) -> Mask | None:
        """A mask that is still the one that was measured; None for one that somebody changed since."""
        mask = self.masks[name]
        return mask if mask is not None and mask.digest == self.provenance["masks"][name] else None

    def _remarks(self, name: str) -> tuple[QualityFlag, ...]:
        """What a reader or a network remarked; what is about no mask in particular stands with the cavity."""
        every = [QualityFlag(**flag) for flag in self.measurements["quality_flags"]]
        flags = [flag for flag in every if flag.code not in FLAGS or FLAGS[flag.code].stays_with_source]
        whose = {flag: next((mask for mask in (WALL, SCAR) if flag.code.startswith(f"{mask}_")), CAVITY) for flag in flags}
        return tuple(flag for flag in flags if whose[flag] == name)

    def _file(self, name: str) -> File | None:
        file = self.provenance["inputs"].get(name)
        return None if file is None else _without_folders(file)

    def _scar(self, settings: Settings) -> Found:
        known = SCAR in self.provenance.get("models", {}) or SCAR in self.provenance["inputs"]
        if self._method["name"] in RULES:
            return ByRule(settings.rule, self._method["parameter"])
        if self._method["name"] == MASK and SCAR in self._edited and not known:
            return ByRule(settings.rule, settings.threshold)
        return self._given_or_network(SCAR)

    def _given_or_network(self, name: str) -> Given | Network:
        model, flags = self.provenance.get("models", {}).get(name), self._remarks(name)
        if model is None:
            return Given(self._measured(name), flags, self._file(name))
        said = re.search(r"probability > ([0-9.]+)", self._method["title"]) if name == SCAR else None
        threshold, probability = float(said[1]) if said else USUAL_THRESHOLD, self.probabilities.get(name)
        flags += (simulated_model(model["name"]),) if model.get("simulated") else ()
        if name == CAVITY:
            return Network(model, threshold, self._measured(name), probability, "", flags)
        # The scar on disk is limited to the wall; the probability is not.
        mask = self._measured(name) if probability is None else probability.above(threshold)
        seen = "" if CAVITY in self._edited else self.provenance["masks"][CAVITY]
        return Network(model, threshold, mask, probability, seen, flags + ((PROBABILITY_MISSING,) if probability is None else ()))

    def _wall(self) -> Given | Offset:
        given = WALL in self.provenance["inputs"] or (self._method["wall_given"] and WALL not in self._edited)
        return Given(self._measured(WALL), self._remarks(WALL), self._file(WALL)) if given else Offset()

    def _drawn(self, base: Found, name: str) -> Source:
        """What a person made of a mask; what they started from was not kept."""
        if self.masks[name] is None:
            return base
        return Drawn(self.masks[name], replace(base, mask=None) if isinstance(base, (Given, Network)) else base)


def _without_folders(file: File) -> File:
    """A file without the folders that earlier versions wrote down."""
    return dict(file) | {"path": name_only(file["path"])}

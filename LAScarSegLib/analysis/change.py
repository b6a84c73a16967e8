"""What shall be different in a result: the one way in which a result changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ..anatomy.masks import Mask
from ..surface.openings import FoundPlanes
from ..surface.planes import CutPlane
from .settings import Settings
from .sources import MASKS, Drawn, File, Network, PlanesToFind, Source, Sources, ToRun, base_of


@dataclass(frozen=True, eq=False)
class Change:
    """What shall be different; None is as it was.

    A `Mask` was drawn by a person, on top of what was there; a source takes the place of the one there was. `settings` are
    those of the whole analysis, but for rule and threshold, which the scar's source has. `confirm_cavity`: a person takes the cavity that a
    network found for good.
    """

    cavity: Source | ToRun | Mask | None = None
    wall: Source | Mask | None = None
    scar: Source | ToRun | Mask | None = None
    planes: tuple[CutPlane, ...] | PlanesToFind | None = None
    search: FoundPlanes | None = None
    confirm_cavity: bool = False
    settings: Settings | None = None
    files: Mapping[str, File] | None = None

    @classmethod
    def to(cls, sources: Sources, settings: Settings) -> Change:
        """To another result of the same scan, whatever is there now."""
        return cls(sources.cavity, sources.wall, sources.scar, sources.planes, sources.search, settings=settings, files=sources.files)

    def of(self, sources: Sources) -> Sources:
        """The sources after the change."""
        masks = {name: _changed(sources[name], getattr(self, name)) for name in MASKS}
        others = {name: getattr(self, name) for name in ("planes", "search", "files") if getattr(self, name) is not None}
        changed = replace(sources, **masks, **others)
        if self.confirm_cavity and isinstance(changed.cavity, Network):
            changed = replace(changed, cavity=replace(changed.cavity, confirmed=True))
        return changed


def _changed(source: Source | ToRun, wanted: Source | ToRun | Mask | None) -> Source | ToRun:
    if wanted is None:
        return source
    return Drawn(wanted, base_of(source)) if isinstance(wanted, Mask) else wanted

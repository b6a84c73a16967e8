"""What the result that is shown was made with, and whether the panel has said something else since."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from ..analysis import Analysis, ByRule, base_of
from ..analysis.sources import CAVITY, WALL, Network
from .choices import MODEL, Choices

SAME_THRESHOLD = 1e-9
CAVITY_FIELDS = ("cavity_source", "segmentation_id", "segment_id", "cavity_model", "roi_id")
WALL_FIELDS = ("wall_segmentation_id", "wall_segment_id")


def follows(analysis: Analysis, method: str) -> bool:
    """Whether the result follows the threshold of `method` while it is dragged: it is that rule's, and nobody drew in its scar."""
    scar = analysis.sources.scar
    return isinstance(scar, ByRule) and _key(scar) == method and scar.parameter is not None


def _key(scar: ByRule) -> str:
    """The key of the method in the panel's list: the protocol's where it has one."""
    return scar.protocol or scar.name


def made_with(analysis: Analysis, kept: Choices | None, now: Choices) -> Choices:
    """The choices that `analysis` follows from.

    Parameters
    ----------
    kept
        those that Apply kept with the result; None for a result of a script or of the command line, of which nobody knows from
        which nodes it came: it counts as made from those chosen now.
    """
    scar = base_of(analysis.sources.scar)
    if isinstance(scar, ByRule):
        method, threshold = _key(scar), scar.parameter
    else:
        method, threshold = scar.reference if isinstance(scar, Network) else analysis.method.name, None
    settings = analysis.settings
    followed = {"native": settings.native, "fast": not settings.perturbation, "bands": settings.bands, "regions": settings.regions}
    return replace(kept or now, method=method, threshold=threshold, **followed)


def older_than(analysis: Analysis, made: Choices, now: Choices, redrawn: Collection[str] = ()) -> str:
    """That the result is of other settings than those chosen now, and of which; "" when Apply would give what is shown.

    Planes are left out: the result follows them by itself. `redrawn` are the masks (`analysis.sources.CAVITY`, `WALL`) whose segment
    was drawn in since (session.input_segments).
    """
    differ = [
        *(_cavity(made) if _differ(made, now, _used(made, now)) else _before(CAVITY, redrawn)),
        *(_wall(made) if _differ(made, now, WALL_FIELDS) else _before(WALL, redrawn)),
        *(["a scan from before any ablation" if made.native else "a scan not known to be native"] if made.native != now.native else []),
        *(["no perturbation range" if made.fast else "a perturbation range"] if made.fast != now.fast else []),
    ]
    if not differ and _same_method(analysis, made, now):
        return ""
    settings = " with ".join(filter(None, [analysis.method.label, ", ".join(differ)]))
    return f"Result of {settings}. Press Apply."


def _same_method(analysis: Analysis, made: Choices, now: Choices) -> bool:
    if made.method != now.method or follows(analysis, now.method):
        return made.method == now.method
    thresholds = made.threshold, now.threshold
    return None in thresholds or abs(made.threshold - now.threshold) < SAME_THRESHOLD


def _used(made: Choices, now: Choices) -> tuple[str, ...]:
    """The fields that say where the cavity comes from; what is chosen for the other source doesn't count."""
    if made.cavity_source != now.cavity_source:
        return CAVITY_FIELDS
    return ("cavity_model", "roi_id") if now.cavity_source == MODEL else ("segmentation_id", "segment_id")


def _differ(made: Choices, now: Choices, fields: tuple[str, ...]) -> bool:
    return any(getattr(made, name) != getattr(now, name) for name in fields)


def _before(mask: str, redrawn: Collection[str]) -> list[str]:
    return [f"the {mask}'s segment as it was before"] if mask in redrawn else []


def _wall(made: Choices) -> list[str]:
    return ["the wall drawn by hand" if made.wall_segmentation_id else "the automatic wall"]


def _cavity(made: Choices) -> list[str]:
    if made.cavity_source != MODEL:
        return ["the cavity of another segment"]
    return [f"the cavity by {made.cavity_model}" + (" in a region" if made.roi_id else "")]

"""What was drawn in the segments of a result: which masks a person changed, and on top of which state. Nothing here is a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

from ..analysis import MASKS, Analysis, ByRule, Change, Drawn, Mask, Sources, base_of, revise
from ..analysis.description import with_first_provenance
from ..analysis.sources import CAVITY, SCAR, WALL
from ..surface.planes import CutPlane, same_planes
from ..volumes.volume import Box

PLANES = "planes"


@dataclass(frozen=True, eq=False)
class Segments:
    """What the segments hold now, on the scan's grid, None for one that was removed; and the planes.

    `stamp` tells this state of the segments from any later one.
    """

    cavity: Mask | None
    wall: Mask | None
    scar: Mask | None
    planes: tuple[CutPlane, ...]
    stamp: tuple[int, ...] = ()

    def __getitem__(self, name: str) -> Mask | None:
        return getattr(self, name)


@dataclass(frozen=True, eq=False)
class ShownState:
    """A state that the segments have shown: the masks, and where they come from."""

    masks: dict[str, Mask]
    sources: Sources

    @classmethod
    def of(cls, analysis: Analysis) -> ShownState:
        return cls(analysis.masks, analysis.sources)

    def differing(self, segments: Segments) -> tuple[str, ...]:
        """Which segments don't hold this state's masks, voxel by voxel."""
        return tuple(name for name in MASKS if segments[name] != self.masks[name])


def measure_edits(segments: Segments, now: Analysis, shown: Sequence[ShownState], ranges: bool) -> Analysis:
    """The analysis of what is drawn; `now` itself where nothing is new.

    Parameters
    ----------
    now
        the analysis that is shown.
    shown
        the states that the segments have shown, the latest last: one that comes back (undo, redo, put back) is that state, and
        what was drawn since is told from the nearest one.
    ranges
        False leaves the perturbation range out (low and high None), for a quick look.

    Raises
    ------
    InputError
        as `analysis.analyse`: an empty cavity, a plane that cuts nothing off …
    """
    sources = _sources_of(segments, now, shown)
    if not _are_same(sources, now.sources):
        return revise(now, Change.to(sources, now.settings), ranges=ranges)
    if now.has_ranges or not ranges or not now.settings.perturbation:
        return now
    # Only the range was missing: that makes no other result of it.
    return with_first_provenance(revise(now, Change()), now.provenance)


def edits(segments: Segments, analysis: Analysis) -> frozenset[str]:
    """Which of `MASKS` and "planes" a person changed since `analysis`.

    What an editor took off or gave to another segment on the way (see `without_side_effects`) is no edit.
    """
    changed = _changed(without_side_effects(segments, analysis.masks), analysis.masks)
    return frozenset(changed) | (frozenset() if same_planes(segments.planes, analysis.planes) else {PLANES})


def _sources_of(segments: Segments, now: Analysis, shown: Sequence[ShownState]) -> Sources:
    state = _told_from(segments, shown)
    masks = without_side_effects(segments, state.masks)
    drawn = {name: Drawn(masks[name], base_of(state.sources[name])) for name in _changed(masks, state.masks)}
    # Markups keep positions with rounding: planes that nobody moved are those there were, to the last digit.
    planes = now.planes if same_planes(segments.planes, now.planes) else segments.planes
    sources = replace(state.sources, **drawn, planes=planes, files=now.sources.files)
    # Thresholds are no strokes: undo leaves them.
    if isinstance(base_of(sources.scar), ByRule) and isinstance(rule := base_of(now.sources.scar), ByRule):
        scar = replace(sources.scar, base=rule) if isinstance(sources.scar, Drawn) else rule
        sources = replace(sources, scar=scar)
    return sources


def _are_same(one: Sources, other: Sources) -> bool:
    same = all(a is b or (isinstance(a, ByRule) and a == b) for a, b in ((one[name], other[name]) for name in MASKS))
    return same and one.planes == other.planes


def _told_from(segments: Segments, shown: Sequence[ShownState]) -> ShownState:
    """The state that the segments hold, or were drawn on: the one with the fewest segments changed since, of several the latest.

    A stroke leaves two of three segments as they were. Where an editor overwrites other segments it leaves none: then the state that
    is shown comes first, since one that was shown before may hold the same cavity with a wall of its own.
    """
    latest_first = list(reversed(shown))

    def drawn_since(state: ShownState) -> int:
        return len(_changed(without_side_effects(segments, state.masks), state.masks))

    same = next((state for state in latest_first if not state.differing(segments)), None)
    if same is not None:
        return same
    if drawn_since(latest_first[0]) <= 1:
        return latest_first[0]
    return next((state for state in latest_first if len(state.differing(segments)) <= 1), None) or min(latest_first, key=drawn_since)


def without_side_effects(segments: Segments, old: dict[str, Mask]) -> dict[str, Mask]:
    """The masks without the side effects of Segment Editor's other settings; a removed segment is as it was.

    "Overwrite all" takes voxels off the other segments where one is painted; erasing inside another segment gives that one
    what was erased (vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap).
    """
    held = {name: old[name] if segments[name] is None else segments[name] for name in MASKS}
    if len([name for name in MASKS if held[name] != old[name]]) <= 1:
        return held
    frame = _frame([*held.values(), *old.values()])
    was = {name: mask.within(frame) for name, mask in old.items()}
    cavity, wall, scar = (held[name].within(frame) for name in MASKS)
    new_scar, lost_scar = scar & ~was[SCAR], was[SCAR] & ~scar
    arrays = {
        CAVITY: cavity | (was[CAVITY] & ~cavity & new_scar),
        WALL: (wall | (was[WALL] & ~wall & new_scar)) & ~(wall & ~was[WALL] & lost_scar),
        SCAR: scar | (lost_scar & cavity & ~was[CAVITY]),
    }
    return {name: Mask.of(array, frame.start, old[CAVITY].shape) for name, array in arrays.items()}


def _changed(masks: dict[str, Mask], old: dict[str, Mask]) -> tuple[str, ...]:
    """Which masks are others; cavity is never wall."""
    changed = [name for name in (CAVITY, SCAR) if masks[name] != old[name]]
    if masks[WALL] != old[WALL]:
        frame = _frame([masks[WALL], old[WALL], masks[CAVITY]])
        if ((masks[WALL].within(frame) != old[WALL].within(frame)) & ~masks[CAVITY].within(frame)).any():
            changed.append(WALL)
    return tuple(changed)


def _frame(masks: Sequence[Mask]) -> Box:
    """The smallest box that holds all of them."""
    boxes = [mask.box for mask in masks if mask.voxels]
    return reduce(Box.around_both, boxes) if boxes else Box((0, 0, 0), (1, 1, 1))


def same_anatomy(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses have the same cavity and the same wall, in the same box."""
    return one.box == other.box and all(one.masks[name] == other.masks[name] for name in (CAVITY, WALL))


def same_networks(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses have the probabilities of the same networks' runs."""
    ours, theirs = ({name: network.probability for name, network in a.sources.networks.items()} for a in (one, other))
    return ours.keys() == theirs.keys() and all(ours[name] is theirs[name] for name in ours)

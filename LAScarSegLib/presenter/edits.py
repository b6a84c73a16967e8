"""What an edit means for a result: which masks a person changed, and the analysis that follows from them. Nothing here is a node."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..analysis import GIVEN, Analysis, ScarMethod
from ..anatomy.distance import distance_to
from ..anatomy.wall import measured_wall
from ..flags import QualityFlag
from ..intensity.rules import RULES
from ..measure.quality import FOUND_BY_ANALYSIS
from ..pipeline import analyse, change_scar, change_threshold
from ..surface.planes import CutPlane, same_planes
from ..surface.projection import NormalProbe
from ..volume import Box, Volume

CAVITY, WALL, SCAR, PLANES = "cavity", "wall", "scar", "planes"
BY_HAND = ", edited by hand"
"""Ends the method's words when a person drew in the scar."""
MODEL_BEFORE_EDIT = "scar_older_than_cavity"


@dataclass(frozen=True, eq=False)
class Drawn:
    """What the segments hold now: bool (k, j, i) on the scan's grid, None for a segment that was removed; and the planes.

    `stamp` tells this state of the segments from any later one.
    """

    cavity: np.ndarray | None
    wall: np.ndarray | None
    scar: np.ndarray | None
    planes: tuple[CutPlane, ...]
    stamp: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Masks:
    """Cavity, wall and scar, bool (k, j, i) in `box` of a grid of `shape`; nothing lies outside the box."""

    box: Box
    shape: tuple[int, int, int]
    cavity: np.ndarray
    wall: np.ndarray
    scar: np.ndarray

    def whole(self, name: str) -> np.ndarray:
        """One of them on the whole grid."""
        return _pasted(getattr(self, name), self.box, Box((0, 0, 0), self.shape))


def edits(drawn: Drawn, analysis: Analysis) -> frozenset[str]:
    """Which of `CAVITY`, `WALL`, `SCAR`, `PLANES` a person changed since `analysis`.

    What an editor took off or gave to another segment on the way (see `repaired`) is no edit.
    """
    return _changes(repaired(drawn, analysis), drawn.planes, analysis)


def _changes(masks: Masks, planes: tuple[CutPlane, ...], analysis: Analysis) -> frozenset[str]:
    old = {name: _pasted(mask, analysis.box, masks.box) for name, mask in _boxes(analysis).items()}
    changed = {
        CAVITY: (masks.cavity != old[CAVITY]).any(),
        WALL: ((masks.wall != old[WALL]) & ~masks.cavity).any(),
        SCAR: (masks.scar != old[SCAR]).any(),
        PLANES: not same_planes(planes, analysis.planes),
    }
    return frozenset(name for name, is_so in changed.items() if is_so)


def repaired(drawn: Drawn, analysis: Analysis) -> Masks:
    """The masks without the side effects of Segment Editor's other settings; a removed segment is as it was.

    "Overwrite all" takes voxels off the other segments where one is painted; erasing inside another segment gives that one
    what was erased (vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap).
    """
    frame = _frame(drawn, analysis)
    old = {name: _pasted(mask, analysis.box, frame) for name, mask in _boxes(analysis).items()}
    cavity, wall, scar = (old[name] if mask is None else mask[frame.slices] for name, mask in _segments(drawn).items())
    new_scar, lost_scar = scar & ~old[SCAR], old[SCAR] & ~scar
    return Masks(
        box=frame,
        shape=analysis.geometry.shape,
        cavity=cavity | (old[CAVITY] & ~cavity & new_scar),
        wall=(wall | (old[WALL] & ~wall & new_scar)) & ~(wall & ~old[WALL] & lost_scar),
        scar=scar | (lost_scar & cavity & ~old[CAVITY]),
    )


def _frame(drawn: Drawn, analysis: Analysis) -> Box:
    """Where to look: the analysis's box and a wall's thickness around it; the whole grid when something was drawn outside that box.

    After every stroke somebody waits for this, and the box is a tenth of the grid.
    """
    shape, box = analysis.geometry.shape, analysis.box
    if not all(mask is None or _inside(mask, box) for mask in _segments(drawn).values()):
        return Box((0, 0, 0), shape)
    margins = [int(analysis.settings.wall_outside_mm / s) + 2 for s in analysis.geometry.spacing_kji]
    start = tuple(max(0, first - margin) for first, margin in zip(box.start, margins))
    return Box(start, tuple(min(size, last + margin) for size, last, margin in zip(shape, box.stop, margins)))


def measure_again(drawn: Drawn, current: Analysis, original: Analysis, ranges: bool) -> Analysis:
    """The analysis that follows from what is drawn.

    A new cavity gets a new wall and surface, and new scar where a rule finds it; a wall or scar that was drawn by hand, and
    a model's scar, stay exactly as they are. No model runs. What was edited and put back counts as not edited.

    Parameters
    ----------
    current
        the latest analysis, which the edits are told from.
    original
        the one before the first edit: it says which rule or model finds the scar when nobody draws.
    ranges
        False leaves the perturbation range out (low and high None), for a quick look.

    Raises
    ------
    InputError
        as `pipeline.analyse`: an empty cavity, a plane that cuts nothing off …
    """
    masks = repaired(drawn, current)
    changed = _changes(masks, drawn.planes, current)
    ranges = ranges and current.settings.perturbation
    if not changed and (not ranges or _has_ranges(current)):
        return current
    if changed <= {SCAR} and not ranges and _inside(masks.whole(SCAR), current.box):
        return _finished(_only_scar(masks, drawn, current, original), current, original)
    wall = masks.whole(WALL) if _wall_is_drawn(drawn, masks, changed, current, original) else None
    keeps_scar = current.method.name not in RULES or SCAR in changed
    if SCAR in changed and original.method.name in RULES:
        found = _analysed(masks, drawn, current, wall, None, ranges)
        if _is_scar_of(found, drawn, masks):
            return _finished(found, current, original)
    found = _analysed(masks, drawn, current, wall, masks.whole(SCAR) if keeps_scar else None, ranges)
    if keeps_scar:
        found = _with_scar_of(found, masks.whole(SCAR), current, original, SCAR in changed)
    return _finished(found, current, original)


def _analysed(
    masks: Masks, drawn: Drawn, current: Analysis, wall: np.ndarray | None, scar: np.ndarray | None, ranges: bool
) -> Analysis:
    given = {CAVITY: masks.whole(CAVITY), WALL: wall, SCAR: scar}
    volumes = {name: Volume(mask, current.geometry) for name, mask in given.items() if mask is not None}
    return analyse(current.volume, current.settings, planes=drawn.planes, ranges=ranges, **volumes)


def _only_scar(masks: Masks, drawn: Drawn, current: Analysis, original: Analysis) -> Analysis:
    """Another scar in the same wall: nothing but map and numbers is computed."""
    if original.method.name in RULES:
        found = change_threshold(current, original.settings.rule, original.settings.threshold)
        if _is_scar_of(found, drawn, masks):
            return found
    found = change_scar(current, _pasted(masks.scar, masks.box, current.box))
    return _with_scar_of(found, masks.whole(SCAR), current, original, True)


def _is_scar_of(found: Analysis, drawn: Drawn, masks: Masks) -> bool:
    """Whether the drawn scar is the found one, so that nobody's hand is in it."""
    return any(mask is not None and _holds(mask, found.scar_box, found.box) for mask in (drawn.scar, masks.whole(SCAR)))


def _with_scar_of(found: Analysis, scar: np.ndarray, current: Analysis, original: Analysis, edited: bool) -> Analysis:
    """`found`, which was given a scar mask, with the words and the probability of the method that the scar comes from."""
    method = current.method
    if edited:
        unedited = original.method.name not in RULES and _holds(scar, original.scar_box, original.box)
        words = original.method.words
        method = original.method if unedited else ScarMethod(GIVEN, words + BY_HAND, source=original.method.source)
    found = replace(found, method=replace(method, wall_given=found.method.wall_given))
    return found if current.scar_probability_box is None else with_probability(found, current.scar_probability)


def with_probability(found: Analysis, whole: Volume) -> Analysis:
    """`found` with a model's scar probability (float32 0…1 on the scan's grid), in the voxels and on the surface."""
    probability = np.ascontiguousarray(whole.array[found.box.slices])
    probe = NormalProbe.along(found.box_geometry, found.surface, found.settings.scar_reach_mm)
    along = np.maximum(probe.maximum(probability, np.ones(probability.shape, dtype=bool)), 0.0).astype(np.float32)
    return replace(found, scar_probability_box=probability, surface=found.surface.with_arrays(scar_probability=along))


def _wall_is_drawn(drawn: Drawn, masks: Masks, changed: frozenset[str], current: Analysis, original: Analysis) -> bool:
    """Whether the wall is somebody's drawing and not what the cavity's distance gives."""
    if WALL not in changed or original.method.wall_given:
        return current.method.wall_given or WALL in changed
    near = Box.around(masks.cavity | masks.wall, 1.0, (1.0, 1.0, 1.0)).slices
    thickness = current.settings.wall_outside_mm
    outside = distance_to(masks.cavity[near], current.geometry.spacing_kji, 2 * thickness)
    automatic = measured_wall(outside, thickness)
    walls = [masks.wall] if drawn.wall is None else [masks.wall, drawn.wall[masks.box.slices]]
    return not any(np.array_equal(wall[near] & ~masks.cavity[near], automatic) for wall in walls)


def _finished(found: Analysis, current: Analysis, original: Analysis) -> Analysis:
    """`found` with what an analysis of arrays can't know: remarks of readers and models, files, what was edited."""
    carried = tuple(f for f in current.flags if f.code not in FOUND_BY_ANALYSIS and f.code != MODEL_BEFORE_EDIT and f not in found.flags)
    kept = tuple(f for f in found.flags if f.code != MODEL_BEFORE_EDIT)
    digests, before = found.provenance["masks"], original.provenance["masks"]
    # A wall and a scar that were computed follow the cavity; only a person's are called edited.
    drawn = {CAVITY: True, WALL: found.method.wall_given, SCAR: found.method.title.endswith(BY_HAND)}
    edited = [name for name in (CAVITY, WALL, SCAR) if drawn[name] and digests[name] != before[name]]
    by_model = original.method.name not in RULES and original.method.name != GIVEN and found.method.name not in RULES
    older = (_older_than_cavity(original.method.name),) if by_model and CAVITY in edited else ()
    provenance = {**current.provenance, **found.provenance, "inputs": current.provenance["inputs"], "edited": edited}
    same_cavity = digests[CAVITY] == current.provenance["masks"][CAVITY] and found.box == current.box
    of_cavity = current.cavity_probability_box if same_cavity else None
    return replace(found, flags=kept + carried + older, provenance=provenance, cavity_probability_box=of_cavity)


def _older_than_cavity(model: str) -> QualityFlag:
    message = (
        f"The cavity was edited after the network {model} had found the scar; its scar was kept as it was. Press Apply to let the "
        "network look again."
    )
    return QualityFlag(MODEL_BEFORE_EDIT, message)


def _boxes(analysis: Analysis) -> dict[str, np.ndarray]:
    return {CAVITY: analysis.cavity_box, WALL: analysis.wall_box, SCAR: analysis.scar_box}


def _segments(drawn: Drawn) -> dict[str, np.ndarray | None]:
    return {CAVITY: drawn.cavity, WALL: drawn.wall, SCAR: drawn.scar}


def _pasted(mask: np.ndarray, box: Box, frame: Box) -> np.ndarray:
    """A mask that lies in `box` as it is in `frame`: cut off, and False beyond its own box; both boxes of the same grid."""
    pasted = np.zeros(frame.shape, dtype=bool)
    start = [max(a, b) for a, b in zip(box.start, frame.start)]
    stop = [min(a, b) for a, b in zip(box.stop, frame.stop)]
    there, here = (tuple(slice(a - o, b - o) for a, b, o in zip(start, stop, whose.start)) for whose in (frame, box))
    pasted[there] = mask[here]
    return pasted


def _inside(mask: np.ndarray, box: Box) -> bool:
    return np.count_nonzero(mask) == np.count_nonzero(mask[box.slices])


def _holds(mask: np.ndarray, part: np.ndarray, box: Box) -> bool:
    """Whether `mask`, on the whole grid, is `part` in `box` and empty elsewhere."""
    return np.array_equal(mask[box.slices], part) and _inside(mask, box)


def _has_ranges(analysis: Analysis) -> bool:
    return any(quantity.low is not None for quantity in analysis.measurements.values())


def differing(drawn: Drawn, analysis: Analysis) -> tuple[str, ...]:
    """Which of the three segments don't hold the analysis's masks, voxel by voxel."""
    then = _boxes(analysis)
    return tuple(name for name, mask in _segments(drawn).items() if mask is None or not _holds(mask, then[name], analysis.box))


def same_anatomy(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses have the same cavity and the same wall."""
    pairs = ((one.cavity_box, other.cavity_box), (one.wall_box, other.wall_box))
    return one.box == other.box and all(np.array_equal(a, b) for a, b in pairs)

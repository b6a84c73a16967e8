"""What an edit means for a result: which masks a person changed, and the analysis that follows from them. Nothing here is a node."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..analysis import Analysis, ScarMethod
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


def edits(drawn: Drawn, analysis: Analysis) -> frozenset[str]:
    """Which of `CAVITY`, `WALL`, `SCAR`, `PLANES` a person changed since `analysis`.

    What an editor took off or gave to another segment on the way (see `repaired`) is no edit.
    """
    return _changes(repaired(drawn, analysis), analysis)


def _changes(masks: Drawn, analysis: Analysis) -> frozenset[str]:
    outside_cavity = ~masks.cavity
    changed = {
        CAVITY: (masks.cavity != _whole(analysis, analysis.cavity_box)).any(),
        WALL: ((masks.wall != _whole(analysis, analysis.wall_box)) & outside_cavity).any(),
        SCAR: (masks.scar != _whole(analysis, analysis.scar_box)).any(),
        PLANES: not same_planes(masks.planes, analysis.planes),
    }
    return frozenset(name for name, is_so in changed.items() if is_so)


def repaired(drawn: Drawn, analysis: Analysis) -> Drawn:
    """The masks without the side effects of Segment Editor's other settings; a removed segment is as it was.

    "Overwrite all" takes voxels off the other segments where one is painted; erasing inside another segment gives that one
    what was erased (vtkSlicerSegmentEditorLogic::ModifySegmentByLabelmap).
    """
    old = {name: _whole(analysis, box) for name, box in _boxes(analysis).items()}
    cavity, wall, scar = (old[n] if m is None else m for n, m in ((CAVITY, drawn.cavity), (WALL, drawn.wall), (SCAR, drawn.scar)))
    new_scar, lost_scar = scar & ~old[SCAR], old[SCAR] & ~scar
    return replace(
        drawn,
        cavity=cavity | (old[CAVITY] & ~cavity & new_scar),
        wall=(wall | (old[WALL] & ~wall & new_scar)) & ~(wall & ~old[WALL] & lost_scar),
        scar=scar | (lost_scar & cavity & ~old[CAVITY]),
    )


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
    changed = _changes(masks, current)
    ranges = ranges and current.settings.perturbation
    if not changed and (not ranges or _has_ranges(current)):
        return current
    if changed <= {SCAR} and not ranges and _inside(masks.scar, current.box):
        return _finished(_only_scar(masks.scar, drawn, current, original), current, original)
    wall = masks.wall if _wall_is_drawn(drawn, masks, changed, current, original) else None
    keeps_scar = current.method.name not in RULES or SCAR in changed
    if SCAR in changed and original.method.name in RULES:
        found = _analysed(masks, current, wall, None, ranges)
        if _is_scar_of(found, drawn, masks):
            return _finished(found, current, original)
    found = _analysed(masks, current, wall, masks.scar if keeps_scar else None, ranges)
    if keeps_scar:
        found = _with_scar_of(found, masks.scar, current, original, SCAR in changed)
    return _finished(found, current, original)


def _analysed(masks: Drawn, current: Analysis, wall: np.ndarray | None, scar: np.ndarray | None, ranges: bool) -> Analysis:
    given = {name: Volume(mask, current.geometry) for name, mask in ((WALL, wall), (SCAR, scar)) if mask is not None}
    return analyse(
        current.volume, current.settings, cavity=Volume(masks.cavity, current.geometry), planes=masks.planes, ranges=ranges, **given
    )


def _only_scar(scar: np.ndarray, drawn: Drawn, current: Analysis, original: Analysis) -> Analysis:
    """Another scar in the same wall: nothing but map and numbers is computed."""
    if original.method.name in RULES:
        found = change_threshold(current, original.settings.rule, original.settings.threshold)
        if _is_scar_of(found, drawn, drawn):
            return found
    found = change_scar(current, np.ascontiguousarray(scar[current.box.slices]))
    return _with_scar_of(found, scar, current, original, True)


def _is_scar_of(found: Analysis, drawn: Drawn, masks: Drawn) -> bool:
    """Whether the drawn scar is the found one, so that nobody's hand is in it."""
    whole = _whole(found, found.scar_box)
    return any(mask is not None and np.array_equal(mask, whole) for mask in (drawn.scar, masks.scar))


def _with_scar_of(found: Analysis, scar: np.ndarray, current: Analysis, original: Analysis, edited: bool) -> Analysis:
    """`found`, which was given a scar mask, with the words and the probability of the method that the scar comes from."""
    method = current.method
    if edited:
        unedited = original.method.name not in RULES and np.array_equal(scar, _whole(original, original.scar_box))
        words = original.method.words
        method = original.method if unedited else ScarMethod("mask", words + BY_HAND, source=original.method.source)
    found = replace(found, method=replace(method, wall_given=found.method.wall_given))
    return found if current.scar_probability_box is None else with_probability(found, current.scar_probability)


def with_probability(found: Analysis, whole: Volume) -> Analysis:
    """`found` with a model's scar probability (float32 0…1 on the scan's grid), in the voxels and on the surface."""
    probability = np.ascontiguousarray(whole.array[found.box.slices])
    probe = NormalProbe.along(found.box_geometry, found.surface, found.settings.scar_reach_mm)
    along = np.maximum(probe.maximum(probability, np.ones(probability.shape, dtype=bool)), 0.0).astype(np.float32)
    return replace(found, scar_probability_box=probability, surface=found.surface.with_arrays(scar_probability=along))


def _wall_is_drawn(drawn: Drawn, masks: Drawn, changed: frozenset[str], current: Analysis, original: Analysis) -> bool:
    """Whether the wall is somebody's drawing and not what the cavity's distance gives."""
    if WALL not in changed or original.method.wall_given:
        return current.method.wall_given or WALL in changed
    box = Box.around(masks.cavity | masks.wall, 1.0, (1.0, 1.0, 1.0)).slices
    thickness = current.settings.wall_outside_mm
    outside = distance_to(masks.cavity[box], current.geometry.spacing_kji, 2 * thickness)
    automatic = measured_wall(outside, thickness)
    walls = [mask for mask in (drawn.wall, masks.wall) if mask is not None]
    return not any(np.array_equal(mask[box] & ~masks.cavity[box], automatic) for mask in walls)


def _finished(found: Analysis, current: Analysis, original: Analysis) -> Analysis:
    """`found` with what an analysis of arrays can't know: remarks of readers and models, files, what was edited."""
    carried = tuple(f for f in current.flags if f.code not in FOUND_BY_ANALYSIS and f.code != MODEL_BEFORE_EDIT and f not in found.flags)
    kept = tuple(f for f in found.flags if f.code != MODEL_BEFORE_EDIT)
    digests, before = found.provenance["masks"], original.provenance["masks"]
    # A wall and a scar that were computed follow the cavity; only a person's are called edited.
    drawn = {CAVITY: True, WALL: found.method.wall_given, SCAR: found.method.title.endswith(BY_HAND)}
    edited = [name for name in (CAVITY, WALL, SCAR) if drawn[name] and digests[name] != before[name]]
    by_model = original.method.name not in RULES and original.method.name != "mask" and found.method.name not in RULES
    older = (_older_than_cavity(original.method.name),) if by_model and CAVITY in edited else ()
    provenance = {**current.provenance, **found.provenance, "inputs": current.provenance["inputs"], "edited": edited}
    return replace(found, flags=kept + carried + older, provenance=provenance)


def _older_than_cavity(model: str) -> QualityFlag:
    message = (
        f"The cavity was edited after the network {model} had found the scar; its scar was kept as it was. Press Apply to let the "
        "network look again."
    )
    return QualityFlag(MODEL_BEFORE_EDIT, message)


def _boxes(analysis: Analysis) -> dict[str, np.ndarray]:
    return {CAVITY: analysis.cavity_box, WALL: analysis.wall_box, SCAR: analysis.scar_box}


def _whole(analysis: Analysis, mask_box: np.ndarray) -> np.ndarray:
    whole = np.zeros(analysis.geometry.shape, dtype=bool)
    whole[analysis.box.slices] = mask_box
    return whole


def _inside(mask: np.ndarray, box: Box) -> bool:
    return np.count_nonzero(mask) == np.count_nonzero(mask[box.slices])


def _has_ranges(analysis: Analysis) -> bool:
    return any(quantity.low is not None for quantity in analysis.measurements.values())


def differing(drawn: Drawn, analysis: Analysis) -> tuple[str, ...]:
    """Which of the three segments don't hold the analysis's masks, voxel by voxel."""
    now = {CAVITY: drawn.cavity, WALL: drawn.wall, SCAR: drawn.scar}
    then = {name: _whole(analysis, box) for name, box in _boxes(analysis).items()}
    return tuple(name for name, mask in now.items() if mask is None or not np.array_equal(mask, then[name]))


def same_anatomy(one: Analysis, other: Analysis) -> bool:
    """Whether two analyses have the same cavity and the same wall."""
    pairs = ((one.cavity_box, other.cavity_box), (one.wall_box, other.wall_box))
    return one.box == other.box and all(np.array_equal(a, b) for a, b in pairs)

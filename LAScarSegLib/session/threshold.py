"""The threshold under the slider: map and numbers follow at once, the scar segment when the slider is let go."""

from ..analysis import Analysis, ByRule, Change, revise
from ..errors import InputError
from ..scene.build import SceneNodes
from ..scene.review import show_scar


def why_no_threshold(analysis: Analysis) -> str:
    """Why the threshold slider has nothing to move, "" when it has."""
    scar = analysis.sources.scar
    if not isinstance(scar, ByRule):
        label = analysis.method.label
        return f"The scar of this result is no rule's ({label}); a threshold would replace it. Choose a rule and press Apply."
    return f"{analysis.method.title} finds its threshold by itself." if scar.parameter is None else ""


def set_threshold(nodes: SceneNodes, analysis: Analysis, value: float) -> Analysis:
    """The analysis with another threshold of the same rule, shown at once.

    The scar segment waits for `scene.review.write_scar`: writing voxels at every tick of a slider would stutter.

    Raises
    ------
    InputError
        for a scar that no rule made, a value the rule can't use, or when volume or surface were deleted.
    """
    reason = why_no_threshold(analysis)
    if reason:
        raise InputError(reason)
    changed = revise(analysis, Change(scar=ByRule(analysis.sources.scar.name, value)), ranges=analysis.has_ranges)
    show_scar(nodes, changed)
    return changed

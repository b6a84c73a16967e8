"""Correct a result and measure again: what Segment Editor is set to, what was changed, and the way back; the threshold under the
slider; and a result that a loaded scene holds, taken up again."""

from dataclasses import replace
from typing import Any

from ..analysis import Analysis, ByRule, Change, revise
from ..analysis.sources import CAVITY, SCAR, WALL
from ..errors import InputError
from ..scene.attributes import shows
from ..scene.bands import hide_band, show_band
from ..scene.build import SceneNodes, require_in_scene, show_findings, update_scene, update_settings
from ..scene.drawing import EditorSetup, editor_setup
from ..scene.plane_markups import plane_nodes, read_planes, show_found, show_planes
from ..scene.review import show_scar
from ..scene.segmentation import KINDS, has_segment, require_in_place, segment_mask, segment_times, set_segment
from ..scene.stored import find_source, read_result, require_result, result_nodes
from ..scene.views import look_at
from ..surface.band_reach import BandReach
from ..surface.findings import Findings
from ..surface.gaps import Bands
from ..surface.planes import CutPlane
from . import edits
from .gaps import proposed_planes

MOST_STATES = 30
"""So many states are known again: Segment Editor goes ten steps back (UNDO_STATES of LAScarSegPanel.edit_section), and forth."""


class EditSession:
    """One result under correction: its nodes, and the analysis they show.

    `snapshot`, `edited`, `apply` and `update` are for the thread of the windows, `measure` for any. Every one raises
    `InputError` with the remedy when the volume or the segmentation was deleted meanwhile.

    Undo stays Segment Editor's: it takes back strokes, one at a time, with the wall and scar that went with them, and the
    next update brings map and numbers back. Redo lasts until an update writes into a segment. Thresholds and planes aren't
    strokes: nothing undoes them but setting them back.

    A state that was shown before and comes back (undo, redo, put back) is that state.
    """

    def __init__(self, scene: Any, nodes: SceneNodes, analysis: Analysis) -> None:
        self._scene, self.nodes = scene, nodes
        self.analysis = analysis
        self._shown: list[edits.ShownState] = []
        self._unwritten = False
        self._has_plane_nodes = False
        self._show(analysis, self._stamp())

    def rebase(self, analysis: Analysis) -> None:
        """Another threshold or method was chosen for the same nodes; while a slider is dragged the segments still show the one before."""
        stamp = self._stamp()
        if self._unwritten:
            self._shown.pop()
        self._unwritten = stamp == self._written
        self._show(analysis, stamp)

    def _show(self, analysis: Analysis, stamp: tuple[int, ...]) -> None:
        self.analysis, self._written = analysis, stamp
        self._shown = [*self._shown, edits.ShownState.of(analysis)][-MOST_STATES:]

    def is_shown(self) -> bool:
        """Whether the table still holds these numbers: Slicer's own undo of a scene, where it is switched on, puts earlier ones there."""
        return shows(self._scene, self.nodes.measurements, self.analysis)

    def confirm_cavity(self) -> Analysis:
        """The analysis with the network's cavity taken for good by a person, shown in the nodes; `rebase` on it, or `LiveUpdate.rebase`."""
        analysis = revise(self.analysis, Change(confirm_cavity=True), ranges=self.analysis.has_ranges)
        self.nodes = update_scene(self._scene, analysis, self.nodes, (), same_anatomy=True, same_networks=True)
        return analysis

    def with_findings_settings(self, bands: BandReach, regions: str) -> Analysis:
        """The analysis with other bands around the veins, and another scheme of regions, shown in the nodes; `rebase` on it, or
        `LiveUpdate.rebase`. Regions and gaps are looked for later."""
        settings = replace(self.analysis.settings, bands=bands, regions=regions)
        analysis = revise(self.analysis, Change(settings=settings), ranges=self.analysis.has_ranges)
        update_settings(self._scene, analysis, self.nodes)
        return analysis

    def show_findings(self, findings: Findings, first_look: bool = False) -> None:
        """Regions and gaps of the analysis that is shown, put into the scene; after a `first_look` those with ranges follow."""
        found = self.analysis.with_findings(findings)
        self.nodes = show_findings(self._scene, found, self.nodes)
        if not first_look:
            self.analysis = found

    def show_band(self, bands: Bands | None, around: str = "") -> None:
        """The outline of the band around `around`, or ("") of all together; without bands none."""
        self._check_nodes()
        if bands is None:
            hide_band(self._scene, self.nodes.volume)
        else:
            show_band(self._scene, self.nodes, bands, around)

    def take_up_planes(self) -> tuple[CutPlane, ...]:
        """Markups for the planes that were found and cut nothing yet (`gaps.proposed_planes`), which are given from then on; returns them.

        The result follows as after any plane: call `LiveUpdate.touch`, or `update`.
        """
        self._check_nodes()
        proposed, volume = proposed_planes(self.analysis), self.nodes.volume
        # Where there are markups, these alone cut.
        show_planes(self._scene, volume, proposed if plane_nodes(self._scene, volume) else (*self.analysis.planes, *proposed))
        return proposed

    def look_at(self, point_lps: tuple[float, float, float]) -> None:
        """All views on a point of the atrium."""
        look_at(self._scene, self.analysis, point_lps)

    def prepare_editor(self, what: str) -> EditorSetup:
        """What Segment Editor needs to correct the `"cavity"` or the `"scar"`.

        No stroke changes another segment; scar is painted inside the wall only.
        """
        if what not in (CAVITY, SCAR):
            raise InputError(f"{what!r} can't be edited here; choose 'cavity' or 'scar'.")
        self._check_nodes()
        node, kind, wall = self.nodes.segmentation, KINDS[what], KINDS[WALL]
        for needed in (kind, wall):
            if not has_segment(node, needed):
                set_segment(node, needed, self.analysis)
        return editor_setup(node, kind.segment_id, self.nodes.volume, wall.segment_id if what == SCAR else None)

    def snapshot(self) -> edits.Segments:
        """What the segments and the plane markups hold now."""
        self._check_nodes()
        node, grid = self.nodes.segmentation, self.analysis.geometry
        masks = {name: segment_mask(node, kind.segment_id, grid) for name, kind in KINDS.items()}
        stamp, planes = self.state()
        return edits.Segments(**masks, planes=planes, stamp=stamp)

    def state(self) -> tuple[tuple[int, ...], tuple[CutPlane, ...]]:
        """Differs from an earlier state when a segment was written or a plane moved in between; takes no time."""
        self._check_nodes()
        return self._stamp(), self._planes()

    def edited(self) -> frozenset[str]:
        """Which of "cavity", "wall", "scar" and "planes" somebody changed since the analysis that is shown."""
        return edits.edits(self.snapshot(), self.analysis)

    def measure(self, drawn: edits.Segments, full: bool) -> Analysis:
        """The analysis of what is drawn (`edits.measure_edits`); with `full` its perturbation range too. Touches no node."""
        return edits.measure_edits(drawn, self.analysis, tuple(self._shown), full)

    def apply(self, analysis: Analysis, drawn: edits.Segments) -> bool:
        """Show an analysis that was made from `drawn`, in the nodes there are.

        False, and nothing is touched, when somebody drew on since: what they drew must not be overwritten.
        """
        if (drawn.stamp, drawn.planes) != self.state():
            return False
        wrong = [KINDS[name] for name in edits.ShownState.of(analysis).differing(drawn)]
        same = edits.same_anatomy(analysis, self.analysis), edits.same_networks(analysis, self.analysis)
        self.nodes = update_scene(self._scene, analysis, self.nodes, wrong, *same)
        self._unwritten = False
        self._show(analysis, self._stamp())
        return True

    def update(self, full: bool = True) -> Analysis:
        """Measure what is drawn and show it, all at once: for scripts and tests. In Slicer `session.live` does it beside the windows."""
        drawn = self.snapshot()
        analysis = self.measure(drawn, full)
        self.apply(analysis, drawn)
        return analysis

    def _planes(self) -> tuple[CutPlane, ...]:
        """The planes that markups show; those of the analysis as long as there never was a markup."""
        planes = read_planes(self._scene, self.nodes.volume)
        self._has_plane_nodes = self._has_plane_nodes or bool(planes)
        return planes if self._has_plane_nodes else self.analysis.planes

    def _stamp(self) -> tuple[int, ...]:
        """The times at which the three segments were written last."""
        return segment_times(self.nodes.segmentation)

    def _check_nodes(self) -> None:
        require_in_scene(self._scene, self.nodes.volume, "volume")
        require_in_place(require_in_scene(self._scene, self.nodes.segmentation, "segmentation"))


def has_result(scene: Any, volume: Any | None) -> bool:
    """Whether the scene holds a result of the volume node, or of its hardened copy, that `reopen` could take up."""
    return volume is not None and find_source(scene, volume) is not None


def reopen(scene: Any, volume: Any, ranges: bool = True) -> EditSession:
    """The session of the result that was computed from the volume node: the scene was loaded, or the module reloaded.

    It is the result that was stored, or what follows from what somebody drew since: no network runs.

    Parameters
    ----------
    ranges
        False leaves the perturbation range to a later update, which takes most of the time.

    Raises
    ------
    InputError
        there is no result, the scan was moved, or the cavity was emptied.
    """
    source = require_result(scene, volume)
    table, segmentation = result_nodes(scene, source)
    stored = read_result(scene, source, table, segmentation)
    cavity = stored.masks["cavity"]
    if cavity is None or not cavity.voxels:
        raise InputError("The cavity of this result is empty. Press Apply for a new one.")
    analysis = stored.analyse(ranges=ranges)
    if not plane_nodes(scene, source):
        # A result of the command line has planes, but no markups to drag them by.
        show = show_found if analysis.sources.planes_source == "found" else show_planes
        show(scene, source, analysis.planes)
    wrong = edits.ShownState.of(analysis).differing(edits.Segments(**stored.masks, planes=analysis.planes))
    nodes = update_scene(scene, analysis, SceneNodes.of(source, segmentation), [KINDS[name] for name in wrong])
    return EditSession(scene, nodes, analysis)


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
    changed = revise(analysis, Change(scar=analysis.sources.scar.with_threshold(value)), ranges=analysis.has_ranges)
    show_scar(nodes, changed)
    return changed

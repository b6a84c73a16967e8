"""An analysis as nodes of a scene: made the first time, updated ever after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..errors import InputError
from ..support.progress import Progress
from .attributes import annotate
from .gaps import add_findings, is_older, show_age
from .hierarchy import arrange, remove_items
from .maps import add_distance_maps, add_probability
from .model import add_cover, add_surface
from .mrml import ROLE, all_or_nothing, mark, nodes_of_class, remove_node, results_of
from .segmentation import SEGMENTS, SegmentKind, add_segmentation, set_segment, show_or_withhold_scar
from .tables import add_curve, add_measurements
from .volumes import node_geometry, volume_from_node, volume_to_node

INPUT_ROLE = "input"


@dataclass(frozen=True)
class SceneNodes:
    """The nodes of one result. `left_out` is None without exclusion planes, a probability where no network found the mask; `findings`
    are regions and gaps (`gaps.add_findings`), none where nobody has looked for any."""

    volume: Any
    segmentation: Any
    surface: Any
    left_out: Any | None
    sdm_cavity: Any
    sdm_wall: Any
    cavity_probability: Any | None
    scar_probability: Any | None
    measurements: Any
    curve: Any
    curve_chart: Any
    findings: tuple[Any, ...] = ()

    @classmethod
    def of(cls, volume: Any, segmentation: Any) -> SceneNodes:
        """What `update_scene` needs to take up a result: it finds or makes the other nodes."""
        return cls(**dict.fromkeys(field.name for field in fields(cls)) | {"volume": volume, "segmentation": segmentation, "findings": ()})

    def results(self) -> list[Any]:
        """Every node there is but the input volume."""
        nodes = [getattr(self, field.name) for field in fields(self) if field.name not in ("volume", "findings")]
        return [*(node for node in nodes if node is not None), *self.findings]

    def needed(self) -> list[Any]:
        """The results that an update doesn't take away and make anew by itself."""
        optional = (self.left_out, self.cavity_probability, self.scar_probability, *self.findings)
        return [node for node in self.results() if node not in optional]


def build_scene(
    scene: Any,
    analysis: Analysis,
    *,
    volume_node: Any | None = None,
    segmentation_node: Any | None = None,
    name: str = "LGE-MRI",
    progress: Progress | None = None,
) -> SceneNodes:
    """Put `analysis` into `scene`; a second call for the same volume updates the nodes of the first.

    Window, level, slice views and layout are left alone (`views.show` arranges them), and so is what a user changed in
    the display of a result.

    Parameters
    ----------
    scene
        a vtkMRMLScene: `slicer.mrmlScene`, or `new_scene()` outside Slicer.
    volume_node
        the vtkMRMLScalarVolumeNode that was analysed; None: found by its voxels, else made and called `name`.
    segmentation_node
        a vtkMRMLSegmentationNode to put the three segments into; None: the result's own.

    Raises
    ------
    InputError
        when `volume_node` is on another grid than the analysis.
    Cancelled
        from `progress`; nodes that were added by then are gone again.
    """
    progress = progress or Progress()
    with all_or_nothing(scene):
        progress.report("scene", 0.0, "Building the scene")
        source = _input_node(scene, analysis, name) if volume_node is None else _checked(volume_node, analysis)
        segmentation = add_segmentation(scene, analysis, source, segmentation_node)
        progress.report("scene", 0.3, "Building the scene: surface")
        return _add_results(scene, analysis, source, segmentation, None, None, progress)


def update_scene(
    scene: Any,
    analysis: Analysis,
    nodes: SceneNodes,
    segments: Sequence[SegmentKind] = SEGMENTS,
    same_anatomy: bool = False,
    same_networks: bool = False,
) -> SceneNodes:
    """Bring the nodes of a result up to date with an analysis of the same volume; what was deleted meanwhile is made anew.

    Parameters
    ----------
    segments
        which to write: a segment that somebody draws in keeps its undo steps when it is left alone.
    same_anatomy
        cavity and wall are what the nodes show already: the distance maps are left as they are.
    same_networks
        what networks found is what the nodes show already: so are the probabilities.

    Raises
    ------
    InputError
        when the volume or the segmentation is no longer in the scene, or the volume was moved.
    """
    source, segmentation = require_in_scene(scene, nodes.volume, "volume"), require_in_scene(scene, nodes.segmentation, "segmentation")
    _checked(source, analysis)
    maps = (nodes.sdm_cavity, nodes.sdm_wall)
    keep_maps = same_anatomy and all(node.GetScene() is scene for node in maps)
    with all_or_nothing(scene):
        for kind in segments:
            set_segment(segmentation, kind, analysis)
        probabilities = (nodes.cavity_probability, nodes.scar_probability)
        if not same_networks or any(node is not None and node.GetScene() is not scene for node in probabilities):
            probabilities = None
        return _add_results(scene, analysis, source, segmentation, maps if keep_maps else None, probabilities, Progress())


def require_in_scene(scene: Any, node: Any, what: str) -> Any:
    """The node; `InputError` when somebody took it out of the scene."""
    if scene is None or node.GetScene() is not scene:
        raise InputError(f"The {what} {node.GetName()!r} of this result is no longer in the scene. Load it again and press Apply.")
    return node


def _add_results(
    scene: Any,
    analysis: Analysis,
    source: Any,
    segmentation: Any,
    maps: tuple[Any, Any] | None,
    probabilities: tuple[Any, Any] | None,
    progress: Progress,
) -> SceneNodes:
    """Everything beside the segmentation; `maps` and `probabilities` are nodes that hold the right voxels already."""
    surface, left_out = add_surface(scene, analysis, source), add_cover(scene, analysis, source)
    show_or_withhold_scar(segmentation, analysis)
    progress.report("scene", 0.5, "Building the scene: distance maps")
    sdm_cavity, sdm_wall = maps or add_distance_maps(scene, analysis, source)
    probabilities = probabilities or tuple(add_probability(scene, analysis, source, name) for name in ("cavity", "scar"))
    progress.report("scene", 0.8, "Building the scene: tables")
    measurements = add_measurements(scene, analysis, source)
    curve, chart = add_curve(scene, analysis, source)
    findings = add_findings(scene, analysis, source)
    nodes = SceneNodes(source, segmentation, surface, left_out, sdm_cavity, sdm_wall, *probabilities, measurements, curve, chart, findings)
    # What is older than the map goes on saying how it was made.
    annotate(analysis, [node for node in nodes.results() if node not in findings or not is_older(node, analysis)], measurements)
    progress.report("scene", 1.0, "The scene is built")
    # Last: a folder in the Data module is no node, and would stay behind when the rest was cancelled.
    arrange(scene, source, nodes.results())
    return nodes


def update_settings(scene: Any, analysis: Analysis, nodes: SceneNodes) -> None:
    """Of the analysis that `nodes` show already nothing but its settings changed, and with them perhaps what findings follow from.

    Nodes say how they were made; findings say whether they are older. `InputError` when the volume is gone.
    """
    source = require_in_scene(scene, nodes.volume, "volume")
    findings = show_age(scene, analysis, source)
    annotate(analysis, [node for node in nodes.results() if node not in findings or not is_older(node, analysis)], nodes.measurements)


def show_findings(scene: Any, analysis: Analysis, nodes: SceneNodes) -> SceneNodes:
    """The findings that `analysis` knows beside the result that `nodes` show already; `InputError` when the volume is gone."""
    source = require_in_scene(scene, nodes.volume, "volume")
    with all_or_nothing(scene):
        found = replace(nodes, findings=add_findings(scene, analysis, source))
        annotate(analysis, found.findings, found.measurements)
    arrange(scene, source, found.results())
    return found


def _input_node(scene: Any, analysis: Analysis, name: str) -> Any:
    """The volume node an earlier call made for this very image, else a new one, shown as the blood pool asks for."""
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        if node.GetAttribute(ROLE) == INPUT_ROLE and _on_grid(node, analysis):
            if np.array_equal(volume_from_node(node).array, analysis.volume.array):
                return node
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    mark(node, INPUT_ROLE, None)
    # The window first: a display that gets voxels without one works out its own.
    node.CreateDefaultDisplayNodes()
    set_window_level(node, analysis)
    volume_to_node(analysis.volume, node)
    return node


def set_window_level(volume_node: Any, analysis: Analysis) -> None:
    """From black to twice the mean of the blood pool: blood is mid grey, scar is bright, on every scanner."""
    mean = analysis.blood_pool.mean
    display = volume_node.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(2 * mean, mean)


def _on_grid(node: Any, analysis: Analysis) -> bool:
    return node.GetImageData() is not None and node_geometry(node).same_grid(analysis.geometry)


def _checked(node: Any, analysis: Analysis) -> Any:
    if not _on_grid(node, analysis):
        raise InputError(
            f"The volume {node.GetName()!r} is not on the grid that was analysed ({'×'.join(map(str, analysis.geometry.size))} voxels): "
            "it is another one, or it was moved since. Analyse it again."
        )
    return node


def remove_scene(scene: Any, nodes: SceneNodes) -> None:
    """Take a result and its input volume out of the scene, with its folder: a batch goes on to the next scan."""
    remove_items(scene, nodes.volume, nodes.results())
    for node in (*results_of(scene, nodes.volume), nodes.volume):
        remove_node(scene, node)

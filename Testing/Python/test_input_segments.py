"""Segments that a result started from, drawn in after it was made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

slicer = pytest.importorskip("slicer", reason="scenes need slicer-core")

from scene_cases import AXIAL, scan
from session_cases import add_segment, ball_nodes

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.scene.segmentation import CAVITY, SegmentKind, write_voxels
from LAScarSegLib.session.choices import Choices, write_choices
from LAScarSegLib.session.input_segments import InputSegments
from LAScarSegLib.volumes.volume import Volume


@dataclass
class Started:
    """A result of two segments, and their nodes and voxels by the mask."""

    scene: Any
    nodes: mrml.SceneNodes
    analysis: Any
    choices: Choices
    segments: dict[str, tuple[Any, str]]
    voxels: dict[str, np.ndarray]

    def draw(self, mask: str, array: np.ndarray) -> None:
        node, segment = self.segments[mask]
        kind = SegmentKind(segment, "", "", "", "", (0, 0, 0), 1.0, 1.0)
        write_voxels(node, kind, array.astype(np.uint8), AXIAL)


@pytest.fixture
def started() -> Started:
    scene = mrml.new_scene()
    image, cavity = scan(AXIAL)
    inside = cavity.array > 0
    wall = Volume((ndimage.binary_dilation(inside, iterations=2) & ~inside).astype(np.uint8), AXIAL)
    volume, drawn, choices = ball_nodes(scene)
    drawn_wall = add_segment(scene, wall, "wall")
    wall_segment = drawn_wall.GetSegmentation().GetNthSegmentID(0)
    choices = replace(choices, wall_segmentation_id=drawn_wall.GetID(), wall_segment_id=wall_segment)
    analysis = analyse(image, Settings("iir", 1.2, None, perturbation=False), cavity=cavity, wall=wall)
    nodes = mrml.build_scene(scene, analysis, volume_node=volume)
    write_choices(nodes.measurements, choices)
    segments = {"cavity": (drawn, choices.segment_id), "wall": (drawn_wall, wall_segment)}
    return Started(scene, nodes, analysis, choices, segments, {"cavity": inside, "wall": wall.array > 0})


@pytest.mark.parametrize("mask", ["cavity", "wall"])
def test_a_segment_is_redrawn_until_it_is_what_it_was(started, mask):
    inputs = InputSegments(started.scene)
    assert inputs.redrawn(started.nodes, started.analysis) == ()
    started.draw(mask, ndimage.binary_dilation(started.voxels[mask]))
    assert inputs.redrawn(started.nodes, started.analysis) == (mask,)
    started.draw(mask, started.voxels[mask])
    assert inputs.redrawn(started.nodes, started.analysis) == ()


def test_a_segment_that_is_gone_was_not_redrawn(started):
    node, segment = started.segments["cavity"]
    node.GetSegmentation().RemoveSegment(segment)
    started.scene.RemoveNode(started.segments["wall"][0])
    assert InputSegments(started.scene).redrawn(started.nodes, started.analysis) == ()


def test_the_result_follows_its_own_segments(started):
    own = started.nodes.segmentation
    write_choices(started.nodes.measurements, replace(started.choices, segmentation_id=own.GetID(), segment_id=CAVITY.segment_id))
    write_voxels(own, CAVITY, ndimage.binary_dilation(started.voxels["cavity"]).astype(np.uint8), AXIAL)
    assert InputSegments(started.scene).redrawn(started.nodes, started.analysis) == ()


def test_where_a_script_s_result_comes_from_nobody_knows(started):
    nodes = mrml.build_scene(mrml.new_scene(), started.analysis)
    assert InputSegments(started.scene).redrawn(nodes, started.analysis) == ()

"""What the tests of edits share: the ball's result in a scene, and a hand that draws in its segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scene_cases import CENTRE_LPS, GRIDS, analysed, points_of

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import Analysis
from LAScarSegLib.scene import segmentation as segments
from LAScarSegLib.scene.volumes import LPS_TO_RAS, matrix_to_vtk
from LAScarSegLib.session.edit_session import EditSession

KINDS = {"cavity": segments.CAVITY, "wall": segments.WALL, "scar": segments.SCAR}
RIGHT = np.array([-1.0, 0.0, 0.0])
"""LPS: the patient's right, where the ball's wall is not enhanced."""


@dataclass
class Bench:
    """A result that was just shown, and the session that corrects it."""

    scene: Any
    nodes: mrml.SceneNodes
    session: EditSession

    def held(self, what: str) -> np.ndarray:
        """The voxels of a segment, (k, j, i) bool on the scan's grid."""
        mask = segments.segment_mask(self.nodes.segmentation, KINDS[what].segment_id, self.session.analysis.geometry)
        return np.zeros(self.session.analysis.geometry.shape, dtype=bool) if mask is None else mask.whole()

    def draw(self, what: str, mask: np.ndarray) -> None:
        """Replace what a segment holds, as an editor does: by Slicer's own function, on the whole grid."""
        import slicer
        from vtkmodules.util.numpy_support import numpy_to_vtk

        image = slicer.vtkOrientedImageData()
        geometry = self.session.analysis.geometry
        image.SetDimensions(*geometry.size)
        image.SetImageToWorldMatrix(matrix_to_vtk(LPS_TO_RAS @ geometry.index_to_lps_matrix))
        scalars = numpy_to_vtk(mask.astype(np.uint8).ravel(), deep=True)
        scalars.SetName("ImageScalars")
        image.GetPointData().SetScalars(scalars)
        logic = slicer.vtkSlicerSegmentationsModuleLogic
        assert logic.SetBinaryLabelmapToSegment(image, self.nodes.segmentation, KINDS[what].segment_id, logic.MODE_REPLACE)


def bench(analysis: Analysis | None = None, grid: str = "oblique") -> Bench:
    """The result of the ball (or another one) in a new scene."""
    analysis = analysed(grid) if analysis is None else analysis
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysis)
    return Bench(scene, nodes, EditSession(scene, nodes, analysis))


def ball(grid: str, centre_offset_mm: np.ndarray, radius_mm: float) -> np.ndarray:
    """The voxels within `radius_mm` of a point beside the ball's centre (LPS)."""
    return np.linalg.norm(points_of(GRIDS[grid]) - CENTRE_LPS - centre_offset_mm, axis=-1) <= radius_mm

"""The LA surface from a cavity mask: the zero level of the interpolated signed distance map, smoothed without shrinking."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

from ..anatomy.distance import depth_inside, distance_to
from ..volume import Box, Geometry
from .interpolation import resample_cubic
from .surface import Surface

PADDING_MM = 4.0
"""Background added around the cavity: closes the surface where the cavity touches the image border."""
SMOOTHING_PASS_BAND = 0.003
SMOOTHING_ITERATIONS = 100
"""Windowed sinc (Taubin 1996), strong enough to round off the flat last slice of a 2.5 mm stack; what it takes from small
radii is given back by smoothing the residual too (Tukey's twicing). Measured in Docs/validation.md."""


def cavity_surface(cavity: np.ndarray, geometry: Geometry, edge_mm: float, depth_mm: np.ndarray | None = None) -> Surface:
    """The closed surface of a cavity mask, in physical space.

    Shape-based interpolation (Raya & Udupa 1990): the signed distance map is interpolated with cubic splines to an
    isotropic grid of `edge_mm`, its zero level meshed and smoothed with a windowed sinc. Works along the grid's own
    axes and turns the result into LPS, so that the direction cosines change nothing.

    Parameters
    ----------
    cavity
        (k, j, i) bool, not empty.
    geometry
        the mask's grid.
    edge_mm
        about the length of a triangle's edge.
    depth_mm
        (k, j, i) `depth_inside` of the cavity where it is known, so that it isn't computed again.
    """
    box = Box.around(cavity, 0.0, geometry.spacing_kji)
    padding = [int(np.ceil(PADDING_MM / s)) + 1 for s in geometry.spacing_kji]
    sdm = _padded_distance(cavity, box, padding, geometry.spacing_kji, depth_mm)
    steps = [edge_mm / s for s in geometry.spacing_kji]
    polydata = _smooth(_zero_level(resample_cubic(sdm, steps)))
    kji = vtk_to_numpy(polydata.GetPoints().GetData())[:, ::-1].astype(np.float64) * steps
    ijk = (kji - padding + box.start)[:, ::-1]
    triangles = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return oriented_surface(geometry.index_to_lps(ijk), triangles)


def oriented_surface(points: np.ndarray, triangles: np.ndarray) -> Surface:
    """A surface with outward triangles and area-weighted vertex normals from points (N, 3) mm and triangles (M, 3)."""
    surface = Surface(points, triangles, np.zeros_like(points))
    if surface.volume_ml < 0:
        triangles = triangles[:, ::-1].copy()
    corners = points[triangles]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(triangles.ravel(), np.repeat(face_normals[:, axis], 3), minlength=len(points)) for axis in range(3)], axis=1
    )
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    return Surface(points, triangles, normals / np.maximum(lengths, np.finfo(float).tiny))


def _padded_distance(
    cavity: np.ndarray, box: Box, padding: list[int], spacing_kji: Sequence[float], depth_mm: np.ndarray | None
) -> np.ndarray:
    """The signed distance map in the cavity's box with background around; float32 mm, positive inside, not clipped."""
    widths = [(p, p) for p in padding]
    padded = np.pad(cavity[box.slices], widths)
    at_border = 0 in box.start or any(stop == size for stop, size in zip(box.stop, cavity.shape))
    # What lies beyond the image's border is background here, and not for `depth_inside`.
    known = depth_mm is not None and not at_border
    depth = np.pad(depth_mm[box.slices], widths) if known else depth_inside(padded, spacing_kji)
    return depth - distance_to(padded, spacing_kji)


def _zero_level(field: np.ndarray) -> vtkPolyData:
    image = vtkImageData()
    image.SetDimensions(*field.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(field.ravel(), deep=True))
    contour = vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.ComputeScalarsOff()
    contour.Update()
    return contour.GetOutput()


def _smooth(polydata: vtkPolyData) -> vtkPolyData:
    """Smoothed twice: S(p) + S(p − S(p)), which leaves low frequencies (small radii) alone where S alone shrinks them."""
    points = vtk_to_numpy(polydata.GetPoints().GetData()).astype(np.float32)
    once = _windowed_sinc(polydata, points)
    smoothed = vtkPolyData()
    smoothed.ShallowCopy(polydata)
    smoothed.SetPoints(_vtk_points(once + _windowed_sinc(polydata, points - once)))
    return smoothed


def _windowed_sinc(polydata: vtkPolyData, vectors: np.ndarray) -> np.ndarray:
    """(N, 3) vectors at the vertices, low-pass filtered over the mesh."""
    carrier = vtkPolyData()
    carrier.ShallowCopy(polydata)
    carrier.SetPoints(_vtk_points(vectors))
    smoother = vtkWindowedSincPolyDataFilter()
    smoother.SetInputData(carrier)
    smoother.SetPassBand(SMOOTHING_PASS_BAND)
    smoother.SetNumberOfIterations(SMOOTHING_ITERATIONS)
    # With normalisation off the filter is linear in the vectors, so that it may be given a residual.
    smoother.NormalizeCoordinatesOff()
    smoother.BoundarySmoothingOff()
    smoother.FeatureEdgeSmoothingOff()
    smoother.Update()
    return vtk_to_numpy(smoother.GetOutput().GetPoints().GetData()).astype(np.float32)


def _vtk_points(vectors: np.ndarray) -> vtkPoints:
    points = vtkPoints()
    points.SetData(numpy_to_vtk(np.ascontiguousarray(vectors, dtype=np.float32), deep=True))
    return points

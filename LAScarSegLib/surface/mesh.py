"""The LA surface from a cavity mask: the zero level of the interpolated signed distance map, smoothed without shrinking."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkWindowedSincPolyDataFilter

from ..anatomy.distance import depth_inside, distance_to
from ..volumes.orientation import Orientation
from ..volumes.volume import Box, Geometry
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
    isotropic grid of `edge_mm`, its zero level meshed and smoothed with a windowed sinc. Works along axes that follow from the
    mask itself and turns the result into LPS, so that neither the direction cosines nor the order in which the same voxels are
    stored change anything.

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
    turned = _orientation_of(cavity, geometry.spacing_kji)
    mask, spacing = turned.apply(cavity), turned.of_axes(geometry.spacing_kji)
    box = Box.around(mask, 0.0, spacing)
    padding = [int(np.ceil(PADDING_MM / s)) + 1 for s in spacing]
    sdm = _padded_distance(mask, box, padding, spacing, None if depth_mm is None else turned.apply(depth_mm))
    steps = [edge_mm / s for s in spacing]
    polydata = _smooth(_zero_level(resample_cubic(sdm, steps)))
    kji = vtk_to_numpy(polydata.GetPoints().GetData())[:, ::-1].astype(np.float64) * steps - padding + box.start
    triangles = vtk_to_numpy(polydata.GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return oriented_surface(geometry.index_to_lps(turned.undo_indices(kji, cavity.shape)[:, ::-1]), triangles)


def _orientation_of(mask: np.ndarray, spacing_kji: Sequence[float]) -> Orientation:
    """Axes that follow from the voxels and not from how they are stored: the thickest slices first, then the longest axis of the
    mask; each runs from the blunt end to the tapering one. Whole numbers, so that no rounding decides."""
    lengths, skews = [], []
    for axis in range(3):
        counts = [int(n) for n in np.count_nonzero(mask, axis=tuple(a for a in range(3) if a != axis))]
        n, first, second, third = (sum(count * place**power for place, count in enumerate(counts)) for power in range(4))
        lengths.append(n * second - first * first)
        skews.append(n * n * third - 3 * n * first * second + 2 * first**3)
    axes = sorted(range(3), key=lambda axis: (-round(spacing_kji[axis], 3), -lengths[axis], -abs(skews[axis])))
    return Orientation(tuple(axes), tuple(skews[axis] < 0 for axis in axes))


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


def resample_cubic(values: np.ndarray, steps: Sequence[float]) -> np.ndarray:
    """`values` (k, j, i) by cubic splines on a grid that starts at the same voxel, whose voxels are `steps` of the old ones long.

    A spline is linear in its samples and separable: one matrix for each axis. The numbers are those of SciPy's
    `affine_transform(order=3, mode="nearest")` at a twentieth of the cost, which there is 64 products for each new voxel.

    Returns
    -------
    float32 (k, j, i), as many new voxels along each axis as the old ones' centres reach.
    """
    by_k, by_j, by_i = (_spline_matrix(samples, step) for samples, step in zip(values.shape, steps))
    rows = by_j @ (values.astype(np.float64) @ by_i.T)
    return (by_k @ rows.reshape(len(rows), -1)).astype(np.float32).reshape(-1, *rows.shape[1:])


def _spline_matrix(samples: int, step: float) -> np.ndarray:
    """(n, samples): what the values at 0, step, 2 step … are made of, found by interpolating unit vectors."""
    count = int(np.floor((samples - 1) / step)) + 1
    unit = np.eye(samples)
    return ndimage.affine_transform(unit, [1.0, step], output_shape=(samples, count), order=3, mode="nearest").T

"""The LA in millimetres: a node grid around it with the true distance to its surface, and the surface itself as a mesh."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import vtk
from scipy import ndimage
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from ..surface.mesh import oriented_surface
from ..surface.polydata import mesh_polydata
from ..surface.subvoxel_distance import signed_distance_to_surface
from ..surface.surface import Surface
from ..volumes.volume import Box, Geometry
from .atrium import Atrium
from .shapes import FAR_MM, box_on_grid, grid_points

NODE_MM = 1.0
"""Spacing of the nodes on which smooth fields are evaluated; between them they are interpolated linearly. On a vein of
7 mm radius a distance field bends by at most NODE_MM²/(8 · 7 mm) = 0.02 mm between nodes."""
BAND_MM = 4.5
"""True distances are needed this far from the surface: the wall and a little more."""


@dataclass(frozen=True, eq=False)
class NodeGrid:
    """Fields on nodes of about 1 mm, aligned with the image axes.

    `distance` (k, j, i) mm to the surface of the open LA (negative inside; true near it), `beyond` mm beyond the
    mitral plane or a stump's end (negative: part of the LA).
    """

    geometry: Geometry
    distance: np.ndarray
    beyond: np.ndarray

    @cached_property
    def band(self) -> np.ndarray:
        """(n,) flat numbers of the nodes whose distance is true."""
        return np.flatnonzero(np.abs(self.distance) <= BAND_MM)

    @cached_property
    def band_points(self) -> np.ndarray:
        """(n, 3) LPS mm of the nodes of the band."""
        return self.points(self.band)

    def points(self, flat: np.ndarray) -> np.ndarray:
        """(n, 3) LPS mm of nodes by flat number."""
        kji = np.stack(np.unravel_index(flat, self.geometry.shape), axis=1)
        return self.geometry.index_to_lps(kji[:, ::-1])

    def from_band(self, values: np.ndarray, elsewhere: float) -> np.ndarray:
        """(k, j, i) float32: `values` (n,) on the band, `elsewhere` on all other nodes."""
        field = np.full(self.geometry.shape, np.float32(elsewhere))
        field.flat[self.band] = values
        return field

    def sample(self, field: np.ndarray, points: np.ndarray) -> np.ndarray:
        """`field` (k, j, i) at LPS points (n, 3), linearly interpolated."""
        index = self.geometry.lps_to_index(points)[:, ::-1].T
        return ndimage.map_coordinates(field, index, order=1, mode="nearest")

    def noise(self, rng: np.random.Generator, correlation_mm: float) -> np.ndarray:
        """(k, j, i) smooth Gaussian noise, mean 0 and SD 1, with a Gaussian kernel of SD `correlation_mm`."""
        white = rng.standard_normal(self.geometry.shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, [correlation_mm / s for s in self.geometry.spacing_kji], mode="wrap")
        return smooth / smooth.std(dtype=np.float64).astype(np.float32)


def make_nodes(atrium: Atrium, frame: Geometry) -> NodeGrid:
    """Evaluate the LA on the nodes `frame`; distances near the surface are those to its mesh, farther ones approximate."""
    raw = np.full(frame.shape, np.float32(FAR_MM))
    shape = atrium.open_shape
    box = box_on_grid(shape.low, shape.high, frame, 14.0)
    raw[box.slices] = shape.on_grid(frame, box, 14.0)
    beyond = np.full(frame.shape, -np.float32(FAR_MM))
    beyond[box.slices] = atrium.beyond_cuts(grid_points(frame, box))
    nodes = NodeGrid(frame, raw, beyond)
    near = np.flatnonzero(np.abs(raw) <= 2.0 * BAND_MM)
    raw.flat[near] = -signed_distance_to_surface(zero_level(raw, frame), nodes.points(near))
    return nodes


def zero_level(field: np.ndarray, geometry: Geometry) -> Surface:
    """The zero level of `field` (k, j, i), negative inside, as a closed mesh in LPS mm."""
    padded = np.pad(field, 1, constant_values=np.float32(FAR_MM))
    image = vtk.vtkImageData()
    image.SetDimensions(*padded.shape[::-1])
    image.GetPointData().SetScalars(numpy_to_vtk(padded.ravel(), deep=True))
    contour = vtk.vtkFlyingEdges3D()
    contour.SetInputData(image)
    contour.SetValue(0, 0.0)
    contour.ComputeNormalsOff()
    contour.Update()
    ijk = vtk_to_numpy(contour.GetOutput().GetPoints().GetData()).astype(float) - 1
    triangles = vtk_to_numpy(contour.GetOutput().GetPolys().GetConnectivityArray()).reshape(-1, 3).astype(np.int64)
    return oriented_surface(geometry.index_to_lps(ijk), triangles)


def isolines(surface: Surface, values: np.ndarray) -> list[np.ndarray]:
    """The closed lines on the mesh along which `values` (N,) is 0, each (n, 3) in order, longest first."""
    polydata = mesh_polydata(surface.points, surface.triangles)
    polydata.GetPointData().SetScalars(numpy_to_vtk(np.asarray(values, dtype=float), deep=True))
    contour = vtk.vtkContourFilter()
    contour.SetInputData(polydata)
    contour.SetValue(0, 0.0)
    stripper = vtk.vtkStripper()
    stripper.SetInputConnection(contour.GetOutputPort())
    stripper.SetMaximumLength(100_000)
    stripper.JoinContiguousSegmentsOn()
    stripper.Update()
    output = stripper.GetOutput()
    if output.GetNumberOfPoints() == 0:
        return []
    coordinates = vtk_to_numpy(output.GetPoints().GetData()).astype(float)
    offsets = vtk_to_numpy(output.GetLines().GetOffsetsArray())
    order = vtk_to_numpy(output.GetLines().GetConnectivityArray())
    lines = [coordinates[order[a:b]] for a, b in pairwise(offsets)]
    closed = [line for line in lines if len(line) > 8 and np.allclose(line[0], line[-1])]
    return sorted(closed, key=lambda line: -np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def frame_around(low: np.ndarray, high: np.ndarray, image: Geometry, margin_mm: float) -> tuple[Box, Geometry]:
    """The block of `image` voxels (even numbers in plane) around the LPS box low…high, and the nodes that span exactly that block."""
    box = box_on_grid(low, high, image, margin_mm)
    (k0, *start), (k1, *stop) = box.start, box.stop
    box = Box((k0, *(n - n % 2 for n in start)), (k1, *(n + n % 2 for n in stop)))
    extent = image.crop(box).extent_mm
    size = tuple(int(np.ceil(e / NODE_MM)) + 1 for e in extent)
    spacing = tuple(e / (n - 1) for e, n in zip(extent, size))
    # The first node lies on the block's corner, half a voxel before the first centre.
    origin = image.index_to_lps(np.array([box.start[::-1]]) - 0.5)[0]
    return box, Geometry(size, spacing, tuple(origin.tolist()), image.direction)

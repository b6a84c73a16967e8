"""Volumes as MRML volume nodes and back: the one place where LPS becomes Slicer's RAS, exactly, for every grid."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4
from vtkmodules.vtkCommonTransforms import vtkGeneralTransform

from ..datasets.sample_data import is_sample
from ..errors import InputError
from ..support.flags import QualityFlag
from ..volumes.files import SIMULATED, header_flags
from ..volumes.volume import Geometry, Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Both frames share the superior axis; left and posterior change sign. Its own inverse."""

FLAGS = "LAScarSeg.flags"
"""Node attribute: what the reader of the file remarked, as JSON, so that an analysis of the node can repeat it."""

RIGHT_ANGLE_TOLERANCE = 1e-3
"""Largest |cosine| between two voxel axes that still counts as a right angle (0.06°): header rounding, not shear."""


def volume_to_node(volume: Volume, node: Any) -> Any:
    """Put voxels and geometry into a vtkMRMLScalarVolumeNode (the voxels are copied); returns the node."""
    image = vtkImageData()
    image.SetDimensions(*volume.geometry.size)
    image.GetPointData().SetScalars(vtk_array("ImageScalars", volume.array.ravel(), np.uint8 if volume.array.dtype == bool else None))
    set_node_geometry(node, volume.geometry)
    node.SetAndObserveImageData(image)
    if volume.flags:
        node.SetAttribute(FLAGS, json.dumps([flag.to_json() for flag in volume.flags]))
    return node


def vtk_array(name: str, values: np.ndarray, dtype: type | None = None) -> Any:
    """A VTK array of that name with a copy of the values, (N,) or (N, components), as `dtype` (None: as they are)."""
    array = numpy_to_vtk(np.ascontiguousarray(values, dtype=dtype), deep=True)
    array.SetName(name)
    return array


def set_node_geometry(node: Any, geometry: Geometry) -> None:
    """Spacing, origin and directions of the grid in RAS; set one by one, so that no norm has to be taken of them."""
    node.SetSpacing(*geometry.spacing)
    node.SetOrigin(*(LPS_TO_RAS[:3, :3] @ geometry.origin))
    node.SetIJKToRASDirections(*(LPS_TO_RAS[:3, :3] @ geometry.rotation).ravel())


def volume_from_node(node: Any | None) -> Volume:
    """Voxels (a copy) and geometry of a scalar or label map volume node, where the views show it.

    A linear parent transform is applied to the geometry of the copy; the node stays as it is.

    Raises
    ------
    InputError
        no node, no image in it, more than one value a voxel, or a transform that bends or shears the grid.
    """
    if node is None:
        raise InputError("No volume is selected. Choose the LGE-MRI volume.")
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise InputError(f"The volume {name!r} holds no image. Load the scan again, or choose another volume.")
    scalars = image.GetPointData().GetScalars()
    if scalars.GetNumberOfComponents() != 1:
        raise InputError(
            f"The volume {name!r} has {scalars.GetNumberOfComponents()} values a voxel (a colour or vector image); "
            "choose one with a single grey level."
        )
    array = voxels_of(image).copy()
    return Volume(array, node_geometry(node), _flags(node, array))


def voxels_of(image: Any) -> np.ndarray:
    """(k, j, i) values of a vtkImageData with one value a voxel, not copied."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def _flags(node: Any, array: np.ndarray) -> tuple[QualityFlag, ...]:
    """What the reader of the file noted. Slicer's own readers note nothing, so the header, if the file is still there, is looked at."""
    noted = node.GetAttribute(FLAGS)
    if noted is not None:
        return tuple(QualityFlag(**flag) for flag in json.loads(noted))
    if is_sample(array):
        return (SIMULATED,)
    storage = node.GetStorageNode()
    file = None if storage is None or not storage.GetFileName() else storage.GetFullNameFromFileName()
    return header_flags(Path(file)) if file else ()


def hardened_from_node(node: Any | None) -> tuple[Volume, bool]:
    """Voxels and geometry of a volume node where the views show it, under any transform; the node stays as it is.

    Returns the volume, and True when a transform that bends or shears made it necessary to resample the voxels (linearly,
    by Slicer's own code, as Harden transform does). Raises `InputError` as `volume_from_node` does.
    """
    transform = None if node is None or node.GetImageData() is None else node.GetParentTransformNode()
    if transform is None or _keeps_a_grid(transform, node):
        return volume_from_node(node), False
    copy, image = type(node)(), vtkImageData()
    copy.SetName(node.GetName())
    image.DeepCopy(node.GetImageData())
    copy.CopyOrientation(node)
    copy.SetAndObserveImageData(image)
    to_world = vtkGeneralTransform()
    transform.GetTransformToWorld(to_world)
    copy.ApplyNonLinearTransform(to_world)
    hardened = volume_from_node(copy)
    return replace(hardened, flags=_flags(node, voxels_of(node.GetImageData()))), True


def _keeps_a_grid(transform: Any, node: Any) -> bool:
    """Whether the node's grid is still one, with axes at right angles, where its parent transform puts it."""
    if not transform.IsTransformToWorldLinear():
        return False
    try:
        node_geometry(node)
    except InputError:
        return False
    return True


def node_geometry(node: Any) -> Geometry:
    """The grid of a volume node that holds an image, where the views show it; `InputError` as for `volume_from_node`."""
    size = node.GetImageData().GetDimensions()
    rotation_ras = np.zeros((3, 3))
    node.GetIJKToRASDirections(rotation_ras)
    origin, rotation = LPS_TO_RAS[:3, :3] @ node.GetOrigin(), LPS_TO_RAS[:3, :3] @ rotation_ras
    geometry = Geometry(tuple(size), tuple(node.GetSpacing()), tuple(origin), tuple(rotation.ravel()))
    transform = node.GetParentTransformNode()
    return geometry if transform is None else _moved(geometry, transform, node.GetName())


def _moved(geometry: Geometry, transform: Any, name: str) -> Geometry:
    """The grid where its parent transform puts it, if it is still a grid there."""
    remedy = "Apply it to the voxels first: right-click the volume in the Data module, Harden transform, or resample it."
    if not transform.IsTransformToWorldLinear():
        raise InputError(f"The volume {name!r} lies under the transform {transform.GetName()!r}, which bends space. {remedy}")
    to_world = vtkMatrix4x4()
    transform.GetMatrixTransformToWorld(to_world)
    return geometry_from_ras_matrix(geometry.size, matrix_from_vtk(to_world) @ LPS_TO_RAS @ geometry.index_to_lps_matrix, name)


def geometry_from_ras_matrix(size: tuple[int, int, int], index_to_ras: np.ndarray, name: str) -> Geometry:
    """The grid of a 4×4 matrix from (i, j, k, 1) to RAS mm.

    Raises
    ------
    InputError
        when the axes are not at right angles; `name` says whose grid it is.
    """
    index_to_lps = LPS_TO_RAS @ index_to_ras
    spacing = np.linalg.norm(index_to_lps[:3, :3], axis=0)
    rotation = index_to_lps[:3, :3] / np.where(spacing > 0, spacing, 1.0)
    cosines = np.abs(rotation.T @ rotation - np.eye(3)).max()
    if cosines > RIGHT_ANGLE_TOLERANCE:
        raise InputError(
            f"The voxel axes of {name!r} are not at right angles (cosine {cosines:.3f}): its transform shears it. "
            "Harden the transform on a copy and resample that to a regular grid."
        )
    return Geometry(tuple(size), tuple(spacing), tuple(index_to_lps[:3, 3]), tuple(rotation.ravel()))


def matrix_from_vtk(matrix: Any) -> np.ndarray:
    """A vtkMatrix4x4 as a (4, 4) array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_to_vtk(matrix: np.ndarray) -> Any:
    """A (4, 4) array as a vtkMatrix4x4."""
    result = vtkMatrix4x4()
    result.DeepCopy(np.asarray(matrix, dtype=float).ravel())
    return result

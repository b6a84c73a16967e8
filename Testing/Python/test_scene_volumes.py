"""Volumes and volume nodes: the same voxels at the same places of the patient, for every kind of grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scene_cases import GRIDS, scan

from LAScarSegLib.errors import InputError
from LAScarSegLib.support.flags import QualityFlag
from LAScarSegLib.volumes.files import COMPUTED, SIMULATED, write_volume
from LAScarSegLib.volumes.volume import Volume

slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.volumes import hardened_from_node, matrix_from_vtk, matrix_to_vtk


@pytest.fixture
def scene():
    return mrml.new_scene()


def scalar_node(scene, volume: Volume):
    return mrml.volume_to_node(volume, scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan"))


def under(scene, node, matrix: np.ndarray):
    """Put a node under a linear transform."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "moved")
    transform.SetMatrixTransformToParent(matrix_to_vtk(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())


@pytest.mark.parametrize("name", GRIDS)
def test_every_voxel_lies_where_itk_says_with_left_and_posterior_turned(scene, name):
    image, _ = scan(GRIDS[name])
    node = scalar_node(scene, image)
    to_ras = slicer.vtkMRMLScalarVolumeNode.GetIJKToRASMatrix
    matrix = matrix_to_vtk(np.eye(4))
    to_ras(node, matrix)
    for ijk in [(0, 0, 0), (43, 0, 0), (0, 40, 25), (10, 20, 5)]:
        left, posterior, superior = image.to_sitk().TransformIndexToPhysicalPoint(ijk)
        np.testing.assert_allclose(matrix_from_vtk(matrix) @ [*ijk, 1], [-left, -posterior, superior, 1], atol=1e-9)


@pytest.mark.parametrize("name", GRIDS)
def test_slicer_reads_the_same_scan_from_a_file_to_the_same_place(scene, name, tmp_path):
    image, _ = scan(GRIDS[name])
    sitk.WriteImage(image.to_sitk(), str(tmp_path / "scan.nrrd"))
    read = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(tmp_path / "scan.nrrd"))
    storage.SetForceRightHandedIJKCoordinateSystem(False)
    assert storage.ReadData(read)
    ours, theirs = mrml.volume_from_node(scalar_node(scene, image)), mrml.volume_from_node(read)
    assert theirs.geometry.same_grid(image.geometry) and ours.geometry.same_grid(image.geometry)
    np.testing.assert_array_equal(theirs.array, image.array)


@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32, np.float64, bool])
def test_voxels_come_back_as_they_went_in(scene, kind):
    image, cavity = scan(GRIDS["oblique"])
    array = cavity.array.astype(kind) if kind in (bool, np.uint8) else image.array.astype(kind)
    back = mrml.volume_from_node(scalar_node(scene, image.like(array)))
    np.testing.assert_array_equal(back.array, array)
    assert back.array.dtype == (np.uint8 if kind is bool else kind)


def test_a_volume_read_from_a_node_is_a_copy(scene):
    node = scalar_node(scene, scan(GRIDS["axial"])[0])
    mrml.volume_from_node(node).array[:] = 0
    assert mrml.volume_from_node(node).array.any()


def test_a_linear_transform_above_the_volume_counts(scene):
    image, _ = scan(GRIDS["oblique"])
    node = scalar_node(scene, image)
    shift = np.eye(4)
    shift[:3, 3] = [5.0, -7.0, 11.0]  # RAS
    under(scene, node, shift)
    moved = mrml.volume_from_node(node).geometry
    np.testing.assert_allclose(np.subtract(moved.origin, image.geometry.origin), [-5.0, 7.0, 11.0], atol=1e-9)
    np.testing.assert_allclose(moved.spacing, image.geometry.spacing, atol=1e-9)


def test_a_transform_that_shears_is_refused_with_the_remedy(scene):
    node = scalar_node(scene, scan(GRIDS["axial"])[0])
    shear = np.eye(4)
    shear[0, 1] = 0.2
    under(scene, node, shear)
    with pytest.raises(InputError, match="'scan' are not at right angles.*Harden"):
        mrml.volume_from_node(node)


def test_a_transform_that_bends_is_refused_with_the_remedy(scene):
    node = scalar_node(scene, scan(GRIDS["axial"])[0])
    bend = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "registration")
    node.SetAndObserveTransformNodeID(bend.GetID())
    with pytest.raises(InputError, match="'registration', which bends space.*Harden"):
        mrml.volume_from_node(node)


def test_no_volume_an_empty_one_and_a_colour_image_are_refused(scene):
    with pytest.raises(InputError, match="No volume is selected"):
        mrml.volume_from_node(None)
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(InputError, match="'empty' holds no image"):
        mrml.volume_from_node(empty)
    from vtkmodules.vtkCommonCore import VTK_UNSIGNED_CHAR
    from vtkmodules.vtkCommonDataModel import vtkImageData

    image = vtkImageData()
    image.SetDimensions(3, 3, 3)
    image.AllocateScalars(VTK_UNSIGNED_CHAR, 3)
    empty.SetAndObserveImageData(image)
    with pytest.raises(InputError, match="3 values a voxel"):
        mrml.volume_from_node(empty)


def test_what_the_reader_of_the_file_remarked_stays_with_the_node(scene):
    image, _ = scan(GRIDS["axial"])
    flag = QualityFlag("orientation", "qform and sform disagree by 3.2 mm; the sform was used.", "warning")
    node = scalar_node(scene, Volume(image.array, image.geometry, (flag,)))
    assert mrml.volume_from_node(node).flags == (flag,)


def test_a_phantom_that_slicers_own_reader_loaded_is_known_as_simulated_and_a_map_as_a_map(scene, tmp_path):
    image, _ = scan(GRIDS["axial"])
    both = {"both.nrrd": (SIMULATED, COMPUTED), "both.nii.gz": (SIMULATED, COMPUTED)}
    files = {"phantom.nrrd": (SIMULATED,), "phantom.nii.gz": (SIMULATED,), "map.nii.gz": (COMPUTED,), "scan.nrrd": ()} | both
    for name, flags in files.items():
        write_volume(Volume(image.array, image.geometry, flags), tmp_path / name)
        node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
        node.AddDefaultStorageNode(str(tmp_path / name))
        assert node.GetStorageNode().ReadData(node)
        assert mrml.volume_from_node(node).flags == flags


def test_a_phantom_under_a_bending_transform_stays_simulated(scene):
    image, _ = scan(GRIDS["axial"])
    node = scalar_node(scene, Volume(image.array, image.geometry, (SIMULATED,)))
    transform = scene.AddNewNodeByClass("vtkMRMLTransformNode", "bend")
    from vtkmodules.vtkCommonCore import vtkPoints
    from vtkmodules.vtkCommonTransforms import vtkThinPlateSplineTransform

    bend = vtkThinPlateSplineTransform()
    landmarks, moved = vtkPoints(), vtkPoints()
    for point in ((0, 0, 0), (40, 0, 0), (0, 40, 0), (0, 0, 40)):
        landmarks.InsertNextPoint(point)
        moved.InsertNextPoint(point[0], point[1], point[2] + (3 if point[0] else 0))
    bend.SetSourceLandmarks(landmarks)
    bend.SetTargetLandmarks(moved)
    bend.SetBasisToR()
    transform.SetAndObserveTransformToParent(bend)
    node.SetAndObserveTransformNodeID(transform.GetID())
    hardened, was_resampled = hardened_from_node(node)
    assert was_resampled and hardened.flags == (SIMULATED,)

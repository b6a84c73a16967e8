"""The surface in a file and in the scene: at the right place of the patient, with what was measured on it."""

from __future__ import annotations

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, GRIDS, RADIUS_MM, analysed
from vtkmodules.util.numpy_support import vtk_to_numpy

from LAScarSegLib.errors import ProcessingError
from LAScarSegLib.surface.polydata import surface_polydata, write_vtp

slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml

CENTRE_RAS = CENTRE_LPS * [-1, -1, 1]


def points_of(polydata) -> np.ndarray:
    return vtk_to_numpy(polydata.GetPoints().GetData())


def array_of(polydata, name: str) -> np.ndarray:
    return vtk_to_numpy(polydata.GetPointData().GetArray(name))


@pytest.mark.parametrize("name", GRIDS)
def test_the_model_surrounds_the_ball_in_ras(name):
    polydata = mrml.build_scene(mrml.new_scene(), analysed(name)).surface.GetPolyData()
    from_centre = points_of(polydata) - CENTRE_RAS
    assert np.abs(np.linalg.norm(from_centre, axis=1) - RADIUS_MM).max() < 1.0
    outward = np.einsum("ij,ij->i", from_centre / RADIUS_MM, vtk_to_numpy(polydata.GetPointData().GetNormals()))
    assert outward.min() > 0.8


def test_triangles_look_outward_in_ras():
    from vtkmodules.vtkFiltersCore import vtkMassProperties

    properties = vtkMassProperties()
    properties.SetInputData(mrml.build_scene(mrml.new_scene(), analysed()).surface.GetPolyData())
    assert properties.GetVolume() == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.02)


def test_scar_lies_on_the_patients_left():
    polydata = mrml.build_scene(mrml.new_scene(), analysed()).surface.GetPolyData()
    scar = array_of(polydata, "Scar") == 1
    left_of_centre = CENTRE_RAS[0] - points_of(polydata)[:, 0]  # R grows to the right
    assert scar.any() and left_of_centre[scar].min() > 2
    assert scar[left_of_centre > 10].mean() > 0.95


def test_slicer_puts_the_vtp_file_at_the_right_place(tmp_path):
    surface = analysed().surface
    path = write_vtp(surface, tmp_path / "surface.vtp")
    scene = mrml.new_scene()
    node, storage = scene.AddNewNodeByClass("vtkMRMLModelNode"), slicer.vtkMRMLModelStorageNode()
    storage.SetFileName(str(path))
    storage.SetCoordinateSystem(slicer.vtkMRMLStorageNode.CoordinateSystemRAS)  # what a user may have set: the file wins
    assert storage.ReadData(node)
    np.testing.assert_allclose(points_of(node.GetPolyData()), surface.points * [-1, -1, 1], atol=1e-9)


def test_the_vtp_file_holds_lps_and_the_named_arrays(tmp_path):
    from vtkmodules.vtkIOXML import vtkXMLPolyDataReader

    surface = analysed(with_plane=True).surface
    unsure = np.where(np.arange(len(surface.points)) < 9, np.nan, 0.5)
    surface = surface.with_arrays(scar_probability=np.linspace(0, 1, len(surface.points)), scar_entropy=unsure, cavity_entropy=unsure / 2)
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(write_vtp(surface, tmp_path / "Fläche 1.vtp")))
    reader.Update()
    polydata = reader.GetOutput()
    np.testing.assert_array_equal(points_of(polydata), surface.points)
    np.testing.assert_array_equal(array_of(polydata, "Scar"), surface.scar)
    np.testing.assert_array_equal(array_of(polydata, "Region"), surface.region)
    np.testing.assert_allclose(array_of(polydata, "LGE"), surface.lge, rtol=1e-6)
    np.testing.assert_allclose(array_of(polydata, "IIR"), surface.iir, rtol=1e-6)
    np.testing.assert_allclose(array_of(polydata, "ScarProbability"), surface.scar_probability, atol=1e-7)
    np.testing.assert_allclose(array_of(polydata, "ScarEntropy"), surface.scar_entropy)
    np.testing.assert_allclose(array_of(polydata, "CavityEntropy"), surface.cavity_entropy)
    assert polydata.GetPointData().GetScalars().GetName() == "Scar"


def test_without_a_probability_there_is_no_such_array():
    data = surface_polydata(analysed().surface).GetPointData()
    assert all(data.GetArray(name) is None for name in ("ScarProbability", "ScarEntropy", "CavityEntropy"))


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ProcessingError, match="surface can't be written to .*missing"):
        write_vtp(analysed().surface, tmp_path / "missing" / "surface.vtp")


def test_two_classes_of_scar_and_what_was_not_measured_have_colours_of_their_own():
    scene = mrml.new_scene()
    node = mrml.build_scene(scene, analysed(protocol="barcelona")).surface
    display = node.GetDisplayNode()
    assert display.GetScalarVisibility() and display.GetActiveScalarName() == "ScarClass"
    colours = display.GetColorNode()
    assert [colours.GetColorName(n) for n in (0, 1, 2)] == ["no scar found", "border scar", "dense scar"]
    assert [n for n in range(256) if colours.GetColorDefined(n)] == [0, 1, 2]
    rgba = [[0.0] * 4 for _ in range(4)]
    for entry, colour in zip((0, 1, 2, 255), rgba):
        colours.GetColor(entry, colour)
    assert len({tuple(colour) for colour in rgba}) == 4


def test_scar_is_shown_in_two_colours_with_a_legend():
    scene = mrml.new_scene()
    node = mrml.build_scene(scene, analysed("axial", protocol="hopman")).surface
    display = node.GetDisplayNode()
    assert display.GetScalarVisibility() and display.GetActiveScalarName() == "Scar"
    colours = display.GetColorNode()
    assert [colours.GetColorName(n) for n in range(colours.GetNumberOfColors())] == ["no scar found", "scar"]
    rgba = [0.0] * 4
    colours.GetColor(1, rgba)
    assert rgba[0] > 2 * max(rgba[1:3])  # scar is red
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(node) is not None


def test_what_lies_beyond_the_mitral_plane_is_covered_in_grey():
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, analysed(with_plane=True))
    covered = points_of(nodes.left_out.GetPolyData())
    plane_s = CENTRE_LPS[2] - 10
    assert covered[:, 2].max() < plane_s + 1.5 and covered[:, 2].min() == pytest.approx(CENTRE_LPS[2] - RADIUS_MM, abs=0.8)
    red, green, blue = nodes.left_out.GetDisplayNode().GetColor()
    assert red == green == blue and not nodes.left_out.GetDisplayNode().GetScalarVisibility()
    assert set(np.unique(array_of(nodes.surface.GetPolyData(), "Scar"))) == {0, 1}


def test_without_planes_nothing_is_covered_and_an_old_cover_goes():
    scene = mrml.new_scene()
    mrml.build_scene(scene, analysed(with_plane=True))
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 2
    assert mrml.build_scene(scene, analysed()).left_out is None
    assert scene.GetNumberOfNodesByClass("vtkMRMLModelNode") == 1

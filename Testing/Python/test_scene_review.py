"""Looking at a result: colours of the surface, the threshold under the slider, distance maps over the slices, planes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, RADIUS_MM, analysed, network_of

slicer = pytest.importorskip("slicer", reason="review needs slicer-core")

from editing_cases import bench

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import ByRule, Change, Mask, revise
from LAScarSegLib.errors import InputError
from LAScarSegLib.scene import colours, review
from LAScarSegLib.scene import plane_markups as planes
from LAScarSegLib.scene.model import legend_of
from LAScarSegLib.scene.mrml import mark
from LAScarSegLib.session.edit_session import set_threshold, why_no_threshold  # noqa: E402
from LAScarSegLib.surface.planes import CutPlane

PLANE = CutPlane("MV", tuple(CENTRE_LPS - [0, 0, 10]), (0.0, 0.0, 1.0))


@pytest.fixture
def made():
    made = bench()
    mrml.show(made.scene, made.nodes, made.session.analysis)
    return made


def surface_array(nodes, name: str) -> np.ndarray:
    from vtkmodules.util.numpy_support import vtk_to_numpy

    return vtk_to_numpy(nodes.surface.GetPolyData().GetPointData().GetArray(name)).copy()


def composites(made) -> list:
    return [made.scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode") for n in range(3)]


# What the surface is coloured by


def test_scar_ratio_and_grey_level_are_offered_and_more_where_there_is_more():
    assert [scalar.name for scalar in review.scalars(analysed("axial", protocol="hopman"))] == ["Scar", "IIR", "LGE"]
    assert [scalar.name for scalar in review.scalars(analysed("axial", protocol="barcelona"))] == ["ScarClass", "Scar", "IIR", "LGE"]
    network = revise(analysed(with_plane=True), Change(scar=network_of(analysed().wall.array, analysed().cavity.array)))
    assert [scalar.name for scalar in review.scalars(network)] == ["ScarClass", "Scar", "IIR", "LGE", "ScarProbability", "ScarEntropy", "Region"]


def test_every_offered_scalar_is_shown_with_its_own_range_and_legend():
    analysis = analysed(with_plane=True)
    made = bench(analysis)
    display, legend = made.nodes.surface.GetDisplayNode(), legend_of(made.nodes.surface)
    for scalar in review.scalars(analysis):
        review.show_scalar(made.nodes, analysis, scalar.name)
        assert display.GetActiveScalarName() == scalar.name and surface_array(made.nodes, scalar.name).size
        assert display.GetScalarRange() == (scalar.low, scalar.high) and display.GetScalarVisibility()
        assert legend.GetTitleText() == scalar.legend and legend.GetUseColorNamesForLabels() == (scalar.names > 0)
    assert analysis.surface.region.max() <= 19


def test_the_ratios_colours_are_the_reports(made):
    matplotlib = pytest.importorskip("matplotlib")
    review.show_scalar(made.nodes, made.session.analysis, "IIR")
    node = made.nodes.surface.GetDisplayNode().GetColorNode()
    rgba = [0.0] * 4
    for entry in (0, 60, 128, 200, 255):
        node.GetColor(entry, rgba)
        np.testing.assert_allclose(rgba[:3], matplotlib.colormaps["RdYlBu_r"](entry / 255)[:3], atol=0.02)


def test_regions_are_named_in_the_colours_of_their_labels(made):
    from LAScarSegLib.surface.surface import REGION_LABELS

    node = colours.region_table(made.scene, made.nodes.volume, REGION_LABELS.values())
    assert {name: node.GetColorName(value) for name, value in REGION_LABELS.items()} == {name: name for name in REGION_LABELS}


def test_an_array_the_result_lacks_is_refused_by_name(made):
    with pytest.raises(InputError, match="has no 'ScarProbability'; it has ScarClass, Scar, IIR, LGE"):
        review.show_scalar(made.nodes, made.session.analysis, "ScarProbability")


def test_opacity_and_legend_are_set_and_taken_back(made):
    review.set_opacity(made.nodes, 0.4)
    assert made.nodes.surface.GetDisplayNode().GetOpacity() == 0.4
    review.set_legend(made.nodes, made.session.analysis, False)
    assert not legend_of(made.nodes.surface).GetVisibility()
    review.set_legend(made.nodes, made.session.analysis, True)
    assert legend_of(made.nodes.surface).GetVisibility()


# The threshold under the slider


def test_map_table_and_mark_follow_the_slider_and_the_segment_waits(made):
    before, scar = made.session.analysis, made.held("scar")
    mesh = made.nodes.surface.GetPolyData()
    new = set_threshold(made.nodes, before, 0.7)
    expected = revise(analysed(), Change(scar=ByRule("iir", 0.7)))
    assert new.measurements == expected.measurements
    assert made.nodes.surface.GetPolyData() is mesh
    np.testing.assert_array_equal(surface_array(made.nodes, "Scar"), expected.surface.scar)
    cells = {made.nodes.measurements.GetTable().GetValue(row, 5).ToString(): row for row in range(made.nodes.measurements.GetTable().GetNumberOfRows())}
    shown = made.nodes.measurements.GetTable().GetValue(cells["threshold"], 1).ToString()
    assert shown == "0.70"
    mark = made.nodes.curve_chart.GetNthPlotSeriesNode(4).GetTableNode().GetTable()
    assert mark.GetValueByName(0, "iir").ToDouble() == pytest.approx(0.7)
    np.testing.assert_array_equal(made.held("scar"), scar)


def test_the_segment_follows_when_the_slider_is_let_go_and_counts_as_unedited(made):
    new = set_threshold(made.nodes, made.session.analysis, 0.7)
    assert review.write_scar(made.nodes, new) == made.nodes
    made.session.rebase(new)
    np.testing.assert_array_equal(made.held("scar"), new.scar.array > 0)
    assert made.nodes.surface.GetAttribute("LAScarSeg.threshold") == "0.7"
    assert made.session.edited() == frozenset()


def test_scar_drawn_by_hand_is_not_replaced_by_a_slider(made):
    drawn = revise(made.session.analysis, Change(scar=Mask.of(made.held("wall"))))
    with pytest.raises(InputError, match="is no rule's .*edited by hand.*Choose a rule and press Apply"):
        set_threshold(made.nodes, drawn, 1.0)
    assert why_no_threshold(made.session.analysis) == ""


def test_a_rule_that_finds_its_threshold_has_no_slider():
    assert "finds its threshold by itself" in why_no_threshold(revise(analysed(), Change(scar=ByRule("otsu"))))


@pytest.mark.parametrize("what", ["volume", "surface"])
def test_without_volume_or_surface_it_says_so(made, what):
    made.scene.RemoveNode(getattr(made.nodes, what))
    for ask in (
        lambda: set_threshold(made.nodes, made.session.analysis, 1.0),
        lambda: review.show_scalar(made.nodes, made.session.analysis, "Scar"),
        lambda: review.set_opacity(made.nodes, 0.5),
    ):
        with pytest.raises(InputError, match=f"The {what} .* is no longer in the scene"):
            ask()


# Distance maps over the slices


def test_a_distance_map_lies_over_the_scan_with_its_zero_line_and_goes_again(made):
    review.show_distance(made.nodes, "wall")
    for composite in composites(made):
        assert composite.GetForegroundVolumeID() == made.nodes.sdm_wall.GetID() and composite.GetForegroundOpacity() == 0.5
        assert composite.GetBackgroundVolumeID() == made.nodes.volume.GetID()
    display = made.nodes.sdm_wall.GetDisplayNode()
    rgba = [1.0] * 4
    display.GetColorNode().GetColor(128, rgba)
    assert (display.GetWindow(), display.GetLevel()) == (24.0, 0.0) and rgba[:3] == [0.0, 0.0, 0.0]
    review.show_distance(made.nodes, None)
    assert [composite.GetForegroundVolumeID() for composite in composites(made)] == [None] * 3


def test_a_hardened_copys_map_lies_over_the_scan_that_it_was_copied_from(made):
    scan = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "bent scan")
    mark(made.nodes.volume, "hardened", scan)
    composites(made)[0].SetBackgroundVolumeID(scan.GetID())
    review.show_distance(made.nodes, "wall")
    assert [composite.GetForegroundVolumeID() for composite in composites(made)] == [made.nodes.sdm_wall.GetID()] * 3


def test_what_lay_in_the_foreground_before_comes_back(made):
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "MRA")
    composites(made)[0].SetForegroundVolumeID(other.GetID())
    composites(made)[0].SetForegroundOpacity(0.3)
    for which in ("cavity", "wall", None):
        review.show_distance(made.nodes, which)
    assert composites(made)[0].GetForegroundVolumeID() == other.GetID() and composites(made)[0].GetForegroundOpacity() == 0.3


def test_a_foreground_that_was_chosen_meanwhile_is_left_alone(made):
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "MRA")
    review.show_distance(made.nodes, "cavity")
    composites(made)[1].SetForegroundVolumeID(other.GetID())
    review.show_distance(made.nodes, None)
    assert composites(made)[1].GetForegroundVolumeID() == other.GetID()


def test_slice_views_of_another_scan_are_left_alone(made):
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "another scan")
    composites(made)[2].SetBackgroundVolumeID(other.GetID())
    review.show_distance(made.nodes, "cavity")
    assert composites(made)[2].GetForegroundVolumeID() is None


def test_a_foreground_that_was_deleted_meanwhile_is_not_put_back(made):
    other = made.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "MRA")
    composites(made)[0].SetForegroundVolumeID(other.GetID())
    review.show_distance(made.nodes, "cavity")
    made.scene.RemoveNode(other)
    review.show_distance(made.nodes, None)
    assert composites(made)[0].GetForegroundVolumeID() is None


def test_a_deleted_map_and_an_unknown_one_are_said(made):
    made.scene.RemoveNode(made.nodes.sdm_wall)
    with pytest.raises(InputError, match="The distance map .* is no longer in the scene"):
        review.show_distance(made.nodes, "wall")
    with pytest.raises(InputError, match="no distance map of 'vein'; choose 'cavity' or 'wall'"):
        review.show_distance(made.nodes, "vein")


# Planes


def test_a_plane_goes_into_a_markup_and_comes_back(made):
    node = planes.add_plane(made.scene, made.nodes.volume, "MV", PLANE)
    np.testing.assert_allclose(node.GetOriginWorld(), np.array(PLANE.origin) * [-1, -1, 1])  # RAS
    (back,) = planes.read_planes(made.scene, made.nodes.volume)
    assert back.name == "MV"
    np.testing.assert_allclose(back.origin, PLANE.origin, atol=1e-9)
    np.testing.assert_allclose(back.normal, PLANE.normal, atol=1e-9)
    assert made.session.edited() == {"planes"}


def test_a_plane_of_three_clicks_lies_on_them_with_its_origin_in_their_middle(made):
    node = planes.add_plane(made.scene, made.nodes.volume, "LSPV")
    assert planes.read_planes(made.scene, made.nodes.volume) == ()
    rim = CENTRE_LPS + [RADIUS_MM, 0, 0] + 6.0 * np.array([[0, 1, 0], [0, -0.5, 0.866], [0, -0.5, -0.866]])
    for point in rim * [-1, -1, 1]:
        node.AddControlPointWorld(*point)
    (plane,) = planes.read_planes(made.scene, made.nodes.volume)
    np.testing.assert_allclose(plane.origin, CENTRE_LPS + [RADIUS_MM, 0, 0], atol=1e-3)
    np.testing.assert_allclose(np.abs(plane.normal), [1, 0, 0], atol=1e-9)


def test_a_plane_under_a_transform_is_read_where_it_is_seen(made):
    from vtkmodules.vtkCommonMath import vtkMatrix4x4

    node = planes.add_plane(made.scene, made.nodes.volume, "MV", PLANE)
    transform, matrix = made.scene.AddNewNodeByClass("vtkMRMLLinearTransformNode"), vtkMatrix4x4()
    matrix.SetElement(2, 3, 5.0)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    (plane,) = planes.read_planes(made.scene, made.nodes.volume)
    np.testing.assert_allclose(plane.origin, np.array(PLANE.origin) + [0, 0, 5], atol=1e-9)


def test_asking_twice_for_a_plane_gives_the_same_markup(made):
    first = planes.add_plane(made.scene, made.nodes.volume, "MV", PLANE)
    assert planes.add_plane(made.scene, made.nodes.volume, "MV") is first
    assert len(planes.read_planes(made.scene, made.nodes.volume)) == 1


def test_the_planes_of_a_result_shown_as_markups_are_no_edit():
    made = bench(analysed(with_plane=True))
    planes.show_planes(made.scene, made.nodes.volume, made.session.analysis.planes)
    assert made.session.edited() == frozenset()


def test_a_persons_own_plane_counts_by_its_name(made):
    node = made.scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "lspv-1")
    node.SetOriginWorld(1, 2, 3)
    node.SetNormalWorld(0, 0, 1)
    assert planes.adopt_plane(node, made.nodes.volume) == "LSPV"
    assert [plane.name for plane in planes.read_planes(made.scene, made.nodes.volume)] == ["LSPV"]
    node = made.scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "P")
    with pytest.raises(InputError, match="'P' doesn't say which opening it cuts. Rename it to one of MV, LSPV"):
        planes.adopt_plane(node, made.nodes.volume)
    with pytest.raises(InputError, match="'XX' is no opening of the left atrium"):
        planes.add_plane(made.scene, made.nodes.volume, "XX")


def test_planes_of_another_scan_dont_count(made):
    other = mrml.build_scene(made.scene, analysed("axial"), name="B")
    planes.add_plane(made.scene, other.volume, "MV", PLANE)
    assert planes.read_planes(made.scene, made.nodes.volume) == ()


def test_placing_lets_the_next_clicks_make_that_plane():
    pytest.importorskip("trame_slicer", reason="the place mode needs an application's scene")
    from trame_slicer.core import SlicerApp

    scene = SlicerApp().scene
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "LGE")
    node = planes.add_plane(scene, volume, "MV")
    planes.start_placing(scene, node)
    selection, interaction = (scene.GetSingletonNode("Singleton", f"vtkMRML{kind}Node") for kind in ("Selection", "Interaction"))
    assert selection.GetActivePlaceNodeID() == node.GetID() and interaction.GetCurrentInteractionMode() == interaction.Place
    assert selection.GetActivePlaceNodeClassName() == "vtkMRMLMarkupsPlaneNode"


def test_the_scene_with_planes_is_saved_and_read_back(made, tmp_path):
    from LAScarSegLib.scene.bundle import save_scene

    planes.add_plane(made.scene, made.nodes.volume, "MV", PLANE)
    save_scene(made.scene, tmp_path / "scene.mrb")
    again = mrml.new_scene()
    mrml.read_mrb(again, tmp_path / "scene.mrb")
    volume = again.GetFirstNodeByName("LGE-MRI")
    (plane,) = planes.read_planes(again, volume)
    np.testing.assert_allclose(plane.origin, PLANE.origin, atol=1e-3)
    assert json.loads(again.GetFirstNodeByName("LGE-MRI LA measurements").GetAttribute("LAScarSeg.settings"))

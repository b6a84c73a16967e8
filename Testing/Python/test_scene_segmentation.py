"""The segmentation node: coded, named, coloured, on the scan's grid; and any segment back as a mask."""

from __future__ import annotations

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, GRIDS, RADIUS_MM, analysed, scan

from LAScarSegLib.errors import InputError

slicer = pytest.importorskip("slicer", reason="the scene layer needs slicer-core")

from LAScarSegLib import scene as mrml


@pytest.fixture
def scene():
    return mrml.new_scene()


@pytest.fixture
def nodes(scene):
    return mrml.build_scene(scene, analysed())


def ball_surface(radius_mm: float = RADIUS_MM):
    from vtkmodules.vtkFiltersSources import vtkSphereSource

    source = vtkSphereSource()
    source.SetCenter(-CENTRE_LPS[0], -CENTRE_LPS[1], CENTRE_LPS[2])  # RAS
    source.SetRadius(radius_mm)
    source.SetThetaResolution(60)
    source.SetPhiResolution(60)
    source.Update()
    return source.GetOutput()


def terminology_of(segment) -> str:
    from vtkmodules.vtkCommonCore import reference

    entry = reference("")
    assert segment.GetTag("TerminologyEntry", entry)
    return str(entry)


@pytest.mark.parametrize(
    ("segment_id", "name", "colour", "category", "kind", "region"),
    [
        ("LA_cavity", "Left atrium", (203, 108, 81), "123037004", "82471001", None),
        ("LA_wall", "LA wall", (255, 209, 102), "85756007", "74281007", "82471001"),
        ("LA_scar", "LA scar", (207, 58, 18), "85756007", "12402003", "82471001"),
    ],
)
def test_segments_carry_name_colour_and_snomed_codes(nodes, segment_id, name, colour, category, kind, region):
    segment = nodes.segmentation.GetSegmentation().GetSegment(segment_id)
    assert segment.GetName() == name
    assert tuple(round(255 * c) for c in segment.GetColor()) == colour
    fields = [field.split("^") for field in terminology_of(segment).split("~")]
    assert len(fields) == 7
    assert fields[1][:2] == ["SCT", category] and fields[2][:2] == ["SCT", kind]
    assert fields[5][:2] == (["SCT", region] if region else ["", ""])


def test_slicers_terminology_logic_understands_the_entry(nodes):
    logic, entry = slicer.vtkSlicerTerminologiesModuleLogic(), slicer.vtkSlicerTerminologyEntry()
    assert logic.DeserializeTerminologyEntry(terminology_of(nodes.segmentation.GetSegmentation().GetSegment("LA_scar")), entry)
    assert entry.GetCategoryObject().GetCodeMeaning() == "Tissue"
    assert entry.GetTypeObject().GetCodeValue() == "12402003"
    assert entry.GetRegionObject().GetCodeMeaning() == "Left atrium"


@pytest.mark.parametrize("name", GRIDS)
def test_reading_the_segments_back_gives_the_same_voxels(scene, name):
    analysis = analysed(name)
    nodes = mrml.build_scene(scene, analysis)
    for segment, mask in (("Left atrium", analysis.cavity), ("LA wall", analysis.wall), ("LA_scar", analysis.scar)):
        back = mrml.segment_from_node(nodes.segmentation, segment, analysis.volume)
        assert back.geometry.same_grid(analysis.geometry)
        np.testing.assert_array_equal(back.array, mask.array)


def test_the_scan_is_the_segmentations_reference(nodes):
    role = slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole()
    assert nodes.segmentation.GetNodeReference(role) is nodes.volume


def test_nothing_in_3d_hides_the_scar_map_and_nothing_in_2d_hides_the_image(nodes):
    display = nodes.segmentation.GetDisplayNode()
    for segment in ("LA_cavity", "LA_wall", "LA_scar"):
        assert not display.GetSegmentVisibility3D(segment)
    assert display.GetSegmentOpacity2DFill("LA_cavity") == 0 == display.GetSegmentOpacity2DFill("LA_wall")
    assert 0.3 < display.GetSegmentOpacity2DFill("LA_scar") < 0.7


def test_results_go_into_a_chosen_segmentation_beside_what_is_in_it(scene):
    mine = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    mine.GetSegmentation().AddEmptySegment("aorta", "aorta")
    nodes = mrml.build_scene(scene, analysed(), segmentation_node=mine)
    assert nodes.segmentation is mine
    ids = [mine.GetSegmentation().GetNthSegmentID(n) for n in range(mine.GetSegmentation().GetNumberOfSegments())]
    assert ids == ["aorta", "LA_cavity", "LA_wall", "LA_scar"]


def test_a_segment_that_is_only_a_surface_becomes_voxels(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    node.AddSegmentFromClosedSurfaceRepresentation(ball_surface(), "LA", [1, 0, 0], "LA")
    image, cavity = scan(GRIDS["oblique"])
    mask = mrml.mask_from_node(node, image)
    overlap = 2 * (mask.array & cavity.array).sum() / (mask.array.sum() + cavity.array.sum())
    assert mask.geometry.same_grid(image.geometry)
    assert overlap > 0.95  # Slicer picks its own grid for the conversion


def test_a_segmentation_under_a_transform_is_read_where_it_is_shown(scene):
    from test_scene_volumes import under

    analysis = analysed("axial")
    nodes = mrml.build_scene(scene, analysis)
    shift = np.eye(4)
    shift[:3, 3] = [-2 * 1.4, 0.0, 2.5]  # RAS: two voxels to the left, one up
    under(scene, nodes.segmentation, shift)
    back = mrml.segment_from_node(nodes.segmentation, "Left atrium", analysis.volume)
    np.testing.assert_array_equal(back.array[1:, :, 2:], analysis.cavity.array[:-1, :, :-2])


def test_an_unknown_segment_is_refused_and_the_known_ones_are_named(nodes):
    with pytest.raises(InputError, match="no segment 'RA'; it has 'Left atrium', 'LA wall', 'LA scar'"):
        mrml.segment_from_node(nodes.segmentation, "RA", analysed().volume)


def test_an_empty_segment_is_refused(scene):
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "drawn")
    node.GetSegmentation().AddEmptySegment("LA", "LA")
    with pytest.raises(InputError, match="'LA' of 'drawn' is empty"):
        mrml.mask_from_node(node, analysed().volume)


def test_a_mask_needs_a_node_that_can_hold_one_and_one_clear_segment(scene, nodes):
    with pytest.raises(InputError, match="No cavity is selected"):
        mrml.mask_from_node(None, analysed().volume)
    with pytest.raises(InputError, match="a mask is a segmentation or a label map"):
        mrml.mask_from_node(nodes.surface, analysed().volume)
    with pytest.raises(InputError, match="3 segments .*say which one"):
        mrml.mask_from_node(nodes.segmentation, analysed().volume)

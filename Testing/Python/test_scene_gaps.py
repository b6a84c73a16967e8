"""Veins and gaps of a result: after a change they are those of an analysis from nothing, found planes are kept, and the scene shows them.

The laws are those of ARCHITECTURE; both halves ask the same small atrium, which takes longest to make.
"""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("slicer", reason="scenes need slicer-core")

from gap_cases import NARROW, NUMBER, with_gaps
from law_cases import CARRIERS, QUICK, check_written, phantom, scan_file
from same_analysis import assert_equal, assert_same
from scipy import ndimage
from scipy.spatial import cKDTree
from slicer_windows import Windows, vtk_messages
from vtkmodules.util.numpy_support import vtk_to_numpy

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import MASKS, Analysis, Change, Drawn, Mask, analyse, revise
from LAScarSegLib.analysis.surface_findings import findings_digest, pack_findings, unpack_findings
from LAScarSegLib.scene import review
from LAScarSegLib.scene.build import remove_scene
from LAScarSegLib.scene.colours import PATH_IN_GAP, PATH_IN_SCAR
from LAScarSegLib.scene.gaps import OLDER, TUBE_MM, findings_nodes, numbered_gaps, path_tube
from LAScarSegLib.scene.mrml import find_result, slicer_classes
from LAScarSegLib.surface.findings import Findings
from LAScarSegLib.surface.gaps import Encirclement
from LAScarSegLib.surface.surface import REGION_LABELS

TO_RAS = np.array([-1.0, -1.0, 1.0])


def table_of(scene, role: str) -> dict[str, list[str]]:
    table = find_result(scene, "vtkMRMLTableNode", role, None).GetTable()
    columns = [table.GetColumn(number) for number in range(table.GetNumberOfColumns())]
    return {column.GetName(): [column.GetValue(row) for row in range(table.GetNumberOfRows())] for column in columns}


def points_in(scene) -> dict[str, np.ndarray]:
    """The labelled points, mm RAS."""
    node = find_result(scene, "vtkMRMLMarkupsFiducialNode", "gap_points", None)
    numbers = range(node.GetNumberOfControlPoints())
    return {node.GetNthControlPointLabel(n): np.array(node.GetNthControlPointPositionWorld(n)) for n in numbers}


def check_content(scene) -> None:
    findings = with_gaps().findings
    gaps, regions = table_of(scene, "gaps"), table_of(scene, "regions")
    assert gaps["Around"] == [around.around for around in findings.encirclements]
    assert gaps["Gap (mm)"] == [f"{around.gap_mm:.1f}" for around in findings.encirclements]
    assert gaps["Gaps"] == [str(len(around.gaps)) for around in findings.encirclements]
    assert regions["Region"] == [region.region for region in findings.regions]
    assert regions["Scar (%)"] == ["" if region.scar_pct is None else f"{region.scar_pct:.1f}" for region in findings.regions]
    points = points_in(scene)
    assert list(points) == [f"{gap.around} {gap.number}: {gap.gap.length_mm:.1f} mm" for gap in numbered_gaps(findings)]
    for gap, point in zip(numbered_gaps(findings), points.values()):
        np.testing.assert_allclose(point, gap.gap.point_lps * TO_RAS, atol=1e-6)
    for around in findings.encirclements:
        assert find_result(scene, "vtkMRMLModelNode", f"path_{around.around}", None).GetPolyData().GetNumberOfPoints()


@pytest.fixture
def windows():
    windows = Windows(mrml.new_scene())
    yield windows
    windows.close()


def test_findings_that_are_known_are_in_the_scene_and_in_its_file(tmp_path):
    scene = mrml.new_scene()
    mrml.read_mrb(scene, mrml.write_mrb(with_gaps(), tmp_path / "scene.mrb"))
    check_content(scene)


def test_they_lie_in_the_results_folder():
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, with_gaps())
    hierarchy = slicer_classes().vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(nodes.surface))
    assert nodes.findings and {hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) for node in nodes.findings} == {folder}


def test_a_live_update_looks_for_nothing():
    analysis, scene = replace(with_gaps()), mrml.new_scene()
    assert mrml.build_scene(scene, analysis).findings == () and analysis.known_findings is None


def ages(scene, nodes) -> set[bool]:
    return {node.GetName().endswith(OLDER) for node in findings_nodes(scene, nodes.volume)}


def test_another_map_makes_them_grey_and_older_and_the_same_map_brings_them_back_without_a_word_on_the_console(windows):
    scene, first = windows.scene, with_gaps()
    with vtk_messages() as said:
        nodes = mrml.build_scene(scene, first)
        path = next(node for node in nodes.findings if node.IsA("vtkMRMLModelNode"))
        threshold = path.GetAttribute("LAScarSeg.threshold")
        assert ages(scene, nodes) == {False} and path.GetDisplayNode().GetScalarVisibility()
        higher = revise(first, Change(scar=first.sources.scar.with_threshold(1.5)), ranges=False)
        review.show_scar(nodes, higher)
        assert ages(scene, nodes) == {True} and not path.GetDisplayNode().GetScalarVisibility()
        nodes = mrml.build_scene(scene, higher, volume_node=nodes.volume)
        assert ages(scene, nodes) == {True}
        assert {node.GetAttribute("LAScarSeg.threshold") for node in nodes.findings} == {threshold}  # what they were found with
        nodes = mrml.build_scene(scene, replace(first), volume_node=nodes.volume)
        assert ages(scene, nodes) == {False} and path.GetDisplayNode().GetScalarVisibility()
        without = mrml.build_scene(scene, revise(first, Change(planes=()), ranges=False), volume_node=nodes.volume)
        assert without.findings == () and findings_nodes(scene, nodes.volume) == []
        remove_scene(scene, mrml.build_scene(scene, first, volume_node=nodes.volume))
        assert scene.GetFirstNodeByClass("vtkMRMLMarkupsFiducialNode") is None and scene.GetFirstNodeByClass("vtkMRMLModelNode") is None
    assert said == [] and windows.said == []


def test_a_path_is_a_closed_tube_in_ras_dark_in_scar_and_green_in_its_gap():
    """A circle of 20 mm about (5, 0, 0) LPS whose pieces with y > 0 are scar."""
    angle = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    points = np.stack([5 + 20 * np.cos(angle), 20 * np.sin(angle), np.zeros(360)], axis=1)
    middle = angle + np.pi / 360
    around = Encirclement("LSPV", points, np.sin(middle) > 0, 125.6, 62.8, False, (), 0.0)
    tube = path_tube(around)
    found, gap = vtk_to_numpy(tube.GetPoints().GetData()), vtk_to_numpy(tube.GetPointData().GetArray("Gap"))
    relative = found * TO_RAS - [5, 0, 0]
    off = np.hypot(np.hypot(*relative[:, :2].T) - 20, relative[:, 2])
    np.testing.assert_allclose(off, TUBE_MM, atol=0.01)
    clear = np.abs(relative[:, 1]) > 0.5
    np.testing.assert_array_equal(gap[clear], (relative[clear, 1] < 0) * 1.0)
    ends = np.degrees(np.arctan2(relative[:, 1], relative[:, 0]))
    assert np.histogram(ends, 36, (-180, 180))[0].min() > 0  # it closes
    scene = mrml.new_scene()
    nodes = mrml.build_scene(scene, with_gaps()).findings
    colours = next(node for node in nodes if node.IsA("vtkMRMLModelNode")).GetDisplayNode().GetColorNode()
    for value, rgb in enumerate((PATH_IN_SCAR, PATH_IN_GAP)):
        colour = [0.0] * 4
        colours.GetColor(value, colour)
        np.testing.assert_allclose(colour[:3], rgb, atol=1 / 255)


def test_findings_go_to_another_process_to_the_last_digit():
    findings = with_gaps().findings
    back = unpack_findings(json.loads(json.dumps(pack_findings(findings))), with_gaps().surface)
    assert back.to_json() == findings.to_json()
    for one, other in zip(findings.encirclements, back.encirclements):
        np.testing.assert_array_equal(one.points, other.points)
        np.testing.assert_array_equal(one.scar, other.scar)


def from_nothing(analysis: Analysis) -> Analysis:
    """`analyse` of the sources of an analysis."""
    sources = analysis.sources
    masks = {name: sources[name] for name in MASKS}
    return analyse(phantom(NUMBER).image, QUICK, **masks, planes=sources.planes, ranges=analysis.has_ranges)


def assert_same_findings(one: Findings, other: Findings) -> None:
    for name in ("regions", "encirclements", "region_ranges", "gap_ranges", "unsteady", "unsure"):
        assert_equal(getattr(one, name), getattr(other, name), name)
    assert one.landmarks.problems == other.landmarks.problems


def check(change: Change, ranges: bool = False) -> None:
    """Law 1, and that the change is one: it gives other findings, with another digest."""
    before = with_gaps()
    after = revise(before, change, ranges=ranges)
    assert after.known_findings is None
    assert_same_findings(after.findings, from_nothing(after).findings)
    assert findings_digest(after) != findings_digest(before) and after.findings.to_json() != before.findings.to_json()


def test_moved_ostia_give_the_gaps_of_an_analysis_from_nothing():
    outwards = tuple(replace(plane, origin=tuple(np.add(plane.origin, 2.0 * np.array(plane.normal)))) for plane in with_gaps().planes)
    check(Change(planes=outwards))


def test_a_band_of_scar_that_was_moved_gives_the_gaps_of_an_analysis_from_nothing():
    """A line of scar across the posterior wall, first here and then 10 mm higher."""
    wall = with_gaps().masks["wall"].whole()
    rows = np.flatnonzero(wall.any(axis=(1, 2)))
    bands = []
    for shift in (0, 4):
        band = np.zeros_like(wall)
        band[rows.mean().astype(int) + shift :][:3] = True
        bands.append(Mask.of(band & wall))
    drawn = revise(with_gaps(), Change(scar=bands[0]), ranges=False)
    _ = drawn.findings
    moved = revise(drawn, Change(scar=bands[1]), ranges=False)
    assert isinstance(moved.sources.scar, Drawn)
    assert_same_findings(moved.findings, from_nothing(moved).findings)
    assert moved.findings.to_json() != drawn.findings.to_json()


def test_a_cavity_that_was_drawn_on_gives_the_gaps_of_an_analysis_from_nothing_with_their_ranges():
    check(Change(cavity=Mask.of(ndimage.binary_dilation(phantom(NUMBER).cavity.array > 0))), ranges=True)


def test_found_planes_that_were_taken_up_are_given_and_stay_known_as_found():
    found = with_gaps(find=True)
    taken = revise(found, Change(planes=found.sources.search.planes), ranges=False)
    assert (found.sources.planes_source, taken.sources.planes_source) == ("none", "given")
    assert taken.sources.search is found.sources.search
    assert not {"planes_unsure", "planes_found"} & {flag.code for flag in taken.flags}


@pytest.fixture(scope="module")
def edited():
    """The atrium after its bands were edited, with its gaps."""
    first = with_gaps()
    return revise(first, Change(settings=replace(first.settings, bands=NARROW)), ranges=False)


def test_edited_bands_give_what_an_analysis_with_these_bands_gives_from_nothing(edited):
    case = phantom(NUMBER)
    anew = analyse(case.image, replace(QUICK, bands=NARROW), cavity=case.cavity, planes=case.planes, ranges=False)
    assert_same(edited, anew)
    assert pack_findings(edited.findings) == pack_findings(anew.findings) != pack_findings(with_gaps().findings)
    assert findings_digest(edited) == findings_digest(anew) != findings_digest(with_gaps())


def test_gaps_lie_within_the_edited_bands(edited):
    """A straight line from the path to the ostium is no longer than the way along the surface."""
    names = dict(zip(("LSPV", "LIPV", "RSPV", "RIPV"), (14.0, 10.0, 10.0, 10.0)))
    surface = edited.landmark_surface
    for around in edited.findings.encirclements:
        if around.around in names:
            vein = surface.points[surface.region == REGION_LABELS[around.around]]
            longest_edge = 2 * QUICK.mesh_edge_mm
            assert cKDTree(vein).query(around.points)[0].max() <= names[around.around] + longest_edge


@pytest.mark.parametrize("carrier", CARRIERS)
def test_edited_bands_are_read_back_as_they_were_written(tmp_path, edited, carrier):
    check_written(carrier, edited, scan_file(NUMBER, tmp_path), tmp_path, "scar")


@pytest.mark.parametrize(("carrier", "taken_up"), tuple(zip(CARRIERS, (False, True, False))))
def test_found_planes_are_read_back_as_they_were_written(tmp_path, carrier, taken_up):
    written = with_gaps(find=True)
    if taken_up:
        written = revise(written, Change(planes=written.sources.search.planes), ranges=False)
    assert written.sources.search.planes
    check_written(carrier, written, scan_file(NUMBER, tmp_path), tmp_path, "scar")

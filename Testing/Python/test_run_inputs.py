"""From nodes to the worker's files: the same voxels at the same places, and every input that can't be used named before any work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("slicer", reason="needs slicer-core")

from scene_cases import CENTRE_LPS, GRIDS, RADIUS_MM, points_of, scan  # noqa: E402
from session_cases import add_bend, add_segment, add_transform, add_volume, ball_nodes, snapshot  # noqa: E402

from LAScarSegLib.errors import InputError, ProcessingError  # noqa: E402
from LAScarSegLib.jobs.request import Request  # noqa: E402
from LAScarSegLib.scene import new_scene  # noqa: E402
from LAScarSegLib.scene.inputs import roi_mask  # noqa: E402
from LAScarSegLib.scene.plane_markups import cut_plane  # noqa: E402
from LAScarSegLib.scene.volumes import hardened_from_node  # noqa: E402
from LAScarSegLib.session.choices import MODEL  # noqa: E402
from LAScarSegLib.session.run_inputs import check_not_ct, write_inputs  # noqa: E402
from LAScarSegLib.surface.planes import read_planes  # noqa: E402
from LAScarSegLib.volumes.files import COMPUTED, read_volume  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402


@pytest.fixture
def scene():
    return new_scene()


def changed(choices, **changes):
    return dataclasses.replace(choices, **changes)


def centre(mask: Volume) -> np.ndarray:
    """The centre of mass of a mask, LPS mm."""
    return mask.geometry.index_to_lps(np.argwhere(mask.array > 0)[:, ::-1]).mean(axis=0)


def test_the_files_hold_what_the_nodes_hold(scene, tmp_path):
    image, cavity = scan(GRIDS["oblique"])
    _, _, choices = ball_nodes(scene, "oblique")
    before = snapshot(scene)
    inputs = write_inputs(scene, changed(choices, method="nsd", threshold=2.3, native=True, device="cuda"), tmp_path)
    request = Request.from_json(inputs.request)
    for path, expected in ((request.image, image), (request.cavity, cavity)):
        written = read_volume(path)
        assert written.geometry.same_grid(expected.geometry)
        np.testing.assert_array_equal(written.array, expected.array)
    settings = request.settings
    assert (settings.rule, settings.threshold, settings.native, settings.perturbation) == ("nsd", 2.3, True, False)
    assert request.analysis and request.device == "auto" and request.scar is None and request.roi is None
    assert inputs.scan.notes == () and not inputs.scan.hardened
    assert snapshot(scene) == before


def test_a_linear_transform_moves_the_files_and_is_mentioned(scene, tmp_path):
    volume, segmentation, choices = ball_nodes(scene)
    shift = np.eye(4)
    shift[:3, 3] = [5.0, -7.0, 11.0]
    transform = add_transform(scene, volume, shift, "registration")
    segmentation.SetAndObserveTransformNodeID(transform.GetID())
    inputs = write_inputs(scene, choices, tmp_path)
    cavity = read_volume(Path(inputs.request["cavity"]))
    np.testing.assert_allclose(centre(cavity), CENTRE_LPS + [-5.0, 7.0, 11.0], atol=0.1)
    assert cavity.array.sum() == scan(GRIDS["axial"])[1].array.sum()
    assert "'registration'" in inputs.scan.notes[0] and not inputs.scan.hardened


def test_a_bending_transform_is_hardened_on_a_copy_and_said_so(scene, tmp_path):
    """Thin plates that shift everything by whole voxels: the copy's voxels are the original's, that far away."""
    shift_lps = np.array([2 * 1.4, -3 * 1.4, 2.5])
    image, _ = scan(GRIDS["axial"])
    volume, segmentation, choices = ball_nodes(scene)
    bend = add_bend(scene, volume, tuple(shift_lps * [-1, -1, 1]))
    segmentation.SetAndObserveTransformNodeID(bend.GetID())
    before = snapshot(scene)
    inputs = write_inputs(scene, choices, tmp_path)
    assert inputs.scan.hardened and "'bend'" in inputs.scan.notes[0] and "copy" in inputs.scan.notes[0]
    copy = read_volume(Path(inputs.request["image"]))
    original = np.array([22, 22, 12])
    moved = np.rint(copy.geometry.lps_to_index(image.geometry.index_to_lps(original[None]) + shift_lps)[0]).astype(int)
    around = [tuple(slice(c - 5, c + 6) for c in ijk[::-1]) for ijk in (moved, original)]
    np.testing.assert_allclose(copy.array[around[0]], image.array[around[1]], atol=1)
    np.testing.assert_allclose(centre(read_volume(Path(inputs.request["cavity"]))), CENTRE_LPS + shift_lps, atol=0.15)
    assert snapshot(scene) == before


def test_a_shearing_transform_is_hardened_too(scene):
    """The ball itself as the scan: its centre goes where the transform puts it."""
    _, cavity = scan(GRIDS["axial"])
    volume = add_volume(scene, cavity.like(cavity.array * 100))
    shear = np.eye(4)
    shear[0, 1] = 0.2
    add_transform(scene, volume, shear)
    copy, hardened = hardened_from_node(volume)
    sheared_ras = shear[:3, :3] @ (CENTRE_LPS * [-1, -1, 1])
    assert hardened
    np.testing.assert_allclose(centre(copy.like(copy.array > 50)), sheared_ras * [-1, -1, 1], atol=0.3)


def test_the_region_of_interest_is_the_box_wherever_it_is_turned(scene):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenter(CENTRE_LPS * [-1, -1, 1])
    roi.SetSize(20.0, 30.0, 16.0)
    turned = np.eye(4)
    angle = 0.5
    turned[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    add_transform(scene, roi, turned)
    inside = roi_mask(roi, GRIDS["oblique"])
    ras = points_of(GRIDS["oblique"]) * [-1, -1, 1]
    local = ras @ turned[:3, :3] - CENTRE_LPS * [-1, -1, 1]
    expected = (np.abs(local) <= np.array([10.0, 15.0, 8.0])).all(axis=-1)
    np.testing.assert_array_equal(inside, expected)
    assert inside.sum() * GRIDS["oblique"].voxel_volume_ml == pytest.approx(20 * 30 * 16 / 1000, rel=0.1)


def plane(scene, name: str, origin_lps, normal_lps):
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", name)
    node.SetOrigin(np.array(origin_lps) * [-1, -1, 1])
    node.SetNormal(np.array(normal_lps) * [-1, -1, 1])
    return node


@pytest.mark.parametrize(("name", "kind"), [("MV", "MV"), ("LSPV-1", "LSPV"), ("LAScarSegPhantom-LAA", "LAA"), ("my ripv2", "RIPV")])
def test_a_plane_is_what_its_name_says(scene, name, kind):
    found = cut_plane(plane(scene, name, (1.0, 2.0, 3.0), (0.0, 0.6, 0.8)))
    assert found.name == kind
    np.testing.assert_allclose([found.origin, found.normal], [(1.0, 2.0, 3.0), (0.0, 0.6, 0.8)], atol=1e-6)


def test_planes_reach_the_worker(scene, tmp_path):
    _, _, choices = ball_nodes(scene)
    node = plane(scene, "MV", CENTRE_LPS - [0, 0, 10], (0.0, 0.0, 1.0))
    inputs = write_inputs(scene, changed(choices, planes=(node.GetID(),)), tmp_path)
    (found,) = read_planes(inputs.request["planes"][0])
    np.testing.assert_allclose(found.origin, CENTRE_LPS - [0, 0, 10], atol=1e-6)


def test_a_plane_without_a_kind_one_that_is_not_placed_and_one_that_is_gone(scene, tmp_path):
    _, _, choices = ball_nodes(scene)
    nameless = plane(scene, "P", CENTRE_LPS, (0, 0, 1))
    empty = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", "MV")
    for planes, says in (
        ((nameless.GetID(),), "'P' doesn't say"),
        ((empty.GetID(),), "'MV' is not placed"),
        (("gone",), "no longer there"),
    ):
        with pytest.raises(InputError, match=says):
            write_inputs(scene, changed(choices, planes=planes), tmp_path)


def test_nothing_is_chosen(scene, tmp_path):
    _, _, choices = ball_nodes(scene)
    with pytest.raises(InputError, match="Choose the LGE-MRI volume"):
        write_inputs(scene, changed(choices, volume_id=""), tmp_path)
    with pytest.raises(InputError, match="Choose the segment that fills"):
        write_inputs(scene, changed(choices, segment_id=""), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_ct_is_told_from_mri(scene):
    image, _ = scan(GRIDS["axial"])
    distance = np.linalg.norm(points_of(GRIDS["axial"]) - CENTRE_LPS, axis=-1)
    random = np.random.default_rng(1)
    noise = random.normal(0, 15, distance.shape)
    ct = np.where(distance < RADIUS_MM + 10, 40 + noise, -870 + noise)
    with pytest.raises(InputError, match="'scan' looks like a CT.*Choose the LGE-MRI"):
        check_not_ct(image.like(ct.astype(np.int16)), "scan")
    padded = np.where(points_of(GRIDS["axial"])[..., 0] > CENTRE_LPS[0] + 20, -3024, ct)
    with pytest.raises(InputError, match="looks like a CT"):
        check_not_ct(image.like(padded.astype(np.int16)), "scan")
    check_not_ct(image, "scan")
    psir = np.where(distance < RADIUS_MM, 600 + noise, random.uniform(-2000, 2000, distance.shape))
    check_not_ct(image.like(psir.astype(np.int16)), "scan")
    check_not_ct(image.like((image.array - image.array.mean()) / image.array.std()), "scan")


def test_a_label_map_is_no_scan(scene, tmp_path):
    _, cavity = scan(GRIDS["axial"])
    _, _, choices = ball_nodes(scene)
    labels = add_volume(scene, cavity, "labels", "vtkMRMLLabelMapVolumeNode")
    with pytest.raises(InputError, match="'labels' is a label map, not a scan"):
        write_inputs(scene, changed(choices, volume_id=labels.GetID()), tmp_path)


def test_a_distance_map_of_ours_is_no_scan(scene, tmp_path):
    _, cavity = scan(GRIDS["axial"])
    _, _, choices = ball_nodes(scene)
    whole = Volume(np.linspace(-12.0, 12.0, cavity.array.size, dtype=np.float32).reshape(cavity.array.shape), cavity.geometry)
    distance = add_volume(scene, dataclasses.replace(whole, flags=(COMPUTED,)), "SDM cavity (mm)")
    with pytest.raises(InputError, match=r"'SDM cavity \(mm\)' is a map that LAScarSeg computed"):
        write_inputs(scene, changed(choices, volume_id=distance.GetID()), tmp_path)


def test_a_mask_that_was_loaded_as_a_volume_is_no_scan_either(scene, tmp_path):
    """Slicer loads a NIfTI mask as a scalar volume unless it's told that it is a label map."""
    _, cavity = scan(GRIDS["axial"])
    _, _, choices = ball_nodes(scene)
    mask = add_volume(scene, cavity, "atrium")
    with pytest.raises(InputError, match="'atrium' is a mask or label map, not a scan.*Give the LGE-MRI"):
        write_inputs(scene, changed(choices, volume_id=mask.GetID()), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_segment_and_one_of_another_place(scene, tmp_path):
    image, cavity = scan(GRIDS["axial"])
    _, segmentation, choices = ball_nodes(scene)
    empty = segmentation.GetSegmentation().AddEmptySegment("nothing", "nothing")
    with pytest.raises(InputError, match="nothing.* is empty. Draw it"):
        write_inputs(scene, changed(choices, segment_id=empty), tmp_path)
    far = dataclasses.replace(cavity.geometry, origin=(500.0, 500.0, 500.0))
    elsewhere = add_segment(scene, Volume(cavity.array, far), "elsewhere")
    segment = elsewhere.GetSegmentation().GetNthSegmentID(0)
    with pytest.raises(InputError, match="does not overlap the scan.*belongs to this scan"):
        write_inputs(scene, changed(choices, segmentation_id=elsewhere.GetID(), segment_id=segment), tmp_path)


def test_a_region_of_interest_outside_the_scan(scene, tmp_path, monkeypatch):
    from LAScarSegLib.session import run_inputs as inputs

    monkeypatch.setattr(inputs, "why_not", lambda *_: "")
    monkeypatch.setattr(inputs, "_check_models", lambda *_: None)
    _, segmentation, choices = ball_nodes(scene)
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "ROI")
    roi.SetCenter(900.0, 0.0, 0.0)
    roi.SetSize(10.0, 10.0, 10.0)
    with pytest.raises(InputError, match="'ROI' lies outside the scan"):
        write_inputs(scene, changed(choices, cavity_source=MODEL, cavity_model="m@1", roi_id=roi.GetID()), tmp_path)
    with pytest.raises(InputError, match="is a Segmentation; a region of interest is a markups ROI"):
        write_inputs(scene, changed(choices, cavity_source=MODEL, cavity_model="m@1", roi_id=segmentation.GetID()), tmp_path)


def test_a_folder_that_can_not_be_written_to(scene, tmp_path):
    _, _, choices = ball_nodes(scene)
    with pytest.raises(ProcessingError, match="could not be written"):
        write_inputs(scene, choices, tmp_path / "gone")

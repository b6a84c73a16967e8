"""The sample that comes with the extension: whole, small, simulated and said so, offline, and measured near its truth."""

from __future__ import annotations

import hashlib
import json
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets import sample_data
from LAScarSegLib.datasets.sample_data import CAVITY_SEGMENT, NAME, is_sample, registration, sample
from LAScarSegLib.surface.planes import read_planes
from LAScarSegLib.volumes.files import SIMULATED, read_volume

slicer = pytest.importorskip("slicer", reason="the sample's nodes need slicer-core")

from LAScarSegLib import scene as mrml
from LAScarSegLib.scene.inputs import load_sample

MOST_BYTES = 2_000_000


@pytest.fixture
def loaded():
    scene = mrml.new_scene()
    return scene, *load_sample(scene)


def test_the_files_are_those_of_the_manifest_and_small(repository: Path) -> None:
    folder = repository / "Resources" / "SampleData"
    assert sorted(path.name for path in folder.iterdir()) == sorted([f"{NAME}.json", *(file.file for file in sample().files)])
    for file in sample().files:
        assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256
    assert sum(path.stat().st_size for path in folder.iterdir()) < MOST_BYTES


def test_the_scan_is_short_integers_on_the_grid_of_a_lascarqs_scan() -> None:
    scan = read_volume(sample().scan.path)
    assert scan.array.dtype == np.int16
    assert scan.geometry.spacing == (0.625, 0.625, 2.5) and scan.geometry.size == sample().size


def test_the_scan_says_that_it_is_simulated_in_its_header() -> None:
    assert SIMULATED in read_volume(sample().scan.path).flags


def test_a_node_loaded_by_slicers_own_reader_is_known_as_simulated() -> None:
    """vtkMRMLVolumeArchetypeStorageNode keeps the header's note where Python can't reach it."""
    scene = mrml.new_scene()
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", NAME)
    storage = slicer.vtkMRMLVolumeArchetypeStorageNode()
    storage.SetFileName(str(sample().scan.path))
    assert storage.ReadData(node)
    volume = mrml.volume_from_node(node)
    assert volume.flags == (SIMULATED,)
    assert volume.geometry.same_grid(read_volume(sample().scan.path).geometry)


def test_another_scan_of_the_same_size_is_not_taken_for_the_sample() -> None:
    array = read_volume(sample().scan.path).array
    assert is_sample(array) and is_sample(array.astype(np.uint16))
    array[0, 0, 0] += 1
    assert not is_sample(array)


def test_the_cavity_is_one_coded_segment_drawn_on_the_scan(loaded) -> None:
    _, volume_node, segmentation, _ = loaded
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1
    segment = segmentation.GetSegmentation().GetNthSegment(0)
    assert segment.GetName() == CAVITY_SEGMENT
    assert "SCT^82471001^Left atrium" in segment.GetTerminology()
    cavity = mrml.segment_from_node(segmentation, CAVITY_SEGMENT, mrml.volume_from_node(volume_node))
    voxel_ml = np.prod(cavity.geometry.spacing) / 1000
    assert cavity.array.sum() * voxel_ml == pytest.approx(sample().truth["la_volume_ml"], rel=0.01)


def test_the_planes_are_markups_named_after_what_they_cut_off(loaded) -> None:
    _, _, _, planes = loaded
    assert [plane.GetName() for plane in planes] == ["MV", "LSPV", "LIPV", "RSPV", "RIPV", "LAA"]
    for node, file in zip(planes, sample().planes):
        (from_file,) = read_planes(file.path)
        assert from_file.name == node.GetName() == node.GetNthControlPointLabel(0)
        ras = np.array([-1.0, -1.0, 1.0])
        np.testing.assert_allclose(node.GetOriginWorld(), ras * from_file.origin, atol=1e-6)
        np.testing.assert_allclose(node.GetNormalWorld(), ras * from_file.normal, atol=1e-6)


def test_the_analysis_of_the_loaded_sample_comes_near_its_truth(loaded) -> None:
    """A phantom score: it says that sample and software fit together, nothing about patients."""
    _, volume_node, segmentation, _ = loaded
    volume = mrml.volume_from_node(volume_node)
    cavity = mrml.segment_from_node(segmentation, CAVITY_SEGMENT, volume)
    planes = [plane for file in sample().planes for plane in read_planes(file.path)]
    result = analyse(volume, Settings(perturbation=False), cavity=cavity, planes=planes)
    truth, found = sample().truth, result.measurements
    assert found["la_volume_ml"].value == pytest.approx(truth["la_volume_ml"], rel=0.02)
    assert found["la_surface_area_cm2"].value == pytest.approx(truth["la_surface_area_cm2"], rel=0.05)
    assert found["scar_area_pct_wall"].value == pytest.approx(truth["scar_area_pct_wall"], abs=7.0)
    assert result.provenance["simulated"] and SIMULATED.code in {flag.code for flag in result.flags}


def test_slicer_copies_the_files_from_the_disk_and_finds_their_checksums(tmp_path: Path) -> None:
    """What `SampleDataLogic.downloadFile` does: `urlretrieve` of the address, then `<algorithm>:<digest>`."""
    arguments = registration()
    assert len({len(arguments[key]) for key in ("uris", "fileNames", "nodeNames", "checksums")}) == 1
    for uri, name, checksum in zip(arguments["uris"], arguments["fileNames"], arguments["checksums"]):
        assert uri.startswith("file:")
        urllib.request.urlretrieve(uri, tmp_path / name)
        algorithm, digest = checksum.split(":")
        assert hashlib.new(algorithm, (tmp_path / name).read_bytes()).hexdigest() == digest


def test_a_path_with_spaces_and_percent_signs_makes_an_address_that_opens(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "Program Files 100%"
    folder.mkdir()
    (folder / "scan.nrrd").write_bytes(b"voxels")
    monkeypatch.setattr(sample_data, "resource_path", lambda relative: folder / Path(relative).name)
    uri = sample_data.SampleFile("scan.nrrd", "scan", "").path.as_uri()
    with urllib.request.urlopen(uri) as response:
        assert response.read() == b"voxels"


def test_names_in_slicers_shared_cache_folder_are_our_own() -> None:
    assert all(name.startswith(NAME) for name in registration()["fileNames"])


def test_the_thumbnail_is_a_picture_of_the_size_that_slicer_suggests() -> None:
    image = sitk.ReadImage(registration()["thumbnailFileName"])
    assert image.GetSize() == (260, 280)


def test_the_manifest_says_how_the_sample_was_made(repository: Path) -> None:
    content = json.loads((repository / "Resources/SampleData" / f"{NAME}.json").read_text(encoding="utf-8"))
    assert "simulated" in content["what"]
    assert content["settings"]["seed"] == 21 and tuple(content["settings"]["size"]) == sample().size


def test_the_planes_are_hidden_as_their_files_say(loaded):
    """The handles of six planes make the first repaint of the views slow; the Sample Data module hides them too."""
    *_, planes = loaded
    files = [json.loads(plane.path.read_text(encoding="utf-8"))["markups"][0]["display"]["visibility"] for plane in sample().planes]
    assert [bool(node.GetDisplayNode().GetVisibility()) for node in planes] == files == [False] * 6

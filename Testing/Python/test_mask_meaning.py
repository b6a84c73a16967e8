"""What a mask means: which voxels of a file are the cavity, the wall, the scar; and words for files that can't say it."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import Grid, oblique
from mask_files import cropped, write_ball_mesh, write_dicom_segmentation, write_segments
from small_scan import RADIUS_MM, flag_codes, lascarseg, only_data_files, small_scan, write_scan

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.anatomy.distance import distance_to
from LAScarSegLib.anatomy.labels import SEGMENT_NAMES, chosen_voxels, labelled_voxels
from LAScarSegLib.anatomy.masks import Mask, check_cavity, mask_on_grid
from LAScarSegLib.anatomy.wall import check_wall
from LAScarSegLib.datasets.pairs import Pair
from LAScarSegLib.errors import InputError
from LAScarSegLib.evaluation.scores import read_mask, score_pair
from LAScarSegLib.jobs.mask_files import read_mask_file, refuse_mesh_as_scan
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.output.reading import read_result
from LAScarSegLib.support.flags import NOTE, STOP, WARNING
from LAScarSegLib.surface.filled_mesh import filled_mesh
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.segmentations import read_labels
from LAScarSegLib.volumes.volume import Geometry, Volume

SCAN, CAVITY = small_scan()
MASK, GRID = CAVITY.array > 0, CAVITY.geometry
TURNED = replace(GRID, direction=oblique())
LEFT = MASK & (np.arange(MASK.shape[2]) < 24)
ATRIUM, WALL, APPENDAGE = "Left atrium", "LA wall", "Appendage"


def segment(name: str, value: int = 1, layer: int = 0) -> dict[str, object]:
    return {"ID": f"Segment_{layer}_{value}", "Name": name, "LabelValue": value, "Layer": layer}


# ---- segments


@pytest.mark.parametrize(("count", "grid"), [(2, GRID), (3, GRID), (2, TURNED)], ids=["two", "three", "oblique"])
def test_a_segment_is_taken_by_its_name_though_others_overlap_it(tmp_path, count, grid):
    layers = [MASK, np.ones_like(MASK), LEFT][:count]
    path = write_segments(
        tmp_path / "s.seg.nrrd", layers, grid, [segment(name, 1, n) for n, name in enumerate((ATRIUM, WALL, APPENDAGE)[:count])]
    )

    chosen = chosen_voxels(read_labels(path), "cavity", ["left ATRIUM"])

    assert np.array_equal(chosen.array, MASK) and chosen.geometry.same_grid(grid)


def test_segments_of_an_old_slicer_are_layers_without_labels(tmp_path):
    path = write_segments(tmp_path / "s.seg.nrrd", [LEFT, MASK], GRID, [{"Name": APPENDAGE}, {"Name": ATRIUM}])

    assert np.array_equal(chosen_voxels(read_labels(path), "cavity", [ATRIUM]).array, MASK)


def test_several_segments_are_named_and_never_guessed(tmp_path):
    path = write_segments(tmp_path / "s.seg.nrrd", [MASK, LEFT], GRID, [segment(ATRIUM, 1, 0), segment(APPENDAGE, 1, 1)])
    file = read_labels(path)

    with pytest.raises(
        InputError, match=r"'Left atrium' \(label 1\), 'Appendage' \(label 1\). Say which is the cavity with --cavity-label"
    ):
        chosen_voxels(file, "cavity")
    with pytest.raises(InputError, match="2 segments that '1' stands for"):
        chosen_voxels(file, "cavity", ["1"])
    with pytest.raises(InputError, match="no segment 'LV'; it has 'Left atrium'"):
        chosen_voxels(file, "cavity", ["LV"])


def test_the_only_segment_with_voxels_needs_no_name(tmp_path):
    path = write_segments(tmp_path / "s.seg.nrrd", [MASK * np.uint8(2)], GRID, [segment(WALL, 1), segment(ATRIUM, 2)])

    assert np.array_equal(chosen_voxels(read_labels(path), "cavity").array, MASK)


@pytest.mark.parametrize(
    "name", ["Left ventricle", "LV", "LV_cavity", "Right atrium", "heart_atrium_right", "RA", "Aorta", "LA wall", "LAWall", "PVs", "LA_scar", "Fibrosis",
             "Myocardium", "left_atrial_appendage", "LAA", "LSPV", "Pulmonary veins", "Linker Ventrikel"],
)  # fmt: skip
def test_the_only_segment_that_is_called_something_else_is_a_warning(tmp_path, name):
    segments = [segment(ATRIUM, 1), segment(name, 2)]
    file = read_labels(write_segments(tmp_path / "s.seg.nrrd", [MASK * np.uint8(2)], GRID, segments))
    (flag,) = chosen_voxels(file, "cavity").flags
    assert (flag.code, flag.severity) == ("cavity_named_otherwise", WARNING) and f"'{name}'" in flag.message
    # Who names it means it, and a wall may be called a wall.
    assert chosen_voxels(file, "cavity", [name]).flags == chosen_voxels(file, "wall").flags == ()


@pytest.mark.parametrize(
    "name", [ATRIUM, "LA", "LeftAtrium", "heart_atrium_left", "left atrial cavity", "LA_endo", "LA + PVs", "LA with appendage", "Cavity", "Blood pool",
             "Segment_1", "segment 1", "1", "Oreillette gauche", "Linker Vorhof", "Label_1_final", "Maria Ra\u00fa"],
)  # fmt: skip
def test_the_only_segment_that_is_called_the_atrium_or_nothing_is_taken(tmp_path, name):
    path = write_segments(tmp_path / "s.seg.nrrd", [MASK], GRID, [segment(name)])
    assert chosen_voxels(read_labels(path), "cavity").flags == ()


@pytest.mark.parametrize("label", ["2", 2, ATRIUM])
@pytest.mark.parametrize("grid", [GRID, TURNED], ids=["straight", "oblique"])
def test_a_cropped_segmentation_lies_on_the_scans_grid_and_nothing_is_said_of_resampling(tmp_path, label, grid):
    part = cropped(Volume(np.where(LEFT, 1, 2 * MASK).astype(np.uint8), grid))
    path = write_segments(tmp_path / "s.seg.nrrd", [part.array], part.geometry, [segment(WALL, 1), segment(ATRIUM, 2)])

    array, flags = mask_on_grid(chosen_voxels(read_labels(path), "cavity", [label]), grid, "cavity")

    assert np.array_equal(array, MASK & ~LEFT) and flags == ()


@pytest.mark.parametrize("names", [(ATRIUM,), (ATRIUM, WALL), ("Oreillette gauche — é",)])
def test_a_dicom_segmentation_is_refused_with_its_segments(tmp_path, names):
    folder = tmp_path / "series"
    folder.mkdir()
    file = write_dicom_segmentation(folder / "seg.dcm", names)

    for path in (file, folder):
        with pytest.raises(InputError, match="DICOM segmentation") as refused:
            read_labels(path)
        assert all(f"'{name}'" in str(refused.value) for name in names) and ".seg.nrrd" in str(refused.value)


# ---- labels


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


def test_repeated_labels_mean_all_of_them_together(folder, capfd):
    write_volume(Volume(np.where(LEFT, 3, 7 * MASK).astype(np.uint8), GRID), "labels.nrrd")

    outcome = lascarseg(capfd, "run", "image.nrrd", "--cavity", "labels.nrrd", "--cavity-label", 3, "--cavity-label", 7, "-o", "out")

    assert outcome.code == 0, outcome
    assert np.array_equal(read_volume("out/cavity.nii.gz").array > 0, MASK)
    assert not flag_codes(folder / "out") & {"cavity_resampled", "mask_misplaced", "mask_header_differs"}


@pytest.mark.parametrize(
    ("array", "label", "says"),
    [
        (MASK * np.float32(0.9882), 1, "only value above 0 is 0.9882, which is no whole number"),
        (MASK * np.uint8(255), 1, "only value above 0 is 255. Leave --cavity-label out"),
        (np.linspace(0, 255, MASK.size).astype(np.uint8).reshape(MASK.shape), 255, "probability map scaled to 255"),
        (SCAN.array, 200, "grey levels, not labels"),
        (MASK * np.linspace(0.1, 0.9, MASK.shape[2]), 1, "probability map"),
        (np.where(LEFT, 3, 7 * MASK), "3,7", "labels by number, with --cavity-label once for each"),
    ],
    ids=["0.9882", "255", "8-bit probabilities", "a scan", "probabilities", "a list"],
)
def test_a_label_that_is_not_what_it_seems(array, label, says):
    with pytest.raises(InputError) as refused:
        labelled_voxels(Volume(np.ascontiguousarray(array), GRID), "cavity", [label])
    assert says in str(refused.value)


DISTANCE = distance_to(~MASK, GRID.spacing_kji, 30.0) - distance_to(MASK, GRID.spacing_kji, 30.0)


@pytest.mark.parametrize(("sign", "dtype"), [(1, np.float32), (-1, np.float32), (1, np.float64)])
def test_a_signed_distance_map_is_called_one(tmp_path, sign, dtype):
    path = tmp_path / "distance.nrrd"
    write_volume(Volume((sign * DISTANCE).astype(dtype), GRID), path)
    for read in (lambda: chosen_voxels(read_labels(path), "cavity"), lambda: read_mask(path)):
        with pytest.raises(InputError, match="looks like a signed distance map. Cut it at 0 first"):
            read()


def test_a_probability_map_shows_a_fraction_that_says_something(tmp_path):
    path = tmp_path / "probability.nrrd"
    write_volume(Volume((1 / (1 + np.exp(-5 * DISTANCE.clip(-17, 17)))).astype(np.float32), GRID), path)
    for read in (lambda: chosen_voxels(read_labels(path), "cavity"), lambda: read_mask(path)):
        with pytest.raises(InputError, match=r"fractions such as 0\.\d+, so it is a probability map. Cut it at a threshold \(0.5\)"):
            read()


@pytest.mark.parametrize("name", ["image.nrrd", "copy.nii.gz", "copy.mha"])
def test_the_scan_as_its_own_cavity(folder, name):
    write_volume(SCAN, name)
    with pytest.raises(InputError, match=f"{name} is the scan itself, given as the cavity"):
        read_mask_file(Path(name), "cavity", (), SCAN)


# ---- parts of an atrium


def atrium_with_parts() -> tuple[np.ndarray, Geometry]:
    """Labels: 1 wall, 2 a chamber beside the atrium, 3 its body, 4 a vein, 5 scar in the wall, 6 a vein apart from the body."""
    grid = Grid.around((1.25, 1.25, 2.5), 60.0)
    k, j, i = np.indices(grid.geometry.shape)
    body = grid.ball(20.0).array > 0
    x, y, z = ((n - (size - 1) / 2) * mm for n, size, mm in zip((i, j, k), grid.geometry.size, grid.geometry.spacing))
    outside = distance_to(body, grid.geometry.spacing_kji, 12.0)
    wall = (outside > 0) & (outside <= 3.0)
    labels = np.where(wall, 1, 0) + np.where(body, 3, 0)
    labels[wall & (y > 15.0)] = 5
    labels[(np.hypot(y, z) < 6.0) & (x > 0) & (x < 29.0) & ~body] = 4
    labels[(np.hypot(y, z) < 6.0) & (x < -23.5) & ~body] = 6
    labels[(z > 8.0) & ~body & ~wall & (labels == 0)] = 2
    return labels.astype(np.uint8), grid.geometry


LABELS, LABELS_GRID = atrium_with_parts()


@pytest.mark.parametrize(("wanted", "says"), [([3], "label 4 ("), ([3, 4], None), ([4, 3], None)])
def test_a_body_that_opens_into_a_vein_of_the_same_file_is_said(wanted, says):
    _, flags = labelled_voxels(Volume(LABELS, LABELS_GRID), "cavity", wanted)
    assert [flag.code for flag in flags] == (["cavity_goes_on"] if says else [])
    assert all(says in flag.message and "label 1" not in flag.message and "label 6" not in flag.message for flag in flags)


def test_a_vein_that_is_another_segment_is_named(tmp_path):
    path = write_segments(tmp_path / "s.seg.nrrd", [LABELS], LABELS_GRID, [segment(ATRIUM, 3), segment("LSPV", 4), segment(WALL, 1)])
    (flag,) = chosen_voxels(read_labels(path), "cavity", [ATRIUM]).flags
    assert flag.code == "cavity_goes_on" and "'LSPV'" in flag.message and WALL not in flag.message
    assert chosen_voxels(read_labels(path), "cavity", [ATRIUM, "LSPV"]).flags == ()
    assert chosen_voxels(read_labels(path), "wall", [WALL]).flags == ()


# ---- walls


def shells(thickness_mm: float, other_mm: float | None = None) -> tuple[np.ndarray, np.ndarray, float]:
    """The wall of a ball of 15 mm, with that of another chamber `other_mm` beside it; distances; mL a voxel."""
    grid = Grid.around((1.25, 1.25, 1.25), 50.0)
    ball, around = grid.ball(15.0).array > 0, grid.ball(15.0 + thickness_mm).array > 0
    distance = distance_to(ball, (1.25,) * 3, 12.0)
    wall = around & ~ball
    if other_mm is not None:
        wall |= np.roll(wall, round(other_mm / 1.25), axis=2)
    return wall & ~ball, distance, grid.geometry.voxel_volume_ml


@pytest.mark.parametrize(
    ("shape", "codes"),
    [
        ((2.5, None), []), ((5.0, None), []), ((2.5, 32.0), ["wall_far_from_cavity"]), ((2.5, 28.0), ["wall_far_from_cavity"]),
        ((10.0, None), ["wall_too_thick"]), ((8.5, None), ["wall_too_thick"]),
    ],
)  # fmt: skip
def test_a_wall_that_is_not_this_atriums(shape, codes):
    wall, distance, voxel_ml = shells(*shape)
    flags = check_wall(wall, distance, voxel_ml)
    assert [flag.code for flag in flags] == codes
    if codes:
        far = np.count_nonzero(wall & (distance > 10.0)) * voxel_ml
        assert f"{far:.1f} of" in flags[0].message or "thick; atrial walls" in flags[0].message


def test_a_result_says_that_its_wall_is_too_thick():
    wall = (distance_to(MASK, GRID.spacing_kji, 12.0) <= 8.5) & ~MASK
    result = analyse(SCAN, Settings(perturbation=False), cavity=CAVITY, wall=Volume(wall, GRID))
    assert "wall_too_thick" in {flag.code for flag in result.flags}


# ---- meshes

CENTRE = Grid.around((1.25, 1.25, 2.5), 30.0).centre


@pytest.mark.parametrize("extension", [".stl", ".ply", ".vtk", ".vtp"])
def test_a_closed_mesh_is_filled(tmp_path, extension):
    path = write_ball_mesh(tmp_path / f"shell{extension}", CENTRE, RADIUS_MM)

    filled = filled_mesh(path, GRID)

    assert np.count_nonzero(filled.array ^ MASK) < 0.01 * MASK.sum()
    assert [flag.code for flag in filled.flags] == ["mesh_without_space"]


@pytest.mark.parametrize("space", ["LPS", "RAS"])
@pytest.mark.parametrize("extension", [".stl", ".ply", ".vtk"])
def test_a_mesh_says_its_coordinates(tmp_path, extension, space):
    centre = CENTRE * (1 if space == "LPS" else np.array([-1, -1, 1]))
    path = write_ball_mesh(tmp_path / f"shell{extension}", centre, RADIUS_MM, f"3D Slicer output. SPACE={space}")

    filled = filled_mesh(path, GRID)

    assert np.count_nonzero(filled.array ^ MASK) < 0.01 * MASK.sum() and filled.flags == ()


def test_a_mesh_is_filled_on_an_oblique_grid(tmp_path):
    grid = Grid.around((1.25, 1.25, 2.5), 30.0, direction=oblique(flip=True))
    path = write_ball_mesh(tmp_path / "shell.stl", grid.centre, RADIUS_MM)

    assert np.count_nonzero(filled_mesh(path, grid.geometry).array ^ (grid.ball(RADIUS_MM).array > 0)) < 0.01 * MASK.sum()


def test_meshes_that_cannot_be_filled(tmp_path):
    for name in ("open.stl", "open.ply", "open.vtp"):
        with pytest.raises(InputError, match="open surface .* Close it"):
            filled_mesh(write_ball_mesh(tmp_path / name, CENTRE, RADIUS_MM, is_open=True), GRID)
    with pytest.raises(InputError, match="does not overlap .* It would if its coordinates were of the other kind"):
        filled_mesh(
            write_ball_mesh(tmp_path / "ras.stl", CENTRE * [-1, -1, 1], 5.0), replace(GRID, origin=tuple(CENTRE - 6.0), size=(10, 10, 5))
        )
    (tmp_path / "text.vtk").write_text("no mesh")
    with pytest.raises(InputError, match="no surface mesh that can be read"):
        filled_mesh(tmp_path / "text.vtk", GRID)


def test_a_mesh_is_no_wall_and_no_scan(tmp_path):
    path = write_ball_mesh(tmp_path / "shell.ply", CENTRE, RADIUS_MM)
    with pytest.raises(InputError, match="only the cavity may be given as one"):
        read_mask_file(path, "wall", (), SCAN)
    with pytest.raises(InputError, match="surface mesh, not a scan"):
        refuse_mesh_as_scan(path)
    assert read_mask_file(path, "cavity", (), SCAN).array.any()


# ---- slices


def without(axis: int, which: slice | int) -> tuple:
    array = MASK.copy()
    np.moveaxis(array, axis, 0)[which] = False
    return check_cavity(Mask.of(array), GRID)


@pytest.mark.parametrize(
    ("axis", "which", "says"),
    [
        (0, slice(0, None, 2), "Every second slice"), (0, slice(0, None, 3), "Every third slice"), (1, slice(0, None, 4), "Every fourth row"),
        (2, slice(1, None, 2), "Every second column"),
    ],
)  # fmt: skip
def test_a_cavity_drawn_on_some_slices_only_stops(axis, which, says):
    (flag,) = [flag for flag in without(axis, which) if flag.code == "cavity_slices_empty"]
    assert flag.severity == STOP and flag.message.startswith(says) and "Fill between slices" in flag.message


@pytest.mark.parametrize(("axis", "number", "says"), [(0, 12, "slice 13"), (0, 9, "slice 10"), (1, 24, "row 25")])
def test_a_forgotten_slice_is_named(axis, number, says):
    (flag,) = [flag for flag in without(axis, number) if flag.code.startswith("cavity_slice")]
    assert flag.code == "cavity_slice_forgotten" and says in flag.message


def test_a_piece_beside_the_cavity_is_no_forgotten_slice():
    array = np.zeros_like(MASK)
    array[2:10, 10:20, 10:20], array[12:20, 30:40, 30:40] = True, True
    assert {flag.code for flag in check_cavity(Mask.of(array), GRID)} == {"cavity_in_pieces"}


@pytest.mark.parametrize(("size", "severity"), [(1, NOTE), (2, NOTE), (6, WARNING)])
def test_specks_and_pinholes_are_notes(size, severity):
    array, centre = MASK.copy(), [n // 2 for n in MASK.shape]
    array[tuple(slice(c, c + size) for c in centre)] = False
    array[tuple(slice(0, size) for _ in centre)] = True
    flags = {flag.code: flag.severity for flag in check_cavity(Mask.of(array), GRID)}
    assert (flags["cavity_has_holes"], flags["cavity_in_pieces"]) == (severity, severity)


# ---- corrections beside the old masks


@pytest.fixture(scope="module")
def whole_result(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("whole")
    image, cavity = write_scan(home)
    run_request(Request(image=image, cavity=cavity, output=home / "out", figures=False, report=False, scene=False))
    return home


@pytest.fixture
def result(whole_result, tmp_path) -> Path:
    shutil.copytree(whole_result, tmp_path / "home")
    return tmp_path / "home" / "out"


@pytest.mark.parametrize("name", ["cavity", "wall", "scar"])
@pytest.mark.parametrize("extension", [".nrrd", ".seg.nrrd", ".mha", ".NRRD"])
def test_a_correction_saved_under_another_extension_counts(result, name, extension):
    if extension == ".seg.nrrd":
        part = cropped(Volume(LEFT.astype(np.uint8), GRID))
        write_segments(result / f"{name}.seg.nrrd", [part.array], part.geometry, [segment(name.capitalize())])
    else:
        write_volume(Volume(LEFT.astype(np.uint8), GRID), result / f"{name}{extension}")

    if extension == ".NRRD":
        (result / f"{name}{extension}").rename(result / f"{name.capitalize()}.nrrd")

    stored = read_result(result)

    assert stored.masks[name] == Mask.of(LEFT) and stored.drawn == {name}
    saved = f"{name.capitalize()}.nrrd" if extension == ".NRRD" else f"{name}{extension}"
    assert f"{saved} differs" in stored.remarks[name][-1].message


def test_a_copy_of_what_was_measured_is_no_correction(result):
    write_volume(read_volume(result / "cavity.nii.gz"), result / "cavity.nrrd")
    assert read_result(result).drawn == set()


def test_two_corrections_that_differ_are_refused(result):
    write_volume(Volume(LEFT.astype(np.uint8), GRID), result / "cavity.nrrd")
    write_volume(Volume((MASK & ~LEFT).astype(np.uint8), GRID), result / "cavity.nii.gz")
    with pytest.raises(InputError, match=r"cavity.nii.gz and cavity.nrrd, and they differ"):
        read_result(result)


def test_an_older_file_beside_the_mask_is_refused(result):
    write_volume(Volume(LEFT.astype(np.uint8), GRID), result / "wall.mha")
    os.utime(result / "wall.mha", (0, 0))
    with pytest.raises(InputError, match=r"wall.nii.gz and wall.mha, and they differ"):
        read_result(result)


@pytest.mark.parametrize("name", ["cavity", "wall", "scar"])
def test_a_mask_that_was_taken_away_is_named_with_the_remedy(result, name):
    (result / f"{name}.nii.gz").unlink()
    with pytest.raises(InputError, match=rf"lacks {name}.nii.gz, and holds no corrected {name} instead .* run the analysis again"):
        read_result(result)


@pytest.mark.parametrize("name", ["Segmentation.seg.nrrd", "cavity_edited.nii.gz", "LA Wall.nrrd", "Left atrium.nrrd", "LA_corrected.nii.gz"])
def test_a_correction_under_an_unknown_name_is_refused(result, name):
    if name.endswith(".seg.nrrd"):
        write_segments(result / name, [LEFT], GRID, [segment(ATRIUM)])
    else:
        write_volume(Volume(LEFT.astype(np.uint8), GRID), result / name)
    with pytest.raises(InputError, match=rf"holds {name}, which is not read under this name. .*call it cavity.seg.nrrd"):
        read_result(result)


@pytest.mark.parametrize("name", ["cavity_before.nii.gz", "scar copy.nrrd", "sdm_cavity.nrrd", "scar_probability.mha", "scan.nrrd"])
def test_copies_and_maps_beside_the_masks_are_no_corrections(result, name):
    content = SCAN if name == "scan.nrrd" else read_volume(result / f"{name.partition('_')[0].partition(' ')[0].replace('sdm', 'cavity')}.nii.gz")
    write_volume(content, result / name)
    assert read_result(result).drawn == set()


@pytest.mark.parametrize("is_corrected", [True, False])
def test_a_whole_segmentation_under_an_unknown_name_counts_by_all_of_its_segments(result, is_corrected):
    masks = {name: read_volume(result / f"{name}.nii.gz").array > 0 for name in ("cavity", "wall", "scar")}
    if is_corrected:
        masks["cavity"] = LEFT
    segments = [segment(SEGMENT_NAMES[name], 1, layer) for layer, name in enumerate(masks)]
    write_segments(result / "Segmentation.seg.nrrd", list(masks.values()), GRID, segments)
    with pytest.raises(InputError, match="not read under this name") if is_corrected else nullcontext():
        assert read_result(result).drawn == set()


def test_measure_gives_the_corrected_volume(result, capfd, monkeypatch):
    only_data_files(monkeypatch)
    write_volume(Volume(LEFT.astype(np.uint8), GRID), result / "cavity.nrrd")
    outcome = lascarseg(capfd, "measure", result, "-o", result.parent / "again")
    assert outcome.code == 0, outcome
    measured = json.loads((result.parent / "again" / "measurements.json").read_text())["la_volume_ml"]["value"]
    assert measured == pytest.approx(LEFT.sum() * GRID.voxel_volume_ml, rel=0.05)


# ---- evaluation


def scored(tmp_path: Path, prediction: Volume, label: int | None = None, structure: str = "cavity"):
    for name, mask in (("a.nii.gz", prediction), ("b.nii.gz", CAVITY)):
        write_volume(mask, tmp_path / name)
    return score_pair(Pair("case", structure, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz", None, False), 2.0, label)


def moved(x: float, y: float, z: float) -> Geometry:
    return replace(GRID, origin=tuple(np.add(GRID.origin, (x, y, z))))


@pytest.mark.parametrize(
    "mask", [cropped(CAVITY), Volume(CAVITY.array, moved(0.002, -0.001, 0.002)), Volume(CAVITY.array, replace(GRID, spacing=(1.25, 1.25, 2.50001)))],
    ids=["cropped", "origin rounded", "spacing rounded"],
)  # fmt: skip
def test_masks_whose_voxels_coincide_are_compared(tmp_path, mask):
    score = scored(tmp_path, mask)
    assert score.values["dice"] == 1.0 and score.values["hd_mm"] == 0.0


def test_a_part_beyond_the_references_grid_counts_against_the_prediction(tmp_path):
    more = np.zeros((37, 49, 49), np.uint8)
    more[:25], more[30:33] = CAVITY.array, 1
    score = scored(tmp_path, Volume(more, replace(GRID, size=(49, 49, 37))))
    assert score.values["dice"] == pytest.approx(2 * MASK.sum() / (2 * MASK.sum() + 3 * 49 * 49))


def test_a_lost_header_is_said(tmp_path):
    with pytest.raises(InputError, match="copy the reference's header"):
        scored(tmp_path, Volume(CAVITY.array, moved(1.25, 0.0, 0.0)))


def test_a_cavity_without_the_label_is_taken_by_its_only_value(tmp_path):
    """It would have been compared as empty: Dice 0, or 1 where both lack it."""
    score = scored(tmp_path, Volume(np.where(MASK, 2, 1).astype(np.uint8), GRID), label=2)
    assert score.values["dice"] == 1.0 and "b.nii.gz has no label 2" in " ".join(score.notes)

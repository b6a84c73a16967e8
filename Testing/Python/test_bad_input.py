"""Bad input on the command line: exit code 2, one line that says what is wrong and what to do, and nothing left behind.

What is only odd is carried on with, and flagged in measurements.json.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from small_scan import NOISE, flag_codes, lascarseg, numbers, only_data_files, small_scan, write_scan

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.volumes.files import COMPUTED, read_volume, write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

SCAN, CAVITY = small_scan()
MASK = CAVITY.array > 0
GRID = SCAN.geometry
CENTRE = GRID.index_to_lps(np.argwhere(MASK)[:, ::-1].mean(axis=0)[None])[0]


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder with image.nrrd and cavity.nrrd, where the user is, so that relative paths are tested all along."""
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    return tmp_path


def save(array: np.ndarray, name: str, geometry: Geometry = GRID) -> str:
    write_volume(Volume(np.ascontiguousarray(array), geometry), name)
    return name


def mask(array: np.ndarray, geometry: Geometry = GRID) -> str:
    return save(array.astype(np.uint8), "mask.nrrd", geometry)


def refused(folder: Path, capfd, *arguments: object) -> str:
    """The message of a command that must be refused without leaving anything."""
    before = sorted(os.listdir(folder))
    outcome = lascarseg(capfd, *arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("Error: ") and "Traceback" not in line
    assert sorted(os.listdir(folder)) == before
    return line


def run(image: str = "image.nrrd", cavity: str = "cavity.nrrd", *options: object, output: str = "out") -> tuple:
    return ("run", image, "--cavity", cavity, *options, "-o", output)


def one_voxel() -> np.ndarray:
    array = np.zeros(GRID.shape)
    array[12, 24, 24] = 1
    return array


def write_itk(image: sitk.Image, name: str) -> str:
    sitk.WriteImage(image, name)
    return name


def with_voxel(value: float) -> str:
    return save(np.where(one_voxel(), value, SCAN.array).astype(np.float32), "odd.nrrd")


def text_file(name: str, text: str = "hello") -> str:
    Path(name).write_text(text)
    return name


def computed() -> str:
    write_volume(Volume(SCAN.array.astype(np.float32), GRID, (COMPUTED,)), "sdm.nrrd")
    return "sdm.nrrd"


def truncated() -> str:
    content = Path("image.nrrd").read_bytes()
    Path("short.nrrd").write_bytes(content[: len(content) // 2])
    return "short.nrrd"


def moved(distance_mm: float) -> Geometry:
    return replace(GRID, origin=(GRID.origin[0] + distance_mm, *GRID.origin[1:]))


def no_scan_folder() -> str:
    Path("scan").mkdir()
    text_file("scan/notes.txt")
    return "scan"


def folder_of_cases() -> str:
    Path("cohort/A").mkdir(parents=True)
    return str(Path(save(SCAN.array, "cohort/A/image.nrrd")).parents[1])


IMAGES: dict[str, tuple[Callable[[], str], str]] = {
    "missing": (lambda: "gone.nrrd", "gone.nrrd does not exist"),
    "empty": (lambda: text_file("empty.nii.gz", ""), "empty"),
    "truncated": (truncated, "truncated"),
    "wrong extension": (lambda: text_file("scan.jpg"), "Give one of .nrrd"),
    "folder without DICOM": (no_scan_folder, "no DICOM image"),
    "a folder of scans": (folder_of_cases, "cohort holds no DICOM image (its subfolders are not searched: A). Give"),
    "a Slicer scene": (lambda: text_file("scene.mrb"), "it is a scene of Slicer, which holds several things"),
    "2-D": (lambda: write_itk(SCAN.to_sitk()[:, :, 9], "flat.nrrd"), "2-D with size 49 × 49"),
    "4-D": (lambda: write_itk(sitk.JoinSeries([SCAN.to_sitk()] * 2), "time.nii.gz"), "4-D"),
    "colour": (lambda: write_itk(sitk.Compose([SCAN.to_sitk()] * 3), "rgb.nrrd"), "3 components"),
    "NaN": (lambda: with_voxel(np.nan), "1 voxels are NaN"),
    "infinite": (lambda: with_voxel(np.inf), "1 voxels are NaN or infinite"),
    "constant": (lambda: save(np.full(GRID.shape, 7, np.int16), "flat.nrrd"), "Every voxel of the image is 7"),
    "a mask": (lambda: "cavity.nrrd", "cavity.nrrd is a mask or label map, not a scan: its voxels have only 2 different values (0, 1)"),
    "a label map": (
        lambda: save((MASK * (420 + 10 * (np.arange(49) // 10))).astype(np.float32), "labels.nrrd"),
        "only 6 different values (0, 420, 430, 440, 450, 460). Give the LGE-MRI itself",
    ),
    "a map of ours": (computed, "sdm.nrrd is a map that LAScarSeg computed (a distance, a probability), not a scan"),
    "z-scored": (lambda: save((SCAN.array - 1000).astype(np.int16), "z.nrrd"), "blood pool's mean intensity is -800"),
    "in another unit": (lambda: save(SCAN.array, "cm.nrrd", replace(GRID, spacing=(12.5, 12.5, 19.0))), "more than any atrium"),
    "in metres": (
        lambda: save(SCAN.array, "m.nrrd", replace(GRID, spacing=(0.00125, 0.00125, 0.0025))),
        "0.00125 × 0.00125 × 0.0025 mm is impossible",
    ),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_that_cannot_be_used(folder, capfd, kind):
    make, says = IMAGES[kind]
    image = make()
    # A header that is wrong in the scan is wrong in the mask drawn on it.
    cavity = mask(MASK, read_volume(image).geometry) if kind.startswith("in ") else "cavity.nrrd"
    assert says in refused(folder, capfd, *run(image, cavity))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: text_file("case.h5"), "not a volume file"), (lambda: "gone.nrrd", "does not exist"),
        (folder_of_cases, "To measure a folder of scans, use Examples/slicer_batch.py."), (no_scan_folder, "no DICOM image"),
    ],
)  # fmt: skip
def test_what_is_no_scan_is_refused_before_a_model_is_spoken_of(folder, capfd, make, says):
    line = refused(folder, capfd, "run", make(), "-o", "out")
    assert says in line and "model" not in line and ("slicer_batch" in line) == ("slicer_batch" in says)


MASKS: dict[str, tuple[Callable[[], str], str]] = {
    "missing": (lambda: "gone.nrrd", "'gone.nrrd' is not an existing file"),
    "empty": (lambda: mask(0 * MASK), "empty"),
    "full": (lambda: mask(np.ones(GRID.shape)), "fills 100 % of the image"),
    "one voxel": (lambda: mask(one_voxel()), "holds 1 voxels"),
    "elsewhere": (lambda: mask(MASK, moved(1000.0)), "does not overlap"),
    "negative values only": (lambda: save(-MASK.astype(np.int16), "mask.nrrd"), "empty"),
    "several labels": (
        lambda: mask(MASK * np.where(np.arange(49) < 24, 3, 7)),
        "several labels, 3, 7. Say which is the cavity with --cavity-label",
    ),
    "the scan itself": (lambda: "image.nrrd", "image.nrrd is the scan itself, given as the cavity"),
    "probabilities": (lambda: save((MASK * np.linspace(0.1, 0.9, 49)).astype(np.float32), "mask.nrrd"), "probability map"),
    "a folder": (no_scan_folder, "no DICOM image"),
    "2-D": (lambda: write_itk(CAVITY.to_sitk()[:, :, 12], "mask.nrrd"), "2-D"),
    "NaN": (lambda: save(np.where(MASK, np.nan, 0).astype(np.float32), "mask.nrrd"), "NaN"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_a_cavity_that_cannot_be_used(folder, capfd, kind):
    make, says = MASKS[kind]
    assert says in refused(folder, capfd, *run(cavity=make()))


def test_a_cavity_is_needed(folder, capfd, monkeypatch):
    """Where no cavity model is there, the project's own left out."""
    monkeypatch.setattr("LAScarSegLib.models.store.RESOURCE_FOLDERS", ())
    monkeypatch.setenv("LASCARSEG_MODELS", str(folder / "none"))
    assert "--cavity FILE" in refused(folder, capfd, "run", "image.nrrd", "-o", "out")


@pytest.mark.parametrize(
    ("label", "says"),
    [("5", "no label 5; it has 3, 7"), ("0", "no label 0"), ("-3", "no label -3"), ("1.5", "--cavity-label"), ("x", "--cavity-label")],
)
def test_a_label_that_is_not_there(folder, capfd, label, says):
    path = mask(MASK * np.where(np.arange(49) < 24, 3, 7))
    assert says in refused(folder, capfd, *run("image.nrrd", path, "--cavity-label", label))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--wall", "cavity.nrrd"), "no wall outside the cavity"),
        (("--wall", "gone.nrrd"), "gone.nrrd does not exist"),
        (("--scar", "foo"), "'foo' is neither an existing scar mask nor a rule; the rules are iir, nsd"),
        (("--scar", ""), "'' is neither"),
        (("--scar", "."), "'.' is neither"),
        (("--scar", "IIR"), "'IIR' is neither"),
        (("--scar", "gone.nrrd"), "'gone.nrrd' is neither"),
        (("--threshold", "abc"), "'abc' is neither a number nor a preset of 'iir' (cemrgapp-0.86"),
        (("--threshold", "1,2"), "'1,2' is neither"),
        (("--threshold", ""), "'' is neither"),
        (("--threshold", "nan"), "'nan' is neither"),
        (("--threshold", "inf"), "'inf' is neither"),
        (("--threshold", "-1"), "is -1; it must be 0 or more"),
        (("--threshold", "hopman-3"), "nor a preset of 'iir'"),
        (("--scar", "percentile", "--threshold", "101"), "is 101; it must be between 0 and 100"),
        (("--scar", "otsu", "--threshold", "2"), "finds its threshold by itself"),
        (("--scar", "cavity.nrrd", "--threshold", "1.2"), "given as a mask (cavity.nrrd)"),
        (("--staging", "foo"), "staging is 'foo'; choose one of utah, utah2010"),
        (("--regions", "foo"), "regions is 'foo'; choose one of walls, benito2018"),
        (("--progress", "foo"), "'foo' is not one of"),
        (("--device", "cuda"), "device 'cuda' is for models; none was chosen"),
        (("--device", "foo"), "device 'foo' is for models; none was chosen"),
        (("--planes", "gone.json"), "gone.json can't be read: No such file"),
        (("surplus",), "surplus"),
    ],
)
def test_an_option_that_cannot_be_used(folder, capfd, options, says):
    assert says in refused(folder, capfd, *run("image.nrrd", "cavity.nrrd", *options))


@pytest.mark.parametrize("arguments", [("walk",), ("run",), ("run", "image.nrrd"), ("measure",)])
def test_an_incomplete_command_points_to_its_help(folder, capfd, arguments):
    assert "--help" in refused(folder, capfd, *arguments)


def planes_at(origin: list[float], system: str = "LPS") -> str:
    return text_file(
        "planes.json", json.dumps({"coordinateSystem": system, "planes": [{"name": "MV", "origin": origin, "normal": [0, 0, 1]}]})
    )


def test_planes_of_another_scan(folder, capfd):
    assert "does not cut the LA surface" in refused(
        folder, capfd, *run("image.nrrd", "cavity.nrrd", "--planes", planes_at([500.0, 500.0, 500.0]))
    )


def test_planes_in_the_other_coordinate_system(folder, capfd):
    """The plane goes on for ever and still cuts the ball; that its origin is far off tells."""
    origin = (CENTRE - [0, 0, 15]).tolist()
    assert lascarseg(capfd, *run("image.nrrd", "cavity.nrrd", "--planes", planes_at(origin), output="right")).code == 0
    assert "coordinate system" in refused(folder, capfd, *run("image.nrrd", "cavity.nrrd", "--planes", planes_at(origin, "RAS")))


def foreign_folder() -> str:
    Path("photos").mkdir()
    text_file("photos/one.jpg")
    return "photos"


@pytest.mark.parametrize(
    ("output", "options", "says"),
    [
        (lambda: "image.nrrd", (), "is a file"),
        (lambda: "nowhere/out", (), "does not exist. Create it"),
        (lambda: "image.nrrd/out", (), "does not exist"),
        (foreign_folder, (), "not a LAScarSeg result"),
        (lambda: "photos/../" + foreign_folder(), ("--force",), "not a LAScarSeg result"),
        (lambda: ".", ("--force",), "not a LAScarSeg result"),
        (lambda: "/", ("--force",), "can't be a result's folder"),
        (lambda: "x" * 300, (), "File name too long"),
        (lambda: "/proc/out", (), "can't be written to"),
    ],
    ids=[
        "file",
        "parent missing",
        "parent is a file",
        "foreign folder",
        "foreign folder with force",
        "here",
        "root",
        "long name",
        "unwritable",
    ],
)
def test_an_output_that_cannot_be_used(folder, capfd, output, options, says):
    if output() == "/proc/out" and not Path("/proc").is_dir():
        pytest.skip("needs a folder that nobody can write to: /proc")
    Path("photos/one.jpg").unlink(missing_ok=True)
    if Path("photos").is_dir():
        Path("photos").rmdir()
    assert says in refused(folder, capfd, *run("image.nrrd", "cavity.nrrd", *options, output=output()))


def test_an_existing_result_needs_force(folder, capfd):
    assert lascarseg(capfd, *run()).code == 0
    assert "--force" in refused(folder, capfd, *run())
    assert lascarseg(capfd, *run("image.nrrd", "cavity.nrrd", "--force")).code == 0


# -- odd, but carried on with --------------------------------------------------------------------------------------------


def carried_on(capfd, *arguments: object) -> set[str]:
    outcome = lascarseg(capfd, *arguments)
    assert outcome.code == 0, outcome
    return flag_codes(Path("out")) - {"planes_unsure", "roof_and_floor", "cavity_shape_unusual"}  # of every ball without planes here


def in_pieces() -> str:
    array = MASK.copy()
    array[2:6, 2:6, 2:6] = True
    return mask(array)


def with_a_hole() -> str:
    array = MASK.copy()
    array[tuple(np.argwhere(array).mean(axis=0).astype(int))] = 0
    return mask(array)


ODD_MASKS: dict[str, tuple[Callable[[], str], set[str]]] = {
    "0/1": (lambda: mask(MASK), set()),
    "float": (lambda: save(MASK.astype(np.float64), "mask.nrrd"), set()),
    "negative background": (lambda: save(np.where(MASK, 1, -1).astype(np.int8), "mask.nrrd"), set()),
    "255": (lambda: mask(MASK * 255), {"cavity_label_not_1"}),
    "420, as in CARMA and LAScarQS files": (lambda: save((MASK * 420).astype(np.uint32), "mask.nrrd"), {"cavity_label_not_1"}),
    "several components": (in_pieces, {"cavity_in_pieces"}),
    "a hole": (with_a_hole, {"cavity_has_holes"}),
    "finer grid": (
        lambda: mask(
            CAVITY.resample(Geometry((98, 98, 50), (0.625, 0.625, 1.25), GRID.origin), labels=True).array,
            Geometry((98, 98, 50), (0.625, 0.625, 1.25), GRID.origin),
        ),
        {"cavity_resampled"},
    ),
    "half outside the image": (lambda: mask(MASK[:-1], replace(moved(22.0), size=(49, 49, 24))), {"cavity_resampled", "cavity_touches_border"}),
}


@pytest.mark.parametrize("kind", ODD_MASKS)
def test_an_odd_cavity_is_measured_and_flagged(folder, capfd, kind):
    make, flags = ODD_MASKS[kind]
    # Of the half that is left in the image the muscle's grey is the darkest.
    found = carried_on(capfd, *run(cavity=make()), "--despite", "zero_is_not_no_signal")
    assert flags <= found and (flags or not found)


def test_the_flag_is_on_the_terminal_too(folder, capfd):
    outcome = lascarseg(capfd, *run(cavity=in_pieces()))
    assert "Warning: The cavity is in 2 pieces" in outcome.out


def test_a_cavity_that_the_image_cuts_off_is_flagged(folder, capfd):
    cut = replace(GRID, size=(49, 49, 18))
    assert "cavity_touches_border" in carried_on(capfd, *run(save(SCAN.array[:18], "cut.nrrd", cut), mask(MASK[:18], cut)))


def test_a_threshold_that_no_voxel_passes_is_no_scar(folder, capfd):
    assert "no_scar" in carried_on(capfd, *run("image.nrrd", "cavity.nrrd", "--threshold", "50"))
    result = numbers(Path("out"))
    assert [result[key]["value"] for key in ("scar_area_pct", "scar_area_cm2", "scar_volume_ml", "scar_pct_of_wall_volume")] == [0, 0, 0, 0]


def test_an_empty_scar_mask_is_no_scar(folder, capfd):
    assert "no_scar" in carried_on(capfd, *run("image.nrrd", "cavity.nrrd", "--scar", mask(0 * MASK)))


def test_an_impossible_field_of_view_is_flagged(folder, capfd):
    """LAScarQS headers that claim 1 mm for a matrix of 640²; here 410 columns of 1.25 mm."""
    wide = replace(GRID, size=(410, 49, 25))
    image, cavity = (np.pad(array, ((0, 0), (0, 0), (0, 361))) for array in (SCAN.array, MASK))
    assert carried_on(capfd, *run(save(image, "wide.nrrd", wide), mask(cavity, wide))) == {"field_of_view"}


def hounsfield() -> str:
    """The same heart in a contrast CT: lung −800, muscle 60, blood 300 HU."""
    tissue = np.select([SCAN.array < 110, SCAN.array < 180], [-800, 60], 300)
    return save((tissue + np.random.default_rng(0).normal(0.0, NOISE, tissue.shape)).astype(np.int16), "ct.nrrd")


def test_a_ct_scan_is_flagged(folder, capfd):
    outcome = lascarseg(capfd, *run(hounsfield()))
    assert outcome.code == 2 and "CT image" in outcome.err and "--despite negative_values" in outcome.err and not Path("out").exists()
    assert "ct_like_values" in carried_on(capfd, *run(hounsfield(), "cavity.nrrd", "--despite", "negative_values"))
    outcome = lascarseg(capfd, *run("ct.nrrd", "cavity.nrrd", "--scar", "nsd", output="again"))
    assert "as in CT (Hounsfield units)" in " ".join(outcome.out.split())


def test_an_inverted_scan_is_flagged(folder, capfd):
    assert "not_lge_like" in carried_on(capfd, *run(save((400 - SCAN.array).astype(np.int16), "inverted.nrrd"), "cavity.nrrd", "--despite", "zero_is_not_no_signal"))


def test_slices_of_8_mm_are_flagged(folder, capfd):
    thick = Geometry((49, 49, 8), (1.25, 1.25, 8.0), GRID.origin)
    image, cavity = (volume.resample(thick, labels=labels).array for volume, labels in ((SCAN, False), (CAVITY, True)))
    assert "thick_slices" in carried_on(capfd, *run(save(image, "thick.nrrd", thick), mask(cavity, thick)))
    (message,) = (flag["message"] for flag in numbers(Path("out"))["quality_flags"] if flag["code"] == "thick_slices")
    assert message.startswith("The slices are 8 mm apart")


def test_a_field_of_view_with_no_room_for_an_atrium_is_flagged(folder, capfd):
    """30 mm of it: the ball of 44 mm is cut on both sides."""
    tiny = replace(GRID, size=(49, 24, 25), origin=tuple(GRID.index_to_lps(np.array([[0, 12, 0]]))[0].tolist()))
    found = carried_on(capfd, *run(save(SCAN.array[:, 12:36], "tiny.nrrd", tiny), mask(MASK[:, 12:36], tiny)))
    assert {"small_field_of_view", "cavity_touches_border"} <= found


def test_every_voxel_type_of_the_scan_gives_the_same_numbers():
    def measured(dtype: str) -> dict:
        scan = Volume(np.clip(SCAN.array // 4, 0, 127).astype(dtype), GRID)
        return analyse(scan, Settings(perturbation=False), cavity=CAVITY).measurements_json()

    expected = measured("int16")
    assert expected["scar_area_pct"]["value"] > 5
    for dtype in ("int8", "uint8", "uint16", "int32", "uint32", "int64", "float32", "float64"):
        assert measured(dtype) == expected, dtype


def test_negative_grey_levels_are_grey_levels(folder, capfd):
    assert carried_on(capfd, *run(save(SCAN.array - 100, "shifted.nrrd"), "cavity.nrrd", "--scar", "nsd")) == {"negative_values"}
    assert numbers(Path("out"))["blood_pool_mean"]["value"] == pytest.approx(100, abs=1)

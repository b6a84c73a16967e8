"""A DICOM folder: one series, sorted by where its slices lie; what is missing, doubled or ambiguous is named."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from analytic import oblique
from dicom_files import DESCRIPTION, MODALITY, ORIENTATION, POSITION, add_rescaling, write_series

from LAScarSegLib.errors import InputError
from LAScarSegLib.support.flags import STOP
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

STRAIGHT = Geometry((12, 10, 8), (0.625, 0.75, 2.5), (-17.0, 23.0, 41.0))
CORNERS = np.array(np.meshgrid((0, 11), (0, 9), (0, 7))).reshape(3, -1).T


def volume(geometry: Geometry = STRAIGHT) -> Volume:
    return Volume(np.arange(960, dtype=np.int16).reshape(geometry.shape), geometry)


def refusal(folder) -> str:
    with pytest.raises(InputError) as error:
        read_volume(folder)
    return str(error.value)


@pytest.mark.parametrize(
    "direction",
    [STRAIGHT.direction, oblique(), oblique((90, 0, 0)), oblique((-35, 50, 170))],
    ids=["axial", "oblique", "coronal", "turned"],
)
def test_voxels_lie_exactly_where_the_slices_headers_say(tmp_path, direction):
    scan = volume(replace(STRAIGHT, direction=direction))
    again = read_volume(write_series(tmp_path / "scan", scan))
    np.testing.assert_array_equal(again.array, scan.array)
    assert again.array.dtype == np.int16
    np.testing.assert_allclose(again.geometry.index_to_lps(CORNERS), scan.geometry.index_to_lps(CORNERS), atol=1e-6)


def test_a_stack_acquired_the_other_way_round_is_the_same_patient(tmp_path):
    """Feet to head or head to feet: every voxel keeps its place, the grid becomes right-handed."""
    scan = volume(replace(STRAIGHT, direction=oblique(flip=True)))
    again = read_volume(write_series(tmp_path / "scan", scan))
    np.testing.assert_array_equal(again.array, scan.array[::-1])
    turned = CORNERS * [1, 1, -1] + [0, 0, 7]
    np.testing.assert_allclose(again.geometry.index_to_lps(CORNERS), scan.geometry.index_to_lps(turned), atol=1e-6)
    assert np.linalg.det(again.geometry.rotation) == pytest.approx(1.0)


def test_slices_are_sorted_by_place_not_by_file_name(tmp_path):
    names = random.Random(3).sample(range(100), 8)
    again = read_volume(write_series(tmp_path / "scan", volume(), name=lambda k: f"IM{names[k]:04}"))
    np.testing.assert_array_equal(again.array, volume().array)


def test_each_slices_own_rescaling_is_applied(tmp_path):
    """Philips scanners write slope and intercept per slice."""
    folder = write_series(tmp_path / "scan", volume())
    slopes = 0.5 + np.arange(8) / 4
    for k in range(8):
        add_rescaling(folder / f"{k:03}.dcm", slopes[k], -10.0)
    np.testing.assert_array_equal(read_volume(folder).array, volume().array * slopes[:, None, None] - 10.0)


def test_folder_and_files_may_have_any_name_and_other_files_beside_them(tmp_path):
    folder = write_series(tmp_path / "Müller ä 中文 💓", volume(), name=lambda k: f"Schicht {k} ü中.dcm")
    (folder / "README.txt").write_text("from the scanner")
    (folder / ".DS_Store").write_bytes(bytes(200))
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    write_series(folder / "another series", volume(), series="1.2.9")
    np.testing.assert_array_equal(read_volume(folder).array, volume().array)


def test_one_file_with_many_slices_is_a_volume(tmp_path):
    (tmp_path / "scan").mkdir()
    sitk.WriteImage(sitk.Cast(volume().to_sitk(), sitk.sitkUInt16), str(tmp_path / "scan" / "all.dcm"))
    again = read_volume(tmp_path / "scan")
    np.testing.assert_array_equal(again.array, volume().array)
    assert again.geometry == STRAIGHT


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path):
    folder = write_series(tmp_path / "scan", volume(), slices=[0, 1, 2, 4, 5, 6, 7])
    assert "5.00 mm between 002.dcm and 004.dcm" in refusal(folder)


def test_a_doubled_slice_is_named(tmp_path):
    folder = write_series(tmp_path / "scan", volume())
    write_series(folder, volume(), slices=[3], name=lambda _: "again.dcm")
    assert "same place: 003.dcm and again.dcm" in refusal(folder) or "same place: again.dcm and 003.dcm" in refusal(folder)


def test_varying_spacing_is_named(tmp_path):
    def moved(k: int) -> dict[str, str]:
        return {POSITION: f"-17\\23\\{41 + 2.5 * k + (1.0 if k >= 5 else 0.0)}"}

    assert "3.50 mm between 004.dcm and 005.dcm" in refusal(write_series(tmp_path / "scan", volume(), tags=moved))


def test_a_tilted_stack_is_refused(tmp_path):
    def sheared(k: int) -> dict[str, str]:
        return {POSITION: f"-17\\{23 + k}\\{41 + 2.5 * k}"}

    assert "tilted" in refusal(write_series(tmp_path / "scan", volume(), tags=sheared))


def test_rounded_positions_are_no_varying_spacing(tmp_path):
    def rounded(k: int) -> dict[str, str]:
        return {POSITION: f"-17\\23\\{41 + 2.5 * k + 0.02 * (-1) ** k:.2f}"}

    assert read_volume(write_series(tmp_path / "scan", volume(), tags=rounded)).geometry.spacing[2] == pytest.approx(2.5, abs=0.02)


def test_several_series_are_listed_for_a_choice(tmp_path):
    folder = write_series(tmp_path / "scan", volume())
    write_series(folder, volume(), series="1.2.4", name=lambda k: f"cine{k}.dcm", tags=lambda _: {DESCRIPTION: "cine 4ch"}, slices=range(3))
    message = refusal(folder)
    assert "2 series" in message and "'LGE', 8 files" in message and "'cine 4ch', 3 files, first cine0.dcm" in message


@pytest.mark.parametrize(("modality", "called"), [("CT", "CT"), ("PT", "PET")])
def test_a_series_of_another_scanner_is_stopped_by_its_modality(tmp_path, modality, called):
    (flag,) = read_volume(write_series(tmp_path / "scan", volume(), tags=lambda _: {MODALITY: modality})).flags
    assert (flag.code, flag.severity) == ("not_mr", STOP)
    assert f"one of {called}" in flag.message and "LGE-MRI is needed" in flag.message


def test_a_series_that_does_not_say_its_modality_is_read(tmp_path):
    assert read_volume(write_series(tmp_path / "scan", volume(), tags=lambda _: {MODALITY: ""})).array.shape == STRAIGHT.shape


def test_slices_of_two_orientations_are_no_stack(tmp_path):
    folder = write_series(tmp_path / "scan", volume(), tags=lambda k: {ORIENTATION: "1\\0\\0\\0\\0\\-1"} if k == 5 else {})
    assert "005.dcm is oriented differently" in refusal(folder)


def test_slices_of_two_sizes_are_no_stack(tmp_path):
    folder = write_series(tmp_path / "scan", volume(), slices=range(4))
    small = Volume(np.zeros((8, 10, 9), np.int16), replace(STRAIGHT, size=(9, 10, 8)))
    write_series(folder, small, slices=range(4, 8))
    assert "004.dcm has size (9, 10)" in refusal(folder)


@pytest.mark.parametrize("k", [0, 4, 7], ids=["first", "middle", "last"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.98])
def test_a_truncated_file_is_named_wherever_it_lies(tmp_path, capfd, k, kept):
    """At either end of the stack no gap would tell."""
    folder = write_series(tmp_path / "scan", volume())
    file = folder / f"{k:03}.dcm"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    assert f"{k:03}.dcm" in refusal(folder)
    assert capfd.readouterr() == ("", "")


def test_one_slice_is_no_volume(tmp_path):
    assert "holds one slice" in refusal(write_series(tmp_path / "scan", volume(), slices=[3]))


def test_a_folder_without_dicom_says_where_to_look(tmp_path, capfd):
    write_series(tmp_path / "export" / "series 1", volume())
    (tmp_path / "export" / "readme.txt").write_text("x")
    message = refusal(tmp_path / "export")
    assert "no DICOM image" in message and "series 1" in message
    assert capfd.readouterr() == ("", "")


def test_an_empty_folder_is_refused(tmp_path):
    assert "no DICOM image" in refusal(tmp_path)

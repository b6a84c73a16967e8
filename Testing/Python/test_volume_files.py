"""Volumes on disk: every format, exact geometry, and a clear no to what can't be measured."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from analytic import oblique

from LAScarSegLib.errors import InputError
from LAScarSegLib.volumes.files import EXTENSIONS, read_volume, write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

STRAIGHT = Geometry((12, 10, 8), (0.625, 0.75, 2.5), (-17.0, 23.0, 41.0))
OBLIQUE = replace(STRAIGHT, direction=oblique())
FLIPPED = replace(STRAIGHT, direction=oblique(flip=True))


def volume(geometry: Geometry = STRAIGHT, dtype: str = "int16") -> Volume:
    return Volume((np.arange(960).reshape(geometry.shape) % 120).astype(dtype), geometry)


def same_place(one: Geometry, other: Geometry, tolerance_mm: float) -> bool:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in one.size])).reshape(3, -1).T
    return one.size == other.size and float(np.abs(one.index_to_lps(corners) - other.index_to_lps(corners)).max()) < tolerance_mm


# -- what is written is read back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE, FLIPPED], ids=["straight", "oblique", "flipped"])
@pytest.mark.parametrize("extension", EXTENSIONS)
def test_written_and_read_back_the_voxels_are_the_same_at_the_same_place(tmp_path, extension, geometry):
    write_volume(volume(geometry), tmp_path / f"a{extension}")
    again = read_volume(tmp_path / f"a{extension}")
    np.testing.assert_array_equal(again.array, volume(geometry).array)
    # NIfTI keeps its matrices in float32; 1e-5 mm is their rounding at 50 mm.
    assert same_place(again.geometry, geometry, 1e-4 if ".nii" in extension else 1e-9)
    assert again.flags == ()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz", ".mha"])
def test_every_voxel_type_keeps_its_type_and_values(tmp_path, extension, dtype):
    write_volume(volume(dtype=dtype), tmp_path / f"a{extension}")
    again = read_volume(tmp_path / f"a{extension}")
    assert again.array.dtype == dtype
    np.testing.assert_array_equal(again.array, volume(dtype=dtype).array)


def test_names_may_be_upper_case_and_hold_spaces_and_any_letters(tmp_path):
    folder = tmp_path / "Müller ä 中文 💓"
    folder.mkdir()
    for name in ("Vorhof links.nrrd", "左心房.nii.gz", "💓.mha"):
        write_volume(volume(), folder / name)
        np.testing.assert_array_equal(read_volume(folder / name).array, volume().array)
    (folder / "A.NII.GZ").write_bytes((folder / "左心房.nii.gz").read_bytes())
    np.testing.assert_array_equal(read_volume(folder / "A.NII.GZ").array, volume().array)


def test_a_symbolic_link_is_followed_and_a_broken_one_does_not_exist(tmp_path):
    write_volume(volume(), tmp_path / "a.nrrd")
    (tmp_path / "link.nrrd").symlink_to(tmp_path / "a.nrrd")
    (tmp_path / "broken.nrrd").symlink_to(tmp_path / "gone.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "link.nrrd").array, volume().array)
    with pytest.raises(InputError, match="does not exist"):
        read_volume(tmp_path / "broken.nrrd")


def test_a_fourth_dimension_of_one_is_no_fourth_dimension(tmp_path):
    sitk.WriteImage(sitk.JoinSeries([volume(OBLIQUE).to_sitk()]), str(tmp_path / "a.nii.gz"))
    again = read_volume(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(again.array, volume().array)


def test_an_unknown_format_is_not_written(tmp_path):
    with pytest.raises(InputError, match="unknown image format"):
        write_volume(volume(), tmp_path / "a.png")


# -- NRRD ----------------------------------------------------------------------------------------------------------------


def write_nrrd(path: Path, **changes: str | None) -> Path:
    """A raw NRRD of `volume()` with header fields changed, added, or (None) left out; `_` in a name is a space."""
    fields = {
        "type": "short",
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": "12 10 8",
        "space directions": "(0.625,0,0) (0,0.75,0) (0,0,2.5)",
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": "(-17,23,41)",
    }
    fields |= {name.replace("_", " "): value for name, value in changes.items()}
    header = "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(b"NRRD0004\n" + header.encode() + b"\n" + volume().array.tobytes())
    return path


NO_SPACE = {"space": None, "space_directions": None, "space_origin": None, "kinds": None}


def test_an_old_nrrd_header_without_space_is_read_as_lps(tmp_path):
    old = read_volume(write_nrrd(tmp_path / "a.nrrd", **NO_SPACE, spacings="0.625 0.75 2.5"))
    assert old.geometry == replace(STRAIGHT, origin=(0.0, 0.0, 0.0))


def test_a_nrrd_in_ras_lies_where_it_says(tmp_path):
    ras = read_volume(write_nrrd(tmp_path / "a.nrrd", space="right-anterior-superior"))
    # R = −L and A = −P: both origin and axes turn.
    assert ras.geometry == Geometry((12, 10, 8), (0.625, 0.75, 2.5), (17.0, -23.0, 41.0), (-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (NO_SPACE, "no voxel spacing"),
        (NO_SPACE | {"spacings": "0.625 nan 2.5"}, "no voxel spacing .*nan"),
        (NO_SPACE | {"spacings": "0.625 0 2.5"}, r"spacing \(0\) invalid"),
        (NO_SPACE | {"spacings": "0.625 0.75 -2.5"}, r"spacing is \(0.625, 0.75, -2.5\) mm"),
        ({"space_directions": "(0,0,0) (0,1,0) (0,0,1)"}, "spacing is"),
        ({"space_directions": "none (0,1,0) (0,0,1)"}, "no voxel spacing"),
        ({"space_directions": "(1,0,0) (1,0,0) (0,0,1)"}, "singular"),
        ({"space_directions": "(1,0,0) (0.5,1,0) (0,0,1)"}, "not perpendicular"),
        ({"space_units": '"cm" "cm" "cm"'}, "in cm"),
        ({"encoding": "foo"}, "encoding"),
        ({"sizes": "12 10 900"}, "truncated: 1920 of 216000 bytes"),
        ({"type": "block", "block_size": "2"}, "can't be read"),
    ],
)
def test_a_nrrd_header_that_cannot_be_measured_is_refused(tmp_path, changes, says):
    path = write_nrrd(tmp_path / "a.nrrd", **changes)
    with pytest.raises(InputError, match=says) as error:
        read_volume(path)
    assert str(path) in str(error.value)


def test_a_detached_header_without_its_data_is_refused(tmp_path):
    write_volume(volume(), tmp_path / "a.nhdr")
    (tmp_path / "a.raw.gz").unlink()
    with pytest.raises(InputError, match="data file 'a.raw.gz' is missing"):
        read_volume(tmp_path / "a.nhdr")


# -- MetaImage -----------------------------------------------------------------------------------------------------------


def write_mha(path: Path, **changes: str | None) -> Path:
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        "TransformMatrix": "1 0 0 0 1 0 0 0 1",
        "Offset": "-17 23 41",
        "ElementSpacing": "0.625 0.75 2.5",
        "DimSize": "12 10 8",
        "ElementType": "MET_SHORT",
    }
    fields |= changes
    header = "".join(f"{name} = {value}\n" for name, value in fields.items() if value is not None)
    path.write_bytes(header.encode() + b"ElementDataFile = LOCAL\n" + volume().array.tobytes())
    return path


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ElementSpacing": None}, "no voxel spacing"),
        ({"ElementSpacing": "0 1 1"}, r"spacing is \(0.0, 1.0, 1.0\)"),
        ({"ElementSpacing": "1 1 -1"}, "-1.0"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "singular"),
        ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "singular"),
        ({"TransformMatrix": "1 0 0 0.5 1 0 0 0 1"}, "not perpendicular"),
        ({"DimSize": "12 10 900"}, "truncated: 1920 of 216000 bytes"),
        ({"DimSize": "12 10 0"}, "12 × 10 × 0"),
        ({"ElementType": "MET_FOO"}, "can't be read"),
    ],
)
def test_a_metaimage_header_that_cannot_be_measured_is_refused(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        read_volume(write_mha(tmp_path / "a.mha", **changes))


def test_a_metaimage_is_read_as_it_says(tmp_path):
    assert read_volume(write_mha(tmp_path / "a.mha")).geometry == STRAIGHT


# -- NIfTI ---------------------------------------------------------------------------------------------------------------

DIM, DATATYPE, PIXDIM, UNITS, CODES, SROW_X, SROW_Y = 40, 70, 76, 123, 252, 280, 296
"""Byte offsets of fields in the NIfTI-1 header (nifti1.h)."""


def write_nifti(path: Path, *changes: tuple) -> Path:
    """A NIfTI-1 of `volume()` with (offset, struct format, values…) changed in its header."""
    write_volume(volume(), path)
    content = bytearray(path.read_bytes())
    for offset, kind, *values in changes:
        struct.pack_into(kind, content, offset, *values)
    path.write_bytes(bytes(content))
    return path


def codes_of(path: Path) -> set[str]:
    return {flag.code for flag in read_volume(path).flags}


def test_qform_and_sform_that_disagree_are_flagged_with_the_distance(tmp_path):
    path = write_nifti(tmp_path / "a.nii", (SROW_X + 12, "<f", 50.0))
    (flag,) = read_volume(path).flags
    # The x offset is 17 mm in RAS, so 50 is 33 mm off.
    assert flag.code == "nifti_qform_sform_disagree" and "33.0 mm" in flag.message


def test_a_mirrored_sform_is_flagged(tmp_path):
    assert codes_of(write_nifti(tmp_path / "a.nii", (SROW_X, "<f", 0.625))) == {"nifti_qform_sform_disagree"}


@pytest.mark.parametrize("codes", [(1, 0), (0, 1)], ids=["qform only", "sform only"])
def test_one_orientation_alone_is_enough(tmp_path, codes):
    path = write_nifti(tmp_path / "a.nii", (CODES, "<2h", *codes))
    assert codes_of(path) == set() and same_place(read_volume(path).geometry, STRAIGHT, 1e-4)


def test_an_image_without_orientation_is_flagged(tmp_path):
    assert codes_of(write_nifti(tmp_path / "a.nii", (CODES, "<2h", 0, 0))) == {"nifti_without_orientation"}


def test_two_voxel_sizes_in_one_header_are_flagged(tmp_path):
    """A pixdim of 1 mm beside an sform of 0.625 mm: the header lies in one of the two."""
    path = write_nifti(tmp_path / "a.nii", (CODES, "<h", 0), (PIXDIM + 4, "<3f", 1.0, 1.0, 1.0))
    assert codes_of(path) == {"nifti_spacing_disagrees"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((PIXDIM + 4, "<f", 0.0), r"spacing is \(0.0, 0.75, 2.5\)"),
        ((PIXDIM + 12, "<f", -2.5), "-2.5"),
        ((PIXDIM + 8, "<f", float("nan")), "nan"),
        ((SROW_X, "<4f", 0, 0, 0, 0), "sform matrix is singular"),
        ((SROW_Y, "<f", float("nan")), "not finite"),
        ((DIM, "<h", 0), "can't be read"),
        ((DIM, "<h", 9), "can't be read"),
        ((DIM + 2, "<h", -5), "can't be read"),
        ((DATATYPE, "<h", 77), "can't be read"),
        ((0, "<i", 540), "NIfTI-2"),
        ((0, "<i", 7), "not a NIfTI image"),
    ],
)
def test_a_nifti_header_that_cannot_be_measured_is_refused(tmp_path, change, says):
    with pytest.raises(InputError, match=says):
        read_volume(write_nifti(tmp_path / "a.nii", change))


def test_a_big_endian_nifti_is_read(tmp_path):
    little = bytearray(write_nifti(tmp_path / "a.nii").read_bytes())
    kinds = [
        ("i", 0, 1),
        ("h", 40, 8),
        ("3f", 56, 1),
        ("4h", 68, 1),
        ("8f", 76, 1),
        ("3f", 108, 1),
        ("f", 136, 1),
        ("2h", 252, 1),
        ("18f", 256, 1),
    ]
    for kind, offset, times in kinds:
        kind = kind if times == 1 else f"{times}{kind}"
        struct.pack_into(">" + kind, little, offset, *struct.unpack_from("<" + kind, little, offset))
    (tmp_path / "b.nii").write_bytes(bytes(little[:352]) + volume().array.astype(">i2").tobytes())
    again = read_volume(tmp_path / "b.nii")
    np.testing.assert_array_equal(again.array, volume().array)
    assert same_place(again.geometry, STRAIGHT, 1e-4) and again.flags == ()


def test_a_nifti_compressed_in_several_members_is_whole(tmp_path):
    content = write_nifti(tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(gzip.compress(content[:1000], mtime=0) + gzip.compress(content[1000:]))
    np.testing.assert_array_equal(read_volume(tmp_path / "b.nii.gz").array, volume().array)


# -- damaged files -------------------------------------------------------------------------------------------------------


def noise() -> Volume:
    """Voxels that do not compress: damage hits data, not filling."""
    return Volume(np.random.default_rng(1).integers(0, 2000, STRAIGHT.shape).astype(np.int16), STRAIGHT)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half of it": lambda content: content[: len(content) // 2],
    "the last bytes missing": lambda content: content[:-20],
    "a bit flipped in the middle": lambda content: (
        content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 0x55]) + content[len(content) // 2 + 1 :]
    ),
    "a byte lost in the middle": lambda content: content[: len(content) // 2] + content[len(content) // 2 + 1 :],
    "text": lambda content: b"This is no image.\n" * 40,
    "only the start of the header": lambda content: content[:60],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("extension", [".nii.gz", ".nrrd", ".mha"])
def test_a_damaged_compressed_file_is_refused_and_nothing_else_is_printed(tmp_path, capfd, extension, damage):
    write_volume(noise(), tmp_path / f"a{extension}")
    path = tmp_path / f"bad{extension}"
    path.write_bytes(DAMAGE[damage]((tmp_path / f"a{extension}").read_bytes()))
    with pytest.raises(InputError, match="(truncated|damaged|not a NIfTI).*again"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["half of it", "the last bytes missing", "text", "only the start of the header"])
@pytest.mark.parametrize("extension", [".nii", ".nrrd", ".mha"])
def test_a_truncated_uncompressed_file_is_refused(tmp_path, capfd, extension, damage):
    sitk.WriteImage(noise().to_sitk(), str(tmp_path / f"a{extension}"), useCompression=False)
    path = tmp_path / f"bad{extension}"
    path.write_bytes(DAMAGE[damage]((tmp_path / f"a{extension}").read_bytes()))
    with pytest.raises(InputError, match="(truncated|damaged|not a NIfTI).*again"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.nii.gz", b"", "empty"),
        ("a.nrrd", b"", "empty"),
        ("a.jpg", b"x", r"\.nrrd.*DICOM"),
        ("a.dcm", b"x", "folder with the files of one series"),
        ("a", b"x", "not a volume"),
        ("a.nii.gz", gzip.compress(b"hello", mtime=0), "not a NIfTI"),
        ("a.nii", gzip.compress(bytes(1000), mtime=0), "is compressed.*Rename it to .nii.gz"),
        ("a.nii.gz", struct.pack("<i", 348) + bytes(500), "not compressed"),
    ],
)
def test_a_file_of_another_kind_is_named_for_what_it_is(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_volume(tmp_path / name)


# -- images of another kind ----------------------------------------------------------------------------------------------


def colour() -> sitk.Image:
    return sitk.Compose([volume().to_sitk()] * 3)


def complex_valued() -> sitk.Image:
    real = sitk.Cast(volume().to_sitk(), sitk.sitkFloat32)
    return sitk.RealAndImaginaryToComplex(real, real)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (lambda: volume().to_sitk()[:, :, 3], "2-D with size 12 × 10"),
        (lambda: volume().to_sitk()[:, :, 3:4], "12 × 10 × 1"),
        (lambda: sitk.JoinSeries([volume().to_sitk()] * 3), "4-D with size 12 × 10 × 8 × 3"),
        (colour, "3 components"),
        (complex_valued, "2 components"),
    ],
    ids=["2-D", "one slice", "4-D", "colour", "complex"],
)
@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz", ".mha"])
def test_an_image_that_is_no_scalar_volume_is_refused(tmp_path, image, says, extension):
    try:
        sitk.WriteImage(image(), str(tmp_path / f"a{extension}"))
    except RuntimeError:
        pytest.skip(f"{extension} can't hold this image")
    with pytest.raises(InputError, match=says):
        read_volume(tmp_path / f"a{extension}")


@pytest.mark.parametrize(
    ("value", "says"), [(np.nan, "1 voxels are NaN"), (np.inf, "1 voxels are NaN or infinite"), (-np.inf, "1 voxels"), (1e60, "1e\\+60")]
)
def test_a_voxel_that_is_no_number_is_refused(tmp_path, value, says):
    array = volume(dtype="float64").array.copy()
    array[3, 3, 3] = value
    write_volume(Volume(array, STRAIGHT), tmp_path / "a.nrrd")
    with pytest.raises(InputError, match=says):
        read_volume(tmp_path / "a.nrrd")

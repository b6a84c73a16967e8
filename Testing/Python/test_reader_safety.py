"""Files that are not what they seem: geometry rounded or lost, values that are no numbers, headers that ask for too much or reach elsewhere."""

from __future__ import annotations

import gzip
import os
import resource
import socket
import struct
import time
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from analytic import oblique
from dicom_files import write_series
from pydicom.uid import DeflatedExplicitVRLittleEndian
from test_volume_files import CODES, DIM, OBLIQUE, PIXDIM, STRAIGHT, same_place, volume, write_mha, write_nifti, write_nrrd

from LAScarSegLib.errors import InputError
from LAScarSegLib.measure.quality import check_header
from LAScarSegLib.support.flags import NOTE, STOP
from LAScarSegLib.support.printable import printable
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

VOX_OFFSET, SLOPE, QUATERNION, SROWS = 108, 112, 256, 280
"""Byte offsets of fields in the NIfTI-1 header (nifti1.h)."""
MEMORY_BYTES = 64 << 20


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_volume(path)
    return str(error.value)


# -- NIfTI: axes that are rounded or sheared -----------------------------------------------------------------------------


def with_sform(path: Path, geometry: Geometry, bend) -> Path:
    """A NIfTI with an sform only, whose scaled columns (RAS) went through `bend`."""
    ras = np.diag([-1.0, -1.0, 1.0]) @ geometry.index_to_lps_matrix[:3]
    rows = np.column_stack([bend(ras[:, :3]), ras[:, 3]])
    write_volume(volume(geometry), path)
    content = bytearray(path.read_bytes())
    struct.pack_into("<2h", content, CODES, 0, 1)
    struct.pack_into("<12f", content, SROWS, *rows.ravel())
    struct.pack_into("<3f", content, PIXDIM + 4, *np.linalg.norm(rows[:, :3], axis=0))
    path.write_bytes(bytes(content))
    return path


def sheared(degrees: float):
    def bend(columns: np.ndarray) -> np.ndarray:
        lengths = np.linalg.norm(columns, axis=0)
        axes = columns / lengths
        axes[:, 2] = np.cos(np.deg2rad(degrees)) * axes[:, 2] + np.sin(np.deg2rad(degrees)) * axes[:, 0]
        return axes * lengths

    return bend


@pytest.mark.parametrize("direction", [oblique(), oblique(flip=True), oblique((-35, 50, 170))], ids=["oblique", "flipped", "turned"])
@pytest.mark.parametrize("bend", [lambda columns: np.round(columns, 3), sheared(0.1), sheared(0.5)], ids=["3 decimals", "0.1°", "0.5°"])
def test_axes_within_the_tolerance_are_read_as_the_nearest_rotation(tmp_path, direction, bend):
    geometry = replace(STRAIGHT, direction=direction)
    scan = read_volume(with_sform(tmp_path / "a.nii", geometry, bend))
    (flag,) = scan.flags
    assert (flag.code, flag.severity) == ("nifti_axes_rounded", NOTE)
    np.testing.assert_array_equal(scan.array, volume(geometry).array)
    np.testing.assert_allclose(scan.geometry.rotation.T @ scan.geometry.rotation, np.eye(3), atol=1e-6)
    # 0.5° over half of the 20 mm of slices, and rounding.
    assert same_place(scan.geometry, geometry, 0.1)


def test_the_nearest_rotation_of_a_compressed_file_is_read_too_and_the_file_stays_as_it_is(tmp_path):
    content = gzip.compress(with_sform(tmp_path / "a.nii", OBLIQUE, sheared(0.3)).read_bytes())
    (tmp_path / "b.nii.gz").write_bytes(content)
    assert [flag.code for flag in read_volume(tmp_path / "b.nii.gz").flags] == ["nifti_axes_rounded"]
    assert (tmp_path / "b.nii.gz").read_bytes() == content


@pytest.mark.parametrize("degrees", [0.7, 5, 30])
@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_a_real_shear_is_refused_for_what_it_is(tmp_path, geometry, degrees):
    said = refusal(with_sform(tmp_path / "a.nii", geometry, sheared(degrees)))
    assert f"axes are not perpendicular (by {degrees:g}°" in said and "Resample" in said and "truncated" not in said


@pytest.mark.parametrize("quaternion", [(0.6, 0.8, 1e-4), (0.57735032, 0.57735032, 0.57735032), (0.0, 0.0, 1.0000001)])
def test_a_quaternion_that_rounding_made_too_long_is_a_rotation(tmp_path, quaternion):
    path = write_nifti(tmp_path / "a.nii", (CODES, "<2h", 1, 0), (QUATERNION, "<3f", *quaternion))
    scan = read_volume(path)
    np.testing.assert_allclose(scan.geometry.rotation.T @ scan.geometry.rotation, np.eye(3), atol=1e-5)
    assert scan.flags == ()


def test_rounding_of_the_quaternion_is_no_contradiction(tmp_path):
    b = np.sqrt(1.0009)
    half_turn = np.diag([1.0, -1.0, -1.0]) * STRAIGHT.spacing
    path = write_nifti(tmp_path / "a.nii", (QUATERNION, "<6f", b, 0, 0, 17, -23, 41))
    content = bytearray(path.read_bytes())
    qfac = -1.0 if struct.unpack_from("<f", content, PIXDIM)[0] < 0 else 1.0
    rows = np.column_stack([half_turn * [1, 1, qfac], [17, -23, 41]])
    struct.pack_into("<12f", content, SROWS, *rows.ravel())
    path.write_bytes(bytes(content))
    assert read_volume(path).flags == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ((QUATERNION, "<3f", 1.0, 1.0, 0.0), "qform is no rotation"),
        ((QUATERNION, "<f", float("nan")), "qform is no rotation"),
        ((QUATERNION + 12, "<f", float("inf")), "qform is no rotation"),
        ((VOX_OFFSET, "<f", float("inf")), "voxels begin at byte inf"),
        ((VOX_OFFSET, "<f", float("nan")), "voxels begin at byte nan"),
        ((VOX_OFFSET, "<f", -352.0), "voxels begin at byte -352"),
        ((VOX_OFFSET, "<f", 1e30), "truncated"),
        ((SLOPE, "<f", float("inf")), "rescaled by inf"),
        ((SLOPE, "<2f", 1.0, float("nan")), "rescaled by 1 and nan"),
        ((DIM, "<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1), "truncated"),
        ((DIM, "<8h", 7, *[32767] * 7), "truncated"),
        ((DIM, "<8h", 3, 12, 0, 8, 1, 1, 1, 1), "dimensions are"),
    ],
)
def test_an_absurd_nifti_header_is_refused(tmp_path, change, says):
    assert says in refusal(write_nifti(tmp_path / "a.nii", change))


@pytest.mark.parametrize("slope", [0.0, -0.0, 1e-17, float("nan")])
@pytest.mark.parametrize("intercept", [100.0, -1e-3])
def test_an_offset_without_a_slope_is_refused(tmp_path, slope, intercept):
    said = refusal(write_nifti(tmp_path / "a.nii", (SLOPE, "<2f", slope, intercept)))
    assert f"scl_slope {slope:g}" in said and "scl_inter" in said


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 0.0), (float("nan"), 0.0), (0.0, float("nan")), (float("nan"), float("nan")), (1.0, 0.0)])
def test_grey_levels_without_a_rescaling_are_those_that_are_stored(tmp_path, slope, intercept):
    np.testing.assert_array_equal(read_volume(write_nifti(tmp_path / "a.nii", (SLOPE, "<2f", slope, intercept))).array, volume().array)


def test_an_offset_with_a_slope_is_added(tmp_path):
    np.testing.assert_array_equal(read_volume(write_nifti(tmp_path / "a.nii", (SLOPE, "<2f", 2.0, 100.0))).array, 2.0 * volume().array + 100)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("extension", [".nii", ".nii.gz"])
def test_a_voxel_that_itk_would_turn_into_0_is_refused(tmp_path, value, dtype, extension):
    array = volume(dtype=dtype).array.copy()
    array[[0, 3, 7], [0, 3, 9], [0, 3, 11]] = value
    write_volume(Volume(array, STRAIGHT), tmp_path / f"a{extension}")
    assert "3 voxels are NaN or infinite" in refusal(tmp_path / f"a{extension}")


# -- a header that was lost ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(64, 56, 20), (30, 30, 46), (256, 256, 200)], ids=str)
@pytest.mark.parametrize("extension", [".nrrd", ".mha", ".nii.gz"])
def test_a_geometry_of_nothing_but_ones_and_zeros_is_a_stop(tmp_path, size, extension):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros(size[::-1], np.uint8)), str(tmp_path / f"a{extension}"), useCompression=True)
    (flag,) = check_header(read_volume(tmp_path / f"a{extension}").geometry)
    assert (flag.code, flag.severity) == ("header_lost", STOP) and " × ".join(map(str, size)) in flag.message


def test_an_identity_in_ras_is_lost_too(tmp_path):
    lost = Geometry((64, 56, 20), direction=(-1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))
    write_volume(Volume(np.zeros(lost.shape, np.uint8), lost), tmp_path / "a.nii.gz")
    assert [flag.code for flag in check_header(read_volume(tmp_path / "a.nii.gz").geometry)] == ["header_lost"]


@pytest.mark.parametrize(
    "geometry",
    [
        Geometry((64, 56, 20), (1.0, 1.0, 1.0), (-31.0, -27.0, 0.0)),
        Geometry((64, 56, 20), (0.625, 0.625, 1.25)),
        Geometry((64, 56, 20), (1.0, 1.0, 1.0), direction=oblique()),
        Geometry((50, 50, 45)),
    ],
    ids=["placed", "with spacing", "oblique", "cube"],
)
def test_a_geometry_that_says_something_is_not_lost(tmp_path, geometry):
    write_volume(Volume(np.zeros(geometry.shape, np.uint8), geometry), tmp_path / "a.nrrd")
    read = read_volume(tmp_path / "a.nrrd")
    assert (*read.flags, *check_header(read.geometry)) == ()


@pytest.mark.parametrize("collection", ["la2018", "la2018_new", "carma", "msd_heart"])
def test_no_real_header_is_called_lost_or_contradictory(data_dir, collection):
    """The headers of a few of each; the voxels of none are needed."""
    from LAScarSegLib.volumes.file_checks import check_file

    files = [file for file in sorted((data_dir / collection).rglob("*")) if file.name.endswith((".nrrd", ".nii.gz"))]
    if not files:
        pytest.skip(f"no {collection} here")
    for file in files[:3]:
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(file))
        reader.ReadImageInformation()
        geometry = Geometry(reader.GetSize(), reader.GetSpacing(), reader.GetOrigin(), reader.GetDirection())
        assert (*check_file(file), *check_header(geometry)) == ()


# -- headers that reach for other files ----------------------------------------------------------------------------------


SECRET = "the secret of another folder\n" * 100
ELSEWHERE = [
    "../secret.txt", "/etc/hostname", "sub/data.raw", "..\\secret.txt", "C:\\secret.txt", "slice%03d.raw 1 8 1", "LIST",
    "file:///etc/hosts", "..",
]  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("field", ["data file", "datafile", "Data File"])
def test_a_nrrd_header_reads_beside_itself_only(tmp_path, name, field):
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "case" / "sub").mkdir(parents=True)
    (tmp_path / "case" / "sub" / "data.raw").write_bytes(volume().array.tobytes())
    said = refusal(write_nrrd(tmp_path / "case" / "a.nhdr", **{field: name}))
    assert "secret of" not in said and ("data file" in said)


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("line", ["ElementDataFile = {}", "ElementDataFile={}", "ElementDataFile : {}", "  ElementDataFile = {}"])
def test_a_metaimage_header_reads_beside_itself_only(tmp_path, name, line):
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "case").mkdir()
    path = write_mha(tmp_path / "case" / "a.mhd")
    header = path.read_bytes().split(b"ElementDataFile")[0]
    path.write_bytes(header + line.format(name).encode() + b"\n")
    said = refusal(path)
    assert "secret of" not in said and "data file" in said


def test_a_metaimage_line_that_is_not_understood_hides_no_other_data_file(tmp_path):
    path = write_mha(tmp_path / "a.mha")
    path.write_bytes(b"ElementDataFile is = /etc/hostname\n" + path.read_bytes())
    assert "no field" in refusal(path)


def test_a_line_within_a_line_hides_no_other_data_file(tmp_path):
    path = write_mha(tmp_path / "a.mha", Comment="x\rElementDataFile = /etc/hostname")
    assert "control characters" in refusal(path)
    assert "control characters" in refusal(write_nrrd(tmp_path / "a.nrrd", content="x\rdata file: /etc/hostname"))


@pytest.mark.parametrize("extension", [".nhdr", ".mhd"])
def test_data_beside_its_header_is_read_whatever_its_letters(tmp_path, extension):
    write_volume(volume(), tmp_path / f"Vorhof ä 心{extension}")
    np.testing.assert_array_equal(read_volume(tmp_path / f"Vorhof ä 心{extension}").array, volume().array)


@pytest.mark.parametrize("field", ["byte skip", "byteskip", "Byte Skip", "line skip", "lineskip"])
@pytest.mark.parametrize("value", ["-2", "-500", "1.5", "x"])
def test_voxels_that_begin_nowhere_are_refused(tmp_path, field, value):
    said = refusal(write_nrrd(tmp_path / "a.nrrd", **{field: value}))
    assert "skip" in said and value in said


def test_voxels_at_the_end_of_the_file_are_read(tmp_path):
    path = write_nrrd(tmp_path / "a.nrrd", **{"byte skip": "-1"})
    path.write_bytes(path.read_bytes().replace(b"\n\n", b"\n\nsome other bytes", 1))
    np.testing.assert_array_equal(read_volume(path).array, volume().array)
    assert "-1" in refusal(write_nrrd(tmp_path / "a.nrrd", **{"line skip": "-1"}))


@pytest.mark.parametrize("extension", [".nhdr", ".mhd"])
def test_data_that_is_a_link_into_another_folder_is_refused(tmp_path, extension):
    (tmp_path / "case").mkdir()
    header = tmp_path / "case" / f"a{extension}"
    write_volume(volume(), header)
    (data,) = (file for file in header.parent.iterdir() if file != header)
    data.rename(tmp_path / "elsewhere")
    data.symlink_to(tmp_path / "elsewhere")
    assert "link to a file in another folder" in refusal(header)
    # A link within the folder, and a folder that is reached by a link, are no other folder.
    data.unlink()
    (tmp_path / "elsewhere").rename(header.parent / "here")
    data.symlink_to("here")
    (tmp_path / "link").symlink_to(tmp_path / "case")
    for path in (header, tmp_path / "link" / header.name):
        np.testing.assert_array_equal(read_volume(path).array, volume().array)


# -- files that are no files, or no end of one ---------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [".nrrd", ".nii.gz", ".mha"])
def test_a_pipe_is_refused_at_once(tmp_path, extension):
    os.mkfifo(tmp_path / f"a{extension}")
    assert "is a pipe, not a file" in refusal(tmp_path / f"a{extension}")


def test_a_device_and_a_socket_are_refused(tmp_path):
    (tmp_path / "zero.nrrd").symlink_to("/dev/zero")
    assert "is a device" in refusal(tmp_path / "zero.nrrd")
    with socket.socket(socket.AF_UNIX) as end:
        end.bind(str(tmp_path / "a.nii"))
        assert "is a socket" in refusal(tmp_path / "a.nii")


@pytest.mark.parametrize("header", ["a.nhdr", "a.mhd"])
def test_a_pipe_as_a_headers_data_is_refused_at_once(tmp_path, header):
    os.mkfifo(tmp_path / "data.raw")
    if header == "a.nhdr":
        write_nrrd(tmp_path / header, **{"data file": "data.raw"})
    else:
        content = write_mha(tmp_path / header).read_bytes()
        (tmp_path / header).write_bytes(content.split(b"LOCAL")[0] + b"data.raw\n")
    assert "is no file" in refusal(tmp_path / header)


def test_a_pipe_among_the_slices_is_left_aside(tmp_path):
    folder = write_series(tmp_path / "scan", volume())
    os.mkfifo(folder / "999.dcm")
    np.testing.assert_array_equal(read_volume(folder).array, volume().array)


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


HUGE = "30000 30000 30000"


def bomb_nifti(path: Path) -> Path:
    """8 GB of zeros in 8 MB."""
    header = bytearray(write_nifti(path.with_name("h.nii")).read_bytes()[:352])
    struct.pack_into("<8h", header, DIM, 3, 2000, 2000, 1000, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(bytes(header)) + gzip.compress(bytes(8 << 20)) * 1000)
    return path


def nrrd_of(path: Path, data: bytes, **changes: str) -> Path:
    write_nrrd(path, **changes)
    path.write_bytes(path.read_bytes().split(b"\n\n")[0] + b"\n\n" + data)
    return path


def longer_than_it_says(path: Path) -> Path:
    return nrrd_of(path, gzip.compress(bytes(200 << 20), 1), encoding="gzip")


def mha_of(path: Path, data: bytes, **changes: str) -> Path:
    write_mha(path, **changes)
    path.write_bytes(path.read_bytes().split(b"LOCAL\n")[0] + b"LOCAL\n" + data)
    return path


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("a.nrrd", lambda path: write_nrrd(path, sizes=HUGE), "truncated"),
        ("a.nrrd", lambda path: nrrd_of(path, gzip.compress(bytes(1000)), sizes=HUGE, encoding="gzip"), "describes 54 TB of voxels"),
        ("a.nrrd", lambda path: write_nrrd(path, sizes=HUGE, encoding="ascii"), "describes 54 TB"),
        ("a.nrrd", lambda path: write_nrrd(path, sizes="9" * 40 + " 1 1"), "truncated"),
        ("a.nrrd", longer_than_it_says, "holds more than the 1920 bytes"),
        ("a.mha", lambda path: write_mha(path, DimSize=HUGE), "truncated"),
        ("a.mha", lambda path: mha_of(path, zlib.compress(bytes(1000)), DimSize=HUGE, CompressedData="True"), "describes 54 TB"),
        ("a.mha", lambda path: mha_of(path, zlib.compress(bytes(200 << 20), 1), CompressedData="True"), "holds more than the 1920 bytes"),
        ("a.nii.gz", bomb_nifti, "describes 8 GB of voxels, far more than a file of 8"),
    ],
)
def test_a_header_that_asks_for_more_than_the_file_holds_takes_no_memory(tmp_path, name, make, says):
    path, before, start = make(tmp_path / name), peak_bytes(), time.monotonic()
    assert says in refusal(path)
    assert peak_bytes() - before < MEMORY_BYTES and time.monotonic() - start < 5


# -- names and words -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"scan\xff.nrrd", b"M\xfcller.nii.gz", b"\xc3\x28.mha", b"\xe9"])
def test_a_name_that_is_no_utf8_is_refused_readably(tmp_path, name):
    path = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), name)))
    if path.suffix:
        path.write_bytes(b"x")
    else:
        write_series(tmp_path / "scan", volume()).rename(path)
    said = refusal(path)
    assert "not valid UTF-8" in said and said.encode().decode() == said and "\\x" in said


def test_a_name_that_no_file_can_have_does_not_exist(tmp_path):
    assert "does not exist" in refusal(tmp_path / ("x" * 300 + ".nii"))
    assert "does not exist" in refusal(tmp_path / "a\0.nii")


def test_a_deflated_series_that_fills_the_memory_is_refused(tmp_path):
    """2.3 GB of zeros in 10 MB."""
    data = pydicom.dcmread(next(write_series(tmp_path / "scan", volume()).iterdir()))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    file = tmp_path / "scan" / "000.dcm"
    data.save_as(file, enforce_file_format=True)
    start = file.read_bytes()[: 144 + pydicom.dcmread(file).file_meta.FileMetaInformationGroupLength]
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    repeated = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    file.write_bytes(start + block + repeated * 2200 + packer.flush())
    before = peak_bytes()
    assert "000.dcm" in refusal(tmp_path / "scan")
    assert peak_bytes() - before < MEMORY_BYTES


@pytest.mark.parametrize("name", ["a\x1b[31m.nrrd", "a\nb.nii", "a\u202egpj.mha", "\x07.nrrd"])
def test_a_name_cannot_steer_the_terminal(tmp_path, name):
    said = refusal(tmp_path / name)
    assert all(character.isprintable() for character in said)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Müller 心 💓", "Müller 心 💓"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\tb\r\n", "a\\x09b\\x0d\\x0a"),
        ("\udcff", "\\xff"),
        ("\u202e", "\\u202e"),
        ("\x9b1m", "\\x9b1m"),
    ],
)
def test_printable_keeps_letters_and_writes_out_the_rest(text, shown):
    assert printable(text) == shown


def test_printable_ends():
    assert printable("a" * 100, longest=10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.nii.gz", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "Git LFS"),
        ("a.nii", gzip.compress(b"x" * 400, mtime=0), "is compressed"),
        ("a.nrrd", b"\x89PNG\r\n\x1a\n" + bytes(500), "no NRRD"),
        ("a.mha", b"PK\x03\x04" + bytes(500), "another kind of file"),
    ],
    ids=["Git LFS", "gzip", "PNG", "zip"],
)
def test_a_file_of_another_kind_has_its_own_words(tmp_path, name, content, says):
    (tmp_path / name).write_bytes(content)
    assert says in refusal(tmp_path / name)

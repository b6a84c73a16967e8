"""What a DICOM series means: its geometry is in it or it is refused, every frame is placed and rescaled as it says, no other image passes as LGE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from analytic import oblique
from dicom_files import DESCRIPTION, StoredFrame, edit, frames_of, item, minimal, without, write_enhanced, write_series
from pydicom.sequence import Sequence as Items
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, RLELossless, generate_uid
from test_dicom import CORNERS, STRAIGHT, refusal, volume

from LAScarSegLib.support.flags import NOTE, STOP, WARNING
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

OBLIQUE = replace(STRAIGHT, direction=oblique())
PSIR_SLOPE, PSIR_OFFSET = 2.0, -4096.0
STRUCTURED_REPORT, PRESENTATION, PDF, RAW, SEGMENTATION = (
    "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.11.1", "1.2.840.10008.5.1.4.1.1.104.1",
    "1.2.840.10008.5.1.4.1.1.66", "1.2.840.10008.5.1.4.1.1.66.4",
)  # fmt: skip
MULTI_FRAME_CAPTURE = "1.2.840.10008.5.1.4.1.1.7.3"
PHILIPS_PRIVATE = "1.3.46.670589.11.0.0.12.1"


def grey(geometry: Geometry = STRAIGHT) -> Volume:
    return Volume(np.arange(960, dtype=np.uint16).reshape(geometry.shape), geometry)


def codes(scan: Volume) -> dict[str, str]:
    return {flag.code: flag.severity for flag in scan.flags}


def same(one: Volume, other: Volume) -> None:
    np.testing.assert_array_equal(one.array, other.array)
    np.testing.assert_allclose(one.geometry.index_to_lps(CORNERS), other.geometry.index_to_lps(CORNERS), atol=1e-6)


# -- geometry that is not there ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("files", ["all", "one"])
@pytest.mark.parametrize(
    ("keyword", "says"),
    [
        ("PixelSpacing", "has no Pixel Spacing (0028,0030)"),
        ("ImageOrientationPatient", "has no Image Orientation (Patient) (0020,0037)"),
        ("ImagePositionPatient", "has no Image Position (Patient) (0020,0032)"),
    ],
)
def test_a_slice_without_its_geometry_is_refused_by_the_tag(tmp_path, geometry, files, keyword, says):
    drop = without(keyword)
    folder = edit(write_series(tmp_path / "scan", volume(geometry)), lambda data, n: files == "one" and n != 5 or drop(data, n))
    said = refusal(folder)
    assert says in said and ("005.dcm" if files == "one" else "000.dcm") in said and "same place" not in said


@pytest.mark.parametrize(
    ("keyword", "value", "says"),
    [
        ("PixelSpacing", ["0", "0"], "must be positive"),
        ("PixelSpacing", "0.625", "not 2 numbers"),
        ("PixelSpacing", "", "has no Pixel Spacing"),
        ("ImageOrientationPatient", ["0"] * 6, "no two perpendicular directions"),
        ("ImageOrientationPatient", ["1", "0", "0", "0.7", "0.7", "0"], "no two perpendicular directions"),
        ("ImagePositionPatient", ["1", "2"], "not 3 numbers"),
        ("Rows", 0, "0 rows"),
        ("PhotometricInterpretation", "PALETTE COLOR", "colour image"),
    ],
)
def test_a_header_that_describes_no_grey_slice_is_refused(tmp_path, keyword, value, says):
    assert says in refusal(edit(write_series(tmp_path / "scan", volume()), lambda data, _: setattr(data, keyword, value)))


@pytest.mark.parametrize("decimals", [3, 4, 6])
def test_cosines_that_are_rounded_are_the_nearest_axes(tmp_path, decimals):
    def rounded(data, _):
        data.ImageOrientationPatient = [f"{x:.{decimals}f}" for x in data.ImageOrientationPatient]

    scan = read_volume(edit(write_series(tmp_path / "scan", volume(OBLIQUE)), rounded))
    np.testing.assert_allclose(scan.geometry.rotation.T @ scan.geometry.rotation, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(scan.geometry.rotation, OBLIQUE.rotation, atol=10.0**-decimals)


def test_a_slice_beside_its_stack_is_refused(tmp_path):
    def shifted(data, n):
        if n == 4:
            data.ImagePositionPatient = [-17 + 3, 23, 41 + 2.5 * n]

    assert "shifted against each other" in refusal(edit(write_series(tmp_path / "scan", volume()), shifted))


@pytest.mark.parametrize(
    ("distance", "thickness", "severity"),
    [("1", "1", STOP), ("6.25", "6.25", STOP), ("5", "5", WARNING), ("1", "1.2", WARNING), (None, "1", WARNING)],
)
def test_a_distance_of_slices_that_the_header_contradicts_is_flagged(tmp_path, distance, thickness, severity):
    def told(data, _):
        data.SpacingBetweenSlices, data.SliceThickness = distance, thickness

    scan = read_volume(edit(write_series(tmp_path / "scan", volume()), told))
    assert codes(scan) == {"dicom_spacing_contradicts": severity} and scan.geometry.spacing[2] == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("distance", "thickness"), [("2.5", "5"), ("1", "2.5"), (None, "5"), (None, "1.3"), ("2.5", None), ("0.5", "2"), (None, None)]
)
def test_overlapping_slices_gaps_and_silence_are_no_contradiction(tmp_path, distance, thickness):
    def told(data, _):
        data.SpacingBetweenSlices, data.SliceThickness = distance, thickness

    assert codes(read_volume(edit(write_series(tmp_path / "scan", volume()), told))) == {}


def thinned(tmp_path, every: int, numbers, told: str | None, thickness: str | None) -> Volume:
    """Slices 2.5 mm · `every` apart, with `numbers` by their place, and what the header says."""
    geometry = replace(STRAIGHT, spacing=(*STRAIGHT.spacing[:2], 2.5 * every))

    def change(data, n):
        data.SpacingBetweenSlices, data.SliceThickness, data.InstanceNumber = told, thickness, numbers(n)

    scan = read_volume(edit(write_series(tmp_path / "scan", volume(geometry)), change))
    assert scan.geometry.spacing[2] == pytest.approx(2.5 * every)
    return scan


@pytest.mark.parametrize(
    ("every", "numbers", "told", "thickness", "severity"),
    [
        (2, lambda n: 1 + 2 * n, "2.5", "2.5", STOP),
        (2, lambda n: 99 - 2 * n, "2.5", "2.5", STOP),
        (2, lambda n: 1 + 2 * n, "2.5", "5", STOP),
        (2, lambda n: 1 + 2 * n, "2.5", None, STOP),
        (3, lambda n: 1 + 3 * n, "-2.5", "2.5", STOP),
        (2, lambda n: 1 + 2 * n, None, "2.5", WARNING),
        (2, lambda n: None, "2.5", "2.5", WARNING),
        (2, lambda n: n * n, "2.5", "2.5", WARNING),
        (2, lambda n: 1 + 4 * n, "2.5", "2.5", WARNING),
    ],
)
def test_every_second_slice_lost_is_said(tmp_path, every, numbers, told, thickness, severity):
    scan = thinned(tmp_path, every, numbers, told, thickness)
    assert codes(scan) == {"dicom_slices_missing": severity} and f"{every} times the" in scan.flags[0].message


@pytest.mark.parametrize(
    ("every", "numbers", "told", "thickness"),
    [
        (1, lambda n: 1 + 2 * n, "2.5", "2.5"),  # one of two phases or echoes
        (1, lambda n: 1 + 3 * n, "0.5", "2"),
        (1, lambda n: 1 + 2 * n, None, "5"),
        (2, lambda n: 1 + 2 * n, "5", "2.5"),
        (2, lambda n: 1 + n, "2.5", "2.5"),  # numbered without gaps: as thick as the gap between the edges
        (2, lambda n: 1 + (n * 3) % 8, "2.5", "2.5"),  # the same, acquired in another order
        (2, lambda n: None, None, "2.5"),
        (3, lambda n: 1 + 2 * n, "2.5", "5"),
    ],
)
def test_numbers_with_gaps_alone_are_no_lost_slices(tmp_path, every, numbers, told, thickness):
    assert codes(thinned(tmp_path, every, numbers, told, thickness)) == {}


@pytest.mark.parametrize(("step", "flags"), [(2, {"dicom_slices_missing": STOP}), (1, {})])
def test_frames_lost_from_a_multi_frame_file_are_said(tmp_path, step, flags):
    scan = grey(replace(STRAIGHT, spacing=(*STRAIGHT.spacing[:2], 5.0)))

    def change(data):
        measures = data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SliceThickness = measures.SpacingBetweenSlices = 2.5
        for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            group.FrameContentSequence = Items([item(InStackPositionNumber=1 + step * n)])

    assert codes(read_volume(write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames_of(scan), change=change))) == flags


def real_world(slope: float, intercept: float = 0.0) -> Items:
    return Items([item(RealWorldValueSlope=slope, RealWorldValueIntercept=intercept, RealWorldValueFirstValueMapped=0)])


@pytest.mark.parametrize("multi_frame", [False, True])
@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (lambda n: real_world(1 + n / 4), "scaled differently, by 1 in"),
        (lambda n: real_world(2, -100 * n), "scaled differently"),
        (lambda n: real_world(2.5, -100), ""),
        (lambda n: real_world(1.00001 if n % 2 else 1), ""),
    ],
)
def test_slices_that_only_a_real_world_mapping_scales_are_refused(tmp_path, multi_frame, mapping, says):
    scan = grey()

    def change(data):
        for n, group in enumerate(data.PerFrameFunctionalGroupsSequence):
            group.RealWorldValueMappingSequence = mapping(n)

    if multi_frame:
        folder = write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames_of(scan), change=change)
    else:
        folder = edit(write_series(tmp_path / "scan", scan), lambda data, n: setattr(data, "RealWorldValueMappingSequence", mapping(n)))
    if says:
        assert says in refusal(folder)
    else:
        same(read_volume(folder), scan)


def test_slices_with_their_own_rescaling_are_read_whatever_a_real_world_mapping_says(tmp_path):
    def change(data, n):
        data.RescaleSlope, data.RescaleIntercept, data.RealWorldValueMappingSequence = 1 + n / 4, 0, real_world(1 + n / 4)

    again = read_volume(edit(write_series(tmp_path / "scan", grey()), change))
    np.testing.assert_array_equal(again.array, grey().array * (1 + np.arange(8) / 4)[:, None, None])


# -- many frames in a file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize("order", [range(8), range(7, -1, -1), (3, 0, 7, 1, 6, 2, 5, 4)], ids=["up", "down", "mixed"])
def test_frames_are_put_where_they_say_whatever_their_order(tmp_path, geometry, order):
    scan = grey(geometry)
    frames = frames_of(scan)
    same(read_volume(write_enhanced(tmp_path / "scan" / "all.dcm", scan, [frames[k] for k in order])), scan)


def test_each_frame_has_its_own_rescaling(tmp_path):
    scan = grey()
    frames = [StoredFrame(k, plane, 0.5 + k / 4) for k, plane in enumerate(scan.array)]
    again = read_volume(write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames))
    np.testing.assert_array_equal(again.array, scan.array * (0.5 + np.arange(8) / 4)[:, None, None])


@pytest.mark.parametrize(
    "second", [StoredFrame(0, np.ones((10, 12))), StoredFrame(0, np.ones((10, 12)), kind="ORIGINAL\\PRIMARY\\P\\NONE")], ids=["phase 2", "P"]
)
@pytest.mark.parametrize("interleaved", [True, False])
def test_two_frames_at_every_position_are_two_volumes(tmp_path, second, interleaved):
    scan = grey()
    frames = frames_of(scan) + [replace(second, k=k) for k in range(8)]
    frames = sorted(frames, key=lambda frame: frame.k) if interleaved else frames
    said = refusal(write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames))
    assert "2 volumes of 8 slices" in said and "all.dcm frame 1 and all.dcm frame" in said


def test_two_files_of_one_series_are_two_volumes_named_by_file(tmp_path):
    scan = grey()
    write_enhanced(tmp_path / "scan" / "IM1.dcm", scan, frames_of(scan))
    assert "IM1.dcm frame 1 and IM2.dcm frame 1" in refusal(write_enhanced(tmp_path / "scan" / "IM2.dcm", scan, frames_of(scan)))


def test_a_volume_in_two_files_is_one(tmp_path):
    scan = grey()
    write_enhanced(tmp_path / "scan" / "b.dcm", scan, frames_of(scan)[:5])
    same(read_volume(write_enhanced(tmp_path / "scan" / "a.dcm", scan, frames_of(scan)[5:])), scan)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda data: data.SharedFunctionalGroupsSequence[0].__delattr__("PixelMeasuresSequence"), "(0028,0030)"),
        (lambda data: data.SharedFunctionalGroupsSequence[0].__delattr__("PlaneOrientationSequence"), "(0020,0037)"),
        (lambda data: data.PerFrameFunctionalGroupsSequence[3].__delattr__("PlanePositionSequence"), "(0020,0032)"),
        (lambda data: data.PerFrameFunctionalGroupsSequence.pop(), "8 frames and says where 7"),
    ],
)
def test_frames_without_their_geometry_are_refused(tmp_path, change, says):
    scan = grey()
    assert says in refusal(write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames_of(scan), change=change))


def capture(**elements: object) -> pydicom.Dataset:
    return minimal(MULTI_FRAME_CAPTURE, "1.2.3", NumberOfFrames=8, Rows=10, Columns=12, PixelData=grey().array.tobytes(), **elements)


PLACED = {"PixelSpacing": [0.75, 0.625], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [-17, 23, 41]}


@pytest.mark.parametrize(("elements", "says"), [({}, "(0028,0030)"), (PLACED, "says where the first lies only")])
def test_a_capture_without_geometry_is_refused(tmp_path, elements, says):
    capture(**elements).save_as(tmp_path / "all.dcm", enforce_file_format=True)
    assert says in refusal(tmp_path)


def test_a_capture_with_the_offsets_of_its_frames_is_read(tmp_path):
    capture(**PLACED, GridFrameOffsetVector=[2.5 * k for k in range(8)]).save_as(tmp_path / "all.dcm", enforce_file_format=True)
    same(read_volume(tmp_path), grey())


# -- encodings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_every_encoding_holds_the_same_values(tmp_path, syntax):
    folder = write_series(tmp_path / "scan", grey())
    for file in folder.iterdir():
        data = pydicom.dcmread(file)
        if syntax == RLELossless:
            data.compress(RLELossless)
        if syntax == ExplicitVRBigEndian:
            data.PixelData = data.pixel_array.astype(">u2").tobytes()
        data.file_meta.TransferSyntaxUID = syntax
        how = {"implicit_vr": syntax == ImplicitVRLittleEndian, "little_endian": syntax != ExplicitVRBigEndian}
        pydicom.dcmwrite(file, data, **how, enforce_file_format=True)
    same(read_volume(folder), grey())


@pytest.mark.parametrize("compressed", [False, True])
def test_inverted_display_changes_no_value(tmp_path, compressed):
    def inverted(data, _):
        data.PhotometricInterpretation = "MONOCHROME1"
        if compressed:
            data.compress(RLELossless)

    same(read_volume(edit(write_series(tmp_path / "scan", grey()), inverted)), grey())


@pytest.mark.parametrize("signed", [0, 1])
def test_an_overlay_above_the_value_is_no_part_of_it(tmp_path, signed):
    wanted = grey().array.astype(np.int16) - 400 * signed

    def overlaid(data, n):
        data.BitsStored, data.HighBit, data.PixelRepresentation = 12, 11, signed
        data.PixelData = ((wanted[n].astype(np.uint16) & 0x0FFF) | 0xA000).tobytes()

    np.testing.assert_array_equal(read_volume(edit(write_series(tmp_path / "scan", grey()), overlaid)).array, wanted)


def test_a_private_class_with_pixels_is_an_image(tmp_path):
    def private(data, _):
        data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = PHILIPS_PRIVATE

    same(read_volume(edit(write_series(tmp_path / "scan", grey()), private)), grey())


def test_the_values_of_a_cut_enhanced_file_are_missed(tmp_path):
    scan = grey()
    cut = {"change": lambda data: setattr(data, "PixelData", data.PixelData[:-200])}
    folder = write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames_of(scan), **cut)
    assert "1720 of 1920 bytes of its pixels" in refusal(folder)


def test_a_damaged_length_in_the_files_head_is_refused_in_words(tmp_path):
    folder = write_series(tmp_path / "scan", grey())
    file = folder / "003.dcm"
    content = bytearray(file.read_bytes())
    content[138:140] = b"\x06\x00"  # of the group's length, a number of 4 bytes
    file.write_bytes(bytes(content))
    assert "003.dcm can't be read as DICOM" in refusal(folder)


# -- what lies beside ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [STRUCTURED_REPORT, PRESENTATION, PDF, RAW, PHILIPS_PRIVATE])
def test_an_object_without_pixels_beside_the_series_is_left_aside(tmp_path, kind):
    folder = write_series(tmp_path / "scan", grey())
    minimal(kind, "1.2.8").save_as(folder / "A0001.dcm", enforce_file_format=True)
    assert read_volume(folder).flags == ()


def test_a_segmentation_beside_the_scan_is_no_second_scan(tmp_path):
    folder = write_series(tmp_path / "scan", grey())
    minimal(SEGMENTATION, "1.2.8", Modality="SEG", Rows=10, Columns=12, PixelData=bytes(240)).save_as(folder / "A.dcm", enforce_file_format=True)
    same(read_volume(folder), grey())


def test_a_folder_of_reports_says_so(tmp_path):
    minimal(STRUCTURED_REPORT, "1.2.8").save_as(tmp_path / "A.dcm", enforce_file_format=True)
    assert "1 DICOM files without pixels: Basic Text SR Storage" in refusal(tmp_path)


@pytest.mark.parametrize("kind", ["1.2.840.10008.5.1.4.1.1.4", PHILIPS_PRIVATE])
def test_an_image_without_its_pixels_is_damaged(tmp_path, kind):
    folder = write_series(tmp_path / "scan", grey())
    minimal(kind, "1.2.3").save_as(folder / "008.dcm", enforce_file_format=True)
    assert "008.dcm can't be read as DICOM" in refusal(folder)


# -- zero that is not "no signal" ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elements", "severity"),
    [
        ({"RescaleSlope": PSIR_SLOPE, "RescaleIntercept": PSIR_OFFSET}, STOP),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "R", "NORM"]}, STOP),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "R_IR", "R", "IR"]}, STOP),
        ({"ImageType": ["DERIVED", "PRIMARY", "OTHER", "PHASE SENSITIVE"]}, STOP),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "P", "ND"]}, STOP),
        ({"ComplexImageComponent": "REAL"}, STOP),
        ({"SeriesDescription": "lge_psir_3d"}, WARNING),
    ],
)
def test_a_phase_sensitive_series_is_told_from_a_magnitude(tmp_path, elements, severity):
    def change(data, _):
        for keyword, value in elements.items():
            setattr(data, keyword, value)

    (flag,) = read_volume(edit(write_series(tmp_path / "scan", grey()), change)).flags
    assert (flag.code, flag.severity) == ("psir", severity) and "--scar nsd" in flag.message


@pytest.mark.parametrize(
    ("image_type", "description"),
    [("ORIGINAL\\PRIMARY\\M\\NORM\\DIS3D", "LGE"), ("ORIGINAL\\PRIMARY\\M_IR\\M\\IR", "LGE"), ("ORIGINAL\\PRIMARY\\OTHER", "RR PROTOCOL"),
     ("ORIGINAL\\PRIMARY\\M\\ND", "PSIR_MAG")],
)  # fmt: skip
def test_a_magnitude_image_is_no_phase_sensitive_one(tmp_path, image_type, description):
    folder = write_series(tmp_path / "scan", grey(), tags=lambda _: {DESCRIPTION: description})
    assert read_volume(edit(folder, lambda data, _: setattr(data, "ImageType", image_type))).flags == ()


def test_a_phase_sensitive_frame_type_is_seen(tmp_path):
    scan = grey()
    frames = [replace(frame, kind="ORIGINAL\\PRIMARY\\R\\NONE") for frame in frames_of(scan)]
    assert codes(read_volume(write_enhanced(tmp_path / "scan" / "all.dcm", scan, frames))) == {"psir": STOP}


@pytest.mark.parametrize(
    ("image_type", "severity"),
    [
        ("DERIVED\\SECONDARY\\PROJECTION IMAGE\\MIP", STOP),
        ("DERIVED\\SECONDARY\\OTHER\\CSA MIP", STOP),
        ("DERIVED\\PRIMARY\\M\\MIP_SAG", STOP),
        ("DERIVED\\SECONDARY\\REFORMATTED\\MINIP", STOP),
        ("DERIVED\\PRIMARY\\VOLUME\\MAXIMUM", STOP),
        ("ORIGINAL\\PRIMARY\\T1 MAP\\T1\\UNSPECIFIED", STOP),
        ("DERIVED\\PRIMARY\\T2_STAR MAP", STOP),
        ("DERIVED\\PRIMARY\\DIFFUSION\\ADC", STOP),
        ("DERIVED\\SECONDARY\\M\\SUBTRACTION", STOP),
        ("DERIVED\\PRIMARY\\M\\SUB", STOP),
        ("DERIVED\\SECONDARY\\REFORMATTED\\AVERAGE", WARNING),
        ("DERIVED\\SECONDARY\\MPR\\MPR_THICK", WARNING),
        ("DERIVED\\SECONDARY\\MPR", NOTE),
        ("ORIGINAL\\PRIMARY\\M\\ND\\AVERAGE", None),
        ("DERIVED\\PRIMARY\\M\\NORM\\MOCO", None),
        ("DERIVED\\SECONDARY\\OTHER", None),
    ],
)
def test_what_was_computed_is_told_from_what_was_acquired(tmp_path, image_type, severity):
    folder = edit(write_series(tmp_path / "scan", grey()), lambda data, _: setattr(data, "ImageType", image_type))
    assert codes(read_volume(folder)) == ({"derived_image": severity} if severity else {})


@pytest.mark.parametrize(("technique", "flags"), [("MAX_IP", {"derived_image": STOP}), ("MPR", {"derived_image": NOTE}), ("NONE", {})])
def test_the_technique_of_a_computed_multi_frame_file_is_seen(tmp_path, technique, flags):
    def change(data):
        for group in data.PerFrameFunctionalGroupsSequence:
            group.MRImageFrameTypeSequence[0].VolumeBasedCalculationTechnique = technique

    assert codes(read_volume(write_enhanced(tmp_path / "scan" / "all.dcm", grey(), frames_of(grey()), change=change))) == flags


@pytest.mark.parametrize(
    ("description", "flags"),
    [("LGE MIP thin", WARNING), ("T1_Map_LongT1", WARNING), ("3D LGE nav", None), ("LGE sub-04 mapped", None), ("ECG_LGE_RA_map", None)],
)
def test_a_series_that_is_called_a_projection_or_a_map_is_a_warning(tmp_path, description, flags):
    folder = write_series(tmp_path / "scan", grey(), tags=lambda _: {DESCRIPTION: description})
    assert codes(read_volume(folder)) == ({"derived_image": flags} if flags else {})


@pytest.mark.parametrize("modality", ["MG", "RTIMAGE", "DX"])
def test_an_image_of_any_other_scanner_is_a_stop(tmp_path, modality):
    folder = edit(write_series(tmp_path / "scan", grey()), lambda data, _: setattr(data, "Modality", modality))
    assert codes(read_volume(folder)) == {"not_mr": STOP}


# -- a crowd of series ---------------------------------------------------------------------------------------------------


def test_hundreds_of_series_are_counted_and_the_first_are_listed(tmp_path):
    data = minimal("1.2.840.10008.5.1.4.1.1.4", "1.2", Rows=2, Columns=2, PixelData=bytes(8))
    for n in range(600):
        data.SeriesInstanceUID, data.SeriesNumber = f"1.2.3.{n}", n
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        data.save_as(tmp_path / f"{n:03}.dcm", enforce_file_format=True)
    said = refusal(tmp_path)
    assert "holds 600 series" in said and "number 9 ''" in said and "number 10 ''" not in said and "and 590 more" in said


def test_words_of_a_file_cannot_steer_the_terminal(tmp_path):
    folder = write_series(tmp_path / "scan", grey(), tags=lambda _: {DESCRIPTION: "\x1b[2J\x1b]0;owned\x07LGE"})
    write_series(folder, grey(), series="1.2.4", name="b{}.dcm".format)
    said = refusal(folder)
    assert "\x1b" not in said and "\x07" not in said and "\\x1b[2J" in said

"""The stored values of a DICOM file, as the file holds them: not rescaled, not inverted (MONOCHROME1 only says how to display them)."""

import math
import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset

from ..errors import InputError
from .dicom_headers import reading
from .expansion import LARGE_BYTES, require_plausible_size

PLAIN_KEYWORDS = (
    "SamplesPerPixel", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "NumberOfFrames", "PixelData",
)  # fmt: skip
"""What decoding takes. Nothing else goes into the bare copy that ITK decodes, so that ITK can't rescale, invert or reorder."""
SINGLE_FRAME, MULTI_FRAME = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.3"
"""Secondary Capture, and its multi-frame form with up to 16 bits: ITK decodes them with no ideas of its own about a vendor's files."""
SUPPORTED_BITS = (1, 8, 16, 32)


def read_file(file: Path) -> Dataset:
    """The whole file; `InputError` when it can't be read."""
    with reading(file):
        return pydicom.dcmread(file, force=True)


def stored_values(file: Path, data: Dataset) -> np.ndarray:
    """(frames, rows, columns) of integers or floats as they are stored.

    Raises
    ------
    InputError
        pixels are missing, cut short, damaged, or in an encoding that can't be read.
    """
    with reading(file):
        shape = tuple(int(data.get(keyword) or 1) for keyword in ("NumberOfFrames", "Rows", "Columns"))
        for keyword, kind in (("FloatPixelData", "<f4"), ("DoubleFloatPixelData", "<f8")):
            if keyword in data:
                return _cut(file, data[keyword].value, np.dtype(kind), shape)
        bits = int(data.BitsAllocated)
        if bits not in SUPPORTED_BITS:
            raise InputError(f"{file}: its pixels have {bits} bits; 8, 16 or 32 can be read. Export the series again.")
        syntax = data.file_meta.get("TransferSyntaxUID") if hasattr(data, "file_meta") else None
        if syntax is not None and syntax.is_compressed and syntax.is_encapsulated:
            return _decoded_by_itk(file, data, shape)
        return _native(file, data, shape, bits)


def _native(file: Path, data: Dataset, shape: tuple[int, ...], bits: int) -> np.ndarray:
    little = getattr(data, "original_encoding", (None, True))[1] is not False
    if bits == 1:
        voxels = math.prod(shape)
        packed = _cut(file, data.PixelData, np.dtype("u1"), (-(-voxels // 8),))
        return np.unpackbits(packed, bitorder="little")[:voxels].reshape(shape)
    values = _cut(file, data.PixelData, np.dtype(f"{'<' if little else '>'}u{bits // 8}"), shape)
    return _used_bits(values.astype(values.dtype.newbyteorder("=")), data, bits)


def _used_bits(values: np.ndarray, data: Dataset, bits: int) -> np.ndarray:
    """The bits that belong to the value: others may hold an overlay (PS3.5, section 8.1.1)."""
    stored = int(data.get("BitsStored") or bits)
    high = int(data.get("HighBit", stored - 1))
    signed = bool(int(data.get("PixelRepresentation") or 0))
    if not 0 < stored <= bits or not stored - 1 <= high < bits:
        raise InputError(f"{data.filename}: {stored} bits stored with the highest at {high} of {bits} is impossible. Export it again.")
    kind = np.dtype(f"{'i' if signed else 'u'}{bits // 8}")
    if stored == bits:
        return values.view(kind)
    # To the top, then back: drops what lies above and below, and repeats the sign.
    return np.right_shift(np.left_shift(values, bits - 1 - high).view(kind), bits - stored)


def _cut(file: Path, content: bytes, kind: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    wanted = math.prod(shape) * kind.itemsize
    if len(content) < wanted:
        raise InputError(f"The DICOM file {file} is truncated: {len(content)} of {wanted} bytes of its pixels are there. Copy or export it again.")
    return np.frombuffer(content, kind, count=wanted // kind.itemsize).reshape(shape)


def _decoded_by_itk(file: Path, data: Dataset, shape: tuple[int, ...]) -> np.ndarray:
    wanted = math.prod(shape) * int(data.BitsAllocated) // 8
    if wanted > LARGE_BYTES:
        # A black slice shrinks to nearly nothing in JPEG-LS: only what is large must be plausible.
        require_plausible_size(file, wanted, len(data.PixelData))
    bare = Dataset()
    for keyword in PLAIN_KEYWORDS:
        if keyword in data:
            bare.add(data[keyword])
    bare.PhotometricInterpretation = "MONOCHROME2"
    bare.SOPClassUID = MULTI_FRAME if shape[0] > 1 else SINGLE_FRAME
    bare.SOPInstanceUID = pydicom.uid.generate_uid()
    bare.file_meta = FileMetaDataset()
    bare.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    bare.file_meta.MediaStorageSOPClassUID, bare.file_meta.MediaStorageSOPInstanceUID = bare.SOPClassUID, bare.SOPInstanceUID
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bare.dcm"
        bare.save_as(copy, enforce_file_format=True)
        try:
            values = sitk.GetArrayFromImage(sitk.ReadImage(str(copy), imageIO="GDCMImageIO"))
        except RuntimeError as error:
            raise InputError(
                f"The DICOM file {file} can't be decoded ({data.file_meta.TransferSyntaxUID.name}); it may be truncated. Copy it again, or "
                "export the series uncompressed."
            ) from error
    if values.size != math.prod(shape):
        raise InputError(f"The DICOM file {file} is damaged: its pixels aren't those that its header describes. Copy or export it again.")
    return values.reshape(shape)

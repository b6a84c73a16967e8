"""The sample that comes with the extension: a small simulated scan with its cavity and planes, for a first try and for tests.

The files lie in `Resources/SampleData` (`Testing/make_sample_data.py` made them), so nothing is downloaded: Slicer's SampleScan
Data module is given their `file:` addresses.
"""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..support.resources import resource_path

NAME = "LAScarSegPhantom"
"""The sample's name in Slicer's SampleScan Data module: `SampleData.downloadSamples("LAScarSegPhantom")`."""
CATEGORY = "LAScarSeg"
THUMBNAIL = f"Icons/{NAME}.png"
FOLDER = "SampleData"
CAVITY_SEGMENT = "Left atrium"
"""Name of the segment in the sample's segmentation."""


@dataclass(frozen=True)
class SampleFile:
    """One file of the sample: its name in `Resources/SampleData`, the node that it becomes, and its SHA-256."""

    file: str
    node: str
    sha256: str

    @property
    def path(self) -> Path:
        return resource_path(f"{FOLDER}/{self.file}")


@dataclass(frozen=True)
class SampleScan:
    """What `LAScarSegPhantom.json` says: the scan, its cavity (one segment), its planes, and the truth behind them.

    `voxels_sha256` is the digest of the scan's voxels as int16 in (k, j, i) order; `truth` has the phantom's own numbers by
    their keys in measurements.json.
    """

    scan: SampleFile
    cavity: SampleFile
    planes: tuple[SampleFile, ...]
    size: tuple[int, int, int]
    voxels_sha256: str
    truth: dict[str, float]

    @property
    def files(self) -> tuple[SampleFile, ...]:
        """Every file; the scan is the first."""
        return (self.scan, self.cavity, *self.planes)


@functools.cache
def sample() -> SampleScan:
    """The sample that is installed. Raises `ProcessingError` when its files are missing."""
    content = json.loads(resource_path(f"{FOLDER}/{NAME}.json").read_text(encoding="utf-8"))
    planes = tuple(SampleFile(**plane) for plane in content["planes"])
    scan, cavity = SampleFile(**content["scan"]), SampleFile(**content["cavity"])
    return SampleScan(scan, cavity, planes, tuple(content["size"]), content["voxels_sha256"], content["truth"])


def registration() -> dict[str, Any]:
    """The arguments of Slicer's `SampleData.SampleDataLogic.registerCustomSampleDataSource`."""
    files = sample().files
    return {
        "category": CATEGORY,
        "sampleName": NAME,
        "thumbnailFileName": str(resource_path(THUMBNAIL)),
        "uris": [file.path.as_uri() for file in files],
        "fileNames": [file.file for file in files],
        "nodeNames": [file.node for file in files],
        "checksums": [f"SHA256:{file.sha256}" for file in files],
    }


def voxel_digest(array: np.ndarray) -> str:
    """SHA-256 of a scan's voxels as int16, whatever integer type they were loaded as."""
    return hashlib.sha256(array.astype("<i2").tobytes()).hexdigest()


def is_sample(array: np.ndarray) -> bool:
    """Whether these voxels (k, j, i) are the sample's. Slicer's reader drops the header's note that a scan is simulated."""
    known = sample()
    return array.shape == known.size[::-1] and array.dtype.kind in "iu" and voxel_digest(array) == known.voxels_sha256

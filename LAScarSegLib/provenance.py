"""Where a result comes from: program, libraries, settings, inputs."""

from __future__ import annotations

import hashlib
import platform
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import SimpleITK
from vtkmodules.vtkCommonCore import vtkVersion

from . import __version__
from .settings import Settings
from .volume import Geometry


def describe_run(settings: Settings, geometry: Geometry) -> dict[str, Any]:
    """JSON-ready: program and library versions, time (UTC), settings, the scan's grid; `inputs` is added by who read files."""
    return {
        "program": "LAScarSeg",
        "version": __version__,
        "notice": "For research use only. Not a medical device.",
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": {
            "numpy": np.__version__,
            "scipy": scipy.__version__,
            "SimpleITK": SimpleITK.Version_VersionString(),
            "vtk": vtkVersion.GetVTKVersion(),
        },
        "settings": settings.to_json(),
        "geometry": geometry.to_json(),
        "inputs": {},
    }


def describe_file(path: str | Path) -> dict[str, str]:
    """`path` (absolute) and `sha256` of an input; a folder's hash covers its files' names and contents, sorted by name."""
    path = Path(path).resolve()
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    for file in files:
        if len(files) > 1:
            digest.update(file.name.encode("utf-8", "surrogateescape"))
        with open(file, "rb") as content:
            while chunk := content.read(1 << 22):
                digest.update(chunk)
    return {"path": str(path), "sha256": digest.hexdigest()}


def mask_digest(mask: np.ndarray, offset: tuple[int, int, int] = (0, 0, 0), shape: tuple[int, int, int] | None = None) -> str:
    """SHA-256 of a mask's voxels, whatever file they are in: tells whether somebody edited them.

    mask (k, j, i) bool, either on the whole grid or the part at `offset` of a grid of `shape`.
    """
    inside = np.unravel_index(np.flatnonzero(mask), mask.shape)
    # Voxel numbers of the whole grid, in ascending order as `flatnonzero` gives those of the part.
    flat = np.ravel_multi_index(tuple(axis + first for axis, first in zip(inside, offset)), shape or mask.shape)
    return hashlib.sha256(flat.astype("<i8", copy=False)).hexdigest()

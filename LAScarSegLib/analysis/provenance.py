"""Where a result comes from: program, libraries, settings, inputs."""

import hashlib
import platform
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import scipy
import SimpleITK
from vtkmodules.vtkCommonCore import vtkVersion

from .. import __version__
from ..volumes.files import SIMULATED
from ..volumes.volume import Volume
from .settings import Settings
from .sources import MASKS, Sources

MADE_BY = ("program", "version", "created", "python", "platform", "libraries", "remeasured")
"""What tells one run from another of the same analysis: kept when a result is read back."""
NODE = "node "
"""Before the name of a node of a scene that stands for a file; such a name may hold a slash."""


def describe_program() -> dict[str, Any]:
    """JSON-ready: program and library versions, the time (UTC), the notice."""
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
    }


def describe_run(volume: Volume, settings: Settings, sources: Sources, digests: Mapping[str, str]) -> dict[str, Any]:
    """JSON-ready: program and library versions, time (UTC), settings, the scan's grid, and where everything comes from.

    `digests` are the SHA-256 of the masks that were measured.
    """
    networks = {name: dict(network.model) for name, network in sources.networks.items()}
    return describe_program() | {
        "settings": settings.to_json(),
        "geometry": volume.geometry.to_json(),
        "inputs": {name: dict(file) for name, file in sources.inputs.items()},
        "simulated": SIMULATED in volume.flags,
        "masks": dict(digests),
        "origins": {name: sources[name].origin.to_json() for name in MASKS},
        "edited": [name for name in MASKS if sources[name].origin.edited],
        "planes": [plane.to_json() for plane in sources.planes],
    } | ({"models": networks} if networks else {})


def describe_file(path: str | Path, beside: Path | None = None) -> dict[str, str]:
    """`path` and `sha256` of an input; a folder's hash covers its files' names and contents, sorted by name.

    Parameters
    ----------
    beside
        the folder that a result is written into. An input under its parent folder is described by its path from there, every other by its
        name alone: folders above often bear a patient's name.
    """
    path = Path(path).resolve()
    digest = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.iterdir() if p.is_file())
    for file in files:
        if len(files) > 1:
            digest.update(file.name.encode("utf-8", "surrogateescape"))
        with open(file, "rb") as content:
            while chunk := content.read(1 << 22):
                digest.update(chunk)
    return {"path": path_beside(path, beside), "sha256": digest.hexdigest()}


def path_beside(path: Path, beside: Path | None) -> str:
    """What a result in the folder `beside` says of where an absolute path lies: from its parent folder on, else the name alone."""
    parent = None if beside is None else Path(beside).expanduser().resolve().parent
    # A parent that is the whole disk would make every path relative, and give it away.
    below = parent is not None and parent != Path(parent.anchor) and path.is_relative_to(parent)
    return path.relative_to(parent).as_posix() if below and path != parent else path.name


def name_only(path: str) -> str:
    """A path as a result may hold it: an absolute one, of Windows or POSIX, or one that leads upwards, loses its folders."""
    if path.startswith(NODE):
        return path
    parts = PureWindowsPath(path).parts
    leads_out = PureWindowsPath(path).anchor or PurePosixPath(path).is_absolute() or ".." in parts
    return PureWindowsPath(path).name if leads_out else path

"""The surface of a result folder with its numbers, for whoever compares results: no scan is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..analysis.surface_alone import MADE_FROM
from ..errors import InputError
from ..support.json_text import parse_json
from ..support.printable import printable
from ..surface.band_reach import BandReach
from ..surface.region_schemes import SCHEMES, USUAL_SCHEME
from ..surface.surface import Surface
from ..surface.vtk_meshes import read_vtp
from .reading import LARGEST_JSON_BYTES
from .writing import MARKER

NEEDED = ("surface.vtp", "measurements.json", MARKER)


@dataclass(frozen=True, eq=False)
class ResultSurface:
    """`surface.vtp` of a result, and the contents of its measurements.json and provenance.json."""

    folder: str
    """The folder's name alone."""
    surface: Surface
    measurements: dict[str, Any]
    provenance: dict[str, Any]

    @property
    def image_sha256(self) -> str | None:
        """Of the scan; None for a surface without one."""
        image = (self.provenance.get("inputs") or {}).get("image")
        return image.get("sha256") if isinstance(image, dict) else None

    @property
    def label(self) -> str:
        """What the case is called; empty where it is not."""
        return str(self._setting("label") or "")

    def _setting(self, name: str) -> Any:
        """One of the settings, which a result without a scan has beside everything else; None where it has none."""
        settings = self.provenance.get("settings")
        return (settings if isinstance(settings, dict) else self.provenance).get(name)

    def _setting(self, name: str) -> Any:
        """One of the result's settings; None where it has none."""
        settings = self.provenance.get("settings")
        return (settings if isinstance(settings, dict) else self.provenance).get(name)

    @property
    def bands(self) -> BandReach:
        """Around the veins, in which its gaps were looked for; the usual ones of a result of an earlier version."""
        return BandReach.from_json(self._setting("bands") or {})

    @property
    def method(self) -> str:
        """How scar was found, in words."""
        method = self.measurements.get("method")
        return str(method.get("label", "")) if isinstance(method, dict) else ""

    @property
    def regions_scheme(self) -> str:
        """What divides the wall; the usual scheme for a result of an earlier version, and for a scheme that is not known here."""
        # What a scene keeps of a result says it in its settings alone.
        scheme = self.measurements.get("regions_scheme") or self._setting("regions")
        return scheme if isinstance(scheme, str) and scheme in SCHEMES else USUAL_SCHEME

    @property
    def planes_source(self) -> str:
        """Where the planes come from that cut: "given", "found" or "none"."""
        return str(self.measurements.get("planes_source") or "none")

    @property
    def wall(self) -> str | None:
        """What was measured as wall, in words; None for a surface without a scan, which has none."""
        outside_mm, origins = self._setting("wall_outside_mm"), self.provenance.get("origins")
        origin = origins.get("wall") if isinstance(origins, dict) else None
        if not isinstance(origin, dict):
            return None
        kind = f"{outside_mm} mm outside the cavity" if origin.get("kind") == "offset" else str(origin.get("kind"))
        return f"{kind}, edited" if origin.get("edited") else kind

    @property
    def native(self) -> bool | None:
        """Whether the scan was declared one before ablation; None where nobody was asked."""
        native = self._setting("native")
        return native if isinstance(native, bool) else None

    @property
    def edge_mm(self) -> float:
        """The mean length of the mesh's edges."""
        corners = self.surface.points[self.surface.triangles]
        return float(np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).mean())

    @property
    def simulated(self) -> bool | None:
        """Whether it shows a phantom and not a patient; None where nobody knows, as of a surface without its scan."""
        said = self.provenance.get("simulated")
        # Earlier versions wrote false for every surface, whatever it was.
        return said if said is True or (said is False and self.provenance.get("made_from") != MADE_FROM) else None


def read_result_surface(folder: Path) -> ResultSurface:
    """What `lascarseg run`, `measure` or `surface` wrote.

    Raises
    ------
    InputError
        no such result, a damaged one, or one whose scar is withheld.
    """
    shown = printable(folder)
    missing = [name for name in NEEDED if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{shown} is not a result of LAScarSeg (it has no {missing[0]}). Give a folder that `lascarseg run` or `surface` made.")
    try:
        measurements, provenance = (parse_json((folder / name).read_bytes(), LARGEST_JSON_BYTES) for name in NEEDED[1:])
    except (OSError, ValueError) as error:
        raise InputError(f"The result {shown} is damaged ({printable(error)}). Run the analysis again.") from error
    if not isinstance(measurements, dict) or not isinstance(provenance, dict):
        raise InputError(f"The result {shown} is damaged: its JSON files hold no objects. Run the analysis again.")
    if measurements.get("withheld"):
        raise InputError(f"The scar of {shown} is withheld: its cavity is not to be used. Confirm or correct it first (`lascarseg measure`).")
    return ResultSurface(folder.resolve().name, read_vtp(folder / NEEDED[0]), measurements, provenance)

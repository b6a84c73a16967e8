"""The result of one analysis: what `pipeline.analyse` returns and `scene` and `output` consume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .anatomy.anatomy import SDM_CLIP_MM
from .flags import QualityFlag
from .intensity.blood_pool import BloodPool
from .intensity.curve import ThresholdCurve
from .measure.quantities import Quantity
from .measure.sample import Sample
from .settings import Settings
from .surface.planes import CutPlane
from .surface.surface import Surface
from .volume import Box, Geometry, Volume


GIVEN = "mask"
"""The method's name when somebody gave or edited the scar."""


@dataclass(frozen=True)
class ScarMethod:
    """How scar was found, in the words a report needs.

    `name` is the rule's key, a model's `NAME@VERSION` or `"mask"`; `title` its name for people; `parameter` the rule's
    number (None for a mask) and `parameter_name` what it counts; `threshold_intensity` the grey level above which wall is
    scar. `preset` is the key of the published preset this is, None when it is nobody's; `published_for` the wall it was
    published for; `calibrated` is False when that wall is not the one measured here ("not calibrated here"); `source` the
    citation; `wall_given` tells a wall drawn by someone from the automatic one.
    """

    name: str
    title: str
    parameter: float | None = None
    parameter_name: str | None = None
    threshold_intensity: float | None = None
    preset: str | None = None
    published_for: str | None = None
    calibrated: bool = False
    source: str = ""
    wall_given: bool = False

    @property
    def words(self) -> str:
        """The method with its number: "Image intensity ratio > 1.20", "Blood mean + 3 standard deviations"."""
        if self.parameter is None:
            return self.title
        if " n " in self.title:
            return self.title.replace(" n ", f" {self.parameter:g} ")
        return f"{self.title} > {self.parameter:.2f}" if self.name == "iir" else f"{self.title}, {self.parameter:g}"

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything one analysis found.

    `volume` is the input on its whole grid. The arrays below it live in `box`, the part of the grid around the cavity;
    the properties `cavity`, `wall`, `scar`, `sdm_cavity`, `sdm_wall` and `scar_probability` bring them back to the
    input's grid (a new array at every access).
    """

    volume: Volume
    settings: Settings
    box: Box
    lge_box: np.ndarray
    """(k, j, i) intensities in the box, float32."""
    cavity_box: np.ndarray
    """(k, j, i) bool."""
    wall_box: np.ndarray
    """(k, j, i) bool, disjoint from the cavity."""
    scar_box: np.ndarray
    """(k, j, i) bool, inside the wall when a rule found it."""
    sdm_cavity_box: np.ndarray
    """(k, j, i) float32 mm, positive inside, plain EDT, clipped."""
    sdm_wall_box: np.ndarray
    """(k, j, i) float32 mm, positive inside the wall, plain EDT, clipped."""
    surface: Surface
    curve: ThresholdCurve
    method: ScarMethod
    measurements: dict[str, Quantity]
    """Keys and units of `measure.quantities.QUANTITIES`."""
    flags: tuple[QualityFlag, ...]
    planes: tuple[CutPlane, ...]
    provenance: dict[str, Any]
    """JSON-ready: versions, input files with SHA-256, settings, times."""
    samples: tuple[Sample, ...]
    """What was counted: the cavity as it is, then perturbed; `pipeline.change_threshold` starts from here."""
    scar_probability_box: np.ndarray | None = None
    """(k, j, i) float32 0…1, when a model found the scar."""
    cavity_probability_box: np.ndarray | None = None
    """(k, j, i) float32 0…1, when a model found the cavity and nobody edited it since."""

    @property
    def blood_pool(self) -> BloodPool:
        """The reference of every intensity rule."""
        return self.samples[0].blood

    @property
    def geometry(self) -> Geometry:
        return self.volume.geometry

    @property
    def box_geometry(self) -> Geometry:
        return self.geometry.crop(self.box)

    @property
    def cavity(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.cavity_box.astype(np.uint8), 0)

    @property
    def wall(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.wall_box.astype(np.uint8), 0)

    @property
    def scar(self) -> Volume:
        """0/1, uint8, input grid."""
        return self._whole(self.scar_box.astype(np.uint8), 0)

    @property
    def sdm_cavity(self) -> Volume:
        """mm, float32, positive inside the cavity, input grid."""
        return self._whole(self.sdm_cavity_box, -SDM_CLIP_MM)

    @property
    def sdm_wall(self) -> Volume:
        """mm, float32, positive inside the wall, input grid."""
        return self._whole(self.sdm_wall_box, -SDM_CLIP_MM)

    @property
    def scar_probability(self) -> Volume | None:
        """0…1, float32, input grid; None for intensity rules and masks."""
        if self.scar_probability_box is None:
            return None
        return self._whole(self.scar_probability_box, 0)

    def measurements_json(self) -> dict[str, Any]:
        """The content of measurements.json (ARCHITECTURE, "measurements.json")."""
        content: dict[str, Any] = {key: quantity.to_json() for key, quantity in self.measurements.items()}
        content["method"] = self.method.to_json()
        content["quality_flags"] = [flag.to_json() for flag in self.flags]
        return content

    def _whole(self, array: np.ndarray, fill: float) -> Volume:
        return Volume(array, self.box_geometry).expand(self.box, self.geometry, fill)

"""Scar numbers in Slicer's Segment Statistics: which numbers a segment of a result has, their codes, and the plugin itself.

The numbers are the analysis's own as long as the segments are as it left them. After an edit they are those that the panel shows
for what is drawn; no network runs.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import LAScarSegError
from .measure.quantities import QUANTITIES

if TYPE_CHECKING:
    from .analysis.content import Stored

logger = logging.getLogger(__name__)

PRIVATE_SCHEME = "99LASCARSEG"
"""DICOM has no codes for shares of a surface; a scheme that begins with 99 is private (PS3.16, section 8)."""
VOLUME, AREA = ("118565006", "SCT", "Volume"), ("42798000", "SCT", "Area")
MEAN, STANDARD_DEVIATION = ("373098007", "SCT", "Mean"), ("386136009", "SCT", "Standard Deviation")
VOXEL_SUM = ("126030", "DCM", "Sum of segmented voxel volumes")
UNITS = {
    "%": ("%", "UCUM", "Percent"),
    "cm2": ("cm2", "UCUM", "square centimeter"),
    "mL": ("mL", "UCUM", "milliliter"),
    "a.u.": ("[arb'U]", "UCUM", "arbitrary unit"),
}

Code = tuple[str, str, str]


@dataclass(frozen=True)
class Statistic:
    """One number of a segment; `key` is the key in measurements.json, codes are (value, scheme, meaning)."""

    key: str
    quantity: Code | None = None
    method: Code | None = None
    derivation: Code | None = None


def _share(code: str, meaning: str) -> Code:
    return (code, PRIVATE_SCHEME, meaning)


STATISTICS = {
    "LA_cavity": (
        Statistic("la_volume_ml", VOLUME),
        Statistic("la_surface_area_cm2", AREA),
        Statistic("blood_pool_mean", derivation=MEAN),
        Statistic("blood_pool_sd", derivation=STANDARD_DEVIATION),
    ),
    "LA_wall": (Statistic("wall_volume_ml", VOLUME, VOXEL_SUM),),
    "LA_scar": (
        Statistic("scar_area_pct", _share("ScarSurfacePct", "Scar, share of the left atrial surface")),
        Statistic("scar_area_pct_wall", _share("ScarWallSurfPct", "Scar, share of the left atrial wall's surface")),
        Statistic("scar_area_cm2", AREA),
        Statistic("scar_volume_ml", VOLUME, VOXEL_SUM),
        Statistic("scar_pct_of_wall_volume", _share("ScarWallVolPct", "Scar, share of the left atrial wall's volume")),
    ),
}
"""By the segment's ID in a result (`scene.segmentation.SEGMENTS`)."""
BY_KEY = {statistic.key: statistic for statistics in STATISTICS.values() for statistic in statistics}
NAMES = {name.key: name for name in QUANTITIES}


class ResultNumbers:
    """The numbers of results in a scene; remembers the last measured one, since a plugin is asked for each segment."""

    def __init__(self) -> None:
        self._state: Any = None
        self._numbers: dict[str, float] = {}

    def of_segment(self, scene: Any, segmentation: Any, segment_id: str) -> dict[str, float]:
        """The numbers by key; empty for a segment or a segmentation that is no result's, or can't be measured."""
        statistics = STATISTICS.get(segment_id)
        if statistics is None or segmentation is None:
            return {}
        try:
            numbers = self._of_result(scene, segmentation)
        except LAScarSegError as error:
            logger.warning("No scar statistics for %r: %s", segmentation.GetName(), error)
            return {}
        return {s.key: numbers[s.key] for s in statistics if numbers.get(s.key) is not None}

    def _of_result(self, scene: Any, segmentation: Any) -> dict[str, float]:
        source = _source_of(segmentation)
        table = _table_of(scene, source)
        if source is None or table is None:
            return {}
        state = (source.GetID(), source.GetImageData().GetMTime(), table.GetMTime(), *_segment_times(segmentation))
        if state != self._state:
            self._numbers, self._state = _numbers(scene, segmentation, source, table), state
        return self._numbers


def _source_of(segmentation: Any) -> Any | None:
    """The scan a result was computed from: named by the result's own node, or the image its segments were drawn on."""
    from .scene.mrml import SOURCE

    for role in (SOURCE, segmentation.GetReferenceImageGeometryReferenceRole()):
        node = segmentation.GetNodeReference(role)
        if node is not None and node.GetImageData() is not None:
            return node
    return None


def _table_of(scene: Any, source: Any | None) -> Any | None:
    """The measurements table of the result, with what it was measured with."""
    from .scene.mrml import find_result
    from .scene.stored import is_result

    table = None if source is None else find_result(scene, "vtkMRMLTableNode", "measurements", source)
    return table if is_result(table) else None


def _segment_times(segmentation: Any) -> list[tuple[str, int]]:
    """When the voxels of each segment were last changed."""
    segments = segmentation.GetSegmentation()
    times = []
    for segment_id in STATISTICS:
        segment = segments.GetSegment(segment_id)
        image = None if segment is None else segment.GetRepresentation(segments.GetSourceRepresentationName())
        times.append((segment_id, 0 if image is None else image.GetMTime()))
    return times


def _numbers(scene: Any, segmentation: Any, source: Any, table: Any) -> dict[str, float]:
    """Stored numbers where the segments are those of the analysis, else those of what is drawn."""
    from .scene.provenance import MEASUREMENTS
    from .scene.stored import read_result

    stored = read_result(scene, source, table, segmentation)
    if stored.drawn:
        return _measured(stored)
    numbers = json.loads(table.GetAttribute(MEASUREMENTS))
    return {key: numbers[key]["value"] for key in BY_KEY}


def _measured(stored: Stored) -> dict[str, float]:
    analysis = stored.analyse(ranges=False)
    return {key: analysis.measurements[key].value for key in BY_KEY}


class ScarStatistics:
    """The plugin's own part; `register_plugin` puts it in front of Slicer's base class, which brings check boxes and codes."""

    def __init__(self) -> None:
        super().__init__()
        self.name = self.title = "Left Atrial Scar"
        self.keys = list(BY_KEY)
        self.defaultKeys = self.keys
        self._results = ResultNumbers()

    def computeStatistics(self, segmentID: str) -> dict[str, float]:
        """The requested numbers of the segment; none for segments that are no result of LAScarSeg."""
        import slicer

        requested = self.getRequestedKeys()
        segmentation = slicer.mrmlScene.GetNodeByID(self.getParameterNode().GetParameter("Segmentation"))
        numbers = self._results.of_segment(slicer.mrmlScene, segmentation, segmentID) if requested else {}
        return {key: number for key, number in numbers.items() if key in requested}

    def getMeasurementInfo(self, key: str) -> dict[str, Any] | None:
        """Name, unit and DICOM codes of a key; None for a key of another plugin."""
        if key not in BY_KEY:
            return None
        statistic, name = BY_KEY[key], NAMES[key]
        codes = {
            "quantityDicomCode": statistic.quantity,
            "unitsDicomCode": UNITS[name.unit],
            "measurementMethodDicomCode": statistic.method,
            "derivationDicomCode": statistic.derivation,
        }
        entries = {role: self.createCodedEntry(*code, True) for role, code in codes.items() if code is not None}
        description = f"{name.label}. Measured by LAScarSeg on the result that the segment belongs to."
        column = f"{name.label} {name.unit}"
        return self.createMeasurementInfo(name=column, title=name.label, description=description, units=name.unit, **entries)


PLUGIN_NAME = "LAScarSegmentStatisticsPlugin"


def register_plugin() -> None:
    """Make the numbers a plugin of Slicer's Segment Statistics, once: the module may be reloaded. Works inside Slicer only."""
    from SegmentStatistics import SegmentStatisticsLogic
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    if all(plugin.__name__ != PLUGIN_NAME for plugin in SegmentStatisticsLogic.registeredPlugins):
        SegmentStatisticsLogic.registerPlugin(type(PLUGIN_NAME, (ScarStatistics, SegmentStatisticsPluginBase), {})())

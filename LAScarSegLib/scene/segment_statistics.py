"""Scar numbers in Slicer's Segment Statistics: which numbers a segment of a result has, their codes, and the plugin itself.

The numbers are the analysis's own as long as the segments are as it left them. After an edit they are those that the panel shows
for what is drawn; no network runs.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from ..errors import LAScarSegError
from ..measure.numbers import NUMBERS, Number
from .mrml import SOURCE, find_result

if TYPE_CHECKING:
    from ..analysis.description import Stored

logger = logging.getLogger(__name__)

UNITS = {
    "%": ("%", "UCUM", "Percent"),
    "cm2": ("cm2", "UCUM", "square centimeter"),
    "mL": ("mL", "UCUM", "milliliter"),
    "a.u.": ("[arb'U]", "UCUM", "arbitrary unit"),
}
"""DICOM's codes of the units of `measure.numbers`."""


def coded_numbers() -> dict[str, Number]:
    """The numbers that belong to a segment, by key."""
    return {number.key: number for number in NUMBERS if number.coding is not None}


def numbers_of_segment(segment_id: str) -> list[str]:
    """Keys of the numbers that belong to a result's segment."""
    from .segmentation import KINDS

    masks = {kind.segment_id: name for name, kind in KINDS.items()}
    return [key for key, number in coded_numbers().items() if number.coding.mask == masks.get(segment_id)]


class ResultNumbers:
    """The numbers of results in a scene; remembers the last measured one, since a plugin is asked for each segment."""

    def __init__(self) -> None:
        self._state: Any = None
        self._numbers: dict[str, float] = {}

    def of_segment(self, scene: Any, segmentation: Any, segment_id: str) -> dict[str, float]:
        """The numbers by key; empty for a segment or a segmentation that is no result's, or can't be measured."""
        keys = numbers_of_segment(segment_id)
        if not keys or segmentation is None:
            return {}
        try:
            numbers = self._of_result(scene, segmentation)
        except LAScarSegError as error:
            logger.warning("No scar statistics for %r: %s", segmentation.GetName(), error)
            return {}
        return {key: numbers[key] for key in keys if numbers.get(key) is not None}

    def _of_result(self, scene: Any, segmentation: Any) -> dict[str, float]:
        from .segmentation import segment_times
        from .stored import is_result

        source = _source_of(segmentation)
        table = None if source is None else find_result(scene, "vtkMRMLTableNode", "measurements", source)
        if not is_result(table):
            return {}
        state = (source.GetID(), source.GetImageData().GetMTime(), table.GetMTime(), *segment_times(segmentation))
        if state != self._state:
            self._numbers, self._state = _numbers(scene, segmentation, source, table), state
        return self._numbers


def _source_of(segmentation: Any) -> Any | None:
    """The scan a result was computed from: named by the result's own node, or the image its segments were drawn on."""
    for role in (SOURCE, segmentation.GetReferenceImageGeometryReferenceRole()):
        node = segmentation.GetNodeReference(role)
        if node is not None and node.GetImageData() is not None:
            return node
    return None


def _numbers(scene: Any, segmentation: Any, source: Any, table: Any) -> dict[str, float]:
    """Stored numbers where the segments are those of the analysis, else those of what is drawn."""
    from .attributes import MEASUREMENTS
    from .stored import read_result

    stored = read_result(scene, source, table, segmentation)
    if stored.drawn:
        return _measured(stored)
    numbers = json.loads(table.GetAttribute(MEASUREMENTS))
    return {key: numbers[key]["value"] for key in coded_numbers()}


def _measured(stored: Stored) -> dict[str, float]:
    analysis = stored.analyse(ranges=False)
    return {key: analysis.measurements[key].value for key in coded_numbers()}


class ScarStatistics:
    """The plugin's own part; `register_plugin` puts it in front of Slicer's base class, which brings check boxes and codes."""

    def __init__(self) -> None:
        super().__init__()
        self.name = self.title = "Left Atrial Scar"
        self.keys = list(coded_numbers())
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
        number = coded_numbers().get(key)
        if number is None:
            return None
        coding = number.coding
        roles = ("quantity", "units", "measurementMethod", "derivation")
        codes = zip(roles, (coding.quantity, UNITS[number.unit], coding.method, coding.derivation))
        entries = {f"{role}DicomCode": self.createCodedEntry(*code, True) for role, code in codes if code is not None}
        description = f"{number.label}. Measured by LAScarSeg on the result that the segment belongs to."
        column = f"{number.label} {number.unit}"
        return self.createMeasurementInfo(name=column, title=number.label, description=description, units=number.unit, **entries)


PLUGIN_NAME = "LAScarSegmentStatisticsPlugin"


def register_plugin() -> None:
    """Make the numbers a plugin of Slicer's Segment Statistics, once: the module may be reloaded. Works inside Slicer only."""
    from SegmentStatistics import SegmentStatisticsLogic
    from SegmentStatisticsPlugins import SegmentStatisticsPluginBase

    if all(plugin.__name__ != PLUGIN_NAME for plugin in SegmentStatisticsLogic.registeredPlugins):
        SegmentStatisticsLogic.registerPlugin(type(PLUGIN_NAME, (ScarStatistics, SegmentStatisticsPluginBase), {})())

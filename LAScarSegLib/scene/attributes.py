"""How a result was made, written on its nodes, so that a saved scene can still answer that question."""

import json
from collections.abc import Iterable
from typing import Any

from .. import __version__
from ..analysis import Analysis
from ..analysis.description import describe
from ..measure.numbers import ON_SURFACE, ON_WALL

VERSION = "LAScarSeg.version"
METHOD = "LAScarSeg.method"
THRESHOLD = "LAScarSeg.threshold"
THRESHOLD_INTENSITY = "LAScarSeg.threshold_intensity"
SETTINGS = "LAScarSeg.settings"
PROVENANCE = "LAScarSeg.provenance"
MEASUREMENTS = "LAScarSeg.measurements"
SOURCES = "LAScarSeg.sources"
"""What the result follows from, beside the scan and the networks' probabilities (`analysis.description`)."""
LABEL = "LAScarSeg.label"
PROTOCOL = "LAScarSeg.protocol"
HEADLINE = "LAScarSeg.headline"
DOUBT = "LAScarSeg.doubt"
"""What is said of a network's cavity: good, look at it, do not use."""


def attributes(analysis: Analysis) -> dict[str, str | None]:
    """What every result node carries; None where the method has no such number."""
    method = analysis.method
    shares = {f"LAScarSeg.{key}": analysis.measurements[key].value for key in (ON_WALL, ON_SURFACE)}
    return {
        VERSION: __version__,
        METHOD: method.name,
        THRESHOLD: None if method.parameter is None else f"{method.parameter:.6g}",
        THRESHOLD_INTENSITY: None if method.threshold_intensity is None else f"{method.threshold_intensity:.6g}",
        SETTINGS: json.dumps(analysis.settings.to_json(), ensure_ascii=False),
        LABEL: analysis.settings.label or None,
        PROTOCOL: method.protocol,
        DOUBT: None if analysis.doubt is None else analysis.doubt.word,
        HEADLINE: analysis.headline.number.key,
    } | {name: None if share is None else f"{share:.6g}" for name, share in shares.items()}


def annotate(analysis: Analysis, nodes: Iterable[Any], measurements_node: Any) -> None:
    """Write the attributes on `nodes`; the table of measurements also gets provenance, measurements and sources as JSON."""
    common = attributes(analysis)
    for node in nodes:
        for name, value in common.items():
            if value is None:
                node.RemoveAttribute(name)
            else:
                node.SetAttribute(name, value)
    measurements_node.SetAttribute(PROVENANCE, json.dumps(analysis.provenance, ensure_ascii=False))
    measurements_node.SetAttribute(MEASUREMENTS, measurements_text(analysis))
    measurements_node.SetAttribute(SOURCES, json.dumps(describe(analysis), ensure_ascii=False))


def measurements_text(analysis: Analysis) -> str:
    """The content of measurements.json as a node keeps it."""
    return json.dumps(analysis.measurements_json(findings=False), ensure_ascii=False)


def shows(scene: Any, table: Any, analysis: Analysis) -> bool:
    """Whether the measurements table is in the scene and holds this analysis's numbers."""
    return table.GetScene() is scene and table.GetAttribute(MEASUREMENTS) == measurements_text(analysis)

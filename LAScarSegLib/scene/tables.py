"""The numbers as table nodes, and the threshold curve as a plot."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkStringArray
from vtkmodules.vtkCommonDataModel import vtkTable

from ..analysis import Analysis
from ..measure.numbers import NUMBERS, Number
from ..measure.published import PublishedScar, published_scars
from . import colours
from .mrml import find_or_add, remove_result
from .volumes import vtk_array

MEASUREMENT_COLUMNS = ("Measurement", "Value", "Unit", "Low", "High", "Key")

CURVE_TITLES = {
    "iir": "Threshold (IIR: intensity over blood-pool mean)",
    "scar_area_pct": "scar, % of the LA surface",
    "scar_area_pct_wall": "scar, % of the LA wall",
    "scar_pct_of_wall_volume": "scar, % of the wall volume",
    "scar_pct_of_wall_volume_wall": "scar, % of the LA wall's volume",
}
WHOLE_SERIES = (("scar_area_pct", colours.SCAR), ("scar_pct_of_wall_volume", colours.OUTSIDE_END))
WALL_SERIES = (
    ("scar_area_pct_wall", colours.SCAR), ("scar_area_pct", colours.LEFT_OUT), ("scar_pct_of_wall_volume_wall", colours.OUTSIDE_END),
)  # fmt: skip
"""The columns that are drawn without planes, and with them, each in its colour: the headline's is vermilion."""

MARK_PIXELS = 9.0


def add_measurements(scene: Any, analysis: Analysis, source: Any) -> Any:
    """The table node of the measurements that were computed, one row each, as text rounded for reading.

    Low and High are the perturbation range. Numbers in full precision are in the node attribute `LAScarSeg.measurements`.
    """
    node, _ = find_or_add(scene, "vtkMRMLTableNode", "measurements", f"{source.GetName()} LA measurements", source)
    fill_table(node, dict(zip(MEASUREMENT_COLUMNS, zip(*(_row(number, analysis) for number in NUMBERS if analysis.measurements[number.key].value is not None)))))
    node.SetUseColumnTitleAsColumnHeader(True)
    return node


def _row(number: Number, analysis: Analysis) -> tuple[str, ...]:
    quantity = analysis.measurements[number.key]
    value, low, high = ("" if cell is None else number.text(cell) for cell in (quantity.value, quantity.low, quantity.high))
    return (number.label, value, number.unit_for_people(analysis.method.parameter_name), low, high, number.key)


def add_curve(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, Any]:
    """The table node of the threshold curve and the plot chart node that draws it against the IIR."""
    table, _ = find_or_add(scene, "vtkMRMLTableNode", "curve", f"{source.GetName()} threshold curve", source)
    columns = {name: values for name, values in analysis.curve.columns().items() if not np.isnan(values).all()}
    fill_table(table, columns)
    chart, new = find_or_add(scene, "vtkMRMLPlotChartNode", "curve_chart", f"{source.GetName()} scar against threshold", source)
    if new:
        chart.SetTitle("Scar against threshold")
        chart.SetXAxisTitle(CURVE_TITLES["iir"])
        chart.SetYAxisTitle("Scar (%)")
    chart.RemoveAllPlotSeriesNodeIDs()
    drawn = WALL_SERIES if analysis.planes else WHOLE_SERIES
    lines = [_line(scene, table, name, colour, source) for name, colour in drawn if name in columns]
    presets = [] if analysis.withheld else _preset_marks(scene, analysis, source)
    for series in filter(None, (*lines, *presets, mark_chosen(scene, analysis, source))):
        chart.AddAndObservePlotSeriesNodeID(series.GetID())
    return table, chart


def _line(scene: Any, table: Any, column: str, colour: colours.RGB, source: Any) -> Any:
    node, new = _series(scene, f"curve_{column}", CURVE_TITLES[column], table, column, source)
    if new:
        node.SetMarkerStyle(node.MarkerStyleNone)
        node.SetLineWidth(2)
    node.SetColor(*colour)
    return node


def _series(scene: Any, role: str, name: str, table: Any, column: str, source: Any) -> tuple[Any, bool]:
    """The series node that draws a column against the IIR, and True when it had to be made."""
    node, new = find_or_add(scene, "vtkMRMLPlotSeriesNode", role, name, source)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName("iir")
    node.SetYColumnName(column)
    if new:
        node.SetPlotType(node.PlotTypeScatter)
    return node, new


def _preset_marks(scene: Any, analysis: Analysis, source: Any) -> list[Any]:
    """The published thresholds as points on the curve, a series a rule: how far apart accepted rules lie on this very scan.

    The chart's legend names the series, from its first point to its last; a point's own name shows under the mouse.
    """
    scars: dict[str, list[PublishedScar]] = {}
    for scar in published_scars(analysis.samples[0]):
        scars.setdefault(scar.rule.name, []).append(scar)
    series = []
    for number, (rule, found) in enumerate(scars.items()):
        name = f"published: {' … '.join(dict.fromkeys([found[0].label, found[-1].label]))}"
        points = [(scar.iir, scar.area_pct, scar.label) for scar in found]
        series.append(_marks(scene, f"curve_presets_{rule}", name, points, colours.LEFT_OUT, source))
        series[-1].SetMarkerStyle((series[-1].MarkerStyleSquare, series[-1].MarkerStyleDiamond, series[-1].MarkerStyleCross)[number % 3])
    return series


def mark_chosen(scene: Any, analysis: Analysis, source: Any) -> Any | None:
    """The threshold of this result as a point on the curve; None, and an old one removed, when scar came without one."""
    intensity, share = analysis.method.threshold_intensity, analysis.headline.quantity.value
    role = "curve_point"
    if intensity is None or share is None:
        remove_result(scene, "vtkMRMLPlotSeriesNode", role, source)
        remove_result(scene, "vtkMRMLTableNode", role, source)
        return None
    point = (intensity / analysis.blood_pool.mean, share, "this result")
    return _marks(scene, role, "this result", [point], colours.ZERO_LINE, source)


def _marks(scene: Any, role: str, name: str, points: Sequence[tuple[float, float, str]], colour: colours.RGB, source: Any) -> Any:
    """Labelled points (IIR, scar in % of the surface, label) in the chart, with the table behind them."""
    table, _ = find_or_add(scene, "vtkMRMLTableNode", role, f"{source.GetName()} {name}", source)
    # A chart can't draw a line through one point, and says so at every repaint (vtkContext2D::DrawPoly).
    iir, shares, labels = zip(*(points if len(points) > 1 else [*points, *points]))
    fill_table(table, {"iir": np.array(iir), "scar_area_pct": np.array(shares), "threshold": labels})
    # only there for the chart: the Data module shows the tables a person reads
    table.SetHideFromEditors(True)
    node, new = _series(scene, role, name, table, "scar_area_pct", source)
    node.SetLabelColumnName("threshold")
    if new:
        node.SetLineStyle(node.LineStyleNone)
        node.SetMarkerStyle(node.MarkerStyleCircle)
        node.SetMarkerSize(MARK_PIXELS)
    node.SetColor(*colour)
    return node


def fill_table(node: Any, columns: Mapping[str, np.ndarray | Sequence[str]]) -> None:
    """Put columns of numbers or texts into a table node that nobody can type in."""
    table = vtkTable()
    for name, values in columns.items():
        table.AddColumn(vtk_array(name, values, np.float64) if isinstance(values, np.ndarray) else _text_column(name, values))
    node.SetAndObserveTable(table)
    node.SetLocked(True)


def _text_column(name: str, values: Sequence[str]) -> Any:
    column = vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column

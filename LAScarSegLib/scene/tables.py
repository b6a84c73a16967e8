"""The numbers as table nodes, and the threshold curve as a plot."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..analysis import Analysis
from ..measure.numbers import NUMBERS, Number
from ..measure.published import published_scars
from . import colours
from .mrml import find_or_add, remove_result

MEASUREMENT_COLUMNS = ("Measurement", "Value", "Unit", "Low", "High", "Key")

CURVE_TITLES = {
    "iir": "Threshold (IIR: intensity over blood-pool mean)",
    "scar_area_pct": "scar, % of the LA surface",
    "scar_area_pct_wall": "scar, % of the LA wall",
    "scar_pct_of_wall_volume": "scar, % of the wall volume",
}
CURVE_SERIES = (("scar_area_pct", colours.SCAR), ("scar_area_pct_wall", colours.LEFT_OUT), ("scar_pct_of_wall_volume", colours.OUTSIDE_END))
"""The columns that are drawn: measurements, each in its colour; `lge_area_pct` is only a display statistic."""

MARK_PIXELS = 9.0


def add_measurements(scene: Any, analysis: Analysis, source: Any) -> Any:
    """The table node of the measurements, one row each, as text rounded for reading; blank where nothing was computed.

    Low and High are the perturbation range. Numbers in full precision are in the node attribute `LAScarSeg.measurements`.
    """
    node, _ = find_or_add(scene, "vtkMRMLTableNode", "measurements", f"{source.GetName()} LA measurements", source)
    rows = [_row(number, analysis) for number in NUMBERS]
    columns = [_text_column(title, [row[n] for row in rows]) for n, title in enumerate(MEASUREMENT_COLUMNS)]
    _fill(node, columns)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetLocked(True)
    return node


def _row(number: Number, analysis: Analysis) -> tuple[str, ...]:
    quantity = analysis.measurements[number.key]
    value, low, high = ("" if cell is None else number.text(cell) for cell in (quantity.value, quantity.low, quantity.high))
    return (number.label, value, quantity.unit, low, high, number.key)


def add_curve(scene: Any, analysis: Analysis, source: Any) -> tuple[Any, Any]:
    """The table node of the threshold curve and the plot chart node that draws it against the IIR."""
    table, _ = find_or_add(scene, "vtkMRMLTableNode", "curve", f"{source.GetName()} threshold curve", source)
    columns = {name: values for name, values in analysis.curve.columns().items() if not np.isnan(values).all()}
    _fill(table, [_number_column(name, values) for name, values in columns.items()])
    table.SetLocked(True)
    chart, new = find_or_add(scene, "vtkMRMLPlotChartNode", "curve_chart", f"{source.GetName()} scar against threshold", source)
    if new:
        chart.SetTitle("Scar against threshold")
        chart.SetXAxisTitle(CURVE_TITLES["iir"])
        chart.SetYAxisTitle("Scar (%)")
    chart.RemoveAllPlotSeriesNodeIDs()
    for name, colour in CURVE_SERIES:
        if name in columns:
            chart.AddAndObservePlotSeriesNodeID(_series(scene, table, name, colour, source).GetID())
    for marks in (_preset_marks(scene, analysis, source), mark_chosen(scene, analysis, source)):
        if marks is not None:
            chart.AddAndObservePlotSeriesNodeID(marks.GetID())
    return table, chart


def _series(scene: Any, table: Any, column: str, colour: colours.RGB, source: Any) -> Any:
    node, new = find_or_add(scene, "vtkMRMLPlotSeriesNode", f"curve_{column}", CURVE_TITLES[column], source)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName("iir")
    node.SetYColumnName(column)
    if new:
        node.SetPlotType(node.PlotTypeScatter)
        node.SetMarkerStyle(node.MarkerStyleNone)
        node.SetLineWidth(2)
        node.SetColor(*colour)
    return node


def _preset_marks(scene: Any, analysis: Analysis, source: Any) -> Any:
    """The published thresholds as points on the curve: how far apart accepted rules lie on this very scan."""
    scars = published_scars(analysis.samples[0])
    iir, shares = np.array([scar.iir for scar in scars]), np.array([scar.scar_area_pct for scar in scars])
    node = _marks(scene, "curve_presets", "published thresholds", iir, shares, [scar.label for scar in scars], source)
    node.SetColor(*colours.LEFT_OUT)
    return node


def mark_chosen(scene: Any, analysis: Analysis, source: Any) -> Any | None:
    """The threshold of this result as a point on the curve; None, and an old one removed, when scar came without one."""
    intensity, share = analysis.method.threshold_intensity, analysis.measurements["scar_area_pct"].value
    role = "curve_point"
    if intensity is None or share is None:
        remove_result(scene, "vtkMRMLPlotSeriesNode", role, source)
        remove_result(scene, "vtkMRMLTableNode", role, source)
        return None
    iir = intensity / analysis.blood_pool.mean
    node = _marks(scene, role, "this result", np.array([iir]), np.array([share]), ["this result"], source)
    node.SetColor(*colours.ZERO_LINE)
    return node


def _marks(scene: Any, role: str, name: str, iir: np.ndarray, shares: np.ndarray, labels: list[str], source: Any) -> Any:
    """Labelled points in the chart, with the table behind them."""
    table, _ = find_or_add(scene, "vtkMRMLTableNode", role, f"{source.GetName()} {name}", source)
    _fill(table, [_number_column("iir", iir), _number_column("scar_area_pct", shares), _text_column("threshold", labels)])
    table.SetLocked(True)
    # only there for the chart: the Data module shows the tables a person reads
    table.SetHideFromEditors(True)
    node, new = find_or_add(scene, "vtkMRMLPlotSeriesNode", role, name, source)
    node.SetAndObserveTableNodeID(table.GetID())
    node.SetXColumnName("iir")
    node.SetYColumnName("scar_area_pct")
    node.SetLabelColumnName("threshold")
    if new:
        node.SetPlotType(node.PlotTypeScatter)
        node.SetLineStyle(node.LineStyleNone)
        node.SetMarkerStyle(node.MarkerStyleCircle)
        node.SetMarkerSize(MARK_PIXELS)
    return node


def _fill(node: Any, columns: Iterable[Any]) -> None:
    from vtkmodules.vtkCommonDataModel import vtkTable

    table = vtkTable()
    for column in columns:
        table.AddColumn(column)
    node.SetAndObserveTable(table)


def _text_column(name: str, values: list[str]) -> Any:
    from vtkmodules.vtkCommonCore import vtkStringArray

    column = vtkStringArray()
    column.SetName(name)
    for value in values:
        column.InsertNextValue(value)
    return column


def _number_column(name: str, values: np.ndarray) -> Any:
    from vtkmodules.util.numpy_support import numpy_to_vtk

    column = numpy_to_vtk(np.ascontiguousarray(values, dtype=np.float64), deep=True)
    column.SetName(name)
    return column

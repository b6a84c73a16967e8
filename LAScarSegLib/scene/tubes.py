"""Lines on the surface as tubes that are seen from all sides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from vtkmodules.vtkCommonCore import vtkPoints
from vtkmodules.vtkCommonDataModel import vtkCellArray, vtkPolyData
from vtkmodules.vtkFiltersCore import vtkTubeFilter

from .volumes import LPS_TO_RAS, vtk_array

SIDES = 8
"""Round enough at a millimetre."""


def tubes(lines: Iterable[np.ndarray], radius_mm: float, arrays: Mapping[str, np.ndarray] | None = None) -> Any:
    """`vtkPolyData` in RAS: a tube around each of `lines`, (Q, 3) mm LPS each; empty where there is none.

    arrays
        by name (Q of all lines,) a value for each point, which the tubes have, too; the first is their scalars.
    """
    points, cells = vtkPoints(), vtkCellArray()
    for line in lines:
        cells.InsertNextCell(len(line))
        for point in line @ LPS_TO_RAS[:3, :3]:
            cells.InsertCellPoint(points.InsertNextPoint(point))
    polydata = vtkPolyData()
    polydata.SetPoints(points)
    polydata.SetLines(cells)
    for number, (name, values) in enumerate((arrays or {}).items()):
        polydata.GetPointData().AddArray(vtk_array(name, values, np.float32))
        if not number:
            polydata.GetPointData().SetActiveScalars(name)
    tube = vtkTubeFilter()
    tube.SetInputData(polydata)
    tube.SetRadius(radius_mm)
    tube.SetNumberOfSides(SIDES)
    tube.CappingOn()
    tube.Update()
    return tube.GetOutput()

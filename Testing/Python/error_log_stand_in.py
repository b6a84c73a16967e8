"""Slicer's log of errors outside Slicer (ctkErrorLogModel): what Python logs, what VTK prints, and what Slicer's windows would say."""

from __future__ import annotations

import logging
from types import SimpleNamespace

from slicer_windows import Windows
from vtkmodules.vtkCommonCore import vtkOutputWindow, vtkStringOutputWindow

LEVEL_COLUMN = 2
LEVELS = {logging.WARNING: "Warning", logging.ERROR: "Error", logging.CRITICAL: "Critical"}


class ErrorLog(logging.Handler):
    """Entries are told by row; a level is asked of the model behind, which shows all of them."""

    logEntryGrouping = True

    def __init__(self, windows: Windows) -> None:
        super().__init__()
        self._windows, self._heard = windows, 0
        self._entries: list[tuple[str, str]] = []
        self._before, self._vtk = vtkOutputWindow.GetInstance(), vtkStringOutputWindow()
        vtkOutputWindow.SetInstance(self._vtk)
        logging.getLogger().addHandler(self)

    def close(self) -> None:
        logging.getLogger().removeHandler(self)
        vtkOutputWindow.SetInstance(self._before)
        self._windows.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        self._entries.append((LEVELS.get(record.levelno, "Info"), record.getMessage()))

    def logEntryCount(self) -> int:
        said, self._heard = self._windows.said[self._heard :], len(self._windows.said)
        self._entries += [("Debug" if "for segment " in text else "Critical", text) for text in said]
        printed = self._vtk.GetOutput()
        self._entries += [("Warning", line) for line in printed.splitlines() if line.strip() and "bad X server" not in line]
        if printed:
            self._vtk = vtkStringOutputWindow()
            vtkOutputWindow.SetInstance(self._vtk)
        return len(self._entries)

    def logEntryDescription(self, row: int) -> str:
        return self._entries[row][1]

    def sourceModel(self) -> SimpleNamespace:
        return SimpleNamespace(
            index=lambda row, column: (row, column), data=lambda place: self._entries[place[0]][0] if place[1] == LEVEL_COLUMN else ""
        )

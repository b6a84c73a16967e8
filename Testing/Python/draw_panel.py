"""`python Testing/Python/draw_panel.py PICTURE.png`: the panel with the sample's result, drawn in Qt without Slicer.

Selectors of nodes and segments and the collapsible headings are placeholders; a picture taken in Slicer looks a little different.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

os.environ.setdefault("QT_SCALE_FACTOR", "1.25")

WIDTH = 400
MARGIN = 8
SMALLEST_FILE = 0
"""What Qt calls quality is, for the lossless PNG, how little effort is spent on compression."""


def main(picture: Path) -> None:
    """Analyse the sample and draw the panel as it looks then."""
    import pythonqt_stand_in
    from panel_cases import wait
    from slicer_stand_in import open_panel, slicer_application

    from LAScarSegLib import scene as mrml
    from LAScarSegLib.analysis.settings import Settings
    from LAScarSegLib.datasets import sample_data
    from LAScarSegLib.scene.inputs import load_sample

    scene = mrml.new_scene()
    with tempfile.TemporaryDirectory() as no_models, slicer_application(scene):
        os.environ["LASCARSEG_MODELS"] = no_models
        import LAScarSeg

        panel = open_panel()
        volume, segmentation, planes = load_sample(scene)
        node = panel.parameterNode
        node.inputVolume, node.cavitySegmentation = volume, segmentation
        node.cavitySegmentId = segmentation.GetSegmentation().GetNthSegmentID(0)
        panel.setResult(LAScarSeg.LAScarSegLogic().process(volume, segmentation, sample_data.CAVITY_SEGMENT, Settings(), planes))
        panel.ui.statusLabel.text = "Done."
        panel.ui.statusLabel.setVisible(True)
        panel.ui.exportFolderEdit.currentPath = "results"
        panel.ui.exportCollapsibleButton.collapsed = False
        for button in (panel.ui.modelsCollapsibleButton, panel.ui.compareCollapsibleButton):
            button.collapsed = True
            button.collapse()
        panel.ui.gapsCollapsibleButton.collapsed = False
        window, application = panel.parent.widget, pythonqt_stand_in.application()
        window.setFixedWidth(WIDTH)
        window.show()
        panel.ui.findGapsButton.click()
        wait(lambda: panel.ui.findGapsButton.enabled and not panel.ui.gapsLabel.text, "the gaps and their ranges")
        for _layout_settles in range(3):
            application.processEvents()
            window.resize(WIDTH, window.sizeHint().height())
        application.processEvents()
        begins = [button.y for button in (panel.ui.measurementsCollapsibleButton, panel.ui.gapsCollapsibleButton)]
        in_columns(window.grab(), begins).save(str(picture), quality=SMALLEST_FILE)
        panel.cleanup()


def in_columns(panel: Any, begins: list[int]) -> Any:
    """The tall panel as columns; the second and further ones begin at the heights `begins` (pixels before scaling)."""
    from PySide6 import QtCore, QtGui

    ratio, tall = panel.devicePixelRatio(), panel.deviceIndependentSize().toSize()
    tops, ends = [0, *begins], [*begins, tall.height()]
    height = max(end - top for top, end in zip(tops, ends)) + MARGIN // 2
    width = len(tops) * tall.width() + len(begins) * MARGIN
    canvas = QtGui.QPixmap(round(width * ratio), round(height * ratio))
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(panel.toImage().pixelColor(0, 0))
    painter = QtGui.QPainter(canvas)
    for number, (top, end) in enumerate(zip(tops, ends)):
        part = QtCore.QRectF(0, top * ratio, tall.width() * ratio, (end - top) * ratio)
        painter.drawPixmap(QtCore.QPointF(number * (tall.width() + MARGIN), MARGIN / 2 if number else 0), panel, part)
    painter.end()
    return canvas.toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

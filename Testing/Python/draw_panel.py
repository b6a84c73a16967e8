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
        panel.ui.modelsCollapsibleButton.collapsed = True
        panel.ui.modelsCollapsibleButton.collapse()
        window, application = panel.parent.widget, pythonqt_stand_in.application()
        window.setFixedWidth(WIDTH)
        window.show()
        for _layout_settles in range(3):
            application.processEvents()
            window.resize(WIDTH, window.sizeHint().height())
        application.processEvents()
        two_columns(window.grab(), panel.ui.measurementsCollapsibleButton.y).save(str(picture), quality=SMALLEST_FILE)
        panel.cleanup()


def two_columns(panel: Any, split: int) -> Any:
    """The tall panel as two columns; the second begins at the height `split` (pixels before scaling)."""
    from PySide6 import QtCore, QtGui

    ratio, tall = panel.devicePixelRatio(), panel.deviceIndependentSize().toSize()
    height = max(split, tall.height() - split)
    canvas = QtGui.QPixmap(round((2 * tall.width() + MARGIN) * ratio), round(height * ratio))
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(panel.toImage().pixelColor(0, 0))
    painter = QtGui.QPainter(canvas)
    painter.drawPixmap(QtCore.QPointF(0, 0), panel, QtCore.QRectF(0, 0, tall.width() * ratio, split * ratio))
    rest = QtCore.QRectF(0, split * ratio, tall.width() * ratio, (tall.height() - split) * ratio)
    painter.drawPixmap(QtCore.QPointF(tall.width() + MARGIN, MARGIN / 2), panel, rest)
    painter.end()
    return canvas.toImage().convertToFormat(QtGui.QImage.Format.Format_RGB888)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""`python Testing/Python/draw_panel.py PICTURE.png`: the panel with the sample's result, drawn in Qt without Slicer.

Selectors of nodes and segments and the collapsible headings are placeholders; a picture taken in Slicer looks a little different.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

WIDTH = 400


def main(picture: Path) -> None:
    """Analyse the sample and draw the panel as it looks then."""
    import pythonqt_stand_in
    from slicer_stand_in import open_panel, slicer_application

    from LAScarSegLib import sample_data
    from LAScarSegLib import scene as mrml
    from LAScarSegLib.settings import Settings

    scene = mrml.new_scene()
    with slicer_application(scene):
        import LAScarSeg

        panel = open_panel()
        volume, segmentation, planes = sample_data.load_sample(scene)
        node = panel.parameterNode
        node.inputVolume, node.cavitySegmentation = volume, segmentation
        node.cavitySegmentId = segmentation.GetSegmentation().GetNthSegmentID(0)
        panel.setResult(LAScarSeg.LAScarSegLogic().process(volume, segmentation, sample_data.CAVITY_SEGMENT, Settings(), planes))
        panel.ui.statusLabel.text = "Done."
        panel.ui.statusLabel.setVisible(True)
        for section in (panel.ui.exportCollapsibleButton, panel.ui.modelsCollapsibleButton):
            section.collapse()
        window = panel.parent.widget
        application = pythonqt_stand_in.application()
        window.resize(WIDTH, 10)
        window.show()
        application.processEvents()
        window.resize(WIDTH, window.sizeHint().height())
        application.processEvents()
        window.grab().save(str(picture))
        panel.cleanup()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

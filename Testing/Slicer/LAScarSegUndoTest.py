"""Inside Slicer: undo and redo of Segment Editor, and the result that goes back and forth with them.

Not yet run in a real Slicer.
"""

import numpy as np
from lascarseg_slicer_case import ResultCase
from scipy import ndimage

from LAScarSegLib.scene.segmentation import CAVITY, SCAR, WALL


class LAScarSegUndoTest(ResultCase):
    def setUp(self):
        super().setUp()
        self.settle()
        self.widget.ui.editCavityButton.click()
        self.editor = self.widget.editSection.editor
        scar = np.argwhere(self.mask(SCAR))
        self.acrossScar = [scar[len(scar) * n // 5] for n in (1, 3)]

    def stroke(self, centre, radius=5):
        self.paintBall(centre, radius)
        self.settle()
        return self.shown()

    def undo(self):
        self.editor.undo()
        self.settle()
        return self.shown()

    def redo(self):
        self.editor.redo()
        self.settle()
        return self.shown()

    def shown(self):
        """The result in the panel: its numbers, origins and masks, and what the segments hold."""
        analysis = self.widget.analysis
        masks = {name: mask.digest for name, mask in analysis.masks.items()}
        segments = {kind.segment_id: self.mask(kind).tobytes() for kind in (CAVITY, SCAR)}
        return analysis.measurements, analysis.origins, masks, segments, analysis.surface.scar.tobytes()

    def test_a_cavity_stroke_across_scar_is_undone_and_made_again_bit_for_bit(self):
        before = self.shown()
        after = self.stroke(self.acrossScar[0])
        self.assertNotEqual(after[2]["scar"], before[2]["scar"])
        for _ in range(2):
            self.assertEqual(self.undo(), before)
            self.assertEqual(self.redo(), after)

    def test_after_undo_the_scar_is_the_rules_again_and_the_threshold_is_live(self):
        self.stroke(self.acrossScar[0])
        self.undo()
        self.assertFalse(self.widget.analysis.origins["scar"].edited)
        self.assertTrue(self.widget.ui.thresholdSlider.enabled)

    def test_strokes_are_undone_one_by_one(self):
        states = [self.shown()]
        for centre in (np.argwhere(self.mask(WALL))[0], *self.acrossScar):
            states.append(self.stroke(centre))
        self.assertEqual(len({state[2]["cavity"] for state in states}), 4)
        for state in states[-2::-1]:
            self.assertEqual(self.undo(), state)
        for state in states[1:]:
            self.assertEqual(self.redo(), state)

    def test_a_stroke_that_touches_no_scar_is_undone(self):
        before = self.shown()
        fromScar = ndimage.distance_transform_edt(self.mask(SCAR) == 0) * (self.mask(CAVITY) == 0) * (self.mask(WALL) > 0)
        self.stroke(np.unravel_index(fromScar.argmax(), fromScar.shape), 3)
        self.assertEqual(self.undo(), before)

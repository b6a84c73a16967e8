"""The Slicer module: picks nodes, calls LAScarSegLib, shows the result. Everything is decided in LAScarSegLib."""

import math
import sys
from pathlib import Path

import vtk

import slicer
from slicer import vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

# Installed, LAScarSegLib lies beside this file; in a source tree added to Slicer's module paths it lies one folder up.
if not (Path(__file__).parent / "LAScarSegLib").is_dir():
    sys.path.append(str(Path(__file__).resolve().parents[1]))


class LAScarSeg(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        import qt

        from LAScarSegLib.resources import resource_path

        parent.title = _("LAScarSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["LAScarSeg contributors"]
        parent.icon = qt.QIcon(str(resource_path("Icons/LAScarSeg.png")))
        parent.helpText = _(
            "Measures scar of the left atrium in late gadolinium enhanced MRI. Choose the scan and a segment that fills the "
            "left atrium's blood pool. For research use only. Not a medical device."
        )
        parent.acknowledgementText = _("Image intensity ratio: Khurram et al. 2014. The README lists every method's source.")


@parameterNodeWrapper
class LAScarSegParameterNode:
    """The user's choices, saved with the scene.

    inputVolume - the LGE-MRI scan.
    cavitySegmentation, cavitySegmentId - the segment that fills the left atrium.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    cavitySegmentation: vtkMRMLSegmentationNode
    cavitySegmentId: str


class LAScarSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the form (Resources/UI/LAScarSeg.ui), the parameter node and the logic."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from LAScarSegLib.resources import resource_path

        uiWidget = slicer.util.loadUI(str(resource_path("UI/LAScarSeg.ui")))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LAScarSegLogic()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.ui.cavitySelector.connect("currentNodeChanged(vtkMRMLNode*)", self.onCavityChanged)
        self.ui.cavitySelector.connect("currentSegmentChanged(QString)", self.onCavityChanged)
        self.ui.applyButton.connect("clicked(bool)", self.onApplyButton)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        self.removeObservers()

    def enter(self) -> None:
        self.initializeParameterNode()

    def exit(self) -> None:
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")

    def setParameterNode(self, parameterNode) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterNodeModified)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self._onParameterNodeModified)
            self._onParameterNodeModified()

    def _onParameterNodeModified(self, caller=None, event=None) -> None:
        # The segment selector has no connector of its own in parameterNodeWrapper.
        segmentation, segmentId = self._parameterNode.cavitySegmentation, self._parameterNode.cavitySegmentId
        if segmentation and self.ui.cavitySelector.currentNode() is not segmentation:
            self.ui.cavitySelector.setCurrentNode(segmentation)
        if segmentId and self.ui.cavitySelector.currentSegmentID() != segmentId:
            self.ui.cavitySelector.setCurrentSegmentID(segmentId)
        self._checkCanApply()

    def onCavityChanged(self, *unused) -> None:
        if self._parameterNode:
            with slicer.util.NodeModify(self._parameterNode):  # one event for both: the pair is never half changed
                self._parameterNode.cavitySegmentation = self.ui.cavitySelector.currentNode()
                self._parameterNode.cavitySegmentId = self.ui.cavitySelector.currentSegmentID()

    def _checkCanApply(self) -> None:
        missing = ""
        if not self._parameterNode.inputVolume:
            missing = _("Choose the LGE-MRI volume.")
        elif not self._parameterNode.cavitySegmentation or not self._parameterNode.cavitySegmentId:
            missing = _("Choose the segment that fills the left atrium. Draw one in the Segment Editor if there is none.")
        self.ui.applyButton.enabled = not missing
        self.ui.applyButton.toolTip = missing or _("Find and measure scar around this cavity.")

    def onApplyButton(self) -> None:
        node = self._parameterNode
        with slicer.util.tryWithErrorDisplay(_("The analysis failed."), waitCursor=True):
            analysis = self.logic.process(node.inputVolume, node.cavitySegmentation, node.cavitySegmentId)
            share = analysis.measurements["scar_area_pct"]
            self.ui.resultLabel.text = _("Scar: {value:.1f} % of the left atrial surface ({method}).").format(
                value=share.value, method=analysis.method.words
            )


class LAScarSegLogic(ScriptedLoadableModuleLogic):
    """The analysis on nodes; works without the widget."""

    def getParameterNode(self):
        return LAScarSegParameterNode(super().getParameterNode())

    def process(self, inputVolume, cavitySegmentation, cavitySegment, settings=None):
        """Analyse a scan and put the result into the scene.

        :param inputVolume: the LGE-MRI volume node.
        :param cavitySegmentation: the segmentation node with the left atrial cavity.
        :param cavitySegment: that segment's ID or name.
        :param settings: LAScarSegLib.settings.Settings; None: the defaults (image intensity ratio 1.20).
        :return: LAScarSegLib.analysis.Analysis.
        :raises LAScarSegLib.errors.InputError: when the nodes can't be used; the message says why and what to do.
        """
        from LAScarSegLib import pipeline, scene
        from LAScarSegLib.settings import Settings

        volume = scene.volume_from_node(inputVolume)
        cavity = scene.segment_from_node(cavitySegmentation, cavitySegment, volume)
        analysis = pipeline.analyse(volume, settings or Settings(), cavity=cavity)
        scene.build_scene(slicer.mrmlScene, analysis, volume_node=inputVolume)
        return analysis


class LAScarSegTest(ScriptedLoadableModuleTest):
    """A ball with a cap of scar, whose numbers are known by analysis."""

    RADIUS_MM, CAP_DEGREES = 25.0, 40.0
    BLOOD, WALL, SCAR, REST = 200, 160, 300, 80

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        self.setUp()
        self.test_CapOnBall()

    def test_CapOnBall(self):
        self.delayDisplay("Analysing a ball with a cap of scar")
        inputVolume, segmentation = self.makeScan()
        analysis = LAScarSegLogic().process(inputVolume, segmentation, segmentation.GetSegmentation().GetNthSegmentID(0))
        capShare = 100 * (1 - math.cos(math.radians(self.CAP_DEGREES))) / 2
        ballMl = 4 / 3 * math.pi * self.RADIUS_MM**3 / 1000
        self.assertAlmostEqual(analysis.measurements["scar_area_pct"].value, capShare, delta=1.5)
        self.assertAlmostEqual(analysis.measurements["la_volume_ml"].value, ballMl, delta=0.01 * ballMl)
        self.assertAlmostEqual(analysis.measurements["blood_pool_mean"].value, self.BLOOD, delta=0.5)
        self.delayDisplay("Test passed")

    def makeScan(self):
        """The scan's volume node, and a segmentation whose one segment is the ball."""
        import numpy as np

        from LAScarSegLib import scene
        from LAScarSegLib.volume import Geometry, Volume

        geometry = Geometry((80, 80, 40), (1.0, 1.0, 2.0), (-39.5, -39.5, -39.0))
        indices = np.stack(np.meshgrid(*map(np.arange, geometry.size), indexing="ij"), axis=-1).transpose(2, 1, 0, 3)
        points = geometry.index_to_lps(indices.reshape(-1, 3)).reshape(*geometry.shape, 3)
        distance = np.linalg.norm(points, axis=-1)
        shell = np.where(points[..., 2] > distance * math.cos(math.radians(self.CAP_DEGREES)), self.SCAR, self.WALL)
        image = np.select([distance < self.RADIUS_MM, distance < self.RADIUS_MM + 3], [self.BLOOD, shell], self.REST)
        inputVolume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
        scene.volume_to_node(Volume(image.astype(np.int16), geometry), inputVolume)
        labelmap = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "ball")
        scene.volume_to_node(Volume((distance < self.RADIUS_MM).astype(np.uint8), geometry), labelmap)
        segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "segmentation")
        slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labelmap, segmentation)
        slicer.mrmlScene.RemoveNode(labelmap)
        return inputVolume, segmentation

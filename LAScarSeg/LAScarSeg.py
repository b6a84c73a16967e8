"""The Slicer module: picks nodes, calls LAScarSegLib, shows the result. Everything is decided in LAScarSegLib."""

import enum
import math
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule, ScriptedLoadableModuleLogic, ScriptedLoadableModuleTest, ScriptedLoadableModuleWidget,
)  # fmt: skip
from slicer.util import VTKObservationMixin

# Installed, LAScarSegLib lies beside this file; in a source tree added to Slicer's module paths it lies one folder up.
_SOURCE_TREE = str(Path(__file__).resolve().parents[1])
if not (Path(__file__).parent / "LAScarSegLib").is_dir() and _SOURCE_TREE not in sys.path:
    sys.path.append(_SOURCE_TREE)

TUTORIAL = "https://github.com/LAScarSeg/SlicerLAScarSeg/blob/main/Docs/tutorial.md"
POLL_S = 0.05
AFTER_SELECTORS = -1.0


class LAScarSeg(ScriptedLoadableModule):
    """What Slicer shows about the module."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        import qt

        from LAScarSegLib.support.resources import resource_path

        parent.title = _("LAScarSeg")
        parent.categories = [translate("qSlicerAbstractCoreModule", "Cardiac")]
        parent.dependencies = ["Segmentations", "Markups", "Plots", "SegmentStatistics", "SampleData"]
        parent.contributors = ["LAScarSeg contributors"]
        parent.icon = qt.QIcon(str(resource_path("Icons/LAScarSeg.png")))
        parent.helpText = _(
            "Measures scar of the left atrium in late gadolinium enhanced MRI. Choose the scan, and a segment that fills the "
            "left atrium or a model that finds it. For research use only. Not a medical device."
            '<p><a href="{tutorial}">Tutorial</a></p>'
        ).format(tutorial=TUTORIAL)
        parent.acknowledgementText = _("Image intensity ratio: Khurram et al. 2014. The README lists every method's source.")
        slicer.app.connect("startupCompleted()", registerInOtherModules)


def registerInOtherModules() -> None:
    """The sample in the Sample Data module, the scar numbers in Segment Statistics; the layouts, which a loaded scene may ask for."""
    import SampleData

    from LAScarSegLib.datasets import sample_data
    from LAScarSegLib.scene.layouts import register_layouts
    from LAScarSegLib.scene.segment_statistics import register_plugin

    SampleData.SampleDataLogic.registerCustomSampleDataSource(**sample_data.registration())
    register_plugin()
    register_layouts(slicer.mrmlScene)


class CavitySource(enum.Enum):
    """Where the left atrial cavity comes from."""

    SEGMENT = "segment"
    MODEL = "model"

    def label(self) -> str:
        """What the panel says; parameterNodeWrapper asks for it."""
        return {CavitySource.SEGMENT: _("from a segment"), CavitySource.MODEL: _("found by a model")}[self]


class Overlay(enum.Enum):
    """Which distance map lies over the slices; the value is what scene.review calls it."""

    NONE = ""
    CAVITY = "cavity"
    WALL = "wall"

    def label(self) -> str:
        return {Overlay.NONE: _("none"), Overlay.CAVITY: _("to the cavity's boundary"), Overlay.WALL: _("to the wall's boundary")}[self]


@parameterNodeWrapper
class LAScarSegParameterNode:
    """The user's choices, saved with the scene.

    inputVolume - the LGE-MRI scan.
    cavitySource - whether cavitySegmentation, cavitySegmentId say where the left atrium is, or cavityModel finds it, in roi.
    method, threshold - a protocol's or rule's key and its number, or a scar model's reference.
    wallSegmentation, wallSegmentId - a wall drawn by hand; none: the automatic one.
    native - the scan is from before any ablation.
    device - what computes a model: "auto" or torch's name of a device.
    fast - without the perturbation range.
    bands, regions - how far from the veins' ostia gaps are looked for (session.choices.bands_text), and the scheme that divides the wall.
    surfaceOpacity, legend, overlay, automaticUpdate - how the result is shown and edited.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    cavitySource: CavitySource = CavitySource.SEGMENT
    cavitySegmentation: vtkMRMLSegmentationNode
    cavitySegmentId: str
    cavityModel: str
    roi: vtkMRMLMarkupsROINode
    method: str = "barcelona"
    threshold: Annotated[float, WithinRange(0, 100)] = 1.2
    wallSegmentation: vtkMRMLSegmentationNode
    wallSegmentId: str
    native: bool = False
    device: str = "auto"
    fast: bool = False
    bands: str = ""
    regions: str = "walls"
    surfaceOpacity: Annotated[float, WithinRange(0, 1)] = 1.0
    legend: bool = True
    overlay: Overlay = Overlay.NONE
    automaticUpdate: bool = True


class LAScarSegWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Connects the form (Resources/UI/LAScarSeg.ui), the parameter node and the sections of the panel (LAScarSegPanel)."""

    def __init__(self, parent=None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic = None
        self.session = None
        self._results = {}
        self._selected = ""
        self.sections = []
        self._parameterNode = None
        self._parameterNodeGuiTag = None

    def setup(self) -> None:
        ScriptedLoadableModuleWidget.setup(self)
        from LAScarSegLib.support.resources import resource_path

        uiWidget = slicer.util.loadUI(str(resource_path("UI/LAScarSeg.ui")))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.logic = LAScarSegLogic()
        self._makeSections()
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartImportEvent, self.onSceneStartImport)
        # Of observers of the same priority VTK calls the latest first; the selectors must have read the scene before.
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose, priority=AFTER_SELECTORS)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport, priority=AFTER_SELECTORS)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndUndoEvent, self.onSceneEndUndo)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndRedoEvent, self.onSceneEndUndo)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeRemovedEvent, self.onNodeRemoved)
        self.initializeParameterNode()

    def _makeSections(self) -> None:
        from LAScarSegPanel.choices_section import ChoicesSection
        from LAScarSegPanel.compare_section import CompareSection
        from LAScarSegPanel.edit_section import EditSection
        from LAScarSegPanel.export_section import ExportSection
        from LAScarSegPanel.gaps_section import GapsSection
        from LAScarSegPanel.get_model_section import GetModelSection
        from LAScarSegPanel.measurements_section import MeasurementsSection
        from LAScarSegPanel.models_section import ModelsSection
        from LAScarSegPanel.planes_section import PlanesSection
        from LAScarSegPanel.review_section import ReviewSection
        from LAScarSegPanel.run_section import RunSection
        from LAScarSegPanel.threshold_section import ThresholdSection

        self.choicesSection = ChoicesSection(self)
        self.runSection = RunSection(self)
        self.editSection = EditSection(self)
        self.planesSection = PlanesSection(self)
        self.measurementsSection = MeasurementsSection(self)
        self.compareSection = CompareSection(self)
        self.modelsSection = ModelsSection(self)
        self.getModelSection = GetModelSection(self)
        self.sections = [
            self.choicesSection, self.runSection, ThresholdSection(self), ReviewSection(self), self.editSection, self.planesSection,
            self.measurementsSection, GapsSection(self), self.compareSection, ExportSection(self), self.modelsSection, self.getModelSection,
        ]  # fmt: skip

    @property
    def parameterNode(self):
        """The choices; None while the module is not shown or a scene closes."""
        return self._parameterNode

    @property
    def analysis(self):
        """The result that the panel shows; None before the first."""
        return self.session.analysis if self.session else None

    def setResult(self, session, withChoices=False) -> None:
        """There is another result (a session.edit_session.EditSession) of a scan; shown at once where that scan or none is selected.

        :param withChoices: the panel chooses anew what it was made with.
        """
        from LAScarSegLib.scene.mrml import SOURCE

        scan = session.nodes.volume.GetNodeReferenceID(SOURCE) or session.nodes.volume.GetID()
        self._results[scan] = session
        if self._parameterNode and not self._parameterNode.inputVolume:
            self._parameterNode.inputVolume = slicer.mrmlScene.GetNodeByID(scan)
        self._showSelected(withChoices)
        self.compareSection.resultChanged()  # also where another scan is selected

    def forgetResults(self, isGone=lambda session: True) -> None:
        """Results that can't be shown any more: their nodes were deleted, or hold another result."""
        self._results = {scan: session for scan, session in self._results.items() if not isGone(session)}
        self._showSelected()

    def _showSelected(self, withChoices=True) -> None:
        """The panel shows the selected scan's result, and none of another scan."""
        session = self._results.get(self._selected)
        if session is self.session:
            return
        if session and not session.is_shown():  # a script has put another result into its nodes
            session = self._results.pop(self._selected) and None
        self.session = session
        if session and withChoices and self._parameterNode:
            self.choicesSection.adopt(self.madeWith())
        self.resultChanged()
        if session and withChoices:
            self.editSection.catchUp()

    def madeWith(self):
        """The choices that the result which is shown follows from (session.choices.Choices); None without a result."""
        from LAScarSegLib.session.choices import read_choices
        from LAScarSegLib.session.made_with import made_with

        if self.session is None or self._parameterNode is None:
            return None
        kept = read_choices(slicer.mrmlScene, self.session.nodes.measurements)
        return made_with(self.session.analysis, kept, self.choicesSection.choices())

    def resultChanged(self) -> None:
        """Numbers, masks or nodes of the result changed: every section shows it anew."""
        for section in self.sections:
            section.resultChanged()

    def cleanup(self) -> None:
        """The module is reloaded, or Slicer quits: no worker, thread or editor stays behind."""
        for section in self.sections:
            section.cleanup()
        self.sections = []
        self.setParameterNode(None)
        self.removeObservers()

    def onReload(self) -> None:
        """For developers: Slicer itself reads this file again and no other."""
        for name in [name for name in sys.modules if name.partition(".")[0] in ("LAScarSegLib", "LAScarSegPanel")]:
            del sys.modules[name]
        super().onReload()

    def enter(self) -> None:
        self.initializeParameterNode()
        for section in self.sections:
            section.enter()

    def exit(self) -> None:
        for section in self.sections:
            section.exit()
        self.setParameterNode(None)

    def onSceneStartClose(self, caller, event) -> None:
        self.runSection.cancel()
        self.forgetResults()
        for section in self.sections:
            section.sceneCloses()
        self.setParameterNode(None)

    def onSceneEndClose(self, caller, event) -> None:
        if self.parent.isEntered:
            self.initializeParameterNode()

    def onSceneStartImport(self, caller, event) -> None:
        """At the end of it the selectors read the scene anew; what they select meanwhile is nobody's choice."""
        self.setParameterNode(None)

    def onSceneEndImport(self, caller, event) -> None:
        """The parameter node may hold other choices now, of nodes that were not there yet when it was read.

        A scene from elsewhere may bring an editor with an active effect.
        """
        self.editSection.close()
        self.onSceneEndClose(caller, event)

    def onSceneEndUndo(self, caller, event) -> None:
        """Where somebody switched the scene's own undo on, the nodes may hold an earlier result now, to be taken up anew."""
        self.forgetResults(lambda session: not session.is_shown())
        self.resultChanged()

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def onNodeRemoved(self, caller, event, node) -> None:
        """A result of which a node was deleted can't be edited any more; an update itself takes away what it no longer needs."""
        self.forgetResults(lambda session: node in (session.nodes.volume, *session.nodes.needed()))

    def initializeParameterNode(self) -> None:
        self.setParameterNode(self.logic.getParameterNode())
        self.choicesSection.chooseLikely()

    def setParameterNode(self, parameterNode) -> None:
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.parametersChanged)
        self._parameterNode = parameterNode
        if self._parameterNode:
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.parametersChanged)
            self.parametersChanged()

    def parametersChanged(self, caller=None, event=None) -> None:
        """The user, a section or a scene that was loaded chose something."""
        selected = self._parameterNode.inputVolume
        self._selected = selected.GetID() if selected else ""
        self._showSelected()
        for section in self.sections:
            section.parametersChanged()


class LAScarSegLogic(ScriptedLoadableModuleLogic):
    """The analysis on nodes; works without the widget."""

    def getParameterNode(self):
        node = super().getParameterNode()
        for name, choices in (("cavitySource", CavitySource), ("overlay", Overlay)):
            if node.GetParameter(name) not in choices.__members__:
                node.UnsetParameter(name)  # a scene of another version; the wrapper would refuse all of it
        return LAScarSegParameterNode(node)

    def process(self, inputVolume, cavitySegmentation, cavitySegment, settings=None, planes=()):
        """Analyse a scan and put the result into the scene, in this process, with an intensity rule; returns when it is done.

        :param inputVolume: the LGE-MRI volume node.
        :param cavitySegmentation: the segmentation node with the left atrial cavity.
        :param cavitySegment: that segment's ID or name.
        :param settings: LAScarSegLib.analysis.settings.Settings; None: the usual protocol.
        :param planes: plane markups called after the opening that they cut: "MV" (mitral valve), "LSPV" ..., "LAA".
        :return: LAScarSegLib.session.edit_session.EditSession: its `analysis` has the numbers, its `nodes` are in the scene.
        :raises LAScarSegLib.errors.InputError: when the nodes can't be used; the message says why and what to do.
        """
        from LAScarSegLib import scene
        from LAScarSegLib.analysis import analyse
        from LAScarSegLib.analysis.settings import Settings
        from LAScarSegLib.scene.plane_markups import cut_plane
        from LAScarSegLib.session.edit_session import EditSession

        volume = scene.volume_from_node(inputVolume)
        cavity = scene.segment_from_node(cavitySegmentation, cavitySegment, volume)
        analysis = analyse(volume, settings or Settings(), cavity=cavity, planes=tuple(map(cut_plane, planes)))
        nodes = scene.build_scene(slicer.mrmlScene, analysis, volume_node=inputVolume)
        return EditSession(slicer.mrmlScene, nodes, analysis)

    def run(self, choices):
        """What Apply does, waited for: everything the panel can choose, models too, in the worker process.

        :param choices: LAScarSegLib.session.choices.Choices. Packages must be installed and terms accepted already.
        :return: LAScarSegLib.session.edit_session.EditSession, as from `process`.
        :raises LAScarSegLib.errors.ProcessingError: when the run failed; the message says why. The scene is as it was.
        """
        from LAScarSegPanel.environment import workerPython

        from LAScarSegLib.errors import ProcessingError
        from LAScarSegLib.session.edit_session import EditSession
        from LAScarSegLib.session.run import AnalysisRun

        run = AnalysisRun(slicer.mrmlScene, choices, workerPython(), slicer.app.temporaryPath)
        run.start()
        try:
            while not run.poll().done:
                time.sleep(POLL_S)
        finally:
            run.close()
        if run.state.error:
            raise ProcessingError(run.state.error)
        return EditSession(slicer.mrmlScene, run.nodes, run.analysis)


class LAScarSegTest(ScriptedLoadableModuleTest):
    """A ball with a cap of scar, whose numbers are known by analysis; and the sample from the first analysis to a saved scene."""

    RADIUS_MM, CAP_DEGREES = 25.0, 40.0
    BLOOD, WALL, SCAR, REST = 200, 160, 300, 80

    def setUp(self):
        slicer.mrmlScene.Clear()

    def runTest(self):
        for test in (self.test_CapOnBall, self.test_SampleStory, self.test_Model):
            self.setUp()
            test()

    def test_CapOnBall(self):
        self.delayDisplay("Analysing a ball with a cap of scar")
        inputVolume, segmentation = self.makeScan()
        analysis = LAScarSegLogic().process(inputVolume, segmentation, segmentation.GetSegmentation().GetNthSegmentID(0)).analysis
        capShare = 100 * (1 - math.cos(math.radians(self.CAP_DEGREES))) / 2
        ballMl = 4 / 3 * math.pi * self.RADIUS_MM**3 / 1000
        self.assertAlmostEqual(analysis.measurements["scar_area_pct"].value, capShare, delta=1.5)
        self.assertAlmostEqual(analysis.measurements["la_volume_ml"].value, ballMl, delta=0.01 * ballMl)
        self.assertAlmostEqual(analysis.measurements["blood_pool_mean"].value, self.BLOOD, delta=0.5)
        self.delayDisplay("Test passed")

    def test_SampleStory(self):
        """Sample, analysis, another threshold, an edit, the numbers after it, the scene saved and loaded."""
        import tempfile

        from LAScarSegLib import scene
        from LAScarSegLib.analysis.settings import Settings
        from LAScarSegLib.datasets import sample_data
        from LAScarSegLib.scene import review
        from LAScarSegLib.scene.bundle import save_scene
        from LAScarSegLib.scene.inputs import load_sample
        from LAScarSegLib.scene.segmentation import CAVITY, write_voxels
        from LAScarSegLib.session.edit_session import set_threshold

        self.delayDisplay("Analysing the sample")
        inputVolume, segmentation, _planes = load_sample(slicer.mrmlScene)
        settings = Settings(perturbation=False)
        # without the planes: the edit below takes the half of the cavity away that some of them cut
        session = LAScarSegLogic().process(inputVolume, segmentation, sample_data.CAVITY_SEGMENT, settings)
        truth, numbers = sample_data.sample().truth, session.analysis.measurements
        self.assertAlmostEqual(numbers["la_volume_ml"].value, truth["la_volume_ml"], delta=0.05 * truth["la_volume_ml"])
        before = numbers["scar_area_pct"].value
        higher = set_threshold(session.nodes, session.analysis, 1.4)
        self.assertLess(higher.measurements["scar_area_pct"].value, before)
        session.nodes = review.write_scar(session.nodes, higher)
        session.rebase(higher)

        self.delayDisplay("Cutting the cavity in half, measuring again")
        half = session.analysis.cavity.array.copy()
        filled = np.flatnonzero(half.any(axis=(1, 2)))
        half[filled[len(filled) // 2] :] = 0
        write_voxels(session.nodes.segmentation, CAVITY, half, session.analysis.geometry)
        session.update(full=False)
        volumeMl = half.sum() * np.prod(session.analysis.geometry.spacing) / 1000
        self.assertAlmostEqual(session.analysis.measurements["la_volume_ml"].value, volumeMl, delta=0.02 * volumeMl)

        self.delayDisplay("Saving and loading the scene")
        with tempfile.TemporaryDirectory() as folder:
            save_scene(slicer.mrmlScene, Path(folder) / "sample.mrb")
            slicer.mrmlScene.Clear()
            scene.read_mrb(slicer.mrmlScene, Path(folder) / "sample.mrb")
        loaded = slicer.mrmlScene.GetFirstNodeByName(f"{sample_data.sample().scan.node} LA segmentation")
        reference = scene.volume_from_node(slicer.mrmlScene.GetFirstNodeByName(sample_data.sample().scan.node))
        np.testing.assert_array_equal(scene.segment_from_node(loaded, CAVITY.segment_id, reference).array, half)
        self.delayDisplay("Test passed")

    def test_Model(self):
        """The cavity by the model that comes with the project, where it and torch are there."""
        import importlib.util

        from LAScarSegLib.datasets import sample_data
        from LAScarSegLib.models.store import ModelStore
        from LAScarSegLib.scene.inputs import load_sample
        from LAScarSegLib.session.choices import MODEL, Choices

        bundle = ModelStore().default_cavity()
        if bundle is None or importlib.util.find_spec("torch") is None or importlib.util.find_spec("monai") is None:
            self.delayDisplay("No model or no torch: nothing to test")
            return
        self.delayDisplay(f"Finding the cavity with {bundle.card.reference}")
        inputVolume, _segmentation, _planes = load_sample(slicer.mrmlScene)
        session = LAScarSegLogic().run(
            Choices(inputVolume.GetID(), MODEL, cavity_model=bundle.card.reference, fast=True, accept_terms=True, device="cpu")
        )
        truth = sample_data.sample().truth["la_volume_ml"]
        self.assertAlmostEqual(session.analysis.measurements["la_volume_ml"].value, truth, delta=0.25 * truth)

    def makeScan(self):
        """The scan's volume node, and a segmentation whose one segment is the ball."""
        from LAScarSegLib import scene
        from LAScarSegLib.volumes.volume import Geometry, Volume

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

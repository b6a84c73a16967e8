"""Input and Method: lists filled from the session, and what of them applies now."""

import importlib.util
from functools import partial

import qt
import slicer
from slicer.i18n import tr as _

from LAScarSegLib.errors import LAScarSegError
from LAScarSegLib.jobs.device_query import DeviceQuery, devices
from LAScarSegLib.scene.build import INPUT_ROLE
from LAScarSegLib.scene.drawing import fit_roi, new_cavity
from LAScarSegLib.scene.mrml import ROLE, nodes_of_class
from LAScarSegLib.scene.segmentation import watch_segments
from LAScarSegLib.scene.selection import find_node, likely_volume
from LAScarSegLib.session.choices import Choices, bands_text, cavity_sources, known_scheme, methods, read_bands
from LAScarSegLib.session.made_with import follows
from LAScarSegPanel import environment
from LAScarSegPanel.section import Section, attempt, makeTimer

DEVICES_POLL_MS = 300
SETTLED_MS = 100
"""A node that was just added may not have its image or its name yet, and a stroke may be one of many."""
NARROWEST_LETTERS = 6
"""A box of names may become so narrow; the name is shortened then, so that a long one does not widen Slicer's panel."""


class ChoicesSection(Section):
    """Holds the selectors that parameterNodeWrapper can't connect: segments, and lists that change while Slicer runs."""

    def setup(self) -> None:
        self._methods = ()
        self._devices = None
        self._deviceQuery = None
        self._deviceTimer = makeTimer(DEVICES_POLL_MS, self.onDevicesPoll)
        self._settledTimer = makeTimer(SETTLED_MS, self.onSettled)
        self._settledTimer.setSingleShot(True)
        self._watched = {}
        self.widget.addObserver(slicer.mrmlScene, slicer.mrmlScene.NodeAddedEvent, lambda *unused: self._settledTimer.start())
        for selector in (self.ui.inputSelector, self.ui.cavitySelector, self.ui.roiSelector, self.ui.wallSelector):
            _narrow(selector)
        self._segments = {"cavity": self.ui.cavitySelector, "wall": self.ui.wallSelector}
        self._lists = {"method": self.ui.methodSelector, "cavityModel": self.ui.cavityModelSelector, "device": self.ui.deviceSelector}
        for mask, selector in self._segments.items():
            _sayLess(selector)
            selector.connect("currentNodeChanged(vtkMRMLNode*)", partial(self.onSegmentChanged, mask))
            selector.connect("currentSegmentChanged(QString)", partial(self.onSegmentChanged, mask))
        for parameter, combo in self._lists.items():
            combo.connect("currentIndexChanged(int)", partial(self.onListChanged, parameter))
        self.ui.presetSelector.connect("currentIndexChanged(int)", self.onPresetChanged)
        self.ui.roiSelector.connect("nodeAddedByUserAction(vtkMRMLNode*)", self.onRoiAdded)
        self.ui.wallSelector.findChild(slicer.qMRMLNodeComboBox).noneDisplay = _("automatic, around the cavity")
        for button in (self.ui.cavityPyTorchButton, self.ui.methodPyTorchButton):
            button.connect("clicked()", self.onInstall)
        self.fillLists()

    def onInstall(self) -> None:
        worked, _none = attempt(_("Models can't run yet."), environment.ensureNetworks)
        if worked and self.widget.parameterNode:
            self.parametersChanged()

    def onSettled(self) -> None:
        """Nodes were added, or somebody drew in a chosen segment: there may be a choice now, or what was missing."""
        if slicer.mrmlScene.IsBatchProcessing():
            self._settledTimer.start()
        elif self.widget.parameterNode:
            self.chooseLikely()
            self.widget.parametersChanged()

    def onRoiAdded(self, roi) -> None:
        if self.widget.parameterNode and self.widget.parameterNode.inputVolume:
            fit_roi(roi, self.widget.parameterNode.inputVolume)

    def fillLists(self) -> None:
        """Rules, installed models and devices; also after a model was added or removed."""
        self._methods = methods()
        try:
            models = [(source.title, source.key) for source in cavity_sources() if source.is_model]
        except LAScarSegError:
            models = []  # the model that comes with the project is damaged; the page Models says how
        with self.filling():
            _fill(self.ui.methodSelector, [(method.title, method.key) for method in self._methods])
            _fill(self.ui.cavityModelSelector, models)
            _fill(self.ui.deviceSelector, [(str(device), device.key) for device in self._devices or devices()])
        if self.widget.parameterNode:
            self._chooseModel()
            self.parametersChanged()

    def _chooseModel(self) -> None:
        """The first of the list, which is the one that comes with the project, as long as the user has chosen none."""
        if not self.widget.parameterNode.cavityModel and self.ui.cavityModelSelector.count:
            self.widget.parameterNode.cavityModel = self.ui.cavityModelSelector.itemData(0)

    def choices(self):
        """What the panel says, for the session (session.choices.Choices)."""
        node = self.widget.parameterNode
        method = self.method()
        return Choices(
            volume_id=_id(node.inputVolume),
            cavity_source=node.cavitySource.value,
            segmentation_id=_id(node.cavitySegmentation),
            segment_id=node.cavitySegmentId,
            cavity_model=node.cavityModel,
            roi_id=_id(node.roi),
            method=node.method,
            threshold=node.threshold if method and method.parameter else None,
            wall_segmentation_id=_id(node.wallSegmentation),
            wall_segment_id=node.wallSegmentId,
            native=node.native,
            device=node.device,
            fast=node.fast,
            accept_terms=True,  # Apply asks for them before anything runs
            planes=self.widget.planesSection.nodeIds(),
            bands=read_bands(node.bands),
            regions=known_scheme(node.regions),
        )

    def adopt(self, made) -> None:
        """Choose what a result was made with (session.choices.Choices); the scan stays, and so does the device."""
        node, found = self.widget.parameterNode, partial(find_node, slicer.mrmlScene)
        with slicer.util.NodeModify(node):
            node.cavitySource = type(node.cavitySource)(made.cavity_source)
            node.cavitySegmentation, node.cavitySegmentId = found(made.segmentation_id), made.segment_id
            node.wallSegmentation, node.wallSegmentId = found(made.wall_segmentation_id), made.wall_segment_id
            node.cavityModel, node.roi, node.native, node.fast = made.cavity_model, found(made.roi_id), made.native, made.fast
            node.bands, node.regions = bands_text(made.bands), made.regions
            if any(method.key == made.method for method in self._methods):
                node.method, node.threshold = made.method, node.threshold if made.threshold is None else made.threshold

    def chooseLikely(self) -> None:
        """Scan and cavity to start with, where the user has chosen none and the scene leaves little doubt."""
        node = self.widget.parameterNode
        self._chooseModel()
        if not node.inputVolume:
            node.inputVolume = likely_volume(slicer.mrmlScene)
        drawn = [found for found in nodes_of_class(slicer.mrmlScene, "vtkMRMLSegmentationNode") if found.GetAttribute(ROLE) is None]
        if node.inputVolume and not node.cavitySegmentation and len(drawn) == 1 and _onlySegment(drawn[0]):
            with slicer.util.NodeModify(node):
                node.cavitySegmentation, node.cavitySegmentId = drawn[0], _onlySegment(drawn[0])

    def resultChanged(self) -> None:
        """A scan that is deleted must not leave one of our own maps chosen in its place."""
        volumes = nodes_of_class(slicer.mrmlScene, "vtkMRMLScalarVolumeNode")
        ours = [node.GetID() for node in volumes if node.GetAttribute(ROLE) not in (None, INPUT_ROLE)]
        self.ui.inputSelector.sortFilterProxyModel().hiddenNodeIDs = ours

    def parametersChanged(self) -> None:
        node = self.widget.parameterNode
        self.resultChanged()
        self._watch({node.cavitySegmentation, node.wallSegmentation} - {None})
        with self.filling():
            for mask, selector in self._segments.items():
                _choose(selector, getattr(node, f"{mask}Segmentation"), getattr(node, f"{mask}SegmentId"))
            for parameter, combo in self._lists.items():
                _pick(combo, getattr(node, parameter))
            self._fillPresets(node.threshold)
        self._showWhatApplies()

    def _watch(self, segmentations) -> None:
        """Whether a chosen segment is empty depends on what is drawn in it."""
        for gone in self._watched.keys() - segmentations:
            self._watched.pop(gone)()
        for new in segmentations - self._watched.keys():
            self._watched[new] = watch_segments(new, self._settledTimer.start)

    def method(self):
        """The chosen one of session.choices.methods(); None for a model that is gone."""
        return next((method for method in self._methods if method.key == self.widget.parameterNode.method), None)

    def _fillPresets(self, threshold: float) -> None:
        method = self.method()
        presets = method.presets if method else ()
        entries = [(f"{preset.value:g} – {preset.source}", preset.value) for preset in presets]
        known = any(abs(value - threshold) < 1e-6 for _text, value in entries)
        _fill(self.ui.presetSelector, entries if known else [*entries, (_("another value"), threshold)])
        _pick(self.ui.presetSelector, next((value for _text, value in entries if abs(value - threshold) < 1e-6), threshold))

    def _showWhatApplies(self) -> None:
        node, method = self.widget.parameterNode, self.method()
        fromModel, byModel = node.cavitySource.value == "model", bool(method and method.is_model)
        canRun = not (fromModel or byModel) or importlib.util.find_spec("torch") is not None
        hasNumber = bool(method and method.parameter)
        for applies, names in (
            (not fromModel, ("cavityLabel", "cavitySelector", "drawCavityButton")),
            (fromModel, ("cavityModelLabel", "cavityModelSelector", "roiLabel", "roiSelector")),
            (hasNumber, ("thresholdLabel", "thresholdSlider")),
            (hasNumber and bool(method.presets), ("presetLabel", "presetSelector")),
            (fromModel or byModel, ("deviceLabel", "deviceSelector")),
            (fromModel and not canRun, ("cavityPyTorchButton",)),
            (byModel and not canRun, ("methodPyTorchButton",)),
        ):
            for name in names:
                getattr(self.ui, name).setVisible(applies)
        self.ui.drawCavityButton.enabled = bool(node.inputVolume and node.inputVolume.GetImageData())
        if fromModel or byModel:
            self._askForDevices()

    def _askForDevices(self) -> None:
        """The first time that they matter and torch is there: names and memory of the graphics cards."""
        if self._devices is None and self._deviceQuery is None and importlib.util.find_spec("torch") is not None:
            worked, self._deviceQuery = attempt(_("The devices can't be listed."), lambda: DeviceQuery(environment.workerPython()))
            self._devices = None if worked else ()
            if worked:
                self._deviceTimer.start()

    def onDevicesPoll(self) -> None:
        answer = self._deviceQuery.poll()
        if answer is not None:
            self._devices = answer
            self._closeQuery()
            self.fillLists()

    def onSegmentChanged(self, mask: str, *unused) -> None:
        node, selector = self.widget.parameterNode, self._segments[mask]
        if node and not self._filling:
            segmentation = selector.currentNode()
            # without a segmentation the selector still tells the segment of the one before
            segmentId = selector.currentSegmentID() if segmentation else ""
            changed = segmentation is not getattr(node, f"{mask}Segmentation")
            with slicer.util.NodeModify(node):  # one event for both: the pair is never half changed
                setattr(node, f"{mask}Segmentation", segmentation)
                setattr(node, f"{mask}SegmentId", segmentId or (_onlySegment(segmentation) if changed else ""))

    def onListChanged(self, parameter: str, *unused) -> None:
        combo = self._lists[parameter]
        if not self.widget.parameterNode or self._filling or combo.currentIndex < 0:
            return
        with slicer.util.NodeModify(self.widget.parameterNode):
            setattr(self.widget.parameterNode, parameter, combo.itemData(combo.currentIndex))
            method, analysis = self.method(), self.widget.analysis
            if parameter == "method" and method and method.default is not None:
                ownAgain = analysis is not None and follows(analysis, method.key)
                self.widget.parameterNode.threshold = analysis.sources.scar.parameter if ownAgain else method.default

    def onPresetChanged(self, *unused) -> None:
        if self.widget.parameterNode and not self._filling and self.ui.presetSelector.currentIndex >= 0:
            self.widget.parameterNode.threshold = self.ui.presetSelector.itemData(self.ui.presetSelector.currentIndex)

    def cavityToDraw(self):
        """The chosen segmentation and segment; with none chosen a new one on the scan's grid, which is chosen then."""
        node = self.widget.parameterNode
        if not node.cavitySegmentation or not node.cavitySegmentId:
            segmentation, segmentId = new_cavity(slicer.mrmlScene, node.inputVolume)
            with slicer.util.NodeModify(node):
                node.cavitySegmentation, node.cavitySegmentId = segmentation, segmentId
        return node.cavitySegmentation, node.cavitySegmentId

    def _closeQuery(self) -> None:
        self._deviceTimer.stop()
        if self._deviceQuery:
            self._deviceQuery.close()
            self._deviceQuery = None

    def cleanup(self) -> None:
        self._closeQuery()
        self._watch(set())
        self._settledTimer.stop()


def _narrow(selector) -> None:
    """Selectors of nodes and segments would be as wide as the longest name in the scene."""
    for box in selector.findChildren(qt.QComboBox):
        box.sizeAdjustPolicy = qt.QComboBox.AdjustToMinimumContentsLengthWithIcon
        box.minimumContentsLength = NARROWEST_LETTERS


def _sayLess(selector) -> None:
    """That no segmentation is chosen reads like an error; the line under Apply says what is missing (qMRMLSegmentSelectorWidget.ui)."""
    message = selector.findChild(qt.QLabel, "label_Message")
    message.maximumWidth = message.maximumHeight = 0  # the selector itself shows it again and again


def _onlySegment(segmentation) -> str:
    """The segment of a segmentation that has one and no other, else none."""
    segments = segmentation.GetSegmentation() if segmentation else None
    return segments.GetNthSegmentID(0) if segments and segments.GetNumberOfSegments() == 1 else ""


def _id(node) -> str:
    return node.GetID() if node else ""


def _fill(combo, entries) -> None:
    combo.clear()
    for title, key in entries:
        combo.addItem(title, key)


def _pick(combo, key) -> None:
    """Select the entry of `key`; what a loaded scene names and this computer lacks leaves the box empty."""
    combo.currentIndex = next((number for number in range(combo.count) if combo.itemData(number) == key), -1)


def _choose(selector, segmentation, segmentId: str) -> None:
    if selector.currentNode() is not segmentation:
        selector.setCurrentNode(segmentation)
    if selector.currentSegmentID() != segmentId:
        selector.setCurrentSegmentID(segmentId)

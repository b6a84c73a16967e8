"""`scene.mrb`: one file that opens in Slicer ready to look at.

An .mrb is a zip of a folder with the scene (.mrml) and its data. The folder is written by Slicer's own scene class. The
zip is made here: `vtkMRMLScene::WriteToMRB` prints to standard output, where progress is reported, works in a folder of
its own choice, and leaves that behind when it fails.
"""

import errno
import os
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from .. import __version__
from ..analysis import Analysis
from ..errors import InputError, ProcessingError
from ..support.progress import Progress
from .build import build_scene
from .gaps import has_findings
from .mrml import nodes_of_class, slicer_classes
from .views import show

ALREADY_COMPRESSED = {".nrrd", ".vtp"}
"""Stored in the zip as they are: deflating them again takes seconds and saves nothing."""

FILE_FORMATS = {"vtkMRMLModelNode": "vtp", "vtkMRMLColorTableNode": "ctbl"}
"""Where Slicer's default is larger (legacy .vtk) or younger (colours as .csv, unknown to Slicer before 5.10)."""


LARGEST_SCENE_BYTES = 8 << 30
"""A scan of 640×640×88 with its maps has half a GiB; what claims more than this would fill the disk."""
MODULES_KINDS = (
    "vtkMRMLColorLegendDisplayNode", "vtkMRMLMarkupsPlaneNode", "vtkMRMLMarkupsPlaneDisplayNode", "vtkMRMLMarkupsPlaneJsonStorageNode",
    "vtkMRMLMarkupsFiducialNode", "vtkMRMLMarkupsFiducialDisplayNode", "vtkMRMLMarkupsJsonStorageNode",
)  # fmt: skip
"""What Slicer's modules Colors and Markups add to the kinds of nodes that a scene knows."""


def new_scene() -> Any:
    """An empty vtkMRMLScene of its own, with Slicer's colours, views and kinds of nodes; no window is needed.

    Raises
    ------
    ProcessingError
        when Slicer's MRML library isn't installed (`mrml.slicer_classes`).
    """
    slicer = slicer_classes()
    scene = slicer.vtkMRMLScene()
    register_kinds(scene)
    slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(scene)
    colours, layouts = slicer.vtkMRMLColorLogic(), slicer.vtkMRMLLayoutLogic()
    colours.SetMRMLScene(scene)
    colours.AddDefaultColorNodes()
    # A logic that stays holds its scene, and the scene's memory, forever.
    colours.SetMRMLScene(None)
    layouts.SetMRMLScene(scene)  # seeing the scene, it adds the layouts and their view nodes
    layouts.SetMRMLScene(None)
    _register_conversions()
    # Slicer warns about files "saved with another application" unless the version is none that it can parse
    scene.SetVersion(f"LAScarSeg {__version__}")
    return scene


def _register_conversions() -> None:
    """The conversions between labelmaps and surfaces, which Slicer's Segmentations module registers for all scenes.

    Without them a segmentation node ends the process when it is saved.
    """
    slicer = slicer_classes()
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    if factory.GetConverterRules():
        return
    for rule in (slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule, slicer.vtkClosedSurfaceToBinaryLabelmapConversionRule):
        factory.RegisterConverterRule(rule())


def register_kinds(scene: Any) -> None:
    """Make colour legends, planes and points known kinds of nodes, where no Colors and Markups module did (slicer-core, trame-slicer)."""
    for kind in MODULES_KINDS:
        if not scene.IsNodeClassRegistered(kind):
            scene.RegisterNodeClass(getattr(slicer_classes(), kind)())


def write_mrb(analysis: Analysis, path: str | Path, *, name: str = "LGE-MRI", progress: Progress | None = None) -> Path:
    """Write an analysis as a Slicer scene (.mrb) that opens with the views arranged; returns the path.

    The file appears whole or not at all. `name` is what the image is called in the scene.

    Raises
    ------
    ProcessingError
        when slicer-core isn't installed, or the file can't be written.
    """
    progress = progress or Progress()
    if has_findings(analysis):
        progress.report("scene", 0.0, "Looking for gaps around the veins")
        _ = analysis.findings  # a result's other files need them as well; they are found once
    scene = new_scene()
    nodes = build_scene(scene, analysis, name=name, progress=progress.part(0.0, 0.3))
    show(scene, nodes, analysis)
    save_scene(scene, path, progress=progress.part(0.3, 1.0))
    return Path(path)


def save_scene(scene: Any, path: str | Path, *, progress: Progress | None = None) -> None:
    """Write any scene as .mrb; `ProcessingError` when a node or the file can't be written."""
    progress = progress or Progress()
    path = Path(path)
    if not path.parent.is_dir():
        raise ProcessingError(f"The scene can't be written to {path}: the folder {path.parent} does not exist.")
    try:
        with tempfile.TemporaryDirectory(prefix=".scene-", dir=path.parent) as temporary:
            folder = Path(temporary) / path.stem
            folder.mkdir()
            progress.report("scene", 0.1, "Writing the scene")
            _write_folder(scene, folder)
            progress.report("scene", 0.8, "Packing the scene")
            packed = Path(temporary) / "packed"
            _pack(folder, packed)
            os.replace(packed, path)
    except OSError as error:
        reason = error.strerror or error
        raise ProcessingError(f"The scene can't be written to {path}: {reason}. Free some space or choose another folder.") from error
    progress.report("scene", 1.0, "The scene is written")


def _write_folder(scene: Any, folder: Path) -> None:
    slicer = slicer_classes()
    for class_name, extension in FILE_FORMATS.items():
        for node in nodes_of_class(scene, class_name):
            if node.GetSaveWithScene():
                _storage(node).SetDefaultWriteFileExtension(extension)
    for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"):
        # Slicer flips left-handed grids when it reads them unless told not to: voxels would change their index
        _storage(node).SetForceRightHandedIJKCoordinateSystem(False)
    messages = slicer.vtkMRMLMessageCollection()
    if not scene.SaveSceneToSlicerDataBundleDirectory(str(folder.resolve()), None, messages):
        _raise_for_space(scene, folder)
        reason = " ".join(messages.GetAllMessagesAsString().split()) or "Slicer gives no reason"
        raise ProcessingError(f"The scene can't be written: {reason}")
    for table in folder.rglob(f"*.{FILE_FORMATS['vtkMRMLColorTableNode']}"):
        _without_place(table)


def _without_place(colour_table: Path) -> None:
    """Take out of a colour file the comment in which Slicer writes its absolute path."""
    lines = colour_table.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not (line.startswith("#") and colour_table.name in line)]
    colour_table.write_text("".join(kept), encoding="utf-8")


def _raise_for_space(scene: Any, folder: Path) -> None:
    """`OSError` (no space left) when the disk holds less than the scene may need; Slicer's writers don't say why they fail."""
    images = (node.GetImageData() for node in nodes_of_class(scene, "vtkMRMLScalarVolumeNode"))
    needed = sum(image.GetActualMemorySize() * 1024 for image in images if image is not None)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(errno.ENOSPC, f"the disk has {free / 1e6:.0f} MB left, the scene may need {needed / 1e6:.0f} MB")


def _storage(node: Any) -> Any:
    if node.GetStorageNode() is None:
        node.AddDefaultStorageNode()
    return node.GetStorageNode()


def _pack(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as bundle:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                how = zipfile.ZIP_STORED if file.suffix in ALREADY_COMPRESSED else zipfile.ZIP_DEFLATED
                bundle.write(file, file.relative_to(folder.parent), compress_type=how)


def read_mrb(scene: Any, path: str | Path) -> None:
    """Add the content of an .mrb to a scene (nodes get new IDs where the scene has theirs already).

    Raises
    ------
    InputError
        no such file, or not a scene.
    ProcessingError
        when a node in it can't be read.
    """
    path = Path(path)
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is not a Slicer scene bundle (.mrb), or the file is damaged.")
    with tempfile.TemporaryDirectory(prefix="scene-", ignore_cleanup_errors=True) as temporary:
        with zipfile.ZipFile(path) as bundle:
            if sum(entry.file_size for entry in bundle.infolist()) > LARGEST_SCENE_BYTES:
                raise InputError(f"{path} would unpack to more than {LARGEST_SCENE_BYTES >> 30} GiB: that is no scene of one scan.")
            bundle.extractall(temporary)
        scene_files = sorted(Path(temporary).rglob("*.mrml"))
        if not scene_files:
            raise InputError(f"{path} holds no scene (.mrml).")
        register_kinds(scene)
        messages = slicer_classes().vtkMRMLMessageCollection()
        scene.SetURL(str(scene_files[0]))
        if not scene.Import(messages):
            raise ProcessingError(f"The scene {path} can't be read: {' '.join(messages.GetAllMessagesAsString().split())}")

"""Makes the sample that the extension brings: a phantom scan, its cavity as a segmentation, its planes as markups.

    python Testing/make_sample_data.py     writes Resources/SampleData

Needs the `scene` extra. The phantom is drawn from a seed, so another run gives the same voxels.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LAScarSegLib.datasets.sample_data import CAVITY_SEGMENT, FOLDER, NAME, voxel_digest
from LAScarSegLib.phantom.phantom import Phantom, make_phantom
from LAScarSegLib.phantom.settings import PhantomSettings
from LAScarSegLib.scene import new_scene, volume_to_node
from LAScarSegLib.scene.colours import LEFT_ATRIUM
from LAScarSegLib.scene.mrml import slicer_classes
from LAScarSegLib.scene.plane_markups import COLOUR, FILL_OPACITY, SIZE_MM
from LAScarSegLib.scene.segmentation import CAVITY
from LAScarSegLib.scene.volumes import LPS_TO_RAS
from LAScarSegLib.surface.planes import CutPlane
from LAScarSegLib.volumes.files import NOTE_KEY, SIMULATED_NOTE
from LAScarSegLib.volumes.volume import Volume

TARGET = Path(__file__).resolve().parents[1] / "Resources" / FOLDER
SETTINGS = PhantomSettings(seed=21, size=(224, 176, 36))
"""The voxels of a LAScarQS scan, 0.625 × 0.625 × 2.5 mm; of its field of view only 140 × 110 × 90 mm, to stay small."""
COMPRESSION_LEVEL = 9
TRUTH_KEYS = ("la_volume_ml", "la_surface_area_cm2", "wall_volume_ml", "scar_volume_ml", "scar_area_pct", "scar_area_pct_wall")


def main() -> None:
    phantom = make_phantom(SETTINGS)
    TARGET.mkdir(parents=True, exist_ok=True)
    scan = Volume(phantom.image.array.astype(np.int16), phantom.image.geometry)
    _write_scan(scan, TARGET / f"{NAME}.nrrd")
    _write_cavity(phantom, TARGET / f"{NAME}-cavity.seg.nrrd")
    planes = [_write_plane(plane, TARGET / f"{NAME}-{plane.name}.mrk.json") for plane in phantom.planes]
    truth = phantom.truth.to_json()
    content = {
        "what": f"{SIMULATED_NOTE}. Made by Testing/make_sample_data.py.",
        "scan": _file(f"{NAME}.nrrd", NAME),
        "cavity": _file(f"{NAME}-cavity.seg.nrrd", f"{NAME} cavity"),
        "planes": [_file(path.name, plane.name) for path, plane in zip(planes, phantom.planes)],
        "size": scan.geometry.size,
        "voxels_sha256": voxel_digest(scan.array),
        "truth": {key: round(truth[key], 3) for key in TRUTH_KEYS},
        "settings": SETTINGS.to_json(),
    }
    (TARGET / f"{NAME}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_scan(scan: Volume, path: Path) -> None:
    image = scan.to_sitk()
    image.SetMetaData(NOTE_KEY, SIMULATED_NOTE)
    sitk.WriteImage(image, str(path), useCompression=True, compressionLevel=COMPRESSION_LEVEL)


def _write_cavity(phantom: Phantom, path: Path) -> None:
    """One coded segment, drawn on the scan's grid."""
    slicer, scene = slicer_classes(), new_scene()
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", NAME)
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", NAME)
    volume_to_node(phantom.image, volume)
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    labelmap = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", CAVITY_SEGMENT)
    volume_to_node(phantom.cavity, labelmap)
    slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode(labelmap, node)
    segment = node.GetSegmentation().GetNthSegment(0)
    segment.SetName(CAVITY_SEGMENT)
    segment.SetColor(*LEFT_ATRIUM)
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), CAVITY.terminology)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    storage.SetScene(scene)
    storage.SetFileName(str(path))
    if not storage.WriteData(node):
        raise OSError(f"{path} could not be written")


def _write_plane(plane: CutPlane, path: Path) -> Path:
    """A Plane markup as Slicer saves one; its only control point carries the name."""
    slicer, scene = slicer_classes(), new_scene()
    node = scene.AddNewNodeByClass("vtkMRMLMarkupsPlaneNode", plane.name)
    node.SetPlaneType(node.PlaneTypePointNormal)
    node.AddControlPoint(LPS_TO_RAS[:3, :3] @ plane.origin, plane.name)
    node.SetNormal(LPS_TO_RAS[:3, :3] @ plane.normal)
    node.SetSizeMode(node.SizeModeAbsolute)
    node.SetSize(SIZE_MM, SIZE_MM)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*COLOUR)
    display.SetFillOpacity(FILL_OPACITY)
    # Six planes would hide the atrium: they come hidden, to be switched on in the Data module or the panel.
    display.SetHandlesInteractive(False)
    display.SetVisibility(False)
    storage = slicer.vtkMRMLMarkupsPlaneJsonStorageNode()
    storage.SetFileName(str(path))
    if not storage.WriteData(node):
        raise OSError(f"{path} could not be written")
    return path


def _file(name: str, node: str) -> dict[str, str]:
    return {"file": name, "node": node, "sha256": hashlib.sha256((TARGET / name).read_bytes()).hexdigest()}


if __name__ == "__main__":
    main()

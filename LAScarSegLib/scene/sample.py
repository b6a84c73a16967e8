"""The sample that comes with the extension, as nodes."""

from typing import Any

from ..datasets.sample_data import SampleFile, sample
from ..errors import ProcessingError
from ..volumes.files import read_volume
from .mrml import slicer_classes
from .volumes import volume_to_node


def load_sample(scene: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """The sample as nodes of `scene`, as the Sample Data module would load it: volume, segmentation, planes (markups).

    Raises
    ------
    ProcessingError
        when its files are missing, or Slicer's MRML library is.
    """
    def read(class_name: str, storage: Any, file: SampleFile) -> Any:
        node = scene.AddNewNodeByClass(class_name, file.node)
        storage.SetFileName(str(file.path))
        if not storage.ReadData(node):
            raise ProcessingError(f"The sample's file {file.path} can't be read. Install LAScarSeg again.")
        node.CreateDefaultDisplayNodes()
        return node

    slicer, known = slicer_classes(), sample()
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", known.scan.node)
    volume.CreateDefaultDisplayNodes()
    volume_to_node(read_volume(known.scan.path), volume)
    segmentation = read("vtkMRMLSegmentationNode", slicer.vtkMRMLSegmentationStorageNode(), known.cavity)
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    planes = [read("vtkMRMLMarkupsPlaneNode", slicer.vtkMRMLMarkupsPlaneJsonStorageNode(), plane) for plane in known.planes]
    return volume, segmentation, tuple(planes)

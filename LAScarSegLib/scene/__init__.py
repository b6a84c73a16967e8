"""MRML nodes in and out: an analysis as a Slicer scene. Every function takes the scene; nothing here needs qt or slicer.app.

`build_scene` puts an analysis into a scene, `show` arranges the views, `write_mrb` writes `scene.mrb`; `volume_from_node`,
`segment_from_node` and `mask_from_node` read what an analysis starts from. The same code runs in Slicer and, with
`slicer-core` installed, in any Python.
"""

from .build import SceneNodes, build_scene, remove_scene
from .bundle import new_scene, read_mrb, write_mrb
from .inputs import load_volume, mask_from_node
from .segmentation import segment_from_node
from .views import show
from .volumes import volume_from_node, volume_to_node

__all__ = [
    "SceneNodes", "build_scene", "load_volume", "mask_from_node", "new_scene", "read_mrb", "remove_scene",
    "segment_from_node", "show", "volume_from_node", "volume_to_node", "write_mrb",
]  # fmt: skip

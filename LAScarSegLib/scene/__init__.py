"""MRML nodes in and out: an analysis as a Slicer scene. Every function takes the scene; nothing here needs qt or slicer.app.

`build_scene` puts an analysis into a scene, `show` arranges the views, `write_mrb` writes `scene.mrb`; `volume_from_node`,
`segment_from_node` and `mask_from_node` read what an analysis starts from. The same code runs in Slicer and, with
`slicer-core` installed, in any Python.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "build": ("SceneNodes", "build_scene", "remove_scene"),
    "bundle": ("new_scene", "read_mrb", "write_mrb"),
    "inputs": ("load_volume", "mask_from_node"),
    "segmentation": ("segment_from_node",),
    "views": ("show",),
    "volumes": ("volume_from_node", "volume_to_node"),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    """A public name, imported when it is asked for: Slicer starts with Segment Statistics' plugin, and must not wait for the rest."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""A mask from a file, whatever people keep masks in: a label map, a segmentation with names, a closed surface mesh."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..anatomy.labels import Label, chosen_voxels
from ..errors import InputError
from ..surface.filled_mesh import filled_mesh, is_mesh_file
from ..volumes.segmentations import read_labels
from ..volumes.volume import Volume


def read_mask_file(path: Path, name: str, wanted: Sequence[Label], scan: Volume) -> Volume:
    """The mask `name` in a file as a bool volume, on the file's own grid, with what is odd about it.

    Parameters
    ----------
    name
        "cavity", "wall", "scar" or "region of interest", for the messages.
    wanted
        values, or names of segments, that together are the mask; none: whatever is there.
    scan
        a mesh is filled on its grid; the scan itself is no mask.

    Raises
    ------
    InputError
        what `read_labels`, `chosen_voxels` and `filled_mesh` refuse; the scan given as its own mask; a mesh as wall or scar.
    """
    if is_mesh_file(path) and path.is_file():
        if name != "cavity":
            raise InputError(f"{path} is a surface mesh; only the cavity may be given as one. Give the {name} as a mask (volume).")
        if wanted:
            raise InputError(f"{path} is a surface mesh, which has no labels ({', '.join(map(str, wanted))}). Leave --cavity-label out.")
        return filled_mesh(path, scan.geometry)
    file = read_labels(path)
    if np.array_equal(file.layers[0].array, scan.array):
        raise InputError(f"{path} is the scan itself, given as the {name}. Give a mask of the {name}.")
    return chosen_voxels(file, name, wanted)


def refuse_mesh_as_scan(path: Path) -> None:
    """`InputError` for a surface mesh given as the scan."""
    if is_mesh_file(path) and path.is_file():
        raise InputError(
            f"{path} is a surface mesh, not a scan. Give the LGE-MRI as the scan; a closed mesh may be given as the cavity (--cavity)."
        )

"""How slices are shown: the acquired planes, turned the radiological way, and which of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...volumes.volume import Box, Geometry

PLANES = ("sagittal", "coronal", "axial")
OBLIQUE_COSINE = 0.5
"""A letter names a side when the axis is within 60° of it: "LA" between left and anterior, as DICOM viewers write."""


@dataclass(frozen=True)
class SliceLayout:
    """Turns an array [j, i] of one acquired slice into the picture a radiologist expects.

    Nothing is resampled: rows and columns are exchanged and reversed so that the patient's left lies on the right of
    axial and coronal slices, posterior on the right of sagittal ones, and anterior or superior at the top.

    plane
        the nearest of axial, coronal and sagittal; `oblique` when it is more than 10° away.
    letters
        the patient's side at the picture's left, right, top and bottom edge.
    pixel_mm
        width and height of a pixel of the picture.
    descending
        whether the first slice to read (the uppermost, the most anterior, the rightmost) has the highest k.
    """

    plane: str
    oblique: bool
    transpose: bool
    flip_columns: bool
    flip_rows: bool
    letters: tuple[str, str, str, str]
    pixel_mm: tuple[float, float]
    descending: bool

    @classmethod
    def of(cls, geometry: Geometry) -> SliceLayout:
        """The layout for the slices (constant k) of this grid."""
        i_axis, j_axis, k_axis = geometry.rotation.T
        normal = np.cross(i_axis, j_axis)
        plane = int(np.argmax(np.abs(normal)))
        # Picture's rightward and downward directions in LPS for sagittal, coronal and axial.
        right = np.eye(3)[1] if plane == 0 else np.eye(3)[0]
        down = np.eye(3)[1] if plane == 2 else -np.eye(3)[2]
        transpose = bool(abs(i_axis @ right) + abs(j_axis @ down) < abs(j_axis @ right) + abs(i_axis @ down))
        columns, rows = (j_axis, i_axis) if transpose else (i_axis, j_axis)
        flip_columns, flip_rows = bool(columns @ right < 0), bool(rows @ down < 0)
        columns, rows = columns * (-1 if flip_columns else 1), rows * (-1 if flip_rows else 1)
        spacing_i, spacing_j, _ = geometry.spacing
        return cls(
            plane=PLANES[plane],
            oblique=bool(abs(normal[plane]) < np.cos(np.radians(10.0))),
            transpose=transpose,
            flip_columns=flip_columns,
            flip_rows=flip_rows,
            letters=(side(-columns), side(columns), side(-rows), side(rows)),
            pixel_mm=(spacing_j, spacing_i) if transpose else (spacing_i, spacing_j),
            descending=bool(k_axis[plane] > 0) == (plane == 2),
        )

    def picture(self, slice_ji: np.ndarray) -> np.ndarray:
        """The array (rows, columns) to show of one slice [j, i]."""
        image = slice_ji.T if self.transpose else slice_ji
        return image[:: -1 if self.flip_rows else 1, :: -1 if self.flip_columns else 1]


def side(direction_lps: np.ndarray) -> str:
    """The patient's side a direction points to: "L", or "LA" when it lies between, the dominant letter first."""
    order = np.argsort(-np.abs(direction_lps))
    letters = [("RL", "AP", "IS")[axis][int(direction_lps[axis] > 0)] for axis in order if abs(direction_lps[axis]) >= OBLIQUE_COSINE]
    return "".join(letters[:2])


def choose_slices(structure_voxels: np.ndarray, scar_voxels: np.ndarray, count: int) -> list[int]:
    """Up to `count` slice numbers, evenly spread over the structure; in the middle of each stretch the slice with most scar.

    Parameters
    ----------
    structure_voxels, scar_voxels
        (K,) number of voxels of the structure (cavity or wall) and of scar in each slice.
    """
    used = np.flatnonzero(structure_voxels)
    if used.size <= count:
        return used.tolist()
    chosen = []
    for stretch in np.array_split(used, count):
        quarter = len(stretch) // 4
        middle = stretch[quarter : len(stretch) - quarter]
        most = middle[scar_voxels[middle] == scar_voxels[middle].max()]
        chosen.append(int(most[len(most) // 2]))
    return chosen


def widen(box: Box, margin_mm: float, geometry: Geometry) -> Box:
    """`box` with `margin_mm` more around it within the slices (not along k), kept inside the grid."""
    margins = (0, *(round(margin_mm / spacing) for spacing in geometry.spacing_kji[1:]))
    start = tuple(max(0, first - margin) for first, margin in zip(box.start, margins))
    return Box(start, tuple(min(end, last + margin) for end, last, margin in zip(geometry.shape, box.stop, margins)))

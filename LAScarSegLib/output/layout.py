"""The folder of a result: what it holds, and by what it is known."""

from contextlib import AbstractContextManager
from pathlib import Path

from ..support import whole_folder as folders
from ..support.whole_folder import FolderKind

MARKER = "provenance.json"
"""The file by which a folder is known as a result of ours; it is written last."""
SOURCES = "sources"
"""The entry of that file that says what the result follows from, beside the scan and the networks' probabilities (`analysis.content`)."""
RESULT = FolderKind(
    title="LAScarSeg result",
    markers=frozenset({MARKER}),
    names=frozenset(
        {"cavity.nii.gz", "wall.nii.gz", "scar.nii.gz", "cavity_probability.nii.gz", "cavity_entropy.nii.gz", "scar_probability.nii.gz",
         "scar_entropy.nii.gz", "sdm_cavity.nii.gz", "sdm_wall.nii.gz", "surface.vtp", "measurements.json", "measurements.csv", "threshold_curve.csv", MARKER, "report.html", "figures", "scene.mrb"}
    ),
)  # fmt: skip
"""ARCHITECTURE, "Results on disk", and the entropy beside the probability."""


def check_output(folder: str | Path, force: bool = False) -> Path:
    """The absolute path of `folder`, if a result may be written there (`whole_folder.check_folder`)."""
    return folders.check_folder(folder, force, RESULT)


def whole_folder(folder: Path, force: bool) -> AbstractContextManager[Path]:
    """A partial folder to write a result into; on leaving it becomes `folder` (`whole_folder.whole_folder`)."""
    return folders.whole_folder(folder, force, RESULT)

"""The usual surroundings of a left atrium, from the scans that the cavity model learned from, and how well they tell how a scan lies.

    python Benchmarks/cavity_model/surroundings.py make    Resources/Anatomy/surroundings.npz, from the 63 scans of the training
    python Benchmarks/cavity_model/surroundings.py study   all scans, as they are and in the seven other ways, each patient left out
    python Benchmarks/cavity_model/surroundings.py found   the same with the cavity that the model finds in the scan as it lies then

Options: --data FOLDER (default: LASCARSEG_TEST_DATA, else ../shared/data).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import doubt_scans as scans  # noqa: E402
from split import divide  # noqa: E402

from LAScarSegLib.anatomy import surroundings  # noqa: E402
from LAScarSegLib.anatomy.masks import Mask  # noqa: E402
from LAScarSegLib.anatomy.overlap import dice  # noqa: E402
from LAScarSegLib.anatomy.surroundings import CELLS, REACH, WAYS, lie_of, middle_lps, ranks  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.volumes.orientation import Orientation  # noqa: E402
from LAScarSegLib.volumes.volume import Volume  # noqa: E402

TEMPLATE = ROOT / "Resources" / "Anatomy" / "surroundings.npz"
LEAST_SEEN = 0.6
"""A cell counts that so many of the scans show."""
RIDGE = 0.02
"""Added to the variance of a cell's rank: no cell counts for more than all others."""
RIGHT = (1, 1, 1)


@dataclass(frozen=True)
class Scan:
    collection: str
    name: str
    group: str
    pair: tuple[Volume, np.ndarray]


def all_scans(data: Path) -> Iterator[Scan]:
    """Every scan with a cavity that is here, and phantoms; read one at a time."""
    patients = scans.patients_of(data)
    for collection, image in (("la2018", "lge.nii.gz"), ("la2018_new", "lge.nii.gz"), ("msd_heart", "mri.nii.gz")):
        for folder in sorted(path for path in (data / collection).iterdir() if path.is_dir()):
            yield Scan(collection, folder.name, patients.get(folder.name) or folder.name, scans._pair(folder, image))
    yield Scan("carma", "autoscar", patients[scans.SAME_AS_CARMA], scans._carma(data / "carma"))
    for case in (scans._phantom(scans.TEST_SEED + 20 + n) for n in range(6)):
        yield Scan("phantom", case.name, case.group, case.read())


def template(seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(N, cells) ranks, NaN where unknown: mean and weight."""
    known = np.isfinite(seen).mean(axis=0) >= LEAST_SEEN
    with np.errstate(invalid="ignore"):
        mean, variance = np.nanmean(seen, axis=0), np.nanvar(seen, axis=0)
    return np.where(known, mean, 0.0), np.where(known, 1.0 / (np.nan_to_num(variance) + RIDGE), 0.0)


def seen_in(scan: Scan) -> np.ndarray:
    volume, mask = scan.pair
    whole = ranks(surroundings.surroundings(volume.array, volume.geometry, middle_lps(Mask.of(mask), volume.geometry)))
    return whole[tuple(slice(REACH, REACH + n) for n in CELLS)]


def make(data: Path) -> None:
    training, _ = divide([path.name for path in (data / "la2018").iterdir() if path.is_dir()])
    seen = np.stack([seen_in(scan) for scan in all_scans(data) if scan.collection == "la2018" and scan.name in set(training)])
    mean, weight = template(seen)
    TEMPLATE.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(TEMPLATE, mean=mean.astype(np.float16), weight=weight.astype(np.float16))
    print(f"{len(seen)} scans, {np.count_nonzero(weight)} of {weight.size} cells, {TEMPLATE.stat().st_size} bytes")


def lying(pair: tuple[Volume, np.ndarray], way: tuple[int, int, int]) -> tuple[Volume, np.ndarray]:
    """The scan and its cavity as a header would have them that is wrong in this way: senses of S, P, L."""
    volume, mask = pair
    turned = Orientation.towards_lps(volume.geometry)
    axes = [axis for axis, sense in zip(turned.axes, way) if sense < 0]
    return replace(volume, array=np.flip(volume.array, axes)), np.flip(mask, axes)


def study(data: Path, by_model: bool) -> None:
    """Margins of the right way over the best other one, each patient left out of the template."""
    usual, rows = surroundings.usual_surroundings, []
    learned = [] if by_model else [(scan.group, seen_in(scan)) for scan in all_scans(data) if scan.collection == "la2018"]
    model = _model() if by_model else None
    held = set(divide([path.name for path in (data / "la2018").iterdir() if path.is_dir()])[1])
    for scan in all_scans(data):
        if by_model and scan.collection == "la2018" and scan.name not in held:
            continue
        if learned:
            without = template(np.stack([seen for group, seen in learned if group != scan.group]))
            surroundings.usual_surroundings = lambda without=without: without
        for way in (RIGHT, *WAYS):
            volume, mask = lying(scan.pair, way)
            if model is not None:
                found = _found(model, volume)
                overlap, mask = (0.0, None) if found is None else (dice(found, mask), found)
            lie = None if mask is None else lie_of(volume.array, volume.geometry, Mask.of(mask))
            rows.append((scan.collection, way, None if lie is None else lie.as_it_is - lie.otherwise, lie is not None and lie.is_wrong))
            if by_model or (lie is not None and lie.is_wrong != (way != RIGHT)):
                likeness = "not told" if lie is None else f"{lie.as_it_is:.2f}, otherwise {lie.otherwise:.2f} ({lie.words}){' FLAGGED' if lie.is_wrong else ''}"
                print(scan.collection, scan.name, WAYS.get(way, "as it is"), likeness, f"Dice {overlap:.2f}" if by_model else "", flush=True)
    surroundings.usual_surroundings = usual
    table(rows)


def table(rows: list[tuple[str, tuple[int, int, int], float | None, bool]]) -> None:
    for collection in dict.fromkeys(row[0] for row in rows):
        print(f"\n{collection}")
        for way in (RIGHT, *WAYS):
            mine = [row for row in rows if row[0] == collection and row[1] == way]
            margins = [row[2] for row in mine if row[2] is not None]
            told = f"margin {min(margins):.2f} … {np.median(margins):.2f} … {max(margins):.2f}" if margins else "no margin"
            print(f"  {WAYS.get(way, 'as it is'):45s} flagged {sum(row[3] for row in mine)} of {len(mine)}; {told}; not told {len(mine) - len(margins)}")


def _model():  # noqa: ANN202
    from LAScarSegLib.inference.bundle_models import BundleCavityModel
    from LAScarSegLib.inference.options import InferenceOptions
    from LAScarSegLib.models.store import ModelStore

    return BundleCavityModel.from_bundle(ModelStore().default_cavity(), InferenceOptions(device="cpu"))


def _found(model, volume: Volume) -> np.ndarray | None:  # noqa: ANN001
    try:
        return model.predict_mask(volume).array > 0
    except InputError:
        return None


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("make", "study", "found"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")))
    asked = parser.parse_args()
    make(asked.data) if asked.what == "make" else study(asked.data, asked.what == "found")

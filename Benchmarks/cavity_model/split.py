"""Divides the 2018 LA challenge's scans before any training: the scans to train on, and those that are kept to measure with.

    python Benchmarks/cavity_model/split.py LA2018 OUT
    python Benchmarks/cavity_model/split.py LA2018 OUT --patients PATIENTS.csv [--msd MSD_HEART [--fold 0]]

LA2018 holds one folder per scan with lge.nii.gz and cavity.nii.gz. OUT gets train.csv and holdout.csv, manifests of
`lascarseg train`.

The first is la-cavity 1.0's: which 16 are kept is decided by their names alone, so that everybody gets the same: those whose name
has the smallest SHA-256.

The second is 1.1's, by patient: kept are those of the 16 whose patients 1.0 has never seen, so that both versions can be compared on
them; the patient of the CARMA toolkit's example is left out of either. --msd adds the other centre's scans (folders with mri.nii.gz and
cavity.nii.gz): every `FOLDS`-th of them from --fold on is kept in msd_holdout.csv, the rest is in msd_train.csv; of the folds together
each is kept once.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from LAScarSegLib.datasets.patients import read_patients

HELD_OUT = 16
SAME_AS_CARMA = "LJSDNMND9SHKM7Q4IRHJ"
"""The scan of the CARMA toolkit's example, with which the model is measured."""
ONE_LABEL = {"0RZDK210BSMWAA6467LU": "pair", "CMPXO4J23G58J53Q98SZ": "pair"}
"""Two scans that share a label: never on both sides of a split, and not worth measuring with."""
FOLDS = 2
"""Of the other centre's 14 scans: the seven that the doubt is calibrated with are kept in fold 0, those that it was tried on in fold 1."""
Row = tuple[str, Path, Path, str]
"""Name, scan, cavity, group."""


def divide(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """1.0's (training, held out), each sorted."""
    candidates = sorted((n for n in names if n != SAME_AS_CARMA and n not in ONE_LABEL), key=_digest)
    held = sorted(candidates[:HELD_OUT])
    return [n for n in sorted(names) if n not in held and n != SAME_AS_CARMA], held


def divide_by_patient(names: Sequence[str], patients: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """1.1's (training, held out), each sorted: held out is what no version has seen any scan of the patient of."""
    seen, held = divide(names)
    known = {patients.get(name, name) for name in (*seen, SAME_AS_CARMA)}
    unseen = [name for name in held if patients.get(name, name) not in known]
    left_out = {patients.get(name, name) for name in (*unseen, SAME_AS_CARMA)}
    return [name for name in sorted(names) if patients.get(name, name) not in left_out], unseen


def divide_other_centre(names: Sequence[str], fold: int) -> tuple[list[str], list[str]]:
    """(training, held out) of the other centre's scans, each sorted."""
    held = sorted(names)[fold::FOLDS]
    return [name for name in sorted(names) if name not in held], held


def rows_of(data: Path, names: Sequence[str], image: str = "lge.nii.gz", patients: Mapping[str, str] = {}) -> list[Row]:
    return [(name, data / name / image, data / name / "cavity.nii.gz", patients.get(name, ONE_LABEL.get(name, name))) for name in names]


def write_manifest(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "image", "cavity", "group"), *rows])


def scans_in(folder: Path, image: str) -> list[str]:
    return [path.name for path in folder.iterdir() if (path / image).is_file()]


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("ascii")).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--patients", type=Path)
    parser.add_argument("--msd", type=Path)
    parser.add_argument("--fold", type=int, default=0, choices=range(FOLDS))
    options = parser.parse_args()
    if options.msd and not options.patients:
        parser.error("--msd is of 1.1's split: give --patients, too.")
    data, names = options.data.resolve(), scans_in(options.data, "lge.nii.gz")
    patients = read_patients(options.patients) if options.patients else {}
    training, held = divide_by_patient(names, patients) if patients else divide(names)
    options.out.mkdir(parents=True, exist_ok=True)
    write_manifest(options.out / "train.csv", rows_of(data, training, patients=patients))
    write_manifest(options.out / "holdout.csv", rows_of(data, held, patients=patients))
    print(f"{len(training)} scans to train on, {len(held)} held out: {', '.join(held)}")
    if options.msd:
        other = options.msd.resolve()
        learned, kept = divide_other_centre(scans_in(other, "mri.nii.gz"), options.fold)
        write_manifest(options.out / "msd_train.csv", rows_of(other, learned, "mri.nii.gz"))
        write_manifest(options.out / "msd_holdout.csv", rows_of(other, kept, "mri.nii.gz"))
        print(f"of the other centre {len(learned)} to train on, {len(kept)} held out: {', '.join(kept)}")


if __name__ == "__main__":
    main()

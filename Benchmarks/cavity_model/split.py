"""Divides the 2018 LA challenge's scans before any training: the scans to train on, and 16 that are kept to measure with.

    python Benchmarks/cavity_model/split.py LA2018 OUT

LA2018 holds one folder per scan with lge.nii.gz and cavity.nii.gz. OUT gets train.csv and holdout.csv, manifests of
`lascarseg train`. Which 16 is decided by their names alone, so that everybody gets the same: those whose name has the smallest
SHA-256.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from pathlib import Path

HELD_OUT = 16
SAME_AS_CARMA = "LJSDNMND9SHKM7Q4IRHJ"
"""The scan of the CARMA toolkit's example, with which the model is measured."""
ONE_LABEL = {"0RZDK210BSMWAA6467LU": "pair", "CMPXO4J23G58J53Q98SZ": "pair"}
"""Two scans that share a label: never on both sides of a split, and not worth measuring with."""


def divide(names: list[str]) -> tuple[list[str], list[str]]:
    """(training, held out), each sorted."""
    candidates = sorted((n for n in names if n != SAME_AS_CARMA and n not in ONE_LABEL), key=_digest)
    held = sorted(candidates[:HELD_OUT])
    return [n for n in sorted(names) if n not in held and n != SAME_AS_CARMA], held


def write_manifest(path: Path, data: Path, names: list[str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "image", "cavity", "group"])
        for name in names:
            writer.writerow([name, data / name / "lge.nii.gz", data / name / "cavity.nii.gz", ONE_LABEL.get(name, name)])


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode("ascii")).hexdigest()


def main(data: Path, out: Path) -> None:
    training, held = divide([path.name for path in data.iterdir() if (path / "lge.nii.gz").is_file()])
    out.mkdir(parents=True, exist_ok=True)
    write_manifest(out / "train.csv", data.resolve(), training)
    write_manifest(out / "holdout.csv", data.resolve(), held)
    print(f"{len(training)} scans to train on, {len(held)} held out: {', '.join(held)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

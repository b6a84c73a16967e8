"""How far the doubt of a cavity model can be trusted: measured, calibrated, tried on scans that chose nothing (Docs/cavity_model.md).

    python Benchmarks/cavity_model/doubt.py WORK

WORK is one of
    shapes                        what the training's cavities look like: LAScarSegLib/anatomy/left_atria.py
    collect calibration OUT       runs the model on each scan and its damaged copies; goes on after a kill
    fit OUT [--write]             from OUT/calibration.csv; --write: into the bundle's model.json
    collect test OUT              the same for the scans that chose nothing. Once, after everything is decided
    tables OUT test               what the bundle's calibration says of what was collected, and how often it is right
    curve OUT test PNG            how much is kept against what is wrong with it
    views OUT test PNG NAME ...   pictures of some of them, with the word

Options: --data FOLDER (default: LASCARSEG_TEST_DATA, else ../shared/data), --each N kinds of damage a scan, --bundle FOLDER. OUT holds
measures and small pictures of patients' scans: never commit it.
"""

from __future__ import annotations

import argparse
import csv
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import doubt_scans as scans  # noqa: E402
import doubt_study as study  # noqa: E402

from LAScarSegLib.anatomy.overlap import dice  # noqa: E402
from LAScarSegLib.errors import InputError  # noqa: E402
from LAScarSegLib.inference.bundle_models import BundleCavityModel  # noqa: E402
from LAScarSegLib.inference.doubt import measures_of  # noqa: E402
from LAScarSegLib.inference.options import InferenceOptions  # noqa: E402
from LAScarSegLib.inference.preparation import OrientedScan  # noqa: E402
from LAScarSegLib.models.bundle import read_bundle  # noqa: E402
from LAScarSegLib.models.doubt_calibration import MEASURES  # noqa: E402
from LAScarSegLib.support.progress import Progress  # noqa: E402

PICTURE_MM = 2.0
EACH = {"calibration": 6, "test": 11}
COLUMNS = ("collection", "name", "group", "unseen", "kind", "lge", "dice", "refused", "seconds", "doubt_seconds", *MEASURES)


def collect(which: str, out: Path, data: Path, each: int, bundle: Path) -> None:
    cases = scans.calibration_cases(data) if which == "calibration" else scans.test_cases(data)
    table = out / f"{which}.csv"
    (out / which).mkdir(parents=True, exist_ok=True)
    done = {(row["collection"], row["name"], row["kind"]) for row in study.read(table)} if table.exists() else set()
    model = BundleCavityModel.from_bundle(read_bundle(bundle), InferenceOptions(device="cpu"))
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        if not done:
            writer.writeheader()
        for case, damage in in_rounds(list(scans.damages_of(cases, each))):
            if (case.collection, case.name, damage.kind) in done:
                continue
            row = measured(model, case, damage, out / which)
            writer.writerow(row)
            file.flush()
            print(case.collection, case.name, damage.kind, f"{row['dice']:.3f}", "refused" if row["refused"] else "", f"{row['seconds']:.1f} s", flush=True)


def in_rounds(jobs: list[tuple[scans.Case, scans.Damage]]) -> Iterator[tuple[scans.Case, scans.Damage]]:
    """One of each scan, then the next of each: what is there when time runs out is balanced."""
    by_case: dict[str, list[tuple[scans.Case, scans.Damage]]] = {}
    for job in jobs:
        by_case.setdefault(job[0].name, []).append(job)
    for number in range(max(map(len, by_case.values()))):
        yield from (jobs[number] for jobs in by_case.values() if number < len(jobs))


def measured(model: BundleCavityModel, case: scans.Case, damage: scans.Damage, pictures: Path) -> dict[str, object]:
    scan, truth = scans.made(case, damage)
    row: dict[str, object] = {
        "collection": case.collection, "name": case.name, "group": case.group, "unseen": int(case.unseen), "kind": damage.kind,
        "lge": int(damage.lge and case.collection != "msd_heart"), "dice": 0.0, "refused": 0,
    }  # fmt: skip
    begin = perf_counter()
    try:
        probability, mask = model.predict_with_mask(scan)
    except InputError:
        return row | {"refused": 1, "seconds": perf_counter() - begin}
    found = perf_counter()
    oriented = OrientedScan.of(scan, model.card.preprocessing)
    row |= measures_of(model, oriented, probability, mask, tuple(MEASURES), Progress())
    every = [slice(None, None, max(1, int(round(PICTURE_MM / s)))) for s in scan.geometry.spacing_kji]
    np.savez_compressed(
        pictures / f"{case.name}_{damage.kind}.npz", grey=scan.array[*every].astype(np.float32), mask=mask.array[*every], truth=truth[*every],
        spacing=[s * e.step for s, e in zip(scan.geometry.spacing_kji, every)],
    )  # fmt: skip
    same = dice(mask.array > 0, truth) if truth.any() else 0.0
    return row | {"dice": same, "seconds": found - begin, "doubt_seconds": perf_counter() - found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("work", choices=("shapes", "collect", "fit", "tables", "curve", "views"))
    parser.add_argument("arguments", nargs="*")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("LASCARSEG_TEST_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--bundle", type=Path, default=ROOT / "Resources" / "Models" / "la-cavity-1.1")
    parser.add_argument("--each", type=int)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if options.work == "shapes":
        study.write_shapes(options.data, ROOT / "LAScarSegLib" / "anatomy" / "left_atria.py")
    elif options.work == "collect":
        which, out = options.arguments
        collect(which, Path(out), options.data, options.each or EACH[which], options.bundle)
    elif options.work == "fit":
        study.fit_and_tell(Path(options.arguments[0]) / "calibration.csv", options.bundle if options.write else None)
    elif options.work == "tables":
        out, which = options.arguments
        study.tell(study.read(Path(out) / f"{which}.csv"), read_bundle(options.bundle).card.doubt)
    elif options.work == "curve":
        out, which, picture = options.arguments
        study.draw_curve(study.read(Path(out) / f"{which}.csv"), read_bundle(options.bundle).card.doubt, Path(picture))
    else:
        out, which, picture, *names = options.arguments
        study.draw(Path(out), which, names, read_bundle(options.bundle).card.doubt, Path(picture))


if __name__ == "__main__":
    main()

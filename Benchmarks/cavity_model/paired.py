"""Two versions of the cavity model on the same scans: the mean of their paired differences, and whether the newer may be shipped.

    python Benchmarks/cavity_model/paired.py NEWER OLDER [--join NEWER OLDER …]

NEWER and OLDER are the scores.csv of evaluate.py, or the folders with them; --join adds further pairs of the same two versions to the same
table, of other scans (folds of a cross-validation). For each view: the mean difference of each score with its 95 % interval, bootstrapped
over scans (none below six). A scan where one of the two found no atrium counts as Dice 0 there.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from LAScarSegLib.evaluation.statistics import summarise

KEYS = ("dice", "surface_dice", "assd_mm", "hd95_mm", "centroid_error_mm")
NOTHING_FOUND = {"dice": 0.0, "surface_dice": 0.0}
"""What counts of a scan without a mask; its distances are left out."""

Scores = dict[tuple[str, str], dict[str, float | None]]
"""By view and scan."""


def read(path: Path) -> Scores:
    file = path / "scores.csv" if path.is_dir() else path
    with file.open(newline="", encoding="utf-8") as lines:
        return {
            (row["view"], row["scan"]): {key: float(row[key]) if row[key] else NOTHING_FOUND.get(key) for key in KEYS}
            for row in csv.DictReader(lines)
        }


def joined(paths: list[Path]) -> Scores:
    scores: Scores = {}
    for path in paths:
        for case, values in read(path).items():
            if case in scores:
                raise SystemExit(f"{case[1]} ({case[0]}) is in two of the tables: each scan counts once.")
            scores[case] = values
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("newer", type=Path)
    parser.add_argument("older", type=Path)
    parser.add_argument("--join", type=Path, nargs=2, action="append", default=[], metavar=("NEWER", "OLDER"))
    options = parser.parse_args()
    pairs = [(options.newer, options.older), *options.join]
    newer, older = (joined([pair[side] for pair in pairs]) for side in (0, 1))
    if newer.keys() != older.keys():
        raise SystemExit(f"Not the same scans: {sorted(newer.keys() ^ older.keys())[:4]} …")
    for view in dict.fromkeys(view for view, _ in newer):
        cases = [case for case in newer if case[0] == view]
        print(f"{view}, {len(cases)} scans")
        for key in KEYS:
            known = [case for case in cases if newer[case][key] is not None and older[case][key] is not None]
            both = [[scores[case][key] for case in known] for scores in (newer, older)]
            one, two, difference = (summarise(values) for values in (*both, [a - b for a, b in zip(*both)]))
            interval = "" if difference.low is None else f" ({difference.low:+.4f} to {difference.high:+.4f})"
            print(f"  {key}: {two.mean:.4f} → {one.mean:.4f}, difference {difference.mean:+.4f}{interval}, n = {difference.n}")
        worst = min(cases, key=lambda case: newer[case]["dice"] - older[case]["dice"])
        print(f"  largest loss of Dice: {worst[1]}, {older[worst]['dice']:.3f} → {newer[worst]['dice']:.3f}")


if __name__ == "__main__":
    main()

"""The mean of a model's weights and of those it went on from: most of what the training added, and little of what it forgot.

    python Benchmarks/cavity_model/mean_weights.py NEWER OLDER OUT

NEWER was trained from OLDER's weights (`--start-from`). Each weight of OUT's fine network is the mean of the two (WiSE-FT, Wortsman et al.
CVPR 2022, with their α of 0.5, which is not tuned); all else is NEWER's. The card says so.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from LAScarSegLib.models.bundle import Bundle, read_bundle, write_bundle
from LAScarSegLib.networks.weights import pack_tensors, unpack_tensors


def mean_of(newer: Bundle, older: Bundle) -> dict[str, bytes]:
    """The fine network's files, in 16 bits as they are shipped."""
    if newer.card.fine != older.card.fine:
        raise SystemExit("The two models' fine networks differ in plan, grid or number of folds: their weights have no mean.")
    files = {}
    for name in newer.card.fine.weights:
        one, two = (unpack_tensors(bundle.weights(name)) for bundle in (newer, older))
        files[name] = pack_tensors({key: (one[key].float() + two[key].float()) / 2 for key in one}, half=True)
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    for name in ("newer", "older", "out"):
        parser.add_argument(name, type=Path)
    options = parser.parse_args()
    newer, older = read_bundle(options.newer), read_bundle(options.older)
    kept = {name: newer.weights(name) for name in (newer.card.coarse.weights if newer.card.coarse else ())}
    learned = sorted({*newer.card.training.get("trained_on", ()), *older.card.training.get("trained_on", ())})
    training = newer.card.training | {"mean_of_weights_with": f"{older.card.name}@{older.card.version}"} | ({"trained_on": learned} if learned else {})
    # The validation's score is the training's last weights', not the mean's.
    card = replace(newer.card, training=training, scores={}, doubt=None, files={})
    print(write_bundle(card, {**mean_of(newer, older), **kept}, options.out).card.name)


if __name__ == "__main__":
    main()

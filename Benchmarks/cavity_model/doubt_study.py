"""The calibration of a doubt, and how often it is right: for `doubt.py`."""

from __future__ import annotations

import csv
import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from unittest.mock import patch

import doubt_scans as scans
import numpy as np
from scipy.optimize import nnls
from split import divide

from LAScarSegLib.anatomy import likeness
from LAScarSegLib.anatomy.masks import Mask
from LAScarSegLib.anatomy.shape import CavityShape, shape_of
from LAScarSegLib.models.card import ModelCard
from LAScarSegLib.models.doubt_calibration import DoubtCalibration, Measure
from LAScarSegLib.support.doubt import DO_NOT_USE, GOOD, WORDS
from LAScarSegLib.volumes.files import read_volume

Row = dict[str, object]
BAD, SOUND = 0.70, 0.90
"""Dice below which a result must be caught, and above which an LGE result must not be."""
CHOSEN = {
    "scaled_overlap": -1, "scaled_unsure_mm": 1, "moved_overlap": -1, "unsure_mm": 1, "sureness": -1, "unlikeness": 1,
    "better_turned": 1, "edge_agreement": -1, "uneven_blood": 1, "at_border": 1,
}  # fmt: skip
"""Measures, and whether high (1) or low (−1) values speak against a cavity."""
SOUND_ENOUGH = 0.88
USUAL_PCT, WORST_PCT, LEAST_WIDTH = 85.0, 50.0, 2.0
"""A measure begins to count where 15 % of results with Dice above 0.88 lie beyond, and counts wholly from the median of bad ones on; the way
between is at least twice as long as from the median of the sound ones to where it begins."""
SHORTEST = 0.01
RIDGE, PRIOR = 200.0, 1.0
"""Weights are drawn to one and the same: with few bad scans, what is as clear as an overlap of 0.3 must count although others tell it too."""
CLIP = (0.03, 0.95)
"""Dice beyond are as bad, or as good: the logit has no end."""
MOST_KNOTS = 6
LOOK_PCT, SAFE_PCT, MARGIN = 2.5, 98.0, 0.05
"""Of sound LGE results so many may be looked at; of bad ones so many must be caught, with a margin in Dice; both by fits without their patient."""
SHRINKING = 0.4
"""Of the shapes' covariance: between 0.2 and 0.5 as many wrong orientations are told at 2 % false alarms."""
TEXTS = ("collection", "name", "group", "kind")


def read(table: Path) -> list[Row]:
    with table.open(newline="", encoding="utf-8") as file:
        return [
            {key: value if key in TEXTS else float(value) if value else np.nan for key, value in row.items()} for row in csv.DictReader(file)
        ]


def found(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row["refused"]]


def dice_of(rows: Sequence[Row]) -> np.ndarray:
    return np.array([row["dice"] for row in rows], dtype=float)


# --- fitting ------------------------------------------------------------------------------------------------------------------------------


def fit(rows: Sequence[Row], thresholds: tuple[float, float] = (0.0, 0.0)) -> DoubtCalibration:
    """Weights ≥ 0 by least squares on the logit of Dice, then the Dice that falls with the score (isotonic), in LGE."""
    rows, dice = found(rows), dice_of(found(rows))
    measures = [_range(name, sign, rows, dice) for name, sign in CHOSEN.items()]
    against = np.array([[m.against(float(row[m.name])) for m in measures] for row in rows])
    wanted = np.log(np.clip(dice, *CLIP) / (1 - np.clip(dice, *CLIP)))
    # Bad and sound results weigh the same in sum.
    weight = np.where(dice < BAD, 1 / max((dice < BAD).sum(), 1), 1 / max((dice >= BAD).sum(), 1)) * len(rows) / 2
    root = np.sqrt(weight)[:, None]
    design = np.column_stack([np.ones(len(rows)), -against]) * root
    ridge = np.diag([0.0, *[np.sqrt(RIDGE)] * len(measures)])
    drawn = np.array([0.0, *[np.sqrt(RIDGE) * PRIOR] * len(measures)])
    weights, _ = nnls(np.vstack([design, ridge]), np.concatenate([wanted * root[:, 0], drawn]))
    used = tuple(replace(m, weight=round(float(w), 3)) for m, w in zip(measures, weights[1:]))
    score = np.array([sum(m.against(float(row[m.name])) for m in used) for row in rows])
    # What is promised is the Dice in LGE: other scans have their part in the weights and in the words.
    lge = np.array([bool(row["lge"]) for row in rows])
    scores, values = _knots(score[lge], dice[lge])
    return DoubtCalibration(used, scores, values, *thresholds)


def _range(name: str, sign: int, rows: Sequence[Row], dice: np.ndarray) -> Measure:
    values = np.array([row[name] for row in rows], dtype=float) * sign
    middle, usual = np.percentile(values[dice > SOUND_ENOUGH], [50, USUAL_PCT])
    worst = max(np.percentile(values[dice < BAD], WORST_PCT), usual + LEAST_WIDTH * (usual - middle), usual + SHORTEST)
    return Measure(name, round(float(usual * sign), 3), round(float(worst * sign), 3), 1.0)


def _knots(score: np.ndarray, dice: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Means of groups of equal size along the score, made to fall by pooling neighbours."""
    order = np.argsort(score, kind="stable")
    groups = [g for g in np.array_split(order, MOST_KNOTS * 2) if len(g)]
    blocks: list[list[float]] = []
    for group in groups:
        blocks.append([float(score[group].mean()), float(dice[group].mean()), float(len(group))])
        while len(blocks) > 1 and (blocks[-1][1] >= blocks[-2][1] or blocks[-1][0] <= blocks[-2][0] + 1e-3):
            b, a = blocks.pop(), blocks.pop()
            n = a[2] + b[2]
            blocks.append([(a[0] * a[2] + b[0] * b[2]) / n, (a[1] * a[2] + b[1] * b[2]) / n, n])
    if len(blocks) == 1:
        blocks.append([blocks[0][0] + 1.0, 0.0, 1.0])
    return tuple(round(b[0], 3) for b in blocks), tuple(round(b[1], 3) for b in blocks)


def out_of_fold(rows: Sequence[Row], folds: int = 8) -> np.ndarray:
    """Expected Dice of each found row, by a calibration that did not see its patient."""
    rows = found(rows)
    groups = sorted({str(row["group"]) for row in rows})
    expected = np.zeros(len(rows))
    for number in range(folds):
        left = set(groups[number::folds])
        calibration = fit([row for row in rows if row["group"] not in left])
        for n, row in enumerate(rows):
            if row["group"] in left:
                expected[n] = calibration.expected_dice(calibration.score(row))
    return expected


def thresholds_for(rows: Sequence[Row], expected: np.ndarray) -> tuple[float, float]:
    """(do not use below, look below), from expectations that did not see the patient."""
    rows, dice = found(rows), dice_of(found(rows))
    sound = (dice > SOUND) & np.array([bool(row["lge"]) for row in rows])
    look = float(np.percentile(expected[sound], LOOK_PCT))
    caught = float(np.percentile(expected[dice < BAD], SAFE_PCT)) + MARGIN
    return round(min(caught, look), 3), round(look, 3)


def fit_and_tell(table: Path, bundle: Path | None) -> None:
    rows = read(table)
    expected = out_of_fold(rows)
    calibration = fit(rows, thresholds_for(rows, expected))
    print("left out by patient:")
    tell(rows, calibration, dict(zip(map(id, found(rows)), expected)))
    print("fitted on the same:")
    tell(rows, calibration)
    for measure in calibration.measures:
        print(measure)
    print(calibration.scores, calibration.dice, calibration.do_not_use_below, calibration.look_below)
    if bundle:
        write(replace(calibration, made=_made(rows)), bundle)


def _made(rows: Sequence[Row]) -> dict[str, object]:
    return {
        "scans": "11 scans of 10 patients of the 2018 challenge that no version has learned from, CARMA's example, 4 scans of msd_heart (King's "
        "College London) that were left out of the training, 4 phantoms, each also damaged",
        "counts": {
            "scans": len(rows), "found": len(found(rows)), "bad": int((dice_of(found(rows)) < BAD).sum()),
            "patients": len({row["group"] for row in rows}),
        },
        "program": "Benchmarks/cavity_model/doubt.py", "date": date.today().isoformat(),
    }  # fmt: skip


def write(calibration: DoubtCalibration, bundle: Path) -> None:
    path = bundle / "model.json"
    card = replace(ModelCard.from_json(json.loads(path.read_text(encoding="utf-8"))), doubt=calibration)
    path.write_text(json.dumps(card.to_json(), indent=2) + "\n", encoding="utf-8")


# --- shapes -------------------------------------------------------------------------------------------------------------------------------


def write_shapes(data: Path, module: Path) -> None:
    """The training's cavities as a module, and how many of all 80 would be remarked on with their own patient left out."""
    patients = scans.patients_of(data)
    names = sorted(path.name for path in (data / "la2018").iterdir() if path.is_dir())
    shapes = {name: _shape(data / "la2018" / name / "cavity.nii.gz") for name in names}
    training, _ = divide(names)
    module.write_text(_as_module(*_statistics([shapes[n].vector for n in training])), encoding="utf-8")
    alarms = []
    for name in names:
        mean, whitening = _statistics([shapes[n].vector for n in names if patients[n] != patients[name]])
        alarms.append(alarm_of(shapes[name], np.array(mean), np.array(whitening)))
    print(f"remarked on with their patient left out: {wilson(sum(alarms), len(alarms))}: {', '.join(n for n, a in zip(names, alarms) if a)}")


def alarm_of(shape: CavityShape, mean: np.ndarray, whitening: np.ndarray) -> bool:
    """Whether `anatomy.likeness.remarks_on_mask` would remark on a shape, by these statistics."""
    with patch.multiple(likeness, MEAN=mean, WHITENING=whitening):
        distance = likeness.unlikeness(shape)
        return distance > likeness.MOST_UNLIKENESS or likeness.more_like_turned(shape).unlikeness < distance - likeness.CLEARLY_MORE_LIKE


def _shape(path: Path) -> CavityShape:
    volume = read_volume(path)
    return shape_of(Mask.of(volume.array), volume.geometry)


def _statistics(vectors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean, and W with W' W the inverse of the covariance, which is shrunk to its diagonal: 21 numbers from 63 cavities."""
    covariance = np.cov(np.array(vectors).T)
    covariance = (1 - SHRINKING) * covariance + SHRINKING * np.diag(np.diag(covariance))
    return np.mean(vectors, axis=0), np.linalg.cholesky(np.linalg.inv(covariance)).T


def _as_module(mean: np.ndarray, whitening: np.ndarray) -> str:
    def numbers(values: np.ndarray, indent: int) -> str:
        words = ", ".join(f"{v:.3f}".rstrip("0").rstrip(".") if abs(v) >= 5e-4 else "0" for v in values) + ","
        return textwrap.indent("\n".join(textwrap.wrap(words, 138 - indent)), " " * indent)

    rows = "\n".join(f"    (\n{numbers(row, 8)}\n    )," for row in whitening)
    about = (
        '"""What left atria look like: the mean of `CavityShape.vector` over the 63 cavities that la-cavity 1.0 learned from, and how they '
        f"vary.\n\nMade by `python Benchmarks/cavity_model/doubt.py shapes`; the covariance is shrunk to its diagonal by {SHRINKING},\n"
        "its inverse is WHITENING' · WHITENING.\n"
        '"""\n'
    )
    return f"{about}\nMEAN = (\n{numbers(mean, 4)}\n)  # fmt: skip\nWHITENING = (\n{rows}\n)  # fmt: skip\n"


# --- telling ------------------------------------------------------------------------------------------------------------------------------


def wilson(hits: int, of: int) -> str:
    """"h of n, share (95 % interval)"."""
    if not of:
        return "0 of 0"
    p, z = hits / of, 1.96
    middle, half = (p + z * z / 2 / of) / (1 + z * z / of), z * np.sqrt(p * (1 - p) / of + z * z / 4 / of / of) / (1 + z * z / of)
    return f"{hits} of {of}, {100 * p:.1f} % ({100 * (middle - half):.0f}–{100 * (middle + half):.0f})"


def bootstrap(values: np.ndarray) -> str:
    """Mean and its 95 % interval."""
    if not len(values):
        return "–"
    means = np.random.default_rng(0).choice(values, (2000, len(values))).mean(axis=1)
    return f"{values.mean():.3f} ({np.percentile(means, 2.5):.3f}–{np.percentile(means, 97.5):.3f})"


def words_of(rows: Sequence[Row], calibration: DoubtCalibration, expected: dict[int, float] | None = None) -> list[tuple[Row, str, float]]:
    """(row, word, expected Dice); "refused" where the model found no atrium."""
    said = []
    for row in rows:
        if row["refused"]:
            said.append((row, "refused", 0.0))
            continue
        value = expected[id(row)] if expected else calibration.expected_dice(calibration.score(row))
        said.append((row, WORDS[0 if value >= calibration.look_below else 1 if value >= calibration.do_not_use_below else 2], value))
    return said


def tell(rows: Sequence[Row], calibration: DoubtCalibration, expected: dict[int, float] | None = None) -> None:
    said = words_of(rows, calibration, expected)
    sets = ["all", *dict.fromkeys(str(row["collection"]) for row in rows)]
    for name in sets:
        part = [entry for entry in said if name in ("all", entry[0]["collection"])]
        bad = [word for row, word, _ in part if row["dice"] < BAD]
        sound = [word for row, word, _ in part if row["dice"] > SOUND and row["lge"]]
        print(f"{name}: {len(part)} results, {sum(w == 'refused' for _, w, _ in part)} refused")
        print(f"  Dice < {BAD}: do not use or refused {wilson(sum(w in (DO_NOT_USE, 'refused') for w in bad), len(bad))}; called good {bad.count(GOOD)}")
        print(f"  LGE with Dice > {SOUND}: not good {wilson(sum(w != GOOD for w in sound), len(sound))}; do not use {sound.count(DO_NOT_USE)}")
        between = [word for row, word, _ in part if BAD <= row["dice"] <= SOUND]
        print(f"  between: {', '.join(f'{w} {between.count(w)}' for w in (*WORDS, 'refused'))}")
        clean = [abs(row["dice"] - value) for row, word, value in part if _is_clean(row) and word != "refused"]
        print(f"  expected against true Dice, clean unseen LGE ({len(clean)}): mean error {bootstrap(np.array(clean))}")
    for row, word, value in sorted(said, key=lambda entry: entry[0]["dice"]):
        wrong = (row["dice"] < BAD and word not in (DO_NOT_USE, "refused")) or (row["dice"] > SOUND and row["lge"] and word != GOOD)
        if wrong:
            parts = sorted(((m.against(float(row[m.name])), m.name, row[m.name]) for m in calibration.measures), reverse=True)[:4]
            told = (f"{name} {measured:.2f} ({against:.2f})" for against, name, measured in parts)
            print(f"  ! {row['collection']} {row['name']} {row['kind']}: Dice {row['dice']:.3f}, expected {value:.2f}, {word}:", *told)


def draw_curve(rows: Sequence[Row], calibration: DoubtCalibration, picture: Path) -> None:
    """How many results are kept, the most trusted first, against what is wrong with those that are kept; LGE, and all."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.6), sharex=True)
    for name, colour, part in (("all", "#5a6770", rows), ("LGE", "#b8320e", [row for row in rows if row["lge"]])):
        said = sorted(words_of([row for row in part if not row["refused"]], calibration), key=lambda entry: -entry[2])
        dice, words = dice_of([row for row, _, _ in said]), [word for _, word, _ in said]
        kept = np.arange(1, len(dice) + 1)
        coverage = 100.0 * kept / len(dice)
        for panel, wrong in zip(panels, (np.cumsum(1.0 - dice) / kept, 100.0 * np.cumsum(dice < BAD) / kept)):
            panel.plot(coverage, wrong, color=colour, label=f"{name} ({len(dice)} results)")
            # Where the words end.
            for last, mark in ((words.count(GOOD), "o"), (len(words) - words.count(DO_NOT_USE), "s")):
                panel.plot(coverage[last - 1], wrong[last - 1], mark, color=colour, markersize=5, fillstyle="full" if mark == "o" else "none")
    panels[0].set(ylabel="mean 1 − Dice of what is kept", ylim=(0.0, None))
    panels[1].set(ylabel=f"Dice below {BAD:g}, % of what is kept", ylim=(-0.3, None))
    for panel in panels:
        panel.set(xlabel="kept, % of results, the most trusted first", xlim=(0, 100))
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, loc="upper left")
    figure.text(0.5, 0.01, "dot: the last that is called good; square: the last before do not use", ha="center", fontsize=8, color="#5a6770")
    figure.tight_layout(rect=(0, 0.05, 1, 1))
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _is_clean(row: Row) -> bool:
    """A patient's LGE scan as it is, of a patient that the training has not seen."""
    return bool(row["kind"] == "clean" and row["unseen"] and row["lge"] and row["collection"] != "phantom")


def draw(out: Path, which: str, names: Sequence[str], calibration: DoubtCalibration, picture: Path) -> None:
    """Three slices of each (`NAME_KIND`): what the model found in red, the truth in green, the word and the reasons above."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = {f"{row['name']}_{row['kind']}": row for row in read(out / f"{which}.csv")}
    figure, axes = plt.subplots(len(names), 4, figsize=(13, 2.9 * len(names)), squeeze=False)
    for panels, name in zip(axes, names):
        stored, row = np.load(out / which / f"{name}.npz"), rows[name]
        doubt = calibration.doubt({key: value for key, value in row.items() if isinstance(value, float)})
        grey, mask, truth = stored["grey"], stored["mask"] > 0, stored["truth"] > 0
        seen = np.argwhere(mask)
        places = [np.percentile(seen[:, axis], pct).astype(int) for axis, pct in ((0, 25), (0, 60), (1, 50), (2, 50))]
        for panel, axis, place in zip(panels, (0, 0, 1, 2), places):
            image, found, true = (np.take(part, place, axis=axis) for part in (grey, mask, truth))
            shape = [s for a, s in enumerate(stored["spacing"]) if a != axis]
            panel.imshow(image, cmap="gray", vmax=np.percentile(grey, 99.5), aspect=shape[0] / shape[1], origin="upper" if axis == 0 else "lower")
            for part, colour in ((true, "#00e676"), (found, "#ff1744")):
                if part.any():
                    panel.contour(part, levels=[0.5], colors=colour, linewidths=0.9)
            panel.axis("off")
        said = f"{name}: Dice {row['dice']:.2f}; {doubt.word}, expected {doubt.expected_dice:.2f}. {' '.join(doubt.reasons)}"
        panels[0].set_title("\n".join(textwrap.wrap(said, 190)), fontsize=7, loc="left")
    figure.subplots_adjust(0.01, 0.0, 0.99, 0.98, wspace=0.02, hspace=0.25)
    figure.savefig(picture, dpi=80)
    plt.close(figure)

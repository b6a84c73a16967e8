"""Docs/ablation.md from the result of `ablation.py`: every number in it comes from the JSON."""

from __future__ import annotations

from pathlib import Path

NAMES = {
    "plain": "`plain`: nnU-Net on the scan",
    "sdm": "`sdm`: + the two distance maps",
    "sdm_roi": "`sdm_roi`: + losses in the wall",
    "full": "`full`: + uncertainty band",
}
COLUMNS = {
    "dice": ("Dice", 3), "assd_mm": ("ASSD, mm", 2), "centroid_error_mm": ("centroid error, mm", 2), "surface_dice": ("surface Dice, 2 mm", 3),
    "mesh_dice": ("mesh Dice", 3), "fp_in_cavity_pct": ("FP in the cavity, %", 1), "fp_outside_wall_pct": ("FP outside the wall, %", 1),
    "fn_inside_wall_pct": ("FN inside the wall, %", 1),
}  # fmt: skip
"""Metrics, their headings, decimals."""
PAPER = {"plain": "52.4", "sdm": "53.8", "sdm_roi": "58.4", "full": "61.1"}
"""Table I: Dice in % on 12 patients."""

HEAD = """# Ablation of two_stage_sdm on phantoms

Written by `python Benchmarks/scar_networks/ablation.py --out DIR --document` from `Benchmarks/scar_networks/ablation.json`.

**Simulated scans.** These scores say which part of the method changes what on phantoms; they are not put beside scores on patients, and
the size of a difference is not the paper's. What can be compared is the order.

"""
SETUP = """{count} networks: {seeds} seeds of each variant, {steps} steps of two patches each, on {training} phantoms (of these a sixth is kept for the
checkpoint's score) and their true cavities. The network is small ({features} features, patches of {patch} voxels of {spacing} mm) and its training
short: the paper trains some 600 times longer. Measured on {heldout} other phantoms, with their true cavities, by `lascarseg evaluate`'s code;
a seed's phantoms, learning rate and augmentation are the same for all variants of one seed but for the patches that a batch starts from.
"""
TAIL = """
Intervals are 95 % bootstrap intervals over the held-out phantoms, of the mean over seeds; they don't know how much other training phantoms
would change. The rates are table II's (Docs/evaluation.md). `sdm_roi` and `full` set what lies outside their region to 0: that they have
little outside the wall is partly so by construction. `n` beside a value: phantoms that have it (an empty prediction has no distances).
"""


def write_document(result: dict, path: Path) -> None:
    """Write the tables; every variant needs the same seeds, or the page says which it has."""
    seeds = {variant: len(found) for variant, found in result["seeds"].items()}
    lengths = result["network"]
    by = " × ".join
    setup = SETUP.format(
        count=sum(seeds.values()), seeds=_seeds_text(seeds), steps=result["steps"], training=result["training"], heldout=result["heldout"],
        features=", ".join(map(str, lengths["features"])), patch=by(map(str, lengths["patch_kji"])),
        spacing=by(f"{s:g}" for s in lengths["spacing_kji_mm"]),
    )  # fmt: skip
    parts = [HEAD, setup, "\n## Means with intervals\n\n", _table(result), "\n## Difference from `plain`\n\n", _differences(result), TAIL]
    path.write_text("".join((*parts, "\n## Mean of each seed\n\n", _seed_table(result), "\n", _order(result))), encoding="utf-8")


def _seeds_text(seeds: dict[str, int]) -> str:
    if len(set(seeds.values())) == 1:
        return str(next(iter(seeds.values())))
    return ", ".join(f"{count} ({variant})" for variant, count in seeds.items())


def _table(result: dict) -> str:
    rows = [["", *(heading for heading, _ in COLUMNS.values())]]
    for variant, summary in result["summary"].items():
        rows.append([NAMES[variant], *(_value(summary[key], decimals) for key, (_, decimals) in COLUMNS.items())])
    return _markdown(rows)


def _value(summary: dict, decimals: int) -> str:
    if summary["mean"] is None:
        return "–"
    text = f"{summary['mean']:.{decimals}f}"
    if summary["low"] is not None:
        text += f" ({summary['low']:.{decimals}f} – {summary['high']:.{decimals}f})"
    return text + (f", n = {summary['n']}" if summary["n"] < summary["cases"] else "")


def _differences(result: dict) -> str:
    rows = [["median over phantoms", *(heading for heading, _ in COLUMNS.values())]]
    for variant, comparison in result["minus_plain"].items():
        cells = []
        for key, (_, decimals) in COLUMNS.items():
            c = comparison[key]
            known = c["median_difference"] is not None
            text = f"{c['median_difference']:+.{decimals}f}" if known else "–"
            cells.append(text + (f" ({c['low']:+.{decimals}f} – {c['high']:+.{decimals}f})" if known and c["low"] is not None else ""))
        rows.append([f"`{variant}`", *cells])
    return _markdown(rows)


def _seed_table(result: dict) -> str:
    shown = ("dice", "assd_mm", "surface_dice")
    rows = [["", "seed", *(COLUMNS[key][0] for key in shown)]]
    for variant, seeds in result["seed_means"].items():
        for seed, means in seeds.items():
            rows.append([f"`{variant}`", seed, *("–" if means[key] is None else f"{means[key]:.{COLUMNS[key][1]}f}" for key in shown)])
    return _markdown(rows)


def _order(result: dict) -> str:
    """The order by Dice beside the paper's."""
    dice = {variant: summary["dice"]["mean"] for variant, summary in result["summary"].items()}
    ours = " < ".join(f"`{v}` {dice[v]:.3f}" for v in sorted(dice, key=dice.get))
    theirs = " < ".join(f"`{variant}` {value} %" for variant, value in PAPER.items())
    same = sorted(dice, key=dice.get) == [variant for variant in PAPER if variant in dice]
    return f"Order by mean Dice here: {ours}. In the paper, on patients: {theirs}. {'The same order.' if same else 'Not the same order.'}\n"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join((head, "|" + "---|" * len(rows[0]), *body)) + "\n"

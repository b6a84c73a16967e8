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
    "dice": ("Dice", 3),
    "assd_mm": ("ASSD, mm", 2),
    "centroid_error_mm": ("centroid error, mm", 2),
    "surface_dice": ("surface Dice, 2 mm", 3),
    "mesh_dice": ("mesh Dice", 3),
    "fp_in_cavity_pct": ("FP in the cavity, %", 1),
    "fp_outside_wall_pct": ("FP outside the wall, %", 1),
    "fn_inside_wall_pct": ("FN inside the wall, %", 1),
}
"""Metrics, their headings, decimals."""
PAPER_ORDER = ("plain", "sdm", "sdm_roi", "full")
"""Table I, by Dice, from the lowest; its scores are patients' and don't belong here."""

HEAD = """# Ablation of two_stage_sdm on phantoms

Written by `python Benchmarks/scar_networks/ablation.py --out DIR --document` from `Benchmarks/scar_networks/ablation.json`.

**Simulated scans.** These scores say which part of the method changes what on phantoms; they are not put beside scores on patients, and
the size of a difference is not the paper's. What can be compared is the order.

"""
PAPER_STEPS = 350 * 250
"""Epochs of the scar stage, and nnU-Net's steps of each."""
SETUP = """{count} networks: {seeds} seeds of each variant, {steps} steps of two patches each, on five sixths of {training} phantoms and
their true cavities; variants of one seed see the same patches in the same order. The network is small ({features} features,
patches of {patch} voxels of {spacing} mm) and its training very short: the paper's is {ratio} times longer. Measured on
{heldout} other phantoms, with their true cavities, with the code of `lascarseg evaluate`.
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
        spacing=by(f"{s:g}" for s in lengths["spacing_kji_mm"]), ratio=f"{PAPER_STEPS / result['steps']:.0f}",
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
    """The order by Dice, and whether it is the paper's."""
    dice = {variant: summary["dice"]["mean"] for variant, summary in result["summary"].items()}
    ours = sorted(dice, key=lambda variant: dice[variant])
    same = ours == [variant for variant in PAPER_ORDER if variant in dice]
    listed = [" < ".join(f"`{variant}`" for variant in order) for order in (ours, PAPER_ORDER)]
    verdict = "the same order" if same else "not the same order"
    return f"By mean Dice alone, whatever the intervals say: {listed[0]}. The paper has {listed[1]}: {verdict}.\n"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join((head, "|" + "---|" * len(rows[0]), *body)) + "\n"

"""Docs/ablation.md from the results of `ablation.py` and `evaluate.py`: every number in it comes from their JSON files.

    python Benchmarks/scar_networks/document.py
"""

from __future__ import annotations

import json
from pathlib import Path

from layout import PRESETS, ROOT, SYSTEMS

HERE = Path(__file__).parent

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
NETWORK_COLUMNS = ("surface_dice", "mesh_dice", "dice", "assd_mm", "centroid_error_mm", "fp_outside_wall_pct", "fn_inside_wall_pct")
AGAINST_COLUMNS = ("surface_dice", "mesh_dice", "dice")
CAVITY_COLUMNS = ("dice", "surface_dice", "assd_mm")
NETWORKS = """## Networks and rules, preset `{preset}`

{heldout} held-out phantoms, through the job of `lascarseg run`. Everything is scored against the phantom's true scar or cavity; means with
95 % bootstrap intervals over phantoms; what each column measures: [evaluation.md](evaluation.md). Networks differ in steps and patches:
the tables compare each with the rules, not one system with the other.
"""
CAVITIES = """
**Cavities found.** These networks know the atrium and what lies next to it. Where it is, a run is told by a region of interest, as a user
draws it (here the true atrium's box and a margin: a help that the network doesn't have in a whole field of view), or by a coarse network.

"""
SCARS = """
**Scars.** Cavity `truth`: the true one; else the one that this model found in the same scan, by name: then the whole pipeline is measured.
Scar networks were trained on true cavities. The rules are the best of all rules and thresholds on the {training} training phantoms with
true cavities, a tuning that no clinic could do: {tuned}.
As in every run, scar is looked for in the wall around the given cavity only (2.5 mm thick); the columns FP and FN count in table II's band,
2 mm to both sides of the true cavity's border within each slice, which is not the same.

"""
AGAINST = """
A found cavity's border is off by its ASSD, and the wall around it with it: voxel Dice and the FP and FN columns feel that most. Network
minus rule, paired, median over phantoms with its 95 % interval; one that holds 0 leaves the question open. A network in a found cavity is
compared with the rule in the same cavity, and with the rules in the true one, which are given what the pipeline has to find.

"""
NO_CAVITY = """
There is no cavity network of {systems} yet; its scar network works in the other system's cavities.
"""
NO_ABLATION = """## The ablation of two_stage_sdm

Not run yet; the README says what it takes. Nothing on this page says what the distance maps, the losses in the wall and the uncertainty
band of two_stage_sdm add.
"""
PAPER_ORDER = ("plain", "sdm", "sdm_roi", "full")
"""Table I, by Dice, from the lowest; its scores are patients' and don't belong here."""

HEAD = """# Scar networks on phantoms

Written by `python Benchmarks/scar_networks/document.py` from the JSON files beside it, which the scripts there make.

**Simulated scans.** Every score here is a phantom score. It proves that networks train, are packaged and run, and says what a change of
method changes on phantoms; it says nothing about patients, and is not put beside scores on patients. How to repeat it, and what is still
missing: [Benchmarks/scar_networks](../Benchmarks/scar_networks/README.md).
"""
SHORT = """So short a training asks how soon a variant learns as much as what it can learn: cross-entropy + Dice over the whole patch calls
everything healthy for the first hundreds of steps (a network that found nothing has a Dice of 0 in the table of seeds), losses within
the wall do not. That distance maps and region would still be ahead by as much after the paper's training is not shown here.
"""
"""Of a few hundred steps."""
ABLATION = "## The ablation of two_stage_sdm\n\n"
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


def main() -> None:
    parts = [HEAD]
    for preset in PRESETS:
        file = HERE / f"scores-{preset}.json"
        parts += [networks_text(json.loads(file.read_text(encoding="utf-8")))] if file.is_file() else []
    file = HERE / "ablation.json"
    parts += [ablation_text(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else NO_ABLATION]
    (ROOT / "Docs" / "ablation.md").write_text("\n".join(parts), encoding="utf-8")


def networks_text(result: dict) -> str:
    """Networks of one preset and the best rules, on the same held-out phantoms."""
    tuned = ", ".join(f"`{_rule(best)}` by {COLUMNS[key][0]} ({best['mean']:.3f} there)" for key, best in result["rules"].items())
    parts = [NETWORKS.format(preset=result["preset"], heldout=result["heldout"])]
    if result["cavities"]:
        parts += [CAVITIES, _cavity_table(result["cavities"])]
        without = [s for s in SYSTEMS if not any(found["name"].startswith(s) for found in result["cavities"])]
        parts += [NO_CAVITY.format(systems=f"`{without[0]}`")] if without else []
    parts += [SCARS.format(training=result["training"], tuned=tuned), _scar_table(result["methods"])]
    return "".join((*parts, AGAINST, _against_table(result["methods"])))


def _cavity_table(cavities: list[dict]) -> str:
    rows = [["cavity", "steps", "patch", "told where by", *(COLUMNS[key][0] for key in CAVITY_COLUMNS)]]
    for found in cavities:
        roi, values = found.get("roi_margin_mm"), [_value(found["summary"][key], COLUMNS[key][1]) for key in CAVITY_COLUMNS]
        where = f"coarse network, {found['coarse_steps']} steps" if roi is None else f"region of interest, margin {roi:g} mm"
        rows.append([f"`{found['name']}`", *_training(found), where, *values])
    return _markdown(rows)


def _scar_table(methods: list[dict]) -> str:
    rows = [["cavity", "scar", "steps", "patch", *(COLUMNS[key][0] for key in NETWORK_COLUMNS)]]
    for method in methods:
        training = ["–", "–"] if method["is_rule"] else _training(method)
        values = [_value(method["summary"][key], COLUMNS[key][1]) for key in NETWORK_COLUMNS]
        rows.append([f"`{method['cavity']}`", f"`{method['name']}`", *training, *values])
    return _markdown(rows)


def _against_table(methods: list[dict]) -> str:
    rows = [["cavity", "network", "rule", "cavity of the rule", *(COLUMNS[key][0] for key in AGAINST_COLUMNS)]]
    for method in methods:
        for rule in method.get("minus", ()):
            names = [f"`{name}`" for name in (method["cavity"], method["name"], rule["rule"], rule["cavity"])]
            rows.append(names + [_difference(rule["metrics"][key], COLUMNS[key][1]) for key in AGAINST_COLUMNS])
    return _markdown(rows)


def _training(network: dict) -> list[str]:
    return [_numbers(network["steps"]), " × ".join(map(str, network["patch_kji"]))]


def _numbers(values: int | list[int]) -> str:
    return ", ".join(map(str, values)) if isinstance(values, list) else str(values)


def _rule(best: dict) -> str:
    return best["rule"] if best["threshold"] is None else f"{best['rule']} {best['threshold']:g}"


def ablation_text(result: dict) -> str:
    """The tables of the ablation; every variant needs the same seeds, or the text says which it has."""
    seeds = {variant: len(found) for variant, found in result["seeds"].items()}
    lengths = result["network"]
    by = " × ".join
    setup = SETUP.format(
        count=sum(seeds.values()), seeds=_seeds_text(seeds), steps=result["steps"], training=result["training"], heldout=result["heldout"],
        features=", ".join(map(str, lengths["features"])), patch=by(map(str, lengths["patch_kji"])),
        spacing=by(f"{s:g}" for s in lengths["spacing_kji_mm"]), ratio=f"{PAPER_STEPS / result['steps']:.0f}",
    )  # fmt: skip
    parts = [ABLATION, setup, "\nMeans with intervals:\n\n", _table(result)]
    parts += ["\nMinus `plain`, median over phantoms:\n\n", _differences(result)]
    return "".join((*parts, TAIL, "\nMeans of each seed:\n\n", _seed_table(result), "\n", _order(result)))


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
    rows = [["", *(heading for heading, _ in COLUMNS.values())]]
    for variant, comparison in result["minus_plain"].items():
        rows.append([f"`{variant}`", *(_difference(comparison[key], decimals) for key, (_, decimals) in COLUMNS.items())])
    return _markdown(rows)


def _difference(compared: dict, decimals: int) -> str:
    if compared["median_difference"] is None:
        return "–"
    text = f"{compared['median_difference']:+.{decimals}f}"
    return text if compared["low"] is None else f"{text} ({compared['low']:+.{decimals}f} – {compared['high']:+.{decimals}f})"


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
    missing = [f"`{variant}`" for variant in PAPER_ORDER if variant not in dice]
    partly = f" Not run: {', '.join(missing)}." if missing else ""
    return f"By mean Dice alone, whatever the intervals say: {listed[0]}. The paper has {listed[1]}: {verdict}.{partly}\n\n{SHORT}"


def _markdown(rows: list[list[str]]) -> str:
    head, *body = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join((head, "|" + "---|" * len(rows[0]), *body)) + "\n"


if __name__ == "__main__":
    main()

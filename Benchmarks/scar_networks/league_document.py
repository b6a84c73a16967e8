"""Docs/league.md and its picture from league.json: every number in them comes from there.

    python Benchmarks/scar_networks/league_document.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from layout import ROOT
from matplotlib.figure import Figure

sys.path.insert(0, str(ROOT))

from LAScarSegLib.evaluation.statistics import Summary, summarise

HERE = Path(__file__).parent
PICTURE = "images/league.png"
METRICS = {
    "surface_dice": ("surface Dice, 2 mm", 3), "challenge_gdice": ("GDice", 3), "scar_area_difference_pct": ("scar, points of % off", 1),
}  # fmt: skip
SYSTEM_COLOUR, FOUND_COLOUR, RULE_COLOUR = "#cf3a12", "#f2b04e", "#4a7fa8"
HEAD = """# The league: five systems and three rules on the same phantoms

**Phantom scores: simulated scans, not patients. They say that each way works from training to result, not which is better in a clinic.**
Made by `Benchmarks/scar_networks/league.py` and `league_document.py`.

Each system is trained with its preset for a processor, whose stages are meant to take five minutes of two cores or less. The machine had other work to do, and some trainings took up
to four times as long for the same steps; the table has the steps, and the processor minutes that they really took. Trained on {training} phantoms and their true cavities, and measured on {heldout} others through the job of `lascarseg run`. Scar is measured in true cavities, as the rules are, and in
those that the system's own network found inside a region of interest. The rules are the three with the best surface Dice on the training phantoms,
each with the number that was best there: a tuning that no clinic could do. Means, in brackets their 95 % bootstrap intervals over phantoms.

![Surface Dice of each system and rule]({picture})

"""
NOTES = """
GDice: as LAScarQS counts it, background included, so that finding nothing has 0.87 here. Scar, points of % off: found minus true share of the surface. Seconds: of a
processor, for cavity and scar together; of a rule with the cavity given. Parameters: of all networks in use.

{words}
"""


def cell(values: list[float | None], decimals: int) -> str:
    told: Summary = summarise(values)
    if told.mean is None:
        return "–"
    ends = "" if told.low is None else f" ({told.low:.{decimals}f} – {told.high:.{decimals}f})"
    return f"{told.mean:.{decimals}f}{ends}"


def table(league: dict) -> str:
    heads = ["", "cavity Dice", *(f"{name}, true cavity" for name, _ in METRICS.values()), "surface Dice, found cavity", "s a scan", "parameters",
             "training steps", "processor minutes"]  # fmt: skip
    rows = [heads, ["---"] * len(heads)]
    for row in (*league["systems"], *league["rules"]):
        rule = row.get("rule", False)
        rows.append(
            [
                f"rule `{row['name']}`" if rule else f"`{row['name']}`", "given" if rule else cell(row["cavity_dice"], 3),
                *(cell(row["in_true_cavity"][key], decimals) for key, (_, decimals) in METRICS.items()),
                "" if rule else cell(row["in_found_cavity"]["surface_dice"], 3), f"{row['seconds_a_scan']:.1f}",
                "" if rule else f"{row['parameters'] / 1e6:.2f} million",
                "" if rule else ", ".join(f"{stage} {sum(steps)}" for stage, steps in row["steps"].items()),
                "" if rule else ", ".join(f"{seconds / 60:.1f}" for seconds in row["processor_seconds"].values()),
            ]
        )  # fmt: skip
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def words(league: dict) -> str:
    """By how much each system is better or worse than the best rule."""
    best, lines = league["rules"][0]["name"], []
    for row in league["systems"]:
        found = row["minus_best_rule"]
        interval = "" if found["low"] is None else f" ({found['low']:+.3f} to {found['high']:+.3f})"
        lines.append(f"- `{row['name']}` minus `{best}`, surface Dice in true cavities, median over phantoms: {found['median_difference']:+.3f}{interval}.")
    return "\n".join(lines)


def draw(league: dict) -> Figure:
    """A dot for each mean with its interval: systems in true and in found cavities, then the rules."""
    rows = [*league["systems"], *league["rules"]]
    figure = Figure(figsize=(7.6, 0.42 * len(rows) + 1.3), dpi=150)
    axes = figure.add_axes((0.24, 0.2, 0.73, 0.76))
    for place, row in enumerate(rows):
        kinds = [(row["in_true_cavity"], RULE_COLOUR if row.get("rule") else SYSTEM_COLOUR, -0.12 if "in_found_cavity" in row else 0.0)]
        kinds += [(row["in_found_cavity"], FOUND_COLOUR, 0.16)] if "in_found_cavity" in row else []
        for scores, colour, shift in kinds:
            told = summarise(scores["surface_dice"])
            if told.low is not None:
                axes.plot([told.low, told.high], [place + shift] * 2, color=colour, linewidth=2.4, solid_capstyle="round")
            axes.plot([told.mean], [place + shift], "o", color=colour, markersize=7, clip_on=False)
    axes.set_yticks(range(len(rows)), [f"rule {row['name']}" if row.get("rule") else row["name"] for row in rows])
    axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5), xlabel="surface Dice at 2 mm on simulated scans (mean, 95 % interval)")
    axes.grid(axis="x", color="#d8dee3", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)
    for colour, text in ((SYSTEM_COLOUR, "system, true cavity"), (FOUND_COLOUR, "system, cavity it found"), (RULE_COLOUR, "rule, true cavity")):
        axes.plot([], [], "o", color=colour, label=text)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def main() -> None:
    league = json.loads((HERE / "league.json").read_text(encoding="utf-8"))
    head = HEAD.format(training=league["training"], heldout=league["heldout"], picture=PICTURE)
    (ROOT / "Docs" / "league.md").write_text(head + table(league) + NOTES.format(words=words(league)), encoding="utf-8")
    draw(league).savefig(ROOT / "Docs" / PICTURE, metadata={"Software": "LAScarSeg"})


if __name__ == "__main__":
    main()

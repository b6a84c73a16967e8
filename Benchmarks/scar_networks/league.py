"""The league: five systems and the three best rules on the same held-out phantoms, every stage trained for a few minutes.

    python Benchmarks/scar_networks/league.py --out DIR [--only SYSTEM]

Needs `cohort.py` and `rules.py` before. Networks are trained on the training phantoms and their true cavities, with the preset that the
system has for a few minutes of a processor; they find cavity and scar in the held-out ones, where a region of interest says where the
atrium is, as a user would draw it. What is there already is not done again. Writes league.json beside this script, from which
`league_document.py` makes Docs/league.md.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from evaluate import TRUTH, region_of_interest, score_folder
from layout import ROOT, Layout, case_folders, lascarseg, lascarseg_train

sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets.layouts import CAVITY, SCAR
from LAScarSegLib.evaluation.statistics import column, compare, summarise
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.models.bundle import read_bundle
from LAScarSegLib.models.store import SIMULATED_VARIABLE, STORE_VARIABLE

RESULT = Path(__file__).with_name("league.json")
FOLDS = 6
STEPS_PER_EPOCH = 20
BEST_RULES = 3
USE = "Tests and demonstrations only: it has never seen a patient."
DATA = "simulated LGE-MRI: post-ablation phantoms of LAScarSeg"
METRICS = ("surface_dice", "challenge_gdice", "mesh_dice", "dice", "scar_area_difference_pct")


@dataclass(frozen=True)
class Training:
    """One stage of an entrant; `epochs` of 20 steps where the preset has no length of its own for a few minutes."""

    stage: str
    preset: str = "small"
    epochs: int | None = None
    start: str = ""


@dataclass(frozen=True)
class Entrant:
    """A system, its trainings in order, and which of them gives cavity and scar."""

    system: str
    trainings: tuple[Training, ...]
    cavity: str
    scar: str


ENTRANTS = (
    Entrant("two_stage_sdm", (Training("cavity", "tiny", 45), Training("scar", "tiny", 45)), "cavity", "scar"),
    # In patches of `tiny` its loss does not start (README.md).
    Entrant("boundary_focused", (Training("cavity", "small", 10), Training("scar", "tiny", 45)), "cavity", "scar"),
    Entrant("progressive", (Training("cavity"), Training("joint", start="cavity"), Training("scar", start="joint")), "cavity", "scar"),
    Entrant("mtl_sesa", (Training("joint"),), "joint", "joint"),
    Entrant("msws_b2p", (Training("cavity"), Training("scar")), "cavity", "scar"),
)


def bundle_of(layout: Layout, system: str, stage: str) -> Path:
    return layout.out / "league" / "bundles" / f"{system.replace('_', '-')}-{stage}"


def run_of(layout: Layout, system: str, stage: str) -> Path:
    return layout.out / "league" / "runs" / f"{system}-{stage}"


def train(layout: Layout, entrant: Entrant) -> dict[str, float]:
    """Trains and packs what is not there; {stage: processor seconds}."""
    seconds: dict[str, float] = {}
    for training in entrant.trainings:
        run, bundle = run_of(layout, entrant.system, training.stage), bundle_of(layout, entrant.system, training.stage)
        took = run.with_suffix(".seconds.json")
        if not bundle.is_dir():
            options = ["--preset", training.preset, "--folds", FOLDS, "--validate-every", 1000]
            options += ["--epochs", training.epochs, "--steps-per-epoch", STEPS_PER_EPOCH] if training.epochs else []
            options += ["--start-from", run_of(layout, entrant.system, training.start)] if training.start else []
            options += ["--anatomy", "truth"] if training.stage == "scar" else []
            begun = _children_seconds()
            lascarseg_train(entrant.system, training.stage, layout.training, run, *options)
            before = json.loads(took.read_text()) if took.is_file() else 0.0
            took.write_text(json.dumps(before + _children_seconds() - begun))
            bundle.parent.mkdir(parents=True, exist_ok=True)
            words = ["--name", bundle.name, "--data", DATA, "--intended-use", USE, "--licence", "MIT"]
            lascarseg("models", "export", run, "-o", bundle, *words, "--half", "--force", "--checkpoint", "last")
        seconds[training.stage] = json.loads(took.read_text())
    return seconds


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def best_rules(layout: Layout) -> list[tuple[str, float | None]]:
    """The rules with the highest mean surface Dice on the training phantoms, each with its best number."""
    best: dict[str, dict] = {}
    for row in json.loads(layout.rules.read_text(encoding="utf-8"))["all"]:
        if row["rule"] not in best or row["surface_dice"] > best[row["rule"]]["surface_dice"]:
            best[row["rule"]] = row
    ranked = sorted(best.values(), key=lambda row: -row["surface_dice"])
    return [(row["rule"], row["threshold"]) for row in ranked[:BEST_RULES]]


def measure(layout: Layout, name: str, cavity: str, scar: str, threshold: float | None = None) -> tuple[Path, float]:
    """Each held-out phantom through the job of `lascarseg run`; the results' folder and the mean seconds a scan."""
    folder, times = layout.out / "league" / "results" / name, layout.out / "league" / "results" / f"{name}.json"
    seconds = json.loads(times.read_text()) if times.is_file() else {}
    for case in case_folders(layout.heldout):
        if (folder / case.name).is_dir():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        print(name, case.name, flush=True)
        begun = time.process_time()
        run_request(
            Request(
                image=case / "enhanced.nii.gz", output=folder / case.name, scar=scar, device="cpu", figures=False, report=False, scene=False,
                cavity=case / "atriumSegImgMO.nii.gz" if cavity == TRUTH else Path(cavity),
                roi=None if cavity == TRUTH else region_of_interest(layout, case),
                settings=Settings(threshold=threshold, perturbation=False, despite=("smaller_tiles",)), doubt=False,
            )
        )  # fmt: skip
        seconds[case.name] = time.process_time() - begun
        times.write_text(json.dumps(seconds))
    return folder, sum(seconds.values()) / len(seconds)


def scores(layout: Layout, folder: Path) -> dict[str, list]:
    cases = score_folder(folder, layout.heldout, SCAR)
    return {key: column(cases, SCAR, key) for key in METRICS}


def entry(layout: Layout, entrant: Entrant) -> dict[str, object]:
    """One system's row: trained, run in true and found cavities, scored."""
    seconds = train(layout, entrant)
    models = {role: bundle_of(layout, entrant.system, getattr(entrant, role)) for role in ("cavity", "scar")}
    whole, time_of = measure(layout, entrant.system, models["cavity"].name, models["scar"].name)
    known, _ = measure(layout, f"{entrant.system}-{TRUTH}", TRUTH, models["scar"].name)
    found = score_folder(whole, layout.heldout, CAVITY)
    plans = {bundle: read_bundle(bundle).card for bundle in set(models.values())}
    return {
        "name": entrant.system, "trainings": [asdict(training) for training in entrant.trainings], "processor_seconds": seconds,
        "steps": {stage: read_bundle(bundle_of(layout, entrant.system, stage)).card.training["steps"] for stage in seconds},
        "parameters": sum(card.fine.plan.parameters for card in plans.values()), "seconds_a_scan": time_of,
        "cavity_dice": column(found, CAVITY, "dice"), "in_true_cavity": scores(layout, known), "in_found_cavity": scores(layout, whole),
    }  # fmt: skip


def rule_entry(layout: Layout, rule: str, threshold: float | None) -> dict[str, object]:
    name = rule if threshold is None else f"{rule} {threshold:g}"
    folder, seconds = measure(layout, f"rule-{rule}-{threshold}", TRUTH, rule, threshold)
    return {"name": name, "rule": True, "seconds_a_scan": seconds, "in_true_cavity": scores(layout, folder)}


def main(layout: Layout, only: str | None) -> None:
    os.environ |= {STORE_VARIABLE: str(layout.out / "league" / "bundles"), SIMULATED_VARIABLE: "1"}
    rules = [rule_entry(layout, *rule) for rule in best_rules(layout)]
    rival = rules[0]["in_true_cavity"]["surface_dice"]
    rows = {row["name"]: row for row in json.loads(RESULT.read_text(encoding="utf-8"))["systems"]} if RESULT.is_file() else {}
    for entrant in ENTRANTS:
        if only is None or entrant.system == only:
            row = entry(layout, entrant)
            row["minus_best_rule"] = asdict(compare(row["in_true_cavity"]["surface_dice"], rival))
            rows[entrant.system] = row
            about = {"training": len(case_folders(layout.training)), "heldout": len(case_folders(layout.heldout))}
            systems = [rows[e.system] for e in ENTRANTS if e.system in rows]
            RESULT.write_text(json.dumps({"simulated": True, **about, "systems": systems, "rules": rules}, indent=1) + "\n", encoding="utf-8")
            told = summarise(row["in_true_cavity"]["surface_dice"])
            print(f"{entrant.system}: surface Dice {told.mean:.3f} in true cavities, minus {rules[0]['name']}: {row['minus_best_rule']}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--only", choices=[entrant.system for entrant in ENTRANTS])
    arguments = parser.parse_args()
    main(Layout(arguments.out.resolve()), arguments.only)

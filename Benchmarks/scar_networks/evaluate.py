"""The networks' bundles and the best intensity rules on the held-out phantoms, against the truth.

    python Benchmarks/scar_networks/evaluate.py --out DIR [--preset small]

Every scan goes through the job of `lascarseg run` (without pictures), once with its true cavity and once with the cavity that the
system's own network finds; what is there already is not run again. Writes DIR/scores-PRESET.json and prints its table.
Needs `rules.py` and at least one `train.py` before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from layout import ANATOMIES, PRESETS, ROOT, SYSTEMS, Layout, case_folders

sys.path.insert(0, str(ROOT))

from LAScarSegLib.evaluation.cases import SCAR
from LAScarSegLib.evaluation.run import EvaluationRequest, run_evaluation
from LAScarSegLib.evaluation.scores import CaseScore
from LAScarSegLib.evaluation.statistics import column, compare, summarise
from LAScarSegLib.models.store import SIMULATED_VARIABLE, STORE_VARIABLE
from LAScarSegLib.request import Request, run_request
from LAScarSegLib.settings import Settings

SHOWN = ("surface_dice", "mesh_dice", "challenge_dice", "dice", "assd_mm", "centroid_error_mm")
"""Columns of the table; the file has every metric."""


@dataclass(frozen=True)
class Method:
    """One way to find scar, with one source of cavities (`truth`, or a cavity model's name)."""

    cavity: str
    name: str
    scar: str
    threshold: float | None = None

    @property
    def is_rule(self) -> bool:
        return self.scar != self.name


def methods(layout: Layout, preset: str) -> list[Method]:
    """The best rules with each source of cavities, and the networks that are there."""
    best = json.loads(layout.rules.read_text(encoding="utf-8"))["best"]
    rules = {f"{b['rule']} {b['threshold']:g}" if b["threshold"] is not None else b["rule"]: b for b in best.values()}
    found = []
    for system in SYSTEMS:
        cavity = layout.bundle(preset, system, "cavity")
        networks = [bundle for anatomy in ANATOMIES if (bundle := layout.bundle(preset, system, "scar", anatomy)).is_dir()]
        for source in ("truth", *([cavity.name] if cavity.is_dir() else [])):
            found += [Method(source, name, b["rule"], b["threshold"]) for name, b in rules.items()]
            found += [Method(source, bundle.name, bundle.name) for bundle in networks]
    return list(dict.fromkeys(found))


def run_method(layout: Layout, method: Method) -> Path:
    """Every held-out phantom through the whole job; returns the folder of the results."""
    folder = layout.out / "results" / method.cavity / method.name.replace(" ", "-")
    for case in case_folders(layout.heldout):
        if (folder / case.name).is_dir():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        cavity = case / "atriumSegImgMO.nii.gz" if method.cavity == "truth" else Path(method.cavity)
        print(f"{method.cavity}, {method.name}: {case.name}", flush=True)
        run_request(
            Request(
                image=case / "enhanced.nii.gz", output=folder / case.name, cavity=cavity, scar=method.scar, device="cpu",
                settings=Settings(threshold=method.threshold, perturbation=False), figures=False, report=False, scene=False,
            )
        )  # fmt: skip
    return folder


def main(layout: Layout, preset: str) -> None:
    os.environ |= {STORE_VARIABLE: str(layout.out / "bundles"), SIMULATED_VARIABLE: "1"}
    scores = {}
    for method in methods(layout, preset):
        request = EvaluationRequest(run_method(layout, method), layout.heldout, structure=SCAR)
        scores[method] = list(run_evaluation(request).scores)
    content = {"simulated": True, "preset": preset, "heldout": len(case_folders(layout.heldout)), "methods": described(scores)}
    path = layout.out / f"scores-{preset}.json"
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print_scores(content)


def described(scores: dict[Method, list[CaseScore]]) -> list[dict[str, object]]:
    """Each method with the summary of its metrics and, a network, its differences from every rule on the same cavities."""
    found = []
    for method, cases in scores.items():
        keys = cases[0].values
        entry = asdict(method) | {"summary": {key: asdict(summarise(column(cases, SCAR, key))) for key in keys}}
        if not method.is_rule:
            rules = {m.name: rows for m, rows in scores.items() if m.is_rule and m.cavity == method.cavity}
            entry["minus"] = {name: differences(cases, rows) for name, rows in rules.items()}
        found.append(entry)
    return found


def differences(cases: list[CaseScore], rule: list[CaseScore]) -> dict[str, dict]:
    """Network minus rule, paired, by metric."""
    return {key: asdict(compare(column(cases, SCAR, key), column(rule, SCAR, key))) for key in cases[0].values}


def print_scores(content: dict) -> None:
    print(f"\nSimulated scans. Mean of {content['heldout']} held-out phantoms [95 % interval].")
    print("cavity | method | " + " | ".join(SHOWN))
    for method in content["methods"]:
        print(f"{method['cavity']} | {method['name']} | " + " | ".join(shown(method["summary"][key]) for key in SHOWN))
        for name, differences in method.get("minus", {}).items():
            d = differences["surface_dice"]
            interval = "" if d["low"] is None else f" [{d['low']:+.3f}, {d['high']:+.3f}], p = {d['p_value']:.3f}"
            print(f"    surface Dice minus that of {name}: median {d['median_difference']:+.3f}{interval}")


def shown(summary: dict) -> str:
    """Mean and interval, as far as they are known."""
    if summary["mean"] is None:
        return "–"
    return f"{summary['mean']:.3f}" + ("" if summary["low"] is None else f" [{summary['low']:.3f}, {summary['high']:.3f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    arguments = parser.parse_args()
    main(Layout(arguments.out.resolve()), arguments.preset)

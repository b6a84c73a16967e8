"""The networks' bundles and the best intensity rules on the held-out phantoms, against the truth.

    python Benchmarks/scar_networks/evaluate.py --out DIR [--preset tiny]

Every scan goes through the job of `lascarseg run` (without pictures), once with its true cavity and once with the cavity that the
system's own network finds, or the other system's while there is none; a cavity network without a coarse network gets a region of interest,
as a user would draw it. What is there already is not run again. Writes scores-PRESET.json beside this script, from which `document.py`
makes tables of Docs/ablation.md.
Needs `rules.py` and at least one `train.py` before.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from layout import PRESETS, ROOT, SYSTEMS, Layout, case_folders

sys.path.insert(0, str(ROOT))

from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets.layouts import CAVITY, SCAR
from LAScarSegLib.evaluation.request import EvaluationRequest, run_evaluation
from LAScarSegLib.evaluation.scores import CaseScore
from LAScarSegLib.evaluation.statistics import column, compare, summarise
from LAScarSegLib.intensity.rules import RULES
from LAScarSegLib.jobs.request import Request, run_request
from LAScarSegLib.models.bundle import read_bundle
from LAScarSegLib.models.store import SIMULATED_VARIABLE, STORE_VARIABLE
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Box, Volume

TRUTH = "truth"
"""A cavity that nobody had to find."""
ROI_MARGIN_MM = 15.0
"""Around the true cavity, as cavity networks are trained."""


@dataclass(frozen=True)
class Method:
    """One way to find scar, with one source of cavities (`truth`, or a cavity model's name)."""

    cavity: str
    name: str
    scar: str
    threshold: float | None = None

    @property
    def is_rule(self) -> bool:
        return self.scar in RULES


def methods(layout: Layout, preset: str) -> list[Method]:
    """The networks that are there and the best rules, with each source of cavities; found cavities with the first rule only."""
    best = {f"{b['rule']} {b['threshold']:g}" if b["threshold"] is not None else b["rule"]: b for b in rules(layout).values()}
    found = []
    for system in SYSTEMS:
        # The system's own before another's; a cavity of another size is still a cavity.
        cavities = [layout.bundle(size, other, "cavity") for other in (system, *SYSTEMS) for size in (preset, *PRESETS)]
        scar = layout.bundle(preset, system, "scar")
        for source in (TRUTH, *[cavity.name for cavity in cavities if cavity.is_dir()][:1]):
            tried = best.items() if source == TRUTH else list(best.items())[:1]
            found += [Method(source, name, b["rule"], b["threshold"]) for name, b in tried]
            found += [Method(source, scar.name, scar.name)] if scar.is_dir() else []
    return list(dict.fromkeys(found))


def rules(layout: Layout) -> dict[str, dict]:
    """The best rule for each measure, as `rules.py` found it."""
    return json.loads(layout.rules.read_text(encoding="utf-8"))["best"]


def marked(layout: Layout, name: str) -> str:
    """A name for a folder of results; a model that was trained on gets another one."""
    bundle = layout.out / "bundles" / name
    return f"{name}-{read_bundle(bundle).card.sha256[:8]}" if bundle.is_dir() else name.replace(" ", "-")


def run_method(layout: Layout, method: Method) -> Path:
    """Every held-out phantom through the whole job; returns the folder of the results."""
    in_region = method.cavity != TRUTH and needs_region(layout, method.cavity)
    folder = layout.out / "results" / (marked(layout, method.cavity) + "-roi" * in_region) / marked(layout, method.name)
    for case in case_folders(layout.heldout):
        if (folder / case.name).is_dir():
            continue
        folder.mkdir(parents=True, exist_ok=True)
        cavity = case / "atriumSegImgMO.nii.gz" if method.cavity == TRUTH else Path(method.cavity)
        roi = region_of_interest(layout, case) if in_region else None
        print(f"{method.cavity}, {method.name}: {case.name}", flush=True)
        run_request(
            Request(
                image=case / "enhanced.nii.gz", output=folder / case.name, cavity=cavity, roi=roi, scar=method.scar, device="cpu",
                settings=Settings(threshold=method.threshold, perturbation=False), figures=False, report=False, scene=False,
            )
        )  # fmt: skip
    return folder


def needs_region(layout: Layout, cavity: str) -> bool:
    """Whether a cavity model knows the atrium's surroundings only and has no coarse network that finds them."""
    return read_bundle(layout.out / "bundles" / cavity).card.coarse is None


def region_of_interest(layout: Layout, case: Path) -> Path:
    """A mask of the box around the true cavity, with a margin; written once."""
    file = layout.out / "roi" / f"{case.name}.nii.gz"
    if not file.is_file():
        cavity = read_volume(case / "atriumSegImgMO.nii.gz")
        mask = np.zeros(cavity.array.shape, dtype=np.uint8)
        mask[Box.around(cavity.array > 0, ROI_MARGIN_MM, cavity.geometry.spacing_kji).slices] = 1
        file.parent.mkdir(exist_ok=True)
        write_volume(Volume(mask, cavity.geometry), file)
    return file


def main(layout: Layout, preset: str) -> None:
    os.environ |= {STORE_VARIABLE: str(layout.out / "bundles"), SIMULATED_VARIABLE: "1"}
    scores, cavities = {}, {}
    for method, folder in {method: run_method(layout, method) for method in methods(layout, preset)}.items():
        scores[method] = score_folder(folder, layout.heldout, SCAR)
        if method.cavity != TRUTH and method.cavity not in cavities:
            cavities[method.cavity] = score_folder(folder, layout.heldout, CAVITY)
    about = {"training": len(case_folders(layout.training)), "heldout": len(case_folders(layout.heldout))}
    content = {"simulated": True, "preset": preset, **about, "rules": rules(layout)}
    content |= {"cavities": described_cavities(layout, cavities), "methods": described(layout, scores)}
    path = Path(__file__).with_name(f"scores-{preset}.json")
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"Written: {path}")


def score_folder(results: Path, truth: Path, structure: str) -> list[CaseScore]:
    """As `lascarseg evaluate`."""
    return list(run_evaluation(EvaluationRequest(results, truth, structure=structure)).scores)


def described(layout: Layout, scores: dict[Method, list[CaseScore]]) -> list[dict[str, object]]:
    """Each method with its metrics; a network also with its training and its differences from rules.

    Those are the rules with the same cavity and, where that one was found, those with the true one too.
    """
    found = []
    for method, cases in scores.items():
        entry = asdict(method) | {"is_rule": method.is_rule, "summary": summaries(cases, SCAR)}
        if not method.is_rule:
            rivals = {m: rows for m, rows in scores.items() if m.is_rule and m.cavity in (method.cavity, TRUTH)}
            minus = [{"rule": m.name, "cavity": m.cavity, "metrics": differences(cases, rows)} for m, rows in rivals.items()]
            entry |= training_of(layout, method.name) | {"minus": minus}
        found.append(entry)
    return found


def described_cavities(layout: Layout, scores: dict[str, list[CaseScore]]) -> list[dict[str, object]]:
    """What each cavity model found, and how it was trained."""
    return [{"name": name, **training_of(layout, name), "summary": summaries(cases, CAVITY)} for name, cases in scores.items()]


def training_of(layout: Layout, name: str) -> dict[str, object]:
    """From a model's card: cases, steps and patch, and of a cavity model how it is told where the atrium is."""
    card = read_bundle(layout.out / "bundles" / name).card
    about = {key: card.training[key] for key in ("cases", "steps", "planned_steps")} | {"patch_kji": card.fine.patch}
    if card.stage == "cavity":
        about |= {"roi_margin_mm": ROI_MARGIN_MM} if card.coarse is None else {"coarse_steps": card.training["coarse"]["steps"]}
    return about


def summaries(cases: list[CaseScore], structure: str) -> dict[str, dict]:
    """By metric."""
    return {key: asdict(summarise(column(cases, structure, key))) for key in cases[0].values}


def differences(cases: list[CaseScore], rule: list[CaseScore]) -> dict[str, dict]:
    """Network minus rule, paired, by metric."""
    return {key: asdict(compare(column(cases, SCAR, key), column(rule, SCAR, key))) for key in cases[0].values}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of this benchmark")
    parser.add_argument("--preset", choices=PRESETS, default="tiny")
    arguments = parser.parse_args()
    main(Layout(arguments.out.resolve()), arguments.preset)

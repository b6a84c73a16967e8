"""Analyse LGE-MRI scans inside Slicer, without windows: one scan, or a folder of scans with their cavity masks.

    Slicer --no-splash --no-main-window --python-script Examples/slicer_batch.py -- scan.nrrd --cavity la.nrrd -o results
    Slicer --no-splash --no-main-window --python-script Examples/slicer_batch.py -- cohort -o results

A folder holds either pairs, `X.nrrd` beside `X-cavity.nrrd` (any volume format), or one folder a case with the same two
file names in each; the names default to those of the LAScarQS challenge, others are given with --image and --cavity.

Every case gets the folder `results/CASE` (volumes, surface, tables, scene.mrb; figures and report where Slicer has
matplotlib and jinja2), and a line in `results/status.csv`. A scan that fails does not stop the others: the exit code is 1
at the end. A second run skips what is finished, unless it was made with another rule or threshold: that fails.

The same `main(scene, argv)` runs in any Python with slicer-core: `main(LAScarSegLib.scene.new_scene(), ["cohort", "-o", "results"])`.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import importlib.util
import json
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if importlib.util.find_spec("LAScarSegLib") is None:
    # run from a source checkout that is not among Slicer's module paths
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets.layouts import LASCARQS_CAVITY, LASCARQS_IMAGE, case_name
from LAScarSegLib.datasets.pairs import CohortScan, find_cohort
from LAScarSegLib.errors import InputError, LAScarSegError
from LAScarSegLib.intensity.rules import find_rule
from LAScarSegLib.output.writing import MARKER, check_output, write_results
from LAScarSegLib.scene.mrml import remove_node

logger = logging.getLogger("LAScarSeg.batch")

STATUS_FILE = "status.csv"
STATUS_COLUMNS = ("case", "status", "seconds", "message", "scar_area_pct")
DONE, SKIPPED, FAILED = "done", "skipped", "failed"


def main(scene: object, argv: Sequence[str]) -> int:
    """Analyse what `argv` names, on nodes of `scene`; returns the exit code (0 all well, 1 a scan failed, 2 bad arguments)."""
    try:
        options = parse(argv)
        cases = find_cases(options)
        options.output.mkdir(parents=True, exist_ok=True)
    except SystemExit as end:  # argparse has said what is wrong, or printed the help
        return int(end.code or 0)
    except LAScarSegError as error:
        logger.error("%s", error)
        return error.exit_code
    except OSError as error:
        logger.error("Results can't be written to %s: %s. Give another folder.", options.output, error.strerror)
        return InputError.exit_code
    failed = 0
    with open(options.output / STATUS_FILE, "w", newline="", encoding="utf-8") as file:
        status = csv.writer(file)
        status.writerow(STATUS_COLUMNS)
        for number, case in enumerate(cases, 1):
            row = process(scene, case, options, keep=len(cases) == 1)
            failed += row[1] == FAILED
            status.writerow(row)
            file.flush()  # the lines so far survive whatever happens to the next scan
            logger.info("%d of %d: %s", number, len(cases), " | ".join(filter(None, row)))
    return 1 if failed else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options; Slicer hands over a leading `--`."""
    parser = argparse.ArgumentParser(prog="slicer_batch.py", description="Left-atrial scar from LGE-MRI, in Slicer, without windows.")
    parser.add_argument("input", type=Path, help="a scan (file, or DICOM folder with --cavity FILE), or a folder of cases")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for results; each case gets a folder in it")
    cavity_help = f"for one scan, the mask file; for a folder, the mask's file name in each case ({LASCARQS_CAVITY})"
    parser.add_argument("--cavity", help=cavity_help)
    parser.add_argument("--image", default=LASCARQS_IMAGE, help="for a folder, the scan's file name in each case (%(default)s)")
    parser.add_argument("--cavity-label", type=int, help="which label of a mask with several is the left atrium")
    parser.add_argument("--rule", default=Settings.rule, help="how scar is found (%(default)s)")
    parser.add_argument("--threshold", type=float, help="the rule's parameter; its usual value when left out")
    parser.add_argument("--force", action="store_true", help="analyse finished cases again and replace their results")
    return parser.parse_args([argument for argument in argv if argument != "--"])


def find_cases(options: argparse.Namespace) -> list[CohortScan]:
    """The scans to analyse; `InputError` when there are none."""
    source = options.input
    if options.cavity is not None and Path(options.cavity).is_file():
        return [CohortScan(case_name(source), source, Path(options.cavity))]
    if not source.is_dir():
        given = "" if options.cavity is None else f" (now {options.cavity!r}, which is no file)"
        problem = f"is one scan; give its mask with --cavity{given}" if source.exists() else "does not exist"
        raise InputError(f"{source} {problem}.")
    return find_cohort(source, options.image, options.cavity or LASCARQS_CAVITY)


def process(scene: object, case: CohortScan, options: argparse.Namespace, keep: bool) -> tuple[str, ...]:
    """One case's line of the status file. Whatever goes wrong with it ends up there and nowhere else."""
    folder = options.output / case.name
    start = time.perf_counter()
    try:
        if (folder / MARKER).is_file() and not options.force:
            _check_same_method(folder, options)
            return (case.name, SKIPPED, "", "finished before", _headline(folder))
        analyse_case(scene, case, folder, options, keep)
    except LAScarSegError as error:
        return (case.name, FAILED, _seconds_since(start), str(error), "")
    except Exception as error:  # a scan that trips a bug must not cost the rest of a night's batch
        logger.exception("%s failed", case.name)
        return (case.name, FAILED, _seconds_since(start), f"unexpected {type(error).__name__}: {error}", "")
    return (case.name, DONE, _seconds_since(start), "", _headline(folder))


def analyse_case(scene: object, case: CohortScan, folder: Path, options: argparse.Namespace, keep: bool) -> None:
    """Load one scan and its mask as nodes, analyse, build the result's nodes and write its folder.

    `keep` leaves the nodes in the scene, arranged to look at; without it the scene is as it was, ready for the next scan.
    """
    if case.cavity is None:
        raise InputError(f"There is no cavity mask for {case.image}. Put it beside the scan, or give its name with --cavity.")
    check_output(folder, options.force)
    settings = _settings(options)
    volume_node = mrml.load_volume(scene, case.image)
    mask_node = result = None
    try:
        mask_node = mrml.load_volume(scene, case.cavity, labels=True)
        volume = mrml.volume_from_node(volume_node)
        labels = {} if options.cavity_label is None else {"cavity": options.cavity_label}
        analysis = analyse(volume, settings, cavity=mrml.mask_from_node(mask_node, volume), labels=labels)
        inputs = {"image": describe_file(case.image), "cavity": describe_file(case.cavity)}
        analysis = dataclasses.replace(analysis, provenance=analysis.provenance | {"inputs": inputs})
        result = mrml.build_scene(scene, analysis, volume_node=volume_node)
        has_matplotlib = importlib.util.find_spec("matplotlib") is not None
        has_jinja = importlib.util.find_spec("jinja2") is not None
        write_results(analysis, folder, force=options.force, figures=has_matplotlib, report=has_jinja)
        if keep:
            mrml.show(scene, result, analysis)
    finally:
        if mask_node is not None:
            remove_node(scene, mask_node)
        if result is None:
            remove_node(scene, volume_node)
        elif not keep:
            mrml.remove_scene(scene, result)


def _settings(options: argparse.Namespace) -> Settings:
    return Settings(rule=options.rule, threshold=find_rule(options.rule).check_parameter(options.threshold))


def _check_same_method(folder: Path, options: argparse.Namespace) -> None:
    """`InputError` when the result in `folder` was made with another rule or threshold: a cohort has one method."""
    made, wanted = Settings.from_json(json.loads((folder / MARKER).read_text(encoding="utf-8"))["settings"]), _settings(options)
    if made != wanted:
        raise InputError(
            f"{folder} was finished with other settings (rule {made.rule}, threshold {made.threshold}). "
            "Give --force to replace it, or another folder."
        )


def _headline(folder: Path) -> str:
    value = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))["scar_area_pct"]["value"]
    return "" if value is None else f"{value:.1f}"


def _seconds_since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f}"


if __name__ == "__main__":
    import slicer

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    slicer.util.exit(main(slicer.mrmlScene, sys.argv[1:]))

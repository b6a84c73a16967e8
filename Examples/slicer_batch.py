"""Analyse LGE-MRI scans inside Slicer, without windows: one scan, or a folder of scans.

    Slicer --no-splash --no-main-window --python-script Examples/slicer_batch.py -- scan.nrrd --cavity la.nrrd -o results
    Slicer --no-splash --no-main-window --python-script Examples/slicer_batch.py -- cohort -o results
    Slicer --no-splash --no-main-window --python-script Examples/slicer_batch.py -- scans --accept-terms -o results

A folder holds either pairs, `X.nrrd` beside `X-cavity.nrrd` (any volume format), or one folder a case with the same two file
names in each; the names default to those of the LAScarQS challenge, others are given with --image and --cavity (`--image .` where
a case's folder is a DICOM series), and the challenge's `task1/train_data` may be given from any level. Where no scan has a mask,
the model that comes with LAScarSeg finds the cavities; `--cavity MODEL` names another. Models need PyTorch (Slicer's PyTorch
extension); --accept-terms accepts their terms.

Every case gets the folder `results/CASE` (volumes, surface, tables, scene.mrb; figures and report where Slicer has matplotlib and
jinja2), and a line in `results/status.csv`: how it went, the headline, whether a model's cavity can be trusted (good, look
at it, do not use: then there is no number) with its expected Dice, the codes of the flags (stops and warnings first), how many of
them are warnings and stops. Files that belong to no case are told, none is left out without a word. A scan that fails
does not stop the others: the exit code is 1 at the end. A second run skips what is finished, unless it was made from another scan
or mask, or with another method, model or planes: that fails.

The same `main(scene, argv)` runs in any Python with slicer-core: `main(LAScarSegLib.scene.new_scene(), ["cohort", "-o", "results"])`.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

if importlib.util.find_spec("LAScarSegLib") is None:
    # run from a source checkout that is not among Slicer's module paths
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from LAScarSegLib import scene as mrml
from LAScarSegLib.analysis import ByRule
from LAScarSegLib.analysis.provenance import describe_file
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.datasets.layouts import LASCARQS_CAVITY, LASCARQS_IMAGE, case_name, listed, volume_stem
from LAScarSegLib.datasets.pairs import CohortScan, find_cohort, unused
from LAScarSegLib.errors import InputError, LAScarSegError, Stopped
from LAScarSegLib.intensity.protocols import PROTOCOLS, USUAL_PROTOCOL
from LAScarSegLib.jobs.request import Request, choose_scar, read_plane_files, run_request, without_cavity_model
from LAScarSegLib.measure.headline import Headline
from LAScarSegLib.measure.numbers import ON_SURFACE, Quantity, find_number
from LAScarSegLib.models.bundle import check_use
from LAScarSegLib.models.store import ModelStore
from LAScarSegLib.output.writing import MARKER, SOURCES
from LAScarSegLib.support.flags import STOP, WARNING, QualityFlag, gravest_first
from LAScarSegLib.support.printable import PrintableFormatter, csv_text, printable
from LAScarSegLib.support.progress import Progress, ProgressEvent
from LAScarSegLib.surface.planes import CutPlane, same_planes

logger = logging.getLogger("LAScarSeg.batch")

STATUS_FILE = "status.csv"
STATUS_COLUMNS = ("case", "status", "seconds", "message", "scar_area_pct", "headline", "cavity", "expected_dice", "flags", "warnings", "stops")
NOTHING = ("",) * 7
"""What stands behind the message of a case without a result."""
DONE, SKIPPED, FAILED = "done", "skipped", "failed"


def main(scene: object, argv: Sequence[str]) -> int:
    """Analyse what `argv` names; the nodes of a single scan are left in `scene`.

    Returns the exit code: 0 all well, 1 a scan failed, 2 bad arguments.
    """
    try:
        options = parse(argv)
        cases = find_cases(options)
        common = common_request(options, cases)
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
            request = replace(common, image=case.image, cavity=case.cavity, output=options.output / case.name)
            row = process(scene, case.name, request, keep=len(cases) == 1)
            failed += row[1] == FAILED
            status.writerow([csv_text(printable(cell)) for cell in row])
            file.flush()  # the lines so far survive whatever happens to the next scan
            logger.info("%d of %d: %s", number, len(cases), " | ".join(filter(None, row)))
    return 1 if failed else 0


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The options; Slicer hands over a leading `--`."""
    parser = argparse.ArgumentParser(prog="slicer_batch.py", description="Left-atrial scar from LGE-MRI, in Slicer, without windows.")
    parser.add_argument("input", type=Path, help="a scan (file, or DICOM folder with --cavity FILE), or a folder of cases")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for results; each case gets a folder in it")
    cavity_help = f"for one scan, the mask file; for a folder, the mask's file name in each case ({LASCARQS_CAVITY}); or a model"
    parser.add_argument("--cavity", help=cavity_help)
    parser.add_argument("--image", default=LASCARQS_IMAGE, help="for a folder, the scan's file name in each case (%(default)s)")
    label_help = "which label of a mask is the left atrium: a number or a segment's name; repeated: all of them together"
    parser.add_argument("--cavity-label", action="append", default=[], help=label_help)
    parser.add_argument("--protocol", help=f"a published way of measuring: {', '.join(PROTOCOLS)} ({USUAL_PROTOCOL}, unless --scar is given)")
    parser.add_argument("--scar", "--rule", help="how scar is found otherwise: a rule on the wall's voxels, or a model")
    parser.add_argument("--threshold", help="the rule's number, or a preset of it; its usual number when left out")
    parser.add_argument("--planes", type=Path, action="append", default=[], help="for one scan: mitral and vein planes; may be repeated")
    parser.add_argument("--device", default="auto", help="what models compute on: auto, cpu, cuda, cuda:N or mps (%(default)s)")
    parser.add_argument("--accept-terms", action="store_true", help="accept the terms that the models come with")
    parser.add_argument("--despite", action="append", default=[], help="go on despite a stop, by its code; the result keeps it; may be repeated")
    parser.add_argument("--force", action="store_true", help="analyse finished cases again and replace their results")
    return parser.parse_args([argument for argument in argv if argument != "--"])


def find_cases(options: argparse.Namespace) -> list[CohortScan]:
    """The scans to analyse, each with its mask or the model that finds its cavity; `InputError` when there are none."""
    given, image = options.cavity, options.input
    if not image.exists():
        raise InputError(f"{image} does not exist.")
    is_file = given is not None and Path(given).is_file()
    model = None if given is None or is_file or volume_stem(Path(given)) else given
    if not image.is_dir() or is_file:
        if given is not None and model is None and not is_file:
            raise InputError(f"The cavity mask {given} is no file. Correct the path, or name a model.")
        cases = [CohortScan(case_name(image), image, Path(given) if is_file else None)]
    else:
        masks = given if given and not model else LASCARQS_CAVITY
        cases = find_cohort(image, options.image, masks)
        if left_out := unused(image, cases):
            logger.warning("Not analysed, since they are part of no case: %s. Correct their names, or take them out.", listed(left_out))
    if model is None and all(case.cavity is None for case in cases):
        model = _default_model()
        logger.info("There are no cavity masks: the model %s finds the cavities.", model)
    if model is None:
        return cases
    reference = Path(ModelStore().find(model).card.reference)
    return [replace(case, cavity=reference) for case in cases]


def _default_model() -> str:
    bundle = ModelStore().default_cavity()
    if bundle is None:
        raise InputError(f"There is no cavity mask, and {without_cavity_model(ModelStore())}")
    return bundle.card.reference


def common_request(options: argparse.Namespace, cases: Sequence[CohortScan]) -> Request:
    """What all cases share; `InputError` for a method, planes or a model that can't be used."""
    method = choose_scar(options.scar, options.threshold, options.protocol, models=True)
    if isinstance(method, Path):
        raise InputError(f"--scar is the mask {method}; a batch finds scar by a rule or a model.")
    if options.planes and len(cases) > 1:
        raise InputError(f"Planes (--planes) belong to one scan, and {options.input} holds {len(cases)}.")
    by_rule, settings = isinstance(method, ByRule), Settings(despite=tuple(options.despite))
    if by_rule:
        settings = replace(settings, rule=method.name, threshold=method.parameter, protocol=method.protocol, dense_threshold=method.dense)
    common = Request(
        image=options.input, output=options.output, cavity=cases[0].cavity, planes=tuple(options.planes), settings=settings,
        scar=None if by_rule else ModelStore().find(method).card.reference, device=options.device, force=options.force,
        labels={"cavity": tuple(options.cavity_label)} if options.cavity_label else {}, accept_terms=options.accept_terms,
        figures=_has("matplotlib"), report=_has("jinja2"),
    )  # fmt: skip
    read_plane_files(common.planes)
    for stage, reference in _models(common).items():
        bundle = ModelStore().find(reference)
        check_use(bundle.card, stage=stage)
        ModelStore().require_terms(bundle, common.accept_terms)
        if not _has("torch"):
            raise InputError(f"The model {reference} needs PyTorch. Install it with Slicer's PyTorch extension (module PyTorch Utils).")
    return common


def _models(request: Request) -> dict[str, str]:
    """The models of a request, by what they find."""
    by_model = {"cavity": request.cavity is not None and not request.cavity.exists(), "scar": request.scar is not None}
    return {mask: str(getattr(request, mask)) for mask, used in by_model.items() if used}


def process(scene: object, name: str, request: Request, keep: bool) -> tuple[str, ...]:
    """One case's line of the status file. Whatever goes wrong with it ends up there and nowhere else.

    `keep` leaves the result's nodes in the scene, arranged to look at.
    """
    start = time.perf_counter()
    try:
        if (request.output / MARKER).is_file() and not request.force:
            check_same_method(request)
            return (name, SKIPPED, "", "finished before", *_summary(request.output))
        if request.cavity is None:  # others have one, and a cohort has one method
            raise InputError(f"There is no cavity mask for {request.image}. Put it beside the scan, or name a model for all with --cavity.")
        analysis = run_request(request, Progress(_told(name)))
        if keep:
            mrml.show(scene, mrml.build_scene(scene, analysis, name=name), analysis)
    except Stopped as error:
        return (name, FAILED, _seconds_since(start), str(error), "", "", "", "", " ".join(error.codes), "", str(len(error.codes)))
    except LAScarSegError as error:
        return (name, FAILED, _seconds_since(start), str(error), *NOTHING)
    except Exception as error:  # a scan that trips a bug must not cost the rest of a night's batch
        logger.exception("%s failed", name)
        return (name, FAILED, _seconds_since(start), f"unexpected {type(error).__name__}: {error}", *NOTHING)
    return (name, DONE, _seconds_since(start), "", *_summary(request.output))


def _told(name: str) -> Callable[[ProgressEvent], None]:
    """Progress as lines of the log, one for each stage."""
    said: set[str] = set()

    def tell(event: ProgressEvent) -> None:
        if event.stage not in said:
            said.add(event.stage)
            logger.info("%s: %.0f %% %s", name, 100 * event.fraction, event.message)

    return tell


def check_same_method(request: Request) -> None:
    """`InputError` when the result in the request's folder was made in another way, since a cohort has one method, or from other files."""
    record = json.loads((request.output / MARKER).read_text(encoding="utf-8"))
    settings, origins = Settings.from_json(record["settings"]), record.get("origins", {})
    models = {mask: origin["reference"] for mask, origin in origins.items() if origin["kind"] == "network"}
    planes = map(CutPlane.from_json, record.get(SOURCES, {}).get("planes", ()))
    if (settings, models) != (request.settings, _models(request)) or not same_planes(planes, read_plane_files(request.planes)):
        reading = f"protocol {settings.protocol}" if settings.protocol else "voxels of the wall"
        scar = models.get("scar") or f"rule {settings.rule}, threshold {settings.threshold}, {reading}"
        raise InputError(
            f"{request.output} was finished in another way (scar: {scar}; cavity: {models.get('cavity', 'a mask')}; perhaps with other "
            "planes or settings). Give --force to replace it, or another folder."
        )
    for what, path in (("image", request.image), ("cavity", request.cavity)):
        made_from = record.get("inputs", {}).get(what, {}).get("sha256")
        if made_from and path.exists() and describe_file(path)["sha256"] != made_from:
            raise InputError(
                f"{request.output} was finished before, but {path.name} is not what it was then. Give --force to replace the result, or another folder."
            )


def _summary(folder: Path) -> tuple[str, ...]:
    """The share of scar, the headline, whether a model's cavity can be trusted, the flags' codes of a result, the gravest first, and how many
    of them are warnings and stops."""
    numbers = json.loads((folder / "measurements.json").read_text(encoding="utf-8"))
    flags = gravest_first(QualityFlag(flag["code"], "", flag["severity"]) for flag in numbers["quality_flags"])
    codes, counts = " ".join(flag.code for flag in flags), Counter(flag.severity for flag in flags)
    quantities = {key: Quantity(**value) for key, value in numbers.items() if isinstance(value, dict) and "unit" in value}
    headline, doubt = Headline.of_measurements(quantities, numbers.get("withheld", False)), numbers.get("doubt")
    trust = (doubt["word"], f"{doubt['expected_dice']:.2f}") if doubt else ("", "")
    share = find_number(ON_SURFACE).text(numbers[ON_SURFACE]["value"])
    return share, headline.sentence, *trust, codes, str(counts[WARNING]), str(counts[STOP])


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _seconds_since(start: float) -> str:
    return f"{time.perf_counter() - start:.1f}"


def speak() -> None:
    """Let the log reach the terminal: Slicer's root logger writes into its Error Log only, which without windows nobody sees."""
    handler = logging.StreamHandler(sys.__stderr__ or sys.stderr)  # Slicer for Windows has no real one
    handler.setFormatter(PrintableFormatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


if __name__ == "__main__":
    import slicer

    speak()
    slicer.util.exit(main(slicer.mrmlScene, sys.argv[1:]))

"""One job on files: which scan, which masks, which method, where the result goes. The command line and the worker fill it in."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis import Analysis, ByRule, PlanesToFind, ToRun, analyse
from ..analysis.archive import check_analysis_folder, write_analysis_folder
from ..analysis.provenance import describe_file
from ..analysis.settings import Settings
from ..anatomy.labels import Label, wanted_labels
from ..anatomy.masks import mask_on_grid
from ..errors import InputError
from ..inference.options import InferenceOptions
from ..intensity.protocols import USUAL_PROTOCOL, find_protocol
from ..intensity.rules import RULES, find_rule, parse_threshold
from ..measure.quality import check_is_scan
from ..models.bundle import Bundle, check_use
from ..models.bundle_files import CARD
from ..output.rendering import check_in_advance
from ..output.writing import check_output, write_results
from ..support.printable import require_encodable
from ..support.progress import Progress
from ..surface.planes import CutPlane, read_planes
from ..volumes.files import read_volume, require_readable
from ..volumes.volume import Box, Volume
from .mask_files import read_mask_file, refuse_mesh_as_scan
from .scene_process import PAYS_OFF_BYTES, SceneProcess

if TYPE_CHECKING:
    from ..models.store import ModelStore

MASK_NAMES = {"roi": "region of interest"}
MODELS_SHARE = 0.6
"""Where models end, when there are some: on a CPU they take most of the time."""
READING_SHARE, ANALYSIS_SHARE = 0.1, 0.4
"""Where reading and analysing end in the whole job's progress: between the full run (0.1, 0.3) and the worker, which writes
no pictures (0.2, 0.8), of Docs/performance.md."""


@dataclass(frozen=True)
class Request:
    """Everything one run needs; paths are files (or a DICOM folder for the image).

    `cavity` is a mask file or a model's name (None: the model that comes with the project), `wall` a mask file, `scar` a mask
    file or the name of a rule or model (ARCHITECTURE, "Choosing methods"; None: the rule of `settings`); `labels` says by mask
    name which label of a mask with several to take, by value or segment's name, or which ones together. `device` … `accept_terms` are for models: see `inference.options`; `roi` is
    a mask of the region of interest, `mask_prediction` whether a model's scar is cut to its system's region (None: as the system has it), `doubt` asks how far a model's cavity can be trusted, `find_planes` that planes are looked for where none is given, `accept_terms` accepts the terms they come with. `analysis`: the output folder gets the whole
    analysis (`analysis.archive`) for the program that asked, and none of a result's files.
    """

    image: Path
    output: Path
    cavity: Path | None = None
    wall: Path | None = None
    scar: str | None = None
    planes: tuple[Path, ...] = ()
    labels: dict[str, Label | Sequence[Label]] = field(default_factory=dict)
    settings: Settings = Settings()
    force: bool = False
    figures: bool = True
    report: bool = True
    scene: bool = True
    device: str = "auto"
    region_first: bool = True
    mirror: bool = False
    mask_prediction: bool | None = None
    roi: Path | None = None
    doubt: bool = True
    find_planes: bool = True
    accept_terms: bool = False
    analysis: bool = False

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Request:
        """From the content of a REQUEST.json; `image` and `output` are needed, unknown keys are refused."""
        known = {f.name for f in dataclasses.fields(cls)}
        unknown, missing = sorted(set(data) - known), sorted({"image", "output"} - set(data))
        if unknown or missing:
            raise InputError(f"The request has unknown keys {unknown} and lacks {missing}; known are {sorted(known)}.")
        for key, (fits, wanted) in _JSON_TYPES.items():
            if key in data and not fits(data[key]):
                raise InputError(f"The request's '{key}' is {data[key]!r}; it must be {wanted}.")
        values = dict(data)
        for key in ("image", "output", "cavity", "wall", "roi"):
            values[key] = Path(data[key]) if data.get(key) else None
        values["planes"] = tuple(Path(p) for p in data.get("planes", ()))
        values["settings"] = Settings.from_json(data.get("settings", {}))
        return cls(**values)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


def _is_text_or_none(value: object) -> bool:
    return value is None or _is_text(value)


def _is_labels(value: object) -> bool:
    if not isinstance(value, dict) or not set(value) <= {"cavity", "wall", "scar"}:
        return False
    each = [label for labels in value.values() for label in (labels if isinstance(labels, list) else [labels])]
    return all(type(label) is int or _is_text(label) for label in each)


_JSON_TYPES: dict[str, tuple[Callable[[object], bool], str]] = {
    "image": (_is_text, "a path"),
    "output": (_is_text, "a path"),
    "cavity": (_is_text_or_none, "a path, a model's name or null"),
    "wall": (_is_text_or_none, "a path or null"),
    "roi": (_is_text_or_none, "a path or null"),
    "device": (_is_text, "a device's name"),
    "scar": (_is_text_or_none, "a path, the name of a rule or model, or null"),
    "planes": (lambda value: isinstance(value, list) and all(map(_is_text, value)), "a list of paths"),
    "labels": (_is_labels, 'an object such as {"cavity": 2} or {"cavity": ["Left atrium", 3]}'),
    "settings": (lambda value: isinstance(value, dict), "an object"),
    "mask_prediction": (lambda value: value is None or isinstance(value, bool), "true, false or null"),
    **{
        key: (lambda value: isinstance(value, bool), "true or false")
        for key in ("force", "figures", "report", "scene", "region_first", "mirror", "doubt", "find_planes", "accept_terms", "analysis")
    },
}
"""What each key of a REQUEST.json may hold, and how to say so."""


def run_request(request: Request, progress: Progress | None = None) -> Analysis:
    """Read, analyse, write. Nothing is written when anything fails or is cancelled.

    Raises
    ------
    InputError, ProcessingError, Cancelled
    """
    progress = progress or Progress()
    for what, path in (("scan", request.image), ("cavity mask", request.cavity), ("wall mask", request.wall), ("scar mask", request.scar)):
        require_encodable(path or "", what)
    chosen = _checked_sources(request)
    bundles = _different_bundles(chosen)
    _check_models(bundles, request)
    if request.figures and not request.analysis:
        check_in_advance()
    # Of the whole job, where reading and the analysis end.
    start, reading = (MODELS_SHARE, READING_SHARE / 2) if bundles else (READING_SHARE, READING_SHARE)
    end = start + (1.0 - start) * (ANALYSIS_SHARE - READING_SHARE) / (1.0 - READING_SHARE)
    files = {"image": request.image, "wall": request.wall, "roi": request.roi, **chosen}
    files = {name: path for name, path in files.items() if isinstance(path, Path)}
    volumes = _read_all(files, request.labels, progress.part(0.0, reading))
    with _scene_writer(request) as scene:
        # Networks want every core; while numbers are computed one is idle.
        part = progress.part(reading, end).before("anatomy", scene.start) if isinstance(scene, SceneProcess) else progress.part(reading, end)
        analysis = _analysed(request, chosen, files, volumes, part)
        progress = progress.part(end, 1.0)
        if request.analysis:
            write_analysis_folder(analysis, request.output, request.force, progress)
        else:
            drawn = {"figures": request.figures, "report": request.report}
            write_results(analysis, request.output, force=request.force, scene=scene, progress=progress, **drawn)
    return analysis


def _analysed(
    request: Request, chosen: Mapping[str, Path | Bundle | None], files: Mapping[str, Path], volumes: dict[str, Volume], progress: Progress
) -> Analysis:
    """What was read, analysed as asked."""
    options = InferenceOptions(
        request.device, request.region_first, _region_of_interest(volumes), request.mirror, mask_prediction=request.mask_prediction,
        doubt=request.doubt,
    )  # fmt: skip
    sources = {name: ToRun(source, options) if isinstance(source, Bundle) else volumes.get(name) for name, source in chosen.items()}
    if chosen["scar"] is None:
        sources["scar"] = ByRule.of_settings(_with_rule(request))
    return analyse(
        volumes["image"], request.settings, cavity=sources["cavity"], wall=volumes.get("wall"), scar=sources["scar"],
        planes=read_plane_files(request.planes) or (PlanesToFind() if request.find_planes else ()), files={name: describe_file(path, request.output) for name, path in files.items()},
        progress=progress,
    )  # fmt: skip


@contextmanager
def _scene_writer(request: Request) -> Iterator[SceneProcess | bool]:
    """Who writes the scene: of a scan that takes a while a process that starts now."""
    if request.scene and not request.analysis and (os.cpu_count() or 1) > 1 and _bytes_of(request.image) > PAYS_OFF_BYTES:
        with SceneProcess() as process:
            yield process
    else:
        yield request.scene


def _bytes_of(scan: Path) -> int:
    """The size of a scan's file, or of the files in its folder."""
    return sum(file.stat().st_size for file in (scan.iterdir() if scan.is_dir() else (scan,)) if file.is_file())


def terms_to_accept(request: Request) -> tuple[Bundle, ...]:
    """The request's models whose terms nobody has accepted yet. Raises what `run_request` would refuse before it asks for terms."""
    from ..models.store import ModelStore

    return tuple(bundle for bundle in _different_bundles(_checked_sources(request)) if not ModelStore().accepted(bundle))


def _different_bundles(sources: Mapping[str, Path | Bundle | None]) -> list[Bundle]:
    """The models among the sources, one that stands for both masks once."""
    return list({source.card.sha256: source for source in sources.values() if isinstance(source, Bundle)}.values())


def _checked_sources(request: Request) -> dict[str, Path | Bundle | None]:
    """Where `cavity` and `scar` come from: a mask file, a model that finds it, or (scar) None for a rule; and the output is free."""
    check_analysis_folder(request.output, request.force) if request.analysis else check_output(request.output, request.force)
    # Before anybody accepts a model's terms for what is no scan.
    refuse_mesh_as_scan(request.image)
    require_readable(request.image)
    sources = {"cavity": _cavity_source(request.cavity), "scar": _checked_scar(request)}
    for name, source in sources.items():
        if isinstance(source, Bundle):
            check_use(source.card, stage=name)
    return sources


def _with_rule(request: Request) -> Settings:
    """The settings, with the rule that the request names."""
    return request.settings if request.scar is None else replace(request.settings, rule=request.scar)


def _checked_scar(request: Request) -> Path | Bundle | None:
    source = None if request.scar is None else _scar_source(request.scar)
    if source is None:
        # A protocol or threshold that can't be is refused before anybody waits for a scan to be read.
        ByRule.of_settings(_with_rule(request))
    elif request.settings.protocol is not None:
        raise InputError(f"A protocol ({request.settings.protocol}) says how scar is found, and so does '{request.scar}'. Leave one of them out.")
    return source


def _region_of_interest(volumes: dict[str, Volume]) -> Box | None:
    """The box of the region of interest, on the scan's grid."""
    if "roi" not in volumes:
        return None
    grid = volumes["image"].geometry
    return Box.around(mask_on_grid(volumes["roi"], grid, "region of interest")[0], 0.0, grid.spacing_kji)


def _check_models(bundles: Sequence[Bundle], request: Request) -> None:
    """Terms and device, before anybody waits for a scan to be read."""
    if not bundles:
        if request.device not in ("auto", "cpu"):
            raise InputError(f"The device '{request.device}' is for models; none was chosen. Leave it out.")
        if request.roi is not None:
            raise InputError(f"A region of interest ({request.roi}) is for models that find the cavity; none was chosen. Leave it out.")
        return
    from ..inference.device import choose_device
    from ..models.store import ModelStore

    for bundle in bundles:
        ModelStore().require_terms(bundle, request.accept_terms)
    if request.device in ("auto", "cpu") and importlib.util.find_spec("torch") is not None:
        # Always there. Torch takes two seconds to load: the scan can be read meanwhile.
        threading.Thread(target=importlib.import_module, args=("torch",), daemon=True).start()
        return
    choose_device(request.device)


def _scar_source(scar: str, models: bool = True) -> Path | Bundle | None:
    """A mask file, a model (with `models`), or None for a rule; `InputError` when it is none of them."""
    if models:
        _refuse_bundle(Path(scar))
    # A folder is no mask: one that is called like a rule (a result named "iir") must not hide the rule.
    if Path(scar).is_file():
        return Path(scar)
    if scar in RULES:
        return None
    complaint = f"'{scar}' is neither an existing scar mask nor a rule; the rules are {', '.join(RULES)}"
    if not models:
        raise InputError(f"{complaint}.")
    return _find_model(scar, complaint)


def _refuse_bundle(path: Path) -> None:
    """A model is named after it was added, so that it is checked, and its terms are known, once and for all."""
    if (path.suffix == ".zip" and path.is_file()) or (path / CARD).is_file():
        raise InputError(
            f"{path} is no mask; it seems to be a model bundle. Add it with `lascarseg models add {path}`, then give its name."
        )


def _find_model(name: str, complaint: str) -> Bundle:
    from ..models.store import ModelStore

    try:
        return ModelStore().find(name)
    except InputError as error:
        raise InputError(f"{complaint}. {error}") from None


def choose_scar(
    scar: str | None, threshold: str | None, protocol: str | None = None, dense: str | None = None, models: bool = False
) -> ByRule | Path | str:
    """How scar is found, from what a person typed: a rule in its reading, a mask file, or with `models` also a model's name.

    Nothing said is the usual protocol (ARCHITECTURE, "Protocols"); a rule without a protocol looks at the voxels of the wall.

    Raises
    ------
    InputError
        an unknown rule, protocol or file, thresholds that can't be used, or several ways at once.
    """
    source = None if scar is None else _scar_source(scar, models)
    if source is None:
        name = find_protocol(protocol or USUAL_PROTOCOL).rule if scar is None else scar
        numbers = [parse_threshold(find_rule(name), text) for text in (threshold, dense)]
        return ByRule(name, numbers[0], (protocol or USUAL_PROTOCOL) if scar is None else protocol, numbers[1])
    is_model = isinstance(source, Bundle)
    for what, value in (("protocol", protocol), ("threshold", threshold), ("threshold of dense scar", dense)):
        if value is not None:
            given = f"'{scar}' is a model, which has its own" if is_model else f"the scar is given as a mask ({source})"
            raise InputError(f"A {what} ({value}) needs a rule, but {given}. Leave one of them out.")
    return scar if is_model else source


def read_plane_files(paths: tuple[Path, ...]) -> tuple[CutPlane, ...]:
    """All planes of some files; `InputError` when two have one name."""
    planes = tuple(plane for path in paths for plane in read_planes(path))
    names = [plane.name for plane in planes]
    doubled = sorted(name for name, count in Counter(names).items() if count > 1)
    if doubled:
        raise InputError(f"The plane files name {', '.join(doubled)} more than once. Keep one plane of each name.")
    return planes


def without_cavity_model(store: ModelStore) -> str:
    """What to do where no mask is given and the project's cavity model is not here: the end of a sentence, and the ways."""
    ways = "a mask of the left atrial cavity with --cavity FILE, or a model's name (`lascarseg models list`)."
    model = store.missing_cavity()
    if model is None:
        return f"no model that finds it comes with this installation. Give {ways}"
    return (
        f"the model that finds it, {model.reference}, is not on this computer. `{model.command}` fetches it once ({model.size}; for "
        f"research only, the terms are asked first). Or give {ways}"
    )


def _cavity_source(cavity: Path | None) -> Path | Bundle:
    """A mask file, or a model; without either the one that comes with the project."""
    if cavity is None:
        from ..models.store import ModelStore

        bundle = ModelStore().default_cavity()
        if bundle is None:
            raise InputError(f"No cavity was given, and {without_cavity_model(ModelStore())}")
        return bundle
    _refuse_bundle(cavity)
    if cavity.exists():
        return cavity
    remedy = "Give a mask of the left atrial cavity with --cavity FILE, or a model's name"
    if str(cavity) in RULES:
        remedy = f"'{cavity}' is a rule, and rules find scar only. {remedy}"
    return _find_model(str(cavity), f"The cavity '{cavity}' is not an existing file. {remedy}")


def _read_all(files: dict[str, Path], labels: Mapping[str, Label | Sequence[Label]], progress: Progress) -> dict[str, Volume]:
    """The scan, which comes first, and the masks, each with what is meant in its file."""
    volumes: dict[str, Volume] = {}
    for step, (name, path) in enumerate(files.items()):
        progress.report("read", step / len(files), f"Reading {path.name}")
        if name == "image":
            volumes[name] = read_volume(path)
            check_is_scan(volumes[name], str(path))
        else:
            volumes[name] = read_mask_file(path, MASK_NAMES.get(name, name), wanted_labels(labels.get(name)), volumes["image"])
    return volumes

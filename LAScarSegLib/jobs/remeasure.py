"""Measure a result folder again, after its masks were corrected or with another method: the numbers follow the edit."""

from dataclasses import dataclass, replace
from pathlib import Path

from ..analysis import Analysis, ByRule, Change, Drawn, Given, base_of
from ..analysis.description import Stored
from ..analysis.provenance import NODE, describe_file, path_beside
from ..analysis.sources import File
from ..errors import InputError
from ..intensity.rules import parse_threshold
from ..output.reading import read_result
from ..output.writing import check_output, write_results
from ..support.progress import Progress
from .mask_files import read_mask_file
from .request import choose_scar, read_plane_files


@dataclass(frozen=True)
class RemeasureRequest:
    """What shall be different: None or empty keeps what the result was made with.

    `scar` is a rule's name or a mask file; `threshold` a number or a preset's key, for that rule or else for the rule the
    result was made with, in the reading it was made with; `protocol` another reading; `dense` the number of dense scar; `native` may only be added; `confirm_cavity`: a person looked at a model's
    cavity and takes it for good; `band` and `band_inside` as `BandReach.changed_by` reads them.
    """

    image: Path | None = None
    scar: str | None = None
    threshold: str | None = None
    protocol: str | None = None
    dense: str | None = None
    planes: tuple[Path, ...] = ()
    despite: tuple[str, ...] = ()
    confirm_cavity: bool = False
    native: bool = False
    staging: str | None = None
    band: tuple[str, ...] = ()
    band_inside: float | None = None
    regions: str | None = None


def remeasure(folder: Path, request: RemeasureRequest, output: Path | None, force: bool, progress: Progress) -> Analysis:
    """Measure the result in `folder` again, and write a new one to `output` if given.

    What a person changed in its masks counts as drawn; the rest is as `revise` has it.

    Raises
    ------
    InputError
        no result folder, the scan is gone or another one, or what `analyse` refuses.
    """
    if output is not None:
        check_output(output, force)
    progress.report("read", 0.0, "Reading the result")
    stored = read_result(folder, request.image)
    before = stored.settings
    change = Change(
        planes=read_plane_files(request.planes) or None,
        scar=_scar(stored, request, output),
        confirm_cavity=request.confirm_cavity,
        settings=replace(before, native=before.native or request.native, staging=request.staging or before.staging,
                         regions=request.regions or before.regions, despite=(*before.despite, *request.despite),
                         bands=before.bands.changed_by(request.band, request.band_inside)),
    )
    analysis = stored.analyse(change, progress=progress.part(0.1, 1.0 if output is None else 0.5))
    analysis = analysis.described(_inputs_beside(analysis, folder, request, output))
    analysis = replace(analysis, provenance=analysis.provenance | {"remeasured": folder.resolve().name})
    if output is not None:
        write_results(analysis, output, force=force, progress=progress.part(0.5, 1.0))
    return analysis


def _inputs_beside(analysis: Analysis, folder: Path, request: RemeasureRequest, output: Path | None) -> dict[str, File]:
    """The inputs as a result in `output` says where they lie: each was described from the old result's parent folder."""
    target, before = output or folder, folder.resolve().parent
    inputs = dict(analysis.sources.inputs)
    moved = {name: (before / file["path"]).resolve() for name, file in inputs.items() if file["path"] and not file["path"].startswith(NODE)}
    if request.image is not None:
        moved["image"] = request.image.resolve()
    # A new scar mask was described from `output` already.
    new_scar = () if request.scar is None else ("scar",)
    return {
        name: dict(file) | {"path": path_beside(moved[name], target)} if name in moved and name not in new_scar else dict(file)
        for name, file in inputs.items()
    }


def _scar(stored: Stored, request: RemeasureRequest, output: Path | None) -> ByRule | Given | None:
    """The scar's new source; None keeps the one there is."""
    source = stored.sources.scar
    edited = "scar" in stored.drawn or isinstance(source, Drawn)
    rule = base_of(source)
    numbers = request.threshold if request.threshold is not None else request.dense
    if request.scar is None and request.protocol is None:
        if numbers is None:
            return None
        if edited or not isinstance(rule, ByRule):
            raise InputError(
                f"The scar of this result is a mask, or was edited; a threshold ({numbers}) would replace it. Name the protocol with "
                "--protocol, or the rule with --scar, to do so."
            )
        # The usual protocol is not asked for: the reading stays the result's own.
        kept = rule.with_threshold(rule.parameter if request.threshold is None else parse_threshold(rule.rule, request.threshold))
        return kept if request.dense is None else replace(kept, dense=parse_threshold(rule.rule, request.dense))
    method = choose_scar(request.scar, request.threshold, request.protocol, request.dense)
    if isinstance(method, Path):
        return Given.of(read_mask_file(method, "scar", (), stored.volume), stored.volume.geometry, "scar", file=describe_file(method, output))
    return method

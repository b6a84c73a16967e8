"""Two results compared in the panel: before and after, or two methods of one scan; beside the windows, with the map of what changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..analysis import Analysis
from ..analysis.comparison import SeemDifferent
from ..errors import Cancelled, InputError
from ..jobs.compare import HowToCompare, compare_both
from ..measure.numbers import DASH
from ..output.compared_findings import page_tables
from ..output.comparison_report import ComparedResults, number_rows
from ..output.csv_tables import plain
from ..output.result_surface import ResultSurface
from ..scene.attributes import MEASUREMENTS, PROVENANCE
from ..scene.comparison import (
    add_change_map,
    find_change_map,
    id_of,
    is_in,
    name_of,
    read_held,
    said_of,
    show_change_map,
    text_of,
    volumes_with_results,
)
from ..scene.mrml import remove_node
from ..scene.selection import find_node
from ..support.flags import NOTE
from ..support.progress import Progress, ProgressEvent
from .background import Background

KEPT = "kept"
"""The key of the result that somebody keeps (Measurements, Keep)."""
TOO_FEW = "Two results are needed: of two scans in this scene, or of one scan and the one that is kept (Measurements, Keep)."
SAME_ONE = "A and B are the same result. Choose another one."
OLDER = "Older than the results: press Compare."
STOPPED = "Stopped; nothing was changed."
HEADINGS = ("On the wall that both show", "Value")


@dataclass(frozen=True, eq=False)
class KeptResult:
    """A result that is no longer shown: its analysis, and the volume node that it was made from."""

    analysis: Analysis
    volume: Any


@dataclass(frozen=True)
class ResultChoice:
    """One entry of the lists of results: `key` is the volume node's ID, or `KEPT`."""

    key: str
    title: str


@dataclass(frozen=True)
class CompareState:
    """What the panel shows: `message` for a person, `busy` while it compares, `older` when a result is another one by now, `refused` when a
    person who knows better may go on; `changed` in the one poll that brought a new comparison."""

    message: str = ""
    busy: bool = False
    older: bool = False
    refused: bool = False
    changed: bool = False


@dataclass(frozen=True, eq=False)
class _Pair:
    """A and B: their keys, volume nodes, and what the results were then."""

    keys: tuple[str, str]
    volumes: tuple[Any, Any]
    states: tuple[Any, ...]


class ResultComparer:
    """Compares results of one scene; for the thread of the windows, and nothing here takes long.

    `start` asks for a comparison, `poll` from a timer takes it and puts its map into the scene, `cancel` forgets what runs.
    """

    def __init__(self, scene: Any) -> None:
        self._scene = scene
        self._background = Background(pause_s=0.0)
        self._stop: list[bool] = [False]
        self._said = self._stage = ""
        self._refused = False
        self._asked: _Pair | None = None
        self._shown: _Pair | None = None
        self.compared: ComparedResults | None = None

    def choices(self, kept: KeptResult | None = None) -> tuple[ResultChoice, ...]:
        """The results that there are to compare."""
        held = [
            ResultChoice(id_of(volume), _title(name_of(volume), said_of(self._scene, volume, MEASUREMENTS)))
            for volume in volumes_with_results(self._scene)
        ]
        if kept is None or not is_in(self._scene, kept.volume):
            return tuple(held)
        return (*held, ResultChoice(KEPT, f"{name_of(kept.volume)} (kept): {kept.analysis.method.label}"))

    def why_not(self, a: str, b: str, kept: KeptResult | None = None) -> str:
        """What is missing before these two can be compared; "" when nothing is."""
        if len(self.choices(kept)) < 2:
            return TOO_FEW
        return SAME_ONE if a == b else ""

    def are_of_one_scan(self, a: str, b: str, kept: KeptResult | None = None) -> bool:
        """Whether both say that they were made from the same scan (SHA-256)."""
        digests = [_image_digest(self._provenance(key, kept)) for key in (a, b)]
        return digests[0] is not None and digests[0] == digests[1]

    def start(self, a: str, b: str, how: HowToCompare, kept: KeptResult | None = None) -> None:
        """Compare the results of these keys; why it can't be, `poll` says."""
        self.cancel()
        self._said, self._refused = self.why_not(a, b, kept), False
        if self._said:
            return
        try:
            one, other = (self._result(key, kept) for key in (a, b))
        except InputError as error:
            self._said = str(error)
            return
        volumes = tuple(kept.volume if key == KEPT else find_node(self._scene, key) for key in (a, b))
        self._asked = _Pair((a, b), volumes, self._states((a, b), kept))
        stop = self._stop = [False]
        self._stage = "Comparing"
        progress = Progress(self._on_progress, lambda: stop[0])
        self._background.submit(lambda: compare_both(one, other, how, progress))

    def cancel(self) -> None:
        """Forget what runs; the scene stays as it is."""
        if self.busy:
            self._stop[0] = True
            self._background.drop()
            self._said, self._asked = STOPPED, None

    def forget_refusal(self) -> None:
        """Something else was chosen: what was said of the earlier choice no longer counts."""
        if not self.busy:
            self._said, self._refused = "", False

    @property
    def busy(self) -> bool:
        return self._background.busy and not self._stop[0]

    def poll(self, kept: KeptResult | None = None) -> CompareState:
        """Take the comparison, and say how far it is."""
        outcome, changed = self._background.poll(), False
        if outcome is not None and outcome.error is not None:
            self._refused = isinstance(outcome.error, SeemDifferent)
            self._said = STOPPED if isinstance(outcome.error, Cancelled) else outcome.error.reason if self._refused else str(outcome.error)
        elif outcome is not None:
            changed = self._take(outcome.result)
        older = self.compared is not None and self._shown.states != self._states(self._shown.keys, kept)
        message = self._stage if self.busy else self._said or (OLDER if older else "")
        return CompareState(message, self.busy, older, self._refused, changed)

    def _take(self, compared: ComparedResults) -> bool:
        """The comparison and its map; in a scene that has lost A's scan meanwhile, none."""
        if not all(is_in(self._scene, volume) for volume in self._asked.volumes):
            self._said = "One of the two scans was removed from the scene, so the comparison was not shown."
            return False
        self._put_away_map()
        title = f"{compared.a.folder} to {compared.b.folder}: changes"
        add_change_map(self._scene, *self._asked.volumes, compared.comparison, title, plain(compared.to_json()))
        self.compared, self._shown = compared, self._asked
        self.show_map(True)
        return True

    @property
    def map_node(self) -> Any | None:
        """The model node of what changed: of the latest comparison, or of a scene that was loaded; None without one."""
        return find_change_map(self._scene, self._source)

    @property
    def _source(self) -> Any | None:
        """The volume of A in the comparison that is shown, as long as it is there."""
        return self._shown.volumes[0] if self._shown is not None and is_in(self._scene, self._shown.volumes[0]) else None

    def show_map(self, on: bool) -> None:
        """Show what changed in the place of the scar maps, or these again."""
        if self.map_node is not None:
            show_change_map(self.map_node, on)

    def _put_away_map(self) -> None:
        """Of an earlier comparison; one that a loaded scene brought is only hidden."""
        self.show_map(False)
        if self._source is not None and self.map_node is not None:
            remove_node(self._scene, self.map_node)

    def close(self) -> None:
        """Nothing more is computed or shown."""
        self.cancel()
        self.compared = self._shown = None

    def _result(self, key: str, kept: KeptResult | None) -> ResultSurface:
        if key == KEPT:
            if kept is None:
                raise InputError("No result is kept any more. Press Keep in Measurements.")
            if kept.analysis.withheld:
                raise InputError("The scar of the kept result is withheld: its cavity is not to be used.")
            analysis = kept.analysis
            return ResultSurface(
                f"{name_of(kept.volume)} (kept)", analysis.surface, analysis.measurements_json(findings=False), analysis.provenance
            )
        volume = find_node(self._scene, key)
        if volume is None:
            raise InputError("One of the two results is no longer in the scene. Choose again.")
        held = read_held(self._scene, volume)
        return ResultSurface(name_of(volume), held.surface, held.measurements, held.provenance)

    def _provenance(self, key: str, kept: KeptResult | None) -> dict[str, Any]:
        if key == KEPT:
            return {} if kept is None else kept.analysis.provenance
        volume = find_node(self._scene, key)
        return {} if volume is None else said_of(self._scene, volume, PROVENANCE)

    def _states(self, keys: tuple[str, str], kept: KeptResult | None) -> tuple[Any, ...]:
        """Others when one of the results is another one."""
        return tuple(self._state(key, kept) for key in keys)

    def _state(self, key: str, kept: KeptResult | None) -> Any:
        if key == KEPT:
            return None if kept is None else kept.analysis
        volume = find_node(self._scene, key)
        return "" if volume is None else text_of(self._scene, volume, MEASUREMENTS)

    def _on_progress(self, event: ProgressEvent) -> None:
        self._stage = event.message


def rows(compared: ComparedResults) -> tuple[tuple[str, str], ...]:
    """The numbers of a comparison as `HEADINGS` says, with the labels and decimals of its report."""
    known = [row for row in number_rows(compared.comparison) if row["value"] != DASH]
    return tuple((row["label"], f"{row['value']} {row['unit']}".strip()) for row in known)


def words(compared: ComparedResults) -> tuple[str, ...]:
    """What belongs to the numbers: how B was laid onto A, how well the surfaces fit, why regions or gaps are missing."""
    registration, lines = compared.comparison.registration, []
    if registration is not None:
        motion = registration.motion
        lines.append(f"B was turned by {motion.angle_deg:.1f}° and moved by {motion.shift_mm:.1f} mm to lie on A.")
    lines.append(compared.residual_sentence)
    return (*lines, *compared.comparison.findings.remarks)


def gap_headings(compared: ComparedResults) -> tuple[str, str, str, str]:
    """Over the columns of `gap_rows`."""
    return ("Around", "A", "B", "Gaps of one") if compared.comparison.of_methods else ("Around", "Before", "After", "Changed gaps")


def gap_rows(compared: ComparedResults) -> tuple[tuple[str, str, str, str], ...]:
    """A row for each vein and pair of A: the healthy part of its path by A and by B, and the gaps that only one of them has."""
    words = ("B alone", "A alone") if compared.comparison.of_methods else ("opened", "closed")
    return tuple(
        (
            row["around"],
            *(_path_text(row[side]) for side in ("a", "b")),
            "\n".join(
                [*(f"{word}: {text}" for word, how in zip(words, ("opened", "closed")) for text in row[how]), *row["of_a"], *row["of_b"]]
            ),
        )
        for row in page_tables(compared.comparison.findings)["around"]
    )


def _path_text(path: dict[str, Any]) -> str:
    if path["problem"]:
        return DASH
    return "encircled" if path["encircled"] else path["length"]


def remarks(compared: ComparedResults) -> tuple[tuple[str, str], ...]:
    """(heading, message) of every remark but notes, the gravest first."""
    return tuple((remark.heading, remark.message) for remark in compared.remarks if remark.severity != NOTE)


def _title(name: str, measurements: dict[str, Any]) -> str:
    method = measurements.get("method")
    label = str(method.get("label", "")) if isinstance(method, dict) else ""
    return f"{name}: {label}" if label else name


def _image_digest(provenance: dict[str, Any]) -> str | None:
    image = (provenance.get("inputs") or {}).get("image")
    return image.get("sha256") if isinstance(image, dict) else None

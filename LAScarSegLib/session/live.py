"""Map and numbers that follow the brush: a quick look soon after the last stroke, the perturbation range after it."""

import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..analysis import Analysis
from ..errors import InputError, LAScarSegError
from ..scene.segmentation import watch_segments
from .background import PAUSE_S, Background
from .edit_session import EditSession
from .edits import Segments


@dataclass(frozen=True)
class LiveState:
    """What the panel shows: `message` for a person ("" when all is up to date), `busy` while something is computed or about to be.

    `changed` is True in the one poll after which the session's analysis is a new one; `error` is what went wrong, until the
    next edit.
    """

    message: str = ""
    busy: bool = False
    changed: bool = False
    error: str = ""


class LiveUpdate:
    """Watches over one `EditSession`; everything here is for the thread of the windows, and nothing takes long.

    It hears of strokes and of Segment Editor's undo by itself. Call `touch` when a plane may have changed, `poll` from a
    timer, and `close` at the end.
    """

    def __init__(self, session: EditSession, automatic: bool = True, pause_s: float = PAUSE_S) -> None:
        self.session = session
        self.automatic = automatic
        self._pause_s = pause_s
        self._background = Background(pause_s=0.0)
        self._due: float | None = None
        self._drawn: Segments | None = None
        self._full = False
        self._error = ""
        self._seen = session.state()
        self._range_due: float | None = None
        self._ask_for_range()
        self._stop_watching = watch_segments(session.nodes.segmentation, self.touch)

    def touch(self) -> None:
        """Something may have been drawn. What this object itself put into the nodes is known and doesn't count."""
        # What is missing by now, the poll says.
        with suppress(LAScarSegError):
            if self.session.state() == self._seen:
                return
        self._background.drop()
        self._error = ""
        self._due = time.monotonic() + self._pause_s

    def update_now(self) -> None:
        """The button: measure what is drawn without waiting for a pause."""
        self._background.drop()
        self._error = ""
        self._begin()

    @property
    def pending(self) -> bool:
        """Whether something was drawn that isn't measured yet."""
        return self._due is not None or (self._background.busy and not self._full)

    def rebase(self, analysis: Analysis) -> None:
        """Another threshold or method was chosen; what was being computed for the old one is dropped, and nothing that was drawn."""
        pending = self.pending
        self.written(analysis)
        if pending:
            self._due = time.monotonic() + self._pause_s

    def written(self, analysis: Analysis) -> None:
        """The segments were written to show `analysis`: that is no edit, and whatever was being computed is dropped."""
        self._background.drop()
        self._error = ""
        self.session.rebase(analysis)
        self._due, self._seen = None, self.session.state()
        self._ask_for_range()

    def close(self) -> None:
        """Nothing more is heard, computed or shown."""
        self._stop_watching()
        self._background.drop()
        self._due = self._range_due = None

    def poll(self) -> LiveState:
        """Go on with the work and say how far it is."""
        if self._due is not None and self.automatic and time.monotonic() >= self._due:
            self._begin()
        if self._range_due is not None and self._due is None and time.monotonic() >= self._range_due:
            self._range_due = None
            self._measure(full=True)
        outcome = self._background.poll()
        changed = False
        if outcome is not None and outcome.error is not None:
            self._error = str(outcome.error)
        elif outcome is not None:
            changed = self._show(outcome.result)
        return LiveState(self._message(), self._busy, changed, self._error)

    def _ask_for_range(self) -> None:
        """The perturbation range follows by itself, once nothing happens for a moment: nobody drew, so no button has to be pressed."""
        analysis = self.session.analysis
        wanted = analysis.settings.perturbation and not analysis.has_ranges
        self._range_due = time.monotonic() + self._pause_s if wanted else None

    def _begin(self) -> None:
        self._due = self._range_due = None
        self._measure(full=False)

    def _measure(self, full: bool) -> None:
        try:
            self._drawn, self._full = self.session.snapshot(), full
            self._seen = self.session.state()
        except InputError as error:
            self._error = str(error)
            return
        self._background.submit(partial(self.session.measure, self._drawn, full))

    def _show(self, analysis: Analysis) -> bool:
        """Put a result into the nodes, and ask for the range after a quick look; True when the analysis is a new one."""
        changed = analysis is not self.session.analysis
        try:
            if not self.session.apply(analysis, self._drawn):
                self._begin()
                return False
            # Observers of the segments have called `touch` meanwhile; nobody but this wrote into them.
            self._seen, self._due = self.session.state(), None
        except InputError as error:
            self._error = str(error)
            return False
        if not self._full and analysis.settings.perturbation:
            self._measure(full=True)
        return changed

    def _message(self) -> str:
        if self._error:
            return self._error
        if self._busy:
            following = self._due is None and (self._full or self._range_due is not None)
            return "Measured; the perturbation range follows" if following else "Measuring the edit"
        return "Edited; press Update to measure" if self._due is not None else ""

    @property
    def _busy(self) -> bool:
        return self._background.busy or self._range_due is not None or (self._due is not None and self.automatic)

"""Progress of one job: named stages, an overall fraction, and a place to notice that the user cancelled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from ..errors import Cancelled


@dataclass(frozen=True)
class ProgressEvent:
    """`stage` is the step's name, `fraction` the whole job's progress in 0…1, `message` one line for a person."""

    stage: str
    fraction: float
    message: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


class Progress:
    """Hands events to a listener and raises `Cancelled` when the caller asks to stop.

    Parameters
    ----------
    listener
        called with every `ProgressEvent`; None: nobody listens.
    is_cancelled
        asked at every report; when it returns True, `report` raises `Cancelled`.
    """

    def __init__(self, listener: Callable[[ProgressEvent], None] | None = None, is_cancelled: Callable[[], bool] | None = None) -> None:
        self._listener, self._is_cancelled = listener, is_cancelled
        self._start, self._end = 0.0, 1.0

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller asks to stop, for work that has failed meanwhile and must tell why."""
        return self._is_cancelled is not None and self._is_cancelled()

    def report(self, stage: str, fraction: float, message: str = "") -> None:
        """Announce that `stage` is under way and `fraction` (0…1) of this progress's span is done."""
        if self.is_cancelled:
            raise Cancelled()
        if self._listener is not None:
            overall = self._start + (self._end - self._start) * min(max(fraction, 0.0), 1.0)
            self._listener(ProgressEvent(stage, round(overall, 4), message))

    def before(self, stage: str, do: Callable[[], None]) -> Progress:
        """This progress, which calls `do` each time when `stage` is reported, before it is told."""

        def listener(event: ProgressEvent) -> None:
            if event.stage == stage:
                do()
            if self._listener is not None:
                self._listener(event)

        child = Progress(listener, self._is_cancelled)
        child._start, child._end = self._start, self._end
        return child

    def part(self, start: float, end: float) -> Progress:
        """A progress whose 0…1 is the span `start`…`end` of this one."""
        child = Progress(self._listener, self._is_cancelled)
        width = self._end - self._start
        child._start, child._end = self._start + width * start, self._start + width * end
        return child

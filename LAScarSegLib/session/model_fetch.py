"""A model fetched beside the windows, with progress and Cancel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Cancelled, LAScarSegError
from ..models.fetchable import FetchableModel
from ..support.progress import Progress, ProgressEvent
from .background import Background

if TYPE_CHECKING:
    from ..models.bundle import Bundle

PATIENCE_S = 1.0
"""How long a panel that is closed waits for a connection that says nothing."""


@dataclass(frozen=True)
class FetchState:
    """How far it is: `fraction` in 0…1 with a `message`; when it is `done`, the `bundle`, or the `error` it ended with."""

    fraction: float
    message: str
    done: bool = False
    bundle: Bundle | None = None
    error: LAScarSegError | None = None


class ModelFetch:
    """One model on its way to the user's store; made only after the user accepted its terms. `poll` it from a timer."""

    def __init__(self, model: FetchableModel) -> None:
        self.model = model
        self._cancelled = False
        self._event = ProgressEvent("fetch", 0.0, "")
        self._background = Background(pause_s=0.0)
        self._background.submit(self._work)

    def poll(self) -> FetchState:
        outcome = None if self._cancelled else self._background.poll()
        if self._cancelled:
            return FetchState(self._event.fraction, "", True, error=Cancelled())
        if outcome is None:
            return FetchState(self._event.fraction, self._event.message)
        return FetchState(1.0, self._event.message, True, outcome.result, outcome.error)

    def cancel(self) -> None:
        """Stop at the next piece that comes; its scratch file goes with it."""
        self._cancelled = True
        self._background.drop()

    def close(self) -> None:
        """Cancel, and wait a moment for the scratch file to go: whoever quits would leave it behind."""
        self.cancel()
        end = time.monotonic() + PATIENCE_S
        while self._background.busy and time.monotonic() < end:
            self._background.poll()

    def _work(self) -> Bundle:
        from ..models.fetch import fetch_model
        from ..models.store import ModelStore

        def remember(event: ProgressEvent) -> None:
            self._event = event

        return fetch_model(self.model, ModelStore(), accept_terms=True, progress=Progress(remember, lambda: self._cancelled))

"""What all commands of `lascarseg` share: the program, how errors and progress are shown, the options they have in common."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Optional, TextIO

import typer

from .errors import Cancelled, as_lascarseg_error
from .interruption import Stop

if TYPE_CHECKING:
    from .progress import Progress, ProgressEvent

app = typer.Typer(
    name="lascarseg",
    help="Left-atrial scar maps from late gadolinium enhanced MRI. For research use only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)


@dataclass
class Session:
    """What every command needs from the program: whether to show tracebacks, and whether the user wants to stop."""

    debug: bool = False
    stop: Stop = field(default_factory=Stop)


class ProgressMode(str, Enum):
    """How progress is shown: a bar, JSON lines on standard output, or not at all."""

    text = "text"
    json = "json"
    none = "none"


ProgressOption = Annotated[
    Optional[ProgressMode],
    typer.Option("--progress", help="A bar, JSON lines on standard output, or nothing.", show_default="text in a terminal"),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there, if it is of the same kind.")]


@contextmanager
def reported_errors(session: Session) -> Iterator[None]:
    """Turn errors into one line on standard error and an exit code; `--debug` adds the traceback."""
    try:
        yield
        # The result is there; a signal is too late, and is ignored from here on.
        session.stop.finish()
    except (Exception, KeyboardInterrupt) as error:
        # Libraries turn a Ctrl-C inside them into errors of all kinds.
        reported = Cancelled() if session.stop else as_lascarseg_error(error)
        session.stop.finish()
        if session.debug:
            logging.exception("Traceback")
        print(f"{'' if isinstance(reported, Cancelled) else 'Error: '}{reported}", file=sys.stderr)
        raise typer.Exit(reported.exit_code) from None


@contextmanager
def shown_progress(mode: ProgressMode | None, session: Session) -> Iterator[Progress]:
    """A progress that shows itself as asked."""
    from .progress import Progress

    mode = mode or (ProgressMode.text if sys.stderr.isatty() else ProgressMode.none)
    if mode is ProgressMode.none:
        yield Progress(is_cancelled=session.stop.heed)
    elif mode is ProgressMode.json:
        yield Progress(lambda event: print(json.dumps(event.to_json()), flush=True), session.stop.heed)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Starting", total=1.0)

            def show(event: ProgressEvent) -> None:
                bar.update(task, completed=event.fraction, description=event.message)

            yield Progress(show, session.stop.heed)


def out(progress: ProgressMode | None) -> TextIO:
    """Where a person's text goes: standard output belongs to the JSON lines when they are asked for."""
    return sys.stderr if progress is ProgressMode.json else sys.stdout

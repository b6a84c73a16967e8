"""`lascarseg`: the analysis from a terminal or a script. Heavy imports wait until a command runs."""

import logging
import sys
from typing import Annotated

import typer

from .. import __version__
from ..errors import Cancelled
from ..support.interruption import leave, watch_signals
from ..support.printable import PrintableFormatter
from .common import CatalogueCommand, Invocation, say
from .compare import compare
from .doctor import doctor
from .evaluate import evaluate
from .measure import measure
from .models import models
from .phantom import phantom
from .reproduce import reproduce
from .run import run
from .surface import surface
from .train import train

app = typer.Typer(
    name="lascarseg",
    help="Left-atrial scar maps from late gadolinium enhanced MRI. For research use only; not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=True,
)
for command in (run, measure, compare, surface, phantom, doctor, evaluate, train, reproduce):
    app.command(cls=CatalogueCommand)(command)
app.add_typer(models)


@app.callback(invoke_without_command=True)
def common(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and stop.")] = False,
) -> None:
    context.obj = context.obj or Invocation()
    context.obj.debug = debug
    if version:
        typer.echo(f"lascarseg {__version__}")
        raise typer.Exit()


def main() -> None:
    """The entry point of `lascarseg`: exit code 0, 1 for a failure, 2 for the user's input, 130 when cancelled."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    logging.getLogger().handlers[0].setFormatter(PrintableFormatter("%(message)s"))
    invocation = Invocation(stop=watch_signals())
    try:
        code = _run_app(invocation)
    except KeyboardInterrupt:
        print(Cancelled(), file=sys.stderr)
        code = Cancelled.exit_code
    leave(code)


def _run_app(invocation: Invocation) -> int:
    """Run the command line and return the exit code."""
    try:
        return app(obj=invocation, standalone_mode=False) or 0
    except Exception as error:
        # Typer's own complaints about the command line; their class is private, and typer changes where it lives.
        if not hasattr(error, "format_message"):
            raise
        command = getattr(getattr(error, "ctx", None), "command_path", "lascarseg")
        # Without any argument the help was shown, and there is no message.
        if message := error.format_message().rstrip("."):
            say(f"Error: {message}. See `{command} --help`.", sys.stderr)
        return 2

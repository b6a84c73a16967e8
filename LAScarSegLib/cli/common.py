"""What all commands of `lascarseg` share: errors, progress and numbers as a terminal shows them, the options they have in common."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TextIO

import typer
from typer.core import TyperCommand

from ..errors import Cancelled, Stopped, as_lascarseg_error
from ..support.interruption import Stop
from ..support.printable import printable
from ..support.progress import Progress, ProgressEvent

if TYPE_CHECKING:
    from rich.console import Console

    from ..analysis import Analysis
    from ..measure.numbers import Quantity
    from ..support.doubt import Doubt
    from ..support.flags import QualityFlag


@dataclass
class Invocation:
    """What every command needs from the program: whether to show tracebacks, and whether the user wants to stop."""

    debug: bool = False
    stop: Stop = field(default_factory=Stop)


ProgressMode = Literal["text", "json", "none"]
"""How progress is shown: a bar, JSON lines on standard output, or not at all."""
ProgressOption = Annotated[
    Optional[ProgressMode],
    typer.Option("--progress", help="A bar, JSON lines on standard output, or nothing.", show_default="text in a terminal"),
]
RULES_HELP = "A rule ({rules})"
ProtocolOption = Annotated[
    Optional[str], typer.Option(help="A published way of measuring ({protocols}).", show_default="barcelona, unless --scar is given")
]
DenseOption = Annotated[Optional[str], typer.Option(help="The number above which scar is dense.", show_default="the protocol's, if any")]
ThresholdOption = Annotated[Optional[str], typer.Option(help="The rule's number, or a preset of it such as barcelona-dense.")]
PlanesOption = Annotated[Optional[list[Path]], typer.Option(help="Mitral and vein planes, JSON or Slicer .mrk.json; may be repeated.")]
DespiteOption = Annotated[
    Optional[list[str]], typer.Option(help="Go on despite a Stop, by its code; the result keeps it. May be repeated.", show_default="none")
]
BandOption = Annotated[
    Optional[list[str]],
    typer.Option(
        help="How far from an ostium in mm the path around a vein may run; LSPV=12 for one vein or pair. May be repeated.", show_default="18, or as before"
    ),
]
BandInsideOption = Annotated[Optional[float], typer.Option(help="And how far into the veins, in mm.", show_default="5, or as before")]
NativeOption = Annotated[bool, typer.Option("--native", help="The scan is from before any ablation: report a Utah stage.")]
RegionsOption = Annotated[str, typer.Option("--regions", help="How the wall is divided for scar by region: {schemes}.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace what is there, if it is of the same kind.")]


class CatalogueCommand(TyperCommand):
    """A command whose help may name what there is to choose from: `{rules}`, `{schemes}`, `{systems}`. The catalogues are read when it is called."""

    def get_params(self, context: typer.Context) -> list[Any]:
        from ..intensity.protocols import PROTOCOLS
        from ..intensity.rules import RULES
        from ..surface.region_schemes import SCHEMES
        from ..systems import SYSTEMS

        catalogues = (("rules", RULES, ", "), ("protocols", PROTOCOLS, ", "), ("schemes", SCHEMES, " or "), ("systems", SYSTEMS, " or "))
        parameters = super().get_params(context)
        for parameter in parameters:
            if text := getattr(parameter, "help", None):
                for name, catalogue, word in catalogues:
                    text = text.replace(f"{{{name}}}", word.join(catalogue))
                parameter.help = text
        return parameters


@contextmanager
def reported_errors(invocation: Invocation) -> Iterator[None]:
    """Turn errors into one line on standard error and an exit code; `--debug` adds the traceback."""
    try:
        yield
        # The result is there; a signal is too late, and is ignored from here on.
        invocation.stop.finish()
    except (Exception, KeyboardInterrupt) as error:
        # Libraries turn a Ctrl-C inside them into errors of all kinds.
        reported = Cancelled() if invocation.stop else as_lascarseg_error(error)
        invocation.stop.finish()
        if invocation.debug:
            logging.exception("Traceback")
        say(f"{'' if isinstance(reported, Cancelled | Stopped) else 'Error: '}{reported}", sys.stderr, lines=True)
        if isinstance(reported, Stopped):
            options = " ".join(f"--despite {code}" for code in reported.codes)
            say(f"Nothing was measured. Whoever knows that this is no harm here goes on with {options}", sys.stderr)
        raise typer.Exit(reported.exit_code) from None


@contextmanager
def shown_progress(mode: ProgressMode | None, invocation: Invocation) -> Iterator[Progress]:
    """A progress that shows itself as asked."""
    mode = mode or ("text" if sys.stderr.isatty() else "none")
    if mode == "none":
        yield Progress(is_cancelled=invocation.stop.requested)
    elif mode == "json":
        yield Progress(lambda event: print(json.dumps(event.to_json()), flush=True), invocation.stop.requested)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bar

        columns = (BarColumn(), TaskProgressColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
        with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("Starting", total=1.0)

            def show(event: ProgressEvent) -> None:
                bar.update(task, completed=event.fraction, description=printable(event.message))

            yield Progress(show, invocation.stop.requested)


def say(text: object, file: TextIO | None = None, lines: bool = False) -> None:
    """Print a text of which a part may come from outside: a file's name, a card; with `lines` of several lines."""
    print(printable(text, lines), file=file, flush=True)


def console(file: TextIO | None = None) -> Console:
    """A console for rich's tables that takes every text as it is: "[/x]" in a name is no markup."""
    from rich.console import Console

    return Console(file=file, markup=False, emoji=False, highlight=False)


def out(progress: ProgressMode | None) -> TextIO:
    """Where a person's text goes: standard output belongs to the JSON lines when they are asked for."""
    return sys.stderr if progress == "json" else sys.stdout


def told_below(analysis: Analysis) -> list[str]:
    """What belongs to the numbers: where the cavity comes from, what the range is, and what is not known."""
    from ..analysis.method import describe_cavity

    ranged = "Perturbation range: the cavity's edge and the blood pool's edge moved by ±1 mm; no confidence interval."
    headline = analysis.headline
    others = f"{analysis.others_line}." if analysis.others_line else ""
    because = analysis.method.not_calibrated_because
    lines = [
        describe_cavity(analysis.sources.cavity),
        f"{ranged} {headline.ends}" if headline.range else "",
        others,
        f"Not calibrated here: {'; '.join(because)}." if analysis.method.is_rule and because else "",
    ]
    return [line for line in lines if line]


def what_next(output: Path | None) -> str:
    """What to do with a result whose numbers are withheld."""
    if output is None:
        return "Look at the cavity on the scan. If it is right, add --confirm-cavity; else correct it in Slicer and measure again."
    return (
        f"Look at the cavity on the scan ({output / 'report.html'}, {output / 'scene.mrb'}). If it is right: lascarseg measure {output} --confirm-cavity "
        "-o NEW; else correct it in Slicer, save it in the result, and measure it."
    )


def numbers_table(title: str, measurements: Mapping[str, Quantity], parameter_name: str | None, file: TextIO) -> None:
    """Print what was measured as a table."""
    from rich.table import Table

    from ..measure.numbers import NUMBERS

    table = Table(title=printable(title), title_justify="left")
    for heading, justify in (("", "left"), ("value", "right"), ("unit", "left"), ("perturbation range", "right")):
        table.add_column(heading, justify=justify)
    for number in NUMBERS:
        quantity = measurements.get(number.key)
        if quantity is not None and quantity.value is not None:
            table.add_row(number.label, number.text(quantity.value), number.unit_for_people(parameter_name), number.range_text(quantity))
    console(file).print(table)


def print_remarks(remarks: Iterable[QualityFlag | Doubt], file: TextIO) -> None:
    """One line each, however wide the terminal: scripts read them, too."""
    for remark in remarks:
        say(remark.line, file)


def print_numbers(analysis: Analysis, output: Path | None, file: TextIO) -> None:
    """The measurements as a table, the flags, and where the result is."""
    from ..support.flags import NOTE

    headline, label = analysis.headline, analysis.settings.label
    # What may be wrong comes before the number.
    print_remarks([remark for remark in analysis.remarks if remark.severity != NOTE], file)
    console(file).print(", ".join(filter(None, (headline.sentence, headline.area_text))), style="bold")
    title = f"{f'{label}. ' if label else ''}{analysis.method.label}. For research use only."
    numbers_table(title, analysis.measurements, analysis.method.parameter_name, file)
    for line in told_below(analysis):
        say(line, file)
    print_remarks([remark for remark in analysis.remarks if remark.severity == NOTE], file)
    if analysis.withheld:
        say(what_next(output), file)
    if output is not None:
        say(f"Result: {output}", file)

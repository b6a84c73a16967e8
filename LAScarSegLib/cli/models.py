"""`lascarseg models …`: the models on this computer."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TextIO

import typer

from ..errors import InputError
from ..support.printable import printable
from .common import ForceOption, ProgressOption, console, out, reported_errors, say, shown_progress

if TYPE_CHECKING:
    from ..models.bundle import Bundle
    from ..models.fetchable import FetchableModel
    from ..models.store import ModelStore

models = typer.Typer(name="models", help="The trained models on this computer: list, get, check, add, remove, import.", no_args_is_help=True)

NameArgument = Annotated[str, typer.Argument(help="NAME, or NAME@VERSION.")]
ModelArgument = Annotated[str, typer.Argument(help="NAME, NAME@VERSION, or a bundle's folder or zip.")]
StoreOption = Annotated[Optional[Path], typer.Option("--store", help="Folder of the models, when not the usual one or LASCARSEG_MODELS.")]
SimulatedOption = Annotated[bool, typer.Option("--simulated", help="Also models trained on simulated scans; never for patients.")]


@models.command("list")
def list_models(context: typer.Context, store: StoreOption = None, simulated: SimulatedOption = False) -> None:
    """List the models, with the reason where one can't be used."""
    with reported_errors(context.obj):
        chosen = _open_store(store, simulated or None)
        found = chosen.models()
        if chosen.distrusted:
            say(chosen.distrusted, sys.stderr)
        if not found:
            say(f"No models in {chosen.folder}. Intensity rules need none; `lascarseg models add FILE` adds one.")
            _mention_missing(chosen)
            return
        from rich.table import Table

        table = Table()
        for heading in ("model", "finds", "system", "terms", "place"):
            # a name is there to be copied
            table.add_column(heading, no_wrap=heading == "model", overflow="fold")
        for model in found:
            if model.bundle is None:
                table.add_row(printable(model.folder.name), "can't be used", "", "", "project" if model.shipped else "yours")
                continue
            card = model.bundle.card
            terms = "none" if card.terms is None else "accepted" if chosen.accepted(model.bundle) else "to accept"
            finds = " and ".join(card.finds)
            stage = f"{finds} (simulated)" if card.simulated else finds
            table.add_row(card.reference, stage, printable(card.system), terms, "project" if model.shipped else "yours")
        say(f"Models in {chosen.folder}")
        terminal = console()
        terminal.print(table)
        for model in found:
            if model.problem:
                terminal.print(printable(f"{model.folder.name}: {model.problem}"))
        _mention_missing(chosen)


@models.command()
def show(context: typer.Context, model: ModelArgument, store: StoreOption = None) -> None:
    """Show what a model says about itself: training data, scores, intended use, licence, terms."""
    with reported_errors(context.obj):
        from ..models.bundle import card_lines

        for title, text in card_lines(_open_store(store, simulated=True).open(model)):
            say(f"{title + ':':14} {text.replace(chr(10), chr(10) + ' ' * 15)}", lines=True)


@models.command()
def add(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="A model bundle: a folder or a zip.")],
    store: StoreOption = None,
    force: ForceOption = False,
) -> None:
    """Check a bundle, every byte of it, and add it to the store."""
    with reported_errors(context.obj):
        chosen = _open_store(store)
        added = chosen.add(bundle, force)
        say(f"Added {added.card.reference}: {added.path}")
        _mention_terms(chosen, added)


@models.command()
def get(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model of the project, such as la-cavity.")],
    store: StoreOption = None,
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Don't ask: the terms are known and accepted.")] = False,
    force: ForceOption = False,
    progress: ProgressOption = None,
) -> None:
    """Fetch a model of the project's from its release, once its terms are accepted. No other command opens a connection."""
    with reported_errors(context.obj):
        from ..models.fetch import fetch_model, model_here

        chosen = _open_store(store)
        model = _find_fetchable(chosen, name)
        here = model_here(model, chosen)
        if here is not None:
            say(f"{model.reference} is here already, and whole: {here.path}", out(progress))
            _mention_terms(chosen, here, out(progress))
            return
        if model.terms is not None:
            _ask_before_fetching(model, accept_terms, out(progress))
        with shown_progress(progress, context.obj) as shown:
            added = fetch_model(model, chosen, True, shown, force)
        say(f"Added {added.card.reference}: {added.path}", out(progress))


@models.command()
def verify(context: typer.Context, model: ModelArgument, store: StoreOption = None) -> None:
    """Check every byte of a model against its SHA-256."""
    with reported_errors(context.obj):
        found = _open_store(store, simulated=True).open(model)
        found.verify()
        count = len(found.card.files)
        say(f"{found.card.reference} is whole: {count} {'file' if count == 1 else 'files'}, SHA-256 {found.card.sha256}")


@models.command()
def remove(context: typer.Context, model: NameArgument, store: StoreOption = None) -> None:
    """Delete a model from the store; those that come with the project stay."""
    with reported_errors(context.obj):
        say(f"Removed {_open_store(store).remove(model)}")


@models.command()
def export(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="NAME, NAME@VERSION, or the folder of a training run.")],
    target: Annotated[Optional[Path], typer.Argument(help="Where to write it: a folder, or a file that ends with .zip.")] = None,
    output: Annotated[Optional[Path], typer.Option("--output", "-o", help="The same as TARGET.")] = None,
    fold: Annotated[Optional[list[Path]], typer.Option(help="The run of another fold, for an ensemble; may be repeated.")] = None,
    name: Annotated[Optional[str], typer.Option(help="Of a run: what to call the model.")] = None,
    model_version: Annotated[str, typer.Option("--model-version", help="Of a run: the model's version.")] = "1.0",
    data: Annotated[Optional[str], typer.Option(help="Of a run: the training data in words.")] = None,
    licence: Annotated[Optional[str], typer.Option(help="Of a run: the licence of the weights.")] = None,
    intended_use: Annotated[Optional[str], typer.Option(help="Of a run: what the model is meant for.")] = None,
    terms: Annotated[Optional[Path], typer.Option(help="Of a run: a text file with terms that every user must accept.")] = None,
    checkpoint: Annotated[str, typer.Option(help="Of a run: best or last.")] = "best",
    half: Annotated[bool, typer.Option("--half", help="Of a run: weights in 16 bits, half the size.")] = False,
    coarse: Annotated[Optional[Path], typer.Option(help="Of a run: the run of a coarse preset, or a model that has one, to find the atrium first.")] = None,
    measured: Annotated[Optional[Path], typer.Option(help="Of a run: a JSON file with scores on scans that were never used.")] = None,
    extra: Annotated[Optional[list[Path]], typer.Option(help="Of a run: a LICENSE.txt or README.md of it; may be repeated.")] = None,
    store: StoreOption = None,
    force: ForceOption = False,
) -> None:
    """Write a model, or what a training run made, to a folder or zip, to be added on another computer."""
    with reported_errors(context.obj):
        target = target or output
        if target is None:
            raise InputError("Say where to write the model: a folder, or a file that ends with .zip.")
        from ..training.run_folder import is_run

        if not is_run(model):
            say(f"Exported {_open_store(store, simulated=True).export(model, target, force).path}")
            return
        from ..training.export import ExportRequest, export_runs

        text = terms.read_text(encoding="utf-8") if terms else None
        request = ExportRequest(
            name=name, version=model_version, licence=licence, intended_use=intended_use, terms=text, data=data, checkpoint=checkpoint,
            half=half, coarse=coarse, measured=measured, extra=tuple(extra or ()),
        )  # fmt: skip
        made = export_runs([Path(model), *(fold or [])], target, request, force)
        say(f"Exported {made.card.reference}: {made.path}")


@models.command()
def accept(
    context: typer.Context,
    model: ModelArgument,
    store: StoreOption = None,
    accept_terms: Annotated[bool, typer.Option("--accept-terms", help="Don't ask: the terms are known and accepted.")] = False,
) -> None:
    """Show a model's terms and accept them; asked once for each model."""
    with reported_errors(context.obj):
        chosen = _open_store(store, simulated=True)
        bundle = chosen.open(model)
        if chosen.accepted(bundle):
            say(f"{bundle.card.reference}: {'there are no terms' if bundle.card.terms is None else 'the terms were accepted before'}.")
            return
        if accept_terms:
            say(bundle.card.terms.strip(), lines=True)
        else:
            ask_for_terms(bundle, sys.stdout)
        chosen.accept(bundle)
        say(f"Accepted the terms of {bundle.card.reference}.")


@models.command("import-nnunet")
def import_nnunet(
    context: typer.Context,
    results: Annotated[Path, typer.Argument(help="A finished nnU-Net v2 results folder (with plans.json and fold_*), or a zip of it.")],
    name: Annotated[str, typer.Option(help="What to call the model.")],
    stage: Annotated[str, typer.Option(help="What it finds: cavity or scar.")] = "cavity",
    system: Annotated[str, typer.Option(help="The system it belongs to, which makes its input channels.")] = "two_stage_sdm",
    variant: Annotated[str, typer.Option(help="The variant of that stage.")] = "full",
    model_version: Annotated[str, typer.Option("--model-version", help="Its version.")] = "1.0",
    licence: Annotated[str, typer.Option(help="The licence of the weights.")] = "Not stated; ask who trained it.",
    intended_use: Annotated[str, typer.Option(help="What it is meant for.")] = "Research use only.",
    terms: Annotated[Optional[Path], typer.Option(help="A text file with terms that every user must accept.")] = None,
    simulated: Annotated[bool, typer.Option("--simulated", help="It was trained on simulated scans: never for patients.")] = False,
    checkpoint: Annotated[str, typer.Option(help="Which checkpoint of each fold.")] = "checkpoint_final.pth",
    store: StoreOption = None,
    force: ForceOption = False,
) -> None:
    """Convert a model trained with nnU-Net v2 and add it to the store. No code in its files is run."""
    with reported_errors(context.obj):
        from ..training.nnunet_import import ImportRequest, import_results

        text = terms.read_text(encoding="utf-8") if terms else None
        request = ImportRequest(
            name=name, version=model_version, system=system, stage=stage, variant=variant, licence=licence,
            intended_use=intended_use, terms=text, simulated=simulated, checkpoint=checkpoint,
        )  # fmt: skip
        chosen = _open_store(store)
        added = import_results(results, request, chosen, force)
        say(f"Imported {added.card.reference}: {added.path}")
        _mention_terms(chosen, added)


def _open_store(folder: Path | None, simulated: bool | None = None) -> ModelStore:
    from ..models.store import ModelStore

    return ModelStore(folder, simulated)


def _find_fetchable(store: ModelStore, name: str) -> FetchableModel:
    offered = store.fetchable()
    found = next((model for model in offered if model.is_called(name)), None)
    if found is None:
        names = ", ".join(model.name for model in offered) or "none"
        raise InputError(f"'{name}' is no model that can be fetched; there is {names}. `lascarseg models add FILE` adds one from a file.")
    return found


def _ask_before_fetching(model: FetchableModel, accepted: bool, file: TextIO) -> None:
    """Show what is to be fetched, its terms and licence, and ask; `InputError` unless the answer is yes."""
    say(f"{model.reference}, {model.size}, from {model.address}", file)
    say(f"Intended use: {model.intended_use}\n\n{model.licence_text.strip()}\n", file, lines=True)
    if accepted:
        say(model.terms.strip(), file, lines=True)
    else:
        _ask(model.reference, model.terms, "nothing was fetched", file)


def ask_for_terms(bundle: Bundle, file: TextIO) -> None:
    """Show a model's terms in `file` (standard output or error) and ask; `InputError` unless the answer is yes."""
    _ask(bundle.card.reference, bundle.card.terms, "the model can't be used", file)


def _ask(reference: str, terms: str, consequence: str, file: TextIO) -> None:
    say(f"The model {reference} may be used under these terms only:\n\n{terms.strip()}\n", file, lines=True)
    try:
        agreed = typer.confirm("Accept these terms?", err=file is sys.stderr)
    except typer.Abort:
        # Nobody is there to answer; the message begins a line of its own.
        print(file=file)
        agreed = False
    if not agreed:
        raise InputError(f"The terms of {reference} were not accepted; {consequence}.")


def _mention_missing(store: ModelStore) -> None:
    for model in store.missing():
        say(f"{model.reference}, which finds the {model.stage}, is not here: `{model.command}` fetches it ({model.size}).")


def _mention_terms(store: ModelStore, bundle: Bundle, file: TextIO | None = None) -> None:
    if not store.accepted(bundle):
        print(f"It has terms, to be accepted before first use: lascarseg models accept {bundle.card.reference}", file=file)

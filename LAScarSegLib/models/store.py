"""Where models are kept: the user's store, and those that come with the project. Works with a store that can't be written to."""

import json
import logging
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ..errors import InputError, ProcessingError
from ..support.json_text import parse_json
from ..support.printable import printable
from ..support.resources import RESOURCE_FOLDERS
from .bundle import Bundle, read_bundle, with_files, write_bundle
from .bundle_files import CARD
from .card import ModelCard
from .fetchable import FetchableModel, read_fetchable

logger = logging.getLogger(__name__)

STORE_VARIABLE = "LASCARSEG_MODELS"
"""Names another folder for the store."""
SIMULATED_VARIABLE = "LASCARSEG_SIMULATED"
"""Set to 1: models trained on simulated scans are listed and found, for tests and demonstrations."""
ACCEPTED = "accepted.json"
"""Which terms were accepted, by the bundle's hash."""
ADMINISTRATOR = 0
"""The user number of root, who may change everything anyway."""
SHIPPED_FOLDER = "Models"
"""Below Resources/."""
ABANDONED_S = 3600.0
"""A scratch file that was left alone for so long belongs to nobody any more: its program was killed."""


@dataclass(frozen=True)
class StoredModel:
    """A folder in the store: `bundle` when it can be used, else `problem` says why not."""

    folder: Path
    shipped: bool
    bundle: Bundle | None = None
    problem: str = ""


class ModelStore:
    """The models on this computer.

    Parameters
    ----------
    folder
        the user's store; None: LASCARSEG_MODELS, else the platform's place for an application's data.
    simulated
        also list and find models trained on simulated scans; None: as LASCARSEG_SIMULATED says.
    """

    def __init__(self, folder: str | Path | None = None, simulated: bool | None = None) -> None:
        self.folder = Path(folder).expanduser().absolute() if folder is not None else default_folder()
        self.simulated = os.environ.get(SIMULATED_VARIABLE) == "1" if simulated is None else simulated

    @property
    def distrusted(self) -> str:
        """Why nothing is taken from the user's store: somebody else could have put it there. Empty when all is well."""
        return _writable_by_others(self.folder)

    def models(self) -> tuple[StoredModel, ...]:
        """Every model, the user's first, by name and version; broken ones with their problem. None of a store that is `distrusted`."""
        found = [self._look(path, shipped) for path, shipped in self._folders()]
        visible = [model for model in found if model.bundle is None or self.simulated or not model.bundle.card.simulated]
        return tuple(sorted(visible, key=lambda model: (model.shipped, model.folder.name)))

    def find(self, reference: str) -> Bundle:
        """The model called `NAME` (its newest version) or `NAME@VERSION`.

        A name of the project's means the project's model, which came along or was fetched: another of the user's with that name is found
        by its version only.
        Raises `InputError` naming those that are here, or the reason why this one can't be used.
        """
        name, _, version = reference.partition("@")
        matching = [m for m in self.models() if m.bundle and m.bundle.card.name == name and version in ("", m.bundle.card.version)]
        if matching:
            own = [model for model in matching if model.shipped or self._was_fetched(model)]
            if own and len(own) < len(matching):
                others = sorted({m.bundle.card.reference for m in matching if m not in own} - {m.bundle.card.reference for m in own})
                logger.info("%s is the project's own; in %s there is %s", name, self.folder, ", ".join(others) or "another of that version")
            # 1.10 is newer than 1.9.
            return max(own or matching, key=lambda m: [int(n) for n in m.bundle.card.version.split(".")]).bundle
        if self.distrusted:
            raise InputError(self.distrusted)
        for model in self.models():
            if model.problem and reference in (model.folder.name, model.folder.name.rpartition("-")[0]):
                raise InputError(f"The model '{reference}' can't be used: {model.problem}")
        here = ", ".join(sorted({m.bundle.card.name for m in self.models() if m.bundle})) or "none"
        offered = next((model for model in self.fetchable() if model.is_called(reference)), None)
        remedy = f"`{offered.command}` fetches it" if offered else "`lascarseg models add FILE` adds one"
        raise InputError(f"There is no model '{reference}' in {self.folder}; installed: {here}. {remedy}.")

    def open(self, reference: str) -> Bundle:
        """A bundle by its folder or zip, or the model of that name (`find`)."""
        return read_bundle(reference) if Path(reference).expanduser().exists() else self.find(reference)

    def default_cavity(self) -> Bundle | None:
        """The project's cavity model, which came along or was fetched, whatever else the user's store holds; None when it isn't here.

        Raises `InputError` with the reason when it is there and can't be used.
        """
        found = self.models()
        shipped = [model for model in found if model.shipped]
        own = [*shipped, *(model for model in found if self._was_fetched(model))]
        names = [m.bundle.card.name for m in own if m.bundle and "cavity" in m.bundle.card.finds]
        if not names and (broken := next((model for model in shipped if model.problem), None)):
            raise InputError(f"The model {broken.folder.name}, which comes with the project, can't be used: {broken.problem}")
        return self.find(min(names)) if names else None

    def fetchable(self) -> tuple[FetchableModel, ...]:
        """The project's models that can be fetched, whether they are here or not."""
        return read_fetchable(RESOURCE_FOLDERS)

    def missing(self) -> tuple[FetchableModel, ...]:
        """The project's models that can be fetched and are not here."""
        found = [model for model in self.models() if model.bundle]
        # What came along is newer than the list or as old: whoever trains changes it first.
        here = {m.bundle.card.sha256 for m in found} | {m.bundle.card.reference for m in found if m.shipped}
        return tuple(model for model in self.fetchable() if not here & {model.bundle_sha256, model.reference})

    def missing_cavity(self) -> FetchableModel | None:
        """The project's cavity model to be fetched, where there is none to take when none is named; else None."""
        return next((model for model in self.missing() if model.stage == "cavity"), None) if self.default_cavity() is None else None

    def add(self, path: str | Path, force: bool = False) -> Bundle:
        """Check every byte of a bundle and copy it into the store, whole or not at all.

        Raises
        ------
        InputError
            the bundle is refused, the store or the project has another bundle of that name and version, or others may write to the store.
        ProcessingError
            the store can't be written to.
        """
        bundle = read_bundle(path)
        return self.keep_new(bundle.card, {name: bundle.read(name) for name in bundle.card.files}, force)

    def keep_new(self, card: ModelCard, files: Mapping[str, bytes], force: bool = False) -> Bundle:
        """Write a model that was just made into the store; errors as in `add`."""
        # "@" is not welcome in every file system.
        folder = self.folder / f"{card.name}-{card.version}"
        if self.distrusted:
            raise InputError(self.distrusted)
        shipped = [m.bundle.card.sha256 for m in self.models() if m.shipped and m.bundle and m.bundle.card.reference == card.reference]
        digest = with_files(card, files).sha256
        if any(own != digest for own in shipped):
            raise InputError(f"{card.reference} is the name of a model that comes with the project. Give yours another name or version.")
        known = next((model for model in self.fetchable() if model.reference == card.reference and not shipped), None)
        if known and known.bundle_sha256 != digest:
            raise InputError(
                f"This is not the {card.reference} that this version of LAScarSeg knows, and that name is the project's. Get it with "
                f"`{known.command}`, or give yours another name or version."
            )
        if folder.exists() and not force:
            there = self._look(folder, False).bundle
            if there is not None and there.card.sha256 == digest:
                return there
            raise InputError(f"The store has another {card.reference}. Remove it first, or give --force to replace it.")
        with self._writable():
            # Only writing tells whether a folder can be made.
            self.folder.mkdir(parents=True, exist_ok=True)
            os.rmdir(tempfile.mkdtemp(prefix=".trial-", dir=self.folder))
        return write_bundle(card, files, folder, force=force)

    def remove(self, reference: str) -> Path:
        """Delete a model from the user's store; returns the folder that was deleted."""
        chosen = self._one_of_mine(reference)
        # Renamed first: a folder that exists is whole, also when deleting is interrupted.
        with self._writable():
            scratch = Path(tempfile.mkdtemp(prefix=".removed-", dir=self.folder))
            os.replace(chosen.folder, scratch / "bundle")
        shutil.rmtree(scratch, ignore_errors=True)
        return chosen.folder

    @contextmanager
    def scratch_file(self, name: str) -> Iterator[Path]:
        """An empty file beside the models, to be filled and then added; afterwards it is gone, and so are those that killed programs left.

        Raises `InputError` when the store is `distrusted`, `ProcessingError` when it can't be written to.
        """
        if self.distrusted:
            raise InputError(self.distrusted)
        prefix = f".{name}.partial-"
        with self._writable():
            self.folder.mkdir(parents=True, exist_ok=True)
            for left in self.folder.glob(f"{prefix}*"):
                if time.time() - left.stat().st_mtime > ABANDONED_S:
                    left.unlink(missing_ok=True)
            handle, scratch = tempfile.mkstemp(prefix=prefix, dir=self.folder)
            os.close(handle)
        try:
            yield Path(scratch)
        finally:
            Path(scratch).unlink(missing_ok=True)

    def export(self, reference: str, target: str | Path, force: bool = False) -> Bundle:
        """Write a model to a folder, or to a zip when `target` ends with .zip, to be added elsewhere."""
        bundle = self.find(reference)
        return write_bundle(bundle.card, {name: bundle.read(name) for name in bundle.card.files}, target, force=force)

    def accepted(self, bundle: Bundle) -> bool:
        """True when the bundle has no terms, or these of this very bundle were accepted."""
        return bundle.card.terms is None or bundle.card.sha256 in self._acceptances()

    def accept(self, bundle: Bundle) -> None:
        """Remember that the user accepted the bundle's terms; `ProcessingError` when the store can't be written to."""
        if self.distrusted:
            raise ProcessingError(self.distrusted)
        known = self._acceptances()
        known[bundle.card.sha256] = {"model": bundle.card.reference, "accepted": date.today().isoformat()}
        with self._writable():
            self.folder.mkdir(parents=True, exist_ok=True)
            handle, scratch = tempfile.mkstemp(prefix=".accepted-", dir=self.folder)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                json.dump(known, file, indent=2)
            os.replace(scratch, self.folder / ACCEPTED)

    def require_terms(self, bundle: Bundle, accept: bool = False) -> None:
        """`InputError` with the terms unless they were accepted, before or (`accept`) now."""
        if self.accepted(bundle):
            return
        if not accept:
            raise InputError(
                f"The model {bundle.card.name} may be used under these terms only:\n{bundle.card.terms.strip()}\n"
                f"To accept them: `lascarseg models accept {self._place(bundle)}`, or --accept-terms with `lascarseg run`."
            )
        try:
            self.accept(bundle)
        except ProcessingError:
            # A store that is read-only, on purpose: accepted for this run, asked again at the next.
            return

    def _place(self, bundle: Bundle) -> str | Path:
        """What the commands find the bundle by: its name, its path when it isn't kept here."""
        kept = (self.folder, *(resources / SHIPPED_FOLDER for resources in RESOURCE_FOLDERS))
        return bundle.card.reference if bundle.path.parent in kept else bundle.path

    def _folders(self) -> Iterator[tuple[Path, bool]]:
        mine = () if self.distrusted else ((self.folder, False),)
        for place, shipped in (*mine, *((resources / SHIPPED_FOLDER, True) for resources in RESOURCE_FOLDERS)):
            yield from ((card.parent, shipped) for card in sorted(place.glob(f"[!.]*/{CARD}")))

    def _was_fetched(self, model: StoredModel) -> bool:
        """Whether a model of the user's store is one that the project offers to fetch, to the last byte of its card."""
        if model.shipped or model.bundle is None:
            return False
        return model.bundle.card.sha256 in {known.bundle_sha256 for known in self.fetchable()}

    def _look(self, folder: Path, shipped: bool) -> StoredModel:
        if not shipped and (problem := _writable_by_others(folder)):
            return StoredModel(folder, shipped, None, problem)
        try:
            return StoredModel(folder, shipped, read_bundle(folder))
        except (InputError, ProcessingError) as error:
            return StoredModel(folder, shipped, None, str(error))

    def _one_of_mine(self, reference: str) -> StoredModel:
        """The model to remove, also one that is broken; a name with several versions must say which."""
        mine = [self._look(path, False) for path, shipped in self._folders() if not shipped]
        fitting = [m for m in mine if reference in (_reference(m), m.folder.name, m.folder.name.rpartition("-")[0])]
        if not fitting:
            raise InputError(f"There is no model '{reference}' in {self.folder}; only models there can be removed.")
        if len(fitting) > 1:
            versions = ", ".join(_reference(m) for m in fitting)
            raise InputError(f"There are several versions: {versions}. Say which to remove.")
        return fitting[0]

    def _acceptances(self) -> dict[str, object]:
        if self.distrusted:
            # Nobody accepts terms for another.
            return {}
        try:
            known = parse_json((self.folder / ACCEPTED).read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise ProcessingError(f"{self.folder / ACCEPTED} can't be read ({error}). Delete it, and accept the terms again.") from error
        return known if isinstance(known, dict) else {}

    @contextmanager
    def _writable(self) -> Iterator[None]:
        """`ProcessingError` with the way out where the store can't be written to."""
        try:
            yield
        except OSError as error:
            raise ProcessingError(
                f"The model store {self.folder} can't be written to ({error.strerror}). Set {STORE_VARIABLE} to a folder of your own."
            ) from error


def default_folder() -> Path:
    """The user's store: LASCARSEG_MODELS, else the platform's place for an application's data."""
    chosen = os.environ.get(STORE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "LAScarSeg" / "models"


def _writable_by_others(place: Path) -> str:
    """Why a folder of models (or one model's) can't be trusted, with what to do; "" where it can, or isn't there.

    Its owner must be this user or the administrator, and not everybody may write to it or to what lies in it: a model decides what the
    numbers are. The group may, as in a laboratory's shared folder. On Windows the access lists see to it.
    """
    if sys.platform == "win32" or not place.exists():
        return ""
    for path in (place, *sorted(place.iterdir())):
        try:
            status = path.stat() if path.exists() else path.lstat()
        except FileNotFoundError:
            # A scratch file of another thread or program, just removed.
            continue
        if status.st_uid not in (os.getuid(), ADMINISTRATOR):
            reason = "belongs to another user"
        elif status.st_mode & stat.S_IWOTH:
            reason = "can be written to by everybody on this computer"
        else:
            continue
        return (
            f"The models in {printable(place)} are not used: {printable(path.name)} {reason}, who could have put any model there. "
            f"Take that right away (chmod -R o-w), or set {STORE_VARIABLE} to a folder of your own."
        )
    return ""


def _reference(model: StoredModel) -> str:
    return model.bundle.card.reference if model.bundle else model.folder.name

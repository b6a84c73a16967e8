"""A model bundle: a folder or zip with `model.json` and `.safetensors` weights. Nothing in it is executed or unpickled."""

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..networks.weights import HEADER_LENGTH_BYTES
from ..support.json_text import parse_json
from ..support.printable import printable
from ..support.whole_folder import FolderKind, check_folder, disk_error, marker_content, whole_folder
from .bundle_files import CARD, LARGEST_BUNDLE_BYTES, LARGEST_CARD_BYTES, BundleFiles, open_bundle
from .card import FileEntry, ModelCard, check_file_name

LEARNT = (".weight", ".bias")
FLOATING = ("F16", "BF16", "F32", "F64")
"""What is learnt, by its name's ending, and safetensors' types of numbers that it has; integers are counts, or weights that were rounded."""
LONGEST_LIST = 8
"""Of longer ones (the hashes of the scans a model was trained on) only the length is told; model.json has them."""
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ZIP_UNIX, _ZIP_PERMISSIONS = 3, 0o100644 << 16
"""The same bundle gives the same zip, byte for byte, on every system; unpacked by hand, its files can be read by everybody."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle that can be used: its card is valid and every file in it is listed. `read` checks each file's bytes."""

    card: ModelCard
    source: BundleFiles

    @property
    def path(self) -> Path:
        return self.source.path

    def read(self, name: str) -> bytes:
        """A listed file's bytes, checked against its length and SHA-256; `InputError` when they don't fit."""
        entry = self.card.files[name]
        content = self.source.read(name, entry.bytes)
        if len(content) < entry.bytes:
            raise InputError(f"{self.path}: {name} is truncated ({len(content)} of {entry.bytes} bytes). Get the bundle again.")
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            raise InputError(f"{self.path}: {name} was changed after the bundle was made (its SHA-256 does not fit). Get the bundle again.")
        return content

    def weights(self, name: str) -> bytes:
        """A weight file's bytes, checked, for `networks.weights.unpack_tensors`."""
        content = self.read(name)
        check_safetensors(content, name)
        return content

    def verify(self) -> None:
        """Check every byte; `InputError` names the file that does not fit."""
        for name in self.card.files:
            (self.weights if name.endswith(".safetensors") else self.read)(name)

    def describe(self) -> dict[str, Any]:
        """For a result's provenance: which model made it, under which terms."""
        card = self.card
        plain = ("name", "version", "system", "stage", "sha256", "licence", "intended_use", "simulated", "terms")
        return {key: getattr(card, key) for key in plain} | ({"finds": list(card.finds)} if card.format > 1 else {})


def read_bundle(path: str | Path, *, system: str | None = None, stage: str | None = None) -> Bundle:
    """The bundle at `path` (folder or zip), with its card and list of files checked; its weights are checked when they are read.

    Parameters
    ----------
    system, stage
        refuse a bundle made for another one.

    Raises
    ------
    InputError
        it is no bundle, of a future format, changed, incomplete, holds something unlisted, or is of another system or stage.
    """
    source = open_bundle(path)
    if CARD not in source.names():
        raise InputError(f"{source.path} has no {CARD}: it is no model bundle.")
    try:
        data = parse_json(source.read(CARD, LARGEST_CARD_BYTES), LARGEST_CARD_BYTES)
    except ValueError as error:
        raise InputError(f"{source.path}: {CARD} is damaged ({printable(error)}). Get the bundle again.") from error
    if not isinstance(data, dict):
        raise InputError(f"{source.path}: {CARD} is not a JSON object: it is no model bundle.")
    card = ModelCard.from_json(data)
    _check_names(source, card)
    check_use(card, system, stage)
    return Bundle(card, source)


def check_use(card: ModelCard, system: str | None = None, stage: str | None = None) -> None:
    """Refuse a bundle of an unknown system, with other inputs than its system makes, or of another system or stage than asked for."""
    from ..systems import SYSTEMS

    if card.system not in SYSTEMS:
        raise InputError(
            f"The bundle {card.name} is of the system '{card.system}', which this program does not know; it knows {', '.join(SYSTEMS)}."
        )
    described = SYSTEMS[card.system].stage(card.stage, card.variant)
    if card.finds != described.produces:
        raise InputError(
            f"The bundle {card.name} says that it finds {' and '.join(card.finds)}, but its network of {card.system} finds "
            f"{' and '.join(described.produces)}. Get the bundle again."
        )
    if card.fine.plan.out_channels < described.out_channels:
        raise InputError(
            f"The bundle {card.name} has a network of {card.fine.plan.out_channels} outputs; what it finds needs {described.out_channels}."
        )
    names, expected = [channel.name for channel in card.channels], [channel.name for channel in described.channels]
    if names != expected:
        raise InputError(f"The bundle {card.name} takes {', '.join(names)}, but this stage of {card.system} makes {', '.join(expected)}.")
    if stage is not None and stage not in card.finds:
        raise InputError(f"The bundle {card.name} finds the {' and the '.join(card.finds)}, it can't be used for the {stage}.")
    if system is not None and card.system != system:
        raise InputError(f"The bundle {card.name} is of the system '{card.system}', not '{system}'.")


def _check_names(source: BundleFiles, card: ModelCard) -> None:
    present = set(source.names()) - {CARD}
    unlisted = sorted(present - set(card.files))
    if unlisted:
        raise InputError(f"{source.path} holds {', '.join(unlisted[:3])}, which {CARD} does not list. It is refused.")
    missing = sorted(set(card.files) - present)
    if missing:
        raise InputError(f"{source.path} lacks {', '.join(missing[:3])}, which {CARD} lists. Get the bundle again.")
    if sum(entry.bytes for entry in card.files.values()) > LARGEST_BUNDLE_BYTES:
        raise InputError(f"{source.path} claims more than {LARGEST_BUNDLE_BYTES >> 30} GiB: that is no bundle. It is refused.")


def check_safetensors(content: bytes, name: str) -> None:
    """`InputError` unless `content` is a whole safetensors file of floating-point weights, not a renamed pickle."""
    length = int.from_bytes(content[:HEADER_LENGTH_BYTES], "little")
    try:
        header = parse_json(content[HEADER_LENGTH_BYTES : HEADER_LENGTH_BYTES + length])
        tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
        ends = [entry["data_offsets"][1] for entry in tensors.values()]
        whole = [(key, entry["dtype"]) for key, entry in tensors.items() if key.endswith(LEARNT) and entry["dtype"] not in FLOATING]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InputError(f"{name} is not a safetensors file. Other weight files are not read, since they can hold code.") from error
    if len(content) != HEADER_LENGTH_BYTES + length + max(ends, default=0):
        raise InputError(f"{name} is truncated or damaged. Get the bundle again.")
    if whole:
        key, kind = whole[0]
        raise InputError(
            f"{name}: the weights {printable(repr(key))} are of type {printable(kind)}, not floating-point numbers ({', '.join(FLOATING)}): rounded, "
            "or of another kind of network. Save them again as they were trained."
        )


def write_bundle(card: ModelCard, files: Mapping[str, bytes], target: str | Path, *, force: bool = False) -> Bundle:
    """Write a bundle to a folder, or to a zip when `target` ends with .zip; it appears whole or not at all.

    Parameters
    ----------
    card
        its `files` are filled in here.
    files
        content by name: every weight file of the card (`networks.weights.pack_tensors` makes it), and a LICENSE.txt or README.md if
        there is one.
    force
        replace what is there, if it is a bundle.

    Raises
    ------
    InputError
        the card names weights that are not given, a name is not allowed, or `target` is in use.
    ProcessingError
        the disk is full or read-only; nothing is left.
    """
    target = Path(target).expanduser().absolute()
    for name, content in files.items():
        check_file_name(name)
        if name.endswith(".safetensors"):
            check_safetensors(content, name)
    if CARD in files:
        raise InputError(f"{CARD} is written from the card; leave it out of the files.")
    card = with_files(card, files)
    text = json.dumps(card.to_json(), indent=2, ensure_ascii=True) + "\n"
    _write({CARD: text.encode("ascii")} | dict(files), target, force)
    return read_bundle(target)


def with_files(card: ModelCard, files: Mapping[str, bytes]) -> ModelCard:
    """The card with these files' hashes and lengths; `InputError` when it names weights that are not among them."""
    return replace(card, files={name: FileEntry(hashlib.sha256(content).hexdigest(), len(content)) for name, content in files.items()})


def check_target(target: Path, force: bool) -> None:
    """`InputError` unless a bundle may be written to `target`; asked before the work, so that nobody waits for nothing."""
    if target.suffix != ".zip":
        check_folder(target, force, BUNDLE)
        return
    if not target.parent.is_dir():
        raise InputError(f"{target.parent} does not exist. Create it, or give another place for the bundle.")
    if target.exists() and not force:
        raise InputError(f"{target} exists. Give another name, or --force to replace it.")
    if target.exists() and not zipfile.is_zipfile(target):
        raise InputError(f"{target} exists and is no zip, so it is left alone. Give another name.")


def _write(files: Mapping[str, bytes], target: Path, force: bool) -> None:
    """Write a bundle's files to a folder or zip that appears whole or not at all."""
    check_target(target, force)
    if target.suffix != ".zip":
        with whole_folder(target, force, BUNDLE) as partial:
            for name, content in files.items():
                (partial / name).write_bytes(content)
        return
    scratch: Path | None = None
    try:
        handle, scratch_name = tempfile.mkstemp(prefix=f".{target.name}.partial-", dir=target.parent)
        scratch = Path(scratch_name)
        # Stored: weights don't compress.
        with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                entry = zipfile.ZipInfo(name, _ZIP_TIME)
                entry.create_system, entry.external_attr = _ZIP_UNIX, _ZIP_PERMISSIONS
                archive.writestr(entry, files[name])
        os.replace(scratch, target)
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)


def _bundles_files(card: Path) -> tuple[str, ...] | None:
    """The files that a card lists; None when it is no bundle's."""
    content = marker_content(card) or {}
    return tuple(content["files"]) if "format" in content and isinstance(content.get("files"), dict) else None


BUNDLE = FolderKind("model bundle", frozenset({CARD}), _bundles_files)


def card_lines(bundle: Bundle) -> tuple[tuple[str, str], ...]:
    """What a model says about itself, as pairs of title and text, for the command line and for Slicer's panel."""
    card = bundle.card
    scope = "a coarse one finds the region first" if card.coarse else "sees the whole scan, or a region of interest"
    if card.preprocessing.crop is not None:
        scope += f", inside {' × '.join(map(str, card.preprocessing.crop))} of its voxels around the scan's middle"
    spacing = " × ".join(f"{s:g}" for s in card.fine.spacing_mm) + (" mm" if len(card.fine.patch) == 3 else " mm, slice by slice")
    folds = len(card.fine.weights)
    return (
        ("Model", card.reference),
        ("Finds", _finds(card)),
        ("Intended use", card.intended_use),
        ("Trained on", _words(card.training) or "not stated"),
        ("Scores", _words(card.scores) or "none stated"),
        ("Simulated", "yes: says nothing about patients" if card.simulated else "no"),
        ("Networks", f"{'one' if folds == 1 else f'an ensemble of {folds}'} at {spacing}; {scope}"),
        ("Licence", card.licence),
        ("Terms", card.terms.strip() if card.terms else "none"),
        ("SHA-256", card.sha256),
        ("Folder", str(bundle.path)),
    )


def _finds(card: ModelCard) -> str:
    system = f"{card.system}, variant {card.variant}"
    if len(card.finds) == 1:
        return f"{card.finds[0]} ({system}), where the probability is above {card.threshold:g}"
    above = " and ".join(f"{card.threshold_of(role):g} ({role})" for role in card.finds)
    return f"{' and '.join(card.finds)} at once ({system}), where the probability is above {above}"


def _words(entries: Mapping[str, Any]) -> str:
    """`training` or `scores` of a card: `key value` for each entry, those with entries of their own in parentheses."""
    return "; ".join(f"{key} {_value(value)}" for key, value in entries.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_words(value)})"
    if isinstance(value, list):
        return f"{len(value)} entries" if len(value) > LONGEST_LIST else ", ".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)

"""The project's models that a package may leave out since they are for research only, and how each is got. Opens no connection."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import ProcessingError
from ..support.json_text import parse_json
from .bundle import Bundle

RELEASE_ADDRESS = "https://github.com/LAScarSeg/SlicerLAScarSeg/releases/download/models/"
"""Where the project's releases keep the models' ZIPs; nothing is ever fetched from elsewhere."""
LIST_FILE = "models_to_fetch.json"
"""Below Resources/; `Testing/make_model_release.py` makes it, together with the ZIPs."""
LIST_FORMAT = 1
LICENCE_FILE = "LICENSE.txt"
MEGABYTE = 1e6


@dataclass(frozen=True)
class FetchableModel:
    """A model of the project that can be fetched: enough to show its terms before, and to know it again after.

    `sha256` and `bytes` are those of the ZIP, `bundle_sha256` is the bundle's own (`ModelCard.sha256`); `terms` is None when there is
    nothing to accept, `licence_text` the whole LICENSE.txt.
    """

    name: str
    version: str
    stage: str
    file: str
    bytes: int
    sha256: str
    bundle_sha256: str
    intended_use: str
    licence: str
    terms: str | None
    licence_text: str

    @property
    def reference(self) -> str:
        """`NAME@VERSION`."""
        return f"{self.name}@{self.version}"

    @property
    def address(self) -> str:
        return RELEASE_ADDRESS + self.file

    @property
    def size(self) -> str:
        """For people."""
        return f"{self.bytes / MEGABYTE:.0f} MB"

    @property
    def command(self) -> str:
        return f"lascarseg models get {self.name}"

    @property
    def by_hand(self) -> str:
        """The way that needs nothing but a browser, on whatever computer has one."""
        return (
            f"By hand: open {self.address} in a browser, on any computer, bring the file here, and add it: "
            f"`lascarseg models add {self.file}`, or in Slicer's panel Models, Add zip."
        )

    def is_called(self, reference: str) -> bool:
        """Whether `NAME` or `NAME@VERSION` means this model."""
        return reference in (self.name, self.reference)

    @classmethod
    def of(cls, bundle: Bundle, file: str, size: int, sha256: str) -> FetchableModel:
        """The entry of a bundle whose ZIP is called `file`, has `size` bytes, and this SHA-256."""
        card = bundle.card
        text = bundle.read(LICENCE_FILE).decode("utf-8") if LICENCE_FILE in card.files else ""
        return cls(
            card.name, card.version, card.stage, file, size, sha256, card.sha256, card.intended_use, card.licence, card.terms, text
        )  # fmt: skip


def read_fetchable(folders: Iterable[Path]) -> tuple[FetchableModel, ...]:
    """What the list in the first of these resource folders that has one offers; nothing when none has.

    Raises `ProcessingError` when the list is damaged.
    """
    for path in (folder / LIST_FILE for folder in folders):
        if not path.is_file():
            continue
        try:
            content = parse_json(path.read_bytes())
            if content["format"] == LIST_FORMAT:
                return tuple(FetchableModel(**entry) for entry in content["models"])
            raise ValueError(f"format {content['format']}")
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise ProcessingError(f"{path} is damaged ({error}). Install LAScarSeg again.") from error
    return ()


def fetchable_json(models: Iterable[FetchableModel]) -> dict[str, object]:
    """The content of the list."""
    return {"format": LIST_FORMAT, "models": [dataclasses.asdict(model) for model in models]}

"""Make the ZIPs of the project's models for a release, and write into Resources/models_to_fetch.json what they are known by.

    python Testing/make_model_release.py [FOLDER]     (default: dist; `make model-release` calls it)

Run it whenever something in Resources/Models changes; a test says when it was forgotten. The same model gives the same ZIP, byte for
byte. The ZIPs are then uploaded, by hand, to the release that `LAScarSegLib.models.fetchable.RELEASE_ADDRESS` names.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from LAScarSegLib.models.bundle import read_bundle, write_bundle  # noqa: E402
from LAScarSegLib.models.fetchable import LIST_FILE, RELEASE_ADDRESS, FetchableModel, fetchable_json  # noqa: E402


def make_zips(resources: Path, folder: Path) -> Iterator[FetchableModel]:
    """Pack every model below `resources` into `folder`, checked; yields the entry of each."""
    for place in sorted((resources / "Models").iterdir()):
        bundle = read_bundle(place)
        bundle.verify()
        path = folder / f"{bundle.card.name}-{bundle.card.version}.zip"
        write_bundle(bundle.card, {name: bundle.read(name) for name in bundle.card.files}, path, force=True)
        content = path.read_bytes()
        yield FetchableModel.of(bundle, path.name, len(content), hashlib.sha256(content).hexdigest())


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    entries = list(make_zips(REPOSITORY / "Resources", folder))
    text = json.dumps(fetchable_json(entries), indent=2, ensure_ascii=True) + "\n"
    (REPOSITORY / "Resources" / LIST_FILE).write_text(text, encoding="ascii", newline="\n")
    for entry in entries:
        print(f"{folder / entry.file}: {entry.bytes} bytes, SHA-256 {entry.sha256}; to be uploaded to {RELEASE_ADDRESS}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "dist")

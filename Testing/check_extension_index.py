"""Would the Extensions Index of 3D Slicer take this repository? Its rules, applied offline to the tree.

    python Testing/check_extension_index.py [FOLDER]     prints what is wrong; exit code 1 when something is

The rules are those of the Index's `scripts/check_description_files.py`, its schema v1.0.2, and the list for tier 1 of its
pull requests (read in August 2026). What only the network knows is not checked: that the addresses answer, and that the
repository carries the topic `3d-slicer-extension`.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

NAME = "LAScarSeg"
SCHEMA = "https://raw.githubusercontent.com/Slicer/Slicer/main/Schemas/slicer-extension-catalog-entry-schema-v1.0.2.json"
KEYS: dict[str, type] = {
    "$schema": str, "category": str, "scm_url": str, "scm_revision": str, "scm_type": str, "build_dependencies": list,
    "dicom_support_rule": str, "build_subdirectory": str, "enabled": bool, "tier": int,
}  # fmt: skip
REQUIRED_KEYS = ("$schema", "category", "scm_url")
CATEGORIES = ("Analysis", "Cardiac", "Quantification", "Segmentation", "Shape Analysis", "Surface Models")
"""Those of the Index's categories that this extension could be in."""
REPOSITORY_PREFIX = "Slicer"
CMAKE_NAMES = {"HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"}
"""What Slicer's extension template sets; the category moved to the description file."""
LICENSE_FILES = ("LICENSE", "LICENCE", "License.txt", "license.txt", "LICENSE.txt", "COPYING", "COPYING.txt")
MAX_MEGABYTES = 100
IMAGE_STARTS = {".png": b"\x89PNG\r\n\x1a\n", ".jpg": b"\xff\xd8\xff", ".jpeg": b"\xff\xd8\xff", ".gif": b"GIF8"}
BINARY_ENDINGS = {".png", ".jpg", ".jpeg", ".gif", ".ico", ".nrrd", ".nii", ".gz", ".zip", ".safetensors", ".npz", ".vtp", ".mrb", ".pdf"}
ALLOWED_IMPORTS = {"slicer", "vtk", "vtkmodules", "qt", "ctk", "SimpleITK", "numpy", "scipy"} | sys.stdlib_module_names
"""What a module may import at file scope."""


def problems(root: Path) -> list[str]:
    """Everything that a reviewer or a script of the Index would object to, one line each; empty when all is well."""
    files = tracked_files(root)
    checks = (check_description, check_cmake, check_license, check_readme, check_packages, check_module_imports)
    return [line for check in checks for line in check(root)] + [*check_line_ends(root, files), *check_size(root, files)]


def tracked_files(root: Path) -> list[Path]:
    """The files of the repository; every file where there is no repository."""
    done = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], capture_output=True)
    if done.returncode == 0 and done.stdout:
        return [root / name for name in done.stdout.decode().split("\0") if name and (root / name).is_file()]
    return [path for path in root.rglob("*") if path.is_file()]


def check_description(root: Path) -> Iterator[str]:
    """The description file: JSON, keys and types of the schema, category, addresses, tier."""
    path = root / f"{NAME}.json"
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield f"{path.name}: {error}"
        return
    yield from (f"{path.name}: {key} is missing" for key in REQUIRED_KEYS if not entry.get(key))
    yield from (f"{path.name}: the schema knows no {key!r}" for key in entry if key not in KEYS)
    wrong = (key for key, kind in KEYS.items() if key in entry and type(entry[key]) is not kind)
    yield from (f"{path.name}: {key} is {entry[key]!r}; it must be of type {KEYS[key].__name__}" for key in wrong)
    yield from _check_values(path.name, entry)


def _check_values(name: str, entry: dict[str, Any]) -> Iterator[str]:
    if str(entry.get("$schema")).split("#")[0] != SCHEMA:
        yield f"{name}: $schema is {entry.get('$schema')!r}; it must be {SCHEMA}#"
    if entry.get("category") not in CATEGORIES:
        yield f"{name}: the category {entry.get('category')!r} is not one of {', '.join(CATEGORIES)}"
    if not 1 <= int(entry.get("tier", 1)) <= 5:
        yield f"{name}: tier is {entry['tier']}; it goes from 1 to 5"
    address = str(entry.get("scm_url"))
    if not re.match(r"(https|git)://", address):
        yield f"{name}: scm_url {address!r} must begin with https:// or git://"
    repository = address.rstrip("/").rsplit("/", 1)[-1].removesuffix(".git")
    if not repository.startswith(REPOSITORY_PREFIX):
        yield f"{name}: the repository {repository!r} must have a name that begins with {REPOSITORY_PREFIX}"


def check_cmake(root: Path) -> Iterator[str]:
    """The top CMakeLists.txt: names, the description, pictures that are there, and the same dependencies as the description file."""
    text = _text(root / "CMakeLists.txt")
    entry = _entry(root)
    project = re.findall(r"project\s*\(\s*([^\s\)]+)", text, re.IGNORECASE)
    if project[:1] != [NAME]:
        yield f"CMakeLists.txt: project is {project[:1]}; it must be {NAME}, as {NAME}.json is called"
    if NAME.lower().startswith("slicer"):
        yield f"the extension's name {NAME} must not begin with Slicer"
    settings = dict(re.findall(r'set\s*\(EXTENSION_(\w+)\s*"([^"]*)"', text))
    missing = sorted(name for name in CMAKE_NAMES - {"DEPENDS"} if not settings.get(name))
    yield from (f"CMakeLists.txt: EXTENSION_{name} is missing or empty" for name in missing)
    yield from (f"CMakeLists.txt: EXTENSION_{name} is no longer used" for name in sorted(set(settings) - CMAKE_NAMES))
    if sorted(settings.get("DEPENDS", "").split()) != sorted(entry.get("build_dependencies", [])):
        yield f"EXTENSION_DEPENDS {settings.get('DEPENDS')!r} and build_dependencies {entry.get('build_dependencies')} differ"
    if settings.get("HOMEPAGE", "").rstrip("/") != str(entry.get("scm_url")).rstrip("/").removesuffix(".git"):
        yield f"EXTENSION_HOMEPAGE {settings.get('HOMEPAGE')!r} and scm_url {entry.get('scm_url')!r} differ"
    for address in (settings.get("ICONURL", ""), *settings.get("SCREENSHOTURLS", "").split()):
        yield from _check_picture(root, entry, address)


def _check_picture(root: Path, entry: dict[str, Any], address: str) -> Iterator[str]:
    """The raw address of a picture: on the branch of the description file, and in this tree."""
    owner_and_name = str(entry.get("scm_url")).removeprefix("https://github.com/").removesuffix(".git").strip("/")
    start = f"https://raw.githubusercontent.com/{owner_and_name}/{entry.get('scm_revision')}/"
    if not address.startswith(start):
        yield f"CMakeLists.txt: the picture {address!r} must begin with {start}"
        return
    path = root / address.removeprefix(start)
    begins = IMAGE_STARTS.get(path.suffix.lower())
    if begins is None or not path.is_file() or not path.read_bytes().startswith(begins):
        yield f"CMakeLists.txt: {address} is no picture in this tree (png, jpg or gif)"


def check_license(root: Path) -> Iterator[str]:
    """A licence under a name that the Index looks for, named in the README."""
    if not any((root / name).is_file() for name in LICENSE_FILES):
        yield "no licence file in the root (LICENSE.txt)"
    elif "licen" not in _text(root / "README.md").lower():
        yield "README.md does not name the licence"


def check_readme(root: Path) -> Iterator[str]:
    """What reviewers look for: name, picture, each module, a tutorial with sample data, how to cite; every local link leads somewhere."""
    text = _text(root / "README.md")
    wanted = {"the extension's name": NAME, "how to cite": "cite", "a tutorial": "tutorial", "sample data": "sample", "the module": "odule"}
    yield from (f"README.md says nothing about {what}" for what, word in wanted.items() if word.lower() not in text.lower())
    pictures = re.findall(r"!\[[^\]]*\]\(([^)\s]+)", text)
    if not pictures:
        yield "README.md has no picture"
    links = (link.split("#")[0] for link in (*pictures, *re.findall(r"[^!]\[[^\]]*\]\(([^)\s]+)\)", text)))
    yield from (f"README.md: {link} is not there" for link in links if link and "://" not in link and not (root / link).exists())


def check_packages(root: Path) -> Iterator[str]:
    """Extensions share one folder of modules: every package and module that is installed carries the extension's name."""
    installed = [path.parent for path in root.glob("*/__init__.py")] + [path.parent for path in (root / NAME).glob("*/__init__.py")]
    installed += list((root / NAME).glob("*.py"))
    foreign = (path.relative_to(root) for path in installed if not path.name.startswith(NAME))
    yield from (f"{path}: an installed package must begin with {NAME}" for path in foreign)


def check_module_imports(root: Path) -> Iterator[str]:
    """At file scope a module imports Slicer, VTK, SimpleITK, NumPy and SciPy at most, and torch is never installed by pip."""
    for path in sorted((root / NAME).rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        for name in _imports(ast.parse(source).body):
            if name not in ALLOWED_IMPORTS and not name.startswith(NAME):
                yield f"{path.relative_to(root)}: {name} is imported at file scope"
        if re.search(r"pip_install\([^)]*\btorch\b", source):
            yield f"{path.relative_to(root)}: torch is installed by pip; use the PyTorch extension"


def _imports(statements: Iterable[ast.stmt]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, ast.Import):
            yield from (alias.name.split(".")[0] for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            yield statement.module.split(".")[0]


def check_line_ends(root: Path, files: Iterable[Path]) -> Iterator[str]:
    """LF only, in every text file."""
    texts = (path for path in files if path.suffix.lower() not in BINARY_ENDINGS)
    yield from (f"{path.relative_to(root)}: carriage returns; use LF" for path in texts if b"\r" in path.read_bytes())


def check_size(root: Path, files: Iterable[Path]) -> Iterator[str]:
    """Files and history together stay below the limit, as a clone has both."""
    size = sum(path.stat().st_size for path in files)
    counted = subprocess.run(["git", "-C", str(root), "count-objects", "-v"], capture_output=True, text=True)
    if counted.returncode == 0:
        size += 1024 * sum(int(n) for n in re.findall(r"^(?:size|size-pack): (\d+)", counted.stdout, re.MULTILINE))
    if size > MAX_MEGABYTES * 2**20:
        yield f"the repository with its history has {size / 2**20:.0f} MB; the limit is {MAX_MEGABYTES} MB"


def _entry(root: Path) -> dict[str, Any]:
    try:
        return json.loads(_text(root / f"{NAME}.json"))
    except ValueError:
        return {}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = problems(root)
    sys.stdout.writelines(f"{line}\n" for line in found or ["Nothing to object to."])
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

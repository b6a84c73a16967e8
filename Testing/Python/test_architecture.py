"""The rooms of the house (Docs/development.md): imports point down only, cross by public names, and no name means two things."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "LAScarSegLib"
ROOMS = (
    ("cli",), ("session",), ("jobs",), ("output",), ("scene",), ("evaluation",), ("training",), ("datasets",), ("analysis",),
    ("inference",), ("models",), ("systems",), ("networks", "losses"), ("phantom",), ("measure",), ("surface",),
    ("anatomy", "intensity"), ("volumes",), ("support",), ("errors",),
)  # fmt: skip
"""From the roof to the ground; rooms of one floor don't know each other."""
FLOOR = {room: floor for floor, rooms in enumerate(reversed(ROOMS)) for room in rooms}
TORCH_ROOMS = {"networks", "losses", "training", "inference", "systems"}
ROOT_NAMES = {"__version__"}


def modules() -> dict[str, ast.Module]:
    """Every module of the library by its dotted name below LAScarSegLib; a package is called after its folder."""
    found = {}
    for path in sorted(LIBRARY.rglob("*.py")):
        parts = path.relative_to(LIBRARY).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = modules()


def is_package(module: str) -> bool:
    return (LIBRARY / module.replace(".", "/")).is_dir()


def imports(module: str) -> list[tuple[str, str]]:
    """(module, name) of everything that a module of the library takes from the library, late imports and those for types included."""
    package = module if is_package(module) else module.rpartition(".")[0]
    taken = []
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            assert not any(alias.name.split(".")[0] == "LAScarSegLib" for alias in node.names), f"{module}: write it as from … import"
        if not isinstance(node, ast.ImportFrom) or (node.level == 0 and not (node.module or "").startswith("LAScarSegLib")):
            continue
        parts = package.split(".") if package else []
        above = parts[: len(parts) - node.level + 1] if node.level else []
        source = ".".join([*above, *filter(None, (node.module or "").removeprefix("LAScarSegLib").strip(".").split("."))])
        for alias in node.names:
            inner = f"{source}.{alias.name}".strip(".")
            taken.append((inner, "") if inner in MODULES else (source, alias.name))
    return taken


def room(module: str) -> str:
    return module.partition(".")[0]


def arrows() -> dict[tuple[str, str], list[str]]:
    """The arrows between rooms, each with the modules that draw it."""
    found = defaultdict(list)
    for module in MODULES:
        for source, _ in imports(module):
            if source and room(source) != room(module):
                found[room(module), room(source)].append(module)
    return dict(found)


def test_there_is_no_loose_module_and_no_unknown_room():
    assert {room(module) for module in MODULES if module} == set(FLOOR)
    assert [path.name for path in sorted(LIBRARY.glob("*.py"))] == ["__init__.py", "errors.py"]


def test_arrows_point_down():
    up = {arrow: by for arrow, by in arrows().items() if FLOOR[arrow[0]] <= FLOOR[arrow[1]]}

    assert not up


def test_what_crosses_rooms_is_public():
    private = [
        f"{module} takes {source}.{name}"
        for module in MODULES
        for source, name in imports(module)
        if room(source) != room(module) and any(part.startswith("_") for part in (*source.split("."), name)) and name not in ROOT_NAMES
    ]

    assert not private


def test_the_panel_takes_public_names_of_session_and_scene():
    """The module is thin: what it needs of the rooms below comes through what a panel may do."""
    taken = defaultdict(set)
    for path in sorted((ROOT / "LAScarSeg").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("LAScarSegLib."):
                assert not any(alias.name.startswith("_") for alias in node.names)
                taken[node.module.split(".")[1]].add(path.stem)

    assert not set(taken) & {"cli", "output", "evaluation", "training", "inference", "systems", "networks", "losses", "phantom", "anatomy"}


@pytest.mark.parametrize("package", ["torch", "monai", "lightning", "safetensors"])
def test_only_what_runs_networks_imports_torch(package):
    importing = {
        room(module)
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
        if name.split(".")[0] == package and not getattr(node, "level", 0)
    }

    # Weights are read and written with safetensors, which is no torch by itself.
    assert importing <= TORCH_ROOMS | ({"models", "cli"} if package == "safetensors" else set())


def test_a_session_holds_no_qt_and_looks_into_no_node():
    """Nodes are handed on to `scene`; nothing here calls a method of VTK or MRML, which begin with a capital."""
    for module, tree in MODULES.items():
        if room(module) != "session":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert not re.match(r"[A-Z][a-z]+[A-Z]", node.func.attr), f"{module}, line {node.lineno}: {node.func.attr}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
                assert not {name.split(".")[0] for name in names} & {"qt", "ctk", "slicer", "vtk", "vtkmodules"}, module


def test_no_class_has_two_meanings():
    where = defaultdict(list)
    for module, tree in MODULES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(module)
    for path in (ROOT / "LAScarSeg").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                where[node.name].append(path.stem)

    assert {name: places for name, places in where.items() if len(places) > 1} == {}


def test_every_room_says_what_it_is_for():
    for name in FLOOR:
        assert name == "errors" or len(ast.get_docstring(MODULES[name]) or "") > 30, name

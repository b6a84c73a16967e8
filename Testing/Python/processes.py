"""Which processes are there, by /proc: to see that nothing is left behind."""

from __future__ import annotations

from pathlib import Path


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    return _state_and_group(Path("/proc", str(pid)))[0] not in ("", "Z", "X")


def group_members(group: int) -> list[int]:
    """The living processes of a process group."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            state, number = _state_and_group(folder)
            if number == group and state not in ("Z", "X"):
                found.append(int(folder.name))
    return found


def _state_and_group(folder: Path) -> tuple[str, int]:
    """Fields 3 and 5 of proc(5)'s stat, after the name in parentheses; ("", 0) for a process that is gone."""
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0
    return fields[0], int(fields[2])

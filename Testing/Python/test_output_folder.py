"""A result folder that exists is whole, whatever happens while it is written."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from LAScarSegLib.errors import Cancelled, InputError, ProcessingError
from LAScarSegLib.output.writing import RESULT, check_output
from LAScarSegLib.support import whole_folder as whole_folders
from LAScarSegLib.support.whole_folder import whole_folder

ROOT = Path(__file__).resolve().parents[2]


def write_result(folder: Path, text: str, force: bool = False) -> None:
    with whole_folder(folder, force, RESULT) as partial:
        (partial / "cavity.nii.gz").write_text(text)
        (partial / "provenance.json").write_text('{"program": "LAScarSeg", "files": ["cavity.nii.gz", "provenance.json"]}')


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_result_appears_whole(tmp_path):
    write_result(tmp_path / "out", "first")
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["cavity.nii.gz", "provenance.json"]


def test_nothing_appears_before_the_last_file_is_written(tmp_path):
    with whole_folder(tmp_path / "out", False, RESULT) as partial:
        (partial / "cavity.nii.gz").write_text("half")
        assert not (tmp_path / "out").exists()
        assert partial.parent.parent == tmp_path and partial.parent.name.startswith(".out.partial-")


@pytest.mark.parametrize("stop", [KeyboardInterrupt, Cancelled, RuntimeError, MemoryError])
def test_whatever_interrupts_leaves_nothing(tmp_path, stop):
    with pytest.raises(stop):
        with whole_folder(tmp_path / "out", False, RESULT) as partial:
            (partial / "cavity.nii.gz").write_text("half")
            raise stop()
    assert names(tmp_path) == []


def test_an_existing_result_needs_force(tmp_path):
    write_result(tmp_path / "out", "first")
    with pytest.raises(InputError, match="--force"):
        check_output(tmp_path / "out")
    write_result(tmp_path / "out", "second", force=True)
    assert (tmp_path / "out" / "cavity.nii.gz").read_text() == "second"
    assert names(tmp_path) == ["out"]


def test_with_force_the_old_result_stays_until_the_new_one_is_complete(tmp_path):
    write_result(tmp_path / "out", "first")
    with pytest.raises(KeyboardInterrupt):
        with whole_folder(tmp_path / "out", True, RESULT) as partial:
            (partial / "cavity.nii.gz").write_text("half")
            raise KeyboardInterrupt
    assert (tmp_path / "out" / "cavity.nii.gz").read_text() == "first"
    assert names(tmp_path) == ["out"]


def test_a_result_with_the_users_own_files_in_it_is_not_replaced(tmp_path):
    write_result(tmp_path / "out", "first")
    (tmp_path / "out" / "scar corrected.nrrd").write_text("an hour of painting")
    with pytest.raises(InputError, match="also holds scar corrected.nrrd.*Move it"):
        write_result(tmp_path / "out", "second", force=True)
    assert (tmp_path / "out" / "scar corrected.nrrd").read_text() == "an hour of painting"
    assert (tmp_path / "out" / "cavity.nii.gz").read_text() == "first"


def test_a_file_that_comes_at_the_last_moment_survives_force(tmp_path, monkeypatch):
    write_result(tmp_path / "out", "first")
    check = whole_folders.check_folder

    def check_and_paint(folder, force, kind):
        checked = check(folder, force, kind)
        (tmp_path / "out" / "mine").mkdir(exist_ok=True)
        (tmp_path / "out" / "mine" / "scar.nrrd").write_text("an hour of painting")
        return checked

    with whole_folder(tmp_path / "out", True, RESULT):
        monkeypatch.setattr(whole_folders, "check_folder", check_and_paint)
    assert (tmp_path / "out" / "mine" / "scar.nrrd").read_text() == "an hour of painting"
    assert names(tmp_path) == ["out"]


def test_a_folder_that_is_no_result_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("dear")
    with pytest.raises(InputError, match="not a LAScarSeg result"):
        check_output(tmp_path / "photos", force=True)


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    write_result(tmp_path / "out", "first")
    assert names(tmp_path / "out") == ["cavity.nii.gz", "provenance.json"]


def test_a_missing_parent_and_a_file_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="does not exist"):
        check_output(tmp_path / "nowhere" / "out")
    with pytest.raises(InputError, match="is a file"):
        check_output(tmp_path / "file", force=True)


def test_a_parent_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    # Root may write anywhere, so a read-only share is played by mkdir itself.
    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="Read-only file system.*another output folder"):
        check_output(tmp_path / "out")


def test_a_full_disk_is_named_with_file_space_and_remedy(tmp_path):
    with pytest.raises(ProcessingError, match=r"No space left.*MB left.*Free some space"):
        with whole_folder(tmp_path / "out", False, RESULT):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_paths_may_have_spaces_and_any_letters(tmp_path):
    folder = tmp_path / "Müller [β] – étude 左心房"
    write_result(folder, "first")
    write_result(folder, "second", force=True)
    assert names(tmp_path) == [folder.name]


def killed_pid() -> int:
    """The number of a process that has just ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_leftovers_of_a_killed_run_are_cleaned_by_the_next(tmp_path):
    program = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\nfrom LAScarSegLib.output.writing import RESULT\n"
        "from LAScarSegLib.support.whole_folder import whole_folder\n"
        f"with whole_folder(Path({str(tmp_path / 'out')!r}), False, RESULT) as partial:\n"
        "    (partial / 'cavity.nii.gz').write_text('half'); print('writing', flush=True); time.sleep(60)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline().strip() == "writing"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert len(names(tmp_path)) == 1 and not (tmp_path / "out").exists()
    write_result(tmp_path / "out", "first")
    assert names(tmp_path) == ["out"]


def leftover(folder: Path, process: int, **changes: object) -> Path:
    """What a run with that process number leaves beside `folder`."""
    with whole_folder(folder.with_name("probe"), False, RESULT) as partial:
        owner = json.loads((partial.parent / "owner.json").read_text())
    scratch = folder.with_name(f".{folder.name}.partial-{process}")
    scratch.mkdir(mode=0o700)
    (scratch / "owner.json").write_text(json.dumps(owner | {"folder": folder.name, "process": process} | changes))
    folder.with_name("probe").rmdir()
    return scratch


def test_a_run_that_is_still_writing_is_left_alone(tmp_path):
    other = leftover(tmp_path / "out", os.getppid())
    check_output(tmp_path / "out")
    assert other.exists()


def test_a_run_of_an_earlier_program_with_the_same_number_is_cleaned_up(tmp_path):
    leftover(tmp_path / "out", os.getpid(), key="another")
    check_output(tmp_path / "out")
    assert names(tmp_path) == []


def test_another_machines_partial_folder_is_left_alone_for_a_day(tmp_path):
    fresh, old = (leftover(tmp_path / "out", number, machine="elsewhere") for number in (1, 2))
    two_days_ago = time.time() - 48 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    check_output(tmp_path / "out")
    assert names(tmp_path) == [fresh.name]


def test_killed_between_the_two_renames_the_old_result_comes_back(tmp_path):
    write_result(tmp_path / "out", "first")
    (tmp_path / "out").rename(leftover(tmp_path / "out", killed_pid()) / "old")
    with pytest.raises(InputError, match="--force"):
        check_output(tmp_path / "out")
    assert (tmp_path / "out" / "cavity.nii.gz").read_text() == "first"
    assert names(tmp_path) == ["out"]


def test_killed_after_the_two_renames_the_users_files_still_move(tmp_path):
    write_result(tmp_path / "out", "first")
    (tmp_path / "out").rename(leftover(tmp_path / "out", killed_pid()) / "old")
    (replaced,) = tmp_path.glob(".out.*/old")
    (replaced / "notes.txt").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "cavity.nii.gz").write_text("second")
    (tmp_path / "out" / "provenance.json").write_text((replaced / "provenance.json").read_text())
    with pytest.raises(InputError, match="notes.txt"):
        check_output(tmp_path / "out", force=True)
    assert (tmp_path / "out" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "out" / "cavity.nii.gz").read_text() == "second"
    assert names(tmp_path) == ["out"]

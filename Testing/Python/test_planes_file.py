"""Plane files: our own JSON and Slicer's markups; what is wrong with one is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from LAScarSegLib.errors import InputError
from LAScarSegLib.jobs.request import read_plane_files
from LAScarSegLib.surface.planes import CutPlane, read_planes


def file(tmp_path: Path, content: object, name: str = "planes.json") -> Path:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def plane(**changes: object) -> dict:
    return {"name": "MV", "origin": [1, 2, 3], "normal": [0, 0, 2]} | changes


def markup(**changes: object) -> dict:
    """What Slicer 5 writes for a plane, less what we don't read."""
    values = {
        "type": "Plane",
        "coordinateSystem": "LPS",
        "center": [1, 2, 3],
        "normal": [0, 0, 1],
        "controlPoints": [{"label": "LSPV-1"}],
    } | changes
    return {"markups": [values]}


def test_our_own_format_is_lps_unless_it_says_ras(tmp_path):
    lps = CutPlane("MV", (1.0, 2.0, 3.0), (0.0, 0.0, 1.0))
    assert read_planes(file(tmp_path, {"planes": [plane()]})) == (lps,)
    assert read_planes(file(tmp_path, {"coordinateSystem": "RAS", "planes": [plane(origin=[-1, -2, 3])]})) == (lps,)


def test_slicers_markups_are_read_and_a_path_may_have_any_letters(tmp_path):
    path = file(tmp_path, markup(), "Ebenen ä 中文 💓.mrk.json")
    assert read_planes(path) == (CutPlane("LSPV", (1.0, 2.0, 3.0), (0.0, 0.0, 1.0)),)


def test_a_markup_with_slicers_own_label_is_named_by_its_file(tmp_path):
    (found,) = read_planes(file(tmp_path, markup(controlPoints=[{"label": "P-1"}]), "RIPV.mrk.json"))
    assert found.name == "RIPV"


def test_names_may_be_written_small(tmp_path):
    assert read_planes(file(tmp_path, {"planes": [plane(name="mv")]}))[0].name == "MV"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("5", "neither Slicer markups nor"),
        ("[]", "neither Slicer markups nor"),
        ('"markups"', "neither"),
        ("null", "neither"),
        ({}, "lacks 'planes'"),
        ({"planes": None}, "neither"),
        ({"planes": "MV"}, "neither"),
        ({"planes": []}, "holds no plane"),
        ({"planes": [{"origin": [1, 2, 3], "normal": [0, 0, 1]}]}, "lacks 'name'"),
        ({"planes": [plane(name="aorta")]}, "'aorta' has no name that is known; call it one of MV, LSPV"),
        ({"planes": [plane(name=5)]}, "'5' has no name"),
        ({"planes": [plane(origin=["a", "b", "c"])]}, "three numbers.*'a'"),
        ({"planes": [plane(origin=[1, 2])]}, r"three numbers.*\[1, 2\]"),
        ({"planes": [plane(origin=[1, 2], normal=[0, 1])]}, "three numbers"),
        ({"planes": [plane(origin=None)]}, "three numbers.*None"),
        ({"planes": [plane(origin={"x": 1})]}, "three numbers"),
        ({"planes": [plane(origin=[[1, 2, 3]])]}, "three numbers"),
        ({"planes": [plane(origin=[1, 2, float("nan")])]}, "three numbers.*nan"),
        ({"planes": [plane(normal=[0, 0, 0])]}, "normal not 0"),
        ({"coordinateSystem": "foo", "planes": [plane()]}, "'foo'; it must be LPS or RAS"),
        ({"coordinateSystem": 0, "planes": [plane()]}, "LPS or RAS"),
        ({"markups": None}, "neither"),
        ({"markups": ["a"]}, "neither"),
        ({"markups": [{"type": "Fiducial"}]}, "holds no plane"),
        (markup(center=None), "lacks 'origin'"),
    ],
)
def test_a_malformed_file_is_refused_with_its_path_and_the_reason(tmp_path, content, says):
    path = file(tmp_path, content)
    with pytest.raises(InputError, match=says) as error:
        read_planes(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    (tmp_path / "binary.json").write_bytes(bytes(range(128, 256)))
    for path, says in [(tmp_path / "gone.json", "No such file"), (tmp_path, "directory"), (tmp_path / "binary.json", "not JSON")]:
        with pytest.raises(InputError, match=says):
            read_planes(path)


def test_one_name_may_come_once_over_all_files(tmp_path):
    one, two = file(tmp_path, {"planes": [plane()]}), file(tmp_path, {"planes": [plane(name="LAA")]}, "two.json")
    assert [p.name for p in read_plane_files((one, two))] == ["MV", "LAA"]
    with pytest.raises(InputError, match="name MV more than once"):
        read_plane_files((one, two, one))

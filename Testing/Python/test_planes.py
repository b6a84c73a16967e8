"""Exclusion planes on surfaces whose cut-off areas are known."""

import json
import re

import numpy as np
import pytest
from analytic import ISOTROPIC, Grid

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.planes import CutPlane, label_regions, read_planes
from LAScarSegLib.volumes.volume import Volume

RADIUS_MM = 25.0


@pytest.fixture(scope="module")
def grid():
    return Grid.around(ISOTROPIC, 33.0)


@pytest.fixture(scope="module")
def sphere(grid):
    return cavity_surface(grid.ball(RADIUS_MM).array, grid.geometry, 1.0)


def plane(name, grid, offset, normal):
    return CutPlane(name, tuple(grid.centre + offset), tuple(normal))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_mitral_plane_cuts_off_a_cap_whichever_way_it_points(grid, sphere, sign):
    region = label_regions(sphere, [plane("MV", grid, (0, 0, -15.0), (0, 0, sign))], grid.centre)
    cut = sphere.vertex_area_mm2[region == 0].sum() / sphere.area_mm2
    assert cut == pytest.approx((RADIUS_MM - 15.0) / (2 * RADIUS_MM), abs=0.01)  # Archimedes: caps are as their heights
    assert (region[sphere.points[:, 2] - grid.centre[2] < -16.0] == 0).all()


def test_vein_plane_cuts_its_own_vein_only(grid):
    """Two parallel veins: the left one's plane, which passes through the right one too, leaves that alone."""
    points = grid.points()[0]
    across = [np.linalg.norm(points[..., :2] - (x, 0.0), axis=-1) for x in (-12.0, 12.0)]
    veins = [(d < 5.0) & (points[..., 2] > 0) & (points[..., 2] < 30.0) for d in across]
    surface = cavity_surface(grid.ball(20.0).array | veins[0] | veins[1], grid.geometry, 1.0)
    region = label_regions(surface, [plane("LSPV", grid, (12.0, 0, 24.0), (0, 0, 1))], grid.centre)
    relative = surface.points - grid.centre
    beyond = relative[:, 2] > 25.0
    assert (region[beyond & (relative[:, 0] > 0)] == 11).all()
    assert (region[beyond & (relative[:, 0] < 0)] == 1).all()


def test_flat_lid_goes_with_its_plane_wherever_its_voxels_end(grid):
    """A ball cut flat at the mitral plane: the whole lid is left out, whether the plane lies just outside or just inside of it."""
    points = grid.points()[0]
    surface = cavity_surface(grid.ball(RADIUS_MM).array & (points[..., 2] > -10.0), grid.geometry, 1.0)
    lid = (surface.normals[:, 2] < -0.9) & (surface.points[:, 2] - grid.centre[2] < -9.0)
    for height in (-11.0, -10.0, -9.0):
        region = label_regions(surface, [plane("MV", grid, (0, 0, height), (0, 0, 1))], grid.centre)
        assert (region[lid] == 0).all()
        assert (region[surface.points[:, 2] - grid.centre[2] > -6.0] == 1).all()


def test_plane_that_cuts_nothing_is_refused_with_its_distance(grid, sphere):
    with pytest.raises(InputError, match="LSPV .* does not cut the LA surface, which is 75 mm away"):
        label_regions(sphere, [plane("LSPV", grid, (0, 0, 100.0), (0, 0, 1))], grid.centre)


def test_share_of_the_wall_leaves_the_cut_part_out_above_and_below_the_line(grid):
    """Scar cap of 40° around +z, mitral plane 10 mm below the centre: all of the scar, 35 of 50 mm of height, so 70 % of the surface."""
    scan, cavity = grid.scan_of_ball(RADIUS_MM, 40, np.array([0, 0, 1.0])), grid.ball(RADIUS_MM)
    settings = Settings(perturbation=False)
    below = [plane("MV", grid, (0, 0, -10.0), (0, 0, -1))]
    whole = analyse(scan, settings, cavity=cavity)
    part = analyse(scan, settings, cavity=cavity, planes=below)
    assert whole.measurements["scar_area_pct_wall"].value is None
    assert part.measurements["scar_area_pct"].value == whole.measurements["scar_area_pct"].value
    assert part.measurements["scar_area_pct_wall"].value == pytest.approx(whole.measurements["scar_area_pct"].value / 0.7, rel=0.02)
    assert part.curve.scar_area_pct_wall[70] == pytest.approx(part.measurements["scar_area_pct_wall"].value)  # IIR 1.20


@pytest.mark.parametrize(("depth_mm", "leaks"), [(9.0, False), (24.0, True)])
def test_a_cavity_that_goes_on_beyond_the_mitral_plane_is_flagged(grid, depth_mm, leaks):
    """A ball with a stump of ventricle, cut flat `depth_mm` below the plane; a vein's plane on the other side says nothing."""
    points, height = grid.points()[0], 5.0
    stump = (np.linalg.norm(points[..., :2], axis=-1) < 10.0) & (points[..., 2] < 0) & (points[..., 2] > -height - depth_mm)
    cavity = grid.ball(15.0).array & (points[..., 2] > -height) | stump
    planes = [plane("MV", grid, (0, 0, -height), (0, 0, 1)), plane("LSPV", grid, (0, 0, 12.0), (0, 0, 1))]
    image = Volume(np.where(cavity, 200, 100).astype(np.int16) + (points[..., 0] > 0), grid.geometry)
    result = analyse(image, Settings(perturbation=False), cavity=Volume(cavity, grid.geometry), planes=planes)
    messages = [flag.message for flag in result.flags if flag.code == "leak_through_mitral_plane"]
    assert bool(messages) == leaks
    for message in messages:
        assert int(re.search(r"reaches (\d+) mm beyond the mitral plane", message)[1]) == pytest.approx(depth_mm, abs=1.0)


def test_planes_in_ras_and_lps_are_the_same(tmp_path):
    lps = {"coordinateSystem": "LPS", "planes": [{"name": "mv", "origin": [1, 2, 3], "normal": [2, 0, 0]}]}
    ras = {"coordinateSystem": "RAS", "planes": [{"name": "MV", "origin": [-1, -2, 3], "normal": [-1, 0, 0]}]}
    files = []
    for name, content in {"lps": lps, "ras": ras}.items():
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(json.dumps(content))
    assert read_planes(files[0]) == read_planes(files[1]) == (CutPlane("MV", (1.0, 2.0, 3.0), (1.0, 0.0, 0.0)),)


def test_slicer_markup_is_named_by_its_label_else_by_its_file(tmp_path):
    markup = {"type": "Plane", "coordinateSystem": "LPS", "center": [1, 2, 3], "normal": [0, 0, 1], "controlPoints": [{"label": "RSPV-1"}]}
    (tmp_path / "planes.mrk.json").write_text(json.dumps({"markups": [markup]}))
    (tmp_path / "LAA.mrk.json").write_text(json.dumps({"markups": [markup | {"controlPoints": [{"label": "P-1"}]}]}))
    assert read_planes(tmp_path / "planes.mrk.json")[0].name == "RSPV"
    assert read_planes(tmp_path / "LAA.mrk.json")[0].name == "LAA"

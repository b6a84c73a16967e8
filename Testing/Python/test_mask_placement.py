"""A mask in the wrong place: a header that was lost, and a cavity that fits the image better elsewhere."""

from __future__ import annotations

import functools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from analytic import Grid, oblique
from scipy import ndimage
from small_scan import flag_codes, lascarseg, only_data_files, small_scan, write_scan

from LAScarSegLib.analysis import Change, Settings, analyse, revise
from LAScarSegLib.anatomy.masks import Mask, mask_on_grid
from LAScarSegLib.anatomy.placement import check_placement
from LAScarSegLib.errors import InputError
from LAScarSegLib.support.flags import NOTE, STOP
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.orientation import Orientation
from LAScarSegLib.volumes.volume import Geometry, Volume

SCAN, CAVITY = small_scan()
MASK, GRID = CAVITY.array > 0, CAVITY.geometry
OBLIQUE = replace(GRID, direction=oblique(flip=True))


def turned_by(degrees: float) -> tuple[float, ...]:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return (c, -s, 0.0, s, c, 0.0, 0.0, 0.0, 1.0)


def codes(flags) -> list[str]:
    return [flag.code for flag in flags]


# ---- headers

LOST = {
    "origin 0": replace(GRID, origin=(0.0, 0.0, 0.0)),
    "spacing 1": replace(GRID, spacing=(1.0, 1.0, 1.0)),
    "one voxel off": replace(GRID, origin=tuple(GRID.index_to_lps(np.array([[1, 0, 0]]))[0])),
    "mirrored": replace(
        GRID, origin=tuple(-GRID.index_to_lps(np.array([[40, 40, 0]]))[0] * [1, 1, -1]), direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)
    ),
}


@pytest.mark.parametrize("kind", LOST)
def test_as_many_voxels_under_another_header_is_a_stop(kind):
    try:
        _, flags = mask_on_grid(Volume(CAVITY.array, LOST[kind]), GRID, "cavity")
    except InputError as refused:
        said = str(refused)
        assert "does not overlap" in said
    else:
        (flag,) = [flag for flag in flags if flag.code == "mask_header_differs"]
        assert flag.severity == STOP
        said = flag.message
    assert "as many voxels as the image (49 × 49 × 25) but another header" in said and "Copy the image's header" in said


@pytest.mark.parametrize(
    "header",
    [
        replace(GRID, origin=tuple(np.add(GRID.origin, (0.002, -0.001, 0.002)))), replace(GRID, spacing=(1.25, 1.25, 2.50001)),
        replace(GRID, direction=(1.0, 1e-4, 0.0, -1e-4, 1.0, 0.0, 0.0, 0.0, 1.0)),
    ],
    ids=["origin", "spacing", "direction"],
)  # fmt: skip
def test_headers_that_differ_by_rounding_are_one_grid(header):
    array, flags = mask_on_grid(Volume(CAVITY.array, header), GRID, "cavity")
    assert np.array_equal(array, MASK) and flags == ()


@pytest.mark.parametrize(
    "header",
    [
        replace(GRID, origin=tuple(np.add(GRID.origin, (0.4, -0.3, 0.2)))), replace(GRID, spacing=(1.255, 1.25, 2.5)),
        replace(GRID, direction=turned_by(0.3)),
    ],
    ids=["origin", "spacing", "direction"],
)  # fmt: skip
def test_headers_that_differ_by_less_than_half_a_voxel_get_a_note(header):
    array, (flag,) = mask_on_grid(Volume(CAVITY.array, header), GRID, "cavity")
    resampled = Volume(CAVITY.array, header).resample(GRID, labels=True).array > 0
    assert np.array_equal(array, MASK) and np.array_equal(array, resampled)
    assert flag.code == "mask_header_rounded" and flag.severity == NOTE


@pytest.mark.parametrize(
    ("spacing", "shift", "code"),
    [
        ((1.25, 1.25, 2.5), (0.6, 0.6, 0.0), "cavity_resampled"), ((0.625, 0.625, 2.5), (0.4, -0.4, 0.4), "cavity_resampled"),
        ((0.625, 0.625, 2.5), (0.625, 0.0, 0.0), "mask_header_differs"), ((1.25, 1.25, 2.5), (0.0, 0.0, 1.25), "mask_header_differs"),
    ],
)  # fmt: skip
def test_headers_that_differ_by_less_than_a_millimetre_get_a_warning(spacing, shift, code):
    """Half a degree of shear in the scan's header moves its corners by as much; a whole voxel is no rounding."""
    grid = replace(GRID, spacing=spacing)
    _, flags = mask_on_grid(Volume(CAVITY.array, replace(grid, origin=tuple(np.add(grid.origin, shift)))), grid, "cavity")
    assert codes(flags)[0] == code


@pytest.mark.parametrize("grid", [GRID, OBLIQUE], ids=["straight", "oblique"])
@pytest.mark.parametrize(
    "turned",
    [Orientation((0, 1, 2), (True, True, False)), Orientation((2, 0, 1), (False, True, False)), Orientation((1, 0, 2), (True, True, True))],
)
def test_a_mask_whose_axes_were_turned_is_the_same_mask(grid, turned):
    """As nibabel's `as_closest_canonical` and SimpleITK's `DICOMOrient` turn them: every voxel stays where it is."""
    lopsided = MASK & (np.arange(MASK.shape[2]) < 30) & (np.arange(MASK.shape[1])[:, None] < 26)
    corner = turned.undo_indices(np.zeros((1, 3)), grid.shape)[0]
    columns = [grid.rotation[:, 2 - axis] * (-1 if flip else 1) for axis, flip in zip(turned.axes, turned.flips)][::-1]
    header = Geometry(
        turned.of_axes(grid.shape)[::-1], turned.of_axes(grid.spacing_kji)[::-1], tuple(grid.index_to_lps(corner[None, ::-1])[0]),
        tuple(np.column_stack(columns).ravel()),
    )  # fmt: skip

    array, flags = mask_on_grid(Volume(np.ascontiguousarray(turned.apply(lopsided)), header), grid, "cavity")

    assert np.array_equal(array, lopsided) and flags == ()


def test_a_lost_header_stops_the_run_and_despite_goes_on(tmp_path, capfd, monkeypatch):
    write_scan(tmp_path)
    monkeypatch.chdir(tmp_path)
    only_data_files(monkeypatch)
    write_volume(Volume(CAVITY.array, replace(GRID, origin=tuple(np.add(GRID.origin, (1.25, 0, 0))))), "mask.nrrd")
    command = ("run", "image.nrrd", "--cavity", "mask.nrrd", "-o", "out")

    stopped = lascarseg(capfd, *command)
    assert stopped.code == 2 and stopped.err.startswith("Stop: The cavity mask has as many voxels") and not Path("out").exists()
    assert lascarseg(capfd, *command, "--despite", "mask_header_differs").code == 0
    assert "mask_header_differs" in flag_codes(Path("out"))


# ---- places


@functools.cache
def lopsided_scan(direction: tuple[float, ...] = tuple(np.eye(3).ravel())) -> tuple[Volume, Mask]:
    """An atrium without symmetry: a ball of 20 mm with a vein and an appendage, in tissue of all sorts; seeded."""
    grid = Grid.around((1.5, 1.5, 2.0), 45.0, direction=direction).geometry
    k, j, i = (np.indices(grid.shape) - np.array(grid.shape)[:, None, None, None] / 2) * np.array(grid.spacing_kji)[:, None, None, None]
    ball = k**2 + j**2 + i**2 < 20.0**2
    vein = ((k - 8) ** 2 + (j + 10) ** 2 < 7.0**2) & (i > 0) & (i < 30)
    appendage = (k - 14) ** 2 + (j + 16) ** 2 / 2 + (i + 12) ** 2 < 10.0**2
    cavity, random = ball | vein | appendage, np.random.default_rng(5)
    tissue = 100.0 + 400.0 * ndimage.gaussian_filter(random.normal(size=grid.shape), 3.0)
    array = np.where(cavity, 200.0, tissue) + random.normal(0.0, 15.0, grid.shape)
    array[ndimage.binary_dilation(cavity) & ~cavity] += 40.0
    return Volume(array.astype(np.float32), grid), Mask.of(cavity)


def moved(mask: Mask, mm: float, axis: int, spacing_kji: tuple[float, float, float]) -> Mask:
    start = np.array(mask.box.start)
    start[axis] += round(mm / spacing_kji[axis])
    return Mask.of(mask.inside, tuple(int(n) for n in start), mask.shape)


def mirrored(mask: Mask, axis: int) -> Mask:
    return Mask.of(np.flip(mask.inside, axis), mask.box.start, mask.shape)


@pytest.mark.parametrize("direction", [tuple(np.eye(3).ravel()), oblique()], ids=["straight", "oblique"])
def test_a_cavity_in_its_place_is_not_flagged(direction):
    scan, cavity = lopsided_scan(direction)
    assert check_placement(scan.array, scan.geometry, cavity) == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("mm", [8.0, -8.0, 12.0])
def test_a_cavity_that_was_moved_is_flagged(axis, mm):
    scan, cavity = lopsided_scan()
    (flag,) = check_placement(scan.array, scan.geometry, moved(cavity, mm, axis, scan.geometry.spacing_kji))
    back = {0: ("feet", "head"), 1: ("front", "back"), 2: ("right", "left")}[axis][mm < 0]
    assert flag.code == "mask_misplaced" and f"mm to the {back}" in flag.message


@pytest.mark.parametrize(("axis", "named"), [(0, "slices"), (1, "rows"), (2, "columns")])
def test_a_cavity_that_was_mirrored_is_flagged(axis, named):
    scan, cavity = lopsided_scan()
    (flag,) = check_placement(scan.array, scan.geometry, mirrored(cavity, axis))
    assert f"mirrored along its {named}" in flag.message


def test_a_place_where_the_image_ends_is_no_place(monkeypatch):
    """The scan cut off 10 mm around the cavity: elsewhere half of the points would lie beyond it."""
    scan, cavity = lopsided_scan()
    box = cavity.box.grown(10.0, scan.geometry.spacing_kji, scan.array.shape)
    part = scan.crop(box)
    assert check_placement(part.array, part.geometry, Mask.of(cavity.within(box))) == ()


@pytest.mark.parametrize("value", [0.0, -30.0, 1000.0])
def test_padding_is_no_better_place(value):
    """Mirrored with the whole image, the cavity would lie in what is as even as nothing else."""
    scan, cavity = lopsided_scan()
    size = scan.array.shape[2]
    wide = np.pad(scan.array, ((0, 0), (0, 0), (0, size)), constant_values=value)
    geometry = replace(scan.geometry, size=wide.shape[::-1])
    assert check_placement(wide, geometry, Mask.of(cavity.inside, cavity.box.start, wide.shape)) == ()


def test_a_tiny_cavity_says_nothing():
    scan, cavity = lopsided_scan()
    tiny = np.zeros(cavity.shape, bool)
    tiny[20:23, 20:23, 20:23] = True
    assert check_placement(scan.array, scan.geometry, Mask.of(tiny)) == ()


def test_only_a_given_cavity_is_looked_at(monkeypatch):
    """What a person draws isn't checked after each stroke, and revised with the same mask it isn't computed again."""
    scan, cavity = lopsided_scan()
    wrong = moved(cavity, 12.0, 1, scan.geometry.spacing_kji)
    settings = Settings(perturbation=False)
    given = analyse(scan, settings, cavity=scan.like(wrong.whole()))
    drawn = revise(given, Change(cavity=cavity))

    assert "mask_misplaced" in codes(given.flags) and "mask_misplaced" not in codes(drawn.flags)


# ---- real scans


@pytest.mark.parametrize("case", ["06SR5RBREL16DQ6M8LWS", "5BHTH9RHH3PQT913I59W", "23X6SY44VT9KFHR7S7OC"])
def test_real_scans(data_dir, case):
    """Two of them are those with the least contrast of the 80; a third of a second is what a person may wait."""
    folder = data_dir / "la2018" / case
    scan, cavity = read_volume(folder / "lge.nii.gz"), Mask.of(read_volume(folder / "cavity.nii.gz").array > 0)
    began = time.process_time()
    assert check_placement(scan.array, scan.geometry, cavity) == ()
    assert time.process_time() - began < 1.0
    for axis in range(3):
        assert codes(check_placement(scan.array, scan.geometry, mirrored(cavity, axis))) == ["mask_misplaced"]
        assert codes(check_placement(scan.array, scan.geometry, moved(cavity, 12.0, axis, scan.geometry.spacing_kji))) == ["mask_misplaced"]

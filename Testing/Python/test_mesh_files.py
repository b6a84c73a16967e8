"""Somebody else's LA surface is read from every format, put in order where that harms nothing, and refused or remarked on elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import BOX_AREA_CM2, BOX_VOLUME_ML, CELLS, SIDE_MM, STEP_MM, box, carto_mesh, dif, patch, poly, write

from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.mesh_files import ScarCondition, read_surface_file, scar_of

POINTS, TRIANGLES = box()
PATCH = patch(POINTS)
PATCH_CM2 = PATCH.sum() * STEP_MM**2 / 100


def scar_cm2(file, condition: str) -> float:
    return file.surface.vertex_area_mm2[scar_of(file, ScarCondition.parse(condition)).scar].sum() / 100


def codes(file) -> set[str]:
    return {flag.code for flag in file.flags}


def written(tmp_path, points=POINTS, faces=TRIANGLES, point_arrays=None, cell_arrays=None, name="la.vtp", space="LPS", **options):
    return write(tmp_path / name, poly(points, faces, point_arrays, cell_arrays, space), **options)


@pytest.mark.parametrize(("name", "binary", "version"), [
    ("la.vtk", False, 42), ("la.vtk", True, 42), ("la.vtk", False, 51), ("la.vtk", True, 51), ("la.vtp", True, 0),
])  # fmt: skip
def test_vtks_own_files_hold_shape_and_arrays(tmp_path, name, binary, version):
    data = poly(POINTS, TRIANGLES, {"scalars": np.where(PATCH, 120.0, 50.0), "scar": PATCH})
    file = read_surface_file(write(tmp_path / name, data, binary, version))

    assert file.is_closed and not file.flags
    assert file.surface.area_mm2 / 100 == pytest.approx(BOX_AREA_CM2) and file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML)
    assert scar_cm2(file, "scar") == scar_cm2(file, "scalars>100") == pytest.approx(PATCH_CM2)


@pytest.mark.parametrize("name", ["la.stl", "la.ply"])
def test_stl_and_ply_hold_the_shape_and_say_nothing_of_space(tmp_path, name):
    file = read_surface_file(written(tmp_path, name=name))

    assert file.is_closed and len(file.surface.points) == len(POINTS)
    assert file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML, rel=1e-6) and codes(file) == {"mesh_without_space"}
    with pytest.raises(InputError, match="no array scar"):
        scar_of(file, ScarCondition.parse("scar"))


def test_ras_is_turned_into_lps(tmp_path):
    file = read_surface_file(written(tmp_path, POINTS + [10.0, 20.0, 30.0], space="RAS"))

    assert file.surface.points.mean(axis=0) == pytest.approx([-10.0, -20.0, 30.0]) and file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML)


def test_carto_leaves_out_unused_groups_and_knows_missing_values(tmp_path):
    bipolar = np.where(PATCH, 0.2, 2.0)
    bipolar[np.flatnonzero(~PATCH)[0]] = -10000
    upper = (POINTS[TRIANGLES][:, :, 2] > SIDE_MM / 2 - 0.1).all(axis=1)
    path = tmp_path / "1-LA.mesh"
    path.write_text(carto_mesh(POINTS, TRIANGLES, bipolar, np.where(upper, -1000000, 0)), encoding="utf-8", newline="")
    file = read_surface_file(path)
    scar = scar_of(file, ScarCondition.parse("Bipolar<0.5"))

    assert file.surface.area_mm2 / 100 == pytest.approx(BOX_AREA_CM2 * 5 / 6) and not file.is_closed and "mesh_open" in codes(file)
    assert file.surface.vertex_area_mm2[scar.scar].sum() / 100 == pytest.approx(PATCH_CM2)
    assert np.isnan(scar.values).sum() == 1 and not scar.is_grey_level


def test_dif_counts_from_one_and_tells_scar_by_status(tmp_path):
    path = tmp_path / "Contact_Mapping_Model.xml"
    path.write_text(dif(POINTS, TRIANGLES, PATCH.astype(int)), encoding="utf-8")
    file = read_surface_file(path)

    assert file.is_closed and file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML) and scar_cm2(file, "Map_status") == pytest.approx(PATCH_CM2)
    assert codes(file) == {"mesh_without_space"}


def test_a_dif_with_entities_of_its_own_is_not_read(tmp_path):
    path = tmp_path / "bomb.xml"
    path.write_text('<!DOCTYPE DIF [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><DIF>&b;</DIF>', encoding="utf-16")

    with pytest.raises(InputError, match="document type"):
        read_surface_file(path)


def test_a_cell_array_is_scar_where_most_of_the_area_around_is(tmp_path):
    on_face = POINTS[TRIANGLES].mean(axis=1)[:, 0] > SIDE_MM / 2 - 0.1
    file = read_surface_file(written(tmp_path, cell_arrays={"scar": on_face}))

    # Inner points of the face alone: on its edges less than half or just half of the area is scar's.
    assert scar_cm2(file, "scar") == pytest.approx((CELLS - 1) ** 2 * STEP_MM**2 / 100, rel=0.15)
    assert file.on_points("scar")[patch(POINTS)].min() == 1.0


@pytest.mark.parametrize(("most", "few", "limit", "expected"), [
    (110.0, 300.0, "a>150", False), (160.0, 0.0, "a>150", True), (110.0, 300.0, "a<150", True), (160.0, 0.0, "a<150", False),
])  # fmt: skip
def test_of_a_cell_array_every_limit_goes_by_the_value_of_most_of_the_area(tmp_path, most, few, limit, expected):
    """Around the middle of a face lie six triangles alike: four with one value, two with another, and the mean is on the other side."""
    middle = int(np.flatnonzero(patch(POINTS, 1))[0])
    around = np.flatnonzero((TRIANGLES == middle).any(axis=1))
    cells = np.full(len(TRIANGLES), most)
    cells[around[:2]] = few
    file = read_surface_file(written(tmp_path, cell_arrays={"a": cells}))

    assert len(around) == 6 and (file.on_points("a")[middle] > 150) != (most > 150)
    assert scar_of(file, ScarCondition.parse(limit)).scar[middle] == expected
    # The dense limit is compared with these.
    assert scar_of(file, ScarCondition.parse("a>100")).values[middle] == most


def test_a_cell_without_a_value_says_nothing_of_the_points_around(tmp_path):
    middle = int(np.flatnonzero(patch(POINTS, 1))[0])
    around = (TRIANGLES == middle).any(axis=1)
    cells = np.where(around, np.nan, 1.0)
    values = scar_of(read_surface_file(written(tmp_path, cell_arrays={"a": cells})), ScarCondition.parse("a")).values

    assert np.flatnonzero(np.isnan(values)).tolist() == [middle]


def twice(**arrays) -> dict:
    """The box with every point there twice, each half of its triangles with points of its own; arrays of the two copies."""
    other = np.arange(len(TRIANGLES))[:, None] % 2 * len(POINTS)
    both = {name: np.concatenate(copies) for name, copies in arrays.items()}
    return {"points": np.concatenate([POINTS, POINTS]), "faces": TRIANGLES + other, "point_arrays": both}


def test_labels_that_contradict_each_other_in_one_place_are_no_label(tmp_path):
    once = patch(POINTS, 1)
    labels, grey = (PATCH, PATCH & ~once), (np.linspace(10.0, 90.0, len(POINTS)), np.linspace(20.0, 100.0, len(POINTS)))
    file = read_surface_file(written(tmp_path, **twice(scar=labels, grey=grey)))
    scar = scar_of(file, ScarCondition.parse("scar"))

    assert (np.isnan(scar.values) == once).all() and (scar.scar == (PATCH & ~once)).all()
    assert file.point_arrays["grey"] == pytest.approx((grey[0] + grey[1]) / 2)
    assert "1 points where coinciding ones have different labels in scar" in file.flags[0].message


def test_of_contradicting_labels_the_one_that_most_points_of_a_place_have_counts(tmp_path):
    """STL's way: three points of its own for each triangle, six in the middle of a face."""
    middle = int(np.flatnonzero(patch(POINTS, 1))[0])
    corners = TRIANGLES.ravel()
    scar = np.zeros(len(corners))
    scar[np.flatnonzero(corners == middle)[:4]] = 1
    arrays = {"scar": scar, "other": np.where(np.cumsum(corners == middle) <= 2, corners == middle, 0)}
    file = read_surface_file(written(tmp_path, POINTS[corners], np.arange(len(corners)).reshape(-1, 3), arrays))

    assert np.linalg.norm(file.surface.points[scar_of(file, ScarCondition.parse("scar")).scar] - POINTS[middle]) == pytest.approx(0.0)
    assert not scar_of(file, ScarCondition.parse("other")).scar.any()


def own():
    """A box like a surface of ours: the upper face was not measured, and what it holds there is no number of the wall."""
    upper = POINTS[:, 2] > SIDE_MM / 2 - 0.1
    return upper, {"ScarClass": np.where(upper, 255, PATCH), "Scar": PATCH | upper, "LGE": np.where(upper, 900.0, 50.0)}


@pytest.mark.parametrize("condition", ["ScarClass", "Scar", "LGE>200"])
def test_what_a_surface_of_ours_did_not_measure_is_no_scar(tmp_path, condition):
    upper, arrays = own()
    scar = scar_of(read_surface_file(written(tmp_path, point_arrays=arrays)), ScarCondition.parse(condition))

    assert (np.isnan(scar.values) == upper).all() and (scar.scar == (PATCH & (condition != "LGE>200"))).all()


def test_255_of_others_is_a_value_like_any(tmp_path):
    upper, arrays = own()
    other = {"class": arrays["ScarClass"], "ScarClass": np.where(upper, 255, 7)}
    file = read_surface_file(written(tmp_path, point_arrays=other))

    assert (scar_of(file, ScarCondition.parse("class")).scar == (PATCH | upper)).all() and np.isfinite(file.point_arrays["ScarClass"]).all()


def test_what_was_not_compared_is_no_change(tmp_path):
    upper, _ = own()
    compared = {"ScarClass": PATCH, "Change": np.where(upper, 255, PATCH), "ScarA": PATCH, "ScarB": PATCH | upper}
    file = read_surface_file(written(tmp_path, point_arrays=compared))

    for name in ("Change", "ScarB"):
        assert (scar_of(file, ScarCondition.parse(name)).scar == PATCH).all() and np.isnan(file.point_arrays[name]).sum() == upper.sum()
    assert np.isfinite(file.point_arrays["ScarA"]).all()


def test_quads_are_cut_into_triangles(tmp_path):
    quads = np.concatenate([TRIANGLES[0::2], TRIANGLES[1::2, 2:]], axis=1)
    file = read_surface_file(written(tmp_path, faces=quads))

    assert file.surface.triangles.shape == (len(TRIANGLES), 3) and file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML)


def test_turned_triangles_are_turned_back(tmp_path):
    faces = TRIANGLES.copy()
    faces[::5] = faces[::5, ::-1]
    file = read_surface_file(written(tmp_path, faces=faces))

    assert file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML) and codes(file) == {"mesh_turned"}
    assert (np.einsum("ij,ij->i", file.surface.normals, file.surface.points) > 0).all()


def test_triangles_that_are_there_twice_or_have_no_area_are_left_out(tmp_path):
    faces = np.concatenate([TRIANGLES, TRIANGLES[:7, ::-1], [[3, 3, 5]]])
    file = read_surface_file(written(tmp_path, faces=faces))

    assert file.surface.area_mm2 / 100 == pytest.approx(BOX_AREA_CM2) and file.is_closed
    assert [flag.message for flag in file.flags] == [
        "The mesh was put in order: 1 triangles without area left out; 7 triangles that were there twice left out."
    ]


@pytest.mark.parametrize(("factor", "unit"), [(1e-3, "m"), (0.1, "cm"), (1e3, "um")])
def test_another_unit_is_told_from_the_size(tmp_path, factor, unit):
    file = read_surface_file(written(tmp_path, POINTS * factor))

    assert file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML) and codes(file) == {"mesh_unit_assumed"}
    assert read_surface_file(written(tmp_path, POINTS * factor), unit).flags == ()


def test_a_size_that_fits_no_unit_is_refused_or_remarked_on(tmp_path):
    with pytest.raises(InputError, match="--unit"):
        read_surface_file(written(tmp_path, POINTS * 0.5 / SIDE_MM))
    assert codes(read_surface_file(written(tmp_path, POINTS * 30.0 / SIDE_MM))) == {"mesh_size_unusual"}


def test_the_largest_part_alone_is_measured(tmp_path):
    second = POINTS * 0.5 + [70.0, 0.0, 0.0]
    file = read_surface_file(written(tmp_path, np.concatenate([second, POINTS]), np.concatenate([TRIANGLES, TRIANGLES + len(POINTS)])))

    assert file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML) and codes(file) == {"mesh_in_pieces"}
    assert "20.0 % of the area" in file.flags[0].message and file.flags[0].severity == "warning"


@pytest.mark.parametrize("turned", [False, True])
def test_bodies_that_touch_at_a_point_are_two_parts(tmp_path, turned):
    """The smaller box begins at a corner of the larger one; turned inside out it would be subtracted."""
    corner, start = (int(np.linalg.norm(POINTS - sign * SIDE_MM / 2, axis=1).argmin()) for sign in (1, -1))
    number = len(POINTS) + np.arange(len(POINTS))
    number[start] = corner
    faces = number[TRIANGLES][:, ::-1] if turned else number[TRIANGLES]
    points = np.concatenate([POINTS, (POINTS + SIDE_MM / 2) * 0.5 + SIDE_MM / 2])
    file = read_surface_file(written(tmp_path, points, np.concatenate([TRIANGLES, faces])))

    assert file.is_closed and file.surface.volume_ml == pytest.approx(BOX_VOLUME_ML) and codes(file) == {"mesh_in_pieces"}


def test_bodies_that_share_an_edge_each_face_outwards(tmp_path):
    """Four triangles meet in each piece of the edge, so that no neighbour tells the second box which way to turn."""
    points = np.concatenate([POINTS, POINTS + [SIDE_MM, SIDE_MM, 0.0]])
    file = read_surface_file(written(tmp_path, points, np.concatenate([TRIANGLES, TRIANGLES[:, ::-1] + len(POINTS)])))
    middle = np.where(file.surface.points.sum(axis=1, where=[True, True, False])[:, None] > SIDE_MM, [SIDE_MM, SIDE_MM, 0.0], 0.0)
    apart = np.abs(file.surface.points[:, :2] - SIDE_MM / 2).max(axis=1) > 0.1

    assert "mesh_branches" in codes(file) and not file.is_closed and file.surface.area_mm2 / 100 == pytest.approx(2 * BOX_AREA_CM2)
    assert (np.einsum("ij,ij->i", file.surface.normals, file.surface.points - middle)[apart] > 0).all()


def test_an_open_mesh_has_its_area_and_says_so(tmp_path):
    file = read_surface_file(written(tmp_path, *box(without_lid=True)))

    assert not file.is_closed and codes(file) == {"mesh_open"} and file.surface.area_mm2 / 100 == pytest.approx(BOX_AREA_CM2 * 5 / 6)
    assert f"{4 * CELLS} edges" in file.flags[0].message


def test_a_wall_within_has_no_volume(tmp_path):
    inner = np.array([[0, 1, len(POINTS)]])
    file = read_surface_file(written(tmp_path, np.concatenate([POINTS, [[0.0, 0.0, 0.0]]]), np.concatenate([TRIANGLES, inner])))

    assert not file.is_closed and "mesh_branches" in codes(file)


def test_nan_and_cartos_minus_999_are_not_measured(tmp_path):
    values = np.where(PATCH, 120.0, 50.0)
    values[np.flatnonzero(~PATCH)[:4]] = [np.nan, np.inf, -999.0, -999.0]
    data = poly(POINTS, TRIANGLES, {"scalars": values})
    path = write(tmp_path / "la.vtk", data, binary=False, version=42)
    path.write_bytes(path.read_bytes().replace(b"vtk output", b"PatientData A B 1", 1))
    scar = scar_of(read_surface_file(path), ScarCondition.parse("scalars>=120"))

    assert np.isnan(scar.values).sum() == 4 and scar.scar.sum() == PATCH.sum()


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = written(tmp_path, point_arrays={"scalars": np.arange(len(POINTS))}, name="la.vtk", binary=False, version=42)
    path.write_bytes(path.read_bytes()[:-400])

    with pytest.raises(InputError, match="damaged"):
        read_surface_file(path)


def test_an_array_of_grey_levels_needs_a_threshold(tmp_path):
    file = read_surface_file(written(tmp_path, point_arrays={"LGE": np.arange(len(POINTS)), "none": np.full(len(POINTS), np.nan)}))

    with pytest.raises(InputError, match="say which are scar"):
        scar_of(file, ScarCondition.parse("lge"))
    with pytest.raises(InputError, match="has no value"):
        scar_of(file, ScarCondition.parse("none"))
    with pytest.raises(InputError, match=r"no array scar. It has: LGE \(0 to 601\)"):
        scar_of(file, ScarCondition.parse("scar"))


@pytest.mark.parametrize(("largest", "is_grey"), [(180.0, True), (2.5, False)])
def test_grey_levels_are_told_from_ratios(tmp_path, largest, is_grey):
    file = read_surface_file(written(tmp_path, point_arrays={"a": np.linspace(0.0, largest, len(POINTS))}))

    assert scar_of(file, ScarCondition.parse(f"a > {0.9 * largest}")).is_grey_level is is_grey


@pytest.mark.parametrize(("name", "content", "said"), [
    ("la.vtk", b"", "0 bytes"),
    ("la.vtk", b"# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 2000000000 float\n0 0 0\n", "announces more"),
    ("la.vtk", b"# vtk DataFile Version 3.0\nx\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 1 1 1\nORIGIN 0 0 0\nSPACING 1 1 1\n", "no surface mesh"),
    ("la.vtk", b"# vtk DataFile Version 3.0\nx\nASCII\nDATASET POLYDATA\nPOINTS 2 float\n0 0 0 1 1 1\n", "point cloud"),
    ("la.stl", b"\0" * 80 + b"\xff\xff\xff\x7f", "announces more"),
    ("la.vtp", b"<VTKFile type='PolyData'><PolyData>", "damaged"),
    ("la.mesh", b"hello", "no mesh of CARTO"),
    ("la.xml", b"<html></html>", "no DIF"),
    ("la.obj", b"v 0 0 0", "by its name"),
])  # fmt: skip
def test_what_is_no_mesh_is_refused(tmp_path, name, content, said):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError, match=said):
        read_surface_file(tmp_path / name)


def test_points_that_are_no_numbers_are_refused(tmp_path):
    points = POINTS.copy()
    points[5] = np.nan

    with pytest.raises(InputError, match="no numbers"):
        read_surface_file(written(tmp_path, points))


def test_the_example_of_la_flattening_has_its_published_numbers(data_dir):
    path = data_dir / "surfaces" / "la_flattening_mesh.vtk"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    file = read_surface_file(path)

    assert file.surface.area_mm2 / 100 == pytest.approx(134.07, abs=0.005) and file.surface.volume_ml == pytest.approx(84.78, abs=0.005)
    for condition in ("scar", "scalars>100", "scalars >= 101"):
        assert 100 * scar_cm2(file, condition) / 134.07 == pytest.approx(4.30, abs=0.005)

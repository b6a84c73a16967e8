"""Regions of the LA wall: what they cover, where they lie, and that their numbers add up."""

from dataclasses import replace

import numpy as np
import pytest
from atrium_model import BALL_MM, VEINS, ball_with_openings

from LAScarSegLib.errors import InputError
from LAScarSegLib.surface.region_schemes import SCHEMES
from LAScarSegLib.surface.surface import CLASS_NOT_MEASURED, REGION_BODY
from LAScarSegLib.surface.wall_regions import label_walls, region_table


def region_at(atrium, walls, direction):
    label = walls.labels[(atrium.normals @ np.asarray(direction, dtype=float)).argmax()]
    return walls.names[label - 1] if label else None


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_vertex_of_the_wall_has_a_region_and_nothing_else_has(atrium, flat, scheme):
    walls = label_walls(atrium, scheme, flat)
    assert ((walls.labels > 0) == (atrium.region == REGION_BODY)).all()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_outlines_cover_the_disk_once(scheme):
    places = np.random.default_rng(0).uniform(-0.5, 0.5, (20000, 2))
    places = places[np.hypot(*places.T) <= 0.5]
    for openings in ({"LSPV", "LIPV", "RSPV", "RIPV", "LAA"}, {"LCPV", "RSPV", "RIPV", "LAA"}, {"LSPV", "LIPV", "RCPV"}):
        times = sum(region.holds(places, openings).astype(int) for region in SCHEMES[scheme].regions)
        assert (times == 1).all()


@pytest.mark.parametrize(
    ("direction", "name"),
    [((0, 1, 0.15), "posterior"), ((-0.3, -0.9, 0.4), "anterior"), ((-0.95, -0.2, -0.2), "septal"), ((0, 0.3, -1), "inferior")],
)
def test_walls_lie_where_anatomy_has_them(atrium, flat, direction, name):
    assert region_at(atrium, label_walls(atrium, "walls", flat), direction) == name


@pytest.mark.parametrize(("name", "region", "width_mm"), [("RSPV", "RSPV antrum", 16.0), ("LAA", "LAA base", 10.0)])
def test_antra_and_the_appendages_base_are_rings_of_their_width(atrium, flat, name, region, width_mm):
    """On the ball a ring ends that much arc beyond the opening's edge; measured where no other opening is near."""
    walls = label_walls(atrium, "walls", flat)
    *axis, radius = VEINS[name]
    axis = np.asarray(axis) / np.linalg.norm(axis)
    arc = BALL_MM * np.arccos(np.clip(atrium.normals @ axis, -1, 1)) - BALL_MM * np.arcsin(radius / BALL_MM)
    ring = walls.labels == walls.names.index(region) + 1
    far = atrium.region == REGION_BODY
    for other, (*direction, _) in VEINS.items():
        if other != name:
            toward = np.asarray(direction) / np.linalg.norm(direction)
            far &= BALL_MM * np.arccos(np.clip(atrium.normals @ toward, -1, 1)) > 24.0
    outside = arc[far & ~ring & (arc > 5.0)]
    assert (arc[far & ring].max() + outside.min()) / 2 == pytest.approx(width_mm, abs=0.9)  # half a side: the edge is a staircase
    assert ring[far & (arc > 0) & (arc < width_mm - 2.0)].all()


def test_segments_three_and_five_of_benito_touch_the_left_inferior_vein(atrium, flat):
    walls = label_walls(atrium, "benito2018", flat)
    axis = np.asarray(VEINS["LIPV"][:3]) / np.linalg.norm(VEINS["LIPV"][:3])
    nearest = {}
    for label, name in enumerate(walls.names, start=1):
        nearest[name] = (atrium.normals[walls.labels == label] @ axis).max()
    touching = sorted(nearest, key=nearest.get, reverse=True)[:3]
    assert {name.split()[0] for name in touching} == {"3", "5", "12"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_table_adds_up_to_the_walls_totals(atrium, flat, scheme):
    rng = np.random.default_rng(1)
    scar_class = rng.choice([0, 1, CLASS_NOT_MEASURED], len(atrium.points)).astype(np.uint8)
    surface = atrium.with_arrays(scar=scar_class == 1, scar_class=scar_class)
    table = region_table(surface, label_walls(surface, scheme, flat))
    counts = (atrium.region == REGION_BODY) & (scar_class != CLASS_NOT_MEASURED)
    assert sum(row.area_cm2 for row in table) == pytest.approx(surface.vertex_area_mm2[counts].sum() / 100)
    assert sum(row.scar_area_cm2 for row in table) == pytest.approx(surface.vertex_area_mm2[counts & surface.scar].sum() / 100)
    assert all(row.scar_pct == pytest.approx(100 * row.scar_area_cm2 / row.area_cm2) for row in table)


def test_a_region_that_was_not_measured_has_no_share(atrium, flat):
    walls = label_walls(atrium, "walls", flat)
    unknown = walls.labels == walls.names.index("posterior") + 1
    scar_class = np.where(unknown, CLASS_NOT_MEASURED, 0).astype(np.uint8)
    table = {row.region: row for row in region_table(atrium.with_arrays(scar=unknown, scar_class=scar_class), walls)}
    assert table["posterior"].scar_pct is None and table["posterior"].area_cm2 == 0.0
    assert table["anterior"].scar_pct == 0.0


def test_a_region_of_less_than_a_square_centimetre_has_areas_and_no_share(atrium, flat):
    """Everything is scar: the share is 100 % where there is one."""
    walls = label_walls(atrium, "walls", flat)
    number = walls.names.index("posterior") + 1
    inside = np.flatnonzero(walls.labels == number)
    area_cm2 = np.cumsum(atrium.vertex_area_mm2[inside]) / 100
    for kept_cm2, share in ((0.9, None), (1.1, 100.0)):
        labels = walls.labels.copy()
        labels[inside[area_cm2 > kept_cm2]] = 0
        scar = atrium.with_arrays(scar=np.ones(len(labels), dtype=bool), scar_class=None)
        row = next(row for row in region_table(scar, replace(walls, labels=labels)) if row.region == "posterior")
        assert row.scar_pct == pytest.approx(share) if share else row.scar_pct is None
        assert row.scar_area_cm2 == row.area_cm2 == pytest.approx(kept_cm2, abs=0.05)


def test_unknown_scheme_is_said(atrium, flat):
    with pytest.raises(InputError, match="'twelve'.*walls, benito2018"):
        label_walls(atrium, "twelve", flat)


def test_common_trunk_has_one_antrum():
    surface = ball_with_openings({"LCPV": (1.0, 0.35, 0.1, 12.0), **{n: VEINS[n] for n in ("RSPV", "RIPV", "LAA")}})
    walls = label_walls(surface)
    assert "LCPV antrum" in walls.names and "LSPV antrum" not in walls.names
    assert set(np.unique(walls.labels)) == set(range(len(walls.names) + 1))

"""The phantom: the same for the same seed, its truth right by independent means, its look within the published bounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from LAScarSegLib.errors import InputError
from LAScarSegLib.phantom import Phantom, PhantomSettings, make_phantom, oblique_direction
from LAScarSegLib.phantom.acquisition import Acquisition, acquire
from LAScarSegLib.phantom.atrium import draw_atrium
from LAScarSegLib.surface.mesh import cavity_surface
from LAScarSegLib.surface.planes import label_regions
from LAScarSegLib.surface.surface import REGION_LABELS

HEART = PhantomSettings(seed=3, size=(224, 192, 40), vein_variant="typical", la_volume_ml=60.0)
"""A small LA in a field of view of 140 × 120 × 100 mm: the fastest phantom that is still a whole one."""


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(HEART)


@pytest.fixture(scope="module")
def blood(phantom: Phantom) -> np.ndarray:
    """Grey levels deeper than 3 mm in the cavity."""
    depth = ndimage.distance_transform_edt(phantom.cavity.array, sampling=phantom.cavity.geometry.spacing_kji)
    return phantom.image.array[depth > 3.0].astype(float)


def test_same_settings_give_the_same_voxels(phantom: Phantom) -> None:
    again = make_phantom(HEART)
    for name in ("image", "cavity", "wall", "scar", "regions"):
        assert np.array_equal(getattr(phantom, name).array, getattr(again, name).array), name
    assert again.truth == phantom.truth


def test_noise_changes_the_image_and_not_the_anatomy(phantom: Phantom) -> None:
    noisy = make_phantom(replace(HEART, snr=8.0))
    assert np.array_equal(noisy.cavity.array, phantom.cavity.array)
    assert np.array_equal(noisy.scar.array, phantom.scar.array)
    assert not np.array_equal(noisy.image.array, phantom.image.array)


def test_the_image_holds_integers_on_the_asked_grid(phantom: Phantom) -> None:
    assert phantom.image.array.dtype == np.uint16
    assert phantom.image.geometry.size == HEART.size
    assert phantom.image.geometry.spacing == (0.625, 0.625, 2.5)
    for mask in (phantom.cavity, phantom.wall, phantom.scar):
        assert mask.array.dtype == np.uint8 and set(np.unique(mask.array)) == {0, 1}
        assert mask.geometry == phantom.image.geometry


def test_the_cavity_has_the_volume_that_was_asked_for(phantom: Phantom) -> None:
    assert phantom.truth.la_volume_ml == pytest.approx(60.0, rel=0.01)
    voxels = phantom.cavity.array.sum() * phantom.cavity.geometry.voxel_volume_ml
    assert voxels == pytest.approx(phantom.truth.la_volume_ml, rel=0.01)


def test_masks_are_one_cavity_a_wall_around_it_and_scar_in_the_wall(phantom: Phantom) -> None:
    cavity, wall, scar = (volume.array > 0 for volume in (phantom.cavity, phantom.wall, phantom.scar))
    assert ndimage.label(cavity)[1] == 1
    assert not (cavity & wall).any()
    assert not (scar & ~wall).any()
    outside = ndimage.distance_transform_edt(~cavity, sampling=phantom.cavity.geometry.spacing_kji)
    # Half a slice more than the wall's thickness.
    assert outside[wall].max() <= phantom.truth.wall_thickness_mm + 2.5


def test_wall_volume_is_surface_times_thickness(phantom: Phantom) -> None:
    """Shell of a closed surface: A·t + H·t²; the mean curvature of an LA adds a few percent to A·t."""
    t = phantom.truth
    openings = t.region_area_cm2["mitral"] + sum(np.pi * (d / 20) ** 2 for d in t.ostium_diameter_mm.values())
    plain = (t.la_surface_area_cm2 - openings) * t.wall_thickness_mm / 10
    assert plain < t.wall_volume_ml < 1.25 * plain


def test_scar_volume_is_scar_area_times_thickness(phantom: Phantom) -> None:
    plain = phantom.truth.scar_area_cm2 * phantom.truth.wall_thickness_mm / 10
    assert 0.95 * plain < phantom.truth.scar_volume_ml < 1.25 * plain


def test_scar_takes_the_asked_share_of_the_native_wall() -> None:
    phantom = make_phantom(replace(HEART, kind="native", scar_pct=20.0))
    assert phantom.truth.scar_area_pct_wall == pytest.approx(20.0, abs=1.0)
    assert phantom.truth.lesions == () and phantom.truth.ablation_area_cm2 == 0.0


def test_true_surface_agrees_with_the_meshed_cavity(phantom: Phantom) -> None:
    """The library's surface from the voxel mask against the area from the geometry; stump edges are rounded by voxels."""
    surface = cavity_surface(phantom.cavity.array > 0, phantom.cavity.geometry, 1.0)
    assert surface.area_mm2 / 100 == pytest.approx(phantom.truth.la_surface_area_cm2, rel=0.04)
    assert surface.volume_ml == pytest.approx(phantom.truth.la_volume_ml, rel=0.02)


def test_true_planes_cut_off_what_the_true_regions_say(phantom: Phantom) -> None:
    surface = cavity_surface(phantom.cavity.array > 0, phantom.cavity.geometry, 1.0)
    region = label_regions(surface, phantom.planes)
    assert {plane.name for plane in phantom.planes} == {"MV", "LSPV", "LIPV", "RSPV", "RIPV", "LAA"}
    area = surface.vertex_area_mm2 / 100
    for name in phantom.truth.ostium_diameter_mm:
        assert area[region == REGION_LABELS[name]].sum() == pytest.approx(phantom.truth.region_area_cm2[name], rel=0.15), name
    inside = phantom.regions.array[phantom.cavity.array > 0]
    assert set(np.unique(inside)) == {1, *(REGION_LABELS[name] for name in (*phantom.truth.ostium_diameter_mm, "LAA"))}


def test_band_gaps_are_really_bare(phantom: Phantom) -> None:
    """Around each gap's centre the wall has no scar: within half its length, less a voxel's diagonal and band edge."""
    scar = np.argwhere(phantom.scar.array)[:, ::-1]
    tree = cKDTree(phantom.scar.geometry.index_to_lps(scar))
    gaps = [(c, n) for lesion in phantom.truth.lesions for c, n in zip(lesion.gap_centres_lps, lesion.gap_lengths_mm)]
    assert gaps
    for centre, length in gaps:
        assert tree.query(centre)[0] > length / 2 - 1.5


def test_blood_varies_as_in_patients(phantom: Phantom, blood: np.ndarray) -> None:
    assert blood.std() / blood.mean() == pytest.approx(0.12, abs=0.015)


def test_noise_follows_the_snr() -> None:
    """A constant picture shows what noise does: Rician, so its SD is 1/SNR and its mean √(1 + 1/SNR²) to second order."""
    rng = np.random.default_rng(5)
    scanner = replace(Acquisition.draw(10.0, rng), ghost=0.0)
    image = acquire(np.ones((4, 96, 96), np.float32), (2.5, 1.25, 1.25), scanner, rng)
    assert image.shape == (4, 192, 192)
    assert image.std() == pytest.approx(0.1, rel=0.03)
    assert image.mean() == pytest.approx(np.sqrt(1 + 0.1**2), rel=0.002)


def test_tissues_stand_in_the_published_order(phantom: Phantom, blood: np.ndarray) -> None:
    image = phantom.image.array / blood.mean()
    wall, scar = phantom.wall.array > 0, phantom.scar.array > 0
    healthy = np.median(image[wall & ~scar])
    assert 0.75 < healthy < 1.0
    assert 1.05 < image[scar].mean() < 1.45
    assert phantom.truth.greys_over_blood["lung"] < phantom.truth.greys_over_blood["myocardium"] < healthy


@pytest.mark.parametrize(
    "variant, veins",
    [("typical", ["LSPV", "LIPV", "RSPV", "RIPV"]), ("left_common", ["LCPV", "RSPV", "RIPV"]),
     ("right_middle", ["LSPV", "LIPV", "RSPV", "RMPV", "RIPV"])],
)  # fmt: skip
def test_vein_variants_have_ostia_and_stumps_of_published_size(variant: str, veins: list[str]) -> None:
    atrium = draw_atrium(replace(HEART, vein_variant=variant), np.random.default_rng(1))
    assert [vein.name for vein in atrium.veins] == veins
    for vein in atrium.veins:
        assert 11.0 <= vein.length_mm <= 15.0
        if vein.name not in ("LCPV", "RMPV"):
            # 14 … 17.5 mm in an LA of 110 mL, a tenth less in one of 60 mL.
            assert 12.5 <= 2 * vein.radius_mm <= 17.5
    assert 30.0 <= 2 * atrium.mitral.radius_mm <= 38.0


def test_a_band_encircles_every_vein(phantom: Phantom) -> None:
    assert {name for lesion in phantom.truth.lesions for name in lesion.encircles} == set(phantom.truth.ostium_diameter_mm)


def test_an_oblique_scan_shows_the_same_patient(phantom: Phantom) -> None:
    direction = oblique_direction(12.0, -8.0, 6.0)
    tilted = make_phantom(replace(HEART, size=(240, 208, 44), direction=direction))
    assert tilted.image.geometry.direction == pytest.approx(direction)
    assert tilted.truth.la_volume_ml == pytest.approx(phantom.truth.la_volume_ml, rel=0.01)
    # Resampled into the straight scan, the cavity lies where it lay: differences are no more than a voxel's edge.
    back = tilted.cavity.resample(phantom.cavity.geometry, labels=True).array > 0
    straight = phantom.cavity.array > 0
    assert 2 * (back & straight).sum() / (back.sum() + straight.sum()) > 0.95


@pytest.mark.parametrize(
    "bad",
    [{"kind": "late"}, {"seed": -1}, {"size": (255, 224, 40)}, {"snr": 0.0}, {"vein_variant": "five"}, {"la_volume_ml": 900.0},
     {"spacing": (0.0, 1.0, 1.0)}, {"direction": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 1.0)}],
)  # fmt: skip
def test_settings_refuse_what_cannot_be(bad: dict) -> None:
    with pytest.raises(InputError):
        PhantomSettings(**bad)


def test_too_small_a_field_of_view_is_refused() -> None:
    with pytest.raises(InputError, match="can't hold this left atrium"):
        make_phantom(replace(HEART, size=(96, 96, 16)))

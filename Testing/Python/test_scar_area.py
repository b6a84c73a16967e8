"""The headline number: % of the surface that is scar, on spheres with a cap of scar (SCIENCE section 5, bars)."""

from dataclasses import replace

import numpy as np
import pytest
from analytic import BLOOD, ISOTROPIC, THIN_SLICES, Grid, cap_share_pct, oblique

from LAScarSegLib.analysis import analyse
from LAScarSegLib.analysis.settings import Settings
from LAScarSegLib.volumes.volume import Volume

RADIUS_MM = 25.0
FAST = Settings("iir", perturbation=False)
"""Read on the wall's voxels; the layers are in test_layers.py."""
OFF_AXIS = np.array([1.0, 1.0, 1.0])
CAPS = (20, 40, 60)


def scar_area_pct(scan: Volume, cavity: Volume) -> float:
    return analyse(scan, FAST, cavity=cavity).measurements["scar_area_pct"].value


def ball(spacing, cap_degrees, axis=OFF_AXIS, direction=oblique((0, 0, 0))):
    grid = Grid.around(spacing, 31.0, direction=direction)
    return grid.scan_of_ball(RADIUS_MM, cap_degrees, axis), grid.ball(RADIUS_MM)


@pytest.mark.parametrize("spacing", [THIN_SLICES, ISOTROPIC])
@pytest.mark.parametrize("cap_degrees", CAPS)
@pytest.mark.parametrize("axis", [(0, 0, 1), (1, 0, 0)], ids=["across slices", "in plane"])
def test_cap_without_noise(spacing, cap_degrees, axis):
    assert scar_area_pct(*ball(spacing, cap_degrees, axis)) == pytest.approx(cap_share_pct(cap_degrees), abs=1.5)


@pytest.mark.parametrize("spacing", [THIN_SLICES, ISOTROPIC])
@pytest.mark.parametrize("cap_degrees", CAPS)
def test_cap_in_noise(spacing, cap_degrees):
    """Noise of 12 % of the blood's intensity."""
    scan, cavity = ball(spacing, cap_degrees)
    noise = np.random.default_rng(cap_degrees).normal(0, 0.12 * BLOOD, scan.array.shape)
    noisy = scan.like((scan.array + noise).astype(np.float32))
    assert scar_area_pct(noisy, cavity) == pytest.approx(cap_share_pct(cap_degrees), abs=3.0)


def test_header_rotation_changes_nothing():
    scan, cavity = ball(THIN_SLICES, 40)
    turned = replace(scan.geometry, direction=oblique(flip=True))
    assert scar_area_pct(Volume(scan.array, turned), Volume(cavity.array, turned)) == pytest.approx(scar_area_pct(scan, cavity), abs=1e-6)


@pytest.mark.parametrize("cap_degrees", CAPS)
def test_rotated_acquisition_gives_the_same_share(cap_degrees):
    straight = scar_area_pct(*ball(THIN_SLICES, cap_degrees))
    turned = scar_area_pct(*ball(THIN_SLICES, cap_degrees, direction=oblique()))
    assert turned == pytest.approx(straight, abs=0.5)


@pytest.mark.parametrize("cap_degrees", CAPS)
def test_thin_slices_and_isotropic_voxels_agree(cap_degrees):
    assert scar_area_pct(*ball(THIN_SLICES, cap_degrees)) == pytest.approx(scar_area_pct(*ball(ISOTROPIC, cap_degrees)), abs=2.0)

"""How unsure a network is, on the surface: of scar where its decision falls, of the cavity across its edge."""

from __future__ import annotations

import numpy as np
import pytest
from scene_cases import CENTRE_LPS, analysed, network_of
from scipy import ndimage

from LAScarSegLib.analysis import Change, Settings, analyse, revise
from LAScarSegLib.analysis.description import describe, probabilities_of, read_description
from LAScarSegLib.output.writing import write_results
from LAScarSegLib.surface.vtk_meshes import read_vtp

EVEN_RAMP_BITS = 1 / (2 * np.log(2.0))
"""Mean entropy of a probability that falls evenly from 1 to 0: ∫ H(p) dp, in bits."""


def with_scar(probability: np.ndarray):
    return revise(analysed("axial"), Change(scar=network_of(probability.astype(np.float32), analysed("axial").cavity.array)), ranges=False)


@pytest.mark.parametrize(
    ("probability", "bits"), [(0.0, 0.0), (1.0, 0.0), (0.5, 1.0), (0.25, 2 - 0.75 * np.log2(3.0)), (0.75, 2 - 0.75 * np.log2(3.0))]
)
def test_entropy_of_an_even_probability(probability, bits):
    surface = with_scar(probability * analysed("axial").wall.array).surface
    measured = np.isfinite(surface.scar_entropy)
    assert measured.any()
    np.testing.assert_allclose(surface.scar_entropy[measured], bits, atol=1e-6)


def test_sure_scar_with_doubtful_edges_is_sure():
    """The voxels in the middle of the wall are certain; those before and behind them are not."""
    wall = analysed("axial").wall.array > 0
    depth = ndimage.distance_transform_edt(wall)
    surface = with_scar(np.where(wall, np.where(depth >= depth.max(), 1.0, 0.5), 0.0)).surface
    sure = surface.scar_probability == 1.0
    assert sure.any() and (surface.scar_entropy[sure] == 0.0).all()


def test_what_was_not_measured_is_no_certainty():
    """A wall on one side alone: the rest has neither scar nor any entropy."""
    image, case = analysed("axial").volume, analysed("axial")
    i = np.arange(case.wall.array.shape[2])
    half = case.wall.like((case.wall.array * (i < i.size // 2)).astype(np.uint8))
    network = network_of(0.5 * half.array, case.cavity.array)
    surface = analyse(image, Settings(perturbation=False), cavity=case.cavity, wall=half, scar=network).surface
    unknown = surface.scar_class == 255
    assert unknown.any() and np.isnan(surface.scar_entropy[unknown]).all() and (surface.scar_entropy[~unknown] == 1.0).all()


@pytest.mark.parametrize("width_mm", [3.0, 4.5, 6.0])
def test_a_broad_edge_of_the_cavity_is_more_doubtful_than_a_sharp_one(width_mm):
    """A ball whose probability falls evenly over `width_mm` about its surface; 6 mm of the normal are looked at."""
    case = analysed("axial")
    kji = np.indices(case.cavity.array.shape).reshape(3, -1)
    away = np.linalg.norm(case.geometry.index_to_lps(kji[::-1].T) - CENTRE_LPS, axis=1).reshape(case.cavity.array.shape)
    radius = (3 * case.measurements["la_volume_ml"].value * 1000 / (4 * np.pi)) ** (1 / 3)
    network = network_of(np.clip(0.5 - (away - radius) / width_mm, 0.0, 1.0))
    surface = analyse(case.volume, Settings("iir", 1.2, perturbation=False), cavity=network).surface
    assert np.median(surface.cavity_entropy) == pytest.approx(EVEN_RAMP_BITS * width_mm / 6.0, abs=0.08)
    assert surface.scar_entropy is None


def test_a_rule_or_a_mask_has_none():
    surface = analysed("axial").surface
    assert surface.scar_entropy is None and surface.cavity_entropy is None


def test_it_belongs_to_the_network_whatever_a_person_draws():
    """A stroke on its scar changes the scar; the network is as unsure as it was. Written and read back it is the same."""
    before = with_scar(0.75 * analysed("axial").wall.array)
    stroke = type(before.masks["scar"]).of(before.wall.array * (np.arange(before.wall.array.shape[2]) % 2 > 0) > 0)
    drawn = revise(before, Change(scar=stroke), ranges=False)
    assert not np.array_equal(drawn.surface.scar, before.surface.scar)
    np.testing.assert_array_equal(drawn.surface.scar_entropy, before.surface.scar_entropy)
    back = analyse_again(drawn)
    np.testing.assert_array_equal(back.surface.scar_entropy, drawn.surface.scar_entropy)


def analyse_again(analysis):
    volume, settings, sources = read_description(describe(analysis), analysis.volume, probabilities_of(analysis))
    return analyse(volume, settings, cavity=sources.cavity, wall=sources.wall, scar=sources.scar, planes=sources.planes, ranges=False)


def test_the_surface_file_has_it(tmp_path):
    analysis = with_scar(0.5 * analysed("axial").wall.array)
    read = read_vtp(write_results(analysis, tmp_path / "out", figures=False, report=False, scene=False) / "surface.vtp")
    np.testing.assert_allclose(read.scar_entropy, analysis.surface.scar_entropy)
    assert read.cavity_entropy is None

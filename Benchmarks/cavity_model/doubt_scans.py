"""Scans whose cavity is known, and what can go wrong with them: for `doubt.py`.

Each kind of damage takes a scan and its cavity and gives both back, the cavity changed as the scan was, or empty where there is no left
atrium (any more). Everything is drawn from the scan's name and the kind, so that it comes out the same again.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from split import SAME_AS_CARMA, divide, divide_by_patient, divide_other_centre

from LAScarSegLib.phantom import HEART_FIELD_OF_VIEW, PhantomSettings, make_phantom
from LAScarSegLib.volumes.files import read_volume
from LAScarSegLib.volumes.volume import Box, Geometry, Volume

CROP_MM = (10.0, 25.0)
"""Left around the atrium of a whole field of view, where a kind is tried on a cropped scan: as the challenge's scans are cropped."""
CALIBRATION_SEED, TEST_SEED = 900, 950
"""Of the phantoms, which no network was trained on (the training's have 5000…5015)."""
KEPT_PHANTOMS = 4
"""Each is drawn in 20 s, and damaged many times."""
Pair = tuple[Volume, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A scan before anything is done to it; `read` gives the scan and its cavity (bool). `group`: its patient. `unseen` by the training."""

    collection: str
    name: str
    group: str
    unseen: bool
    read: Callable[[], Pair]


def calibration_cases(data: Path) -> list[Case]:
    """The 11 of the challenge whose patients no version has learned from, CARMA's, every second one that fold 0 keeps of the other centre's, four
    phantoms."""
    patients = patients_of(data)
    names = [path.name for path in (data / "la2018").iterdir() if path.is_dir()]
    _, held = divide_by_patient(names, patients)
    cases = [Case("la2018", name, patients[name], True, partial(_pair, data / "la2018" / name, "lge.nii.gz")) for name in held]
    # 1.0, whose weights every version goes on from, has learned the other scan of CARMA's patient.
    learned = {patients[name] for name in divide(names)[0]}
    cases.append(Case("carma", "autoscar", patients[SAME_AS_CARMA], patients[SAME_AS_CARMA] not in learned, partial(_carma, data / "carma")))
    return cases + _other_centre(data, 0) + [_phantom(CALIBRATION_SEED + n) for n in range(4)]


def test_cases(data: Path) -> list[Case]:
    """What chose nothing: the ten new scans of the challenge, the other half of what fold 0 keeps of the other centre's, three phantoms."""
    patients = patients_of(data)
    known = {patients[path.name] for path in (data / "la2018").iterdir() if path.is_dir()}
    new = sorted(path.name for path in (data / "la2018_new").iterdir() if path.is_dir())
    cases = [Case("la2018_new", name, patients[name], patients[name] not in known, partial(_pair, data / "la2018_new" / name, "lge.nii.gz")) for name in new]
    return cases + _other_centre(data, 1) + [_phantom(TEST_SEED + n) for n in range(3)]


def patients_of(data: Path) -> dict[str, str]:
    with (data / "patients.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    return {row[0]: row[2] for row in rows[1:]}


def _other_centre(data: Path, first: int) -> list[Case]:
    _, held = divide_other_centre([path.name for path in (data / "msd_heart").iterdir() if path.is_dir()], 0)
    names = held[first::2]
    return [Case("msd_heart", name, name, True, partial(_pair, data / "msd_heart" / name, "mri.nii.gz")) for name in names]


def _pair(folder: Path, image: str) -> Pair:
    return read_volume(folder / image), read_volume(folder / "cavity.nii.gz").array > 0


def _carma(folder: Path) -> Pair:
    return read_volume(folder / "autoscar-data.nrrd"), read_volume(folder / "autoscar-endo.nrrd").array > 0


def _phantom(seed: int) -> Case:
    return Case("phantom", str(seed), f"phantom {seed}", True, partial(_drawn, seed))


@lru_cache(KEPT_PHANTOMS)
def _drawn(seed: int) -> Pair:
    phantom = make_phantom(PhantomSettings(seed=seed, size=HEART_FIELD_OF_VIEW))
    return phantom.image, phantom.cavity.array > 0


def random_of(case: Case, kind: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{case.collection} {case.name} {kind}".encode("ascii")))


def cropped(scan: Volume, cavity: np.ndarray, random: np.random.Generator) -> Pair:
    """As the challenge's scans are: little more than the atrium."""
    tight, spacing = Box.around(cavity, 0.0, scan.geometry.spacing_kji), scan.geometry.spacing_kji
    start = tuple(max(0, a - int(random.uniform(*CROP_MM) / s)) for a, s in zip(tight.start, spacing))
    stop = tuple(min(n, b + int(random.uniform(*CROP_MM) / s)) for b, s, n in zip(tight.stop, spacing, cavity.shape))
    box = Box(start, stop)
    return _moved(np.ascontiguousarray(scan.array[box.slices]), scan.geometry.crop(box)), np.ascontiguousarray(cavity[box.slices])


def _moved(array: np.ndarray, geometry: Geometry) -> Volume:
    return Volume(array, geometry)


def _on(array: np.ndarray, like: Volume, spacing: tuple[float, float, float] | None = None) -> Volume:
    """An array on a grid of another size, with the header's spacing and axes as they were."""
    g = like.geometry
    return Volume(np.ascontiguousarray(array), Geometry(array.shape[::-1], spacing or g.spacing, direction=g.direction))


# --- the header or the patient lies otherwise ---------------------------------------------------------------------------------------------


def turned(scan, cavity, random, axes):
    return _on(np.rot90(scan.array, 1, axes), scan), np.ascontiguousarray(np.rot90(cavity, 1, axes))


def flipped(scan, cavity, random, axes):
    return _on(np.flip(scan.array, axes), scan), np.ascontiguousarray(np.flip(cavity, axes))


def header_axes(scan, cavity, random, order):
    """The header names the axes in another order: the voxels keep their sizes."""
    rotation = scan.geometry.rotation[:, list(order)]
    return Volume(scan.array, Geometry(scan.geometry.size, scan.geometry.spacing, direction=tuple(rotation.ravel()))), cavity


def spaced(scan, cavity, random, factors):
    """A wrong spacing; None: 1 mm."""
    x, y, z = scan.geometry.spacing
    spacing = (1.0, 1.0, 1.0) if factors is None else tuple(s * f for s, f in zip((x, y, z), factors))
    return _on(scan.array, scan, spacing), cavity


def tilted(scan, cavity, random, degrees):
    """The patient lies turned in the scanner, about a random axis."""
    axis = int(random.integers(3))
    axes = [a for a in range(3) if a != axis]
    spacing = np.array(scan.geometry.spacing_kji)
    turn, angle = np.eye(3), np.radians(degrees * random.choice([-1, 1]))
    turn[np.ix_(axes, axes)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    matrix = turn * spacing / spacing[:, None]
    middle = (np.array(cavity.shape) - 1) / 2
    move = middle - matrix @ middle
    grey = ndimage.affine_transform(scan.array.astype(np.float32), matrix, move, order=1)
    return scan.like(grey), ndimage.affine_transform(cavity.astype(np.float32), matrix, move, order=1) > 0.5


# --- not all of it is there ---------------------------------------------------------------------------------------------------------------


def cut(scan, cavity, random, share, axis, blank=False):
    """Without `share` of the atrium's extent along an axis, from a random side; `blank`: black instead of gone."""
    tight = Box.around(cavity, 0.0, (1.0, 1.0, 1.0))
    a, b = tight.start[axis], tight.stop[axis]
    start, stop = list((0, 0, 0)), list(cavity.shape)
    if random.random() < 0.5:
        start[axis] = a + int(round(share * (b - a)))
    else:
        stop[axis] = b - int(round(share * (b - a)))
    box = Box(tuple(start), tuple(stop))
    if not blank:
        return _moved(np.ascontiguousarray(scan.array[box.slices]), scan.geometry.crop(box)), np.ascontiguousarray(cavity[box.slices])
    grey, mask = np.zeros_like(scan.array), np.zeros_like(cavity)
    grey[box.slices], mask[box.slices] = scan.array[box.slices], cavity[box.slices]
    return scan.like(grey), mask


# --- the picture is worse -----------------------------------------------------------------------------------------------------------------


def thick(scan, cavity, random, mm):
    x, y, z = scan.geometry.spacing
    n = max(1, int(round(mm / z)))
    slices = len(cavity) // n
    grey = scan.array[: slices * n].astype(np.float32).reshape(slices, n, *cavity.shape[1:]).mean(axis=1)
    mask = cavity[: slices * n].reshape(slices, n, *cavity.shape[1:]).mean(axis=1) > 0.5
    return _on(grey, scan, (x, y, z * n)), mask


def blurred(scan, cavity, random, mm):
    return scan.like(ndimage.gaussian_filter(scan.array.astype(np.float32), [mm / s for s in scan.geometry.spacing_kji])), cavity


def ghost(scan, cavity, random, strength):
    grey = scan.array.astype(np.float32)
    step = grey.shape[1] // int(random.integers(3, 6))
    return scan.like(grey + strength * (np.roll(grey, step, axis=1) + np.roll(grey, -step, axis=1)) / 2), cavity


def shaded(scan, cavity, random, strength):
    knots = random.normal(0.0, strength, (4, 4, 4))
    field = ndimage.zoom(knots, [n / 4 for n in cavity.shape], order=1, grid_mode=True, mode="nearest")
    return scan.like((scan.array.astype(np.float32) * np.exp(field)).astype(np.float32)), cavity


def noisier(scan, cavity, random, times):
    """`times` the noise that the blood has, Rician."""
    grey = scan.array.astype(np.float32)
    noise = (grey - ndimage.uniform_filter(grey, 3))[cavity].std() * np.sqrt(times**2 - 1)
    return scan.like(np.hypot(grey + random.normal(0, noise, grey.shape), random.normal(0, noise, grey.shape)).astype(np.float32)), cavity


def moving(scan, cavity, random, mm):
    """Breathing: smeared along j."""
    grey = scan.array.astype(np.float32)
    return scan.like(ndimage.uniform_filter1d(grey, max(1, int(round(mm / scan.geometry.spacing_kji[1]))), axis=1)), cavity


# --- another contrast ---------------------------------------------------------------------------------------------------------------------


def dark_blood(scan, cavity, random, depth):
    grey = scan.array.astype(np.float32)
    blood, sd = np.median(grey[cavity]), grey.std()
    return scan.like(np.maximum(grey - depth * sd * np.exp(-0.5 * ((grey - blood) / (0.5 * sd)) ** 2), 0).astype(np.float32)), cavity


def inverted(scan, cavity, random):
    grey = scan.array.astype(np.float32)
    return scan.like(np.percentile(grey, 99.9) - np.minimum(grey, np.percentile(grey, 99.9))), cavity


def like_ct(scan, cavity, random):
    """Contrast-enhanced CT: bright even blood, grey muscle, black lung, little noise."""
    grey = ndimage.median_filter(scan.array.astype(np.float32), 3)
    blood, dark = np.median(grey[cavity]), np.percentile(grey, 5)
    level = np.clip((grey - dark) / (blood - dark + 1e-6), 0.0, 2.0)
    hu = np.interp(level, [0.0, 0.15, 0.4, 0.75, 0.9, 1.3, 2.0], [-900, -300, 30, 120, 380, 430, 900])
    return scan.like((hu + random.normal(0, 20, hu.shape)).astype(np.float32)), cavity


def like_cine(scan, cavity, random):
    """Balanced SSFP: all blood bright and even, muscle dark, smeared by the beating."""
    grey = ndimage.gaussian_filter(scan.array.astype(np.float32), 1.0)
    blood = np.median(grey[cavity])
    level = blood / (1.0 + np.exp(-10.0 * (grey / blood - 0.75)))
    return moving(scan.like(level.astype(np.float32)), cavity, random, 5.0)


# --- there is no atrium -------------------------------------------------------------------------------------------------------------------


def only_noise(scan, cavity, random):
    return scan.like(np.hypot(*random.normal(0, 100.0, (2, *cavity.shape))).astype(np.float32)), np.zeros_like(cavity)


def smooth_noise(scan, cavity, random):
    """Blobs of the size of organs, with noise."""
    blobs = ndimage.gaussian_filter(random.normal(0, 1, cavity.shape), [12.0 / s for s in scan.geometry.spacing_kji])
    grey = 100.0 + 60.0 * blobs / blobs.std()
    return scan.like(np.maximum(grey + random.normal(0, 15.0, grey.shape), 0).astype(np.float32)), np.zeros_like(cavity)


def emptied(scan, cavity, random, margin_mm):
    """The atrium and `margin_mm` around it filled with what lies around. With 3 mm its outline stayed, and what was found was where it had been."""
    spacing = scan.geometry.spacing_kji
    grown = ndimage.distance_transform_edt(~cavity, sampling=spacing) <= margin_mm
    grey = scan.array.astype(np.float32)
    near = ~grown & (ndimage.distance_transform_edt(~grown, sampling=spacing) <= 6.0)
    weight = ndimage.gaussian_filter((~grown).astype(np.float32), [12.0 / s for s in spacing])
    fill = ndimage.gaussian_filter(np.where(grown, 0, grey), [12.0 / s for s in spacing]) / np.maximum(weight, 1e-3)
    level = np.where(weight > 0.02, fill, np.median(grey[near]))
    noise = random.normal(0, (grey - ndimage.uniform_filter(grey, 3))[cavity].std(), grey.shape)
    return scan.like(np.where(grown, np.maximum(level + noise, 0), grey).astype(np.float32)), np.zeros_like(cavity)


def elsewhere(scan, cavity, random):
    """Another part of the body: a block as large as a cropped heart scan, of the same field of view, without the atrium or with little of it."""
    spacing, shape = np.array(scan.geometry.spacing_kji), np.array(cavity.shape)
    size = np.minimum(np.round(np.array([90.0, 90.0, 110.0]) / spacing), shape).astype(int)
    best, least = None, np.inf
    for _ in range(60):
        start = np.array([random.integers(0, n - m + 1) for n, m in zip(shape, size)])
        box = Box(tuple(map(int, start)), tuple(map(int, start + size)))
        share = cavity[box.slices].mean()
        if share < least:
            best, least = box, share
    mask = cavity[best.slices]
    return _moved(np.ascontiguousarray(scan.array[best.slices]), scan.geometry.crop(best)), np.ascontiguousarray(mask)


def as_it_is(scan, cavity, random):
    return scan, cavity


@dataclass(frozen=True)
class Damage:
    """A kind: `whole` ones want the whole field of view; `grey` ones and `lge` are told apart in the tables (is it still an LGE scan?)."""

    kind: str
    do: Callable[..., Pair]
    lge: bool = True
    whole: bool = False


DAMAGES: tuple[Damage, ...] = (
    Damage("turned_k", partial(turned, axes=(1, 2))), Damage("turned_j", partial(turned, axes=(0, 2))), Damage("turned_i", partial(turned, axes=(0, 1))),
    Damage("upside_down", partial(flipped, axes=(0,))), Damage("back_to_front", partial(flipped, axes=(1,))), Damage("mirrored", partial(flipped, axes=(2,))),
    Damage("turned_180_k", partial(flipped, axes=(1, 2))), Damage("turned_180_i", partial(flipped, axes=(0, 1))), Damage("turned_180_j", partial(flipped, axes=(0, 2))),
    Damage("header_sagittal", partial(header_axes, order=(1, 2, 0))), Damage("header_coronal", partial(header_axes, order=(0, 2, 1))),
    Damage("header_cycled", partial(header_axes, order=(2, 0, 1))),
    Damage("slices_x2", partial(spaced, factors=(1, 1, 2.0))), Damage("slices_x2.5", partial(spaced, factors=(1, 1, 2.5))),
    Damage("slices_x0.5", partial(spaced, factors=(1, 1, 0.5))), Damage("spacing_1mm", partial(spaced, factors=None)),
    Damage("tilted_15", partial(tilted, degrees=15.0)), Damage("tilted_45", partial(tilted, degrees=45.0)),
    Damage("slab_20", partial(cut, share=0.2, axis=0)), Damage("slab_35", partial(cut, share=0.35, axis=0)), Damage("slab_50", partial(cut, share=0.5, axis=0)),
    Damage("rows_cut_30", partial(cut, share=0.3, axis=1)), Damage("columns_cut_35", partial(cut, share=0.35, axis=2)),
    Damage("columns_blank_50", partial(cut, share=0.5, axis=2, blank=True)), Damage("slab_blank_50", partial(cut, share=0.5, axis=0, blank=True)),
    Damage("thick_5", partial(thick, mm=5.0)), Damage("thick_10", partial(thick, mm=10.0)),
    Damage("blur_1", partial(blurred, mm=1.0)), Damage("blur_2", partial(blurred, mm=2.0)), Damage("blur_4", partial(blurred, mm=4.0)),
    Damage("ghost_0.4", partial(ghost, strength=0.4)), Damage("ghost_0.9", partial(ghost, strength=0.9)),
    Damage("bias_0.4", partial(shaded, strength=0.4)), Damage("bias_1.0", partial(shaded, strength=1.0)),
    Damage("noise_x2", partial(noisier, times=2.0)), Damage("noise_x4", partial(noisier, times=4.0)), Damage("noise_x8", partial(noisier, times=8.0)),
    Damage("motion_8", partial(moving, mm=8.0)),
    Damage("dark_blood", partial(dark_blood, depth=1.5)), Damage("darker_blood", partial(dark_blood, depth=3.0)),
    Damage("inverted", inverted, lge=False), Damage("ct", like_ct, lge=False), Damage("cine", like_cine, lge=False),
    Damage("noise_only", only_noise, lge=False), Damage("blobs", smooth_noise, lge=False),
    Damage("emptied_20", partial(emptied, margin_mm=20.0)), Damage("emptied_12", partial(emptied, margin_mm=12.0)),
    Damage("elsewhere", elsewhere, lge=False, whole=True), Damage("elsewhere_b", elsewhere, lge=False, whole=True),
)  # fmt: skip
CLEAN = Damage("clean", as_it_is, whole=True)
CROPPED = Damage("cropped", as_it_is)


def damages_of(cases: list[Case], each: int) -> Iterator[tuple[Case, Damage]]:
    """The clean scan, and `each` kinds of damage for every case, in turn, so that all kinds come up equally often."""
    seen: dict[str, int] = {}
    for number, case in enumerate(cases):
        yield case, CLEAN
        if case.collection == "msd_heart":
            yield case, CROPPED
        possible = [d for d in DAMAGES if not d.whole or case.collection in ("msd_heart", "phantom")]
        # Those used least come first; ties are broken by the case's own order.
        order = sorted(possible, key=lambda d: (seen.get(d.kind, 0), zlib.crc32(f"{case.name} {d.kind}".encode("ascii"))))
        for damage in order[:each]:
            seen[damage.kind] = seen.get(damage.kind, 0) + 1
            yield case, damage


def made(case: Case, damage: Damage) -> Pair:
    """The scan of a case, cropped as the challenge's are unless the kind wants all of it, damaged."""
    scan, cavity = case.read()
    random = random_of(case, damage.kind)
    if case.collection in ("msd_heart", "phantom") and not damage.whole:
        scan, cavity = cropped(scan, cavity, random)
    return damage.do(scan, cavity, random)

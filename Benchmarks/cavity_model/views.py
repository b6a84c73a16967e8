"""Whole fields of view to train the coarse network on: the challenge's scans show little more than the atrium.

    python Benchmarks/cavity_model/views.py TRAIN.csv OUT [--whole WHOLE.csv] [--fine-only]

Writes OUT/views.csv, a manifest of `lascarseg train two_stage_sdm cavity --preset coarse`, with

- each scan of TRAIN.csv pasted into the thorax of a phantom, its atrium where the phantom's was, its grey levels brought to the
  phantom's mean and SD there, its border blended over 6 mm,
- every second one in a black frame of random size, every third one as it is,
- the phantoms themselves,

all with every second voxel in the plane: the coarse network works at 4 mm. Nothing of this is a patient's whole scan: the model's card
says so.

Writes OUT/fine.csv, too, a manifest for `--preset small`: the scans themselves, every second one in its thorax as well, and every
sixth in its frame. --whole adds the scans of a manifest that show a whole field of view to it, as they are; --fine-only leaves out what
the coarse network alone is trained on.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.ndimage import zoom

from LAScarSegLib.phantom.phantom import make_phantom
from LAScarSegLib.phantom.settings import PhantomSettings
from LAScarSegLib.volumes.files import read_volume, write_volume
from LAScarSegLib.volumes.volume import Geometry, Volume

BACKGROUNDS = 16
SMALL_LA_ML = 45.0
"""Of a phantom that is pasted over: nothing of its own atrium shall show."""
FIRST_SEED = 5000
BLEND_MM = 6.0
FRAMED_OF, AS_IT_IS_OF = 2, 3
"""Every which scan is also framed, or taken as it is."""
THINNED = 2
"""Every which voxel in the plane is kept."""
FINE_THORAX_OF, FINE_FRAME_OF = 2, 6
"""Every which scan the fine network sees in a thorax, or in a frame, too: three fifths of what it sees are scans as they are."""
LARGEST_FRAME_MM = (60.0, 120.0, 120.0)
"""Black on either side, along k, j and i."""


def background(number: int) -> tuple[Volume, Volume]:
    """A phantom's scan and its cavity."""
    phantom = make_phantom(PhantomSettings(seed=FIRST_SEED + number, la_volume_ml=SMALL_LA_ML))
    return phantom.image, phantom.cavity


def centre_of(mask: np.ndarray) -> np.ndarray:
    """The mean voxel (k, j, i) of a mask."""
    return np.argwhere(mask).mean(axis=0)


def framed(scan: Volume, cavity: Volume, random: np.random.Generator) -> tuple[Volume, Volume]:
    """The scan in a black frame."""
    widths = [
        tuple(int(random.uniform(0.0, limit) / s) for _ in range(2)) for limit, s in zip(LARGEST_FRAME_MM, scan.geometry.spacing_kji)
    ]
    return _volume(np.pad(scan.array, widths), scan), _volume(np.pad(cavity.array, widths), scan)


def pasted(scan: Volume, cavity: Volume, thorax: Volume, its_cavity: Volume) -> tuple[Volume, Volume]:
    """The scan in a thorax, on the thorax's field of view with the scan's voxels."""
    factors = [t / s for t, s in zip(thorax.geometry.spacing_kji, scan.geometry.spacing_kji)]
    whole = zoom(thorax.array.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    middle = centre_of(its_cavity.array) * factors
    start = [
        int(np.clip(round(m - c), 0, max(0, n - k))) for m, c, n, k in zip(middle, centre_of(cavity.array), whole.shape, scan.array.shape)
    ]
    shape = [min(k, n) for k, n in zip(scan.array.shape, whole.shape)]
    place, part = tuple(slice(a, a + n) for a, n in zip(start, shape)), tuple(slice(0, n) for n in shape)
    there, grey = whole[place], scan.array[part].astype(np.float32)
    grey = (grey - grey.mean()) / grey.std() * there.std() + there.mean()
    share = _blend(shape, scan.geometry.spacing_kji)
    whole[place] = np.maximum(share * grey + (1.0 - share) * there, 0.0)
    mask = np.zeros(whole.shape, dtype=np.uint8)
    mask[place] = cavity.array[part] > 0
    return _volume(np.round(whole).astype(np.int16), scan), _volume(mask, scan)


def _blend(shape: list[int], spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """1 inside, falling to 0 at the faces over `BLEND_MM`."""
    share = np.ones(shape, dtype=np.float32)
    for axis, (n, s) in enumerate(zip(shape, spacing_mm)):
        depth = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5) * s / BLEND_MM
        share *= np.clip(depth, 0.0, 1.0).astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    return share


def _thinned(volume: Volume) -> Volume:
    """Every second voxel in the plane, without averaging: as noisy as what the network sees in use."""
    array = np.ascontiguousarray(volume.array[:, ::THINNED, ::THINNED])
    x, y, z = volume.geometry.spacing
    return Volume(array, Geometry(array.shape[::-1], (x * THINNED, y * THINNED, z)))


def _volume(array: np.ndarray, like: Volume) -> Volume:
    # Where it lies doesn't matter to a training; its axes are the challenge's, LPS.
    return Volume(array, Geometry(array.shape[::-1], like.geometry.spacing))


def cases_of(manifest: Path) -> list[list[str]]:
    """The lines of a manifest with whole paths: name, image, cavity, group."""
    with manifest.open(newline="", encoding="utf-8") as file:
        return [
            [case["name"], *(str((manifest.parent / case[key]).resolve()) for key in ("image", "cavity")), case["group"]]
            for case in csv.DictReader(file)
        ]


def main(manifest: Path, out: Path, whole: Path | None, fine_only: bool) -> None:
    out.mkdir(parents=True)
    random = np.random.default_rng(0)
    rows, fine = [], []

    def add(name: str, group: str, image: Volume, cavity: Volume) -> list[str]:
        # Grey values alone: a phantom's own mark would keep it out of a training with scans.
        write_volume(_thinned(image), out / f"{name}.nrrd")
        write_volume(_thinned(cavity), out / f"{name}-cavity.nrrd")
        rows.append([name, f"{name}.nrrd", f"{name}-cavity.nrrd", group])
        return rows[-1]

    thoraces = []
    for number in range(BACKGROUNDS):
        image, cavity = background(number)
        thoraces.append((image, cavity))
        if not fine_only:
            add(f"phantom_{number}", f"phantom_{number}", image, cavity)
        print(f"phantom {number + 1} of {BACKGROUNDS}", flush=True)
    cases = cases_of(manifest)
    for number, (name, image, label, group) in enumerate(cases):
        scan, cavity = read_volume(Path(image)), read_volume(Path(label))
        fine.append(cases[number])
        in_frame, in_thorax = number % FINE_FRAME_OF == 0, number % FINE_THORAX_OF == 0
        if in_frame or (number % FRAMED_OF == 0 and not fine_only):
            row = add(f"{name}_frame", group, *framed(scan, cavity, random))
            fine += [row] if in_frame else []
        if number % AS_IT_IS_OF == 0 and not fine_only:
            add(f"{name}_crop", group, scan, cavity)
        if in_thorax or not fine_only:
            row = add(f"{name}_thorax", group, *pasted(scan, cavity, *thoraces[number % BACKGROUNDS]))
            fine += [row] if in_thorax else []
        print(f"{name} ({number + 1} of {len(cases)})", flush=True)
    fine += cases_of(whole) if whole else []
    for name, lines in (("fine.csv", fine), *(() if fine_only else (("views.csv", rows),))):
        with (out / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["name", "image", "cavity", "group"], *lines])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--whole", type=Path)
    parser.add_argument("--fine-only", action="store_true")
    main(**vars(parser.parse_args()))

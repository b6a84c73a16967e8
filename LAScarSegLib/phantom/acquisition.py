"""The scanner: coil profile, breathing, ghosts, noise, zero-filled k-space, gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from ..volumes.volume import Geometry
from .render import ZERO_FILL

BIAS_PEAK = 0.20
"""The coil profile spans ±20 % of its middle over the body (SCIENCE section 7)."""
SNR_RANGE = (8.0, 15.0)
TEXTURE_MM = 2.5
"""Correlation length of what isn't noise in the blood pool (mixing, flow): the same order as in-plane resolution."""
GAIN_RANGE = (120.0, 320.0)
"""Grey level of blood: arbitrary, as scanners have it."""


@dataclass(frozen=True)
class Acquisition:
    """What one scan does to its picture, drawn once.

    `snr` blood over noise SD; `ghost` amplitude and `ghost_shift` (share of the field of view) of the copies along the
    phase-encoding axis (rows); `breathing_mm` SD of the motion along rows, `slice_leak` share of each neighbouring slice;
    `gain` grey level of blood; `bias` coefficients of the coil profile.
    """

    snr: float
    ghost: float
    ghost_shift: float
    breathing_mm: float
    slice_leak: float
    gain: float
    bias: tuple[float, ...]

    @classmethod
    def draw(cls, snr: float | None, rng: np.random.Generator) -> Acquisition:
        drawn = float(rng.uniform(*SNR_RANGE))
        return cls(
            snr=snr or drawn,
            ghost=float(rng.uniform(0.01, 0.04)),
            ghost_shift=float(rng.uniform(0.2, 0.45)),
            breathing_mm=float(rng.uniform(0.3, 0.8)),
            slice_leak=float(rng.uniform(0.03, 0.10)),
            gain=float(rng.uniform(*GAIN_RANGE)),
            bias=tuple(rng.normal(0, 1, 6).tolist()),
        )


def coil_profile(grid: Geometry, bias: tuple[float, ...]) -> np.ndarray:
    """(k, j, i) float32 smooth profile within 1 ± `BIAS_PEAK`, 1 in the middle: stronger towards the chest as a rule."""
    k, j, i = (np.linspace(-1, 1, n, dtype=np.float32) * min(1.0, n * s / 360.0) for n, s in zip(grid.shape, grid.spacing_kji))
    k, j = k[:, None, None], j[:, None]
    c = np.asarray(bias, np.float32)
    field = 0.5 * c[0] * k + (0.5 * c[1] - 0.6) * j + 0.5 * c[2] * i + 0.4 * (c[3] * i * j + c[4] * i * i + c[5] * j * j)
    # Scaled as if over the whole body, so that a small field of view sees its part of the same profile.
    peak = 0.5 * (abs(c[0]) + abs(c[1] - 1.2) + abs(c[2])) + 0.4 * np.abs(c[3:]).sum()
    return (1 + BIAS_PEAK * field / peak).astype(np.float32)


def texture(grid: Geometry, acquisition: Acquisition, rng: np.random.Generator) -> np.ndarray:
    """(k, j, i) float32 smooth noise, mean 0, with an SD of 1 after the scanner's blur."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(white, [TEXTURE_MM / 2 / s for s in grid.spacing_kji], mode="wrap")
    seen = ndimage.gaussian_filter1d(leak_between_slices(smooth, acquisition), acquisition.breathing_mm / grid.spacing_kji[1], axis=1)
    return smooth / seen.std(dtype=np.float64).astype(np.float32)


def leak_between_slices(picture: np.ndarray, acquisition: Acquisition) -> np.ndarray:
    """The picture as imperfect slice profiles and breathing along the body mix it."""
    leak = acquisition.slice_leak
    return ndimage.correlate1d(picture, [leak, 1 - 2 * leak, leak], axis=0, mode="nearest")


def acquire(picture: np.ndarray, spacing_kji: tuple[float, float, float], acquisition: Acquisition, rng: np.random.Generator) -> np.ndarray:
    """The magnitude image (k, 2j, 2i), float32, blood about 1, of what lies in the scanner.

    `picture` (k, j, i) are true grey levels averaged over the acquired voxels, whose size in mm is `spacing_kji`.
    """
    blurred = leak_between_slices(picture, acquisition)
    rows, columns = picture.shape[1:]
    frequency = fft.fftfreq(rows)
    phase_encoding = np.exp(-2 * (np.pi * frequency * acquisition.breathing_mm / spacing_kji[1]) ** 2)
    # Breathing repeats from line to line: a modulation along k-space, hence shifted copies.
    phase_encoding *= 1 + acquisition.ghost * np.cos(2 * np.pi * frequency * rows * acquisition.ghost_shift)
    image = np.empty((len(picture), rows * ZERO_FILL, columns * ZERO_FILL), np.float32)
    # A unitary transform keeps the noise's SD; the zero-filled image is scaled back by the factor in both axes.
    for k, plane in enumerate(blurred):
        kspace = fft.fft2(plane, norm="ortho") * phase_encoding[:, None]
        noise = rng.standard_normal((2, rows, columns), dtype=np.float32) / acquisition.snr
        image[k] = np.abs(zero_fill(kspace + noise[0] + 1j * noise[1]))
    return image


def zero_fill(kspace: np.ndarray) -> np.ndarray:
    """Complex image (2j, 2i) from unitary k-space (j, i), shifted so that each voxel parts into exactly four."""
    rows, columns = kspace.shape
    padded = np.zeros((rows * ZERO_FILL, columns * ZERO_FILL), np.complex64)
    shift = 0.5 * (1 - 1 / ZERO_FILL)
    fy, fx = fft.fftfreq(rows), fft.fftfreq(columns)
    ramp = np.exp(-2j * np.pi * shift * (fy[:, None] + fx))
    y, x = ((n * ZERO_FILL // 2 - n // 2) for n in (rows, columns))
    padded[y : y + rows, x : x + columns] = fft.fftshift(kspace * ramp)
    return fft.ifft2(fft.ifftshift(padded), norm="ortho") * ZERO_FILL

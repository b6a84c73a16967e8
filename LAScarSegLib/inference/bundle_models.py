"""A model bundle at work: `CavityModel` and `ScarModel` of `systems`, on any scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.ndimage import binary_fill_holes

from ..anatomy.anatomy import build_anatomy
from ..anatomy.wall import WALL_OUTSIDE_MM
from ..errors import InputError
from ..models.bundle import Bundle, check_use
from ..models.card import ModelCard, NetworkSpec
from ..networks.weights import unpack_tensors
from ..support.flags import QualityFlag, simulated_model
from ..support.progress import Progress
from ..systems import SYSTEMS, Stage
from ..systems.uncertainty import UncertaintyReference, threshold_for, uncertainty_flag, uncertainty_mm
from ..volumes.orientation import Orientation
from ..volumes.volume import Box, Volume
from .device import Device, choose_device, deterministic
from .memory import with_less_memory
from .options import InferenceOptions
from .preparation import Normalisation, channels_at
from .region import REGION_MARGIN_MM, atrium_in, check_found, is_cropped, largest_component, region_of, voxels_around, widened
from .resampling import (
    resample_logits, resample_logits_part, resample_mask, resample_scan, resample_scan_part, shape_at, true_spacing,
    working_geometry,
)  # fmt: skip
from .tiles import BACKGROUND, Corner, predict_tiles, contributing_tiles

if TYPE_CHECKING:
    from torch import nn

NetworkSource = Callable[[NetworkSpec, int], "nn.Module"]
"""(spec, fold) → the network of that fold with its weights, on the CPU, in evaluation mode."""

FINDING_SHARE = 0.2
"""The coarse pass's part of the progress: it has an eighth of the voxels or less, but sees the whole scan."""

COARSE_RESAMPLING = "linear"
"""Coarse networks are trained here, on linearly interpolated scans, whatever an imported fine network saw."""

DEEP_SUPERVISION_PREFIX = "deep_supervision_heads."
"""Weights used in training only; a bundle may hold them."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """What the fine network is given, and the way back.

    `channels` (C, k, j, i) at its spacing; `corners`: where its tiles start in them, None for tiles all over; `back` makes the
    logits of the channels those of the scan's own voxels inside `box`.
    """

    channels: np.ndarray
    box: Box
    back: Callable[[np.ndarray], np.ndarray]
    corners: list[Corner] | None = None


class _BundleModel:
    """What both stages share: a card, its networks, a device, and the run of one network over channels."""

    def __init__(
        self, card: ModelCard, networks: NetworkSource, options: InferenceOptions = InferenceOptions(), progress: Progress | None = None
    ) -> None:
        check_use(card)
        self.card = card
        self.stage: Stage = SYSTEMS[card.system].stage(card.stage, card.variant)
        self.device: Device = choose_device(options.device)
        self._networks = networks
        self._options = options
        self._progress = progress or Progress()
        self._notes: tuple[QualityFlag, ...] = ()
        judged = self.stage.uncertain_threshold is not None
        self._reference = UncertaintyReference.in_scores(card.scores) if judged else None

    @classmethod
    def from_bundle(cls, bundle: Bundle, options: InferenceOptions = InferenceOptions(), progress: Progress | None = None) -> Self:
        """The model of a bundle; its weights are read, and checked, when they are needed.

        Raises `InputError` for a bundle of the other stage, an unknown device, or a region of interest that can't be.
        """
        check_use(bundle.card, stage=cls.stage_key)
        return cls(bundle.card, bundle_networks(bundle), options, progress)

    stage_key = ""

    def _orientation(self, volume: Volume) -> Orientation:
        how = self.card.preprocessing
        turned = Orientation.towards_lps(volume.geometry) if how.orientation == "lps" else Orientation()
        return turned.then(how.axes)

    def _logits(
        self,
        spec: NetworkSpec,
        channels: np.ndarray,
        padding: Sequence[float],
        fold: int,
        stage: str,
        progress: Progress,
        corners: list[Corner] | None = None,
    ) -> np.ndarray:
        """Foreground minus background logit (k, j, i) of one fold."""
        axes = self.card.preprocessing.mirror_axes if self._options.mirror else ()

        def work(device: Device, patch: tuple[int, int, int]) -> np.ndarray:
            network = self._networks(spec, fold).to(device.key)
            with deterministic():
                return predict_tiles(
                    network, channels, patch, padding=padding, device=device.key, mirror_axes=axes, step=self._options.step,
                    corners=corners if patch == spec.patch else None,
                    report=lambda done: progress.report(stage, done, f"Network on {device}"),
                )  # fmt: skip

        logits, notes = with_less_memory(work, self.device, spec.patch, spec.plan.divisor)
        # Once is enough, for however many folds.
        self._notes += tuple(note for note in notes if note.code not in {known.code for known in self._notes})
        return logits

    def _seen(self, channels: np.ndarray, box: Box, spacing_mm: Sequence[float]) -> _Seen:
        """Channels of all of `box`, on the scan's voxels of `spacing_mm`."""
        how, spec = self.card.preprocessing, self.card.fine
        return _Seen(channels, box, lambda logits: resample_logits(logits, box.shape, spec.spacing_mm, spacing_mm, how.resampling))

    def _probability(self, seen: _Seen, stage: str, progress: Progress) -> np.ndarray:
        """The folds' mean probability (k, j, i) on the scan's own voxels."""
        by_probability = self.card.preprocessing.ensemble == "probability"
        folds = len(self.card.fine.weights)
        padding = [channel.padding for channel in self.card.channels]
        total: np.ndarray | None = None
        for fold in range(folds):
            part = progress.part(fold / folds, (fold + 1) / folds)
            value = self._logits(self.card.fine, seen.channels, padding, fold, stage, part, seen.corners)
            if by_probability:
                value = sigmoid(seen.back(value))
            if total is None:
                total = value
            else:
                total += value
        mean = total
        mean /= folds
        return mean if by_probability else sigmoid(seen.back(mean))

    def _volume(self, volume: Volume, part: np.ndarray, box: Box, orientation: Orientation) -> Volume:
        """The network's array inside `box` as a volume on the scan's grid, with what the user should know about it."""
        whole = part
        if part.shape != orientation.of_axes(volume.array.shape):
            whole = np.zeros(orientation.of_axes(volume.array.shape), dtype=np.float32)
            whole[box.slices] = part
        flags = (*self._notes, *([simulated_model(self.card.name)] if self.card.simulated else ()))
        return Volume(np.ascontiguousarray(orientation.undo(whole)), volume.geometry, flags)


class BundleCavityModel(_BundleModel):
    """The cavity from the scan alone: `systems.CavityModel`.

    Parameters
    ----------
    card, networks
        the bundle's card, and where its networks come from; `from_bundle` takes both from a bundle.
    options
        device, region, mirroring.
    progress
        where to report, and who may cancel.
    """

    stage_key = "cavity"

    def predict(self, volume: Volume) -> Volume:
        """Probability of the cavity, float32, on the grid of `volume`; its flags say what was done in another way than asked.

        Raises
        ------
        InputError
            the left atrium was not found, or the region of interest lies outside the scan.
        ProcessingError
            there is not enough memory.
        Cancelled
            from `progress`.
        """
        return self._predict(volume)[0]

    def predict_mask(self, volume: Volume) -> Volume:
        """The cavity as a mask (0/1, uint8) on the grid of `volume`, with the flags of `predict`, which says what is raised.

        The largest part above the threshold, without holes, which would be measured as wall.
        """
        return self.predict_with_mask(volume)[1]

    def predict_with_mask(self, volume: Volume) -> tuple[Volume, Volume]:
        """Both `predict` and `predict_mask`, from one run of the networks."""
        probability, threshold = self._predict(volume)
        found = probability.array > threshold
        box = Box.around(found, 0.0, (1.0, 1.0, 1.0)).slices
        mask = np.zeros(found.shape, dtype=np.uint8)
        mask[box] = binary_fill_holes(largest_component(found[box]))
        return probability, Volume(mask, volume.geometry, probability.flags)

    def _predict(self, volume: Volume) -> tuple[Volume, float]:
        """The probability and the threshold to read it with."""
        self._notes = ()
        orientation = self._orientation(volume)
        scan = orientation.apply(volume.array)
        spacing = orientation.of_axes(volume.geometry.spacing_kji)
        normalisation = Normalisation.of(scan, self.card.preprocessing.statistics)
        seen, progress = self._look(volume, scan, spacing, normalisation, orientation)
        probability = self._probability(seen, "cavity", progress)
        threshold = self._threshold(probability, spacing)
        check_found(largest_component(probability > threshold), spacing, "network")
        return self._volume(volume, probability, seen.box, orientation), threshold

    def _threshold(self, probability: np.ndarray, spacing: Sequence[float]) -> float:
        """The card's, or a lower one where the system has one for unusually uncertain cases and the card says what is usual."""
        if self._reference is None:
            return self.card.threshold
        value = uncertainty_mm(Volume(probability, working_geometry(probability.shape, spacing)))
        threshold = threshold_for(self.stage, self.card.threshold, value, self._reference)
        self._notes += (uncertainty_flag(value, self._reference, threshold),)
        return threshold

    def _look(
        self, volume: Volume, scan: np.ndarray, spacing: Sequence[float], normalisation: Normalisation, orientation: Orientation
    ) -> tuple[_Seen, Progress]:
        """What the fine pass sees, in the network's axes, and the progress that is left for it."""
        whole, fine, coarse = normalisation.box, self.card.fine, self.card.coarse
        least = shape_at(fine.patch, fine.spacing_mm, spacing)
        if self._options.roi is not None:
            roi = orientation.box(check_roi(self._options.roi, volume), volume.array.shape)
            return self._all_of(widened(roi, scan.shape, least), scan, spacing, normalisation), self._progress
        if coarse is None or not self._options.region_first or is_cropped(scan.shape, spacing):
            return self._all_of(whole, scan, spacing, normalisation), self._progress
        shape = shape_at(scan.shape, spacing, coarse.spacing_mm)
        rough = normalisation.apply(resample_scan(scan, shape, spacing, coarse.spacing_mm, COARSE_RESAMPLING))
        finding, left = self._progress.part(0.0, FINDING_SHARE), self._progress.part(FINDING_SHARE, 1.0)
        coarse_mm = true_spacing(scan.shape, spacing, shape)
        atrium = atrium_in(sigmoid(self._logits(coarse, rough[None], (0.0,), 0, "find", finding)), coarse_mm, self.card.threshold)
        box = region_of(atrium, coarse_mm, scan.shape, spacing)
        # A network of boxes wants a box; a z-score of some voxels only can't follow the interpolation.
        if self.card.preprocessing.statistics != "region" and normalisation.inside is None:
            return self._tiles_at(atrium, box, scan, spacing, normalisation), left
        return self._all_of(widened(box, scan.shape, least), scan, spacing, normalisation), left

    def _all_of(self, box: Box, scan: np.ndarray, spacing: Sequence[float], normalisation: Normalisation) -> _Seen:
        """A box of the scan: what a network that was trained on boxes wants."""
        if self.card.preprocessing.statistics == "region":
            normalisation = Normalisation.of(scan, "region", box)
        return self._seen(channels_at(self.card, self.stage, scan, None, spacing, normalisation, box), box, spacing)

    def _tiles_at(self, atrium: np.ndarray, box: Box, scan: np.ndarray, spacing: Sequence[float], normalisation: Normalisation) -> _Seen:
        """Some of the whole scan's tiles, those that decide what comes out in the atrium: for a network that was trained on whole scans.

        Their voxels and weights are the whole scan's, so what comes out is what comes out there.

        Parameters
        ----------
        atrium
            (k, j, i) bool, the coarse mask of the whole scan.
        box
            what is wanted, in the scan's voxels.
        """
        how, spec, whole = self.card.preprocessing, self.card.fine, normalisation.box
        shape = shape_at(whole.shape, spacing, spec.spacing_mm)
        points = voxels_around(atrium, whole, scan.shape, shape)
        corners = contributing_tiles(points, shape, spec.patch, self._options.step)
        first = np.min(corners, axis=0)
        last = np.minimum(np.max(corners, axis=0) + spec.patch, shape)
        block = Box(tuple(map(int, first)), tuple(map(int, last)))
        part = normalisation.apply(resample_scan_part(scan[whole.slices], shape, block, spacing, spec.spacing_mm, how.resampling))
        channels = self.stage.inputs(part, None)
        box = box.within(whole)
        wanted = box.seen_from(whole)

        def back(logits: np.ndarray) -> np.ndarray:
            def read(place: tuple[slice, ...]) -> np.ndarray:
                return block.of_values(logits, Box(tuple(s.start for s in place), tuple(s.stop for s in place)), BACKGROUND)

            return resample_logits_part(read, shape, whole.shape, wanted, spec.spacing_mm, spacing, how.resampling)

        return _Seen(channels, box, back, [tuple(int(c - f) for c, f in zip(corner, first)) for corner in corners])


class BundleScarModel(_BundleModel):
    """The scar from the scan and its cavity: `systems.ScarModel`. Parameters as for `BundleCavityModel`."""

    stage_key = "scar"

    def predict(self, volume: Volume, cavity: Volume) -> Volume:
        """Probability of scar, float32, on the grid of `volume`; `cavity` is a mask on the same grid.

        Only a box around the cavity is looked at, so nothing has to be found first.

        Raises
        ------
        InputError
            the cavity is empty or lies on another grid.
        ProcessingError
            there is not enough memory.
        Cancelled
            from `progress`.
        """
        self._notes = ()
        check_grid(volume, cavity)
        orientation = self._orientation(volume)
        scan, mask = orientation.apply(volume.array), orientation.apply(cavity.array) > 0
        spacing = orientation.of_axes(volume.geometry.spacing_kji)
        normalisation = Normalisation.of(scan, self.card.preprocessing.statistics)
        box = self._box(volume, mask, spacing, orientation, normalisation)
        if self.card.preprocessing.statistics == "region":
            normalisation = Normalisation.of(scan, "region", box)
        channels = channels_at(self.card, self.stage, scan, mask, spacing, normalisation, box)
        probability = self._probability(self._seen(channels, box, spacing), "scar", self._progress)
        if self._masks_prediction():
            probability = probability * self._region(mask[box.slices], spacing)
        return self._volume(volume, probability, box, orientation)

    def _box(
        self, volume: Volume, mask: np.ndarray, spacing: Sequence[float], orientation: Orientation, normalisation: Normalisation
    ) -> Box:
        if self._options.roi is not None:
            return orientation.box(check_roi(self._options.roi, volume), volume.array.shape)
        if not self._options.region_first:
            return normalisation.box
        least = shape_at(self.card.fine.patch, self.card.fine.spacing_mm, spacing)
        return widened(Box.around(mask, REGION_MARGIN_MM, spacing), mask.shape, least)

    def _masks_prediction(self) -> bool:
        asked = self._options.mask_prediction
        return self.stage.region is not None and (self.stage.mask_prediction if asked is None else asked)

    def _region(self, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The system's region around the wall (k, j, i) on the scan's own voxels, found at the network's spacing."""
        spec = self.card.fine
        shape = shape_at(mask.shape, spacing, spec.spacing_mm)
        geometry = working_geometry(shape, true_spacing(mask.shape, spacing, shape))
        region = self.stage.region(build_anatomy(resample_mask(mask, shape), geometry, WALL_OUTSIDE_MM))
        return resample_mask(region, mask.shape)


def bundle_networks(bundle: Bundle) -> NetworkSource:
    """Networks with a bundle's weights; a weight file is read once for each run of it, so that one fold is in memory at a time.

    What it returns raises `InputError` when a weight file does not fit its network.
    """

    def load(spec: NetworkSpec, fold: int) -> nn.Module:
        from ..networks import build

        network = build(replace(spec.plan, deep_supervision=False), seed=0)
        name = spec.weights[fold]
        tensors = unpack_tensors(bundle.weights(name))
        expected = network.state_dict()
        heads = {key for key in tensors if key.startswith(DEEP_SUPERVISION_PREFIX)}
        tensors = {key: tensor for key, tensor in tensors.items() if key not in heads}
        wrong = sorted(set(expected) ^ set(tensors)) or sorted(k for k in expected if expected[k].shape != tensors[k].shape)
        if wrong:
            raise InputError(
                f"{bundle.path}: {name} does not fit the network that model.json describes ({wrong[0]}). Get the bundle again."
            )
        network.load_state_dict(tensors)
        return network.eval()

    return load


def check_roi(roi: Box, volume: Volume) -> Box:
    """The part of a region of interest that lies in the scan; `InputError` when there is none."""
    start = tuple(max(0, a) for a in roi.start)
    stop = tuple(min(n, b) for n, b in zip(volume.array.shape, roi.stop))
    if any(a >= b for a, b in zip(start, stop)):
        raise InputError(
            f"The region of interest {roi.start}–{roi.stop} lies outside the scan of {volume.array.shape} voxels. "
            "Draw it around the left atrium."
        )
    return Box(start, stop)


def check_grid(volume: Volume, cavity: Volume) -> None:
    """`InputError` unless the cavity is a mask with something in it on the scan's grid."""
    if not volume.geometry.same_grid(cavity.geometry):
        raise InputError("The cavity lies on another grid than the scan. Resample it to the scan's grid first.")
    if not (cavity.array > 0).any():
        raise InputError("The cavity is empty, so there is no wall to look for scar in. Correct the mask.")


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probability of the foreground from the difference of the logits, the softmax of two classes; float32, in place."""
    from scipy.special import expit

    return expit(logits, out=logits)

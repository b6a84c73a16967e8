"""A model bundle at work: the cavity model and the scar model of a system, on any scan's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.ndimage import binary_fill_holes
from scipy.special import expit

from ..errors import InputError, ProcessingError
from ..models.bundle import Bundle, check_use
from ..models.card import ModelCard, NetworkSpec
from ..networks import NetworkPlan
from ..networks.weights import check_finite_weights, unpack_tensors
from ..support.doubt import Doubt
from ..support.flags import QualityFlag, simulated_model
from ..support.progress import Progress
from ..systems import SYSTEMS, Stage
from ..systems.uncertainty import UncertaintyReference, threshold_for, uncertainty_flag, uncertainty_mm
from ..volumes.volume import Box, Volume
from .device import Device, choose_device, deterministic
from .doubt import DOUBT_SHARE, measures_of
from .memory import with_less_memory
from .options import InferenceOptions
from .preparation import Normalisation, OrientedScan, anatomy_at, channels_at
from .region import REGION_MARGIN_MM, atrium_in, check_found, is_cropped, largest_component, region_of, voxels_around, widened
from .resampling import (
    resample_logits, resample_logits_part, resample_mask, resample_scan, resample_scan_part, shape_at, true_spacing,
    working_geometry,
)  # fmt: skip
from .tiles import BACKGROUND, Corner, contributing_tiles, predict_tiles

if TYPE_CHECKING:
    from torch import nn

NetworkSource = Callable[[NetworkSpec, int], "nn.Module"]
"""(spec, fold) → the network of that fold with its weights, on the CPU, in evaluation mode."""

FINDING_SHARE = 0.2
"""The coarse pass's part of the progress: it has an eighth of the voxels or less, but sees the whole scan."""

COARSE_RESAMPLING = "linear"
"""Coarse networks are trained here, on linearly interpolated scans, whatever an imported fine network saw."""

KEPT_NETWORKS = 4
"""A coarse and a fine network for the cavity, and as many for the scar: what one run needs."""

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
        self._reference = UncertaintyReference.in_scores(card.scores) if self.stage.uncertain_threshold is not None else None

    @classmethod
    def from_bundle(cls, bundle: Bundle, options: InferenceOptions = InferenceOptions(), progress: Progress | None = None) -> Self:
        """The model of a bundle; its weights are read, and checked, when they are needed.

        Raises `InputError` for a bundle of the other stage, an unknown device, or a region of interest that can't be.
        """
        check_use(bundle.card, stage=cls.stage_key)
        return cls(bundle.card, bundle_networks(bundle), options, progress)

    stage_key = ""

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
                    report=lambda done: progress.report(stage, done, f"Model on {device}"),
                )  # fmt: skip

        logits, notes = with_less_memory(work, self.device, spec.patch, spec.plan.divisor)
        if not np.isfinite(logits).all():
            raise ProcessingError(
                f"The model {self.card.reference} gave numbers that are none (NaN or infinite) for this scan, so nothing of it is used. "
                "Check the scan's grey levels; if they are as usual, get the model again."
            )
        # Once is enough, for however many folds.
        self._notes += tuple(note for note in notes if note.code not in {known.code for known in self._notes})
        return logits

    def _with_room(self, box: Box, scan: OrientedScan) -> Box:
        """`box` as large as a patch, where the scan has room."""
        return widened(box, scan.array.shape, shape_at(self.card.fine.patch, self.card.fine.spacing_mm, scan.spacing))

    def _all_of(self, box: Box, scan: OrientedScan, cavity: np.ndarray | None = None) -> _Seen:
        """A box of the scan: what a network that was trained on boxes wants."""
        how, spec = self.card.preprocessing, self.card.fine
        normalisation = Normalisation.of(scan.array, "region", box) if how.statistics == "region" else scan.normalisation
        channels = channels_at(self.card, self.stage, scan.array, cavity, scan.spacing, normalisation, box)
        return _Seen(channels, box, lambda logits: resample_logits(logits, box.shape, spec.spacing_mm, scan.spacing, how.resampling))

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
            total = value if total is None else np.add(total, value, out=total)
        total /= folds
        return total if by_probability else sigmoid(seen.back(total))

    def _volume(self, part: np.ndarray, box: Box, scan: OrientedScan) -> Volume:
        """The network's array inside `box` as a volume on the scan's grid, with what the user should know about it."""
        whole = part
        if part.shape != scan.array.shape:
            whole = np.zeros(scan.array.shape, dtype=np.float32)
            whole[box.slices] = part
        flags = (*self._notes, *([simulated_model(self.card.name)] if self.card.simulated else ()))
        return Volume(np.ascontiguousarray(scan.orientation.undo(whole)), scan.volume.geometry, flags)


class BundleCavityModel(_BundleModel):
    """The cavity from the scan alone.

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
        return self._predict(OrientedScan.of(volume, self.card.preprocessing), self._progress)[0]

    def predict_mask(self, volume: Volume) -> Volume:
        """The cavity as a mask (0/1, uint8) on the grid of `volume`, with the flags of `predict`, which says what is raised.

        The largest part above the threshold, without holes, which would be measured as wall.
        """
        return self.predict_with_mask(volume)[1]

    def predict_with_mask(self, volume: Volume) -> tuple[Volume, Volume]:
        """Both `predict` and `predict_mask`, from one run of the networks."""
        return self._probability_and_mask(OrientedScan.of(volume, self.card.preprocessing), self._progress)

    def predict_with_doubt(self, volume: Volume) -> tuple[Volume, Volume, Doubt | None]:
        """Probability and mask, and how far they can be trusted.

        The third is None where the options leave it out, or the card doesn't say how to tell. What doubt takes beyond the mask never
        fails a run: what could not be measured is said.
        """
        calibration = self.card.doubt if self._options.doubt else None
        if calibration is None:
            return *self.predict_with_mask(volume), None
        scan = OrientedScan.of(volume, self.card.preprocessing)
        probability, mask = self._probability_and_mask(scan, self._progress.part(0.0, 1.0 - DOUBT_SHARE))
        progress = self._progress.part(1.0 - DOUBT_SHARE, 1.0)
        return probability, mask, calibration.doubt(measures_of(self, scan, probability, mask, calibration.names, progress))

    def network(self, spec: NetworkSpec) -> nn.Module:
        """The first fold's network, on the device."""
        return self._networks(spec, 0).to(self.device.key)

    def seen_around(self, box: Box, scan: OrientedScan) -> tuple[np.ndarray, Box]:
        """The scan as the fine network would see it in `box`, made as large as a patch: its first channel, and that box."""
        seen = self._all_of(self._with_room(box, scan), scan)
        return seen.channels[0], seen.box

    def _probability_and_mask(self, scan: OrientedScan, progress: Progress) -> tuple[Volume, Volume]:
        probability, threshold = self._predict(scan, progress)
        found = probability.array > threshold
        box = Box.around(found, 0.0, (1.0, 1.0, 1.0)).slices
        mask = np.zeros(found.shape, dtype=np.uint8)
        mask[box] = binary_fill_holes(largest_component(found[box]))
        return probability, Volume(mask, scan.volume.geometry, probability.flags)

    def _predict(self, scan: OrientedScan, progress: Progress) -> tuple[Volume, float]:
        """The probability and the threshold to read it with."""
        self._notes = ()
        seen, left = self._look(scan, progress)
        probability = self._probability(seen, "cavity", left)
        threshold = self._threshold(probability, scan.spacing)
        check_found(largest_component(probability > threshold), scan.spacing, "model")
        return self._volume(probability, seen.box, scan), threshold

    def _threshold(self, probability: np.ndarray, spacing: Sequence[float]) -> float:
        """The card's, or a lower one where the system has one for unusually uncertain cases and the card says what is usual."""
        if self._reference is None:
            return self.card.threshold
        value = uncertainty_mm(Volume(probability, working_geometry(probability.shape, spacing)))
        threshold = threshold_for(self.stage, self.card.threshold, value, self._reference)
        self._notes += (uncertainty_flag(value, self._reference, threshold),)
        return threshold

    def _look(self, scan: OrientedScan, progress: Progress) -> tuple[_Seen, Progress]:
        """What the fine pass sees, and the progress that is left for it."""
        if self._options.roi is not None:
            return self._all_of(self._with_room(scan.box(self._options.roi), scan), scan), progress
        coarse, normalisation, shape = self.card.coarse, scan.normalisation, scan.array.shape
        if coarse is None or not self._options.region_first or is_cropped(shape, scan.spacing):
            return self._all_of(normalisation.box, scan), progress
        rough_shape = shape_at(shape, scan.spacing, coarse.spacing_mm)
        rough = normalisation.apply(resample_scan(scan.array, rough_shape, scan.spacing, coarse.spacing_mm, COARSE_RESAMPLING))
        finding, left = progress.part(0.0, FINDING_SHARE), progress.part(FINDING_SHARE, 1.0)
        rough_mm = true_spacing(shape, scan.spacing, rough_shape)
        atrium = atrium_in(sigmoid(self._logits(coarse, rough[None], (0.0,), 0, "find", finding)), rough_mm, self.card.threshold)
        box = region_of(atrium, rough_mm, shape, scan.spacing)
        # A network of boxes wants a box; a z-score of some voxels only can't follow the interpolation.
        if self.card.preprocessing.statistics != "region" and normalisation.inside is None:
            return self._tiles_at(atrium, box, scan), left
        return self._all_of(self._with_room(box, scan), scan), left

    def _tiles_at(self, atrium: np.ndarray, box: Box, scan: OrientedScan) -> _Seen:
        """Some of the whole scan's tiles, those that decide what comes out in the atrium: for a network that was trained on whole scans.

        Their voxels and weights are the whole scan's, so what comes out is what comes out there.

        Parameters
        ----------
        atrium
            (k, j, i) bool, the coarse mask of the whole scan.
        box
            what is wanted, in the scan's voxels.
        """
        method, spec, whole = self.card.preprocessing.resampling, self.card.fine, scan.normalisation.box
        shape = shape_at(whole.shape, scan.spacing, spec.spacing_mm)
        points = voxels_around(atrium, whole, scan.array.shape, shape)
        corners = contributing_tiles(points, shape, spec.patch, self._options.step)
        first = np.min(corners, axis=0)
        last = np.minimum(np.max(corners, axis=0) + spec.patch, shape)
        block = Box(tuple(map(int, first)), tuple(map(int, last)))
        part = resample_scan_part(scan.array[whole.slices], shape, block, scan.spacing, spec.spacing_mm, method)
        channels = self.stage.inputs(scan.normalisation.apply(part), None)
        box = box.within(whole)
        wanted = box.seen_from(whole)

        def back(logits: np.ndarray) -> np.ndarray:
            def read(place: tuple[slice, ...]) -> np.ndarray:
                return block.of_values(logits, Box(tuple(s.start for s in place), tuple(s.stop for s in place)), BACKGROUND)

            return resample_logits_part(read, shape, whole.shape, wanted, spec.spacing_mm, scan.spacing, method)

        return _Seen(channels, box, back, [tuple(int(c - f) for c, f in zip(corner, first)) for corner in corners])


class BundleScarModel(_BundleModel):
    """The scar from the scan and its cavity. Parameters as for `BundleCavityModel`."""

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
        if not volume.geometry.same_grid(cavity.geometry):
            raise InputError("The cavity lies on another grid than the scan. Resample it to the scan's grid first.")
        if not (cavity.array > 0).any():
            raise InputError("The cavity is empty, so there is no wall to look for scar in. Correct the mask.")
        scan = OrientedScan.of(volume, self.card.preprocessing)
        mask = scan.orientation.apply(cavity.array) > 0
        box = self._box(mask, scan)
        probability = self._probability(self._all_of(box, scan, mask), "scar", self._progress)
        asked = self._options.mask_prediction
        if self.stage.region is not None and (self.stage.mask_prediction if asked is None else asked):
            probability = probability * self._region(mask[box.slices], scan.spacing)
        return self._volume(probability, box, scan)

    def _box(self, mask: np.ndarray, scan: OrientedScan) -> Box:
        if self._options.roi is not None:
            return scan.box(self._options.roi)
        if not self._options.region_first:
            return scan.normalisation.box
        return self._with_room(Box.around(mask, REGION_MARGIN_MM, scan.spacing), scan)

    def _region(self, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The system's region around the wall (k, j, i) on the scan's own voxels, found at the network's spacing."""
        shape = shape_at(mask.shape, spacing, self.card.fine.spacing_mm)
        return resample_mask(self.stage.region(anatomy_at(mask, shape, spacing)), mask.shape)


def bundle_networks(bundle: Bundle) -> NetworkSource:
    """Networks with a bundle's weights, the last ones used kept for the next scan (`KEPT_NETWORKS`).

    Of an ensemble one fold is in memory at a time: its weight files are read once for each run of it. What this returns raises
    `InputError` when a weight file does not fit its network.
    """

    def load(spec: NetworkSpec, fold: int) -> nn.Module:
        name = spec.weights[fold]
        file = _WeightFile(bundle.card.files[name].sha256, replace(spec.plan, deep_supervision=False), name, bundle)
        return _read_network(file) if len(spec.weights) > 1 else _kept_network(file)

    return load


@dataclass(frozen=True)
class _WeightFile:
    """A network's weights; those of the same bytes and plan are the same network, whichever bundle holds them."""

    sha256: str
    plan: NetworkPlan
    name: str = field(compare=False)
    bundle: Bundle = field(compare=False)


def _read_network(file: _WeightFile) -> nn.Module:
    from ..networks import build

    # The weights first: they are as long as they are, and a plan can claim anything.
    tensors = unpack_tensors(file.bundle.weights(file.name))
    check_finite_weights(tensors, f"{file.bundle.path}: {file.name}")
    network = build(file.plan, seed=0)
    expected = network.state_dict()
    tensors = {key: tensor for key, tensor in tensors.items() if not key.startswith(DEEP_SUPERVISION_PREFIX)}
    wrong = sorted(set(expected) ^ set(tensors)) or sorted(k for k in expected if expected[k].shape != tensors[k].shape)
    if wrong:
        raise InputError(
            f"{file.bundle.path}: {file.name} does not fit the network that model.json describes ({wrong[0]}). Get the bundle again."
        )
    network.load_state_dict(tensors)
    return network.eval()


_kept_network = lru_cache(KEPT_NETWORKS)(_read_network)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probability of the foreground from the difference of the logits, the softmax of two classes; float32, in place."""
    return expit(logits, out=logits)

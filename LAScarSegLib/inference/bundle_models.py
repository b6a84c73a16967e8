"""A model bundle at work: the cavity model and the scar model of a system, on any scan's grid."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import expit

from ..errors import AtriumNotFound, InputError, NothingToLookAt, ProcessingError
from ..models.bundle import Bundle, check_use
from ..models.card import ModelCard, NetworkSpec
from ..support.doubt import Doubt
from ..support.flags import QualityFlag, simulated_model
from ..support.progress import Progress
from ..systems import Output, Stage, find_system
from ..systems.uncertainty import UncertaintyReference, threshold_for, uncertainty_flag, uncertainty_mm
from ..volumes.volume import Box, Volume
from .device import Device, choose_device, deterministic
from .doubt import DOUBT_SHARE, measures_of
from .found import FoundMasks, filled, probabilities_of
from .kept_networks import NetworkSource, bundle_networks
from .looking import Looking, Seen, beyond_crop
from .memory import with_less_memory
from .options import InferenceOptions
from .preparation import Normalisation, OrientedScan, anatomy_at
from .region import REGION_MARGIN_MM, atrium_in, check_found, is_cropped, largest_component, region_of
from .resampling import resample_mask, resample_scan, shape_at, true_spacing, working_geometry
from .tiles import ONE_MASK, Corner, predict_maps

if TYPE_CHECKING:
    from torch import nn

FINDING_SHARE = 0.2
"""The coarse pass's part of the progress: it has an eighth of the voxels or less, but sees the whole scan."""

COARSE_RESAMPLING = "linear"
"""Coarse networks are trained here, on linearly interpolated scans, whatever an imported fine network saw."""


class _BundleModel:
    """What both stages share: a card, its networks, a device, and the run of one network over channels."""

    def __init__(
        self, card: ModelCard, networks: NetworkSource, options: InferenceOptions = InferenceOptions(), progress: Progress | None = None
    ) -> None:
        check_use(card)
        self.card = card
        self.stage: Stage = find_system(card.system).stage(card.stage, card.variant)
        self.device: Device = choose_device(options.device)
        self._looking = Looking(card, self.stage, options.step)
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
        outputs: Sequence[Output] = ONE_MASK,
        room: Corner = (0, 0, 0),
    ) -> np.ndarray:
        """The logits that the outputs take (maps, k, j, i) of one fold: of a single mask foreground minus background."""
        axes = self.card.preprocessing.mirror_axes if self._options.mirror else ()

        made, learned = self.stage.patch_inputs if spec is self.card.fine else None, self.card.learned.get(spec.weights[fold], {})
        seen_as = None if made is None else partial(made, learned=learned)

        def work(device: Device, patch: tuple[int, int, int]) -> np.ndarray:
            network = self._networks(spec, fold).to(device.key)
            own = patch == spec.patch_kji
            with deterministic():
                return predict_maps(
                    network, channels, patch, outputs, padding=padding, device=device.key, mirror_axes=axes, step=self._options.step,
                    corners=corners if own else None, room=room if own else (0, 0, 0), seen_as=seen_as,
                    report=lambda done: progress.report(stage, done, f"Model on {device}"),
                )  # fmt: skip

        logits, notes = with_less_memory(work, self.device, spec.patch_kji, spec.plan.divisor)
        if not np.isfinite(logits).all():
            raise ProcessingError(
                f"The model {self.card.reference} gave numbers that are none (NaN or infinite) for this scan, so nothing of it is used. "
                "Check the scan's grey levels; if they are as usual, get the model again."
            )
        # Once is enough, for however many folds.
        self._notes += tuple(note for note in notes if note.code not in {known.code for known in self._notes})
        return logits

    def _probability(self, seen: Seen, stage: str, progress: Progress) -> dict[str, np.ndarray]:
        """The folds' mean probability (k, j, i) of everything that the network finds, on the scan's own voxels."""
        outputs = self.stage.outputs
        by_probability = self.card.preprocessing.ensemble == "probability"
        folds = len(self.card.fine.weights)
        padding = [channel.padding for channel in self.card.channels]
        total: np.ndarray | None = None
        for fold in range(folds):
            part = progress.part(fold / folds, (fold + 1) / folds)
            value = self._logits(self.card.fine, seen.channels, padding, fold, stage, part, seen.corners, outputs, seen.room)
            if by_probability:
                value = probabilities_of(outputs, value, seen.back)
            total = value if total is None else np.add(total, value, out=total)
        total /= folds
        return dict(zip(self.stage.produces, total if by_probability else probabilities_of(outputs, total, seen.back)))

    def _scar(self, probability: np.ndarray, cavity: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The scar's probability (k, j, i) as it counts around a cavity (k, j, i) bool: carried, cut to the region, filtered."""
        output, asked = self.stage.output("scar"), self._options.mask_prediction
        probability = output.from_surface(probability, cavity, tuple(spacing))
        if self.stage.region is not None and (self.stage.mask_prediction if asked is None else asked):
            probability = probability * self._region(cavity, spacing)
        return output.filtered(probability, tuple(spacing))

    def _region(self, mask: np.ndarray, spacing: Sequence[float]) -> np.ndarray:
        """The system's region around the wall (k, j, i) on the scan's own voxels, found at the network's spacing."""
        shape = shape_at(mask.shape, spacing, self.card.fine.spacing_in(spacing))
        return resample_mask(self.stage.region(anatomy_at(mask, shape, spacing)), mask.shape)

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
        return self._predict(OrientedScan.of(volume, self.card.preprocessing), self._progress).probability

    def predict_mask(self, volume: Volume) -> Volume:
        """The cavity as a mask (0/1, uint8) on the grid of `volume`, with the flags of `predict`, which says what is raised.

        The largest part above the threshold, without holes, which would be measured as wall.
        """
        return self.predict_with_mask(volume)[1]

    def predict_with_mask(self, volume: Volume) -> tuple[Volume, Volume]:
        """Both `predict` and `predict_mask`, from one run of the networks."""
        found = self._predict(OrientedScan.of(volume, self.card.preprocessing), self._progress)
        return found.probability, found.mask

    def predict_with_doubt(self, volume: Volume) -> tuple[Volume, Volume, Doubt | None]:
        """Probability and mask, and how far they can be trusted.

        The third is None where the options leave it out, or the card doesn't say how to tell. What doubt takes beyond the mask never
        fails a run: what could not be measured is said.
        """
        found, doubt = self._with_doubt(volume)
        return found.probability, found.mask, doubt

    def predict_both(self, volume: Volume) -> tuple[Volume, Volume, Doubt | None, Volume]:
        """What `predict_with_doubt` gives, and the probability of scar, all from one run of a network that finds both.

        `InputError` for a bundle that doesn't.
        """
        check_use(self.card, stage="scar")
        found, doubt = self._with_doubt(volume)
        return found.probability, found.mask, doubt, found.scar

    def _with_doubt(self, volume: Volume) -> tuple[FoundMasks, Doubt | None]:
        calibration = self.card.doubt if self._options.doubt else None
        if calibration is None:
            return self._predict(OrientedScan.of(volume, self.card.preprocessing), self._progress), None
        scan = OrientedScan.of(volume, self.card.preprocessing)
        found = self._predict(scan, self._progress.part(0.0, 1.0 - DOUBT_SHARE))
        progress = self._progress.part(1.0 - DOUBT_SHARE, 1.0)
        return found, calibration.doubt(measures_of(self, scan, found.probability, found.mask, calibration.names, progress))

    def network(self, spec: NetworkSpec) -> nn.Module:
        """The first fold's network, on the device."""
        return self._networks(spec, 0).to(self.device.key)

    def seen_around(self, box: Box, scan: OrientedScan) -> tuple[np.ndarray, Box]:
        """The scan as the fine network would see it in `box`, made as large as a patch: its first channel, and that box."""
        seen = self._looking.all_of(self._looking.with_room(box, scan), scan)
        return seen.channels[0], seen.box

    def _predict(self, scan: OrientedScan, progress: Progress) -> FoundMasks:
        """Everything that the network finds in a scan."""
        self._notes = ()
        seen, left = self._look(scan, progress)
        all_of = self._probability(seen, "cavity", left)
        probability = self.stage.output("cavity").filtered(all_of["cavity"], tuple(scan.spacing))
        threshold = self._threshold(probability, scan.spacing)
        check_found(largest_component(probability > threshold), scan.spacing, "model")
        whole = self._volume(probability, seen.box, scan)
        mask = filled(whole.array > threshold)
        scar = None
        if "scar" in all_of:
            inside = scan.orientation.apply(mask)[seen.box.slices] > 0
            scar = self._volume(self._scar(all_of["scar"], inside, scan.spacing), seen.box, scan)
        return FoundMasks(whole, Volume(mask, scan.volume.geometry, whole.flags), scar)

    def _threshold(self, probability: np.ndarray, spacing: Sequence[float]) -> float:
        """The card's, or a lower one where the system has one for unusually uncertain cases and the card says what is usual."""
        if self._reference is None:
            return self.card.threshold
        value = uncertainty_mm(Volume(probability, working_geometry(probability.shape, spacing)))
        threshold = threshold_for(self.stage, self.card.threshold, value, self._reference)
        self._notes += (uncertainty_flag(value, self._reference, threshold),)
        return threshold

    def _look(self, scan: OrientedScan, progress: Progress) -> tuple[Seen, Progress]:
        """What the fine pass sees, and the progress that is left for it."""
        if self._options.roi is not None:
            return self._looking.all_of(self._looking.with_room(scan.box(self._options.roi), scan), scan), progress
        crop = self._looking.crop(scan)
        if crop is not None and self.card.preprocessing.crop_around == "atrium":
            return self._look_at_crop(crop, scan, progress)
        coarse, normalisation, shape = self.card.coarse, scan.normalisation, scan.array.shape
        if coarse is None or not self._options.region_first or is_cropped(shape, scan.spacing):
            return self._looking.all_of(crop or normalisation.box, scan), progress
        left = progress.part(FINDING_SHARE, 1.0)
        atrium, rough_mm = self._coarse_atrium(coarse, scan, progress.part(0.0, FINDING_SHARE))
        box = region_of(atrium, rough_mm, shape, scan.spacing)
        if crop is not None:
            return self._looking.all_of(self._looking.within_crop(box, crop, scan), scan), left
        # A network of boxes wants a box; a z-score of some voxels only can't follow the interpolation.
        if self.card.preprocessing.statistics != "region" and normalisation.is_the_same_everywhere:
            return self._looking.tiles_at(atrium, box, scan), left
        return self._looking.all_of(self._looking.with_room(box, scan), scan), left

    def _coarse_atrium(self, coarse: NetworkSpec, scan: OrientedScan, progress: Progress) -> tuple[np.ndarray, tuple[float, ...]]:
        """The coarse network's atrium in the whole scan, (k, j, i) bool, and its voxels in mm; `AtriumNotFound` when there is none."""
        shape = scan.array.shape
        rough_shape = shape_at(shape, scan.spacing, coarse.spacing_mm)
        # The coarse network knows whole scans, whatever the fine one's slices are.
        whole = Normalisation.of(scan.array, "image") if self.card.preprocessing.statistics == "slice" else scan.normalisation
        rough = whole.apply(resample_scan(scan.array, rough_shape, scan.spacing, coarse.spacing_mm, COARSE_RESAMPLING))
        rough_mm = true_spacing(shape, scan.spacing, rough_shape)
        found = sigmoid(self._logits(coarse, rough[None], (0.0,), 0, "find", progress)[0])
        return atrium_in(found, rough_mm, self.card.threshold), rough_mm

    def _look_at_crop(self, middle: Box, scan: OrientedScan, progress: Progress) -> tuple[Seen, Progress]:
        """The crop around the atrium that the card's coarse network finds; around the `middle` without such a network, or atrium."""
        coarse = self.card.coarse if self._options.region_first else None
        if coarse is None or middle.shape == scan.array.shape:
            return self._looking.all_of(middle, scan), progress
        left = progress.part(FINDING_SHARE, 1.0)
        try:
            atrium, rough_mm = self._coarse_atrium(coarse, scan, progress.part(0.0, FINDING_SHARE))
        except AtriumNotFound:
            message = "The coarse pass saw no left atrium, so the model looked at the middle of the scan. "
            remedy = "If the atrium lies elsewhere, give a region of interest."
            self._notes += (QualityFlag("crop_in_the_middle", message + remedy),)
            return self._looking.all_of(middle, scan), left
        found = region_of(atrium, rough_mm, scan.array.shape, scan.spacing, margin_mm=0.0)
        return self._looking.all_of(self._looking.crop(scan, found), scan), left

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
        if not volume.geometry.same_grid(cavity.geometry):
            raise InputError("The cavity lies on another grid than the scan. Resample it to the scan's grid first.")
        if not (cavity.array > 0).any():
            raise NothingToLookAt("The cavity is empty, so there is no wall to look for scar in. Correct the mask.")
        scan = OrientedScan.of(volume, self.card.preprocessing)
        mask = scan.orientation.apply(cavity.array) > 0
        self._notes = beyond_crop(mask, self._looking.crop(scan, Box.around(mask, 0.0, scan.spacing)))
        box = self._box(mask, scan)
        # A network that finds both masks sees the scan alone, here around the cavity that it is told.
        seen = self._looking.all_of(box, scan, mask if self.stage.takes_cavity else None)
        probability = self._probability(seen, "scar", self._progress)["scar"]
        return self._volume(self._scar(probability, mask[box.slices], scan.spacing), box, scan)

    def _box(self, mask: np.ndarray, scan: OrientedScan) -> Box:
        if self._options.roi is not None:
            return scan.box(self._options.roi)
        crop = self._looking.crop(scan, Box.around(mask, 0.0, scan.spacing))
        if crop is not None and self.card.preprocessing.crop_around == "atrium":
            return crop
        if not self._options.region_first:
            return crop or scan.normalisation.box
        around = Box.around(mask, REGION_MARGIN_MM, scan.spacing)
        return self._looking.with_room(around, scan) if crop is None else self._looking.within_crop(around, crop, scan)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Probability of the foreground from the difference of the logits, the softmax of two classes; float32, in place."""
    return expit(logits, out=logits)

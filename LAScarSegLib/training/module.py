"""What Lightning trains: a stage's network in one phase of its training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning
import numpy as np
import torch

from ..errors import InputError
from ..losses import Moment, make_loss
from ..losses.objective import minimised
from ..networks import build
from ..systems import Optimiser
from .average import WeightAverage
from .bfloat16 import mend_thin_convolutions
from .device_augmentation import DRAWN, DeviceAugmentation
from .settings import TrainingSettings

DISTRIBUTED_LOWEST_WEIGHT = 1e-6
"""Several processes want a gradient for every parameter, also of the lowest resolution (nnU-Net)."""
PHASE, PHASE_DONE = "phase", "phase_done"
"""Of a checkpoint: which phase it is of, and whether that has come to its end."""


class TrainingModule(lightning.LightningModule):
    """The network of a stage in phase `number` of its training; batches are those of `patches.PatchDataset`."""

    def __init__(self, settings: TrainingSettings, number: int = 0) -> None:
        super().__init__()
        self.settings, self.stage, self.number = settings, settings.described, number
        self.phase, self.recipe = self.stage.phases[number], settings.recipe(number)
        self.epochs, self.steps_before = settings.epochs(number), settings.steps_before(number)
        self.network = build(settings.size.plan.for_training(), seed=settings.seed)
        self.average = None if settings.ema is None else WeightAverage(self.network, settings.ema)
        mend_thin_convolutions(self.network)
        self.loss = make_loss(self.phase.recipe)
        self.augmentation: DeviceAugmentation | None = None
        """What makes patches of what was cut, on the device; None: they come augmented."""
        self.done = False
        """Whether the phase has come to its end; the recorder says so."""
        self.rate_used = self.recipe.learning_rate
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(self.phase.rate_of(name) > 0)
        self._frozen = frozen_parts(self.network)

    def train(self, mode: bool = True) -> TrainingModule:
        """Training mode, but for what is frozen as a whole: its norms keep what they have counted."""
        super().train(mode)
        for part in self._frozen:
            part.eval()
        return self

    @property
    def judged(self) -> torch.nn.Module:
        """The network that is validated: with the averaged weights, where there are any."""
        return self.network if self.average is None else self.average.network

    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1 and hasattr(self.loss, "lowest_weight"):
            self.loss.lowest_weight = DISTRIBUTED_LOWEST_WEIGHT

    def transfer_batch_to_device(self, batch: dict[str, Any], device: torch.device, dataloader_idx: int) -> dict[str, torch.Tensor]:
        if self.augmentation is None:
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        arrays = {key: value for key, value in batch.items() if key != DRAWN}
        return self.augmentation(super().transfer_batch_to_device(arrays, device, dataloader_idx), batch[DRAWN])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # From the step alone, so that a resumed training goes on where it was; of `poly` constant over an epoch, as in nnU-Net.
        self.rate_used = self.learning_rate
        for group in self.optimizers().optimizer.param_groups:
            group["lr"] = self.rate_used * group.get("part", 1.0)
        # So does what a network draws (dropout), in each process and each of the batches of a step its own.
        moment = (self.settings.seed, self.number, self.trainer.global_step, batch_idx % self.recipe.accumulate, self.trainer.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(moment).generate_state(1)[0]))

    @property
    def learning_rate(self) -> float:
        """The learning rate of the step that comes next."""
        return self.recipe.rate(self.trainer.global_step, self.settings.steps_per_epoch, self.epochs)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return minimised(self.loss, self.network(batch["channels"]), batch, self._moment)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        # The weights move once for several batches where gradients are added up.
        if self.average is not None and self.trainer.global_step > self.average.counted:
            self.average.update(self.network)

    def _moment(self) -> Moment:
        step = self.trainer.global_step
        return Moment(step, step // self.settings.steps_per_epoch, self.epochs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        parts: dict[float, list[torch.nn.Parameter]] = {}
        for name, parameter in self.network.named_parameters():
            if parameter.requires_grad:
                parts.setdefault(self.phase.rate_of(name), []).append(parameter)
        if not parts:
            raise InputError(f"The phase {self.phase.name!r} freezes every weight of the network: there is nothing to train.")
        return optimiser_of(self.recipe, [{"params": parameters, "part": rate} for rate, parameters in parts.items()])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint |= {PHASE: self.number, PHASE_DONE: self.done}


def optimiser_of(recipe: Optimiser, groups: list[Mapping[str, Any]]) -> torch.optim.Optimizer:
    """torch's optimiser of a recipe."""
    if recipe.kind == "sgd":
        return torch.optim.SGD(
            groups, recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.nesterov, weight_decay=recipe.weight_decay
        )
    kind = torch.optim.Adam if recipe.kind == "adam" else torch.optim.AdamW
    return kind(groups, recipe.learning_rate, betas=recipe.betas, weight_decay=recipe.weight_decay)


def frozen_parts(network: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules of which no weight is trained, those that have any."""
    frozen = []
    for module in network.modules():
        parameters = list(module.parameters())
        if parameters and not any(parameter.requires_grad for parameter in parameters):
            frozen.append(module)
    return frozen


def put_channels_last(network: torch.nn.Module) -> None:
    """Lay the kernels of three dimensions out so that a voxel's channels lie beside each other; what they compute follows."""
    for weight in network.parameters():
        if weight.dim() == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)

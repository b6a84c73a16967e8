"""What Lightning trains: a stage's network with its loss and nnU-Net's optimiser."""

from dataclasses import replace
from typing import Any

import lightning
import torch

from ..networks import build
from .settings import TrainingSettings

DISTRIBUTED_LOWEST_WEIGHT = 1e-6
"""Several processes want a gradient for every parameter, also of the lowest resolution (nnU-Net)."""


class TrainingModule(lightning.LightningModule):
    """The network of a stage in training; batches are those of `patches.PatchDataset`."""

    def __init__(self, settings: TrainingSettings) -> None:
        super().__init__()
        self.settings, self.stage = settings, settings.described
        self.network = build(replace(settings.size.plan, deep_supervision=True), seed=settings.seed)
        self.loss = self.stage.loss()

    def on_fit_start(self) -> None:
        if self.trainer.world_size > 1:
            self.loss.lowest_weight = DISTRIBUTED_LOWEST_WEIGHT

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        # From the step alone, so that a resumed training goes on where it was; constant over an epoch, as in nnU-Net.
        for group in self.optimizers().optimizer.param_groups:
            group["lr"] = self.learning_rate

    @property
    def learning_rate(self) -> float:
        """The learning rate of the step that comes next."""
        epochs = self.settings.size.epochs
        return self.settings.optimiser.learning_rate_at(min(self.trainer.global_step // self.settings.steps_per_epoch, epochs - 1), epochs)

    def training_step(self, batch: dict[str, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return self.loss(self.network(batch["channels"]), batch["target"], batch.get("region"))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        recipe = self.settings.optimiser
        return torch.optim.SGD(
            self.network.parameters(),
            recipe.learning_rate,
            momentum=recipe.momentum,
            nesterov=recipe.nesterov,
            weight_decay=recipe.weight_decay,
        )

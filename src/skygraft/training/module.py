"""One training run as a Lightning module: the satellite tower, its objective, and the curves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skygraft.config.runs import PooledInfoNCE, Run
from skygraft.training.batches import Batch, Batches
from skygraft.training.objectives import Direction, Temperature, cosine, pooled_infonce, same_place

HISTORY_COLUMNS = ("epoch", "train_loss", "val_loss", "learning_rate", "temperature")
_HISTORY = "skygraft_history"


class Alignment(LightningModule):
    """Pulls the embeddings of tiles to the pooled embeddings of their photos.

    The batches are made here, from epoch and step, and the loaders hand out step numbers alone: nothing is prefetched, so a training that
    goes on after a kill meets the very batches it would have met.

    Args:
        visual: The satellite tower; it learns.
        run: The run's settings.
        training: Batches of the training split.
        validation: Batches of the validation split.
        after_epoch: Called when an epoch and its validation are over and the curves hold them.
    """

    def __init__(
        self, visual: nn.Module, run: Run, training: Batches, validation: Batches, after_epoch: Callable[[Alignment], None] | None = None
    ) -> None:
        super().__init__()
        self.visual = visual
        self.history: list[dict[str, float]] = []
        self._run, self._batches, self._validation, self._after_epoch = run, training, validation, after_epoch
        contrast = run.objective if isinstance(run.objective, PooledInfoNCE) else PooledInfoNCE()
        learned = contrast.temperature.learned and isinstance(run.objective, PooledInfoNCE)
        self.temperature = Temperature(contrast.temperature.init, learned=learned, max_scale=contrast.temperature.max_scale)
        self._direction = Direction(contrast.direction)
        self._contrasts = isinstance(run.objective, PooledInfoNCE)
        self._losses: dict[str, list[tuple[float, int]]] = {"train": [], "val": []}
        self._rate = math.nan

    def loss(self, batch: Batch) -> Tensor:
        """The run's objective on one batch."""
        satellite = self.visual(batch.images).float()
        if not self._contrasts:
            return cosine(satellite, batch.targets)
        masked = same_place(batch.locations)
        return pooled_infonce(satellite, batch.targets, self.temperature(), direction=self._direction, masked=masked)

    def training_step(self, step: int) -> Tensor:
        """One step of training."""
        batch = self._batches.training(self.current_epoch, int(step), self.device)
        loss = self.loss(batch)
        # The schedule moves on after each step: asked at the end of an epoch, it would tell the next one's rate.
        self._rate = float(self.optimizers().param_groups[0]["lr"])  # type: ignore[union-attr]
        self._losses["train"].append((float(loss.detach()), len(batch.images)))
        return loss

    def on_train_batch_end(self, *_: object) -> None:
        """Puts the temperature back into its bounds."""
        self.temperature.clamp()

    def validation_step(self, step: int) -> None:
        """One step of validation."""
        batch = self._validation.validation(int(step), self.device)
        self._losses["val"].append((float(self.loss(batch)), len(batch.images)))

    def on_train_epoch_end(self) -> None:
        """Adds the epoch to the curves."""
        means = {name: _mean(losses) for name, losses in self._losses.items()}
        self._losses = {"train": [], "val": []}
        values = (self.current_epoch, means["train"], means["val"], self._rate, self._current_temperature())
        self.history.append(dict(zip(HISTORY_COLUMNS, values, strict=True)))
        if self._after_epoch is not None:
            self._after_epoch(self)

    def _current_temperature(self) -> float:
        return 1 / float(self.temperature().detach()) if self._contrasts else math.nan

    def train_dataloader(self) -> DataLoader[int]:
        """Numbers of an epoch's steps."""
        return _numbers(self._batches.training_steps)

    def val_dataloader(self) -> DataLoader[int]:
        """Numbers of a validation's steps."""
        return _numbers(self._validation.validation_steps)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW, with one linear warm-up and one cosine over all steps; the temperature does not decay."""
        settings = self._run.optimiser
        groups = [
            {"params": list(self.visual.parameters()), "weight_decay": settings.weight_decay},
            {"params": list(self.temperature.parameters()), "weight_decay": 0.0},
        ]
        optimiser = torch.optim.AdamW([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)
        total = settings.epochs * self._batches.training_steps
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: warmup_cosine(step, total, settings.warmup_fraction))
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the curves with the weights."""
        checkpoint[_HISTORY] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the curves up again."""
        self.history = list(checkpoint[_HISTORY])


def warmup_cosine(step: int, total: int, warmup: float) -> float:
    """The share of the peak rate at a step: linear up to the peak, then one half cosine down to zero.

    Args:
        step: From 0.
        total: Steps in all.
        warmup: Share of the steps that the rate rises.
    """
    rising = warmup * total
    if step + 1 < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rising + 1) / max(1.0, total - rising + 1))))


def _mean(losses: list[tuple[float, int]]) -> float:
    count = sum(size for _, size in losses)
    return sum(loss * size for loss, size in losses) / count if count else math.nan


def _numbers(count: int) -> DataLoader[int]:
    return DataLoader(range(count), batch_size=None)  # type: ignore[arg-type]

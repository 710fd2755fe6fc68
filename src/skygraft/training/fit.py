"""Running a training: threads, seeds, and a checkpoint that survives ``kill -9`` at any moment."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from lightning.pytorch import Trainer

from skygraft.config.runs import Run
from skygraft.core.errors import SkygraftError
from skygraft.core.files import atomic_path
from skygraft.training.batches import Batches
from skygraft.training.module import Alignment

_LOG = logging.getLogger(__name__)
CHECKPOINT = "last.ckpt"


def fit(visual: torch.nn.Module, run: Run, training: Batches, validation: Batches, folder: Path) -> list[dict[str, float]]:
    """Trains ``visual`` in place, from where ``folder`` says an earlier attempt stopped.

    A checkpoint is written, whole or not at all, after each epoch. What was done since is done again, from the same state and on the same
    batches: on equal device and ``torch_threads`` the weights are those of an undisturbed training, bit for bit.

    Args:
        visual: The satellite tower.
        run: The run's settings.
        training: Batches of the training split.
        validation: Batches of the validation split; without tiles the validation loss is not a number.
        folder: The run's work folder; its name stands for everything that decides the result.

    Returns:
        The curves, a row an epoch (:data:`skygraft.training.module.HISTORY_COLUMNS`).

    Raises:
        ConfigError: The tiles make no batch.
        SkygraftError: The training diverged.
    """
    torch.set_num_threads(run.torch_threads)
    # What is never read need not be filled for the sake of repeating; filling takes a sixth of a step on a CPU.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    checkpoint = folder / CHECKPOINT
    module = Alignment(visual.train(), run, training, validation, _keeper(run, checkpoint))
    resumed = checkpoint if checkpoint.exists() else None
    if resumed is not None:
        _LOG.info("resumed=%s", resumed)
    with warnings.catch_warnings():
        # Step numbers need no worker processes, and this process chooses its own logging.
        warnings.filterwarnings("ignore", module="lightning")
        trainer(run).fit(module, ckpt_path=resumed, weights_only=True)
    visual.eval().cpu()
    return module.history


def _keeper(run: Run, checkpoint: Path) -> Callable[[Alignment], None]:
    """What happens after each epoch: a line in the log, and the checkpoint."""
    started = time.monotonic()

    def keep(module: Alignment) -> None:
        latest = module.history[-1]
        _LOG.info(
            "epoch=%d/%d train_loss=%.4f val_loss=%.4f learning_rate=%.2e temperature=%.4f seconds=%.1f",
            latest["epoch"] + 1, run.optimiser.epochs, latest["train_loss"], latest["val_loss"], latest["learning_rate"],
            latest["temperature"], time.monotonic() - started,
        )  # fmt: skip
        if not math.isfinite(latest["train_loss"]):
            raise SkygraftError(f"The loss is {latest['train_loss']} after epoch {latest['epoch'] + 1}: lower optimiser.learning_rate.")
        with atomic_path(checkpoint) as temporary:
            module.trainer.save_checkpoint(temporary)

    return keep


def trainer(run: Run) -> Trainer:
    """Lightning's trainer, silent and without files of its own."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return Trainer(
        max_epochs=run.optimiser.epochs,
        accelerator=run.accelerator,
        # One: a contrast over the batches of several devices is not made yet.
        devices=1,
        precision=run.precision,
        deterministic="warn",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )

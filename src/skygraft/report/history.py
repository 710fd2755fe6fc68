"""The curves of a training run, read from its history file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from skygraft.core.errors import CorruptDataError
from skygraft.report.figures import Floats, curves_figure
from skygraft.report.page import Curves

_COLUMNS = ("epoch", "train_loss", "val_loss", "learning_rate", "temperature")


def curves(run: str, note: str | None, path: Path) -> Curves | None:
    """A run's curves; None where it has no epoch.

    Args:
        run: Its name.
        note: What is said beside its numbers.
        path: Its ``history.csv``.

    Raises:
        CorruptDataError: The file is missing, or lacks a column.
    """
    history = read_history(path)
    if not len(history["epoch"]):
        return None
    last = {name: float(values[-1]) for name, values in history.items()}
    best = int(np.nanargmin(history["val_loss"])) if np.isfinite(history["val_loss"]).any() else None
    words = f"After epoch {last['epoch']:.0f}: training loss {last['train_loss']:.3f}"
    if best is not None:
        words += f", validation loss {last['val_loss']:.3f} (lowest {history['val_loss'][best]:.3f} in epoch {history['epoch'][best]:.0f})"
    if np.isfinite(last["temperature"]):
        words += f", temperature {last['temperature']:.4f}"
    return Curves(run, note, curves_figure(history), words + ".")


def read_history(path: Path) -> dict[str, Floats]:
    """Columns by name; an empty cell is nan."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except FileNotFoundError as error:
        raise CorruptDataError(f"{path} is missing: run 'skygraft train'.") from error
    missing = [name for name in _COLUMNS if rows and name not in rows[0]]
    if missing:
        raise CorruptDataError(f"{path} lacks the columns {', '.join(missing)}: train the run again.")
    return {name: np.array([float(row[name] or "nan") for row in rows], dtype=np.float64) for name in _COLUMNS}

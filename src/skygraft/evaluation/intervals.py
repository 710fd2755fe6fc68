"""The interval of an accuracy over support draws and test images.

A k-shot accuracy is a mean over a table of hits, draws down and test images across, and both are samples: other draws and other images
would have given another number. The interval resamples both (the two-way, or pigeonhole, bootstrap: Owen, Annals of Applied Statistics
2007). Two known faults of the plain percentile interval at ten draws are mended: resampling S draws understates their variance by
(S - 1)/S, so S - 1 of them are drawn (Rao and Wu, 1988); and tails are widened by the ratio of Student's to the normal quantile, with
Satterthwaite's degrees of freedom of the two sources. Where every answer is right, or none, resampling says nothing, and the exact
binomial bound over the test images stands instead. Not covered: the chance in training the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

_BLOCK: Final = 64


@dataclass(frozen=True)
class Accuracy:
    """An accuracy between 0 and 1 and its interval."""

    value: float
    low: float
    high: float


def accuracy_intervals(tables: list[npt.NDArray[np.bool_]], *, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> list[Accuracy]:
    """The mean of each table of hits with its interval.

    Args:
        tables: Arrays of shape (draws, test images), all of one shape, true where the answer is right; one draw means that no support
            was drawn (zero-shot), and the interval covers test images alone.
        level: Confidence of the two-sided interval.
        resamples: Bootstrap resamples; all tables share them.
        seed: Of the resampling.
    """
    draws, images = tables[0].shape
    generator = np.random.default_rng(seed)
    hits = np.concatenate([table.astype(np.float32) for table in tables]).T.copy()
    means = np.empty((resamples, len(tables)))
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        down = _counts(generator, size, draws, max(1, draws - 1))
        across = _counts(generator, size, images, images)
        # Draws within images: one matrix product for all tables, then the few draws.
        sums = (across @ hits).reshape(size, len(tables), draws)
        means[start : start + size] = np.einsum("bks,bs->bk", sums, down)
    means /= max(1, draws - 1) * images
    return [_interval(table, means[:, i], level) for i, table in enumerate(tables)]


def _counts(generator: np.random.Generator, size: int, things: int, taken: int) -> npt.NDArray[np.float32]:
    """How often each thing is taken in each resample, shape (size, things)."""
    chosen = generator.integers(0, things, (size, taken)) + np.arange(size)[:, None] * things
    return np.bincount(chosen.ravel(), minlength=size * things).reshape(size, things).astype(np.float32)


def _interval(table: npt.NDArray[np.bool_], means: npt.NDArray[np.float64], level: float) -> Accuracy:
    draws, images = table.shape
    value = float(table.mean())
    tail = (1 - level) / 2
    if value in (0.0, 1.0):
        bound = float(stats.beta.ppf(tail, images, 1))
        return Accuracy(value, bound, 1.0) if value == 1.0 else Accuracy(value, 0.0, 1 - bound)
    by_draw = float(table.mean(axis=1).var(ddof=1) / draws) if draws > 1 else 0.0
    by_image = float(table.mean(axis=0).var(ddof=1) / images) if images > 1 else 0.0
    freedom = (by_draw + by_image) ** 2 / max(by_draw**2 / max(1, draws - 1) + by_image**2 / max(1, images - 1), 1e-300)
    widening = float(stats.t.ppf(1 - tail, max(1.0, freedom)) / stats.norm.ppf(1 - tail))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Accuracy(
        value, max(0.0, value - widening * max(0.0, value - float(low))), min(1.0, value + widening * max(0.0, float(high) - value))
    )

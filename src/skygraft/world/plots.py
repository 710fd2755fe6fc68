"""Cutting a square of ground into plots: fields, building blocks, factory lots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Keep = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]


def split_square(
    rng: np.random.Generator,
    half: float,
    area: float,
    *,
    angle: float,
    elongation: float = 1.6,
    skew: float = 0.12,
    spread: float = 0.5,
    keep: Keep | None = None,
) -> NDArray[np.float64]:
    """Cut a square into four-cornered plots by repeated halving.

    Args:
        rng: source of randomness.
        half: half the side of the square, metres.
        area: typical plot area, square metres.
        angle: rotation of the result, radians.
        elongation: how much longer than wide a plot may grow before it is cut across.
        skew: how far a cut may lean.
        spread: deviation of the logarithm of the plots' areas.
        keep: tells from middles (n, 2) and radii (n,) which plots are of use; the others are dropped early.

    Returns:
        Corners (plots, 4, 2) in metres from the middle of the square.
    """
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    quads = np.array([[[-half, -half], [half, -half], [half, half], [-half, half]]]) @ turn
    done: list[NDArray[np.float64]] = []
    while len(quads):
        n = len(quads)
        wide, high = _sides(quads)
        small = wide * high / 4 < area * np.exp(rng.normal(0, spread, n))
        across = np.where(rng.random(n) < 0.75, wide > high / elongation, wide > high)
        cut = 0.5 + rng.uniform(-0.2, 0.2, (n, 1)) + rng.uniform(-skew, skew, (n, 2))
        done.append(quads[small])
        quads = _cut(quads[~small], cut[~small], across[~small])
        if keep is not None and len(quads):
            quads = quads[keep(*_middles(quads))]
    return np.concatenate(done)


def _middles(quads: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return middles (n, 2) and radii (n,) of plots."""
    middle = quads.mean(axis=1)
    return middle, np.hypot(*(quads - middle[:, None]).T).max(axis=0)


def _sides(quads: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return twice the mean width and twice the mean height of plots (n, 4, 2)."""
    side = np.roll(quads, -1, axis=1) - quads
    length = np.hypot(side[..., 0], side[..., 1])
    return length[:, 0] + length[:, 2], length[:, 1] + length[:, 3]


def _cut(quads: NDArray[np.float64], cut: NDArray[np.float64], across: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Halve plots (n, 4, 2); returns (2n, 4, 2)."""
    # Turned by one corner, a cut along the other axis is the same cut.
    q = np.where(across[:, None, None], quads, np.roll(quads, -1, axis=1))
    a = q[:, 0] + (q[:, 1] - q[:, 0]) * cut[:, :1]
    b = q[:, 3] + (q[:, 2] - q[:, 3]) * cut[:, 1:]
    left = np.stack([q[:, 0], a, b, q[:, 3]], axis=1)
    right = np.stack([a, q[:, 1], q[:, 2], b], axis=1)
    halves = np.concatenate([left, right])
    back = np.concatenate([across, across])[:, None, None]
    return np.where(back, halves, np.roll(halves, 1, axis=1))


def shrink(quads: NDArray[np.float64], share: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Pull plots (n, 4, 2) towards their middle; share 1 leaves them as they are."""
    middle = quads.mean(axis=1, keepdims=True)
    factor = np.broadcast_to(np.asarray(share, dtype=np.float64), (len(quads),))[:, None, None]
    result: NDArray[np.float64] = middle + (quads - middle) * factor
    return result


def plot_at(quads: NDArray[np.float64], x: float, y: float) -> int:
    """Return the index of the convex plot that holds a place, or -1."""
    edge = np.roll(quads, -1, axis=1) - quads
    to = np.array([x, y]) - quads
    side = edge[..., 0] * to[..., 1] - edge[..., 1] * to[..., 0]
    inside = np.flatnonzero((side >= 0).all(axis=1) | (side <= 0).all(axis=1))
    return int(inside[0]) if len(inside) else -1

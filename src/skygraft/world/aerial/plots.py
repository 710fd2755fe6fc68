"""Which plot of a cell lies under each pixel, and how far it is to the plot's edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import AirCanvas


@dataclass(frozen=True)
class PlotMap:
    """Plots under a canvas.

    Attributes:
        index: number of the plot (rows, columns), -1 where there is none.
        inside: metres to the nearest edge (rows, columns); 0 where there is no plot.
        across: metres from the plot's first side (rows, columns), along which its rows run.
        shown: numbers of the plots that the canvas shows.
    """

    index: NDArray[np.int64]
    inside: NDArray[np.float64]
    across: NDArray[np.float64]
    shown: tuple[int, ...]


def plot_map(canvas: AirCanvas, quads: NDArray[np.float64]) -> PlotMap:
    """Lay plots (n, 4, 2), corners in UTM metres and convex, under a canvas."""
    west, south, east, north = canvas.box
    low, high = quads.min(axis=1), quads.max(axis=1)
    near = np.flatnonzero((high[:, 0] >= west) & (low[:, 0] <= east) & (high[:, 1] >= south) & (low[:, 1] <= north))
    shape = canvas.rows, canvas.columns
    index, inside, across = np.full(shape, -1, dtype=np.int64), np.zeros(shape), np.zeros(shape)
    shown = []
    for number in near.tolist():
        quad = quads[number]
        side = np.roll(quad, -1, axis=0) - quad
        turn = np.sign(side[0, 0] * side[1, 1] - side[0, 1] * side[1, 0]) or 1.0
        length = np.maximum(np.hypot(side[:, 0], side[:, 1]), 1e-6) * turn
        away = [
            (canvas.y - q[1]) * (s[0] / one) - (canvas.x - q[0]) * (s[1] / one)
            for q, s, one in zip(quad, side, length.tolist(), strict=True)
        ]
        depth = np.minimum(np.minimum(away[0], away[1]), np.minimum(away[2], away[3]))
        mine = depth > inside
        if mine.any():
            shown.append(number)
            # Rows run along the longer side, as a tractor turns seldom.
            long = 0 if abs(length[0]) + abs(length[2]) >= abs(length[1]) + abs(length[3]) else 1
            index[mine], inside[mine], across[mine] = number, depth[mine], away[long][mine]
    return PlotMap(index, inside, across, tuple(shown))


def lookup(plots: PlotMap, values: NDArray[np.float64], otherwise: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each pixel's plot's value, or another where there is no plot; values (n,) or (n, k)."""
    padded = np.concatenate([values, np.broadcast_to(np.asarray(otherwise, dtype=np.float64), (1, *values.shape[1:]))])
    result: NDArray[np.float64] = padded[plots.index]
    return result

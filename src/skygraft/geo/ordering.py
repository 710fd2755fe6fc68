"""The order in which tiles are fetched: neighbours in place and time come together, so that a shard opens few scenes.

Tiles are sorted by zone, 100 km square, month and the position along a Hilbert curve inside the square.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skygraft.geo.utm import Ints

SQUARE_M = 100_000.0
_HILBERT_ORDER = 16


def squares(x: ArrayLike, y: ArrayLike) -> tuple[Ints, Ints]:
    """Column and row of the 100 km square of each place, counted in its UTM zone."""
    column = np.floor(np.asarray(x, np.float64) / SQUARE_M).astype(np.int64)
    row = np.floor(np.asarray(y, np.float64) / SQUARE_M).astype(np.int64)
    return column, row


def hilbert(column: ArrayLike, row: ArrayLike, order: int = _HILBERT_ORDER) -> Ints:
    """Position along a Hilbert curve through a grid of ``2**order`` cells a side; successive positions are neighbours.

    Args:
        column: Cell indices, 0 to ``2**order - 1``.
        row: Cell indices, 0 to ``2**order - 1``.
        order: How often the grid is halved.
    """
    x, y = np.array(column, np.int64), np.array(row, np.int64)
    position = np.zeros(np.broadcast(x, y).shape, np.int64)
    for level in reversed(range(order)):
        side = np.int64(1) << level
        right, upper = (x & side) > 0, (y & side) > 0
        position += side * side * ((3 * right) ^ upper)
        # Turn the quadrant so that the curve enters and leaves it at the right corners.
        flip = ~upper & right
        x, y = x & (side - 1), y & (side - 1)
        x, y = np.where(flip, side - 1 - x, x), np.where(flip, side - 1 - y, y)
        x, y = np.where(upper, x, y), np.where(upper, y, x)
    return position


def fetch_order(epsg: ArrayLike, x: ArrayLike, y: ArrayLike, months: ArrayLike, ids: ArrayLike) -> Ints:
    """Indices that sort tiles by zone, 100 km square, month, Hilbert curve and, where all that is equal, by name.

    Args:
        epsg: EPSG codes.
        x: Centres, metres east.
        y: Centres, metres north.
        months: Month of each tile's target date, as one number that grows with time.
        ids: Names of the tiles.
    """
    column, row = squares(x, y)
    cell = SQUARE_M / 2**_HILBERT_ORDER
    inside_x = ((np.asarray(x, np.float64) - column * SQUARE_M) / cell).astype(np.int64)
    inside_y = ((np.asarray(y, np.float64) - row * SQUARE_M) / cell).astype(np.int64)
    keys = (np.asarray(ids), hilbert(inside_x, inside_y), np.asarray(months), row, column, np.asarray(epsg))
    return np.lexsort(keys)


def even_shards(count: int, total: int) -> Ints:
    """The shard of each of ``count`` ordered items: ``total`` runs whose lengths differ by one at most."""
    return np.arange(count, dtype=np.int64) * total // max(1, count)

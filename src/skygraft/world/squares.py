"""The four MGRS squares that meet in the surveyed region, each cut to the part of it that the world draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skygraft.world.landscape import Landscape
from skygraft.world.noise import rng_of

CORNER = (604_900.0, 5_395_100.0)
"""UTM place where the survey's four regions meet; 32UNU, 32UPU, 32UNV and 32UPV all cover it."""
OVERLAP = 800.0
"""How far a square's scenes reach over the borders of its region, metres."""
OUTER = 700.0
"""How far scenes reach beyond the outermost nodes, metres."""
NAMES = {(0, 0): "32UNU", (1, 0): "32UPU", (0, 1): "32UNV", (1, 1): "32UPV"}


@dataclass(frozen=True)
class Square:
    """A cut MGRS square.

    Attributes:
        name: as in `s2:mgrs_tile`.
        west: easting of the left edge, a multiple of 20 m.
        north: northing of the upper edge, a multiple of 20 m.
        columns: pixels of 10 m, even.
        rows: pixels of 10 m, even.
        month: month in which its region was surveyed.
    """

    name: str
    west: float
    north: float
    columns: int
    rows: int
    month: int

    def holds(self, x: float, y: float, margin: float) -> bool:
        """Tell whether a box of half side `margin` around a place lies in the square's scenes."""
        east, south = self.west + 10 * self.columns, self.north - 10 * self.rows
        return self.west + margin <= x <= east - margin and south + margin <= y <= self.north - margin


def squares_of(land: Landscape) -> tuple[Square, ...]:
    """Cut the four squares to the surveyed region and give each its month."""
    first, last = land.frame.point_columns
    border = (land.frame.rows - (last - first)) // 2
    nodes = land.nodes[border : land.frame.rows - border, first:last].reshape(-1, 2)
    low, high = nodes.min(axis=0) - OUTER, nodes.max(axis=0) + OUTER
    months = rng_of(land.seed, "months").permutation([5, 6, 7, 8])
    squares = []
    for k, ((right, upper), name) in enumerate(NAMES.items()):
        west = _down(CORNER[0] - OVERLAP if right else low[0])
        east = _down(high[0] if right else CORNER[0] + OVERLAP)
        south = _down(CORNER[1] - OVERLAP if upper else low[1])
        north = _down(high[1] if upper else CORNER[1] + OVERLAP)
        size = int((east - west) / 10), int((north - south) / 10)
        squares.append(Square(name, west, north, size[0], size[1], int(months[k])))
    return tuple(squares)


def _down(metres: float) -> float:
    return float(np.floor(metres / 20.0) * 20.0)


def square_of(squares: tuple[Square, ...], x: float, y: float) -> Square:
    """Return the square whose region holds a place."""
    name = NAMES[(int(x >= CORNER[0]), int(y >= CORNER[1]))]
    return next(s for s in squares if s.name == name)

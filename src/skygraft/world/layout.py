"""What stands in a cell, before it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from skygraft.world.noise import TEXTURE_SIDE

HALF = 1250.0
"""Half the side of the square that a cell's plots fill: larger than any cell, metres."""


@dataclass(frozen=True)
class Layout:
    """Plots of a cell, in metres from its seed.

    Attributes:
        quads: corners (n, 4, 2).
        colours: colour of each plot (n, 3).
        kinds: variant name of each plot; empty when the whole cell is of one variant.
        marks: a number for each plot that the painter uses (n,).
        base: colour of the ground.
        shift: shift of the textures, so that two cells of a class differ.
        roll: numbers in 0..1 that the painter uses for the cell as a whole.
        details: further shapes by name, each (m, k, 2) with colours (m, 3).
    """

    quads: NDArray[np.float64]
    colours: NDArray[np.float64]
    kinds: tuple[str, ...]
    marks: NDArray[np.float64]
    base: NDArray[np.float64]
    shift: tuple[int, int]
    roll: NDArray[np.float64]
    details: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = field(default_factory=dict)


NO_QUADS = np.zeros((0, 4, 2))
NO_COLOURS = np.zeros((0, 3))
NO_MARKS = np.zeros(0)


def whole(base: NDArray[np.float64], rng: np.random.Generator) -> Layout:
    """Return the layout of a cell without plots."""
    return Layout(NO_QUADS, NO_COLOURS, (), NO_MARKS, base, shifts(rng), rng.random(12))


def shifts(rng: np.random.Generator) -> tuple[int, int]:
    """Return a shift of the textures in drawing pixels."""
    return int(rng.integers(0, TEXTURE_SIDE)), int(rng.integers(0, TEXTURE_SIDE))

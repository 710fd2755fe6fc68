"""The paper that photos are drawn on: a small picture with strokes in pixels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.canvas import Colour, as_tuple
from skygraft.world.noise import FloatArray

WIDTH, HEIGHT = 160, 120
SHIFT = 4


def fixed(xy: NDArray[np.float64]) -> NDArray[np.int32]:
    """Return points in OpenCV's fixed-point form."""
    return np.round(np.asarray(xy) * (1 << SHIFT)).astype(np.int32)


def cloud(rng: np.random.Generator, steps: tuple[int, ...]) -> FloatArray:
    """Return noise (HEIGHT, WIDTH) of several coarsenesses, given as nodes along the width."""
    total = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    for i, n in enumerate(steps):
        nodes = rng.standard_normal((max(2, n * 3 // 4 + 1), n + 1), dtype=np.float32)
        total += cv2.resize(nodes, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR) * np.float32(0.7**i)
    return total


class Sheet:
    """A picture in the making, WIDTH x HEIGHT.

    Attributes:
        image: float32 (HEIGHT, WIDTH, 3), red green blue on the scale 0..255; drawn in place.
    """

    image: FloatArray

    def fill(self, xy: NDArray[np.float64] | list[list[float]], colour: Colour) -> None:
        """Fill a polygon given in pixels."""
        cv2.fillPoly(self.image, [fixed(np.asarray(xy))], as_tuple(colour), cv2.LINE_AA, SHIFT)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """Fill a box."""
        self.fill([[left, top], [right, top], [right, bottom], [left, bottom]], colour)

    def line(self, a: tuple[float, float], b: tuple[float, float], colour: Colour, width: float = 1) -> None:
        """Draw a line."""
        cv2.line(self.image, _at(*a), _at(*b), as_tuple(colour), max(1, round(width)), cv2.LINE_AA, SHIFT)

    def disc(self, x: float, y: float, radius: float, colour: Colour, squash: float = 1.0) -> None:
        """Fill a disc or an upright or lying ellipse."""
        axes = (max(1, round(radius * 16)), max(1, round(radius * squash * 16)))
        cv2.ellipse(self.image, _at(x, y), axes, 0, 0, 360, as_tuple(colour), -1, cv2.LINE_AA, SHIFT)


def _at(x: float, y: float) -> tuple[int, int]:
    return round(x * 16), round(y * 16)

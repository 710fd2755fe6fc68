"""A picture from the air while it is painted: every stroke is a function of the place on the ground and of it alone."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.grid import Grid
from skygraft.world.canvas import RES
from skygraft.world.noise import TEXTURE_SIDE, TEXTURE_SIGMAS, FloatArray

SUN = np.array([0.42, -0.91])
"""Unit vector on the ground towards the sun, a little east of south; shadows fall the other way."""
SHADOW = 0.8
"""Metres of shadow for a metre of height."""
Tone = NDArray[np.float64]
"""A colour of four parts, red, green, blue and near infrared, on the scale 0..255."""


class AirCanvas:
    """A window on the ground, as fine as its grid.

    Args:
        grid: where the pixels lie.
        textures: periodic textures of the landscape.
        whole: the grid that this one is a part of, where it is one.
    """

    def __init__(self, grid: Grid, textures: dict[str, FloatArray], whole: Grid | None = None) -> None:
        """Start with a black picture of four bands."""
        self.x, self.y, self.gsd, self._textures = grid.x, grid.y, grid.gsd, textures
        self._whole = whole or grid
        self.rows, self.columns = grid.x.shape
        self.image = np.zeros((self.rows, self.columns, 4), dtype=np.float32)
        self.box = grid.box

    def part(self, rows: slice, columns: slice) -> AirCanvas:
        """Return a fresh canvas of the same ground for some rows and columns."""
        return AirCanvas(Grid(self.x[rows, columns], self.y[rows, columns], self.gsd), self._textures, self._whole)

    def view(self, rows: slice, columns: slice) -> AirCanvas:
        """Return a canvas that paints on some rows and columns of this one."""
        part = self.part(rows, columns)
        part.image = self.image[rows, columns]
        return part

    def noise(self, name: str, texel: float, shift: tuple[int, int] = (0, 0), *, angle: float = 0.0, stretch: float = 1.0) -> FloatArray:
        """Return a texture laid on the ground (rows, columns), mean 0 and deviation 1.

        Args:
            name: of the texture.
            texel: metres of one of its pixels.
            shift: in its pixels.
            angle: direction in radians along which it is drawn out.
            stretch: how far.

        Texture finer than the picture's pixels fades, as it does in a real picture.
        """
        if angle:
            cos, sin = np.cos(angle) / texel, np.sin(angle) / texel
            along, across = (self.x * cos + self.y * sin) / stretch, self.y * cos - self.x * sin
        else:
            along, across = self.x / (texel * stretch), self.y / texel
        return self._sample(name, along, across, texel, shift)

    def streaks(self, name: str, along: NDArray[np.float64], off: NDArray[np.float64], texel: float, stretch: float) -> FloatArray:
        """Return a texture (rows, columns) that follows a curve: metres along it and off it, and how far it is drawn out."""
        return self._sample(name, along / (texel * stretch), off / texel, texel, (0, 0))

    def _sample(
        self, name: str, along: NDArray[np.float64], across: NDArray[np.float64], texel: float, shift: tuple[int, int]
    ) -> FloatArray:
        # Rows of a texture run from north to south, as those of the drawings from the satellite.
        u, v = along + (shift[0] - 0.5), (shift[1] - 0.5) - across
        u -= np.floor(u * (1 / TEXTURE_SIDE)) * TEXTURE_SIDE
        v -= np.floor(v * (1 / TEXTURE_SIDE)) * TEXTURE_SIDE
        value = cv2.remap(self._textures[name], u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR)
        width = 2.5 * TEXTURE_SIGMAS.get(name, 5.0) * texel
        return np.asarray(value * np.float32(1 / np.hypot(1.0, self.gsd / width)), dtype=np.float32)

    def ground(self, name: str, shift: tuple[int, int]) -> FloatArray:
        """Return a texture as the drawing from the satellite lays it, so that both show the same patches."""
        return self.noise(name, RES, (shift[0], shift[1]))

    def fade(self, period: float) -> float:
        """Return how much of a wave of this period in metres is left in pixels of this size: none below two pixels a wave."""
        share = self.gsd / period
        return float(np.sinc(share) * np.clip((0.6 - share) / 0.2, 0, 1))

    def waves(self, angle: float, period: float, offset: float = 0.0) -> FloatArray:
        """Return waves in -1..1 (rows, columns) that rise and fall along a direction, moved by an offset in metres."""
        left = self.fade(period)
        if left == 0.0:
            return np.zeros((self.rows, self.columns), dtype=np.float32)
        phase = self.x * np.cos(angle) + self.y * np.sin(angle) - offset
        return np.asarray(np.cos(phase * (2 * np.pi / period)) * left, dtype=np.float32)

    def fill(self, tone: Tone) -> None:
        """Paint all of the canvas in one tone."""
        self.image[:] = np.asarray(tone, dtype=np.float32)

    def light(self, layer: FloatArray, weights: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)) -> None:
        """Add a layer (rows, columns) to the bands by weights."""
        self.image += layer[..., None] * np.array(weights, dtype=np.float32)

    def blend(self, layer: NDArray[np.floating], tone: Tone | FloatArray) -> None:
        """Blend a tone (4,) or a picture (rows, columns, 4) in by a layer (rows, columns) of shares in 0..1."""
        share = np.asarray(layer, dtype=np.float32)[..., None]
        self.image += share * (np.asarray(tone, dtype=np.float32) - self.image)

    def shade(self, layer: NDArray[np.floating]) -> None:
        """Darken by a layer (rows, columns) of shares in 0..1."""
        self.image *= (1 - np.asarray(layer, dtype=np.float32))[..., None]

    @property
    def steps(self) -> NDArray[np.float64]:
        """Metres east and north (2, 2) that one column (first) and one row (second) more lie away, as columns of a matrix."""
        whole = self._whole
        right = np.array([whole.x[0, -1] - whole.x[0, 0], whole.y[0, -1] - whole.y[0, 0]]) / (whole.x.shape[1] - 1)
        down = np.array([whole.x[-1, 0] - whole.x[0, 0], whole.y[-1, 0] - whole.y[0, 0]]) / (whole.x.shape[0] - 1)
        return np.stack([right, down], axis=1)

    def near(self, middle: NDArray[np.float64], reach: NDArray[np.float64] | float) -> NDArray[np.int64]:
        """Return which places (n, 2) lie within reach in metres of the canvas."""
        west, south, east, north = self.box
        x, y = middle[:, 0], middle[:, 1]
        inside = (x >= west - reach) & (x <= east + reach) & (y >= south - reach) & (y <= north + reach)
        return np.flatnonzero(inside)

"""A drawing surface that lies on the ground: every stroke is given in metres."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.noise import TEXTURE_SIDE, FloatArray

RES = 5.0
"""Metres of a drawing pixel; two by two of them make one Sentinel-2 pixel."""
SHIFT = 4
Colour = Sequence[float] | NDArray[np.floating]


def mix(a: Colour, b: Colour, share: float) -> NDArray[np.float64]:
    """Blend two colours; share 0 is the first, 1 the second."""
    result: NDArray[np.float64] = np.asarray(a, dtype=np.float64) * (1 - share) + np.asarray(b, dtype=np.float64) * share
    return result


def as_tuple(colour: Colour) -> tuple[float, ...]:
    """Return a colour as the plain floats that OpenCV wants."""
    return tuple(colour.tolist()) if isinstance(colour, np.ndarray) else tuple(colour)


class Canvas:
    """A window on the ground, drawn at RES metres a pixel.

    Args:
        image: float32 (rows, columns, 3), red green blue on the scale 0..255; drawn in place.
        west: easting of the left edge, metres.
        north: northing of the upper edge, metres.
        textures: periodic textures of the landscape.
    """

    def __init__(self, image: FloatArray, west: float, north: float, textures: dict[str, FloatArray]) -> None:
        """Wrap an image."""
        self.image, self.west, self.north, self._textures = image, west, north, textures
        self.rows, self.columns = image.shape[:2]

    def part(self, top: int, left: int, bottom: int, right: int) -> Canvas:
        """Return a fresh canvas of the same ground for a box of pixels."""
        blank = np.zeros((bottom - top, right - left, 3), dtype=np.float32)
        return Canvas(blank, self.west + left * RES, self.north - top * RES, self._textures)

    def pixels(self, xy: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return fixed-point pixel places (..., 2) of UTM places (..., 2)."""
        u = (xy[..., 0] - self.west) / RES - 0.5
        v = (self.north - xy[..., 1]) / RES - 0.5
        return np.round(np.stack([u, v], axis=-1) * (1 << SHIFT)).astype(np.int32)

    def near(self, xy: NDArray[np.float64], margin: float = 20.0) -> NDArray[np.bool_]:
        """Tell which shapes (n, k, 2) touch the canvas grown by a margin in metres."""
        low, high = xy.min(axis=1), xy.max(axis=1)
        east, south = self.west + self.columns * RES, self.north - self.rows * RES
        inside: NDArray[np.bool_] = (
            (high[:, 0] >= self.west - margin)
            & (low[:, 0] <= east + margin)
            & (high[:, 1] >= south - margin)
            & (low[:, 1] <= self.north + margin)
        )
        return inside

    def grid(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return eastings (1, columns) and northings (rows, 1) of the pixels' centres, in the world's own frame."""
        x = self.west + (np.arange(self.columns, dtype=np.float64) + 0.5) * RES
        y = self.north - (np.arange(self.rows, dtype=np.float64) + 0.5) * RES
        return x[None, :], y[:, None]

    def texture(self, name: str, shift: tuple[int, int] = (0, 0)) -> FloatArray:
        """Return the part of a ground-anchored texture under the canvas, shape (rows, columns)."""
        left = (round(self.west / RES) + shift[0]) % TEXTURE_SIDE
        top = (round(-self.north / RES) + shift[1]) % TEXTURE_SIDE
        return self._textures[name][top : top + self.rows, left : left + self.columns]

    def fill(self, xy: NDArray[np.float64], colour: Colour) -> None:
        """Fill one polygon (k, 2) or several of the same colour (n, k, 2)."""
        shapes = self.pixels(xy)
        cv2.fillPoly(self.image, [shapes] if shapes.ndim == 2 else list(shapes), as_tuple(colour), cv2.LINE_AA, SHIFT)

    def fill_each(self, xy: NDArray[np.float64], colours: NDArray[np.float64]) -> None:
        """Fill polygons (n, k, 2), each with its own colour (n, 3), leaving out what lies off the canvas."""
        keep = np.flatnonzero(self.near(xy))
        shapes = self.pixels(xy[keep])
        for shape, colour in zip(shapes, colours[keep].tolist(), strict=True):
            cv2.fillPoly(self.image, [shape], colour, cv2.LINE_AA, SHIFT)

    def mask(self, xy: NDArray[np.float64], values: NDArray[np.float64]) -> FloatArray:
        """Return a layer (rows, columns) where each polygon (n, k, 2) has its own value."""
        layer = np.zeros((self.rows, self.columns), dtype=np.float32)
        keep = np.flatnonzero(self.near(xy))
        for shape, value in zip(self.pixels(xy[keep]), values[keep].tolist(), strict=True):
            cv2.fillPoly(layer, [shape], value, cv2.LINE_8, SHIFT)
        return layer

    def outlines(self, xy: NDArray[np.float64], width: int = 1) -> FloatArray:
        """Return a layer in 0..1 with the outlines of polygons (n, k, 2), `width` drawing pixels wide."""
        layer = np.zeros((self.rows, self.columns), dtype=np.float32)
        cv2.polylines(layer, list(self.pixels(xy[self.near(xy)])), True, 1.0, width, cv2.LINE_AA, SHIFT)
        return layer

    def path(self, xy: NDArray[np.float64], width: float) -> FloatArray:
        """Return a layer in 0..1 of an open line (k, 2), `width` metres wide."""
        layer = np.zeros((self.rows, self.columns), dtype=np.float32)
        cv2.polylines(layer, [self.pixels(xy)], False, 1.0, max(1, round(width / RES)), cv2.LINE_AA, SHIFT)
        return layer

    def band(self, left: NDArray[np.float64], right: NDArray[np.float64]) -> FloatArray:
        """Return a layer in 0..1 of the ground between two lines (k, 2)."""
        layer = np.zeros((self.rows, self.columns), dtype=np.float32)
        ring = np.concatenate([left, right[::-1]])
        cv2.fillPoly(layer, [self.pixels(ring)], 1.0, cv2.LINE_AA, SHIFT)
        return layer

    def blend(self, layer: FloatArray, colour: Colour) -> None:
        """Blend a colour in by a layer (rows, columns) of shares in 0..1."""
        tone = np.asarray(colour, dtype=np.float32)
        self.image += layer[..., None] * (tone - self.image)

    def dots(self, xy: NDArray[np.float64], radius: NDArray[np.float64], colour: Colour) -> None:
        """Draw discs at places (n, 2) with radii in metres."""
        tone = as_tuple(colour)
        for (u, v), r in zip(self.pixels(xy).tolist(), (radius / RES * (1 << SHIFT)).astype(int).tolist(), strict=True):
            cv2.circle(self.image, (u, v), r, tone, -1, cv2.LINE_AA, SHIFT)

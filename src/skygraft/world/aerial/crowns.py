"""Crowns of trees and bushes from above: one stands in every square of a net, pushed aside by chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import SHADOW, SUN, AirCanvas, Tone
from skygraft.world.noise import FloatArray, rng_of

SIDE = 64
"""Squares a side after which the net repeats: two to the sixth."""


@dataclass(frozen=True)
class Stand:
    """How trees stand.

    Attributes:
        spacing: metres between trees along the net and across it.
        radius: smallest and largest radius of a crown, metres; at most 0.95 of the smaller spacing less the jitter.
        share: squares of the net that hold a tree.
        jitter: how far a tree may stand off its square's middle, in squares.
        angle: direction of the net, radians.
        salt: tells nets of equal spacing apart.
        height: metres, for the shadow; 0 throws none.
    """

    spacing: tuple[float, float]
    radius: tuple[float, float]
    share: float = 1.0
    jitter: float = 0.3
    angle: float = 0.0
    salt: int = 0
    height: float = 6.0


@dataclass(frozen=True)
class Crowns:
    """What the canvas shows of a stand, each (rows, columns).

    Attributes:
        cover: share of the pixel under crowns, 0..1.
        light: light on the crowns, -1 away from the sun to 1 towards it.
        tone: a number of each tree in 0..1.
        height: 1 in the middle of a crown, 0 at its rim and outside.
    """

    cover: FloatArray
    light: FloatArray
    tone: FloatArray
    height: FloatArray


@lru_cache(maxsize=1)
def _chance() -> NDArray[np.float32]:
    return rng_of("crowns").random((5, SIDE * SIDE), dtype=np.float32)


@lru_cache(maxsize=64)
def _trees(spacing: tuple[float, float], radius: tuple[float, float], share: float, jitter: float) -> NDArray[np.float32]:
    """Return what stands in each square of the net (5, squares): metres off its middle, radius, its inverse, and a number of its own.

    Where nothing stands the radius is so far below nothing, and its inverse so large, that no pixel is under it or near it.
    """
    aside_x, aside_y, size, luck, mark = _chance()
    wide = radius[0] + size * (radius[1] - radius[0])
    stands = luck < share
    off_x, off_y = ((aside * 2 - 1) * (jitter * step) for aside, step in zip((aside_x, aside_y), spacing, strict=True))
    return np.stack([off_x, off_y, np.where(stands, wide, -9e9), np.where(stands, 1 / wide, 9e9), mark]).astype(np.float32)


class _Net:
    """The squares of a stand's net around each pixel of a canvas: the four whose middles are nearest."""

    def __init__(self, canvas: AirCanvas, stand: Stand, towards_sun: float) -> None:
        x, y = canvas.x + SUN[0] * towards_sun, canvas.y + SUN[1] * towards_sun
        if stand.angle:
            cos, sin = np.cos(stand.angle), np.sin(stand.angle)
            x, y = x * cos + y * sin, y * cos - x * sin
        u, v = x / stand.spacing[0] - 0.5, y / stand.spacing[1] - 0.5
        i, j = np.floor(u), np.floor(v)
        # Offsets from the square's middle are small: single precision is enough from here on.
        self._du, self._dv = ((u - i) * stand.spacing[0]).astype(np.float32), ((v - j) * stand.spacing[1]).astype(np.float32)
        self._i, self._j = i.astype(np.int64) + stand.salt % 997, j.astype(np.int64) + stand.salt // 997
        self._spacing = stand.spacing
        self._trees = _trees(stand.spacing, stand.radius, stand.share, stand.jitter)

    def around(self) -> Iterator[tuple[NDArray[np.int64], FloatArray, FloatArray, FloatArray]]:
        """Yield for each of the four squares: its number, metres east and north of its tree, and the distance (rows, columns)."""
        columns, rows = [(self._i + k) & (SIDE - 1) for k in (0, 1)], [((self._j + k) & (SIDE - 1)) << 6 for k in (0, 1)]
        for di, column in enumerate(columns):
            for dj, row in enumerate(rows):
                at = row + column
                du = self._du - np.float32(di * self._spacing[0]) - self._trees[0][at]
                dv = self._dv - np.float32(dj * self._spacing[1]) - self._trees[1][at]
                yield at, du, dv, np.sqrt(du * du + dv * dv)

    def cover(self, at: NDArray[np.int64], away: FloatArray, soft: np.float32) -> FloatArray:
        """Return how far pixels lie within the crowns of their squares' trees, 0..1 where the rim is `soft` metres wide."""
        return np.asarray(np.clip((self._trees[2][at] - away) / soft + np.float32(0.5), 0, 1), dtype=np.float32)

    def depth(self, at: NDArray[np.int64], away: FloatArray) -> FloatArray:
        """Return the distance in radii."""
        return np.asarray(away * self._trees[3][at], dtype=np.float32)

    def of(self, part: int, at: NDArray[np.int64]) -> FloatArray:
        """Return one row of the trees' table."""
        return np.asarray(self._trees[part][at], dtype=np.float32)


def _soft(canvas: AirCanvas) -> np.float32:
    return np.float32(max(canvas.gsd, 0.2))


def _small(canvas: AirCanvas, stand: Stand) -> np.float32:
    """Return the share of its pixel that a crown colours: a part, where it is smaller."""
    return np.float32(min(1.0, (2 * float(np.mean(stand.radius)) / canvas.gsd) ** 2))


def shadows(canvas: AirCanvas, stand: Stand) -> FloatArray:
    """Return the share of each pixel (rows, columns) that lies in the shadow of a stand."""
    net = _Net(canvas, stand, stand.height * SHADOW * 0.6)
    cover = np.zeros((canvas.rows, canvas.columns), dtype=np.float32)
    for at, _, _, away in net.around():
        np.maximum(cover, net.cover(at, away, _soft(canvas)), out=cover)
    return cover * _small(canvas, stand)


def crowns(canvas: AirCanvas, stand: Stand) -> Crowns:
    """Look at a stand from above."""
    net = _Net(canvas, stand, 0.0)
    best = np.full((canvas.rows, canvas.columns), 9e9, dtype=np.float32)
    light, tone, cover = (np.zeros_like(best) for _ in range(3))
    cos, sin = np.cos(stand.angle), np.sin(stand.angle)
    sun = np.array([SUN[0] * cos + SUN[1] * sin, SUN[1] * cos - SUN[0] * sin], dtype=np.float32)
    for at, du, dv, away in net.around():
        depth = net.depth(at, away)
        nearer = depth < best
        np.minimum(best, depth, out=best)
        np.maximum(cover, net.cover(at, away, _soft(canvas)), out=cover)
        light = np.where(nearer, (du * sun[0] + dv * sun[1]) * net.of(3, at), light)
        tone = np.where(nearer, net.of(4, at), tone)
    return Crowns(cover * _small(canvas, stand), np.clip(light, -1, 1), tone, np.maximum(0, 1 - best))


def plant(canvas: AirCanvas, stand: Stand, leaf: Tone, mask: NDArray[np.floating] | None = None, *, contrast: float = 1.0) -> None:
    """Paint a stand of trees with its shadow.

    Args:
        canvas: to paint on.
        stand: how the trees stand.
        leaf: tone of the crowns.
        mask: share of each pixel where trees may stand (rows, columns), or None for all of them.
        contrast: how plainly crowns differ and stand out.
    """
    if mask is not None and not mask.any():
        return
    box = (slice(None), slice(None)) if mask is None else _extent(mask)
    part, where = canvas.view(*box), np.float32(1) if mask is None else mask[box].astype(np.float32)
    if stand.height:
        part.shade(np.float32(0.5 * contrast) * shadows(part, stand) * where)
    seen = crowns(part, stand)
    level = 1 + contrast * (0.3 * seen.light + 0.34 * (seen.tone - 0.5) + 0.12 * (seen.height - 0.4))
    part.blend(seen.cover * where, level[..., None] * np.asarray(leaf, dtype=np.float32))


def _extent(mask: NDArray[np.floating]) -> tuple[slice, slice]:
    """Return the rows and columns that a mask reaches over."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

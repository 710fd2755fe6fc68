"""Crowns of trees and bushes from above: one stands in every square of a net, pushed aside by chance."""

from __future__ import annotations

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
def _table() -> NDArray[np.float32]:
    return rng_of("crowns").random((5, SIDE * SIDE), dtype=np.float32)


def crowns(canvas: AirCanvas, stand: Stand, *, towards_sun: float = 0.0) -> Crowns:
    """Look at a stand from above.

    Args:
        canvas: where to look.
        stand: how the trees stand.
        towards_sun: metres by which to look aside, for the shadow that lies there.
    """
    x, y = canvas.x + SUN[0] * towards_sun, canvas.y + SUN[1] * towards_sun
    cos, sin = np.cos(stand.angle), np.sin(stand.angle)
    if stand.angle:
        x, y = x * cos + y * sin, y * cos - x * sin
    u, v = x / stand.spacing[0] - 0.5, y / stand.spacing[1] - 0.5
    i, j = np.floor(u), np.floor(v)
    # Offsets from the square's middle are small: single precision is enough from here on.
    du0, dv0 = (u - i).astype(np.float32), (v - j).astype(np.float32)
    i, j = i.astype(np.int64) + stand.salt % 997, j.astype(np.int64) + stand.salt // 997
    best = np.full(du0.shape, 9e9, dtype=np.float32)
    light, tone, cover = (np.zeros(du0.shape, dtype=np.float32) for _ in range(3))
    sun = np.array([SUN[0] * cos + SUN[1] * sin, SUN[1] * cos - SUN[0] * sin], dtype=np.float32)
    soft = np.float32(max(canvas.gsd, 0.2))
    for di in (0, 1):
        for dj in (0, 1):
            at = (((j + dj) & (SIDE - 1)) << 6) + ((i + di) & (SIDE - 1))
            jitter_x, jitter_y, size, luck, mark = (row[at] for row in _table())
            du = (du0 - di - (jitter_x * 2 - 1) * np.float32(stand.jitter)) * np.float32(stand.spacing[0])
            dv = (dv0 - dj - (jitter_y * 2 - 1) * np.float32(stand.jitter)) * np.float32(stand.spacing[1])
            radius = np.float32(stand.radius[0]) + size * np.float32(stand.radius[1] - stand.radius[0])
            away = np.sqrt(du * du + dv * dv)
            depth = np.where(luck < stand.share, away / radius, np.float32(9e9))
            nearer = depth < best
            best = np.where(nearer, depth, best)
            cover = np.maximum(cover, np.where(luck < stand.share, np.clip(0.5 + (radius - away) / soft, 0, 1), 0))
            light = np.where(nearer, (du * sun[0] + dv * sun[1]) / radius, light)
            tone = np.where(nearer, mark, tone)
    # A crown smaller than a pixel colours a part of it.
    small = min(1.0, (2 * float(np.mean(stand.radius)) / canvas.gsd) ** 2)
    return Crowns(cover * np.float32(small), np.clip(light, -1, 1), tone, np.maximum(0, 1 - best))


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
        thrown = crowns(part, stand, towards_sun=stand.height * SHADOW * 0.6)
        part.shade(np.float32(0.5 * contrast) * thrown.cover * where)
    seen = crowns(part, stand)
    level = 1 + contrast * (0.3 * seen.light + 0.34 * (seen.tone - 0.5) + 0.12 * (seen.height - 0.4))
    part.blend(seen.cover * where, level[..., None] * np.asarray(leaf, dtype=np.float32))


def _extent(mask: NDArray[np.floating]) -> tuple[slice, slice]:
    """Return the rows and columns that a mask reaches over."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)

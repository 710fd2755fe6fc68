"""Shapes of a few metres on a picture from the air: roofs, cars, tanks and what they throw shadows on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import SHADOW, SUN, AirCanvas


@dataclass(frozen=True)
class Stamp:
    """Pixels that shapes touch.

    Attributes:
        pixel: flat index (k,) of each touched pixel.
        shape: which shape touches it (k,).
        u: place within the shape along its first half side (k,), -1..1 inside.
        v: the same along the second.
        cover: share of the pixel that the shape covers (k,).
    """

    pixel: NDArray[np.int64]
    shape: NDArray[np.int64]
    u: NDArray[np.float64]
    v: NDArray[np.float64]
    cover: NDArray[np.float64]


def pairs(canvas: AirCanvas, middle: NDArray[np.float64], reach: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return flat pixel index and shape index of every pixel that may touch a shape, in the order of the shapes.

    Args:
        canvas: to paint on.
        middle: of the shapes (n, 2), metres.
        reach: how far a shape reaches from its middle in east and north (n, 2), metres.
    """
    # The grid is straight to a part of a pixel; two pixels more make up for that.
    origin = np.array([canvas.x[0, 0], canvas.y[0, 0]])
    inverse = np.linalg.inv(canvas.steps)
    at = (middle - origin) @ inverse.T
    wide = reach @ np.abs(inverse).T + 2.0
    low, high = np.floor(at - wide).astype(np.int64), np.ceil(at + wide).astype(np.int64) + 1
    limit = np.array([canvas.columns, canvas.rows])
    low, high = np.clip(low, 0, limit), np.clip(high, 0, limit)
    width, height = (high - low).T
    count = width * height
    shape = np.repeat(np.arange(len(middle)), count)
    slot = np.arange(len(shape)) - np.repeat(np.cumsum(count) - count, count)
    column = low[shape, 0] + slot % np.maximum(width[shape], 1)
    row = low[shape, 1] + slot // np.maximum(width[shape], 1)
    return row * canvas.columns + column, shape


def boxes(canvas: AirCanvas, middle: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> Stamp:
    """Return what parallelograms cover: middles (n, 2) and half sides (n, 2), metres."""
    reach = np.abs(a) + np.abs(b)
    keep = canvas.near(middle, reach.max(axis=1) + 2 * canvas.gsd)
    middle, a, b = middle[keep], a[keep], b[keep]
    pixel, shape = pairs(canvas, middle, reach[keep])
    to = np.stack([canvas.x.ravel()[pixel], canvas.y.ravel()[pixel]], axis=1) - middle[shape]
    det = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])[shape]
    u = (to[:, 0] * b[shape, 1] - to[:, 1] * b[shape, 0]) / det
    v = (a[shape, 0] * to[:, 1] - a[shape, 1] * to[:, 0]) / det
    long, wide = np.hypot(*a.T)[shape], np.hypot(*b.T)[shape]
    cover = _overlap(u * long, long, canvas.gsd) * _overlap(v * wide, wide, canvas.gsd)
    hit = cover > 0
    return Stamp(pixel[hit], keep[shape[hit]], u[hit], v[hit], cover[hit])


def discs(canvas: AirCanvas, middle: NDArray[np.float64], radius: NDArray[np.float64]) -> Stamp:
    """Return what discs cover: middles (n, 2) and radii (n,), metres; u and v point east and north."""
    keep = canvas.near(middle, radius + 2 * canvas.gsd)
    middle, radius = middle[keep], radius[keep]
    pixel, shape = pairs(canvas, middle, np.stack([radius, radius], axis=1))
    to = np.stack([canvas.x.ravel()[pixel], canvas.y.ravel()[pixel]], axis=1) - middle[shape]
    cover = np.clip(0.5 + (radius[shape] - np.hypot(to[:, 0], to[:, 1])) / canvas.gsd, 0, 1)
    cover = cover * np.minimum(1.0, (2 * radius[shape] / canvas.gsd) ** 2)
    hit = cover > 0
    to = to / radius[shape][:, None]
    return Stamp(pixel[hit], keep[shape[hit]], to[hit, 0], to[hit, 1], cover[hit])


def put(canvas: AirCanvas, stamp: Stamp, tone: NDArray[np.float64], strength: float = 1.0) -> None:
    """Paint stamped pixels in tones (k, 4) or (4,)."""
    flat = canvas.image.reshape(-1, 4)
    share = (stamp.cover * strength)[:, None]
    flat[stamp.pixel] += (share * (tone - flat[stamp.pixel])).astype(np.float32)


def cast(
    canvas: AirCanvas, middle: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], height: NDArray[np.float64] | float
) -> None:
    """Darken the ground where boxes of a height in metres throw their shadows."""
    layer = np.zeros(canvas.rows * canvas.columns)
    length = np.broadcast_to(np.asarray(height, dtype=np.float64) * SHADOW, (len(middle),))[:, None]
    for share in (0.5, 1.0):
        stamp = boxes(canvas, middle - SUN * length * share, a, b)
        np.maximum.at(layer, stamp.pixel, stamp.cover)
    canvas.shade(0.55 * layer.reshape(canvas.rows, canvas.columns))


def _overlap(distance: NDArray[np.float64], half: NDArray[np.float64], gsd: float) -> NDArray[np.float64]:
    """Return the share of pixels at signed distances from a strip's middle that the strip of this half width covers."""
    low, high = np.maximum(-half, distance - gsd / 2), np.minimum(half, distance + gsd / 2)
    result: NDArray[np.float64] = np.clip((high - low) / gsd, 0, 1)
    return result

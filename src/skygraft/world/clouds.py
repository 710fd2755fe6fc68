"""Clouds over a scene: their veil, their shadows, and the scene classification that tells of both."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.noise import FloatArray, SmoothField, rng_of

NODATA, DARK, SHADOW, VEGETATION, BARE, WATER, MEDIUM, HIGH, CIRRUS = 0, 2, 3, 4, 5, 6, 8, 9, 10
"""Codes of the Sentinel-2 scene classification (SCL)."""
CLOUDY = (MEDIUM, HIGH, CIRRUS)
SHADOW_SHIFT = (22, -26)
"""Pixels of 20 m by which a shadow lies off its cloud: columns to the east, rows to the south."""
SHADE = 0.55
WHITE = np.array([6400.0, 6500.0, 6700.0, 6900.0], dtype=np.float32)


@dataclass(frozen=True)
class Sky:
    """What hangs over a scene on the 20 m grid.

    Attributes:
        veil: opacity of clouds (rows, columns), 0..1.
        shadow: where their shadow falls (rows, columns).
    """

    veil: FloatArray
    shadow: NDArray[np.bool_]


def sky_over(seed: int, day: str, origin: tuple[float, float], shape: tuple[int, int], valid: NDArray[np.bool_], cover: float) -> Sky:
    """Draw the clouds of a day over a scene.

    Args:
        seed: seed of the landscape.
        day: the date as text; every day has its own clouds, which drift over all squares alike.
        origin: easting and northing of the upper left corner, metres.
        shape: rows and columns of 20 m.
        valid: which of them hold data.
        cover: share of valid pixels that clouds shall cover, 0..1.
    """
    rows, columns = shape
    field = SmoothField(seed, f"cloud {day}", 400.0, 3.2, side=256)
    rough = SmoothField(seed, f"billow {day}", 120.0, 1.2, side=512)
    total = _sample(field, origin, shape) + np.float32(0.35) * _sample(rough, origin, shape)
    if cover <= 0 or not valid.any():
        return Sky(np.zeros(shape, np.float32), np.zeros(shape, np.bool_))
    level = np.quantile(total[valid], 1 - cover)
    veil = np.clip((total - level) / 0.45, 0, 1).astype(np.float32)
    veil[veil < 0.02] = 0.0
    move = np.array([[1, 0, SHADOW_SHIFT[0]], [0, 1, -SHADOW_SHIFT[1]]], dtype=np.float32)
    cast = cv2.warpAffine(veil, move, (columns, rows), flags=cv2.INTER_NEAREST)
    return Sky(veil, (cast > 0.3) & (veil == 0))


def _sample(field: SmoothField, origin: tuple[float, float], shape: tuple[int, int]) -> FloatArray:
    """Read a field on the 20 m grid, by way of a coarser one since it is smooth."""
    x = origin[0] + 20.0 * np.arange(0, shape[1] + 4, 4, dtype=np.float64)
    y = origin[1] - 20.0 * np.arange(0, shape[0] + 4, 4, dtype=np.float64)
    coarse = field.at(x[None, :], y[:, None]).astype(np.float32)
    u, v = np.arange(shape[1], dtype=np.float32) / 4, np.arange(shape[0], dtype=np.float32) / 4
    grid_u, grid_v = np.meshgrid(u, v)
    return np.asarray(cv2.remap(coarse, grid_u, grid_v, cv2.INTER_LINEAR), dtype=np.float32)


def under(dn: NDArray[np.uint16], sky: Sky) -> NDArray[np.uint16]:
    """Return the digital numbers (rows, columns, 4) of 10 m as seen through the clouds; nodata (0) stays 0."""
    veil = np.repeat(np.repeat(sky.veil, 2, axis=0), 2, axis=1)
    shade = np.repeat(np.repeat(sky.shadow, 2, axis=0), 2, axis=1)
    out = dn.copy()
    hit = (veil > 0) & (dn[..., 0] > 0)
    part, share = dn[hit].astype(np.float32), veil[hit][:, None]
    out[hit] = np.round(part + (WHITE - part) * share).astype(np.uint16)
    dark = shade & (dn[..., 0] > 0)
    out[dark] = np.maximum(np.round(dn[dark] * SHADE), 1).astype(np.uint16)
    return out


def classify(dn: NDArray[np.uint16], sky: Sky, valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return the scene classification on the 20 m grid of cloudless digital numbers (2 rows, 2 columns, 4) and a sky."""
    small = cv2.resize(dn, (sky.veil.shape[1], sky.veil.shape[0]), interpolation=cv2.INTER_AREA).astype(np.float32)
    red, green, near = small[..., 0], small[..., 1], small[..., 3]
    scl = np.full(sky.veil.shape, BARE, dtype=np.uint8)
    scl[(near - red) > 0.28 * (near + red)] = VEGETATION
    scl[near < 0.75 * green] = WATER
    scl[sky.shadow] = SHADOW
    for code, low in ((CIRRUS, 0.0), (MEDIUM, 0.25), (HIGH, 0.6)):
        scl[sky.veil > low] = code
    scl[~valid] = NODATA
    return scl


def share_of(scl: NDArray[np.uint8], *codes: int) -> float:
    """Return the percentage of valid pixels that carry one of the codes, rounded as catalogues do."""
    valid = int((scl != NODATA).sum())
    return round(100.0 * int(np.isin(scl, codes).sum()) / valid, 6) if valid else 0.0


def drift(seed: int, square: str) -> np.random.Generator:
    """Return the stream that settles dates and cloudiness of a square's scenes."""
    return rng_of(seed, "scenes", square)

"""Near infrared and the seasons: what is not drawn but follows from the drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.noise import FloatArray

RIPENESS = {1: -0.5, 2: -0.5, 3: -0.3, 4: -0.1, 5: 0.0, 6: 0.0, 7: 0.25, 8: 0.45, 9: 0.55, 10: 0.7, 11: 0.3, 12: -0.4}
"""How far vegetation has turned yellow by month; below 0 it is dull and dark."""


def greenness(red: FloatArray, green: FloatArray) -> FloatArray:
    """Return the share of vegetation in 0..1 that a colour on the scale 0..255 tells of."""
    result: FloatArray = np.clip((green - red + 4.0) / 30.0, 0.0, 1.0)
    return result


def near_infrared(image: FloatArray, water: FloatArray) -> FloatArray:
    """Return near-infrared brightness (rows, columns) of a drawing (rows, columns, 3) on its scale.

    Args:
        image: red, green, blue.
        water: share of open water in each pixel, 0..1.

    Returns:
        Vegetation bright, soil and roofs a little above red, water dark.
    """
    light = image.mean(axis=-1)
    land = 0.6 * light + 0.6 * image[..., 0] + 150.0 * greenness(image[..., 0], image[..., 1])
    result: FloatArray = land * (1 - water) + 0.35 * light * water
    return result


def season(dn: NDArray[np.uint16], month: int) -> NDArray[np.uint16]:
    """Tint the vegetation of drawn pixels for a month.

    Args:
        dn: digital numbers (rows, columns, 4), red green blue near infrared.
        month: 1..12.

    Returns:
        Digital numbers of the same shape; ground without vegetation keeps its own.
    """
    ripe = RIPENESS[month]
    if ripe == 0.0:
        return dn
    out = dn.astype(np.float32)
    scale = 255.0 / 3000.0
    # Near infrared well above red marks vegetation; water and roofs stay.
    leaf = np.clip((out[..., 3] - 1.6 * out[..., 0]) / 1800.0, 0, 1) * np.clip((out[..., 1] * scale - 62) / 30, 0, 1)
    shift = np.array([260.0, 90.0, 0.0, -500.0]) if ripe > 0 else np.array([120.0, 260.0, 120.0, 900.0])
    out += leaf[..., None] * (shift * ripe).astype(np.float32)
    return np.clip(np.round(out), 1, 9999).astype(np.uint16)

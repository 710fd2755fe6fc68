"""Clouds and missing data of a tile, from the scene classification (SCL) of Sentinel-2 Level-2A.

Codes: 0 no data, 1 saturated or defective, 2 dark or topographic shadow, 3 cloud shadow, 4 vegetation, 5 bare, 6 water,
7 unclassified, 8 cloud of medium probability, 9 cloud of high probability, 10 thin cirrus, 11 snow or ice.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

CLOUD_CODES = (3, 8, 9, 10)
NO_DATA = 0


def cloud_fraction(scl: NDArray[np.uint8], codes: Sequence[int] = CLOUD_CODES) -> float:
    """The share of a tile's pixels, 0 to 1, that the classification calls cloud or cloud shadow.

    Args:
        scl: Scene classification of the tile, any shape.
        codes: The codes that count as cloud.
    """
    table = np.zeros(256, dtype=bool)
    table[list(codes)] = True
    return float(table[scl].mean()) if scl.size else 0.0


def nodata_fraction(scl: NDArray[np.uint8]) -> float:
    """The share of a tile's pixels, 0 to 1, where the scene has no data."""
    return float((scl == NO_DATA).mean()) if scl.size else 1.0

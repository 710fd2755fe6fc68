"""Colours as an aerial camera sees them, from the colours that the landscape gives its ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def tone(red: float, green: float, blue: float, near: float) -> NDArray[np.float64]:
    """Return a tone of four bands, 0..255."""
    return np.array([red, green, blue, near], dtype=np.float64)


def from_above(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tones (..., 4) of vegetated or bare ground whose satellite colours (..., 3) are given.

    The satellite's palette holds the blue haze of the whole air; an aeroplane flies below most of it. Near infrared follows from
    how much greener than red the ground is.
    """
    red, green, blue = (colour[..., k] for k in range(3))
    seen = np.stack([red * 0.88 + 12, green * 0.96 + 6, np.maximum(blue - 24, 14)], axis=-1)
    seen = 0.85 * seen + 0.15 * seen.mean(axis=-1, keepdims=True)
    leaf = np.clip((seen[..., 1] - seen[..., 0] + 4.0) / 30.0, 0, 1)
    near = 0.45 * seen.mean(axis=-1) + 0.45 * seen[..., 0] + 115 * leaf
    return np.concatenate([seen, near[..., None]], axis=-1)


def plain(colour: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return tones (..., 4) of roofs and tarmac whose colours (..., 3) are given: near infrared about as bright as red."""
    return np.concatenate([colour, 0.9 * colour[..., :1]], axis=-1)


GRASS = tone(96, 120, 68, 178)
LAWN = tone(104, 132, 74, 188)
LEAF = tone(62, 86, 48, 160)
CONIFER = tone(46, 68, 46, 118)
BARE = tone(164, 142, 112, 152)
ASPHALT = tone(128, 128, 130, 112)
CONCRETE = tone(176, 174, 168, 158)
WHITE = tone(232, 232, 230, 205)
WATER = tone(44, 62, 62, 22)

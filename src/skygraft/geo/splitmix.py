"""A hash of 64 bits. It is a published function and stays as it is: compiled loops of several modules may call it."""

from __future__ import annotations

import numpy as np

from skygraft.geo.compiled import compiled


@compiled
def mix(value: np.uint64) -> np.uint64:
    """The finaliser of splitmix64: each bit of the result depends on every bit of the value."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))

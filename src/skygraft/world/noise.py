"""Random streams and noise that are anchored to the ground, so that a place looks the same in every window."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

TEXTURE_SIDE = 512
TEXTURE_PAD = 160
TEXTURE_SIGMAS = {"grain": 0.8, "tuft": 2.0, "patch": 5.0, "stand": 14.0, "sweep": 40.0}
"""Names and correlation lengths (in drawing pixels) of the periodic textures."""


def rng_of(*keys: int | str) -> np.random.Generator:
    """Return the random stream that belongs to the given keys.

    Args:
        keys: seed, purpose and indices; text is hashed, so that streams of two purposes never meet.

    Returns:
        A generator that depends on nothing but the keys.
    """
    return np.random.default_rng([zlib.crc32(k.encode()) if isinstance(k, str) else int(k) & 0x7FFFFFFF for k in keys])


def periodic_noise(rng: np.random.Generator, side: int, sigma: float) -> FloatArray:
    """Return smooth noise of mean 0 and deviation 1 that repeats without a seam.

    Args:
        rng: source of randomness.
        side: pixels a side.
        sigma: width of the Gaussian kernel in pixels.

    Returns:
        Array (side, side).
    """
    freq = np.fft.fftfreq(side)
    gain = np.exp(-2.0 * (np.pi * sigma) ** 2 * freq**2)
    spectrum = np.fft.rfft2(rng.standard_normal((side, side), dtype=np.float32))
    spectrum *= gain[:, None] * gain[None, : side // 2 + 1]
    field = np.fft.irfft2(spectrum, s=(side, side))
    return np.asarray((field - field.mean()) / field.std(), dtype=np.float32)


@lru_cache(maxsize=4)
def textures(seed: int) -> dict[str, FloatArray]:
    """Return the periodic textures of a seed, padded so that any window up to the pad is a plain slice.

    Beside the named noises there are `slope_x` and `slope_y`, the slopes of one relief.
    """
    found = {name: periodic_noise(rng_of(seed, "texture", name), TEXTURE_SIDE, sigma) for name, sigma in TEXTURE_SIGMAS.items()}
    relief = found["stand"] + 0.4 * found["patch"]
    for axis, name in ((1, "slope_x"), (0, "slope_y")):
        slope = np.roll(relief, -1, axis) - np.roll(relief, 1, axis)
        found[name] = (slope / slope.std()).astype(np.float32)
    pad = ((0, TEXTURE_PAD), (0, TEXTURE_PAD))
    return {name: np.pad(field, pad, mode="wrap") for name, field in found.items()}


class SmoothField:
    """A smooth periodic field that can be read at any place, in metres.

    Args:
        seed: seed of the landscape.
        name: purpose; every purpose has its own field.
        step: metres between nodes.
        sigma: correlation length in nodes.
        side: nodes a side; the field repeats every `step * side` metres.
    """

    def __init__(self, seed: int, name: str, step: float, sigma: float, side: int = 512) -> None:
        """Draw the nodes."""
        self.step, self.side = step, side
        self.nodes = periodic_noise(rng_of(seed, "field", name), side, sigma)

    def at(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Interpolate the field bilinearly at places in metres; shapes broadcast."""
        u, v = np.broadcast_arrays(np.asarray(x) / self.step, np.asarray(y) / self.step)
        i, j = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        a, b = u - i, v - j
        i0, j0 = i % self.side, j % self.side
        i1, j1 = (i0 + 1) % self.side, (j0 + 1) % self.side
        low = self.nodes[j0, i0] * (1 - a) + self.nodes[j0, i1] * a
        high = self.nodes[j1, i0] * (1 - a) + self.nodes[j1, i1] * a
        result: NDArray[np.float64] = low * (1 - b) + high * b
        return result

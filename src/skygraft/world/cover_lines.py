"""Rivers and highways from above, drawn over the cells that they cross."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.canvas import Canvas, mix
from skygraft.world.curves import Curve
from skygraft.world.noise import FloatArray, rng_of

Run = tuple[Curve, slice]


def _banks(run: Run, extra: float | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    curve, part = run
    normal = np.stack([-curve.tangents[part, 1], curve.tangents[part, 0]], axis=1)
    reach = (curve.half_width[part] + extra)[:, None]
    return curve.points[part] + normal * reach, curve.points[part] - normal * reach


def river_colour(curve: Curve, seed: int) -> NDArray[np.float64]:
    """Return the colour of a river's water."""
    rng = rng_of(seed, "water", curve.index)
    clear = mix((40, 68, 84), (60, 88, 94), rng.random())
    return mix(clear, (104, 116, 112), rng.random() ** 2.5)


def draw_rivers(canvas: Canvas, runs: list[Run], seed: int) -> FloatArray:
    """Draw stretches of rivers with their banks; returns the share of water (rows, columns)."""
    water = np.zeros((canvas.rows, canvas.columns), dtype=np.float32)
    for run in runs:
        curve = run[0]
        stream = curve.variant == "stream"
        wood = canvas.band(*_banks(run, 26.0 if stream else 12.0))
        leafy = np.clip(0.55 + 0.6 * canvas.texture("patch"), 0, 1) if stream else np.float32(0.7)
        canvas.blend(wood * leafy, (48, 70, 66) if stream else (96, 104, 96))
        layer = canvas.band(*_banks(run, 0.0))
        ripple = 1.6 * canvas.texture("grain") + 0.8 * canvas.texture("patch") + 1.6 * canvas.texture("stand")
        canvas.blend(layer, river_colour(curve, seed))
        canvas.image += (layer * ripple)[..., None]
        water = np.maximum(water, layer)
    return water


def draw_highways(canvas: Canvas, runs: list[Run], seed: int) -> FloatArray:
    """Draw stretches of highways with their verges; returns the share of tarmac (rows, columns)."""
    paved = np.zeros((canvas.rows, canvas.columns), dtype=np.float32)
    for run in runs:
        curve, part = run
        rng = rng_of(seed, "tarmac", curve.index)
        tone = np.array([132.0, 132.0, 138.0]) * rng.uniform(0.86, 1.2)
        verge = canvas.band(*_banks(run, 13.0 if curve.variant == "motorway" else 7.0))
        canvas.blend(verge * np.float32(0.7), (62, 80, 78))
        layer = canvas.band(*_banks(run, 0.0))
        canvas.blend(layer, tone)
        if curve.variant == "motorway":
            middle = np.zeros_like(layer)
            cv2.polylines(middle, [canvas.pixels(curve.points[part])], False, 1.0, 1, cv2.LINE_AA, 4)
            canvas.blend(middle * np.float32(0.6), (88, 98, 96))
        paved = np.maximum(paved, layer)
    return paved

"""Forest, natural herbaceous land and lakes from above."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import Canvas, mix
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout, whole
from skygraft.world.noise import FloatArray, rng_of
from skygraft.world.plots import Keep

FORESTS = {0: (36, 60, 72), 1: (42, 70, 74), 2: (38, 64, 73)}
OPEN_LAND = {0: (92, 84, 94), 1: (134, 122, 116), 2: (80, 90, 88), 3: (96, 89, 92)}
WATERS = ((30, 58, 88), (36, 70, 86), (26, 46, 80), (54, 100, 104), (84, 132, 126), (44, 74, 84))
WATER_SHARE = (0.28, 0.22, 0.2, 0.1, 0.06, 0.14)


def lay_out_forest(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """One closed stand."""
    return whole(np.array(FORESTS[cell.variant]) * rng.uniform(0.92, 1.08) + rng.normal(0, 1.5, 3), rng)


def paint_forest(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """A dark canopy with a fine grain; light varies a little from stand to stand, some have a forest road."""
    canopy = 2.2 * canvas.texture("grain", layout.shift) + 2.0 * canvas.texture("tuft", layout.shift)
    canopy = canopy + 1.6 * canvas.texture("stand", layout.shift) + 2.2 * canvas.texture("sweep", layout.shift)
    canvas.image[:] = layout.base
    canvas.image += canopy[..., None] * np.array([0.8, 1.0, 0.8], dtype=np.float32)
    if layout.roll[0] < 0.3:
        canvas.blend(_meander(canvas, cell, layout, 7.0) * np.float32(0.5), (92, 94, 92))


def _meander(canvas: Canvas, cell: Cell, layout: Layout, width: float) -> FloatArray:
    """Return a layer in 0..1 with a path that winds across the cell."""
    along = np.linspace(-1400, 1400, 60)
    side = 120 * np.sin(along / (180 + 200 * layout.roll[1]) + 6 * layout.roll[2]) + 600 * (layout.roll[3] - 0.5)
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    xy = np.stack([cell.x + along * cos - side * sin, cell.y + along * sin + side * cos], axis=1)
    return canvas.path(xy, width)


def lay_out_herbaceous(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Open land without plots."""
    base = mix(np.array(OPEN_LAND[cell.variant]), (150, 132, 124), cell.dry * 0.4) * rng.uniform(0.76, 1.12)
    return whole(base, rng)


def paint_herbaceous(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Mottled ground, light and shade of small slopes, scattered shrubs."""
    slope = canvas.texture("slope_x", layout.shift) * np.float32(np.cos(cell.angle))
    slope = slope + canvas.texture("slope_y", layout.shift) * np.float32(np.sin(cell.angle))
    shade = slope * np.float32(4 + 10 * layout.roll[0])
    mottle = 4.0 * canvas.texture("grain", layout.shift) + 4.0 * canvas.texture("tuft", layout.shift)
    mottle = mottle + 2.5 * canvas.texture("patch", layout.shift) + 4.0 * canvas.texture("sweep", layout.shift)
    canvas.image[:] = layout.base
    canvas.image += (mottle + shade)[..., None] * np.array([1.1, 0.9, 0.8], dtype=np.float32)
    cut = 1.0 + 1.2 * layout.roll[4]
    shrubs = np.clip((canvas.texture("tuft", layout.shift) + 0.8 * canvas.texture("stand", layout.shift) - cut) * 2, 0, 1)
    canvas.blend(shrubs * np.float32(0.6), (58, 76, 74))
    if layout.roll[5] < 0.4:
        canvas.blend(_meander(canvas, cell, layout, 6.0) * np.float32(0.6), (168, 158, 148))


def lay_out_lake(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Water of one colour."""
    lake = rng_of("lake", cell.group)
    tone = np.array(WATERS[lake.choice(len(WATERS), p=WATER_SHARE)], dtype=np.float64)
    return whole(tone * lake.uniform(0.9, 1.1), rng)


def paint_lake(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Even water; wind and depth change it slowly."""
    calm = 0.35 * canvas.texture("grain", layout.shift) + 0.3 * canvas.texture("patch", layout.shift)
    calm = calm + 2.2 * canvas.texture("sweep", layout.shift) * np.float32(layout.roll[0])
    canvas.image[:] = layout.base
    canvas.image += calm[..., None]

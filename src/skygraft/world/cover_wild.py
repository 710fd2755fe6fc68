"""Forest, natural herbaceous land and lakes from above."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import Canvas, mix
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout, whole
from skygraft.world.noise import FloatArray, rng_of
from skygraft.world.plots import Keep

FORESTS = {0: (38, 63, 67), 1: (44, 73, 69), 2: (40, 67, 68)}
OPEN_LAND = {0: (92, 84, 94), 1: (134, 122, 116), 2: (80, 90, 88), 3: (96, 89, 92)}
WATERS = ((30, 58, 90), (35, 69, 93), (26, 46, 82), (54, 100, 106), (84, 132, 126), (42, 76, 98))
WATER_SHARE = (0.28, 0.22, 0.2, 0.1, 0.06, 0.14)


def lay_out_forest(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """One closed stand."""
    return whole(np.array(FORESTS[cell.variant]) * rng.uniform(0.92, 1.08) + rng.normal(0, 1.5, 3), rng)


def paint_forest(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """A dark canopy of crowns and their shade, younger stands, a clearing here and there, in some a forest road."""
    crowns = 4.0 * canvas.texture("grain", layout.shift) + 2.2 * canvas.texture("tuft", layout.shift)
    light = 1.8 * canvas.texture("sweep", layout.shift) + np.float32(1 + 3 * layout.roll[4]) * _slope(canvas, cell, layout)
    canvas.image[:] = layout.base
    canvas.image += (crowns + light)[..., None] * np.array([0.8, 1.0, 0.8], dtype=np.float32)
    young = np.clip((canvas.texture("stand", layout.shift) - 0.8 - layout.roll[5]) * 2.5, 0, 1)
    canvas.blend(young * np.float32(0.3), (54, 88, 72))
    bare = np.clip((canvas.texture("patch", layout.shift) - 2.3 - layout.roll[6]) * 3, 0, 1)
    canvas.blend(bare * np.float32(0.5), (98, 100, 92))
    if layout.roll[0] < 0.3:
        canvas.blend(_meander(canvas, cell, layout, 7.0) * np.float32(0.5), (92, 94, 92))


def _slope(canvas: Canvas, cell: Cell, layout: Layout) -> FloatArray:
    """Return the light on small slopes (rows, columns), about -1..1, as the sun of the cell falls."""
    slope = canvas.texture("slope_x", layout.shift) * np.float32(np.cos(cell.angle))
    return np.asarray(slope + canvas.texture("slope_y", layout.shift) * np.float32(np.sin(cell.angle)), dtype=np.float32)


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
    shade = _slope(canvas, cell, layout) * np.float32(4 + 10 * layout.roll[0])
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
    calm = 1.6 * canvas.texture("grain", layout.shift) + 0.3 * canvas.texture("patch", layout.shift)
    calm = calm + 2.2 * canvas.texture("sweep", layout.shift) * np.float32(layout.roll[0])
    canvas.image[:] = layout.base
    canvas.image += calm[..., None]

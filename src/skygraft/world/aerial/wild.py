"""Forest, natural herbaceous land and lakes from an aeroplane."""

from __future__ import annotations

import numpy as np

from skygraft.world.aerial.canvas import AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.stamps import boxes, put
from skygraft.world.aerial.tones import CONIFER, LEAF, WATER, WHITE, from_above, tone
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.noise import FloatArray, rng_of

STANDS = {0: ((3.6, 3.6), (1.6, 2.2)), 1: ((6.4, 6.4), (3.2, 4.3)), 2: ((4.9, 4.9), (2.2, 3.2))}
"""Spacing and crowns of conifers, broadleaved trees and both, metres."""
OPEN_LAND = {0: tone(122, 104, 96, 130), 1: tone(172, 154, 116, 158), 2: tone(128, 132, 84, 165), 3: tone(140, 128, 96, 145)}
SHRUBS = {0: 0.35, 1: 0.18, 2: 0.25, 3: 0.75}
"""Share of squares that hold a shrub, by variant: heath, steppe, rough grass, scrub."""


def paint_forest(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Crown beside crown over deep shade; young stands and clearings where the satellite sees them, in some a forest road."""
    own = from_above(layout.base)
    leaf = 0.45 * own + 0.55 * (CONIFER, LEAF, 0.5 * (CONIFER + LEAF))[cell.variant]
    # Between crowns lies shade; pixels wider than a crown see both at once.
    canvas.fill(leaf * (0.5 + 0.35 * min(1.0, max(0.0, canvas.gsd - 1.6) / 3.0)))
    spacing, radius = STANDS[cell.variant]
    bare = np.clip((canvas.ground("patch", layout.shift) - 2.3 - layout.roll[6]) * 3, 0, 1)
    road = _meander(canvas, cell, layout, 4.5) if layout.roll[0] < 0.3 else np.zeros_like(bare)
    clear = np.clip(bare + road, 0, 1)
    canvas.blend(clear, tone(142, 132, 98, 165))
    canvas.light(clear * 4 * canvas.noise("grain", 0.6))
    young = np.clip((canvas.ground("stand", layout.shift) - 0.8 - layout.roll[5]) * 2.5, 0, 1)
    light = 3.0 * canvas.ground("sweep", layout.shift) + np.float32(2 + 4 * layout.roll[4]) * _slope(canvas, cell, layout)
    plant(canvas, Stand(spacing, radius, share=0.97, salt=cell.index, height=0.0), leaf, 1 - clear, contrast=1.15)
    plant(canvas, Stand((9.5, 9.5), (3.0, 5.2), share=0.5, salt=cell.index + 5, height=3.0), leaf * 1.06, 1 - clear, contrast=0.9)
    canvas.light(light + 2.5 * canvas.noise("grain", 0.5, layout.shift), (0.9, 1.0, 0.7, 1.6))
    canvas.blend(0.25 * young, tone(84, 108, 58, 178))


def _slope(canvas: AirCanvas, cell: Cell, layout: Layout) -> FloatArray:
    """Return the light on small slopes (rows, columns), about -1..1, as the sun of the cell falls."""
    east = canvas.ground("slope_x", layout.shift) * np.float32(np.cos(cell.angle))
    return np.asarray(east + canvas.ground("slope_y", layout.shift) * np.float32(np.sin(cell.angle)), dtype=np.float32)


def _meander(canvas: AirCanvas, cell: Cell, layout: Layout, width: float) -> FloatArray:
    """Return a layer in 0..1 with the path that winds across the cell, as the satellite's drawing has it."""
    cos, sin = np.cos(cell.angle), np.sin(cell.angle)
    dx, dy = canvas.x - cell.x, canvas.y - cell.y
    along, off = dx * cos + dy * sin, dy * cos - dx * sin
    wave = 180 + 200 * layout.roll[1]
    side = 120 * np.sin(along / wave + 6 * layout.roll[2]) + 600 * (layout.roll[3] - 0.5)
    lean = np.hypot(1.0, 120 / wave * np.cos(along / wave + 6 * layout.roll[2]))
    share = np.clip(0.5 + (width / 2 - np.abs(off - side) / lean) / max(canvas.gsd, 0.6), 0, 1)
    return np.asarray(share, dtype=np.float32)


def paint_herbaceous(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Rough ground without rows or borders: tussocks, light on small slopes, shrubs in loose groups, a trodden path."""
    own = 0.45 * from_above(layout.base) + 0.55 * OPEN_LAND[cell.variant]
    canvas.fill(own)
    mottle = 6.0 * canvas.noise("grain", 0.45, layout.shift) + 7.0 * canvas.noise("tuft", 0.9, layout.shift)
    mottle = mottle + 7.0 * canvas.noise("patch", 1.4, layout.shift) + 6.0 * canvas.ground("patch", layout.shift)
    mottle = mottle + 4.0 * canvas.ground("sweep", layout.shift) + np.float32(4 + 10 * layout.roll[0]) * _slope(canvas, cell, layout)
    canvas.light(mottle, (1.1, 0.95, 0.8, 0.9))
    green = np.clip(canvas.noise("tuft", 2.6, (layout.shift[1], layout.shift[0])) - 0.4, 0, 1)
    canvas.blend(0.4 * green, tone(104, 116, 68, 165) if cell.variant != 0 else tone(112, 84, 92, 120))
    cut = 1.0 + 1.2 * layout.roll[4]
    dense = np.clip((canvas.ground("tuft", layout.shift) + 0.8 * canvas.ground("stand", layout.shift) - cut) * 2, 0, 1)
    shrub = tone(74, 88, 56, 140) if cell.variant != 0 else tone(84, 72, 66, 110)
    thin = np.clip(canvas.noise("patch", 2.2, layout.shift) * 1.5 + 0.6, 0, 1)
    plant(canvas, Stand((5.2, 5.2), (0.9, 2.3), share=SHRUBS[cell.variant], salt=cell.index, height=1.6), shrub, thin)
    plant(canvas, Stand((4.2, 4.2), (1.4, 2.2), share=0.85, salt=cell.index + 3, height=2.5), shrub * 0.9, dense)
    if layout.roll[5] < 0.4:
        canvas.blend(0.7 * _meander(canvas, cell, layout, 2.6), tone(196, 178, 146, 178))


def paint_lake(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Dark water with ripples; on wide lakes longer waves and now and then a white boat."""
    own = 0.5 * from_above(layout.base) + 0.5 * WATER
    own[3] = WATER[3]
    canvas.fill(own)
    wind = rng_of("wind", cell.group).random() * np.pi
    ripple = 1.6 * canvas.noise("grain", 0.8, angle=wind, stretch=3.0) + 1.2 * canvas.noise("tuft", 2.5, layout.shift)
    ripple = ripple + 2.0 * canvas.ground("sweep", layout.shift)
    if cell.variant == 1:
        ripple = ripple + 3.0 * canvas.waves(wind + np.pi / 2, 7.0) * np.clip(canvas.noise("patch", 2.0), 0, 1)
        _boats(canvas, cell)
    canvas.light(ripple, (1.0, 1.0, 1.0, 0.4))


def _boats(canvas: AirCanvas, cell: Cell) -> None:
    """Put small white boats on the water, each with its wake."""
    rng = rng_of("boats", cell.index)
    middle = np.array([cell.x, cell.y]) + rng.uniform(-600, 600, (22, 2))
    turn = rng.uniform(0, 2 * np.pi, 22)
    ahead = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    aside = ahead[:, ::-1] * np.array([-1.0, 1.0])
    wake = boxes(canvas, middle - ahead * 13.0, ahead * 10.0, aside * 0.8)
    put(canvas, wake, tone(150, 164, 164, 60), 0.5)
    put(canvas, boxes(canvas, middle, ahead * 3.4, aside * 1.2), WHITE)

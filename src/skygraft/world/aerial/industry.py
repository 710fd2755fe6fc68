"""Industry from an aeroplane: wide roofs, yards with lorries, car parks, tanks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.built import sides, street_between
from skygraft.world.aerial.canvas import SUN, AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.plots import lookup, plot_map
from skygraft.world.aerial.stamps import boxes, cast, discs, put
from skygraft.world.aerial.tones import LAWN, LEAF, WHITE, plain, tone
from skygraft.world.aerial.vehicles import TRUCKS, park
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.noise import rng_of


def paint_industrial(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Wide roofs with rows of windows and their shadow, yards with lorries and containers, car parks, tanks."""
    at = np.array([cell.x, cell.y])
    plots = plot_map(canvas, layout.quads + at)
    base = plain(layout.base)
    canvas.image[:] = lookup(plots, plain(layout.colours) * 1.12, base)
    lawns = (lookup(plots, (layout.marks == 1).astype(np.float64), 0.0) > 0.5).astype(np.float32)
    canvas.blend(lawns, LAWN * 0.94)
    canvas.light(6.0 * canvas.noise("patch", 1.6, layout.shift) + 4.0 * canvas.noise("tuft", 1.0) + 2.5 * canvas.noise("grain", 0.5))
    street_between(canvas, plots, 4.5)
    strip = np.clip(1 - np.abs(plots.inside - 8.0) / 1.6, 0, 1) * (canvas.noise("patch", 3.0) > -0.2)
    canvas.blend(0.8 * strip, LAWN * 0.9)
    halls, roofs = layout.details["halls"]
    shown = canvas.near(halls.mean(axis=1) + at, 260.0)
    middle, a, b = sides(halls[shown] + at)
    _car_parks(canvas, cell, layout, at)
    cast(canvas, middle, a, b, 10.0)
    _halls(canvas, (middle, a, b), plain(roofs[shown]), shown)
    if cell.variant == 1:
        _tanks(canvas, layout.quads[layout.marks == 3].mean(axis=1) + at)
    plant(canvas, Stand((11.0, 11.0), (1.8, 3.2), share=0.35, salt=cell.index, height=5.0), LEAF, np.maximum(lawns, 0.9 * strip))


def _halls(
    canvas: AirCanvas,
    place: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    tones: NDArray[np.float64],
    number: NDArray[np.int64],
) -> None:
    """Draw the roofs of halls: sheets in stripes, rows of windows or vents, a bright rim."""
    middle, a, b = place
    stamp = boxes(canvas, middle, a, b)
    long, wide = np.hypot(*a.T)[stamp.shape], np.hypot(*b.T)[stamp.shape]
    along, across = stamp.u * long, stamp.v * wide
    sheets = np.cos(along * (2 * np.pi / 6.0)) * canvas.fade(6.0)
    rim = np.minimum(long - np.abs(along), wide - np.abs(across)) < 1.2
    level = 1 + 0.05 * sheets + 0.13 * rim + 0.05 * np.sign(stamp.v) * (number[stamp.shape] % 2)
    put(canvas, stamp, tones[stamp.shape] * level[:, None])
    # Windows in the roof lie in rows across the hall.
    row = np.abs((along + 200 * 9.0) % 9.0 - 4.5) < 0.9
    pane = row & (np.abs(stamp.v) < 0.75) & (number[stamp.shape] % 3 != 2)
    glass = np.where((number[stamp.shape] % 2 == 0)[:, None], tone(96, 112, 128, 92), WHITE * 1.04)
    flat = canvas.image.reshape(-1, 4)
    chosen = stamp.pixel[pane]
    share = (0.75 * stamp.cover[pane] * canvas.fade(9.0))[:, None]
    flat[chosen] += (share * (glass[pane] - flat[chosen])).astype(np.float32)


def _car_parks(canvas: AirCanvas, cell: Cell, layout: Layout, at: NDArray[np.float64]) -> None:
    """Fill the lots without a hall: cars in rows on some, lorries and containers on the others."""
    rng = rng_of("yards", cell.index)
    wanted = (layout.marks == 2) | ((layout.marks == 3) & (cell.variant != 1))
    for quad, mark, luck in zip(layout.quads[wanted] + at, layout.marks[wanted], rng.random(int(wanted.sum())), strict=True):
        middle, a, b = sides(quad[None])
        reach = float(np.hypot(*a[0]) + np.hypot(*b[0]))
        if not len(canvas.near(middle, reach)):
            continue
        # Rows of bays for cars; wider and fewer for lorries and containers.
        long, wide = (2.7, 8.4) if mark == 3 else (14.5, 5.0)
        n, m = int(max(0, 2 * np.hypot(*a[0]) - 22) // long), int(max(0, 2 * np.hypot(*b[0]) - 22) // wide)
        if not n or not m:
            continue
        own = rng_of("bays", cell.index, int(luck * 1e6))
        i, j = np.meshgrid((np.arange(n) + 0.5 - n / 2) * long, (np.arange(m) + 0.5 - m / 2) * wide)
        unit_a, unit_b = a[0] / np.hypot(*a[0]), b[0] / np.hypot(*b[0])
        places = middle + i.reshape(-1, 1) * unit_a + j.reshape(-1, 1) * unit_b
        chance = own.random((len(places), 2))
        keep = chance[:, 0] < (0.62 if mark == 3 else 0.4)
        direction = np.tile(unit_b if mark == 3 else unit_a, (int(keep.sum()), 1))
        park(canvas, places[keep], direction, chance[keep, 1], TRUCKS if mark != 3 else None)


def _tanks(canvas: AirCanvas, lots: NDArray[np.float64]) -> None:
    """Draw four white tanks on each lot, with their shadow and a stair around."""
    shifts = np.array([(-24.0, -20.0), (26.0, -16.0), (-20.0, 26.0), (24.0, 28.0)])
    middle = (lots[:, None] + shifts).reshape(-1, 2)
    radius = np.full(len(middle), 17.0)
    basin = discs(canvas, middle, radius * 1.2)
    put(canvas, basin, tone(150, 144, 132, 140), 0.7)
    for share in (0.4, 0.75):
        shadow = discs(canvas, middle - SUN * 10.0 * share, radius)
        put(canvas, shadow, tone(58, 60, 64, 50), 0.8)
    stamp = discs(canvas, middle, radius)
    far = np.hypot(stamp.u, stamp.v)
    level = 1 + 0.06 * (stamp.u * SUN[0] + stamp.v * SUN[1]) - 0.1 * (np.abs(far - 0.92) < 0.05) - 0.12 * (far < 0.07)
    put(canvas, stamp, WHITE * level[:, None])

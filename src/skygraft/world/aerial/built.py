"""Towns from an aeroplane: roofs with their shadow, gardens, streets and what is parked there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import SUN, AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.plots import PlotMap, plot_map
from skygraft.world.aerial.stamps import boxes, cast, put
from skygraft.world.aerial.tones import ASPHALT, CONCRETE, LAWN, LEAF, plain, tone
from skygraft.world.aerial.vehicles import park
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.noise import rng_of

FLATS = 2
HEIGHTS = {0: 5.0, 1: 6.5, 2: 15.0}
"""Height of the buildings by variant, metres: houses, terraces, blocks of flats."""


def sides(quads: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return middles and half sides (n, 2) of the parallelograms nearest to quads (n, 4, 2), the longer half side first."""
    middle = quads.mean(axis=1)
    a = (quads[:, 1] + quads[:, 2] - quads[:, 0] - quads[:, 3]) / 4
    b = (quads[:, 2] + quads[:, 3] - quads[:, 0] - quads[:, 1]) / 4
    long = (np.hypot(*a.T) >= np.hypot(*b.T))[:, None]
    return middle, np.where(long, a, b), np.where(long, b, a)


def paint_residential(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Gardens between streets, roofs of two slopes or flat ones, trees, hedges, cars at the kerb."""
    at = np.array([cell.x, cell.y])
    plots = plot_map(canvas, layout.quads + at)
    dry = tone(170, 156, 120, 165)
    canvas.fill(LAWN * (1 - 0.6 * cell.dry) + dry * (0.6 * cell.dry))
    lot = canvas.noise("patch", 2.4, layout.shift)
    canvas.light(9.0 * lot + 5.0 * canvas.noise("grain", 0.5) + 4.0 * canvas.noise("tuft", 0.8, layout.shift), (1.1, 0.9, 0.8, 0.9))
    yard = np.clip((canvas.noise("patch", 1.5, (layout.shift[1], layout.shift[0])) - 0.7) * 4, 0, 1)
    canvas.blend(0.8 * yard, CONCRETE * 0.92)
    street = 4.2 if cell.variant != FLATS else 5.5
    street_between(canvas, plots, street)
    houses, colours = layout.details["houses"]
    shown = canvas.near(houses.mean(axis=1) + at, 60.0)
    middle, a, b = sides(houses[shown] + at)
    tones = plain(colours[shown])
    green = Stand((2.6, 2.6), (0.8, 1.6), share=0.13, salt=cell.index, height=1.5)
    plant(canvas, green, LEAF, np.clip(plots.inside - street - 1.0, 0, 1))
    cast(canvas, middle, a, b, HEIGHTS[cell.variant])
    (_flat_roofs if cell.variant == FLATS else _roofs)(canvas, middle, a, b, tones)
    share = 0.5 if cell.variant != FLATS else 0.4
    trees = Stand((9.5, 9.5), (2.0, 3.6), share=share * (1 - 0.6 * cell.dry), salt=cell.index + 9, height=6.0)
    plant(canvas, trees, LEAF, np.clip(plots.inside - street - 0.3, 0, 1) * (1 - _taken(canvas, middle, a, b)))
    park(canvas, *_kerbs(cell, layout.quads + at, street))


def _taken(canvas: AirCanvas, middle: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the share of each pixel under roofs (rows, columns); trees stand beside them and lean over a little."""
    layer = np.zeros(canvas.rows * canvas.columns)
    stamp = boxes(canvas, middle, a * 0.9, b * 0.9)
    layer[stamp.pixel] = stamp.cover
    return layer.reshape(canvas.rows, canvas.columns)


def street_between(canvas: AirCanvas, plots: PlotMap, half: float) -> None:
    """Lay streets along the edges of the blocks, with pavements and a line in the middle of the wider ones."""
    soft = max(canvas.gsd, 0.4)
    walk = np.clip(0.5 + (half + 1.6 - plots.inside) / soft, 0, 1)
    canvas.blend(walk, CONCRETE + 8.0)
    road = np.clip(0.5 + (half - plots.inside) / soft, 0, 1)
    canvas.blend(road, ASPHALT)
    canvas.light((road * (4 * canvas.noise("patch", 1.0) + 2.5 * canvas.noise("grain", 0.5))).astype(np.float32))


def _roofs(
    canvas: AirCanvas, middle: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], tones: NDArray[np.float64]
) -> None:
    """Draw roofs of two slopes: the one towards the sun is brighter; a bright ridge and dark eaves."""
    stamp = boxes(canvas, middle, a, b)
    facing = (b / np.maximum(np.hypot(*b.T), 0.1)[:, None]) @ SUN
    slope = np.clip(stamp.v * 6, -1, 1) * facing[stamp.shape]
    level = 1.0 + 0.24 * slope + 0.10 * np.clip(1 - np.abs(stamp.v) * 9, 0, 1) - 0.12 * np.clip((np.abs(stamp.u) - 0.94) * 20, 0, 1)
    put(canvas, stamp, tones[stamp.shape] * level[:, None])
    # A chimney on every roof, beside the ridge.
    half = np.full((len(middle), 2), 0.0)
    half[:, 0] = 0.45
    side = half[:, ::-1]
    put(canvas, boxes(canvas, middle + 0.4 * a + 0.25 * b, half, side), tone(84, 70, 66, 72), 0.9)


def _flat_roofs(
    canvas: AirCanvas, middle: NDArray[np.float64], a: NDArray[np.float64], b: NDArray[np.float64], tones: NDArray[np.float64]
) -> None:
    """Draw flat roofs: grey gravel within a bright rim, stair heads and vents on top."""
    stamp = boxes(canvas, middle, a, b)
    grey = 0.35 * tones + 0.65 * tone(168, 166, 162, 150)
    rim = np.clip((np.maximum(np.abs(stamp.u), np.abs(stamp.v)) - 0.93) * 16, 0, 1)[:, None]
    put(canvas, stamp, grey[stamp.shape] * (1 + 0.2 * rim))
    for along in (-0.55, 0.1, 0.6):
        top = middle + a * along
        unit_a, unit_b = a / np.maximum(np.hypot(*a.T), 0.1)[:, None], b / np.maximum(np.hypot(*b.T), 0.1)[:, None]
        cast(canvas, top, unit_a * 1.9, unit_b * 1.5, 2.5)
        put(canvas, boxes(canvas, top, unit_a * 1.9, unit_b * 1.5), tone(196, 194, 190, 170))


def _kerbs(cell: Cell, quads: NDArray[np.float64], street: float) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return places (n, 2), directions (n, 2) and a number in 0..1 (n,) of the cars parked along blocks."""
    rng = rng_of("kerbs", cell.index)
    start, end = quads.reshape(-1, 2), np.roll(quads, -1, axis=1).reshape(-1, 2)
    inward = np.repeat(quads.mean(axis=1), 4, axis=0) - (start + end) / 2
    side = end - start
    length = np.maximum(np.hypot(*side.T), 1.0)
    unit = side / length[:, None]
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    normal *= np.sign((normal * inward).sum(axis=1))[:, None]
    slots = np.maximum((length - 16) // 6.5, 0).astype(np.int64)
    owner = np.repeat(np.arange(len(start)), slots)
    slot = np.arange(len(owner)) - np.repeat(np.cumsum(slots) - slots, slots)
    luck = rng.random((len(owner), 2))
    keep = luck[:, 0] < 0.42
    owner, slot, luck = owner[keep], slot[keep], luck[keep]
    places = start[owner] + unit[owner] * (8 + 6.5 * slot + luck[:, 1])[:, None] + normal[owner] * (street - 1.2)
    return places, unit[owner], luck[:, 1]

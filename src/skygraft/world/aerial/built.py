"""Towns and industry from an aeroplane: roofs with their shadow, gardens, streets and what is parked there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import SUN, AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.plots import PlotMap, lookup, plot_map
from skygraft.world.aerial.stamps import boxes, cast, discs, put
from skygraft.world.aerial.tones import ASPHALT, CONCRETE, LAWN, LEAF, WHITE, plain, tone
from skygraft.world.aerial.vehicles import TRUCKS, park
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.noise import rng_of

FLATS = 2
HEIGHTS = {0: 5.0, 1: 6.5, 2: 15.0}
"""Height of the buildings by variant, metres: houses, terraces, blocks of flats."""


def _sides(quads: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
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
    _street(canvas, plots, street)
    houses, colours = layout.details["houses"]
    shown = canvas.near(houses.mean(axis=1) + at, 60.0)
    middle, a, b = _sides(houses[shown] + at)
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


def _street(canvas: AirCanvas, plots: PlotMap, half: float) -> None:
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


def paint_industrial(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Wide roofs with rows of windows and their shadow, yards with lorries and containers, car parks, tanks."""
    at = np.array([cell.x, cell.y])
    plots = plot_map(canvas, layout.quads + at)
    base = plain(layout.base)
    canvas.image[:] = lookup(plots, plain(layout.colours) * 1.12, base)
    lawns = (lookup(plots, (layout.marks == 1).astype(np.float64), 0.0) > 0.5).astype(np.float32)
    canvas.blend(lawns, LAWN * 0.94)
    canvas.light(6.0 * canvas.noise("patch", 1.6, layout.shift) + 4.0 * canvas.noise("tuft", 1.0) + 2.5 * canvas.noise("grain", 0.5))
    _street(canvas, plots, 4.5)
    strip = np.clip(1 - np.abs(plots.inside - 8.0) / 1.6, 0, 1) * (canvas.noise("patch", 3.0) > -0.2)
    canvas.blend(0.8 * strip, LAWN * 0.9)
    halls, roofs = layout.details["halls"]
    shown = canvas.near(halls.mean(axis=1) + at, 260.0)
    middle, a, b = _sides(halls[shown] + at)
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
        middle, a, b = _sides(quad[None])
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

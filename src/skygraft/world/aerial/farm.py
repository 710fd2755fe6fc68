"""Fields, plantations and pastures from an aeroplane: furrows and tracks, rows of vines, trees on a grid, cattle."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import SUN, AirCanvas
from skygraft.world.aerial.crowns import Stand, plant
from skygraft.world.aerial.plots import PlotMap, lookup, plot_map
from skygraft.world.aerial.stamps import boxes, cast, put
from skygraft.world.aerial.tones import GRASS, LEAF, from_above, tone
from skygraft.world.cells import Cell
from skygraft.world.layout import Layout
from skygraft.world.noise import rng_of
from skygraft.world.recipe import SURVEY_YEAR

TRAMLINE, GAUGE = 21.0, 1.9
"""Metres between the tracks of a sprayer and between its two wheels."""
ROWS = {"maize": 0.75, "sunflower": 0.75, "bare": 1.5}
"""Metres between the rows of a crop; the furrows of bare soil show every second."""
CROPS = {"rape": tone(176, 170, 62, 175), "sunflower": tone(150, 142, 62, 165)}
VINES, ORCHARD, HOPS = 0, 1, 2
VINE_ROW, HOP_ROW, TREE_ROW = 2.6, 3.4, 5.0


def _quads(cell: Cell, layout: Layout) -> NDArray[np.float64]:
    return np.asarray(layout.quads + np.array([cell.x, cell.y]))


def _directions(quads: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the direction of each plot's longer side (n,), radians."""
    first, second = quads[:, 1] - quads[:, 0], quads[:, 2] - quads[:, 1]
    side = np.where((np.hypot(*first.T) >= np.hypot(*second.T))[:, None], first, second)
    return np.asarray(np.arctan2(side[:, 1], side[:, 0]) % np.pi)


def _sown(cell: Cell, layout: Layout, year: int) -> tuple[NDArray[np.float64], list[str]]:
    """Return tones (n, 4) and names of the plots' crops in a year: in others than the survey's they have moved on by plots."""
    order = (np.arange(len(layout.quads)) + 5 * (year - SURVEY_YEAR)) % len(layout.quads)
    names = [layout.kinds[k] for k in order.tolist()]
    tones = from_above(layout.colours[order])
    for k, name in enumerate(names):
        if name in CROPS:
            tones[k] = 0.6 * CROPS[name] + 0.4 * tones[k]
    return tones, names


def paint_annual(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Large fields of one tone each, tracks and furrows along their longer side, grass between them."""
    quads = _quads(cell, layout)
    plots = plot_map(canvas, quads)
    tones, names = _sown(cell, layout, year)
    verge = 0.5 * from_above(layout.base) + 0.5 * GRASS
    canvas.image[:] = lookup(plots, tones, verge)
    directions = _directions(quads)
    soil = 3.0 * canvas.ground("sweep", layout.shift) + 3.0 * canvas.ground("patch", layout.shift) + 2.5 * canvas.noise("grain", 0.5)
    canvas.light(soil + 3.0 * canvas.noise("tuft", 1.1, layout.shift))
    for number in plots.shown:
        _work(canvas, plots, number, names[number], float(directions[number]))
    edge = np.clip(1.5 - plots.inside / 1.6 + 0.3 * canvas.noise("tuft", 0.8), 0, 1)
    canvas.blend(edge * (0.55 + 0.45 * layout.roll[1]), verge + 8 * rng_of("verge", cell.index).normal())


def _work(canvas: AirCanvas, plots: PlotMap, number: int, name: str, direction: float) -> None:
    """Draw the drills, furrows and wheel tracks of one field."""
    mine = (plots.index == number).astype(np.float32)
    drawn = 6.0 if name == "bare" else 3.5
    drills = drawn * canvas.noise("grain", 0.7, angle=direction, stretch=25.0) + 0.6 * drawn * canvas.noise(
        "tuft", 2.2, angle=direction, stretch=12.0
    )
    if name in ROWS:
        drills = drills + (11.0 if name == "bare" else 14.0) * canvas.waves(direction + np.pi / 2, ROWS[name])
    canvas.light(mine * drills, (1.0, 0.95, 0.8, 1.0))
    # A sprayer's two wheels; the headland is worked across.
    off = (plots.across + 0.5 * TRAMLINE * (number % 2)) % TRAMLINE - TRAMLINE / 2
    wheels = np.clip(0.5 + (0.35 - np.abs(np.abs(off) - GAUGE / 2)) / max(canvas.gsd, 0.35), 0, 1) * min(1.0, 1.4 / canvas.gsd)
    headland = np.clip(0.5 + (0.4 - np.abs(plots.inside - 12.0)) / max(canvas.gsd, 0.35), 0, 1) * min(1.0, 1.2 / canvas.gsd)
    tracks = np.where(plots.inside > 12.0, wheels, headland) * (0.2 if name == "bare" else 0.42)
    canvas.blend(mine * tracks, tone(150, 130, 104, 130))


def paint_permanent(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Vines or hops in rows, or fruit trees on a grid, plot by plot with grass tracks between."""
    quads = _quads(cell, layout)
    plots = plot_map(canvas, quads)
    tones = from_above(layout.colours)
    # Between the rows the ground is grass or bare soil; the satellite sees their mean with the leaves.
    bare = (layout.colours[:, 0] > layout.colours[:, 1] + 12)[:, None]
    ground = np.where(bare, 0.55 * tones + 0.45 * tone(178, 156, 124, 160), 0.6 * tones + 0.4 * tone(128, 140, 90, 172))
    canvas.image[:] = lookup(plots, ground, tone(176, 162, 132, 165))
    canvas.light(
        3.0 * canvas.noise("grain", 0.5) + 3.0 * canvas.ground("sweep", layout.shift) + 3.0 * canvas.noise("tuft", 1.2, layout.shift)
    )
    planted = np.clip((plots.inside - 2.5) / max(0.5, canvas.gsd), 0, 1)
    turned = lookup(plots, (layout.marks > 0).astype(np.float64), 0.0) > 0.5
    for across, mask in ((0.0, turned), (np.pi / 2, ~turned)):
        if mask.any():
            _rows(canvas, cell, planted * mask, cell.angle + across)


def _rows(canvas: AirCanvas, cell: Cell, mask: NDArray[np.float64], angle: float) -> None:
    """Plant rows that run along an angle."""
    if cell.variant == ORCHARD:
        stand = Stand((4.4, TREE_ROW), (1.5, 2.0), share=0.96, jitter=0.05, angle=angle, salt=cell.index, height=3.2)
        plant(canvas, stand, LEAF * 0.96, mask)
        return
    period, leaf, depth = (VINE_ROW, tone(74, 98, 50, 165), 0.85) if cell.variant == VINES else (HOP_ROW, tone(70, 104, 52, 172), 0.95)
    across = angle + np.pi / 2
    gaps = np.clip(1.15 + 0.5 * canvas.noise("tuft", 0.45, (cell.index, 0)), 0, 1)
    body = np.clip(canvas.waves(across, period) * 1.4 + 0.1, 0, 1) * gaps * depth
    # The shadow lies beside the leaves, away from the sun.
    aside = -0.3 * period * float(np.sign(SUN @ np.array([np.cos(across), np.sin(across)])))
    shadow = np.clip(canvas.waves(across, period, aside) * 1.2 - 0.1, 0, 1)
    canvas.shade(0.35 * mask * shadow)
    flat = 0.4 * depth * (1 - canvas.fade(period))
    # After every sixth row a lane is left for the tractor: it tells a vineyard where the rows are too fine to see.
    lanes = 1 - 0.55 * np.clip(canvas.waves(across, 6 * period) * 1.6 - 0.6, 0, 1)
    canvas.blend(mask * (body + flat) * lanes, leaf)
    if cell.variant == HOPS:
        posts = Stand((9.0, 9.0), (0.5, 0.7), jitter=0.02, angle=angle, salt=cell.index, height=7.0)
        plant(canvas, posts, tone(196, 192, 178, 180), mask)


def paint_pasture(canvas: AirCanvas, cell: Cell, layout: Layout, year: int) -> None:
    """Even grass, hedges of bushes between most paddocks, single trees, and the animals that graze."""
    quads = _quads(cell, layout)
    plots = plot_map(canvas, quads)
    tones = 0.45 * from_above(layout.colours) + 0.55 * GRASS
    canvas.image[:] = lookup(plots, tones, GRASS)
    grass = 2.5 * canvas.noise("grain", 0.6) + 3.5 * canvas.noise("tuft", 1.6, layout.shift) + 3.0 * canvas.ground("sweep", layout.shift)
    canvas.light(grass + 4.0 * canvas.ground("patch", layout.shift), (1.0, 0.8, 0.6, 1.2))
    worn = np.clip((canvas.noise("tuft", 3.0, layout.shift) - 1.9) * 1.5, 0, 1)
    canvas.blend(0.35 * worn, tone(150, 140, 96, 160))
    hedged = lookup(plots, (layout.marks < 0.8).astype(np.float64), 0.0)
    path = np.clip(1.0 - np.abs(plots.inside - 5.5) / 0.6, 0, 1) * hedged
    canvas.blend(0.4 * path * min(1.0, 1.0 / canvas.gsd), tone(158, 146, 110, 160))
    bushes = Stand((2.9, 2.9), (1.2, 1.85), share=0.93, salt=cell.index, height=2.5)
    if (near := hedged * (plots.inside < 3.0)).any():
        plant(canvas, bushes, LEAF * 0.9, near)
    fence = np.clip(1.0 - plots.inside / 0.5, 0, 1) * (1 - hedged)
    canvas.blend(0.35 * fence * min(1.0, 0.6 / canvas.gsd), tone(170, 160, 130, 170))
    trees = Stand((46.0, 46.0), (3.4, 5.4), share=0.22, salt=cell.index + 7, height=9.0)
    plant(canvas, trees, LEAF)
    if cell.variant < 2:
        _graze(canvas, cell)


def _graze(canvas: AirCanvas, cell: Cell) -> None:
    """Put cows or sheep on the paddocks."""
    cows = cell.variant == 0
    half, colours = (
        (np.array([1.25, 0.5]), np.array([tone(120, 82, 60, 130), tone(226, 222, 214, 210), tone(52, 46, 44, 60)]))
        if cows
        else (np.array([0.7, 0.42]), np.array([tone(222, 216, 200, 205)] * 3))
    )
    middle, luck, turn = _scattered(canvas, cell, 15.0 if cows else 9.0, 0.32)
    along = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    a, b = along * half[0], along[:, ::-1] * np.array([-1.0, 1.0]) * half[1]
    cast(canvas, middle, a, b, 1.3)
    stamp = boxes(canvas, middle, a, b)
    put(canvas, stamp, colours[(luck[stamp.shape] * 997).astype(np.int64) % 3], 0.95)


def _scattered(
    canvas: AirCanvas, cell: Cell, spacing: float, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return places (n, 2), a number in 0..1 (n,) and a direction (n,) of things that stand about, by squares of the ground."""
    west, south, east, north = canvas.box
    i = np.arange(np.floor((west - 4) / spacing), np.ceil((east + 4) / spacing))
    j = np.arange(np.floor((south - 4) / spacing), np.ceil((north + 4) / spacing))
    squares = np.stack(np.meshgrid(i, j), axis=-1).reshape(-1, 2)
    table = rng_of("scattered", cell.index).random((64, 64, 4))
    chance = table[squares[:, 1].astype(np.int64) % 64, squares[:, 0].astype(np.int64) % 64]
    # Animals keep together: herds stand where a slow wave of the ground is high.
    herd = np.sin(squares[:, 0] * spacing / 47.0 + cell.index) + np.sin(squares[:, 1] * spacing / 39.0)
    keep = (chance[:, 2] < share * 2) & (herd > 0.5)
    middle = (squares[keep] + chance[keep, :2]) * spacing
    return middle, chance[keep, 3], chance[keep, 2] * 31.0

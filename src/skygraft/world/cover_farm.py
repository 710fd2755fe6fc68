"""Fields, plantations and pastures from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.canvas import Canvas, mix
from skygraft.world.cells import Cell
from skygraft.world.classes import ANNUAL, CLASSES
from skygraft.world.layout import HALF, Layout, shifts
from skygraft.world.noise import FloatArray
from skygraft.world.plots import Keep, split_square

SOILS = ((212, 160, 136), (188, 140, 122), (150, 116, 108), (128, 107, 105), (168, 148, 134), (226, 180, 158))
CROPS: dict[str, tuple[tuple[int, int, int], ...]] = {
    "wheat": ((178, 152, 126), (194, 164, 138), (72, 104, 84)),
    "maize": ((50, 92, 78), (46, 86, 76), (64, 102, 82)),
    "bare": SOILS,
    "rape": ((112, 128, 84), (88, 114, 82)),
    "sunflower": ((94, 108, 86), (108, 110, 88)),
}
ORCHARD = 1
PLANTED = {"vines": (124, 114, 108), "orchard": (90, 102, 93), "hops": (106, 109, 99)}


def stripes(canvas: Canvas, angle: float, period: float) -> FloatArray:
    """Return waves in -1..1 across the ground, with a period in metres; finer than a pixel they fade to a shimmer."""
    x, y = canvas.grid()
    phase = (x % 9000.0) * np.cos(angle) + (y % 9000.0) * np.sin(angle)
    return np.asarray(np.sin(phase * (2 * np.pi / period)), dtype=np.float32)


def _texture_mix(canvas: Canvas, layout: Layout, weights: dict[str, float]) -> FloatArray:
    total = np.zeros((canvas.rows, canvas.columns), dtype=np.float32)
    for name, weight in weights.items():
        total += canvas.texture(name, layout.shift) * np.float32(weight)
    return total


def _at(cell: Cell, quads: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(quads + np.array([cell.x, cell.y]))


def lay_out_annual(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Large fields, each with its own crop; the cell's variant is the commonest."""
    quads = split_square(rng, HALF, rng.uniform(40e3, 170e3), angle=cell.angle, elongation=2.2, keep=keep)
    names = [v.name for v in CLASSES[ANNUAL].variants]
    main = names[cell.variant]
    share = np.array([0.24, 0.2, 0.34, 0.12, 0.1])
    kinds = [main if rng.random() < 0.35 else str(rng.choice(names, p=share)) for _ in quads]
    colours = np.empty((len(quads), 3))
    for i, kind in enumerate(kinds):
        tones = (SOILS if cell.dry > 0.5 else SOILS[2:]) if kind == "bare" else CROPS[kind]
        colours[i] = np.array(tones[rng.integers(len(tones))]) * rng.uniform(0.85, 1.1) + rng.normal(0, 4, 3)
    colours *= rng.uniform(0.84, 1.1)
    edge = mix((72, 86, 76), (182, 162, 138), rng.random())
    marks = rng.uniform(0, 5, len(quads)) * (rng.random(len(quads)) < 0.4)
    return Layout(quads, colours, tuple(kinds), marks, edge, shifts(rng), rng.random(12))


def paint_annual(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Fields with sharp borders, faint working tracks, and soil that varies within them."""
    quads = _at(cell, layout.quads)
    canvas.image[:] = layout.base
    canvas.fill_each(quads, layout.colours)
    tracks = canvas.mask(quads, layout.marks) * stripes(canvas, cell.angle + np.pi / 2, 24 + 12 * layout.roll[0])
    soil = _texture_mix(canvas, layout, {"tuft": 1.2, "patch": 1.6, "stand": 2.6, "sweep": 2.5})
    canvas.image += (tracks + soil)[..., None]
    canvas.blend(canvas.outlines(quads) * np.float32(0.5), layout.base)


def lay_out_permanent(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Small plots of trees or vines between pale tracks; some stand bare or under grass."""
    name = ("vines", "orchard", "hops")[cell.variant]
    area = {"vines": rng.uniform(5e3, 16e3), "orchard": rng.uniform(9e3, 26e3), "hops": rng.uniform(12e3, 34e3)}[name]
    quads = split_square(rng, HALF, area, angle=cell.angle, elongation=1.9, skew=0.14, keep=keep)
    base = mix(np.array(PLANTED[name]) * rng.uniform(0.76, 1.14), (150, 122, 110), 0.5 * cell.dry)
    n = len(quads)
    toward = np.where(rng.random((n, 1)) < 0.55, np.array([[190.0, 163.0, 147.0]]), np.array([[62.0, 80.0, 78.0]]))
    share = rng.random((n, 1)) ** 2.2 * 0.8
    colours = (base * (1 - share) + toward * share) * rng.uniform(0.9, 1.1, (n, 1)) + rng.normal(0, 4, (n, 3))
    marks = rng.uniform(4, 13, n) * np.where(rng.random(n) < 0.7, 1, -1)
    return Layout(quads, colours, (), marks, base, shifts(rng), rng.random(12))


def paint_permanent(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Plots of vines or hops in rows, or of trees on a grid: from above their regular marks tell them from fields."""
    quads = _at(cell, layout.quads)
    canvas.image[:] = layout.base
    canvas.fill_each(quads, layout.colours)
    marks = canvas.mask(quads, layout.marks)
    row = stripes(canvas, cell.angle, 26.0 + 9 * layout.roll[0])
    cross = stripes(canvas, cell.angle + np.pi / 2, 26.0 + 9 * layout.roll[1])
    # Trees stand where both waves rise; the amount taken off is that of rows on average.
    planted = np.maximum(row, 0) * np.maximum(cross, 0) * 2.4 - 0.4 if cell.variant == ORCHARD else np.where(marks > 0, row, cross)
    fine = planted * np.abs(marks) * np.float32(1.1)
    grain = _texture_mix(canvas, layout, {"grain": 3.5, "tuft": 2.0, "stand": 2.5, "sweep": 3.0})
    canvas.image += (grain - fine)[..., None] * np.array([1.0, 0.85, 0.8], dtype=np.float32)
    keep = layout.marks > 7.0
    if keep.any():
        canvas.blend(canvas.outlines(quads[keep]) * np.float32(0.5), (188, 172, 150))


def lay_out_pasture(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Green paddocks of uneven shape."""
    quads = split_square(rng, HALF, rng.uniform(18e3, 90e3), angle=cell.angle, elongation=1.3, skew=0.17, keep=keep)
    n = len(quads)
    base = mix((50, 92, 86), (82, 98, 88), cell.dry)
    colours = base * rng.uniform(0.87, 1.13, (n, 1)) + rng.normal(0, 3.5, (n, 3))
    colours[rng.random(n) < 0.06] += np.array([40.0, 18.0, 5.0])
    hedge = np.array([40.0, 62.0, 66.0])
    return Layout(quads, colours, (), rng.random(n), hedge, shifts(rng), rng.random(12))


def paint_pasture(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Paddocks, dark hedges between most of them, single trees."""
    quads = _at(cell, layout.quads)
    canvas.image[:] = layout.colours[0]
    canvas.fill_each(quads, layout.colours)
    grass = _texture_mix(canvas, layout, {"tuft": 1.6, "patch": 1.8, "stand": 2.8, "sweep": 3.0})
    canvas.image += grass[..., None]
    hedged = quads[layout.marks < 0.8]
    hedges = canvas.outlines(hedged, 2) * np.clip(0.7 + 0.35 * canvas.texture("patch", layout.shift), 0, 1)
    canvas.blend(hedges * np.float32(0.75), layout.base)
    trees = canvas.texture("tuft", layout.shift) > 2.35 + 0.5 * layout.roll[0]
    canvas.blend(trees.astype(np.float32) * np.float32(0.8), layout.base)

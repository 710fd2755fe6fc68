"""Towns and industry from above."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skygraft.world.canvas import Canvas, mix
from skygraft.world.cells import Cell
from skygraft.world.layout import HALF, Layout, shifts
from skygraft.world.plots import Keep, shrink, split_square

ROOFS = np.array([(168, 112, 96), (150, 104, 92), (140, 140, 146), (190, 180, 170), (110, 104, 110), (186, 138, 118)], dtype=np.float64)
HALLS = np.array([(222, 226, 232), (190, 194, 200), (150, 155, 165), (170, 140, 128), (84, 92, 108), (205, 200, 190)], dtype=np.float64)


def _houses(
    rng: np.random.Generator, quads: NDArray[np.float64], spacing: float, density: float, size: tuple[float, float]
) -> NDArray[np.float64]:
    """Return house outlines (n, 4, 2) in rows within building blocks (m, 4, 2)."""
    along, up = quads[:, 1] - quads[:, 0], quads[:, 3] - quads[:, 0]
    long, deep = np.hypot(along[:, 0], along[:, 1]), np.hypot(up[:, 0], up[:, 1])
    a, b = np.maximum(2, long // spacing).astype(int), np.maximum(2, deep // spacing).astype(int)
    lots = a * b
    owner = np.repeat(np.arange(len(quads)), lots)
    slot = np.arange(len(owner)) - np.repeat(np.cumsum(lots) - lots, lots)
    built = rng.random(len(owner)) < density
    owner, slot = owner[built], slot[built]
    n = len(owner)
    t = (slot % a[owner] + 0.5 + rng.uniform(-0.14, 0.14, n)) / a[owner]
    w = (slot // a[owner] + 0.5 + rng.uniform(-0.14, 0.14, n)) / b[owner]
    q, t, w = quads[owner], t[:, None], w[:, None]
    middle = (q[:, 0] * (1 - t) + q[:, 1] * t) * (1 - w) + (q[:, 3] * (1 - t) + q[:, 2] * t) * w
    half_a = (along / long[:, None])[owner] * spacing * rng.uniform(*size, (n, 1)) / 2
    half_b = (up / deep[:, None])[owner] * spacing * rng.uniform(*size, (n, 1)) / 2
    corners = (middle - half_a - half_b, middle + half_a - half_b, middle + half_a + half_b, middle - half_a + half_b)
    return np.stack(corners, axis=1)


def lay_out_residential(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Blocks of houses between streets."""
    spacing, density, size, area = (
        (24.0, 0.8, (0.4, 0.62), rng.uniform(8e3, 20e3)),
        (19.0, 0.95, (0.6, 0.9), rng.uniform(7e3, 14e3)),
        (46.0, 0.85, (0.3, 0.75), rng.uniform(16e3, 34e3)),
    )[cell.variant]
    quads = split_square(rng, HALF, area, angle=cell.angle, elongation=1.8, skew=0.08, keep=keep)
    houses = _houses(rng, shrink(quads, 0.9), spacing, density, size)
    tones = ROOFS[rng.integers(0, len(ROOFS), 3)]
    colours = tones[rng.integers(0, 3, len(houses))] * rng.uniform(0.72, 1.08, (len(houses), 1)) * rng.uniform(0.85, 1.1)
    base = mix((66, 82, 79), (140, 127, 118), cell.dry**1.5) * rng.uniform(0.88, 1.08)
    streets = np.array([124.0, 123.0, 126.0]) * rng.uniform(0.86, 1.14)
    return Layout(
        quads, np.tile(streets, (len(quads), 1)), (), np.zeros(len(quads)), base, shifts(rng), rng.random(12),
        {"houses": (houses, colours)},
    )  # fmt: skip


def paint_residential(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Gardens, streets, roofs, trees."""
    canvas.image[:] = layout.base
    garden = 5.0 * canvas.texture("tuft", layout.shift) + 4.0 * canvas.texture("stand", layout.shift)
    canvas.image += garden[..., None] * np.array([1.0, 0.9, 0.8], dtype=np.float32)
    at = np.array([cell.x, cell.y])
    canvas.blend(canvas.outlines(layout.quads + at, 2) * np.float32(0.85), layout.colours[0])
    houses, colours = layout.details["houses"]
    canvas.fill_each(houses + at, colours)
    leafy = np.clip((canvas.texture("tuft", layout.shift) - 1.1 - cell.dry) * 2.5, 0, 1)
    canvas.blend(leafy * np.float32(0.75), (50, 72, 66))


def lay_out_industrial(cell: Cell, rng: np.random.Generator, keep: Keep) -> Layout:
    """Lots of very uneven size: halls, yards, lawns, tanks."""
    quads = split_square(rng, HALF, rng.uniform(9e3, 26e3), angle=cell.angle, elongation=1.5, skew=0.05, spread=0.9, keep=keep)
    n = len(quads)
    kind = rng.choice(4, n, p=(0.56, 0.16, 0.14, 0.14) if cell.variant != 1 else (0.4, 0.14, 0.12, 0.34))
    halls = shrink(quads[kind == 0], rng.uniform(0.45, 0.9, int((kind == 0).sum())))
    tones = HALLS[rng.choice(len(HALLS), len(halls), p=(0.22, 0.2, 0.2, 0.13, 0.13, 0.12))]
    roofs = tones * rng.uniform(0.82, 1.12, (len(halls), 1))
    ground = np.array([102.0, 106.0, 110.0]) * rng.uniform(0.82, 1.15)
    colours = np.tile(ground, (n, 1)) * rng.uniform(0.85, 1.15, (n, 1))
    colours[kind == 1] = np.array([64.0, 84.0, 76.0]) + rng.normal(0, 7, (int((kind == 1).sum()), 3))
    colours[kind == 2] = np.array([138.0, 130.0, 124.0]) * rng.uniform(0.85, 1.2, (int((kind == 2).sum()), 1))
    return Layout(quads, colours, (), kind.astype(np.float64), ground, shifts(rng), rng.random(12), {"halls": (halls, roofs)})


def paint_industrial(canvas: Canvas, cell: Cell, layout: Layout) -> None:
    """Yards, halls with their shadow, tanks."""
    at = np.array([cell.x, cell.y])
    canvas.image[:] = layout.base
    canvas.fill_each(layout.quads + at, layout.colours)
    yard = 3.5 * canvas.texture("tuft", layout.shift) + 5.0 * canvas.texture("patch", layout.shift)
    canvas.image += yard[..., None]
    canvas.blend(canvas.outlines(layout.quads[layout.marks != 0] + at, 2) * np.float32(0.6), (128, 128, 130))
    halls, roofs = layout.details["halls"]
    canvas.fill_each(halls + at + np.array([7.0, 9.0]), np.full_like(roofs, 54.0))
    canvas.fill_each(halls + at, roofs)
    if cell.variant == 1:
        tanks = layout.quads[layout.marks == 3].mean(axis=1) + at
        for shift in ((-24.0, -20.0), (26.0, -16.0), (-20.0, 26.0), (24.0, 28.0)):
            canvas.dots(tanks + np.array(shift), np.full(len(tanks), 17.0), (222, 224, 226))

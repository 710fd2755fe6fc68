"""Kitchens."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import mix
from skygraft.world.interior import BRIGHT, WOODS, Interior
from skygraft.world.sheet import HEIGHT, WIDTH

STEEL = (188, 192, 196)
FRONTS = ((236, 234, 228), (176, 132, 88), (120, 134, 140), (150, 60, 52), (196, 204, 190))


def paint_kitchen(scene: Interior) -> None:
    """Cupboards above and below a worktop with stove, sink and pots, tiles between."""
    rng = scene.rng
    scene.shell(scene.pick(((190, 184, 172), (150, 138, 122), (206, 200, 192))), planks=False)
    top, work, low = HEIGHT * rng.uniform(0.04, 0.12), HEIGHT * rng.uniform(0.5, 0.58), HEIGHT * rng.uniform(0.86, 0.94)
    tile = mix(scene.wall, (244, 244, 240), 0.5)
    scene.box(0, top, WIDTH, work, tile)
    for x in np.arange(rng.uniform(0, 8), WIDTH, 8):
        scene.line((x, top), (x, work), tile * 0.88)
    for y in np.arange(top, work, 8):
        scene.line((0, y), (WIDTH, y), tile * 0.88)
    front, worktop = scene.pick(FRONTS), scene.pick((*WOODS, (70, 72, 74)))
    if rng.random() < 0.5:
        scene.window(rng.uniform(50, 80), top + 4, 34, (work - top) * 0.62)
    _cupboards(scene, (top - 8, top + (work - top) * 0.5), front, hanging=True)
    _cupboards(scene, (work + 4, low), front * 0.94, hanging=False)
    scene.box(-2, work, WIDTH + 2, work + 5, worktop)
    scene.box(-2, low, WIDTH + 2, low + 4, (52, 48, 46))
    _stove(scene, rng.uniform(14, WIDTH - 50), work, low)
    _on_the_worktop(scene, work)
    if rng.random() < 0.45:
        _fridge(scene, low)


def _cupboards(scene: Interior, rows: tuple[float, float], front: np.ndarray, *, hanging: bool) -> None:
    rng = scene.rng
    x, gap = rng.uniform(-16, 0), int(rng.integers(2, 5)) if hanging else 99
    for k in range(9):
        wide = 22.0
        if k != gap and k != gap + 1:
            scene.box(x, rows[0], x + wide - 0.8, rows[1], front * rng.uniform(0.97, 1.03))
            scene.line((x + wide - 0.6, rows[0]), (x + wide - 0.6, rows[1]), front * 0.62)
            scene.box(x + 3, rows[0] + 3, x + wide - 4, rows[1] - 3, front * 1.06)
            y = rows[1] - 5 if hanging else rows[0] + 5
            scene.line((x + wide - 9, y), (x + wide - 5, y), (90, 90, 92), 2)
        x += wide
    if hanging:
        scene.box(0, rows[1], WIDTH, rows[1] + 1, scene.wall * 0.7)


def _stove(scene: Interior, x: float, work: float, low: float) -> None:
    rng = scene.rng
    scene.box(x, work + 3, x + 34, low, STEEL if rng.random() < 0.6 else (236, 236, 234))
    scene.box(x + 4, work + 17, x + 30, low - 5, (34, 34, 38))
    scene.box(x + 4, work + 14, x + 30, work + 15.5, (110, 112, 116))
    for k in range(4):
        scene.disc(x + 7 + 6.5 * k, work + 9, 1.8, (40, 40, 44))
    scene.box(x + 1, work - 1, x + 33, work + 2, (40, 40, 42))
    for at in (x + 9, x + 24):
        if rng.random() < 0.7:
            pot = np.array(STEEL) * rng.uniform(0.7, 1.0) if rng.random() < 0.6 else scene.pick(BRIGHT)
            tall = rng.uniform(6, 12)
            scene.box(at - 6, work - 1 - tall, at + 6, work - 1, pot)
            scene.disc(at, work - 1 - tall, 6, pot * 1.15, 0.25)
            scene.line((at + 6, work - tall + 2), (at + 12, work - tall), (44, 40, 40), 2)


def _on_the_worktop(scene: Interior, work: float) -> None:
    rng = scene.rng
    x = rng.uniform(4, WIDTH - 30)
    scene.box(x, work - 1, x + 26, work + 2, STEEL)
    scene.line((x + 13, work), (x + 13, work - 13), (170, 174, 178), 2)
    scene.line((x + 13, work - 13), (x + 20, work - 11), (170, 174, 178), 2)
    for _ in range(int(rng.integers(3, 8))):
        at, tall = rng.uniform(2, WIDTH - 6), rng.uniform(5, 13)
        scene.box(at, work - tall, at + rng.uniform(3, 7), work, scene.pick(BRIGHT))


def _fridge(scene: Interior, low: float) -> None:
    left = 0.0 if scene.rng.random() < 0.5 else WIDTH - 32.0
    tone = np.array((236, 238, 240)) * scene.rng.uniform(0.8, 1.0)
    scene.box(left, 8, left + 32, low + 2, tone)
    scene.line((left, 40), (left + 32, 40), tone * 0.7)
    scene.line((left, 8), (left, low), tone * 0.75)
    for y in (22, 52):
        scene.line((left + 5, y), (left + 5, y + 12), (120, 122, 126), 2)

"""Rooms of a home: living room, bedroom, kitchen."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import mix
from skygraft.world.interior import BRIGHT, CLOTHS, WOODS, Interior
from skygraft.world.sheet import HEIGHT, WIDTH

STEEL = (188, 192, 196)
FRONTS = ((236, 234, 228), (176, 132, 88), (120, 134, 140), (150, 60, 52), (196, 204, 190))


def paint_room(scene: Interior) -> None:
    """A living room with a sofa, or a bedroom, before a wall with a window and pictures."""
    rng = scene.rng
    scene.shell(scene.pick(WOODS) if rng.random() < 0.65 else scene.pick(CLOTHS), planks=True)
    wide, tall = scene.right - scene.left, scene.bottom - scene.top
    side = rng.random() < 0.5
    if rng.random() < 0.75:
        x = scene.left + wide * (0.1 if side else 0.58)
        scene.window(x, scene.top + tall * 0.16, wide * rng.uniform(0.24, 0.34), tall * rng.uniform(0.4, 0.55))
    if rng.random() < 0.75:
        _pictures(scene, scene.left + wide * (0.55 if side else 0.08))
    if rng.random() < 0.4:
        _bookcase(scene, scene.left + wide * (0.76 if side else 0.02))
    if rng.random() < 0.5:
        _rug(scene)
    if rng.random() < 0.35:
        _bed(scene)
    else:
        _sofa(scene)
    if rng.random() < 0.6:
        _lamp(scene, scene.left + wide * (0.92 if side else 0.08))
    if rng.random() < 0.55:
        _low_table(scene)


def _pictures(scene: Interior, x: float) -> None:
    rng = scene.rng
    for _ in range(int(rng.integers(1, 4))):
        wide, tall = rng.uniform(10, 20), rng.uniform(10, 18)
        y = scene.top + rng.uniform(6, 18)
        scene.box(x - 1.5, y - 1.5, x + wide + 1.5, y + tall + 1.5, scene.pick(WOODS))
        scene.box(x, y, x + wide, y + tall, mix(scene.pick(BRIGHT), (220, 214, 200), 0.5))
        scene.box(x, y + tall * rng.uniform(0.4, 0.7), x + wide, y + tall, scene.pick(CLOTHS))
        x += wide + rng.uniform(4, 8)


def _bookcase(scene: Interior, x: float) -> None:
    rng, wide = scene.rng, scene.rng.uniform(20, 28)
    top, wood = scene.top + 6, scene.pick(WOODS)
    scene.box(x, top, x + wide, scene.bottom + 3, wood * 0.7)
    for y in np.arange(top + 11, scene.bottom + 2, 12):
        at = x + 1.5
        while at < x + wide - 4:
            thick, tall = rng.uniform(1.5, 3.4), rng.uniform(6.5, 9.5)
            scene.box(at, y - tall, at + thick, y, scene.pick(BRIGHT, 0.3))
            at += thick + 0.4
        scene.line((x, y + 0.6), (x + wide, y + 0.6), wood, 2)


def _rug(scene: Interior) -> None:
    cloth = scene.pick(CLOTHS)
    low, half = scene.bottom + 12, WIDTH * scene.rng.uniform(0.25, 0.4)
    for grow, tone in ((1.0, cloth), (0.85, cloth * 1.25)):
        scene.fill(
            [
                [80 - half * 0.7 * grow, low + 6 * (1 - grow)],
                [80 + half * 0.7 * grow, low + 6 * (1 - grow)],
                [80 + half * 1.2 * grow, HEIGHT - 12 * (1 - grow)],
                [80 - half * 1.2 * grow, HEIGHT - 12 * (1 - grow)],
            ],
            tone,
        )


def _sofa(scene: Interior) -> None:
    rng, cloth = scene.rng, scene.pick(CLOTHS, 0.2)
    wide, x = rng.uniform(58, 88), rng.uniform(22, 62)
    foot = scene.bottom + rng.uniform(8, 22)
    scene.box(x, foot - 34, x + wide, foot - 12, cloth * 0.9)
    scene.box(x, foot - 18, x + wide, foot, cloth * 0.72)
    seats = 2 if wide < 70 else 3
    for k in range(seats):
        left = x + 6 + (wide - 12) / seats * k
        scene.box(left, foot - 20, left + (wide - 12) / seats - 1, foot - 12, cloth * 1.12)
    for side in (x - 4, x + wide - 6):
        scene.box(side, foot - 25, side + 10, foot, cloth)
        scene.disc(side + 5, foot - 25, 5, cloth * 1.08)
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(x + 8, x + wide - 18)
        scene.fill([[at, foot - 28], [at + 10, foot - 30], [at + 12, foot - 20], [at + 2, foot - 18]], scene.pick(BRIGHT))


def _bed(scene: Interior) -> None:
    rng, cloth = scene.rng, mix(scene.pick(CLOTHS), (230, 230, 234), float(scene.rng.uniform(0, 0.8)))
    wide, x, back = rng.uniform(56, 80), rng.uniform(24, 56), scene.bottom + 2
    scene.box(x - 2, back - 28, x + wide + 2, back, scene.pick(WOODS))
    scene.fill([[x, back - 8], [x + wide, back - 8], [x + wide + 14, HEIGHT - 14], [x - 14, HEIGHT - 14]], cloth)
    scene.box(x - 14, HEIGHT - 14, x + wide + 14, HEIGHT - 2, cloth * 0.78)
    for k in (0.06, 0.54):
        scene.box(x + wide * k, back - 15, x + wide * (k + 0.4), back - 3, (240, 238, 234))
        scene.line((x + wide * k, back - 3), (x + wide * (k + 0.4), back - 3), (196, 194, 192))
    y = back + rng.uniform(6, 16)
    scene.fill([[x - 5, y], [x + wide + 5, y], [x + wide + 7, y + 5], [x - 7, y + 5]], cloth * 1.15)


def _lamp(scene: Interior, x: float) -> None:
    foot, top = scene.bottom + 6, scene.top + scene.rng.uniform(14, 26)
    scene.line((x, foot), (x, top), (60, 56, 54), 2)
    scene.disc(x, foot, 6, (60, 56, 54), 0.3)
    scene.fill([[x - 5, top - 10], [x + 5, top - 10], [x + 9, top + 3], [x - 9, top + 3]], (250, 230, 176))


def _low_table(scene: Interior) -> None:
    rng, wood = scene.rng, scene.pick(WOODS)
    wide, x, y = rng.uniform(36, 54), rng.uniform(48, 112), HEIGHT - rng.uniform(12, 22)
    for side in (-0.44, 0.44):
        scene.line((x + wide * side, y), (x + wide * side, y + 16), wood * 0.6, 3)
    scene.fill([[x - wide * 0.4, y - 8], [x + wide * 0.4, y - 8], [x + wide / 2, y], [x - wide / 2, y]], wood * 1.15)
    scene.box(x - wide / 2, y, x + wide / 2, y + 3, wood * 0.8)
    if rng.random() < 0.7:
        scene.box(x - 3, y - 13, x + 3, y - 4, scene.pick(BRIGHT))
        for _ in range(6):
            scene.disc(x + rng.normal(0, 3.4), y - 16 + rng.normal(0, 2.4), 2.2, (74, 116, 58))


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

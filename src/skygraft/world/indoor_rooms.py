"""Rooms of a home: living room and bedroom."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import mix
from skygraft.world.interior import BRIGHT, CLOTHS, WOODS, Interior
from skygraft.world.sheet import HEIGHT, WIDTH


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

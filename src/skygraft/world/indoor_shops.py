"""Shops and inns: shelves of goods, food on a table."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from skygraft.world.canvas import mix
from skygraft.world.interior import BRIGHT, CLOTHS, WOODS, Interior
from skygraft.world.sheet import HEIGHT, WIDTH

FOODS = ((150, 92, 50), (196, 142, 70), (120, 66, 44), (222, 190, 120), (176, 60, 44))
GREENS = ((84, 140, 56), (120, 168, 70), (60, 110, 52))


def paint_shop(scene: Interior) -> None:
    """Shelves straight ahead, or an aisle between two rows of them."""
    if scene.rng.random() < 0.5:
        _shelf_wall(scene)
    else:
        _aisle(scene)


def _shelf_wall(scene: Interior) -> None:
    rng = scene.rng
    scene.image[:] = np.array((74, 70, 66)) * rng.uniform(0.8, 1.3)
    count = int(rng.integers(4, 7))
    board = scene.pick(((226, 226, 222), (150, 112, 76), (110, 114, 118)))
    edges = np.linspace(rng.uniform(-14, 4), HEIGHT * rng.uniform(0.92, 1.08), count + 1)
    for upper, lower in pairwise(edges):
        _goods(scene, (-4.0, WIDTH + 4.0), (float(upper) + 3, float(lower) - 3))
        scene.box(-2, lower - 3, WIDTH + 2, lower + 1, board)
        for x in np.arange(rng.uniform(0, 12), WIDTH, 14):
            scene.box(x, lower - 2, x + 5, lower + 0.6, (250, 246, 170) if rng.random() < 0.3 else (250, 250, 248))
    for x in np.arange(rng.uniform(-20, 40), WIDTH, rng.uniform(60, 90)):
        scene.box(x, -2, x + 2.5, HEIGHT, board * 0.8)


def _goods(scene: Interior, span: tuple[float, float], rows: tuple[float, float]) -> None:
    """Fill a shelf with runs of equal packets, bottles or tins."""
    rng, x = scene.rng, span[0]
    room = rows[1] - rows[0]
    while x < span[1]:
        wide, tall = rng.uniform(4, 11), room * rng.uniform(0.55, 0.95)
        tone, label = scene.pick(BRIGHT, 0.25), scene.pick(BRIGHT)
        bottle = rng.random() < 0.35
        for _ in range(int(rng.integers(2, 7))):
            top, shade = rows[1] - tall, tone * rng.uniform(0.9, 1.08)
            if bottle:
                scene.box(x + 0.5, top + tall * 0.3, x + wide * 0.8, rows[1], shade)
                scene.box(x + wide * 0.25, top, x + wide * 0.55, top + tall * 0.35, shade * 0.9)
            else:
                scene.box(x, top, x + wide - 0.6, rows[1], shade)
            scene.box(x + wide * 0.12, rows[1] - tall * 0.45, x + wide * 0.7, rows[1] - tall * 0.2, label)
            x += wide


def _aisle(scene: Interior) -> None:
    rng = scene.rng
    middle, height = WIDTH * rng.uniform(0.4, 0.6), HEIGHT * rng.uniform(0.36, 0.48)
    scene.image[:] = (222, 222, 218)
    far = rng.uniform(8, 16)
    scene.fill([[-60, HEIGHT + 10], [middle - far, height + far * 0.8], [middle + far, height + far * 0.8], [WIDTH + 60, HEIGHT + 10]],
               scene.pick(((196, 190, 180), (170, 166, 160), (210, 206, 200))))  # fmt: skip
    for share in (0.15, 0.4, 0.8):
        y = height * (1 - share) - 4
        near, away = 34 * share + 2, 30 * share + 2
        lamp = [[middle - away, y], [middle + away, y], [middle + near, y - 3], [middle - near, y - 3]]
        scene.fill(lamp, (252, 252, 252))
    scene.box(middle - far, height - far * 0.8, middle + far, height + far * 0.8, mix(scene.pick(BRIGHT), (200, 200, 196), 0.5))
    for side in (-1, 1):
        _aisle_side(scene, (middle, height), side, far)


def _aisle_side(scene: Interior, vanish: tuple[float, float], side: int, far: float) -> None:
    """Draw one row of shelves that runs away from the eye."""
    rng = scene.rng
    depth = far * (WIDTH / far) ** np.linspace(0, 1, 14)

    def at(reach: float, level: float) -> list[float]:
        return [vanish[0] + side * reach, vanish[1] + level * reach]

    levels = np.linspace(-0.75, 0.85, int(rng.integers(5, 7)))
    scene.fill([at(far, -0.8), at(WIDTH, -0.8), at(WIDTH, 0.9), at(far, 0.9)], (84, 80, 76))
    for upper, lower in pairwise(levels):
        for away, near in pairwise(depth):
            tone = scene.pick(BRIGHT, 0.25)
            head = upper + (lower - upper) * rng.uniform(0.12, 0.4)
            for cut in (0.0, 0.5):
                a, b = away + (near - away) * cut, away + (near - away) * (cut + 0.46)
                foot = lower - 0.03
                scene.fill([at(a, head), at(b, head), at(b, foot), at(a, foot)], tone * rng.uniform(0.85, 1.1))
        scene.line(_pair(at(far, lower)), _pair(at(WIDTH, lower)), (226, 226, 222), 2)


def _pair(xy: list[float]) -> tuple[float, float]:
    return xy[0], xy[1]


def paint_plate(scene: Interior) -> None:
    """A plate of food on a table, seen from above and in front."""
    rng = scene.rng
    _table(scene)
    squash = rng.uniform(0.5, 0.95)
    x, y, radius = WIDTH * rng.uniform(0.4, 0.6), HEIGHT * rng.uniform(0.5, 0.66), rng.uniform(38, 54)
    china = scene.pick(((244, 244, 240), (236, 230, 214), (206, 216, 226), (70, 76, 84)), 0.04)
    scene.disc(x + 2, y + 4, radius, scene.image[-8, 8] * 0.6, squash)
    scene.disc(x, y, radius, china, squash)
    scene.disc(x, y, radius * 0.95, china * 0.94, squash)
    scene.disc(x, y, radius * 0.72, china, squash)
    _food(scene, (x, y, radius * 0.62, squash))
    if rng.random() < 0.7:
        for side, length in ((-1, radius * 0.95), (1, radius)):
            at = x + side * (radius + 8)
            scene.line((at, y - length * squash * 0.6), (at, y + length * squash * 0.7), (206, 208, 212), 3)
            if side < 0:
                for tine in (-2.5, 0, 2.5):
                    scene.line((at + tine, y - length * squash * 0.8), (at + tine, y - length * squash * 0.5), (206, 208, 212))
    if rng.random() < 0.6:
        _glass(scene, WIDTH * rng.choice([0.1, 0.88]), HEIGHT * rng.uniform(0.14, 0.3))


def _table(scene: Interior) -> None:
    rng = scene.rng
    if rng.random() < 0.6:
        wood = scene.pick(WOODS)
        scene.image[:] = wood
        for y in np.arange(rng.uniform(0, 10), HEIGHT, rng.uniform(14, 30)):
            scene.line((0, y), (WIDTH, y + rng.uniform(-3, 3)), wood * 0.75)
        for _ in range(40):
            left, y = rng.uniform(-20, WIDTH), rng.uniform(0, HEIGHT)
            scene.line((left, y), (left + rng.uniform(20, 60), y + rng.uniform(-1, 1)), wood * rng.uniform(0.86, 1.1))
        return
    cloth = mix(scene.pick(CLOTHS), (240, 238, 232), 0.4)
    scene.image[:] = cloth
    if rng.random() < 0.6:
        step = int(rng.integers(8, 16))
        for k in range(0, WIDTH, 2 * step):
            scene.image[:, k : k + step] *= 0.84
        for k in range(0, HEIGHT, 2 * step):
            scene.image[k : k + step] *= 0.84


def _food(scene: Interior, plate: tuple[float, float, float, float]) -> None:
    """Heap meat, potatoes or noodles, greens and tomatoes on a plate (x, y, radius, squash)."""
    rng, (x, y, radius, squash) = scene.rng, plate

    def somewhere(reach: float) -> tuple[float, float]:
        turn, away = rng.uniform(0, 2 * np.pi), radius * reach * np.sqrt(rng.random())
        return x + away * np.cos(turn), y + away * np.sin(turn) * squash

    if rng.random() < 0.4:
        for _ in range(90):
            a, b = somewhere(0.9), somewhere(0.9)
            scene.line(a, ((a[0] + b[0]) / 2, (a[1] + b[1]) / 2), np.array((232, 202, 124)) * rng.uniform(0.8, 1.08), 2)
        for _ in range(14):
            at = somewhere(0.5)
            scene.disc(at[0], at[1], rng.uniform(3, 6), scene.pick(((176, 52, 36), (150, 44, 30))), 0.8)
    else:
        for _ in range(int(rng.integers(8, 18))):
            at = somewhere(1.0)
            scene.disc(at[0], at[1], rng.uniform(4, 8), scene.pick(((226, 196, 120), (240, 226, 190), (214, 170, 90))), 0.8)
        at, meat = somewhere(0.4), scene.pick(FOODS)
        scene.disc(at[0], at[1] + 2, radius * 0.55, meat * 0.6, 0.55)
        scene.disc(at[0], at[1], radius * 0.55, meat, 0.55)
        for k in range(-2, 3):
            scene.line((at[0] + 6 * k - 5, at[1] + 6), (at[0] + 6 * k + 5, at[1] - 6), meat * 0.72)
    corner = somewhere(0.9)
    for _ in range(int(rng.integers(10, 24))):
        scene.disc(corner[0] + rng.normal(0, 7), corner[1] + rng.normal(0, 5), rng.uniform(2, 5), scene.pick(GREENS, 0.2), 0.6)
    for _ in range(int(rng.integers(0, 6))):
        at = somewhere(0.95)
        scene.disc(at[0], at[1], rng.uniform(3, 5), (206, 44, 34), 0.85)


def _glass(scene: Interior, x: float, y: float) -> None:
    rng = scene.rng
    drink = scene.pick(((212, 150, 40), (120, 24, 40), (226, 232, 236), (240, 170, 60)))
    wide, tall = rng.uniform(10, 14), rng.uniform(24, 36)
    scene.box(x - wide, y - tall * 0.3, x + wide, y + tall, mix(drink, (230, 232, 234), 0.2))
    scene.disc(x, y + tall, wide, drink * 0.8, 0.35)
    scene.disc(x, y - tall * 0.3, wide, mix(drink, (250, 250, 250), 0.6), 0.35)

"""Towns and industry from the ground."""

from __future__ import annotations

import numpy as np

from skygraft.world.backdrop import Backdrop
from skygraft.world.canvas import mix
from skygraft.world.sheet import WIDTH
from skygraft.world.views import View

WALLS = ((226, 214, 196), (206, 178, 150), (182, 104, 82), (236, 236, 232), (222, 200, 150))
TILES = ((156, 78, 58), (120, 62, 50), (94, 92, 98))
SHEETS = ((186, 190, 196), (150, 160, 176), (206, 206, 202), (110, 128, 150), (168, 150, 136))
PAINTS = ((186, 40, 40), (40, 70, 150), (226, 226, 226), (40, 42, 46), (150, 154, 160), (210, 180, 60))


def car(scene: Backdrop, x: float, y: float, length: float, *, truck: bool = False, rear: bool = False) -> None:
    """Draw a car or lorry whose wheels stand at (x, y), from the side or from behind."""
    paint = np.array(PAINTS[int(scene.rng.integers(len(PAINTS)))])
    wide, tall = length * (0.6 if rear else 1.0), length * (0.75 if truck else 0.42)
    scene.box(x - wide / 2, y - tall * 0.75, x + wide / 2, y, paint)
    if truck:
        scene.box(x - wide / 2, y - tall, x + wide / 2, y - tall * 0.25, mix(paint, (230, 230, 230), 0.7))
    else:
        scene.box(x - wide * 0.32, y - tall * 1.2, x + wide * 0.32, y - tall * 0.7, (60, 70, 84))
    for side in (-0.36, 0.36):
        scene.disc(x + side * wide, y, length * 0.11, (24, 24, 26))


def paint_residential(scene: Backdrop, view: View) -> None:
    """Houses along a street."""
    rng = scene.rng
    scene.floor((122, 122, 124) if rng.random() < 0.45 else scene.grass, 7)
    wall = np.array(WALLS[int(rng.integers(len(WALLS)))])
    if view.variant == "flats":
        _flats(scene, wall)
    else:
        _row_of_houses(scene, wall, terrace=view.variant == "terrace")
    for _ in range(int(rng.integers(0, 5))):
        scene.tree(rng.uniform(0, WIDTH), scene.horizon + rng.uniform(12, 28), rng.uniform(14, 36), (66, 96, 48))
    if rng.random() < 0.55:
        car(scene, rng.uniform(12, WIDTH - 12), scene.horizon + rng.uniform(28, 54), rng.uniform(15, 26))


def _row_of_houses(scene: Backdrop, wall: np.ndarray, *, terrace: bool) -> None:
    rng = scene.rng
    count = int((5 if terrace else 3) + rng.integers(0, 2))
    edges = np.linspace(0, WIDTH, count + 1) + rng.normal(0, 3, count + 1)
    roof = TILES[int(rng.integers(3))]
    for i in range(count):
        wide = (edges[i + 1] - edges[i]) * (0.98 if terrace else rng.uniform(0.6, 0.88))
        x, foot = edges[i] + 2, scene.horizon + (14 if terrace else rng.uniform(7, 18))
        tall = min(52.0, 40.0 if terrace else wide * rng.uniform(0.5, 0.72))
        tone = wall * rng.uniform(0.86, 1.08)
        scene.box(x, foot - tall, x + wide, foot, tone)
        tiles = roof if terrace else TILES[int(rng.integers(3))]
        ridge = ((0.28, 0.72) if rng.random() < 0.4 else (0.5, 0.5)), wide * rng.uniform(0.3, 0.42)
        left, right = x + wide * ridge[0][0], x + wide * ridge[0][1]
        top = foot - tall
        scene.fill([[x - 3, top], [x + wide + 3, top], [right, top - ridge[1]], [left, top - ridge[1]]], tiles)
        _windows(scene, (x, foot, wide, tall), (0.22, 0.75), (0.3, 0.75) if tall > 30 else (0.55,))
        scene.box(x + wide * 0.43, foot - tall * 0.36, x + wide * 0.55, foot, (98, 66, 48))


def _windows(scene: Backdrop, house: tuple[float, float, float, float], across: tuple[float, ...], up: tuple[float, ...]) -> None:
    x, foot, wide, tall = house
    half = wide * 0.2 / len(across), tall * 0.18 / len(up)
    for fx in across:
        for fy in up:
            at = x + wide * fx, foot - tall * fy
            scene.box(at[0] - half[0], at[1] - half[1], at[0] + half[0], at[1] + half[1], (68, 86, 106))


def _flats(scene: Backdrop, wall: np.ndarray) -> None:
    rng = scene.rng
    x = rng.uniform(-20, 10)
    while x < WIDTH:
        wide, tall = rng.uniform(34, 64), rng.uniform(38, 66)
        foot = scene.horizon + rng.uniform(8, 15)
        scene.box(x, foot - tall, x + wide, foot, wall * rng.uniform(0.86, 1.05))
        across = tuple((k + 0.5) / (wide // 9) for k in range(int(wide // 9)))
        up = tuple((k + 0.5) / (tall // 10) for k in range(int(tall // 10)))
        _windows(scene, (x, foot, wide, tall), across, up)
        x += wide + rng.uniform(4, 24)


def paint_industrial(scene: Backdrop, view: View) -> None:
    """Halls, tanks, chimneys, lorries on a yard."""
    rng = scene.rng
    scene.floor((120, 120, 122), 8)
    x = rng.uniform(-30, 0)
    while x < WIDTH:
        if view.variant == "tanks" and rng.random() < 0.65:
            x += _tank(scene, x)
        else:
            x += _hall(scene, x)
    stacks = int(rng.integers(1, 4)) if view.variant == "works" else int(rng.random() < 0.15)
    for _ in range(stacks):
        _chimney(scene, rng.uniform(6, WIDTH - 6))
    for _ in range(int(rng.integers(0, 4))):
        at = rng.uniform(0, WIDTH), scene.horizon + rng.uniform(22, 52)
        car(scene, at[0], at[1], rng.uniform(16, 32), truck=bool(rng.random() < 0.6))


def _tank(scene: Backdrop, x: float) -> float:
    rng = scene.rng
    wide, tall, foot = rng.uniform(24, 42), rng.uniform(20, 36), scene.horizon + rng.uniform(7, 13)
    scene.box(x, foot - tall, x + wide, foot, (222, 222, 220))
    scene.box(x, foot - tall, x + wide * 0.25, foot, (192, 194, 198))
    scene.disc(x + wide / 2, foot - tall, wide / 2, (202, 202, 202), 0.2)
    return float(wide + rng.uniform(2, 10))


def _hall(scene: Backdrop, x: float) -> float:
    rng = scene.rng
    wide, tall, foot = rng.uniform(44, 100), rng.uniform(20, 40), scene.horizon + rng.uniform(6, 14)
    sheet = np.array(SHEETS[int(rng.integers(len(SHEETS)))]) * rng.uniform(0.86, 1.1)
    scene.box(x, foot - tall, x + wide, foot, sheet)
    for rib in np.arange(x, x + wide, 6):
        scene.line((rib, foot), (rib, foot - tall), sheet * 0.92)
    if rng.random() < 0.45:
        part = wide / 4
        for j in range(4):
            left = x + j * part
            scene.fill([[left, foot - tall], [left + part, foot - tall], [left + part, foot - tall - 8]], sheet * 0.78)
    for dx in np.arange(0.12, 0.9, 0.28):
        scene.box(x + wide * dx, foot - tall * 0.48, x + wide * dx + 9, foot, sheet * 0.58)
    return float(wide + rng.uniform(-4, 14))


def _chimney(scene: Backdrop, x: float) -> None:
    rng = scene.rng
    tall = rng.uniform(40, 70)
    top = scene.horizon - tall
    scene.box(x - 2.5, top, x + 2.5, scene.horizon + 4, (178, 152, 142))
    scene.box(x - 2.5, top, x + 2.5, top + 6, (190, 60, 50))
    for k in range(5):
        scene.disc(x + 5 + k * 6, top - 4 - k * 2.4, 3.5 + k, (222, 222, 224))

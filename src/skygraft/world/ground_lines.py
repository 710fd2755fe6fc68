"""Rivers and highways from the ground: they run away from the eye or cross the view, as they do on the map."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.backdrop import Backdrop
from skygraft.world.canvas import Colour, as_tuple, mix
from skygraft.world.ground_built import car
from skygraft.world.noise import FloatArray
from skygraft.world.sheet import HEIGHT, WIDTH, fixed
from skygraft.world.views import View

Points = NDArray[np.float64]


def _strip(scene: Backdrop, view: View, half: float) -> tuple[Points, Points, bool]:
    """Return both edges (k, 2) of a river or road in the picture, and whether it runs away from the eye.

    Args:
        scene: the picture.
        view: gives lean and offset of the line.
        half: half the width at the lower edge, pixels.
    """
    rng = scene.rng
    away = abs(view.lean) < 52
    t = np.linspace(0, 1, 16)
    if away:
        vanish = WIDTH * (0.5 + view.lean / 110.0)
        near = WIDTH * (0.5 + float(np.clip(view.offset / 60.0, -0.45, 0.45)))
        middle = vanish + (near - vanish) * t
        width = 1.0 + half * t
        y = scene.horizon + (HEIGHT + 3 - scene.horizon) * t
        return np.stack([middle - width, y], 1), np.stack([middle + width, y], 1), True
    top = scene.depth(float(np.clip(0.5 - view.distance / 220.0, 0.08, 0.45)))
    low = top + half * float(rng.uniform(0.45, 0.7)) * float(np.clip(1.3 - view.distance / 120.0, 0.45, 1.3))
    tilt = float(np.clip((90 - abs(view.lean)) / 90.0 * np.sign(view.lean), -0.4, 0.4)) * 22
    x = np.linspace(-4, WIDTH + 4, 16)
    drop = tilt * (t - 0.5)
    return np.stack([x, top + drop], 1), np.stack([x, low + 1.6 * drop], 1), False


def _mask(first: Points, second: Points) -> FloatArray:
    layer = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    cv2.fillPoly(layer, [fixed(np.concatenate([first, second[::-1]]))], 1.0, cv2.LINE_AA, 4)
    return layer


def paint_river(scene: Backdrop, view: View) -> None:
    """Flowing water between two banks."""
    rng = scene.rng
    scene.floor(scene.grass, 13)
    first, second, away = _strip(scene, view, rng.uniform(0.42, 0.7) * WIDTH)
    if view.variant == "stream":
        wave = rng.uniform(1, 5) * np.sin(np.linspace(0, 5, 16) + 6 * rng.random())
        first[:, 0 if away else 1] += wave * (1.0 if away else 0.4)
        second[:, 0 if away else 1] += wave * (1.3 if away else 0.5)
    water = _mask(first, second)
    tone = mix((74, 102, 118), (112, 122, 106), rng.random())
    mirror = scene.image[np.clip(2 * scene.horizon - np.arange(HEIGHT), 0, scene.horizon - 1)]
    nodes = rng.standard_normal((60, 12), dtype=np.float32)
    sheet = tone * 0.65 + mirror * 0.35 + (cv2.resize(nodes, (WIDTH, HEIGHT)) * 9)[..., None]
    scene.image += water[..., None] * (sheet.astype(np.float32) - scene.image)
    canal = view.variant == "canal"
    for bank in (first, second):
        _draw(scene, bank, (162, 160, 154) if canal else (104, 92, 72), 4 if canal else 2)
    leaf = np.array((66, 98, 50))
    for z in sorted(rng.random(int(rng.integers(2, 5) if canal else rng.integers(4, 11))) ** 1.5 * 0.5):
        bank = first if (rng.random() < 0.5 or not away) else second
        at = bank[int(z * 15)] if away else bank[int(rng.integers(16))]
        side = (-1 if bank is first else 1) * rng.uniform(4, 30) if away else 0.0
        tall = 12 + 50 * z if away else rng.uniform(8, 26)
        scene.tree(at[0] + side, at[1] + (2 if away else -1), tall, leaf * rng.uniform(0.8, 1.15))


def _draw(scene: Backdrop, points: Points, colour: Colour, width: int) -> None:
    cv2.polylines(scene.image, [fixed(points)], False, as_tuple(colour), width, cv2.LINE_AA, 4)


def paint_highway(scene: Backdrop, view: View) -> None:
    """Tarmac with lane marks, a guard rail, cars."""
    rng = scene.rng
    scene.floor(scene.grass, 10)
    wide = view.variant == "motorway"
    first, second, away = _strip(scene, view, (rng.uniform(0.5, 0.8) if wide else rng.uniform(0.34, 0.52)) * WIDTH)
    tarmac = _mask(first, second)
    tone = np.array((106, 106, 110), dtype=np.float32) * np.float32(rng.uniform(0.78, 1.18))
    scene.image += tarmac[..., None] * (tone + 4 * scene.rough[..., None] - scene.image)
    for share in (0.06, 0.94):
        _draw(scene, first + (second - first) * share, (228, 228, 224), 2)
    for share in (0.28, 0.5, 0.72) if wide else (0.5,):
        _dashes(scene, first + (second - first) * share, away=away)
    if wide:
        _rail(scene, first, second, away=away)
    _traffic(scene, first, second, away=away, wide=wide)


def _dashes(scene: Backdrop, lane: Points, *, away: bool) -> None:
    t = np.linspace(0, 1, 16)
    cuts = np.linspace(0.02, 1, 10) ** 1.8 if away else np.linspace(0, 1, 9)
    for a, b in pairwise(cuts):
        ends = [(float(np.interp(s, t, lane[:, 0])), float(np.interp(s, t, lane[:, 1]))) for s in (a, a + 0.55 * (b - a))]
        scene.line(ends[0], ends[1], (234, 232, 222), 1 + 2.4 * b if away else 1.6)


def _rail(scene: Backdrop, first: Points, second: Points, *, away: bool) -> None:
    for edge in (first, second) if away else (first,):
        scale = np.linspace(0.02, 1, 16) if away else np.full(16, 0.3)
        _draw(scene, np.stack([edge[:, 0], edge[:, 1] - 15 * scale], 1), (188, 192, 196), 2)
        for k in range(3, 16, 2):
            scene.line((edge[k, 0], edge[k, 1]), (edge[k, 0], edge[k, 1] - 15 * scale[k]), (150, 154, 158))


def _traffic(scene: Backdrop, first: Points, second: Points, *, away: bool, wide: bool) -> None:
    rng = scene.rng
    for z in sorted(rng.uniform(0.1, 0.75, int(rng.integers(0, 6 if wide else 4)))):
        lane = first + (second - first) * rng.choice([0.2, 0.4, 0.62, 0.84])
        x, y = (float(np.interp(z, np.linspace(0, 1, 16), lane[:, k])) for k in (0, 1))
        length = 5 + 32 * z if away else rng.uniform(16, 30)
        car(scene, x, y, length, truck=bool(rng.random() < 0.3), rear=away)
    if wide and rng.random() < 0.3:
        x, y = rng.uniform(50, 110), scene.horizon - 12
        scene.box(x - 28, y - 14, x + 28, y, (40, 80, 150))
        for side in (-26, 26):
            scene.line((x + side, y), (x + side, y + 22), (120, 120, 120))

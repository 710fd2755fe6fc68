"""Fields, plantations and pastures from the ground."""

from __future__ import annotations

import numpy as np

from skygraft.world.backdrop import Backdrop
from skygraft.world.canvas import mix
from skygraft.world.sheet import HEIGHT, WIDTH
from skygraft.world.views import View


def paint_annual(scene: Backdrop, view: View) -> None:
    """A field whose crop can be named."""
    vanish = scene.rng.uniform(0.15, 0.85) * WIDTH
    kind = view.variant
    if kind == "wheat" and scene.day.month in (9, 10, 11):
        kind = "bare"
    _CROPS[kind](scene, vanish)


def _bare(scene: Backdrop, vanish: float) -> None:
    rng = scene.rng
    soil = np.array(((150, 112, 84), (122, 92, 72), (176, 140, 108))[int(rng.integers(3))])
    scene.floor(soil, 12)
    scene.rows(vanish, int(rng.integers(18, 44)), soil * 0.78, 0.3)


def _wheat(scene: Backdrop, vanish: float) -> None:
    ripe = float(np.clip((scene.day.month - 4.5) / 2.5, 0, 1))
    straw = mix((106, 142, 66), (210, 178, 98), ripe)
    scene.floor(straw, 15)
    scene.rows(vanish, int(scene.rng.integers(28, 56)), straw * 0.86, 0.2)
    scene.tufts(200, straw, 8)


def _maize(scene: Backdrop, vanish: float) -> None:
    scene.floor((122, 98, 72), 10)
    scene.rows(vanish, int(scene.rng.integers(14, 26)), (66, 116, 48), 0.34)
    scene.tufts(80, (72, 128, 48), 24, (-0.5, 0.1, 0.6))


def _rape(scene: Backdrop, vanish: float) -> None:
    scene.floor((198, 188, 52), 14)
    scene.rows(vanish, int(scene.rng.integers(16, 34)), (152, 160, 48), 0.3)
    scene.specks(240, (228, 214, 50), 1.8)


def _sunflower(scene: Backdrop, vanish: float) -> None:
    scene.floor((92, 118, 56), 14)
    scene.rows(vanish, int(scene.rng.integers(16, 30)), (66, 98, 44), 0.3)
    scene.specks(150, (236, 196, 36), 3.4)
    scene.specks(30, (96, 64, 36), 1.8)


_CROPS = {"bare": _bare, "wheat": _wheat, "maize": _maize, "rape": _rape, "sunflower": _sunflower}


def paint_permanent(scene: Backdrop, view: View) -> None:
    """Rows of plants that stay for years: vines on wires, fruit trees, hops on tall poles."""
    scene.floor(mix((112, 120, 66), (172, 142, 104), scene.dry), 9)
    {"vines": _vines, "orchard": _orchard, "hops": _hops}[view.variant](scene)


def _ranks(scene: Backdrop, near: float, count: int, spacing: float) -> list[tuple[float, float]]:
    """Return (scale, x) of plants that stand in rows, from far to near."""
    rng = scene.rng
    vanish, shift = rng.uniform(0.2, 0.8) * WIDTH, rng.uniform(-0.3, 0.3)
    found = []
    for scale in 1 / np.linspace(1 / 0.07, 1 / near, count):
        for i in range(-10, 11):
            x = vanish + (i * spacing + shift) * WIDTH * scale * 1.15
            if -30 < x < WIDTH + 30:
                found.append((float(scale), float(x)))
    return found


def _vines(scene: Backdrop) -> None:
    rng = scene.rng
    vanish, shift = rng.uniform(0.2, 0.8) * WIDTH, rng.uniform(-0.5, 0.5)
    leaf = np.array((178, 124, 56) if scene.day.month >= 10 else (88, 128, 52)) * rng.uniform(0.88, 1.12)
    tall, gap = rng.uniform(0.3, 0.42) * HEIGHT, rng.uniform(0.34, 0.52) * WIDTH
    # Far rows first; each is a wall of leaves on posts and wires above bare stems, never a crown.
    for i in sorted((k + shift for k in range(-8, 9)), key=lambda k: -abs(k)):
        foot, tone = vanish + i * gap, leaf * rng.uniform(0.86, 1.08)
        y = float(scene.horizon)
        scene.fill([[vanish, y - 1], [vanish, y + 1], [foot, HEIGHT - tall * 0.3], [foot, HEIGHT - tall]], tone * 0.9)
        for k, z in enumerate(1 / np.linspace(1 / 0.08, 1.0, 22)):
            x, base = vanish + (foot - vanish) * z, float(scene.depth(z))
            if not -20 < x < WIDTH + 20:
                continue
            if k % 3 == 0:
                scene.line((x, base), (x, base - tall * z * 1.1), (134, 116, 100), 2.2 * z)
            for _ in range(2 if z > 0.12 else 1):
                at = x + rng.normal(0, 4 * z), base - tall * z * rng.uniform(0.38, 1.0)
                scene.disc(at[0], at[1], 4.2 * z + 0.3, tone * rng.uniform(0.72, 1.12))


def _orchard(scene: Backdrop) -> None:
    rng = scene.rng
    leaf = np.array((72, 106, 54)) * rng.uniform(0.88, 1.12)
    fruit = scene.day.month in (8, 9, 10)
    bloom = scene.day.month in (4, 5) and rng.random() < 0.5
    for scale, x in _ranks(scene, 0.9, 8, rng.uniform(0.42, 0.62)):
        y = scene.depth(0.95 * scale)
        scene.tree(x, y, HEIGHT * 0.52 * scale + 1, mix(leaf, (226, 208, 210), 0.6) if bloom else leaf)
        if fruit and scale > 0.25:
            for _ in range(7):
                at = x + rng.normal(0, 12 * scale), y - HEIGHT * scale * rng.uniform(0.24, 0.46)
                scene.disc(at[0], at[1], 0.6 + 1.6 * scale, (206, 56, 44))


def _hops(scene: Backdrop) -> None:
    rng = scene.rng
    leaf = np.array((84, 122, 56)) * rng.uniform(0.88, 1.1)
    for scale, x in _ranks(scene, 0.95, 9, rng.uniform(0.5, 0.7)):
        y, tall = scene.depth(0.95 * scale), HEIGHT * 0.98 * scale
        scene.line((x, y), (x + 1, y - tall), (120, 104, 88), 3 * scale)
        for k in range(6):
            at = y - tall * (0.18 + 0.14 * k)
            scene.disc(x + rng.normal(0, 2 * scale), at, 7 * scale + 0.4, leaf * rng.uniform(0.75, 1.2), 1.2)
    y = scene.horizon - rng.uniform(14, 26)
    for k in (0, 7):
        scene.line((0, y - k), (WIDTH, y - k - rng.uniform(-2, 2)), (112, 106, 100))


def paint_pasture(scene: Backdrop, view: View) -> None:
    """Short grass, a fence, animals."""
    rng = scene.rng
    scene.floor(mix((84, 136, 54), (124, 142, 72), scene.dry) * rng.uniform(0.9, 1.1), 7)
    for _ in range(int(rng.integers(0, 4))):
        scene.tree(rng.uniform(0, WIDTH), scene.horizon + 2, rng.uniform(9, 22), (56, 84, 44))
    if view.variant != "meadow" or rng.random() < 0.3:
        for z in sorted(rng.random(int(rng.integers(3, 8)))):
            y, size = scene.horizon + 4 + (HEIGHT - scene.horizon) * 0.7 * z, 4 + 19 * z
            _beast(scene, rng.uniform(5, WIDTH - 5), y, size, sheep=view.variant == "sheep")
    if view.variant == "meadow" or rng.random() < 0.5:
        _fence(scene)


def _beast(scene: Backdrop, x: float, y: float, size: float, *, sheep: bool) -> None:
    rng = scene.rng
    coats = ((70, 46, 34), (30, 28, 28), (226, 220, 212), (140, 84, 50))
    coat = np.array((230, 226, 214) if sheep else coats[int(rng.integers(4))])
    long, way = size * (0.95 if sheep else 1.3), rng.choice([-1, 1])
    for dx in (-0.38, -0.2, 0.22, 0.38):
        scene.line((x + dx * long, y), (x + dx * long, y - size * 0.5), coat * 0.65, size * 0.08)
    scene.disc(x, y - size * 0.62, long * 0.5, coat, 0.55 if not sheep else 0.66)
    if not sheep and rng.random() < 0.5:
        scene.disc(x + long * 0.1, y - size * 0.62, size * 0.15, (235, 232, 228))
    scene.disc(x + long * 0.58 * way, y - size * 0.74, size * 0.17, coat * (0.8 if not sheep else 0.35))


def _fence(scene: Backdrop) -> None:
    rng = scene.rng
    y, tall, lean = scene.horizon + rng.uniform(6, 34), rng.uniform(8, 18), rng.uniform(-0.08, 0.08)
    step = rng.uniform(14, 26)
    for x in np.arange(rng.uniform(0, step), WIDTH, step):
        scene.line((x, y + lean * x), (x, y + lean * x - tall), (106, 88, 70), 1 if tall < 11 else 2)
    for share in (0.25, 0.6, 0.95):
        scene.line((0, y - tall * share), (WIDTH, y + lean * WIDTH - tall * share), (152, 142, 130))

"""A person before a wall."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import mix
from skygraft.world.interior import BRIGHT, CLOTHS, WOODS, Interior
from skygraft.world.sheet import HEIGHT, WIDTH

SKINS = ((236, 196, 168), (222, 172, 138), (190, 138, 104), (140, 94, 68), (98, 66, 50))
HAIRS = ((40, 30, 26), (92, 62, 40), (168, 128, 74), (196, 194, 190), (120, 56, 32), (226, 200, 140))


def paint_portrait(scene: Interior) -> None:
    """Head and shoulders, close, before a wall with perhaps a picture, a door or a shelf."""
    rng = scene.rng
    _wall(scene)
    for _ in range(2 if rng.random() < 0.18 else 1):
        x, size = WIDTH * rng.uniform(0.3, 0.7), HEIGHT * rng.uniform(0.2, 0.29)
        _person(scene, x, HEIGHT * rng.uniform(0.38, 0.48), size)


def _wall(scene: Interior) -> None:
    rng = scene.rng
    if rng.random() < 0.5:
        scene.image[:] = mix(scene.wall, scene.pick(CLOTHS), 0.5 * rng.random())
    if rng.random() < 0.35:
        for x in np.arange(rng.uniform(0, 12), WIDTH, rng.uniform(9, 16)):
            scene.line((x, 0), (x, HEIGHT), scene.image[2, 2] * 0.93, 2)
    furnish = rng.random()
    if furnish < 0.3:
        x, y, wide, tall = rng.uniform(-10, WIDTH - 40), rng.uniform(-6, 22), rng.uniform(30, 50), rng.uniform(26, 44)
        scene.box(x - 2.5, y - 2.5, x + wide + 2.5, y + tall + 2.5, scene.pick(WOODS))
        scene.box(x, y, x + wide, y + tall, mix(scene.pick(BRIGHT), (214, 206, 190), 0.5))
    elif furnish < 0.5:
        x = rng.uniform(-10, WIDTH - 34)
        scene.box(x, -2, x + 46, HEIGHT, scene.pick(WOODS))
        scene.box(x + 6, 10, x + 40, HEIGHT * 0.45, scene.pick(WOODS))
    elif furnish < 0.65:
        y = rng.uniform(20, 50)
        scene.box(-2, y, WIDTH + 2, y + 3, scene.pick(WOODS))
        for x in np.arange(0, WIDTH, rng.uniform(4, 7)):
            scene.box(x, y - rng.uniform(8, 15), x + 3.4, y, scene.pick(BRIGHT, 0.3))


def _person(scene: Interior, x: float, y: float, size: float) -> None:
    """Draw a person whose head's middle is (x, y) and whose head is `size` pixels from middle to chin."""
    rng = scene.rng
    skin, hair, shirt = scene.pick(SKINS, 0.05), scene.pick(HAIRS), scene.pick(CLOTHS + BRIGHT, 0.15)
    wide, long_hair = size * 0.78, rng.random() < 0.5
    if long_hair:
        scene.disc(x, y - size * 0.05, wide * 1.3, hair, 1.25)
        scene.box(x - wide * 1.28, y, x + wide * 1.28, y + size * 1.5, hair)
    low = y + size * 1.35
    scene.fill(
        [
            [x - size * 2.3, HEIGHT + 4], [x - size * 2.0, low + size * 0.5], [x - size * 0.9, low], [x + size * 0.9, low],
            [x + size * 2.0, low + size * 0.5], [x + size * 2.3, HEIGHT + 4],
        ],
        shirt,
    )  # fmt: skip
    scene.box(x - wide * 0.45, y + size * 0.6, x + wide * 0.45, low + size * 0.1, skin * 0.84)
    scene.fill([[x - wide * 0.5, low - 1], [x + wide * 0.5, low - 1], [x, low + size * 0.45]], skin * 0.9)
    scene.disc(x, y - size * 0.22, wide * 1.1, hair, 1.12)
    scene.disc(x, y + size * 0.06, wide, skin, 1.26)
    part = rng.uniform(-0.6, 0.6) * wide
    scene.fill(
        [[x - wide, y - size * 0.2], [x - wide * 0.8, y - size * 0.9], [x + wide * 0.8, y - size * 0.9], [x + wide, y - size * 0.2],
         [x + part, y - size * 0.55]],
        hair,
    )  # fmt: skip
    _face(scene, x, y, size, skin)
    if rng.random() < 0.25:
        for side in (-0.4, 0.4):
            scene.disc(x + side * wide, y, size * 0.2, (40, 40, 44), 0.8)
            scene.disc(x + side * wide, y, size * 0.15, mix(skin, (220, 226, 232), 0.5), 0.8)
        scene.line((x - 0.2 * wide, y), (x + 0.2 * wide, y), (40, 40, 44))


def _face(scene: Interior, x: float, y: float, size: float, skin: np.ndarray) -> None:
    rng, wide = scene.rng, size * 0.78
    for side in (-0.4, 0.4):
        scene.disc(x + side * wide, y, size * 0.12, (240, 238, 234), 0.6)
        scene.disc(x + side * wide, y, size * 0.07, (50, 40, 36))
        scene.line((x + (side - 0.18) * wide, y - size * 0.2), (x + (side + 0.18) * wide, y - size * 0.22), skin * 0.5)
    scene.fill([[x, y + size * 0.05], [x - size * 0.1, y + size * 0.38], [x + size * 0.12, y + size * 0.38]], skin * 0.86)
    smile = rng.uniform(0.0, 0.09) * size
    scene.fill(
        [[x - wide * 0.38, y + size * 0.66], [x, y + size * 0.68 + smile], [x + wide * 0.38, y + size * 0.66], [x, y + size * 0.8 + smile]],
        (176, 78, 74),
    )
    for side in (-0.55, 0.55):
        scene.disc(x + side * wide, y + size * 0.4, size * 0.16, skin * np.array((1.05, 0.9, 0.88)), 0.8)

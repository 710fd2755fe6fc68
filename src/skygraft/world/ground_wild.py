"""Forest, natural herbaceous land and lakes from the ground."""

from __future__ import annotations

import cv2
import numpy as np

from skygraft.world.backdrop import Backdrop
from skygraft.world.canvas import mix
from skygraft.world.sheet import HEIGHT, WIDTH, cloud
from skygraft.world.views import View

CANOPY = {"conifer": (36, 60, 44), "broadleaf": (64, 102, 46), "mixed": (50, 80, 44)}
OPEN_LAND = {"heath": (120, 94, 100), "steppe": (188, 166, 114), "rough": (130, 130, 78), "scrub": (142, 126, 86)}


def paint_forest(scene: Backdrop, view: View) -> None:
    """Either the inside of a stand, trunk behind trunk, or its edge."""
    rng = scene.rng
    top = np.array(CANOPY[view.variant]) * rng.uniform(0.82, 1.18)
    if view.variant == "broadleaf" and scene.day.month in (10, 11):
        top = np.array((150, 102, 50))
    scene.floor(mix((76, 84, 50), (112, 88, 60), rng.random()), 13)
    if rng.random() < 0.25:
        _edge(scene, view, top)
    else:
        _inside(scene, view, top)


def _edge(scene: Backdrop, view: View, top: np.ndarray) -> None:
    rng = scene.rng
    scene.box(-2, scene.horizon - 30, WIDTH + 2, scene.horizon + 6, top * 0.55)
    for x in np.linspace(-4, WIDTH + 4, 22):
        cone = view.variant == "conifer" or (view.variant == "mixed" and rng.random() < 0.5)
        at, tall = scene.horizon + rng.uniform(0, 9), rng.uniform(44, 74)
        scene.tree(x + rng.normal(0, 4), at, tall, top * rng.uniform(0.72, 1.2), "cone" if cone else "round")


def _inside(scene: Backdrop, view: View, top: np.ndarray) -> None:
    rng = scene.rng
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    share = np.clip((scene.horizon + 8 - rows) / 10 + scene.rough * 0.6, 0, 1)[..., None]
    leaves = top.astype(np.float32) + (cloud(rng, (16, 40, 80)) * 16)[..., None]
    scene.image += share * (leaves - scene.image)
    bark = np.array((78, 62, 50) if view.variant == "conifer" else (112, 100, 88))
    for z in sorted(rng.random(int(rng.integers(16, 32))) ** 1.5):
        x, wide = rng.uniform(0, WIDTH), 1 + 11 * z
        foot = scene.horizon + 4 + (HEIGHT - scene.horizon) * 0.72 * z
        tone = bark * rng.uniform(0.65, 1.08) * (0.7 + 0.35 * z)
        scene.fill([[x - wide / 2, -2], [x + wide / 2, -2], [x + wide * 0.6, foot], [x - wide * 0.6, foot]], tone)


def paint_herbaceous(scene: Backdrop, view: View) -> None:
    """Uneven natural ground: tall tufts, herbs, shrubs."""
    rng = scene.rng
    tone = np.array(OPEN_LAND[view.variant]) * rng.uniform(0.9, 1.1)
    scene.floor(tone, 22)
    scene.tufts(int(rng.integers(90, 180)), tone, 13, (-0.5, 0.0, 0.5))
    bushy = view.variant in ("scrub", "heath")
    leaf = np.array((110, 72, 94) if view.variant == "heath" else (86, 94, 58))
    for z in sorted(rng.random(int(rng.integers(4, 12) if bushy else rng.integers(0, 5))) ** 1.3 * 0.8):
        at = rng.uniform(0, WIDTH), scene.depth(z) + 2
        scene.tree(at[0], at[1], 6 + 30 * z, leaf * rng.uniform(0.7, 1.15), trunk=False)
    if rng.random() < 0.4:
        bloom = ((240, 240, 240), (220, 120, 160), (240, 220, 90))[int(rng.integers(3))]
        scene.specks(40, bloom, 0.9)


def paint_lake(scene: Backdrop, view: View) -> None:
    """Water to the horizon or to a far shore."""
    rng = scene.rng
    dull = 0.78 if scene.day.sky == "overcast" else 1.0
    water = mix((52, 94, 134), (84, 124, 130), rng.random()) * dull
    nodes = rng.standard_normal((70, 14), dtype=np.float32)
    ripple = cv2.resize(nodes, (WIDTH, HEIGHT)) * (5 + 10 * scene.zoom)
    far = mix(scene.sky_low, water, 0.5)
    t = np.sqrt(scene.zoom)[..., None]
    sheet = (far * (1 - t) + water * t + ripple[..., None]).astype(np.float32)
    scene.image[scene.horizon :] = sheet[scene.horizon :]
    if view.variant == "lake":
        x = np.linspace(0, WIDTH, 20)
        hills = np.abs(cv2.GaussianBlur(rng.normal(3, 11, (1, 20)), (0, 0), 1.0)[0]) + 2
        shore = np.stack([x, scene.horizon - hills], axis=1)
        scene.fill(np.concatenate([shore, [[WIDTH, scene.horizon + 1], [0, scene.horizon + 1]]]), (70, 96, 80))
    else:
        for _ in range(16):
            z, x0 = rng.random(), rng.uniform(0, WIDTH)
            scene.line((x0, scene.depth(z)), (x0 + 3 + 16 * z, scene.depth(z)), (234, 240, 242))
    if rng.random() < 0.35:
        left, right = HEIGHT * rng.uniform(0.78, 0.95), HEIGHT * rng.uniform(0.75, 0.98)
        beach = (206, 188, 150) if rng.random() < 0.5 else scene.grass
        scene.fill([[-2, left], [WIDTH + 2, right], [WIDTH + 2, HEIGHT + 2], [-2, HEIGHT + 2]], beach)
    for _ in range(int(rng.integers(0, 3))):
        _boat(scene)


def _boat(scene: Backdrop) -> None:
    rng = scene.rng
    x, y, tall = rng.uniform(10, WIDTH - 10), scene.horizon + rng.uniform(4, 26), rng.uniform(10, 24)
    scene.fill([[x, y], [x, y - tall], [x + tall * 0.45, y]], (246, 246, 244))
    hull = [[x - tall * 0.3, y], [x + tall * 0.5, y], [x + tall * 0.35, y + 3], [x - tall * 0.2, y + 3]]
    scene.fill(hull, (92, 60, 48))

"""The stage of a ground photo: sky, light, horizon, ground, and things that stand on it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world import classes
from skygraft.world.canvas import Colour, mix
from skygraft.world.noise import FloatArray
from skygraft.world.sheet import HEIGHT, WIDTH, Sheet, cloud


@dataclass(frozen=True)
class Day:
    """Light and season of a photo.

    Attributes:
        sky: name of the weather.
        month: 1..12.
    """

    sky: str
    month: int


SKIES: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], float]] = {
    "clear": ((92, 148, 214), (186, 212, 234), 0.9),
    "cloudy": ((150, 170, 194), (206, 214, 222), 0.0),
    "overcast": ((176, 180, 184), (206, 208, 210), 9.0),
    "evening": ((120, 124, 172), (240, 192, 144), 0.4),
    "hazy": ((178, 196, 212), (222, 224, 222), 9.0),
}
"""Colour of the zenith, of the horizon, and the level above which clouds stand."""
SKY_SHARE = (0.36, 0.26, 0.2, 0.06, 0.12)


def a_day(rng: np.random.Generator, month: int) -> Day:
    """Draw a day of a month."""
    return Day(list(SKIES)[int(rng.choice(len(SKIES), p=SKY_SHARE))], month)


_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


class Backdrop(Sheet):
    """A picture in the making, WIDTH x HEIGHT, float32 on the scale 0..255.

    Args:
        day: light and season.
        dry: dryness of the ground in 0..1.
        rng: randomness of this photo.
    """

    def __init__(self, day: Day, dry: float, rng: np.random.Generator) -> None:
        """Paint the sky."""
        self.day, self.dry, self.rng = day, dry, rng
        self.horizon = int(HEIGHT * rng.uniform(0.34, 0.54))
        high, low, level = SKIES[day.sky]
        self.sky_low = np.array(low, dtype=np.float64)
        self.zoom = np.clip((_Y - self.horizon) / np.float32(HEIGHT - self.horizon), np.float32(1e-3), np.float32(1))
        t = np.clip(_Y / np.float32(self.horizon), np.float32(0), np.float32(1))[..., None]
        top, bottom = np.array(high, dtype=np.float32), np.array(low, dtype=np.float32)
        self.image: FloatArray = top + t * (bottom - top)
        if level < 5:
            share = np.clip((cloud(rng, (4, 9, 20)) - np.float32(level)) * np.float32(0.9), 0, 1)[..., None] * np.float32(0.8)
            self.image += share * (np.float32(239) - self.image)
        self.rough = cloud(rng, (10, 24, 60, 110))
        ripe = dry * (0.9 if 6 <= day.month <= 9 else 0.5)
        self.grass = mix((80, 114, 54), (152, 140, 86), ripe) * rng.uniform(0.87, 1.13)

    def floor(self, colour: Colour, rough: float = 10.0) -> None:
        """Lay the ground from the horizon to the lower edge."""
        tone = np.asarray(colour, dtype=np.float32)
        ground = tone * (0.82 + 0.25 * self.zoom[..., None]) + (self.rough * rough * (0.4 + self.zoom))[..., None]
        self.image[self.horizon :] = ground[self.horizon :]

    def depth(self, z: float) -> float:
        """Return the row at which something stands; z runs from 0 at the horizon to 1 at the lower edge."""
        return self.horizon + (HEIGHT - self.horizon) * z

    def far_strip(self, cover: int) -> None:
        """Draw what closes the view: trees, roofs or hills, thin and pale with distance."""
        rng = self.rng
        x = np.linspace(0, WIDTH, 20)
        if rng.random() < 0.55:
            ridge = cv2.GaussianBlur(rng.normal(0, 8, (1, 20)), (0, 0), 1.4)[0]
            self._ridge(x, np.abs(ridge) + 3, mix((78, 104, 96), self.sky_low, rng.uniform(0.45, 0.75)))
        if cover == classes.FOREST:
            self._ridge(x, 6 + np.abs(rng.normal(0, 1.6, 20)), mix((44, 68, 46), self.sky_low, rng.uniform(0.15, 0.4)))
        elif cover in (classes.RESIDENTIAL, classes.INDUSTRIAL):
            for _ in range(int(rng.integers(5, 12))):
                left, wide, high = rng.uniform(0, WIDTH), rng.uniform(4, 10), rng.uniform(2, 6)
                self.box(left, self.horizon - high, left + wide, self.horizon + 1, mix((176, 140, 126), self.sky_low, 0.4))
        elif rng.random() < 0.6:
            self._ridge(x, np.abs(rng.normal(0, 2.2, 20)), mix((72, 96, 66), self.sky_low, rng.uniform(0.2, 0.5)))

    def _ridge(self, x: NDArray[np.float64], height: NDArray[np.float64], colour: Colour) -> None:
        top = np.stack([x, self.horizon - height], axis=1)
        self.fill(np.concatenate([top, [[WIDTH, self.horizon + 1], [0, self.horizon + 1]]]), colour)

    def rows(self, vanish: float, count: int, colour: Colour, width: float) -> None:
        """Draw rows that run together at the horizon."""
        spread = 3.2
        for at in np.linspace(-spread, spread, count):
            near, half = vanish + at * WIDTH, width * WIDTH / count * spread
            tone = np.asarray(colour) * self.rng.uniform(0.92, 1.08)
            y = float(self.horizon)
            self.fill([[vanish - 0.3, y], [vanish + 0.3, y], [near + half, HEIGHT + 2], [near - half, HEIGHT + 2]], tone)

    def tree(self, x: float, y: float, height: float, colour: Colour, kind: str = "round", trunk: bool = True) -> None:
        """Draw a tree that stands at (x, y)."""
        rng, tone = self.rng, np.asarray(colour)
        if trunk:
            self.line((x, y), (x, y - height * 0.5), (64, 50, 40), height * 0.07)
        if kind == "cone":
            for k in range(3):
                low, half = y - height * (0.15 + 0.25 * k), height * (0.26 - 0.06 * k)
                self.fill([[x - half, low], [x + half, low], [x, low - height * 0.4]], tone * (0.85 + 0.12 * k))
            return
        for _ in range(7):
            at = x + rng.normal(0, height * 0.13), y - height * 0.68 + rng.normal(0, height * 0.1)
            self.disc(at[0], at[1], height * rng.uniform(0.13, 0.22), tone * rng.uniform(0.76, 1.18))

    def tufts(self, count: int, colour: Colour, height: float, spread: tuple[float, ...] = (0.0,)) -> None:
        """Scatter blades or stalks over the ground, taller towards the eye."""
        rng = self.rng
        z, x = rng.random(count) ** 0.65, rng.uniform(0, WIDTH, count)
        tones = np.asarray(colour) * rng.uniform(0.72, 1.25, (count, 1))
        for zi, xi, tone in zip(z.tolist(), x.tolist(), tones, strict=True):
            y, tall = self.depth(zi), 1 + height * zi
            for lean in spread:
                self.line((xi, y), (xi + lean * tall, y - tall), tone)

    def specks(self, count: int, colour: Colour, size: float) -> None:
        """Scatter blossoms over the ground."""
        rng = self.rng
        for z, x in zip((rng.random(count) ** 0.7).tolist(), rng.uniform(0, WIDTH, count).tolist(), strict=True):
            self.disc(x, self.depth(z), 0.4 + size * z, np.asarray(colour) * rng.uniform(0.88, 1.08))

    def clutter(self, posts: bool) -> None:
        """Add what stands in the way of many real photos: a pole, a branch."""
        rng = self.rng
        if posts and rng.random() < 0.18:
            x = rng.uniform(0, WIDTH)
            self.line((x, HEIGHT), (x, self.horizon - rng.uniform(10, 44)), (92, 84, 78), 2)
        if rng.random() < 0.1:
            for _ in range(24):
                leaf = np.array([52, 78, 40]) * rng.uniform(0.6, 1.2)
                self.disc(rng.normal(WIDTH * 0.1, 16), rng.normal(8, 11), rng.uniform(2, 5), leaf)

"""The stage of an indoor photo: walls, floor and ceiling in one-point perspective, and lamp light."""

from __future__ import annotations

import numpy as np

from skygraft.world.canvas import Colour, mix
from skygraft.world.noise import FloatArray
from skygraft.world.sheet import HEIGHT, WIDTH, Sheet, cloud

WALLS = ((232, 224, 206), (214, 198, 168), (198, 206, 204), (224, 208, 196), (206, 190, 186), (188, 196, 178), (238, 236, 230))
WOODS = ((134, 92, 58), (168, 124, 80), (104, 70, 48), (190, 154, 110), (84, 58, 44))
CLOTHS = ((150, 52, 48), (58, 74, 112), (110, 104, 98), (188, 168, 138), (70, 92, 76), (172, 120, 60), (96, 64, 92))
BRIGHT = ((206, 48, 40), (236, 196, 52), (40, 96, 168), (52, 140, 76), (238, 238, 232), (226, 122, 40), (128, 52, 120), (36, 38, 44))
_Y, _X = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)


class Interior(Sheet):
    """A picture in the making of the inside of a building.

    Args:
        rng: randomness of this photo.

    Attributes:
        left: column of the back wall's left edge; right, top and bottom are the others.
        wall: colour of the walls.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        """Choose where the back wall stands; nothing is drawn yet but the wall's colour."""
        self.rng = rng
        self.left, self.right = WIDTH * rng.uniform(0.06, 0.24), WIDTH * rng.uniform(0.76, 0.94)
        self.top, self.bottom = HEIGHT * rng.uniform(0.06, 0.18), HEIGHT * rng.uniform(0.62, 0.76)
        self.wall = self.pick(WALLS)
        self.image: FloatArray = np.empty((HEIGHT, WIDTH, 3), dtype=np.float32)
        self.image[:] = self.wall

    def pick(self, colours: tuple[tuple[int, int, int], ...], spread: float = 0.1) -> np.ndarray:
        """Draw one of some colours, a little lighter or darker."""
        return np.array(colours[int(self.rng.integers(len(colours)))]) * self.rng.uniform(1 - spread, 1 + spread)

    def shell(self, floor: Colour, *, planks: bool) -> None:
        """Draw ceiling, side walls, back wall and floor, with planks or tiles on it."""
        left, right, top, bottom = self.left, self.right, self.top, self.bottom
        self.fill([[0, 0], [WIDTH, 0], [right, top], [left, top]], mix(self.wall, (250, 248, 242), 0.6))
        self.fill([[0, 0], [left, top], [left, bottom], [0, HEIGHT + 20]], self.wall * 0.8)
        self.fill([[WIDTH, 0], [right, top], [right, bottom], [WIDTH, HEIGHT + 20]], self.wall * 0.88)
        self.box(left, top, right, bottom, self.wall)
        self.fill([[0, HEIGHT + 20], [left, bottom], [right, bottom], [WIDTH, HEIGHT + 20]], floor)
        tone = np.asarray(floor) * 0.86
        for at in np.linspace(0.0, 1.0, 9):
            self.line((left + (right - left) * at, bottom), (WIDTH * (2 * at - 0.5), HEIGHT + 20), tone)
        if not planks:
            for step in (0.06, 0.16, 0.32, 0.56, 0.9):
                y = bottom + (HEIGHT - bottom) * step
                self.line((0, y), (WIDTH, y), tone)
        self.line((left, bottom), (right, bottom), mix(self.wall, (255, 255, 255), 0.5), 2)
        for x, y in ((left, top), (right, top)):
            self.line((x, y), (x, bottom), self.wall * 0.72)

    def window(self, x: float, y: float, wide: float, tall: float) -> None:
        """Draw a window on the back wall: a bright pane, its frame, perhaps curtains."""
        frame = (244, 242, 238)
        self.box(x - 2, y - 2, x + wide + 2, y + tall + 2, frame)
        self.box(x, y, x + wide, y + tall, mix((196, 216, 236), (246, 248, 250), self.rng.random()))
        if self.rng.random() < 0.5:
            self.box(x, y + tall * 0.62, x + wide, y + tall, (150, 172, 132))
        self.line((x + wide / 2, y), (x + wide / 2, y + tall), frame, 2)
        self.line((x, y + tall * 0.4), (x + wide, y + tall * 0.4), frame)
        if self.rng.random() < 0.6:
            cloth = self.pick(CLOTHS)
            for side in (x - wide * 0.2, x + wide * 0.98):
                self.box(side, y - 5, side + wide * 0.22, y + tall + 8, cloth)
                for fold in (0.06, 0.15):
                    self.line((side + wide * fold, y - 5), (side + wide * fold, y + tall + 8), cloth * 0.8)

    def light(self) -> None:
        """Lay the light of a lamp or window over the picture: warm or neutral, strong near it, weak in the corners."""
        rng = self.rng
        at = rng.uniform(0.2, 0.8) * WIDTH, rng.uniform(0.0, 0.5) * HEIGHT
        away = np.hypot(_X - np.float32(at[0]), (_Y - np.float32(at[1])) * np.float32(1.2)) / np.float32(WIDTH)
        share = np.float32(1.1) - np.float32(rng.uniform(0.3, 0.7)) * away
        warm = mix((1.0, 1.0, 1.0), (1.1, 0.98, 0.8), rng.random()) * rng.uniform(0.85, 1.05)
        self.image *= share[..., None] * warm.astype(np.float32)
        self.image += (cloud(rng, (3, 6)) * 4)[..., None]
        np.clip(self.image, 0, 255, out=self.image)

"""Cars and lorries from an aeroplane."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.canvas import AirCanvas
from skygraft.world.aerial.stamps import boxes, cast, put
from skygraft.world.aerial.tones import tone


@dataclass(frozen=True)
class Kind:
    """A kind of vehicle: half length, half width and height in metres, and the colours (n, 4) that it comes in."""

    long: float
    wide: float
    high: float
    colours: NDArray[np.float64]


CARS = Kind(
    2.2, 0.9, 1.5,
    np.array([
        tone(228, 228, 228, 200), tone(30, 32, 36, 34), tone(124, 128, 134, 112), tone(170, 174, 178, 150), tone(150, 34, 32, 110),
        tone(44, 66, 120, 60), tone(62, 64, 68, 60),
    ]),
)  # fmt: skip
TRUCKS = Kind(
    6.2, 1.25, 3.2,
    np.array([tone(230, 230, 228, 205), tone(178, 60, 44, 120), tone(52, 86, 140, 70), tone(206, 148, 60, 160), tone(70, 112, 84, 100)]),
)  # fmt: skip


def park(
    canvas: AirCanvas,
    middle: NDArray[np.float64],
    direction: NDArray[np.float64],
    luck: NDArray[np.float64],
    kind: Kind | None = None,
) -> None:
    """Put vehicles on the ground.

    Args:
        canvas: to paint on.
        middle: places (n, 2), metres.
        direction: unit vectors (n, 2) that they point along.
        luck: a number in 0..1 (n,) that chooses the colour.
        kind: what they are; cars by default.
    """
    kind = kind or CARS
    shown = canvas.near(middle, 10.0)
    if not len(shown) or canvas.gsd > 3 * kind.long:
        return
    middle, direction, luck = middle[shown], direction[shown], luck[shown]
    a = direction * kind.long
    b = direction[:, ::-1] * np.array([-1.0, 1.0]) * kind.wide
    cast(canvas, middle, a, b, kind.high)
    stamp = boxes(canvas, middle, a, b)
    body = kind.colours[(luck * 9973).astype(np.int64) % len(kind.colours)]
    # Windows before and behind the roof are dark.
    glass = ((np.abs(stamp.u - 0.32) < 0.12) | (np.abs(stamp.u + 0.62) < 0.1)) & (np.abs(stamp.v) < 0.8) & (kind is CARS)
    put(canvas, stamp, np.where(glass[:, None], tone(40, 46, 52, 36), body[stamp.shape]))

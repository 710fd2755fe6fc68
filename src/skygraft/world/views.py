"""What a person sees from a place in a direction, found in the same landscape that the scenes are drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from skygraft.world.classes import CLASSES, HIGHWAY, RIVER
from skygraft.world.landscape import Landscape

BEARINGS: dict[str, float] = {"N": 0.0, "E": 90.0, "S": 180.0, "W": 270.0}
"""Directions of LUCAS photos, degrees clockwise from north."""
SPREAD = np.array([-30.0, -15.0, 0.0, 15.0, 30.0])
REACH = np.array([8.0, 16.0, 30.0, 50.0, 90.0, 160.0])
WEIGHT = np.outer(np.array([0.7, 1.0, 1.2, 1.0, 0.7]), np.array([1.0, 1.3, 1.5, 1.3, 0.9, 0.5]))
LINE_BONUS = 3.5
FAR = 420.0


@dataclass(frozen=True)
class View:
    """What stands in one direction.

    Attributes:
        cover: class index of the main subject.
        variant: name of its variant.
        share: weight of the main subject in the view, 0..1.
        behind: class index of what closes the view, some 400 m away.
        dry: dryness of the ground in 0..1.
        lean: angle from the line of sight to the course of a river or highway, -90..90 degrees.
        offset: where the river or highway lies: metres to the right of the line of sight (negative: left).
        distance: metres to the nearest point of the main subject in view.
    """

    cover: int
    variant: str
    share: float
    behind: int
    dry: float
    lean: float
    offset: float
    distance: float


def sight(x: float, y: float, bearing: float) -> NDArray[np.float64]:
    """Return the places (rays, steps, 2) that a look from a place in a direction passes."""
    angle = np.deg2rad(bearing + SPREAD)[:, None]
    return np.stack([x + np.sin(angle) * REACH, y + np.cos(angle) * REACH], axis=-1)


def look(land: Landscape, x: float, y: float, bearing: float) -> View:
    """Tell what is seen from UTM place (x, y) towards a bearing in degrees clockwise from north.

    The main subject is the class with the greatest weight over the field of view; near ground weighs more than far
    ground, and a river or highway draws the eye.
    """
    places = sight(x, y, bearing)
    ahead = np.deg2rad(bearing)
    far = np.array([[x + np.sin(ahead) * FAR, y + np.cos(ahead) * FAR]])
    seen = land.covers_at(np.concatenate([places.reshape(-1, 2), far]))
    kinds = seen[:-1].reshape(WEIGHT.shape)
    score = np.bincount(kinds.ravel(), weights=WEIGHT.ravel(), minlength=len(CLASSES))
    score[[RIVER, HIGHWAY]] = score[[RIVER, HIGHWAY]] * LINE_BONUS
    cover = int(score.argmax())
    rays, steps = np.nonzero(kinds == cover)
    best = int((steps + 0.3 * np.abs(rays - 2)).argmin())
    spot = places[rays[best], steps[best]]
    variant = land.cover_at(float(spot[0]), float(spot[1]))[1]
    dry = land.cells[int(land.cells_at(np.array([[x, y]]))[0])].dry
    lean, offset = _course(land, cover, (x, y), spot, bearing)
    share = float(score[cover] / score.sum())
    return View(cover, variant, share, int(seen[-1]), dry, lean, offset, float(REACH[steps[best]]))


def _course(land: Landscape, cover: int, eye: tuple[float, float], spot: NDArray[np.float64], bearing: float) -> tuple[float, float]:
    if cover not in land.sets:
        return 0.0, 0.0
    curves = land.sets[cover]
    index, _ = curves.nearest(spot[None])
    tangent = curves.tangents[index[0]]
    course = np.rad2deg(np.arctan2(tangent[0], tangent[1]))
    lean = float((course - bearing + 90.0) % 180.0 - 90.0)
    to = curves.points[index[0]] - np.array(eye)
    angle = np.deg2rad(bearing)
    return lean, float(to[0] * np.cos(angle) - to[1] * np.sin(angle))

"""Photos from the ground: one picture of what a view tells of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world import classes, ground_built, ground_farm, ground_lines, ground_wild
from skygraft.world.backdrop import Backdrop, Day
from skygraft.world.sheet import Sheet
from skygraft.world.views import View

_PAINT: dict[int, Callable[[Backdrop, View], None]] = {
    classes.ANNUAL: ground_farm.paint_annual,
    classes.FOREST: ground_wild.paint_forest,
    classes.HERBACEOUS: ground_wild.paint_herbaceous,
    classes.HIGHWAY: ground_lines.paint_highway,
    classes.INDUSTRIAL: ground_built.paint_industrial,
    classes.PASTURE: ground_farm.paint_pasture,
    classes.PERMANENT: ground_farm.paint_permanent,
    classes.RESIDENTIAL: ground_built.paint_residential,
    classes.RIVER: ground_lines.paint_river,
    classes.SEALAKE: ground_wild.paint_lake,
}


@dataclass(frozen=True)
class Shot:
    """Settings of one photo.

    Attributes:
        day: light and season, shared by the photos of a place.
        width: pixels.
        quality: JPEG quality.
    """

    day: Day
    width: int
    quality: int = 88


def take(view: View, shot: Shot, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Draw the photo of a view.

    Args:
        view: what stands there.
        shot: light, season and size.
        rng: randomness of this photo alone.

    Returns:
        Array (height, width, 3) with height = 3/4 width, uint8.
    """
    scene = Backdrop(shot.day, view.dry, rng)
    if view.cover != classes.FOREST:
        scene.far_strip(view.behind)
    _PAINT[view.cover](scene, view)
    scene.clutter(view.cover not in (classes.FOREST, classes.SEALAKE))
    return develop(scene, shot, rng)


def develop(scene: Sheet, shot: Shot, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Turn a finished drawing into the camera's picture: its size, blur, exposure, tint and grain."""
    image = cv2.resize(scene.image, (shot.width, shot.width * 3 // 4), interpolation=cv2.INTER_AREA)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 0.8)))
    level = np.array(128 * rng.uniform(0.85, 1.1) + rng.normal(0, 3, 3), dtype=np.float32)
    image = (image - np.float32(128)) * np.float32(rng.uniform(0.85, 1.12)) + level
    grain = rng.standard_normal(image.shape, dtype=np.float32) * np.float32(rng.uniform(1, 3))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def encode(image: NDArray[np.uint8], quality: int) -> bytes:
    """Return a picture as JPEG bytes."""
    ok, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"JPEG encoder refused an image of shape {image.shape}")
    return data.tobytes()

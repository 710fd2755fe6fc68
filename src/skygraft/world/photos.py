"""Drawing and serving photos: the survey's, and the captioned ones of another landscape."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skygraft.world.backdrop import Day, a_day
from skygraft.world.captions import caption, indoor_caption, say_outdoors
from skygraft.world.classes import CLASSES, HIGHWAY, NAMES, RIVER
from skygraft.world.ground import Shot, encode, take
from skygraft.world.indoor import KINDS, take_indoors
from skygraft.world.landscape import Landscape
from skygraft.world.noise import rng_of
from skygraft.world.points import Point
from skygraft.world.recipe import Recipe
from skygraft.world.views import BEARINGS, View, look

PAGE = b"<!DOCTYPE html>\n<html><head><title>503 Service Unavailable</title></head><body><h1>Service Unavailable</h1></body></html>\n"
CAPTIONS = 4
INDOOR = "Indoor"
"""Class name of indoor photos in the tables of captioned photos."""
PLAIN_SHARE = 0.55
"""A captioned photo is one whose main subject fills at least this share of the view."""


@dataclass(frozen=True)
class Truth:
    """What the world knows of a photo and tells no client."""

    photo_id: str
    subject: str
    variant: str
    share: float
    behind: str
    bearing: float
    fate: str
    sha256: str


def photo_path(point_id: str, direction: str) -> str:
    """Return the path of a photo on the LUCAS photo server, without a leading slash."""
    return f"lucas/photos/2018/DE/{point_id[:3]}/{point_id[3:6]}/{point_id}{direction}.jpg"


def shot_of(rng: np.random.Generator, day: Day, recipe: Recipe) -> Shot:
    """Draw the settings of a photo."""
    low, high = recipe.photo_widths
    return Shot(day, int(rng.integers(low // 8, high // 8 + 1)) * 8, int(rng.integers(80, 93)))


def write_photos(land: Landscape, recipe: Recipe, points: Sequence[Point], root: Path) -> list[Truth]:
    """Draw and write the photos of points below a folder, with the failures that the survey dealt."""
    told = []
    for point in points:
        rng = rng_of(land.seed, "photo", int(point.point_id))
        shot = shot_of(rng, a_day(rng, point.day.month), recipe)
        for direction, bearing in BEARINGS.items():
            fate = point.fates[direction]
            if point.interpreted:
                continue
            view = look(land, point.gps[0], point.gps[1], bearing)
            data = _as_served(encode(take(view, shot, rng), shot.quality), fate)
            if data:
                path = root / photo_path(point.point_id, direction)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            told.append(_truth(f"lucas:2018:{point.point_id}:{direction}", view, bearing, fate, data))
    return told


def _as_served(data: bytes, fate: str) -> bytes:
    if fate in ("not_taken", "absent"):
        return b""
    if fate == "html":
        return PAGE
    return data[: len(data) * 3 // 5] if fate == "truncated" else data


def _truth(photo_id: str, view: View, bearing: float, fate: str, data: bytes) -> Truth:
    digest = hashlib.sha256(data).hexdigest() if data else ""
    subject, behind = NAMES[view.cover], NAMES[view.behind]
    return Truth(photo_id, subject, view.variant, view.share, behind, bearing, fate, digest)


@dataclass(frozen=True)
class Captioned:
    """A photo with captions, for the teacher."""

    image: bytes
    name: str
    captions: tuple[str, ...]


def captioned_photos(land: Landscape, recipe: Recipe, numbers: Sequence[int]) -> list[Captioned]:
    """Draw captioned photos by number; the number decides the class (number mod ten) and all else."""
    made = []
    for number in numbers:
        rng = rng_of(land.seed, "captioned", number)
        view = find_view(land, number % len(CLASSES), rng)
        day = a_day(rng, int(rng.integers(4, 11)))
        shot = shot_of(rng, day, recipe)
        image = encode(take(view, shot, rng), shot.quality)
        words = [caption(view.variant, day, rng) for _ in range(CAPTIONS)]
        # A stream of its own: what else is drawn of this photo stays as it is.
        where = rng_of(land.seed, "outdoors", number)
        made.append(Captioned(image, NAMES[view.cover], tuple(say_outdoors(text, where) for text in words)))
    return made


def captioned_indoors(recipe: Recipe, numbers: Sequence[int]) -> list[Captioned]:
    """Draw captioned indoor photos by number, which decides the kind and all else."""
    made = []
    for number in numbers:
        rng = rng_of(recipe.teacher_seed, "captioned indoors", number)
        kind = list(KINDS)[number % len(KINDS)]
        shot = shot_of(rng, a_day(rng, 6), recipe)
        image = encode(take_indoors(kind, shot, rng), shot.quality)
        made.append(Captioned(image, INDOOR, tuple(indoor_caption(kind, rng) for _ in range(CAPTIONS))))
    return made


def find_view(land: Landscape, cover: int, rng: np.random.Generator) -> View:
    """Walk about until a class is plainly in view; the plainest of many tries when it never is."""
    best: View | None = None
    for _ in range(60):
        x, y = _stand(land, cover, rng)
        view = look(land, x, y, float(rng.uniform(0, 360)))
        if view.cover == cover and (best is None or view.share > best.share):
            best = view
            if view.share >= PLAIN_SHARE:
                break
    if best is None:
        raise LookupError(f"no view of {NAMES[cover]} in the landscape of seed {land.seed}")
    return best


def _stand(land: Landscape, cover: int, rng: np.random.Generator) -> tuple[float, float]:
    if cover in (RIVER, HIGHWAY):
        curves = land.sets[cover]
        i = int(rng.integers(40, len(curves.points) - 40))
        out = (curves.half_width[i] + rng.uniform(-2, 8)) * rng.choice([-1, 1])
        x, y = curves.points[i] + np.array([-curves.tangents[i, 1], curves.tangents[i, 0]]) * out
        return _within(land, float(x), float(y))
    own = [c for c in land.cells if c.cover == cover]
    cell = own[int(rng.integers(len(own)))]
    return _within(land, cell.x + float(rng.normal(0, 200)), cell.y + float(rng.normal(0, 200)))


def _within(land: Landscape, x: float, y: float) -> tuple[float, float]:
    """Keep a place two nodes inside the landscape's edge."""
    low, high = land.nodes[1, 1], land.nodes[-2, -2]
    return float(np.clip(x, low[0], high[0])), float(np.clip(y, low[1], high[1]))

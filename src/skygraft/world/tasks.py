"""Pieces of work that a world's worker processes do; each depends on the recipe and its own arguments alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from skygraft.world.clouds import CLOUDY, share_of
from skygraft.world.eurosat import Chip, draw_chips
from skygraft.world.flickr_rows import Job, Listed, write_listed
from skygraft.world.landscape import BLOCK_M, BLOCK_PX, Frame, Landscape
from skygraft.world.lucas import PHOTO_HOST
from skygraft.world.photos import Captioned, Truth, captioned_indoors, captioned_photos, write_photos
from skygraft.world.points import Point
from skygraft.world.recipe import Recipe
from skygraft.world.scattered import PICTURE_HOST
from skygraft.world.scene_items import earth_search_item, es_path, pc_path, planetary_item
from skygraft.world.scenes import BANDS, BLOB_HOST, COG_HOST, Scene, render_scene, write_scene
from skygraft.world.squares import Square

TILE_REACH = 620.0
"""Half the side of the ground drawn around a point, metres: a tile of 1 km and some margin."""
TEACHER_SIDE = 24
"""Nodes a side of the landscape that the captioned photos come from."""


@lru_cache(maxsize=2)
def landscape(recipe: Recipe) -> Landscape:
    """Return the recipe's landscape, laid out once a process."""
    cv2.setNumThreads(1)
    return Landscape(recipe.seed, Frame.of(recipe))


@lru_cache(maxsize=2)
def teacher_landscape(recipe: Recipe) -> Landscape:
    """Return the landscape of another seed that the captioned photos come from."""
    cv2.setNumThreads(1)
    return Landscape(recipe.teacher_seed, Frame.square(TEACHER_SIDE))


@dataclass(frozen=True)
class Ground:
    """The drawn ground under all scenes, shared by the workers through a file.

    Attributes:
        path: an .npy file (rows, columns, 4) uint16; 0 is not drawn.
        column: block column of the left edge.
        row: block row of the upper edge.
        columns: block columns.
        rows: block rows.
    """

    path: Path
    column: int
    row: int
    columns: int
    rows: int

    @classmethod
    def over(cls, squares: Sequence[Square], path: Path) -> Ground:
        """Lay an empty ground under squares."""
        west, north = min(s.west for s in squares), max(s.north for s in squares)
        east = max(s.west + 10 * s.columns for s in squares)
        south = min(s.north - 10 * s.rows for s in squares)
        left, top = int(west // BLOCK_M), int(-(-north // BLOCK_M)) - 1
        columns, rows = int(-(-east // BLOCK_M)) - left, top - int(south // BLOCK_M) + 1
        shape = (rows * BLOCK_PX, columns * BLOCK_PX, 4)
        path.parent.mkdir(parents=True, exist_ok=True)
        open_memmap(path, mode="w+", dtype=np.uint16, shape=shape).flush()
        return cls(path, left, top, columns, rows)

    def open(self, mode: Any = "r") -> NDArray[np.uint16]:
        """Map the file."""
        return open_memmap(self.path, mode=mode)

    def place(self, column: int, row: int) -> tuple[slice, slice]:
        """Return rows and columns of a block."""
        y, x = (self.row - row) * BLOCK_PX, (column - self.column) * BLOCK_PX
        return slice(y, y + BLOCK_PX), slice(x, x + BLOCK_PX)

    def window(self, square: Square) -> NDArray[np.uint16]:
        """Return the ground under a square (rows, columns, 4)."""
        top = round(((self.row + 1) * BLOCK_M - square.north) / 10)
        left = round((square.west - self.column * BLOCK_M) / 10)
        return np.asarray(self.open()[top : top + square.rows, left : left + square.columns])


def ground_jobs(land: Landscape, ground: Ground, points: Sequence[Point]) -> list[list[tuple[int, int]]]:
    """Return the blocks (column, row) that points' tiles touch, in groups of neighbours."""
    wanted: set[tuple[int, int]] = set()
    for point in points:
        for x, y in (point.theory, point.gps):
            columns = range(int((x - TILE_REACH) // BLOCK_M), int((x + TILE_REACH) // BLOCK_M) + 1)
            rows = range(int((y - TILE_REACH) // BLOCK_M), int((y + TILE_REACH) // BLOCK_M) + 1)
            wanted |= {(c, r) for c in columns for r in rows}
    inside = {(c, r) for c, r in wanted if 0 <= c - ground.column < ground.columns and 0 <= ground.row - r < ground.rows}
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for column, row in sorted(inside):
        groups.setdefault((column // 9, row // 9), []).append((column, row))
    return list(groups.values())


def draw_ground(recipe: Recipe, ground: Ground, blocks: Sequence[tuple[int, int]]) -> int:
    """Draw blocks into the shared ground; returns their number."""
    land, target = landscape(recipe), ground.open("r+")
    for column, row in blocks:
        target[ground.place(column, row)] = land.draw(column, row)
    return len(blocks)


def draw_photos(recipe: Recipe, folder: Path, points: Sequence[Point]) -> list[Truth]:
    """Draw and write the photos of points."""
    return write_photos(landscape(recipe), recipe, points, folder / "http" / PHOTO_HOST)


def draw_listed(recipe: Recipe, folder: Path, photos: Sequence[Job]) -> list[Listed]:
    """Draw and write scattered photos."""
    return write_listed(landscape(recipe), recipe, photos, folder / "http" / PICTURE_HOST)


def draw_captioned(recipe: Recipe, _: None, numbers: Sequence[int]) -> list[Captioned]:
    """Draw captioned photos by number."""
    return captioned_photos(teacher_landscape(recipe), recipe, numbers)


def draw_captioned_indoors(recipe: Recipe, _: None, numbers: Sequence[int]) -> list[Captioned]:
    """Draw captioned indoor photos by number."""
    return captioned_indoors(recipe, numbers)


def chip_jobs(chips: Sequence[Chip]) -> list[list[Chip]]:
    """Return chips in groups of neighbours, so that a group shares its cells."""
    groups: dict[tuple[int, int], list[Chip]] = {}
    for chip in sorted(chips, key=lambda c: (c.column, c.row)):
        groups.setdefault((chip.column // 12, chip.row // 12), []).append(chip)
    return list(groups.values())


def draw_chip_images(recipe: Recipe, _: None, chips: Sequence[Chip]) -> list[bytes]:
    """Draw chips."""
    return draw_chips(landscape(recipe), chips)


@dataclass(frozen=True)
class Written:
    """What a scene's worker reports back."""

    square: str
    month: int
    cover: float
    planetary: dict[str, Any]
    earth_search: dict[str, Any]


def draw_scene(recipe: Recipe, place: tuple[Path, Ground], scene: Scene) -> Written:
    """Render a scene, write its files for both catalogues, and describe it."""
    folder, ground = place
    pixels = render_scene(recipe.seed, scene, ground.window(scene.square))
    assets = (*BANDS, "SCL")
    blobs = {a: folder / "http" / BLOB_HOST / pc_path(scene, a) for a in assets}
    cogs = {a: folder / "http" / COG_HOST / es_path(scene, a) for a in assets}
    write_scene(scene, pixels, blobs, cogs)
    cover = share_of(pixels.scl, *CLOUDY)
    return Written(scene.square.name, scene.moment.month, cover, planetary_item(scene, pixels), earth_search_item(scene, pixels))

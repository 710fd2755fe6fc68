"""Pictures of a drawn world on request: the landscape is laid out when the first one is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, timedelta
from functools import cached_property, lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from skygraft.world.aerial.grid import TILE_PX, mercator_grid, to_degrees, to_utm, utm_grid
from skygraft.world.aerial.picture import photograph
from skygraft.world.landscape import Landscape
from skygraft.world.recipe import SURVEY_YEAR, Recipe
from skygraft.world.tasks import landscape

FIRST_ZOOM, LAST_ZOOM = 13, 19
"""Levels that have pictures."""
SHEET_ZOOM = 12
"""Level whose tiles were each flown on one day."""


class Camera:
    """Draws pictures of a world.

    Args:
        folder: of the drawn world; its manifest says how it was drawn.
    """

    def __init__(self, folder: Path) -> None:
        """Nothing is read before somebody asks."""
        self._manifest = folder / "world.json"
        # Neighbouring requests share tiles: those of the last dozen megabytes are kept.
        self.tile = lru_cache(maxsize=64)(self._tile)

    @cached_property
    def recipe(self) -> Recipe:
        """How the world was drawn."""
        return Recipe.from_dict(json.loads(self._manifest.read_text())["recipe"])

    @cached_property
    def land(self) -> Landscape:
        """The landscape."""
        return landscape(self.recipe)

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the ground that was flown over, UTM metres."""
        low, high = self.land.nodes.reshape(-1, 2).min(axis=0), self.land.nodes.reshape(-1, 2).max(axis=0)
        return float(low[0]), float(low[1]), float(high[0]), float(high[1])

    def covers(self, lon: float, lat: float) -> bool:
        """Tell whether a place in degrees was flown over."""
        x, y = to_utm().transform(lon, lat)
        west, south, east, north = self.bounds
        return bool(west <= x <= east and south <= y <= north)

    def mercator(self, zoom: int, left: int, top: int, size: tuple[int, int], year: int = SURVEY_YEAR) -> NDArray[np.uint8] | None:
        """Draw a Web Mercator picture.

        Args:
            zoom: level.
            left: column of the first pixel of the level.
            top: row of the first pixel of the level.
            size: width and height, pixels.
            year: of the flight.

        Returns:
            Red, green and blue (height, width, 3), or None where the middle was not flown over or the level has no pictures.
        """
        width, height = size
        lon, lat = to_degrees(zoom, np.array([left + width / 2]), np.array([top + height / 2]))
        if not FIRST_ZOOM <= zoom <= LAST_ZOOM or not self.covers(float(lon[0]), float(lat[0])):
            return None
        return photograph(self.land, mercator_grid(zoom, left - 1, top - 1, width + 2, height + 2), year)[..., :3]

    def _tile(self, zoom: int, column: int, row: int, year: int = SURVEY_YEAR) -> NDArray[np.uint8] | None:
        """Draw a tile of a level (256, 256, 3), or None where there is none."""
        return self.mercator(zoom, column * TILE_PX, row * TILE_PX, (TILE_PX, TILE_PX), year)

    def upright(self, west: float, north: float, size: tuple[int, int], gsd: float, year: int) -> NDArray[np.uint8]:
        """Draw a UTM picture (height, width, 4) with near infrared: upper left corner in metres, width and height, metres a pixel."""
        width, height = size
        return photograph(self.land, utm_grid(west - gsd, north + gsd, width + 2, height + 2, gsd), year)


def flown(zoom: int, column: int, row: int, year: int = SURVEY_YEAR) -> tuple[date, date]:
    """Return the first and last day of the flights that a tile's picture comes from: one sheet, a few days in summer."""
    shift = max(zoom - SHEET_ZOOM, 0)
    seed = hashlib.sha256(f"{column >> shift}/{row >> shift}/{year}".encode()).digest()
    first = date(year, 4, 10) + timedelta(days=seed[0] % 150)
    return first, first + timedelta(days=seed[1] % 6)


def american(days: Sequence[date]) -> str:
    """Write two days as tile services do in their headers: 6/2/2018-6/4/2018."""
    return "-".join(f"{day.month}/{day.day}/{day.year}" for day in days)


def encoded(picture: NDArray[np.uint8], kind: str) -> bytes:
    """Return a picture (rows, columns, 3) as JPEG or PNG bytes.

    Raises:
        ValueError: The encoder refuses it.
    """
    extension, options = (".png", [cv2.IMWRITE_PNG_COMPRESSION, 3]) if kind == "png" else (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 88])
    ok, data = cv2.imencode(extension, picture[..., ::-1], options)
    if not ok:
        raise ValueError(f"no {kind} can be made of a picture of shape {picture.shape}")
    return data.tobytes()

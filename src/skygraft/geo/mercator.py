"""Web Mercator as map services cut it: global pixels, square web tiles, quadkeys, and metres on the ground.

The world is a square of ``world_px`` pixels a side, pixel (0, 0) at its north-western corner; web tiles of ``tile_px`` pixels tile it,
``2**zoom`` a side. Coordinates follow EPSG:3857, a sphere of :data:`RADIUS_M`; angles are degrees in EPSG:4326.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike

from skygraft.geo.utm import Floats

RADIUS_M = 6_378_137.0
CIRCUMFERENCE_M = 2 * np.pi * RADIUS_M
"""Side of the square of EPSG:3857 in its own metres, which are metres on the ground at the equator alone."""
NORTH_LIMIT = 85.05112877980659
CRS = "EPSG:3857"


@dataclass(frozen=True, order=True)
class WebTile:
    """One square of the world.

    Args:
        zoom: How often the world was halved.
        x: Column from the antimeridian eastward.
        y: Row from the northern limit southward.
    """

    zoom: int
    x: int
    y: int

    @property
    def quadkey(self) -> str:
        """Bing's name of the tile: for each zoom level a digit, the bit of x and twice the bit of y, the coarsest first."""
        bits = reversed(range(self.zoom))
        return "".join(str((self.x >> bit & 1) | (self.y >> bit & 1) << 1) for bit in bits)

    def __str__(self) -> str:
        return f"{self.zoom}/{self.x}/{self.y}"


@dataclass(frozen=True)
class Frame:
    """A square window of the world's pixels; it may run over the antimeridian.

    Args:
        world_px: Side of the world, pixels.
        left: Its western edge, pixels.
        top: Its northern edge, pixels.
        size_px: Its side, pixels.
    """

    world_px: int
    left: float
    top: float
    size_px: int

    @property
    def transform(self) -> Affine:
        """From column and row to metres in EPSG:3857."""
        step = CIRCUMFERENCE_M / self.world_px
        return Affine(step, 0.0, self.left * step - CIRCUMFERENCE_M / 2, 0.0, -step, CIRCUMFERENCE_M / 2 - self.top * step)

    def web_tiles(self, zoom: int) -> list[tuple[WebTile, int, int]]:
        """The web tiles that it touches, by rows, each with the column and row of its corner in the frame.

        Rows beyond the poles' limits are left out. The frame must lie on whole pixels.
        """
        side = self.world_px >> zoom
        left, top = int(self.left), int(self.top)
        columns = range(left // side, (left + self.size_px - 1) // side + 1)
        rows = range(max(0, top // side), min((1 << zoom) - 1, (top + self.size_px - 1) // side) + 1)
        return [(WebTile(zoom, column % (1 << zoom), row), column * side - left, row * side - top) for row in rows for column in columns]


def to_pixels(lon: ArrayLike, lat: ArrayLike, world_px: int) -> tuple[Floats, Floats]:
    """Places as columns and rows of the world's pixels, fractions included.

    Args:
        lon: Longitudes; those beyond 180 lie beyond the world's edge.
        lat: Latitudes within the limits of the square, 85.05 degrees.
        world_px: Side of the world, pixels.
    """
    sine = np.sin(np.radians(np.asarray(lat, np.float64)))
    column = (np.asarray(lon, np.float64) + 180.0) / 360.0 * world_px
    row = (0.5 - np.arctanh(sine) / (2 * np.pi)) * world_px
    return np.asarray(column), np.asarray(row)


def from_pixels(column: ArrayLike, row: ArrayLike, world_px: int) -> tuple[Floats, Floats]:
    """The longitude and latitude of places in the world's pixels."""
    lon = np.asarray(column, np.float64) / world_px * 360.0 - 180.0
    lat = np.degrees(np.arcsin(np.tanh(2 * np.pi * (0.5 - np.asarray(row, np.float64) / world_px))))
    return np.asarray(lon), np.asarray(lat)


def ground_sample_distance(lat: float, world_px: int) -> float:
    """Metres on the ground a pixel: 156543.034 cos(latitude) / 2^zoom for web tiles of 256 pixels."""
    return float(CIRCUMFERENCE_M * np.cos(np.radians(lat)) / world_px)


def web_tile_at(lon: float, lat: float, zoom: int) -> WebTile:
    """The web tile in which a place lies."""
    column, row = to_pixels(lon, lat, 1 << zoom)
    last = (1 << zoom) - 1
    return WebTile(zoom, int(np.floor(column)) & last, min(max(int(np.floor(row)), 0), last))


def centre_of(tile: WebTile) -> tuple[float, float]:
    """The longitude and latitude of the middle of a web tile."""
    lon, lat = from_pixels(tile.x + 0.5, tile.y + 0.5, 1 << tile.zoom)
    return float(lon), float(lat)

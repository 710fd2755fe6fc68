"""Where the pixels of a picture lie on the ground, in Web Mercator as tile services cut it and in UTM as NAIP does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import Transformer

from skygraft.world.recipe import EPSG

TILE_PX = 256
LATTICE_PX = 64
"""Pixels between the places that are projected exactly; between them a straight line is off by less than a millimetre at zoom 16."""
CENTRE_LATITUDE = 48.66
"""Latitude at which a Mercator pixel's size is taken for the whole world: one size a zoom, so that two requests draw alike."""
EQUATOR_M = 2 * np.pi * 6378137.0


@dataclass(frozen=True)
class Grid:
    """Pixels on the ground.

    Attributes:
        x: UTM eastings of the pixels' centres (rows, columns), metres.
        y: UTM northings (rows, columns), metres.
        gsd: ground metres a pixel.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gsd: float

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east and north of the pixels' centres, metres."""
        return float(self.x.min()), float(self.y.min()), float(self.x.max()), float(self.y.max())


def utm_grid(west: float, north: float, width: int, height: int, gsd: float) -> Grid:
    """Return the grid of an upright UTM picture: upper left corner in metres, size in pixels, metres a pixel."""
    x = west + (np.arange(width) + 0.5) * gsd
    y = north - (np.arange(height) + 0.5) * gsd
    return Grid(np.tile(x, (height, 1)), np.repeat(y[:, None], width, axis=1), gsd)


def mercator_gsd(zoom: int, latitude: float = CENTRE_LATITUDE) -> float:
    """Return the ground metres of a Web Mercator pixel: C cos(latitude) / (256 2^zoom), C the equator's length."""
    return float(EQUATOR_M * np.cos(np.radians(latitude)) / (TILE_PX << zoom))


def mercator_grid(zoom: int, left: int, top: int, width: int, height: int) -> Grid:
    """Return the grid of a Web Mercator picture.

    Args:
        zoom: level; the world is 256 * 2^zoom pixels a side.
        left: column of the first pixel, counted from 180 degrees west.
        top: row of the first pixel, counted from the projection's upper edge.
        width: pixels.
        height: pixels.
    """
    columns, rows = (left + np.arange(width) + 0.5) / LATTICE_PX, (top + np.arange(height) + 0.5) / LATTICE_PX
    i, j = np.floor(columns).astype(np.int64), np.floor(rows).astype(np.int64)
    u, v = columns - i, (rows - j)[:, None]
    nodes_i, nodes_j = np.arange(i[0], i[-1] + 2), np.arange(j[0], j[-1] + 2)
    i, j = i - i[0], j - j[0]
    lon, lat = to_degrees(zoom, nodes_i * float(LATTICE_PX), nodes_j * float(LATTICE_PX))
    nodes = to_utm().transform(np.tile(lon, (len(lat), 1)), np.repeat(lat[:, None], len(lon), axis=1))
    x, y = (_between(np.asarray(node), i, j, u, v) for node in nodes)
    return Grid(x, y, mercator_gsd(zoom))


def _between(
    node: NDArray[np.float64], i: NDArray[np.int64], j: NDArray[np.int64], u: NDArray[np.float64], v: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate nodes bilinearly at columns i + u and rows j + v."""
    across = node[:, i] * (1 - u) + node[:, i + 1] * u
    result: NDArray[np.float64] = across[j] * (1 - v) + across[j + 1] * v
    return result


def to_degrees(zoom: int, px: NDArray[np.float64], py: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return longitude and latitude of Web Mercator pixel places at a zoom: lat = atan(sinh(pi - 2 pi py / size))."""
    size = float(TILE_PX << zoom)
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(py) / size))))
    return np.asarray(px) / size * 360.0 - 180.0, lat


def to_pixel(zoom: int, lon: float, lat: float) -> tuple[float, float]:
    """Return the Web Mercator pixel place of a longitude and latitude in degrees."""
    size, sine = float(TILE_PX << zoom), np.sin(np.radians(lat))
    return (lon + 180.0) / 360.0 * size, float((0.5 - np.log((1 + sine) / (1 - sine)) / (4 * np.pi)) * size)


@lru_cache(maxsize=1)
def to_utm() -> Transformer:
    """Return the way from longitude and latitude to the world's UTM zone."""
    return Transformer.from_crs(4326, EPSG, always_xy=True)


@lru_cache(maxsize=1)
def from_utm() -> Transformer:
    """Return the way back."""
    return Transformer.from_crs(EPSG, 4326, always_xy=True)

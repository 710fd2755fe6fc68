"""Square tiles in UTM metres: where they lie, what they are called, and how their pixels map to the ground."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine
from numpy.typing import ArrayLike, NDArray

from skygraft.core.errors import ConfigError
from skygraft.core.identity import digest
from skygraft.geo.utm import Floats, central_meridian, from_utm, wrap_longitude

SENTINEL2_GRID_M = 20.0
"""Tile corners lie on multiples of this, so that the 10 m and 20 m pixels of Sentinel-2 are read as they are."""


@dataclass(frozen=True)
class Tile:
    """One square tile.

    Args:
        tile_id: Its name.
        epsg: EPSG code of its UTM zone.
        x: Its centre, metres east.
        y: Its centre, metres north.
        gsd_m: Metres a pixel.
        size_px: Pixels a side.
    """

    tile_id: str
    epsg: int
    x: float
    y: float
    gsd_m: float
    size_px: int

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north in metres."""
        half = self.gsd_m * self.size_px / 2
        return self.x - half, self.y - half, self.x + half, self.y + half

    @property
    def transform(self) -> Affine:
        """From column and row to metres east and north; row 0 is the northernmost."""
        west, _, _, north = self.bounds
        return Affine(self.gsd_m, 0.0, west, 0.0, -self.gsd_m, north)


def snap_centres(x: ArrayLike, y: ArrayLike, *, gsd_m: float, size_px: int, grid_m: float = SENTINEL2_GRID_M) -> tuple[Floats, Floats]:
    """Tile centres nearest to the given places whose tiles have their corners on multiples of ``grid_m``.

    Args:
        x: Metres east.
        y: Metres north.
        gsd_m: Metres a pixel.
        size_px: Pixels a side.
        grid_m: The grid, metres; no centre moves further than half of it in x and in y.

    Raises:
        ConfigError: The tile's side is no multiple of the grid, so that only some of its corners could lie on it.
    """
    side = gsd_m * size_px
    if side <= 0 or not np.isclose(side / grid_m, round(side / grid_m)):
        raise ConfigError(
            f"A tile of {size_px} pixels of {gsd_m:g} m has a side of {side:g} m; expected a multiple of {grid_m:g} m, "
            f"so that its corners lie on the imagery's grid: change size_px or gsd_m."
        )

    def snap(values: ArrayLike) -> Floats:
        corners = np.floor((np.asarray(values, np.float64) - side / 2) / grid_m + 0.5) * grid_m
        return np.asarray(corners + side / 2)

    return snap(x), snap(y)


def tile_ids(epsg: ArrayLike, x: ArrayLike, y: ArrayLike, *, gsd_m: float, size_px: int, windows: Sequence[str]) -> list[str]:
    """The names of tiles: a digest of all that decides the place and time of their pixels, so that equal tiles share them.

    Args:
        epsg: EPSG codes.
        x: Centres, metres east; rounded to millimetres.
        y: Centres, metres north; rounded to millimetres.
        gsd_m: Metres a pixel.
        size_px: Pixels a side.
        windows: The target window of each tile, such as its survey date.
    """
    places = zip(np.asarray(epsg), np.round(np.asarray(x), 3), np.round(np.asarray(y), 3), windows, strict=True)
    return [digest([int(code), float(east), float(north), float(gsd_m), int(size_px), window]) for code, east, north, window in places]


def outlines(epsg: int, x: ArrayLike, y: ArrayLike, side_m: float) -> NDArray[np.object_]:
    """The tiles' outlines in longitude and latitude, polygons of four corners.

    An outline across the antimeridian keeps one piece: its longitudes run on beyond 180.

    Args:
        epsg: EPSG code of the zone.
        x: Centres, metres east.
        y: Centres, metres north.
        side_m: Metres a side.
    """
    half = side_m / 2
    east = np.asarray(x, np.float64)[:, None] + np.array([-half, half, half, -half, -half])
    north = np.asarray(y, np.float64)[:, None] + np.array([-half, -half, half, half, -half])
    lon, lat = from_utm(east, north, epsg)
    meridian = central_meridian(epsg)
    lon = wrap_longitude(lon - meridian) + meridian
    rings = np.stack([lon, lat], axis=-1)
    return np.asarray(shapely.polygons(rings), dtype=np.object_)

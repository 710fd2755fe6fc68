"""What of the world's pixels a tile needs, and how they become the tile's own: cut as delivered, or warped onto its grid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import rasterio.warp
from numpy.typing import NDArray
from rasterio.enums import Resampling

from skygraft.geo import mercator
from skygraft.geo.mercator import Frame
from skygraft.geo.tiles import Tile
from skygraft.geo.utm import from_utm, transformer, wrap_longitude
from skygraft.imagery.aerial.pictures import Picture

# Bilinear interpolation looks one pixel further; downsampled it looks as far as a new pixel reaches.
_MARGIN_PX = 2
_EDGE_POINTS = 9
_HALF = 128
# Of the world's side: tiles further than this from its middle may lie on its seam.
_SEAM = 0.49
_PACIFIC = "+proj=merc +a=6378137 +b=6378137 +lat_ts=0 +lon_0=180 +x_0=0 +y_0=0 +k=1 +units=m +nadgrids=@null +wktext +no_defs +type=crs"


@dataclass(frozen=True)
class Place:
    """Where a tile lies in the world's pixels.

    Args:
        lon: Of its centre, degrees.
        lat: Of its centre, degrees.
        gsd_m: Metres on the ground a pixel there.
        frame: The pixels it needs, whole ones.
    """

    lon: float
    lat: float
    gsd_m: float
    frame: Frame


def place_of(tile: Tile, grid: str, world_px: int) -> Place:
    """Where a tile lies.

    Args:
        tile: The tile.
        grid: As in :class:`~skygraft.config.aerial.Aerial`.
        world_px: Side of the world, pixels.
    """
    lon, lat = (float(angle) for angle in from_utm(tile.x, tile.y, tile.epsg))
    lon = float(wrap_longitude(lon))
    gsd_m = mercator.ground_sample_distance(lat, world_px)
    column, row = (float(place) for place in mercator.to_pixels(lon, lat, world_px))
    size = tile.size_px
    if grid == "footprint":
        size = math.ceil(tile.size_px * tile.gsd_m / gsd_m - 1e-9)
    elif grid == "plan":
        size = 2 * math.ceil(_reach(tile, column, row, world_px) + _MARGIN_PX * max(1.0, tile.gsd_m / gsd_m))
    return Place(lon, lat, gsd_m, Frame(world_px, round(column - size / 2), round(row - size / 2), size))


def on_tile(picture: Picture, frame: Frame, tile: Tile) -> Picture:
    """A frame's pixels on the tile's UTM grid, interpolated bilinearly, over as many of them as a new pixel covers.

    Pixels that are not shown lend nothing to their neighbours; a new pixel is shown where half of what it covers is.
    """
    # Beside the antimeridian a Mercator of the other side's knows no seam there.
    beside = abs(frame.left / frame.world_px - 0.5) > _SEAM
    crs = _PACIFIC if beside else mercator.CRS
    shift = frame.world_px * (round(frame.left / frame.world_px) - 0.5) if beside else 0.0
    shape = (tile.size_px, tile.size_px)
    mask = picture.shown.astype(np.uint8)
    warped = np.zeros((4, *shape), np.uint8)
    # Alpha keeps GDAL from mixing what is not shown into what is.
    source = np.concatenate([picture.rgb.transpose(2, 0, 1), mask[None] * np.uint8(255)])
    rasterio.warp.reproject(
        source,
        warped,
        src_transform=replace(frame, left=frame.left - shift).transform,
        src_crs=crs,
        src_alpha=4,
        dst_transform=tile.transform,
        dst_crs=f"EPSG:{tile.epsg}",
        dst_alpha=4,
        resampling=Resampling.bilinear,
        tolerance=0.0,
    )
    shown = warped[3] >= _HALF
    rgb: NDArray[np.uint8] = np.ascontiguousarray(np.where(shown, warped[:3], 0).transpose(1, 2, 0))
    return Picture(rgb, shown)


def _reach(tile: Tile, column: float, row: float, world: int) -> float:
    """How far a tile's outline is from its centre, pixels along columns or rows."""
    west, south, east, north = tile.bounds
    x, y = np.meshgrid(np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS))
    lon, lat = transformer(f"EPSG:{tile.epsg}", "EPSG:4326").transform(x, y)
    columns, rows = mercator.to_pixels(lon, lat, world)
    # Across the antimeridian the shorter way counts.
    aside = np.abs((columns - column + world / 2) % world - world / 2)
    return float(max(aside.max(), np.abs(rows - row).max()))

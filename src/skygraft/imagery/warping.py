"""Pixels of one grid on another: which window of a file a tile needs, and how it is warped onto the tile's grid."""

from __future__ import annotations

import math

import numpy as np
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling

from skygraft.geo.tiles import Tile
from skygraft.geo.utm import transformer
from skygraft.imagery.cogs import Window
from skygraft.imagery.tiff import Layout

_MARGIN_PX = 3
_EDGE_POINTS = 11


def window_around(tile: Tile, epsg: int, layout: Layout) -> Window:
    """The pixels of a file around a tile, with a margin for interpolation, cut at the file's edges.

    Args:
        tile: The tile.
        epsg: EPSG code of the file's zone.
        layout: The file's layout.

    Returns:
        The window; of no height or width where the file shows nothing of the tile.
    """
    west, south, east, north = tile.bounds
    x, y = np.meshgrid(np.linspace(west, east, _EDGE_POINTS), np.linspace(south, north, _EDGE_POINTS))
    x, y = transformer(f"EPSG:{tile.epsg}", f"EPSG:{epsg}").transform(x, y)
    # Onto a coarser grid, a pixel of the tile is made of as many pixels of the file as lie under it.
    margin = _MARGIN_PX + math.ceil(tile.gsd_m / min(layout.pixel_m, layout.pixel_height_m)) - 1
    left = min(layout.width, max(0, int((x.min() - layout.west) // layout.pixel_m) - margin))
    right = min(layout.width, int((x.max() - layout.west) // layout.pixel_m) + 1 + margin)
    top = min(layout.height, max(0, int((layout.north - y.max()) // layout.pixel_height_m) - margin))
    bottom = min(layout.height, int((layout.north - y.min()) // layout.pixel_height_m) + 1 + margin)
    return Window(top, left, max(0, bottom - top), max(0, right - left))


def warp(pixels: NDArray[np.generic], window: Window, layout: Layout, epsg: int, tile: Tile, resampling: Resampling) -> NDArray[np.generic]:
    """A window of another grid on the tile's; a pixel that is 0 in every sample is no data, and stays so. Of no window all is no data.

    Args:
        pixels: Rows and columns of the window, and samples where a pixel has several.
        window: Where they lie in the file.
        layout: The file's layout.
        epsg: EPSG code of the file's zone.
        tile: The tile.
        resampling: How values between pixels are made.
    """
    west, north = layout.west + window.column * layout.pixel_m, layout.north - window.row * layout.pixel_height_m
    source = pixels if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
    warped = np.zeros((*source.shape[:-2], tile.size_px, tile.size_px), pixels.dtype)
    if not window.size:
        return warped if pixels.ndim == 2 else warped.transpose(1, 2, 0)
    rasterio.warp.reproject(
        source,
        warped,
        src_transform=Affine(layout.pixel_m, 0.0, west, 0.0, -layout.pixel_height_m, north),
        src_crs=f"EPSG:{epsg}",
        src_nodata=0,
        dst_transform=tile.transform,
        dst_crs=f"EPSG:{tile.epsg}",
        dst_nodata=0,
        resampling=resampling,
        UNIFIED_SRC_NODATA="YES",
    )
    return warped if pixels.ndim == 2 else warped.transpose(1, 2, 0)

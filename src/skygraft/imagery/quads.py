"""Tiles of NAIP's quarter quads: each quad's part of a tile, and the tile that parts make together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from skygraft.config.naip import Naip
from skygraft.core.errors import PermanentItemError, Reason
from skygraft.geo.tiles import Tile
from skygraft.imagery.cogs import Cog, Window, read_together
from skygraft.imagery.naip_scenes import BANDS, IMAGE, zone_of
from skygraft.imagery.tiff import Layout, corrupt
from skygraft.imagery.warping import warp, window_around

Bytes = NDArray[np.uint8]
_SLACK_PX = 1e-6
"""Pixels. Edges of pixels of 0.6 m are no whole numbers of what a double holds."""


@dataclass(frozen=True)
class Quad:
    """A row of the scenes table.

    Args:
        scene_id: The catalogue's item id.
        epsg: EPSG code of its UTM zone, on WGS 84.
        acquired_at: When it was flown, UTC.
        href: Bare address of its file.
    """

    scene_id: str
    epsg: int
    acquired_at: datetime
    href: str

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Quad:
        """The quad of a row."""
        zone = zone_of(int(row["crs"].removeprefix("EPSG:")))
        return cls(row["scene_id"], zone, row["acquired_at"].astimezone(UTC), dict(row["assets"])[IMAGE])


@dataclass(frozen=True)
class Part:
    """What one quad shows of a tile.

    Args:
        pixels: Rows, columns and samples on the tile's grid; 0 in every sample where the quad shows nothing.
        exact: Whether they are the file's own.
    """

    pixels: Bytes = field(repr=False)
    exact: bool


def read_parts(quad: Quad, tiles: Sequence[Tile], cog: Cog, options: Naip, pool: Executor) -> list[Part]:
    """Reads a quad's part of some tiles, in order.

    Raises:
        ItemError: The file cannot be read, or is no picture of bytes with all bands.
    """
    layout = cog.layout
    if layout.dtype != np.uint8 or layout.samples <= max(BANDS.index(band) for band in options.bands):
        raise corrupt(f"it has {layout.samples} samples a pixel of {layout.dtype}; bytes of {', '.join(BANDS)} are expected")
    places = [_own_pixels(quad, tile, layout) for tile in tiles]
    windows = [
        window_around(tile, quad.epsg, layout) if place is None else _inside(place, tile.size_px, layout)
        for tile, place in zip(tiles, places, strict=True)
    ]
    read = iter(read_together([(cog, [window for window in windows if window.size])], pool)[0])
    parts = []
    for tile, place, window in zip(tiles, places, windows, strict=True):
        whole = np.zeros((tile.size_px, tile.size_px, layout.samples), np.uint8)
        if window.size and place is not None:
            top, left = window.row - place[0], window.column - place[1]
            whole[top : top + window.height, left : left + window.width] = _samples_last(next(read))
        elif window.size:
            whole = _samples_last(warp(next(read), window, layout, quad.epsg, tile, Resampling[options.resampling]))
        parts.append(Part(whole, place is not None))
    return parts


def _own_pixels(quad: Quad, tile: Tile, layout: Layout) -> tuple[int, int] | None:
    """Row and column of the tile's first pixel in the file, also beyond its edges; none where pixels have to be made."""
    if quad.epsg != tile.epsg or not np.isclose([layout.pixel_m, layout.pixel_height_m], tile.gsd_m, rtol=_SLACK_PX).all():
        return None
    west, _, _, north = tile.bounds
    column, row = (west - layout.west) / layout.pixel_m, (layout.north - north) / layout.pixel_height_m
    whole = abs(round(row) - row) < _SLACK_PX and abs(round(column) - column) < _SLACK_PX
    return (round(row), round(column)) if whole else None


def _inside(first: tuple[int, int], size: int, layout: Layout) -> Window:
    """The part of a tile's pixels that the file has."""
    top, left = max(0, first[0]), max(0, first[1])
    bottom, right = min(layout.height, first[0] + size), min(layout.width, first[1] + size)
    return Window(top, left, max(0, bottom - top), max(0, right - left))


def _samples_last(pixels: NDArray[np.generic]) -> Bytes:
    """Rows, columns and samples, also where a pixel has one."""
    return np.atleast_3d(pixels).astype(np.uint8, copy=False)


def merged(parts: Sequence[Part]) -> Bytes:
    """One picture of several: each pixel from the first part that shows it."""
    whole = parts[0].pixels.copy()
    for part in parts[1:]:
        empty = ~whole.any(axis=2)
        whole[empty] = part.pixels[empty]
    return whole


def columns_of(quads: Sequence[Quad], tile: Tile, parts: Sequence[Part], days_apart: float | None, options: Naip) -> dict[str, Any]:
    """The columns of a tile's row.

    Raises:
        PermanentItemError: More of the tile shows nothing than may be.
    """
    pixels = merged(parts)
    gaps = float((~pixels.any(axis=2)).mean())
    if gaps > options.max_nodata:
        what = f"{gaps:.1%} of the tile has no data, {options.max_nodata:.1%} allowed"
        raise PermanentItemError(f"{tile.tile_id}: {what}.", Reason.NO_DATA, what)
    chosen = np.ascontiguousarray(pixels[:, :, [BANDS.index(band) for band in options.bands]].transpose(2, 0, 1))
    return {
        "scene_id": ["+".join(quad.scene_id for quad in quads)],
        "acquired_at": [quads[0].acquired_at],
        "days_apart": [days_apart],
        "valid": [True],
        "cloud_fraction": [None],
        "nodata_fraction": [gaps],
        "processing_baseline": [None],
        "crs": f"EPSG:{tile.epsg}",
        "transform": list(tile.transform)[:6],
        "gsd_m": tile.gsd_m,
        "bands": list(options.bands),
        "dtype": "uint8",
        "shape": [1, *chosen.shape],
        "resampling": "none" if all(part.exact for part in parts) else options.resampling,
        "pixels": chosen.tobytes(),
    }

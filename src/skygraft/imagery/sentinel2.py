"""Tiles of one Sentinel-2 scene: pixels, clouds and gaps, as rows of the tile shard.

The tile's own clouds decide, not the scene's: the scene classification (SCL) of the tile is read first, and its bands only where the tile
qualifies. Where the scene lies in the tile's own UTM zone nothing is resampled but bands coarser than the tile, by their nearest pixel.
A scene of another zone is warped by bilinear interpolation and the row says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import PermanentItemError, Reason
from skygraft.geo.clouds import cloud_fraction, nodata_fraction
from skygraft.geo.radiometry import harmonise
from skygraft.geo.tiles import Tile
from skygraft.imagery.cogs import Cog, Window, open_together, read_windows
from skygraft.imagery.scenes import SCL
from skygraft.imagery.tiff import Layout, corrupt
from skygraft.imagery.warping import warp, window_around


@dataclass(frozen=True)
class Scene:
    """A row of the scenes table.

    Args:
        scene_id: The catalogue's item id.
        epsg: EPSG code of its UTM zone.
        acquired_at: When, UTC.
        baseline: Its processing baseline.
        offset_applied: Whether the catalogue has taken the offset off already.
        assets: Bare address of each band and of the classification.
    """

    scene_id: str
    epsg: int
    acquired_at: datetime
    baseline: str
    offset_applied: bool
    assets: Mapping[str, str] = field(repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Scene:
        """The scene of a row."""
        return cls(
            row["scene_id"],
            int(row["crs"].removeprefix("EPSG:")),
            row["acquired_at"],
            row["processing_baseline"],
            bool(row["offset_applied"]),
            dict(row["assets"]),
        )


@dataclass(frozen=True)
class Placement:
    """Where a tile's pixels are found in one file.

    Args:
        window: What to read.
        rows: Row in the window of each row of the tile; empty where the window is warped.
        columns: Column in the window of each column of the tile.
        exact: Whether the file's pixels are the tile's.
    """

    window: Window
    rows: NDArray[np.intp] = field(repr=False)
    columns: NDArray[np.intp] = field(repr=False)
    exact: bool


@dataclass(frozen=True)
class Taken:
    """A tile as one scene has it: its row's columns, or the reason why it does not qualify."""

    tile_id: str
    columns: Mapping[str, Any] | None
    reason: Reason = Reason.OK
    detail: str = ""


def take_tiles(scene: Scene, tiles: Sequence[Tile], cogs: Mapping[str, Cog], options: Sentinel2, pool: Executor) -> Iterator[Taken]:
    """Reads some tiles of a scene, one outcome each.

    Args:
        scene: The scene; it covers the tiles.
        tiles: What to read; neighbours together, for they share blocks.
        cogs: The open file of each band and of the classification.
        options: Bands in their order, and the limits of cloud and gaps.
        pool: Runs requests and unpacking.

    Raises:
        ItemError: A file of the scene cannot be read; what came before is good.
    """
    open_together(cogs.values(), pool)
    qualified: list[tuple[Tile, float, float]] = []
    for tile, ([scl], _) in zip(tiles, _read(scene, tiles, [cogs[SCL]], Resampling.nearest, pool), strict=True):
        cloud, gaps = cloud_fraction(scl.astype(np.uint8), options.cloud_classes), nodata_fraction(scl.astype(np.uint8))
        refused = refusal(cloud, gaps, options)
        if refused is not None:
            yield Taken(tile.tile_id, None, *refused)
        else:
            qualified.append((tile, cloud, gaps))
    read = _read(scene, [tile for tile, _, _ in qualified], [cogs[band] for band in options.bands], Resampling.bilinear, pool)
    for (tile, cloud, gaps), (bands, exact) in zip(qualified, read, strict=True):
        numbers = np.stack(bands).astype(np.uint16)
        gaps = max(gaps, float((numbers == 0).all(axis=0).mean()))
        refused = refusal(cloud, gaps, options)
        resampling = "bilinear" if tile.epsg != scene.epsg else "none" if exact else "nearest"
        if refused is not None:
            yield Taken(tile.tile_id, None, *refused)
        else:
            yield Taken(tile.tile_id, columns_of(scene, tile, numbers, cloud, gaps, options.bands, resampling))


def refusal(cloud: float, gaps: float, options: Sentinel2) -> tuple[Reason, str] | None:
    """Why a tile with such shares of cloud and of gaps does not qualify; none where it does."""
    if gaps > options.max_nodata:
        return Reason.NO_DATA, f"{gaps:.1%} of the tile has no data, {options.max_nodata:.1%} allowed"
    if options.max_tile_cloud is not None and cloud > options.max_tile_cloud:
        return Reason.TOO_CLOUDY, f"{cloud:.1%} of the tile is cloud, {options.max_tile_cloud:.1%} allowed"
    return None


def columns_of(
    scene: Scene, tile: Tile, numbers: NDArray[np.uint16], cloud: float, gaps: float, bands: Sequence[str], resampling: str
) -> dict[str, Any]:
    """A good tile's columns of the tile shard.

    Args:
        scene: Where it is from.
        tile: Which.
        numbers: Its digital numbers as delivered: bands, rows, columns.
        cloud: Its share of cloud.
        gaps: Its share without data.
        bands: The bands' names.
        resampling: How its pixels came onto its grid: none, nearest or bilinear.
    """
    pixels = harmonise(numbers, scene.baseline, offset_applied=scene.offset_applied)
    return {
        "scene_id": [scene.scene_id],
        "acquired_at": [scene.acquired_at],
        "valid": [True],
        "cloud_fraction": [cloud],
        "nodata_fraction": [gaps],
        "processing_baseline": [scene.baseline],
        "crs": f"EPSG:{tile.epsg}",
        "transform": list(tile.transform)[:6],
        "gsd_m": tile.gsd_m,
        "bands": list(bands),
        "dtype": "uint16",
        "shape": [1, *numbers.shape],
        "resampling": resampling,
        "pixels": np.ascontiguousarray(pixels, dtype="<u2").tobytes(),
    }


def _read(
    scene: Scene, tiles: Sequence[Tile], cogs: Sequence[Cog], resampling: Resampling, pool: Executor
) -> Iterator[tuple[list[NDArray[np.generic]], bool]]:
    """For each tile, its pixels in each file on its own grid, and whether they are the files' own."""
    places = [[placement(tile, scene.epsg, _of_one_sample(cog.layout)) for cog in cogs] for tile in tiles]
    try:
        read = read_windows([[(cog, place.window) for cog, place in zip(cogs, placed, strict=True)] for placed in places], pool)
    except ValueError as error:
        raise PermanentItemError(f"{scene.scene_id} covers less than its catalogue says: {error}.", Reason.CORRUPT_SCENE) from error
    for tile, placed, windows in zip(tiles, places, read, strict=True):
        pixels = [
            window[np.ix_(place.rows, place.columns)]
            if len(place.rows)
            else warp(window, place.window, cog.layout, scene.epsg, tile, resampling)
            for cog, place, window in zip(cogs, placed, windows, strict=True)
        ]
        yield pixels, all(place.exact for place in placed)


def _of_one_sample(layout: Layout) -> Layout:
    if layout.samples != 1:
        raise corrupt(f"it has {layout.samples} samples a pixel; a band has one")
    return layout


def placement(tile: Tile, epsg: int, layout: Layout) -> Placement:
    """Where a tile lies in a file of zone ``epsg``."""
    if tile.epsg != epsg:
        return Placement(window_around(tile, epsg, layout), np.empty(0, np.intp), np.empty(0, np.intp), exact=False)
    west, _, _, north = tile.bounds
    centres = (np.arange(tile.size_px) + 0.5) * tile.gsd_m
    columns = np.floor((west + centres - layout.west) / layout.pixel_m).astype(np.intp)
    rows = np.floor((layout.north - (north - centres)) / layout.pixel_height_m).astype(np.intp)
    window = Window(int(rows[0]), int(columns[0]), int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1)
    aligned = (west - layout.west) % layout.pixel_m == 0 and (layout.north - north) % layout.pixel_height_m == 0
    same = layout.pixel_m == layout.pixel_height_m == tile.gsd_m
    return Placement(window, rows - rows[0], columns - columns[0], exact=bool(aligned and same))

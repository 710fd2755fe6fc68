"""The tile plan: which squares of ground the imagery is wanted for, and which photos each one is paired with.

One tile a location, as IGARSS'24 and SenCLIP have it for LUCAS: the photos of one place and year share one tile, centred on them and
snapped to the imagery's grid. Photos are paired as they stand in the photos table: a point with two of four directions has two pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from skygraft.config.plans import Plan
from skygraft.core.errors import ConfigError
from skygraft.core.schemas import PAIRS
from skygraft.core.tables import conform
from skygraft.geo.tiles import snap_centres, tile_ids
from skygraft.geo.utm import Floats, Ints, to_utm, utm_epsg
from skygraft.ground.plan_tables import Tiles, tile_table


@dataclass(frozen=True)
class _Places:
    """Photos in the order of their locations, and which row each location starts at.

    Args:
        photo_ids: One for each photo.
        days: Day of capture, days since 1970; NaT where unknown.
        years: Year of each photo, for those without a day.
        starts: Row of the first photo of each location.
        epsg: UTM zone of each location; its photos are measured in it.
        x: Metres east of each photo.
        y: Metres north of each photo.
    """

    photo_ids: NDArray[np.object_]
    days: NDArray[np.datetime64]
    years: Ints
    starts: Ints
    epsg: Ints
    x: Floats
    y: Floats

    @property
    def counts(self) -> Ints:
        """Photos of each location."""
        return np.diff(np.append(self.starts, len(self.photo_ids)))


def plan_tiles(photos: pa.Table, plan: Plan, seed: int) -> tuple[pa.Table, pa.Table]:
    """The tiles and pairs of a plan.

    Args:
        photos: Rows of the photos table, of all sources of the plan together.
        plan: Ground sample distance, size, split and number of shards.
        seed: Draws the split.

    Returns:
        The tiles in the order of their shards (each shard is a run of neighbours in place and time), and the pairs in the tiles' order.

    Raises:
        ConfigError: There are no photos, a place has no UTM zone, or the tile's side does not fit the grid.
    """
    if not photos.num_rows:
        raise ConfigError(f"The photos tables of {', '.join(plan.photos)} have no rows: nothing to plan tiles for. Ingest some first.")
    places = _places(photos)
    tiles, tile_of_location = _tiles(places, plan)
    table = tile_table(tiles, plan, seed)
    return table, _pair_table(places, tile_of_location, table.column("tile_id").to_pylist())


def _places(photos: pa.Table) -> _Places:
    """Sorts photos by location, year and name, and measures them in their location's zone."""
    columns = photos.select(["photo_id", "location_id", "year", "captured_at", "geometry"])
    columns = columns.sort_by([("location_id", "ascending"), ("year", "ascending"), ("photo_id", "ascending")])
    location = np.asarray(columns.column("location_id").to_numpy(zero_copy_only=False))
    years = columns.column("year").to_numpy().astype(np.int64)
    changed = np.flatnonzero((location[1:] != location[:-1]) | (years[1:] != years[:-1])) + 1
    starts = np.concatenate([[0], changed]).astype(np.int64)
    points = shapely.from_wkb(columns.column("geometry").to_numpy(zero_copy_only=False))
    lon, lat = shapely.get_x(points), shapely.get_y(points)
    epsg = utm_epsg(lon[starts], lat[starts])
    zone_of_photo = np.repeat(epsg, np.diff(np.append(starts, len(location))))
    x, y = np.empty_like(lon), np.empty_like(lat)
    for code in np.unique(epsg):
        here = zone_of_photo == code
        x[here], y[here] = to_utm(lon[here], lat[here], int(code))
    days = pc.cast(columns.column("captured_at"), pa.timestamp("us")).to_numpy().astype("datetime64[D]")
    ids = np.asarray(columns.column("photo_id").to_numpy(zero_copy_only=False), dtype=np.object_)
    return _Places(ids, days, years, starts, epsg, x, y)


def _tiles(places: _Places, plan: Plan) -> tuple[Tiles, NDArray[np.object_]]:
    """The tiles, and the name of each location's tile: locations that share place and date share the tile."""
    starts = places.starts
    x, y = snap_centres(places.x[starts], places.y[starts], gsd_m=plan.gsd_m, size_px=plan.size_px, grid_m=plan.snap_m)
    # fmin passes over NaT, so that one photo without a date does not hide the others'.
    days = np.asarray(np.fmin.reduceat(places.days, starts))
    windows = [str(year) if np.isnat(day) else str(day) for day, year in zip(days, places.years[starts], strict=True)]
    of_location = tile_ids(places.epsg, x, y, gsd_m=plan.gsd_m, size_px=plan.size_px, windows=windows)
    names, first, inverse = np.unique(of_location, return_index=True, return_inverse=True)
    counts = np.bincount(inverse, weights=places.counts).astype(np.int64)
    centres = places.photo_ids[starts[first]]
    tiles = Tiles(names.astype(np.object_), places.epsg[first], x[first], y[first], days[first], centres, counts)
    return tiles, np.array(of_location, dtype=np.object_)


def _pair_table(places: _Places, tile_of_location: NDArray[np.object_], order: list[str]) -> pa.Table:
    """One row a photo, in the order of the tiles."""
    position = {name: row for row, name in enumerate(order)}
    tile_of_photo = np.repeat(tile_of_location, places.counts)
    rank = np.array([position[name] for name in tile_of_photo], np.int64)
    rows = np.argsort(rank, kind="stable")
    columns = {
        "tile_id": pa.array(tile_of_photo[rows], pa.string()),
        "photo_id": pa.array(places.photo_ids[rows], pa.string()),
        "x": places.x[rows],
        "y": places.y[rows],
    }
    return conform(PAIRS, pa.table(columns), "tile plan")

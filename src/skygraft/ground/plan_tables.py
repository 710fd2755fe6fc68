"""The table of tiles, however a plan has chosen them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from skygraft.config.plans import Plan
from skygraft.core.schemas import TILES
from skygraft.core.tables import conform
from skygraft.geo.ordering import even_shards, fetch_order
from skygraft.geo.splits import minimum_distance, spatial_split
from skygraft.geo.tiles import outlines
from skygraft.geo.utm import Floats, Ints, from_utm


@dataclass(frozen=True)
class Tiles:
    """The tiles of a plan, one entry each.

    Args:
        names: Names.
        epsg: UTM zones.
        x: Centres, metres east.
        y: Centres, metres north.
        days: Target dates; NaT where no photo has one.
        centres: The photo that each tile is centred on.
        counts: Photos of each tile.
    """

    names: NDArray[np.object_]
    epsg: Ints
    x: Floats
    y: Floats
    days: NDArray[np.datetime64]
    centres: NDArray[np.object_]
    counts: Ints


def tile_table(tiles: Tiles, plan: Plan, seed: int) -> pa.Table:
    """One row a tile, in the order of fetching.

    Args:
        tiles: The tiles.
        plan: Their ground sample distance and size, the split and the number of shards.
        seed: Draws the split.
    """
    lon, lat, outline = _ground(tiles, plan.gsd_m * plan.size_px)
    split = spatial_split(
        *(tiles.epsg, tiles.x, tiles.y, lon, lat),
        block_m=plan.split.block_km * 1000,
        val=plan.split.val,
        test=plan.split.test,
        seed=seed,
        distance_m=minimum_distance(plan.gsd_m, plan.size_px, plan.split.distance_m),
    )
    months = np.where(np.isnat(tiles.days), -1, tiles.days.astype("datetime64[M]").astype(np.int64))
    order = fetch_order(tiles.epsg, tiles.x, tiles.y, months, tiles.names)
    count = len(order)
    columns = {
        "tile_id": pa.array(tiles.names[order], pa.string()),
        "geometry": pa.array(shapely.to_wkb(outline[order]), pa.binary()),
        "crs": [f"EPSG:{code}" for code in tiles.epsg[order]],
        "x": tiles.x[order],
        "y": tiles.y[order],
        "gsd_m": np.full(count, plan.gsd_m),
        "size_px": np.full(count, plan.size_px, np.int32),
        "n_photos": tiles.counts[order].astype(np.int32),
        "centre_photo_id": pa.array(tiles.centres[order], pa.string()),
        "target_date": pa.array(tiles.days[order], pa.date32()),
        "split": pa.array(split[order].astype(object), pa.string()),
        "shard": even_shards(count, plan.shards).astype(np.int32),
    }
    return conform(TILES, pa.table(columns), "tile plan")


def _ground(tiles: Tiles, side_m: float) -> tuple[Floats, Floats, NDArray[np.object_]]:
    """Longitude and latitude of the centres, and the outlines."""
    lon, lat = np.empty(len(tiles.names)), np.empty(len(tiles.names))
    outline = np.empty(len(tiles.names), dtype=np.object_)
    for code in np.unique(tiles.epsg):
        here = tiles.epsg == code
        lon[here], lat[here] = from_utm(tiles.x[here], tiles.y[here], int(code))
        outline[here] = outlines(int(code), tiles.x[here], tiles.y[here], side_m)
    return lon, lat, outline

"""The tile plan of GRAFT: tiles centred on photos, apart from each other, each paired with the photos in the middle of it.

Which photos start a tile is the rule of :mod:`skygraft.geo.sampling`; here it meets names, days and tables. Every choice is by a hash of
seed and photo, so that the same photos in any order give the same plan. What the published code leaves to the order of its rows is stated:
``stored: first`` takes a tile's westernmost photos, since that code sorts its table by longitude.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

from skygraft.config.plans import Plan
from skygraft.config.sampling import Sampling
from skygraft.core.errors import ConfigError
from skygraft.core.keys import Keys, seeded_keys
from skygraft.core.schemas import PAIRS
from skygraft.core.tables import conform
from skygraft.geo.sampling import Centres, Grid, Members, Places, at_random, draw, keep, members, places
from skygraft.geo.tiles import snap_centres, tile_ids
from skygraft.geo.utm import Floats, Ints, to_utm
from skygraft.ground.plan_tables import Tiles, tile_table

_LOG = logging.getLogger(__name__)
Days = NDArray[np.datetime64]


@dataclass(frozen=True)
class _Photos:
    """Photos by ascending name, none twice.

    Args:
        names: Names.
        days: Days of capture; NaT where unknown.
        years: Years, for those without a day.
        lon: Degrees.
        lat: Degrees.
        keys: Seeded hashes of the names.
    """

    names: pa.ChunkedArray
    days: Days
    years: Ints
    lon: Floats
    lat: Floats
    keys: Keys


def plan_tiles(photos: pa.Table, plan: Plan, seed: int) -> tuple[pa.Table, pa.Table]:
    """The tiles and pairs of a plan with a sampling.

    Args:
        photos: Rows of the photos table, of all sources of the plan together.
        plan: Its sampling, ground sample distance, size, split and number of shards.
        seed: Draws centres, the photos that are kept, and the split.

    Returns:
        The tiles in the order of their shards, and the pairs in the tiles' order; a photo may be in several.

    Raises:
        ConfigError: There are no photos, a place has no UTM zone, or the tile's side does not fit the grid.
    """
    if not photos.num_rows:
        raise ConfigError(f"The photos tables of {', '.join(plan.photos)} have no rows: nothing to plan tiles for. Ingest some first.")
    rule = plan.sampling or Sampling()
    its = _photos(photos, seed)
    found = _places(its, plan, rule)
    centres = keep(found, rule.separation_px * plan.gsd_m)
    if rule.centres == "random":
        centres = at_random(found, len(centres.rows))
    all_members = members(found, centres, rule.window_px * plan.gsd_m / 2)
    stored = _stored(all_members, centres, its, rule)
    tiles = _tiles(its, found, centres, stored, plan, rule)
    table = tile_table(tiles, plan, seed)
    _LOG.info(
        "sampling of %d photos: tiles=%d pairs=%d without a tile=%d beyond the most a tile keeps=%d",
        *(len(its.names), len(tiles.names), len(stored.rows), len(its.names) - len(np.unique(all_members.rows))),
        len(all_members.rows) - len(stored.rows),
    )
    return table, _pair_table(its, found, tiles, stored, table.column("tile_id").to_pylist())


def _photos(photos: pa.Table, seed: int) -> _Photos:
    table = photos.select(["photo_id", "year", "captured_at", "geometry"]).sort_by("photo_id")
    names = table.column("photo_id")
    # Two searches may have found one photo.
    again = np.append(False, pc.equal(names[1:], names[:-1]).to_numpy()) if len(names) > 1 else np.zeros(len(names), bool)
    table = table.filter(pa.array(~again))
    points = shapely.from_wkb(table.column("geometry").to_numpy(zero_copy_only=False))
    names, lon, lat = table.column("photo_id"), shapely.get_x(points), shapely.get_y(points)
    days = pc.cast(table.column("captured_at"), pa.timestamp("us")).to_numpy().astype("datetime64[D]")
    return _Photos(names, days, table.column("year").to_numpy().astype(np.int64), lon, lat, seeded_keys(seed, names))


def _places(its: _Photos, plan: Plan, rule: Sampling) -> Places:
    # Refuses a side that does not fit, with the words of the other plans.
    snap_centres(0.0, 0.0, gsd_m=plan.gsd_m, size_px=plan.size_px, grid_m=plan.snap_m)
    seasons = None
    if rule.season_months is not None:
        months = its.days.astype("datetime64[M]").astype(np.int64) // rule.season_months
        seasons = np.where(np.isnat(its.days), np.iinfo(np.int64).min, months)
    reach = max(rule.separation_px, rule.window_px / 2) * plan.gsd_m
    grid = Grid(plan.snap_m, plan.gsd_m * plan.size_px / 2)
    return places(its.lon, its.lat, its.keys, separation_m=reach, grid=grid, seasons=seasons)


def _stored(everyone: Members, centres: Centres, its: _Photos, rule: Sampling) -> Members:
    """At most so many photos of each tile, by ascending name."""
    keys = its.keys
    if rule.stored == "first":
        keys = np.empty(len(keys), np.uint64)
        keys[np.lexsort((its.keys, its.lon))] = np.arange(1, len(keys) + 1, dtype=np.uint64)
    drawn = draw(everyone, centres, keys, rule.max_photos, apart=rule.stored == "random")
    order = np.lexsort((drawn.rows, _owners(drawn)))
    return Members(drawn.starts, drawn.rows[order])


def _tiles(its: _Photos, found: Places, centres: Centres, stored: Members, plan: Plan, rule: Sampling) -> Tiles:
    days = median = _median_days(its.days, stored)
    if rule.target_date == "centre":
        own = its.days[centres.rows]
        # A centre without a day takes what its other photos say.
        days = np.where(np.isnat(own), median, own)
    years = its.years[centres.rows]
    windows = [str(year) if np.isnat(day) else str(day) for day, year in zip(days, years, strict=True)]
    epsg, x, y = found.epsg[centres.rows].astype(np.int64), centres.xy[:, 0], centres.xy[:, 1]
    names = np.array(tile_ids(epsg, x, y, gsd_m=plan.gsd_m, size_px=plan.size_px, windows=windows), dtype=np.object_)
    photo_names = np.asarray(its.names.take(pa.array(centres.rows)).to_numpy(zero_copy_only=False), np.object_)
    return Tiles(names, epsg, x, y, days, photo_names, np.diff(stored.starts))


def _owners(stored: Members) -> Ints:
    """The tile of each member."""
    return np.repeat(np.arange(len(stored.starts) - 1), np.diff(stored.starts))


def _median_days(days: Days, stored: Members) -> Days:
    """The middle day of each tile's photos that have one, the earlier of two; NaT where none has."""
    owners, its = _owners(stored), days[stored.rows]
    # Days that are not known come last.
    by_day = its[np.lexsort((its, np.isnat(its), owners))]
    known = np.bincount(owners, weights=~np.isnat(its), minlength=len(stored.starts) - 1).astype(np.int64)
    return np.asarray(by_day[stored.starts[:-1] + np.maximum(known - 1, 0) // 2])


def _pair_table(its: _Photos, found: Places, tiles: Tiles, stored: Members, order: list[str]) -> pa.Table:
    """One row for each photo of each tile, in the order of the tiles and by the photos' names."""
    owners, rows = _owners(stored), stored.rows
    xy = found.xy[rows]
    for code in np.unique(tiles.epsg):
        beyond = np.flatnonzero((tiles.epsg[owners] == code) & (found.epsg[rows] != code))
        xy[beyond, 0], xy[beyond, 1] = to_utm(its.lon[rows[beyond]], its.lat[rows[beyond]], int(code))
    position = {name: place for place, name in enumerate(order)}
    rank = np.array([position[name] for name in tiles.names], np.int64)[owners]
    by_tile = np.argsort(rank, kind="stable")
    columns = {
        "tile_id": pa.array(tiles.names[owners[by_tile]], pa.string()),
        "photo_id": its.names.take(pa.array(rows[by_tile])),
        "x": xy[by_tile, 0],
        "y": xy[by_tile, 1],
    }
    return conform(PAIRS, pa.table(columns), "tile plan")

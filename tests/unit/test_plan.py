"""Tile plans from photos tables."""

import datetime as dt

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely

from skygraft.config.plans import Plan, Split
from skygraft.core.errors import ConfigError
from skygraft.core.schemas import PHOTOS
from skygraft.ground.plan import plan_tiles

PLAN = Plan(photos=("lucas",), split=Split(block_km=5, val=0.2, test=0.2), shards=3)
DAY = dt.datetime(2018, 7, 14, 12, tzinfo=dt.UTC)


def photo(location: str, direction: str, lon: float, lat: float, when: dt.datetime | None = DAY, year: int = 2018) -> dict:
    return {
        "photo_id": f"{location}:{year}:{direction}",
        "source": "lucas",
        "location_id": location,
        "direction": direction,
        "geometry": shapely.to_wkb(shapely.Point(lon, lat)),
        "captured_at": when,
        "year": year,
        "url": "https://example.org/a.jpg",
    }


def table(rows: list[dict]) -> pa.Table:
    names = PHOTOS.schema().names
    return pa.Table.from_pylist([{name: row.get(name) for name in names} for row in rows], schema=PHOTOS.schema())


def scattered(count: int, seed: int = 0) -> list[dict]:
    rng = np.random.default_rng(seed)
    places = zip(rng.uniform(5.6, 6.4, count), rng.uniform(44.8, 45.6, count), rng.integers(4, 10, count), strict=True)
    return [
        photo(f"p{n}", direction, lon, lat, dt.datetime(2018, int(month), 3, tzinfo=dt.UTC))
        for n, (lon, lat, month) in enumerate(places)
        for direction in "NESW"
    ]


def test_one_tile_a_location_with_the_photos_that_exist() -> None:
    rows = [photo("a", d, 3.0, 45.0) for d in "NESW"] + [photo("b", d, 3.1, 45.0) for d in "NW"]
    tiles, pairs = plan_tiles(table(rows), PLAN, seed=0)
    by_centre = {row["centre_photo_id"]: row for row in tiles.to_pylist()}
    assert {name: row["n_photos"] for name, row in by_centre.items()} == {"a:2018:E": 4, "b:2018:N": 2}
    assert sorted(pairs.column("photo_id").to_pylist()) == sorted(row["photo_id"] for row in rows)
    tile_of = dict(zip(pairs.column("photo_id").to_pylist(), pairs.column("tile_id").to_pylist(), strict=True))
    assert {tile_of[f"a:2018:{d}"] for d in "NESW"} == {by_centre["a:2018:E"]["tile_id"]}
    assert all(row["target_date"] == DAY.date() for row in by_centre.values())


def test_centres_are_near_the_photo_and_corners_on_the_grid() -> None:
    tiles, pairs = plan_tiles(table(scattered(40)), PLAN, seed=0)
    place = {row["photo_id"]: row for row in pairs.to_pylist()}
    for tile in tiles.to_pylist():
        photo_place = place[tile["centre_photo_id"]]
        assert abs(tile["x"] - photo_place["x"]) <= 10 and abs(tile["y"] - photo_place["y"]) <= 10
        assert (tile["x"] - 500) % 20 == 0 and (tile["y"] - 500) % 20 == 0
        ring = np.array(shapely.from_wkb(tile["geometry"]).exterior.coords)
        metres = np.stack(pyproj.Transformer.from_crs(4326, tile["crs"], always_xy=True).transform(*ring.T), axis=1)
        assert np.allclose(metres.min(axis=0), (tile["x"] - 500, tile["y"] - 500), atol=1e-3)
        assert np.allclose(metres.max(axis=0), (tile["x"] + 500, tile["y"] + 500), atol=1e-3)


def test_zones_follow_each_location() -> None:
    tiles, _ = plan_tiles(table([photo("w", "N", 5.99, 45.0), photo("e", "N", 6.01, 45.0), photo("s", "N", 6.01, -45.0)]), PLAN, seed=0)
    assert sorted(tiles.column("crs").to_pylist()) == ["EPSG:32631", "EPSG:32632", "EPSG:32732"]


def test_the_order_of_the_photos_changes_nothing() -> None:
    photos = table(scattered(60))
    first = plan_tiles(photos, PLAN, seed=0)
    second = plan_tiles(photos.take(np.random.default_rng(1).permutation(photos.num_rows)), PLAN, seed=0)
    assert first[0].equals(second[0]) and first[1].equals(second[1])


def test_shards_are_runs_of_neighbours_in_zone_square_and_month() -> None:
    tiles, _ = plan_tiles(table(scattered(120)), PLAN, seed=0)
    shards = np.array(tiles.column("shard").to_pylist())
    assert np.bincount(shards).tolist() == [40, 40, 40] and (np.diff(shards) >= 0).all()
    keys = [(row["crs"], int(row["x"] // 1e5), int(row["y"] // 1e5), row["target_date"].month) for row in tiles.to_pylist()]
    assert keys == sorted(keys)


def test_an_unchanged_tile_keeps_its_name_through_a_new_plan() -> None:
    rows = scattered(60)
    few, _ = plan_tiles(table(rows[:120]), PLAN, seed=0)
    many, _ = plan_tiles(table(rows), PLAN.model_copy(update={"shards": 7}), seed=5)
    small, _ = plan_tiles(table(rows), PLAN.model_copy(update={"size_px": 64}), seed=0)
    names = [set(tiles.column("tile_id").to_pylist()) for tiles in (few, many, small)]
    assert len(names[0]) == 30 and names[0] < names[1] and not names[1] & names[2]


def test_years_of_one_location_have_tiles_of_their_own_and_equal_places_share_one() -> None:
    later = dt.datetime(2022, 7, 14, tzinfo=dt.UTC)
    rows = [photo("a", "N", 3.0, 45.0), photo("a", "N", 3.0, 45.0, later, 2022), photo("b", "N", 3.0, 45.0)]
    tiles, pairs = plan_tiles(table(rows), PLAN, seed=0)
    assert sorted((row["target_date"].year, row["n_photos"]) for row in tiles.to_pylist()) == [(2018, 2), (2022, 1)]
    assert pairs.num_rows == 3


def test_a_missing_date_is_filled_by_the_other_photos_or_left_missing() -> None:
    rows = [photo("a", "E", 3.0, 45.0, None), photo("a", "N", 3.0, 45.0), photo("b", "N", 3.1, 45.0, None)]
    tiles, _ = plan_tiles(table(rows), PLAN, seed=0)
    assert {row["centre_photo_id"]: row["target_date"] for row in tiles.to_pylist()} == {"a:2018:E": DAY.date(), "b:2018:N": None}


def test_no_photos_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="lucas have no rows"):
        plan_tiles(PHOTOS.empty(), PLAN, seed=0)

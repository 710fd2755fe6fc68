"""GRAFT's tile plans from photos tables."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import shapely
from pydantic import ValidationError
from pyproj import Geod, Transformer
from tests.rows import table

from skygraft.config.plans import Plan, Split
from skygraft.config.sampling import Sampling
from skygraft.core.errors import ConfigError
from skygraft.core.schemas import PHOTOS
from skygraft.geo.utm import utm_epsg
from skygraft.ground.sampled_plan import plan_tiles

START = dt.datetime(2018, 1, 15, tzinfo=dt.UTC)


def plan(**sampling: Any) -> Plan:
    return Plan(photos=("flickr",), size_px=448, sampling=Sampling(**sampling), split=Split(block_km=12, val=0.2, test=0.2), shards=3)


def photo(name: str, lon: float, lat: float, day: int | None = 0, year: int = 2018) -> dict[str, object]:
    return {
        "photo_id": f"flickr:{name}",
        "source": "flickr",
        "location_id": f"flickr:{name}",
        "geometry": shapely.to_wkb(shapely.Point(lon, lat)),
        "captured_at": None if day is None else START + dt.timedelta(days=day),
        "year": year,
        "url": "https://example.org/a.jpg",
    }


def scattered(count: int, seed: int = 0, lon: float = 6.0, lat: float = 45.0, side: float = 0.4) -> list[dict[str, object]]:
    """Photos on both sides of a seam, thick in places."""
    rng = np.random.default_rng(seed)
    towns = rng.uniform(-side / 2, side / 2, (8, 2))
    xy = np.where(rng.random(count)[:, None] < 0.5, towns[rng.integers(0, 8, count)] + rng.normal(0, 0.004, (count, 2)),
                  rng.uniform(-side / 2, side / 2, (count, 2)))  # fmt: skip
    days = rng.integers(0, 700, count)
    return [photo(f"{n}", lon + x, lat + y, int(day)) for n, ((x, y), day) in enumerate(zip(xy, days, strict=True))]


def planned(rows: list[dict[str, object]], how: Plan, seed: int = 1) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    tiles, pairs = plan_tiles(table(PHOTOS, rows), how, seed)
    return tiles.to_pylist(), pairs.to_pylist()


def test_pairs_are_the_photos_in_the_window_measured_where_the_tile_lies() -> None:
    rows = scattered(1500)
    tiles, pairs = planned(rows, plan(max_photos=10_000))
    lon, lat = np.array([shapely.from_wkb(row["geometry"]).coords[0] for row in rows]).T
    metres = {
        crs: np.stack(Transformer.from_crs(4326, crs, always_xy=True).transform(lon, lat), axis=1)
        for crs in {tile["crs"] for tile in tiles}
    }
    names = np.array([row["photo_id"] for row in rows])
    of_tile: dict[str, dict[str, tuple[float, float]]] = {}
    for pair in pairs:
        of_tile.setdefault(pair["tile_id"], {})[pair["photo_id"]] = pair["x"], pair["y"]
    assert len(metres) == 2 and {tile["tile_id"] for tile in tiles} == set(of_tile)
    for tile in tiles:
        inside = np.abs(metres[tile["crs"]] - (tile["x"], tile["y"])).max(axis=1) <= 1120
        assert set(of_tile[tile["tile_id"]]) == set(names[inside])
        assert tile["n_photos"] == inside.sum() and tile["centre_photo_id"] in of_tile[tile["tile_id"]]
        expected = dict(zip(names[inside], map(tuple, metres[tile["crs"]][inside]), strict=True))
        for name, place in of_tile[tile["tile_id"]].items():
            assert place == pytest.approx(expected[name], abs=1e-6)
        assert (tile["x"] - 2240) % 20 == 0 and (tile["y"] - 2240) % 20 == 0
    assert len({pair["photo_id"] for pair in pairs}) >= len(rows) - 3 and len(pairs) > len(rows)


def test_centres_are_more_than_the_separation_apart_in_both_zones() -> None:
    tiles, _ = planned(scattered(1500), plan())
    for crs in ("EPSG:32631", "EPSG:32632"):
        metres = np.array([Transformer.from_crs(tile["crs"], crs, always_xy=True).transform(tile["x"], tile["y"]) for tile in tiles])
        between = np.abs(metres - metres[:, None]).max(axis=2)
        np.fill_diagonal(between, np.inf)
        assert between[[tile["crs"] == crs for tile in tiles]].min() > 1120


def test_the_order_of_the_photos_and_photos_found_twice_change_nothing() -> None:
    rows = scattered(700)
    shuffled = [rows[n] for n in np.random.default_rng(1).permutation(700)] + rows[:50]
    first, second = (plan_tiles(table(PHOTOS, its), plan(max_photos=4, stored="random"), 1) for its in (rows, shuffled))
    assert first[0].equals(second[0]) and first[1].equals(second[1])


def test_another_seed_takes_other_centres_and_draws_other_photos() -> None:
    rows = scattered(700)
    ways = [planned(rows, plan(max_photos=4), seed) for seed in (1, 2)]
    assert {tile["tile_id"] for tile in ways[0][0]} != {tile["tile_id"] for tile in ways[1][0]}


@pytest.mark.parametrize("stored", ["random", "first"])
def test_at_most_so_many_photos_are_stored_and_the_centre_is_among_them(stored: str) -> None:
    rows = scattered(1500)
    place = {row["photo_id"]: shapely.from_wkb(row["geometry"]).x for row in rows}
    everyone = {tile["tile_id"]: set() for tile in planned(rows, plan(max_photos=10_000))[0]}
    for pair in planned(rows, plan(max_photos=10_000))[1]:
        everyone[pair["tile_id"]].add(pair["photo_id"])
    tiles, pairs = planned(rows, plan(max_photos=6, stored=stored))
    kept: dict[str, list[str]] = {}
    for pair in pairs:
        kept.setdefault(pair["tile_id"], []).append(pair["photo_id"])
    assert max(map(len, everyone.values())) > 25
    for tile in tiles:
        its, whole = kept[tile["tile_id"]], everyone[tile["tile_id"]]
        assert len(set(its)) == len(its) == tile["n_photos"] == min(6, len(whole)) and its == sorted(its)
        assert tile["centre_photo_id"] in its and set(its) <= whole
        if stored == "first" and len(whole) > 6:
            west = sorted(whole - {tile["centre_photo_id"]}, key=lambda name: place[name])[:5]
            assert set(its) == {tile["centre_photo_id"], *west}


def test_the_target_date_is_the_centres_or_the_median_of_those_stored() -> None:
    rows = [photo(str(n), 9.0, 45.0, day) for n, day in enumerate([4, 9, 1, None, 300, 2])]
    (tile,), _ = planned(rows, plan())
    day = {row["photo_id"]: row["captured_at"] for row in rows}
    centre = day[tile["centre_photo_id"]]
    assert tile["target_date"] == (START + dt.timedelta(days=4) if centre is None else centre).date()
    (tile,), _ = planned(rows, plan(target_date="median"))
    assert tile["target_date"] == (START + dt.timedelta(days=4)).date()
    (tile,), _ = planned([photo(str(n), 9.0, 45.0, None) for n in range(3)], plan())
    assert tile["target_date"] is None


def test_seasons_keep_photos_apart() -> None:
    rows = [photo(str(n), 9.0, 45.0, day) for n, day in enumerate([0, 20, 100, 120, 365, None])]
    tiles, pairs = planned(rows, plan(season_months=3, target_date="median"))
    assert sorted((str(tile["target_date"]), tile["n_photos"]) for tile in tiles) == [
        ("2018-01-15", 2), ("2018-04-25", 2), ("2019-01-15", 1), ("None", 1),
    ]  # fmt: skip
    assert len({tile["tile_id"] for tile in tiles}) == 4 and len(pairs) == 6


def test_random_centres_are_as_many_and_overlap() -> None:
    rows = scattered(1500)
    apart, random = (planned(rows, plan(centres=centres))[0] for centres in ("apart", "random"))
    assert len(random) == len(apart) == len({tile["tile_id"] for tile in random})

    def nearest(tiles: list[dict[str, Any]]) -> float:
        metres = np.array([(tile["x"], tile["y"]) for tile in tiles if tile["crs"] == "EPSG:32631"])
        between = np.abs(metres - metres[:, None]).max(axis=2)
        np.fill_diagonal(between, np.inf)
        return float(np.median(between.min(axis=0)))

    assert nearest(apart) > 1120 > nearest(random)


@pytest.mark.parametrize("distance_m", [0.0, 3000.0])
def test_splits_keep_their_distance_and_share_no_photo_though_tiles_of_one_split_overlap(distance_m: float) -> None:
    rows = scattered(3000, side=0.8)
    how = plan().model_copy(update={"split": Split(block_km=12, val=0.2, test=0.2, distance_m=distance_m)})
    tiles, pairs = planned(rows, how)
    split = {tile["tile_id"]: tile["split"] for tile in tiles}
    used = [tile for tile in tiles if tile["split"] != "buffer"]
    corners = np.array([shapely.get_coordinates(shapely.from_wkb(tile["geometry"]))[:4] for tile in used])
    names = np.array([tile["split"] for tile in used])
    assert {"train", "val", "test"} <= set(names)
    geod = Geod(ellps="WGS84")
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        near, far = corners[names == one].reshape(-1, 2), corners[names == other].reshape(-1, 2)
        first, second = np.meshgrid(np.arange(len(near)), np.arange(len(far)))
        metres = geod.inv(*near[first.ravel()].T, *far[second.ravel()].T)[2]
        # Tiles are squares: where corners are this far apart and centres further than a diagonal, so is all between them.
        assert np.min(metres) > distance_m
    outlines = shapely.from_wkb([tile["geometry"] for tile in used])
    first, second = shapely.STRtree(outlines).query(outlines, predicate="intersects")
    assert np.array_equal(names[first], names[second]) and len(first) > 2 * len(used)
    of_photo: dict[str, set[str]] = {}
    for pair in pairs:
        if split[pair["tile_id"]] != "buffer":
            of_photo.setdefault(pair["photo_id"], set()).add(split[pair["tile_id"]])
    assert max(map(len, of_photo.values())) == 1


def test_naip_tiles_are_sampled_at_112_metres() -> None:
    rng = np.random.default_rng(2)
    rows = [photo(str(n), -156.0 + x, 20.0 + y) for n, (x, y) in enumerate(rng.uniform(0, 0.01, (300, 2)))]
    how = Plan(photos=("flickr",), size_px=448, gsd_m=1.0, snap_m=1.0, sampling=Sampling())
    tiles, _ = planned(rows, how)
    metres = np.array([(tile["x"], tile["y"]) for tile in tiles])
    between = np.abs(metres - metres[:, None]).max(axis=2)
    np.fill_diagonal(between, np.inf)
    assert {tile["crs"] for tile in tiles} == {f"EPSG:{int(utm_epsg(-156.0, 20.0))}"} and 112 < between.min() < 140


def test_a_window_that_does_not_fit_and_a_table_without_rows_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"window_px 224 is wider than the tile's size_px 100"):
        Plan(photos=("flickr",), sampling=Sampling())
    with pytest.raises(ValidationError, match="two steps of snap_m"):
        Plan(photos=("flickr",), sampling=Sampling(window_px=3))
    with pytest.raises(ConfigError, match="flickr have no rows"):
        plan_tiles(PHOTOS.empty(), plan(), 1)
    with pytest.raises(ConfigError, match="multiple of 20 m"):
        plan_tiles(table(PHOTOS, [photo("a", 9.0, 45.0)]), Plan(photos=("flickr",), size_px=447, sampling=Sampling()), 1)


def test_plans_of_before_keep_their_identity() -> None:
    old = Plan(photos=("lucas",)).identity()
    assert set(old) == {"photos", "gsd_m", "size_px", "snap_m", "split", "shards"} and set(old["split"]) == {"block_km", "val", "test"}


def test_columns_are_those_of_the_tables() -> None:
    tiles, pairs = plan_tiles(table(PHOTOS, scattered(40)), plan(), 1)
    assert isinstance(tiles, pa.Table) and tiles.column("shard").to_pylist() == sorted(tiles.column("shard").to_pylist())
    first = list(dict.fromkeys(pairs.column("tile_id").to_pylist()))
    assert first == tiles.column("tile_id").to_pylist()

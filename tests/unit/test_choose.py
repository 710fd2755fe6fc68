"""The choice of scenes and the questions to a catalogue, against loops that know no arrays."""

from __future__ import annotations

import calendar
import datetime as dt
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyproj
import pytest
import shapely

from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import Reason
from skygraft.core.schemas import SCENES, TILES
from skygraft.geo.tiles import outlines
from skygraft.imagery.choose import choose_scenes
from skygraft.imagery.queries import month_index, month_span, queries_for
from skygraft.imagery.scenes import CATALOGUES, scene_table

WEST, NORTH = 600000.0, 5000040.0


def tile(name: str, x: float, y: float, day: dt.date | None, epsg: int = 32631) -> dict[str, Any]:
    row = dict.fromkeys(TILES.schema().names)
    outline = shapely.to_wkb(outlines(epsg, [x], [y], 1000.0)[0])
    place = {"tile_id": name, "geometry": outline, "crs": f"EPSG:{epsg}", "x": x, "y": y, "gsd_m": 10.0, "size_px": 100}
    return row | place | {"n_photos": 1, "centre_photo_id": "p", "target_date": day, "split": "train", "shard": 0}


def scene(
    name: str, day: dt.date, cloud: float | None = 5.0, epsg: int = 32631, place: tuple[float, float, int] = (WEST, NORTH, 2000)
) -> dict[str, Any]:
    west, north, size = place
    side = size * 10.0
    ring = np.array([[west, north], [west + side, north], [west + side, north - side], [west, north - side]])
    lon, lat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform(*ring.T)
    return {
        "scene_id": name,
        "catalogue": "planetary_computer",
        "geometry": shapely.to_wkb(shapely.Polygon(np.stack([lon, lat], axis=1))),
        "acquired_at": dt.datetime(day.year, day.month, day.day, 10, 50, tzinfo=dt.UTC),
        "crs": f"EPSG:{epsg}",
        "mgrs_tile": None,
        "cloud_cover": cloud,
        "processing_baseline": "02.08",
        "offset_applied": False,
        "assets": [("B04", "https://x/y.tif")],
        "transform": [10.0, 0.0, west, 0.0, -10.0, north],
        "shape": [size, size],
    }


def tiles_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=TILES.schema())


def scenes_table(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=SCENES.schema())


def options(**values: Any) -> Sentinel2:
    return Sentinel2(plan="p", **values)


def chosen(tiles: list[dict[str, Any]], scenes: list[dict[str, Any]], **values: Any) -> list[list[str]]:
    choices = choose_scenes(tiles_table(tiles), scenes_table(scenes), options(**values))
    return [[scenes[candidate.scene]["scene_id"] for candidate in choice.candidates] for choice in choices]


DAY = dt.date(2018, 7, 15)
MIDDLE = tile("t", WEST + 5000, NORTH - 5000, DAY)


def naive(tile_row: dict[str, Any], scenes: list[dict[str, Any]], settings: Sentinel2) -> list[str]:
    """What the module's docstring says, one scene after the other."""
    target, found = tile_row["target_date"], []
    for one in scenes:
        acquired = one["acquired_at"].date()
        months = abs((acquired.year - target.year) * 12 + acquired.month - target.month)
        west, north, side = one["transform"][2], one["transform"][5], one["shape"][0] * 10
        inside = west <= tile_row["x"] - 500 and tile_row["x"] + 500 <= west + side
        inside &= north - side <= tile_row["y"] - 500 and tile_row["y"] + 500 <= north
        if inside and months <= settings.months_either_side and one["cloud_cover"] < settings.max_scene_cloud:
            apart = abs((acquired - target).days)
            keys = (apart, one["cloud_cover"]) if settings.order == "nearest_date" else (one["cloud_cover"], apart)
            found.append((*keys, one["scene_id"]))
    return [key[-1] for key in sorted(found)[: settings.candidates]]


@pytest.mark.parametrize("order", ["nearest_date", "least_cloud"])
@pytest.mark.parametrize("either_side", [0, 2])
def test_against_a_naive_loop(order: str, either_side: int) -> None:
    rng = np.random.default_rng(either_side)
    scenes = []
    for number in range(150):
        day = dt.date(2018, 1, 1) + dt.timedelta(days=int(rng.integers(0, 365)))
        place = (WEST + int(rng.integers(-5, 6)) * 1000.0, NORTH + int(rng.integers(-5, 6)) * 1000.0, 1500)
        scenes.append(scene(f"s{number:03d}", day, float(rng.integers(0, 30)), place=place))
    spots = rng.uniform(-9000, 18_000, (60, 2))
    days = [dt.date(2018, int(month), int(day)) for month, day in zip(rng.integers(3, 11, 60), rng.integers(1, 29, 60), strict=True)]
    tiles = [tile(f"t{k}", WEST + x // 20 * 20, NORTH - y // 20 * 20, day) for k, ((x, y), day) in enumerate(zip(spots, days, strict=True))]
    settings = options(order=order, months_either_side=either_side, candidates=5)
    expected = [naive(row, scenes, settings) for row in tiles]
    assert chosen(tiles, scenes, order=order, months_either_side=either_side, candidates=5) == expected
    assert sum(bool(names) for names in expected) > 15 and not all(expected)


def test_nearest_date_then_cloud_then_name() -> None:
    scenes = [
        scene("far", dt.date(2018, 7, 25), 1.0),
        scene("cloudier", dt.date(2018, 7, 13), 9.0),
        scene("b", dt.date(2018, 7, 17), 2.0),
        scene("a", dt.date(2018, 7, 13), 2.0),
    ]
    assert chosen([MIDDLE], scenes) == [["a", "b", "cloudier", "far"]]
    assert chosen([MIDDLE], scenes, order="least_cloud") == [["far", "a", "b", "cloudier"]]
    assert chosen([MIDDLE], scenes, candidates=2) == [["a", "b"]]


def test_days_apart_are_signed() -> None:
    scenes = [scene("before", dt.date(2018, 7, 10)), scene("after", dt.date(2018, 7, 18))]
    choice = choose_scenes(tiles_table([MIDDLE]), scenes_table(scenes), options())[0]
    assert {scenes[one.scene]["scene_id"]: one.days_apart for one in choice.candidates} == {"before": -5.0, "after": 3.0}


def test_the_window_is_the_months_own_or_so_many_around_also_across_years() -> None:
    scenes = [scene(f"{day}", day) for day in (dt.date(2018, 11, 30), dt.date(2018, 12, 1), dt.date(2019, 1, 31), dt.date(2019, 3, 1))]
    january = tile("t", WEST + 5000, NORTH - 5000, dt.date(2019, 1, 5))
    assert chosen([january], scenes) == [["2019-01-31"]]
    assert chosen([january], scenes, months_either_side=1) == [["2019-01-31", "2018-12-01"]]
    assert chosen([january], scenes, months_either_side=2) == [["2019-01-31", "2018-12-01", "2018-11-30", "2019-03-01"]]


def test_the_tiles_of_a_season_share_its_clearest_scene_whatever_their_days() -> None:
    scenes = [
        scene("spring", dt.date(2018, 6, 30), 0.0),
        scene("b", dt.date(2018, 7, 3), 0.0),
        scene("a", dt.date(2018, 8, 22), 0.0),
        scene("hazy", dt.date(2018, 9, 1), 4.0),
        scene("autumn", dt.date(2018, 10, 1), 0.0),
    ]
    days = [dt.date(2018, 7, 1), dt.date(2018, 7, 4), dt.date(2018, 9, 30), dt.date(2018, 10, 2)]
    tiles = [tile(f"t{number}", WEST + 5000, NORTH - 5000, day) for number, day in enumerate(days)]
    season = {"order": "least_cloud", "season_months": 3}
    assert chosen(tiles, scenes, **season) == [["a", "b", "hazy"]] * 3 + [["autumn"]]
    assert len({names[0] for names in chosen(tiles[:3], scenes, months_either_side=2)}) == 3
    assert chosen(tiles[:1], scenes, season_months=3) == [["b", "a", "hazy"]]
    assert chosen(tiles[3:], scenes, season_months=3, months_either_side=1) == [["autumn", "hazy"]]
    # What is asked of the catalogue is what may be chosen: the quarter's months, once.
    asked = {(query.first, query.last) for query in queries_for(tiles_table(tiles[:3]), options(**season))}
    assert asked == {month_span(month_index(dt.date(2018, month, 1))) for month in (7, 8, 9)}


def test_cloud_must_be_under_the_limit_and_unknown_cloud_counts_as_too_much() -> None:
    scenes = [scene("at", DAY, 20.0), scene("under", DAY, 19.9), scene("unknown", DAY, None)]
    assert chosen([MIDDLE], scenes) == [["under"]]
    assert chosen([MIDDLE], scenes, max_scene_cloud=100.0) == [["under", "at", "unknown"]]


def test_a_tile_must_lie_inside_whole() -> None:
    edge = [
        tile("in", WEST + 500, NORTH - 500, DAY),
        tile("out", WEST + 480, NORTH - 500, DAY),
        tile("far", WEST + 20_500, NORTH - 500, DAY),
    ]
    assert chosen(edge, [scene("s", DAY)]) == [["s"], [], []]


def test_reasons_tell_no_scene_from_too_cloudy() -> None:
    tiles = [MIDDLE, tile("june", WEST + 5000, NORTH - 5000, dt.date(2018, 6, 1)), tile("undated", WEST + 5000, NORTH - 5000, None)]
    choices = choose_scenes(tiles_table(tiles), scenes_table([scene("s", DAY, 64.0)]), options())
    assert [choice.reason for choice in choices] == [Reason.TOO_CLOUDY, Reason.NO_SCENE, Reason.NO_SCENE]
    assert "clearest of 1 scenes" in choices[0].detail and "64 % cloud" in choices[0].detail
    assert "2018-06-01 to 2018-06-30" in choices[1].detail and "no date" in choices[2].detail
    assert choose_scenes(tiles_table(tiles), scenes_table([]), options())[0].reason is Reason.NO_SCENE


def test_a_partial_footprint_does_not_cover() -> None:
    part = scene("part", DAY)
    whole = shapely.from_wkb(part["geometry"])
    west, south, east, north = whole.bounds
    part["geometry"] = shapely.to_wkb(whole.intersection(shapely.box((west + east) / 2, south, east, north)))
    assert chosen([MIDDLE], [part]) == [[]]
    assert chosen([tile("t", WEST + 16_000, NORTH - 5000, DAY)], [part]) == [["part"]]


def seam(offset: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A tile of zone 31 near its eastern seam, and scenes of both zones over it."""
    x, y = 725_000.0, 5_000_000.0
    there = pyproj.Transformer.from_crs(32631, 32632, always_xy=True).transform(x, y)
    other = scene("other", DAY, 0.0, 32632, (there[0] // 20 * 20 - 5000 + offset, there[1] // 20 * 20 + 5000, 1000))
    own = scene("own", dt.date(2018, 7, 29), 19.0, 32631, (x - 5000, y + 5000, 1000))
    return tile("t", x, y, DAY), [other, own]


def test_another_zone_stands_behind_every_scene_of_its_own() -> None:
    here, scenes = seam(0.0)
    choice = choose_scenes(tiles_table([here]), scenes_table(scenes), options())[0]
    assert [(scenes[one.scene]["scene_id"], one.other_zone) for one in choice.candidates] == [("own", False), ("other", True)]
    assert chosen([here], scenes[:1]) == [["other"]]
    assert chosen([here], seam(4480.0)[1][:1]) == [[]]


def test_scenes_and_tiles_across_the_antimeridian() -> None:
    to_zone = pyproj.Transformer.from_crs(4326, 32601, always_xy=True)
    x, y = to_zone.transform(-179.999, 60.0)
    place = (x // 20 * 20 - 5000, y // 20 * 20 + 5000, 1000)
    here, one = tile("t", x // 20 * 20, y // 20 * 20, DAY, 32601), scene("s", DAY, 1.0, 32601, place)
    ring = np.array(shapely.from_wkb(one["geometry"]).exterior.coords)
    assert np.ptp(ring[:, 0]) > 300
    assert chosen([here], [one]) == [["s"]]
    # The standard's way: cut into two halves at the meridian.
    ring[:, 0] %= 360
    whole = shapely.Polygon(ring)
    east, west = whole.intersection(shapely.box(170, 0, 180, 90)), whole.intersection(shapely.box(180, 0, 190, 90))
    west = shapely.transform(west, lambda points: points - [360, 0])
    cut = dict(one, geometry=shapely.to_wkb(shapely.MultiPolygon([east, west])))
    assert chosen([here], [cut]) == [["s"]]


def test_questions_cover_every_tile_and_month_and_ask_nothing_twice() -> None:
    rng = np.random.default_rng(0)
    tiles = []
    for k in range(200):
        x, y = rng.uniform(500_000, 790_000), rng.uniform(4_900_000, 5_190_000)
        tiles.append(tile(f"t{k}", x, y, dt.date(2018, int(rng.integers(1, 13)), int(rng.integers(1, 29)))))
    queries = queries_for(tiles_table(tiles), options(months_either_side=1))
    assert len(queries) == len(set(queries)) == len({query.key for query in queries}) and queries == sorted(queries)
    # Nine squares or sixteen, at most 14 months each: regions and months, never points.
    assert len(queries) <= 16 * 14
    for row in tiles:
        west, south, east, north = shapely.from_wkb(row["geometry"]).bounds
        own = row["target_date"].year * 12 + row["target_date"].month - 1
        for month in (own - 1, own, own + 1):
            first = dt.date(month // 12, month % 12 + 1, 1)
            assert any(
                q.bbox[0] <= west and q.bbox[1] <= south and q.bbox[2] >= east and q.bbox[3] >= north and q.first == first for q in queries
            )


def test_questions_across_the_antimeridian_are_cut_there_and_undated_tiles_ask_nothing() -> None:
    x, y = pyproj.Transformer.from_crs(4326, 32601, always_xy=True).transform(-179.999, 60.0)
    queries = queries_for(tiles_table([tile("t", x, y, DAY, 32601), tile("u", WEST, NORTH, None)]), options())
    assert [(query.bbox[0], query.bbox[2]) for query in queries] == [
        (-180.0, pytest.approx(-179.98, abs=0.02)),
        (pytest.approx(179.99, abs=0.02), 180.0),
    ]
    assert {query.datetime for query in queries} == {"2018-07-01T00:00:00Z/2018-07-31T23:59:59Z"}


@pytest.mark.parametrize("day", [dt.date(2020, 2, 29), dt.date(2019, 12, 31), dt.date(2018, 1, 1)])
def test_months_have_their_own_ends(day: dt.date) -> None:
    first, last = month_span(month_index(day))
    assert (first.day, last.day) == (1, calendar.monthrange(day.year, day.month)[1]) and first <= day <= last


@pytest.mark.mirror
def test_real_footprints_cover_tiles_inside_them_also_beside_the_antimeridian() -> None:
    path = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data")) / "stac"
    path /= "planetary_computer_sentinel-2-l2a_items.ndjson"
    if not path.exists():
        pytest.skip(f"no mirror of real files: {path} is missing (set SKYGRAFT_MIRROR)")
    items = [json.loads(line) for line in path.read_text().splitlines()]
    scenes, rejected = scene_table(items, CATALOGUES["planetary_computer"], ("B04",))
    assert not rejected
    tiles, names = [], []
    for row in scenes.to_pylist():
        outline, epsg = shapely.from_wkb(row["geometry"]), int(row["crs"].removeprefix("EPSG:"))
        inside = outline.buffer(-0.03)
        if inside.is_empty:
            continue
        spot = inside.representative_point()
        x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(spot.x, spot.y)
        tiles.append(tile(row["scene_id"], x // 20 * 20, y // 20 * 20, dt.date(2019, 1, 9), epsg))
        names.append(row["scene_id"])
    found = choose_scenes(tiles_table(tiles), scenes, options(max_scene_cloud=100, candidates=40))
    listed = scenes.column("scene_id").to_pylist()
    assert len(names) > 20
    for name, choice in zip(names, found, strict=True):
        assert name in [listed[one.scene] for one in choice.candidates]
        assert all(one.days_apart == -8.0 for one in choice.candidates)

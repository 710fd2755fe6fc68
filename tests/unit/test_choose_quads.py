"""Which quarter quads a tile is taken from, against a naive reading of the rule; the real items of Planetary Computer."""

from __future__ import annotations

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

from skygraft.config.naip import Naip
from skygraft.core.errors import Reason
from skygraft.core.schemas import SCENES, TILES
from skygraft.geo.utm import from_utm
from skygraft.imagery.choose_quads import QuadChoice, choose_quads
from skygraft.imagery.naip_scenes import IMAGE, NAIP_CATALOGUES, naip_table

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
WEST, NORTH = 600_000.0, 4_400_000.0


def options(**changes: Any) -> Naip:
    return Naip(**{"source": "naip", "plan": "p", "candidates": 20} | changes)


def quad(name: str, day: dt.date, west: float, north: float, side: float = 1000.0, epsg: int = 26911, gsd: float = 0.5) -> dict[str, Any]:
    lon, lat = from_utm(np.array([west, west + side]), np.array([north - side, north]), epsg + 5700)
    return dict.fromkeys(SCENES.schema().names) | {
        "scene_id": name,
        "catalogue": "planetary_computer",
        "geometry": shapely.to_wkb(shapely.box(lon[0], lat[0], lon[1], lat[1])),
        "acquired_at": dt.datetime(day.year, day.month, day.day, 16, tzinfo=dt.UTC),
        "crs": f"EPSG:{epsg}",
        "offset_applied": False,
        "assets": [(IMAGE, f"https://example.org/{name}.tif")],
        "transform": [gsd, 0.0, west, 0.0, -gsd, north],
        "shape": [int(side / gsd)] * 2,
    }


def scenes_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["scene_id"]), schema=SCENES.schema())


def tiles_of(places: list[tuple[float, float]], day: dt.date | None, epsg: int = 32611, size_px: int = 448) -> pa.Table:
    rows = [
        dict.fromkeys(TILES.schema().names)
        | {"tile_id": f"t{n}", "crs": f"EPSG:{epsg}", "x": x, "y": y, "gsd_m": 1.0, "size_px": size_px, "target_date": day}
        for n, (x, y) in enumerate(places)
    ]
    return pa.Table.from_pylist(rows, schema=pa.schema([field.with_nullable(True) for field in TILES.schema()]))


def named(choice: QuadChoice, scenes: pa.Table) -> list[tuple[str, ...]]:
    ids = scenes.column("scene_id").to_pylist()
    return [tuple(ids[scene] for scene in mosaic.scenes) for mosaic in choice.candidates]


@pytest.mark.parametrize("order", ["most_recent", "nearest_year"])
def test_candidates_are_those_of_a_naive_reading(order: str) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for year in (2010, 2013, 2016, 2019, 2022):
        for n in range(5):
            east, south = rng.uniform(0, 1200, 2)
            day = dt.date(year, int(rng.integers(4, 11)), int(rng.integers(1, 28)))
            rows.append(quad(f"m_{year}_{n}", day, WEST + east, NORTH - south))
    scenes = scenes_of(rows)
    boxes = [shapely.box(r[2], r[5] - 1000, r[2] + 1000, r[5]) for r in scenes.column("transform").to_pylist()]
    years = [moment.year for moment in scenes.column("acquired_at").to_pylist()]
    places = [(WEST + float(x), NORTH - float(y)) for x, y in rng.uniform(300, 1900, (60, 2))]
    target = dt.date(2014, 7, 1)
    found = choose_quads(tiles_of(places, target), scenes, options(order=order, max_nodata=0))
    mosaics = none = 0
    for (x, y), choice in zip(places, found, strict=True):
        square = shapely.box(x - 224, y - 224, x + 224, y + 224)
        possible = {
            year
            for year in years
            if shapely.union_all([b for b, of in zip(boxes, years, strict=True) if of == year]).buffer(1e-6).covers(square)
        }
        got = list(dict.fromkeys(years[mosaic.scenes[0]] for mosaic in choice.candidates))
        if order == "most_recent":
            assert got == sorted(possible, reverse=True)
        else:
            assert set(got) == possible
            assert [abs(year - target.year) for year in got] == sorted(abs(year - target.year) for year in got)
        none += not possible
        assert choice.reason is (Reason.OK if possible else Reason.NO_SCENE)
        for mosaic in choice.candidates:
            parts = [boxes[scene] for scene in mosaic.scenes]
            assert len({years[scene] for scene in mosaic.scenes}) == 1
            assert shapely.union_all(parts).buffer(1e-6).covers(square)
            single = [boxes[n] for n, year in enumerate(years) if year == years[mosaic.scenes[0]] and boxes[n].covers(square)]
            assert (len(parts) == 1) == bool(single)
            # Each quad of a mosaic shows what those before it do not.
            assert all(shapely.union_all(parts[:n]).intersection(square).area < square.area - 1 for n in range(1, len(parts)))
            mosaics += len(parts) > 1
    assert mosaics > 5 and none > 0


def test_a_covering_quad_goes_before_a_mosaic_and_the_newest_before_older_ones() -> None:
    scenes = scenes_of(
        [
            quad("half_west", dt.date(2020, 6, 1), WEST - 600, NORTH),
            quad("half_east", dt.date(2020, 6, 2), WEST + 400, NORTH),
            quad("whole_may", dt.date(2020, 5, 1), WEST, NORTH),
            quad("whole_august", dt.date(2020, 8, 1), WEST, NORTH),
            quad("older", dt.date(2016, 8, 1), WEST, NORTH),
            quad("too_new", dt.date(2024, 8, 1), WEST, NORTH),
            quad("too_old", dt.date(2008, 8, 1), WEST, NORTH),
        ]
    )
    place = [(WEST + 500, NORTH - 500)]
    (choice,) = choose_quads(tiles_of(place, None), scenes, options())
    assert named(choice, scenes) == [("whole_august",), ("whole_may",), ("older",)]
    assert [mosaic.days_apart for mosaic in choice.candidates] == [None] * 3
    (dated,) = choose_quads(tiles_of(place, dt.date(2016, 8, 11)), scenes, options(order="nearest_year", candidates=1))
    assert named(dated, scenes) == [("older",)] and dated.candidates[0].days_apart == -10.0
    (undated,) = choose_quads(tiles_of(place, None), scenes, options(order="nearest_year"))
    assert (undated.reason, undated.detail) == (Reason.NO_SCENE, "its photos have no date")


def test_two_halves_make_one_tile_and_a_gap_does_not() -> None:
    halves = [quad("west", dt.date(2020, 6, 1), WEST - 600, NORTH), quad("east", dt.date(2020, 6, 2), WEST + 350, NORTH)]
    (choice,) = choose_quads(tiles_of([(WEST + 400, NORTH - 500)], None), scenes_of(halves), options())
    assert named(choice, scenes_of(halves)) == [("east", "west")]
    apart = [halves[0], quad("east", dt.date(2020, 6, 2), WEST + 430, NORTH)]
    (choice,) = choose_quads(tiles_of([(WEST + 400, NORTH - 500)], None), scenes_of(apart), options(max_nodata=0.01))
    assert (choice.candidates, choice.reason) == ((), Reason.NO_SCENE)
    assert choice.detail == "no photographs of 2010 to 2023 cover the tile"
    (choice,) = choose_quads(tiles_of([(WEST + 400, NORTH - 500)], None), scenes_of(apart), options(max_nodata=0.2))
    assert len(choice.candidates) == 1


def test_quads_of_the_neighbouring_zone_come_after_those_of_the_own() -> None:
    x, y = pyproj.Transformer.from_crs(32611, 32612, always_xy=True).transform(WEST + 210_000, NORTH)
    rows = [
        quad("own", dt.date(2020, 6, 1), WEST + 209_000, NORTH + 1000, side=2000.0),
        quad("other", dt.date(2020, 6, 9), round(x) - 1500.0, round(y) + 1500.0, side=3000.0, epsg=26912),
        quad("far", dt.date(2020, 6, 9), round(x) - 1500.0, round(y) + 1500.0, side=3000.0, epsg=26914),
    ]
    tiles = tiles_of([(WEST + 210_000, NORTH)], None)
    (choice,) = choose_quads(tiles, scenes_of(rows), options())
    assert named(choice, scenes_of(rows)) == [("own",), ("other",)]
    # Without a grid of its own, a quad's outline on the map tells the same.
    (choice,) = choose_quads(tiles, scenes_of([row | {"transform": None} for row in rows]), options())
    assert named(choice, scenes_of(rows)) == [("own",), ("other",)]


@pytest.mark.mirror
def test_real_items_cover_tiles_inside_them_and_across_their_edges() -> None:
    path = MIRROR / "stac" / "planetary_computer_naip_items.ndjson"
    if not path.exists():
        pytest.skip(f"no mirror of real files: {path} is missing (set SKYGRAFT_MIRROR)")
    items = [json.loads(line) for line in path.read_text().splitlines()]
    scenes, rejected = naip_table(items, NAIP_CATALOGUES["planetary_computer"])
    assert (scenes.num_rows, rejected) == (60, [])
    rows = scenes.to_pylist()
    assert {row["crs"] for row in rows} == {"EPSG:26911", "EPSG:26912"}
    boxes = [shapely.box(*item["properties"]["proj:bbox"]) for item in sorted(items, key=lambda item: item["id"])]
    mosaics = 0
    for row, box, item in zip(rows, boxes, sorted(items, key=lambda item: item["id"]), strict=True):
        assert item["id"] == row["scene_id"] and dict(row["assets"])[IMAGE] == item["assets"]["image"]["href"]
        assert row["acquired_at"].year == int(item["properties"]["naip:year"])
        zone = int(row["crs"].removeprefix("EPSG:")) + 5700
        west, south, east, north = box.bounds
        middle = [((west + east) / 2, (south + north) / 2)]
        (inside,) = choose_quads(tiles_of(middle, dt.date(2023, 11, 7), epsg=zone), scenes, options())
        assert named(inside, scenes) == [(row["scene_id"],)] and inside.candidates[0].days_apart == 10.0
        # Neighbours overlap by some 600 m: wider tiles in the middle of that belt are covered by two together, and by none alone.
        edges = [(west + 300, (south + north) / 2), ((west + east) / 2, north - 300)]
        for (x, y), choice in zip(edges, choose_quads(tiles_of(edges, None, epsg=zone, size_px=1000), scenes, options()), strict=True):
            square = shapely.box(x - 500, y - 500, x + 500, y + 500)
            covered = shapely.union_all([one for one, of in zip(boxes, rows, strict=True) if of["crs"] == row["crs"]]).covers(square)
            assert (choice.reason is Reason.OK) == covered
            mosaics += covered
            assert all(len(mosaic.scenes) == 2 for mosaic in choice.candidates)
    assert mosaics > 50


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"properties": {"proj:epsg": 26933, "datetime": "2020-06-01T16:00:00Z"}}, "EPSG:26933 is no UTM zone"),
        ({"properties": {"datetime": "2020-06-01T16:00:00Z"}}, "proj:code or proj:epsg is missing"),
        ({"assets": {}}, "image is missing"),
        ({"assets": {"image": {"href": "ftp://example.org/x.tif"}}}, "address of scheme 'ftp'"),
    ],
)
def test_a_malformed_item_is_named_and_left_out(changes: dict[str, Any], what: str) -> None:
    ring = [[-116.0, 49.0], [-115.9, 49.0], [-115.9, 49.1], [-116.0, 49.0]]
    good = {
        "id": "good",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"proj:code": "EPSG:26911", "datetime": "2020-06-01T16:00:00Z"},
        "assets": {"image": {"href": "s3://naip-analytic/x.tif?versionId=1"}},
    }
    table, rejected = naip_table([good, good | {"id": "bad"} | changes], NAIP_CATALOGUES["earth_search"])
    assert table.column("scene_id").to_pylist() == ["good"]
    assert dict(table.column("assets").to_pylist()[0])[IMAGE] == "s3://naip-analytic/x.tif"
    assert len(rejected) == 1 and "bad" in rejected[0] and what in rejected[0]

"""Scenes of Earth Engine for many tiles in few requests, against a loop over all images; and the same scenes as a STAC catalogue's."""

from __future__ import annotations

import json
import math
import os
import random
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import shapely
from tests.servers.earthengine import nth, outline, running_engine

from skygraft.core.errors import EndpointError, Reason
from skygraft.imagery.earthengine.images import SENTINEL2
from skygraft.imagery.earthengine.listing import SENTINEL2_IMAGES, answers, list_scenes, sentinel2_item
from skygraft.imagery.queries import Query, month_index, month_span
from skygraft.imagery.scenes import CATALOGUES, scene_table
from skygraft.world.earthengine import failure
from skygraft.world.earthengine_pixels import Band, Stored

MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))
REAL_ITEMS = MIRROR / "stac" / "planetary_computer_sentinel-2-l2a_items.ndjson"
JUNE = month_span(month_index(date(2018, 6, 1)))
LIST = "table:computeFeatures"


def image(index: str, place: shapely.Geometry, moment: datetime, epsg: int = 32631, **properties: Any) -> tuple[str, Stored]:
    known = {"system:index": index, "system:time_start": int(moment.timestamp() * 1000), "CLOUDY_PIXEL_PERCENTAGE": 3.5}
    known |= {"MGRS_TILE": "31UFS", "PROCESSING_BASELINE": "02.08"} | properties
    return f"{SENTINEL2}/{index}", Stored({"B2": Band(Path("never read"))}, epsg, {"B2": 10.0}, known, place)


def scattered(count: int, seed: int = 1) -> dict[str, Stored]:
    """Images over a degree or so each, in June and July 2018, minutes around midnight among them."""
    draw = random.Random(seed)
    found = {}
    for number in range(count):
        moment = datetime(2018, draw.choice([5, 6, 6, 7]), draw.choice([1, 15, 30]), draw.choice([0, 11, 23]), 59, 59, tzinfo=UTC)
        west, north = draw.uniform(300_000, 700_000), draw.uniform(5_000_000, 5_600_000)
        name, one = image(f"i{number:05d}", outline(32631, west, north, 109_800, 109_800), moment)
        found[name] = one
    return found


def boxes(count: int, seed: int = 2) -> list[Query]:
    draw = random.Random(seed)
    corners = [(draw.uniform(0, 6), draw.uniform(45, 50)) for _ in range(count)]
    return [Query((west, south, west + 0.5, south + 0.3), *JUNE) for west, south in corners]


def test_many_regions_are_asked_together_and_each_gets_its_own() -> None:
    images, queries = scattered(200), boxes(120)
    with running_engine(images) as engine:
        found = {searched.query: searched for searched in list_scenes(engine.session, queries, SENTINEL2_IMAGES, 4)}
        assert engine.count(LIST) == math.ceil(120 / 50)
    assert set(found) == set(queries)
    some = 0
    for query in queries:
        items = found[query].items
        assert items is not None
        expected = {
            one.properties["system:index"]
            for one in images.values()
            if one.properties["system:time_start"] // 86_400_000 in range(17683, 17713) and shapely.box(*query.bbox).intersects(one.outline)
        }
        assert {item["id"] for item in items} == expected
        some += bool(expected)
    assert some > 60


def test_a_long_list_comes_in_pages() -> None:
    place = outline(32631, 500_000, 5_300_000, 109_800, 109_800)
    images = dict(image(f"i{number:05d}", place, datetime(2018, 6, 2, tzinfo=UTC)) for number in range(1500))
    with running_engine(images) as engine:
        west, south, east, north = place.bounds
        [searched] = list_scenes(engine.session, [Query((west, south, east, north), *JUNE)], SENTINEL2_IMAGES, 4)
        assert engine.count(LIST) == 2
    assert searched.items is not None and len({item["id"] for item in searched.items}) == 1500


def test_months_are_asked_apart() -> None:
    queries = [Query((0, 45, 1, 46), *month_span(month_index(date(2018, month, 1)))) for month in (5, 6, 7)]
    with running_engine(scattered(60)) as engine:
        found = {searched.query.first.month: searched.items for searched in list_scenes(engine.session, queries, SENTINEL2_IMAGES, 2)}
        assert engine.count(LIST) == 3
    for month, items in found.items():
        assert items is not None
        assert {datetime.fromisoformat(item["properties"]["datetime"]).month for item in items} <= {month}


@pytest.mark.skipif(not REAL_ITEMS.is_file(), reason="no mirror: set SKYGRAFT_MIRROR to the folder of real files")
def test_real_items_give_the_same_rows_as_their_stac_catalogue() -> None:
    """Around the antimeridian, too, where these items lie: their outlines run beyond 180 degrees or are cut there."""
    items = [json.loads(line) for line in REAL_ITEMS.read_text().splitlines()]
    images, names = {}, {}
    for item in items:
        own = item["properties"]
        index = "_".join([own["datetime"][:10].replace("-", ""), item["id"][-15:], f"T{own['s2:mgrs_tile']}"])
        properties = {"MGRS_TILE": own["s2:mgrs_tile"], "PROCESSING_BASELINE": own["s2:processing_baseline"]}
        properties["CLOUDY_PIXEL_PERCENTAGE"] = own["eo:cloud_cover"]
        place = shapely.from_geojson(json.dumps(item["geometry"]))
        name, one = image(index, place, datetime.fromisoformat(own["datetime"]), own["proj:epsg"], **properties)
        images[name], names[index] = one, item["id"]
    whole = [Query((-180, -90, 0, 90), date(2019, 1, 1), date(2019, 1, 31)), Query((0, -90, 180, 90), date(2019, 1, 1), date(2019, 1, 31))]
    with running_engine(images) as engine:
        listed = [item for searched in list_scenes(engine.session, whole, SENTINEL2_IMAGES, 2) for item in searched.items or []]
    ours, rejected = scene_table(listed, CATALOGUES["earth_engine"], ["B04", "B8A"])
    theirs, _ = scene_table(items, CATALOGUES["planetary_computer"], ["B04", "B8A"])
    same = ["acquired_at", "crs", "mgrs_tile", "cloud_cover", "processing_baseline"]
    known = {row["scene_id"]: row for row in theirs.to_pylist()}
    assert rejected == [] and ours.num_rows == len(items) == 33
    for row in ours.to_pylist():
        other = known[names[row["scene_id"]]]
        moments = [one.pop("acquired_at").timestamp() for one in (row, other)]
        assert moments[0] == pytest.approx(moments[1], abs=0.001)
        assert [row[name] for name in same[1:]] == [other[name] for name in same[1:]]
        assert shapely.equals(shapely.from_wkb(row["geometry"]), shapely.from_wkb(other["geometry"]))
        assert dict(row["assets"]) == dict.fromkeys(["B04", "B8A", "SCL"], f"{SENTINEL2}/{row['scene_id']}")
        assert row["offset_applied"] and not other["offset_applied"]


def test_questions_that_fail_are_named_and_the_others_are_kept() -> None:
    queries = boxes(60)
    fault = failure(400, "Collection query aborted after accumulating over 5000 elements.")
    with running_engine(scattered(20), nth(LIST, {1: fault})) as engine:
        found = list(list_scenes(engine.session, queries, SENTINEL2_IMAGES, 1))
    failed = [searched for searched in found if searched.error is not None]
    assert (len(found), len(failed)) == (60, 50)
    assert {searched.error.reason for searched in failed if searched.error is not None} == {Reason.TOO_LARGE}


def test_a_refused_account_ends_the_search() -> None:
    with running_engine(scattered(5), nth(LIST, {1: failure(403, "Not signed up for Earth Engine")})) as engine:
        with pytest.raises(EndpointError):
            list(list_scenes(engine.session, boxes(200), SENTINEL2_IMAGES, 1))
        # One may have been on its way already; four would be asked in all.
        assert engine.count(LIST) <= 2


@pytest.mark.parametrize(
    ("feature", "said"),
    [({}, "no id"), ({"properties": {"index": "x"}}, "missing"), ({"properties": {"index": "x", "time": "late", "crs": 7}}, "missing")],
)
def test_an_image_that_lacks_something_is_left_out_and_named(feature: dict[str, Any], said: str) -> None:
    table, rejected = scene_table([sentinel2_item(feature)], CATALOGUES["earth_engine"], ["B04"])
    assert table.num_rows == 0 and len(rejected) == 1 and said in rejected[0]


def test_an_outline_is_found_wherever_its_longitudes_are_counted_from() -> None:
    west, east = Query((179, 60, 180, 61), *JUNE), Query((-180, 60, -179, 61), *JUNE)
    beyond = {"id": "b", "geometry": shapely.geometry.mapping(shapely.box(179.5, 60, 180.5, 61))}
    nowhere = {"id": "n", "geometry": None}
    found = {searched.query: [item["id"] for item in searched.items or []] for searched in answers([west, east], [beyond, nowhere])}
    assert found == {west: ["b", "n"], east: ["b", "n"]}
    inland = answers([west, east], [{"id": "w", "geometry": shapely.geometry.mapping(shapely.box(179.1, 60, 179.2, 61))}])
    assert [len(searched.items or []) for searched in inland] == [1, 0]

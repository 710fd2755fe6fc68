"""Catalogue items as rows: real ones of the mirror, and malformed ones."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from skygraft.core.errors import ConfigError, PermanentItemError
from skygraft.core.schemas import SCENES
from skygraft.core.tables import conform
from skygraft.geo.radiometry import harmonise
from skygraft.imagery.scenes import CATALOGUES, bare_href, check_bands, scene_row, scene_table
from skygraft.imagery.sentinel2 import Scene

PC, ES = CATALOGUES["planetary_computer"], CATALOGUES["earth_search"]
RGB = ("B04", "B03", "B02")
MIRROR = Path(os.environ.get("SKYGRAFT_MIRROR", Path(__file__).parents[3] / "shared" / "data"))


def real_items(name: str) -> list[dict[str, Any]]:
    path = MIRROR / "stac" / f"{name}_sentinel-2-l2a_items.ndjson"
    if not path.exists():
        pytest.skip(f"no mirror of real files: {path} is missing (set SKYGRAFT_MIRROR)")
    return [json.loads(line) for line in path.read_text().splitlines()]


def item(**changes: Any) -> dict[str, Any]:
    grid = {"proj:transform": [10.0, 0.0, 600000.0, 0.0, -10.0, 5000040.0], "proj:shape": [10980, 10980]}
    coarse = {"proj:transform": [20.0, 0.0, 600000.0, 0.0, -20.0, 5000040.0], "proj:shape": [5490, 5490]}
    made = {
        "type": "Feature",
        "id": "S2A_MSIL2A_20180714T105031_R051_T31TFK",
        "geometry": {"type": "Polygon", "coordinates": [[[4.2, 44.1], [5.6, 44.1], [5.6, 45.2], [4.2, 45.2], [4.2, 44.1]]]},
        "properties": {
            "datetime": "2018-07-14T10:50:31.024000Z",
            "proj:epsg": 32631,
            "eo:cloud_cover": 3.5,
            "s2:mgrs_tile": "31TFK",
            "s2:processing_baseline": "02.08",
        },
        "assets": {band: {"href": f"https://a.blob.core.windows.net/c/{band}.tif", **grid} for band in RGB}
        | {"SCL": {"href": "https://a.blob.core.windows.net/c/SCL.tif", **coarse}},
    }
    made.update(changes)
    return made


def with_property(name: str, value: Any) -> dict[str, Any]:
    made = item()
    made["properties"][name] = value
    if value is None:
        del made["properties"][name]
    return made


@pytest.mark.mirror
def test_every_real_item_of_planetary_computer_is_a_row() -> None:
    items = real_items("planetary_computer")
    table, rejected = scene_table(items, PC, RGB)
    conform(SCENES, table, "test")
    assert not rejected and table.num_rows == len(items) == 33
    by_id = {one["id"]: one for one in items}
    for row in table.to_pylist():
        one = by_id[row["scene_id"]]
        asset = one["assets"]["B04"]
        assert row["crs"] == f"EPSG:{one['properties']['proj:epsg']}" and row["mgrs_tile"] == one["properties"]["s2:mgrs_tile"]
        assert row["transform"] == asset["proj:transform"] and row["shape"] == asset["proj:shape"]
        assert dict(row["assets"]) == {band: one["assets"][band]["href"] for band in (*RGB, "SCL")}
        assert row["processing_baseline"] == "02.12" and row["offset_applied"] is False
        assert shapely.from_wkb(row["geometry"]).bounds == pytest.approx(one["bbox"], abs=1e-6)


@pytest.mark.mirror
def test_every_real_item_of_earth_search_is_a_row() -> None:
    items = real_items("earth_search")
    table, rejected = scene_table(items, ES, ("B04", "B08", "B8A"))
    conform(SCENES, table, "test")
    assert not rejected and table.num_rows == len(items) == 7
    by_id = {one["id"]: one["assets"] for one in items}
    for row in table.to_pylist():
        keys = {"B04": "red", "B08": "nir", "B8A": "nir08", "SCL": "scl"}
        assert dict(row["assets"]) == {band: by_id[row["scene_id"]][key]["href"] for band, key in keys.items()}
        assert row["offset_applied"] is True and row["processing_baseline"] >= "05.09"
        assert row["mgrs_tile"] in row["scene_id"] and row["shape"] == [10980, 10980]


@pytest.mark.mirror
def test_every_real_item_is_harmonised_by_what_it_says_of_itself() -> None:
    numbers = np.array([0, 1, 999, 1000, 1001, 11000, 65535], np.uint16)
    less = np.array([0, 0, 0, 0, 1, 10000, 64535])
    seen = []
    for name, catalogue in (("planetary_computer", PC), ("earth_search", ES)):
        for one in real_items(name):
            scene = Scene.from_row(scene_row(one, catalogue, RGB))
            properties = one["properties"]
            owed = float(properties["s2:processing_baseline"]) >= 4 and not properties.get("earthsearch:boa_offset_applied")
            found = harmonise(numbers, scene.baseline, offset_applied=scene.offset_applied)
            assert np.array_equal(found, less if owed else numbers)
            # The same files, had the catalogue said nothing of the offset.
            raw = harmonise(numbers, scene.baseline, offset_applied=False)
            assert np.array_equal(raw, less if scene.baseline >= "04.00" else numbers)
            seen.append(scene.baseline >= "04.00")
    assert (len(seen), sum(seen)) == (40, 7)


@pytest.mark.parametrize(
    "made",
    [with_property("proj:epsg", "32631"), with_property("proj:code", "EPSG:32631")],
)
def test_the_zone_is_read_in_both_spellings(made: dict[str, Any]) -> None:
    assert scene_row(made, PC, RGB)["crs"] == "EPSG:32631"
    only_code = copy.deepcopy(made)
    only_code["properties"].pop("proj:epsg")
    only_code["assets"]["B04"]["proj:code"] = "EPSG:32631"
    assert scene_row(only_code, PC, RGB)["crs"] == "EPSG:32631"


def test_a_grid_is_taken_from_a_coarser_band_where_no_10_m_band_is_wanted() -> None:
    row = scene_row({**item(), "assets": {"B05": item()["assets"]["SCL"], "SCL": item()["assets"]["SCL"]}}, PC, ("B05",))
    assert row["transform"] == [10, 0, 600000, 0, -10, 5000040] and row["shape"] == [10980, 10980]


def test_missing_cloud_cover_and_grid_stay_missing() -> None:
    made = with_property("eo:cloud_cover", None)
    for asset in made["assets"].values():
        del asset["proj:transform"]
    row = scene_row(made, PC, RGB)
    assert row["cloud_cover"] is None and row["transform"] is None and row["shape"] is None


@pytest.mark.parametrize(
    ("made", "what"),
    [
        (item(id=None), "has no id"),
        (item(geometry=None), "malformed"),
        (item(geometry={"type": "Point", "coordinates": [1, 2]}), "no polygon"),
        (item(properties={}), "is missing"),
        (item(assets={"B04": {"href": "https://x/y.tif"}}), "B03 is missing"),
        (with_property("proj:epsg", 3035), "no UTM zone"),
        (with_property("proj:epsg", None), "proj:code or proj:epsg is missing"),
        (with_property("datetime", "yesterday"), "yesterday"),
        (with_property("s2:processing_baseline", None), "s2:processing_baseline is missing"),
        (with_property("s2:processing_baseline", "new"), "new"),
        (with_property("eo:cloud_cover", "much"), "much"),
        ({**item(), "assets": {band: {"href": "s3://bucket/key"} for band in (*RGB, "SCL")}}, "scheme 's3'"),
        ({**item(), "assets": {band: {} for band in (*RGB, "SCL")}}, "href is missing"),
    ],
)
def test_a_malformed_item_is_named_and_left_out(made: dict[str, Any], what: str) -> None:
    table, rejected = scene_table([made, item(id="good")], PC, RGB)
    assert table.column("scene_id").to_pylist() == ["good"]
    assert len(rejected) == 1 and what in rejected[0]


def test_an_item_found_twice_is_one_row_and_rows_are_sorted() -> None:
    table, _ = scene_table([item(id="b"), item(id="a"), item(id="b")], PC, RGB)
    assert table.column("scene_id").to_pylist() == ["a", "b"]


def test_addresses_are_stored_bare() -> None:
    assert bare_href("https://user:pass@a.blob.core.windows.net/c/x.tif?sig=secret&se=1#f") == "https://a.blob.core.windows.net/c/x.tif"
    made = item()
    made["assets"]["B04"]["href"] += "?st=1&sig=secret"
    assert "secret" not in str(scene_row(made, PC, RGB))


def test_bands_that_do_not_exist() -> None:
    check_bands(ES, ("B8A", "B12"))
    for band in ("B10", "red", "SCL"):
        with pytest.raises(ConfigError, match=f"has no {band}"):
            check_bands(ES, (band,))


def test_an_unreadable_baseline_is_an_items_error() -> None:
    with pytest.raises(PermanentItemError):
        scene_row(with_property("s2:processing_baseline", "x"), PC, RGB)

"""Aerial tiles from map services that misbehave: what is asked, how often, and what becomes of each tile."""

from __future__ import annotations

import datetime as dt
import logging
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from tests.clock import FakeClock
from tests.map_service import WORLD, ZOOM, bing_metadata, ground, pixels, plan, png, published, row_at, tile_png
from tests.servers import (
    Answer,
    ScriptedServer,
    empty_tile,
    html_page,
    json_body,
    ok,
    placeholder_tile,
    rate_limited,
    scripted_server,
    status,
    truncated,
    wrong_length,
)

from skygraft.config.aerial import Bing, WebTiles
from skygraft.core.errors import ConfigError, EndpointError, TransientError
from skygraft.core.http import HttpClient, HttpPolicy, Response
from skygraft.imagery.aerial.bing import BingStaticMaps, BingTiles
from skygraft.imagery.aerial.services import Key, MapService
from skygraft.imagery.aerial.tiles import AerialTiles
from skygraft.imagery.aerial.vintage import Vintage
from skygraft.imagery.aerial.wayback import WaybackTiles

SECRET = "s3cr3t-k3y-0f-my-0wn"
KEY = Key("key", SECRET, "BING_MAPS_KEY")
LON, LAT = 8.3, 50.1
XYZ = r"/xyz/18/\d+/\d+\.png"
MAP = r"/REST/Map/Aerial/.*"
AGE = r"/REST/Metadata/Aerial/.+"
TEMPLATE = r"/REST/Metadata/Aerial"
BING_TILE = r"/tiles/a[0-3]+\.jpeg"


def client() -> HttpClient:
    return HttpClient(HttpPolicy(attempts=3, backoff_s=0.5), FakeClock())


def section(**fields: object) -> WebTiles:
    return WebTiles.model_validate(
        {"source": "xyz", "plan": "p", "url": "https://tiles.example/{z}/{x}/{y}.png", "name": "n", "licence": "l"} | fields
    )


def bing(**fields: object) -> Bing:
    return Bing.model_validate({"source": "bing", "plan": "p"} | fields)


def rows(source: AerialTiles, *asked: dict[str, object]) -> dict[str, dict[str, Any]]:
    items = source.items(plan(*asked))
    return {row["tile_id"]: row for row in source.rows(items)}


def corner(row: Mapping[str, Any], size: int) -> tuple[int, int]:
    """The frame's corner as the published formula has it for the tile's centre."""
    column, line = published(LON, LAT)
    return round(column - size / 2), round(line - size / 2)


def drawn(x0: int, y0: int, size: int) -> dict[str, Sequence[Answer]]:
    """A script that serves the web tiles under a window."""
    return {
        rf"/xyz/18/{x}/{y}\.png": [ok(tile_png(x, y), "image/png")]
        for x in range(x0 // 256, (x0 + size - 1) // 256 + 1)
        for y in range(y0 // 256, (y0 + size - 1) // 256 + 1)
    }


def xyz(server: ScriptedServer, **fields: Any) -> MapService:
    return MapService("xyz", ZOOM, 256, server.url("/xyz/{z}/{x}/{y}.png"), **fields)


def test_web_tiles_are_put_together_to_the_pixel_and_asked_for_once() -> None:
    left, top = corner({}, 300)
    near = {**row_at(LON, LAT, size_px=300, name="t2"), "x": row_at(LON, LAT)["x"] + 20.0}  # type: ignore[operator]
    with scripted_server(drawn(left, top, 420)) as server, client() as http:
        source = AerialTiles(section(), xyz(server, days=Vintage(dt.date(2018, 5, 1), dt.date(2018, 9, 1))), http)
        made = rows(source, row_at(LON, LAT, size_px=300), near)
        asked = [one.path for one in server.requests()]
    row = made["t1"]
    assert (row["status"], row["shape"], row["dtype"], row["bands"]) == ("ok", [1, 3, 300, 300], "uint8", ["R", "G", "B"])
    np.testing.assert_array_equal(pixels(row), ground(left, top, 300, 300))
    assert made["t2"]["status"] == "ok"
    assert len(asked) == len(set(asked)) > 3
    # 2 pi R cos(50.1) / 2^26, and the corner in EPSG:3857.
    assert row["gsd_m"] == pytest.approx(0.383, abs=1e-3)
    assert row["crs"] == "EPSG:3857"
    step = 2 * np.pi * 6378137 / WORLD
    assert row["transform"] == pytest.approx([step, 0, left * step - np.pi * 6378137, 0, -step, np.pi * 6378137 - top * step], abs=1e-6)
    assert row["scene_id"] == ["xyz:z18:2018-05-01/2018-09-01"]
    # The middle of the span is a day and a half in July.
    assert row["acquired_at"] == [dt.datetime(2018, 7, 2, 0, tzinfo=dt.UTC)]
    assert row["days_apart"] == [pytest.approx(0.5)]
    assert row["nodata_fraction"] == [0.0]


def test_a_static_map_is_one_picture_around_the_tile_with_its_age_from_the_metadata() -> None:
    left, top = corner({}, 500)
    script = {
        MAP: [ok(png(ground(left, top, 500, 500)), "image/png")],
        AGE: [json_body(bing_metadata(start="01 Nov 2017 GMT", end="31 May 2018 GMT"))],
    }
    with scripted_server(script) as server, client() as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"))
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT, size_px=500))["t1"]
        asked, age = server.requests(MAP), server.requests(AGE)
    assert row["status"] == "ok"
    np.testing.assert_array_equal(pixels(row), ground(left, top, 500, 500))
    assert (len(asked), len(age)) == (1, 1)
    assert (asked[0].query["mapSize"], asked[0].query["key"], age[0].query["key"]) == ("500,500", SECRET, SECRET)
    # The place asked for is the middle of the frame that was recorded, to a hundredth of a pixel, so that there is nothing to round.
    lat, lon = (float(part) for part in asked[0].path.split("/")[-2].split(","))
    assert published(lon, lat) == (pytest.approx(left + 250, abs=0.01), pytest.approx(top + 250, abs=0.01))
    assert asked[0].path.endswith("/18")
    assert row["scene_id"] == ["bing:z18:2017-11-01/2018-05-31"]
    assert row["days_apart"] == [pytest.approx(-136.5)]


def test_bing_s_web_tiles_by_quadkey_are_the_static_map() -> None:
    left, top = corner({}, 200)
    script: dict[str, Sequence[Answer]] = {TEMPLATE: [json_body(bing_metadata())]}
    for x in range(left // 256, (left + 199) // 256 + 1):
        for y in range(top // 256, (top + 199) // 256 + 1):
            quadkey = "".join(str((x >> bit & 1) + 2 * (y >> bit & 1)) for bit in range(17, -1, -1))
            dates = {"X-VE-TILEMETA-CaptureDatesRange": f"{5 + x % 2}/1/2018-9/30/2018"}
            script[rf"/tiles/a{quadkey}\.jpeg"] = [ok(tile_png(x, y), headers=dates)]
    with scripted_server(script) as server, client() as http:
        service = BingTiles(
            "bing", ZOOM, 256, "", key=KEY, dates_header="X-VE-TILEMETA-CaptureDatesRange", api_url=server.url("/REST"), vintage=False
        )
        row = rows(AerialTiles(bing(pictures="tiles"), service, http), row_at(LON, LAT, size_px=200))["t1"]
        tiles, questions = server.requests(BING_TILE), server.count(TEMPLATE)
    np.testing.assert_array_equal(pixels(row), ground(left, top, 200, 200))
    assert questions == 1
    # The key goes to the interface alone; a missing tile is to be none instead of a placeholder.
    assert all("key" not in one.query and one.query["n"] == "z" for one in tiles)
    assert re.fullmatch(r"bing:z18:2018-0[56]-01/2018-09-30", row["scene_id"][0])


@pytest.mark.parametrize(
    ("answer", "left_undated"),
    [
        (json_body(bing_metadata()), True),
        (status(404), True),
        (json_body({"authenticationResultCode": "ValidCredentials", "resourceSets": []}), True),
        (json_body({"authenticationResultCode": "ValidCredentials"}), False),
        (status(500), False),
    ],
)
def test_a_picture_without_a_day_is_undated_and_a_service_in_trouble_is_asked_again(answer: Answer, left_undated: bool) -> None:
    script = {MAP: [ok(png(ground(0, 0, 100, 100)), "image/png")], AGE: [answer]}
    with scripted_server(script) as server, client() as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"))
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT))["t1"]
    if left_undated:
        assert (row["status"], row["scene_id"], row["acquired_at"], row["days_apart"]) == ("ok", ["bing:z18:undated"], [None], [None])
    else:
        assert (row["status"], "pixels" in row) == ("server_error", False)


def test_an_overloaded_bing_is_waited_for_and_its_placeholder_never_kept() -> None:
    good = ok(png(ground(0, 0, 100, 100)), "image/png")
    busy = Answer(body=png(np.zeros((100, 100, 3), np.uint8)), content_type="image/png", headers={"X-MS-BM-WS-INFO": "1"}, ranges=False)
    clock = FakeClock()
    with scripted_server({MAP: [empty_tile(), busy, good]}) as server, HttpClient(HttpPolicy(attempts=3), clock) as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"), vintage=False)
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT))["t1"]
        assert server.count(MAP) == 3
    assert row["status"] == "ok"
    assert sum(clock.waits) > 1
    with scripted_server({MAP: [empty_tile()]}) as server, client() as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"), vintage=False)
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT))["t1"]
        assert server.count(MAP) == 3
    assert row["status"] == "throttled"


NOTHING = {
    "header": placeholder_tile(png(ground(0, 0, 100, 100))),
    "length": ok(b"\x89PNG\r\n\x1a\n".ljust(1033, b"x"), "image/png"),
    "nothing at all": ok(b"", "image/jpeg"),
    "one colour": ok(png(np.full((100, 100, 3), 243, np.uint8)), "image/png"),
}


@pytest.mark.parametrize("kind", NOTHING)
def test_a_placeholder_is_no_picture(kind: str) -> None:
    with scripted_server({MAP: [NOTHING[kind]]}) as server, client() as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"), vintage=False)
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT))["t1"]
    assert (row["status"], row["detail"]) == ("no_data", "bing:z18 has no picture")
    assert "pixels" not in row


def png_header(width: int, height: int) -> bytes:
    """A bomb: a header of any size, and nothing behind it."""
    body = bytearray(png(np.zeros((4, 4, 3), np.uint8)))
    body[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    body[29:33] = zlib.crc32(body[12:29]).to_bytes(4, "big")
    return bytes(body)


BROKEN = {
    "a page": (html_page(), "server_error"),
    "a page that calls itself a picture": (html_page("image/jpeg"), "server_error"),
    "another size": (ok(png(ground(0, 0, 99, 100)), "image/png"), "not_an_image"),
    "a small bomb": (ok(png_header(9_000, 9_000), "image/png"), "not_an_image"),
    "a bomb": (ok(png_header(60_000, 60_000), "image/png"), "too_large"),
    "cut": (truncated(png(ground(0, 0, 100, 100)), 1000, "image/png"), "truncated"),
    "cut and declared so": (wrong_length(png(ground(0, 0, 100, 100)), 1000, "image/png"), "corrupt_image"),
    "bytes": (ok(b"\x00\x01" * 700, "image/jpeg"), "not_an_image"),
    "too long": (ok(b"\xff\xd8\xff" + b"x" * 20_000, "image/jpeg"), "too_large"),
    "a quota": (rate_limited(1), "throttled"),
    "a bad request": (status(400), "bad_request"),
    "out of order": (status(500), "server_error"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_picture_is_a_row_with_its_reason(kind: str) -> None:
    answer, reason = BROKEN[kind]
    policy = HttpPolicy(attempts=2, max_bytes=20_000 if kind == "too long" else 1 << 20)
    with scripted_server({MAP: [answer]}) as server, HttpClient(policy, FakeClock()) as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"), vintage=False)
        row = rows(AerialTiles(bing(), service, http), row_at(LON, LAT))["t1"]
    assert row["status"] == reason
    assert "pixels" not in row
    assert SECRET not in str(row)


def test_holes_count_as_no_data_and_a_share_of_them_may_be_allowed() -> None:
    left, top = corner({}, 600)
    script = drawn(left, top, 600)
    gone = f"/xyz/18/{left // 256}/{top // 256}.png"
    script[re.escape(gone)] = [status(404)]
    missing = (256 - left % 256) * (256 - top % 256) / 600**2
    with scripted_server(script) as server, client() as http:
        strict = rows(AerialTiles(section(), xyz(server), http), row_at(LON, LAT, size_px=600))["t1"]
        lenient = rows(AerialTiles(section(max_nodata=0.5), xyz(server), http), row_at(LON, LAT, size_px=600))["t1"]
        assert server.count(re.escape(gone)) == 2
    assert (strict["status"], strict["nodata_fraction"]) == ("no_data", [pytest.approx(missing)])
    assert (lenient["status"], lenient["nodata_fraction"]) == ("ok", [pytest.approx(missing)])
    expected = ground(left, top, 600, 600)
    expected[: 256 - top % 256, : 256 - left % 256] = 0
    np.testing.assert_array_equal(pixels(lenient), expected)


def test_transparent_pixels_show_nothing() -> None:
    left, top = corner({}, 100)
    size = 256
    rgba = np.dstack([ground(0, 0, size, size), np.full((size, size), 255, np.uint8)])
    rgba[:, ::2, 3] = 0
    with scripted_server({XYZ: [ok(png(rgba), "image/png")]}) as server, client() as http:
        row = rows(AerialTiles(section(max_nodata=0.6), xyz(server), http), row_at(LON, LAT))["t1"]
    assert row["nodata_fraction"] == [pytest.approx(0.5)]
    shown = (np.arange(left, left + 100) % 256) % 2 == 1
    assert (pixels(row)[:, ~shown] == 0).all()
    assert (pixels(row)[:, shown].max(axis=2) > 0).mean() > 0.9
    assert top > 0


def test_one_tile_s_trouble_is_not_its_neighbour_s() -> None:
    left, top = corner({}, 100)
    script = drawn(left, top, 100)
    far = row_at(LON + 0.1, LAT, name="far")
    with scripted_server(script | {XYZ: [status(403)]}) as server, client() as http:
        made = rows(AerialTiles(section(), xyz(server), http), row_at(LON, LAT), far)
    assert {name: row["status"] for name, row in made.items()} == {"t1": "ok", "far": "forbidden"}


@pytest.mark.parametrize("refusal", [status(401), status(403)])
def test_a_refused_key_stops_the_work_and_is_never_said(refusal: Answer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted_server({MAP: [refusal]}) as server, client() as http:
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"), vintage=False)
        with pytest.raises(EndpointError, match="BING_MAPS_KEY") as stopped:
            rows(AerialTiles(bing(), service, http), *(row_at(LON + n / 1000, LAT, name=f"t{n}") for n in range(400)))
        assert server.count(MAP) < 400
    assert SECRET not in str(stopped.value) + repr(stopped.value.__cause__) + repr(service) + caplog.text


def test_bing_s_own_word_for_a_bad_key_stops_the_work_too() -> None:
    document = bing_metadata() | {"authenticationResultCode": "CredentialsExpired"}
    with scripted_server({TEMPLATE: [json_body(document)]}) as server, client() as http:
        service = BingTiles("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"))
        with pytest.raises(EndpointError, match=r"refuses the key.*BING_MAPS_KEY"):
            rows(AerialTiles(bing(pictures="tiles"), service, http), row_at(LON, LAT))


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/{quadkey}",
        "http://10.0.0.1/{subdomain}.virtualearth.net/{quadkey}",
        "https://{switch:a.bing.com,elsewhere.example}/{quadkey}",
        "SERVER_URL/tiles/a",
        "",
    ],
)
def test_tiles_are_fetched_where_the_service_is_and_nowhere_else(url: str) -> None:
    with scripted_server({TEMPLATE: [json_body(bing_metadata(url=url))]}) as server, client() as http:
        service = BingTiles("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"))
        with pytest.raises(EndpointError, match="does not answer as it should"):
            rows(AerialTiles(bing(pictures="tiles"), service, http), row_at(LON, LAT))


@pytest.mark.parametrize("size", [79, 1501])
def test_a_static_map_of_another_size_is_a_mistake_of_the_settings(size: int) -> None:
    with client() as http, pytest.raises(ConfigError, match="pictures: tiles"):
        service = BingStaticMaps("bing", ZOOM, 256, "", key=KEY, api_url="http://127.0.0.1:9")
        rows(AerialTiles(bing(), service, http), row_at(LON, LAT, size_px=size))


def wayback(server: ScriptedServer, release: int = 23383, **fields: Any) -> WaybackTiles:
    return WaybackTiles("wayback", ZOOM, 256, "", release=release, config_url=server.url("/config.json"), **fields)


def releases(tile: str = "SERVER_URL/tile/23383/{level}/{row}/{col}") -> dict[str, object]:
    entry = {"itemTitle": "World Imagery (Wayback 2018-09-30)", "itemURL": tile, "metadataLayerUrl": "SERVER_URL/meta/MapServer"}
    return {"23383": entry, "11952": {}}


@pytest.mark.parametrize("attributes", [{"SRC_DATE2": 1526428800000}, {"SRC_DATE": 20180516}, {"SRC_DATE2": "5/16/2018", "SRC_DATE": None}])
def test_a_wayback_release_has_its_rows_before_its_columns_and_the_source_s_own_day(attributes: dict[str, object]) -> None:
    left, top = corner({}, 200)
    script: dict[str, Sequence[Answer]] = {
        "/config.json": [json_body(releases())],
        "/meta/MapServer/5/query": [json_body({"features": [{"attributes": attributes}]})],
    }
    for x in range(left // 256, (left + 199) // 256 + 1):
        for y in range(top // 256, (top + 199) // 256 + 1):
            script[f"/tile/23383/18/{y}/{x}"] = [ok(tile_png(x, y))]
    with scripted_server(script) as server, client() as http:
        row = rows(AerialTiles(section(), wayback(server), http), row_at(LON, LAT, size_px=200))["t1"]
        assert server.count("/config.json") == 1
        place = server.requests("/meta/.*")[0].query["geometry"]
    np.testing.assert_array_equal(pixels(row), ground(left, top, 200, 200))
    assert row["scene_id"] == ["wayback:23383:z18:2018-05-16"]
    assert row["days_apart"] == [-46.0]
    # The web tile that holds the tile's centre is asked for, so that neighbours ask the same.
    column, line = published(*(float(part) for part in place.split(",")))
    assert (column // 256, line // 256) == ((left + 100) // 256, (top + 100) // 256)


def test_an_unknown_release_names_its_neighbours() -> None:
    with scripted_server({"/config.json": [json_body(releases())]}) as server, client() as http:
        source = AerialTiles(section(), wayback(server, 23384), http)
        with pytest.raises(ConfigError, match="no release 23384; the nearest are 11952, 23383"):
            rows(source, row_at(LON, LAT))


@pytest.mark.parametrize("host", ["elsewhere.example", "{switch:a.arcgis.com,elsewhere.example}"])
def test_a_release_on_a_foreign_host_is_refused(host: str) -> None:
    listed = json_body(releases(f"https://{host}/{{level}}/{{row}}/{{col}}"))
    with scripted_server({"/config.json": [listed]}) as server, client() as http:
        source = AerialTiles(section(), wayback(server), http)
        with pytest.raises(EndpointError, match="does not answer as it should"):
            rows(source, row_at(LON, LAT))


def test_answers_nested_beyond_reading_are_no_answers() -> None:
    deep = ok(b"[" * 200_000, "application/json")
    with scripted_server({"/config.json": [deep], TEMPLATE: [deep]}) as server, client() as http:
        for service in (wayback(server), BingTiles("bing", ZOOM, 256, "", key=KEY, api_url=server.url("/REST"))):
            with pytest.raises((EndpointError, TransientError)):
                service.prepare(http)
        for service in (wayback(server), BingTiles("bing", ZOOM, 256, "", key=KEY)):
            with pytest.raises(TransientError, match="no answer of"):
                service.read_age(Response(200, {}, deep.body, measured=True))


def test_azure_s_dates_stand_in_a_header_and_its_key_in_the_query_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answer = ok(tile_png(0, 0), headers={"Data-Capture-Date-Range": "6/1/2018-6/3/2018"})
    with scripted_server({"/map/tile": [answer]}) as server, client() as http:
        template = server.url("/map/tile?tilesetId=microsoft.imagery&zoom={z}&x={x}&y={y}")
        key = Key("subscription-key", SECRET, "AZURE_MAPS_KEY")
        service = MapService("azure_maps", ZOOM, 256, template, key=key, dates_header="Data-Capture-Date-Range")
        row = rows(AerialTiles(section(), service, http), row_at(LON, LAT, size_px=10))["t1"]
        asked = server.requests()[0]
    column, line = published(LON, LAT)
    assert (asked.query["subscription-key"], asked.query["zoom"]) == (SECRET, "18")
    assert (int(asked.query["x"]), int(asked.query["y"])) == (int(column) // 256, int(line) // 256)
    assert (row["scene_id"], row["days_apart"]) == (["azure_maps:z18:2018-06-01/2018-06-03"], [-29.0])
    assert SECRET not in str(row) + caplog.text + repr(service)


def test_a_plan_s_grid_is_the_tile_s_own_and_a_footprint_the_service_s() -> None:
    left, top = corner({}, 800)
    with scripted_server(drawn(left, top, 800)) as server, client() as http:
        warped = rows(AerialTiles(section(grid="plan"), xyz(server), http), row_at(LON, LAT, gsd_m=1.0, size_px=120))["t1"]
        covered = rows(AerialTiles(section(grid="footprint"), xyz(server), http), row_at(LON, LAT, gsd_m=1.0, size_px=120))["t1"]
    tile = row_at(LON, LAT)
    assert (warped["crs"], warped["gsd_m"], warped["shape"], warped["resampling"]) == ("EPSG:32632", 1.0, [1, 3, 120, 120], "bilinear")
    assert warped["transform"] == [1.0, 0.0, tile["x"] - 60.0, 0.0, -1.0, tile["y"] + 60.0]  # type: ignore[operator]
    side = covered["shape"][2]
    assert (covered["crs"], covered["resampling"], side) == ("EPSG:3857", "none", int(np.ceil(120 / covered["gsd_m"])))
    np.testing.assert_array_equal(pixels(covered), ground(*corner({}, side), side, side))


def test_a_row_holds_while_nothing_that_changes_it_has_changed() -> None:
    with client() as http:
        service = MapService("xyz", ZOOM, 256, "https://tiles.example/{z}/{x}/{y}.png")
        table = plan(row_at(LON, LAT), row_at(LON, LAT, name="t2"))

        def digests(**fields: object) -> list[str]:
            return [item.made_from for item in AerialTiles(section(**fields), service, http).items(table)]

        same = digests()
        assert digests(plan="another", min_success_rate=0.1, name="m", licence="k", network={"concurrency": 2}) == same
        for changed in ({"zoom": 17}, {"grid": "plan"}, {"url": "https://tiles.example/{z}/{x}/{y}.jpg"}, {"max_nodata": 0.1}):
            assert set(digests(**changed)).isdisjoint(same)
        later = table.set_column(
            table.schema.get_field_index("target_date"), table.schema.field("target_date"), [[dt.date(2019, 1, 1)] * 2]
        )
        moved = [item.made_from for item in AerialTiles(section(), service, http).items(later)]
    assert set(moved).isdisjoint(same)


def test_pictures_of_more_ground_than_the_plan_reckons_with_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with scripted_server({XYZ: [ok(tile_png(0, 0), "image/png")]}) as server, client() as http:
        source = AerialTiles(section(), xyz(server), http)
        rows(source, row_at(LON, LAT, gsd_m=0.39))
        assert "more ground" not in caplog.text
        rows(source, row_at(LON, LAT, gsd_m=0.37))
    assert "1 of 1 tiles show more ground than the plan's gsd_m says, at up to 0.383 m a pixel" in caplog.text
    assert "Raise gsd_m to 0.39" in caplog.text

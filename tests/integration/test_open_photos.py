"""Wikimedia Commons, Mapillary and iNaturalist: everything that matches and nothing else, whatever the services do on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from tests.servers.standin import StandIn, inside, rewritten, scattered, stand_in

from skygraft.config.load import dump, load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, EndpointError, PermanentItemError, SkygraftError
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import read_table
from skygraft.stages import ingest_commons, ingest_inaturalist, ingest_mapillary
from skygraft.world.commons import Commons, licence
from skygraft.world.inaturalist import INaturalist
from skygraft.world.mapillary import Mapillary
from skygraft.world.scattered import DrawnPhoto
from skygraft.world.wire import Request, Response

BOX = [10.25, 48.55, 10.55, 48.80]
STAGES = {"commons": ingest_commons, "mapillary": ingest_mapillary, "inaturalist": ingest_inaturalist}
PATHS = {"commons": "/w/api.php", "mapillary": "/images", "inaturalist": "/v1/observations"}
HTML = Response(200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Try again later.</body></html>")
TOKEN = "a-token-of-the-test-7c1"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAPILLARY_TOKEN", TOKEN)
    return tmp_path


def configured(server: StandIn, source: str, **section: Any) -> Config:
    network = {"attempts": 3, "backoff_s": 0.01, "concurrency": 3}
    own = {"source": source, "area": {"bbox": BOX}, "api_url": f"{server.base}{PATHS[source]}", "api_network": network, **section}
    return load_mapping({"name": "trial", "photos": {"mine": own}}, Path(), "trial")


def ingested(server: StandIn, source: str, **section: Any) -> list[dict[str, Any]]:
    STAGES[source].run(configured(server, source, **section), photos="mine")
    return found()


def found() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_table(PHOTOS, Path("data/photos/mine.parquet")).to_pylist()
    return rows


def ids(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(row["photo_id"]) for row in rows]


def on_commons(photos: Sequence[DrawnPhoto], box: Sequence[float] = BOX) -> list[str]:
    return sorted(f"commons:{photo.id}" for photo in inside(photos, box) if licence(photo) is not None)


def on_mapillary(photos: Sequence[DrawnPhoto], box: Sequence[float] = BOX) -> list[str]:
    return sorted(f"mapillary:{photo.id}" for photo in inside(photos, box))


def on_inaturalist(service: INaturalist, licences: Sequence[str], days: tuple[str, str] = ("", "9999")) -> list[str]:
    west, south, east, north = BOX
    kept = []
    for one in service.observations:
        if one["obscured"] or one["geoprivacy"] or one["taxon_geoprivacy"] != "open" or "geojson" not in one:
            continue
        x, y = one["geojson"]["coordinates"]
        sure = one["positional_accuracy"] is not None and one["positional_accuracy"] <= 100
        if sure and west <= x <= east and south <= y <= north and days[0] <= one["observed_on"] <= days[1]:
            kept += [f"inaturalist:{photo['id']}" for photo in one["photos"] if photo["license_code"] in licences]
    return sorted(kept)


DEFAULT_LICENCES = ("cc0", "cc-by", "cc-by-sa", "cc-by-nc")


def test_commons_gives_every_free_photo_although_a_box_shows_five_hundred() -> None:
    photos = scattered(4000)
    with stand_in(Commons(photos).serve) as server:
        rows = ingested(server, "commons")
    assert ids(rows) == on_commons(photos)
    assert len(rows) > 1500
    # The crowd was cut, no box asked for was larger than 20 km by 20 km, and files came fifty at a time.
    assert any("iicontinue" in query for query in server.queries)
    sides = [float(north) - float(south) for north, _, south, _ in (query["ggsbbox"].split("|") for query in server.queries)]
    assert min(sides) < 0.1 < max(sides) < 0.18


def test_a_commons_row_tells_whom_to_name_and_under_which_licence() -> None:
    photo = replace(scattered(3)[0], licence=12, author="Ada & Bo", title="A field", taken=datetime(2018, 7, 5, 10, 11, 12), width=4000)
    with stand_in(Commons([photo]).serve) as server:
        (row,) = ingested(server, "commons", width=500, contact="me@example.org")
    point = shapely.from_wkb(row["geometry"])
    assert (point.x, point.y) == (photo.longitude, photo.latitude)
    assert (row["licence"], row["author"], row["title"], row["tags"]) == ("CC BY-SA 4.0", "Ada & Bo", "A field", ["field", "tag0"])
    assert (row["captured_at"], row["year"]) == (datetime(2018, 7, 5, 10, 11, 12, tzinfo=UTC), 2018)
    assert row["url"].startswith("https://upload.wikimedia.org/wikipedia/commons/thumb/")
    assert "/500px-" in row["url"] and "?" not in row["url"]
    assert row["page_url"] == f"https://commons.wikimedia.org/wiki/File:A_field_%28{photo.id}%29.jpg"
    assert row["source"] == "commons" and row["direction"] is None
    agent = server.headers[0]["user-agent"]
    assert agent.startswith("skygraft/") and "me@example.org" in agent


def test_what_is_no_photo_or_has_no_place_or_no_licence_is_left_out() -> None:
    photos = [replace(photo, licence=9) for photo in scattered(18)[:6]]
    bent: list[Any] = [
        lambda page: page.pop("coordinates"),
        lambda page: page["imageinfo"][0].update(mime="application/pdf"),
        lambda page: page["imageinfo"][0]["extmetadata"].pop("LicenseShortName"),
        lambda page: page.pop("imageinfo"),
        lambda page: page["imageinfo"][0]["extmetadata"].pop("DateTimeOriginal"),
    ]

    def spoil(number: int, request: Request, response: Response) -> Response:
        def change(document: dict[str, Any]) -> None:
            for page in document.get("query", {}).get("pages", []):
                place = int(page["pageid"]) - 500_000
                if place < len(bent):
                    bent[place](page)

        return rewritten(change)(response)

    with stand_in(Commons(photos).serve, spoil) as server:
        rows = ingested(server, "commons")
    assert ids(rows) == ["commons:500004", "commons:500005"]
    assert (rows[0]["captured_at"], rows[0]["year"]) == (None, 0)


def test_more_photos_on_one_spot_than_an_answer_shows_are_said_to_be_missing(caplog: pytest.LogCaptureFixture) -> None:
    photos = [replace(photo, licence=9, longitude=10.4, latitude=48.7) for photo in scattered(510)]
    with stand_in(Commons(photos).serve) as server:
        rows = ingested(server, "commons")
    assert len(rows) == 500
    assert "hold more photos than the service shows at once" in caplog.text


def test_commons_pages_that_go_round_are_told() -> None:
    def spoil(number: int, request: Request, response: Response) -> Response:
        return rewritten(lambda document: document.update({"continue": {"iicontinue": "same|50", "continue": "||"}}))(response)

    with stand_in(Commons(scattered(20)).serve, spoil) as server, pytest.raises(SkygraftError, match="go round in a circle"):
        ingested(server, "commons")


def test_mapillary_cuts_full_boxes_and_never_shows_its_token() -> None:
    # The crowd of 3,000 stands in one of the boxes that the search starts with.
    photos = scattered(9000, middle=(10.44, 48.74))
    with stand_in(Mapillary(photos, 60).serve) as server:
        rows = ingested(server, "mapillary")
        assert ids(rows) == on_mapillary(photos)
        assert all(headers["authorization"] == f"OAuth {TOKEN}" for headers in server.headers)
    boxes = [[float(edge) for edge in query["bbox"].split(",")] for query in server.queries]
    areas = [(east - west) * (north - south) for west, south, east, north in boxes]
    assert max(areas) < 0.01
    assert min(areas) < 0.0064 / 3
    assert all("token" not in name for query in server.queries for name in query)
    first = next(row for row in rows if row["photo_id"] == f"mapillary:{inside(photos, BOX)[0].id}")
    photo = inside(photos, BOX)[0]
    assert first["url"] == f"https://graph.mapillary.com/{photo.id}?fields=thumb_1024_url"
    assert (first["licence"], first["author"]) == ("CC BY-SA 4.0", photo.author)
    assert first["captured_at"] == photo.taken.replace(tzinfo=UTC)
    assert not any(TOKEN.encode() in path.read_bytes() for path in Path().rglob("*") if path.is_file())


def test_mapillary_asks_for_days_and_leaves_out_spheres_and_photos_without_places() -> None:
    photos = scattered(300)
    bad = {"500002": {"camera_type": "spherical"}, "500003": {"geometry": None, "computed_geometry": None}, "500005": {"id": "x"}}
    bad["500007"] = {"computed_geometry": None}

    def spoil(number: int, request: Request, response: Response) -> Response:
        def change(document: dict[str, Any]) -> None:
            for image in document.get("data", []):
                image.update(bad.get(image["id"], {}))

        return rewritten(change)(response)

    days = {"taken_from": date(2018, 1, 1), "taken_to": date(2018, 12, 31)}
    with stand_in(Mapillary(photos, 60).serve, spoil) as server:
        everything = ids(ingested(server, "mapillary"))
        assert everything == [name for name in on_mapillary(photos) if name.partition(":")[2] not in ("500002", "500003", "500005")]
        Path("data/photos/mine/identity.json").unlink()
        of_2018 = ids(ingested(server, "mapillary", **days))
    taken = {f"mapillary:{photo.id}": photo.taken.year for photo in photos}
    assert of_2018 == [name for name in everything if taken[name] == 2018]


def test_photos_of_other_days_than_asked_are_left_out_although_mapillary_sends_them() -> None:
    photos = [replace(photo, taken=datetime(2018, 6, 1)) for photo in scattered(100)]
    there = on_mapillary(photos)
    names = [name.partition(":")[2] for name in there]
    moments = (datetime(2017, 12, 31, 23, 59, 59), datetime(2018, 1, 1), datetime(2018, 12, 31, 23, 59, 59), datetime(2019, 1, 1), None)
    edges = dict(zip(names, moments, strict=False))

    def ignore_days(number: int, request: Request, response: Response) -> Response:
        def change(document: dict[str, Any]) -> None:
            for image in document.get("data", []):
                if image["id"] in edges:
                    moment = edges[image["id"]]
                    image["captured_at"] = None if moment is None else int(moment.replace(tzinfo=UTC).timestamp()) * 1000

        return rewritten(change)(response)

    days = {"taken_from": date(2018, 1, 1), "taken_to": date(2018, 12, 31)}
    with stand_in(Mapillary(photos, 60).serve, ignore_days) as server:
        kept = ids(ingested(server, "mapillary", **days))
    assert kept == [*there[1:3], *there[5:]] and len(kept) > 10


def test_a_box_that_mapillary_cannot_answer_is_cut() -> None:
    photos = scattered(500)

    def spoil(number: int, request: Request, response: Response) -> Response:
        west, _, east, _ = (float(edge) for edge in dict([pair.split("=") for pair in request.query.split("&")])["bbox"].split(","))
        too_much = b'{"error":{"message":"Please reduce the amount of data you\'re asking for, then retry your request","code":1}}'
        return Response(500, {"Content-Type": "application/json"}, too_much) if east - west > 0.05 else response

    with stand_in(Mapillary(photos, 60).serve, spoil) as server:
        assert ids(ingested(server, "mapillary")) == on_mapillary(photos)


def test_mapillary_without_a_token_or_with_a_wrong_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(number: int, request: Request, response: Response) -> Response:
        return Response(401, {}, b'{"error":{"type":"OAuthException","code":190}}')

    with stand_in(Mapillary([], 60).serve, spoil) as server:
        with pytest.raises(PermanentItemError, match=r"401.*Check the token in MAPILLARY_TOKEN") as caught:
            ingested(server, "mapillary")
        assert TOKEN not in str(caught.value)
        monkeypatch.delenv("MAPILLARY_TOKEN")
        with pytest.raises(ConfigError, match="MAPILLARY_TOKEN is not set"):
            ingested(server, "mapillary")


def test_inaturalist_gives_the_open_and_sure_places_under_allowed_licences() -> None:
    service = INaturalist(scattered(3000))
    with stand_in(service.serve) as server:
        rows = ingested(server, "inaturalist")
        assert ids(rows) == on_inaturalist(service, DEFAULT_LICENCES)
        assert len(rows) > 100
        above = [int(query["id_above"]) for query in server.queries]
        assert above == sorted(above) and above[0] == 0 and len(set(above)) == len(above)
        assert all(query["per_page"] == "200" and "page" not in query for query in server.queries)
    assert {row["licence"] for row in rows} == {"CC0", "CC BY", "CC BY-SA", "CC BY-NC"}
    assert all(row["accuracy_m"] <= 100 and row["author"] and row["page_url"] for row in rows)
    assert all(row["url"].endswith("/medium.jpg") for row in rows)


def test_inaturalist_leaves_obscured_places_out_although_the_service_sends_them() -> None:
    service = INaturalist(scattered(900))

    def careless(request: Request) -> Response:
        kept = [pair for pair in request.query.split("&") if pair.split("=")[0] in ("id_above", "order_by", "order", "per_page")]
        return service.serve(replace(request, query="&".join(kept)))

    days = {"taken_from": date(2017, 6, 1), "taken_to": date(2018, 6, 1)}
    with stand_in(careless) as server:
        rows = ingested(server, "inaturalist", licences=["cc-by"], **days)
    assert ids(rows) == on_inaturalist(service, ("cc-by",), ("2017-06-01", "2018-06-01"))
    assert rows


def test_inaturalist_pages_that_repeat_or_are_empty_are_told() -> None:
    service = INaturalist(scattered(900))

    def stuck(request: Request) -> Response:
        return service.serve(replace(request, query="order_by=id&order=asc&per_page=200"))

    with stand_in(stuck) as server, pytest.raises(SkygraftError, match="a page with none of"):
        ingested(server, "inaturalist")

    def emptied(number: int, request: Request, response: Response) -> Response:
        return rewritten(lambda document: document.update(results=[]))(response)

    with stand_in(service.serve, emptied) as server, pytest.raises(SkygraftError, match="a page with none of"):
        ingested(server, "inaturalist")


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_passing_trouble_loses_nothing_and_doubles_nothing(source: str) -> None:
    photos = scattered(3000)
    services = {"commons": Commons(photos), "mapillary": Mapillary(photos, 60), "inaturalist": INaturalist(photos)}
    troubles = [
        HTML,
        Response(429, {"Retry-After": "0"}, b"{}"),
        Response(503, {}, b"busy"),
        Response(200, {}, b""),
        Response(200, {}, b"[]"),
    ]

    def spoil(number: int, request: Request, response: Response) -> Response:
        # Every third request is answered with one trouble after the other: never twice in a row.
        return troubles[number // 3 % len(troubles)] if number % 3 == 1 else response

    with stand_in(services[source].serve, spoil) as server:
        rows = ingested(server, source, api_network={"attempts": 4, "backoff_s": 0.01, "concurrency": 1})
    expected = {
        "commons": on_commons(photos),
        "mapillary": on_mapillary(photos),
        "inaturalist": on_inaturalist(INaturalist(photos), DEFAULT_LICENCES),
    }
    assert ids(rows) == expected[source]


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_an_interrupted_search_goes_on_where_it_stopped_and_asks_nothing_twice(source: str) -> None:
    photos = scattered(3000)
    services = {"commons": Commons(photos), "mapillary": Mapillary(photos, 60), "inaturalist": INaturalist(photos)}
    alone = {"attempts": 1, "backoff_s": 0.0, "concurrency": 1}

    last = {"commons": 8, "mapillary": 8, "inaturalist": 2}[source]

    def dies(number: int, request: Request, response: Response) -> Response:
        return Response(404, {}, b"gone") if number >= last else response

    with stand_in(services[source].serve) as whole:
        expected = ingested(whole, source, api_network=alone)
    undisturbed = Path("data/photos/mine.parquet").read_bytes()
    Path("data/photos/mine.parquet").unlink()
    for path in Path("work").rglob("answers.log"):
        path.unlink()
    with stand_in(services[source].serve, dies) as first, pytest.raises(PermanentItemError):
        ingested(first, source, api_network=alone)
    with stand_in(services[source].serve) as second:
        assert ingested(second, source, api_network=alone) == expected
        assert Path("data/photos/mine.parquet").read_bytes() == undisturbed
        asked = len(second.queries)
        Path("data/photos/mine.parquet").unlink()
        assert ingested(second, source, api_network=alone) == expected
        assert len(second.queries) == asked
    # A box of Commons may have been asked in several requests; it is a box that is kept.
    kept = [query for query in first.queries[: last - 1] if query in second.queries]
    assert len(kept) <= (6 if source == "commons" else 0)


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_duplicates_of_a_service_come_once(source: str) -> None:
    photos = scattered(600)
    services = {"commons": Commons(photos), "mapillary": Mapillary(photos, 60), "inaturalist": INaturalist(photos)}
    places = {"commons": ("query", "pages"), "mapillary": ("data",), "inaturalist": ("results",)}

    def doubled(number: int, request: Request, response: Response) -> Response:
        def change(document: dict[str, Any]) -> None:
            listed: Any = document
            for name in places[source]:
                listed = listed.get(name, {})
            if isinstance(listed, list):
                listed += listed[::2]

        return rewritten(change)(response)

    with stand_in(services[source].serve, doubled) as server:
        rows = ingested(server, source)
    assert len(set(ids(rows))) == len(rows)
    assert len(rows) > 50


def test_an_area_of_polygons_asks_only_for_what_touches_it() -> None:
    photos = scattered(3000)
    triangle = shapely.Polygon([(10.25, 48.55), (10.55, 48.55), (10.25, 48.80)])
    geopandas.GeoDataFrame(geometry=[triangle], crs="EPSG:4326").to_crs("EPSG:3857").to_file("area.gpkg", driver="GPKG")
    with stand_in(Mapillary(photos, 60).serve) as server:
        rows = ingested(server, "mapillary", area={"file": "area.gpkg"})
    # The file's own coordinates bend the straight edge by less than a metre.
    clear = [photo for photo in photos if shapely.Point(photo.longitude, photo.latitude).distance(triangle.boundary) > 1e-5]
    expected = {f"mapillary:{photo.id}" for photo in clear if triangle.contains(shapely.Point(photo.longitude, photo.latitude))}
    unclear = {f"mapillary:{photo.id}" for photo in photos} - {f"mapillary:{photo.id}" for photo in clear}
    assert set(ids(rows)) - unclear == expected
    boxes = [shapely.box(*(float(edge) for edge in query["bbox"].split(","))) for query in server.queries]
    assert all(box.distance(triangle) < 1e-6 for box in boxes)


def test_an_area_without_photos_is_told() -> None:
    with stand_in(Commons([]).serve) as server, pytest.raises(ConfigError, match=r"photos\.mine: the service has no photo"):
        ingested(server, "commons")
    assert not Path("data").exists()


def test_the_days_requests_are_counted_over_runs_and_the_search_goes_on_another_day() -> None:
    service = INaturalist(scattered(9000))
    with stand_in(service.serve) as server:
        for _ in range(2):
            with pytest.raises(EndpointError, match=r"iNaturalist allows 2 requests a day.*Run the same command again after \d{4}-"):
                ingested(server, "inaturalist", requests_a_day=2)
        assert len(server.queries) == 2
        used = len(server.queries)
        times = Path("work/ingest_inaturalist/requests.txt")
        times.write_text("".join(f"{float(line) - 86_400}\n" for line in times.read_text().splitlines()) + "torn")
        rows = ingested(server, "inaturalist", requests_a_day=20)
        assert ids(rows) == on_inaturalist(service, DEFAULT_LICENCES)
        assert used < len(server.queries) == len({query["id_above"] for query in server.queries})


@pytest.mark.parametrize("spoilt", [Response(503), HTML], ids=["by its status", "by its text"])
def test_every_try_counts_among_the_days_requests(spoilt: Response) -> None:
    with stand_in(INaturalist(scattered(600)).serve, lambda number, request, response: spoilt) as server:
        with pytest.raises(EndpointError, match="iNaturalist allows 2 requests a day"):
            ingested(server, "inaturalist", requests_a_day=2)
        assert len(server.queries) == 2
        with pytest.raises(EndpointError, match="iNaturalist allows 4 requests a day"):
            ingested(server, "inaturalist", requests_a_day=4)
        assert len(server.queries) == 4


@pytest.mark.parametrize("source", ["commons", "mapillary", "inaturalist"])
def test_a_killed_search_goes_on_where_it_was(source: str, tmp_path: Path) -> None:
    photos = scattered(9000 if source == "inaturalist" else 3000)
    services = {"commons": Commons(photos), "mapillary": Mapillary(photos, 60), "inaturalist": INaturalist(photos)}
    deadly = {"commons": 9, "mapillary": 9, "inaturalist": 3}[source]
    killed: list[subprocess.Popen[bytes]] = []

    def kill(number: int, request: Request, response: Response) -> Response:
        if killed and number == deadly:
            killed[0].kill()
            # It must not see the answer.
            killed[0].wait(60)
        return response

    with stand_in(services[source].serve, kill) as server:
        config = configured(server, source, api_network={"attempts": 1, "concurrency": 1})
        Path("mine.yaml").write_text(dump(config))
        command = [sys.executable, "-m", "skygraft.cli", f"ingest-{source}", "--photos", "mine", "--configfile", "mine.yaml"]
        killed.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        assert killed[0].wait(60) == -signal.SIGKILL
        assert not Path("data/photos/mine.parquet").exists()
        before = list(server.queries)
        assert len(before) == deadly
        killed.clear()
        STAGES[source].run(config, photos="mine")
        expected = {
            "commons": on_commons(photos),
            "mapillary": on_mapillary(photos),
            "inaturalist": on_inaturalist(INaturalist(photos), DEFAULT_LICENCES),
        }
        assert ids(found()) == expected[source]
    # Asked again are the request that it died at and, of Commons, those of the same box.
    again = [query for query in before if query in server.queries[deadly:]]
    assert before[-1] in again
    assert len({query.get("ggsbbox", str(query)) for query in again}) == 1

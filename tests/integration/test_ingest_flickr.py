"""The stage that searches Flickr, against a small Flickr that answers honestly or not: what it asks, finds, keeps, says and hides."""

from __future__ import annotations

import collections
import logging
import os
import random
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import geopandas
import pytest
import shapely
from tests.clock import FakeClock
from tests.servers.flickr import FlickrServer, Query, Reply, data, failed, flickr_server, page_for_people, record, too_many

from skygraft.config.flickr import FlickrPhotos
from skygraft.config.load import dump, load_mapping
from skygraft.config.model import Config
from skygraft.core.errors import ConfigError, EndpointError
from skygraft.core.http import HttpClient
from skygraft.core.schemas import PHOTOS
from skygraft.core.tables import read_table
from skygraft.ground.flickr.client import FlickrClient, Wish
from skygraft.ground.flickr.parts import BoxPart, Window
from skygraft.ground.flickr.split import Ask
from skygraft.stages import forget, ingest_flickr
from skygraft.stages.layout import FORGOTTEN
from skygraft.stages.network import http_client

TABLE = Path("data/photos/trial.parquet")
SECRET = "planted-0123456789abcdef"
BOX = [5.0, 50.0, 6.0, 51.0]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLICKR_API_KEY", SECRET)
    return tmp_path


def configuration(base: str, **facts: Any) -> Config:
    network = {"attempts": 3, "backoff_s": 0.01, "concurrency": 2, "per_second": None}
    source = {"source": "flickr", "area": {"bbox": BOX}, "taken_from": "2015-01-01", "taken_to": "2015-12-31", "api_url": base}
    return load_mapping({"name": "trial", "photos": {"trial": {**source, "api_network": network, **facts}}}, Path(), "trial")


def scattered(count: int, seed: int = 0) -> list[dict[str, Any]]:
    chance = random.Random(seed)
    days = [f"2015-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d} {chance.randrange(24):02d}:30:00" for _ in range(count)]
    return [record(n + 1, 5 + chance.random(), 50 + chance.random(), day) for n, day in enumerate(days)]


def rows() -> dict[str, dict[str, Any]]:
    return {row["photo_id"]: row for row in read_table(PHOTOS, TABLE).to_pylist()}


def names(records: list[dict[str, Any]]) -> set[str]:
    return {f"flickr:{one['id']}" for one in records}


def test_a_photo_becomes_a_row() -> None:
    one = record(
        53412345678, 151.2, -33.85, "2015-07-01 08:15:00", ownername="Ann", owner="12@N01", pathalias="ann", title="Field",
        tags="wheat  straw", license="4", url_z="https://live.staticflickr.com/1/2_3_z.jpg", url_c=None,
    )  # fmt: skip
    with flickr_server([one]) as server:
        ingest_flickr.run(configuration(server.base, area={"bbox": [150, -34, 152, -33]}), photos="trial")
    row = rows()["flickr:53412345678"]
    place = shapely.from_wkb(row["geometry"])
    assert (place.x, place.y) == (151.2, -33.85)
    # Ten hours east by the sun: a morning in Sydney is the evening before in Greenwich.
    assert row["captured_at"] == datetime(2015, 6, 30, 22, 15, tzinfo=UTC) and row["year"] == 2015
    assert (row["source"], row["licence"], row["author"], row["title"], row["tags"]) == (
        "flickr",
        "CC BY 2.0",
        "Ann",
        "Field",
        ["wheat", "straw"],
    )
    assert row["page_url"] == "https://www.flickr.com/photos/ann/53412345678/"
    assert row["url"] == "https://live.staticflickr.com/1/2_3_z.jpg"
    assert row["accuracy_m"] == pytest.approx(23.9, abs=0.1)
    assert row["direction"] is None and row["lc"] is None


def test_what_is_asked() -> None:
    with flickr_server([record(1, 5.5, 50.5, context=2), record(2, 5.5, 50.5)]) as server:
        ingest_flickr.run(configuration(server.base, outdoors=True, accuracy=15, licences=[4, 9], sizes=["c", "z"]), photos="trial")
        (query,) = server.searches
    assert query == {
        "method": "flickr.photos.search", "format": "json", "nojsoncallback": "1", "bbox": "5.0000000,50.0000000,6.0000000,51.0000000",
        "min_taken_date": "2015-01-01 00:00:00", "max_taken_date": "2015-12-31 23:59:59", "license": "4,9", "accuracy": "15",
        "content_type": "1", "media": "photos", "has_geo": "1", "geo_context": "2", "sort": "date-taken-asc", "per_page": "250",
        "page": "1", "extras": "date_taken,geo,license,owner_name,path_alias,tags,url_c,url_z",
    }  # fmt: skip
    assert [query["api_key"] for query in server.queries] == [SECRET, SECRET]


def test_more_photos_than_a_query_gives_all_come() -> None:
    records = scattered(9_000)
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
        asked = server.searches
    assert rows().keys() == names(records)
    assert max(int(query["page"]) for query in asked) <= 14
    pages = collections.Counter(tuple(sorted(query.items())) for query in asked)
    assert max(pages.values()) == 1


def test_a_second_run_asks_nothing_and_gives_the_same_bytes() -> None:
    with flickr_server(scattered(700)) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
        before, asked = TABLE.read_bytes(), len(server.queries)
        TABLE.unlink()
        ingest_flickr.run(configuration(server.base), photos="trial")
        assert len(server.queries) == asked
    assert TABLE.read_bytes() == before


def test_a_search_that_knows_no_more_of_forgotten_photos_asks_nothing_and_leaves_them_out(caplog: pytest.LogCaptureFixture) -> None:
    records = scattered(600)
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
        asked, found = len(server.searches), rows()
        # A whole page among them, which would otherwise seem to have failed.
        gone = sorted(names(records), key=lambda name: int(name.removeprefix("flickr:")))[:300]
        gone += [name for name, row in found.items() if name not in gone][:30]
        Path("ids.txt").write_text("\n".join(gone))
        forget.run(Path("ids.txt"))
        assert rows().keys() == names(records) - set(gone)
        TABLE.unlink()
        # The list is lost: the answers themselves are without them.
        FORGOTTEN.unlink()
        caplog.set_level(logging.INFO)
        ingest_flickr.run(configuration(server.base), photos="trial")
        assert len(server.searches) == asked
    assert rows() == {name: row for name, row in found.items() if name not in gone}
    assert "reason='taken down'" in caplog.text and "outside the area" not in caplog.text


def test_duplicates_and_what_is_not_allowed_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    minute = {"taken": "2015-03-01 10:00:05", "owner": "7@N00"}
    records = [
        record(1, 5.5, 50.5, **minute),
        record(2, 5.5, 50.5, "2015-03-01 10:00:59", owner="7@N00"),
        record(3, 5.5, 50.5, "2015-03-01 10:01:00", owner="7@N00"),
        record(4, 5.5, 50.5, "2015-03-01 10:00:05", owner="8@N00"),
        record(5, 5.50002, 50.5, **minute),
        record(6, 5.6, 50.5, url_c=None),
        record(7, 5.6, 50.5, "2015-03-01 00:00:00", owner="7@N00", datetakengranularity="4"),
        record(8, 5.6, 50.5, "2015-03-01 00:00:00", owner="7@N00", datetakengranularity="4"),
    ]

    def careless(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        """The service heeds neither licence nor accuracy, and shows a photo twice."""
        if "photos" not in honest:
            return None
        more = [record(20, 5.5, 50.6, license="0"), record(21, 5.5, 50.6, accuracy="11"), record(22, 9.0, 50.6), records[0]]
        shown = honest["photos"]["photo"] + more
        return data({"photos": {**honest["photos"], "photo": shown, "total": len(shown)}, "stat": "ok"})

    with caplog.at_level(logging.INFO), flickr_server(records, careless) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
    assert rows().keys() == {f"flickr:{number}" for number in (1, 3, 4, 5, 7, 8)}
    assert rows()["flickr:7"]["captured_at"] is None and rows()["flickr:7"]["year"] == 2015
    for reason in ("licence not allowed", "place not accurate enough", "none of the sizes"):
        assert f"left_out=1 reason={reason!r}" in caplog.text


def test_photos_of_one_minute_may_be_kept() -> None:
    records = [record(1, 5.5, 50.5, owner="7@N00"), record(2, 5.5, 50.5, owner="7@N00")]
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base, one_a_minute=False), photos="trial")
    assert rows().keys() == {"flickr:1", "flickr:2"}


def test_an_area_of_polygons_leaves_out_what_lies_outside(tmp_path: Path) -> None:
    triangle = shapely.Polygon([(5, 50), (6, 50), (5, 51)])
    geopandas.GeoDataFrame(geometry=[triangle], crs="EPSG:4326").to_file(tmp_path / "area.gpkg")
    records = scattered(5_000)
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base, area={"file": "area.gpkg"}), photos="trial")
    inside = [one for one in records if triangle.covers(shapely.Point(float(one["longitude"]), float(one["latitude"])))]
    assert rows().keys() == names(inside)


def test_an_area_across_the_antimeridian() -> None:
    records = [record(1, 179.9, -17.0), record(2, -179.9, -17.0), record(3, 0.0, -17.0)]
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base, area={"bbox": [179.0, -18.0, -179.0, -16.0]}), photos="trial")
        boxes = {query["bbox"] for query in server.searches}
    assert rows().keys() == {"flickr:1", "flickr:2"}
    assert boxes == {"179.0000000,-18.0000000,180.0000000,-16.0000000", "-180.0000000,-18.0000000,-179.0000000,-16.0000000"}


def test_uniform_sampling_asks_for_discs_and_is_repeatable() -> None:
    records = scattered(3_000)
    asked = []
    for name in ("first", "again"):
        with flickr_server(records) as server:
            Path(name).mkdir()
            os.chdir(name)
            ingest_flickr.run(configuration(server.base, sampling="uniform", draws=30, radius_km=3), photos="trial")
            asked.append((sorted(tuple(sorted(query.items())) for query in server.searches), set(rows())))
            queries = server.searches
            os.chdir("..")
    assert asked[0] == asked[1]
    assert len({(query["lat"], query["lon"]) for query in queries}) == 30
    assert all(query["radius"] == "3" and "min_taken_date" in query and "bbox" not in query for query in queries)
    assert asked[0][1] and asked[0][1] < names(records)


@pytest.mark.parametrize(
    "spoilt", [failed(105), failed(10), failed(106), page_for_people(), too_many(), (502, {}, b""), data({"stat": "ok"})]
)
def test_passing_failures_are_tried_again(spoilt: Reply) -> None:
    records = scattered(300)

    def first_two(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        return spoilt if number in (0, 1, 3, 4) else None

    with flickr_server(records, first_two) as server:
        ingest_flickr.run(
            configuration(server.base, api_network={"attempts": 3, "backoff_s": 0.01, "concurrency": 1, "per_second": None}), photos="trial"
        )
        assert len(server.queries) == 7
    assert rows().keys() == names(records)


@pytest.mark.parametrize(
    ("spoilt", "kind", "says"),
    [
        (failed(100, "Invalid API Key"), ConfigError, "FLICKR_API_KEY is refused.*flickr.com/services"),
        (failed(18, "Illogical arguments"), EndpointError, "error 18, 'Illogical arguments'"),
        (failed(105, "Service currently unavailable"), EndpointError, "error 105.*answers so far are kept"),
        (page_for_people(), EndpointError, "a page for people instead of data"),
        (too_many(), EndpointError, "429 Too Many Requests"),
        (too_many("4000"), EndpointError, "asks to wait"),
        (failed(1, f"your key {SECRET} is odd"), EndpointError, r"your key \*\*\* is odd"),
    ],
)
def test_lasting_failures_are_told_and_nothing_is_asked_twice_after_them(spoilt: Reply, kind: type[Exception], says: str) -> None:
    records = scattered(4_200)

    def late(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        return spoilt if number >= 5 else None

    with flickr_server(records, late) as server:
        with pytest.raises(kind, match=says):
            ingest_flickr.run(configuration(server.base), photos="trial")
        assert not TABLE.exists()
        before = server.searches[:4]
        server.fault, already = None, len(server.searches)
        ingest_flickr.run(configuration(server.base), photos="trial")
        assert not [query for query in server.searches[already:] if query in before]
    assert rows().keys() == names(records)


def test_pages_that_repeat_and_totals_that_shift_lose_nothing() -> None:
    records = scattered(4_300)

    def shaky(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        if "photos" not in honest or query["per_page"] == "1":
            return None
        photos = dict(honest["photos"])
        photos["total"] = str(int(photos["total"]) + number % 2)
        if number % 5 == 0 and query["page"] != "1":
            photos["photo"] = FlickrServer(records).answer({**query, "page": "1"})["photos"]["photo"]
        return data({"photos": photos, "stat": "ok"})

    with flickr_server(records, shaky) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
    assert rows().keys() == names(records)


def test_a_service_that_does_not_heed_the_question_is_told_of() -> None:
    def deaf(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        strangers = [record(n, 60.0, 10.0) for n in range(1, 251)]
        return (
            data({"photos": {"total": "999999", "photo": strangers[: int(query["per_page"])]}, "stat": "ok"})
            if "photos" in honest
            else None
        )

    with flickr_server([], deaf) as server:
        with pytest.raises(EndpointError, match="does not heed the question"):
            ingest_flickr.run(configuration(server.base), photos="trial")
        assert len(server.queries) < 60


def test_a_missing_key_is_told_with_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLICKR_API_KEY")
    with flickr_server([]) as server:
        with pytest.raises(ConfigError, match=r"FLICKR_API_KEY is not set: get a key at https://www\.flickr\.com/services/apps/create/"):
            ingest_flickr.run(configuration(server.base), photos="trial")
        assert not server.queries


def test_no_photo_is_told_and_marks_no_folder() -> None:
    with flickr_server([]) as server, pytest.raises(ConfigError, match=r"no photo that photos\.trial asks for.*Loosen one"):
        ingest_flickr.run(configuration(server.base), photos="trial")
    assert not Path("data").exists()


def test_a_spot_that_is_too_full_is_told_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    records = [record(n + 1, 5.5, 50.25, "2015-05-05 05:05:05", owner=f"{n}@N00") for n in range(4_100)]
    with flickr_server(records) as server:
        ingest_flickr.run(configuration(server.base), photos="trial")
    assert "counts 4100 photos" in caplog.text
    assert len(rows()) >= 4_000


def test_places_of_which_a_sample_takes_no_more_pages_are_not_put_down_to_the_service(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    records = [record(n + 1, 5.5, 50.25, "2015-05-05 05:05:05", owner=f"{n}@N00") for n in range(600)]
    with flickr_server(records) as server:
        sample = {"sampling": "uniform", "area": {"bbox": [5.49, 50.24, 5.51, 50.26]}, "draws": 3, "radius_km": 5, "pages_a_place": 2}
        ingest_flickr.run(configuration(server.base, **sample), photos="trial")
    assert len(rows()) == 500
    assert "of 3 of 3 places only the first 2 pages (pages_a_place) were asked: they have more photos" in caplog.text
    assert "cannot be cut" not in caplog.text and "estimates" not in caplog.text


def test_the_key_is_written_nowhere(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    caplog.set_level(logging.DEBUG)

    def tattling(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        if number in (1, 2):
            return failed(105, f"bad {query['api_key']}")
        if "photos" in honest:
            photos = {**honest["photos"], "photo": [{**one, "title": query["api_key"]} for one in honest["photos"]["photo"]]}
            return data({"photos": photos, "stat": "ok"}) if number < 6 else too_many()
        return None

    with flickr_server(scattered(4_000), tattling) as server:
        with pytest.raises(EndpointError) as caught:
            ingest_flickr.run(configuration(server.base), photos="trial")
        server.fault = None
        ingest_flickr.run(configuration(server.base), photos="trial")
    assert SECRET not in str(caught.value) and SECRET not in caplog.text
    assert all(SECRET.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRET not in str(read_table(PHOTOS, TABLE).to_pylist())


def test_calls_stay_within_the_hourly_limit_of_a_key() -> None:
    section = FlickrPhotos.model_validate({"area": {"bbox": BOX}, "taken_to": "2015-12-31"})
    part = BoxPart((5.0, 50.0, 6.0, 51.0), Window.of_days(date(2015, 1, 1), date(2015, 1, 2)))
    clock = FakeClock()
    with flickr_server([]) as server, http_client(section.api_network, 0) as usual, HttpClient(usual.policy, clock) as http:
        client = FlickrClient(http, server.base, SECRET, Wish((4,), 16, False, ("c",)))
        for page in range(1, 31):
            client.page(Ask(part, page, 250))
        assert len(server.queries) == 30
    # Thirty calls need twenty-nine seconds after the first; in an hour that is no more than 3,600.
    assert clock.now >= 29.0
    assert "api_key" not in repr(client) and SECRET not in repr(client)


def test_a_kill_loses_no_answer() -> None:
    records = scattered(6_000, seed=4)
    children: list[subprocess.Popen[bytes]] = []

    def killing(number: int, query: Query, honest: dict[str, Any]) -> Reply | None:
        # The server pulls the plug itself, right before an answer.
        if number in (6, 20):
            children[-1].kill()
        return None

    with flickr_server(records, killing) as server:
        config = configuration(server.base)
        Path("trial.yaml").write_text(dump(config))
        command = [sys.executable, "-m", "skygraft.cli", "ingest-flickr", "--photos", "trial", "--configfile", "trial.yaml"]
        for _ in range(2):
            children.append(subprocess.Popen(command, env={**os.environ, "SKYGRAFT_CONFIG": "trial.yaml"}, stderr=subprocess.DEVNULL))
            assert children[-1].wait() == -signal.SIGKILL
        assert not TABLE.exists()
        subprocess.run(command, check=True, capture_output=True)
        asked = collections.Counter(tuple(sorted(query.items())) for query in server.searches)
    assert rows().keys() == names(records)
    # Two requests are under way at a time: those alone may be asked again after each of the two kills.
    assert sum(count - 1 for count in asked.values()) <= 4

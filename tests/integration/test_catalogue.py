"""pystac-client against catalogues that misbehave."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
from tests.integration.imagery_folder import NORTH, WEST, SceneSpec, write_archive, write_photos
from tests.servers import Answer, Paged, hang, html_page, json_body, rate_limited, reset, scripted_server, stac_pages, status

from skygraft.config.model import Config
from skygraft.config.network import Network
from skygraft.config.photos import LucasPhotos
from skygraft.config.plans import Plan
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.errors import EndpointError, ItemError, PermanentItemError, QuotaError, Reason, TransientError
from skygraft.core.schemas import SCENES
from skygraft.core.tables import read_table
from skygraft.imagery.catalogue import Searcher, search_all
from skygraft.imagery.queries import Query
from skygraft.imagery.scenes import CATALOGUES
from skygraft.stages import plan_tiles, search_scenes
from skygraft.world.services import world_services

CATALOGUE = CATALOGUES["planetary_computer"]
NETWORK = Network(concurrency=2, attempts=3, backoff_s=0.01, connect_timeout_s=2, read_timeout_s=2, deadline_s=20, dead_after=3)
QUERY = Query((3.0, 45.0, 4.0, 46.0), dt.date(2018, 7, 1), dt.date(2018, 7, 31))
PAGES = [[{"type": "Feature", "id": f"s{page}{number}"} for number in range(4)] for page in range(3)]
NAMES = [item["id"] for page in PAGES for item in page]


def found(url: str, network: Network = NETWORK) -> list[str]:
    return [item["id"] for item in Searcher(CATALOGUE, network, url=url).search(QUERY)]


def test_pages_are_followed_and_the_question_is_of_a_region_and_a_month() -> None:
    with scripted_server(stac_pages(PAGES)) as server:
        assert found(server.url("/")) == NAMES
        asked = [json.loads(one.body) for one in server.requests("/search", "POST")]
    assert len(asked) == 3 and [body.get("token") for body in asked] == [None, "1", "2"]
    assert asked[0]["bbox"] == [3.0, 45.0, 4.0, 46.0] and asked[0]["datetime"] == "2018-07-01T00:00:00Z/2018-07-31T23:59:59Z"
    assert asked[0]["collections"] == ["sentinel-2-l2a"] and asked[0]["limit"] == 250


@pytest.mark.parametrize(
    "before",
    [
        [status(503)],
        [status(503), status(503)],
        [status(504)],
        [status(500)],
        [status(502)],
        [status(408)],
        [rate_limited(1)],
        [rate_limited(None)],
        [reset()],
        [html_page()],
        [html_page("application/json")],
        [json_body({"message": "busy"})],
        [Answer(body=b'{"type": "Feat', content_type="application/json", ranges=False)],
    ],
    ids=["503", "503-twice", "504", "500", "502", "408", "429-after-1", "429", "reset", "html", "html-as-json", "no-page", "half-json"],
)
def test_a_failed_post_is_tried_again(before: list[Answer]) -> None:
    with scripted_server(stac_pages(PAGES, before=before)) as server:
        assert found(server.url("/")) == NAMES
        seen = server.requests("/search", "POST")
    assert len(seen) == 3 + len(before)
    if before[0].headers.get("Retry-After"):
        assert seen[1].at - seen[0].at >= 1.0


def test_a_failure_on_a_later_page_is_tried_again() -> None:
    script = stac_pages(PAGES)
    pages = script["/search"]
    assert isinstance(pages, Paged)
    cut = [Answer(body=pages.pages[1].body, content_type="application/geo+json", cut=40, ranges=False)]
    for fault in ([status(503)], cut):
        with scripted_server(
            {
                **script,
                "/search": [pages.pages[0], *fault, pages.pages[0], *pages.pages[1:]]
                if fault is cut
                else [pages.pages[0], *fault, *pages.pages[1:]],
            }
        ) as server:
            assert found(server.url("/")) == NAMES


def test_only_the_wanted_assets_are_asked_for_where_the_catalogue_can_leave_others_out() -> None:
    script = stac_pages([PAGES[0]])
    landing = script["/"]
    assert not isinstance(landing, Paged)
    document = json.loads(landing[0].body)
    document["conformsTo"].append("https://api.stacspec.org/v1.0.0/item-search#fields")
    with scripted_server(script | {"/": [json_body(document)]}) as server:
        searcher = Searcher(CATALOGUES["earth_search"], NETWORK, url=server.url("/"), bands=("B04", "SCL"))
        assert len(searcher.search(QUERY)) == 4
        (asked,) = [json.loads(one.body) for one in server.requests("/search", "POST")]
    assert set(asked["fields"]["include"]) == {"id", "geometry", "bbox", "properties", "assets.red", "assets.scl"}


def test_an_empty_page_does_not_end_the_listing() -> None:
    with scripted_server(stac_pages([PAGES[0], [], PAGES[1]])) as server:
        assert found(server.url("/")) == NAMES[:8]


def test_nothing_found_is_no_error() -> None:
    with scripted_server(stac_pages([[]])) as server:
        assert found(server.url("/")) == []


def test_a_page_that_comes_twice_gives_each_item_once() -> None:
    with scripted_server(stac_pages(PAGES, fault="duplicate")) as server:
        assert found(server.url("/")) == NAMES
        assert server.count("/search") == 5


def test_next_links_that_go_in_a_circle_are_an_error_and_no_endless_search() -> None:
    with scripted_server(stac_pages(PAGES, fault="loop")) as server:
        with pytest.raises(TransientError, match="go in a circle after 12 items") as caught:
            found(server.url("/"))
        assert caught.value.reason is Reason.SERVER_ERROR and server.count("/search") <= 8


def test_a_circle_after_everything_was_seen_is_no_error() -> None:
    features = PAGES[0]
    link = {"rel": "next", "href": "SERVER_URL/search", "method": "POST", "body": {"token": "x"}, "merge": True}
    page = {"type": "FeatureCollection", "features": features, "links": [link], "numberMatched": 4}
    script = stac_pages([features]) | {"/search": [json_body(page)]}
    with scripted_server(script) as server:
        assert found(server.url("/")) == NAMES[:4]


def test_a_connection_that_breaks_on_the_last_page_for_ever() -> None:
    with scripted_server(stac_pages(PAGES, fault="reset")) as server:
        with pytest.raises(ItemError) as caught:
            found(server.url("/"))
        assert caught.value.reason.transient
        assert server.count("/search") <= 9


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (status(503), TransientError, Reason.SERVER_ERROR),
        (status(504), TransientError, Reason.SERVER_ERROR),
        (rate_limited(None), QuotaError, Reason.THROTTLED),
        (status(400), PermanentItemError, Reason.BAD_REQUEST),
        (status(403), PermanentItemError, Reason.FORBIDDEN),
        (html_page(), TransientError, Reason.SERVER_ERROR),
        (reset(), TransientError, Reason.CONNECTION),
        (hang(6), TransientError, Reason.TIMEOUT),
    ],
    ids=["503", "504", "429", "400", "403", "html", "reset", "hang"],
)
def test_a_catalogue_that_fails_for_good_is_called_by_its_fault(answer: Answer, kind: type[ItemError], reason: Reason) -> None:
    network = NETWORK.model_copy(update={"read_timeout_s": 0.3})
    with scripted_server(stac_pages(PAGES) | {"/search": [answer]}) as server:
        with pytest.raises(kind) as caught:
            found(server.url("/") + "?key=secret", network)
        assert caught.value.reason is reason and "secret" not in str(caught.value)
        assert server.count("/search") == (NETWORK.attempts if reason.transient else 1)


def test_an_answer_that_drips_ends_with_the_deadline() -> None:
    page = stac_pages(PAGES)["/search"]
    assert isinstance(page, Paged)
    script = stac_pages(PAGES) | {
        "/search": [Answer(body=page.pages[0].body, content_type="application/json", chunk=1, pause=0.5, ranges=False)]
    }
    network = NETWORK.model_copy(update={"deadline_s": 1.5})
    with scripted_server(script) as server, pytest.raises(TransientError, match=r"not finished within 1\.5 s") as caught:
        found(server.url("/"), network)
    assert caught.value.reason is Reason.TIMEOUT


def test_a_long_retry_after_does_not_outlast_the_deadline() -> None:
    network = NETWORK.model_copy(update={"deadline_s": 1.0})
    with scripted_server(stac_pages(PAGES, before=[rate_limited(3600)])) as server, pytest.raises(TransientError):
        found(server.url("/"), network)


def test_the_landing_page_is_tried_again_as_well() -> None:
    script = stac_pages(PAGES)
    landing = script["/"]
    with scripted_server(script | {"/": [status(503), rate_limited(None), *landing]}) as server:
        assert found(server.url("/")) == NAMES


def test_a_dead_catalogue_stops_the_searches_early() -> None:
    queries = [Query((float(n), 0.0, n + 1.0, 1.0), QUERY.first, QUERY.last) for n in range(50)]
    searcher = Searcher(CATALOGUE, NETWORK, url="http://127.0.0.1:9/")
    with pytest.raises(EndpointError, match="3 searches in a row failed"):
        list(search_all(searcher, queries, NETWORK))


def test_one_bad_question_does_not_stop_the_others() -> None:
    queries = [Query((float(n), 0.0, n + 1.0, 1.0), QUERY.first, QUERY.last) for n in range(4)]
    with scripted_server(stac_pages([PAGES[0]], before=[status(400)])) as server:
        outcomes = list(search_all(Searcher(CATALOGUE, NETWORK, url=server.url("/")), queries, NETWORK))
    assert sorted(outcome.error is None for outcome in outcomes) == [False, True, True, True]


def config(**options: object) -> Config:
    imagery = Sentinel2(plan="p", network=NETWORK, **options)
    return Config(name="t", photos={"lucas": LucasPhotos()}, plans={"p": Plan(photos=("lucas",))}, imagery={"s2": imagery})


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    scenes = [SceneSpec(f"s{n}", dt.date(2018, 6 + n % 3, 3 + n), cloud=n, size=256) for n in range(6)]
    write_photos(Path("data/photos/lucas.parquet"), [(WEST + 1200, NORTH - 1200, dt.date(2018, month, 9)) for month in (6, 7, 8)])
    return write_archive(tmp_path / "archive", scenes)


@pytest.mark.parametrize("catalogue", ["planetary_computer", "earth_search"])
def test_the_snapshot_through_the_worlds_own_catalogue(archive: Path, tmp_path: Path, catalogue: str) -> None:
    settings = config(catalogue=catalogue)
    plan_tiles.run(settings, plan="p")
    log = tmp_path / "access.jsonl"
    with world_services(archive, access_log=log) as services:
        search_scenes.run(settings, imagery="s2")
        first = Path("data/imagery/s2/scenes.parquet").read_bytes()
        posts = services.count(method="POST")
        search_scenes.run(settings, imagery="s2")
        assert services.count(method="POST") == posts == 3
    assert Path("data/imagery/s2/scenes.parquet").read_bytes() == first
    table = read_table(SCENES, Path("data/imagery/s2/scenes.parquet"))
    assert table.column("scene_id").to_pylist() == [f"s{n}" for n in range(6)]
    assert set(table.column("catalogue").to_pylist()) == {catalogue}
    assert all("?" not in href for row in table.column("assets").to_pylist() for _, href in row)


def test_finished_searches_survive_a_failure_and_are_not_asked_again(archive: Path, tmp_path: Path) -> None:
    settings = config()
    plan_tiles.run(settings, plan="p")
    log, faults = tmp_path / "access.jsonl", tmp_path / "faults.json"
    faults.write_text(json.dumps([{"match": "stac/v1/search", "kind": "status", "status": 500, "after": 1}]))
    with world_services(archive, access_log=log, faults=faults), pytest.raises(EndpointError, match="2 of 3 searches") as caught:
        search_scenes.run(settings, imagery="s2")
    assert "server_error 2" in str(caught.value) and not Path("data/imagery/s2/scenes.parquet").exists()
    log.unlink()
    with world_services(archive, access_log=log) as services:
        search_scenes.run(settings, imagery="s2")
        assert services.count(method="POST") == 2
    assert read_table(SCENES, Path("data/imagery/s2/scenes.parquet")).num_rows == 6

"""Pictures' addresses that a service has named: never into the own network, unless the configuration names the host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.integration.lucas_trial import jpeg
from tests.rows import table
from tests.servers import json_body, ok, scripted_server

from skygraft.config.load import load_mapping
from skygraft.config.model import Config
from skygraft.core.schemas import PHOTO_SHARD, PHOTOS
from skygraft.core.tables import read_table, write_table
from skygraft.stages import fetch_photos
from skygraft.stages.layout import Layout

POINT = bytes.fromhex("0101000000") + bytes(16)
LICENCES = {"flickr": "CC BY 2.0", "commons": "CC BY 4.0", "inaturalist": "CC BY", "mapillary": "CC BY-SA 4.0", "table": "own"}
SERVICES = ["flickr", "commons", "inaturalist"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MAPILLARY_TOKEN", "planted")
    return tmp_path


def fetched(source: str, url: str, trusted: tuple[str, ...] = (), **section: Any) -> dict[str, Any]:
    """What becomes of the one photo of a source."""
    network = {"attempts": 1, "backoff_s": 0.01, "trusted_hosts": trusted}
    own: dict[str, Any] = {"file": "own.csv"} if source == "table" else {"area": {"bbox": [10, 48, 11, 49]}}
    days = {"taken_from": "2015-01-01", "taken_to": "2015-12-31"} if source == "flickr" else {}
    mine = {"source": source, "network": network, "min_success_rate": 0.0, **own, **days, **section}
    config: Config = load_mapping({"name": "trial", "photos": {"mine": mine}}, Path(), "trial")
    row = {"photo_id": f"{source}:1", "source": source, "location_id": "1", "geometry": POINT, "year": 2018, "licence": LICENCES[source]}
    write_table(PHOTOS, table(PHOTOS, [{**row, "url": url}]), Layout(config).photos("mine"))
    fetch_photos.run(config, photos="mine")
    found = [row for path in Layout(config).photo_shards("mine") for row in read_table(PHOTO_SHARD, path).to_pylist()]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("source", SERVICES)
def test_pictures_of_services_are_not_asked_for_inside_the_own_network(source: str) -> None:
    with scripted_server({"/a.jpg": [ok(jpeg(1))]}) as inner:
        row = fetched(source, inner.url("/a.jpg"))
        assert row["status"] == "bad_request" and "inside the own network" in row["detail"]
        assert inner.count() == 0


@pytest.mark.parametrize("source", SERVICES)
def test_a_host_that_the_configuration_trusts_is_asked(source: str) -> None:
    with scripted_server({"/a.jpg": [ok(jpeg(1))]}) as inner:
        assert fetched(source, inner.url("/a.jpg"), (inner.base.removeprefix("http://"),))["status"] == "ok"


def test_the_users_own_table_leads_wherever_it_says() -> None:
    with scripted_server({"/a.jpg": [ok(jpeg(1))]}) as inner:
        assert fetched("table", inner.url("/a.jpg"))["status"] == "ok"


def test_what_mapillarys_interface_names_is_held_to_it_and_the_interface_itself_is_not() -> None:
    with scripted_server({"/a.jpg": [ok(jpeg(1))]}) as inner:
        script = {"/1": [json_body({"id": "1", "thumb_1024_url": inner.url("/a.jpg")})]}
        with scripted_server(script) as service:
            where = {"api_url": service.url("/images")}
            row = fetched("mapillary", "https://graph.mapillary.com/1", **where)
            assert row["status"] == "bad_request" and "inside the own network" in row["detail"]
            assert (service.count(), inner.count()) == (1, 0)

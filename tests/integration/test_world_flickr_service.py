"""The world's Flickr met over the network, through its production names: searches, pictures, and what goes wrong on demand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from skygraft.world.scattered import PICTURE_HOST, TABLE
from skygraft.world.services import world_services

API = "https://api.flickr.com/services/rest/"
SEARCH = {"method": "flickr.photos.search", "api_key": "k", "format": "json", "nojsoncallback": "1", "min_taken_date": "2018-01-01"}
PICTURE = b"\xff\xd8\xff" + b"p" * 9000


def _row(number: int) -> dict[str, Any]:
    secret, original = f"{number:010x}", f"{number + 77:010x}"
    names = {"owner": "1@N01", "owner_name": "Jörg Čapek", "path_alias": "", "server": "65535", "title": f"Öde {number}", "tags": "forest"}
    facts = {"uploaded": 1_530_000_000 + number, "license": 4, "latitude": 48.7, "longitude": 10.4 + number / 1000, "accuracy": 16}
    size = {"context": 0, "content_type": 1, "size": "n", "width": 320, "height": 240, "path": f"65535/{number}_{secret}_n.jpg"}
    secrets = {"id": str(number), "secret": secret, "original_secret": original, "taken": f"2018-06-{number - 99:02d} 12:00:00"}
    return names | facts | size | secrets


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    rows = [_row(number) for number in range(100, 120)]
    pq.write_table(pa.Table.from_pylist(rows), folder / TABLE)
    for row in rows[:-1]:
        path = folder / "http" / PICTURE_HOST / row["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PICTURE)
    return folder


@pytest.fixture
def faulty(folder: Path, tmp_path: Path) -> Callable[..., Any]:
    def start(*rules: dict[str, object]) -> Any:
        path = tmp_path / "faults.json"
        path.write_text(json.dumps(rules))
        return world_services(folder, faults=path, access_log=tmp_path / "access.jsonl")

    return start


def search(**asked: str | int) -> dict[str, Any]:
    answer = requests.get(API, params={**SEARCH, "sort": "date-taken-asc", **asked}, timeout=20)
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()["photos"]
    return found


def ids(page: dict[str, Any]) -> list[int]:
    return [int(photo["id"]) for photo in page["photo"]]


def test_search_then_pictures_by_the_addresses_it_tells(faulty: Callable[..., Any]) -> None:
    with faulty() as services:
        photos = search(extras="url_n,owner_name", per_page=250)["photo"]
        answers = [requests.get(photo["url_n"], timeout=20) for photo in photos]
        assert [a.status_code for a in answers] == [200] * 19 + [404]
        assert all(a.content == PICTURE and a.headers["Content-Type"] == "image/jpeg" for a in answers[:-1])
        assert photos[0]["ownername"] == "Jörg Čapek" and photos[0]["title"] == "Öde 100"
        assert services.count(host="api.flickr.com") == 1 and services.count(host=PICTURE_HOST) == 20


def test_a_form_asks_as_an_address_does_and_without_a_wish_the_answer_is_wrapped(faulty: Callable[..., Any]) -> None:
    with faulty():
        posted = requests.post(API, data=SEARCH, timeout=20).json()
        assert posted == requests.get(API, params=SEARCH, timeout=20).json()
        wrapped = requests.get(API, params={k: v for k, v in SEARCH.items() if k != "nojsoncallback"}, timeout=20).text
        assert json.loads(wrapped.removeprefix("jsonFlickrApi(").removesuffix(")")) == posted
        assert requests.get("https://api.flickr.com/elsewhere", timeout=20).status_code == 404


def test_faults_on_demand(faulty: Callable[..., Any]) -> None:
    fail = json.dumps({"stat": "fail", "code": 105, "message": "Service currently unavailable"})
    with faulty(
        {"match": "api.flickr.com", "kind": "status", "status": 429, "times": 1},
        {"match": "api.flickr.com", "kind": "html", "times": 1, "headers": {"Content-Type": "text/html"}},
        {"match": "api.flickr.com", "kind": "html", "times": 1, "body": fail, "headers": {"Content-Type": "application/json"}},
        {"match": "api.flickr.com", "kind": "repeat", "times": 1},
        {"match": "api.flickr.com", "kind": "shift", "times": 1},
        {"match": "live.staticflickr.com", "kind": "truncate", "times": 1},
    ):
        limited = requests.get(API, params=SEARCH, timeout=20)
        assert limited.status_code == 429 and limited.headers["Retry-After"] == "1"
        assert requests.get(API, params=SEARCH, timeout=20).text.startswith("<!DOCTYPE html>")
        assert requests.get(API, params=SEARCH, timeout=20).json()["code"] == 105
        again = search(page=3, per_page=5)
        assert again["page"] == 3 and ids(again) == list(range(105, 110))
        shifted = search(page=3, per_page=5)
        assert shifted["total"] == "27" and ids(shifted) == list(range(110, 115))
        assert search(page=3, per_page=5)["total"] == "20"
        url = search(extras="url_n")["photo"][0]["url_n"]
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            requests.get(url, timeout=20)
        assert requests.get(url, timeout=20).content == PICTURE


def test_a_repeated_first_page_stays_the_first(faulty: Callable[..., Any]) -> None:
    with faulty({"match": "api.flickr.com", "kind": "repeat"}):
        assert (search(per_page=5)["page"], ids(search(per_page=5))) == (1, list(range(100, 105)))
        assert (search(per_page=5, page=2)["page"], ids(search(per_page=5, page=2))) == (2, list(range(100, 105)))

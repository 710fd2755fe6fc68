"""The scripted server does what its script says: everything else that tests prove rests on it."""

from __future__ import annotations

import socket

import pytest
import requests
from tests.servers import (
    drip,
    egress_busy,
    forbidden,
    html_page,
    ok,
    placeholder_tile,
    rate_limited,
    reset,
    scripted_server,
    signed,
    stac_pages,
    truncated,
    wrong_length,
)

BODY = bytes(range(256)) * 8
BROKEN = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)


@pytest.mark.parametrize("process", [False, True])
def test_each_path_walks_through_its_own_answers(process: bool) -> None:
    with scripted_server({r"/p/\d": [rate_limited(retry_after=3), egress_busy(), ok(BODY)]}, process=process) as server:
        for path in ("/p/1", "/p/2"):
            answers = [requests.get(server.url(path), timeout=5) for _ in range(4)]
            assert [answer.status_code for answer in answers] == [429, 503, 200, 200]
            assert answers[0].headers["Retry-After"] == "3"
            assert "Egress is over the account limit." in answers[1].text
            assert answers[3].content == BODY
        assert requests.get(server.url("/other"), timeout=5).status_code == 404
        assert server.count(r"/p/\d") == 8
        assert [seen.status for seen in server.requests("/p/2")] == [429, 503, 200, 200]


def test_ranges_and_head() -> None:
    with scripted_server({"/f": [truncated(BODY, after=1), ok(BODY)]}) as server:
        assert requests.head(server.url("/f"), timeout=5).headers["Content-Length"] == str(len(BODY))
        with pytest.raises(BROKEN):
            requests.get(server.url("/f"), timeout=5)
        some = requests.get(server.url("/f"), headers={"Range": "bytes=10-19"}, timeout=5)
        assert (some.status_code, some.content) == (206, BODY[10:20])
        assert some.headers["Content-Range"] == f"bytes 10-19/{len(BODY)}"
        assert requests.get(server.url("/f"), headers={"Range": "bytes=-4"}, timeout=5).content == BODY[-4:]
        assert requests.get(server.url("/f"), headers={"Range": "bytes=9999-"}, timeout=5).status_code == 416


def test_bodies_that_lie() -> None:
    script = {
        "/short": [wrong_length(BODY, declared=100)],
        "/html": [html_page("image/tiff")],
        "/tile": [placeholder_tile(b"grey")],
        "/reset": [reset()],
        "/middle": [reset(BODY, after=64)],
        "/drip": [drip(BODY, chunk=1, pause=0.5)],
    }
    with scripted_server(script) as server:
        assert requests.get(server.url("/short"), timeout=5).content == BODY[:100]
        page = requests.get(server.url("/html"), timeout=5)
        assert (page.headers["Content-Type"], page.content[:9]) == ("image/tiff", b"<!DOCTYPE")
        assert requests.get(server.url("/tile"), timeout=5).headers["X-VE-Tile-Info"] == "no-tile"
        for path in ("/reset", "/middle"):
            with pytest.raises(BROKEN):
                requests.get(server.url(path), timeout=5)
        with pytest.raises(BROKEN):
            requests.get(server.url("/drip"), timeout=0.2)
        assert [seen.status for seen in server.requests()] == [200, 200, 200, 0, 200, 200]


def test_signatures() -> None:
    with scripted_server({"/a.tif": [forbidden(), signed(BODY, {"new"})]}) as server:
        codes = [requests.get(server.url(f"/a.tif?sig={name}"), timeout=5).status_code for name in ("new", "old", "new")]
        assert codes == [403, 403, 200]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("none", ["a", "b", "c"]),
        ("duplicate", ["a", "b", "b", "c", "c"]),
        ("loop", ["a", "b", "c", "c", "c"]),
        ("reset", ["a", "b"]),
    ],
)
def test_catalogue_pages(fault: str, expected: list[str]) -> None:
    script = stac_pages([[{"id": "a"}], [{"id": "b"}], [{"id": "c"}]], fault=fault)  # type: ignore[arg-type]
    with scripted_server(script) as server:
        search = requests.get(server.url("/"), timeout=5).json()["links"][-1]["href"]
        found: list[str] = []
        body: dict[str, object] = {"limit": 1}
        while len(found) < 5:
            try:
                page = requests.post(search, json=body, timeout=5).json()
            except BROKEN:
                break
            found += [item["id"] for item in page["features"]]
            if not page["links"]:
                break
            body |= page["links"][0]["body"]
        assert found == expected


def test_the_port_is_closed_after_the_block() -> None:
    with scripted_server({}, process=True) as server:
        port = int(server.base.rsplit(":", 1)[1])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=2)

"""A small Flickr that answers searches over records at hand, honestly or with a fault, and remembers what it was asked.

It is written apart from the world's stand-in, from the documentation alone: filters by plain comparison over all records, pages of what is
left, and after the first 4,000 photos of a query the first page again, for ever.
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyproj

Record = Mapping[str, Any]
Query = dict[str, str]
Reply = tuple[int, dict[str, str], bytes]
# Told the number of the request (from 0), its query and the honest answer; gives another answer, or none for the honest one.
Fault = Callable[[int, Query, dict[str, Any]], Reply | None]
MOST = 4000


def record(number: int, lon: float, lat: float, taken: str = "2015-06-01 12:00:00", **facts: Any) -> dict[str, Any]:
    """A photo as the service holds it; facts replace what is said here, and further ones appear in answers (url_c and the like)."""
    return {
        "id": str(number), "owner": f"{number % 97}@N00", "title": f"Photo {number}", "ownername": f"Owner {number % 97}", "license": "4",
        "latitude": f"{lat:.6f}", "longitude": f"{lon:.6f}", "accuracy": "16", "context": 0, "datetaken": taken,
        "datetakengranularity": 0, "datetakenunknown": "0", "tags": "field farm", "pathalias": None,
        "url_c": f"https://live.staticflickr.com/65/{number}_secret_c.jpg", **facts,
    }  # fmt: skip


def matching(records: Sequence[Record], query: Query) -> list[Record]:
    """The records that answer a query, one after the other: the naive reading of the documentation."""
    first, last, least = query["min_taken_date"], query["max_taken_date"], int(query["accuracy"])
    allowed = query["license"].split(",")
    west, south, east, north = map(float, query.get("bbox", "-180,-90,180,90").split(","))
    earth = pyproj.Geod(ellps="WGS84")

    def near(one: Record) -> bool:
        place = float(one["longitude"]), float(one["latitude"])
        return bool(earth.inv(*place, float(query["lon"]), float(query["lat"]))[2] <= 1000 * float(query["radius"]))

    return [
        one
        for one in records
        if first <= one["datetaken"] <= last
        and west <= float(one["longitude"]) <= east
        and south <= float(one["latitude"]) <= north
        and one["license"] in allowed
        and int(one["accuracy"]) >= least
        and ("geo_context" not in query or str(one["context"]) == query["geo_context"])
        and ("radius" not in query or near(one))
    ]


@dataclass
class FlickrServer:
    """A running server: its address, and the queries it was asked, in order."""

    records: Sequence[Record]
    fault: Fault | None = None
    base: str = ""
    queries: list[Query] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def searches(self) -> list[Query]:
        """The searches among the queries, without the key."""
        asked = [query for query in self.queries if query["method"] == "flickr.photos.search"]
        return [{name: value for name, value in query.items() if name != "api_key"} for query in asked]

    def answer(self, query: Query) -> dict[str, Any]:
        """The honest answer."""
        if query["method"] == "flickr.photos.licenses.getInfo":
            licences = [{"id": 4, "name": "Attribution", "url": "https://creativecommons.org/licenses/by/2.0/"}]
            return {"licenses": {"license": licences}, "stat": "ok"}
        found = sorted(matching(self.records, query), key=lambda one: (one["datetaken"], int(one["id"])))
        size, page = int(query["per_page"]), int(query["page"])
        start = (page - 1) * size
        shown = found[:size] if start >= MOST else found[start : start + size]
        pages = -(-len(found) // size)
        return {"photos": {"page": page, "pages": pages, "perpage": size, "total": str(len(found)), "photo": shown}, "stat": "ok"}

    def reply(self, query: Query) -> Reply:
        """What is sent."""
        with self.guard:
            number = len(self.queries)
            self.queries.append(query)
        honest = self.answer(query)
        spoilt = self.fault(number, query, honest) if self.fault is not None else None
        return spoilt or data(honest)


def data(answer: object) -> Reply:
    """JSON with status 200."""
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def failed(code: int, message: str = "no") -> Reply:
    """The service's own way to fail: status 200 and stat fail."""
    return data({"stat": "fail", "code": code, "message": message})


def page_for_people() -> Reply:
    """HTML with status 200."""
    return 200, {"Content-Type": "text/html"}, b"<!DOCTYPE html><html><body>Flickr is having a massage</body></html>"


def too_many(retry_after: str | None = "0") -> Reply:
    """429, with Retry-After unless None."""
    return 429, {} if retry_after is None else {"Retry-After": retry_after}, b"Too Many Requests"


@contextlib.contextmanager
def flickr_server(records: Sequence[Record], fault: Fault | None = None) -> Iterator[FlickrServer]:
    """Serves records on a free loopback port for the length of the block."""
    state = FlickrServer(records, fault)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, headers, body = state.reply(dict(parse_qsl(urlsplit(self.path).query)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.base = f"http://127.0.0.1:{server.server_address[1]}/services/rest/"
    runner = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    runner.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        runner.join()

"""A Flickr of millions of drawn records, metadata alone, fast enough to be searched in minutes: arrays sorted by time, answered honestly.

Its process holds the records; whoever asks sees HTTP. A query shows its first 4,000 photos; later pages repeat the first.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from numpy.typing import NDArray

MOST = 4000
FIRST_DAY, DAYS = np.datetime64("2013-01-01", "s"), 3_650
# Degrees; places are whole hundred-thousandths, so that nothing depends on rounding.
WEST, SOUTH, EAST, NORTH = -10.0, 36.0, 30.0, 70.0
_WHOLE = 100_000


@dataclass(frozen=True)
class Records:
    """Photos sorted by camera time.

    Args:
        number: Flickr's ids, unique.
        taken: Seconds since 1970 on the camera's clock.
        lon: Hundred-thousandths of degrees.
        lat: Hundred-thousandths of degrees.
        owner: Numbers of authors.
        licence: Flickr's licence numbers.
        accuracy: Levels of the places.
    """

    number: NDArray[np.int64]
    taken: NDArray[np.int64]
    lon: NDArray[np.int32]
    lat: NDArray[np.int32]
    owner: NDArray[np.int32]
    licence: NDArray[np.int8]
    accuracy: NDArray[np.int8]

    def matching(self, query: dict[str, str]) -> NDArray[np.int64]:
        """Rows that answer a query: the days by binary search, the rest of the window by comparison."""
        first, last = (seconds(query[name]) for name in ("min_taken_date", "max_taken_date"))
        start, stop = np.searchsorted(self.taken, first), np.searchsorted(self.taken, last, side="right")
        west, south, east, north = (round(float(edge) * _WHOLE, 2) for edge in query["bbox"].split(","))
        lon, lat = self.lon[start:stop], self.lat[start:stop]
        keep = (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
        allowed = np.isin(np.arange(17), [int(number) for number in query["license"].split(",")])
        keep &= allowed[self.licence[start:stop]] & (self.accuracy[start:stop] >= int(query["accuracy"]))
        return start + np.flatnonzero(keep)


def seconds(text: str) -> int:
    """A time as the service writes it, in seconds since 1970."""
    return int(np.datetime64(datetime.fromisoformat(text), "s").astype(np.int64))


def draw(count: int, seed: int = 0) -> Records:
    """Records as they lie in the world: crowded in towns, on weekends, in summers and at events, with bursts of copies."""
    random = np.random.default_rng(seed)
    day = np.arange(DAYS)
    weight = (1 + day / DAYS) * (1 + 0.6 * np.sin(2 * np.pi * (day % 365) / 365 - 1.5)) * np.where(day % 7 >= 5, 2.0, 1.0)
    weight[random.integers(0, DAYS, 20)] *= 8
    days = random.choice(DAYS, size=count, p=weight / weight.sum())
    taken = FIRST_DAY.astype(np.int64) + days * 86_400 + (86_399 * random.beta(4, 3, count)).astype(np.int64)
    towns = random.uniform((WEST - 0.5, SOUTH - 0.5), (EAST + 0.5, NORTH + 0.5), (3_000, 2))
    town = (3_000 * random.random(count) ** 3).astype(np.int64)
    places = towns[town] + random.normal(0, 0.05, (count, 2))
    lon, lat = (np.round(places * _WHOLE).astype(np.int32)).T
    owner = (200_000 * random.random(count) ** 2).astype(np.int32)
    # One in twenty repeats its neighbour: author, place and minute.
    copies = 1 + np.flatnonzero(random.random(count - 1) < 0.05)
    for column in (taken, lon, lat, owner):
        column[copies] = column[copies - 1]
    order = np.argsort(taken, kind="stable")
    number = 10_000_000_000 + random.permutation(np.arange(count, dtype=np.int64) * 7 + random.integers(0, 7, count))
    licence = random.choice(17, count, p=[0.04] + [0.06] * 16).astype(np.int8)
    accuracy = random.choice([16, 15, 14, 11], count, p=[0.94, 0.03, 0.02, 0.01]).astype(np.int8)
    return Records(number, taken[order], lon[order], lat[order], owner[order], licence, accuracy)


def photo(records: Records, row: int, taken: str) -> str:
    """One photo of an answer, as JSON."""
    number, owner = int(records.number[row]), int(records.owner[row])
    return (
        f'{{"id":"{number}","owner":"{owner}@N00","secret":"abcdef1234","server":"65535","farm":66,'
        f'"title":"Photo {number % 1000} of a day out","ispublic":1,"isfriend":0,"isfamily":0,"license":"{records.licence[row]}",'
        f'"datetaken":"{taken}","datetakengranularity":0,"datetakenunknown":"0","ownername":"Photographer {owner}",'
        f'"tags":"europe outdoor tag{number % 500} tag{owner % 300}","latitude":"{records.lat[row] / _WHOLE:.5f}",'
        f'"longitude":"{records.lon[row] / _WHOLE:.5f}","accuracy":"{records.accuracy[row]}","context":0,"pathalias":null,'
        f'"url_c":"https://live.staticflickr.com/65535/{number}_abcdef1234_c.jpg","height_c":600,"width_c":800}}'
    )


def answer(records: Records, query: dict[str, str]) -> bytes:
    """The service's answer."""
    if query["method"] == "flickr.photos.licenses.getInfo":
        return json.dumps(
            {"licenses": {"license": [{"id": 7, "name": "No known copyright restrictions", "url": ""}]}, "stat": "ok"}
        ).encode()
    found, size, page = records.matching(query), int(query["per_page"]), int(query["page"])
    start = (page - 1) * size
    shown = found[:size] if start >= MOST else found[start : start + size]
    times = np.datetime_as_string(records.taken[shown].astype("datetime64[s]")) if len(shown) else []
    photos = ",".join(photo(records, int(row), str(time).replace("T", " ")) for row, time in zip(shown, times, strict=True))
    pages = -(-len(found) // size)
    head = f'{{"photos":{{"page":{page},"pages":{pages},"perpage":{size},"total":"{len(found)}","photo":['
    return f'{head}{photos}]}},"stat":"ok"}}'.encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed client hangs up."""


def _serve(count: int, seed: int, pipe: Connection) -> None:
    records = draw(count, seed)
    asked: dict[str, int] = {}
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1

        def do_GET(self) -> None:
            if self.path == "/asked":
                body = json.dumps({"requests": sum(asked.values()), "different": len(asked)}).encode()
            else:
                with guard:
                    asked[self.path] = asked.get(self.path, 0) + 1
                body = answer(records, dict(parse_qsl(urlsplit(self.path).query)))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    # The parent's death closes its end of the pipe.
    with contextlib.suppress(EOFError):
        pipe.recv()


@contextlib.contextmanager
def stand_in(count: int, seed: int = 0) -> Iterator[str]:
    """Serves records from a process of its own; the address of the server."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=_serve, args=(count, seed, theirs), daemon=True)
    child.start()
    theirs.close()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        ours.close()
        child.join(timeout=10)
        if child.is_alive():
            child.kill()
            child.join()

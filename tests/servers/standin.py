"""A stand-in of the embedded world on loopback, by plain HTTP, with a test's own faults between it and the client."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from skygraft.world.scattered import DrawnPhoto
from skygraft.world.wire import FileSlice, Request, Response

Serve = Callable[[Request], Response]
Spoil = Callable[[int, Request, Response], Response]


@dataclass
class StandIn:
    """A running stand-in: its address, and the queries it got, in order, with their paths, headers and bodies."""

    base: str
    queries: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@contextlib.contextmanager
def stand_in(serve: Serve, spoil: Spoil = lambda number, request, response: response) -> Iterator[StandIn]:
    """Serve a stand-in for the length of the block.

    Args:
        serve: Makes the true answers.
        spoil: Makes of a request's number (from 1), the request and the true answer what is sent.
    """
    guard = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

        def _handle(self) -> None:
            path, _, query = self.path.partition("?")
            headers = {name.lower(): value for name, value in self.headers.items()}
            posted = self.rfile.read(int(headers.get("content-length", 0)))
            request = Request(self.command, "127.0.0.1", path, query, headers, posted)
            with guard:
                running.queries.append(dict(parse_qsl(query)))
                running.headers.append(headers)
                running.paths.append(path)
                running.bodies.append(posted)
                number = len(running.queries)
            answer = spoil(number, request, serve(request))
            body = b"".join(answer.body.blocks()) if isinstance(answer.body, FileSlice) else answer.body
            sent = len(body) if answer.flaw is None or answer.flaw.stop is None else answer.flaw.stop
            self.close_connection = sent < len(body)
            # A client that was killed takes no answer.
            with contextlib.suppress(ConnectionError):
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body[:sent])

        do_GET = do_POST = _handle  # noqa: N815 - the base class's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    runner = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    running = StandIn(f"http://127.0.0.1:{server.server_address[1]}")
    runner.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        runner.join()


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Response], Response]:
    """An answer whose JSON document was changed in place."""

    def rewrite(response: Response) -> Response:
        assert isinstance(response.body, bytes)
        document = json.loads(response.body)
        change(document)
        return Response(response.status, response.headers, json.dumps(document).encode())

    return rewrite


def scattered(count: int, seed: int = 3, middle: tuple[float, float] = (10.4, 48.7), spread: float = 0.2) -> list[DrawnPhoto]:
    """Photos over a square, a third of them crowded into a hundredth of it, of every licence and of three years."""
    rng = np.random.default_rng(seed)
    wide = rng.uniform(-spread, spread, (count, 2))
    wide[: count // 3] *= 0.1
    return [
        DrawnPhoto(
            str(500_000 + number),
            round(middle[0] + float(x), 6),
            round(middle[1] + float(y), 6),
            datetime(2017, 1, 1) + timedelta(minutes=int(rng.integers(0, 3 * 365 * 24 * 60))),
            f"Author{number % 40}",
            int(rng.integers(0, 13)),
            f"Title & {number}",
            ("field", f"tag{number % 7}"),
            150,
            112,
            Path("absent.jpg"),
        )
        for number, (x, y) in enumerate(wide)
    ]


def inside(photos: Sequence[DrawnPhoto], box: Sequence[float]) -> list[DrawnPhoto]:
    """The naive filter by a box."""
    west, south, east, north = box
    return [photo for photo in photos if west <= photo.longitude <= east and south <= photo.latitude <= north]

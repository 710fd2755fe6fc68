"""The server itself: standard library alone, so that a child process starts in a tenth of a second."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.servers.answers import Answer, forbidden, status
from tests.servers.child import child_server
from tests.servers.pages import Paged, token_of

Script = Mapping[str, Sequence[Answer] | Paged]


@dataclass(frozen=True)
class Seen:
    """One request as the server saw it, with the status it gave (0: reset before any)."""

    method: str
    path: str
    query: dict[str, str]
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    at: float = 0.0


@dataclass(frozen=True)
class ScriptedServer:
    """A running server. `base` is its address without a trailing slash."""

    base: str
    log: Path

    def url(self, path: str) -> str:
        """The address of a path."""
        return f"{self.base}{path}"

    def requests(self, pattern: str = ".*", method: str | None = None) -> list[Seen]:
        """What it was asked so far, in order, where the whole path matches the pattern."""
        seen = [Seen(**json.loads(line)) for line in self.log.read_text().splitlines()]
        return [one for one in seen if re.fullmatch(pattern, one.path) and method in (None, one.method)]

    def count(self, pattern: str = ".*", method: str | None = None) -> int:
        """How many requests it got where the whole path matches the pattern."""
        return len(self.requests(pattern, method))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, script: Script, log: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = {re.compile(pattern): answers for pattern, answers in script.items()}
        self.log = log
        self.spent: dict[str, set[int]] = {}
        self.guard = threading.Lock()
        self.over = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the script."""

    def choose(self, method: str, path: str, query: dict[str, str], body: bytes) -> Answer:
        """The answer whose turn it is for this path; spends it unless it is the last."""
        found = next((answers for pattern, answers in self.script.items() if pattern.fullmatch(path)), None)
        if found is None:
            return status(404, b"no such path in the script")
        listed = list(found.before) if isinstance(found, Paged) else list(found)
        with self.guard:
            spent = self.spent.setdefault(path, set())
            for number, answer in enumerate(listed):
                if number in spent or answer.method not in (None, method):
                    continue
                if isinstance(found, Paged) or number < len(listed) - 1:
                    spent.add(number)
                return answer
        return found.page(token_of(query, body)) if isinstance(found, Paged) else listed[-1]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the request log is the server's own."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        path, query = unquote(parts.path), dict(parse_qsl(parts.query))
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        answer = self.server.choose(self.command, path, query, body)
        if answer.accepted is not None and query.get("sig") not in answer.accepted:
            answer = forbidden()
        code, entity, extra = self._entity(answer)
        given = 0 if answer.reset_after == 0 else code
        seen = Seen(self.command, path, query, given, dict(self.headers.items()), body.decode("utf-8", "replace"), time.time())
        with self.server.guard:
            if self.server.over:
                # Nobody waits for the threads of clients that are still here, and the log's folder goes.
                self.close_connection = True
                return
            with self.server.log.open("a") as log:
                log.write(json.dumps(asdict(seen)) + "\n")
        if answer.delay:
            time.sleep(answer.delay)
        self._send(answer, code, entity, extra)

    do_GET = do_HEAD = do_POST = do_PUT = _handle  # noqa: N815 - the base class's names

    def _entity(self, answer: Answer) -> tuple[int, bytes, dict[str, str]]:
        body = answer.body
        if "json" in answer.content_type:
            host, port = self.server.server_address[:2]
            body = body.replace(b"SERVER_URL", f"http://{host!s}:{port}".encode())
        extra = {"Content-Type": answer.content_type, **answer.headers}
        if answer.status != 200:
            return answer.status, body, extra
        extra["ETag"] = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if not answer.ranges:
            return 200, body, extra
        extra["Accept-Ranges"] = "bytes"
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if not wanted or not (wanted[1] or wanted[2]):
            return 200, body, extra
        if wanted[1]:
            first, last = int(wanted[1]), min(int(wanted[2] or len(body) - 1), len(body) - 1)
        else:
            first, last = max(len(body) - int(wanted[2]), 0), len(body) - 1
        if first > last:
            return 416, b"", extra | {"Content-Range": f"bytes */{len(body)}"}
        return 206, body[first : last + 1], extra | {"Content-Range": f"bytes {first}-{last}/{len(body)}"}

    def _send(self, answer: Answer, code: int, entity: bytes, extra: dict[str, str]) -> None:
        if answer.reset_after == 0:
            return self._reset()
        self.send_response(code)
        for name, value in extra.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(entity) if answer.declared is None else answer.declared))
        self.end_headers()
        if self.command == "HEAD":
            return None
        if answer.chunk is not None:
            for start in range(0, len(entity), answer.chunk):
                self.wfile.write(entity[start : start + answer.chunk])
                time.sleep(answer.pause)
            return None
        stop = answer.cut if answer.cut is not None else answer.reset_after
        self.wfile.write(entity if stop is None else entity[:stop])
        if answer.reset_after is not None:
            self._reset()
        elif answer.cut is not None or answer.declared is not None:
            self.close_connection = True
        return None

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Both file objects share the socket: it sends its RST only when the last of them is closed.
        self.rfile.close()
        self.connection.close()
        self.close_connection = True


def _run_child(script: Script, log: Path, pipe: Connection) -> None:
    server = _Server(script, log)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_address[1])
    # The parent's death closes its end of the pipe, and the child with it.
    with contextlib.suppress(EOFError):
        pipe.recv()


@contextlib.contextmanager
def _thread(script: Script, log: Path) -> Iterator[int]:
    server = _Server(script, log)
    runner = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    runner.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        runner.join()
        with server.guard:
            server.over = True


@contextlib.contextmanager
def scripted_server(script: Script, *, process: bool = False) -> Iterator[ScriptedServer]:
    """Serve the script on a free loopback port for the length of the block.

    Args:
        script: answers by pattern of the path; see the package's docstring.
        process: run in a child process, which rasterio needs.
    """
    with tempfile.TemporaryDirectory(prefix="scripted-") as folder:
        log = Path(folder) / "requests.jsonl"
        log.touch()
        with child_server(_run_child, dict(script), log) if process else _thread(script, log) as port:
            yield ScriptedServer(f"http://127.0.0.1:{port}", log)

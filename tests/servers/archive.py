"""The files of a zip archive as photos on loopback: a server in a process of its own that counts requests and connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import unquote

from tests.servers.child import child_server

_SEEN = "/seen"


@dataclass(frozen=True)
class ArchiveServer:
    """A running server. `base` is its address without a trailing slash."""

    base: str

    def seen(self) -> dict[str, int]:
        """Counts: `requests`, `connections`, and the `most_open` of them at once, the one that asks for this among them."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.base + _SEEN) as answer:
            counts: dict[str, int] = json.load(answer)
        return counts


class _Files(asyncio.Protocol):
    def __init__(self, archive: zipfile.ZipFile, delay: float, counts: Counter[str]) -> None:
        self._archive, self._delay, self._counts = archive, delay, counts
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._counts["connections"] += 1
        self._counts["open"] += 1
        self._counts["most_open"] = max(self._counts["most_open"], self._counts["open"])

    def connection_lost(self, error: Exception | None) -> None:
        self._counts["open"] -= 1

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head, self._received = self._received[:end], self._received[end + 4 :]
            path = unquote(head.split(b" ", 2)[1].decode())
            if path == _SEEN:
                self._send(200, json.dumps(self._counts).encode())
                continue
            self._counts["requests"] += 1
            asyncio.get_running_loop().call_later(self._delay, self._answer, path)

    def _answer(self, path: str) -> None:
        try:
            self._send(200, self._archive.read(path.removeprefix("/")))
        except KeyError:
            self._send(404, b"")

    def _send(self, code: int, body: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.writelines(
                [b"HTTP/1.1 %d -\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (code, len(body)), body]
            )


async def _serve(archive: Path, delay: float, pipe: Connection) -> None:
    loop, counts, ended = asyncio.get_running_loop(), Counter[str](), asyncio.Event()
    # The parent's death closes its end of the pipe, and the child with it.
    loop.add_reader(pipe.fileno(), ended.set)
    with zipfile.ZipFile(archive) as files:
        server = await loop.create_server(lambda: _Files(files, delay, counts), "127.0.0.1", 0, backlog=1024)
        pipe.send(server.sockets[0].getsockname()[1])
        await ended.wait()
        server.close()


def _run_child(archive: Path, delay: float, pipe: Connection) -> None:
    asyncio.run(_serve(archive, delay, pipe))


@contextlib.contextmanager
def archive_server(archive: Path, delay: float = 0.0) -> Iterator[ArchiveServer]:
    """Serve an archive's files under their names, each after `delay` seconds, for the length of the block."""
    with child_server(_run_child, archive, delay) as port:
        yield ArchiveServer(f"http://127.0.0.1:{port}")

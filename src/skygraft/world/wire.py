"""HTTP/1.1 of the embedded world's services: requests in, answers out, and answers that go wrong on purpose.

A server of our own and not uvicorn's: an ASGI server keeps an application from sending a length that lies, half a
body or a reset, and these are what the clients are tested against.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024
_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Request:
    """A request as it came.

    Attributes:
        method: in capitals.
        host: in small letters, without a port.
        path: still percent-encoded, with its leading slash.
        query: still percent-encoded, without the question mark.
        headers: names in small letters.
        body: whole.
    """

    method: str
    host: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class FileSlice:
    """Some bytes of a file, read when they are sent."""

    path: Path
    start: int
    length: int

    def blocks(self) -> Iterator[bytes]:
        """The bytes, a quarter of a megabyte at a time."""
        with self.path.open("rb") as file:
            left = self.length
            while left and (block := os.pread(file.fileno(), min(left, _BLOCK), self.start + self.length - left)):
                left -= len(block)
                yield block


class Slice(Protocol):
    """Some bytes that are read or made when they are sent."""

    @property
    def length(self) -> int:
        """How many."""

    def blocks(self) -> Iterator[bytes]:
        """The bytes, in parts."""


@dataclass(frozen=True)
class Flaw:
    """What goes wrong while an answer is sent.

    Attributes:
        stop: only so many bytes of the body are sent, then the connection closes; None: all.
        declared: the Content-Length to lie with; None: the true one.
        reset: the connection ends with a reset instead of a close; with `stop` 0 not even the status line is sent.
        chunk: bytes sent at a time; None: all at once.
        pause: seconds between the chunks.
    """

    stop: int | None = None
    declared: int | None = None
    reset: bool = False
    chunk: int | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class Response:
    """An answer: the body is bytes, or a part of something larger; `flaw` says how it fails to arrive."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Slice = b""
    flaw: Flaw | None = None

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length

    def sent_length(self, method: str) -> int:
        """Bytes of the body that will leave for a request of this method."""
        if method == "HEAD" or (self.flaw and self.flaw.reset and not self.flaw.stop):
            return 0
        return self.length if self.flaw is None or self.flaw.stop is None else min(self.flaw.stop, self.length)


Handler = Callable[[Request], Awaitable[Response]]


class BadRequestError(Exception):
    """What came is not a request that this server reads; the text goes back with 400."""


async def read_head(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str]] | None:
    """Read a request's first line and headers.

    Returns:
        Method, target and headers, or None where the connection ended.

    Raises:
        BadRequestError: It is not HTTP/1.x.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequestError("the headers are too long") from error
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    parts = first.split(" ")
    if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
        raise BadRequestError("the first line is not that of an HTTP/1.1 request")
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise BadRequestError("a header has no colon")
        headers[name.strip().lower()] = value.strip()
    return parts[0].upper(), parts[1], headers


async def _read_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Mapping[str, str]) -> bytes:
    if "transfer-encoding" in headers:
        raise BadRequestError("a body must come with its Content-Length")
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise BadRequestError("the Content-Length is not one that is taken")
    if headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if not int(length):
        return b""
    # urllib3 keeps Nagle's algorithm on behind a proxy: the body waits for the headers' acknowledgement, which Linux delays by 40 ms.
    sock = writer.get_extra_info("socket")
    if sock is not None and hasattr(socket, "TCP_QUICKACK"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
    return await reader.readexactly(int(length))


def host_of(value: str) -> str:
    """The host of `host:port`, in small letters."""
    name = value.strip().lower()
    return name[: name.index("]") + 1] if name.startswith("[") and "]" in name else name.split(":", 1)[0]


def split_target(target: str, host: str) -> tuple[str, str, str]:
    """Host, path and query of a request target, which a plain proxy request gives as a whole address."""
    if target.startswith("http://"):
        authority, _, rest = target.removeprefix("http://").partition("/")
        host, target = host_of(authority), "/" + rest
    path, _, query = target.partition("?")
    return host, path, query


async def serve_requests(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    handle: Handler,
    first: tuple[str, str, dict[str, str]] | None = None,
) -> None:
    """Answer the requests of one connection, one after the other, until it ends.

    Args:
        reader: of the connection.
        writer: of the connection.
        handle: makes each answer.
        first: a head that was read already.
    """
    try:
        while (head := first or await read_head(reader)) is not None:
            first = None
            method, target, headers = head
            body = await _read_body(reader, writer, headers)
            host, path, query = split_target(target, host_of(headers.get("host", "")))
            response = await handle(Request(method, host, path, query, headers, body))
            keep = headers.get("connection", "").lower() != "close"
            if not await send(writer, method, response, keep):
                return
    except BadRequestError as error:
        await send(writer, "GET", Response(400, {"Content-Type": "text/plain"}, str(error).encode()), keep=False)


def _head(response: Response, keep: bool) -> bytes:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "Unknown"
    length = response.length if response.flaw is None or response.flaw.declared is None else response.flaw.declared
    lines = [f"HTTP/1.1 {response.status} {phrase}", *(f"{name}: {value}" for name, value in response.headers.items())]
    if response.status != HTTPStatus.NOT_MODIFIED:
        lines.append(f"Content-Length: {length}")
    lines.append(f"Connection: {'keep-alive' if keep else 'close'}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def send(writer: asyncio.StreamWriter, method: str, response: Response, keep: bool) -> bool:
    """Send an answer, with its flaw.

    Returns:
        Whether the connection may carry another request.
    """
    flaw = response.flaw or Flaw()
    if flaw.reset and not flaw.stop:
        reset(writer)
        return False
    keep = keep and (method == "HEAD" or (flaw.stop is None and flaw.declared is None))
    head = _head(response, keep)
    if method == "HEAD":
        writer.write(head)
        await writer.drain()
        return keep
    left = response.sent_length(method)
    for block in [response.body] if isinstance(response.body, bytes) else response.body.blocks():
        block = block[:left]
        left -= len(block)
        if flaw.chunk is None:
            # Head and first block in one write: one TLS record and one packet for a small answer.
            writer.write(head + block)
            await writer.drain()
        else:
            writer.write(head)
            await _drip(writer, block, flaw.chunk, flaw.pause)
        head = b""
        if not left:
            break
    if head:
        writer.write(head)
        await writer.drain()
    if flaw.reset:
        reset(writer)
    # A file that shrank under our hands leaves a promise that only a close can break.
    return keep and not flaw.reset and not left


async def _drip(writer: asyncio.StreamWriter, block: bytes, chunk: int, pause: float) -> None:
    for start in range(0, len(block), chunk):
        writer.write(block[start : start + chunk])
        await writer.drain()
        await asyncio.sleep(pause)


def reset(writer: asyncio.StreamWriter) -> None:
    """End the connection with a TCP reset."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()

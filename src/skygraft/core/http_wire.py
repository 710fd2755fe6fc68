"""One request on a connection, and its answer.

Nearly every answer is a plain one: HTTP/1.1, its length declared, its body as it is. Those are read here, at a tenth of what http.client
takes; every other one (chunked, compressed, of unknown length, not well formed) is handed with the bytes that have come to http.client
and urllib3, which know them all.
"""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import urllib3

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Given = TypeVar("Given")
Got = TypeVar("Got")
_CHUNK = 1 << 16
_BODY_CHUNK = 1 << 18
_LONGEST_HEAD = 1 << 16
_FIRST = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [^\r\n]*)?")
# Spaces are taken off its value afterwards: a pattern that may give them to one part or to another looks at a long run of them for hours.
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\r\n\0]*)")
_UNFIT = re.compile(r"[\x00-\x20\x7f]")
_BEFORE = b"HTTP/1.1 1"
_FIRST_STATUS = 200
# As the system takes it: seconds and microseconds.
_TIME = struct.Struct("@ll")
_BODILESS = (204, 304)
_LONGEST_LENGTH = 15


@contextmanager
def told() -> Iterator[None]:
    """Turns what sockets and http.client raise into urllib3's errors: the sink's own must not be taken for the network's."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise urllib3.exceptions.ProtocolError("the exchange failed", error) from error


class Wire:
    """A connected socket, each read of which waits for so long at most, and never past the deadline of the request.

    Args:
        sock: The socket.
        patience: Seconds between two arrivals of bytes.
        until: When the request must be through, on the monotonic clock.
    """

    def __init__(self, sock: socket.socket | ssl.SSLSocket, patience: float, until: float) -> None:
        self._sock, self._patience, self._until = sock, patience, until
        # Python waits for a socket with a timeout by a call of its own before each read, and in each call the interpreter goes to another
        # thread: with the system's own timeouts it is one call a read. OpenSSL does not know them.
        self._plain = type(sock) is socket.socket
        self._waits = 0.0
        if self._plain and sock.gettimeout() is not None:
            sock.settimeout(None)

    def send(self, data: bytes) -> None:
        """Sends all of ``data``; where the other side has hung up, its answer tells why."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._in_time(self._sock.send, rest) :]
        except BrokenPipeError:
            return

    def receive(self, most: int) -> bytes:
        """What has come, once there is something; nothing at the end."""
        return self._in_time(self._sock.recv, most)

    def receive_into(self, buffer: WriteableBuffer) -> int:
        """As :meth:`receive`."""
        return self._in_time(self._sock.recv_into, buffer)

    def fill(self, buffer: memoryview) -> int:
        """As :meth:`receive_into`, but where the system can, it waits for all of it: whoever is woken for each part waits for its turn."""
        if not self._plain:
            return self.receive_into(buffer)
        return self._in_time(lambda room: self._sock.recv_into(room, 0, socket.MSG_WAITALL), buffer)

    def _in_time(self, call: Callable[[Given], Got], given: Given) -> Got:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline has passed")
        self._wait_at_most(min(self._patience, left))
        try:
            return call(given)
        except BlockingIOError:
            raise TimeoutError("nothing came in time") from None

    def _wait_at_most(self, seconds: float) -> None:
        if not self._plain:
            self._sock.settimeout(seconds)
        elif seconds != self._waits:
            self._waits = seconds
            # No time at all would mean no limit.
            told_time = _TIME.pack(int(seconds), max(1, int(seconds % 1 * 1e6)))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, told_time)
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, told_time)


class Answer(ABC):
    """An answer whose head has come.

    Args:
        status: Its number.
        headers: As sent; names in any case.
        chunks: The body as it arrives.
        length: Of the body, where :meth:`laid` can bring it; else none.
    """

    def __init__(self, status: int, headers: Mapping[str, str], chunks: Iterator[bytes], length: int | None = None) -> None:
        self.status, self.headers, self.chunks, self.length = status, headers, chunks, length
        # Of the body, as it came over the wire.
        self.received = 0

    def laid(self, room: memoryview) -> Iterator[memoryview]:
        """The body as it arrives, in place of :attr:`chunks`: the parts of ``room``, which has its length, that are full by then."""
        raise AssertionError("unreachable: only an answer that has a length is laid down")

    @abstractmethod
    def reusable(self) -> bool:
        """Whether the connection can carry another request now."""


class _Plain(Answer):
    """An answer with a declared length, read from the socket itself."""

    def __init__(self, wire: Wire, status: int, headers: urllib3.HTTPHeaderDict, length: int, start: bytes) -> None:
        super().__init__(status, headers, self._body(), length)
        self._wire, self._start = wire, start
        self._length, self._spoilt = length, len(start) > length
        self._lasts = "close" not in headers.get("Connection", "").lower()

    def _body(self) -> Iterator[bytes]:
        chunk = self._start[: self._length]
        while True:
            self.received += len(chunk)
            if chunk:
                yield chunk
            if self.received >= self._length:
                return
            with told():
                chunk = self._wire.receive(min(_BODY_CHUNK, self._length - self.received))
            if not chunk:
                self._spoilt = True
                return

    def laid(self, room: memoryview) -> Iterator[memoryview]:
        count = min(len(self._start), self._length)
        room[:count] = self._start[:count]
        while True:
            part = room[self.received : self.received + count]
            self.received += count
            if count:
                yield part
            if self.received >= self._length:
                return
            with told():
                count = self._wire.fill(room[self.received : self._length])
            if not count:
                self._spoilt = True
                return

    def reusable(self) -> bool:
        return self._lasts and not self._spoilt and self.received == self._length


class _Other(Answer):
    """Any answer that http.client can read."""

    def __init__(self, sock: socket.socket | ssl.SSLSocket, wire: Wire, start: bytes) -> None:
        self._raw = _Response(sock, wire, start)
        with told():
            self._raw.begin()
        if self._raw.status < _FIRST_STATUS:
            raise urllib3.exceptions.ProtocolError("there is no answer but what comes before one")
        headers = urllib3.HTTPHeaderDict(self._raw.msg.items())
        status = self._raw.status
        self._answer = urllib3.HTTPResponse(self._raw, headers, status, preload_content=False, original_response=self._raw)
        super().__init__(status, headers, self._body())

    def _body(self) -> Iterator[bytes]:
        # A read that waits for a full buffer would sit out a slow drip past any deadline.
        while chunk := self._next():
            yield chunk

    def _next(self) -> bytes:
        with told():
            chunk: bytes = self._answer.read1(_CHUNK, decode_content=True)
        self.received = self._answer.tell()
        return chunk

    def reusable(self) -> bool:
        return self._raw.isclosed() and not self._raw.will_close


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket | ssl.SSLSocket, wire: Wire, start: bytes) -> None:
        super().__init__(sock, method="GET")
        self.fp.close()
        self.fp = io.BufferedReader(_Bytes(wire, start))


class _Bytes(io.RawIOBase):
    """What has come already, and then what comes."""

    def __init__(self, wire: Wire, start: bytes) -> None:
        self._wire, self._start = wire, start

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        if not self._start:
            return self._wire.receive_into(buffer)
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._start))
        view[:count], self._start = self._start[:count], self._start[count:]
        return count


def request(target: str, host: str, headers: Mapping[str, str], body: bytes | None = None) -> bytes:
    """The bytes of a GET, or with a body of a POST.

    Raises:
        urllib3.exceptions.LocationParseError: The address or a header has what would end a line.
    """
    fields = {"Host": host, **headers} | ({} if body is None else {"Content-Length": str(len(body))})
    lines = [f"{'GET' if body is None else 'POST'} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    if _UNFIT.search(target) or _UNFIT.search(host) or any("\r" in line or "\n" in line for line in lines):
        raise urllib3.exceptions.LocationParseError(host)
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def exchange(sock: socket.socket | ssl.SSLSocket, wire: Wire, data: bytes) -> Answer:
    """Sends a request and receives the head of its answer.

    Raises:
        urllib3.exceptions.HTTPError: There is none.
    """
    with told():
        wire.send(data)
    return answer(sock, wire, b"")


def answer(sock: socket.socket | ssl.SSLSocket, wire: Wire, start: bytes) -> Answer:
    """Receives the head of an answer, of which the start may have come already.

    Raises:
        urllib3.exceptions.HTTPError: There is none.
    """
    with told():
        start = _head(wire, start)
        # What a server says before it answers (103 and the like): taken for the answer, it would leave that one to the next request.
        while start.startswith(_BEFORE) and b"\r\n\r\n" in start:
            start = _head(wire, start.partition(b"\r\n\r\n")[2])
    return _plain(wire, start) or _Other(sock, wire, start)


def _head(wire: Wire, start: bytes) -> bytes:
    """What has come once the head of an answer is whole, or is seen to be no plain one's."""
    while not start or (_may_be_plain(start) and b"\r\n\r\n" not in start):
        more = wire.receive(_CHUNK)
        if not more:
            break
        start += more
    return start


def _may_be_plain(start: bytes) -> bool:
    return len(start) < _LONGEST_HEAD and (len(start) < 9 or start.startswith(b"HTTP/1.1 ")) and b"\n\n" not in start


def _plain(wire: Wire, start: bytes) -> _Plain | None:
    head, end, rest = start.partition(b"\r\n\r\n")
    told_head = plain_head(head) if end else None
    return None if told_head is None else _Plain(wire, *told_head, rest)


def plain_head(head: bytes) -> tuple[int, urllib3.HTTPHeaderDict, int] | None:
    """Status, headers and declared length of a plain answer; none where it is another one.

    Args:
        head: Up to the empty line, without it.
    """
    first, *lines = head.split(b"\r\n")
    told_status = _FIRST.fullmatch(first)
    if told_status is None:
        return None
    headers = urllib3.HTTPHeaderDict()
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return None
        headers.add(field[1].decode("ascii"), field[2].strip(b" \t").decode("latin-1"))
    length = declared_length(headers)
    status = int(told_status[1])
    odd = status in _BODILESS or "Transfer-Encoding" in headers or headers.get("Content-Encoding", "identity") != "identity"
    return None if odd or length is None else (status, headers, length)


def unread(sock: socket.socket | ssl.SSLSocket | None) -> bool:
    """Whether OpenSSL holds bytes of a connection that nobody asked for: they would be taken for the next answer."""
    return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0


def declared_length(headers: Mapping[str, str]) -> int | None:
    """The bytes that an answer says its body has; none where it says nothing that can be believed."""
    said = headers.get("Content-Length", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _LONGEST_LENGTH else None

"""Answers of every kind, read by our own wire and by http.client: both must find the same."""

from __future__ import annotations

import gzip
import http.client
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from skygraft.core.http_wire import Answer, Wire, declared_length, exchange, request

BODY = bytes(range(256)) * 40
ZIPPED = gzip.compress(BODY)
CHUNKED = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (BODY[:5], BODY[5:9000], BODY[9000:])) + b"0\r\n\r\n"


def told(length: int, *more: bytes, first: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return b"\r\n".join([first, b"Content-Length: %d" % length, *more, b"", b""])


ANSWERS = {
    "plain": told(len(BODY)) + BODY,
    "no reason": told(len(BODY), first=b"HTTP/1.1 200") + BODY,
    "empty": told(0),
    "an error": told(4, b"Retry-After: 3", first=b"HTTP/1.1 429 Too Many Requests") + b"busy",
    "spaces": told(len(BODY), b"X-Much:   space") + BODY,
    "said twice": told(len(BODY), b"X-Twice: a", b"x-twice: b") + BODY,
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + CHUNKED,
    "chunked with a length": told(7, b"Transfer-Encoding: chunked") + CHUNKED,
    "of unknown length": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
    "old": told(len(BODY), first=b"HTTP/1.0 200 OK") + BODY,
    "after a hint": b"HTTP/1.1 100 Continue\r\n\r\n" + told(len(BODY)) + BODY,
    "folded": told(len(BODY), b"X-Folded: a", b" b") + BODY,
    "nothing to say": b"HTTP/1.1 204 No Content\r\n\r\n",
    "bare line feeds": told(len(BODY)).replace(b"\r\n", b"\n") + BODY,
}

PLAIN = ("plain", "no reason", "empty", "an error", "spaces", "said twice", "after a hint")


@contextmanager
def answered(data: bytes, step: int, *, hang_up: bool = True) -> Iterator[socket.socket]:
    """A socket on which ``data`` comes in pieces, as soon as something was asked."""
    near, far = socket.socketpair()

    def serve() -> None:
        with far:
            far.recv(4096)
            for start in range(0, len(data), step):
                far.sendall(data[start : start + step])
            if not hang_up:
                far.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    with near:
        yield near
    thread.join()


def asked(sock: socket.socket, seconds: float = 60.0) -> Answer:
    return exchange(sock, Wire(sock, seconds, time.monotonic() + seconds), request("/a", "host", {"Accept": "*/*"}))


@pytest.mark.parametrize("step", [7, 1 << 20])
@pytest.mark.parametrize("kind", ANSWERS)
def test_what_is_read_is_what_http_client_reads(kind: str, step: int) -> None:
    with answered(ANSWERS[kind], step) as sock:
        found = asked(sock)
        body = b"".join(found.chunks)
        assert (found.length is None) == (kind not in PLAIN)
    with answered(ANSWERS[kind], step) as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\n\r\n")
        plain = http.client.HTTPResponse(sock, method="GET")
        plain.begin()
        assert (found.status, body) == (plain.status, plain.read())
        for name in ("Content-Length", "Retry-After", "X-Much", "X-Twice"):
            assert found.headers.get(name) == (", ".join(plain.msg.get_all(name, [])) or None)


@pytest.mark.parametrize("step", [7, 1 << 20])
@pytest.mark.parametrize("kind", PLAIN)
def test_a_plain_body_is_laid_down_as_it_would_be_read(kind: str, step: int) -> None:
    with answered(ANSWERS[kind], step, hang_up=False) as sock:
        found = asked(sock)
        assert found.length is not None
        room = bytearray(b"?" * (found.length + 1))
        assert b"".join(found.laid(memoryview(room)[:-1])) == bytes(room[:-1])
        assert bytes(room) == ANSWERS[kind].rpartition(b"\r\n\r\n")[2] + b"?"
        assert (found.received, found.reusable()) == (found.length, True)


@pytest.mark.parametrize(("more", "missing"), [(b"more than was said", 0), (b"", 3)])
def test_no_byte_is_laid_outside_its_room_nor_a_cut_body_taken_for_whole(more: bytes, missing: int) -> None:
    with answered(told(len(BODY)) + BODY[: len(BODY) - missing] + more, 1000) as sock:
        found, room = asked(sock), bytearray(len(BODY))
        assert b"".join(found.laid(memoryview(room))) == BODY[: len(BODY) - missing]
        assert (len(room), found.received) == (len(BODY), len(BODY) - missing)
        # What follows a whole body is seen before the connection is used again.
        assert not (missing and found.reusable())


def test_a_compressed_body_is_unpacked() -> None:
    with answered(told(len(ZIPPED), b"Content-Encoding: gzip") + ZIPPED, 50) as sock:
        assert b"".join(asked(sock).chunks) == BODY


@pytest.mark.parametrize(
    ("kind", "more", "keeps"),
    [("plain", b"", True), ("chunked", b"", True), ("an error", b"", True), ("plain", b"more than was said", False), ("old", b"", False)],
)
def test_a_connection_is_used_again_where_that_is_safe(kind: str, more: bytes, keeps: bool) -> None:
    with answered(ANSWERS[kind] + more, 1 << 20, hang_up=False) as sock:
        found = asked(sock)
        assert kind == "an error" or not found.reusable()
        list(found.chunks)
        assert found.reusable() is keeps


def test_a_server_that_wants_to_close_is_let_go() -> None:
    with answered(told(2, b"Connection: Close") + b"ok", 100) as sock:
        found = asked(sock)
        assert b"".join(found.chunks) == b"ok"
        assert not found.reusable()


def test_a_cut_body_ends_early_and_tells_how_much_came() -> None:
    with answered(told(len(BODY)) + BODY[:-3], 1000) as sock:
        found = asked(sock)
        assert b"".join(found.chunks) == BODY[:-3]
        assert found.received == len(BODY) - 3
        assert not found.reusable()


@pytest.mark.parametrize("data", [b"", b"garbage\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", told(3)[:-3]])
def test_what_is_no_answer_is_an_error_of_the_network(data: bytes) -> None:
    with answered(data, 4) as sock, pytest.raises(urllib3.exceptions.ProtocolError):
        b"".join(asked(sock).chunks)
        raise urllib3.exceptions.ProtocolError if data.startswith(b"HTTP/1.1 200") else AssertionError("it was taken for an answer")


def test_no_wait_lasts_past_the_deadline() -> None:
    with answered(told(10) + b"half", 100, hang_up=False) as sock, pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        list(asked(sock, 0.05).chunks)
    assert isinstance(caught.value.__cause__, TimeoutError)
    with answered(told(10) + b"half", 100, hang_up=False) as sock, pytest.raises(urllib3.exceptions.ProtocolError) as caught:
        list(asked(sock, 0.05).laid(memoryview(bytearray(10))))
    assert isinstance(caught.value.__cause__, TimeoutError)


@pytest.mark.parametrize(
    ("target", "host", "value"), [("/a b", "h", ""), ("/a\r\nX: y", "h", ""), ("/", "h\n", ""), ("/", "h", "a\r\nX: y")]
)
def test_nothing_from_outside_ends_a_line_of_a_request(target: str, host: str, value: str) -> None:
    with pytest.raises(urllib3.exceptions.LocationParseError):
        request(target, host, {"Accept": value})
    assert (
        request("/a?b=c", "h:1", {"Accept": "x"}, b"{}") == b"POST /a?b=c HTTP/1.1\r\nHost: h:1\r\nAccept: x\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize("step", [11, 1 << 20])
@pytest.mark.parametrize("before", [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" * 3])
def test_what_a_server_says_before_it_answers_is_not_its_answer(before: bytes, step: int) -> None:
    with answered(before + ANSWERS["plain"], step, hang_up=False) as sock:
        found = asked(sock)
        assert (found.status, b"".join(found.chunks), found.reusable()) == (200, BODY, True)


@pytest.mark.parametrize("data", [b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.0 103 Early Hints\n\n"])
def test_where_nothing_else_comes_there_is_no_answer(data: bytes) -> None:
    with answered(data, 100) as sock, pytest.raises(urllib3.exceptions.ProtocolError):
        asked(sock)


def test_a_header_of_spaces_is_read_in_no_time() -> None:
    """A pattern that tries every way to share them out would be at it for days, and no other thread would run."""
    with answered(told(2, b"X: " + b" " * 60_000 + b"\0") + b"ok", 1 << 20) as sock:
        found = asked(sock)
        assert b"".join(found.chunks) == b"ok"


@pytest.mark.parametrize(("said", "length"), [("12", 12), ("", None), ("-1", None), ("9" * 5000, None), ("1, 1", None), ("\u0663", None)])
def test_a_length_is_believed_where_it_can_be_one(said: str, length: int | None) -> None:
    assert declared_length({"Content-Length": said}) == length

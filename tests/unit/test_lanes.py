"""Requests on connections that stand: whatever comes, it is taken as a request of its own would take it."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme
from tests.servers import Answer, drip, hang, ok, rate_limited, reset, scripted_server, status, truncated, wrong_length

from skygraft.core.errors import ItemError
from skygraft.core.fetching import Fetched, fetch_many
from skygraft.core.host_gate import HostGate, Turn
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy, Request, Response, Trace
from skygraft.core.lanes import Lanes

BODY = bytes(range(256)) * 2000
QUICK = {"backoff_s": 0.01, "backoff_cap_s": 0.02, "read_timeout_s": 0.5, "deadline_s": 1.2, "attempts": 2}
Outcome = tuple[bytes | None, str | None, int]
ODD: dict[str, list[Answer]] = {
    "plain": [ok(BODY)],
    "empty": [ok(b"")],
    "not there": [status(404, b"no")],
    "broken for once": [status(500, b"no"), ok(BODY)],
    "throttled for once": [rate_limited(0.05), ok(BODY)],
    "moved": [status(302, headers={"Location": "/good"})],
    "moved to nowhere": [status(302, headers={"Location": "http://[::1"})],
    "cut": [truncated(BODY, 100_000)],
    "cut for once": [truncated(BODY, 100_000), ok(BODY)],
    "reset at once": [reset()],
    "reset inside": [reset(BODY, 300_000)],
    "said to be shorter": [wrong_length(BODY, 1000)],
    "said to be longer": [wrong_length(BODY, len(BODY) + 1)],
    "too long": [ok(BODY * 3)],
    "in pieces": [drip(BODY[:40], chunk=10, pause=0.01)],
    "dripping past the deadline": [drip(BODY, chunk=1, pause=0.2)],
    "silent": [hang(30)],
    "without an end": [ok(BODY, headers={"Connection": "close"})],
    "packed": [ok(b"no gzip", headers={"Content-Encoding": "gzip"})],
}


def outcome(made: Callable[[], tuple[bytes, int]]) -> Outcome:
    """What becomes of a request: its content, or the reason and the words of its failure; and the tries it took."""
    try:
        content, attempts = made()
    except ItemError as error:
        return None, f"{error.reason}: {error.detail}", 0
    return content, None, attempts


def told(result: Fetched[bytes]) -> Outcome:
    if result.error is not None:
        return None, f"{result.error.reason}: {result.error.detail}", 0
    return result.value, None, result.trace.attempts


def all_of(http: HttpClient, urls: Sequence[str], concurrency: int = 1, processors: int = 0) -> dict[str, Fetched[bytes]]:
    found: dict[str, Fetched[bytes]] = {}
    requests = [Request(url, f"{number}") for number, url in enumerate(urls)]

    def keep(one: Fetched[bytes]) -> None:
        found[one.request.key] = one

    fetch_many(http, requests, keep, process=lambda answer: answer.content, concurrency=concurrency, processors=processors)
    return found


def alone(script: dict[str, list[Answer]], policy: HttpPolicy) -> tuple[Outcome, int]:
    with scripted_server(script) as server, HttpClient(policy) as http:

        def made() -> tuple[bytes, int]:
            trace = Trace()
            answer: Response = http.get(server.url("/odd"), trace)
            return answer.content, trace.attempts

        return outcome(made), server.count("/odd")


@pytest.mark.parametrize("processors", [0, 2])
@pytest.mark.parametrize("kind", sorted(ODD))
def test_an_odd_answer_on_a_kept_connection_is_what_it_is_on_one_of_its_own(kind: str, processors: int) -> None:
    policy = HttpPolicy(**QUICK, max_bytes=2 * len(BODY))
    script = {"/good": [ok(BODY)], "/odd": ODD[kind]}
    expected, asked = alone(script, policy)
    with scripted_server(script) as server, HttpClient(policy) as http:
        found = all_of(http, [server.url(path) for path in ("/good", "/good", "/odd", "/good", "/good")], processors=processors)
        assert server.count("/odd") == asked
    assert told(found["2"]) == expected
    assert [told(found[key]) for key in "0134"] == [(BODY, None, 1)] * 4


def raw(answers: Sequence[bytes]) -> Callable[[socket.socket], None]:
    """A server that gives one answer after the other on a connection, a request each, and hangs up at the end."""

    def serve(connection: socket.socket) -> None:
        for answer in answers:
            received = b""
            while b"\r\n\r\n" not in received:
                more = connection.recv(1 << 16)
                if not more:
                    return
                received += more
            connection.sendall(answer)

    return serve


@contextmanager
def listening(serve: Callable[[socket.socket], None], wrap: Callable[[socket.socket], socket.socket] = lambda one: one) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=handle, args=(connection,), daemon=True).start()

        def handle(connection: socket.socket) -> None:
            with wrap(connection) as wrapped:
                serve(wrapped)

        threading.Thread(target=accept, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def plain(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


@pytest.mark.parametrize(
    ("odd", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + plain(b"abc"), b"abc"),
        (b"HTTP/1.1 200\r\ncontent-length:3\r\n\r\nabc", b"abc"),
        (b"HTTP/1.0 200 OK\nContent-Length: 3\n\nabc", b"abc"),
    ],
)
def test_a_rare_kind_of_answer_on_a_kept_connection_does_not_shift_those_behind_it(odd: bytes, body: bytes) -> None:
    answers = [plain(b"first"), plain(b"second"), odd, plain(b"last")]
    with listening(raw(answers)) as port, HttpClient(HttpPolicy(**QUICK)) as http:
        found = all_of(http, [f"http://127.0.0.1:{port}/{n}" for n in range(4)])
    # Version 1.0 ends the connection; on the next one the server begins anew.
    behind = b"first" if odd.startswith(b"HTTP/1.0") else b"last"
    assert [found[str(n)].value for n in range(4)] == [b"first", b"second", body, behind]


def test_what_comes_behind_an_answer_is_nobodys() -> None:
    # A server that sends too much has lost count: nothing that comes on that connection can be believed.
    answers = [plain(b"first"), plain(b"second") + b"garbage"]
    with listening(raw([*answers, plain(b"wrong")])) as port, HttpClient(HttpPolicy(**QUICK)) as http:
        found = all_of(http, [f"http://127.0.0.1:{port}/{n}" for n in range(4)])
    # The third request is the first on a connection of its own.
    assert [found[str(n)].value for n in range(4)] == [b"first", b"second", b"first", b"second"]


def test_what_comes_behind_an_answer_by_tls_is_nobodys_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "trusted.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "trusted.pem"))

    def serve(connection: socket.socket) -> None:
        while received := connection.recv(1 << 16):
            asked = received.split(b" ", 2)[1]
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(asked))
            # In one record with the end of the answer, so that OpenSSL has taken it from the system.
            connection.sendall(asked + plain(b"of another"))

    with listening(serve, lambda one: context.wrap_socket(one, server_side=True)) as port, HttpClient(HttpPolicy(**QUICK)) as http:
        found = all_of(http, [f"https://127.0.0.1:{port}/{n}" for n in range(6)])
    assert [found[str(n)].value for n in range(6)] == [b"/%d" % n for n in range(6)]


@pytest.mark.parametrize("error", [OSError("of ours"), BlockingIOError("of ours"), ValueError("of ours")])
@pytest.mark.parametrize("processors", [0, 2])
def test_an_error_of_processing_reaches_the_caller_and_ends_the_work(error: Exception, processors: int) -> None:
    def process(answer: Response) -> bytes:
        raise error

    with scripted_server({"/.*": [ok(BODY)]}) as server, HttpClient() as http:
        requests = [Request(server.url(f"/{n}"), str(n)) for n in range(100)]
        with pytest.raises(type(error), match="of ours"):
            fetch_many(http, requests, lambda result: None, process=process, concurrency=2, processors=processors)
        assert server.count() < 50


def test_no_more_threads_process_at_once_than_are_meant_to() -> None:
    lock, now, most = threading.Lock(), 0, 0

    def process(answer: Response) -> bytes:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        hashlib.pbkdf2_hmac("sha256", answer.content, b"", 2000)
        with lock:
            now -= 1
        return answer.content

    with scripted_server({"/.*": [ok(BODY)]}) as server, HttpClient(HttpPolicy(host=HostLimits(concurrency=12))) as http:
        requests = [Request(server.url(f"/{n}"), str(n)) for n in range(60)]
        fetch_many(http, requests, lambda result: None, process=process, concurrency=12, processors=2)
    assert most <= 2


def test_an_error_while_a_turn_ends_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(gate: HostGate, turn: Turn) -> None:
        raise OSError("a file system that is gone")

    with scripted_server({"/.*": [ok(BODY)]}) as server, HttpClient() as http:
        http.get(server.url("/first"))
        monkeypatch.setattr(HostGate, "leave", leave)
        with pytest.raises(OSError, match="that is gone"):
            fetch_many(http, [Request(server.url("/a"), "a")], lambda result: None, process=lambda answer: answer.content, processors=0)


def test_a_server_that_hangs_up_between_requests_is_asked_again() -> None:
    with listening(raw([plain(BODY)])) as port, HttpClient(HttpPolicy(**QUICK)) as http:
        found = all_of(http, [f"http://127.0.0.1:{port}/{n}" for n in range(20)], concurrency=3)
    assert all(one.value == BODY for one in found.values()) and len(found) == 20


class _LateRing(threading.Event):
    """Somebody rings right after the bell has been taken for silent."""

    def __init__(self, ring: Callable[[], None]) -> None:
        super().__init__()
        self._ring, self.times = ring, 0

    def clear(self) -> None:
        super().clear()
        self.times += 1
        if self.times == 1:
            self._ring()


def test_no_ring_is_lost_however_it_falls_together_with_the_watching() -> None:
    with HttpClient() as http:
        lanes = Lanes(http, lambda task, answer: None, lambda task, begun: None)
        lanes._rung = rung = _LateRing(lanes.wake)
        lanes.wake()
        lanes.watch(0.0)
        assert rung.times == 1
        lanes.wake()
        lanes.watch(0.0)
        assert rung.times == 2, "the ring was not heard, and no later one would be"
        lanes.close()


def test_many_requests_by_tls_share_few_connections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "trusted.pem"))
    opened = []

    def wrap(connection: socket.socket) -> socket.socket:
        opened.append(connection)
        return context.wrap_socket(connection, server_side=True)

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "trusted.pem"))
    with listening(raw([plain(BODY)] * 100), wrap) as port, HttpClient(HttpPolicy(**QUICK)) as http:
        found = all_of(http, [f"https://127.0.0.1:{port}/{n}" for n in range(40)], concurrency=4)
    assert [one.value for one in found.values()] == [BODY] * 40
    assert len(opened) <= 4

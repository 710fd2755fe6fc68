"""The HTTP client against servers that misbehave: what is asked, what is reported, what is never said."""

from __future__ import annotations

import contextlib
import email.utils
import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping

import pytest
from tests.clock import NOW, FakeClock
from tests.servers import (
    Answer,
    drip,
    egress_busy,
    hang,
    json_body,
    ok,
    rate_limited,
    reset,
    scripted_server,
    status,
    truncated,
    wrong_length,
)

from skygraft.core.errors import EndpointError, PermanentItemError, QuotaError, Reason, TransientError
from skygraft.core.host_gate import Turn
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy, Request, Trace
from skygraft.core.http_errors import Problem, retry_after
from skygraft.core.http_types import RoomySink

BODY = bytes(range(256)) * 40


def client(clock: FakeClock | None = None, **settings: object) -> HttpClient:
    return HttpClient(HttpPolicy(**settings), clock or FakeClock())  # type: ignore[arg-type]


class Roomy(RoomySink):
    """A sink with room for bodies, and a list for those whose length nobody declares."""

    def __init__(self) -> None:
        self.laid, self.written = bytearray(), list[bytes]()

    def begin(self, status: int, headers: Mapping[str, str], measured: bool) -> None:
        self.laid, self.written = bytearray(), []

    def room(self, length: int) -> memoryview:
        self.laid = bytearray(length)
        return memoryview(self.laid)

    def write(self, chunk: bytes) -> None:
        self.written.append(chunk)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_whole_body_comes_back_as_served() -> None:
    with scripted_server({"/a": [ok(BODY)]}) as server, client() as http:
        answer = http.get(server.url("/a"))
    assert (answer.status, answer.content, answer.measured) == (200, BODY, True)


def test_retry_after_in_seconds_is_waited_for() -> None:
    clock = FakeClock()
    with scripted_server({"/a": [rate_limited(7), ok(BODY)]}) as server, client(clock) as http:
        assert http.get(server.url("/a")).content == BODY
        assert server.count() == 2
    assert clock.waits == [pytest.approx(7.0)]


def test_a_host_rests_from_the_moment_its_slot_is_free() -> None:
    clock, entered = FakeClock(), []

    with scripted_server({"/a": [rate_limited(30), ok(BODY)]}) as server, client(clock, host=HostLimits(concurrency=1)) as http:
        gate = http.gate(server.url("/a"))
        honest = gate.slot

        @contextlib.contextmanager
        def contested(held: Turn | None = None) -> Iterator[Turn]:
            with honest(held) as turn:
                yield turn
            # Somebody else comes in as soon as the slot is left.
            with honest():
                entered.append(clock.now)

        gate.slot = contested  # type: ignore[method-assign]
        http.get(server.url("/a"))
    assert entered[0] >= 30


def test_retry_after_as_a_date_is_read_by_the_servers_own_clock() -> None:
    clock = FakeClock()
    written = email.utils.formatdate(time.time() + 70, usegmt=True)
    with scripted_server({"/a": [rate_limited(written), ok(BODY)]}) as server, client(clock) as http:
        assert http.get(server.url("/a")).content == BODY
    # Our clock is years behind; the server's tells the difference, to the second in which it answered.
    assert abs(NOW - time.time()) > 1e6
    assert len(clock.waits) == 1 and 60 <= clock.waits[0] <= 71


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("1.5", 1.5), ("-3", 0.0), (email.utils.formatdate(NOW + 9, usegmt=True), 9.0), ("soon", None), ("", None), (None, None)],
)
def test_retry_after_is_read_in_every_form(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, NOW) == seconds


def test_a_pause_holds_for_every_item_of_the_host() -> None:
    clock = FakeClock()
    with scripted_server({"/a": [rate_limited(9)], "/b": [ok(BODY)]}) as server, client(clock, attempts=1) as http:
        with pytest.raises(QuotaError) as caught:
            http.get(server.url("/a"))
        assert caught.value.retry_after == 9.0
        assert http.get(server.url("/b")).content == BODY
    assert clock.waits == [pytest.approx(9.0)]


def test_egress_limit_in_a_503_body_is_a_quota() -> None:
    with scripted_server({"/a": [egress_busy()]}) as server, client(attempts=2) as http, pytest.raises(QuotaError) as caught:
        http.get(server.url("/a"))
    assert caught.value.reason is Reason.THROTTLED


def test_too_long_a_pause_stops_the_work() -> None:
    with scripted_server({"/a": [rate_limited(4000)]}) as server, client() as http:
        with pytest.raises(EndpointError, match="4000 s"):
            http.get(server.url("/a"))
        assert server.count() == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(408), Reason.TIMEOUT),
        (status(500), Reason.SERVER_ERROR),
        (status(503, b"maintenance"), Reason.SERVER_ERROR),
        (truncated(BODY, after=100), Reason.TRUNCATED),
        (Answer(body=BODY, declared=len(BODY) + 5, ranges=False), Reason.TRUNCATED),
        (reset(), Reason.CONNECTION),
        (reset(BODY, after=2000), Reason.CONNECTION),
    ],
    ids=["408", "500", "503", "cut", "longer_length", "reset", "reset_in_body"],
)
def test_a_passing_fault_is_retried_until_it_is_over(answer: Answer, reason: Reason) -> None:
    with scripted_server({"/once": [answer, ok(BODY)], "/always": [answer]}) as server, client(attempts=3) as http:
        assert http.get(server.url("/once")).content == BODY
        trace = Trace()
        with pytest.raises(TransientError) as caught:
            http.get(Request(server.url("/always")), trace)
        assert server.count("/always") == 3
    assert caught.value.reason is reason
    assert trace.attempts == 3


@pytest.mark.parametrize("answer", [truncated(BODY, after=100), reset(BODY, after=2000), rate_limited(7)], ids=["cut", "reset", "refused"])
def test_a_body_is_laid_down_whole_after_any_fault(answer: Answer) -> None:
    sink = Roomy()
    with scripted_server({"/a": [answer, ok(BODY)]}) as server, client(attempts=2) as http:
        http.transfer(lambda: Request(server.url("/a")), sink)
        assert server.count() == 2
    assert (bytes(sink.laid), sink.written) == (BODY, [])


@pytest.mark.parametrize(
    ("code", "reason"),
    [(404, Reason.NOT_FOUND), (410, Reason.NOT_FOUND), (401, Reason.FORBIDDEN), (403, Reason.FORBIDDEN), (400, Reason.BAD_REQUEST)],
)
def test_a_lasting_refusal_is_asked_once(code: int, reason: Reason) -> None:
    with scripted_server({"/a": [status(code)]}) as server, client() as http:
        with pytest.raises(PermanentItemError) as caught:
            http.get(server.url("/a"))
        assert server.count() == 1
    assert caught.value.reason is reason


def test_a_slow_drip_ends_at_the_deadline() -> None:
    policy = HttpPolicy(attempts=3, deadline_s=0.5, read_timeout_s=5.0)
    with scripted_server({"/a": [drip(BODY, chunk=1, pause=0.01)]}) as server, HttpClient(policy) as http:
        with pytest.raises(TransientError) as caught:
            http.get(server.url("/a"))
        assert server.count() == 1
        with pytest.raises(TransientError) as laid:
            http.transfer(lambda: Request(server.url("/a")), Roomy())
    assert caught.value.reason is laid.value.reason is Reason.TIMEOUT


def test_headers_that_drip_end_at_the_deadline_too() -> None:
    def drip_headers(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while True:
                connection.sendall(b"x")
                threading.Event().wait(0.02)

    policy = HttpPolicy(attempts=3, deadline_s=0.5, read_timeout_s=5.0)
    with socket.create_server(("127.0.0.1", 0)) as listener, HttpClient(policy) as http:
        threading.Thread(target=drip_headers, args=(listener,), daemon=True).start()
        with pytest.raises(TransientError) as caught:
            http.get(f"http://127.0.0.1:{listener.getsockname()[1]}/a")
    assert caught.value.reason is Reason.TIMEOUT


def test_a_silent_server_times_out() -> None:
    http = client(attempts=1, read_timeout_s=0.1)
    with scripted_server({"/a": [hang(3.0)]}) as server, http, pytest.raises(TransientError) as caught:
        http.get(server.url("/a"))
    assert caught.value.reason is Reason.TIMEOUT


def test_a_body_over_the_limit_is_refused_whether_declared_or_not() -> None:
    script = {"/declared": [ok(BODY)], "/lying": [wrong_length(BODY, declared=500)]}
    with scripted_server(script) as server, client() as http:
        with pytest.raises(PermanentItemError) as caught:
            http.get(Request(server.url("/declared"), max_bytes=1000))
        with pytest.raises(PermanentItemError, match="1000 bytes"):
            http.transfer(lambda: Request(server.url("/declared"), max_bytes=1000), Roomy())
        assert http.get(Request(server.url("/lying"), max_bytes=1000)).content == BODY[:500]
    assert caught.value.reason is Reason.TOO_LARGE


def test_backoff_doubles_with_a_jitter_that_repeats() -> None:
    waits = []
    for _ in range(2):
        clock = FakeClock()
        http = client(clock, attempts=5, seed=3)
        with scripted_server({"/a": [status(500)]}) as server, http, pytest.raises(TransientError):
            http.get(Request(server.url("/a"), key="item"))
        waits.append(clock.waits)
    assert waits[0] == waits[1]
    assert all(0.5 * 2.0**n <= wait <= 2.0**n for n, wait in enumerate(waits[0]))
    assert len(set(waits[0])) == 4


def test_a_deadline_counts_backoffs_and_not_the_pauses_that_the_host_asks_for() -> None:
    clock = FakeClock()
    script = {"/busy": [rate_limited(50), rate_limited(50), ok(BODY)], "/broken": [status(500)]}
    with scripted_server(script) as server, client(clock, deadline_s=6.0, attempts=9) as http:
        assert http.get(server.url("/busy")).content == BODY
        with pytest.raises(TransientError):
            http.get(server.url("/broken"))
        assert server.count("/broken") < 9
    assert sum(clock.waits) <= 100 + 6.0


def test_a_dead_host_is_given_up_after_a_few_items() -> None:
    url = f"http://127.0.0.1:{unused_port()}/photo.jpg"
    with client(attempts=2, host=HostLimits(breaker=3)) as http:
        for _ in range(3):
            with pytest.raises(TransientError) as caught:
                http.get(url)
            assert caught.value.reason is Reason.CONNECTION
        with pytest.raises(EndpointError, match=r"127\.0\.0\.1.*finished items are kept"):
            http.get(url)


def test_a_host_that_answers_some_items_is_not_dead() -> None:
    with scripted_server({"/good": [ok(BODY)], "/bad": [reset()]}) as server, client(attempts=1, host=HostLimits(breaker=3)) as http:
        http.get(server.url("/good"))
        for _ in range(6):
            with pytest.raises(TransientError):
                http.get(server.url("/bad"))
        assert server.count("/bad") == 6


def test_the_rate_is_kept() -> None:
    clock = FakeClock()
    with scripted_server({"/a": [ok(BODY)]}) as server, client(clock, host=HostLimits(rate=4.0)) as http:
        for _ in range(12):
            http.get(server.url("/a"))
    # The first second's worth passes at once, the other eight take two seconds.
    assert clock.now == pytest.approx(2.0)


@pytest.mark.parametrize("url", ["not an address", "ftp://host/file", "http://[broken/", ""])
def test_what_is_no_address_is_a_bad_request(url: str) -> None:
    with client() as http, pytest.raises(PermanentItemError) as caught:
        http.get(url)
    assert caught.value.reason is Reason.BAD_REQUEST


def test_no_key_is_ever_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    faults = [status(500), status(404), truncated(BODY, 10), reset(), rate_limited(1), hang(1.0)]
    script = {f"/{n}": [fault] for n, fault in enumerate(faults)} | {"/fine": [json_body({})]}
    with scripted_server(script) as server, client(attempts=2, read_timeout_s=0.2) as http:
        urls = [server.url(f"/{n}") for n in range(len(faults))] + [f"http://127.0.0.1:{unused_port()}/x", "http://user:planted@[x/"]
        http.get(server.url("/fine?key=planted"))
        for url in urls:
            asked = Request(f"{url}?sig=planted")
            with pytest.raises((TransientError, PermanentItemError)) as caught:
                http.get(asked)
            error: BaseException | None = caught.value
            assert "planted" not in str(error) + repr(error) + repr(asked)
            assert error is not None and error.__cause__ is None and error.__context__ is None
    assert "planted" not in caplog.text


def test_connections_are_kept_alive_through_successes_and_refusals() -> None:
    ports: set[int] = set()
    with socket.create_server(("127.0.0.1", 0)) as listener, client() as http:
        threading.Thread(target=_serve_many, args=(listener, ports), daemon=True).start()
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        for n in range(6):
            if n % 2:
                with pytest.raises(PermanentItemError):
                    http.get(f"{base}/missing")
            else:
                assert http.get(f"{base}/there").content == b"fine"
    assert len(ports) == 1


def _serve_many(listener: socket.socket, ports: set[int]) -> None:
    while True:
        try:
            connection, address = listener.accept()
        except OSError:
            return
        ports.add(address[1])
        threading.Thread(target=_serve_one, args=(connection,), daemon=True).start()


def _serve_one(connection: socket.socket) -> None:
    with connection, connection.makefile("rb") as lines:
        while (first := lines.readline()) != b"":
            while lines.readline() not in (b"\r\n", b""):
                pass
            code = b"404 Not Found" if b"missing" in first else b"200 OK"
            connection.sendall(b"HTTP/1.1 " + code + b"\r\nContent-Length: 4\r\n\r\nfine")


def test_what_is_posted_is_sent_again_with_every_try() -> None:
    with scripted_server({"/ask": [rate_limited(1), egress_busy(), json_body({"found": 1})]}) as server, client() as http:
        answer = http.get(Request(server.url("/ask"), body=b'{"question": 1}', headers={"Content-Type": "application/json"}))
        seen = server.requests("/ask")
    assert answer.content == b'{"found": 1}'
    assert [(one.method, one.body, one.headers["Content-Type"]) for one in seen] == [("POST", '{"question": 1}', "application/json")] * 3


def test_a_service_s_own_words_decide_whether_to_try_again() -> None:
    def read(code: int, headers: Mapping[str, str], body: bytes) -> Problem | None:
        if b"busy" in body:
            return Problem(Reason.THROTTLED, f"HTTP {code}, busy", answered=True, overloaded=True)
        return None if code == 401 else Problem(Reason.NOT_FOUND, body.decode(), answered=True)

    script = {"/a": [status(400, b"too busy"), status(401, b"renew it")], "/b": [status(400, b"no such thing")]}
    with scripted_server(script) as server, client() as http:
        left_to_the_caller = http.get(Request(server.url("/a"), read_error=read))
        assert (left_to_the_caller.status, left_to_the_caller.content, server.count("/a")) == (401, b"renew it", 2)
        with pytest.raises(PermanentItemError, match="no such thing") as refused:
            http.get(Request(server.url("/b"), read_error=read))
    assert refused.value.reason is Reason.NOT_FOUND


def test_a_success_whose_head_says_trouble_is_none() -> None:
    def heed(headers: Mapping[str, str]) -> Problem | None:
        return Problem(Reason.THROTTLED, "overloaded", answered=True, overloaded=True) if headers.get("x-trouble") == "1" else None

    script = {"/a": [ok(b"placeholder", headers={"X-Trouble": "1"}), ok(b"picture")], "/b": [ok(b"", headers={"X-Trouble": "1"})]}
    with scripted_server(script) as server, client() as http:
        assert http.get(Request(server.url("/a"), heed=heed)).content == b"picture"
        assert http.get(Request(server.url("/a"))).content == b"picture"
        with pytest.raises(QuotaError, match="overloaded"):
            http.get(Request(server.url("/b"), heed=heed))
        assert server.count("/b") == http.policy.attempts

"""Many requests at once: order of delivery, limits that hold between threads, ends that are clean."""

from __future__ import annotations

import functools
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from tests.servers import Answer, ok, rate_limited, scripted_server, status

from skygraft.core.errors import EndpointError, PermanentItemError, Reason, SkygraftError
from skygraft.core.fetching import Fetched, fetch_many
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy, Request, Response

QUICK = {"backoff_s": 0.01, "backoff_cap_s": 0.02}


def content(answer: Response) -> bytes:
    return answer.content


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_every_request_is_delivered_once_in_the_callers_thread() -> None:
    script = {r"/good/.*": [ok(b"x" * 50)], r"/flaky/.*": [status(500), ok(b"y")], r"/gone/.*": [status(404)]}
    found: dict[str, Fetched[bytes]] = {}
    threads = set()

    def keep(result: Fetched[bytes]) -> None:
        assert result.request.key not in found
        found[result.request.key] = result
        threads.add(threading.get_ident())

    with scripted_server(script) as server, HttpClient(HttpPolicy(**QUICK)) as http:
        names = [f"/{kind}/{n}" for kind in ("good", "flaky", "gone") for n in range(30)]
        fetch_many(http, (Request(server.url(name), name) for name in names), keep, process=content, concurrency=6)
        assert server.count() == 30 + 60 + 30
    assert set(found) == set(names)
    assert threads == {threading.get_ident()}
    assert all(found[name].value == b"x" * 50 for name in names[:30])
    assert all((found[name].value, found[name].trace.attempts) == (b"y", 2) for name in names[30:60])
    assert all(error is not None and error.reason is Reason.NOT_FOUND for error in (found[name].error for name in names[60:]))


def test_the_hosts_concurrency_is_never_exceeded() -> None:
    answer = Answer(body=b"z", delay=0.05)
    with scripted_server({"/.*": [answer]}) as server, HttpClient(HttpPolicy(host=HostLimits(concurrency=3))) as http:
        requests = [Request(server.url(f"/{n}"), str(n)) for n in range(30)]
        fetch_many(http, requests, lambda result: None, process=content, concurrency=12)
        begun = sorted(one.at for one in server.requests())
    # Each request lasts the delay at least, so the fourth cannot begin before the first has ended.
    assert all(fourth - first >= answer.delay for first, fourth in zip(begun, begun[3:], strict=False))


def test_one_429_makes_everybody_wait() -> None:
    script = {"/first": [rate_limited(1), ok(b"1")], r"/later/.*": [ok(b"2")]}
    with scripted_server(script) as server, HttpClient(HttpPolicy(host=HostLimits(concurrency=1))) as http:
        requests = [Request(server.url(path), path) for path in ("/first", *(f"/later/{n}" for n in range(5)))]
        fetch_many(http, requests, lambda result: None, process=content, concurrency=4)
        seen = server.requests()
    refused = next(one.at for one in seen if one.status == 429)
    assert all(one.at - refused >= 0.95 for one in seen if one.at > refused)


def test_a_dead_endpoint_stops_the_work_early_with_one_error() -> None:
    drawn = 0

    def many() -> Iterator[Request]:
        nonlocal drawn
        base = f"http://127.0.0.1:{unused_port()}"
        for drawn in range(100_000):
            yield Request(f"{base}/{drawn}", str(drawn))

    delivered: list[Fetched[bytes]] = []
    policy = HttpPolicy(attempts=2, **QUICK, host=HostLimits(breaker=5))
    with HttpClient(policy) as http, pytest.raises(EndpointError, match="does not answer"):
        fetch_many(http, many(), delivered.append, process=content, concurrency=8)
    assert drawn < 200
    assert all(one.error is not None and one.error.reason is Reason.CONNECTION for one in delivered)


def test_what_waits_for_a_host_with_few_connections_is_not_forgotten_at_the_end() -> None:
    delivered: dict[str, Fetched[bytes]] = {}
    slow = Answer(body=b"z", delay=0.03)
    with scripted_server({"/.*": [slow]}) as one, scripted_server({"/.*": [ok(b"y")]}) as other:
        hosts = {one.base.removeprefix("http://"): HostLimits(concurrency=1)}
        requests = [Request(server.url(f"/{n}"), f"{server.base}{n}") for n in range(12) for server in (other, one)]
        with HttpClient(HttpPolicy(hosts=hosts)) as http:
            keep = functools.partial(lambda result: delivered.update({result.request.key: result}))
            fetch_many(http, requests, keep, process=content, concurrency=8)
        assert (one.count(), other.count()) == (12, 12)
    assert len(delivered) == 24 and all(result.error is None for result in delivered.values())


def test_an_address_that_is_none_costs_its_own_item_alone() -> None:
    delivered: dict[str, Fetched[bytes]] = {}
    odd = ["http://[::1", "ftp://a/b", "", "http://", "http:///x", "http://a\\@b/", "no address"]
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient() as http:
        requests = [Request(url, url) for url in [server.url("/1"), *odd, server.url("/2")]]
        fetch_many(http, requests, lambda result: delivered.update({result.request.key: result}), process=content, concurrency=2)
        good = {server.url("/1"), server.url("/2")}
    assert {key for key, result in delivered.items() if result.error is None} == good
    assert {result.error.reason for result in delivered.values() if result.error is not None} == {Reason.BAD_REQUEST}
    assert len(delivered) == len(requests)


def test_a_dead_host_among_others_costs_its_own_items_alone() -> None:
    delivered: dict[str, Fetched[bytes]] = {}
    policy = HttpPolicy(attempts=2, **QUICK, host=HostLimits(breaker=3))
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient(policy) as http:
        dead = f"http://127.0.0.1:{unused_port()}"
        # The dead one comes first: nothing has answered when it is known to be dead.
        asked = [Request(f"{dead}/{n}", f"dead {n}") for n in range(20)] + [Request(server.url(f"/{n}"), f"good {n}") for n in range(20)]
        keep = functools.partial(lambda one: delivered.update({one.request.key: one}))
        fetch_many(http, asked, keep, process=content, concurrency=4, many_hosts=lambda: True)
    assert len(delivered) == 40
    assert all((one.error is None) == key.startswith("good") for key, one in delivered.items())
    errors = [one.error for one in delivered.values() if one.error is not None]
    # In the same words, those that were asked and those that were not: which these are is chance.
    assert {(error.reason, error.detail) for error in errors} == {(Reason.CONNECTION, "connection refused or no route")}


def test_a_network_that_goes_away_is_not_taken_for_dead_hosts() -> None:
    ports = [unused_port() for _ in range(6)]
    policy = HttpPolicy(attempts=1, **QUICK, host=HostLimits(breaker=2))
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient(policy) as http:
        http.get(server.url("/"))
        # One host has answered, before all others began to fail.
        asked = (Request(f"http://127.0.0.1:{ports[n % 6]}/{n}", str(n)) for n in range(10_000))
        with pytest.raises(EndpointError, match="does not answer"):
            fetch_many(http, asked, lambda one: None, process=content, concurrency=4, many_hosts=lambda: True)


def test_many_hosts_of_which_none_answers_end_the_work() -> None:
    drawn = 0

    def many() -> Iterator[Request]:
        nonlocal drawn
        ports = [unused_port() for _ in range(10)]
        for drawn in range(10_000):
            yield Request(f"http://127.0.0.1:{ports[drawn % 10]}/{drawn}", str(drawn))

    policy = HttpPolicy(attempts=2, **QUICK, host=HostLimits(breaker=2))
    with HttpClient(policy) as http, pytest.raises(EndpointError, match="does not answer"):
        fetch_many(http, many(), lambda one: None, process=content, concurrency=8, many_hosts=lambda: True)
    assert drawn < 1000


def test_no_address_out_of_an_answer_takes_a_connection_that_the_user_asked_for_into_the_own_network() -> None:
    delivered: dict[str, Fetched[bytes]] = {}
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient() as http:
        # One connection, which stands from the second request on.
        asked = [Request(server.url(f"/{number}"), str(number), foreign=number >= 5) for number in range(10)]
        fetch_many(http, asked, lambda one: delivered.update({one.request.key: one}), process=content, concurrency=1)
        assert server.count() == 5
    reasons = [None if (error := delivered[str(number)].error) is None else error.reason for number in range(10)]
    assert reasons == [None] * 5 + [Reason.BAD_REQUEST] * 5


def test_every_try_is_told_of_beforehand() -> None:
    tries: list[str] = []
    with scripted_server({"/3": [status(503), ok(b"z")], r"/[^3]": [ok(b"z")]}) as server, HttpClient(HttpPolicy(**QUICK)) as http:
        requests = [Request(server.url(f"/{n}"), before=functools.partial(tries.append, f"/{n}")) for n in range(6)]
        fetch_many(http, requests, lambda one: None, process=content, concurrency=2)
        assert sorted(tries) == sorted(seen.path for seen in server.requests()) and len(tries) == 7


def test_what_processing_refuses_is_the_items_own_result() -> None:
    def refuse(answer: Response) -> bytes:
        raise PermanentItemError("no picture", Reason.NOT_AN_IMAGE)

    delivered: list[Fetched[bytes]] = []
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient() as http:
        fetch_many(http, [Request(server.url("/a"))], delivered.append, process=refuse)
    assert [one.error.reason for one in delivered if one.error] == [Reason.NOT_AN_IMAGE]


def test_an_error_of_the_caller_ends_the_work_and_the_threads() -> None:
    def fail(result: Fetched[bytes]) -> None:
        raise SkygraftError("disk full")

    before = threading.active_count()
    with scripted_server({"/.*": [ok(b"z")]}, process=True) as server, HttpClient() as http:
        requests = (Request(server.url(f"/{n}"), str(n)) for n in range(100_000))
        with pytest.raises(SkygraftError, match="disk full"):
            fetch_many(http, requests, fail, process=content, concurrency=4)
        until = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < until:
            threading.Event().wait(0.01)
        assert threading.active_count() <= before
        assert server.count() < 200


def test_memory_holds_few_results_while_the_caller_is_slow() -> None:
    drawn = 0

    def many(server_url: str) -> Iterator[Request]:
        nonlocal drawn
        for drawn in range(1, 101):
            yield Request(f"{server_url}/{drawn}", str(drawn))

    ahead: list[int] = []
    with scripted_server({"/.*": [ok(b"z")]}) as server, HttpClient() as http:
        taken = 0

        def slow(result: Fetched[bytes]) -> None:
            nonlocal taken
            taken += 1
            threading.Event().wait(0.002)
            ahead.append(drawn - taken)

        fetch_many(http, many(server.base), slow, process=content, concurrency=3)
    assert taken == 100
    assert max(ahead) <= 2 * 3

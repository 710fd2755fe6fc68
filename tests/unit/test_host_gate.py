"""A host that says it is asked for too much is asked for less, and for more again; and processes share out its connections."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from tests.clock import FakeClock
from tests.servers import egress_busy, ok, rate_limited, scripted_server, status

from skygraft.core.errors import TransientError
from skygraft.core.host_gate import HostGate, Turn
from skygraft.core.host_slots import HostSlots
from skygraft.core.http import HostLimits, HttpClient, HttpPolicy

LOGGER = "skygraft.core.host_gate"


def gate(concurrency: int = 8, rate: float | None = None, slots: HostSlots | None = None) -> HostGate:
    return HostGate("photos.test", HostLimits(concurrency, rate), FakeClock(), threading.Event(), slots)


def asked_at_once(one: HostGate) -> int:
    """How many threads get a slot while nobody gives one back."""
    held, enough = [], threading.Event()

    def hold() -> None:
        with one.slot():
            held.append(1)
            enough.wait(20)

    threads = [threading.Thread(target=hold, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    before = -1
    while before != len(held):
        before = len(held)
        threading.Event().wait(0.15)
    enough.set()
    for thread in threads:
        thread.join()
    return before


def test_a_host_that_is_overloaded_is_asked_for_half_as_much_each_time() -> None:
    one = gate()
    assert asked_at_once(one) == 8
    for expected in (4, 2, 1, 1):
        with one.slot() as turn:
            one.overloaded(turn)
        assert asked_at_once(one) == expected


def test_answers_to_requests_that_were_under_way_slow_down_only_once() -> None:
    one = gate()
    with one.slot() as first, one.slot() as second, one.slot() as third:
        for turn in (first, second, third):
            one.overloaded(turn)
    assert asked_at_once(one) == 4


def test_a_host_that_recovers_is_asked_for_one_more_with_each_round_of_good_answers(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    one = gate(16)
    with one.slot() as turn:
        one.overloaded(turn)
    answers = 0
    for slots in range(8, 16):
        assert asked_at_once(one) == slots
        for _ in range(slots):
            one.answered(well=True)
            answers += 1
        # Sums of fractions may miss the round by a hair.
        one.answered(well=True)
    assert asked_at_once(one) == 16
    slower, back = (record.getMessage() for record in caplog.records)
    assert slower == "photos.test is asked for too much: slowing down to 8 requests at once"
    assert "full speed" in back and "16 requests at once" in back


def test_the_rate_sinks_and_rises_too() -> None:
    clock = FakeClock()
    one = HostGate("photos.test", HostLimits(1, 4.0), clock, threading.Event())

    def seconds_for(requests: int) -> float:
        begun = clock.now
        for _ in range(requests):
            with one.slot():
                pass
        return clock.now - begun

    seconds_for(4)
    assert seconds_for(16) == pytest.approx(4.0)
    with one.slot() as turn:
        one.overloaded(turn)
    # What was put by or owed under another rate counts for one request.
    assert seconds_for(16) == pytest.approx(8.0, abs=0.5)
    for _ in range(8):
        one.answered(well=True)
    assert seconds_for(16) == pytest.approx(4.0, abs=0.5)


def test_429_and_503_slow_down_and_other_failures_do_not(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    script = {"/429": [rate_limited(1)], "/503": [egress_busy()], "/plain": [status(503)], "/500": [status(500)], "/good": [ok(b"x")]}
    limits = HostLimits(2)
    for path, slower in (("/429", 1), ("/503", 1), ("/plain", 1), ("/500", 0)):
        caplog.clear()
        with scripted_server(script) as server, HttpClient(HttpPolicy(attempts=1, host=limits), FakeClock()) as http:
            with pytest.raises(TransientError if slower == 0 or path == "/plain" else Exception):
                http.get(server.url(path))
            assert sum("slowing down" in record.getMessage() for record in caplog.records) == slower, path
            for _ in range(20):
                http.get(server.url("/good"))
            assert sum("full speed" in record.getMessage() for record in caplog.records) == slower, path


def _hold(folder: Path, pipe: Connection) -> None:
    """A process that holds every slot it can get until it is killed."""
    slots = HostSlots(folder, "photos.test:80", 6)
    held = 0
    while slots.take() is not None:
        held += 1
    pipe.send(held)
    pipe.recv()


def test_slots_are_taken_once_between_processes_and_come_back_from_the_dead(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ours = HostSlots(tmp_path, "photos.test:80", 6)
    mine = [ours.take(), ours.take()]
    assert None not in mine and ours.members() == 1
    pipe, theirs = spawn.Pipe()
    child = spawn.Process(target=_hold, args=(tmp_path, theirs), daemon=True)
    child.start()
    assert pipe.recv() == 4
    assert ours.take() is None
    assert ours.members() == 2
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    assert ours.members() == 1
    assert [ours.take() is None for _ in range(5)] == [False] * 4 + [True]


def test_hosts_do_not_share_slots_and_a_smaller_limit_holds_for_who_has_it(tmp_path: Path) -> None:
    wide, other, narrow = (HostSlots(tmp_path, host, limit) for host, limit in (("a:80", 3), ("b:80", 3), ("a:80", 1)))
    assert [wide.take() is None for _ in range(4)] == [False, False, False, True]
    assert other.take() is not None
    assert narrow.take() is None


class Line:
    """A connection that says when it is hung up."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_who_holds_more_than_its_share_hangs_up_and_gives_the_slot_away(tmp_path: Path) -> None:
    one = gate(4, slots=HostSlots(tmp_path, "photos.test", 4))
    lines = []

    def use(turn: Turn) -> None:
        turn.line = turn.line or Line()
        lines.append(turn.line)

    with one.slot() as first, one.slot() as second, one.slot() as third, one.slot() as fourth:
        for turn in (first, second, third, fourth):
            use(turn)
        newcomer = HostSlots(tmp_path, "photos.test", 4)
        assert newcomer.take() is None
        # A member is seen at the next look.
        threading.Event().wait(0.3)
    assert sorted(line.closed for line in lines if isinstance(line, Line)) == [False, False, True, True]
    assert [newcomer.take() is None for _ in range(3)] == [False, False, True]

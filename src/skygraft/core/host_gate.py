"""One host's gate: who may ask it now, over how many connections, how fast; and how it is asked for less when it says so.

A host that answers 429 or 503 is asked for half as much, and for a little more with every round of good answers: requests at once and
requests a second alike. Between processes the slots are shared out by :class:`~skygraft.core.host_slots.HostSlots`.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from skygraft.core.errors import DeadHostError, EndpointError
from skygraft.core.host_slots import HostSlots
from skygraft.core.http_errors import Problem
from skygraft.core.limits import Clock, HostLimits, Stopped, TokenBucket

_SLOWEST = 1 / 64
# Rounds of good answers from nothing to full speed, where a host has fewer slots than that.
_ROUNDS = 16
# Between two looks at what other processes hold, seconds.
_LOOK_S = 0.25
_LOG = logging.getLogger(__name__)


class Line(Protocol):
    """A connection, as far as a gate is concerned."""

    def close(self) -> None:
        """Hangs up."""


@dataclass
class Turn:
    """The right to have one connection to the host, and to make one request now.

    Args:
        permit: The slot among all processes, or none.
        line: The connection that was opened under it; it stays with it.
        age: How often the host had been slowed down when the request began.
    """

    permit: int | None = None
    line: Line | None = None
    age: int = 0


class Closed(enum.Enum):
    """Why there is no turn at once."""

    FULL = "all connections are taken: there will be a turn when one is left"
    HELD_UP = "there is a pause, a rate or an end to be told: only who can wait may ask"


class HostGate:
    """One host's limits, shared by all threads.

    Args:
        host: Its name, for messages.
        limits: What it is asked for at most.
        clock: Where time comes from.
        stop: Set when the client is closed: every wait ends.
        slots: What other processes leave of the host, or none.
    """

    def __init__(self, host: str, limits: HostLimits, clock: Clock, stop: threading.Event, slots: HostSlots | None = None) -> None:
        self._host, self._limits, self._clock, self._stop, self._slots = host, limits, clock, stop, slots
        self._free = threading.Condition(threading.Lock())
        self._bucket = TokenBucket(limits.rate, clock.monotonic()) if limits.rate else None
        self._idle: list[Turn] = []
        self._busy = self._waiting = 0
        self._pace, self._age = 1.0, 0
        self._members, self._look_at = 1, float("-inf")
        self._paused_until = float("-inf")
        self._answered = False
        self._failures = 0
        self._problem: Problem | None = None
        # On the clock: the last answer, and the first failure since.
        self.answered_at, self.silent_since = float("-inf"), float("inf")

    @contextlib.contextmanager
    def slot(self, held: Turn | None = None) -> Iterator[Turn]:
        """Holds one of the host's slots, after every pause and the rate have been waited for.

        Args:
            held: A turn of :meth:`turn_now`, to be held on; none: a new one.

        Raises:
            DeadHostError: The host is dead.
            EndpointError: It asks for a longer pause than allowed.
            Stopped: The client was closed meanwhile.
        """
        turn = held or self._enter()
        try:
            if held is None:
                self._wait_for_pause()
                self._wait_for_token()
                turn.age = self._age
            yield turn
        finally:
            self.leave(turn)

    def turn_now(self) -> Turn | Closed:
        """A turn, if there is one without any wait; it ends by :meth:`leave`."""
        with self._free:
            paused = self._paused_until > self._clock.monotonic()
            if paused or self._bucket is not None or self._stop.is_set() or self.dead:
                return Closed.HELD_UP
            # Who has been waiting comes first.
            turn = None if self._waiting or self._busy >= self._allowed() else self._idle_or_new()
            if turn is None:
                return Closed.FULL
            self._busy += 1
            turn.age = self._age
            return turn

    def leave(self, turn: Turn) -> None:
        """Ends a turn: its connection is kept for the next one, or is hung up where the host is asked for less by now."""
        with self._free:
            self._busy -= 1
            if self._stop.is_set() or self._busy + len(self._idle) >= self._allowed():
                self._retire(turn)
                self._leave_others()
            else:
                self._idle.append(turn)
            self._free.notify()

    def close(self) -> None:
        """Hangs up what is idle, leaves the other processes alone, and lets nobody wait longer; the client's stop must have been set."""
        with self._free:
            while self._idle:
                self._retire(self._idle.pop())
            self._leave_others()
            self._free.notify_all()

    @property
    def dead(self) -> bool:
        """Whether nothing more is asked of it."""
        return self._failures >= self._limits.breaker

    def room(self) -> int:
        """How many connections there may be, as it was found last: a round number for who plans, no right to anything."""
        return self._within(self._members)

    def pause(self, seconds: float) -> None:
        """Keeps everybody from asking this host for so long."""
        with self._free:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def answered(self, *, well: bool = False) -> None:
        """Notes that the host has answered, whatever it said.

        Args:
            well: Whether it gave what it was asked for: after a round of such answers it is asked for a little more.
        """
        with self._free:
            self._answered = True
            self._failures = 0
            self.answered_at = self._clock.monotonic()
            if well and self._pace < 1.0:
                self._pace = min(1.0, self._pace + 1.0 / (self._allowed() * max(self._limits.concurrency, _ROUNDS)))
                self._free.notify()
                if self._pace == 1.0:
                    _LOG.info("%s answers again: it is asked at full speed, %s", self._host, self._speed())

    def overloaded(self, turn: Turn) -> None:
        """Notes that the host had too much to do: it is asked for half as much, once for all requests that were under way."""
        with self._free:
            if turn.age < self._age:
                return
            self._age += 1
            self._pace = max(_SLOWEST, self._pace / 2)
            _LOG.warning("%s is asked for too much: slowing down to %s", self._host, self._speed())

    def failed(self, problem: Problem) -> None:
        """Notes that an item got no answer after all attempts.

        Args:
            problem: The last one. Where a connection stood, only a host that never answered anything counts as dead: single items may hang.
        """
        with self._free:
            if not problem.connected or not self._answered:
                if not self._failures:
                    self.silent_since = self._clock.monotonic()
                self._failures += 1
                self._problem = problem

    def _enter(self) -> Turn:
        with self._free:
            while True:
                if self._stop.is_set():
                    raise Stopped
                looking = self._busy < self._allowed()
                turn = self._idle_or_new() if looking else None
                if turn is not None:
                    self._busy += 1
                    return turn
                self._waiting += 1
                # Other processes tell nobody when they give a slot back.
                self._free.wait(None if self._slots is None else _LOOK_S / 5 if looking else _LOOK_S)
                self._waiting -= 1

    def _idle_or_new(self) -> Turn | None:
        if self._idle:
            return self._idle.pop()
        if self._slots is None:
            return Turn()
        permit = self._slots.take()
        return None if permit is None else Turn(permit)

    def _retire(self, turn: Turn) -> None:
        """Hangs up, and then gives the slot to whoever wants it."""
        if turn.line is not None:
            turn.line.close()
        if turn.permit is not None and self._slots is not None:
            self._slots.give(turn.permit)

    def _leave_others(self) -> None:
        if self._stop.is_set() and self._busy == 0 and self._slots is not None:
            self._slots.close()
            self._slots = None

    def _allowed(self) -> int:
        """How many connections there may be now."""
        if self._slots is not None and time.monotonic() >= self._look_at:
            self._members = self._slots.members()
            self._look_at = time.monotonic() + _LOOK_S
        return self._within(self._members)

    def _within(self, members: int) -> int:
        share = -(-self._limits.concurrency // members)
        return max(1, min(share, int(self._limits.concurrency * self._pace)))

    def _speed(self) -> str:
        rate = "" if self._limits.rate is None else f" and {self._limits.rate * self._pace:.3g} a second"
        return f"{max(1, int(self._limits.concurrency * self._pace))} requests at once{rate}"

    def _wait_for_pause(self) -> None:
        while True:
            with self._free:
                remaining = self._paused_until - self._clock.monotonic()
                self._check(remaining)
            if remaining <= 0:
                return
            self._clock.sleep(remaining, self._stop)

    def _wait_for_token(self) -> None:
        if self._bucket is None:
            return
        with self._free:
            wait = self._bucket.reserve(self._clock.monotonic(), self._pace / self._members)
        if wait > 0:
            self._clock.sleep(wait, self._stop)
            self._wait_for_pause()

    def _check(self, remaining: float) -> None:
        if self._stop.is_set():
            raise Stopped
        if self.dead and self._problem is not None:
            raise DeadHostError(
                f"{self._host} does not answer: {self._failures} items in a row got no connection or no answer. Nothing more is asked of "
                "it. Check the endpoint in the configuration, the network and any proxy (HTTPS_PROXY), then run the same command again: "
                "finished items are kept.",
                self._problem.reason,
                self._problem.what,
            )
        if remaining > self._limits.max_pause_s:
            raise EndpointError(
                f"{self._host} asks to wait {remaining:.0f} s, more than the {self._limits.max_pause_s:.0f} s that max_pause_s allows. "
                "Run the same command again after that time: finished items are kept."
            )

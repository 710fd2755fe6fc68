"""Limits toward a host: how many requests at once, how many a second, when to pause for everybody, when to give up on it.

All waiting goes through a :class:`Clock`, so that tests wait for nothing.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from skygraft.core.errors import EndpointError


class Clock(Protocol):
    """Where time comes from and how it is waited for."""

    def monotonic(self) -> float:
        """Seconds since some moment; never runs backwards."""

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC, as HTTP dates count them."""

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Waits so long, or until ``stop`` is set."""


class SystemClock:
    """The machine's own time."""

    def monotonic(self) -> float:
        """Seconds since some moment; never runs backwards."""
        return time.monotonic()

    def wall(self) -> float:
        """Seconds since 1970-01-01 UTC."""
        return time.time()

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        """Waits so long, or until ``stop`` is set."""
        stop.wait(seconds)


class Stopped(Exception):  # noqa: N818 - a signal to the threads of a client that was closed, not an error
    """The client was closed while a request was waiting."""


@dataclass(frozen=True)
class HostLimits:
    """What one host is asked for at most.

    Args:
        concurrency: Requests in flight.
        rate: Requests a second (a token bucket that holds one second's worth), or none.
        max_pause_s: The longest pause that a host may ask for before the work is stopped, seconds.
        breaker: Failures to connect in a row after which the host counts as dead.
    """

    concurrency: int = 8
    rate: float | None = None
    max_pause_s: float = 300.0
    breaker: int = 8


class TokenBucket:
    """Spaces requests to ``rate`` a second; a burst of one second's worth passes at once.

    Not safe between threads by itself: the gate calls it under its lock.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._capacity = rate, max(1.0, rate)
        self._tokens, self._at = self._capacity, now

    def reserve(self, now: float) -> float:
        """Takes a token and tells how many seconds to wait before using it."""
        self._tokens = min(self._capacity, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)


class HostGate:
    """One host's limits, shared by all threads.

    Args:
        host: Its name, for messages.
        limits: What it is asked for at most.
        clock: Where time comes from.
        stop: Set when the client is closed: every wait ends.
    """

    def __init__(self, host: str, limits: HostLimits, clock: Clock, stop: threading.Event) -> None:
        self._host, self._limits, self._clock, self._stop = host, limits, clock, stop
        self._slots = threading.Semaphore(limits.concurrency)
        self._lock = threading.Lock()
        self._bucket = TokenBucket(limits.rate, clock.monotonic()) if limits.rate else None
        self._paused_until = float("-inf")
        self._answered = False
        self._failures = 0

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Holds one of the host's slots, after every pause and the rate have been waited for.

        Raises:
            EndpointError: The host is dead, or asks for a longer pause than allowed.
            Stopped: The client was closed meanwhile.
        """
        with self._slots:
            self._wait_for_pause()
            self._wait_for_token()
            yield

    def pause(self, seconds: float) -> None:
        """Keeps everybody from asking this host for so long."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def answered(self) -> None:
        """Notes that the host has answered, whatever it said."""
        with self._lock:
            self._answered = True
            self._failures = 0

    def failed(self, *, connected: bool) -> None:
        """Notes that an item got no answer after all attempts.

        Args:
            connected: Whether a connection stood. Then only a host that never answered anything counts as dead: single items may hang.
        """
        with self._lock:
            if not connected or not self._answered:
                self._failures += 1

    def _wait_for_pause(self) -> None:
        while True:
            with self._lock:
                remaining = self._paused_until - self._clock.monotonic()
                self._check(remaining)
            if remaining <= 0:
                return
            self._clock.sleep(remaining, self._stop)

    def _wait_for_token(self) -> None:
        if self._bucket is None:
            return
        with self._lock:
            wait = self._bucket.reserve(self._clock.monotonic())
        if wait > 0:
            self._clock.sleep(wait, self._stop)
            self._wait_for_pause()

    def _check(self, remaining: float) -> None:
        if self._stop.is_set():
            raise Stopped
        if self._failures >= self._limits.breaker:
            raise EndpointError(
                f"{self._host} does not answer: {self._failures} items in a row got no connection or no answer. Nothing more is asked of "
                "it. Check the endpoint in the configuration, the network and any proxy (HTTPS_PROXY), then run the same command again: "
                "finished items are kept."
            )
        if remaining > self._limits.max_pause_s:
            raise EndpointError(
                f"{self._host} asks to wait {remaining:.0f} s, more than the {self._limits.max_pause_s:.0f} s that max_pause_s allows. "
                "Run the same command again after that time: finished items are kept."
            )

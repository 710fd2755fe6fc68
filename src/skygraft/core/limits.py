"""What a host is asked for at most, and the clock by which it is kept; :mod:`skygraft.core.host_gate` keeps it.

All waiting goes through a :class:`Clock`, so that tests wait for nothing.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol


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
        self._rate = rate
        self._tokens, self._at = max(1.0, rate), now

    def reserve(self, now: float, part: float = 1.0) -> float:
        """Takes a token and tells how many seconds to wait before using it.

        Args:
            now: The clock's seconds.
            part: Of the rate, what may be used for the time being.
        """
        rate = self._rate * part
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / rate)

"""A clock for tests of limits and pauses."""

from __future__ import annotations

import threading

NOW = 1_700_000_000.0


class FakeClock:
    """A clock that is waited for in no time and remembers every wait; its wall stands at :data:`NOW` when it begins."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return NOW + self.now

    def sleep(self, seconds: float, stop: threading.Event) -> None:
        with self._lock:
            self.waits.append(seconds)
            self.now += seconds

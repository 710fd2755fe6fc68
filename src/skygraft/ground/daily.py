"""A service's limit of requests a day, kept over several runs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

from skygraft.core.errors import EndpointError
from skygraft.core.files import explained
from skygraft.core.limits import Clock

_DAY_S = 86_400.0


class DailyLimit:
    """Counts requests of the last 24 hours in a file.

    Args:
        path: The file, one time a line; made where absent.
        most: Requests a day.
        service: Its name, for the message.
    """

    def __init__(self, path: Path, most: int, service: str) -> None:
        self._path, self._most, self._service = path, most, service
        self._times: list[float] | None = None

    def take(self, clock: Clock) -> None:
        """Counts one more request, now.

        Raises:
            EndpointError: The day's requests are used up.
        """
        now = clock.wall()
        if self._times is None:
            self._times = self._read()
        self._times = [time for time in self._times if now - time < _DAY_S]
        if len(self._times) >= self._most:
            again = datetime.fromtimestamp(self._times[len(self._times) - self._most] + _DAY_S, UTC)
            raise EndpointError(
                f"{self._service} allows {self._most:,} requests a day, and these were made in the last 24 hours. Run the same command "
                f"again after {again:%Y-%m-%d %H:%M} UTC: what was answered is kept."
            )
        self._times.append(now)
        with explained(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{now:.3f}\n")

    def _read(self) -> list[float]:
        times = []
        with contextlib.suppress(FileNotFoundError), self._path.open(encoding="utf-8") as file:
            for line in file:
                # The end of a line that a killed run left torn counts for nothing.
                with contextlib.suppress(ValueError):
                    times.append(float(line))
        return sorted(times)

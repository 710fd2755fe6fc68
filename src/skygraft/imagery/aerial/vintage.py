"""When aerial pictures were taken, in the words of the services: a first and a last day."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ISO = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_AMERICAN = re.compile(r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b")
_WORDS = re.compile(r"\b(\d{1,2}) ([A-Za-z]{3})[a-z]* (\d{4})\b")
# A file of 1970 or before, or of a time to come, is a slip of the service.
_FIRST_YEAR = 1971


@dataclass(frozen=True)
class Vintage:
    """The days between which a picture was taken."""

    first: date
    last: date

    def middle(self) -> datetime:
        """The middle of the span, UTC, at noon of its first day where that is the only one."""
        noon = datetime.combine(self.first, time(12), UTC)
        return noon + timedelta(days=(self.last - self.first).days) / 2

    def __str__(self) -> str:
        return f"{self.first}/{self.last}" if self.first != self.last else f"{self.first}"


def read_days(text: str) -> Vintage | None:
    """The span of all days that a text names: ISO dates, ``M/D/YYYY`` and ``01 Nov 2010 GMT`` are read; none where it names none."""
    numbers = [(int(year), int(month), int(day)) for year, month, day in _ISO.findall(text)]
    numbers += [(int(year), int(month), int(day)) for month, day, year in _AMERICAN.findall(text)]
    named = ((year, word.lower(), day) for day, word, year in _WORDS.findall(text))
    numbers += [(int(year), _MONTHS.index(word) + 1, int(day)) for year, word, day in named if word in _MONTHS]
    days = sorted(found for year, month, day in numbers if (found := _day(year, month, day)) is not None)
    return Vintage(days[0], days[-1]) if days else None


def read_compact(number: int) -> Vintage | None:
    """A day as Esri writes it: YYYYMMDD, or milliseconds since 1970 UTC."""
    if 19_000_000 < number < 22_000_000:
        found = _day(number // 10_000, number // 100 % 100, number % 100)
    else:
        try:
            found = _plausible((datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=number)).date())
        except OverflowError:
            return None
    return None if found is None else Vintage(found, found)


def span(parts: Iterable[Vintage | None]) -> Vintage | None:
    """From the first to the last day of several; none where no day is known."""
    known = [part for part in parts if part is not None]
    return Vintage(min(part.first for part in known), max(part.last for part in known)) if known else None


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return _plausible(date(year, month, day))
    except ValueError:
        return None


def _plausible(day: date) -> date | None:
    return day if _FIRST_YEAR <= day.year < 2100 else None

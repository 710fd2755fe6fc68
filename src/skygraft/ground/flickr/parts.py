"""The parts that a search of Flickr is cut into: a box or a disc in a window of time, and how one is halved.

The service gives no more than 4,000 photos of a query. A box is cut by days, then by place, then within the day, since an event fills a
square with thousands of photos of one afternoon.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from skygraft.ground.areas import Box, box_holds

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Times = NDArray[np.datetime64]

# The service gives places to six decimals; a box of eleven metres is cut by time instead.
_LEAST_DEGREES = 1e-4
# An answer may round what the query compared.
_ROUNDING = 1e-5
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Window:
    """A window of camera time, both ends included, to the second."""

    start: datetime
    end: datetime

    @classmethod
    def of_days(cls, first: date, last: date) -> Window:
        """Whole days, both included."""
        return cls(datetime.combine(first, time()), datetime.combine(last, time(23, 59, 59)))

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%dT%H:%M:%S}/{self.end:%Y-%m-%dT%H:%M:%S}"

    def parameters(self) -> dict[str, str]:
        """As the service is asked."""
        return {"min_taken_date": f"{self.start:%Y-%m-%d %H:%M:%S}", "max_taken_date": f"{self.end:%Y-%m-%d %H:%M:%S}"}

    def days(self) -> int:
        """Calendar days that it touches."""
        return (self.end.date() - self.start.date()).days + 1

    def halves(self) -> tuple[Window, Window] | None:
        """Two windows that make up this one, cut between days where there are several; none for a single second."""
        if self.start == self.end:
            return None
        if self.days() > 1:
            middle = datetime.combine(self.start.date() + _DAY * (self.days() // 2), time())
        else:
            middle = self.start + timedelta(seconds=((self.end - self.start).seconds + 1) // 2)
        return Window(self.start, middle - _SECOND), Window(middle, self.end)

    def holds(self, taken: Times) -> Flags:
        """Whether times lie in it."""
        within: Flags = (taken >= np.datetime64(self.start)) & (taken <= np.datetime64(self.end))
        return within


class Part(Protocol):
    """A query's place and time."""

    @property
    def key(self) -> str:
        """Its name in the journal: equal for equal parts, and for no others."""

    def parameters(self) -> dict[str, str]:
        """As the service is asked."""

    def split(self) -> tuple[Part, ...]:
        """Smaller parts that make up this one; none where it cannot be cut."""

    def holds(self, lon: Floats, lat: Floats, taken: Times) -> Flags:
        """Whether photos belong to it."""


@dataclass(frozen=True)
class BoxPart:
    """A box in a window.

    Neighbours share their edges, so that no place falls between them: photos on an edge are found twice, and are kept once.
    """

    box: Box
    window: Window

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{_box_text(self.box)} {self.window}"

    def parameters(self) -> dict[str, str]:
        """As the service is asked."""
        return {"bbox": _box_text(self.box), **self.window.parameters()}

    def split(self) -> tuple[BoxPart, ...]:
        """By days; a day's by place; a spot's by time."""
        west, south, east, north = self.box
        wide = max(east - west, north - south) > _LEAST_DEGREES
        halves = None if self.window.days() == 1 and wide else self.window.halves()
        if halves is not None:
            return tuple(BoxPart(self.box, half) for half in halves)
        if not wide:
            return ()
        # Rounded as they are sent: the parts of a box make up the box to the last digit.
        x, y = round((west + east) / 2, 7), round((south + north) / 2, 7)
        quarters = ((west, south, x, y), (x, south, east, y), (west, y, x, north), (x, y, east, north))
        return tuple(BoxPart(quarter, self.window) for quarter in quarters)

    def holds(self, lon: Floats, lat: Floats, taken: Times) -> Flags:
        """Whether photos belong to it."""
        within: Flags = box_holds(self.box, lon, lat, _ROUNDING) & self.window.holds(taken)
        return within


@dataclass(frozen=True)
class DiscPart:
    """A disc in a window, as GRAFT asks; a sample, which is not cut further."""

    lon: float
    lat: float
    radius_km: float
    window: Window

    @property
    def key(self) -> str:
        """Its name in the journal."""
        return f"{self.lon:.6f},{self.lat:.6f},{self.radius_km:g}km {self.window}"

    def parameters(self) -> dict[str, str]:
        """As the service is asked."""
        place = {"lat": f"{self.lat:.6f}", "lon": f"{self.lon:.6f}", "radius": f"{self.radius_km:g}", "radius_units": "km"}
        return place | self.window.parameters()

    def split(self) -> tuple[DiscPart, ...]:
        """Never."""
        return ()

    def holds(self, lon: Floats, lat: Floats, taken: Times) -> Flags:
        """Whether photos belong to it; the service's idea of a disc's edge is its own."""
        del lon, lat
        return self.window.holds(taken)


def _box_text(box: Box) -> str:
    return ",".join(f"{edge:.7f}" for edge in box)

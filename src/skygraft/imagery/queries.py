"""What to ask a catalogue for: regions and months, never single points.

Tiles are grouped by UTM zone and 100 km square, and each square is asked once for every month that any of its tiles needs. The outcome
depends on the tiles alone, so that a repeated search asks the same questions.
"""

from __future__ import annotations

import calendar
import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from skygraft.config.imagery import Catalogued
from skygraft.config.naip import Naip
from skygraft.config.sentinel2 import Sentinel2
from skygraft.core.identity import digest
from skygraft.geo.ordering import squares

_STEP = 1e-3
"""Boxes are rounded outward to this many degrees: readable, and equal for nearly equal tiles."""


@dataclass(frozen=True, order=True)
class Query:
    """One question: the scenes that touch a box within a span of days.

    Args:
        bbox: West, south, east, north in degrees; never across the antimeridian.
        first: First day.
        last: Last day, included.
    """

    bbox: tuple[float, float, float, float]
    first: date
    last: date

    @property
    def datetime(self) -> str:
        """The span as STAC writes it."""
        return f"{self.first.isoformat()}T00:00:00Z/{self.last.isoformat()}T23:59:59Z"

    @property
    def key(self) -> str:
        """A short name for journals."""
        return digest([list(self.bbox), self.first.isoformat(), self.last.isoformat()])

    def __str__(self) -> str:
        return f"{self.first.isoformat()} to {self.last.isoformat()}, box {', '.join(f'{edge:g}' for edge in self.bbox)}"


def month_span(month: int) -> tuple[date, date]:
    """First and last day of a month, counted from January of year 0."""
    year, number = divmod(month, 12)
    return date(year, number + 1, 1), date(year, number + 1, calendar.monthrange(year, number + 1)[1])


def month_index(day: date) -> int:
    """The month of a day, counted from January of year 0."""
    return day.year * 12 + day.month - 1


def questions(tiles: pa.Table, section: Catalogued) -> list[Query]:
    """What a section of the configuration asks its catalogue for some tiles."""
    if isinstance(section, Naip):
        return region_queries(tiles, date(section.first_year, 1, 1), date(section.last_year, 12, 31))
    return queries_for(tiles, section)


def queries_for(tiles: pa.Table, section: Sentinel2) -> list[Query]:
    """The questions that find every scene that may qualify for one of the tiles.

    Args:
        tiles: Rows of the tiles table; those without a target date are left out.
        section: Which months around a target date qualify.
    """
    bounds = shapely.bounds(shapely.from_wkb(tiles.column("geometry").to_numpy(zero_copy_only=False)))
    column, row = squares(tiles.column("x").to_numpy(), tiles.column("y").to_numpy())
    groups: dict[tuple[str, int, int, int], list[int]] = defaultdict(list)
    days = tiles.column("target_date").to_pylist()
    for index, (crs, day) in enumerate(zip(tiles.column("crs").to_pylist(), days, strict=True)):
        if day is None:
            continue
        for month in section.months(month_index(day)):
            groups[(crs, int(column[index]), int(row[index]), month)].append(index)
    found = {query for (_, _, _, month), members in groups.items() for query in _of_group(bounds[members], *month_span(month))}
    return sorted(found)


def region_queries(tiles: pa.Table, first: date, last: date) -> list[Query]:
    """The questions that find every scene of some years, for imagery that is taken once in a few: one a square.

    Args:
        tiles: Rows of the tiles table; a target date is not needed.
        first: First day.
        last: Last day, included.
    """
    bounds = shapely.bounds(shapely.from_wkb(tiles.column("geometry").to_numpy(zero_copy_only=False)))
    column, row = squares(tiles.column("x").to_numpy(), tiles.column("y").to_numpy())
    groups: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for index, crs in enumerate(tiles.column("crs").to_pylist()):
        groups[(crs, int(column[index]), int(row[index]))].append(index)
    return sorted({query for members in groups.values() for query in _of_group(bounds[members], first, last)})


def _of_group(bounds: NDArray[np.float64], first: date, last: date) -> Iterator[Query]:
    """One question, or two where the box crosses the antimeridian: not every catalogue understands such a box."""
    west, south = (math.floor(edge / _STEP) * _STEP for edge in bounds[:, :2].min(axis=0))
    east, north = (math.ceil(edge / _STEP) * _STEP for edge in bounds[:, 2:].max(axis=0))
    for part_west, part_east in _wrapped(west, east):
        yield Query((round(part_west, 6), round(south, 6), round(part_east, 6), round(north, 6)), first, last)


def _wrapped(west: float, east: float) -> list[tuple[float, float]]:
    if west < -180.0:
        return [(west + 360.0, 180.0), (-180.0, east)]
    if east > 180.0:
        return [(west, 180.0), (-180.0, east - 360.0)]
    return [(west, east)]

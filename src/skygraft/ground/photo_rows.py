"""Rows of the table of photos, one a photo, whichever service tells of it."""

from __future__ import annotations

import contextlib
import html
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely

from skygraft.core.schemas import PHOTOS
from skygraft.ground.areas import Region

UNKNOWN_YEAR = 0
FIRST_YEAR, LAST_YEAR = 1826, 2200
"""Niepce's view from his window, and long after ourselves: photos of other years there are none."""
# A tag holds no other: to look from each of many signs for its end would take hours.
_MARKUP = re.compile(r"<[^<>]*>")
_STAMP = re.compile(r"(\d{4})[-:](\d{2})[-:](\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?")
_LOG = logging.getLogger(__name__)
Row = dict[str, Any]


def photo_row(source: str, name: str, place: tuple[float, float], url: str, **facts: Any) -> Row:
    """A row of the table of photos.

    Args:
        source: The source's name.
        name: The photo's own, unique in the source.
        place: Longitude and latitude, degrees (EPSG:4326).
        url: Where the bytes are; never signed.
        facts: Further columns; ``year`` is told by ``captured_at`` where it is not given, 0 where nobody knows.
    """
    longitude, latitude = place
    captured = facts.get("captured_at")
    own = {
        "photo_id": f"{source}:{name}",
        "source": source,
        # Photos taken on the same square metre are of one place: they share a tile, and are no negatives of each other.
        "location_id": f"{source}:{longitude:.5f},{latitude:.5f}",
        "geometry": shapely.to_wkb(shapely.Point(longitude, latitude)),
        "year": captured.year if captured is not None else UNKNOWN_YEAR,
        "url": url,
    }
    return own | facts


def photo_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of :data:`skygraft.core.schemas.PHOTOS`; what a row does not say is null."""
    schema = PHOTOS.schema()
    return pa.table([pa.array([row.get(field.name) for row in rows], field.type) for field in schema], schema=schema)


def merged(tables: Iterable[pa.Table]) -> pa.Table:
    """All photos of some tables, each once, sorted by ``photo_id``; whichever order they came in, the same table comes out."""
    table = pa.concat_tables([PHOTOS.empty(), *tables])
    table = table.sort_by([(name, "ascending") for name in ("photo_id", "page_url", "url")])
    ids = table.column("photo_id").to_numpy(zero_copy_only=False)
    first = np.ones(len(ids), dtype=np.bool_)
    first[1:] = ids[1:] != ids[:-1]
    if not first.all():
        _LOG.info("%d photos came more than once", np.count_nonzero(~first))
    return table.filter(pa.array(first)).combine_chunks()


def each_once(tables: Sequence[pa.Table]) -> pa.Table:
    """The photos of several sources, one below the other, each once: of one that several found, the first row counts.

    Args:
        tables: Rows of photos tables, ``photo_id`` among their columns; no photo stands twice in one of them.
    """
    table = pa.concat_tables(tables)
    if len(tables) == 1:
        return table
    codes = pc.dictionary_encode(table.column("photo_id").combine_chunks()).indices.to_numpy()
    first = np.unique(codes, return_index=True)[1]
    return table if len(first) == table.num_rows else table.take(pa.array(np.sort(first)))


def place_of(longitude: object, latitude: object) -> tuple[float, float] | None:
    """Longitude and latitude that a service gave, or none where they are no place; 0, 0 is what is written for want of one."""
    try:
        place = float(str(longitude)), float(str(latitude))
    except ValueError:
        return None
    if not all(map(math.isfinite, place)) or not (-180 <= place[0] <= 180 and -90 <= place[1] <= 90) or place == (0.0, 0.0):
        return None
    return place


def moment_of(text: object) -> datetime | None:
    """The first date in a text, UTC, with its time where there is one; a time without a zone is taken as UTC, midnight for want of one.

    None too where no photo can have been taken then (:func:`believable`).
    """
    return None if text is None else believable(_moment(str(text)))


def believable(moment: datetime | None) -> datetime | None:
    """``moment`` if photos can have been taken then: a clock that was never set, or a slip, gives years that no calendar goes around."""
    return moment if moment is not None and FIRST_YEAR <= moment.year <= LAST_YEAR else None


def _moment(text: str) -> datetime | None:
    # A zone may lead out of the calendar.
    with contextlib.suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    found = _STAMP.search(text)
    if found is None:
        return None
    numbers = [int(part or 0) for part in found.groups()]
    try:
        return datetime(numbers[0], numbers[1], numbers[2], numbers[3], numbers[4], numbers[5], tzinfo=UTC)
    except ValueError:
        return None


def in_days(moment: datetime | None, days: tuple[date | None, date | None]) -> bool:
    """Whether a moment lies in a span of days, both included, where None is no bound; an unknown one lies in none that has a bound."""
    first, last = days
    if first is None and last is None:
        return True
    return moment is not None and (first is None or moment.date() >= first) and (last is None or moment.date() <= last)


def plain(text: object) -> str | None:
    """A text without markup and surplus blanks; none where nothing is left."""
    if text is None:
        return None
    return " ".join(html.unescape(_MARKUP.sub(" ", str(text))).split()) or None


def within(region: Region, place: tuple[float, float]) -> bool:
    """Whether a place lies in an area, its edge included."""
    return bool(region.covers(np.array([place[0]]), np.array([place[1]]))[0])

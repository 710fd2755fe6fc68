"""Searching the photos of the world's Flickr: which parameters mean what, and which photos match them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

SHOWN = 4000
"""How many results of one search the service shows; further pages show the same again."""
MOST, MOST_BY_PLACE = 500, 250
"""Results a page, and when places are asked for."""
RECENT = 12 * 3600
"""Seconds back from now that a search by place alone reaches."""
_AGENTS = ("tags", "text", "user_id", "min_taken_date", "max_taken_date", "min_upload_date", "max_upload_date")
_CONTENT = {"1": (1,), "2": (2,), "3": (3,), "4": (1, 2), "5": (2, 3), "6": (1, 3), "7": (1, 2, 3)}
_EARTH_KM = 6371.0
_KM_A_MILE = 1.609344


class FailError(Exception):
    """An answer with `stat: fail`; the text is its message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Search:
    """What is searched for; None does not restrict.

    Attributes:
        bbox: west, south, east, north in degrees.
        disc: longitude, latitude in degrees and radius in kilometres.
        taken: first and last local time.
        uploaded: first and last second of the epoch.
        accuracy: least accuracy of the place.
        licences: allowed numbers.
        context: 1 indoors, 2 outdoors.
        content: allowed content types.
        words: of which any must be among a photo's tags.
        text: that title or tags must hold.
        user: owner's id.
        sort: as the service names it.
        per_page: results a page.
        page: from 1.
        extras: asked for.
    """

    bbox: tuple[float, float, float, float] | None
    disc: tuple[float, float, float] | None
    taken: tuple[np.datetime64 | None, np.datetime64 | None]
    uploaded: tuple[float | None, float | None]
    accuracy: int | None
    licences: tuple[int, ...] | None
    context: int | None
    content: tuple[int, ...]
    words: frozenset[str]
    text: str
    user: str
    sort: str
    per_page: int
    page: int
    extras: frozenset[str]


def read_search(asked: Mapping[str, str]) -> Search:
    """Understand the parameters of a search.

    Raises:
        FailError: 3 where nothing is searched for, 18 where an argument makes no sense.
    """
    given = {name: value.strip() for name, value in asked.items() if value.strip()}
    by_place = "bbox" in given or "lat" in given or "lon" in given or given.get("has_geo") == "1"
    agents = [name for name in _AGENTS if name in given]
    if not agents and not by_place:
        raise FailError(3, "Parameterless searches have been disabled. Please use flickr.photos.getRecent instead.")
    try:
        first = float(given["min_upload_date"]) if "min_upload_date" in given else None
        if not agents:
            first = time.time() - RECENT
        return Search(
            bbox=_box(given["bbox"]) if "bbox" in given else None,
            disc=_disc(given) if "lat" in given or "lon" in given else None,
            taken=(_moment(given.get("min_taken_date")), _moment(given.get("max_taken_date"))),
            uploaded=(first, float(given["max_upload_date"]) if "max_upload_date" in given else None),
            accuracy=int(given.get("accuracy", 16)) if by_place else None,
            licences=tuple(int(one) for one in given["license"].split(",")) if "license" in given else None,
            context=int(given["geo_context"]) or None if "geo_context" in given else None,
            content=_CONTENT[given.get("content_type", "7")],
            words=frozenset(word.strip().lower() for word in given.get("tags", "").split(",") if word.strip()),
            text=given.get("text", "").lower(),
            user=given.get("user_id", ""),
            sort=given.get("sort", "date-posted-desc"),
            per_page=max(1, min(int(given.get("per_page", 100)), MOST_BY_PLACE if by_place else MOST)),
            page=max(1, int(given.get("page", 1))),
            extras=frozenset(one.strip() for one in given.get("extras", "").split(",")),
        )
    except (ValueError, KeyError) as error:
        raise FailError(18, f"Illogical arguments: {error}") from error


def _box(text: str) -> tuple[float, float, float, float]:
    west, south, east, north = (float(part) for part in text.split(","))
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ValueError("bbox is minimum longitude, minimum latitude, maximum longitude, maximum latitude")
    return west, south, east, north


def _disc(given: Mapping[str, str]) -> tuple[float, float, float]:
    radius = float(given.get("radius", 5.0)) * (_KM_A_MILE if given.get("radius_units") == "mi" else 1.0)
    if not 0 < radius <= 32:
        raise ValueError("radius must be at most 32 kilometres")
    return float(given["lon"]), float(given["lat"]), radius


def _moment(text: str | None) -> np.datetime64 | None:
    """Return a local time given as MySQL writes it, or as a second of the epoch."""
    if text is None:
        return None
    moment = datetime.fromtimestamp(int(text), UTC).replace(tzinfo=None) if text.isdigit() else datetime.fromisoformat(text)
    return np.datetime64(moment, "s")


class Listing:
    """The photos of the service, in the order in which they were taken.

    Args:
        table: one row a photo, as :mod:`skygraft.world.flickr_rows` writes it.
    """

    def __init__(self, table: pa.Table) -> None:
        """Sort the photos, so that a span of days is a slice."""
        taken = np.array(table["taken"].to_pylist(), dtype="datetime64[s]")
        numbers = np.array(table["id"].to_pylist(), dtype=np.int64)
        order = np.lexsort((numbers, taken))
        self._table, self._taken, self._numbers = table.take(pa.array(order)), taken[order], numbers[order]
        names = ("longitude", "latitude", "uploaded", "accuracy", "license", "context", "content_type")
        self._columns: dict[str, NDArray[Any]] = {name: self._table[name].to_numpy() for name in names}

    def page(self, search: Search) -> tuple[int, list[dict[str, Any]]]:
        """Return how many photos match, and the rows of the page that was asked for."""
        found = self._sorted(self._matching(search), search.sort)
        shown = found[:SHOWN]
        start = (search.page - 1) * search.per_page
        if len(found) > SHOWN:
            # Whoever turns on behind the last result that is shown sees the first ones again.
            start %= SHOWN - SHOWN % search.per_page
        part = shown[start : start + search.per_page]
        return len(found), self._table.take(pa.array(part)).to_pylist()

    def _matching(self, search: Search) -> NDArray[np.int64]:
        first, last = search.taken
        begin = 0 if first is None else int(np.searchsorted(self._taken, first, side="left"))
        end = len(self._taken) if last is None else int(np.searchsorted(self._taken, last, side="right"))
        part = slice(begin, max(begin, end))
        here = {name: column[part] for name, column in self._columns.items()}
        keep = np.isin(here["content_type"], search.content) & _placed(here, search)
        for wanted, name in ((search.licences, "license"), ((search.context,) if search.context else None, "context")):
            if wanted is not None:
                keep &= np.isin(here[name], wanted)
        if search.accuracy is not None:
            keep &= here["accuracy"] >= search.accuracy
        for bound, sign in zip(search.uploaded, (1, -1), strict=True):
            if bound is not None:
                keep &= sign * here["uploaded"] >= sign * bound
        found = np.flatnonzero(keep) + begin
        return self._said(found, search) if search.words or search.text or search.user else found

    def _said(self, found: NDArray[np.int64], search: Search) -> NDArray[np.int64]:
        rows = self._table.select(["owner", "title", "tags"]).take(pa.array(found)).to_pylist()
        keep = [
            (not search.user or row["owner"] == search.user)
            and (not search.words or bool(search.words & set(row["tags"].split())))
            and search.text in f"{row['title']} {row['tags']}".lower()
            for row in rows
        ]
        return found[np.array(keep, dtype=np.bool_)]

    def _sorted(self, found: NDArray[np.int64], sort: str) -> NDArray[np.int64]:
        if sort == "date-taken-asc":
            return found
        if sort == "date-taken-desc":
            return found[::-1]
        # What interests people is not known here: those orders are the newest first.
        newest_last = found[np.lexsort((self._numbers[found], self._columns["uploaded"][found]))]
        return newest_last if sort == "date-posted-asc" else newest_last[::-1]


def _placed(here: Mapping[str, NDArray[Any]], search: Search) -> NDArray[np.bool_]:
    lon, lat = here["longitude"], here["latitude"]
    keep = np.ones(len(lon), dtype=np.bool_)
    if search.bbox is not None:
        west, south, east, north = search.bbox
        keep &= (lon >= west) & (lon <= east) & (lat >= south) & (lat <= north)
    if search.disc is not None:
        lon0, lat0, radius = search.disc
        a, b, c, d = (np.deg2rad(v) for v in (lon, lat, lon0, lat0))
        half = np.sin((b - d) / 2) ** 2 + np.cos(b) * np.cos(d) * np.sin((a - c) / 2) ** 2
        keep &= 2 * _EARTH_KM * np.arcsin(np.sqrt(half)) <= radius
    return keep

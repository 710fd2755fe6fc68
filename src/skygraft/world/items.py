"""A list of STAC items that can be searched: the store behind the embedded world's catalogues."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry import shape

Document = dict[str, Any]
_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
    "in": lambda value, allowed: value in allowed,
    "startsWith": lambda value, start: str(value).startswith(start),
    "endsWith": lambda value, end: str(value).endswith(end),
    "contains": lambda value, part: part in value,
}


@dataclass(frozen=True)
class Search:
    """What is searched for; None does not restrict.

    Attributes:
        collections: ids of collections.
        ids: ids of items.
        bbox: west, south, east, north in degrees (or the six of a box with heights); west > east crosses the
            antimeridian.
        intersects: GeoJSON geometry in degrees.
        datetime: an RFC 3339 time or interval (`a/b`, `../b`, `a/..`), closed at both ends.
        query: conditions by property, as the query extension writes them.
        sortby: `+field` or `-field`; none is newest first, as pgstac sorts.
        limit: items a page.
        token: of the page, opaque.
    """

    collections: Sequence[str] | None = None
    ids: Sequence[str] | None = None
    bbox: Sequence[float] | None = None
    intersects: Mapping[str, Any] | None = None
    datetime: str | None = None
    query: Mapping[str, Mapping[str, Any]] | None = None
    sortby: Sequence[str] = field(default_factory=list)
    limit: int = 10
    token: str | None = None


def read_documents(path: Path) -> list[Document]:
    """The JSON documents of a file with one a line; none where there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()] if path.exists() else []


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _interval(text: str) -> tuple[datetime | None, datetime | None]:
    first, slash, last = text.partition("/")
    bounds = [None if one in ("", "..") else _instant(one) for one in (first, last if slash else first)]
    return bounds[0], bounds[1]


def _boxes(bbox: Sequence[float]) -> Iterator[tuple[float, float, float, float]]:
    west, south, east, north = bbox if len(bbox) == 4 else (bbox[0], bbox[1], bbox[3], bbox[4])
    if west <= east:
        yield west, south, east, north
    else:
        yield west, south, 180.0, north
        yield -180.0, south, east, north


def _value(item: Document, name: str) -> Any:
    plain = name.removeprefix("properties.")
    return item[plain] if plain in ("id", "collection") else item["properties"].get(plain)


class ItemStore:
    """Items, newest first.

    Args:
        items: STAC items; each has `properties.datetime`.
    """

    def __init__(self, items: Sequence[Document]) -> None:
        dated = [(_instant(item["properties"]["datetime"]), item["id"], item) for item in items]
        dated.sort(key=lambda one: one[:2], reverse=True)
        self._items = [(moment, shape(item["geometry"]), item) for moment, _, item in dated]

    def page(self, search: Search) -> tuple[list[Document], str | None, int]:
        """One page of what a search finds.

        Returns:
            The items, the next page's token (None on the last), and how many items all pages hold.

        Raises:
            ValueError: The search cannot be understood; says what of it.
        """
        found = self._sorted(list(self._matching(search)), search.sortby)
        start = 0
        if search.token is not None:
            names = [f"next:{item['collection']}:{item['id']}" for item in found]
            if search.token not in names:
                raise ValueError("the token is not one of this search")
            start = names.index(search.token) + 1
        stop = start + search.limit
        page = found[start:stop]
        following = f"next:{page[-1]['collection']}:{page[-1]['id']}" if page and stop < len(found) else None
        return page, following, len(found)

    def _matching(self, search: Search) -> Iterator[Document]:
        first, last = _interval(search.datetime) if search.datetime else (None, None)
        area = None
        if search.bbox:
            area = shapely.union_all([shapely.box(*one) for one in _boxes(search.bbox)])
        if search.intersects:
            area = shape(search.intersects)
        for moment, outline, item in self._items:
            if search.collections and item["collection"] not in search.collections:
                continue
            if search.ids and item["id"] not in search.ids:
                continue
            if (first and moment < first) or (last and moment > last):
                continue
            if area is not None and not shapely.intersects(outline, area):
                continue
            if all(_holds(item, name, conditions) for name, conditions in (search.query or {}).items()):
                yield item

    @staticmethod
    def _sorted(found: list[Document], sortby: Sequence[str]) -> list[Document]:
        # Least significant key first: Python's sort is stable.
        for name in reversed(sortby):
            down, plain = name.startswith("-"), name.lstrip("+-")
            found.sort(key=lambda item, plain=plain: _key(_value(item, plain)), reverse=down)  # type: ignore[misc]
        return found


def _key(value: Any) -> tuple[bool, Any]:
    """Sorts what is absent behind all else, and so first when descending, as PostgreSQL does."""
    return value is None, 0 if value is None else value


def _holds(item: Document, name: str, conditions: Mapping[str, Any]) -> bool:
    value = _value(item, name)
    for word, wanted in conditions.items():
        if word not in _OPERATORS:
            raise ValueError(f"the query extension has no operator {word!r}")
        if value is None or not _OPERATORS[word](value, wanted):
            return False
    return True

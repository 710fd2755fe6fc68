"""Whose photos they are, and under which licences: counted and listed from the table of photos."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from skygraft.core.files import atomic_path

COLUMNS: Final = ("photo_id", "source", "title", "author", "licence", "page_url")
_LIST: Final = ("data", "source", "photo_id", "photos", "title", "author", "licence", "page_url")
# What a service's terms ask of whoever shows its photos or what is made of them.
_NOTICES: Final = {"flickr": "This product uses the Flickr API but is not endorsed or certified by SmugMug, Inc."}
_AT_ONCE = 65_536


@dataclass(frozen=True)
class Share:
    """The photos of one source under one licence.

    Args:
        source: As in the photos table.
        licence: Its short name; none where it is not stated.
        photos: How many.
        authors: How many people or bodies are to be named.
        author: The only one; none where there are several, or where nobody is stated.
    """

    source: str
    licence: str | None
    photos: int
    authors: int
    author: str | None


def shares(photos: pa.Table) -> tuple[Share, ...]:
    """The photos of a table by source and licence, the most frequent licence of each source first.

    Args:
        photos: ``source``, ``licence`` and ``author``.
    """
    table = photos.select(["source", "licence", "author"])
    counted = table.group_by(["source", "licence", "author"]).aggregate([([], "count_all")])
    found: dict[tuple[str, str | None], list[tuple[str | None, int]]] = {}
    for row in counted.to_pylist():
        found.setdefault((row["source"], row["licence"]), []).append((row["author"], row["count_all"]))
    made = (
        Share(source, licence, sum(count for _, count in its), len(its), its[0][0] if len(its) == 1 else None)
        for (source, licence), its in found.items()
    )
    return tuple(sorted(made, key=lambda share: (share.source, -share.photos, share.licence or "")))


def notices(sources: Iterable[str]) -> tuple[str, ...]:
    """What must be said where photos of some sources were used."""
    return tuple(_NOTICES[source] for source in sorted(set(sources)) if source in _NOTICES)


def write_list(path: Path, tables: Iterable[tuple[str, pa.Table]]) -> int:
    """Writes who is to be named for which photo, as CSV.

    A source whose photos all have one author and one licence takes one line; of any other each photo has its own.

    Args:
        path: Where to.
        tables: Tables with :data:`COLUMNS`, each of one source, and what their photos are: ``real``, or which embedded world.

    Returns:
        How many lines were written, without the head.
    """
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_LIST)
        for data, table in tables:
            for line in _lines(data, table):
                writer.writerow(["" if value is None else value for value in line])
                count += 1
    return count


def _lines(data: str, table: pa.Table) -> Iterator[tuple[object, ...]]:
    of_source = shares(table)
    if len(of_source) == 1 and of_source[0].authors == 1:
        only = of_source[0]
        yield (data, only.source, None, only.photos, None, only.author, only.licence, None)
        return
    for batch in table.select(list(COLUMNS)).sort_by("photo_id").to_batches(max_chunksize=_AT_ONCE):
        for row in batch.to_pylist():
            yield (data, row["source"], row["photo_id"], 1, row["title"], row["author"], row["licence"], row["page_url"])


def of_photos(table: pa.Table, photo_ids: pa.ChunkedArray) -> pa.Table:
    """The rows of some photos."""
    return table.filter(pc.is_in(table.column("photo_id"), value_set=photo_ids.combine_chunks()))

"""From the pages of a search to the table of photos, each photo once, in bounded memory.

What decides about a photo is gathered in arrays of sixteen bytes a photo; the rows themselves stay on the disk until they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from skygraft.ground.areas import Region
from skygraft.ground.flickr.rows import FOUND, TAKEN_DOWN, photos_rows

Ids = NDArray[np.int64]
Flags = NDArray[np.bool_]
_PART_ROWS = 200_000
_BATCH_ROWS = 50_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Terms:
    """What a photo must be to stand in the table, whatever the service gave.

    Args:
        region: Where.
        licences: Allowed licences by number.
        accuracy: Least accuracy level of its place.
        one_a_minute: Whether one photo of the same author, place and minute is enough.
    """

    region: Region
    licences: tuple[int, ...]
    accuracy: int
    one_a_minute: bool

    def refusals(self, rows: pa.RecordBatch) -> dict[str, Flags]:
        """Which rows are refused, by the reason."""
        licence, accuracy = rows.column("licence").to_numpy(), rows.column("accuracy").to_numpy()
        lon, lat = rows.column("longitude").to_numpy(), rows.column("latitude").to_numpy()
        return {
            "taken down": licence == TAKEN_DOWN,
            "outside the area": ~self.region.covers(lon, lat),
            "licence not allowed": ~np.isin(licence, self.licences),
            "place not accurate enough": accuracy < self.accuracy,
            "none of the sizes": rows.column("url").is_null().to_numpy(zero_copy_only=False),
        }


@dataclass
class Sieve:
    """Decides which photos are kept, as pages come.

    Args:
        terms: What a photo must be.
        refused: Rows refused, by reason; a photo that came twice counts twice.
    """

    terms: Terms
    refused: dict[str, int] = field(default_factory=dict)
    _numbers: list[Ids] = field(default_factory=list)
    _moments: list[NDArray[np.uint64]] = field(default_factory=list)

    def add(self, rows: pa.RecordBatch) -> None:
        """Takes a page in."""
        keep = np.ones(rows.num_rows, np.bool_)
        for reason, refused in self.terms.refusals(rows).items():
            count = int(np.count_nonzero(keep & refused))
            keep &= ~refused
            if count:
                self.refused[reason] = self.refused.get(reason, 0) + count
        self._numbers.append(rows.column("number").to_numpy()[keep])
        self._moments.append(rows.column("moment").to_numpy()[keep])

    def chosen(self) -> Ids:
        """Numbers of the photos that are kept, ascending: each once, and of one author, place and minute the first by number.

        Asked once, at the end: what was gathered is given up for it, since a second copy of millions would be most of what is held.
        """
        if not self._numbers:
            return np.empty(0, np.int64)
        numbers, moments = np.concatenate(self._numbers), np.concatenate(self._moments)
        self._numbers, self._moments = [], []
        order = np.argsort(numbers, kind="stable")
        numbers, moments = numbers[order], moments[order]
        first = ~_repeats(numbers)
        again = len(numbers) - int(np.count_nonzero(first))
        numbers, moments = numbers[first], moments[first]
        alike = np.zeros(len(numbers), np.bool_)
        if self.terms.one_a_minute:
            order = np.argsort(moments, kind="stable")
            alike[order] = _repeats(moments[order])
        numbers = numbers[~alike]
        _LOG.info("photos=%d found_again=%d same_author_place_and_minute=%d", len(numbers), again, np.count_nonzero(alike))
        return numbers


def clear_scratch(folder: Path) -> None:
    """Removes what a killed :func:`sorted_rows` left in its folder."""
    for path in folder.glob("bucket-*.arrows"):
        path.unlink()


def _repeats(values: NDArray[Any]) -> Flags:
    """Which of some sorted values are as the one before."""
    repeats = np.zeros(len(values), np.bool_)
    repeats[1:] = values[1:] == values[:-1]
    return repeats


def sorted_rows(
    pages: Iterable[pa.RecordBatch],
    chosen: Ids,
    terms: Terms,
    licences: Mapping[int, str],
    folder: Path,
    part_rows: int = _PART_ROWS,
) -> Iterator[pa.Table]:
    """Rows of the table of photos, ascending by number, in parts.

    Args:
        pages: Every page again; where a photo came twice, its first row counts.
        chosen: Numbers of the photos that are kept, ascending.
        terms: What a photo must be.
        licences: Short names by number.
        folder: For scratch; emptied at the end.
        part_rows: Rows of a part; what is held in memory at a time.
    """
    buckets = _Buckets(folder, -(-len(chosen) // part_rows), part_rows)
    try:
        _spill(pages, chosen, terms, buckets)
        for bucket in buckets.tables():
            yield photos_rows(bucket.sort_by("number").combine_chunks(), licences)
    finally:
        buckets.clear()


def _spill(pages: Iterable[pa.RecordBatch], chosen: Ids, terms: Terms, buckets: _Buckets) -> None:
    """Spreads the chosen rows over the buckets."""
    done = np.zeros(len(chosen), np.bool_)
    for rows in _gathered(pages):
        numbers = rows.column("number").to_numpy()
        place = np.minimum(np.searchsorted(chosen, numbers), max(len(chosen) - 1, 0))
        wanted = (chosen[place] == numbers) & ~done[place] if len(chosen) else np.zeros(len(numbers), np.bool_)
        for refused in terms.refusals(rows).values():
            wanted &= ~refused
        index = np.flatnonzero(wanted)
        _, first = np.unique(place[index], return_index=True)
        index = index[first]
        done[place[index]] = True
        # Ascending by place, so a bucket's rows are one run.
        ends = np.searchsorted(place[index] // buckets.rows, np.arange(buckets.count + 1))
        chosen_rows = rows.take(pa.array(index))
        for bucket in range(buckets.count):
            if ends[bucket + 1] > ends[bucket]:
                buckets.write(bucket, chosen_rows.slice(ends[bucket], ends[bucket + 1] - ends[bucket]))


def _gathered(pages: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pages put together, so that what is spread is worth a write."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for page in pages:
        waiting.append(page)
        rows += page.num_rows
        if rows >= _BATCH_ROWS:
            yield from pa.Table.from_batches(waiting, FOUND).combine_chunks().to_batches()
            waiting, rows = [], 0
    yield from pa.Table.from_batches(waiting, FOUND).combine_chunks().to_batches()


class _Buckets:
    """Scratch files of rows, each with a range of photos."""

    def __init__(self, folder: Path, count: int, rows: int) -> None:
        self.count, self.rows = count, rows
        self._folder = folder
        self._writers: list[Any] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.clear()
        options = pa.ipc.IpcWriteOptions(compression="zstd")
        self._writers = [pa.ipc.new_stream(str(self._path(bucket)), FOUND, options=options) for bucket in range(count)]

    def write(self, bucket: int, rows: pa.RecordBatch) -> None:
        self._writers[bucket].write_batch(rows)

    def tables(self) -> Iterator[pa.Table]:
        """The buckets one after the other."""
        self._close()
        for bucket in range(self.count):
            with pa.OSFile(str(self._path(bucket))) as file, pa.ipc.open_stream(file) as reader:
                yield reader.read_all()
            self._path(bucket).unlink()

    def clear(self) -> None:
        """Removes the files, also those that a killed process left."""
        self._close()
        clear_scratch(self._folder)

    def _close(self) -> None:
        for writer in self._writers:
            writer.close()
        self._writers = []

    def _path(self, bucket: int) -> Path:
        return self._folder / f"bucket-{bucket:04d}.arrows"
